"""What people do on the page, in a real browser: Chromium, on a desktop and on a phone."""

import re
import shutil

import numpy as np
import pytest

import pairdex
from browsing import (
    ATTACK_ID,
    LOST_ID,
    LOST_IDS,
    MARKS,
    PHONE,
    REMOTE,
    TOKEN,
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
    typed,
    wait_until_ready,
)
from pairdex.service.app import make_app
from pairdex.service.routes import ROUTES

pytestmark = MARKS


def test_the_first_look_shows_rows_and_texts_to_try(page, site):
    page.goto(site)
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Search 200 pictures by what they show"
    )
    expect(tiles(page)).to_have_count(24)
    example = page.get_by_role("group", name="Example searches").get_by_role("button").first
    text = example.inner_text()
    example.click()
    expect(page.get_by_label("Describe a picture")).to_have_value(text)
    expect(status(page)).to_contain_text(
        "The nearest 24 of 200 by meaning and by the caption words"
    )
    assert query_of(page) == {"q": text}


def test_the_first_look_leaves_removed_rows_out(tolerant, scenes, tmp_path):
    folder = shutil.copytree(scenes, tmp_path / "scenes")
    with running(make_app([pairdex.open(folder)])) as url:
        tolerant.goto(url)
        expect(tiles(tolerant)).to_have_count(24)
        shown = tolerant.locator(".tile[data-id='0'], .tile[data-id='127']")
        expect(shown).to_have_count(2)
        pairdex.remove(folder, ids=[0, 127], reason="takedown")
        tolerant.reload()
        expect(tolerant.get_by_role("heading", level=1)).to_contain_text("198 pictures")
        expect(tiles(tolerant).nth(21)).to_be_visible()
        expect(shown).to_have_count(0)


def test_hits_are_shown_with_picture_caption_and_similarity(page, site):
    page.goto(site)
    search(page, "cat")
    assert "cat" in captions(page)[0]
    assert float(page.locator(".tile-similarity").first.inner_text().split()[0]) > 0
    shown = page.locator(".tile.shown .tile-picture img").first
    expect(shown).to_have_js_property("complete", True)
    assert shown.evaluate("image => image.naturalWidth") > 0


def test_results_come_while_one_types(page, site):
    page.goto(site)
    typed(page, "umbrella", delay=20)
    expect(status(page)).to_contain_text("The nearest")
    expect(page).to_have_title("umbrella · pairdex")
    expect(page.get_by_label("Describe a picture")).to_be_focused()


def test_typing_makes_one_step_to_go_back(page, site):
    page.goto(site)
    typed(page, "cat", delay=300)
    expect(status(page)).to_contain_text("The nearest")
    page.go_back()
    expect(page.locator("#hero")).to_be_visible()
    expect(page.get_by_label("Describe a picture")).to_have_value("")


def test_a_click_shows_more_like_it_and_back_returns(page, site):
    page.goto(site)
    search(page, "cat")
    before = captions(page)
    tiles(page).nth(2).click()
    expect(page.locator("#subject-name")).to_have_text(before[2])
    expect(status(page)).to_contain_text("The nearest")
    assert "like" in query_of(page)
    page.go_back()
    expect(page.get_by_label("Describe a picture")).to_have_value("cat")
    expect(page.locator(".tile-caption").first).to_have_text(before[0])
    page.go_forward()
    expect(page.locator("#subject-name")).to_have_text(before[2])
    page.get_by_label("Stop searching with this picture").click()
    expect(page.locator("#hero")).to_be_visible()


def test_an_address_brings_back_the_whole_search(page, site):
    page.goto(f"{site}/?q=cat&on=text&not=night&where=width+%3E+10&n=48")
    expect(tiles(page)).to_have_count(48)
    expect(page.locator(".term.minus .term-name")).to_have_text("night")
    open_filters(page)
    expect(page.get_by_label("Filter", exact=True)).to_have_value("width > 10")
    expect(page.get_by_role("radio", name="Captions")).to_be_checked()


def test_a_chosen_picture_is_searched_for_and_survives_a_reload(page, site, collections):
    page.goto(site)
    expect(tiles(page)).to_have_count(24)
    page.locator("#file").set_input_files(collections[0].picture(20))
    expect(page.locator("#subject-name")).to_have_text("your picture")
    expect(status(page)).to_contain_text("The nearest")
    first = page.locator(".tile-caption").first
    own = collections[0].take([20], ["caption"])["caption"][0].as_py()
    expect(first).to_have_text(own)
    page.reload()
    expect(first).to_have_text(own)


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_dropped_or_pasted_picture_is_searched_for(page, site, event):
    page.goto(site)
    expect(tiles(page)).to_have_count(24)
    page.evaluate(
        """async (event) => {
            const canvas = document.createElement("canvas");
            canvas.width = 1600; canvas.height = 1200;
            const pen = canvas.getContext("2d");
            const noise = pen.createImageData(1600, 1200);
            for (let i = 0; i < noise.data.length; i++) noise.data[i] = (i * 7919) % 251;
            pen.putImageData(noise, 0, 0);
            const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
            const data = new DataTransfer();
            data.items.add(new File([blob], "large.png", { type: "image/png" }));
            const options = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
            document.body.dispatchEvent(event === "drop" ? new DragEvent("drop", options) : new ClipboardEvent("paste", options));
        }""",
        event,
    )
    expect(page.locator("#subject-name")).to_have_text("your picture")
    expect(status(page)).to_contain_text("The nearest")
    assert page.evaluate("history.state.image.length") < 1_000_000  # made smaller on the way


def test_a_file_that_is_no_picture_is_said_so(tolerant, site, tmp_path):
    fake = tmp_path / "fake.png"
    fake.write_bytes(b"no picture at all")
    tolerant.goto(site)
    wait_until_ready(tolerant)
    tolerant.locator("#file").set_input_files(fake)
    expect(tolerant.locator("#notice-text")).to_contain_text("not a picture")


def test_a_picture_that_a_busy_service_refuses_is_asked_for_again(tolerant, site):
    refused = []

    def refuse_once(route):
        row = re.search(r"/items/(\d+)/picture", route.request.url)[1]
        if row in (*refused, *LOST_IDS) or len(refused) == 3:
            route.continue_()
            return
        refused.append(row)
        route.fulfill(status=503, body="busy")

    tolerant.route("**/picture?**", refuse_once)
    tolerant.goto(f"{site}/?q=cat")
    expect(tiles(tolerant)).to_have_count(24)
    expect(tolerant.locator(".tile.shown").nth(9)).to_be_visible()
    assert len(refused) == 3
    for row in refused:
        expect(tolerant.locator(f".tile.shown[data-id='{row}']")).to_be_visible()


def test_a_wrong_filter_is_explained_in_place_and_can_be_mended(tolerant, site):
    page = tolerant
    page.goto(f"{site}/?q=cat")
    expect(tiles(page)).to_have_count(24)
    open_filters(page, sql=True)
    where = page.get_by_label("Filter", exact=True)
    where.fill("heigth < 150")
    where.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="unknown column")).to_be_visible()
    expect(where).to_have_attribute("aria-invalid", "true")
    expect(tiles(page)).to_have_count(24)  # what was found before stays
    where.fill("")
    page.get_by_role("group", name="Columns").get_by_role("button", name="height").click()
    expect(where).to_be_focused()
    page.keyboard.type(" < 150")
    page.keyboard.press("Enter")
    expect(page.locator("#where-error")).to_have_text("")
    expect(page.locator("#refine-count")).to_have_text("1")
    assert query_of(page)["where"] == "height < 150"


@pytest.fixture(scope="module")
def scored(scenes, tmp_path_factory):
    """The scenes with a score by which about half of them are safe, and the ids of these."""
    folder = shutil.copytree(scenes, tmp_path_factory.mktemp("scored") / "scenes")
    vectors = pairdex.open(folder).vectors("image")[:]
    direction = np.zeros(64)
    direction[0] = 1000.0
    middle = np.median(vectors[:, 0].astype(np.float64) / np.linalg.norm(vectors, axis=1))
    head = folder.parent / "head.npz"
    norm = {"norm.mean": np.full(64, 1e-9), "norm.variance": np.ones(64)}
    layer = {"linear_1.weight": direction[None], "linear_1.bias": np.array([-1000 * middle])}
    np.savez(head, **norm, **layer)
    pairdex.score(folder, nsfw=head)
    collection = pairdex.open(folder)
    scores = collection.take(range(len(collection)))["punsafe"].to_numpy()
    with running(make_app([collection])) as url:
        yield url, set(np.flatnonzero(scores < 0.5).tolist())


def test_safe_mode_shows_only_rows_with_a_low_score_from_the_first_picture_on(page, scored):
    url, safe = scored
    page.goto(url)
    expect(tiles(page).first).to_be_visible()
    assert ids(page)
    assert ids(page) <= safe
    open_filters(page, sql=True)
    box = page.get_by_label("Safe mode")
    expect(box).to_be_checked()
    search(page, "a red car")
    assert ids(page) <= safe
    page.get_by_label("Filter", exact=True).fill("id < 100 -- a comment")
    with page.expect_response("**/api/search") as answered:
        page.get_by_role("button", name="Apply").click()
    assert answered.value.ok
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#refine-count")).to_have_text("1")
    fitting = {one for one in safe if one < 100}
    while not ids(page) <= fitting:  # the answer has arrived, its pictures may not be in place yet
        page.wait_for_timeout(20)
    assert ids(page)
    box.uncheck()
    expect(page.locator("#refine-count")).to_have_text("2")
    page.wait_for_url(lambda address: "safe=0" in address)


def test_there_is_no_safe_mode_where_nothing_says_what_is_safe(page, site):
    page.goto(f"{site}/?q=cat")
    open_filters(page, sql=True)
    expect(page.get_by_label("Filter", exact=True)).to_be_visible()
    expect(page.get_by_label("Safe mode")).to_be_hidden()


def test_a_filter_that_nothing_passes_offers_to_go_without(page, site):
    page.goto(f"{site}/?q=cat&where=width+%3C+0")
    expect(page.locator("#notice-title")).to_have_text("No results")
    page.get_by_role("button", name="Remove the filters").click()
    expect(tiles(page)).to_have_count(24)
    expect(page.locator("#notice")).to_be_hidden()


def test_more_rows_come_while_one_scrolls_and_end_with_the_collection(page, site):
    page.goto(f"{site}/?q=cat&where=id+%3C+60")
    expect(tiles(page)).to_have_count(24)
    more = page.get_by_role("button", name="Show more")
    more.evaluate("button => button.focus({ preventScroll: true })")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(tiles(page).nth(47)).to_be_attached()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(tiles(page)).to_have_count(60)
    expect(more).to_be_hidden()
    expect(page.locator("#results")).to_be_focused()  # the button had the focus
    assert len(set(captions(page))) > 50
    assert query_of(page)["n"] == "60"


def test_all_rows_are_walked_through_in_an_order_that_is_shuffled(page, site):
    page.goto(site)
    expect(tiles(page)).to_have_count(24)
    first = captions(page)
    page.get_by_role("button", name="Shuffle").click()
    page.wait_for_url(lambda address: "seed=" in address)
    expect(page.locator(".tile-caption").first).not_to_have_text(first[0])
    shuffled = captions(page)
    page.reload()
    expect(page.locator(".tile-caption").first).to_have_text(shuffled[0])
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(tiles(page).nth(47)).to_be_attached()
    rows = page.locator(".tile").evaluate_all("all => all.map((one) => one.dataset.id)")
    assert len(set(rows)) == len(rows)


def test_the_keyboard_is_enough(page, site):
    page.goto(site)
    expect(tiles(page)).to_have_count(24)
    page.keyboard.press("/")
    expect(page.get_by_label("Describe a picture")).to_be_focused()
    page.keyboard.type("cat")
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("The nearest")
    page.keyboard.press("ArrowDown")
    expect(tiles(page).nth(0)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(tiles(page).nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    below = page.evaluate(
        "[...document.querySelectorAll('.tile-main')].indexOf(document.activeElement)"
    )
    assert below > 1
    page.keyboard.press("ArrowUp")
    expect(tiles(page).nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator("#detail-place")).to_have_text("2 of 24 and more")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#detail-place")).to_have_text("3 of 24 and more")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(tiles(page).nth(2)).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator("#subject")).to_be_visible()
    expect(tiles(page).nth(0)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Describe a picture")).to_be_focused()


def test_details_show_all_that_is_known_of_a_row(page, site, collections):
    page.goto(f"{site}/?q=cat")
    page.locator(".tile").first.hover()
    page.locator(".tile-info").first.click()
    dialog = page.get_by_role("dialog")
    names = dialog.locator("dt").all_inner_texts()
    assert {"similarity to the query", "distance to the query"} <= set(names)
    columns = dialog.locator("#detail-columns dt").all_inner_texts()
    assert "similarity (picture and caption)" in columns
    assert set(collections[0].columns) - {"similarity", "part", "row"} <= set(columns)
    caption = dialog.get_by_role("heading", level=2).inner_text()
    dialog.get_by_role("button", name="Search this caption").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_label("Describe a picture")).to_have_value(caption)


def test_captions_are_text_whatever_they_say(page, site, collections):
    page.goto(f"{site}/?like={ATTACK_ID}")
    attack = collections[0].take([ATTACK_ID], ["caption"])["caption"][0].as_py()
    expect(page.locator("#subject-name")).to_have_text(attack)
    page.goto(f"{site}/?q=cat&where=id+%3D+{ATTACK_ID}")
    expect(page.locator(".tile-caption")).to_have_text(attack)
    expect(page.locator(".tile-text")).to_have_text(attack)
    tiles(page).first.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("heading", level=2)).to_have_text(attack)
    expect(page).to_have_title(f"{attack} · pairdex")


def test_a_lost_picture_leaves_its_caption(tolerant, site, collections):
    page = tolerant
    page.goto(f"{site}/?q=cat&where=id+%3D+{LOST_ID}")
    caption = collections[0].take([LOST_ID], ["caption"])["caption"][0].as_py()
    expect(page.locator(".tile.dead .tile-text")).to_have_text(caption)
    expect(page.locator(".tile.dead .tile-text")).to_be_visible()
    expect(page.locator(".tile img")).to_have_count(0)
    expect(page.locator("#dead-note")).to_have_text("1 picture could not be loaded. Hide them")
    page.get_by_role("button", name="Hide them").click()
    expect(page.locator(".tile")).to_be_hidden()
    page.get_by_role("button", name="Show them").click()
    expect(page.locator(".tile")).to_be_visible()


def test_a_picture_without_a_caption_is_called_by_its_file(tolerant, site, collections):
    def without_captions(route):
        told = route.fetch().json()
        route.fulfill(json={**told, "hits": [{**hit, "caption": " "} for hit in told["hits"]]})

    page = tolerant
    page.route("**/api/search", without_captions)
    page.goto(f"{site}/?where=id+%3D+3")
    path = collections[0].take([3], ["image_path"])["image_path"][0].as_py()
    expect(page.locator(".tile-text")).to_have_text(path)
    expect(page.locator(".tile-main")).to_have_attribute("aria-label", f"More like: {path}")


def test_a_collection_from_the_web_without_model_is_still_walked_through(tolerant, site):
    page = tolerant
    page.goto(f"{site}/?c=web")
    box = page.get_by_label("Words in the captions")
    expect(box).to_be_enabled()
    expect(page.locator("#dead-words")).to_contain_text("No picture could be loaded here")
    expect(page.locator("#results")).to_have_class(re.compile("cards"))
    assert page.locator(".tile-text").first.inner_text() == "Row 0"
    expect(page.locator(".tile-source").nth(1)).to_have_text("pictures.invalid")
    expect(page.locator(".tile-source").nth(1)).to_have_attribute("rel", "noreferrer noopener")
    tiles(page).first.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("javascript:alert(1)")).to_be_visible()
    expect(dialog.locator("a[href]")).to_have_count(0)  # only http and https become links
    page.keyboard.press("ArrowRight")
    expect(dialog.locator("a[href]").first).to_have_attribute("rel", "noreferrer noopener")
    dialog.get_by_role("button", name="More like this").click()
    expect(status(page)).to_contain_text("The nearest 24 of 50")
    assert query_of(page)["c"] == "web"
    page.get_by_label("Stop searching").click()
    box.fill("row web -7")
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("24 of 48 rows with “row”, “web” in the caption")
    assert query_of(page) == {"c": "web", "words": "row web -7"}
    page.get_by_label("Order").select_option("-width")
    expect(page.locator(".tile-text").first).to_have_text("row 49 of the web")
    expect(status(page)).to_contain_text("largest width first")
    page.goto(f"{site}/?c=web&q=row+web+-7")  # a link from where the model is at hand
    expect(status(page)).to_contain_text("24 of 48 rows with “row”, “web” in the caption")
    expect(box).to_have_value("row web -7")


def test_another_collection_is_chosen_in_the_header(tolerant, site):
    page = tolerant
    page.goto(site)
    page.get_by_label("Collection", exact=True).select_option("web")
    expect(page.get_by_role("heading", level=1)).to_contain_text("50 pictures")
    assert query_of(page) == {"c": "web"}


def test_remote_pictures_are_asked_for_lazily_and_without_referrer(tolerant, site):
    page = tolerant
    asked = []
    page.on("request", lambda request: asked.append(request) if REMOTE in request.url else None)
    page.goto(f"{site}/?c=web")
    expect(page.locator(".tile.dead").nth(3)).to_be_attached()
    assert asked
    assert all("referer" not in request.headers for request in asked)
    assert page.locator(".tile img:not([loading=lazy])").count() == 0


def test_the_token_is_asked_for_once(tolerant, collections):
    page = tolerant
    with running(make_app(collections, token=TOKEN)) as url:
        page.goto(url)
        expect(page.get_by_role("dialog")).to_contain_text("requires a token")
        page.locator("#token-input").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#token-error")).to_have_text("Wrong token.")
        page.locator("#token-input").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_hidden()
        search(page, "cat")
        shown = page.locator(".tile-picture img").first
        expect(shown).to_have_attribute("src", re.compile("^blob:"))
        page.reload()
        expect(status(page)).to_contain_text("The nearest")
        assert TOKEN not in page.url
        page.goto("about:blank")  # ends its connections before the server ends


def test_a_service_that_has_gone_is_said_so_and_can_be_tried_again(tolerant, site):
    page = tolerant
    page.goto(site)
    expect(tiles(page)).to_have_count(24)
    page.route("**/api/search", lambda route: route.abort())
    page.get_by_label("Describe a picture").fill("cat")
    page.keyboard.press("Enter")
    expect(page.locator("#notice-text")).to_contain_text("The service does not respond")
    page.unroute("**/api/search")
    page.get_by_role("button", name="Try again").click()
    expect(tiles(page)).to_have_count(24)


@pytest.mark.parametrize("path", ["/", "/?q=cat", "/?q=cat&where=nothing&not=night", "/docs"])
def test_a_phone_needs_no_sideways_scrolling(browser, site, path):
    options = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}
    with opened(browser, **options) as page:
        page.goto(f"{site}{path}")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_details_fill_a_phone(browser, site):
    with opened(browser, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        page.goto(f"{site}/?q=cat")
        page.locator(".tile-info").first.tap()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.get_by_role("button", name="Close").tap()
        expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_reference_lists_every_route(page, site):
    page.goto(f"{site}/docs")
    expect(page.get_by_role("article")).to_have_count(len(ROUTES))
    expect(page.get_by_text("POST/api/search")).to_be_visible()
