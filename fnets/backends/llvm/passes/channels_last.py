"""Convolutions whose channels are the last axis, as kernels want them; the layout pass puts them in. May import core, conv.

    conv_last(x, w) -> y     conv_input_grad_last(y, w) -> x     conv_weight_grad_last(x, y) -> w

x is (N, *space, C), w is (*window, C / groups, O) and y is (N, *out, O); the parameters are those of the primitives that these are twins of.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn
from fnets.core.primitive import Primitive
from fnets.primitives.conv import conv_input_grad_p, conv_p, conv_weight_grad_p

Ints = tuple[int, ...]


def images(rank: int) -> Ints:
    """The axes of channels-last images in the order of channels-second ones.

    >>> images(4)
    (0, 3, 1, 2)
    """
    return (0, rank - 1, *range(1, rank - 1))


def windows(rank: int) -> Ints:
    """The axes of a channels-last window in the order of a channels-second one.

    >>> windows(4)
    (3, 2, 0, 1)
    """
    return (rank - 1, rank - 2, *range(rank - 2))


def _twin(logical: Primitive, first: Any, second: Any, result: Any) -> Primitive:
    """`logical` on operands and with a result whose axes lie in these orders."""
    prim = Primitive(f"{logical.name}_last", kind=logical.kind, fresh=True)

    def impl(a: np.ndarray, b: np.ndarray, **params: Any) -> np.ndarray:
        out = logical.impl(a.transpose(first(a.ndim)), b.transpose(second(b.ndim)), **params)
        return np.ascontiguousarray(out.transpose(np.argsort(result(out.ndim))))

    def abstract(a: ShapedArray, b: ShapedArray, **params: Any) -> ShapedArray:
        logical_a, logical_b = (
            v.update(shape=[v.shape[k] for k in axes(v.ndim)]) for v, axes in ((a, first), (b, second))
        )
        out = logical.abstract(logical_a, logical_b, **params)
        return out.update(shape=[out.shape[k] for k in np.argsort(result(out.ndim))])

    def flops(e: Eqn) -> int:
        """A multiplication and an addition for each output channel's window, at each output position."""
        (x, w), y = [v.aval for v in e.invars], e.outvars[0].aval
        if logical is conv_weight_grad_p:
            w, y = y, w
        elif logical is conv_input_grad_p:
            x, y = y, x
        return 2 * y.size * (w.size // max(w.shape[-1], 1))

    prim.impl, prim.abstract = impl, abstract
    prim.rules["flops"] = flops
    return prim


conv_last_p = _twin(conv_p, images, windows, images)
conv_input_grad_last_p = _twin(conv_input_grad_p, images, windows, images)
conv_weight_grad_last_p = _twin(conv_weight_grad_p, images, images, windows)
