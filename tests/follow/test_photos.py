"""A collection follows a folder of pictures: what is new, gone, moved or edited, and nothing else."""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

import pairdex
import pairdex.follow.run as run_module
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch, MissingFile
from pairdex.follow.photos import photos

OLD = 1_600_000_000_000_000_000  # a time of change that is long ago, in nanoseconds


def picture(seed, *, size=(64, 48), exif=None):
    levels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    made = io.BytesIO()
    Image.fromarray(levels).save(made, "JPEG", exif=exif or Image.Exif())
    return made.getvalue()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(OLD, OLD))


@pytest.fixture
def folder(tmp_path):
    """Six pictures, two of them in a folder of their own; long unchanged."""
    for i in range(4):
        write(tmp_path / f"Pictures/{i}.jpg", picture(i))
    for i in (4, 5):
        write(tmp_path / f"Pictures/album/{i}.jpg", picture(i))
    return tmp_path / "Pictures"


@pytest.fixture
def place(tmp_path):
    return tmp_path / "collection"


def counts(report):
    return report.rows, report.added, report.removed, report.unchanged, report.moved


def ids(place):
    """The id of each picture, by name."""
    collection = pairdex.open(place)
    live = [i for i in range(collection._store.rows) if i in collection]
    names = collection.take(live, ["image_path"])["image_path"].to_pylist()
    assert len(set(names)) == len(names), "no picture is there twice"
    return dict(zip(names, live, strict=True))


def no_model_runs(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("nothing is to be encoded")

    monkeypatch.setattr(run_module, "Encoder", refuse)


def test_a_folder_becomes_a_collection_and_the_second_run_opens_no_picture(
    folder, place, monkeypatch
):
    report = photos(folder, place)
    assert counts(report) == (6, 6, 0, 0, 0)
    assert (report.model, report.dim, report.failed) == ("demo", 64, 0)
    assert "knows 24 drawn things" in report.notes[0]
    assert sorted(ids(place)) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "album/4.jpg", "album/5.jpg"]
    no_model_runs(monkeypatch)
    for path in folder.rglob("*.jpg"):
        path.chmod(0)
    manifest = (place / "collection.json").stat()
    assert counts(photos(folder, place)) == (6, 0, 0, 6, 0)
    assert (place / "collection.json").stat() == manifest


def test_new_pictures_are_added_and_vanished_ones_taken_down(folder, place):
    photos(folder, place)
    before = ids(place)
    write(folder / "new.jpg", picture(10))
    (folder / "0.jpg").unlink()
    (folder / "album/4.jpg").unlink()
    assert counts(photos(folder, place)) == (5, 1, 2, 4, 0)
    after = ids(place)
    assert set(after) == {*before, "new.jpg"} - {"0.jpg", "album/4.jpg"}
    assert all(before[name] == row for name, row in after.items() if name in before)
    assert after["new.jpg"] == 6


def test_a_moved_picture_keeps_its_id_and_its_row_names_the_new_place(folder, place, monkeypatch):
    photos(folder, place)
    before = ids(place)
    no_model_runs(monkeypatch)
    (folder / "2024").mkdir()
    (folder / "1.jpg").rename(folder / "2024/renamed.jpg")
    (folder / "album").rename(folder / "2024/album")
    assert counts(photos(folder, place)) == (6, 0, 0, 3, 3)
    after = ids(place)
    assert after["2024/renamed.jpg"] == before["1.jpg"]
    assert after["2024/album/4.jpg"] == before["album/4.jpg"]
    collection = pairdex.open(place)
    row = collection[after["2024/renamed.jpg"]] if hasattr(collection, "__getitem__") else None
    assert row is None or row["folder"] == "2024"
    assert collection.picture(before["1.jpg"]) == folder / "2024/renamed.jpg"
    assert len(collection.search(like=0, k=6, where="folder LIKE '2024%'")) == 3


def test_an_edited_picture_is_replaced(folder, place):
    photos(folder, place)
    before = ids(place)
    write(folder / "2.jpg", picture(20))
    report = photos(folder, place)
    assert (counts(report), report.replaced) == ((6, 1, 1, 5, 0), 1)
    after = ids(place)
    assert after.pop("2.jpg") == 6
    assert before.pop("2.jpg") not in after.values()
    assert after == before


def test_two_pictures_that_change_names_keep_their_ids(folder, place, monkeypatch):
    photos(folder, place)
    before = ids(place)
    no_model_runs(monkeypatch)
    (folder / "0.jpg").rename(folder / "x.jpg")
    (folder / "1.jpg").rename(folder / "0.jpg")
    (folder / "x.jpg").rename(folder / "1.jpg")
    report = photos(folder, place)
    assert report.moved == 2
    assert (ids(place)["0.jpg"], ids(place)["1.jpg"]) == (before["1.jpg"], before["0.jpg"])


def test_a_picture_that_was_only_touched_or_copied_back_is_unchanged(folder, place, monkeypatch):
    photos(folder, place)
    no_model_runs(monkeypatch)
    shutil.copy(folder / "0.jpg", folder / "copy")
    (folder / "copy").replace(folder / "0.jpg")
    assert counts(photos(folder, place)) == (6, 0, 0, 6, 0)


def test_a_picture_that_changes_within_the_clocks_step_is_seen(folder, place):
    now = folder / "now.jpg"
    now.write_bytes(b"P5 2 2 255 aaaa")
    photos(folder, place)
    status = now.stat()
    with now.open("r+b") as file:
        file.write(b"P5 2 2 255 bbbb")
    os.utime(now, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert photos(folder, place).replaced == 1


def test_copies_of_one_picture_are_rows_of_their_own_and_one_may_go(folder, place):
    shutil.copy(folder / "0.jpg", folder / "copy.jpg")
    photos(folder, place)
    before = ids(place)
    (folder / "0.jpg").unlink()
    assert counts(photos(folder, place)) == (6, 0, 1, 6, 0)
    assert ids(place)["copy.jpg"] == before["copy.jpg"]


def test_a_picture_that_comes_back_is_added_again(folder, place):
    photos(folder, place)
    kept = (folder / "0.jpg").read_bytes()
    (folder / "0.jpg").unlink()
    photos(folder, place)
    write(folder / "0.jpg", kept)
    assert counts(photos(folder, place)) == (6, 1, 0, 5, 0)


def test_what_cannot_be_read_is_listed_and_tried_again_only_when_it_changes(
    folder, place, monkeypatch
):
    write(folder / "bad.jpg", b"no picture")
    write(folder / "raw.CR2", b"raw")
    os.mkfifo(folder / "fifo.jpg")
    report = photos(folder, place)
    assert (report.rows, report.failed) == (6, 3)
    lines = (place / "failed.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["file", "bad.jpg", "fifo.jpg", "raw.CR2"]
    with monkeypatch.context() as patch:
        no_model_runs(patch)
        assert photos(folder, place).failed == 3
    write(folder / "bad.jpg", picture(30))
    assert counts(photos(folder, place)) == (7, 1, 0, 6, 0)


def test_captions_are_taken_and_a_new_caption_replaces_the_row(folder, place):
    (folder / "0.txt").write_text("a red square")
    photos(folder, place)
    assert pairdex.open(place).manifest.vectors == ["image", "text"]
    (folder / "0.txt").write_text("a blue circle")
    report = photos(folder, place)
    assert (report.replaced, report.unchanged) == (1, 5)
    collection = pairdex.open(place)
    assert collection.take([ids(place)["0.jpg"]])["caption"].to_pylist() == ["a blue circle"]


def test_a_table_of_captions_that_grows_touches_only_its_new_lines(folder, place):
    table = folder / "metadata.csv"
    table.write_text("file_name,text,year\n0.jpg,zero,1999\n")
    photos(folder, place)
    table.write_text("file_name,text,year,late\n0.jpg,zero,1999,\n1.jpg,one,2000,x\n")
    report = photos(folder, place)
    assert (report.replaced, report.unchanged) == (1, 5)
    assert any("late came later" in note for note in report.notes)
    row = pairdex.open(place).take([ids(place)["1.jpg"]]).to_pylist()[0]
    assert (row["caption"], row["year"]) == ("one", "2000")


def test_pictures_are_upright_with_time_camera_and_place_as_columns(folder, place):
    exif = Image.Exif()
    exif.update({ExifTags.Base.Orientation: 6, ExifTags.Base.Model: "Phone 3"})
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2021:06:05 14:03:02"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {1: "N", 2: (48.0, 30.0, 0.0), 3: "E", 4: (2.0, 15.0, 0.0)}
    )
    write(folder / "phone.jpg", picture(7, size=(80, 40), exif=exif))
    report = photos(folder, place)
    assert report.orientation == "upright"
    collection = pairdex.open(place)
    found = collection.search(
        like=0, where="taken >= '2021-06-01' AND latitude > 48 AND camera = 'Phone 3'"
    )
    [row] = found.table.to_pylist()
    assert (row["image_path"], row["width"], row["height"]) == ("phone.jpg", 40, 80)
    assert collection.manifest.parts[0].orientation == "upright"
    assert pairdex.verify_model(place).verdict == "same"


def test_as_stored_is_recorded_and_kept(folder, place):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    write(folder / "phone.jpg", picture(7, size=(80, 40), exif=exif))
    photos(folder, place, as_stored=True)
    write(folder / "phone2.jpg", picture(8, size=(80, 40), exif=exif))
    assert photos(folder, place).orientation == "as stored"
    widths = pairdex.open(place).take([ids(place)[name] for name in ("phone.jpg", "phone2.jpg")])
    assert widths["width"].to_pylist() == [80, 80]
    assert pairdex.verify_model(place).verdict == "same"
    with pytest.raises(Mismatch, match="holds pictures taken as stored, asked for is upright"):
        photos(folder, place, as_stored=False)


@pytest.mark.parametrize("how", ["renamed", "copied to another disk"])
def test_a_folder_that_moved_can_be_told(folder, place, tmp_path, monkeypatch, how):
    photos(folder, place)
    before = ids(place)
    moved = tmp_path / "Photos"
    if how == "renamed":
        folder.rename(moved)
    else:
        shutil.copytree(folder, moved)
        shutil.rmtree(folder)
    with pytest.raises(
        Mismatch, match=r"holds the pictures of .*Pictures, asked for is .*--moved-to"
    ):
        photos(moved, place)
    no_model_runs(monkeypatch)
    assert counts(photos(folder, place, moved_to=moved)) == (6, 0, 0, 6, 0)
    assert ids(place) == before
    assert pairdex.open(place).picture(0) == moved / "0.jpg"
    assert counts(photos(moved, place)) == (6, 0, 0, 6, 0)


def test_a_disk_that_is_not_there_takes_nothing_down(folder, place, tmp_path):
    elsewhere = tmp_path / "disk"
    write(elsewhere / "z.jpg", picture(40))
    (folder / "linked").symlink_to(elsewhere)
    photos(folder, place)
    elsewhere.rename(tmp_path / "unplugged")
    report = photos(folder, place)
    assert (report.rows, report.removed) == (7, 0)
    assert any("kept 1 picture in folders that cannot be read" in one for one in report.notes)
    for path in list(folder.iterdir()):
        path.rename(tmp_path / path.name)
    with pytest.raises(MissingFile, match=r"of the 7 pictures of .* is its disk there"):
        photos(folder, place)
    assert len(pairdex.open(place)) == 7


def test_linked_albums_are_followed_and_their_pictures_shown(folder, place, tmp_path):
    write(tmp_path / "disk/z.jpg", picture(40))
    (folder / "linked").symlink_to(tmp_path / "disk")
    photos(folder, place)
    collection = pairdex.open(place)
    assert collection.picture(ids(place)["linked/z.jpg"]) == tmp_path / "disk/z.jpg"


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_state_is_said_and_found_out_again_by_content(folder, place, damage, monkeypatch):
    photos(folder, place)
    before = ids(place)
    state = place / "photos.state"
    data = state.read_bytes()
    if damage == "gone":
        state.unlink()
    else:
        state.write_bytes(
            data[:-9] if damage == "cut" else data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
        )
    (folder / "0.jpg").rename(folder / "moved.jpg")
    no_model_runs(monkeypatch)
    report = photos(folder, place)
    assert counts(report) == (6, 0, 0, 5, 1)
    assert any("photos.state is damaged" in note for note in report.notes) == (damage != "gone")
    assert ids(place)["moved.jpg"] == before["0.jpg"]
    assert state.read_bytes()[:14] == data[:14]


def test_what_somebody_has_taken_down_stays_down(folder, place):
    photos(folder, place)
    pairdex.remove(place, ids=[0], reason="private")
    assert photos(folder, place).rows == 5
    (place / "photos.state").unlink()
    assert photos(folder, place).rows == 5


def test_a_collection_of_something_else_is_refused(folder, place, tmp_path):
    pairdex.encode(folder, tmp_path / "parts", model="demo")
    pairdex.build(tmp_path / "parts", place)
    with pytest.raises(Mismatch, match="was not made by pairdex photos"):
        photos(folder, place)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    with pytest.raises(InvalidArgument, match=r"not empty \(it holds file\)"):
        photos(folder, tmp_path / "other")


def test_a_folder_without_pictures_leaves_nothing_behind(tmp_path, place):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFile, match="holds no pictures"):
        photos(tmp_path / "empty", place)
    write(tmp_path / "empty/bad.jpg", b"x")
    with pytest.raises(DamagedFile, match=r"of 1 picture in .*, none can be read"):
        photos(tmp_path / "empty", place)
    assert not place.exists()


def test_the_collection_lies_beside_the_folder_unless_it_is_named(folder):
    report = photos(folder)
    assert Path(report.collection) == folder.with_name("Pictures-pairdex")


def test_large_folders_come_in_several_parts_and_end_as_those_that_come_in_one(
    folder, place, tmp_path, monkeypatch
):
    photos(folder, tmp_path / "whole")
    monkeypatch.setattr(run_module, "PART_ROWS", 4)
    assert counts(photos(folder, place)) == (6, 6, 0, 0, 0)
    many, one = pairdex.open(place), pairdex.open(tmp_path / "whole")
    assert len(many.manifest.parts) == 2
    assert np.array_equal(many.vectors("image")[:6], one.vectors("image")[:6])
    assert counts(photos(folder, place)) == (6, 0, 0, 6, 0)


@pytest.mark.parametrize(
    "step", ["move_rows", "remove_rows", "add_part", "write_state", "read_manifest"]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_is_killed_at_any_step_goes_on(folder, place, step, when, monkeypatch):
    monkeypatch.setattr(run_module, "PART_ROWS", 2)
    photos(folder, place)
    before = ids(place)
    write(folder / "0.jpg", picture(50))  # edited
    (folder / "1.jpg").rename(folder / "moved.jpg")
    (folder / "2.jpg").unlink()
    for i in range(3):
        write(folder / f"new{i}.jpg", picture(60 + i))
    for count in range(4):
        with monkeypatch.context() as patch:
            whole, calls = getattr(run_module, step), iter(range(100))

            def cut(*args, whole=whole, calls=calls, last=count, **options):
                if when == "before" and next(calls) == last:
                    raise KeyboardInterrupt
                found = whole(*args, **options)
                if when == "after" and next(calls) == last:
                    raise KeyboardInterrupt
                return found

            patch.setattr(run_module, step, cut)
            try:
                photos(folder, place)
            except KeyboardInterrupt:
                continue
            break
    assert photos(folder, place).rows == 8
    after = ids(place)
    assert set(after) == {"0.jpg", "moved.jpg", "3.jpg", "album/4.jpg", "album/5.jpg"} | {
        f"new{i}.jpg" for i in range(3)
    }
    assert after["moved.jpg"] == before["1.jpg"]
    assert after["3.jpg"] == before["3.jpg"]
    assert after["0.jpg"] != before["0.jpg"]
    report = pairdex.verify(place)
    assert report.damaged == []


def test_a_link_that_came_after_the_run_leads_nowhere(folder, place, tmp_path):
    photos(folder, place)
    write(tmp_path / "private/secret.jpg", picture(70))
    (folder / "0.jpg").unlink()
    (folder / "0.jpg").symlink_to(tmp_path / "private/secret.jpg")
    assert pairdex.open(place).picture(ids(place)["0.jpg"]) is None


def test_a_copy_and_a_new_caption_of_a_removed_picture_stay_removed(folder, place):
    photos(folder, place)
    before = ids(place)
    pairdex.remove(place, ids=[before["2.jpg"]], reason="takedown")
    write(folder / "copy.jpg", picture(2))
    report = photos(folder, place)
    assert report.notes[-1] == "1 picture not shown: users removed the same content before"
    assert (report.added, "copy.jpg" in ids(place)) == (0, False)
    write(folder / "2.txt", b"a new caption")
    report = photos(folder, place)
    assert (report.added, report.removed, report.replaced) == (0, 0, 0)
    assert ids(place) == {name: row for name, row in before.items() if name != "2.jpg"}


def test_of_two_equal_pictures_the_one_that_was_not_removed_may_change(folder, place):
    write(folder / "twin.jpg", picture(2))
    photos(folder, place)
    pairdex.remove(place, ids=[ids(place)["2.jpg"]], reason="doubled")
    write(folder / "twin.txt", b"a new caption")
    assert photos(folder, place).added == 1
    assert "twin.jpg" in ids(place)
    assert "2.jpg" not in ids(place)


def test_a_name_that_is_not_utf8_costs_only_its_picture(folder, place):
    shutil.copy(folder / "0.jpg", os.fsencode(folder) + b"/bad\xff.jpg")
    report = photos(folder, place)
    assert (report.rows, report.failed) == (6, 1)
    assert "not a UTF-8 name" in report.failures[0][1]
    assert "not a UTF-8 name" in (place / "failed.tsv").read_text(errors="replace")
    assert photos(folder, place).unchanged == 6


@pytest.mark.parametrize("how", ["moved to", "in place"])
def test_another_folder_in_its_place_takes_nothing_down_unless_that_is_said(
    folder, place, tmp_path, how
):
    for i in range(10, 20):
        write(folder / f"{i}.jpg", picture(i))
    photos(folder, place)
    before = ids(place)
    other = tmp_path / "Other"
    write(other / "0.jpg", picture(0))
    where = {"moved_to": other} if how == "moved to" else {}
    if not where:
        folder.rename(tmp_path / "away")
        other.rename(folder)
    with pytest.raises(MissingFile, match=r"15 of the 16 pictures .* --take-down"):
        photos(folder, place, **where)
    assert ids(place) == before
    assert photos(folder, place, **where, take_down=True).removed == 15
    assert ids(place) == {"0.jpg": before["0.jpg"]}


def test_an_edited_picture_whose_row_users_removed_is_added_and_replaces_nothing(folder, place):
    photos(folder, place)
    pairdex.remove(place, ids=[ids(place)["2.jpg"]], reason="takedown")
    write(folder / "2.jpg", picture(20))
    report = photos(folder, place)
    assert (report.added, report.removed, report.replaced) == (1, 0, 0)
