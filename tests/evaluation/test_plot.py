"""Plots of evaluations: of the asked kind, the same bytes for the same runs."""

import builtins

import pytest

from pairdex.errors import InvalidArgument, MissingExtra
from pairdex.evaluation.plot import check_plot, plot_runs
from pairdex.evaluation.points import thresholds_for
from pairdex.evaluation.runs import Run, View


def view(algo, recall, qps, kind="image"):
    return View(
        Run(f"{algo}.h5", algo, None, "clip512", 1000, None, None, kind, 50, 10, recall, recall,
            qps, None, None, None),
        kind,
        recall,
    )  # fmt: skip


VIEWS = [
    view("graph", 0.8, 900.0),
    view("graph", 0.95, 300.0),
    view("graph", 0.7, 100.0),
    view("exact", 1.0, 20.0),
    view("hamming", 0.4, 500.0, "text"),
    view("untimed", 0.9, None),
]
MAGIC = {".png": b"\x89PNG\r\n\x1a\n", ".svg": b"<?xml"}


def drawn(path, views=VIEWS):
    plot_runs(path, views, k=10, thresholds=thresholds_for(10, None))
    return path.read_bytes()


@pytest.mark.parametrize("suffix", MAGIC)
def test_the_same_runs_give_the_same_bytes(tmp_path, suffix):
    first, second = drawn(tmp_path / f"a{suffix}"), drawn(tmp_path / f"b{suffix}")
    assert first == second
    assert first.startswith(MAGIC[suffix])
    assert first != drawn(tmp_path / f"c{suffix}", VIEWS[:3])


def test_one_run_at_any_recall_and_many_algorithms_can_be_drawn(tmp_path):
    drawn(tmp_path / "a.svg", [view("a", 0.0, 1.0)])
    drawn(tmp_path / "b.svg", [view("a", 1.0, 1e6)])
    many = [view(f"algorithm {i}", i / 20, 10.0 + i) for i in range(12)]
    assert drawn(tmp_path / "c.svg", many) != drawn(tmp_path / "d.svg", many[:8])


def test_names_with_dollar_signs_are_no_formulas(tmp_path):
    drawn(tmp_path / "a.svg", [view("$\\frac{", 0.5, 1.0), view("_b", 0.6, 2.0)])


def test_runs_without_times_cannot_be_drawn(tmp_path):
    with pytest.raises(InvalidArgument, match="no run has a querytime"):
        drawn(tmp_path / "a.png", [view("a", 0.5, None)])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_told_with_the_line_that_installs_it(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"pip install 'pairdex\[plot\]'"):
        check_plot(tmp_path / "a.png")


def test_labels_cover_no_point_and_no_other_label(tmp_path):
    """Two algorithms with nearly equal curves, and one at the right edge."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from pairdex.evaluation.plot import _label

    figure = Figure((4.4, 3.3), dpi=100)
    axes = figure.subplots()
    axes.set_yscale("log")
    axes.set_xlim(0.7, 1.01)
    axes.set_ylim(100, 20_000)
    curves = [
        ("one algorithm", 0, [(0.8, 9000.0), (0.9, 5000.0), (1.0, 900.0)]),
        ("another", 1, [(0.8, 8800.0), (0.9, 4900.0), (1.0, 950.0)]),
        ("at the edge", 2, [(1.0, 600.0)]),
    ]
    points = [point for _, _, front in curves for point in front]
    _label(axes, curves, points)
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert len(boxes) == 3
    for x, y in axes.transData.transform(points):
        assert not any(box.contains(x, y) for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
