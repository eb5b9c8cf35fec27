"""The three convolutions on arrays: memory layouts, groups, and the steps of dilated problems. May import conv_kernels, conv_blocks, conv_geometry.

Arrays may lie channels first or channels last (as a transposed view) in memory; the result lies as the first operand does.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from fnets.primitives.conv_blocks import Memory
from fnets.primitives.conv_geometry import Geometry, Ints, Step
from fnets.primitives.conv_kernels import correlation, weight_gradient

_single = np.dtype(np.float32)


def _is_half(dtype: np.dtype) -> bool:
    """Half precision (float16, bfloat16) is computed in single precision."""
    return dtype.itemsize < 4 and dtype.kind in "fV"


# ------------------------------------------------------------------ layouts


def _is_last(x: np.ndarray) -> bool:
    """Whether x (N, C, *space) lies channels last in memory."""
    return x.ndim > 2 and x.strides[1] == x.itemsize and x.shape[1] > 1 and not x.flags.c_contiguous


def _base(x: np.ndarray, last: bool) -> np.ndarray | None:
    """The contiguous array behind x, if there is one."""
    if last:
        x = x.transpose(0, *range(2, x.ndim), 1)
    return x if x.flags.c_contiguous else None


def _new(shape: Ints, dtype: np.dtype, last: bool) -> np.ndarray:
    """An empty array of this shape, channels last in memory if asked."""
    if not last:
        return np.empty(shape, dtype)
    n, c, *space = shape
    return np.empty((n, *space, c), dtype).transpose(0, len(shape) - 1, *range(1, len(shape) - 1))


def _memory(outer: int, n: int, inner: int, c: int, space: Ints, itemsize: int, last: bool) -> Memory:
    """The memory of (groups, n, c, *space) in a contiguous (outer, n, inner, c, *space); groups are the outer or the inner ones."""
    order = (outer, n, *space, inner, c) if last else (outer, n, inner, c, *space)
    steps = [prod(order[k + 1 :]) * itemsize for k in range(len(order))]
    so, sn, *rest = steps
    space_strides, (si, sc) = (rest[:-2], rest[-2:]) if last else (rest[2:], rest[:2])
    return Memory((si if outer == 1 else so, sn, sc, *space_strides), last)


def _x_memory(geo: Geometry, itemsize: int, last: bool) -> Memory:
    if geo.mixed:
        return _memory(geo.groups, geo.batch, 1, geo.cin, geo.space, itemsize, False)  # `_split` makes a copy
    return _memory(geo.batch_groups, geo.batch, geo.feature_groups, geo.cin, geo.space, itemsize, last)


def _y_memory(geo: Geometry, itemsize: int, last: bool) -> Memory:
    return _memory(1, geo.batch, geo.groups, geo.cout, geo.out, itemsize, last)


# ------------------------------------------------------------------ groups


def _split(x: np.ndarray, geo: Geometry) -> np.ndarray:
    """x (batch_groups N, feature_groups C, *space) as (G, N, C, *space)."""
    if geo.groups == 1:
        return x[None]
    c, space = x.shape[1] // geo.feature_groups, x.shape[2:]
    parts = x.reshape(geo.batch_groups, geo.batch, geo.feature_groups, c, *space).swapaxes(1, 2)
    parts = parts.reshape(geo.groups, geo.batch, c, *space)
    return np.ascontiguousarray(parts) if geo.mixed else parts


def _merge(x: np.ndarray, geo: Geometry) -> np.ndarray:
    """The inverse of `_split`."""
    _, n, c, *space = x.shape
    parts = x.reshape(geo.batch_groups, geo.feature_groups, n, c, *space).swapaxes(1, 2)
    return parts.reshape(geo.batch_groups * n, geo.feature_groups * c, *space)


def _split_y(y: np.ndarray, geo: Geometry) -> np.ndarray:
    """y (N, G O, *out) as (G, N, O, *out)."""
    if geo.groups == 1:
        return y[None]
    return y.reshape(geo.batch, geo.groups, geo.cout, *y.shape[2:]).swapaxes(0, 1)


def _split_w(w: np.ndarray, geo: Geometry) -> np.ndarray:
    """w (G O, C, *window) as (G, O, C, *window)."""
    return w[None] if geo.groups == 1 else w.reshape(geo.groups, geo.cout, *w.shape[1:])


def _mirrored(w: np.ndarray) -> np.ndarray:
    """w (G, O, C, *window) with channels swapped and the window turned round."""
    return w.swapaxes(1, 2)[(Ellipsis, *[slice(None, None, -1)] * (w.ndim - 3))]


# ------------------------------------------------------------------ the three operations


class _Plan(NamedTuple):
    """The dense problems of an operation and a kernel for each (None: there is nothing to sum)."""

    steps: list[Step]
    kernels: list[Any]


def _correlations(steps: list[Step], dtype: np.dtype, memory: Memory, last: bool) -> _Plan:
    kernels = [correlation(s.dense, dtype, memory, last, s.place is None) if s.dense.flops else None for s in steps]
    return _Plan(steps, kernels)


def _correlate(plan: _Plan, x: np.ndarray, base: np.ndarray | None, w: np.ndarray, out: np.ndarray) -> None:
    for step, kernel in zip(*plan):
        part = out if step.place is None else out[(Ellipsis, *step.place)]
        if kernel is None:
            part[...] = 0
        else:
            kernel.run(x, base, w if step.taps is None else w[(Ellipsis, *step.taps)], part)


def forward(geo: Geometry, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """y (N, G O, *out) from x and w (G O, C, *window)."""
    dtype = x.dtype
    if _is_half(dtype):
        return forward(geo, x.astype(_single), w.astype(_single)).astype(dtype)
    last = _is_last(x) and not geo.mixed
    key = ("y", dtype, last)
    plan = geo.plans.get(key)
    if plan is None:
        memory = _x_memory(geo, dtype.itemsize, last)
        plan = geo.plans[key] = _correlations(geo.forward(), dtype, memory, last)
    parts = _split(x, geo)
    base = parts if geo.mixed else _base(x, last)
    y = _new(geo.y_shape, dtype, last)
    _correlate(plan, parts, base, _split_w(w, geo), _split_y(y, geo))
    return y


def input_gradient(geo: Geometry, ct: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x's cotangent from y's and w: correlations of ct with the mirrored w."""
    dtype = ct.dtype
    if _is_half(dtype):
        return input_gradient(geo, ct.astype(_single), w.astype(_single)).astype(dtype)
    last = _is_last(ct) and not geo.mixed
    key = ("x", dtype, last)
    plan = geo.plans.get(key)
    if plan is None:
        memory = _y_memory(geo, dtype.itemsize, last)
        plan = geo.plans[key] = _correlations(geo.backward(), dtype, memory, last)
    base, w = _base(ct, last), _mirrored(_split_w(w, geo))
    if geo.mixed:
        out = np.empty((geo.groups, geo.batch, geo.cin, *geo.space), dtype)
        _correlate(plan, _split_y(ct, geo), base, w, out)
        return _merge(out, geo)
    dx = _new(geo.x_shape, dtype, last)
    _correlate(plan, _split_y(ct, geo), base, w, _split(dx, geo))
    return dx


def window_gradient(geo: Geometry, x: np.ndarray, ct: np.ndarray) -> np.ndarray:
    """w's cotangent from x and y's cotangent."""
    dtype = x.dtype
    if _is_half(dtype):
        return window_gradient(geo, x.astype(_single), ct.astype(_single)).astype(dtype)
    last, ct_last = _is_last(x) and not geo.mixed, _is_last(ct)
    key = ("w", dtype, last, ct_last)
    plan = geo.plans.get(key)
    if plan is None:
        memory, ct_memory = _x_memory(geo, dtype.itemsize, last), _y_memory(geo, dtype.itemsize, ct_last)
        steps = geo.forward()
        kernels = []
        for s in steps:
            own = ct_memory if s.place is None else None  # a strided part of ct is always copied
            kernels.append(weight_gradient(s.dense, dtype, memory, own, last, ct_last) if s.dense.flops else None)
        plan = geo.plans[key] = _Plan(steps, kernels)
    dw = np.empty((geo.groups, geo.cout, geo.cin, *geo.window), dtype)
    if not plan.steps or plan.steps[0].taps is not None or plan.kernels[0] is None:
        dw.fill(0)  # taps that never meet an input
    parts = _split(x, geo)
    base = parts if geo.mixed else _base(x, last)
    ct_base = _base(ct, ct_last)
    ct = _split_y(ct, geo)
    for step, choice in zip(*plan):
        if choice is None:
            continue
        kernel, swapped = choice
        part = dw if step.taps is None else dw[(Ellipsis, *step.taps)]
        source = ct if step.place is None else ct[(Ellipsis, *step.place)]
        if swapped:
            kernel.run(source, ct_base, parts, _mirrored(part))
        else:
            kernel.run(parts, base, source, part)
    return dw.reshape(geo.w_shape)
