"""What stands for a row: its caption, else the path of its picture within the folder."""

import pytest

from pairdex.cli.hit_tables import print_hits
from pairdex.store.row_name import row_name


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"caption": "a cat", "image_path": "pets/1.jpg"}, "a cat"),
        ({"caption": None, "image_path": "pets/1.jpg"}, "pets/1.jpg"),
        ({"caption": " \n", "image_path": "pets/1.jpg"}, "pets/1.jpg"),
        ({"image_path": "pets/1.jpg"}, "pets/1.jpg"),
        ({"caption": 5, "image_path": ""}, None),
        ({"url": "http://pictures.invalid/1.jpg"}, None),
    ],
)
def test_a_row_is_called_by_its_caption_or_its_file(row, name):
    assert row_name(row) == name


def headings(capsys, *hits):
    print_hits([{"id": number, **hit} for number, hit in enumerate(hits)])
    return capsys.readouterr().out.splitlines()


def test_tables_leave_out_captions_where_no_row_has_one(capsys):
    lines = headings(capsys, {"image_path": "a.jpg"}, {"image_path": "b.jpg", "caption": ""})
    assert [line.split() for line in lines] == [["id", "picture"], ["0", "a.jpg"], ["1", "b.jpg"]]


def test_tables_name_the_file_where_the_address_is_shown(capsys):
    lines = headings(capsys, {"image_path": "a.jpg", "url": "http://x.invalid/1"}, {"caption": "b"})
    assert [line.split() for line in lines] == [
        ["id", "caption", "picture"],
        ["0", "a.jpg", "http://x.invalid/1"],
        ["1", "b"],
    ]


def test_a_renamed_folder_renames_its_collection(run, collection):
    other = collection.rename(collection.with_name("renamed"))
    assert run("info", other, "--json").json["name"] == "renamed"
