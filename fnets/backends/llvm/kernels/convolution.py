"""How convolutions on channels-last arrays are lowered. May import blocks, channels_last, conv_geometry, core, direct, grouped, narrow, stage, text, winograd.

Strides and dilations are `Geometry`'s concern: kernels see its dense steps. The input gradient is a correlation with mirrored weights.
"""

from __future__ import annotations

import numpy as np

from fnets.backends.llvm.code.text import DOUBLE, SINGLE
from fnets.backends.llvm.kernels import grouped, narrow, winograd
from fnets.backends.llvm.kernels.blocks import FEW_IMAGES
from fnets.backends.llvm.kernels.direct import Correlation, Mirrored, WeightGradient, Weights
from fnets.backends.llvm.kernels.stage import Stage
from fnets.backends.llvm.passes.channels_last import images, windows
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var
from fnets.errors import FnetsError
from fnets.primitives.conv_geometry import Geometry, Ints, geometry


def geometry_of(x_shape: Ints, w_shape: Ints, params: dict) -> Geometry | None:
    """The geometry in three dimensions of a convolution of x (N, C, *space) with w (O, C / groups, *window); None beyond that."""
    rank = len(x_shape) - 2
    if not 1 <= rank <= 3 or params["batch_group_count"] != 1:
        return None
    ones = (1,) * (3 - rank)
    x_shape, w_shape = ((*s[:2], *ones, *s[2:]) for s in (x_shape, w_shape))
    spread = {k: (*ones, *params[k]) for k in ("window_strides", "lhs_dilation", "rhs_dilation")}
    padding = (*(((0, 0),) * len(ones)), *params["padding"])
    flat = all([v == 1 for v in (*w_shape[2:], *spread["window_strides"], *spread["lhs_dilation"])])
    if flat and not any([any(p) for p in padding]):  # one tap: the positions may as well be one row
        depth, height, width = x_shape[2:]
        rows = 1 if x_shape[0] > FEW_IMAGES else depth * height
        x_shape = (*x_shape[:2], 1, rows, depth * height * width // rows)
    try:
        return geometry(
            "conv",
            x_shape,
            w_shape,
            padding=padding,
            feature_group_count=params["feature_group_count"],
            batch_group_count=1,
            **spread,
        )
    except FnetsError:
        return None


def supports(prim_name: str, x_shape: Ints, w_shape: Ints, dtype: np.dtype, params: dict) -> bool:
    """Whether the convolution of x (N, C, *space) with w (O, C / groups, *window), or its gradient, would be lowered in its channels-last form."""
    return _geometry_if_supported(prim_name.removesuffix("_last"), x_shape, w_shape, dtype, params) is not None


def is_supported(e: Eqn) -> bool:
    """Whether a convolution or one of its gradients, as the program wrote it, would be lowered in its channels-last form."""
    a, b = e.invars
    result = e.outvars[0]
    x, w = {"conv": (a, b), "conv_input_grad": (result, b), "conv_weight_grad": (a, result)}[e.prim.name]
    params = {k: v for k, v in e.params.items() if k not in ("space", "window")}
    return supports(e.prim.name, x.aval.shape, w.aval.shape, a.aval.dtype, params)


def _geometry_if_supported(name: str, x: Ints, w: Ints, dtype: np.dtype, params: dict) -> Geometry | None:
    if dtype not in (SINGLE, DOUBLE) or not all([*x, *w]):
        return None
    each = params["batch_group_count"]
    if each > 1:  # a weight gradient for each image is one convolution's, with other places of the results
        if name != "conv_weight_grad" or each != x[0] or params["feature_group_count"] > 1:
            return None
        w, params = (w[0] // each, *w[1:]), params | {"batch_group_count": 1}
    geo = geometry_of(x, w, params)
    if geo is None or not all(geo.y_shape):
        return None
    if name == "conv_weight_grad" and max(geo.lhs_dilation) > 1:
        return None
    return geo


def lower(e: Eqn, vector_bytes: int, fast: bool = False) -> list[Stage] | None:
    """The stages of a channels-last convolution or of one of its gradients; `fast` allows F(4 x 4), with an error of about 1e-5."""
    a, b = e.invars
    if type(a) is not Var or type(b) is not Var or a is b:
        return None
    name, result = e.prim.name, e.outvars[0]
    x, w = {
        "conv_last": (a, b),
        "conv_input_grad_last": (result, b),
        "conv_weight_grad_last": (a, result),
    }[name]
    x_shape, w_shape = ([v.aval.shape[k] for k in order(v.aval.ndim)] for v, order in ((x, images), (w, windows)))
    dtype = a.aval.dtype
    geo = _geometry_if_supported(name.removesuffix("_last"), tuple(x_shape), tuple(w_shape), dtype, e.params)
    if geo is None:
        return None
    outputs, lanes = geo.y_shape[1], vector_bytes // dtype.itemsize
    steps = geo.backward() if name == "conv_input_grad_last" else geo.forward()
    form = winograd.form_for(steps[0], dtype, vector_bytes, fast)
    if name == "conv_weight_grad_last" and e.params["batch_group_count"] > 1:
        return [WeightGradient(e, steps[0], vector_bytes, each=True)]
    if name == "conv_weight_grad_last":
        if form:
            return winograd.weight_gradient(e, a, b, steps[0], form, vector_bytes)
        if grouped.suits(steps[0].dense, dtype, vector_bytes):
            return grouped.weight_gradient(e, steps[0], vector_bytes)
        gradient = narrow.weight_gradient(steps[0], lanes) or WeightGradient
        return [gradient(e, steps[0], vector_bytes)]
    swapped = name == "conv_input_grad_last"
    if grouped.suits(steps[0].dense, dtype, vector_bytes):
        return grouped.correlation(e, a, b, steps, geo.space if swapped else geo.out, vector_bytes, swapped)
    stages: list[Stage] = []
    out, weights = geo.out, Weights(geo.cin * outputs, outputs, geo.cout)
    if swapped:
        mirrored = Var(ShapedArray((*b.aval.shape[:-2], outputs, geo.cin), dtype))
        stages = [Mirrored(b, mirrored)]
        b, out, weights = mirrored, geo.space, Weights(geo.cin * outputs, geo.cin, geo.cout * geo.cin)
    if form:
        return [*stages, *winograd.correlation(e, a, b, steps[0], form, vector_bytes)]
    kernel = narrow.correlation(steps, lanes) or Correlation
    return [*stages, kernel(e, a, b, weights, steps, out, vector_bytes)]
