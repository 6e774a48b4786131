"""Collections to serve: drawn scenes encoded by the demo model, and rows of a release without one."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

import pairdex
from pairdex.service.app import make_app
from served import BROKEN_ID, LOST_ID, OUTSIDE_ID, SCENES, draw_scenes, wait_until


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """The folder of a collection of drawn scenes, some of whose pictures have gone bad since."""
    root = tmp_path_factory.mktemp("scenes")
    draw_scenes(root / "pictures", SCENES)
    (root / "secret.png").write_bytes((root / "pictures" / "0000.png").read_bytes())
    pairdex.encode(root / "pictures", root / "parts", model="demo")
    pairdex.build(root / "parts", root / "scenes")
    (root / "pictures" / f"{LOST_ID:04}.png").unlink()
    (root / "pictures" / f"{BROKEN_ID:04}.png").write_bytes(b"<script>no picture</script>")
    outside = root / "pictures" / f"{OUTSIDE_ID:04}.png"
    outside.unlink()
    outside.symlink_to(root / "secret.png")
    return root / "scenes"


@pytest.fixture(scope="session")
def web(tmp_path_factory):
    """The folder of a collection as released: image vectors only, no model, odd column types."""
    root = tmp_path_factory.mktemp("web")
    rows, dim = 50, 8
    parts = root / "parts"
    parts.mkdir()
    vectors = np.random.default_rng(3).standard_normal((rows, dim)).astype(np.float16)
    np.save(parts / "img_emb_0.npy", vectors)
    columns = {
        "url": [
            "javascript:alert(1)",
            *(f"http://pictures.invalid/{row}.jpg" for row in range(1, rows)),
        ],
        "caption": [None, *(f"row {row} of the web" for row in range(1, rows))],
        "similarity": [0.25] * rows,
        "width": pa.array(range(rows), pa.int32()),
        "taken": pa.array([1_700_000_000] * rows, pa.timestamp("s")),
        "hash": pa.array([b"\xff\x00"] * rows, pa.binary()),
        "tags": pa.array([["a", None]] * rows),
        "score": pa.array([float("nan"), float("inf"), *[0.5] * (rows - 2)]),
        "Odd name": ["x"] * rows,
    }
    pq.write_table(pa.table(columns), parts / "metadata_0.parquet")
    pairdex.build(parts, root / "web")
    return root / "web"


@pytest.fixture(scope="session")
def collections(scenes, web):
    """Both collections, opened; the drawn scenes come first."""
    return [pairdex.open(scenes), pairdex.open(web)]


@pytest.fixture
def app(collections):
    """The service of both."""
    return make_app(collections)


@pytest.fixture
def client(app):
    """A client of it."""
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        wait_until(lambda: app.state.reloader.is_warm)
        yield client


@pytest.fixture(scope="session")
def site(collections):
    """The address of a running service of both."""
    import browsing

    with browsing.running(make_app(collections)) as url:
        yield url


@pytest.fixture(scope="session")
def browser():
    """Chromium, once for all tests of the page."""
    import browsing

    browsing.expect.set_options(timeout=browsing.WAIT_MS)
    with browsing.playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=browsing.CHROMIUM, args=browsing.QUIET)
        yield launched
        launched.close()


@pytest.fixture
def page(browser):
    """A desktop page that has nothing to complain of in the end."""
    import browsing

    with browsing.opened(browser) as page:
        yield page
        assert page.complaints == []


@pytest.fixture
def tolerant(browser):
    """A page on which requests may fail, as the test wants it."""
    import browsing

    with browsing.opened(browser) as page:
        yield page


@pytest.fixture(scope="session")
def mapped(scenes, tmp_path_factory):
    """The address of a running service of the scenes with a map."""
    pytest.importorskip("umap.umap_")
    import browsing

    folder = shutil.copytree(scenes, tmp_path_factory.mktemp("mapped") / "scenes")
    pairdex.atlas(folder)
    app = make_app([pairdex.open(folder)])
    with browsing.running(app) as url:
        wait_until(lambda: app.state.reloader.is_warm)
        yield url
