"""Kernels of linear algebra that `numpy.linalg` lacks, on batches of plain arrays: triangular and tridiagonal systems, LU, expm, adjugate. NumPy alone.

Everything is blocked, so that nearly all arithmetic is in matrix products; the last two axes are the matrix, the leading ones the batch.
"""

from __future__ import annotations

import math

import numpy as np

_BLOCK = 64
_PANEL = 32


def _flipped(x: np.ndarray) -> np.ndarray:
    return x[..., ::-1, ::-1]


# ------------------------------------------------------------------ triangular systems


def _solve_block(a: np.ndarray, b: np.ndarray, lower: bool, unit_diagonal: bool) -> np.ndarray:
    """One small triangular system. Elimination leaves an upper triangle as it is, so that LAPACK's solver only substitutes back."""
    a = np.tril(a) if lower else np.triu(a)
    if unit_diagonal:
        n = a.shape[-1]
        a[..., np.arange(n), np.arange(n)] = 1
    if lower:
        return np.linalg.solve(_flipped(a), b[..., ::-1, :])[..., ::-1, :]
    return np.linalg.solve(a, b)


def triangular_solve(a: np.ndarray, b: np.ndarray, lower: bool, unit_diagonal: bool) -> np.ndarray:
    """x with a x = b for a triangle a of shape (..., n, n) and b of shape (..., n, k); the other triangle of a is not read.

    >>> triangular_solve(np.array([[2.0, 9.0], [1.0, 1.0]]), np.array([[2.0], [3.0]]), True, False)
    array([[1.],
           [2.]])
    """
    n = a.shape[-1]
    if a.shape[:-2] != b.shape[:-2]:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        b = np.broadcast_to(b, (*batch, *b.shape[-2:]))
    if n <= _BLOCK:
        return _solve_block(a, b, lower, unit_diagonal)
    x = np.empty(b.shape, np.result_type(a, b))
    starts = range(0, n, _BLOCK)
    for start in starts if lower else reversed(starts):
        rows = slice(start, min(start + _BLOCK, n))
        done = slice(0, start) if lower else slice(rows.stop, n)
        rest = b[..., rows, :]
        if done.start < done.stop:
            rest = rest - np.matmul(a[..., rows, done], x[..., done, :])
        x[..., rows, :] = _solve_block(a[..., rows, rows], rest, lower, unit_diagonal)
    return x


# ------------------------------------------------------------------ LU


def lu(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """LU with partial pivoting, as LAPACK's getrf: both factors in one (..., m, n) matrix, the row swaps, and the permutation that they make.

    >>> lu(np.array([[1.0, 2.0], [4.0, 4.0]]))[0]
    array([[4.  , 4.  ],
           [0.25, 1.  ]])
    """
    batch, (m, n) = a.shape[:-2], a.shape[-2:]
    k, size = min(m, n), math.prod(batch)
    x = np.array(a.reshape(size, m, n), order="C")
    pivots = np.empty((size, k), np.int32)
    order = np.tile(np.arange(m, dtype=np.int32), (size, 1))
    each = np.arange(size)
    for start in range(0, k, _PANEL):
        stop = min(start + _PANEL, k)
        for j in range(start, stop):
            column = x[:, j:, j]
            weight = np.abs(column) if column.dtype.kind == "f" else np.abs(column.real) + np.abs(column.imag)
            p = pivots[:, j] = weight.argmax(axis=1) + j
            for moved in (x, order):
                moved[each, p], moved[:, j] = moved[:, j].copy(), moved[each, p]
            pivot = x[:, j, j]
            x[:, j + 1 :, j] /= np.where(pivot == 0, 1, pivot)[:, None]  # below a zero pivot all is zero
            if j + 1 < stop:
                x[:, j + 1 :, j + 1 : stop] -= x[:, j + 1 :, j, None] * x[:, j, None, j + 1 : stop]
        if stop < n:
            right = x[:, start:stop, stop:]
            right[...] = _solve_block(x[:, start:stop, start:stop], right, True, True)
            x[:, stop:, stop:] -= np.matmul(x[:, stop:, start:stop], right)
    return x.reshape(a.shape), pivots.reshape(*batch, k), order.reshape(*batch, m)


# ------------------------------------------------------------------ tridiagonal systems


def tridiagonal_solve(
    dl: np.ndarray, d: np.ndarray, du: np.ndarray, b: np.ndarray, perturb_singular: bool = False
) -> np.ndarray:
    """x of a tridiagonal system (diagonals (..., n), dl[0] and du[-1] not read; b (..., n, k)), by elimination with row swaps (LAPACK's gtsv).

    perturb_singular: put a number of the size of the rounding error in the place of a zero pivot, instead of an error.

    >>> tridiagonal_solve(np.array([0.0, 1.0]), np.array([2.0, 2.0]), np.array([1.0, 0.0]), np.array([[3.0], [3.0]]))
    array([[1.],
           [1.]])
    """
    dtype = np.result_type(dl, d, du, b)
    n = d.shape[-1]
    batch = np.broadcast_shapes(dl.shape[:-1], d.shape[:-1], du.shape[:-1], b.shape[:-2])
    # rows first: each step then works on whole contiguous rows of the batch
    low, mid, up = [np.moveaxis(np.broadcast_to(v, (*batch, n)).astype(dtype), -1, 0)[..., None] for v in (dl, d, du)]
    x = np.moveaxis(np.broadcast_to(b, (*batch, *b.shape[-2:])).astype(dtype), -2, 0).copy()
    mid, up = mid.copy(), up.copy()
    up2 = np.zeros_like(up)  # what swapping rows puts into the second upper diagonal

    def fixed(pivot: np.ndarray) -> np.ndarray:
        if pivot.all():
            return pivot
        if not perturb_singular:
            raise np.linalg.LinAlgError("Singular matrix")
        size = max([float(np.abs(v).max()) for v in (low[1:], mid, up[:-1]) if v.size] or [0.0])
        return np.where(pivot == 0, np.finfo(dtype).eps * (size or 1.0), pivot)

    for i in range(n - 1):
        next_up = up[i + 1] if i + 2 < n else np.zeros_like(up[i])
        swap = np.abs(low[i + 1]) > np.abs(mid[i])
        pivot, other = fixed(np.where(swap, low[i + 1], mid[i])), np.where(swap, mid[i], low[i + 1])
        factor = other / pivot
        first, second = np.where(swap, mid[i + 1], up[i]), np.where(swap, up[i], mid[i + 1])
        above = np.where(swap, next_up, 0)
        mid[i], up[i], up2[i] = pivot, first, above
        mid[i + 1] = second - factor * first
        up[i + 1] = np.where(swap, 0, next_up) - factor * above
        kept, reduced = np.where(swap, x[i + 1], x[i]), np.where(swap, x[i], x[i + 1])
        x[i], x[i + 1] = kept, reduced - factor * kept
    if n:
        mid[n - 1] = fixed(mid[n - 1])
    for i in reversed(range(n)):
        if i + 1 < n:
            x[i] -= up[i] * x[i + 1]
        if i + 2 < n:
            x[i] -= up2[i] * x[i + 2]
        x[i] /= mid[i]
    return np.moveaxis(x, 0, -2)


# ------------------------------------------------------------------ the matrix exponential

# Numerator coefficients of the diagonal Pade approximant of order m: (2m - j)! m! / ((2m)! j! (m - j)!); Higham, "The scaling and squaring
# method for the matrix exponential revisited" (2005), which also gives the largest 1-norms for which each order is exact to rounding.
_PADE_LIMITS = {
    "float64": {3: 1.495585217958292e-2, 5: 2.539398330063230e-1, 7: 9.504178996162932e-1, 9: 2.097847961257068, 13: 5.371920351148152},
    "float32": {3: 4.258730016922831e-1, 5: 1.880152677804762, 7: 3.925724783138660},
}  # fmt: skip


def _pade(a: np.ndarray, order: int) -> np.ndarray:
    f = math.factorial
    c = [f(2 * order - j) * f(order) / (f(2 * order) * f(j) * f(order - j)) for j in range(order + 1)]
    square = np.matmul(a, a)
    eye = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    even, odd, power = c[0] * eye, c[1] * eye, eye
    for j in range(2, order, 2):
        power = np.matmul(power, square)
        even, odd = even + c[j] * power, odd + c[j + 1] * power
    odd = np.matmul(a, odd)
    return np.linalg.solve(even - odd, even + odd)


def expm(a: np.ndarray) -> np.ndarray:
    """The exponential of each matrix, by scaling, a Pade approximant and squaring.

    >>> expm(np.zeros((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """
    flat = a.reshape(math.prod(a.shape[:-2]), *a.shape[-2:])
    out = np.empty_like(flat)
    if not a.size:
        return out.reshape(a.shape)
    limits = _PADE_LIMITS["float32" if a.dtype.name in ("float32", "complex64") else "float64"]
    norms = np.abs(flat).sum(axis=-2).max(axis=-1)
    finite = np.isfinite(norms)
    out[~finite] = np.nan
    highest, largest = max(limits), max(limits.values())
    with np.errstate(divide="ignore", invalid="ignore"):
        squarings = np.where(finite & (norms > largest), np.ceil(np.log2(norms / largest)), 0).astype(int)
    orders = np.full(len(flat), highest)
    for order in sorted(limits, reverse=True):
        orders[norms <= limits[order]] = order
    for order, times in {(o, s) for o, s, good in zip(orders.tolist(), squarings.tolist(), finite) if good}:
        mine = finite & (orders == order) & (squarings == times)
        x = _pade(flat[mine] * a.real.dtype.type(2.0**-times), order)
        for _ in range(times):
            x = np.matmul(x, x)
        out[mine] = x
    return out.reshape(a.shape)


# ------------------------------------------------------------------ Sylvester's equation and the square root


def sylvester(a: np.ndarray, b: np.ndarray, q: np.ndarray) -> np.ndarray:
    """x with a x + x b = q, in the eigenvectors of a and b; if those are too dependent, as one linear system (Golub and Van Loan, 7.6.3).

    >>> sylvester(np.eye(1), np.eye(1), np.array([[4.0]]))
    array([[2.]])
    """
    dtype = np.result_type(a, b, q)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2], q.shape[:-2])
    m, n = q.shape[-2:]
    a, b, q = [np.broadcast_to(v, (*batch, *v.shape[-2:])) for v in (a, b, q)]
    if not q.size:
        return np.zeros((*batch, m, n), dtype)
    (left, u), (right, v) = np.linalg.eig(a), np.linalg.eig(b)
    sums = left[..., :, None] + right[..., None, :]
    scale = np.abs(left).max() + np.abs(right).max()
    if np.abs(sums).min() <= np.finfo(dtype).eps * scale:
        raise np.linalg.LinAlgError("Singular equation")
    try:
        inverse_u, inverse_v = np.linalg.inv(u), np.linalg.inv(v)
        x = np.zeros((*batch, m, n), dtype)
        for _ in range(2):  # the second time with what the first one left over
            rest = q - np.matmul(a, x) - np.matmul(x, b)
            step = u @ ((inverse_u @ rest @ v) / sums) @ inverse_v
            x = x + (step if dtype.kind == "c" else step.real).astype(dtype)
        error = np.abs(q - np.matmul(a, x) - np.matmul(x, b)).max()
        if error <= np.sqrt(np.finfo(dtype).eps) * max(np.abs(q).max(), scale * np.abs(x).max()) * 1e-2:
            return x
    except np.linalg.LinAlgError:
        pass
    big = np.einsum("...ij,kl->...ikjl", a, np.eye(n)) + np.einsum("ij,...lk->...ikjl", np.eye(m), b)
    return (
        np.linalg.solve(big.reshape(*batch, m * n, m * n), q.reshape(*batch, m * n, 1))
        .reshape(*batch, m, n)
        .astype(dtype)
    )


def sqrtm(a: np.ndarray) -> np.ndarray:
    """The principal square root, complex: that of the Schur form, column by column (Bjorck and Hammarling 1983).

    >>> sqrtm(np.diag([4.0, 9.0])).real
    array([[2., 0.],
           [0., 3.]])
    """
    dtype = np.result_type(a, np.complex64)
    if not a.size:
        return a.astype(dtype)
    t, q = schur(a.astype(dtype))
    n = t.shape[-1]
    root = np.zeros_like(t)
    values = t[..., range(n), range(n)]
    if a.dtype.kind == "f":  # no rounding error decides the sign of a negative one's root
        nearly = np.abs(values.imag) <= 100 * np.finfo(dtype).eps * np.linalg.norm(a, axis=(-2, -1))[..., None]
        values = np.where(nearly, values.real, values)
    root[..., range(n), range(n)] = np.sqrt(values)
    for j in range(n):
        for i in reversed(range(j)):
            inner = np.matmul(root[..., i, None, i + 1 : j], root[..., i + 1 : j, j, None])[..., 0, 0]
            top, bottom = t[..., i, j] - inner, root[..., i, i] + root[..., j, j]
            with np.errstate(divide="ignore", invalid="ignore"):
                root[..., i, j] = np.where((top == 0) & (bottom == 0), 0, top / bottom)
    return q @ root @ q.conj().swapaxes(-1, -2)


# ------------------------------------------------------------------ the Schur form


def schur(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """t and unitary z with a = z t z*: t a triangle, or for real matrices one with 2 by 2 blocks of complex pairs (LAPACK's gees).

    Orthonormalised eigenvectors are Schur vectors, as far as they are independent: those that are not (of a matrix that has no basis of
    eigenvectors) are found again in what the others leave.

    >>> schur(np.array([[1.0, 0.0], [2.0, 1.0]]))[0]
    array([[1., 2.],
           [0., 1.]])
    """
    n = a.shape[-1]
    flat = a.reshape(math.prod(a.shape[:-2]), n, n)
    t, z = np.array(flat), np.empty_like(flat)
    for i in range(len(flat)):
        z[i] = _schur_vectors(t[i])
    return t.reshape(a.shape), z.reshape(a.shape)


def _schur_vectors(t: np.ndarray) -> np.ndarray:
    """z of one matrix, which becomes its Schur form."""
    n, real = t.shape[0], t.dtype.kind == "f"
    z = np.eye(n, dtype=t.dtype)
    if not np.isfinite(t).all():
        t[...], z[...] = np.nan, np.nan
        return z
    start, tolerance = 0, 100 * np.finfo(t.dtype).eps * np.linalg.norm(t)
    while start < n:
        values, vectors = np.linalg.eig(t[start:, start:])
        pairs = values.imag > 0 if real else np.zeros(len(values), bool)
        if real:  # a pair spans the plane of the two parts of its vector
            second = np.flatnonzero(pairs) + 1
            parts = np.array(vectors.real)
            parts[:, second] = vectors.imag[:, second - 1]
            vectors = parts
        q = np.linalg.qr(vectors)[0].astype(t.dtype)
        t[start:] = q.conj().T @ t[start:]
        t[:, start:] = t[:, start:] @ q
        z[:, start:] = z[:, start:] @ q
        size = _deflated(t[start:, start:], pairs, tolerance)
        for i in np.flatnonzero(pairs[:size]) + start:
            turn = _equal_diagonal(t[i : i + 2, i : i + 2])
            t[i : i + 2] = turn.T @ t[i : i + 2]
            t[:, i : i + 2] = t[:, i : i + 2] @ turn
            z[:, i : i + 2] = z[:, i : i + 2] @ turn
            t[i + 1, i + 1] = t[i, i]
        start += size
    return z


def _equal_diagonal(block: np.ndarray) -> np.ndarray:
    """The rotation that makes the diagonal of a 2 by 2 block equal, which shows its eigenvalues."""
    angle = 0.5 * np.arctan2(block[1, 1] - block[0, 0], block[0, 1] + block[1, 0])
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]], block.dtype)


def _deflated(t: np.ndarray, pairs: np.ndarray, tolerance: float) -> int:
    """How many leading columns of t have the Schur form up to rounding (one block at least); what is below them becomes zero."""
    n = t.shape[0]
    k = 0
    while k < n:
        size = 2 if pairs[k] else 1
        if k and np.linalg.norm(t[k + size :, k : k + size]) > tolerance:
            break
        t[k + size :, k : k + size] = 0
        k += size
    return k


# ------------------------------------------------------------------ the adjugate


def _products_of_others(s: np.ndarray) -> np.ndarray:
    """For each element of the last axis, the product of the others."""
    ones = np.ones_like(s[..., :1])
    before = np.concatenate([ones, np.cumprod(s[..., :-1], axis=-1)], axis=-1)
    behind = np.concatenate([np.cumprod(s[..., :0:-1], axis=-1)[..., ::-1], ones], axis=-1)
    return before * behind


def adjugate(a: np.ndarray) -> np.ndarray:
    """The transposed matrix of cofactors, det(a) inv(a) where that exists; by the singular values, so that it is right for singular matrices.

    >>> adjugate(np.array([[1.0, 2.0], [2.0, 4.0]])).round(12)
    array([[ 4., -2.],
           [-2.,  1.]])
    """
    if not a.shape[-1]:
        return a.copy()
    u, s, vh = np.linalg.svd(a)
    sign = np.linalg.det(u) * np.linalg.det(vh)
    scale = (sign[..., None] * _products_of_others(s))[..., None, :]
    return np.matmul(vh.conj().swapaxes(-1, -2) * scale, u.conj().swapaxes(-1, -2)).astype(a.dtype, copy=False)


# ------------------------------------------------------------------ reflectors


def hessenberg(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reduce square matrices to Hessenberg form by reflections, as LAPACK's gehrd: the form with the reflectors below its subdiagonal, and their factors.

    >>> hessenberg(np.array([[1.0, 2.0], [3.0, 4.0]]))[1]
    array([0.])
    """
    batch, n = a.shape[:-2], a.shape[-1]
    x = np.array(a.reshape(math.prod(batch), n, n))
    taus = np.zeros((len(x), max(n - 1, 0)), a.dtype)
    for i in range(n - 1):
        v, beta, tau = _reflector(x[:, i + 1 :, i])
        taus[:, i] = tau
        row, column = v.conj()[:, None, :], v[:, :, None]
        rest = x[:, :, i + 1 :]
        rest -= tau[:, None, None] * np.matmul(np.matmul(rest, column), row)
        rest = x[:, i + 1 :, i + 1 :]
        rest -= tau.conj()[:, None, None] * np.matmul(column, np.matmul(row, rest))
        x[:, i + 1, i], x[:, i + 2 :, i] = beta, v[:, 1:]
    return x.reshape(a.shape), taus.reshape(*batch, -1) if n > 1 else np.zeros((*batch, 0), a.dtype)


def _reflector(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """v (v[0] = 1), beta and tau with (I - tau v v*)* x = beta e0, beta real; nothing to do gives tau = 0 (LAPACK's larfg)."""
    first, tail = x[:, 0], x[:, 1:]
    length = np.linalg.norm(tail, axis=1)
    idle = (length == 0) & (first.imag == 0)
    beta = -np.copysign(np.hypot(np.abs(first), length), first.real)
    with np.errstate(divide="ignore", invalid="ignore"):
        tau = np.where(idle, 0, (beta - first) / beta)
        v = np.where(idle[:, None], 0, tail / (first - beta)[:, None])
    return np.concatenate([np.ones_like(first)[:, None], v], axis=1), np.where(idle, first, beta), tau


def column_order(a: np.ndarray) -> np.ndarray:
    """The order in which QR with column pivoting takes the columns: always the one that is longest beside those already taken.

    >>> column_order(np.array([[1.0, 3.0], [0.0, 4.0]]))
    array([1, 0], dtype=int32)
    """
    batch, (m, n) = a.shape[:-2], a.shape[-2:]
    x = np.array(a.reshape(math.prod(batch), m, n))
    order = np.tile(np.arange(n, dtype=np.int32), (len(x), 1))
    each = np.arange(len(x))
    for i in range(min(m, n)):
        p = np.linalg.norm(x[:, i:, i:], axis=1).argmax(axis=1) + i
        for moved in (x.swapaxes(1, 2), order):
            moved[each, p], moved[:, i] = moved[:, i].copy(), moved[each, p]
        v, _, tau = _reflector(x[:, i:, i])
        rest = x[:, i:, i:]
        rest -= tau.conj()[:, None, None] * np.matmul(v[:, :, None], np.matmul(v.conj()[:, None, :], rest))
    return order.reshape(*batch, n)


def permutation_of_swaps(pivots: np.ndarray, permutation_size: int) -> np.ndarray:
    """The order of rows that successive swaps of row i with row pivots[i] make.

    >>> permutation_of_swaps(np.array([1, 1]), 2)
    array([1, 0], dtype=int32)
    """
    batch = pivots.shape[:-1]
    flat = pivots.reshape(math.prod(batch), pivots.shape[-1])
    order = np.tile(np.arange(permutation_size, dtype=np.int32), (len(flat), 1))
    each = np.arange(len(flat))
    for i, p in enumerate(flat.T):
        order[each, p], order[:, i] = order[:, i].copy(), order[each, p]
    return order.reshape(*batch, permutation_size)
