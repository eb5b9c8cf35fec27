"""Figures of images, losses and weights, made without a display or global state. Lives here: functions that return a
matplotlib `Figure`, for `figure.savefig(path)` or, after `%matplotlib inline`, for a notebook. May import fnets.tree and
fnets.errors; matplotlib on use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fnets.errors import ArgumentError, MissingExtraError, ShapeError
from fnets.tree import keystr, leaves_with_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _GRID = "#333333", "#dddddd"
_LINES = ("#1f6fb2", "#d1602d", "#3a8f4d", "#8452a8", "#a08020", "#5a5a5a")
_MOST_TILES = 256  # filters of a convolution beyond which no more are drawn


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "[plots] expected matplotlib to be installed, got none. Run `pip install fnets[examples]`."
        ) from error
    # A Figure of its own, not one of pyplot's: nothing is shown, nothing is kept alive, any backend will do.
    return Figure(figsize=(width, height), dpi=120, layout="constrained", facecolor="white")


def _blank(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _tile(images: np.ndarray, rows: int, cols: int, gap: int, fill: float) -> np.ndarray:
    """Images (N, H, W) or (N, H, W, 3) in a grid, `gap` pixels of `fill` between them and where there are too few."""
    n, height, width = images.shape[:3]
    shape = (rows * (height + gap) - gap, cols * (width + gap) - gap, *images.shape[3:])
    canvas = np.full(shape, fill, images.dtype)
    for i in range(min(n, rows * cols)):
        top, left = (i // cols) * (height + gap), (i % cols) * (width + gap)
        canvas[top : top + height, left : left + width] = images[i]
    return canvas


def _as_images(images: Any) -> np.ndarray:
    """Float32 images (N, H, W) or (N, H, W, 3) with values from 0 to 1, each stretched to its own range."""
    x = np.asarray(images)
    if x.ndim == 4 and x.shape[1] in (1, 3) and x.shape[-1] not in (1, 3):
        x = np.moveaxis(x, 1, -1)
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    if (x.ndim != 3 and (x.ndim != 4 or x.shape[-1] != 3)) or 0 in x.shape:
        raise ShapeError(
            "[plots.mosaic] expected images of shape (N, H, W), (N, C, H, W) or (N, H, W, C) with C = 1 or 3, "
            f"got {np.shape(images)}. Reshape them first."
        )
    x = x.astype(np.float32)
    axes = tuple(range(1, x.ndim))
    low, high = x.min(axes, keepdims=True), x.max(axes, keepdims=True)
    return (x - low) / np.where(high > low, high - low, 1)


def mosaic(images: Any, rows: int = 4, cols: int = 8, labels: Any = None) -> Figure:
    """The first `rows * cols` images in a grid, each stretched to its own range of grey levels.

    Args:
        images: shape (N, H, W), (N, C, H, W) or (N, H, W, C) with C = 1 or 3, any number dtype; N may be too small.
        rows: of the grid.
        cols: of the grid.
        labels: N texts or numbers to write below the images.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ShapeError: for images of another shape.
        MissingExtraError: when matplotlib is not installed.

    >>> figure = mosaic(np.random.rand(32, 28, 28), labels=range(32))
    >>> figure.savefig("/dev/null", format="png")
    """
    if rows < 1 or cols < 1:
        raise ArgumentError(f"[plots.mosaic] expected at least one row and column, got {rows} and {cols}. Use rows=4.")
    count = rows * cols
    shown = _as_images(images[:count])
    height, width = shown.shape[1:3]
    gap = max(1, round(max(height, width) / 14))
    foot = 0 if labels is None else max(1, round(height * 0.22))
    # Room for the label is blank rows below each image, part of its tile.
    padded = np.pad(shown, [(0, 0), (0, foot), (0, 0), *[(0, 0)] * (shown.ndim - 3)], constant_values=1)
    canvas = _tile(padded, rows, cols, gap, 1.0)
    inches = 10 / canvas.shape[1]
    figure = _figure(10, max(canvas.shape[0] * inches, 0.5))
    axes = figure.add_subplot()
    _blank(axes)
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
    if labels is not None:
        points = 72 * inches * foot * 0.72
        for i, label in zip(range(len(shown)), labels, strict=False):
            x = (i % cols) * (width + gap) + (width - 1) / 2
            y = (i // cols) * (height + foot + gap) + height + foot * 0.45
            axes.text(x, y, str(label), ha="center", va="center", fontsize=points, color=_INK)
    return figure


def loss_curve(
    history: Any,
    *,
    title: str = "",
    xlabel: str = "epoch",
    ylabel: str = "loss",
    log: bool = False,
    start: int = 1,
) -> Figure:
    """The course of a loss, or of several; a long one is drawn pale, with its moving average over it.

    Args:
        history: numbers, one an epoch (or step), or a dict from names to such sequences.
        title: above the figure.
        xlabel: below it.
        ylabel: beside it.
        log: logarithmic vertical axis.
        start: the number of the first epoch.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ArgumentError: when there are no numbers.
        MissingExtraError: when matplotlib is not installed.

    >>> figure = loss_curve({"train": [0.35, 0.15, 0.1], "test": [0.2, 0.14, 0.12]}, title="MNIST")
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['train', 'test']
    """
    named = history if isinstance(history, Mapping) else {"": history}
    curves = {str(name): np.asarray(values, np.float64) for name, values in named.items()}
    if not curves or any(values.ndim != 1 or values.size == 0 for values in curves.values()):
        got = ", ".join(f"shape {values.shape}" for values in curves.values()) or "an empty dict"
        raise ArgumentError(
            f"[plots.loss_curve] expected a non-empty sequence of numbers, or a dict of them, got {got}. "
            "Collect float(loss) in a list each epoch."
        )
    figure = _figure(7, 4)
    axes = figure.add_subplot()
    ends = []
    for i, (name, values) in enumerate(curves.items()):
        color, x = _LINES[i % len(_LINES)], np.arange(start, start + values.size)
        if values.size > 200:
            axes.plot(x, values, color=color, alpha=0.25, linewidth=0.8, label="_raw")
            values = _moving_average(values, values.size // 80)
        dots = "o" if values.size <= 60 else None
        axes.plot(x, values, color=color, linewidth=1.8, marker=dots, markersize=4, label=name or "_only")
        ends.append((x[-1], values[-1], color))
    _dress(axes, title, xlabel, ylabel)
    if log:
        axes.set_yscale("log")
    else:
        low, high = axes.get_ylim()
        axes.set_ylim(min(0.0, low) if low < 0.5 * high else low, high)
    _label_ends(axes, ends)
    if any(curves):
        axes.legend(frameon=False, labelcolor=_INK)
    return figure


def _dress(axes: Axes, title: str, xlabel: str, ylabel: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, loc="left", color=_INK, fontsize=12, fontweight="bold")
    axes.set_xlabel(xlabel, color=_INK)
    axes.set_ylabel(ylabel, color=_INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_INK)


def _moving_average(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of each value and up to `window` on either side of it."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    middle = np.arange(values.size)
    begin, end = np.maximum(middle - window, 0), np.minimum(middle + window + 1, values.size)
    return (total[end] - total[begin]) / (end - begin)


def _label_ends(axes: Axes, ends: list[tuple[float, float, str]]) -> None:
    """The last value of each curve, written to the right of it, moved apart where they would overlap."""
    place = axes.transAxes.inverted()
    heights = [float(place.transform(axes.transData.transform((x, y)))[1]) for x, y, _ in ends]
    lowest = -1.0
    for i in np.argsort(heights):
        x, y, color = ends[i]
        lowest = max(heights[i], lowest + 0.05)
        axes.annotate(
            f"{y:.3g}",
            (x, lowest),
            (7, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="center",
            color=color,
            fontsize=9,
            annotation_clip=False,
        )


def weights(params: Any, *, cols: int = 4, title: str = "") -> Figure:
    """The weights of a model: each leaf of two or more dimensions as a picture, red above 0 and blue below.

    Convolution filters (O, I, H, W) become a grid of O rows and I columns; other leaves of more than two dimensions are
    flattened to matrices. Biases, which have one dimension, are left out.

    Args:
        params: a pytree of arrays.
        cols: pictures in a row.
        title: above the figure.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ArgumentError: when no leaf has two dimensions.
        MissingExtraError: when matplotlib is not installed.

    >>> figure = weights({"conv": np.random.randn(4, 1, 3, 3), "linear": {"w": np.random.randn(169, 100)}})
    >>> [axes.get_title() for axes in figure.axes if axes.get_title()]
    ['conv (4, 1, 3, 3)', 'linear.w (169, 100)']
    """
    pairs = [(keystr(path, simple=True, separator="."), np.asarray(leaf)) for path, leaf in leaves_with_path(params)]
    pairs = [(name, leaf) for name, leaf in pairs if leaf.ndim >= 2 and leaf.size and leaf.dtype.kind in "fiub"]
    if not pairs or cols < 1:
        raise ArgumentError(
            "[plots.weights] expected parameters with an array of two or more dimensions, and cols from 1, "
            f"got {len(pairs)} such arrays and cols={cols}. Pass the params pytree."
        )
    cols = min(cols, len(pairs))
    rows = math.ceil(len(pairs) / cols)
    figure = _figure(3.3 * cols, 3.1 * rows + (0.4 if title else 0))
    for i, (name, leaf) in enumerate(pairs):
        _weight(figure.add_subplot(rows, cols, i + 1), name, leaf.astype(np.float32))
    if title:
        figure.suptitle(title, color=_INK, fontweight="bold")
    return figure


def _weight(axes: Axes, name: str, leaf: np.ndarray) -> None:
    limit = float(np.abs(leaf[np.isfinite(leaf)]).max(initial=0.0)) or 1.0
    if leaf.ndim == 4:
        picture, aspect = _filters(leaf), "equal"
    else:
        picture, aspect = leaf.reshape(leaf.shape[0], -1), "auto"
    shown = axes.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest", aspect=aspect)
    _blank(axes)
    axes.set_title(f"{name} {leaf.shape}".lstrip(), fontsize=10, color=_INK)
    bar = axes.figure.colorbar(shown, ax=axes, shrink=0.8, pad=0.03, ticks=[-limit, 0, limit], format="%.2g")
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(labelsize=8, colors=_INK, length=0)


def _filters(leaf: np.ndarray) -> np.ndarray:
    """Filters (O, I, H, W) in O rows and I columns, or in a square where I is 1, with NaN, which is blank, between."""
    out, inner = leaf.shape[:2]
    cols = math.ceil(math.sqrt(out)) if inner == 1 else inner
    tiles = leaf.reshape(out * inner, *leaf.shape[2:])[:_MOST_TILES]
    return _tile(tiles, math.ceil(len(tiles) / cols), cols, 1, np.nan)
