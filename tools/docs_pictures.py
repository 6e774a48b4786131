"""Makes the pictures of the page, the map and a notebook in docs/images, from the demo collection.

python tools/docs_pictures.py [FOLDER]    # FOLDER keeps the demo collection; default: a temporary one

Needs Chromium, playwright and the extra atlas. The plots of benchmarks come from the commands beside them in the docs.
"""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import pairdex
from pairdex.demo.demo import make_demo
from pairdex.service import make_app

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
WIDTH, HEIGHT = 1280, 860
NOTEBOOK_WIDTH = 1040
COLOURS, KMEANS_ROUNDS = 256, 8  # of a palette: a third of the bytes of true colour
MAX_BYTES = 400_000
CELL = 'collection.search("a red car", k=10)'


def main() -> None:
    with TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        place = Path(make_demo(folder).collection)
        if not (place / "atlas").is_dir():
            pairdex.atlas(place)
        with serving(place) as url, sync_playwright() as playwright:
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page_picture(browser, url)
            map_picture(browser, url)
            notebook_picture(browser, place)
            browser.close()


def page_picture(browser: Browser, url: str) -> None:
    terms = [("q", "a car"), ("term", "0.5:text:night"), ("term", "-0.5:text:red")]
    with opened(browser, WIDTH, HEIGHT) as page:
        page.goto(f"{url}/?{urlencode(terms)}")
        wait_for_pictures(page)
        save(page.screenshot(), "page.png")


def map_picture(browser: Browser, url: str) -> None:
    with opened(browser, WIDTH, HEIGHT) as page:
        page.goto(f"{url}/?{urlencode({'q': 'a red car', 'view': 'atlas'})}")
        wait_for_pictures(page)
        page.locator("#atlas-frame canvas").wait_for()
        time.sleep(1)  # until the points are drawn
        save(page.screenshot(), "atlas.png")


def notebook_picture(browser: Browser, place: Path) -> None:
    shown = pairdex.open(place).search("a red car", k=10)._repr_html_()
    html = (
        "<body style='margin:6px;font:14px sans-serif'>"
        "<pre style='margin:0 0 8px;padding:8px;background:#f5f5f5;border:1px solid #ddd'>"
        f"{escape(CELL)}</pre>{shown}</body>"
    )
    with opened(browser, NOTEBOOK_WIDTH, 300) as page:
        page.set_content(html)
        save(page.screenshot(full_page=True), "notebook.png")


@contextmanager
def opened(browser: Browser, width: int, height: int) -> Iterator[Page]:
    """Yield a page of a size, in the light theme."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(120_000)
    try:
        yield context.new_page()
    finally:
        context.close()


def wait_for_pictures(page: Page) -> None:
    """Wait until the first results show their pictures."""
    page.locator(".tile.shown").nth(9).wait_for()
    page.wait_for_load_state("networkidle")


def save(screenshot: bytes, name: str) -> None:
    """Write a screenshot with a palette; refuse one that is too large for the docs."""
    # k-means keeps the colours of small areas, such as the icon.
    picture = Image.open(BytesIO(screenshot)).convert("RGB").quantize(COLOURS, kmeans=KMEANS_ROUNDS)
    picture.save(IMAGES / name, optimize=True)
    size = (IMAGES / name).stat().st_size
    if size > MAX_BYTES:
        raise SystemExit(f"{name} has {size:,} bytes, expected at most {MAX_BYTES:,}")
    print(f"{name}: {size:,} bytes")


@contextmanager
def serving(place: Path) -> Iterator[str]:
    """Serve a collection in a thread; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(make_app([place]), log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main()
