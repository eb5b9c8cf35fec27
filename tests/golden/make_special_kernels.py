"""Golden values of the kernels in fnets/primitives/special.py: special_kernels.npz. Needs mpmath (in the `bench` extra).

mpmath and not SciPy, whose own erfc, lgamma and igamma are off by more than the tests allow. The arguments are exact in
float32, so that the values serve both precisions.
"""

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
from golden_io import save

rng = np.random.default_rng(20240606)


def log_uniform(low: float, high: float, n: int) -> np.ndarray:
    return np.exp(rng.uniform(np.log(low), np.log(high), n))


def both_signs(x: np.ndarray) -> np.ndarray:
    return np.concatenate([-x[::-1], x])


def ordinary(high: float, n: int = 30) -> np.ndarray:
    return both_signs(np.concatenate([log_uniform(1e-6, high, n), np.arange(1, 9) / 2]))


def positive(low: float, high: float, n: int = 40) -> np.ndarray:
    return np.concatenate([log_uniform(low, high, n), np.arange(1, 13) / 4])


def near_mean(low: float, high: float, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Shapes a and points x of the gamma distribution within a few deviations, and some beyond."""
    a = log_uniform(low, high, n)
    return a, a * np.exp(rng.normal(size=n) * np.minimum(1.0, 3 / np.sqrt(a)))


def gamma_lower(a: Any, x: Any) -> tuple[Any, Any]:
    """P(a, x) and its derivative in a, by the power series with as many digits as the cancellation takes."""
    with mp.workdps(60 + int(max(0, (x - a - a * mp.log(x / a)) / 2.3))):
        front = mp.exp(a * mp.log(x) - x - mp.loggamma(a + 1))
        term, total, harmonic, slope, k = mp.mpf(1), mp.mpf(1), mp.mpf(0), mp.mpf(0), a
        while k < x or term * (1 + harmonic) > mp.eps * total:
            k += 1
            term *= x / k
            harmonic += 1 / k
            total += term
            slope -= term * harmonic
        lower = front * total
        return lower, lower * (mp.log(x) - mp.psi(0, a + 1)) + front * slope


def gamma_upper(a: Any, x: Any) -> Any:
    with mp.workdps(60 + int(max(0, (x - a - a * mp.log(x / a)) / 2.3))):
        return 1 - gamma_lower(a, x)[0]


def gamma_density(a: Any, x: Any) -> Any:
    return mp.exp((a - 1) * mp.log(x) - x - mp.loggamma(a))


def hurwitz(s: Any, q: Any) -> Any:
    """Euler and Maclaurin's formula far out: mpmath's own zeta loses relative accuracy where it is small."""
    total = mp.mpf(0)
    while q < 50:
        total += q**-s
        q += 1
    total += q ** (1 - s) / (s - 1) + q**-s / 2
    factor = s * q ** (-s - 1)
    for k in range(1, 30):
        total += mp.bernoulli(2 * k) / mp.factorial(2 * k) * factor
        factor *= (s + 2 * k - 1) * (s + 2 * k) / q**2
    return total


def normal_quantile(p: Any) -> Any:
    return mp.findroot(lambda x: mp.log(mp.ncdf(x)) - mp.log(p), mp.mpf(-1) if p < 0.5 else mp.mpf(1), tol=1e-40)


def log_ndtr(x: Any) -> Any:
    return mp.log(mp.erfc(-x / mp.sqrt(2)) / 2) if x < 0 else mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2)


def cases() -> dict[str, tuple[Callable, tuple[np.ndarray, ...]]]:
    a, x = (np.concatenate(v) for v in zip(near_mean(1e-3, 20), near_mean(20, 1e5, 25)))
    p, q = log_uniform(0.05, 1e3, 40), log_uniform(0.05, 1e3, 40)
    mean = p / (p + q)
    unit = np.clip(mean + rng.normal(size=40) * np.sqrt(mean * (1 - mean) / (p + q + 1)), 0.01, 0.99)
    orders = rng.integers(0, 5, 30).astype(float)
    return {
        "logistic": (lambda x: 1 / (1 + mp.exp(-x)), (ordinary(80),)),
        "softplus": (lambda x: mp.log1p(mp.exp(x)), (ordinary(80),)),
        "rsqrt": (lambda x: 1 / mp.sqrt(x), (positive(1e-30, 1e30),)),
        "erf": (mp.erf, (ordinary(6),)),
        "erfc": (mp.erfc, (np.concatenate([ordinary(4), np.linspace(0.5, 9, 18)]),)),
        "erf_inv": (mp.erfinv, (both_signs(np.concatenate([log_uniform(1e-6, 1, 30), [0.5, 0.75, 0.875, 0.99]])),)),
        "ndtr": (mp.ncdf, (ordinary(12),)),
        "log_ndtr": (log_ndtr, (ordinary(12),)),
        "ndtri": (normal_quantile, (np.concatenate([log_uniform(1e-30, 0.5, 30), 1 - log_uniform(1e-4, 0.5, 15)]),)),
        "lgamma": (lambda x: mp.log(abs(mp.gamma(x))), (np.concatenate([positive(1e-5, 1e4), [-0.3, -1.5, -7.25]]),)),
        "digamma": (lambda x: mp.psi(0, x), (np.concatenate([positive(1e-5, 1e6), [-0.25, -1.75, -7.25]]),)),
        "zeta": (hurwitz, (1 + log_uniform(0.01, 15, 40), log_uniform(0.05, 100, 40))),
        "polygamma": (lambda n, x: mp.psi(int(n), x), (orders, log_uniform(0.05, 50, 30))),
        "igamma": (lambda a, x: gamma_lower(a, x)[0], (a, x)),
        "igammac": (gamma_upper, (a, x)),
        "igamma_grad_a": (lambda a, x: gamma_lower(a, x)[1], (a, x)),
        "random_gamma_grad": (lambda a, x: -gamma_lower(a, x)[1] / gamma_density(a, x), (a, x)),
        "betainc": (lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True), (p, q, unit)),
        "i0": (lambda x: mp.besseli(0, x), (ordinary(80),)),
        "i1": (lambda x: mp.besseli(1, x), (ordinary(80),)),
        "i0e": (lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), (ordinary(1e4),)),
        "i1e": (lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), (ordinary(1e4),)),
        "expi": (mp.ei, (ordinary(80),)),
        "exp1": (mp.e1, (positive(1e-6, 80),)),
        "spence": (lambda x: mp.re(mp.polylog(2, 1 - x)), (positive(1e-6, 1e6),)),
    }


def main() -> None:
    mp.mp.dps = 50
    arrays, config = {}, []
    for name, (function, args) in cases().items():
        args = [np.asarray(x).astype(np.float32).astype(np.float64) for x in args]
        arrays.update({f"{name}_arg{i}": x for i, x in enumerate(args)})
        rows = zip(*args)
        arrays[f"{name}_value"] = np.array([float(mp.re(function(*[mp.mpf(v) for v in row]))) for row in rows])
        config.append({"name": name, "nargs": len(args)})
    save("special_kernels", arrays, config)


if __name__ == "__main__":
    main()
