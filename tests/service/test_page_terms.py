"""Plus and minus terms, details, comparison and downloads: what one does from a result on."""

import csv
import json

from browsing import (
    ATTACK_ID,
    MARKS,
    captions,
    expect,
    query_of,
    search,
    status,
    tiles,
    with_index,
)

pytestmark = MARKS


def chips(page):
    return page.locator(".term")


def sent(page, action):
    """The body of the search that an action sends."""
    with page.expect_request("**/api/search") as asked:
        action()
    return json.loads(asked.value.post_data)


def test_typed_terms_are_added_flipped_weighed_and_removed(page, site):
    page.goto(f"{site}/?q=cat")
    expect(tiles(page)).to_have_count(24)
    before = captions(page)
    page.get_by_label("More or less of").fill("night")
    body = sent(page, page.get_by_role("button", name="Add as less like this").click)
    assert body["terms"] == [{"text": "cat", "weight": 1}, {"text": "night", "weight": -0.5}]
    expect(chips(page)).to_have_count(1)
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    expect(page.locator(".tile-caption").first).not_to_contain_text("night")
    assert captions(page) != before
    assert query_of(page) == {"q": "cat", "term": "-0.5:text:night"}
    body = sent(page, page.get_by_role("button", name="Less like night: turn round").click)
    assert body["terms"][1]["weight"] == 0.5
    expect(page.get_by_role("button", name="More like night: turn round")).to_be_focused()
    body = sent(page, page.get_by_role("button", name="Weight of night: 0.5, change").click)
    assert body["terms"][1]["weight"] == 1
    assert "terms" not in sent(page, page.get_by_role("button", name="Remove night").click)
    expect(chips(page)).to_have_count(0)


def test_the_enter_key_adds_a_term_as_wanted(page, site):
    page.goto(f"{site}/?q=cat")
    page.get_by_label("More or less of").fill("snow")
    page.keyboard.press("Enter")
    expect(chips(page)).to_contain_text("snow")
    assert query_of(page)["term"] == "0.5:text:snow"


def test_results_become_terms_and_back_takes_them_away(page, site):
    page.goto(f"{site}/?q=cat")
    expect(tiles(page)).to_have_count(24)
    caption = captions(page)[3]
    page.locator(".tile").nth(3).hover()
    page.get_by_role("button", name=f"Less like: {caption}").click()
    expect(page.locator(".term.minus .term-name")).to_have_text(caption)
    expect(page.locator(".tile-caption").filter(has_text=caption)).to_have_count(0)
    tiles(page).nth(0).focus()
    page.keyboard.press("+")
    expect(chips(page)).to_have_count(2)
    page.reload()
    expect(chips(page)).to_have_count(2)
    page.go_back()
    expect(chips(page)).to_have_count(1)
    page.go_back()
    expect(chips(page)).to_have_count(0)
    expect(page.get_by_label("Describe a picture")).to_have_value("cat")


def test_names_of_terms_are_text_whatever_they_say(page, site, collections):
    page.goto(
        f"{site}/?q=cat&term=-0.5:like:{ATTACK_ID}&term=1:text:%3Cimg src=x onerror=alert(1)%3E"
    )
    attack = collections[0].take([ATTACK_ID], ["caption"])["caption"][0].as_py()
    expect(page.locator(".term-name").first).to_have_text(attack)
    expect(page.locator(".term-name").nth(1)).to_have_text("<img src=x onerror=alert(1)>")
    expect(page.locator(".term img")).to_have_count(0)
    expect(page).to_have_title("cat · pairdex")


def test_what_no_term_is_in_an_address_is_passed_over(page, site):
    page.goto(f"{site}/?q=cat&term=0:text:x&term=like:3&term=1e9:like:3&term=1:like:-4&f=nonsense")
    expect(status(page)).to_contain_text("The nearest")
    expect(chips(page)).to_have_count(0)


def test_details_show_neighbours_and_where_a_row_comes_from(page, site, collections):
    page.goto(f"{site}/?q=cat")
    tiles(page).first.press("Enter")
    dialog = page.get_by_role("dialog")
    near = dialog.locator("#detail-near button")
    expect(near).to_have_count(6)
    origin = dialog.locator("#detail-origin")
    expect(origin).to_contain_text("demo")
    expect(origin).to_contain_text("part0")
    name = near.nth(1).get_attribute("title")
    near.nth(1).click()
    expect(dialog.get_by_role("heading", level=2)).to_have_text(name)
    dialog.get_by_role("button", name="Less like this").click()
    expect(page.locator(".term.minus .term-name")).to_have_text(name)


def test_a_link_to_a_row_can_be_copied(page, site):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{site}/?like=20")
    tiles(page).first.press("Enter")
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#detail-link")).to_have_text("Copied")
    link = page.evaluate("navigator.clipboard.readText()")
    caption = page.locator("#detail-caption").inner_text()
    page.goto(link)
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator("#detail-caption")).to_have_text(caption)
    page.keyboard.press("Escape")
    page.wait_for_url(lambda address: "row=" not in address)
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_only_where_there_is_an_index_is_it_compared_with_the_exact_answer(page, site):
    page.goto(f"{site}/?q=cat")
    expect(tiles(page)).to_have_count(24)
    expect(page.get_by_role("button", name="Compare exact and approximate")).to_be_hidden()


def test_exact_and_approximate_stand_side_by_side(page, site):
    with_index(page)
    page.goto(f"{site}/?q=cat")
    page.get_by_role("button", name="Compare exact and approximate").click()
    dialog = page.get_by_role("dialog", name="Exact and approximate")
    expect(dialog.locator("li")).to_have_count(48)
    expect(dialog.locator("#compare-words")).to_contain_text("ms")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_what_the_index_misses_is_marked(page, site):
    with_index(page)
    page.goto(f"{site}/?q=cat")
    expect(tiles(page)).to_have_count(24)

    def answer(route):
        body = json.loads(route.request.post_data)
        told = route.fetch().json()
        if not body["exact"]:
            told |= {"exact": False, "hits": told["hits"][1:]}
        route.fulfill(json=told)

    page.route("**/api/search", answer)
    page.get_by_role("button", name="Compare exact and approximate").click()
    dialog = page.get_by_role("dialog", name="Exact and approximate")
    expect(dialog.locator("#compare-words")).to_contain_text("found 23 of the 24 nearest rows")
    expect(dialog.locator("strong")).to_have_count(1)
    expect(dialog.locator("li").first).to_contain_text("only in this list")


def test_what_is_shown_can_be_saved(page, site, tmp_path):
    page.goto(site)
    search(page, "cat")
    shown = captions(page)
    for name, suffix in (("CSV", "csv"), ("JSON lines", "jsonl"), ("Parquet", "parquet")):
        page.locator("#download summary").click()
        with page.expect_download() as saved:
            page.get_by_role("button", name=name).click()
        assert saved.value.suggested_filename == f"pairdex.{suffix}"
        saved.value.save_as(tmp_path / suffix)
    with (tmp_path / "csv").open(newline="") as file:
        assert [row["caption"] for row in csv.DictReader(file)] == shown
    lines = (tmp_path / "jsonl").read_text().splitlines()
    assert [json.loads(line)["caption"] for line in lines] == shown
    assert (tmp_path / "parquet").read_bytes()[:4] == b"PAR1"
