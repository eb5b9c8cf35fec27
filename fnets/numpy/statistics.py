"""Order statistics, histograms and covariance: `quantile`, `median`, `histogram`, `cov`, ... May import arguments, reductions, sorting, primitives.

Quantiles are differentiable: the result is an interpolation between two elements, which carry the derivative.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import is_float
from fnets.core.trace import dtype_of, is_weak, shape_of
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.numpy import creation, linear, sorting
from fnets.numpy import manipulation as m
from fnets.numpy import reductions as red
from fnets.numpy.arguments import (
    as_dtype,
    as_type,
    flat,
    is_known,
    known_int,
    refuse_out,
    result_dtype,
    to_array,
    to_inexact,
)
from fnets.numpy.reductions import Axis
from fnets.numpy.searching import bincount
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axes, convert, kept, reshape
from fnets.primitives.gather import index_gather, take_along
from fnets.primitives.reduce import size_of
from fnets.primitives.shape import moveaxis, slice_in_dim
from fnets.primitives.sort import sort_p

__all__ = [
    "corrcoef", "cov", "histogram", "histogram2d", "histogram_bin_edges", "histogramdd", "median", "nanmedian",
    "nanpercentile", "nanquantile", "percentile", "quantile",
]  # fmt: skip

# ------------------------------------------------------------------ quantiles

# (alpha, beta) of the continuous methods: the position of quantile q among n is n q + alpha + q (1 - alpha - beta) - 1
_CONTINUOUS = {
    "linear": (1.0, 1.0),
    "mean": (1.0, 1.0),  # the neighbours of "linear", and their mean: the median
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}


def _where_gamma(condition: Any) -> Any:
    return convert(condition, np.float64)


def _odd(x: Any) -> Any:
    return e.eq(e.remainder(x, 2), 1)


# the weight of the upper neighbour, from (fraction, lower position)
_STEPS: dict[str, tuple[Callable, Callable]] = {
    "lower": (lambda n, q: e.mul(q, e.sub(n, 1)), lambda g, i: e.mul(g, 0)),
    "higher": (lambda n, q: e.mul(q, e.sub(n, 1)), lambda g, i: _where_gamma(e.gt(g, 0))),
    "midpoint": (lambda n, q: e.mul(q, e.sub(n, 1)), lambda g, i: e.mul(_where_gamma(e.gt(g, 0)), 0.5)),
    "nearest": (
        lambda n, q: e.mul(q, e.sub(n, 1)),
        lambda g, i: _where_gamma(e.logical_or(e.gt(g, 0.5), e.logical_and(e.eq(g, 0.5), _odd(i)))),
    ),
    "inverted_cdf": (lambda n, q: e.sub(e.mul(q, n), 1), lambda g, i: _where_gamma(e.gt(g, 0))),
    "averaged_inverted_cdf": (
        lambda n, q: e.sub(e.mul(q, n), 1),
        lambda g, i: e.add(e.mul(_where_gamma(e.gt(g, 0)), 0.5), 0.5),
    ),
    "closest_observation": (
        lambda n, q: e.sub(e.mul(q, n), 1.5),
        lambda g, i: _where_gamma(e.logical_not(e.logical_and(e.eq(g, 0), _odd(i)))),
    ),
}
_EXACT = ("lower", "higher", "nearest", "inverted_cdf", "closest_observation")


def _neighbours(n: Any, q: Any, method: str) -> tuple[Any, Any, Any]:
    """(lower position, upper position, weight of the upper one) of quantile q among n sorted elements."""
    if method in _CONTINUOUS:
        alpha, beta = _CONTINUOUS[method]
        position = (
            e.mul(q, e.sub(n, 1))
            if method in ("linear", "mean")
            else e.add(e.add(e.mul(n, q), alpha - 1), e.mul(q, 1 - alpha - beta))
        )
        weigh: Callable = lambda g, i: g  # noqa: E731
    elif method in _STEPS:
        place, weigh = _STEPS[method]
        position = place(n, q)
    else:
        known = ", ".join([n for n in (*_CONTINUOUS, *_STEPS) if n != "mean"])
        raise ArgumentError(f"[quantile] expected method to be one of {known}, got {method!r}.")
    low = e.floor(position)
    gamma = weigh(e.sub(position, low), low)
    last = e.sub(n, 1)
    lower = e.maximum(e.minimum(low, last), 0)
    upper = e.maximum(e.minimum(e.add(low, 1), last), 0)
    return lower, upper, gamma


@functools.lru_cache(maxsize=1024)
def _known_neighbours(n: int, q: float, method: str) -> tuple[int, int, float]:
    lower, upper, gamma = _neighbours(n, q, method)
    return int(lower), int(upper), float(gamma)


def _blend(low: Any, high: Any, gamma: Any, method: str) -> Any:
    """The result between two neighbours, as NumPy computes it."""
    if method == "mean":
        mean = e.div(e.add(low, high), 2)
        return mean if isinstance(gamma, float) else e.select(e.eq(gamma, 0), low, mean)
    step = e.sub(high, low)
    if isinstance(gamma, float):
        return e.sub(high, e.mul(step, 1 - gamma)) if gamma >= 0.5 else e.add(low, e.mul(step, gamma))
    return e.select(e.ge(gamma, 0.5), e.sub(high, e.mul(step, e.sub(1, gamma))), e.add(low, e.mul(step, gamma)))


def _at_one_point(values: Any, q: float, method: str) -> Any:
    """The quantile at a single known point of rows that are sorted along the last axis, which is kept with length 1."""
    lower, upper, gamma = _known_neighbours(shape_of(values)[-1], q, method)
    low = slice_in_dim(values, lower, lower + 1, axis=-1)
    if method in _EXACT and gamma <= 0.5 or lower == upper or not gamma:
        return low
    high = slice_in_dim(values, upper, upper + 1, axis=-1)
    return high if method in _EXACT else _blend(low, high, gamma, method)


def _at_points(values: Any, points: Any, method: str, ignore_nan: bool) -> Any:
    """The quantiles at several points, or among the numbers of each row, along the last axis."""
    axis = len(shape_of(values)) - 1
    if ignore_nan:
        numbers = red.sum(e.logical_not(e.is_nan(values)), -1, keepdims=True)  # sorted, NaN stands behind them
        lower, upper, gamma = _neighbours(numbers, points, method)
        low, high = (take_along(values, convert(i, np.int64), axis) for i in (lower, upper))
    else:
        lower, upper, gamma = _neighbours(shape_of(values)[-1], points, method)
        low, high = (index_gather(values, (convert(i, np.int64),), (axis,)) for i in (lower, upper))
    if method in _EXACT:
        return e.select(e.gt(gamma, 0.5), high, low)
    return _blend(low, high, convert(gamma, dtype_of(values)), method)


def _rows(a: Any, axis: Axis, op: str) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
    """(the array sorted along one last axis that holds all reduced ones, shape, axes)."""
    axes = as_axes(axis, a.ndim, op)
    shape = shape_of(a)
    if not axes:
        return reshape(a, (*shape, 1)), shape, axes
    moved = moveaxis(a, axes, tuple(range(a.ndim - len(axes), a.ndim)))
    count = size_of([shape[i] for i in axes])
    if not count:
        raise ShapeError(f"[{op}] expected at least one element along axis {axis}, got shape {shape}.")
    rows = reshape(moved, (*shape_of(moved)[: a.ndim - len(axes)], count))
    return sort_p.bind(rows, dimension=len(shape_of(rows)) - 1), shape, axes


def _quantile(
    op: str, a: Any, q: Any, axis: Axis, out: Any, method: str, keepdims: bool, weights: Any, ignore_nan: bool
) -> Any:
    refuse_out(op, out)
    if weights is not None:
        raise ArgumentError(
            f"[{op}] expected no weights=, got some. Repeat the elements, or sort and use cumsum of the weights."
        )
    a = to_array(a)
    if dtype_of(a).kind == "c":
        raise ArgumentError(f"[{op}] expected real numbers, got {dtype_of(a).name}. Complex numbers have no order.")
    weak_q = is_weak(q)
    q = as_type(q, np.float64) if weak_q else to_array(q)
    if is_known(q) and np.any((q < 0) | (q > 1)):
        raise ArgumentError(f"[{op}] expected quantiles between 0 and 1 (percentiles between 0 and 100), got others.")
    dtype = dtype_of(a)
    if method not in _EXACT:
        dtype = (
            np.dtype(np.float64)
            if dtype.kind in "iub"
            else dtype
            if weak_q or dtype_of(q).kind in "iub"
            else result_dtype(a, q)
        )
    values, shape, axes = _rows(a, axis, op)
    values = convert(values, dtype)
    q_shape, rest = shape_of(q), shape_of(values)[:-1]
    may_be_nan = dtype.kind == "f"
    if not q_shape and is_known(q) and not (ignore_nan and may_be_nan):
        y = _at_one_point(values, float(q), method)
    else:
        y = _at_points(values, convert(flat(q), np.float64), method, ignore_nan and may_be_nan)
    if may_be_nan and not ignore_nan:
        last = slice_in_dim(values, shape_of(values)[-1] - 1, None, axis=-1)
        y = e.select(e.is_nan(last), last, y)
    if q_shape:
        y = moveaxis(y, -1, 0)
    y = reshape(y, (*q_shape, *(kept(shape, axes) if keepdims else rest)))
    return y if shape_of(y) or type(y) is not np.ndarray else y[()]


def quantile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    interpolation: str | None = None,
) -> Any:
    """The q-th quantile over axes, q between 0 and 1. NaN anywhere gives NaN.

    Args:
      a: real array.
      q: one or several quantiles; their axes come first in the result.
      axis: what to reduce; everything by default.
      method: how to interpolate: "linear", "lower", "higher", "midpoint", "nearest", or another of NumPy's thirteen.
      keepdims: keep the reduced axes with length 1.

    Returns:
      An array of the dtype of `a`; float64 for integers, unless the method picks elements.

    >>> quantile(np.array([1.0, 2.0, 4.0]), 0.75)
    np.float64(3.0)
    """
    return _quantile("quantile", a, q, axis, out, interpolation or method, keepdims, weights, False)


def nanquantile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    interpolation: str | None = None,
) -> Any:
    """`quantile` without NaN; NaN where there is nothing else.

    >>> nanquantile(np.array([1.0, np.nan, 3.0]), 0.5)
    np.float64(2.0)
    """
    return _quantile("nanquantile", a, q, axis, out, interpolation or method, keepdims, weights, True)


def _hundredth(q: Any) -> Any:
    return e.div(q if is_weak(q) else to_array(q), 100)


def percentile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    interpolation: str | None = None,
) -> Any:
    """`quantile` with q between 0 and 100.

    >>> percentile(np.array([1.0, 2.0, 4.0]), 75)
    np.float64(3.0)
    """
    return _quantile("percentile", a, _hundredth(q), axis, out, interpolation or method, keepdims, weights, False)


def nanpercentile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    interpolation: str | None = None,
) -> Any:
    """`nanquantile` with q between 0 and 100.

    >>> nanpercentile(np.array([1.0, np.nan, 3.0]), 50)
    np.float64(2.0)
    """
    return _quantile("nanpercentile", a, _hundredth(q), axis, out, interpolation or method, keepdims, weights, True)


def median(a: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """The middle element over axes, or the mean of the two middle ones. NaN anywhere gives NaN; integers give float64.

    >>> median(np.array([[3, 1, 2, 9], [1, 1, 5, 5]]), axis=1)
    array([2.5, 3. ])
    """
    return _quantile("median", to_inexact(a), 0.5, axis, out, "mean", keepdims, None, False)


def nanmedian(a: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """`median` without NaN; NaN where there is nothing else.

    >>> nanmedian(np.array([1.0, np.nan, 3.0]))
    np.float64(2.0)
    """
    return _quantile("nanmedian", to_inexact(a), 0.5, axis, out, "mean", keepdims, None, True)


# ------------------------------------------------------------------ histograms


def histogram_bin_edges(a: Any, bins: Any = 10, range: Sequence[Any] | None = None, weights: Any = None) -> Any:
    """The edges of a histogram's bins.

    Args:
      a: data.
      bins: how many bins of equal width, or the edges themselves. Names of rules ("auto", ...) need known data.
      range: the lowest and highest edge; by default those of the data.

    >>> histogram_bin_edges(np.array([0.0, 4.0]), 2)
    array([0., 2., 4.])
    """
    a = flat(to_array(a))
    if isinstance(bins, str):
        if not is_known(a):
            raise ArgumentError(
                "[histogram] expected a number of bins for a traced array, got the name of a rule. Pass an int."
            )
        return np.histogram_bin_edges(a, bins, range, weights)
    if not isinstance(bins, (int, np.integer)):
        return to_array(bins)
    bins = known_int(bins, "histogram", "bins")
    if bins < 1:
        raise ArgumentError(f"[histogram] expected at least one bin, got {bins}.")
    dtype = dtype_of(a) if dtype_of(a).kind == "f" else np.dtype(np.float64)
    if range is not None:
        low, high = (as_type(x, dtype) for x in range)
    elif not shape_of(a)[0]:
        low, high = dtype.type(0), dtype.type(1)
    else:
        low, high = convert(red.min(a), dtype), convert(red.max(a), dtype)
    same = e.eq(low, high)
    low, high = e.select(same, e.sub(low, 0.5), low), e.select(same, e.add(high, 0.5), high)
    return creation.linspace(low, high, bins + 1, dtype=dtype)


def _bin_of(x: Any, edges: Any) -> Any:
    """The bin of each value; the last bin includes its upper edge. What lies outside gets the number of bins."""
    bins = shape_of(edges)[0] - 1
    edges = convert(edges, np.promote_types(dtype_of(edges), dtype_of(x)))
    i = e.sub(sorting.searchsorted(edges, x, "right"), 1)
    i = e.select(e.eq(x, index_gather(edges, (np.int64(bins),), (0,))), bins - 1, i)
    return e.select(e.logical_and(e.ge(i, 0), e.lt(i, bins)), i, bins)


def histogram(
    a: Any, bins: Any = 10, range: Sequence[Any] | None = None, density: bool | None = None, weights: Any = None
) -> tuple:
    """How many elements fall into each bin.

    Args:
      a: data, raveled.
      bins, range: as in `histogram_bin_edges`.
      density: divide by the total and the widths, so that the histogram integrates to 1.
      weights: one for each element, summed instead of counted; differentiable.

    Returns:
      (histogram, edges); each bin includes its lower edge, the last one its upper edge too.

    >>> histogram(np.array([1, 2, 1]), bins=np.array([0, 1, 2, 3]))
    (array([0, 2, 1]), array([0, 1, 2, 3]))
    """
    a = flat(to_array(a))
    weights = None if weights is None else flat(to_array(weights))
    if is_known(a, weights, bins, *(range or ())):
        return np.histogram(a, bins, range, density, weights)
    edges = histogram_bin_edges(a, bins, range, weights)
    n = shape_of(edges)[0] - 1
    counts = m.split(bincount(_bin_of(a, edges), weights, length=n + 1), [n])[0]
    if weights is not None:
        counts = convert(counts, dtype_of(weights))
    if density:
        widths = e.sub(*[m.split(edges, [1])[1], m.split(edges, [n])[0]])
        counts = e.div(e.div(convert(counts, dtype_of(widths)), widths), red.sum(counts))
    return counts, edges


def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> tuple[Any, list]:
    """The histogram of points of several coordinates.

    Args:
      sample: (points, coordinates), or a sequence of one vector for each coordinate.
      bins: one number or vector of edges for all coordinates, or one for each.
      range: a (low, high) pair for each coordinate, or None.
      density, weights: as in `histogram`.

    Returns:
      (histogram with one axis for each coordinate, list of edges).

    >>> histogramdd(np.array([[0.0, 0.0], [1.0, 1.0]]), bins=2)[0]
    array([[1., 0.],
           [0., 1.]])
    """
    columns = [to_array(x) for x in sample] if isinstance(sample, (list, tuple)) else None
    if columns is None:
        points = to_array(sample)
        points = reshape(points, (-1, 1)) if points.ndim == 1 else points
        columns = list(m.unstack(points, axis=1))
    d = len(columns)
    each = list(bins) if isinstance(bins, (list, tuple)) else [bins] * d
    if len(each) != d:
        raise ArgumentError(f"[histogramdd] expected bins for each of {d} coordinates, got {len(each)}.")
    ranges = [None] * d if range is None else list(range)
    edges = [histogram_bin_edges(c, b, r) for c, b, r in zip(columns, each, ranges)]
    shape = [shape_of(x)[0] for x in edges]  # one more than the bins: what lies outside
    index: Any = 0
    for c, edge, n in zip(columns, edges, shape):
        index = e.add(e.mul(index, n), _bin_of(c, edge))
    counts = m.reshape(bincount(index, weights, length=size_of(shape)), tuple(shape))
    for axis, n in enumerate(shape):
        counts = m.split(counts, [n - 1], axis)[0]
    counts = convert(counts, np.float64) if dtype_of(counts).kind in "iu" else counts
    if density:
        counts = e.div(counts, red.sum(counts))
        for axis, edge in enumerate(edges):
            widths = e.sub(m.split(edge, [1])[1], m.split(edge, [-1])[0])
            counts = e.div(counts, _as_axis(widths, axis, d))
    return counts, edges


def _as_axis(x: Any, axis: int, ndim: int) -> Any:
    return reshape(x, (1,) * axis + shape_of(x) + (1,) * (ndim - axis - 1))


def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> tuple:
    """The histogram of points in the plane: (histogram, edges of x, edges of y); arguments as `histogramdd`.

    >>> histogram2d(np.array([0.0, 1.0]), np.array([0.0, 1.0]), bins=2)[0]
    array([[1., 0.],
           [0., 1.]])
    """
    shared = not isinstance(bins, (int, np.integer)) and not (isinstance(bins, (list, tuple)) and len(bins) in (1, 2))
    counts, edges = histogramdd([x, y], [bins, bins] if shared else bins, range, density, weights)
    return counts, edges[0], edges[1]


# ------------------------------------------------------------------ covariance


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """The covariance matrix of variables.

    Args:
      m: one variable a row, one observation a column; the other way round if not `rowvar`.
      y: further variables.
      bias: divide by n instead of n - 1.
      ddof: divide by n - ddof.
      fweights: integer number of repetitions of each observation.
      aweights: weight of each observation.

    >>> cov(np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    x = _variables("cov", m, rowvar)
    if y is not None:
        x = _concat_rows(x, _variables("cov", y, rowvar))
    x = convert(
        x,
        as_dtype(dtype)
        if dtype is not None
        else np.result_type(dtype_of(x), np.float64 if dtype_of(x).kind in "iub" else dtype_of(x)),
    )
    ddof = (0 if bias else 1) if ddof is None else ddof
    n = shape_of(x)[1]
    weights = None
    for w in (fweights, aweights):
        if w is not None:
            w = to_array(w)
            if shape_of(w) != (n,):
                raise ShapeError(f"[cov] expected one weight for each of {n} observations, got shape {shape_of(w)}.")
            weights = w if weights is None else e.mul(weights, w)
    if weights is None:
        mean, total = red.mean(x, 1, keepdims=True), n
        factor: Any = n - ddof
    else:
        total = red.sum(weights)
        mean = e.div(red.sum(e.mul(x, weights), 1, keepdims=True), total)
        factor = total
        if ddof:
            correction = (
                ddof if aweights is None else e.div(e.mul(red.sum(e.mul(weights, to_array(aweights))), ddof), total)
            )
            factor = e.sub(total, correction)
    x = e.sub(x, mean)
    right = e.conj(x if weights is None else e.mul(x, weights))
    out = e.div(linear.matmul(x, _transposed(right)), e.maximum(factor, 0))
    return reshape(out, ()) if shape_of(out) == (1, 1) else out


def _transposed(x: Any) -> Any:
    return m.transpose(x)


def _concat_rows(x: Any, y: Any) -> Any:
    return m.concatenate([x, y], 0)


def _variables(op: str, x: Any, rowvar: bool) -> Any:
    x = to_array(x)
    if x.ndim > 2:
        raise ShapeError(f"[{op}] expected a vector or a matrix, got shape {shape_of(x)}.")
    x = m.atleast_2d(x)
    return m.transpose(x) if not rowvar and shape_of(x)[0] != 1 else x


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """The matrix of correlation coefficients of variables; arguments as `cov`.

    Raises:
      DTypeError: `dtype` is not a float or complex dtype.

    >>> corrcoef(np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    if dtype is not None and not is_float(as_dtype(dtype)):
        raise DTypeError(f"[corrcoef] expected a float or complex dtype, got {as_dtype(dtype).name}.")
    c = cov(x, y, rowvar, dtype=dtype)
    if not shape_of(c):
        return e.div(c, c)
    deviation = e.sqrt(e.real(linear.diagonal(c)))
    c = e.div(e.div(c, m.expand_dims(deviation, 1)), m.expand_dims(deviation, 0))
    if dtype_of(c).kind == "c":
        return e.complex_(e.maximum(e.minimum(e.real(c), 1), -1), e.maximum(e.minimum(e.imag(c), 1), -1))
    return e.maximum(e.minimum(c, 1), -1)
