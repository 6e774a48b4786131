"""What is in `examples/` runs to the end from a fresh folder, and shows what it promises."""

import functools
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
def folder(tmp_path_factory):
    """The folder in which the notebooks run; the second and third find the demo collection made."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def executed(folder):
    """A function that runs a notebook and returns its code cells."""

    @functools.cache
    def execute(name):
        notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
        nbclient.NotebookClient(
            notebook, timeout=120, resources={"metadata": {"path": str(folder)}}
        ).execute()
        return [cell for cell in notebook.cells if cell.cell_type == "code"]

    return execute


def cell_of(cells, part):
    return next(cell for cell in cells if part in cell.source)


def html(cell):
    return cell.outputs[-1].data["text/html"]


def text(cell):
    return cell.outputs[-1].data["text/plain"]


def test_every_search_shows_as_many_pictures_as_it_asks_for(executed):
    searches = [each for each in executed("search") if each.source.startswith("collection.search(")]
    shown = [each for each in searches if each.outputs[-1].output_type == "execute_result"]
    asked = [int(re.search(r"k=(\d+)\)$", cell.source)[1]) for cell in shown]
    assert [html(cell).count('src="data:image/jpeg;base64,') for cell in shown] == asked
    assert len(shown) == 6


def test_the_grid_for_a_red_car_shows_red_cars(executed):
    grid = html(cell_of(executed("search"), 'search("a red car", k=10)'))
    captions = re.findall(r"<div><bdi>(.*?)</bdi></div>", grid)
    assert len(captions) == 10
    assert sum("car" in caption for caption in captions) >= 7


def test_an_error_in_a_notebook_is_one_line(executed):
    (output,) = cell_of(executed("search"), "widht").outputs
    assert output.ename == "InvalidPredicate"
    (line,) = output.traceback
    assert line.startswith("InvalidPredicate: the filter 'widht > 100' names the unknown column")


def test_the_progress_of_the_demo_shows_as_bars(executed):
    outputs = executed("search")[0].outputs
    bars = [each.data["text/html"] for each in outputs if each.output_type == "display_data"]
    assert [re.sub("<.*?>", "", bar).strip() for bar in bars] == [
        "drawing 600 of 600",
        "encoding 600 of 600",
        "building 600 of 600",
    ]


def test_distances_agree_with_those_computed_by_hand(executed):
    assert float(text(cell_of(executed("search"), "by_hand"))) < 1e-6


def test_sql_shows_as_a_table(executed):
    assert "<th><bdi>things</bdi></th>" in html(cell_of(executed("search"), "collection.sql("))


def test_the_curated_training_set_shares_nothing_with_the_test_set(executed, folder):
    cells = executed("curate")
    test, train = (pairdex.open(folder / "curated" / name) for name in ("test", "train"))
    distances = train.nearest(test.vectors("image")[:].astype(np.float32), 1).distances
    assert distances.min() > 0.1
    assert html(cell_of(cells, "display(")).count("data:image/jpeg") == 1
    assert "damaged=[]" in text(cells[-1])


def test_the_comparison_has_an_exact_method_and_others(executed):
    *_, last = executed("research")
    printed = dict(line.split(" recall ") for line in last.outputs[0].text.splitlines())
    recall = {name.strip(): float(value) for name, value in printed.items()}
    assert recall["image"] == 1
    assert 0 < recall["pca8"] < recall["pca16"] < 1
    assert 0 < recall["halves"] < 1
    assert "image/png" in last.outputs[-1].data


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
