"""The filter panel is made of what the columns hold."""

import json
import re

from browsing import MARKS, expect, open_filters, query_of, status, tiles

pytestmark = MARKS


def test_a_range_of_a_number_narrows_the_search(page, site):
    page.goto(f"{site}/?q=cat")
    open_filters(page)
    expect(page.get_by_label("height at least", exact=True)).to_have_attribute("placeholder", "144")
    page.get_by_label("height at most", exact=True).fill("150")
    with page.expect_response("**/api/search") as answered:
        page.get_by_label("height at most", exact=True).blur()
    assert {hit["height"] for hit in answered.value.json()["hits"]} == {144}
    page.wait_for_url(lambda address: "f=" in address)
    assert json.loads(query_of(page)["f"]) == {"height": {"to": 150}}
    expect(page.locator("#refine-count")).to_have_text("1")
    expect(status(page)).to_contain_text("The nearest 24")


def test_values_are_chosen_by_their_counts(tolerant, site):
    page = tolerant
    told = {
        "rows": 200,
        "counted": 200,
        "safe": False,
        "columns": [
            {
                "name": "license",
                "type": "string",
                "nulls": 0,
                "distinct": 2,
                "least": None,
                "most": None,
                "quantiles": None,
                "histogram": None,
                "values": [{"value": "cc-by", "count": 199}, {"value": "it's <b>", "count": 1}],
            },
            {
                "name": "caption",
                "type": "string",
                "nulls": 0,
                "distinct": 190,
                "least": None,
                "most": None,
                "quantiles": None,
                "histogram": None,
                "values": [{"value": "a cat", "count": 2}],
            },
        ],
    }
    page.route("**/api/facets", lambda route: route.fulfill(json=told))
    page.goto(f"{site}/?q=cat")
    facets = open_filters(page)
    expect(facets.locator("details")).to_have_count(1)  # captions are searched, not chosen
    expect(facets.locator("li").first).to_contain_text("199")
    with page.expect_request("**/api/search") as asked:
        facets.get_by_label("it's <b>").check()
    assert json.loads(asked.value.post_data)["where"] == "license IN ('it''s <b>')"
    expect(facets.get_by_label("it's <b>")).to_be_focused()
    expect(page.locator("#notice-title")).to_have_text("No results")
    page.get_by_role("button", name="Remove the filters").click()
    expect(tiles(page)).to_have_count(24)


def test_filters_come_back_with_the_address_beside_the_expert_s_sql(page, site):
    page.goto(f'{site}/?q=cat&where=id+%3C+100&f={{"height":{{"from":150}}}}')
    open_filters(page)
    expect(page.get_by_label("height at least", exact=True)).to_have_value("150")
    expect(page.get_by_label("Filter", exact=True)).to_have_value("id < 100")
    expect(page.locator("#refine-count")).to_have_text("2")
    expect(tiles(page)).to_have_count(24)


def test_captions_have_the_keywords_and_near_duplicates_are_folded(page, site):
    page.goto(f"{site}/?q=cat")
    open_filters(page)
    page.get_by_label("Caption keywords").fill("snow -tiny")
    with page.expect_response("**/api/search") as answered:
        page.keyboard.press("Enter")
    captions = [hit["caption"] for hit in answered.value.json()["hits"]]
    assert "snow" in captions[0]
    assert not any("tiny" in caption for caption in captions)
    with page.expect_request("**/api/search") as asked:
        page.get_by_label("Fold near-duplicates").check()
    body = json.loads(asked.value.post_data)
    assert (body["keywords"], body["fold"]) == ("snow -tiny", 0.06)
    assert query_of(page) == {"q": "cat", "words": "snow -tiny", "fold": "1"}


def test_filters_apply_at_once_where_nothing_is_searched_for(page, site):
    page.goto(site)
    open_filters(page)
    page.get_by_label("height at most", exact=True).fill("150")
    with page.expect_response("**/api/search") as answered:
        page.get_by_label("height at most", exact=True).blur()
    assert {hit["height"] for hit in answered.value.json()["hits"]} == {144}
    expect(status(page)).to_contain_text(re.compile(r"24 of \d+ rows that match the filters"))
    expect(tiles(page)).to_have_count(24)
    expect(page.locator(".tile-similarity").first).to_be_empty()
    page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
    expect(status(page)).to_contain_text("that match the filters")
    expect(tiles(page).nth(47)).to_be_attached()
    page.reload()
    expect(tiles(page).nth(47)).to_be_attached()
    open_filters(page, sql=True)
    page.get_by_label("Filter", exact=True).fill("id < 8")
    page.keyboard.press("Enter")
    expect(page.get_by_label("height at most", exact=True)).to_have_value("150")
    expect(status(page)).to_contain_text("All 2 rows that match the filters")
    page.get_by_label("Filter", exact=True).fill("id < 0")
    page.keyboard.press("Enter")
    expect(page.locator("#notice-title")).to_have_text("No results")
    page.get_by_role("button", name="Remove the filters").click()
    expect(page.get_by_role("heading", name="Search 200 pictures")).to_be_visible()


def test_columns_whose_statistics_fail_are_said_to(tolerant, site):
    tolerant.route("**/api/facets", lambda route: route.fulfill(status=503, json={"error": {}}))
    tolerant.goto(f"{site}/?q=cat")
    tolerant.get_by_role("button", name="Filters").click()
    expect(tolerant.locator("#facets-note")).to_have_text("Column statistics are unavailable.")
