"""Golden values for linear algebra (linalg.npz) from SciPy and from JAX in float64: what `numpy.linalg` lacks, and gradients of functions that
do not depend on the phases of vectors. Needs the `bench` extra.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg as sl
from golden_io import save

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)


def matrix(m: int, n: int, is_complex: bool) -> np.ndarray:
    """A matrix of normal numbers."""
    x = rng.standard_normal((m, n))
    return x + 1j * rng.standard_normal((m, n)) if is_complex else x


# functions of a matrix through its vectors, independent of their phases
def of_eigh(a, w):
    """Sum of weighted squared moduli of eigenvectors and eigenvalues."""
    values, vectors = jnp.linalg.eigh(a)
    return jnp.sum(w * jnp.abs(vectors) ** 2) + jnp.sum(values**3)


def of_eig(a, w):
    """The same for a general matrix."""
    values, vectors = jax.lax.linalg.eig(a, compute_left_eigenvectors=False, enable_eigvec_derivs=True)
    return jnp.sum(w * jnp.abs(vectors) ** 2) + jnp.real(jnp.sum(values**3))


def of_svd(a, w):
    """A rank-2 approximation, weighted, and the singular values."""
    u, s, vh = jnp.linalg.svd(a, full_matrices=False)
    return jnp.sum(w * jnp.abs((u[:, :2] * s[:2] ** 1.5) @ vh[:2]) ** 2) + jnp.sum(s**2.5)


def of_svdvals(a, w):
    """Singular values alone."""
    return jnp.sum(jnp.linalg.svd(a, compute_uv=False) ** 1.5)


def of_cholesky(a, w):
    """A factor of a positive definite matrix made of a."""
    low = jnp.linalg.cholesky(a @ a.conj().T + 2 * jnp.eye(a.shape[0]))
    return jnp.sum(w[: a.shape[0], : a.shape[0]] * jnp.abs(low) ** 2)


def of_qr(a, w):
    """The projector on the columns, and the upper factor."""
    q, r = jnp.linalg.qr(a)
    return jnp.sum(w[: a.shape[0], : a.shape[0]] * jnp.abs(q @ q.conj().T) ** 2) + jnp.sum(jnp.abs(r) ** 3)


def of_expm(a, w):
    """Exponential."""
    return jnp.sum(w * jnp.abs(jax.scipy.linalg.expm(a)))


def of_pinv(a, w):
    """Pseudo-inverse."""
    return jnp.sum(w.T * jnp.abs(jnp.linalg.pinv(a)) ** 2)


def of_slogdet(a, w):
    """Sign and logarithm of the determinant."""
    sign, logdet = jnp.linalg.slogdet(a)
    return logdet**2 + jnp.real(sign * (1 + 2j))


def of_lu(a, w):
    """Both factors."""
    return jnp.sum(w * jnp.abs(jax.lax.linalg.lu(a)[0]) ** 2)


GRADIENTS = [
    *[
        (f, 4, 4)
        for f in (of_eigh, of_eig, of_svd, of_svdvals, of_cholesky, of_qr, of_expm, of_pinv, of_slogdet, of_lu)
    ],
    *[(f, 5, 3) for f in (of_svd, of_svdvals, of_qr, of_pinv, of_lu)],
    *[(f, 3, 5) for f in (of_svd, of_svdvals, of_pinv, of_lu)],
]


def main() -> None:
    """Write the file."""
    arrays, config = {}, []
    for function, m, n in GRADIENTS:
        for is_complex in (False, True):
            a, w = matrix(m, n, is_complex), rng.standard_normal((m, max(m, n)))[:, :n]
            if function in (of_cholesky, of_qr) and m < max(m, n):
                continue
            if function in (of_cholesky, of_qr):
                w = rng.standard_normal((m, m))
            if function is of_eigh:
                a = a + a.conj().T
            i = len(config)
            value, gradient = jax.value_and_grad(function)(a, w)
            arrays |= {f"a{i}": a, f"w{i}": w, f"value{i}": value, f"gradient{i}": gradient}
            config.append({"name": function.__name__})
    for is_complex in (False, True):
        kind = "complex" if is_complex else "real"
        a, square = matrix(6, 4, is_complex), matrix(5, 5, is_complex)
        h, taus = jax.lax.linalg.hessenberg(square)
        out, d, e, t = jax.lax.linalg.tridiagonal(square, lower=True)
        up = jax.lax.linalg.tridiagonal(square, lower=False)
        raw, factors = np.linalg.qr(a, mode="raw")
        reflected = jax.lax.linalg.householder_product(raw.T, factors)
        q, r, order = sl.qr(a, pivoting=True, mode="economic")
        arrays |= {
            f"{kind}_{k}": v
            for k, v in {
                "square": square, "hessenberg": h, "hessenberg_taus": taus, "lower": out, "lower_d": d, "lower_e": e, "lower_taus": t,
                "upper": up[0], "upper_d": up[1], "upper_e": up[2], "upper_taus": up[3], "raw": raw.T, "taus": factors, "reflected": reflected,
                "tall": a, "pivoted_q": q, "pivoted_r": r, "pivoted_order": order, "lu": sl.lu_factor(square)[0],
                "pivots": sl.lu_factor(square)[1], "expm": sl.expm(3 * square), "sqrtm": sl.sqrtm(square @ square.conj().T + np.eye(5)),
                "root": sl.sqrtm(square), "sylvester": sl.solve_sylvester(square, a[:4], a[:5]), "polar": sl.polar(a)[0],
                "polar_left": sl.polar(a, "left")[1], "hess": sl.hessenberg(square), "hess_q": sl.hessenberg(square, calc_q=True)[1],
            }.items()
        }  # fmt: skip
    save("linalg", arrays, config)


if __name__ == "__main__":
    main()
