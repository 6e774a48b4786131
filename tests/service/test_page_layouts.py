"""What one does with many rows at once, and where the page stands: list, selection, details, a path prefix."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from browsing import (
    MARKS,
    PHONE,
    captions,
    expect,
    ids,
    open_filters,
    opened,
    query_of,
    running,
    search,
    status,
    tiles,
)

pytestmark = MARKS


def select(page, *places):
    for place in places:
        page.locator(".tile").nth(place).hover()
        page.locator(".tile-select").nth(place).check()


def row_ids(page, *places):
    every = page.locator(".tile").evaluate_all("all => all.map((one) => Number(one.dataset.id))")
    return [every[place] for place in places]


def test_rows_are_listed_in_lines_and_the_choice_is_in_the_address(page, site):
    page.goto(f"{site}/?q=cat")
    expect(tiles(page)).to_have_count(24)
    page.get_by_role("radio", name="List").check(force=True)
    expect(page.locator("#results")).to_have_class(re.compile("list"))
    assert query_of(page)["layout"] == "list"
    line = page.locator(".tile").first
    expect(line.locator(".tile-caption")).to_be_visible()
    expect(line.locator(".tile-size")).to_have_text(re.compile("192 . 192"))
    expect(line.locator(".tile-similarity")).to_be_visible()
    page.reload()
    expect(page.locator("#results")).to_have_class(re.compile("list"))


def test_several_selected_rows_are_searched_from_together(page, site):
    page.goto(site)
    expect(tiles(page)).to_have_count(24)
    wanted = row_ids(page, 0, 2)
    select(page, 0, 2)
    expect(page.locator("#selection-count")).to_have_text("2 rows selected")
    with page.expect_request("**/api/search") as asked:
        page.get_by_role("button", name="More like these").click()
    terms = json.loads(asked.value.post_data)["terms"]
    assert [(term["like"], term["weight"]) for term in terms] == [(one, 1) for one in wanted]
    expect(page.locator("#selection")).to_be_hidden()
    expect(status(page)).to_contain_text("The nearest 24")


def test_selected_rows_are_saved_as_ids_and_as_a_table(page, site, tmp_path):
    page.goto(f"{site}/?q=cat")
    expect(tiles(page)).to_have_count(24)
    wanted, shown = row_ids(page, 1, 3), captions(page)
    tiles(page).nth(1).press("x")
    tiles(page).nth(3).press("x")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save ids").click()
    saved.value.save_as(tmp_path / "ids.txt")
    assert [int(line) for line in (tmp_path / "ids.txt").read_text().split()] == wanted
    bar = page.get_by_role("region", name="Selected rows")
    with page.expect_download() as saved:
        bar.get_by_role("button", name="Download").click()
    saved.value.save_as(tmp_path / "rows.csv")
    table = (tmp_path / "rows.csv").read_text()
    assert shown[1] in table
    assert shown[3] in table
    assert len(table.splitlines()) == 3


def test_selected_rows_are_hidden_or_shown_alone(page, site):
    page.goto(f"{site}/?q=cat")
    expect(tiles(page)).to_have_count(24)
    (hidden,) = row_ids(page, 0)
    select(page, 0)
    page.get_by_role("button", name="Hide", exact=True).click()
    expect(page.locator(f".tile[data-id='{hidden}']")).to_have_count(0)
    expect(tiles(page)).to_have_count(24)
    assert query_of(page)["hide"] == str(hidden)
    only = row_ids(page, 1, 2)
    select(page, 1, 2)
    page.get_by_role("button", name="Only these").click()
    expect(page.locator(".tile")).to_have_count(2)
    assert set(row_ids(page, 0, 1)) == set(only)


def test_back_closes_the_details_and_the_search_stays(page, site):
    page.goto(f"{site}/?q=cat")
    expect(tiles(page)).to_have_count(24)
    tiles(page).nth(1).press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert int(query_of(page)["row"]) == row_ids(page, 1)[0]
    with page.expect_response("**/api/search"):
        page.reload()
    expect(dialog).to_be_visible()
    page.go_back()
    expect(dialog).to_be_hidden()
    assert query_of(page) == {"q": "cat"}
    expect(tiles(page)).to_have_count(24)


def test_the_next_row_is_shown_beyond_the_first_page(page, site):
    page.goto(f"{site}/?q=cat")
    expect(tiles(page)).to_have_count(24)
    tiles(page).nth(23).press("Enter")
    expect(page.locator("#detail-place")).to_contain_text("24 of")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#detail-place")).to_contain_text("25 of")
    page.keyboard.press("Escape")
    expect(tiles(page).nth(24)).to_be_focused()


def test_the_focus_stays_on_the_page_when_its_button_goes(page, site):
    page.goto(f"{site}/?q=cat&where=width+%3C+0")
    page.get_by_role("button", name="Remove the filters").press("Enter")
    expect(tiles(page)).to_have_count(24)
    assert page.evaluate("document.activeElement !== document.body")
    page.goto(site)
    expect(tiles(page)).to_have_count(24)
    page.get_by_role("group", name="Example searches").get_by_role("button").first.press("Enter")
    expect(status(page)).to_contain_text("The nearest")
    expect(page.locator("#results")).to_be_focused()


def test_the_order_of_meaning_and_words_is_explained(page, site):
    page.goto(f"{site}/?q=a+red+car")
    expect(status(page)).to_contain_text("by meaning and by the caption words “red”, “car”")
    first = page.locator(".tile-similarity").first
    expect(first).to_contain_text("words 1")
    assert re.search(r"rank \d+ by meaning, rank 1 by caption words", first.get_attribute("title"))
    open_filters(page)
    page.get_by_label("Rank by caption words too").uncheck()
    expect(status(page)).to_have_text(re.compile(r"^The nearest 24 of 200 · exact"))
    assert query_of(page) == {"q": "a red car", "hybrid": "0"}


def test_a_slider_chooses_a_range_of_its_histogram(page, site):
    page.goto(f"{site}/?q=cat")
    open_filters(page)
    box = page.locator(".facet[data-name=height]")
    expect(box.locator(".bars span")).to_have_count(24)
    page.get_by_label("height at least, slider").focus()
    with page.expect_request("**/api/search") as asked:
        page.keyboard.press("PageUp")
    assert re.match(r"height >= 1\d\d$", json.loads(asked.value.post_data)["where"])
    expect(page.get_by_label("height at least, slider")).to_be_focused()


def test_a_tablet_needs_no_sideways_scrolling_with_the_filters_open(browser, site):
    with opened(browser, viewport={"width": 820, "height": 1180}) as page:
        page.goto(f"{site}/?q=cat&where=id+%3E+3")
        open_filters(page)
        expect(page.locator(".facet").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 820
        assert page.locator("#refine-toggle").bounding_box()["x"] < 780


def test_on_a_phone_the_filters_are_a_sheet_that_leaves_the_results_in_place(browser, site):
    with opened(browser, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        page.goto(f"{site}/?q=cat")
        expect(status(page)).to_contain_text("The nearest 24")
        page.wait_for_load_state("networkidle")  # what stands above the results is complete
        before = page.locator("#results").bounding_box()
        open_filters(page)
        expect(page.get_by_label("height at least", exact=True)).to_be_visible()
        assert page.locator("#results").bounding_box() == before
        assert page.locator("#refine").bounding_box()["height"] < PHONE["height"] * 0.75
        page.get_by_role("button", name="Show the results").tap()
        expect(page.locator("#refine")).to_be_hidden()
        expect(page.locator("#refine-toggle")).to_be_focused()


@pytest.fixture(scope="module")
def prefixed(site):
    """The address of the service behind a proxy, under /images/."""

    @asynccontextmanager
    async def with_client(app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient() as app.state.client:
            yield

    async def forward(request: Request) -> Response:
        headers = {name: request.headers.get(name, "") for name in ("content-type", "accept")}
        path = request.url.path.removeprefix("/images")
        answer = await request.app.state.client.request(
            request.method,
            f"{site}{path}?{request.url.query}",
            content=await request.body(),
            headers=headers,
        )
        kept = ("content-type", "content-security-policy")
        sent = {name: answer.headers[name] for name in kept if name in answer.headers}
        return Response(answer.content, answer.status_code, sent)

    route = Route("/images/{rest:path}", forward, methods=["GET", "POST", "HEAD"])
    with running(Starlette(routes=[route], lifespan=with_client)) as url:
        yield f"{url}/images/"


def test_everything_works_behind_a_path_prefix(page, prefixed):
    page.goto(prefixed)
    expect(tiles(page)).to_have_count(24)
    search(page, "cat")
    assert page.url.startswith(f"{prefixed}?")
    expect(page.locator(".tile.shown").first).to_be_visible()
    assert ids(page)
    tiles(page).first.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="REST interface").click()
    expect(page.get_by_text("POST/api/search")).to_be_visible()
    page.locator(".brand").click()
    expect(tiles(page)).to_have_count(24)
    assert page.url == prefixed


def test_an_error_in_a_browser_is_a_page_with_a_way_back(tolerant, prefixed):
    for path in ("nothing", "nothing/of/this", "api/items/99999"):
        answer = tolerant.goto(f"{prefixed}{path}")
        assert answer.status == 404
        expect(tolerant.get_by_role("heading", level=1)).to_have_text("Not Found")
        tolerant.get_by_role("link", name="Search the collection").click()
        tolerant.wait_for_url(prefixed)
