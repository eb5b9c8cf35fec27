"""Samples of fnets/primitives/pool.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, integers, normal, rng

from fnets.primitives import pool as p


def params(
    window: tuple, strides: tuple | None = None, padding: tuple | None = None, dilation: tuple | None = None
) -> dict:
    """Parameters of a windowed reduction; by default side by side, without padding."""
    rank = len(window)
    return {
        "window_dimensions": window,
        "window_strides": strides or window,
        "padding": padding or ((0, 0),) * rank,
        "window_dilation": dilation or (1,) * rank,
    }


def distinct(*shape: int) -> np.ndarray:
    """Numbers of which no two are close, so that finite differences never cross a kink."""
    return rng.permutation(float(np.prod(shape)) - np.arange(np.prod(shape))).reshape(shape) / 7


WINDOWS: list[tuple[tuple, dict, str]] = [
    ((2, 3, 4, 6), params((1, 1, 2, 2)), "tiles"),
    ((2, 7, 6), params((1, 3, 2), (1, 2, 1), ((0, 0), (1, 2), (0, 1))), "overlapping"),
    ((7, 8), params((2, 3), (3, 2), ((2, 0), (1, 1)), (2, 1)), "dilated"),
    ((5, 5), params((5, 5), (1, 1)), "global"),
    ((3, 4), params((1, 2), (1, 1), ((0, 0), (3, 0))), "sees-padding-alone"),
]


def family(shape: tuple, given: dict, name: str) -> list[Sample]:
    """A sample of each primitive on the same windows."""
    x = distinct(*shape)
    y, index = p.reduce_window_argmax_p.bind(x, **given)
    extremes = (p.reduce_window_max_p, p.reduce_window_min_p, p.reduce_window_argmax_p, p.reduce_window_argmin_p)
    order = 1 if not np.isfinite(y).all() else 2
    return [
        *[Sample(prim, x, name=name, order=order, **given) for prim in (extremes if order == 2 else ())],
        Sample(p.reduce_window_sum_p, x, name=name, **given),
        Sample(p.window_spread_p, normal(*y.shape), name=name, shape=shape, **given),
        Sample(p.window_gather_p, x, index, name=name, wrt=(0,), **given),
        Sample(p.window_scatter_p, normal(*y.shape), index, name=name, wrt=(0,), shape=shape, **given),
    ]


SAMPLES = [
    *[s for w in WINDOWS for s in family(*w)],
    Sample(p.reduce_window_max_p, integers(0, 3, 2, 6), name="int", **params((1, 2))),
    Sample(p.reduce_window_argmax_p, integers(0, 3, 2, 6), name="int-ties", **params((1, 3), (1, 1))),
    Sample(p.reduce_window_sum_p, integers(0, 9, 2, 6).astype(np.int8), name="int", **params((1, 2))),
    Sample(p.reduce_window_sum_p, normal(2, 6) + 1j * normal(2, 6), name="complex", **params((1, 2))),
]
