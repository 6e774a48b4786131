"""A part is known by where it comes from as well as by its bytes: none is doubled, changed ones are replaced."""

from datetime import datetime, timezone

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pairdex
from pairdex.derived.verify import verify
from pairdex.errors import Mismatch
from pairdex.store.manifest import read_manifest
from pairdex.store.store import Store

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


def recompress(source):
    path = source / "metadata_0.parquet"
    pq.write_table(pq.read_table(path), path, compression="zstd")


def change_caption(source):
    path = source / "metadata_0.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("caption")
    captions = pa.array([f"new {text}" for text in table["caption"].to_pylist()])
    pq.write_table(table.set_column(place, "caption", captions), path)


def drop_rows(source):
    for name in ("img_emb_0.npy", "text_emb_0.npy"):
        np.save(source / name, np.load(source / name)[3:])
    path = source / "metadata_0.parquet"
    pq.write_table(pq.read_table(path).slice(3), path)


def change_vectors(source):
    np.save(source / "img_emb_0.npy", -np.load(source / "img_emb_0.npy"))


def complete(source):
    """Nothing: the file was half fetched when the collection was made, and is whole now."""


CHANGES = {
    "captions": (change_caption, "metadata_0.parquet"),
    "rows": (drop_rows, "img_emb_0.npy and text_emb_0.npy and metadata_0.parquet"),
    "vectors": (change_vectors, "img_emb_0.npy"),
}


def captions(collection):
    store = Store(collection)
    live = np.flatnonzero(store.tombstones.live) if store.tombstones else np.arange(store.rows)
    return store.take(live)["caption"].to_pylist()


def urls(collection):
    return pairdex.sql(collection, "SELECT url FROM pairs")["url"].to_pylist()


@pytest.mark.parametrize("change", CHANGES)
def test_a_part_that_changed_is_refused_and_named(make_parts, build, tmp_path, tree, change):
    source = make_parts(20, 10)
    build(source, tmp_path / "c")
    before = tree(tmp_path / "c")
    harm, named = CHANGES[change]
    harm(source)
    told = f"part 0 of .* is in .*c already, with another {named}: --replace-part 0 takes its"
    with pytest.raises(Mismatch, match=told):
        build(source, tmp_path / "c")
    assert tree(tmp_path / "c") == before


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_part_is_replaced_where_that_is_asked_for(make_parts, build, tmp_path, change):
    source = make_parts(20, 10)
    build(source, tmp_path / "c")
    CHANGES[change][0](source)
    report = build(source, tmp_path / "c", replaced=frozenset({0}), now=NOW)
    new = 17 if change == "rows" else 20
    assert (report.replaced, report.added, report.rows) == (20, new, 10 + new)
    build(source, tmp_path / "anew")
    assert sorted(captions(tmp_path / "c")) == sorted(captions(tmp_path / "anew"))
    assert read_manifest(tmp_path / "c").parts[2].replaces == [0]
    assert verify(tmp_path / "c").damaged == []


def test_replacing_again_changes_nothing(make_parts, build, tmp_path, tree):
    source = make_parts(20, 10)
    build(source, tmp_path / "c")
    change_caption(source)
    build(source, tmp_path / "c", replaced=frozenset({0}))
    before = tree(tmp_path / "c")
    for options in ({"replaced": frozenset({0})}, {}):
        report = build(source, tmp_path / "c", **options)
        assert (report.replaced, report.added) == (0, 0)
        assert tree(tmp_path / "c") == before


def test_a_part_may_be_replaced_by_its_first_version(make_parts, build, tmp_path):
    source = make_parts(20)
    first = (source / "metadata_0.parquet").read_bytes()
    build(source, tmp_path / "c")
    change_caption(source)
    build(source, tmp_path / "c", replaced=frozenset({0}))
    (source / "metadata_0.parquet").write_bytes(first)
    with pytest.raises(Mismatch, match=r"with another metadata_0\.parquet"):
        build(source, tmp_path / "c")
    build(source, tmp_path / "c", replaced=frozenset({0}))
    assert captions(tmp_path / "c") == [f"caption {row} of part 0" for row in range(20)]


def test_a_part_that_was_compressed_again_is_not_added_again(make_parts, build, tmp_path, tree):
    source = make_parts(20, 10)
    build(source, tmp_path / "c", nsfw="sisap")
    before = tree(tmp_path / "c")
    recompress(source)
    report = build(source, tmp_path / "c", nsfw="sisap")
    assert (report.added, report.replaced) == (0, 0)
    assert report.notes == ["part 0 has another metadata_0.parquet than before, with the same rows"]
    assert tree(tmp_path / "c") == before


def test_a_part_fetched_again_to_another_place_is_not_added_again(make_parts, build, tmp_path):
    build(make_parts(20, 10), tmp_path / "c")
    again = make_parts(20, 10, folder="again", layout="laion2b")
    assert build(again, tmp_path / "c").added == 0
    change_caption_of = again / "laion2B-en-metadata" / "metadata_0000.parquet"
    pq.write_table(pq.read_table(change_caption_of), change_caption_of, compression="gzip")
    assert build(again, tmp_path / "c").added == 0


def test_another_releases_part_of_the_same_number_is_added(make_parts, build, write_part, tmp_path):
    build(make_parts(20), tmp_path / "c")
    rng = np.random.default_rng(99)
    image, text = rng.standard_normal((2, 12, 8)).astype(np.float16)
    columns = pq.read_table(tmp_path / "parts" / "metadata_0.parquet").slice(0, 12)
    urls = pa.array([f"https://other.example/{row}" for row in range(12)])
    write_part(tmp_path / "other", 0, image, text, columns.set_column(0, "url", urls))
    report = build(tmp_path / "other", tmp_path / "c")
    assert (report.rows, report.added) == (32, 12)
    assert report.notes == [
        f"{tmp_path / 'c'} already held another part 0, with other rows: both are kept; if it is the "
        "same part in a new version, remove the old rows"
    ]
    assert build(tmp_path / "other", tmp_path / "c").added == 0
    assert build(tmp_path / "parts", tmp_path / "c").added == 0


def test_a_pair_of_datacomp_is_known_by_its_name_not_its_number(make_parts, build, tmp_path):
    source = make_parts(5, numbers=[7], layout="datacomp")
    build(source, tmp_path / "c")
    make_parts(6, numbers=[3], layout="datacomp")  # comes first in order
    report = build(source, tmp_path / "c")
    assert (report.rows, report.added) == (11, 6)


@pytest.mark.parametrize("number", [0, 7])
def test_a_part_that_is_not_held_cannot_be_replaced(make_parts, build, tmp_path, number):
    source = make_parts(20)
    if number:
        build(source, tmp_path / "c")
    told = f"part {number} is to be replaced, but .*c does not hold it"
    with pytest.raises(Mismatch, match=told):
        build(source, tmp_path / "c", replaced=frozenset({number}))


def test_a_build_that_is_killed_while_it_replaces_goes_on(make_parts, build, tmp_path, monkeypatch):
    source = make_parts(20, 10)
    build(source, tmp_path / "c")
    change_caption(source)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pairdex.store.build.write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            build(source, tmp_path / "c", replaced=frozenset({0}))
    assert len(captions(tmp_path / "c")) == 10
    report = build(source, tmp_path / "c", replaced=frozenset({0}))
    assert (report.replaced, report.added) == (20, 20)
    assert len(captions(tmp_path / "c")) == 30


def test_the_command_replaces_and_counts(make_parts, run, tmp_path):
    source = make_parts(20, 10)
    run("build", source, tmp_path / "c")
    change_vectors(source)
    assert "--replace-part 0" in run("build", source, tmp_path / "c").complaint
    done = run("build", source, tmp_path / "c", "--replace-part", "0", "--json").json
    assert (done["replaced"], done["added"], done["skipped"]) == (20, 20, 0)
    assert len(pairdex.open(tmp_path / "c")) == 30


def test_removed_rows_of_a_replaced_part_stay_removed(make_parts, build, tmp_path):
    source = make_parts(20, 10)
    build(source, tmp_path / "c")
    gone = "https://example.org/0/5.jpg"
    pairdex.remove(tmp_path / "c", urls=[gone], reason="takedown 17")
    change_caption(source)
    report = build(source, tmp_path / "c", replaced=frozenset({0}))
    assert "1 row of part 0 not shown: users removed the same rows before" in report.notes
    assert gone not in urls(tmp_path / "c")
    assert len(urls(tmp_path / "c")) == report.rows == 29
    drop_rows(source)
    assert build(source, tmp_path / "c", replaced=frozenset({0})).rows == 26
    assert gone not in urls(tmp_path / "c")


def test_removed_rows_that_no_column_identifies_are_said(make_parts, build, tmp_path):
    source = make_parts(20, columns={"caption": [f"c{i}" for i in range(20)]})
    build(source, tmp_path / "c")
    pairdex.remove(tmp_path / "c", ids=[5], reason="takedown 17")
    change_vectors(source)
    (note,) = [
        n for n in build(source, tmp_path / "c", replaced=frozenset({0})).notes if "remove" in n
    ]
    assert note.startswith(
        "of the rows of part 0 that users removed before, 1 cannot be found again, without a column url or uid"
    )
    assert note.endswith("remove them again")
