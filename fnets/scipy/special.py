"""`fnets.scipy.special`: special functions with SciPy's names, for real numbers. May import `fnets.numpy`, primitives, core.

Elementwise, with NumPy's broadcasting and dtypes: a float keeps its dtype, integers give float64, Python numbers are weak. Derivatives are those of
the functions; where none is known in closed form (the shape parameters of `betainc`), asking for it raises an error that says so.
"""

from __future__ import annotations

import math
from operator import index as operator_index
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError
from fnets.numpy import reductions as r
from fnets.numpy.arguments import elementwise, known, promoted_inexact, to_array, to_inexact
from fnets.primitives import elementwise as e
from fnets.primitives import special_functions as f
from fnets.primitives.base import as_axes, convert, kept, reshape, zeros_like
from fnets.primitives.shape import stack, stop_gradient
from fnets.primitives.softmax import log_softmax as _log_softmax
from fnets.primitives.softmax import logsumexp as _logsumexp
from fnets.primitives.softmax import softmax as _softmax

__all__ = [
    "bernoulli", "bessel_jn", "beta", "betainc", "betaln", "binom", "boxcox", "boxcox1p", "comb", "dawsn", "digamma", "entr", "erf", "erfc", "erfcinv",
    "erfcx", "erfinv", "exp1", "expi", "expit", "expn", "factorial", "fresnel", "gamma", "gammainc", "gammaincc", "gammaln", "gammasgn", "hyp1f1",
    "hyp2f1", "i0", "i0e", "i1", "i1e", "inv_boxcox", "j0", "j1", "jn", "jv", "kl_div", "log_expit", "log_ndtr", "log_softmax", "loggamma", "logit",
    "logsumexp", "multigammaln", "ndtr", "ndtri", "owens_t", "poch", "polygamma", "psi", "rel_entr", "rgamma", "sici", "softmax", "spence",
    "sph_harm_y", "wofz", "xlog1py", "xlogy", "y0", "y1", "yn", "zeta",
]  # fmt: skip

# ------------------------------------------------------------------ the gamma function and its relatives


@elementwise(e.lgamma)
def gammaln(x: Any, /) -> Any:
    """The logarithm of the absolute value of the gamma function.

    >>> gammaln(np.array([1.0, 5.0])).round(6)
    array([0.      , 3.178054])
    """


@elementwise(e.lgamma)
def loggamma(x: Any, /) -> Any:
    """`gammaln`, for real x > 0.

    >>> loggamma(np.array([1.0, 5.0])).round(6)
    array([0.      , 3.178054])
    """


def _sign_of_gamma(x: Any) -> Any:
    whole = e.eq(x, e.floor(x))
    odd = e.ne(e.remainder(e.floor(x), 2), 0)
    below = e.select(whole, math.nan, e.select(odd, -1.0, 1.0))
    positive = e.logical_or(e.gt(x, 0), e.eq(x, 0))
    return e.select(positive, e.select(e.signbit(x), -1.0, 1.0), below)


def gammasgn(x: Any) -> Any:
    """The sign of the gamma function: nan at the negative integers, where it has a pole; at 0 the sign of the zero.

    >>> gammasgn(np.array([-1.5, -0.5, 2.0]))
    array([ 1., -1.,  1.])
    """
    x = to_inexact(x)
    return convert(_sign_of_gamma(x), dtype_of(x))


def gamma(x: Any) -> Any:
    """The gamma function.

    >>> gamma(np.array([5.0, 0.5])).round(6)
    array([24.      ,  1.772454])
    """
    x = to_inexact(x)
    return e.mul(gammasgn(x), e.exp(e.lgamma(x)))


def rgamma(x: Any) -> Any:
    """1 / gamma(x), 0 at the poles of the gamma function.

    >>> rgamma(np.array([5.0, -1.0])).round(6)
    array([0.041667, 0.      ])
    """
    x = to_inexact(x)
    pole = e.logical_and(e.le(x, 0), e.eq(x, e.floor(x)))
    safe = e.select(pole, e.fill_like(x, 1), x)
    return e.select(pole, e.fill_like(x, 0), e.mul(gammasgn(safe), e.exp(e.neg(e.lgamma(safe)))))


@elementwise(e.digamma)
def digamma(x: Any, /) -> Any:
    """The derivative of `gammaln`.

    >>> digamma(np.array([1.0])).round(6)
    array([-0.577216])
    """


@elementwise(e.digamma)
def psi(x: Any, /) -> Any:
    """Another name of `digamma`.

    >>> psi(np.array([1.0])).round(6)
    array([-0.577216])
    """


@elementwise(f.polygamma)
def polygamma(n: Any, x: Any, /) -> Any:
    """The n-th derivative of `digamma`, for an integer n >= 0.

    >>> polygamma(1, np.array([1.0])).round(6)
    array([1.644934])
    """


def multigammaln(a: Any, d: int) -> Any:
    """The logarithm of the multivariate gamma function of dimension d.

    >>> multigammaln(np.array([2.0]), 1)
    array([0.])
    """
    d, a = operator_index(d), to_inexact(a)
    terms = [e.lgamma(e.sub(a, 0.5 * i)) for i in range(d)]
    return e.add(d * (d - 1) / 4 * math.log(math.pi), r.sum(stack(terms), 0) if terms else zeros_like(a))


def poch(z: Any, m: Any) -> Any:
    """The rising factorial gamma(z + m) / gamma(z).

    >>> poch(np.array([3.0]), 2.0).round(6)
    array([12.])
    """
    z, m = promoted_inexact(z, m)
    top = e.add(z, m)
    sign = e.mul(gammasgn(top), gammasgn(z))
    return e.select(e.eq(m, 0), e.fill_like(z, 1), e.mul(sign, e.exp(e.sub(e.lgamma(top), e.lgamma(z)))))


def factorial(n: Any, exact: bool = False) -> Any:
    """n! = gamma(n + 1), and 0 for negative n.

    Args:
      n: array.
      exact: not supported: results are floats.

    >>> factorial(np.array([0, 3, 5])).round(6)
    array([  1.,   6., 120.])
    """
    if exact:
        raise ArgumentError("[factorial] expected exact=False, got True: results are floats here. Use math.factorial.")
    n = to_inexact(n)
    negative = e.lt(n, 0)
    safe = e.select(negative, e.fill_like(n, 1), n)
    return e.select(negative, e.fill_like(n, 0), e.exp(e.lgamma(e.add(safe, 1))))


def binom(n: Any, k: Any) -> Any:
    """The binomial coefficient "n over k", for real n and k.

    >>> binom(np.array([5.0]), 2.0).round(6)
    array([10.])
    """
    n, k = promoted_inexact(n, k)
    top, below, rest = e.add(n, 1), e.add(k, 1), e.add(e.sub(n, k), 1)
    sign = e.mul(gammasgn(top), e.mul(_pole_sign(below), _pole_sign(rest)))
    return e.mul(sign, e.exp(e.sub(e.lgamma(top), e.add(e.lgamma(below), e.lgamma(rest)))))


def _pole_sign(x: Any) -> Any:
    """The sign of 1 / gamma(x): 0 at the poles."""
    pole = e.logical_and(e.le(x, 0), e.eq(x, e.floor(x)))
    return e.select(pole, e.fill_like(x, 0), gammasgn(e.select(pole, e.fill_like(x, 1), x)))


def comb(N: Any, k: Any, exact: bool = False, repetition: bool = False) -> Any:
    """The number of ways to choose k of N things: 0 where k > N or one of them is negative.

    Args:
      N, k: arrays; whole results are rounded to whole numbers.
      exact: not supported: results are floats.
      repetition: things may be chosen again.

    >>> comb(np.array([5, 4]), 2)
    array([10.,  6.])
    """
    if exact:
        raise ArgumentError("[comb] expected exact=False, got True: results are floats here. Use math.comb.")
    whole = dtype_of(to_array(N)).kind in "iub" and dtype_of(to_array(k)).kind in "iub"
    N, k = promoted_inexact(N, k)
    if repetition:
        N = e.sub(e.add(N, k), 1)
    possible = e.logical_and(e.ge(N, 0), e.logical_and(e.ge(k, 0), e.le(k, N)))
    N, k = e.select(possible, N, e.fill_like(N, 1)), e.select(possible, k, e.fill_like(k, 1))
    value = binom(N, k)
    return e.select(possible, e.rint(value) if whole else value, e.fill_like(value, 0))


def betaln(a: Any, b: Any) -> Any:
    """The logarithm of the absolute value of the beta function.

    >>> betaln(np.array([1.0]), 2.0).round(6)
    array([-0.693147])
    """
    return f.log_beta(*promoted_inexact(a, b))


def beta(a: Any, b: Any) -> Any:
    """The beta function gamma(a) gamma(b) / gamma(a + b).

    >>> beta(np.array([1.0]), 2.0).round(6)
    array([0.5])
    """
    a, b = promoted_inexact(a, b)
    sign = e.mul(gammasgn(a), e.mul(gammasgn(b), gammasgn(e.add(a, b))))
    return e.mul(sign, e.exp(f.log_beta(a, b)))


def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularised incomplete beta function I_x(a, b), for a, b > 0 and 0 <= x <= 1; differentiable in x.

    >>> betainc(2.0, 3.0, np.array([0.0, 0.5, 1.0]))
    array([0.    , 0.6875, 1.    ])
    """
    return f.betainc(*promoted_inexact(a, b, x))


@elementwise(f.igamma)
def gammainc(a: Any, x: Any, /) -> Any:
    """The regularised lower incomplete gamma function, for a, x >= 0; once differentiable in a.

    >>> gammainc(np.array([1.0]), np.array([1.0])).round(6)
    array([0.632121])
    """


@elementwise(f.igammac)
def gammaincc(a: Any, x: Any, /) -> Any:
    """The regularised upper incomplete gamma function, 1 - `gammainc`, accurate where it is small.

    >>> gammaincc(np.array([1.0]), np.array([1.0])).round(6)
    array([0.367879])
    """


def zeta(x: Any, q: Any = None) -> Any:
    """The Hurwitz zeta function, the sum over k of (k + q)**-x; Riemann's for q = 1, the default. Differentiable in q.

    >>> zeta(np.array([2.0]), 1.0).round(6)
    array([1.644934])
    """
    return e.zeta(*promoted_inexact(x, 1.0 if q is None else q))


def bernoulli(n: int) -> np.ndarray:
    """The Bernoulli numbers B_0 to B_n, with B_1 = -1/2.

    >>> bernoulli(4).round(6)
    array([ 1.      , -0.5     ,  0.166667,  0.      , -0.033333])
    """
    n = operator_index(n)
    out = np.zeros(n + 1)
    out[:2] = [1.0, -0.5][: n + 1]
    k = np.arange(2, n + 1, 2)
    size = np.exp(e.lgamma(k + 1.0) - k * math.log(2 * math.pi)) * 2 * e.zeta(k.astype(float), 1.0)
    out[2::2] = np.where(k % 4 == 2, size, -size)
    return out


# ------------------------------------------------------------------ the error function and the normal law


@elementwise(e.erf)
def erf(x: Any, /) -> Any:
    """The error function.

    >>> erf(np.array([0.0, 1.0])).round(6)
    array([0.      , 0.842701])
    """


@elementwise(e.erfc)
def erfc(x: Any, /) -> Any:
    """1 - erf(x), accurate where it is small.

    >>> erfc(np.array([0.0, 1.0])).round(6)
    array([1.      , 0.157299])
    """


@elementwise(e.erf_inv)
def erfinv(x: Any, /) -> Any:
    """The inverse of `erf`.

    >>> erfinv(np.array([0.5])).round(6)
    array([0.476936])
    """


def erfcinv(x: Any) -> Any:
    """The inverse of `erfc`.

    >>> erfcinv(np.array([0.5])).round(6)
    array([0.476936])
    """
    return e.mul(f.ndtri(e.mul(to_inexact(x), 0.5)), -math.sqrt(0.5))


@elementwise(f.ndtr)
def ndtr(x: Any, /) -> Any:
    """The distribution function of the standard normal law.

    >>> ndtr(np.array([0.0, 1.0])).round(6)
    array([0.5     , 0.841345])
    """


@elementwise(f.ndtri)
def ndtri(p: Any, /) -> Any:
    """The inverse of `ndtr`.

    >>> ndtri(np.array([0.5, 0.975])).round(6)
    array([0.      , 1.959964])
    """


@elementwise(f.log_ndtr)
def log_ndtr(x: Any, /) -> Any:
    """The logarithm of `ndtr`, accurate far below 0.

    >>> log_ndtr(np.array([-40.0])).round(6)
    array([-804.608442])
    """


def wofz(z: Any) -> Any:
    """The Faddeeva function exp(-z * z) erfc(-i z), complex also for real z.

    >>> wofz(np.array([1j])).real.round(6)
    array([0.427584])
    """
    z = to_inexact(z)
    return f.wofz(convert(z, np.result_type(dtype_of(z), np.complex64)))


@elementwise(f.erfcx)
def erfcx(x: Any, /) -> Any:
    """exp(x * x) `erfc`(x), without underflow for large x; complex numbers too.

    >>> erfcx(np.array([0.0, 100.0])).round(6)
    array([1.      , 0.005642])
    """


@elementwise(f.dawsn)
def dawsn(x: Any, /) -> Any:
    """Dawson's integral: exp(-x * x) times that of exp(t * t) from 0 to x.

    >>> dawsn(np.array([1.0])).round(6)
    array([0.53808])
    """


def fresnel(x: Any) -> tuple[Any, Any]:
    """Fresnel's integrals (S, C): those of sin(pi t * t / 2) and of cos(pi t * t / 2) from 0 to x, for real x.

    >>> [v.round(6) for v in fresnel(np.array([1.0]))]
    [array([0.438259]), array([0.779893])]
    """
    x = to_inexact(x)
    return f.fresnel_s(x), f.fresnel_c(x)


@elementwise(f.owens_t)
def owens_t(h: Any, a: Any, /) -> Any:
    """Owen's T function: the probability of X > h and 0 < Y < a X, for independent standard normal X and Y.

    >>> owens_t(np.array([0.0]), 1.0)
    array([0.125])
    """


# ------------------------------------------------------------------ logits, softmax, entropies


@elementwise(e.logistic)
def expit(x: Any, /) -> Any:
    """The logistic sigmoid 1 / (1 + exp(-x)).

    >>> expit(np.array([0.0]))
    array([0.5])
    """


def log_expit(x: Any) -> Any:
    """The logarithm of `expit`, accurate far below 0.

    >>> log_expit(np.array([-1000.0]))
    array([-1000.])
    """
    return e.neg(e.softplus(e.neg(to_inexact(x))))


def logit(x: Any) -> Any:
    """log(x / (1 - x)), the inverse of `expit`.

    >>> logit(np.array([0.5]))
    array([0.])
    """
    x = to_inexact(x)
    return e.sub(e.log(x), e.log1p(e.neg(x)))


def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False, where: Any = None
) -> Any:
    """log(sum(b exp(a))), without overflow.

    Args:
      a: array.
      axis: axes to sum over, all by default.
      b: factors, which may be negative or zero.
      keepdims: keep the reduced axes with length 1.
      return_sign: return (log of the absolute value, sign); without it the logarithm of a negative sum is nan.
      where: elements to include.

    >>> logsumexp(np.array([1000.0, 1000.0])).round(6)
    np.float64(1000.693147)
    """
    if b is None:
        a = to_inexact(a)
    else:
        a, b = promoted_inexact(a, b)
        shape = np.broadcast_shapes(shape_of(a), shape_of(b))
        a, b = e.add(a, np.zeros(shape, dtype_of(a))), e.add(b, np.zeros(shape, dtype_of(b)))
    if where is not None:
        a = e.select(to_array(where), a, np.asarray(-np.inf, dtype_of(a)))
    shape = shape_of(a)
    axes = as_axes(axis, len(shape), "logsumexp")
    if b is None and not return_sign:
        out = _logsumexp(a, axes) if axes else a
        return reshape(out, kept(shape, axes)) if keepdims else out
    b = np.ones((), dtype_of(a)) if b is None else b
    a = e.select(e.eq(b, 0), np.asarray(-np.inf, dtype_of(a)), a)
    peak = stop_gradient(r.max(e.real(a) if dtype_of(a).kind == "c" else a, axes, keepdims=True, initial=-np.inf))
    peak = e.select(e.is_finite(peak), peak, np.zeros((), dtype_of(peak)))
    total = r.sum(e.mul(b, e.exp(e.sub(a, peak))), axes, keepdims=keepdims)
    if not keepdims:
        peak = reshape(peak, shape_of(total))
    with np.errstate(divide="ignore", invalid="ignore"):
        if return_sign or dtype_of(total).kind == "c":
            out = e.add(e.log(e.abs(total) if return_sign else total), peak)
            return (out, e.sign(total)) if return_sign else out
        return e.add(e.log(total), peak)


def softmax(x: Any, axis: Any = None) -> Any:
    """exp(x) divided by its sum over axes, by default all.

    >>> softmax(np.array([0.0, 0.0]))
    array([0.5, 0.5])
    """
    x = to_inexact(x)
    return _softmax(x, as_axes(axis, len(shape_of(x)), "softmax"))


def log_softmax(x: Any, axis: Any = None) -> Any:
    """The logarithm of `softmax`.

    >>> log_softmax(np.array([0.0, 0.0])).round(6)
    array([-0.693147, -0.693147])
    """
    x = to_inexact(x)
    return _log_softmax(x, as_axes(axis, len(shape_of(x)), "log_softmax"))


@elementwise(f.xlogy)
def xlogy(x: Any, y: Any, /) -> Any:
    """x log(y), and 0 for x = 0.

    >>> xlogy(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    array([0., 0.])
    """


@elementwise(f.xlog1py)
def xlog1py(x: Any, y: Any, /) -> Any:
    """x log(1 + y), and 0 for x = 0.

    >>> xlog1py(np.array([0.0, 1.0]), np.array([-1.0, 0.0]))
    array([0., 0.])
    """


def _entropy_like(defined: Any, zero: Any, value: Any, otherwise: float) -> Any:
    return e.select(defined, value, e.select(zero, e.fill_like(value, 0), e.fill_like(value, otherwise)))


def entr(x: Any) -> Any:
    """-x log(x), 0 at 0, and -inf below.

    >>> entr(np.array([0.0, 1.0, -1.0]))
    array([  0.,  -0., -inf])
    """
    x = to_inexact(x)
    positive = e.gt(x, 0)
    safe = e.select(positive, x, e.fill_like(x, 1))
    return _entropy_like(positive, e.eq(x, 0), e.neg(e.mul(safe, e.log(safe))), -np.inf)


def rel_entr(p: Any, q: Any) -> Any:
    """p log(p / q), 0 at p = 0, and inf where p or q is negative, or q zero.

    >>> rel_entr(np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    array([0., 0.])
    """
    p, q = promoted_inexact(p, q)
    both = e.logical_and(e.gt(p, 0), e.gt(q, 0))
    one = e.fill_like(p, 1)
    safe_p, safe_q = e.select(both, p, one), e.select(both, q, one)
    value = e.mul(safe_p, e.sub(e.log(safe_p), e.log(safe_q)))
    return _entropy_like(both, e.logical_and(e.eq(p, 0), e.ge(q, 0)), value, np.inf)


def kl_div(p: Any, q: Any) -> Any:
    """p log(p / q) - p + q, and inf where p or q is negative.

    >>> kl_div(np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    array([1., 0.])
    """
    p, q = promoted_inexact(p, q)
    return e.add(e.sub(rel_entr(p, q), p), q)


def boxcox(x: Any, lmbda: Any) -> Any:
    """(x**lmbda - 1) / lmbda, and log(x) for lmbda = 0.

    >>> boxcox(np.array([4.0]), 0.5)
    array([2.])
    """
    x, lmbda = promoted_inexact(x, lmbda)
    return _boxcox(e.log(x), lmbda)


def boxcox1p(x: Any, lmbda: Any) -> Any:
    """`boxcox` of 1 + x.

    >>> boxcox1p(np.array([3.0]), 0.5)
    array([2.])
    """
    x, lmbda = promoted_inexact(x, lmbda)
    return _boxcox(e.log1p(x), lmbda)


def _boxcox(log_x: Any, lmbda: Any) -> Any:
    zero = e.eq(lmbda, 0)
    safe = e.select(zero, e.fill_like(lmbda, 1), lmbda)
    return e.select(zero, log_x, e.div(e.expm1(e.mul(safe, log_x)), safe))


def inv_boxcox(y: Any, lmbda: Any) -> Any:
    """The inverse of `boxcox`.

    >>> inv_boxcox(np.array([2.0]), 0.5).round(6)
    array([4.])
    """
    y, lmbda = promoted_inexact(y, lmbda)
    zero = e.eq(lmbda, 0)
    safe = e.select(zero, e.fill_like(lmbda, 1), lmbda)
    return e.exp(e.select(zero, y, e.div(e.log1p(e.mul(safe, y)), safe)))


# ------------------------------------------------------------------ Bessel functions


@elementwise(f.bessel_i0)
def i0(x: Any, /) -> Any:
    """The modified Bessel function of the first kind of order 0.

    >>> i0(np.array([1.0])).round(6)
    array([1.266066])
    """


@elementwise(f.bessel_i0e)
def i0e(x: Any, /) -> Any:
    """exp(-|x|) i0(x).

    >>> i0e(np.array([1000.0])).round(6)
    array([0.012617])
    """


@elementwise(f.bessel_i1)
def i1(x: Any, /) -> Any:
    """The modified Bessel function of the first kind of order 1.

    >>> i1(np.array([1.0])).round(6)
    array([0.565159])
    """


@elementwise(f.bessel_i1e)
def i1e(x: Any, /) -> Any:
    """exp(-|x|) i1(x).

    >>> i1e(np.array([1000.0])).round(6)
    array([0.012611])
    """


@elementwise(f.bessel_j0)
def j0(x: Any, /) -> Any:
    """The Bessel function of the first kind of order 0.

    >>> j0(np.array([1.0])).round(6)
    array([0.765198])
    """


@elementwise(f.bessel_j1)
def j1(x: Any, /) -> Any:
    """The Bessel function of the first kind of order 1.

    >>> j1(np.array([1.0])).round(6)
    array([0.440051])
    """


@elementwise(f.bessel_y0)
def y0(x: Any, /) -> Any:
    """The Bessel function of the second kind of order 0.

    >>> y0(np.array([1.0])).round(6)
    array([0.088257])
    """


@elementwise(f.bessel_y1)
def y1(x: Any, /) -> Any:
    """The Bessel function of the second kind of order 1.

    >>> y1(np.array([1.0])).round(6)
    array([-0.781213])
    """


@elementwise(f.bessel_jn)
def jn(n: Any, x: Any, /) -> Any:
    """The Bessel function of the first kind of integer order n (nan for another).

    >>> jn(2, np.array([1.0])).round(6)
    array([0.114903])
    """


@elementwise(f.bessel_jn)
def jv(n: Any, x: Any, /) -> Any:
    """Another name of `jn`; integer orders only.

    >>> jv(2, np.array([1.0])).round(6)
    array([0.114903])
    """


@elementwise(f.bessel_yn)
def yn(n: Any, x: Any, /) -> Any:
    """The Bessel function of the second kind of integer order n.

    >>> yn(2, np.array([1.0])).round(6)
    array([-1.650683])
    """


def bessel_jn(z: Any, *, v: int, n_iter: int = 50) -> Any:
    """The Bessel functions of the first kind of the orders 0 to v, along a new first axis.

    Args:
      z: array.
      v: the highest order.
      n_iter: accepted and ignored.

    >>> bessel_jn(np.array([1.0]), v=1).round(6)
    array([[0.765198],
           [0.440051]])
    """
    z, v = to_inexact(z), operator_index(v)
    return stack([f.bessel_jn(n, z) for n in range(v + 1)])


# ------------------------------------------------------------------ exponential integrals, the dilogarithm


@elementwise(f.expi)
def expi(x: Any, /) -> Any:
    """The exponential integral Ei.

    >>> expi(np.array([1.0])).round(6)
    array([1.895118])
    """


@elementwise(f.exp1)
def exp1(x: Any, /) -> Any:
    """The exponential integral E1.

    >>> exp1(np.array([1.0])).round(6)
    array([0.219384])
    """


@elementwise(f.expn)
def expn(n: Any, x: Any, /) -> Any:
    """The generalised exponential integral of integer order n >= 0.

    >>> expn(2, np.array([1.0])).round(6)
    array([0.148496])
    """


@elementwise(f.spence)
def spence(x: Any, /) -> Any:
    """The integral of log(t) / (1 - t) from 1 to x, the dilogarithm of 1 - x.

    >>> spence(np.array([0.0])).round(6)
    array([1.644934])
    """


def sici(x: Any) -> tuple[Any, Any]:
    """The sine and cosine integrals: (that of sin(t) / t from 0 to x, gamma + log(|x|) plus that of (cos(t) - 1) / t), for real x.

    >>> [v.round(6) for v in sici(np.array([1.0]))]
    [array([0.946083]), array([0.337404])]
    """
    x = to_inexact(x)
    return f.si(x), f.ci(x)


# ------------------------------------------------------------------ hypergeometric functions, spherical harmonics


def hyp1f1(a: Any, b: Any, x: Any) -> Any:
    """Kummer's confluent hypergeometric function 1F1(a, b, x), of real numbers; once differentiable in a and b.

    inf where b is 0 or a negative integer, but 1 for a = 0.

    >>> hyp1f1(1.0, 2.0, np.array([0.0, 1.0])).round(6)
    array([1.      , 1.718282])
    """
    return f.hyp1f1(*promoted_inexact(a, b, x))


def hyp2f1(a: Any, b: Any, c: Any, x: Any) -> Any:
    """Gauss' hypergeometric function 2F1(a, b, c, x), of real numbers x <= 1; once differentiable in a, b and c.

    inf for x > 1, unless a or b is 0 or a negative integer (a polynomial), and where c is one.

    >>> hyp2f1(1.0, 1.0, 2.0, np.array([0.0, 0.5])).round(6)
    array([1.      , 1.386294])
    """
    return f.hyp2f1(*promoted_inexact(a, b, c, x))


def sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, diff_n: int | None = None, n_max: int | None = None) -> Any:
    """The spherical harmonic of degree n and order m, orthonormal on the sphere, with the phase (-1)^m.

    By the recurrences in the degree of normalised Legendre functions (NIST DLMF 14.10.3, 14.30.1).

    Args:
      n, m: integer arrays, 0 <= |m| <= n; 0 for an order beyond the degree.
      theta: polar angle, from 0 to pi.
      phi: azimuth.
      diff_n: must be None: derivatives are had by differentiating.
      n_max: the largest degree; needed where n is traced.

    Returns:
      A complex array of the common shape (at least one axis, as in JAX), differentiable in the angles.

    >>> sph_harm_y(np.array([1]), np.array([0]), np.array([0.0]), np.array([0.0])).round(6)
    array([0.488603+0.j])
    """
    if diff_n is not None:
        raise ArgumentError("[sph_harm_y] expected diff_n=None, got a number. Differentiate with fnets.grad or jvp.")
    n, m = to_array(n), to_array(m)
    if n_max is None:
        n_max = int(np.max(known(n, "sph_harm_y", "The largest degree, n_max,")))
    theta, phi = promoted_inexact(theta, phi)
    n = e.minimum(n, n_max)
    order, cos, sin = e.abs(m), e.cos(theta), e.sin(theta)
    start = e.add(e.mul(cos, 0), math.sqrt(1 / (4 * math.pi)))  # of degree and order |m|
    for k in range(1, n_max + 1):
        start = e.select(e.le(k, order), e.mul(e.mul(start, sin), -math.sqrt((2 * k + 1) / (2 * k))), start)
    value, below = start, e.mul(start, 0)
    square = convert(e.square(order), dtype_of(cos))
    for degree in range(n_max):
        # from degree to degree + 1, where that is still wanted
        rises = e.logical_and(e.le(order, degree), e.lt(degree, n))
        top = e.select(rises, e.sub((degree + 1) ** 2, square), e.fill_like(square, 1))
        step = e.sqrt(e.div((2 * degree + 1) * (2 * degree + 3), top))
        inner = e.select(rises, e.sub(degree**2, square), e.fill_like(square, 0))
        back = e.sqrt(e.div(e.mul(inner, (2 * degree + 3) / max(2 * degree - 1, 1)), top))
        higher = e.sub(e.mul(e.mul(step, cos), value), e.mul(back, below))
        below, value = e.select(rises, value, below), e.select(rises, higher, value)
    value = e.select(e.gt(order, n), e.fill_like(value, 0), value)
    flips = e.logical_and(e.lt(m, 0), e.ne(e.remainder(order, 2), 0))
    value = e.select(flips, e.neg(value), value)
    angle = e.mul(convert(m, dtype_of(phi)), phi)
    out = e.complex_(e.mul(value, e.cos(angle)), e.mul(value, e.sin(angle)))
    return out if shape_of(out) else reshape(out, (1,))
