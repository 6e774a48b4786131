"""The demo runs the whole pipeline, and a second call only searches."""

import pytest

import pairdex
from pairdex.demo.demo import QUERIES, make_demo
from pairdex.errors import InvalidArgument


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder, steps = tmp_path_factory.mktemp("demo") / "here", []
    report = make_demo(folder, count=400, seed=1, progress=lambda *step: steps.append(step))
    return folder, report, steps


def test_pictures_become_a_searchable_collection(made):
    folder, report, _ = made
    assert report.rows == 400
    collection = pairdex.open(report.collection)
    assert (len(collection), collection.dim) == (400, 64)
    assert collection.path == folder / "collection"
    assert collection.picture(17) == (folder / "pictures/00017.jpg").resolve()


def test_the_hits_of_each_query_match_it(made):
    _, report, _ = made
    assert [query.text for query in report.queries] == list(QUERIES)
    by_text = {query.text: query.hits for query in report.queries}
    assert all(len(hits) == 5 for hits in by_text.values())
    assert all("cat" in hit.caption for hit in by_text["cat"])
    assert "red car" in by_text["a red car"][0].caption
    distances = [hit.distance for hit in by_text["cat"]]
    assert distances == sorted(distances)


def test_every_step_is_reported_to_its_end(made):
    _, _, steps = made
    assert list(dict.fromkeys(name for name, _, _ in steps)) == ["drawing", "encoding", "building"]
    for name in ("drawing", "encoding", "building"):
        *_, (_, done, total) = (step for step in steps if step[0] == name)
        assert done == total == 400


def test_a_second_call_writes_nothing_and_finds_the_same(made, monkeypatch):
    folder, report, _ = made
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}
    monkeypatch.setattr(
        "pairdex.encoders.encode.encode_part", lambda *_, **__: pytest.fail("encoded again")
    )
    again = make_demo(folder, count=400, seed=1)
    assert again.queries == report.queries
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")} == before


def test_a_folder_with_another_demo_is_refused(made):
    folder, _, _ = made
    with pytest.raises(InvalidArgument, match="contains other files; name a new folder"):
        make_demo(folder, count=401, seed=1)
