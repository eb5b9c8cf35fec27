"""Window functions: `hanning`, `hamming`, `blackman`, `bartlett`, `kaiser`. May import arguments, config."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fnets.config import default_float
from fnets.numpy.arguments import known, known_int

__all__ = [
    "bartlett", "blackman", "hamming", "hanning", "kaiser",
]  # fmt: skip


def _window(name: str, M: int, make: Callable[[int], np.ndarray]) -> np.ndarray:
    return make(known_int(M, name, "The length M")).astype(default_float(), copy=False)


def bartlett(M: int) -> np.ndarray:
    """The triangular window of length M, zero at both ends.

    >>> bartlett(3)
    array([0., 1., 0.], dtype=float32)
    """
    return _window("bartlett", M, np.bartlett)


def blackman(M: int) -> np.ndarray:
    """The Blackman window of length M, a sum of three cosines.

    >>> blackman(3).round(6) + 0.0
    array([0., 1., 0.], dtype=float32)
    """
    return _window("blackman", M, np.blackman)


def hamming(M: int) -> np.ndarray:
    """The Hamming window of length M, a cosine on a pedestal.

    >>> hamming(3)
    array([0.08, 1.  , 0.08], dtype=float32)
    """
    return _window("hamming", M, np.hamming)


def hanning(M: int) -> np.ndarray:
    """The Hann window of length M, a raised cosine.

    >>> hanning(3)
    array([0., 1., 0.], dtype=float32)
    """
    return _window("hanning", M, np.hanning)


def kaiser(M: int, beta: float) -> np.ndarray:
    """The Kaiser window of length M and shape parameter beta, a ratio of Bessel functions.

    >>> kaiser(3, 0.0)
    array([1., 1., 1.], dtype=float32)
    """
    beta = float(known(beta, "kaiser", "beta"))
    return _window("kaiser", M, lambda n: np.kaiser(n, beta))
