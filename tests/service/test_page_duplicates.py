"""Near-duplicates on the page: groups of them, the slider, what one selects and does with it."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pairdex
from browsing import (
    MARKS,
    PHONE,
    expect,
    open_filters,
    opened,
    query_of,
    running,
    search,
    status,
    tiles,
)
from pairdex.service import duplicates as module
from pairdex.service.app import make_app

pytestmark = MARKS

COPIES = 30  # of row 0, so that its group is longer than what is shown at first
PAIRS = 40


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """The folder of a collection of 30 copies of a row, 40 pairs 0.02 apart, and other rows."""
    root = tmp_path_factory.mktemp("copied")
    rng = np.random.default_rng(6)
    rows = rng.standard_normal((200, 64))
    rows[1:COPIES] = rows[0]
    pairs = rows[60 : 60 + PAIRS]
    aside = rng.standard_normal(pairs.shape)
    aside -= (aside * pairs).sum(1, keepdims=True) / (pairs * pairs).sum(1, keepdims=True) * pairs
    aside *= np.linalg.norm(pairs, axis=1, keepdims=True) / np.linalg.norm(
        aside, axis=1, keepdims=True
    )
    rows[120 : 120 + PAIRS] = 0.98 * pairs + np.sqrt(1 - 0.98**2) * aside
    (root / "parts").mkdir()
    np.save(root / "parts" / "img_emb_0.npy", rows.astype(np.float16))
    columns = {
        "url": [f"http://pictures.invalid/{row}.jpg" for row in range(200)],
        "caption": [f"row {row}" for row in range(200)],
    }
    pq.write_table(pa.table(columns), root / "parts" / "metadata_0.parquet")
    pairdex.build(root / "parts", root / "copied")
    return root / "copied"


@pytest.fixture(scope="module")
def copies(copied, scenes):
    with running(make_app([copied, scenes])) as url:
        yield url


def groups(page):
    return page.locator(".group")


def ids_in(group):
    return group.locator(".tile").evaluate_all("all => all.map((one) => Number(one.dataset.id))")


def test_groups_come_with_their_kept_row_first_and_more_of_them_while_scrolling(tolerant, copies):
    tolerant.goto(copies)
    tolerant.get_by_role("button", name="Duplicates").click()
    expect(groups(tolerant).first.get_by_role("heading")).to_have_text("30 rows")
    assert query_of(tolerant) == {"view": "duplicates"}
    expect(tolerant.get_by_role("button", name="Duplicates")).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(status(tolerant)).to_contain_text("41 groups, 69 rows besides the first of each · exact")
    assert ids_in(groups(tolerant).first)[0] == 0
    assert ids_in(groups(tolerant).nth(1)) == [60, 120]
    expect(groups(tolerant).nth(1).locator(".tile-similarity").nth(1)).to_have_text("0.980")
    tolerant.mouse.wheel(0, 100_000)
    expect(groups(tolerant)).not_to_have_count(12)
    while tolerant.locator("#more").is_visible():
        tolerant.mouse.wheel(0, 100_000)
        tolerant.wait_for_timeout(50)
    expect(groups(tolerant)).to_have_count(41)


def test_the_slider_changes_the_groups_and_the_address(tolerant, copies):
    tolerant.goto(f"{copies}/?view=duplicates")
    slider = tolerant.get_by_label("Largest distance")
    expect(slider).to_have_value("6")
    slider.focus()
    for _ in range(5):
        tolerant.keyboard.press("ArrowLeft")
    expect(tolerant.locator("#duplicates-value")).to_have_text("0.01")
    expect(groups(tolerant)).to_have_count(1)
    assert query_of(tolerant) == {"view": "duplicates", "within": "0.01"}
    tolerant.reload()
    expect(groups(tolerant)).to_have_count(1)
    expect(slider).to_have_attribute("aria-valuetext", "0.01")
    tolerant.go_back()
    expect(slider).to_have_value("2")


def test_a_long_group_is_shown_whole_on_demand(tolerant, copies):
    tolerant.goto(f"{copies}/?view=duplicates&within=0")
    first = groups(tolerant).first
    expect(first.locator(".tile")).to_have_count(8)
    first.get_by_role("button", name="Show all 30").click()
    expect(first.locator(".tile")).to_have_count(30)
    assert ids_in(first) == list(range(30))
    expect(first.get_by_role("button", name="Show all")).to_be_hidden()


def test_all_but_the_kept_rows_are_selected_saved_and_hidden(tolerant, copies, tmp_path):
    tolerant.goto(f"{copies}/?view=duplicates&within=0")
    groups(tolerant).first.get_by_role("button", name="Select the 29 others").click()
    expect(tolerant.locator("#selection-count")).to_have_text("29 rows selected")
    with tolerant.expect_download() as saved:
        tolerant.get_by_role("button", name="Save ids").click()
    saved.value.save_as(tmp_path / "ids.txt")
    assert [int(line) for line in (tmp_path / "ids.txt").read_text().split()] == list(range(1, 30))
    tolerant.get_by_role("button", name="Hide", exact=True).click()
    expect(tolerant.locator("#notice-title")).to_have_text("No near-duplicates")
    assert query_of(tolerant)["hide"] == ",".join(map(str, range(1, 30)))
    assert query_of(tolerant)["view"] == "duplicates"


def test_the_others_of_all_groups_are_selected_at_once_or_shown_alone(tolerant, copies):
    tolerant.goto(f"{copies}/?view=duplicates")
    expect(groups(tolerant).nth(11)).to_be_visible()
    tolerant.get_by_role("button", name="Select all but the first of each group").click()
    expect(tolerant.locator("#selection-count")).to_contain_text("rows selected")
    chosen = tolerant.locator(".tile.selected").count()
    assert chosen == tolerant.locator(".tile").count() - groups(tolerant).count()
    tolerant.get_by_role("button", name="Only these").click()
    expect(status(tolerant)).to_contain_text(f"{chosen} rows")
    assert "view" not in query_of(tolerant)


def test_details_and_arrow_keys_work_across_groups(tolerant, copies):
    tolerant.goto(f"{copies}/?view=duplicates")
    expect(groups(tolerant).nth(2)).to_be_visible()
    tiles(tolerant).nth(7).focus()
    tolerant.keyboard.press("ArrowRight")
    expect(tiles(tolerant).nth(8)).to_be_focused()
    tolerant.keyboard.press("ArrowDown")
    expect(tiles(tolerant).nth(10)).to_be_focused()
    tolerant.keyboard.press("Enter")
    dialog = tolerant.get_by_role("dialog")
    expect(dialog.locator("#detail-caption")).to_have_text("row 61")
    tolerant.keyboard.press("ArrowRight")
    expect(dialog.locator("#detail-caption")).to_have_text("row 121")
    tolerant.keyboard.press("Escape")
    expect(tiles(tolerant).nth(11)).to_be_focused()


def test_a_search_a_filter_and_the_key_leave_the_groups(page, copies):
    page.goto(f"{copies}/?c=scenes&view=duplicates&within=0.1")
    expect(groups(page).first).to_be_visible()
    search(page, "cat")
    expect(groups(page)).to_have_count(0)
    assert "view" not in query_of(page)
    page.goto(f"{copies}/?c=scenes&view=duplicates&within=0.1")
    expect(groups(page).first).to_be_visible()
    open_filters(page, sql=True)
    page.get_by_label("Filter", exact=True).fill("width > 10")
    page.get_by_role("button", name="Apply").click()
    expect(status(page)).to_contain_text("that match the filters")
    assert query_of(page)["where"] == "width > 10"
    assert "view" not in query_of(page)
    page.locator("body").press("d")
    expect(groups(page).first).to_be_visible()
    assert query_of(page) == {"c": "scenes", "view": "duplicates", "within": "0.1"}


def test_captions_are_compared_on_demand(page, copies):
    page.goto(f"{copies}/?c=scenes&view=duplicates&within=0")
    expect(page.locator("#duplicates")).to_be_visible()
    open_filters(page)
    with page.expect_request("**/api/duplicates?*on=text*"):
        page.get_by_role("radio", name="Captions").check(force=True)
    expect(page.locator("#duplicates")).to_be_visible()
    assert query_of(page)["on"] == "text"


def test_the_page_says_what_it_waits_for(page, copies):
    states = [
        {"step": "reading", "done": 0, "total": 0},
        {"step": "comparing", "done": 150, "total": 200},
    ]

    def answer(route):
        route.fulfill(json={"status": "working", "items": [], "next": None, **states[0]})

    page.route("**/api/duplicates?*", answer)
    page.goto(f"{copies}/?c=scenes&view=duplicates")
    expect(status(page)).to_have_text("Looking for near-duplicates: reading all rows …")
    states.pop(0)
    expect(status(page)).to_have_text("Looking for near-duplicates: comparing all rows …")
    bar = page.get_by_role("progressbar", name="Looking for near-duplicates")
    expect(bar).to_have_js_property("position", 0.75)
    page.unroute("**/api/duplicates?*")
    expect(bar).to_be_hidden()
    expect(status(page)).to_contain_text("exact")


def test_a_collection_that_is_too_large_names_the_command(tolerant, copies, monkeypatch):
    monkeypatch.setattr(module.limits, "MAX_DUPLICATE_ROWS", 100)
    tolerant.goto(f"{copies}/?view=duplicates")
    expect(tolerant.locator("#notice-text")).to_contain_text("pairdex dedup copied NEW")


def test_the_groups_fit_a_phone(browser, copies):
    with opened(browser, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        for asked in ("view=duplicates", "view=duplicates&layout=list"):
            page.goto(f"{copies}/?{asked}")
            expect(groups(page).first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_an_answer_for_an_older_threshold_is_not_shown(tolerant, copies):
    held = []
    tolerant.route(
        re.compile(r"api/duplicates\?.*threshold=0\.01"),
        lambda route: held.append(route),  # noqa: PLW0108 - playwright cannot wrap a method of a list
    )
    tolerant.goto(f"{copies}/?view=duplicates&within=0.01")
    tolerant.get_by_label("Largest distance").focus()
    tolerant.keyboard.press("End")
    expect(groups(tolerant).nth(11)).to_be_visible()
    (route,) = held
    route.fulfill(json={"status": "ready", "groups": 0, "dropped": 0, "next": None, "items": []})
    expect(groups(tolerant).nth(11)).to_be_visible()
    assert query_of(tolerant) == {"view": "duplicates", "within": "0.1"}
