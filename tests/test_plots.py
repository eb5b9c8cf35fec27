"""Figures: what they show, that they render on Agg, and that pyplot's state stays untouched."""

import subprocess
import sys

import numpy as np
import pytest

from fnets import plots
from fnets.errors import ArgumentError, MissingExtraError, ShapeError

pytest.importorskip("matplotlib")


def pixels(figure):
    """What `savefig` writes, as an RGB array."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


@pytest.fixture
def images():
    return np.random.default_rng(0).random((40, 28, 28), np.float32)


def test_mosaic_shows_the_images_in_reading_order(images):
    figure = plots.mosaic(images, rows=2, cols=3)
    shown = np.asarray(figure.axes[0].images[0].get_array())
    gap = 2
    assert shown.shape == (2 * 28 + gap, 3 * 28 + 2 * gap)
    for i in range(6):
        top, left = (i // 3) * (28 + gap), (i % 3) * (28 + gap)
        x = images[i]
        np.testing.assert_allclose(
            shown[top : top + 28, left : left + 28], (x - x.min()) / (x.max() - x.min()), atol=1e-6
        )
    assert not figure.axes[0].get_xticks().size
    assert pixels(figure).std() > 10


@pytest.mark.parametrize("shape", [(5, 8, 9), (5, 1, 8, 9), (5, 8, 9, 1), (5, 3, 8, 9), (5, 8, 9, 3)])
def test_mosaic_takes_grey_and_colour_and_too_few(shape):
    figure = plots.mosaic((np.random.default_rng(0).random(shape) * 255).astype(np.uint8), labels=list("abcde"))
    assert [text.get_text() for text in figure.axes[0].texts] == list("abcde")
    assert pixels(figure).std() > 10


def test_mosaic_of_a_constant_image_is_finite():
    assert np.isfinite(np.asarray(plots.mosaic(np.ones((1, 4, 4)), 1, 1).axes[0].images[0].get_array())).all()


@pytest.mark.parametrize("shape", [(28, 28), (5, 784), (5, 2, 8, 9), (0, 28, 28)])
def test_mosaic_says_what_it_takes(shape):
    with pytest.raises(ShapeError, match=r"\[plots.mosaic\] expected images of shape"):
        plots.mosaic(np.zeros(shape))


def test_loss_curve_draws_the_numbers():
    figure = plots.loss_curve([0.5, 0.25, 0.125])
    (line,) = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(line.get_ydata(), [0.5, 0.25, 0.125])
    assert figure.axes[0].get_legend() is None
    assert figure.axes[0].get_xlabel() == "epoch"


def test_loss_curve_of_several_and_of_many():
    figure = plots.loss_curve({"train": [3, 2, 1], "test": [4, 3, 2]}, log=True, title="A title")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["train", "test"]
    assert figure.axes[0].get_yscale() == "log"
    values = np.random.default_rng(0).random(1000)
    raw, smooth = plots.loss_curve(values, start=0).axes[0].lines
    np.testing.assert_array_equal(raw.get_ydata(), values)
    np.testing.assert_allclose(smooth.get_ydata()[500], values[488:513].mean())
    np.testing.assert_allclose(smooth.get_ydata()[3], values[:16].mean())


@pytest.mark.parametrize("history", [[], {}, {"a": []}, [[1, 2], [3, 4]]])
def test_loss_curve_says_what_it_takes(history):
    with pytest.raises(ArgumentError, match=r"\[plots.loss_curve\] expected a non-empty sequence"):
        plots.loss_curve(history)


def test_weights_shows_every_matrix_and_filter():
    rng = np.random.default_rng(0)
    params = {
        "conv": {"w": rng.normal(size=(4, 3, 5, 5)), "b": rng.normal(size=4)},
        "layers": [rng.normal(size=(20, 10)), rng.normal(size=(6, 2, 3))],
        "step": 3,
    }
    figure = plots.weights(params, title="Weights")
    titled = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert list(titled) == ["conv.w (4, 3, 5, 5)", "layers.0 (20, 10)", "layers.1 (6, 2, 3)"]
    matrix = titled["layers.0 (20, 10)"].images[0]
    np.testing.assert_allclose(np.asarray(matrix.get_array()), params["layers"][0], rtol=1e-6)
    assert matrix.norm.vmax == -matrix.norm.vmin == pytest.approx(np.abs(params["layers"][0]).max())
    filters = np.ma.filled(titled["conv.w (4, 3, 5, 5)"].images[0].get_array(), np.nan)
    assert filters.shape == (4 * 6 - 1, 3 * 6 - 1)
    np.testing.assert_allclose(filters[6:11, 12:17], params["conv"]["w"][1, 2], rtol=1e-6)
    assert np.isnan(filters[5]).all()
    assert pixels(figure).std() > 10


def test_weights_without_matrices():
    with pytest.raises(ArgumentError, match=r"\[plots.weights\] expected parameters with an array of two"):
        plots.weights({"b": np.zeros(3)})


def test_nothing_global_is_touched(tmp_path):
    code = """
import sys
import numpy as np
from fnets import plots
assert "matplotlib" not in sys.modules
plots.mosaic(np.random.rand(4, 5, 5)).savefig(sys.argv[1])
plots.loss_curve([1, 2])
plots.weights({"w": np.eye(3)})
assert "matplotlib.pyplot" not in sys.modules
"""
    picture = tmp_path / "mosaic.png"
    subprocess.run([sys.executable, "-c", code, picture], check=True)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install fnets\[examples\]"):
        plots.loss_curve([1.0])
