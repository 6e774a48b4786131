"""Shared by the tests of the page: a server in a thread, Chromium, and the visible elements."""

import re
import shutil
import socket
import threading
import time
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MARKS = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium found: the page is not tested"),
    pytest.mark.xdist_group("page"),
]
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
ATTACK_ID, LOST_ID = 7, 9
LOST_IDS = ("9", "11", "13")
TOKEN = "open sesame"
WAIT_MS = 20_000  # generous, since the machine may be busy
REMOTE = "http://pictures.invalid/"


@contextmanager
def running(app):
    """Run `app` in a thread of this process; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


def complaint(message):
    """The error texts of a console message, without the expected ones about lost pictures."""
    is_lost_picture = re.search(
        rf"/api/items/({'|'.join(LOST_IDS)})/picture", message.location["url"]
    )
    return [message.text] if message.type == "error" and not is_lost_picture else []


@contextmanager
def opened(browser, **options):
    """Yield a page in its own context; its errors are in `page.complaints`."""
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    context.set_default_timeout(WAIT_MS)
    context.route(f"{REMOTE}**", lambda route: route.abort())
    page = context.new_page()
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda message: page.complaints.extend(complaint(message)))
    try:
        yield page
    finally:
        context.close()


def tiles(page):
    return page.locator(".tile-main")


def captions(page):
    return page.locator(".tile-caption").all_text_contents()


def ids(page):
    """The ids of the visible rows with a picture."""
    sources = page.locator(".tile img").evaluate_all("all => all.map((one) => one.src)")
    return {int(found[1]) for one in sources if (found := re.search(r"/items/(\d+)/", one))}


def status(page):
    return page.locator("#status")


def query_of(page):
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def search(page, text):
    page.get_by_label("Describe a picture").fill(text)
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("The nearest")


def with_index(page):
    """Let the service say that the pictures' vectors have an approximate index."""

    def answer(route):
        told = route.fetch().json()
        told["collections"][0]["indexes"] = ["image"]
        route.fulfill(json=told)

    page.route("**/api/collections", answer)


def wait_until_ready(page):
    """Wait until the page has loaded its collections and accepts input."""
    expect(page.get_by_label("Describe a picture")).to_be_enabled()


def open_filters(page, *, sql=False):
    """Open the filters; return the columns' part."""
    page.get_by_role("button", name="Filters").click()
    if sql and page.locator("#sql").get_attribute("open") is None:
        page.locator("#sql summary").click()
    return page.get_by_role("group", name="Filters by column")


def typed(page, text, *, delay):
    wait_until_ready(page)
    page.get_by_label("Describe a picture").press_sequentially(text, delay=delay)
