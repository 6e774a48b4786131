"""The catalogue: every row of the pages, their errata, and the choice of files by part and name."""

import json
import re
from importlib.resources import files

import pytest

from pairdex.downloads.catalogue import find_release, load_catalogue, select
from pairdex.errors import InvalidArgument
from places import SHARED

SEEDS = SHARED / "seeds"
RELEASES = load_catalogue()
ENTRIES = [(r.name, e) for r in RELEASES.values() for e in r.entries]
SISAP = {entry.name: entry for entry in RELEASES["sisap-2023"].entries}
UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3}


def page(number):
    """The text of one of the pages that the catalogue was made from."""
    found = sorted(SEEDS.glob(f"{number}*")) if SEEDS.is_dir() else []
    if not found:
        pytest.skip("../shared/seeds is absent: no pages to compare with")
    return found[0].read_text()


def rows_of_the_page():
    row = re.compile(r"(\S+) \| (.*) \| (\S+) \| ([0-9a-f]{32}) \|")
    return [found.groups() for found in map(row.fullmatch, page("000").splitlines()) if found]


def test_every_row_of_the_page_is_there_with_its_size_and_md5():
    rows = rows_of_the_page()
    assert len(rows) == 43
    for name, what, size, md5 in rows:
        if "binary sketch" in what and "pca96" in name:
            continue  # the page's own mistake, tested below
        assert (SISAP[name].size, SISAP[name].md5) == (size, md5), name


def test_the_pages_mistake_about_the_private_sketches_is_put_right_and_said():
    entry = SISAP["private-queries-10k-hammingv2.h5"]
    assert entry.md5 == "6e9bba2023ff0745ecf47361a837c3a8"
    assert entry.size == "1.3M"
    assert "private-queries-10k-pca96v2.h5" in entry.errata[0]


def test_every_name_of_the_older_page_leads_to_a_file():
    names = re.findall(r'^  "(\S+)" => ', page("002"), re.M)
    assert len(names) == 32
    for name in names:
        assert len(select(RELEASES["sisap-2023"], patterns=[name])) == 1, name


def test_the_addresses_that_the_pages_write_out_are_the_catalogues():
    urls = set(re.findall(r"https://\S+\.(?:h5|tsv|npy|parquet)", page("000") + page("002")))
    urls = {url for url in urls if "$" not in url}
    single = [e for name in ("sisap-2023", "laion2b-en") for e in select(find_release(name))]
    assert len(urls) >= 7
    assert urls <= {url for entry in single for url in entry.urls}


def test_laion400m_has_the_addresses_of_the_tutorial():
    urls = re.findall(r"https://deploy\S+", page("003"))
    known = {url for entry in RELEASES["laion400m"].entries for url in entry.urls}
    assert {url.replace("${number}", "{part}") for url in urls} == known & {
        url for url in known if "deploy.laion.ai" in url
    }
    assert len(urls) == 3


@pytest.mark.parametrize(("release", "entry"), ENTRIES, ids=[e.path for _, e in ENTRIES])
def test_every_entry_names_its_source_and_address_and_a_well_formed_checksum(release, entry):
    assert entry.source
    assert entry.what
    assert all(re.match(r"https?://[^ ]+$", url) for url in entry.urls)
    assert entry.urls[0].endswith(entry.name) or "%3D" in entry.urls[0]
    assert entry.md5 is None or re.fullmatch("[0-9a-f]{32}", entry.md5)


@pytest.mark.parametrize(
    "entry", [e for _, e in ENTRIES if e.size and e.bytes], ids=lambda e: e.path
)
def test_rows_times_dimension_is_what_the_page_calls_its_size(entry):
    number, unit = float(entry.size[:-1]), UNITS[entry.size[-1]]
    step = 0.1 if "." in entry.size else 1
    overhead = 4096  # of the HDF5 file
    assert number - step < (entry.bytes + overhead) / unit
    assert entry.bytes / unit <= number


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("laion2B-en-clip768v2-n=100K.h5", "not the first rows"),
        ("laion2B-en-hammingv2-n=300K.h5", "not the first rows"),
        ("laion2B-en-pca96v2-n=10M.h5", "part 0001"),
        ("laion2B-en-private-gold-standard-v2-10M-F64-IEEE754.h5", "783K hold 10"),
        ("public-queries-10k-clip768v2.h5", "32-bit"),
        ("laion2B-en-clip768v2-n=1M.h5", "47fe7d2da1644bffee684d3b17b7d404"),
    ],
)
def test_errata_stand_at_the_files_that_they_concern(name, words):
    assert any(words in note for note in SISAP[name].errata)


def test_the_bundles_that_the_page_leaves_out_are_there():
    assert SISAP["laion2B-en-clip768v2-n=1M.h5"].md5 == "61dea2ae683636a248cb915391156435"
    assert SISAP["laion2B-en-clip768v2-n=3M.h5"].md5 == "007ec4db4337d8ce3d524f37598d6cef"


def test_a_part_of_laion400m_has_its_number_and_its_own_rows():
    image, text, metadata = select(find_release("laion400m"), parts=frozenset([107]))
    assert image.path == "img_emb/img_emb_107.npy"
    assert text.urls[0].endswith("/embeddings/text_emb/text_emb_107.npy")
    assert metadata.path == "metadata/metadata_107.parquet"
    assert (image.rows, image.bytes, image.bytes_exact) == (189_159, 189_159 * 1024 + 128, True)
    normal = select(find_release("laion400m"), parts=frozenset([0]))[0]
    assert (normal.bytes, normal.bytes_exact) == (1_000_448 * 1024 + 128, False)


def test_parts_of_laion2b_have_four_digits():
    paths = [e.path for e in select(find_release("laion2b-en"), parts=frozenset([7, 2313]))]
    assert paths == [
        "img_emb/img_emb_0007.npy",
        "img_emb/img_emb_2313.npy",
        "laion2B-en-metadata/metadata_0007.parquet",
        "laion2B-en-metadata/metadata_2313.parquet",
    ]


@pytest.mark.parametrize("name", ["LAION-400M", "laion_400m", "laion400m"])
def test_a_release_is_found_whatever_its_case_and_hyphens(name):
    assert find_release(name).name == "laion400m"


def test_a_misspelt_release_gets_the_nearest_name():
    with pytest.raises(InvalidArgument, match="'sisap2033', did you mean sisap-2023"):
        find_release("sisap2033")


def test_a_misspelt_file_gets_the_nearest_name():
    with pytest.raises(InvalidArgument, match=r"did you mean laion2B-en-pca32v2-n=10M\.h5"):
        select(find_release("sisap-2023"), patterns=["laion2b-en-pca32v2-n=10M.hdf5"])


def test_parts_outside_the_release_are_refused():
    with pytest.raises(InvalidArgument, match="no part 410; it has the parts 0 to 409"):
        select(find_release("laion400m"), parts=frozenset([3, 410]))
    with pytest.raises(InvalidArgument, match="sisap-2023 has no numbered parts"):
        select(find_release("sisap-2023"), parts=frozenset([1]))


def test_the_data_file_has_one_line_a_file_and_no_unused_or_double_entries():
    text = (files("pairdex.downloads") / "catalogue.json").read_text("utf-8")
    content = json.loads(text)
    assert sum(line.startswith('  {"release"') for line in text.splitlines()) == len(ENTRIES)
    used = {key for row in content["files"] for key in row.get("errata", [])}
    assert used == set(content["errata"])
    assert {key for row in content["files"] for key in row["source"]} == set(content["sources"])
    assert len({(name, entry.path) for name, entry in ENTRIES}) == len(ENTRIES)


def test_the_command_lists_releases_and_their_files_as_json(run):
    listed = run("releases", "--json").json["releases"]
    assert [r["release"] for r in listed] == list(RELEASES)
    files = run("releases", "sisap-2023", "--files", "*pca32v2-n=10M*", "--json").json["files"]
    assert [(f["name"], f["size"], f["md5"]) for f in files] == [
        ("laion2B-en-pca32v2-n=10M.h5", "1.3G", "799dfd317976012a9b768aea123ce6b0")
    ]
    assert files[0]["bytes"] == 10_120_191 * 128
    assert files[0]["url"].startswith("https://sisap-23-challenge.s3.amazonaws.com/")


def test_the_command_shows_people_names_checksums_and_errata(run):
    shown = run("releases", "sisap-2023").out
    assert all(name in shown for name in SISAP)
    assert "783K hold 10" in shown
    one = run("releases", "sisap-2023", "--files", "laion2B-en-clip768-n=10M.h5").out
    assert "laion2B-en-clip768v2-n=10M.h5" in one
    assert "15,544,613,376" in one
    assert "img_emb/img_emb_{0..409}.npy" in run("releases", "laion400m").out
    assert "img_emb_107.npy" in run("releases", "laion400m", "--files", "img_emb_107.npy").out


def test_the_command_suggests_the_nearest_name(run):
    assert "did you mean sisap-2023" in run("releases", "sisap-203").complaint
