"""Special matrices, for `fnets.scipy.linalg`: made of vectors (Toeplitz, companion ...) or of their size alone. May import `fnets.numpy`, primitives, core.

Those made of vectors work on the last axis, leading axes being a batch, and are differentiable. Those of a size alone are plain arrays of the
default float.
"""

from __future__ import annotations

import math
from operator import index as operator_index
from typing import Any

import numpy as np

from fnets.config import default_complex, default_float
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.numpy.arguments import promoted, to_array, to_inexact
from fnets.numpy.indexing import take
from fnets.primitives import elementwise as e
from fnets.primitives.base import broadcast_to, reshape
from fnets.primitives.shape import concatenate, expand_dims, flip, pad, slice_in_dim
from fnets.primitives.solvers import conjugate

__all__ = [
    "block_diag", "circulant", "companion", "convolution_matrix", "dft", "fiedler", "fiedler_companion", "hadamard", "hankel", "helmert", "hilbert",
    "invhilbert", "invpascal", "leslie", "pascal", "toeplitz",
]  # fmt: skip

# ------------------------------------------------------------------ made of vectors


def _vectors(op: str, x: Any, at_least: int = 0) -> Any:
    x = to_array(x)
    if not shape_of(x):
        x = reshape(x, (1,))
    if shape_of(x)[-1] < at_least:
        raise ArgumentError(
            f"[{op}] expected at least {at_least} elements along the last axis, got shape {shape_of(x)}."
        )
    return x


def _one_batch(a: Any, b: Any) -> tuple[Any, Any]:
    a, b = promoted(a, b)
    batch = np.broadcast_shapes(shape_of(a)[:-1], shape_of(b)[:-1])
    return broadcast_to(a, (*batch, shape_of(a)[-1])), broadcast_to(b, (*batch, shape_of(b)[-1]))


def _rest(x: Any) -> Any:
    n = shape_of(x)[-1]
    return slice_in_dim(x, min(1, n), n, axis=-1)


def _last(x: Any) -> int:
    return len(shape_of(x)) - 1


def toeplitz(c: Any, r: Any = None) -> Any:
    """Matrices with constant diagonals.

    Args:
      c: array (..., m), the first column.
      r: array (..., n), the first row; its first element is not used. The conjugate of c by default.

    >>> toeplitz(np.array([1, 2]), np.array([0, 5, 6]))
    array([[1, 5, 6],
           [2, 1, 5]])
    """
    c = _vectors("toeplitz", c)
    c, r = _one_batch(c, conjugate(c) if r is None else _vectors("toeplitz", r))
    m, n = shape_of(c)[-1], shape_of(r)[-1]
    diagonals = concatenate([flip(_rest(r), (_last(r),)), c], _last(c))
    if not m or not n:
        return np.zeros((*shape_of(c)[:-1], m, n), dtype_of(c))
    return take(diagonals, np.arange(m)[:, None] - np.arange(n) + n - 1, -1)


def hankel(c: Any, r: Any = None) -> Any:
    """Matrices with constant antidiagonals.

    Args:
      c: array (..., m), the first column.
      r: array (..., n), the last row; its first element is not used. Zeros by default.

    >>> hankel(np.array([1, 2]), np.array([0, 5, 6]))
    array([[1, 2, 5],
           [2, 5, 6]])
    """
    c = _vectors("hankel", c)
    c, r = _one_batch(c, e.mul(c, 0) if r is None else _vectors("hankel", r))
    m, n = shape_of(c)[-1], shape_of(r)[-1]
    if not m or not n:
        return np.zeros((*shape_of(c)[:-1], m, n), dtype_of(c))
    return take(concatenate([c, _rest(r)], _last(c)), np.arange(m)[:, None] + np.arange(n), -1)


def circulant(c: Any) -> Any:
    """Matrices whose columns are shifts of the first one, an array (..., n).

    >>> circulant(np.array([1, 2, 3]))
    array([[1, 3, 2],
           [2, 1, 3],
           [3, 2, 1]])
    """
    c = _vectors("circulant", c)
    n = shape_of(c)[-1]
    if not n:
        return np.zeros((*shape_of(c)[:-1], 0, 0), dtype_of(c))
    return take(c, (np.arange(n)[:, None] - np.arange(n)) % n, -1)


def _below(first_row: Any, diagonal: Any) -> Any:
    """Square matrices of a first row and what stands just below the diagonal."""
    first_row, diagonal = promoted(first_row, diagonal)
    n = shape_of(first_row)[-1]
    batch = shape_of(first_row)[:-1]
    wide = expand_dims(broadcast_to(diagonal, (*batch, n - 1)), -1)
    lower = e.mul(wide, np.eye(n - 1, n, dtype=dtype_of(wide)))
    return concatenate([expand_dims(first_row, -2), lower], len(batch))


def companion(a: Any) -> Any:
    """The matrices whose eigenvalues are the roots of polynomials of the coefficients (..., n), highest power first, as (..., n - 1, n - 1).

    >>> companion(np.array([1.0, -3.0, 2.0]))
    array([[ 3., -2.],
           [ 1.,  0.]])
    """
    a = to_inexact(_vectors("companion", a, 2))
    n = shape_of(a)[-1]
    row = e.neg(e.div(_rest(a), slice_in_dim(a, 0, 1, axis=-1)))
    return _below(row, np.ones(n - 2, dtype_of(a)))


def leslie(f: Any, s: Any) -> Any:
    """The matrices of population models: fecundities (..., n) in the first row, survival rates (..., n - 1) below the diagonal.

    >>> leslie(np.array([0.1, 2.0]), np.array([0.2]))
    array([[0.1, 2. ],
           [0.2, 0. ]])
    """
    f, s = _vectors("leslie", f, 2), to_array(s)
    if not shape_of(s) or shape_of(s)[-1] != shape_of(f)[-1] - 1:
        raise ShapeError(
            f"[leslie] expected one fewer element in s than in f along the last axis, got {shape_of(f)} and {shape_of(s)}."
        )
    return _below(*_one_batch(f, s))


def fiedler(a: Any) -> Any:
    """The matrices of |a_i - a_j|, of arrays (..., n).

    >>> fiedler(np.array([1, 4, 6]))
    array([[0, 3, 5],
           [3, 0, 2],
           [5, 2, 0]])
    """
    a = _vectors("fiedler", a)
    return e.abs(e.sub(expand_dims(a, -1), expand_dims(a, -2)))


def fiedler_companion(a: Any) -> Any:
    """Pentadiagonal companion matrices of polynomials of the coefficients (..., n), highest power first, as (..., n - 1, n - 1).

    Source: Fiedler, "A note on companion matrices" (2003).

    >>> fiedler_companion(np.array([1.0, -3.0, 2.0]))
    array([[ 3., -2.],
           [ 1.,  0.]])
    """
    a = to_inexact(_vectors("fiedler_companion", a, 1))
    n = shape_of(a)[-1] - 1
    if not n:
        return np.zeros((*shape_of(a)[:-1], 0, 0), dtype_of(a))
    scaled = e.neg(e.div(a, slice_in_dim(a, 0, 1, axis=-1)))
    which, ones = np.zeros((n, n), np.int64), np.zeros((n, n))
    which[0, 0] = 1
    if n > 1:
        which[0, 1], ones[1, 0] = 2, 1
    for k in range(2, n):  # coefficient a[k + 1] and the one beside it, in rows k - k % 2 and k
        row, column = (k, k - 1) if k % 2 == 0 else (k - 1, k)
        which[row, column] = k + 1
        ones[(k - 2, k) if k % 2 == 0 else (k, k - 2)] = 1
    dtype = np.finfo(dtype_of(a)).dtype
    return e.add(e.mul(take(scaled, which, -1), (which > 0).astype(dtype)), ones.astype(dtype))


def convolution_matrix(a: Any, n: int, mode: str = "full") -> Any:
    """The matrices that convolve with vectors (..., m): `convolution_matrix(a, n, mode) @ v` is `convolve(a, v, mode)` for v of length n.

    Args:
      a: array (..., m).
      n: number of columns.
      mode: "full" (m + n - 1 rows), "same" (max(m, n)), or "valid" (max(m, n) - min(m, n) + 1).

    >>> convolution_matrix(np.array([1, 2]), 2)
    array([[1, 0],
           [2, 1],
           [0, 2]])
    """
    n = operator_index(n)
    if n < 1:
        raise ArgumentError(f"[convolution_matrix] expected a positive number of columns, got {n}.")
    if mode not in ("full", "same", "valid"):
        raise ArgumentError(f'[convolution_matrix] expected mode "full", "same" or "valid", got {mode!r}.')
    a = to_array(a)
    if not shape_of(a) or not shape_of(a)[-1]:
        raise ArgumentError(
            f"[convolution_matrix] expected at least one element along the last axis, got shape {shape_of(a)}."
        )
    m = shape_of(a)[-1]
    cut = {"full": 0, "same": min(m, n) - 1, "valid": 2 * (min(m, n) - 1)}[mode]
    rows = np.arange(cut // 2, m + n - 1 - (cut - cut // 2))
    offset = rows[:, None] - np.arange(n)
    inside = (offset >= 0) & (offset < m)
    return e.select(inside, take(a, np.where(inside, offset, 0), -1), np.zeros((), dtype_of(a)))


def block_diag(*arrs: Any) -> Any:
    """The matrix with the given matrices (or numbers, or rows) along its diagonal.

    >>> block_diag(np.array([[1, 2]]), 3)
    array([[1, 2, 0],
           [0, 0, 3]])
    """
    blocks = promoted(*arrs) if arrs else [np.zeros((1, 0))]
    for b in blocks:
        if len(shape_of(b)) > 2:
            raise ShapeError(f"[block_diag] expected matrices, got shape {shape_of(b)}. Use vmap for batches.")
    blocks = [reshape(b, (1,) * (2 - len(shape_of(b))) + shape_of(b)) for b in blocks]
    width, left, rows = sum(shape_of(b)[1] for b in blocks), 0, []
    for b in blocks:
        n = shape_of(b)[1]
        rows.append(pad(b, np.zeros((), dtype_of(b)), [(0, 0, 0), (left, width - left - n, 0)]))
        left += n
    return concatenate(rows, 0)


# ------------------------------------------------------------------ made of their size


def _size(op: str, n: Any, at_least: int = 0) -> int:
    n = operator_index(n)
    if n < at_least:
        raise ArgumentError(f"[{op}] expected n of at least {at_least}, got {n}.")
    return n


def hilbert(n: int) -> np.ndarray:
    """The matrix of 1 / (i + j + 1).

    >>> hilbert(2)
    array([[1.        , 0.5       ],
           [0.5       , 0.33333334]], dtype=float32)
    """
    i = np.arange(_size("hilbert", n))
    return (1 / (i[:, None] + i + 1)).astype(default_float())


def invhilbert(n: int) -> np.ndarray:
    """The inverse of `hilbert(n)`, exact before it is rounded to floats.

    >>> invhilbert(2)
    array([[ 4., -6.],
           [-6., 12.]], dtype=float32)
    """
    n, c = _size("invhilbert", n), math.comb
    values = [
        [(-1) ** (i + j) * (i + j + 1) * c(n + i, n - j - 1) * c(n + j, n - i - 1) * c(i + j, i) ** 2 for j in range(n)]
        for i in range(n)
    ]
    return np.array(values, dtype=object).astype(default_float()).reshape(n, n)


def _kind(op: str, kind: str | None) -> str:
    kind = "symmetric" if kind is None else kind
    if kind not in ("symmetric", "lower", "upper"):
        raise ArgumentError(f'[{op}] expected kind "symmetric", "lower" or "upper", got {kind!r}.')
    return kind


def pascal(n: int, kind: str | None = None) -> np.ndarray:
    """The matrix of binomial coefficients: "i + j over i" ("symmetric", the default), or its triangular factors "lower" and "upper".

    >>> pascal(3, "lower")
    array([[1., 0., 0.],
           [1., 1., 0.],
           [1., 2., 1.]], dtype=float32)
    """
    n, kind = _size("pascal", n), _kind("pascal", kind)
    symmetric = kind == "symmetric"
    values = [[math.comb(i + j, i) if symmetric else math.comb(i, j) for j in range(n)] for i in range(n)]
    out = np.array(values, dtype=object).astype(default_float()).reshape(n, n)
    return out.T.copy() if kind == "upper" else out


def invpascal(n: int, kind: str | None = None) -> np.ndarray:
    """The inverse of `pascal(n, kind)`.

    >>> invpascal(2)
    array([[ 2., -1.],
           [-1.,  1.]], dtype=float32)
    """
    n, kind = _size("invpascal", n), _kind("invpascal", kind)
    lower = [[(-1) ** (i + j) * math.comb(i, j) for j in range(n)] for i in range(n)]
    if kind == "symmetric":
        lower = [[sum(lower[k][i] * lower[k][j] for k in range(n)) for j in range(n)] for i in range(n)]
    out = np.array(lower, dtype=object).astype(default_float()).reshape(n, n)
    return out.T.copy() if kind == "upper" else out


def hadamard(n: int, dtype: Any = int) -> np.ndarray:
    """Sylvester's matrix of ones and minus ones with orthogonal rows, n a power of 2.

    >>> hadamard(2)
    array([[ 1,  1],
           [ 1, -1]])
    """
    n = operator_index(n)
    if n < 1 or n & (n - 1):
        raise ArgumentError(f"[hadamard] expected n to be a positive power of 2, got {n}.")
    i = np.arange(n)
    return np.where(np.bitwise_count(i[:, None] & i) % 2, -1, 1).astype(dtype)


def helmert(n: int, full: bool = False) -> np.ndarray:
    """The n - 1 orthonormal rows of contrasts between each element and the mean of those before it; with `full`, the constant row first.

    >>> helmert(2)
    array([[ 0.70710677, -0.70710677]], dtype=float32)
    """
    n = _size("helmert", n, 1)
    i = np.arange(n)[:, None]
    out = np.tril(np.ones((n, n)), -1) - np.diag(np.arange(n))
    out[1:] /= np.sqrt(i * (i + 1))[1:]
    out[0] = 1 / math.sqrt(n)
    return (out if full else out[1:]).astype(default_float())


def dft(n: int, scale: str | None = None, *, dtype: Any = None) -> np.ndarray:
    """The matrix of the discrete Fourier transform.

    Args:
      n: its size.
      scale: None, "sqrtn" (divided by the root of n: unitary) or "n".
      dtype: a complex dtype; the default one if None.

    >>> dft(2).real
    array([[ 1.,  1.],
           [ 1., -1.]], dtype=float32)
    """
    n = _size("dft", n)
    if scale not in (None, "sqrtn", "n"):
        raise ArgumentError(f'[dft] expected scale None, "sqrtn" or "n", got {scale!r}.')
    dtype = default_complex() if dtype is None else np.dtype(dtype)
    if dtype.kind != "c":
        raise DTypeError(f"[dft] expected a complex dtype, got {dtype.name}.")
    i = np.arange(n)
    out = np.exp(-2j * np.pi * (i[:, None] * i % max(n, 1)) / max(n, 1))
    return (out / {None: 1, "sqrtn": math.sqrt(n), "n": n}[scale]).astype(dtype) if n else out.astype(dtype)
