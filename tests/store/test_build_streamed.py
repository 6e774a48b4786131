"""Collections built from parts at an address: the same rows, few parts on disk, goes on after a stop."""

import numpy as np
import pytest

import pairdex
from fault_server import Fault, FaultServer
from pairdex.downloads.retry import Retry
from pairdex.errors import FetchFailed, InvalidArgument, MissingFile
from pairdex.store.build import BuildOptions
from pairdex.store.build_streamed import build_streamed
from pairdex.store.plan import Selection
from pairdex.store.store import Store


@pytest.fixture
def server():
    world = FaultServer()
    yield world
    world.stop()


@pytest.fixture
def streamed():
    """A function that builds from an address, with what Selection and BuildOptions take."""

    def run(url, collection, *, progress=None, retry=None, **wanted):
        options = {
            name: wanted.pop(name)
            for name in ("workers", "skip_incomplete", "replaced")
            if name in wanted
        }
        return build_streamed(
            url,
            collection,
            Selection(**wanted),
            options=BuildOptions(**options),
            progress=progress,
            retry=retry or Retry(attempts=3, sleep=lambda _: None),
        )

    return run


def serve(server, source, sums=False):
    for path in source.rglob("*"):
        if path.is_file():
            name = path.relative_to(source).as_posix()
            server.put(f"parts/{name}", path.read_bytes(), etag=f'"{name}"')
    if sums:
        server.put_sums("parts/")
    return f"{server.url}/parts"


def fetched(server):
    """The files whose content was read, not only their size."""
    return [name.removeprefix("parts/") for name, _ in server.requests if "." in name]


def same_rows(one, other):
    one, other = Store(one), Store(other)
    assert one.schema.equals(other.schema)
    for kind in one.manifest.vectors:
        np.testing.assert_array_equal(one.vectors(kind)[:], other.vectors(kind)[:])
    tables = [[table for _, table in store.tables()] for store in (one, other)]
    assert tables[0] == tables[1]
    assert [part.sources for part in one.manifest.parts] == [
        part.sources for part in other.manifest.parts
    ]


@pytest.mark.parametrize(("layout", "workers"), [("flat", 1), ("laion2b", 2)])
def test_parts_of_a_web_server_give_the_same_collection(
    make_parts, build, streamed, server, tmp_path, layout, workers
):
    source = make_parts(30, 10, 20, layout=layout)
    build(source, tmp_path / "local")
    report = streamed(serve(server, source), tmp_path / "c", workers=workers)
    same_rows(tmp_path / "local", tmp_path / "c")
    assert (report.rows, report.added, report.parts) == (60, 60, 3)
    assert pairdex.verify(tmp_path / "c").damaged == []
    assert {path.name for path in tmp_path.iterdir()} == {"parts", "local", "c"}


def test_parts_in_a_bucket_are_built(make_parts, build, tmp_path, bucket, run):
    source = make_parts(30, 10, 20)
    for path in source.iterdir():
        bucket.store.put(f"laion/{path.name}", path.read_bytes())
    build(source, tmp_path / "local", nsfw="safe")
    out = run("build", f"{bucket.url}/laion", tmp_path / "c", "--nsfw", "safe", "--json").json
    same_rows(tmp_path / "local", tmp_path / "c")
    assert out["rows"] == Store(tmp_path / "local").rows


def test_at_most_two_parts_are_on_disk(make_parts, streamed, server, tmp_path):
    source = make_parts(*[10] * 6)
    url, seen = serve(server, source), []

    def look(step, done, total):
        names = (tmp_path / ".c.parts").glob("[!.]*_*.*")
        seen.append({path.name.split(".")[0].rpartition("_")[2] for path in names})

    streamed(url, tmp_path / "c", progress=look)
    assert max(map(len, seen)) == 2
    assert not (tmp_path / ".c.parts").exists()


def test_a_build_that_was_stopped_goes_on_behind_the_parts_it_has(
    make_parts, build, streamed, server, tmp_path
):
    source = make_parts(30, 10, 20)
    url = serve(server, source)
    served = server.files["parts/text_emb_1.npy"]
    served.faults = [Fault(), *[Fault(status=500)] * 9]  # the first answer is for its size
    with pytest.raises(FetchFailed, match=r"text_emb_1.npy: .* run the same command again"):
        streamed(url, tmp_path / "c")
    assert Store(tmp_path / "c").rows == 30
    served.faults = []
    server.requests.clear()
    report = streamed(url, tmp_path / "c")
    assert (report.rows, report.added) == (60, 30)
    assert fetched(server).count("img_emb_0.npy") == 1  # for its size
    build(source, tmp_path / "local")
    same_rows(tmp_path / "local", tmp_path / "c")


def test_later_parts_are_added_and_a_second_build_fetches_nothing(
    make_parts, streamed, server, tmp_path
):
    streamed(serve(server, make_parts(30, 10)), tmp_path / "c")
    url = serve(server, make_parts(30, 10, 20))
    assert streamed(url, tmp_path / "c").added == 20
    server.requests.clear()
    report = streamed(url, tmp_path / "c")
    assert (report.rows, report.added) == (60, 0)
    assert len(fetched(server)) == 9


def test_a_limit_ends_the_build_and_parts_are_chosen(make_parts, streamed, server, tmp_path):
    url = serve(server, make_parts(*[10] * 6))
    report = streamed(url, tmp_path / "c", limit=15)
    assert report.rows == 15
    assert fetched(server).count("img_emb_4.npy") == 1
    assert streamed(url, tmp_path / "d", parts=frozenset([3, 5])).parts == 2


def test_a_changed_part_replaces_the_old_one(make_parts, streamed, server, tmp_path):
    source = make_parts(30, 10)
    streamed(serve(server, source), tmp_path / "c")
    np.save(source / "img_emb_1.npy", np.load(source / "img_emb_1.npy")[::-1].copy())
    np.save(source / "text_emb_1.npy", np.load(source / "text_emb_1.npy")[::-1].copy())
    url = serve(server, source)
    report = streamed(url, tmp_path / "c", replaced=frozenset([1]))
    assert (report.rows, report.replaced) == (40, 10)


def test_checksums_beside_the_parts_are_compared(make_parts, streamed, server, tmp_path):
    url = serve(server, make_parts(30, 10), sums=True)
    served = server.files["parts/img_emb_1.npy"]
    served.data = served.data[:-1] + bytes([served.data[-1] ^ 1])
    with pytest.raises(FetchFailed, match=r"img_emb_1.npy .* sha256 .*, expected .*, twice"):
        streamed(url, tmp_path / "c")


def test_parts_that_are_not_whole_are_refused_or_left_out(make_parts, streamed, server, tmp_path):
    source = make_parts(30, 10, 20, 5)
    url = serve(server, source)
    server.files.pop("parts/metadata_1.parquet")
    with pytest.raises(MissingFile, match=r"part 1 of http.* lacks metadata; .*--skip-incomplete"):
        streamed(url, tmp_path / "c")
    report = streamed(url, tmp_path / "c", skip_incomplete=True)
    assert (report.rows, report.skipped) == (55, 1)
    assert "part 1 of" in report.notes[0]
    for name in ("img_emb", "text_emb"):
        server.files.pop(f"parts/{name}_1.npy")
    with pytest.raises(MissingFile, match=r"holds the parts 0,2-3, but not 1: name the parts"):
        streamed(url, tmp_path / "d")
    with pytest.raises(MissingFile, match=r"holds no complete part 7; it holds 0,2-3"):
        streamed(url, tmp_path / "d", parts=frozenset([7]))


def test_other_layouts_and_options_that_need_a_folder_are_refused(server, tmp_path):
    server.put("table/a.parquet", b"PAR1")
    with pytest.raises(InvalidArgument, match=r"holds no numbered parts .* fetch it first"):
        pairdex.build(f"{server.url}/table", tmp_path / "c")
    with pytest.raises(InvalidArgument, match="built without --metadata, --link and --subset"):
        pairdex.build(f"{server.url}/table", tmp_path / "c", link=True)
    assert not (tmp_path / "c").exists()
