"""Sampler primitives: whole draws from a key in one step each. May import random_kernels, base, elementwise, shape, linear_algebra, core.

A key is a uint32 array of shape `(..., 2)`, or `(..., 4)` for Philox; leading dimensions are a batch of keys, so the batch rules only move a
dimension to the front. The draws are constants to every differentiation but for gamma's, which is differentiated implicitly; what
depends on parameters otherwise is composed from other primitives in `fnets.random`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.primitives import random_kernels as kernels
from fnets.primitives import special
from fnets.primitives.base import move_dim, nondifferentiable
from fnets.primitives.elementwise import add, div, elementwise_abstract, elementwise_batch, eq, exp, mul, neg, select
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.shape import swapaxes


def _check_key(op: str, key: ShapedArray) -> None:
    if key.dtype != np.uint32 or key.shape[-1:] not in ((2,), (4,)):
        raise ArgumentError(
            f"[{op}] expected a key, a uint32 array of shape (2,), got {key.str_short()}. Make one with fnets.random.key(seed)."
        )


def _sampler(name: str, impl: Callable, aval: Callable) -> Primitive:
    """A primitive of a key and of parameters that have the drawn shape; `aval(**params)` gives the shape (None: the parameters') and dtype."""
    prim = Primitive(name, fresh=True)

    def abstract(key: ShapedArray, *operands: ShapedArray, **params: Any) -> ShapedArray:
        _check_key(name, key)
        shape, dtype = aval(*operands, **params)
        batch = key.shape[:-1]
        if operands:
            if any([a.shape != operands[0].shape or a.shape[: len(batch)] != batch for a in operands]):
                told = " and ".join(str(a.shape) for a in operands)
                raise ShapeError(
                    f"[{name}] expected parameters of one shape, with the keys' batch {batch} first, got {told}."
                )
            return ShapedArray(operands[0].shape, dtype)
        return ShapedArray((*batch, *shape), dtype)

    def batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
        return prim.bind(*[move_dim(v, d, 0, size) for v, d in zip(vals, dims)], **params), 0

    prim.impl, prim.abstract, prim.batch = impl, abstract, batch
    nondifferentiable(prim)
    return prim


_WORDS = {width: np.dtype(f"uint{width}") for width in (8, 16, 32, 64)}

philox_bits_p = _sampler(
    "philox_bits",
    lambda key, shape, width: kernels.bits(key, shape, width),
    lambda shape, width: (shape, _WORDS[width]),
)
random_uniform_p = _sampler(
    "random_uniform",
    lambda key, shape, dtype, low=0.0, high=1.0: kernels.uniform(key, shape, dtype, low, high),
    lambda shape, dtype, low=0.0, high=1.0: (shape, dtype),
)
random_normal_p = _sampler(
    "random_normal", lambda key, shape, dtype: kernels.normal(key, shape, dtype), lambda shape, dtype: (shape, dtype)
)
random_integers_p = _sampler(
    "random_integers",
    lambda key, shape, dtype, low, span: kernels.integers(key, shape, dtype, low, span),
    lambda shape, dtype, low, span: (shape, dtype),
)
random_order_p = _sampler(
    "random_order",
    lambda key, shape, axis: kernels.order(key, shape, axis),
    lambda shape, axis: (shape, np.dtype("int64")),
)
random_poisson_p = _sampler(
    "random_poisson", lambda key, lam, dtype: kernels.poisson(key, lam, dtype), lambda lam, dtype: (None, dtype)
)
random_binomial_p = _sampler(
    "random_binomial",
    lambda key, count, prob, dtype: kernels.binomial(key, count, prob, dtype),
    lambda count, prob, dtype: (None, dtype),
)


# ------------------------------------------------------------------ gamma, differentiated with respect to its shape parameter

random_gamma_p = _sampler(
    "random_gamma",
    lambda key, a, log_space: kernels.gamma(key, np.asarray(a), log_space),
    lambda a, log_space: (None, a.dtype),
)
random_gamma_p.differentiable = True

# da of a draw x of shape parameter a whose probability is held: -(dP/da) / (dP/dx) with P the regularised incomplete gamma function
random_gamma_grad_p = Primitive("random_gamma_grad", kind="elementwise", fresh=True)
random_gamma_grad_p.impl = special.random_gamma_grad
random_gamma_grad_p.abstract = elementwise_abstract(random_gamma_grad_p, np.arctan2)
random_gamma_grad_p.batch = elementwise_batch(random_gamma_grad_p)


def _no_derivative(*args: Any, **params: Any) -> Any:
    raise ArgumentError(
        "[random_gamma_grad] expected at most one derivative of a gamma draw, got two: its second derivative is not known in closed form. "
        "Use stop_gradient on the parameter, or differentiate the density instead of the draw."
    )


random_gamma_grad_p.jvp = random_gamma_grad_p.vjp = _no_derivative
random_gamma_grad = random_gamma_grad_p.bind


def _gamma_slope(out: Any, a: Any, log_space: bool) -> Any:
    if not log_space:
        return random_gamma_grad(a, out)
    tiny = np.finfo(dtype_of(out)).tiny
    x = exp(out)
    x = select(eq(x, 0), tiny, x)
    return div(random_gamma_grad(a, x), x)


def _gamma_jvp(primals: Sequence, tangents: Sequence, log_space: bool) -> tuple:
    out = random_gamma_p.bind(*primals, log_space=log_space)
    return out, None if tangents[1] is None else mul(tangents[1], _gamma_slope(out, primals[1], log_space))


def _gamma_vjp(active: tuple, key: Any, a: Any, log_space: bool) -> tuple:
    out = random_gamma_p.bind(key, a, log_space=log_space)
    return out, lambda ct: (mul(ct, _gamma_slope(out, a, log_space)),)


random_gamma_p.jvp, random_gamma_p.vjp = _gamma_jvp, _gamma_vjp


# ------------------------------------------------------------------ the orthogonal factor of a Gaussian matrix

haar_p = Primitive("haar", fresh=True)


def _haar_impl(z: np.ndarray) -> np.ndarray:
    """Q of z = Q R with a positive diagonal of R: uniform over orthonormal columns (Mezzadri, Notices of the AMS 54, 2007)."""
    q, r = np.linalg.qr(z)
    return q * np.sign(r.diagonal(0, -2, -1))[..., None, :]


haar_p.impl = _haar_impl
haar_p.abstract = lambda z: ShapedArray((*z.shape[:-1], min(z.shape[-2:])), z.dtype)
haar_p.batch = lambda size, vals, dims: (haar_p.bind(move_dim(vals[0], dims[0], 0, size)), 0)
nondifferentiable(haar_p)


# ------------------------------------------------------------------ a factor F of a covariance matrix F F'

covariance_factor_p = Primitive("covariance_factor", fresh=True)
lower_inverse_p = Primitive("lower_inverse", fresh=True)


def _factor_impl(cov: np.ndarray, method: str) -> np.ndarray:
    if method == "cholesky":
        try:
            return np.linalg.cholesky(0.5 * (cov + cov.swapaxes(-1, -2)))
        except np.linalg.LinAlgError:
            raise ArgumentError(
                "[random.multivariate_normal] expected a positive definite cov, got one that Cholesky's method cannot factor. "
                "Use method='eigh', or add a small multiple of the identity."
            ) from None
    u, s = np.linalg.eigh(cov)[::-1] if method == "eigh" else np.linalg.svd(cov)[:2]
    return u * np.sqrt(s)[..., None, :]


def _constant_factor() -> Any:
    raise ArgumentError(
        "[random.multivariate_normal] expected a constant cov with method 'eigh' or 'svd', got one that is differentiated: the factor's "
        "derivative is not unique where eigenvalues meet. Use method='cholesky'."
    )


def _lower_half(x: Any) -> Any:
    """The lower triangle with half of the diagonal: Phi of the derivative of Cholesky's factor (Murray, arXiv:1602.07527)."""
    n = shape_of(x)[-1]
    return mul(x, (np.tri(n) - 0.5 * np.eye(n)).astype(dtype_of(x)))


def _factor_jvp(primals: Sequence, tangents: Sequence, method: str) -> tuple:
    factor = covariance_factor_p.bind(*primals, method=method)
    if method != "cholesky":
        _constant_factor()
    inverse = lower_inverse_p.bind(factor)
    inner = matmul(matmul(inverse, _symmetric(tangents[0])), swapaxes(inverse, -1, -2))
    return factor, matmul(factor, _lower_half(inner))


def _factor_vjp(active: tuple, cov: Any, method: str) -> tuple:
    factor = covariance_factor_p.bind(cov, method=method)
    if method != "cholesky":
        _constant_factor()

    def pull(ct: Any) -> tuple:
        inverse = lower_inverse_p.bind(factor)
        inner = _lower_half(matmul(swapaxes(factor, -1, -2), ct))
        return (_symmetric(matmul(matmul(swapaxes(inverse, -1, -2), inner), inverse)),)

    return factor, pull


def _symmetric(x: Any) -> Any:
    return mul(add(x, swapaxes(x, -1, -2)), dtype_of(x).type(0.5))


def _inverse_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    out = lower_inverse_p.bind(*primals)
    return out, neg(matmul(matmul(out, tangents[0]), out))


def _inverse_vjp(active: tuple, x: Any) -> tuple:
    out = lower_inverse_p.bind(x)

    def pull(ct: Any) -> tuple:
        turned = swapaxes(out, -1, -2)
        return (neg(matmul(matmul(turned, ct), turned)),)

    return out, pull


covariance_factor_p.impl, covariance_factor_p.abstract = _factor_impl, lambda cov, method: cov
covariance_factor_p.jvp, covariance_factor_p.vjp = _factor_jvp, _factor_vjp
covariance_factor_p.batch = lambda size, vals, dims, method: (
    covariance_factor_p.bind(move_dim(vals[0], dims[0], 0, size), method=method),
    0,
)
lower_inverse_p.impl, lower_inverse_p.abstract = np.linalg.inv, lambda x: x
lower_inverse_p.jvp, lower_inverse_p.vjp = _inverse_jvp, _inverse_vjp
lower_inverse_p.batch = lambda size, vals, dims: (lower_inverse_p.bind(move_dim(vals[0], dims[0], 0, size)), 0)
