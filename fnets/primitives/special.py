"""Kernels of the special functions on plain NumPy arrays, the `impl`s of their primitives. May import core.

Every function takes an array, a NumPy scalar or a Python number and has NumPy's dtypes: a float keeps its dtype, integers and bools
become floats as in `np.exp`, a 0-d operand gives a NumPy scalar. None of them warns; nan, infinities, signed zeros and denormals give
the limits of the function. Large arrays are worked through in blocks that stay in the cache. Polynomials whose source is not named are
our own fits: interpolation of the function at the Chebyshev nodes of the interval, solved with 80 digits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.avals import is_float
from fnets.core.promotion import resolve_dtype

_SMALL = 64  # up to here one call's overhead outweighs its arithmetic
_BLOCK = 16384
_SINGLE, _DOUBLE = np.dtype("float32"), np.dtype("float64")
_FLOATS = {np.dtype(c): np.exp(np.zeros(1, c)).dtype for c in "?bBhHiIlLqQefdg"}
# bfloat16 and its like keep their dtype as well; they are computed in float32

# ------------------------------------------------------------------ from kernels of blocks to functions of anything


def _float_dtype(name: str, dtype: np.dtype) -> np.dtype:
    try:
        if dtype.kind == "V" and is_float(dtype):
            return dtype
        return _FLOATS[dtype if dtype.isnative else dtype.newbyteorder("=")]
    except KeyError:
        raise TypeError(
            f"[{name}] expected real numbers, got an array of dtype {dtype}. Take x.real, or convert it."
        ) from None


def _map(name: str, x: Any, double: Callable, single: Callable | None = None, quiet: bool = False) -> Any:
    """Apply a kernel of one-dimensional blocks: `double` to float64, `single` to float32 (without it that is computed in float64).

    A kernel takes a block and an array to write into, which it may ignore, and returns its result. `quiet` is for kernels which
    never set a floating-point flag: silencing those costs as much as three ufuncs on a small array.
    """
    if quiet and type(x) is np.ndarray and x.ndim and 0 < x.size <= _BLOCK:  # the common case, without detours
        kernel = double if x.dtype is _DOUBLE else single if x.dtype is _SINGLE else None
        if kernel is not None:
            return kernel(x.reshape(-1), np.empty(x.size, x.dtype)).reshape(x.shape)
    x = np.asarray(x)
    dtype = _float_dtype(name, x.dtype)
    kernel, work = (single, _SINGLE) if single and dtype.itemsize <= 4 else (double, _DOUBLE)
    if quiet and dtype is work:
        out = _blocks(kernel, work, x)
    else:
        with np.errstate(all="ignore"):
            out = _blocks(kernel, work, x).astype(dtype, copy=False)
    return out.reshape(x.shape) if x.ndim else out[0]


def _blocks(kernel: Callable, work: np.dtype, *operands: np.ndarray, block: int = _BLOCK) -> np.ndarray:
    flat = [x.reshape(-1).astype(work, copy=False) for x in operands]
    n = flat[0].size
    out = np.empty(n, work)
    if n <= block:
        return kernel(*flat, out) if n else out
    for i in range(0, n, block):
        part = out[i : i + block]
        result = kernel(*[x[i : i + block] for x in flat], part)
        if result is not part:
            part[...] = result
    return out


def _map_many(name: str, kernel: Callable, *operands: Any) -> Any:
    """Apply a kernel of several float64 blocks, with broadcasting. Smaller blocks, for these kernels hold many temporaries."""
    arrays = [np.asarray(x) for x in operands]
    for a in arrays:
        _float_dtype(name, a.dtype)
    kinds = [type(x) if type(x) in (bool, int, float) else a.dtype for x, a in zip(operands, arrays)]
    dtype = resolve_dtype(np.arctan2, *kinds)
    arrays = np.broadcast_arrays(*arrays)
    shape = arrays[0].shape
    with np.errstate(all="ignore"):
        out = _blocks(kernel, _DOUBLE, *arrays, block=4096).astype(dtype, copy=False)
    return out.reshape(shape) if shape else out[0]


def _patch(out: Any, mask: np.ndarray, f: Callable, *args: np.ndarray) -> None:
    """Overwrite `out` where `mask` holds by `f` of the arguments there: a branch costs only the elements that need it."""
    where = mask.nonzero()[0]
    if where.size:
        result = f(*[x.take(where) for x in args])
        if isinstance(out, tuple):
            for o, r in zip(out, result):
                o[where] = r
        else:
            out[where] = result


@functools.cache
def _filled(value: float, dtype: np.dtype) -> np.ndarray:
    """A block full of one value: `np.minimum` and `np.maximum` of two arrays are four times as fast as with a scalar."""
    return np.full(_BLOCK, value, dtype)


class _Polynomial:
    """A polynomial, or with two coefficient lists a quotient of two, in one precision; coefficients by ascending power."""

    __slots__ = ("rows", "steps")

    def __init__(self, dtype: np.dtype, top: Any, bottom: Any = None):
        self.rows = np.array(top if bottom is None else (top, bottom), dtype)
        # 0-d arrays: NumPy takes them twice as fast as scalars
        self.steps = [[np.array(c, dtype) for c in row[::-1]] for row in np.atleast_2d(self.rows)]

    def __call__(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        if x.size <= _SMALL:  # two calls for all powers, then one product
            powers = np.empty((self.rows.shape[-1], x.size), x.dtype)
            powers[0] = 1
            powers[1:] = x
            np.multiply.accumulate(powers, 0, None, powers)
            value = self.rows.dot(powers)
            return value if value.ndim == 1 else np.divide(value[0], value[1], out)
        top = _horner(self.steps[0], x, out)
        return top if len(self.steps) == 1 else np.divide(top, _horner(self.steps[1], x), top)


def _horner(steps: list[np.ndarray], x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    out = np.multiply(x, steps[0], out)
    for c in steps[1:-1]:
        np.add(out, c, out)
        np.multiply(out, x, out)
    return np.add(out, steps[-1], out)


# ------------------------------------------------------------------ logistic, relu, softplus, rsqrt


def logistic(x: Any) -> Any:
    """The logistic sigmoid 1 / (1 + exp(-x)), to full relative accuracy in both tails; complex numbers too.

    Written e / (1 + e) with e = exp(min(x, 40)), which cannot overflow and is 1 to the last bit from there on.

    >>> logistic(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    if type(x) is complex or getattr(x, "dtype", _DOUBLE).kind == "c":
        return _complex_logistic(np.asarray(x))
    return _map("logistic", x, _logistic, _logistic, quiet=True)


def _logistic(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    e = np.minimum(x, _filled(40.0, x.dtype)[: x.size], out=out)
    np.exp(e, e)
    return np.divide(e, e + 1, e)


def _complex_logistic(x: np.ndarray) -> Any:
    with np.errstate(all="ignore"):
        right = x.real > 0
        e = np.exp(np.where(right, -x, x))
        return (np.where(right, 1, e) / (1 + e))[()]


def relu(x: Any) -> Any:
    """The larger of `x` and 0; integers stay integers, nan stays nan.

    >>> relu(np.array([-1, 0, 2]))
    array([0, 0, 2])
    """
    if type(x) is np.ndarray and x.size > _BLOCK and x.flags.c_contiguous and x.dtype in (_SINGLE, _DOUBLE):
        return _blocks(_relu, x.dtype, x).reshape(x.shape)
    return np.maximum(x, 0)


def _relu(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    return np.maximum(x, _filled(0.0, x.dtype)[: x.size], out=out)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), as max(x, 0) + log1p(exp(-|x|)), which neither overflows nor loses the small values.

    >>> softplus(np.array([-1000.0, 1000.0]))
    array([   0., 1000.])
    """
    return _map("softplus", x, _softplus, _softplus, quiet=True)


def _softplus(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    y = np.absolute(x, out)
    np.negative(y, y)
    np.exp(y, y)
    np.log1p(y, y)
    return np.add(y, np.maximum(x, _filled(0.0, x.dtype)[: x.size]), y)


def rsqrt(x: Any) -> Any:
    """1 / sqrt(x); inf at 0 and nan below.

    >>> rsqrt(np.array([4.0, 0.0]))
    array([0.5, inf])
    """
    with np.errstate(all="ignore"):
        root = np.sqrt(x)
        return np.reciprocal(root, root) if isinstance(root, np.ndarray) else np.reciprocal(root)


# ------------------------------------------------------------------ erf, erfc and the normal distribution

# fmt: off
_ERF_SINGLE = _Polynomial(  # erf(x) / x in x * x, for |x| <= 3.95
    _SINGLE,
    (1.92742, 0.32718962, 0.09031769, 0.0065046935, 0.00048628027, 3.4605189e-6),
    (1.7081316, 0.8593403, 0.19568141, 0.025715752, 0.0019997188, 6.4621556e-5),
)
_ERF_DOUBLE = _Polynomial(_DOUBLE, (
    1.1283791670955126, -0.3761263890318354, 0.11283791670945006, -0.02686617064323777, 0.0052239776071164225,
    -0.0008548325975389692, 0.00012055294904839707, -1.492473690741966e-5, 1.6447424703317362e-6,
    -1.6208483801871705e-7, 1.3720064546777686e-8, -7.795898827002142e-10
))  # erf(x) / x in x * x, for |x| <= 1
# (1 + 9/8 a) exp(a * a) erfc(a), which is flat, for 0 <= a <= inf (10 in float32), in t = (a - k) / (a + k),
# and before it k, -2 k, 1 and 9/8
_TAIL_SINGLE = ([np.array(c, _SINGLE) for c in (2.5, -5.0, 1.0, 1.125)], _Polynomial(_SINGLE, (
    0.80369925, -0.23146054, 0.054423627, 0.033965565, -0.040458947, 0.016675731, -0.0005995501, -0.0020604744,
    0.0003031093, 0.0002472203
)))
_TAIL_DOUBLE = ([np.array(c, _DOUBLE) for c in (3.75, -7.5, 1.0, 1.125)], _Polynomial(_DOUBLE, (
    0.7597963579041074, -0.19850743173361923, 0.10089532548659529, -0.0252820388910112, -0.01631282419063089,
    0.027945162723694458, -0.022452376219025367, 0.012357259292733251, -0.004693654941197927, 0.000976367838797482,
    9.85115048341833e-5, -0.00014225597188923094, 3.0620551890868084e-5, 9.885939485044086e-6, -6.109983595094597e-6,
    -2.5923488197638123e-7, 9.052855169576507e-7, -6.378531705736677e-8, -1.319733934262596e-7, 1.693037510780006e-8,
    1.9785623605727907e-8, -2.575974450614491e-9, -2.692135100496306e-9, 2.1322072435323142e-10, 2.2702244933100022e-10
)))
# fmt: on
_MASKS = {
    _SINGLE: (np.dtype("uint32"), np.uint32(0xFFFFF000)),
    _DOUBLE: (np.dtype("uint64"), np.uint64(0xFFFFFFFFF8000000)),
}
_ERF_LIMIT = np.array(
    4.1, _SINGLE
)  # erf is 1 from 3.92 on; here the quotient exceeds 1 by more than its rounding errors
_ONE = np.array(1, _SINGLE)


def _exp_minus_square(a: np.ndarray, half: bool = False) -> np.ndarray:
    """exp(-a * a), or exp(-a * a / 2): without the rounding error of the square, put back here, the tail loses digits.

    The upper half of the bits of `a` has an exact square (Dekker 1971).
    """
    bits, mask = _MASKS[a.dtype]
    high = np.bitwise_and(a.view(bits), mask).view(a.dtype)
    square = a * a
    error = high * high
    error -= square
    low = a - high
    high += a
    low *= high
    error += low
    if half:
        square *= 0.5
        error *= 0.5
    np.negative(square, square)
    np.exp(square, square)
    error *= square
    square -= error
    return square


def _scaled_erfc(a: np.ndarray, constants: list[np.ndarray], poly: _Polynomial) -> np.ndarray:
    """exp(a * a) erfc(a) for a >= 0; the variable is Shepherd and Laframboise's (Mathematics of Computation 36, 1981)."""
    k, minus_2k, one, slope = constants
    t = a + k
    np.divide(minus_2k, t, t)
    t += one
    y = poly(t)
    np.multiply(a, slope, t)
    t += one
    y /= t
    return y


def _erfc_positive(a: np.ndarray, tail: tuple) -> np.ndarray:
    a = np.minimum(a, _filled(28.0, a.dtype)[: a.size])  # erfc is 0 from there on
    y = _scaled_erfc(a, *tail)
    y *= _exp_minus_square(a)
    return y


def erf(x: Any) -> Any:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t * t) from 0 to x.

    In float32 a quotient of polynomials; in float64 a polynomial up to 1 and 1 - erfc(x) from there on (cf. W. J. Cody,
    Mathematics of Computation 23, 1969).

    >>> erf(np.array([0.0, 0.5, np.inf]))
    array([0.        , 0.52049988, 1.        ])
    """
    return _map("erf", x, _erf_double, _erf_single, quiet=True)


def _erf_single(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    y = x.clip(-_ERF_LIMIT, _ERF_LIMIT, out)
    ratio = _ERF_SINGLE(y * y)
    y *= ratio
    return y.clip(-_ONE, _ONE, y)


def _erf_double(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    y = x.clip(-1.0, 1.0, out)
    y *= _ERF_DOUBLE(y * y)
    _patch(y, np.absolute(x) > 1, _erf_far, x)
    return y


def _erf_far(x: np.ndarray) -> np.ndarray:
    a = np.minimum(np.absolute(x), 28.0)
    return np.copysign(1 - _scaled_erfc(a, *_TAIL_DOUBLE) * np.exp(-a * a), x)


def erfc(x: Any) -> Any:
    """The complement 1 - erf(x), accurate far into the tail.

    exp(-x * x) times a polynomial in (x - k) / (x + k) (M. M. Shepherd and J. G. Laframboise, Mathematics of Computation 36, 1981).

    >>> erfc(np.array([0.0, 10.0]))
    array([1.00000000e+00, 2.08848758e-45])
    """
    return _map("erfc", x, functools.partial(_erfc, _TAIL_DOUBLE), functools.partial(_erfc, _TAIL_SINGLE), quiet=True)


def _erfc(tail: tuple, x: np.ndarray, out: np.ndarray) -> np.ndarray:
    y = _erfc_positive(np.absolute(x), tail)
    np.multiply(x < 0, 2.0, out)
    out -= y
    return np.absolute(out, out)  # y, or 2 - y below 0


def ndtr(x: Any) -> Any:
    """The distribution function of the standard normal distribution, erfc(-x / sqrt(2)) / 2.

    >>> ndtr(np.array([0.0, -10.0]))
    array([5.00000000e-01, 7.61985302e-24])
    """
    return _map("ndtr", x, _ndtr)


def _normal_tail(a: np.ndarray) -> np.ndarray:
    """The probability beyond a >= 0."""
    a = np.minimum(a, 40.0)
    return 0.5 * _scaled_erfc(a * math.sqrt(0.5), *_TAIL_DOUBLE) * _exp_minus_square(a, half=True)


def _ndtr(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    y = _normal_tail(np.absolute(x))
    return np.where(x > 0, 1 - y, y)


def log_ndtr(x: Any) -> Any:
    """log(ndtr(x)), without underflow below and without cancellation above.

    >>> log_ndtr(np.array([0.0, -100.0, 10.0]))
    array([-6.93147181e-01, -5.00552421e+03, -7.61985302e-24])
    """
    return _map("log_ndtr", x, _log_ndtr)


def _log_ndtr(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    a = np.absolute(x)
    left = np.log(0.5 * _scaled_erfc(a * math.sqrt(0.5), *_TAIL_DOUBLE)) - 0.5 * x * x
    return np.where(x < 0, left, np.log1p(-_normal_tail(a)))


# fmt: off
# erf_inv in float32, divided by x: for w = -log1p(-x * x) < 5 in w - 2.5, from there on in sqrt(w) - 3 (Giles 2012)
GILES_NEAR = _Polynomial(_SINGLE, (
    1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-6, -3.5233877e-6, 3.43273939e-7,
    2.81022636e-8,
))
GILES_FAR = _Polynomial(_SINGLE, (
    2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322, 0.000100950558,
    -0.000200214257,
))
# The quantile of the normal distribution (Wichura 1988, algorithm AS 241), for |q| <= 0.425, r <= 5 and r > 5
WICHURA_CENTRE = _Polynomial(
    _DOUBLE,
    (3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946, 45921.95393154987, 67265.7709270087,
     33430.57558358813, 2509.0809287301227),
    (1.0, 42.31333070160091, 687.1870074920579, 5394.196021424751, 21213.794301586597, 39307.89580009271, 28729.085735721943,
     5226.495278852854),
)
WICHURA_NEAR = _Polynomial(
    _DOUBLE,
    (1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684, 0.2417807251774506,
     0.022723844989269184, 0.0007745450142783414),
    (1.0, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008, 0.015198666563616457,
     0.0005475938084995345, 1.0507500716444169e-9),
)
WICHURA_FAR = _Polynomial(
    _DOUBLE,
    (6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487, 0.026532189526576124, 0.0012426609473880784,
     2.7115555687434876e-5, 2.0103343992922881e-7),
    (1.0, 0.599832206555888, 0.1369298809227358, 0.014875361290850615, 0.0007868691311456133, 1.8463183175100548e-5,
     1.421511758316446e-7, 2.0442631033899397e-15),
)
# fmt: on


def erf_inv(x: Any) -> Any:
    """The inverse of `erf`: -inf at -1, inf at 1, nan outside.

    In float32 the polynomials of M. Giles, "Approximating the erfinv function" (2012), in -log1p(-x * x): the formula of
    `jax.lax.erf_inv`, so that normal samples agree; the square costs it digits near 1 (6e-6 relative at the worst). In
    float64 the normal quantile of M. J. Wichura (Applied Statistics 37, 1988, algorithm AS 241).

    >>> erf_inv(np.array([0.0, 0.5, 1.0]))
    array([0.        , 0.47693628,        inf])
    """
    return _map("erf_inv", x, _erf_inv_double, _erf_inv_single)


def _erf_inv_single(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    w = np.multiply(x, x)
    np.negative(w, w)
    np.log1p(w, w)
    np.negative(w, w)
    far = w >= 5
    y = GILES_NEAR(w - 2.5)
    _patch(y, far, _erf_inv_far, w)
    return np.multiply(y, x, out)


def _erf_inv_far(w: np.ndarray) -> np.ndarray:
    y = GILES_FAR(np.sqrt(w) - 3)
    y[w == np.inf] = np.inf
    return y


def _erf_inv_double(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    return _normal_quantile(0.5 * x, 0.5 * (1 - np.absolute(x))) * math.sqrt(0.5)


def ndtri(p: Any) -> Any:
    """The inverse of `ndtr`, by M. J. Wichura's algorithm AS 241 (Applied Statistics 37, 1988).

    >>> ndtri(np.array([0.0, 0.025, 0.5]))
    array([       -inf, -1.95996398,  0.        ])
    """
    return _map("ndtri", p, lambda p, out: _normal_quantile(p - 0.5, np.minimum(p, 1 - p)))


def _normal_quantile(q: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """The quantile of 1/2 + q, where `tail` is the smaller of that and its complement, without rounding errors."""
    y = np.full_like(q, np.nan)
    centre = np.absolute(q) <= 0.425
    _patch(y, centre, lambda q: q * WICHURA_CENTRE(0.180625 - q * q), q)
    _patch(y, ~centre & (tail >= 0), _far_quantile, q, tail)
    return y


def _far_quantile(q: np.ndarray, tail: np.ndarray) -> np.ndarray:
    r = np.sqrt(-np.log(tail))
    y = WICHURA_NEAR(r - 1.6)
    _patch(y, r > 5, lambda r: WICHURA_FAR(r - 5), r)
    y[tail == 0] = np.inf
    return np.copysign(y, q)


# ------------------------------------------------------------------ the gamma function and its relatives

# fmt: off
# lgamma(y) / ((y - 1) * (y - 2)) and digamma(y) / (y - zero), for 1 <= y <= 3;
# then y * (lgamma(y) - Stirling's formula) and -y * y * (digamma(y) - log(y) + 1 / (2 y)) in 1 / (y * y), for y >= 3
LGAMMA_DOUBLE = (
    _Polynomial(_DOUBLE, (
    2.5012224869546906, 60.22989360942297, 313.57315666045474, 549.1682767723507, 370.76355449664516, 98.76854848908135,
    9.521192014261896, 0.24812235865232937, 0.0003763030767622707
), (
    1.0, 41.35380831542771, 324.965145313882, 828.8036415342509, 827.2289568245217, 346.64342975777976,
    59.88362181940515, 3.769213152091595, 0.060117093725430296
)),
    _Polynomial(_DOUBLE, (
    0.08333333333333313, -0.0027777777774305, 0.0007936506884915048, -0.0005952255253448391, 0.0008409701331661108,
    -0.001888716724424404, 0.005726056083836847, -0.01843123144258371, 0.0464987992437226, -0.06067253307630473
)),
)
LGAMMA_SINGLE = (
    _Polynomial(_SINGLE, (3.671308, 19.61013, 16.050022, 2.2374651, 0.015483195), (1.9086576, 22.020147, 35.202568, 12.140296, 0.77143633)),
    _Polynomial(_SINGLE, (0.083333336, -0.0027775862, 0.00078471843, -0.00045442831)),
)
DIGAMMA_DOUBLE = (
    _Polynomial(_DOUBLE, (
    247465874.01631397, 819537096.8101028, 797557715.7186311, 315006635.9560989, 53490046.71095879, 3580226.573947287,
    69461.44288419232, 73.29449958028815
), (
    1.0, 361704064.0958533, 741614705.0140945, 513106376.47676283, 151812108.47729114, 19590342.945658524,
    980910.1812784259, 13197.653972849814
)),
    _Polynomial(_DOUBLE, (
    0.08333333333333287, -0.0083333333323328, 0.003968253600942064, -0.004166613154056894, 0.007571670662698112,
    -0.020904992716699745, 0.07768996902561713, -0.32525222437397994, 1.2213863296286607, -3.2200812668413126,
    4.15409568940603
)),
    (-0.5383678550316376, -1.5522348162858676e-17),  # the zero, less 2, in two parts
)
DIGAMMA_SINGLE = (
    _Polynomial(_SINGLE, (5261.063, 13491.038, 6607.5186, 644.0132, 2.999936), (1.4708892, 7677.7593, 10068.729, 2889.1052, 161.91711)),
    _Polynomial(_SINGLE, (0.08333333, -0.008331742, 0.0038935132, -0.0029663488)),
    (-0.5383678674697876, 1.2438149938918909e-8),
)
# fmt: on


def lgamma(x: Any) -> Any:
    """log |Gamma(x)|; inf at 0, -1, -2, ...

    Up to 3 (y - 1)(y - 2) times a quotient of polynomials, from there on Stirling's formula with a fitted remainder; the
    recurrence below 1 and the reflection formula below 0.

    >>> lgamma(np.array([1.0, 5.0, -0.5]))
    array([0.        , 3.17805383, 1.26551212])
    """
    return _map("lgamma", x, functools.partial(_lgamma, LGAMMA_DOUBLE), functools.partial(_lgamma, LGAMMA_SINGLE))


def _lgamma(tables: tuple, x: np.ndarray, out: Any = None) -> np.ndarray:
    near, stirling = tables
    out = np.empty_like(x) if out is None else out
    negative = x < 0
    a = np.where(negative, 1 - x, x)
    _patch(out, ~(a >= 3), functools.partial(_lgamma_near, near), a)
    _patch(out, a >= 3, functools.partial(_lgamma_far, stirling), a)
    _patch(out, negative, _lgamma_reflected, x, out)
    return out


def _lgamma_reflected(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """From y = lgamma(1 - x), by Gamma(x) Gamma(1 - x) = pi / sin(pi x)."""
    y = -np.log(np.absolute(np.sin(math.pi * (x - np.rint(x)))) / math.pi) - y
    return np.where(np.isnan(y), np.inf, y)  # where all numbers are whole


def _lgamma_near(near: _Polynomial, a: np.ndarray) -> np.ndarray:
    low = a < 1
    v = a - (2 - low.astype(a.dtype))  # y - 2, where y = a, or a + 1 below 1; exact near the zeros of lgamma
    y = v * (v + 1) * near(v + 2) + 0.0  # not -0 at 1
    _patch(y, low, lambda y, a: y - np.log(a), y, a)
    return y


def _lgamma_far(stirling: _Polynomial, a: np.ndarray) -> np.ndarray:
    u = np.reciprocal(a)
    return (a - 0.5) * (np.log(a) - 1) + (
        stirling(u * u) * u + 0.4189385332046727
    )  # the constant is log(2 pi) / 2 - 1/2


def digamma(x: Any) -> Any:
    """The derivative of `lgamma`; infinite at 0, nan at -1, -2, ...

    Up to 3 (y - zero) times a quotient of polynomials, from there on the asymptotic series with a fitted remainder; the
    recurrence below 1 and the reflection formula below 0.

    >>> digamma(np.array([1.0, 10.0, -0.5]))
    array([-0.57721566,  2.25175259,  0.03648997])
    """
    return _map("digamma", x, functools.partial(_digamma, DIGAMMA_DOUBLE), functools.partial(_digamma, DIGAMMA_SINGLE))


def _digamma(tables: tuple, x: np.ndarray, out: Any = None) -> np.ndarray:
    near, tail, zero = tables
    out = np.empty_like(x) if out is None else out
    negative = x < 0
    a = np.where(negative, 1 - x, x)
    _patch(out, ~(a >= 3), functools.partial(_digamma_near, near, zero), a)
    _patch(out, a >= 3, functools.partial(_digamma_far, tail), a)
    _patch(out, negative, lambda x, y: y - _pi_cot_pi(x), x, out)  # digamma(1 - x) - digamma(x) = pi / tan(pi x)
    return out


def _digamma_near(near: _Polynomial, zero: tuple[float, float], a: np.ndarray) -> np.ndarray:
    low = a < 1
    v = a - (2 - low.astype(a.dtype))
    y = (v - zero[0] - zero[1]) * near(v + 2)
    _patch(y, low, lambda y, a: y - 1 / a, y, a)
    return y


def _digamma_far(tail: _Polynomial, a: np.ndarray) -> np.ndarray:
    u = np.reciprocal(a)
    square = u * u
    return np.log(a) - 0.5 * u - tail(square) * square


def _pi_cot_pi(x: np.ndarray) -> np.ndarray:
    r = x - np.rint(x)
    r[r == 0] = np.nan
    return math.pi / np.tan(math.pi * r)


_BERNOULLI = (1/6, -1/30, 1/42, -1/30, 5/66, -691/2730, 7/6, -3617/510, 43867/798, -174611/330)  # of even index from 2  # fmt: skip


def zeta(s: Any, q: Any) -> Any:
    """The Hurwitz zeta function, the sum of (k + q) ** -s over k >= 0; nan for s < 1, inf at q = 0, -1, ...

    Twelve terms, then the formula of Euler and Maclaurin (NIST DLMF 25.11.5). For a negative q
    that is not an integer, s must be one (nan otherwise).

    >>> zeta(np.array([2.0, 4.0]), 1.0)
    array([1.64493407, 1.08232323])
    """
    return _map_many("zeta", _zeta, s, q)


def _zeta(s: np.ndarray, q: np.ndarray, out: Any = None) -> np.ndarray:
    y = _zeta_positive(s, q)
    _patch(y, q < 0, _zeta_negative, s, q)
    y[(q <= 0) & (q == np.floor(q))] = np.inf
    y[s == 1] = np.inf
    y[(s < 1) | np.isnan(s) | np.isnan(q)] = np.nan
    return y


def _zeta_positive(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    square = bool((s == 2).all())  # of the derivative of digamma: spares the powers
    y = np.zeros_like(s)
    w = q.copy()
    for _ in range(12):
        y += 1 / (w * w) if square else w**-s
        w += 1
    u = s / (w * w)
    step = 1 / (w * w)
    series = np.zeros_like(s)
    for k in range(9):
        series += (_BERNOULLI[k] / math.factorial(2 * k + 2)) * u
        u = u * ((s + (2 * k + 1)) * (s + (2 * k + 2))) * step
    front = 1 / w if square else w ** (1 - s)
    return y + np.where(front == 0, 0, front * (1 / (s - 1) + 0.5 / w + series))


def _zeta_negative(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The terms with negative base are, up to sign, a Hurwitz sum from the other side less its tail."""
    base = q - np.floor(q)  # where the positive terms start
    sign = np.where(s % 2 == 0, 1.0, np.where(s % 2 == 1, -1.0, np.nan))
    return _zeta_positive(s, base) + sign * (_zeta_positive(s, np.ceil(q) - q) - _zeta_positive(s, 1 - q))


_FACTORIALS = np.array([float(math.factorial(k)) for k in range(171)])


def polygamma(n: Any, x: Any) -> Any:
    """The n-th derivative of `digamma`, for an integer n >= 0 (nan for another): (-1) ** (n + 1) n! zeta(n + 1, x).

    >>> polygamma(1, np.array([1.0, 10.0]))
    array([1.64493407, 0.10516634])
    """
    return _map_many("polygamma", _polygamma, n, x)


def _polygamma(n: np.ndarray, x: np.ndarray, out: Any = None) -> np.ndarray:
    y = np.full_like(x, np.nan)
    whole = (n >= 1) & (n == np.floor(n))
    _patch(y, whole, lambda n, x: np.where(n % 2 == 1, 1.0, -1.0) * _factorial(n) * _zeta(n + 1, x), n, x)
    _patch(y, n == 0, functools.partial(_digamma, DIGAMMA_DOUBLE), x)
    return y


def _factorial(n: np.ndarray) -> np.ndarray:
    return np.where(n > 170, np.inf, _FACTORIALS[np.minimum(n, 170).astype(np.int64)])


# ------------------------------------------------------------------ the incomplete gamma and beta functions


def igamma(a: Any, x: Any) -> Any:
    """The regularised lower incomplete gamma function P(a, x), for a, x >= 0 (nan elsewhere).

    The series up to max(a, 1), the continued fraction from there on, and for a > 20 with x near it N. M. Temme's uniform
    expansion (NIST DLMF 8.11.4, 8.9.2, 8.12.3).

    >>> igamma(np.array([1.0, 100.0]), np.array([1.0, 90.0]))
    array([0.63212056, 0.15822099])
    """
    return _map_many("igamma", lambda a, x, out: _incomplete_gamma(a, x)[0], a, x)


def igammac(a: Any, x: Any) -> Any:
    """The regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x), accurate where it is small. See `igamma`.

    >>> igammac(np.array([1.0]), np.array([50.0]))
    array([1.92874985e-22])
    """
    return _map_many("igammac", lambda a, x, out: _incomplete_gamma(a, x)[1], a, x)


def random_gamma_grad(a: Any, x: Any) -> Any:
    """The derivative in `a` of a sample `x` of the gamma distribution of shape `a`, at fixed P(a, x).

    Minus the derivative of P(a, x) in a, divided by the density; the regions and formulas of `igamma`, differentiated.

    >>> random_gamma_grad(np.array([1.0]), np.array([1.0]))
    array([1.17356303])
    """
    return _map_many("random_gamma_grad", _gamma_grad, a, x)


def igamma_grad_a(a: Any, x: Any) -> Any:
    """The derivative of `igamma(a, x)` in a.

    >>> igamma_grad_a(np.array([1.0]), np.array([1.0]))
    array([-0.43172971])
    """
    return _map_many("igamma_grad_a", _igamma_grad_a, a, x)


def _igamma_grad_a(a: np.ndarray, x: np.ndarray, out: Any = None) -> np.ndarray:
    density = a / x * _gamma_front(a, x)
    grad = np.where((x == 0) | (x == np.inf), 0, -density * _gamma_grad(a, x))
    return np.where((a > 0) & (x >= 0), grad, np.nan)


def _gamma_regions(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where to use the uniform expansion, the series and the continued fraction."""
    proper = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    uniform = proper & (a > 20) & (np.absolute(x - a) < 0.3 * a)
    proper &= ~uniform
    low = x <= np.maximum(a, 1)
    return uniform, proper & low, proper & ~low


def _incomplete_gamma(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(a, x) and Q(a, x), each to full relative accuracy."""
    p, q = np.full_like(a, np.nan), np.full_like(a, np.nan)
    uniform, series, fraction = _gamma_regions(a, x)
    _patch((p, q), uniform, _gamma_by_expansion, a, x)
    _patch((p, q), series, _gamma_by_series, a, x)
    _patch((p, q), fraction, _gamma_by_fraction, a, x)
    none = ((a > 0) & (x == 0)) | ((a == np.inf) & (x >= 0) & (x < np.inf))
    every = ((x == np.inf) & (a >= 0) & (a < np.inf)) | ((a == 0) & (x > 0))
    p[none], q[none], p[every], q[every] = 0, 1, 1, 0
    return p, q


def _gamma_grad(a: np.ndarray, x: np.ndarray, out: Any = None) -> np.ndarray:
    y = np.full_like(a, np.nan)
    uniform, series, fraction = _gamma_regions(a, x)
    _patch(y, uniform, _gamma_grad_by_expansion, a, x)
    _patch(y, series, _gamma_grad_by_series, a, x)
    _patch(y, fraction, _gamma_grad_by_fraction, a, x)
    y[(a > 0) & (x == 0)] = 0
    return y


def _log1p_minus(u: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """log(1 + u) - u, where `ratio` is 1 + u: by the series of atanh(u / (2 + u)) near 0."""
    y = np.log(ratio) - u
    _patch(y, np.absolute(u) < 0.4, _log1p_minus_series, u)
    return y


def _log1p_minus_series(u: np.ndarray) -> np.ndarray:
    r = u / (2 + u)
    square = r * r
    series = np.zeros_like(u)
    for k in range(14, 0, -1):
        series += 1 / (2 * k + 1)
        series *= square
    return 2 * r * series - u * r


def _stirling_error(z: np.ndarray) -> np.ndarray:
    """lgamma(z) less Stirling's formula, for z > 0."""
    u = 1 / z
    y = LGAMMA_DOUBLE[1](u * u) * u
    _patch(y, z < 3, lambda z: _lgamma_near(LGAMMA_DOUBLE[0], z) - (z - 0.5) * np.log(z) + z - 0.9189385332046727, z)
    return y


def _gamma_front(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """x ** a exp(-x) / Gamma(a + 1), without the cancellation of large terms."""
    far = np.exp(a * _log1p_minus((x - a) / a, x / a) - _stirling_error(a)) / np.sqrt(2 * math.pi * a)
    _patch(far, a < 3, lambda a, x: np.exp(a * np.log(x) - x - _lgamma(LGAMMA_DOUBLE, a + 1)), a, x)
    return far


def _gamma_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The sum of x ** n / ((a + 1) ... (a + n)) over n >= 0."""
    term, total, k = np.ones_like(a), np.ones_like(a), a.copy()
    for i in range(10000):
        k += 1
        term *= x / k
        total += term
        if i % 8 == 0 and not (term > 1e-17 * total).any():
            break
    return total


def _gamma_series_slope(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sum of `_gamma_series` and its derivative in a."""
    term, total = np.ones_like(a), np.ones_like(a)
    harmonic, slope = np.zeros_like(a), np.zeros_like(a)
    k = a.copy()
    for i in range(10000):
        k += 1
        term *= x / k
        harmonic += 1 / k
        total += term
        slope -= term * harmonic
        if i % 8 == 0 and not (term * harmonic > 1e-17 * (total - slope)).any():
            break
    return total, slope


def _gamma_by_series(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p = _gamma_front(a, x) * _gamma_series(a, x)
    q = 1 - p
    _patch(q, a < 1, _gamma_upper_small, a, x)
    return np.where(p < 0.5, p, 1 - q), q


def _gamma_upper_small(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Q(a, x) for a, x <= 1, where P may be near 1: the series of NIST DLMF 8.7.3."""
    log_front = a * np.log(x) - a * (a - 1) * LGAMMA_DOUBLE[0](a + 1)  # log(x ** a / Gamma(a + 1))
    term, total = np.ones_like(a), np.zeros_like(a)
    for k in range(1, 22):
        term *= -x / k
        total += term / (a + k)
    return -np.expm1(log_front) - np.exp(log_front) * a * total


def _gamma_grad_by_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    total, slope = _gamma_series_slope(a, x)
    return -x / a * (total * (np.log(x) - _digamma(DIGAMMA_DOUBLE, a + 1)) + slope)


def _gamma_fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The continued fraction of Gamma(a, x) exp(x) / x ** a, by Lentz's method."""

    def step(i: int, value: Any, a: Any, b: Any, c: Any, d: Any) -> tuple:
        top = i * (a - i)
        b = b + 2
        d = 1 / (top * d + b)
        c = b + top / c
        factor = c * d
        return (value * factor, a, b, c, d), _settled(factor - 1)

    b = x + 1 - a
    return _iterate(step, 1, 1 / b, a, b, np.full_like(a, np.inf), 1 / b)[0]


def _gamma_fraction_slope(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """The fraction of `_gamma_fraction` and the derivative of its logarithm in a."""

    def step(i: int, value: Any, slope: Any, a: Any, b: Any, c: Any, d: Any, c_slope: Any, d_slope: Any) -> tuple:
        top = i * (a - i)
        b = b + 2
        new = 1 / (top * d + b)
        d_slope = new * new * (1 - i * d - top * d_slope)
        c_slope = -1 + i / c - top * c_slope / (c * c)
        d, c = new, b + top / c
        factor, term = c * d, c_slope / c + d_slope / d
        settled = _settled(factor - 1) & _settled(term / slope)
        return (value * factor, slope + term, a, b, c, d, c_slope, d_slope), settled

    b = x + 1 - a
    d = 1 / b
    return _iterate(step, 2, d, d, a, b, np.full_like(a, np.inf), d, np.zeros_like(a), d * d)


def _settled(change: np.ndarray) -> np.ndarray:
    return ~(np.absolute(change) > 8e-16)  # true of nan


def _iterate(step: Callable, results: int, *state: np.ndarray) -> tuple[np.ndarray, ...]:
    """Repeat `state, settled = step(i, *state)`; the first `results` of the state when each element has settled.

    Settled elements leave now and then: they would cost time, and rounding errors would go on accumulating.
    """
    out = tuple([np.empty_like(x) for x in state[:results]])
    where = np.arange(state[0].size)
    for i in range(1, 20000):
        state, settled = step(i, *state)
        if i % 8 == 0 and settled.any():
            for o, x in zip(out, state):
                o[where[settled]] = x[settled]
            going = ~settled
            where = where[going]
            if not where.size:
                return out
            state = tuple([x[going] for x in state])
    for o, x in zip(out, state):
        o[where] = x
    return out


def _gamma_by_fraction(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    q = a * _gamma_front(a, x) * _gamma_fraction(a, x)
    return 1 - q, q


def _gamma_grad_by_fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    value, slope = _gamma_fraction_slope(a, x)
    return x * value * (np.log(x) - _digamma(DIGAMMA_DOUBLE, a) + slope)


@functools.cache
def _temme_coefficients(orders: int = 13, terms: int = 27) -> np.ndarray:
    """The Taylor coefficients, [power of eta, k], of Temme's c_k(eta) (NIST DLMF 8.12.9 to 8.12.12), by exact recurrences."""
    from fractions import Fraction  # here, for it would take as long as the rest of this module to import

    n = terms + 2 * orders + 2
    mu = [Fraction(0), Fraction(1)]  # lambda - 1 as a series in eta, where eta ** 2 / 2 = mu - log(1 + mu)
    for i in range(2, n + 2):
        mu.append((mu[i - 1] - sum(j * mu[j] * mu[i - j + 1] for j in range(2, i))) / (i + 1))
    ratio = [Fraction(1)]  # eta / mu
    for i in range(1, n + 1):
        ratio.append(-sum(mu[j + 1] * ratio[i - j] for j in range(1, i + 1)))
    columns = [ratio[1:]]
    for _ in range(1, orders):
        last = columns[-1]
        columns.append([(i + 2) * last[i + 2] - last[1] * ratio[i + 1] for i in range(len(last) - 2)])
    return np.array([[float(c[i]) for c in columns] for i in range(terms)])


def _gamma_expansion(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """lambda - 1, eta, and Temme's sum with its derivatives in a and in eta."""
    mu = (x - a) / a
    eta = np.copysign(np.sqrt(-2 * _log1p_minus(mu, x / a)), mu)
    table = _temme_coefficients()
    inverse = np.ones((table.shape[1], a.size))
    np.cumprod(np.broadcast_to(1 / a, (table.shape[1] - 1, a.size)), axis=0, out=inverse[1:])
    rows = table @ inverse
    rows_slope = table @ (inverse * (-np.arange(table.shape[1]))[:, None]) / a
    total, in_a, in_eta = np.zeros_like(a), np.zeros_like(a), np.zeros_like(a)
    for row, row_slope in zip(rows[::-1], rows_slope[::-1]):
        in_eta = in_eta * eta + total
        total = total * eta + row
        in_a = in_a * eta + row_slope
    return mu, eta, total, in_a, in_eta


def _gamma_by_expansion(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, eta, total, _, _ = _gamma_expansion(a, x)
    z = np.sqrt(0.5 * a) * np.absolute(eta)
    bell = np.exp(-z * z)
    small = 0.5 * bell * _scaled_erfc(z, *_TAIL_DOUBLE)
    rest = np.copysign(bell, eta) * total / np.sqrt(2 * math.pi * a)
    small += rest
    return np.where(eta < 0, small, 1 - small), np.where(eta < 0, 1 - small, small)


def _gamma_grad_by_expansion(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    mu, eta, total, in_a, in_eta = _gamma_expansion(a, x)
    log_ratio = np.log1p(mu)
    safe = np.where(eta == 0, 1, eta)
    first = np.where(eta == 0, 1, log_ratio / safe)
    eta_slope = -np.where(eta == 0, 1, mu / safe) / a
    bracket = first + total * (log_ratio - 0.5 / a) + in_a + in_eta * eta_slope
    return bracket * x / a * np.exp(_stirling_error(a))


def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularised incomplete beta function I_x(a, b), for a, b > 0 and 0 <= x <= 1 (nan elsewhere).

    The continued fraction of NIST DLMF 8.17.22 on the side of the mean where it converges fast, with Stirling's formula in
    the factor before it. Near x = 1 a tiny b costs relative, not absolute accuracy: 1 minus nearly 1.

    >>> betainc(2.0, 3.0, np.array([0.0, 0.5, 1.0]))
    array([0.    , 0.6875, 1.    ])
    """
    return _map_many("betainc", _betainc, a, b, x)


def _betainc(a: np.ndarray, b: np.ndarray, x: np.ndarray, out: Any = None) -> np.ndarray:
    proper = (a > 0) & (b > 0) & np.isfinite(a) & np.isfinite(b)
    inside = (x > 0) & (x < 1)
    y = np.where(proper & (x == 0), 0.0, np.where(proper & (x == 1), 1.0, np.nan))
    y[inside & (((a > 0) & (b == 0)) | ((a == np.inf) & (b < np.inf)))] = 0
    y[inside & (((a == 0) & (b > 0)) | ((b == np.inf) & (a < np.inf)))] = 1
    proper &= inside
    upper = x > (a + 1) / (a + b + 2)
    upper &= (b > 0.1) | (x > 0.999)  # the complement of nearly 1 would lose digits; the fraction converges, if slower
    _patch(y, proper & ~upper, lambda a, b, x: _beta_lower(a, b, x, 1 - x), a, b, x)
    _patch(y, proper & upper, lambda a, b, x: 1 - _beta_lower(b, a, 1 - x, x), a, b, x)
    return y


def _beta_lower(a: np.ndarray, b: np.ndarray, x: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """I_x(a, b) below the mean; `rest` is 1 - x."""
    n = a + b
    off = x * b - rest * a
    log_front = a * _log1p_minus(off / a, x * n / a) + b * _log1p_minus(-off / b, rest * n / b)
    log_front += _stirling_error(n) - _stirling_error(a) - _stirling_error(b)
    return np.exp(log_front) * np.sqrt(b / (2 * math.pi * a * n)) * _beta_fraction(a, b, x)


def _beta_fraction(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    def step(m: int, value: Any, a: Any, b: Any, x: Any, c: Any, d: Any) -> tuple:
        even = a + 2 * m
        top = m * (b - m) * x / ((even - 1) * even)
        d = 1 / (1 + top * d)
        c = 1 + top / c
        factor = c * d
        top = -(a + m) * (a + b + m) * x / (even * (even + 1))
        d = 1 / (1 + top * d)
        c = 1 + top / c
        factor *= c * d
        return (value * factor, a, b, x, c, d), _settled(factor - 1)

    d = 1 / (1 - (a + b) * x / (a + 1))
    return _iterate(step, 1, d, a, b, x, np.ones_like(a), d)[0]


# ------------------------------------------------------------------ Bessel functions, exponential integrals, the dilogarithm

# fmt: off
# sqrt(x) exp(-x) I_n(x) for x >= 8, in 16 / x - 1
_I0_FAR = _Polynomial(_DOUBLE, (
    0.4021765094450081, 0.0033605519836677235, 0.00013621607439187193, 1.1143033802583682e-5, 1.4838475863096976e-6,
    2.9735956581528157e-7, 8.872154618944625e-8, 3.932926571091252e-8, 2.155681110989874e-8, 7.532386417555123e-9,
    -6.805980075129678e-9, -1.331979859201994e-8, -5.162517880939013e-9, 7.323310735122893e-9, 6.789790403895736e-9,
    -3.11851456121224e-9, -4.8482509221176966e-9, 1.0924527246468666e-9, 2.3981927228949238e-9, -2.748111637276033e-10,
    -7.473844621887592e-10, 3.525321019700796e-11, 1.0881994785468933e-10
))
_I1_FAR = _Polynomial(_DOUBLE, (
    0.38939845902587233, -0.009749577193235609, -0.000219235763833829, -1.503854721127423e-5, -1.8349101539664522e-6,
    -3.483853071371078e-7, -1.0001220638799958e-7, -4.31323156237458e-8, -2.3382691353601083e-8, -8.407326839577817e-9,
    6.795073490187386e-9, 1.3952625102162603e-8, 5.722677527454156e-9, -7.432535335623792e-9, -7.222524178953976e-9,
    3.0717395650769477e-9, 5.094016301574338e-9, -1.0476127785270019e-9, -2.5062162405593894e-9, 2.582169443152386e-10,
    7.79067217908059e-10, -3.2677656089803323e-11, -1.13288885034257e-10
))
# (x + 1) exp(x) E1(x) for x >= 1, in 1 - 6 / (x + 2)
_EXP1_FAR = _Polynomial(_DOUBLE, (
    1.0317282495052793, -0.07155660356199, 0.052995283970996655, -0.019905656991839868, 0.00935142546518205,
    -0.003891480868668157, 0.0018054971101168344, -0.0007850355316916702, 0.0003677178526171404,
    -0.00016373679041750168, 7.759598079771804e-5, -3.503244493048051e-5, 1.6819259209887508e-5, -7.639773568330351e-6,
    3.6562915437397558e-6, -1.688357337512896e-6, 9.335715827793658e-7, -3.8073001330054877e-7, 5.912374613652371e-8,
    -7.937953149671766e-8, 1.531877947478049e-7, -2.5383274105600254e-8, -4.5627851995660924e-8, 1.6365919323455968e-10,
    1.663217885904893e-8, -2.6735908532596677e-9
))
# x exp(-x) Ei(x): for 6 <= x <= 12 in 24 / x - 3, for 12 <= x <= 24 in 48 / x - 3, for x >= 24 in 48 / x - 1
_EXPI_6 = _Polynomial(_DOUBLE, (
    1.181847986987208, 0.09097863630348939, 0.010157308753614657, -0.003353388660411261, -0.001125891451123899,
    0.00037313842644822235, 4.2059470988225646e-5, -4.555118743075159e-5, 9.1966411054032e-6, 1.4334858789553498e-6,
    -1.4452355239388557e-6, 4.2415643890333354e-7, -2.9652934324592872e-8, -2.9989725566032706e-8,
    1.6833185114496394e-8, -5.282789658700842e-9, 5.743972972624431e-10, 5.395028451276601e-10, -2.2275615117183664e-10
))
_EXPI_12 = _Polynomial(_DOUBLE, (
    1.0723449766623854, 0.02839154997859364, 0.0019403040279250604, 0.0002684049246146103, 3.961169130380161e-5,
    -5.372759701615993e-6, -5.160184181493744e-6, -2.2547708464142323e-7, 4.922985883935642e-7, 4.034168668172609e-9,
    -4.9658882546576627e-8, 7.119061047668788e-9, 3.716916996691103e-9, -1.5886132756780633e-9, -1.0173767020404385e-11,
    1.6583967865641683e-10, -2.80154715383793e-11, -5.9854774250229294e-12
))
_EXPI_24 = _Polynomial(_DOUBLE, (
    1.0217607036601566, 0.022753072027361165, 0.0010637687855431068, 7.863790796682316e-5, 8.211967611113216e-6,
    1.143019208825002e-6, 2.0531123929677795e-7, 4.684207181452449e-8, 1.3579085806530058e-8, 5.04851343095831e-9,
    2.417618820686535e-9, 1.618232976213265e-9, 1.1422594416073047e-9, -2.0063375265853823e-11, -1.0516314613456745e-9,
    -6.178989295789562e-10, 2.805266912601406e-10, 2.846097349095218e-10, -2.992254764928186e-11,
    -4.7515584479496656e-11
))
# fmt: on
# power series: I_0(x) and I_1(x) / x in x * x / 4 up to 8, and the integral of (exp(t) - 1) / t from 0 to x, divided by x, up to 6
_I0_NEAR = _Polynomial(_DOUBLE, [1 / math.factorial(k) ** 2 for k in range(28)])
_I1_NEAR = _Polynomial(_DOUBLE, [0.5 / (math.factorial(k) * math.factorial(k + 1)) for k in range(28)])
_EIN = _Polynomial(_DOUBLE, [1 / (k * math.factorial(k)) for k in range(1, 36)])
_EIN_SHORT = _Polynomial(_DOUBLE, [1 / (k * math.factorial(k)) for k in range(1, 18)])


def i0(x: Any) -> Any:
    """The modified Bessel function of the first kind of order 0: its power series up to 8, exp(x) times `i0e` from there on.

    >>> i0(np.array([0.0, 1.0]))
    array([1.        , 1.26606588])
    """
    return _map("i0", x, functools.partial(_bessel, 0, False))


def i0e(x: Any) -> Any:
    """exp(-|x|) i0(x), which does not overflow.

    >>> i0e(np.array([0.0, 1000.0]))
    array([1.        , 0.01261724])
    """
    return _map("i0e", x, functools.partial(_bessel, 0, True))


def i1(x: Any) -> Any:
    """The modified Bessel function of the first kind of order 1, an odd function. See `i0`.

    >>> i1(np.array([0.0, 1.0]))
    array([0.       , 0.5651591])
    """
    return _map("i1", x, functools.partial(_bessel, 1, False))


def i1e(x: Any) -> Any:
    """exp(-|x|) i1(x), which does not overflow.

    >>> i1e(np.array([0.0, 1000.0]))
    array([0.        , 0.01261093])
    """
    return _map("i1e", x, functools.partial(_bessel, 1, True))


def _bessel(order: int, scaled: bool, x: np.ndarray, out: np.ndarray) -> np.ndarray:
    a = np.absolute(x)
    y = np.full_like(a, np.nan)
    _patch(y, a <= 8, functools.partial(_bessel_near, order, scaled), a)
    _patch(y, a > 8, functools.partial(_bessel_far, order, scaled), a)
    return np.copysign(y, x) if order else y


def _bessel_near(order: int, scaled: bool, a: np.ndarray) -> np.ndarray:
    square = 0.25 * a * a
    y = _I1_NEAR(square) * a if order else _I0_NEAR(square)
    return y * np.exp(-a) if scaled else y


def _bessel_far(order: int, scaled: bool, a: np.ndarray) -> np.ndarray:
    a = a if scaled else np.minimum(a, 800.0)  # enough to overflow; inf would make 0 * inf
    y = (_I1_FAR if order else _I0_FAR)(16 / a - 1) / np.sqrt(a)
    if scaled:
        return y
    half = np.exp(0.5 * a)  # in two steps: the exponential overflows before the function does
    return y * half * half


def exp1(x: Any) -> Any:
    """The exponential integral E1(x), the integral of exp(-t) / t from x to infinity; inf at 0, nan below.

    The power series up to 1 (NIST DLMF 6.6.2), exp(-x) / (x + 1) times a fit from there on.

    >>> exp1(np.array([0.0, 1.0]))
    array([       inf, 0.21938393])
    """
    return _map("exp1", x, _exp1)


def _exp1(x: np.ndarray, out: Any = None) -> np.ndarray:
    y = np.full_like(x, np.nan)
    _patch(y, x <= 1, lambda x: _EIN_SHORT(-x) * x - np.log(x) - np.euler_gamma, x)
    _patch(y, x > 1, lambda x: _EXP1_FAR(1 - 6 / (x + 2)) * np.exp(-x) / (x + 1), x)
    return y


def expi(x: Any) -> Any:
    """The exponential integral Ei(x), the principal value of the integral of exp(t) / t from -inf to x; -inf at 0.

    The power series up to 6 (NIST DLMF 6.6.1), exp(x) / x times fits from there on, and -E1(-x) below 0.

    >>> expi(np.array([-1.0, 1.0]))
    array([-0.21938393,  1.89511782])
    """
    return _map("expi", x, _expi)


def _expi(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    y = np.full_like(x, np.nan)
    _patch(y, x < 0, lambda x: -_exp1(-x), x)
    _patch(y, (x >= 0) & (x <= 6), lambda x: _EIN(x) * x + (np.log(x) + np.euler_gamma), x)
    _patch(y, x > 6, _expi_far, x)
    return y


def _expi_far(x: np.ndarray) -> np.ndarray:
    x = np.minimum(x, 800.0)  # enough to overflow; inf would make 0 * inf
    y = np.empty_like(x)
    _patch(y, x <= 12, lambda x: _EXPI_6(24 / x - 3), x)
    _patch(y, (x > 12) & (x <= 24), lambda x: _EXPI_12(48 / x - 3), x)
    _patch(y, x > 24, lambda x: _EXPI_24(48 / x - 1), x)
    half = np.exp(0.5 * x)
    return y / x * half * half


# the terms B_k / (k + 1)! of even k
_DEBYE = _Polynomial(_DOUBLE, [1, *[b / math.factorial(2 * k + 3) for k, b in enumerate(_BERNOULLI)]])


def spence(x: Any) -> Any:
    """Spence's function, the dilogarithm of 1 - x, for x >= 0 (nan below): the integral of log(t) / (1 - t) from 1 to x.

    The series of Bernoulli numbers in log(x), for 1/2 <= x <= 2, and the relations that lead there (L. Lewin, Polylogarithms
    and Associated Functions, 1981, section 1.5).

    >>> spence(np.array([0.0, 1.0]))
    array([1.64493407, 0.        ])
    """
    return _map("spence", x, _spence)


def _spence(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    y = np.full_like(x, np.nan)
    _patch(y, (x >= 0.5) & (x <= 2), lambda x: _debye(0 - np.log(x)), x)
    _patch(y, (x >= 0) & (x < 0.5), _spence_near_zero, x)
    _patch(y, x > 2, lambda x: -0.5 * np.log(x) ** 2 - _spence_near_zero(1 / x), x)
    return y


def _spence_near_zero(x: np.ndarray) -> np.ndarray:
    x = np.maximum(x, 1e-300)
    log_rest = np.log1p(-x)
    return math.pi**2 / 6 - np.log(x) * log_rest - _debye(-log_rest)


def _debye(u: np.ndarray) -> np.ndarray:
    """The integral of t / (exp(t) - 1) from 0 to u."""
    return u * _DEBYE(u * u) - 0.25 * u * u
