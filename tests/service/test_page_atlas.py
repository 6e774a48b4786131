"""The map: seen, moved, pointed at, searched from, and what stands there without one."""

import pytest

from browsing import ATTACK_ID, MARKS, PHONE, expect, opened, query_of, search, status, tiles

pytest.importorskip("umap.umap_")
pytestmark = MARKS


def canvas(page):
    return page.locator("#atlas-map")


def zoom(page):
    return float(canvas(page).get_attribute("data-zoom"))


def point_at(page, index):
    """Where a point of the map lies on the screen, from what the service tells."""
    told = page.request.get(f"{page.url.split('/?')[0]}/api/atlas").json()
    box = canvas(page).bounding_box()
    x, y = page.evaluate(
        """([text, index]) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const steps = new Uint16Array(bytes.buffer);
            return [steps[2 * index] / 65535, 1 - steps[2 * index + 1] / 65535];
        }""",
        [told["positions"], index],
    )
    side = min(box["width"], box["height"]) * 0.88
    left = box["x"] + box["width"] / 2 + (x - 0.5) * side
    return left, box["y"] + box["height"] / 2 + (y - 0.5) * side


def test_the_map_is_opened_moved_and_zoomed_by_keys(page, mapped):
    page.goto(mapped)
    page.get_by_role("button", name="Map").click()
    expect(canvas(page)).to_have_attribute("aria-label", "Map of 200 rows of scenes")
    assert query_of(page) == {"view": "atlas"}
    expect(canvas(page)).to_have_attribute("data-zoom", "1.00")
    expect(canvas(page)).to_be_focused()
    page.keyboard.press("+")
    expect(canvas(page)).to_have_attribute("data-zoom", "1.50")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("0")
    expect(canvas(page)).to_have_attribute("data-zoom", "1.00")
    page.go_back()
    expect(page.locator("#atlas")).to_be_hidden()
    expect(page.locator("#hero")).to_be_visible()
    page.keyboard.press("m")
    expect(canvas(page)).to_be_visible()


def test_the_wheel_zooms_and_buttons_do_too(page, mapped):
    page.goto(f"{mapped}/#atlas")
    expect(canvas(page)).to_have_attribute("data-zoom", "1.00")
    canvas(page).hover()
    page.mouse.wheel(0, -400)
    expect(canvas(page)).not_to_have_attribute("data-zoom", "1.00")
    assert zoom(page) > 1.5
    page.get_by_role("button", name="Show the whole map").click()
    expect(canvas(page)).to_have_attribute("data-zoom", "1.00")
    page.get_by_role("button", name="Zoom in").click()
    expect(canvas(page)).to_have_attribute("data-zoom", "1.60")


def test_a_point_tells_its_caption_opens_its_details_and_is_searched_from(
    page, mapped, collections
):
    page.goto(f"{mapped}/?view=atlas")
    expect(canvas(page)).to_have_attribute("data-zoom", "1.00")
    place = point_at(page, ATTACK_ID)
    page.mouse.move(*place)
    expect(page.locator("#atlas-tip")).to_be_visible()
    page.mouse.click(*place)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.locator("#detail-caption")).to_have_text(
        page.locator("#atlas-tip-words").inner_text()
    )
    dialog.get_by_role("button", name="More like this").click()
    expect(canvas(page)).to_have_attribute("data-hits", "24")
    assert "like" in query_of(page)
    expect(tiles(page)).to_have_count(24)
    expect(page).to_have_title("pairdex")


def test_results_are_marked_on_the_map(page, mapped):
    page.goto(f"{mapped}/?view=atlas")
    expect(canvas(page)).to_have_attribute("data-hits", "0")
    search(page, "cat")
    expect(canvas(page)).to_have_attribute("data-hits", "24")


def test_pictures_come_where_few_points_are_seen(page, mapped):
    page.goto(f"{mapped}/?view=atlas")
    expect(canvas(page)).to_have_attribute("data-zoom", "1.00")
    with page.expect_response("**/api/items/*/picture?size=128**"):
        page.mouse.move(*point_at(page, 5))
        page.mouse.wheel(0, -1500)


def test_points_have_the_colours_of_a_column_and_a_legend(page, mapped):
    page.goto(f"{mapped}/?view=atlas")
    legend = page.get_by_role("list", name="Legend").get_by_role("listitem")
    expect(legend).to_have_text(["few", "many"])
    page.get_by_label("Colour").select_option("license")
    expect(legend).to_have_text(["cc-by"])
    with page.expect_response("**/api/atlas/column**"):
        page.get_by_label("Colour").select_option("similarity")
    expect(legend).to_have_count(5)
    page.get_by_label("Colour").select_option("")
    expect(legend).to_have_text(["few", "many"])


def test_rows_in_a_drawn_area_are_selected_and_filtered_for(page, mapped):
    page.goto(f"{mapped}/?view=atlas")
    expect(canvas(page)).to_have_attribute("data-zoom", "1.00")
    page.get_by_role("button", name="Select an area").click()
    left, top = point_at(page, 5)
    page.mouse.move(left - 40, top - 40)
    page.mouse.down()
    for right, down in ((40, -40), (40, 40), (-40, 40)):
        page.mouse.move(left + right, top + down, steps=3)
    page.mouse.up()
    expect(page.locator("#selection-count")).to_contain_text("selected")
    count = int(page.locator("#selection-count").inner_text().split()[0])
    assert 0 < count < 200
    page.get_by_role("button", name="Only these").click()
    expect(status(page)).to_contain_text(f"{count} row")
    expect(page.locator("#atlas")).to_be_hidden()


def test_the_keyboard_selects_what_the_map_shows(page, mapped):
    page.goto(mapped)
    expect(tiles(page)).to_have_count(24)
    page.keyboard.press("m")
    expect(canvas(page)).to_be_focused()
    page.keyboard.press("s")
    expect(page.locator("#selection-count")).to_have_text("200 rows selected")


def test_without_a_map_it_says_what_to_run(tolerant, site):
    tolerant.goto(f"{site}/?view=atlas")
    expect(tolerant.locator("#atlas-missing-title")).to_have_text("No map yet")
    expect(tolerant.locator("#atlas-command")).to_contain_text("pairdex atlas scenes")
    search(tolerant, "cat")
    expect(tiles(tolerant)).to_have_count(24)


def test_the_map_fits_a_phone_and_is_used_by_touch(browser, mapped):
    with opened(browser, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        page.goto(f"{mapped}/?view=atlas")
        expect(canvas(page)).to_have_attribute("data-zoom", "1.00")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.touchscreen.tap(*point_at(page, 5))
        expect(page.get_by_role("dialog")).to_be_visible()
