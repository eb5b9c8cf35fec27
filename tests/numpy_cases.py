"""Calls of every function of `fnets.numpy`, for the differential tests: `case(name, *args, **options)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

rng = np.random.default_rng(7)


class Case:
    """One call. `numpy`: the reference, np.<name> by default. `jit`, `vmap`, `grad`: whether that is checked; `types`: whether dtypes are."""

    def __init__(
        self,
        name: str,
        args: tuple,
        options: dict,
        numpy: Callable | None,
        jit: bool,
        vmap: bool,
        grad: bool,
        types: bool,
        tol: float,
    ):
        self.name, self.args, self.options = name, args, options
        self.numpy = numpy or getattr(np, name, None)
        self.jit, self.vmap, self.grad, self.types, self.tol = jit, jit and vmap, grad and jit, types, tol

    def __repr__(self) -> str:
        shapes = "-".join(
            f"{a.dtype}{list(a.shape)}".replace(" ", "") if isinstance(a, np.ndarray) else type(a).__name__
            for a in self.args
        )
        options = ",".join(f"{k}={'array' if isinstance(v, np.ndarray) else v}" for k, v in self.options.items())
        return f"{self.name}({shapes}{';' if options else ''}{options})"


CASES: list[Case] = []


def case(
    name: str,
    *args: Any,
    numpy: Callable | None = None,
    jit: bool = True,
    vmap: bool = True,
    grad: bool = True,
    types: bool = True,
    tol: float = 1e-12,
    **options: Any,
) -> None:
    """Add one call, or one for each of several names separated by spaces."""
    for n in name.split():
        CASES.append(Case(n, args, options, numpy, jit, vmap, grad, types, tol))


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


V, V2, M, M2, T = normal(5), normal(5), normal(3, 4), normal(3, 4), normal(2, 3, 4)
ROW, COLUMN = normal(4), normal(3, 1)
P = rng.uniform(0.3, 3.0, (3, 4))
U = rng.uniform(-0.9, 0.9, (3, 4))
I = rng.integers(-9, 9, (3, 4))
J = rng.integers(1, 6, (3, 4))
I8 = I.astype(np.int8)
B = M > 0
B2 = M2 > 0
C = M + 1j * M2
F = M.astype(np.float32)
NANS = np.where(B, M, np.nan)
TIES = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 1.0]])
SQUARE = normal(4, 4)
SORTED = np.sort(normal(6))
EMPTY = np.zeros((0, 3))

# ------------------------------------------------------------------ elementwise

UNARY_ANY = "negative positive absolute abs fabs sign square exp exp2 expm1 sin cos tan arctan atan sinh cosh tanh arcsinh asinh deg2rad radians rad2deg degrees cbrt"
case(UNARY_ANY, M)
case(UNARY_ANY, F, grad=False, tol=1e-6)
case(UNARY_ANY.replace("positive", ""), I, grad=False)
case(
    "floor ceil trunc fix rint round around isfinite isinf isnan signbit isposinf isneginf isreal iscomplex logical_not",
    M,
)
case("spacing", M, grad=False)
case("nan_to_num sinc real imag conj conjugate angle modf", M)
case("i0", M, tol=1e-9)
case("sqrt log log2 log10 log1p reciprocal", P)
case("arcsin asin arccos acos arctanh atanh", U)
case("arccosh acosh", P + 1.2)
case(
    "exp log sqrt sin cos tan sinh cosh tanh square negative absolute real imag conj angle isreal iscomplex isfinite", C
)
case("sign reciprocal", C)
case("isfinite isinf isnan nan_to_num isposinf isneginf", np.array([1.0, np.inf, -np.inf, np.nan]), grad=False)
case("nan_to_num", np.array([1.0, np.inf, -np.inf, np.nan]), nan=5.0, posinf=6.0, neginf=7.0, grad=False)
case("real_if_close", C, jit=False)
case("real_if_close", M + 0j, jit=False)
case("frexp", M, grad=False)
case("frexp", np.array([0.0, 1.0, 0.5, -8.0, 1e300, 5e-324, np.inf]), grad=False)
case("invert bitwise_not bitwise_invert", I)
case("invert", B)
case("bitwise_count", np.abs(I))
case("bitwise_count", I8)

BINARY_ANY = "add subtract multiply divide true_divide maximum minimum fmax fmin hypot arctan2 atan2 logaddexp logaddexp2 copysign"
case(BINARY_ANY, M, M2)
case(BINARY_ANY, M, COLUMN)
case(BINARY_ANY.replace("copysign", ""), M, 1.5)
case(BINARY_ANY, F, ROW.astype(np.float32), grad=False, tol=1e-6)
case("add subtract multiply divide maximum minimum floor_divide remainder power", I, J, grad=False)
case("add subtract multiply", I8, 3, grad=False)
case("add multiply divide", F, 2, grad=False)
case("add multiply", F, I, grad=False)
case("add subtract multiply divide", C, M)
case("add multiply", B, B2)
case("floor_divide", M, P)
case("remainder mod fmod divmod", P * 5, P.T.reshape(3, 4) + 1)
case("remainder mod fmod divmod", I, J)
case("power pow float_power", P, M)
case("power", P, 3)
case("power", M, 2)
case("power", P, -1.5)
case("power", F, 2, grad=False)
case("heaviside", M, 0.5)
case("nextafter", M, M2, grad=False)
case(
    "gcd lcm left_shift right_shift bitwise_left_shift bitwise_right_shift bitwise_and bitwise_or bitwise_xor",
    J,
    J.T.reshape(3, 4),
)
case("bitwise_and bitwise_or bitwise_xor", B, B2)
case("ldexp", M, I)
case("equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor", M, M2)
case("equal not_equal less", I, J)
case("isclose allclose array_equal array_equiv", M, M + 1e-9, vmap=False)
case("isclose", NANS, NANS, equal_nan=True)
case("array_equal", NANS, NANS, equal_nan=True, vmap=False)
case("clip", M, -0.5, 0.5)
case("clip", M, None, 0.3)
case("clip", I, 0, 4)
case("clip", M, ROW - 1, ROW + 1)
case("round", M, 2)
case("round", I, -1)
case("round", M * 100, -1)
case("where", B, M, M2)
case("where", B, M, 0.0)
case("where", B, F, 1.0, grad=False)
case("where", B, 1, 0)
case("select", [B, B2], [M, M2], 1.5, vmap=False, grad=False)
case("piecewise", M, [M < 0, M > 1], [lambda v: -v, lambda v: v * v, 5.0], vmap=False, grad=False)

# ------------------------------------------------------------------ reductions

REDUCE = "sum prod mean max min amax amin ptp std var median average"
for _axis in (None, 0, -1, (0, 1)):
    case("sum prod mean max min std var median", M, axis=_axis)
case(REDUCE, T, axis=1)
case("sum prod mean max min std var median", T, axis=(0, -1), keepdims=True)
case("sum prod mean", I8, axis=0)
case("sum prod mean max min std var median", I, axis=1)
case("sum mean max any all", B, axis=0)
case("sum mean max std var", F, axis=0, grad=False, tol=1e-6)
case("sum prod mean std var", C, axis=0)
case("sum mean", M.astype(np.float16), grad=False)
case("sum prod", M, axis=0, where=B)
case("sum prod max min", M, axis=0, initial=0.7)
case("max min", M, axis=0, where=B, initial=0.5)
case("mean", M, axis=0, where=np.array([[True], [False], [True]]))
case("std var", M, where=B)
case("std var", M, axis=1, ddof=1)
case("sum prod", EMPTY, axis=0)
case("max min", EMPTY, axis=0, initial=1.0)
case("sum", M, dtype=np.float32, grad=False, tol=1e-6)
case("sum", I8, dtype=np.int8)
case("mean", I, dtype=np.float32)
case("any all", M, axis=1, keepdims=True)
case("any", B, where=B2)
case("all", B)
case("count_nonzero", I, axis=0)
case("count_nonzero", B)
case("argmax argmin", M)
case("argmax argmin", M, axis=0)
case("argmax argmin", M, axis=1, keepdims=True)
case("argmax argmin", TIES, axis=1, vmap=False)
case("average", M, axis=1, weights=np.abs(ROW))
case("average", M, weights=P, returned=True)
case("cumsum cumprod", M)
case("cumsum cumprod", M, axis=1)
case("cumsum cumprod", I8, axis=0)
case("cumsum", M, axis=0, dtype=np.float32, grad=False, tol=1e-6)
case("cumulative_sum cumulative_prod", V)
case("cumulative_sum cumulative_prod", M, axis=1, include_initial=True)
case("nansum nanprod nanmean nanmax nanmin nanvar nanstd nanmedian", NANS, axis=1, grad=False)
case("nansum nanprod nancumsum nancumprod", NANS, grad=False)
case("nansum nanmean nanmax nanvar", M, axis=0)
case("nanmean nanmax", I, axis=0)
case("nanargmax nanargmin", np.where(np.arange(4) == 1, np.nan, M), axis=1)
case("nanquantile", NANS, 0.3, axis=1, grad=False)
case("nanpercentile", NANS, 30.0, axis=1, grad=False)
case("quantile", M, 0.3)
case("quantile", M, np.array([0.1, 0.5]), axis=1, keepdims=True, vmap=False)
case("percentile", M, 70.0, axis=0)
case("percentile", M, [0, 33, 100], axis=(0, 1), vmap=False)
for _method in [
    "lower",
    "higher",
    "midpoint",
    "nearest",
    "hazen",
    "weibull",
    "median_unbiased",
    "normal_unbiased",
    "interpolated_inverted_cdf",
]:
    case("quantile", M, 0.4, axis=1, method=_method)
for _method in ["inverted_cdf", "averaged_inverted_cdf", "closest_observation"]:
    case("quantile", V, 0.4, method=_method)
case("quantile", I, 0.3, axis=0)
case("quantile", F, 0.3, axis=0, grad=False, tol=1e-6)
case(["median", "quantile"][0], NANS, grad=False)
case("corrcoef cov", M)
case("cov", M, M2)
case("cov", M, rowvar=False, bias=True)
case("cov", M, fweights=np.array([1, 2, 1, 3]), aweights=np.abs(ROW))
case("cov", V, vmap=False)

# ------------------------------------------------------------------ shapes

case("reshape", M, (2, -1))
case("reshape", M, (4, 3), order="F")
case("ravel", M)
case("ravel", M, order="F")
case("transpose", T)
case("transpose permute_dims", T, (1, 2, 0))
case("matrix_transpose", T)
case("swapaxes", T, 0, 2)
case("moveaxis", T, 0, -1)
case("moveaxis", T, (0, 1), (2, 0))
case("rollaxis", T, 2)
case("rollaxis", T, 0, 3)
case("expand_dims", M, (0, -1))
case("squeeze", M[None, :, None])
case("squeeze", M[None], 0)
case("atleast_1d atleast_2d atleast_3d", np.float64(2.0), vmap=False, grad=False)
case("atleast_1d atleast_2d atleast_3d", V)
case("atleast_2d atleast_3d", M)
case("broadcast_to", ROW, (2, 3, 4))
case("broadcast_arrays", M, COLUMN)
case("concatenate vstack hstack dstack stack", [M, M2], vmap=False, grad=False)
case("row_stack", [M, M2], numpy=np.vstack, vmap=False, grad=False)
case("concat", [M, M2], axis=1, vmap=False, grad=False)
case("concatenate", [M, I], axis=1, vmap=False, grad=False)
case("concatenate", [M, V], axis=None, vmap=False, grad=False)
case("stack", [M, M2], axis=-1, vmap=False, grad=False)
case("hstack vstack dstack column_stack", [V, V2], vmap=False, grad=False)
case("column_stack", [V, normal(5, 2)], vmap=False, grad=False)
case("block", [[M, M2], [M2, M]], vmap=False, grad=False)
case("append", M, V)
case("append", M, M2, axis=0)
case("split", M, 2, axis=1)
case("split", V, (1, 3))
case("array_split", V, 3)
case("hsplit", M, 2)
case("vsplit", M, 3)
case("dsplit", T, 2)
case("unstack", M)
case("unstack", M, axis=1)
case("tile", M, 2)
case("tile", V, (2, 3))
case("tile", M, (1, 1))
case("repeat", M, 2)
case("repeat", M, 3, axis=1)
case("repeat", M, [2, 0, 1], axis=0)
case("flip", M)
case("flip", T, (0, 2))
case("fliplr flipud rot90", M)
case("rot90", T, 3, (1, 2))
case("rot90", M, 2)
case("roll", M, 2)
case("roll", M, (1, -1), axis=(0, 1))
case("resize", M, (5, 3))
case("trim_zeros", np.array([0.0, 0.0, 1.5, 2.0, 0.0]), jit=False)
case("diagonal", SQUARE)
case("diagonal", T, 1, 1, 2)
case("diag", V)
case("diag", SQUARE, 1)
case("diag", V, -2)
case("diagflat", M, 1)
case("trace", SQUARE)
case("trace", T, -1, 0, 2)
case("tril triu", SQUARE)
case("tril triu", M, -1)
case("tril triu", V)
case("vander", V)
case("vander", V, 3, increasing=True)
case("fill_diagonal", SQUARE, 5.0, numpy=lambda a, v: (b := a.copy(), np.fill_diagonal(b, v))[0])
case(
    "fill_diagonal",
    normal(7, 3),
    np.array([1.0, 2.0]),
    wrap=True,
    numpy=lambda a, v, wrap: (b := a.copy(), np.fill_diagonal(b, v, wrap))[0],
)
for _mode in [
    "constant",
    "edge",
    "reflect",
    "symmetric",
    "wrap",
    "linear_ramp",
    "maximum",
    "minimum",
    "mean",
    "median",
]:
    case("pad", M, ((1, 2), (2, 1)), mode=_mode)
    case("pad", V, 7, mode=_mode)
case("pad", M, 1, mode="constant", constant_values=((1.0, 2.0), (3.0, 4.0)))
case("pad", M, (2, 0), constant_values=5.0)
case("pad", M, 2, mode="reflect", reflect_type="odd")
case("pad", V, (3, 9), mode="symmetric", reflect_type="odd")
case("pad", M, 2, mode="linear_ramp", end_values=3.0)
case("pad", M, 2, mode="mean", stat_length=2)
case("pad", M, 2, mode="maximum", stat_length=1)

# ------------------------------------------------------------------ products

case("dot matmul inner outer vdot kron tensordot", SQUARE, SQUARE.T)
case("dot matmul", M, ROW)
case("matmul", T, normal(4, 2))
case("matmul", normal(5, 1, 2, 3), normal(4, 3, 2))
case("dot", T, normal(5, 4, 2))
case("inner", M, T)
case("dot", V, V2)
case("dot", M, 2.0)
case("vdot", C, C)
case("outer", V, M)
case("kron", V, M)
case("kron", T, SQUARE)
case("tensordot", T, normal(4, 3, 5), axes=((1, 2), (1, 0)))
case("tensordot", V, V2, axes=0)
case("dot matmul", I, I.T)
case("dot matmul", B, B.T)
case("vecdot", M, M2)
case("vecdot", C, C.conj(), axis=0)
case("matvec", T, ROW)
case("vecmat", normal(3), T)
case("cross", normal(4, 3), normal(4, 3))
case("cross", normal(3, 4), normal(3, 4), axis=0)
case("einsum", "ij,kj->ik", M, M2, vmap=False, grad=False)
case("einsum", "ij,jk,kl", M, SQUARE, normal(4, 2), vmap=False, grad=False)
case("einsum", "...ij->...ji", T, vmap=False, grad=False)
case("einsum", "ii", SQUARE, vmap=False, grad=False)
case("einsum", M, [0, 1], M2, [0, 1], [0], jit=False)

# ------------------------------------------------------------------ sorting and searching

case("sort argsort", M)
case("sort argsort", M, axis=0)
case("sort", M, axis=None)
case("sort argsort", NANS, grad=False, vmap=False)
case("sort", I)
case("sort_complex", V)
case("lexsort", (np.array([1, 1, 0, 2]), np.array([3, 3, 3, 1])), vmap=False)
case("partition", V, 2, numpy=lambda a, k: np.sort(a))
case("argpartition", V, 2, numpy=lambda a, k: np.argsort(a))
case("searchsorted", SORTED, M, grad=False, vmap=False)
case("searchsorted", np.array([1, 2, 2, 3]), np.array([2, 0, 9]), side="right", vmap=False)
case("searchsorted", V, 0.3, sorter=np.argsort(V), vmap=False)
case("digitize", M, SORTED)
case("digitize", M, SORTED[::-1].copy(), right=True)
case("nonzero flatnonzero argwhere", I, jit=False)
case("extract", B, M, jit=False)
case("compress", [True, False, True], M, axis=0, jit=False)
case("choose", np.array([0, 1, 1, 0]), [ROW, ROW * 2], vmap=False, grad=False)
case("take", M, np.array([[0, 2], [11, 3]]), vmap=False)
case("take", M, np.array([1, 0, -1]), axis=1, vmap=False)
case("take", M, 2, axis=0)
case("take", M, np.array([1, 9]), axis=1, mode="clip", vmap=False)
case("take_along_axis", M, np.argsort(M, 1), axis=1)
case("take_along_axis", M, np.array([[0], [1], [3]]), axis=1)
case(
    "put_along_axis",
    M,
    np.array([[0], [1], [3]]),
    9.0,
    axis=1,
    inplace=False,
    numpy=lambda a, i, v, axis, inplace: (b := a.copy(), np.put_along_axis(b, i, v, axis))[0],
    vmap=False,
)
case(
    "put",
    M,
    np.array([0, 5]),
    np.array([7.0, 8.0]),
    numpy=lambda a, i, v: (b := a.copy(), np.put(b, i, v))[0],
    vmap=False,
)
case("place", M, B, np.array([7.0, 8.0]), numpy=lambda a, i, v: (b := a.copy(), np.place(b, i, v))[0])
case("delete", M, 1, axis=0)
case("delete", M, [0, 2, 5])
case("delete", M, slice(1, 3), axis=1)
case("delete", V, [True, False, True, False, False])
case("insert", V, 2, 9.0)
case("insert", M, 1, V[:3], axis=1)
case("insert", M, [0, 2, 2], 7.0, axis=0)
case("insert", V, slice(1, 4), np.array([1.0, 2.0, 3.0]))
case("insert", M, [1, 3], normal(3, 2), axis=1)
case("bincount", np.array([0, 3, 1, 3]), jit=False)
case("bincount", np.array([0, 3, 1, 3]), weights=ROW, minlength=6, jit=False)
case("unique", I, jit=False)
case("unique", I, return_index=True, return_inverse=True, return_counts=True, jit=False)
case("unique", np.array([[1, 2], [1, 2], [0, 5]]), axis=0, jit=False)
case("unique_all unique_counts unique_inverse", J, jit=False)
case("unique_values", J, jit=False, numpy=np.unique)
case("union1d intersect1d setdiff1d setxor1d", I, J, jit=False)
case("isin", I, J)
case("isin", M, M[0], invert=True, vmap=False)
case("histogram", V, jit=False)
case("histogram", V, bins=4, range=(-1.0, 1.0), density=True)
case("histogram", V, bins=np.array([-1.0, 0.0, 2.0]), weights=V2, grad=False)
case("histogram", V, bins=3, weights=np.arange(5, dtype=np.int8))
case("histogram_bin_edges", V, bins=3)
case("histogram2d", V, V2, bins=3)
case("histogram2d", V, V2, bins=[2, np.array([-1.0, 0.0, 1.0])], density=True)
case("histogramdd", normal(6, 3), bins=2)

# ------------------------------------------------------------------ calculus and polynomials

case("diff", M)
case("diff", M, n=2, axis=0)
case("diff", V, prepend=0.0, append=np.array([1.0, 2.0]))
case("diff", B)
case("ediff1d", M, to_begin=1.0, to_end=[2.0, 3.0], vmap=False)
case("gradient", V)
case("gradient", T)
case("gradient", M, 2.0, axis=1, edge_order=2)
case("gradient", V, np.array([0.0, 1.0, 1.5, 3.5, 4.0]), edge_order=2, vmap=False)
case("gradient", M, np.array([0.0, 1.0, 1.5]), 0.5, vmap=False)
case("trapezoid", M)
case("trapezoid", M, ROW, axis=1)
case("trapezoid", M, dx=0.5, axis=0)
case("unwrap", np.array([0.0, 2.0, 5.0, 9.0, 4.0, -3.0]))
case("unwrap", M * 5, axis=0, period=4.0)
case("interp", M, SORTED, normal(6))
case("interp", V, SORTED, normal(6), left=-1.0, right=1.0)
case("interp", V, normal(4), normal(4), period=2.0)
case("convolve", V, normal(3))
case("convolve", normal(3), V, mode="same")
case("convolve", V, normal(2), mode="valid")
case("convolve", V, normal(4), mode="same")
case("correlate", V, normal(3))
case("correlate", normal(3), V, mode="full")
case("correlate", V, normal(2), mode="same")
case("correlate", V + 1j * V2, normal(3) + 0.5j, mode="full")
case("polyval", V, M)
case("polyadd polysub", V, normal(3))
case("polymul", V, normal(3))
case("polydiv", V, normal(3), tol=1e-9, numpy=lambda u, v: (np.polydiv(u, v)[0], np.pad(np.polydiv(u, v)[1], (3, 0))))
case("polyder", V)
case("polyder", V, 2)
case("polyint", V)
case("polyint", V, 2, k=[1.0, 2.0], vmap=False)
case("poly", V)
case("polyfit", V, V2, 2, tol=1e-9)
case("polyfit", V, normal(5, 2), 1, w=np.abs(V2) + 0.5, tol=1e-9)
case("polyfit", V, V2, 1, cov=True, tol=1e-9)
case("polyfit", V, V2, 2, cov="unscaled", tol=1e-9)
case(
    "roots",
    np.array([0.0, 1.0, -6.0, 11.0, -6.0, 0.0]),
    jit=False,
    tol=1e-9,
    numpy=lambda p: np.roots(p).astype(complex),
)
case("apply_along_axis", lambda v: v.sum(), 0, M, jit=False)
case("apply_over_axes", np.sum, T, (0, 2), jit=False)

# ------------------------------------------------------------------ creation and index helpers

case("zeros ones", (2, 3), jit=False)
case("empty", (2, 3), jit=False, numpy=np.zeros)
case("zeros_like ones_like", M)
case("zeros_like ones_like", I8)
case("empty_like", M, numpy=np.zeros_like)
case("full_like", M, 2.0)
case("full_like", I, 2.7)
case("full", (2, 3), 1.5, jit=False)
case("full", (2, 3), 7, jit=False)
case("arange", 5, jit=False)
case("arange", 1.0, 2.0, 0.25, jit=False)
case("arange", 10, 0, -3, jit=False)
case("linspace", 0.0, 1.0, 5, jit=False)
case("linspace", 0, 10, 5, endpoint=False, jit=False)
case("linspace", V, V2, 4)
case("linspace", V, V2, 4, axis=-1)
case("linspace", 0.0, 1.0, 5, retstep=True, jit=False)
case("linspace", 0, 10, 4, dtype=np.int64, jit=False)
case("logspace", 0.0, 2.0, 5, jit=False)
case("geomspace", 1.0, 16.0, 5, jit=False)
case("geomspace", np.abs(V), np.abs(V2), 4, tol=1e-9)
case("eye identity tri", 3, jit=False)
case("eye tri", 3, 4, 1, jit=False)
case("meshgrid", V, ROW)
case("meshgrid", V, ROW, indexing="ij", sparse=True)
case("indices", (2, 3), jit=False)
case("fromfunction", lambda i, j: i * j, (2, 3), jit=False)
case("array asarray", [[1.0, 2.0], [3.0, 4.0]], jit=False)
case("array asarray", [1, 2], jit=False)
case("array", M, ndmin=3)
case("asarray copy", M)
case("astype", M, np.float32, grad=False)
case("astype", M, np.int64, grad=False)
case("frombuffer", b"abcd", dtype=np.uint8, jit=False)
case("fromiter", [1, 2, 3], np.int32, jit=False)
case("fromstring", "1 2 3", np.int64, sep=" ", jit=False)
case("from_dlpack", M, jit=False)
case("diag_indices", 3, jit=False)
case("diag_indices_from tril_indices_from triu_indices_from", SQUARE, jit=False)
case("tril_indices triu_indices", 3, 1, jit=False)
case("mask_indices", 3, np.triu, jit=False)
case("ix_", [0, 2], [1, 3, 0], jit=False)
case("unravel_index", np.array([5, 11, 0]), (3, 4), vmap=False)
case("ravel_multi_index", (np.array([0, 2]), np.array([1, 3])), (3, 4), jit=False)
case("ravel_multi_index", (np.array([0, 5]), np.array([-1, 3])), (3, 4), mode="wrap", jit=False)
case("ravel_multi_index", (np.array([0, 5]), np.array([-1, 3])), (3, 4), mode="clip", order="F", jit=False)
case("broadcast_shapes", (3, 1), (4,), jit=False)
case("bartlett blackman hamming hanning", 6, jit=False)
case("kaiser", 6, 2.5, jit=False)
case("packbits", B, jit=True)
case("packbits", B, axis=1, bitorder="little")
case("unpackbits", np.array([[2, 7], [23, 200]], np.uint8))
case("unpackbits", np.array([[2, 7], [23, 200]], np.uint8), axis=1, count=5, bitorder="little")

# ------------------------------------------------------------------ questions about types

case("result_type", F, 2.0, jit=False)
case("result_type", I8, np.float32, jit=False)
case("promote_types can_cast", np.int32, np.float32, jit=False)
case("issubdtype", np.float32, np.floating, jit=False)
case("isdtype", np.dtype(np.float32), "real floating", jit=False)
case("shape ndim size iscomplexobj isrealobj iterable", M, jit=False)
case("isscalar", 2.0, jit=False)

# names that are types, constants, modules' own machinery, or tested elsewhere
ELSEWHERE = {
    "Array",
    "__array_namespace_info__",
    "finfo",
    "iinfo",
    "ComplexWarning",
    "UniqueAll",
    "UniqueCounts",
    "UniqueInverse",
    "at",
    "c_",
    "r_",
    "s_",
    "index_exp",
    "mgrid",
    "ogrid",
    "ufunc",
    "frompyfunc",
    "vectorize",
    "einsum_path",
    "array_repr",
    "array_str",
    "array2string",
    "printoptions",
    "set_printoptions",
    "get_printoptions",
    "save",
    "savez",
    "load",
    "fromfile",
    "dtype",
    "ndarray",
}
