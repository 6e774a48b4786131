"""axe-core, with the rules of WCAG 2.2 AA, finds nothing on any view, light and dark, desktop and phone."""

import pytest

from browsing import DESKTOP, MARKS, PHONE, expect, opened, tiles, with_index

axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = MARKS

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def violations(page):
    page.evaluate("document.getAnimations().forEach((one) => one.finish())")
    found = axe.Axe().run(page, options=RULES).response["violations"]
    return [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_keeps_people_from_using_the_page(browser, mapped, scheme, size):
    with opened(browser, viewport=size, color_scheme=scheme) as page:
        page.goto(mapped)
        expect(tiles(page)).to_have_count(24)
        assert violations(page) == [], "the first look"
        page.goto(f"{mapped}/?q=cat&term=-0.5:text:night&where=width+%3E+10")
        expect(tiles(page)).to_have_count(24)
        page.get_by_role("button", name="Filters").click()
        expect(page.locator(".facet").first).to_be_visible()
        assert violations(page) == [], "results with terms and filters"
        page.keyboard.press("Escape")
        page.goto(f"{mapped}/?q=a+red+car&layout=list")
        expect(tiles(page)).to_have_count(24)
        tiles(page).first.press("x")
        assert violations(page) == [], "a list with a selected row"
        page.get_by_role("button", name="Clear the selection").click()
        page.locator("#download summary").click()
        assert violations(page) == [], "the download menu"
        page.locator("#download summary").click()
        before = page.url
        tiles(page).first.press("Enter")
        expect(page.locator("#detail-near button")).to_have_count(6)
        assert violations(page) == [], "details"
        page.keyboard.press("Escape")
        expect(page).to_have_url(before)  # going back ends before going elsewhere
        page.goto(f"{mapped}/?view=atlas&q=cat")
        expect(page.locator("#atlas-map")).to_have_attribute("data-hits", "24")
        assert violations(page) == [], "the map"
        page.goto(f"{mapped}/?view=duplicates&within=0.1")
        expect(page.locator(".group").first).to_be_visible()
        assert violations(page) == [], "near-duplicates"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_from_comparing(browser, site, scheme):
    with opened(browser, color_scheme=scheme) as page:
        with_index(page)
        page.goto(f"{site}/?q=cat")
        page.get_by_role("button", name="Compare exact and approximate").click()
        expect(page.locator("#compare-lists li")).to_have_count(48)
        assert violations(page) == [], "comparison"


def test_nothing_keeps_people_from_what_went_wrong_and_the_reference(browser, site):
    with opened(browser) as page:
        page.goto(f"{site}/?view=atlas")
        expect(page.locator("#atlas-missing-title")).to_be_visible()
        assert violations(page) == [], "no map"
        page.goto(f"{site}/?q=cat&where=nothing")
        expect(page.locator("#where-error")).not_to_have_text("")
        assert violations(page) == [], "a wrong filter"
        page.goto(f"{site}/?c=web")
        expect(page.locator("#dead-words")).to_contain_text("No picture could be loaded")
        assert violations(page) == [], "cards without pictures"
        page.goto(f"{site}/?c=web&view=duplicates&within=0")
        expect(page.locator("#notice-title")).to_have_text("No near-duplicates")
        assert violations(page) == [], "no near-duplicates"
        page.goto(f"{site}/nothing")
        assert violations(page) == [], "an error page"
        page.goto(f"{site}/docs")
        expect(page.get_by_role("article").first).to_be_visible()
        assert violations(page) == [], "the reference"
