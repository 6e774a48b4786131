"""The docs are a site: it builds strictly, lists every page, and needs nothing from elsewhere.

A strict build fails on a link to a page or heading that does not exist.
"""

import json
import re
import shutil
import subprocess
import sys

import pytest

from places import DOCS, ROOT

pytest.importorskip("zensical", reason="the site is built by zensical, of the dev group")

PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(DOCS, folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    build = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    return folder / "build" / "site"


def pages(site):
    return {path.relative_to(site): path.read_text() for path in site.rglob("*.html")}


def test_every_page_is_built_and_in_the_navigation(site):
    listed = re.findall(r'"([\w/-]+\.md)"', (ROOT / "zensical.toml").read_text())
    assert sorted(listed) == PAGES, "every page of docs/ has one line in the nav of zensical.toml"
    built = {str(path.with_suffix(".md")) for path in pages(site)} - {"404.md"}
    assert built == set(PAGES)


def test_every_decision_is_listed():
    index = (DOCS / "decisions" / "index.md").read_text()
    names = {path.name for path in (DOCS / "decisions").glob("*.md")} - {"index.md"}
    assert {name for name in names if f"({name})" not in index} == set()


def test_no_page_loads_anything_from_elsewhere(site):
    for path, text in pages(site).items():
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?([^\"\s>]+)", text)
        assert [one for one in loaded if re.match(r"(https?:)?//", one)] == [], path


def test_the_search_knows_every_page(site):
    index = json.loads((site / "search.json").read_text())
    text = json.dumps(index)
    assert [page for page in PAGES if page.replace(".md", ".html") not in text] == []
