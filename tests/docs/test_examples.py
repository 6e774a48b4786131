"""What is in `examples/` runs to the end from a fresh folder, and shows what it promises."""

import re
import subprocess
import sys

import numpy as np
import pytest

import pairdex
from places import ROOT

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """The code cells of the notebook, run."""
    notebook = nbformat.read(EXAMPLES / "search.ipynb", as_version=4)
    folder = tmp_path_factory.mktemp("notebook")
    nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(folder)}}
    ).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def html(cell):
    return cell.outputs[-1].data["text/html"]


def test_every_grid_shows_as_many_pictures_as_were_asked_for(cells):
    grids = [cell for cell in cells if "grid(collection.search" in cell.source]
    asked = [int(re.search(r"k=(\d+)\)\)", cell.source)[1]) for cell in grids]
    assert [html(cell).count('src="data:image/png;base64,') for cell in grids] == asked
    assert len(grids) == 5


def test_the_grid_for_a_red_car_shows_red_cars(cells):
    grid = next(cell for cell in cells if 'text="a red car"' in cell.source)
    captions = re.findall(r"<figcaption>[\d.]+ (.*?)</figcaption>", html(grid))
    assert sum("car" in caption for caption in captions) >= 8


def test_distances_agree_with_those_computed_by_hand(cells):
    cell = next(cell for cell in cells if "by_hand" in cell.source)
    difference = eval(cell.outputs[-1].data["text/plain"], {"np": np})
    assert difference < 1e-6


def test_notebooks_are_kept_without_outputs():
    for path in EXAMPLES.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        assert [
            cell.outputs for cell in notebook.cells if cell.cell_type == "code" and cell.outputs
        ] == []


def test_the_pytorch_dataset_gives_every_row_that_was_not_removed_once(collection):
    pytest.importorskip("torch")
    pairdex.remove(collection, ids=[0, 17, 59], reason="test")
    run = subprocess.run(
        [sys.executable, EXAMPLES / "torch_dataset.py", collection],
        capture_output=True,
        text=True,
        check=True,
    )
    opened = pairdex.open(collection)
    image, text = (
        np.asarray(opened.vectors(on)[opened.live], np.float64) for on in ("image", "text")
    )
    cosines = (image * text).sum(1) / np.linalg.norm(image, axis=1) / np.linalg.norm(text, axis=1)
    assert run.stdout == f"mean similarity of image and text: {cosines.mean():.3f}\n"
