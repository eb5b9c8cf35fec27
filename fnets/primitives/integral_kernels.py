"""Kernels of the sine and cosine integrals and of Owen's T function, on plain arrays. May import special.

The rules of `special` hold: any array-like, NumPy's dtypes, no warnings, limits at the ends. Coefficients are our own fits, as there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.primitives.special import _DOUBLE, _map, _map_many, _normal_tail, _patch, _Polynomial

# ------------------------------------------------------------------ sine and cosine integrals

# fmt: off
# Si(x) / x and (log(x) + gamma - Ci(x)) / (x * x) up to 8, in x * x / 32 - 1
_SI_NEAR = _Polynomial(_DOUBLE, (
    0.25641767847820546, -0.18001998436945268, 0.2492407249490264, -0.19573194561969048, 0.08763454973729322,
    -0.025116926289408002, 0.00500979679099, -0.0007369451545222648, 8.337730687368705e-05, -7.4889223093552345e-06,
    5.473910713237066e-07, -3.321337752108389e-08, 1.7003994487027642e-09, -7.446228105906621e-11,
    2.8216250477327124e-12, -9.344668218986846e-14, 2.728313215007867e-15, -7.09230375055982e-17, 1.6442964855509684e-18,
))
_CIN_NEAR = _Polynomial(_DOUBLE, (
    0.07596076230625327, -0.07299488110492194, 0.05855915422166879, -0.02989771352084387, 0.009897715308287456,
    -0.0022608070062359186, 0.00037623079403929544, -4.7597776987475856e-05, 4.731950100876092e-06,
    -3.7948039561720396e-07, 2.5073258896110233e-08, -1.3888219934613238e-09, 6.543322727300889e-11,
    -2.6546485857433145e-12, 9.37251165828882e-14, -2.906161687970572e-15, 7.977791640412566e-17,
    -1.956658096412179e-18, 4.295281745950703e-20,
))
# from 8 on x f(x) and x * x g(x), in 128 / (x * x) - 1, f and g being the auxiliary functions of NIST DLMF 6.2
_F_FAR = _Polynomial(_DOUBLE, (
    0.9855904297170983, -0.013381738359286272, 0.0008826900462565129, -0.00011493614902747126, 2.2134969784963256e-05,
    -5.5033093963642895e-06, 1.6383680475056925e-06, -5.57786149393727e-07, 2.1077596754661566e-07,
    -8.65489266344737e-08, 3.762738699884057e-08, -1.7398600330900135e-08, 1.0262399639922892e-08,
    -5.59662096102389e-09, -2.1672838097260293e-09, 2.045430676273701e-09, 9.010560916552833e-09,
    -6.5246065476143805e-09, -9.989581982742562e-09, 7.383436658624749e-09, 8.189329252243868e-09,
    -6.0054746093126075e-09, -3.734902964500999e-09, 2.7392263436560313e-09, 8.189075395692538e-10,
    -5.960346378925568e-10,
))
_G_FAR = _Polynomial(_DOUBLE, (
    0.9588269529985257, -0.036614454892815146, 0.003723833337114881, -0.0006274732868855694, 0.00014418163410416277,
    -4.08759215911581e-05, 1.3489781047815829e-05, -4.995372410268634e-06, 2.0252664496659916e-06,
    -8.834011471902223e-07, 4.07676365685017e-07, -1.983000808389527e-07, 1.1085503105426468e-07, -6.08986461379325e-08,
    -7.46696870676746e-09, 1.2035764116096076e-08, 1.1171431583401436e-07, -8.482206375421305e-08,
    -1.9678995798140782e-07, 1.5295850881696924e-07, 2.775532033233015e-07, -2.1462414963005957e-07,
    -2.627541688428733e-07, 2.0321786976848177e-07, 1.6578426856421666e-07, -1.279923207424766e-07,
    -6.20486958977441e-08, 4.783690103506138e-08, 1.07428987671512e-08, -8.253399156805877e-09,
))
# fmt: on


def _auxiliary(x: np.ndarray) -> tuple[np.ndarray, ...]:
    x = np.minimum(x, 1e150)
    t = 128 / (x * x) - 1
    return _F_FAR(t) / x, _G_FAR(t) / (x * x), np.cos(x), np.sin(x)


def _si_far(x: np.ndarray) -> np.ndarray:
    f, g, cos, sin = _auxiliary(x)
    return math.pi / 2 - f * cos - g * sin


def _ci_far(x: np.ndarray) -> np.ndarray:
    f, g, cos, sin = _auxiliary(x)
    return f * sin - g * cos


def _integral(x: np.ndarray, near: Callable, far: Callable, limit: float) -> np.ndarray:
    y = np.where(x == np.inf, limit, np.nan)
    _patch(y, x <= 8, near, x)
    _patch(y, (x > 8) & (x < np.inf), far, x)
    return y


def si(x: Any) -> Any:
    """The sine integral, that of sin(t) / t from 0 to x.

    >>> si(np.array([0.0, 1.0])).round(6)
    array([0.      , 0.946083])
    """

    def kernel(x: np.ndarray, out: np.ndarray) -> np.ndarray:
        return np.copysign(_integral(np.absolute(x), lambda a: a * _SI_NEAR(a * a / 32 - 1), _si_far, math.pi / 2), x)

    return _map("si", x, kernel)


def ci(x: Any) -> Any:
    """The cosine integral gamma + log(|x|) plus that of (cos(t) - 1) / t from 0 to |x|; -inf at 0, nan at -inf.

    >>> ci(np.array([1.0, np.inf])).round(6)
    array([0.337404, 0.      ])
    """

    def near(a: np.ndarray) -> np.ndarray:
        return np.euler_gamma + np.log(a) - a * a * _CIN_NEAR(a * a / 32 - 1)

    def kernel(x: np.ndarray, out: np.ndarray) -> np.ndarray:
        y = _integral(np.absolute(x), near, _ci_far, 0.0)
        y[x == -np.inf] = np.nan
        return y

    return _map("ci", x, kernel)


# ------------------------------------------------------------------ Owen's T function

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)


def owens_t(h: Any, a: Any) -> Any:
    """Owen's T function: the integral of exp(-h * h * (1 + t * t) / 2) / (1 + t * t) from 0 to a, divided by 2 pi.

    Gauss and Legendre's rule for |a| <= 1, up to where the integrand has vanished; D. B. Owen's relation (Annals of Mathematical Statistics
    27, 1956, formula 2.3) between T(h, a) and T(a h, 1 / a) leads there.

    >>> owens_t(np.array([0.0, 1.0]), 1.0).round(6)
    array([0.125   , 0.066742])
    """
    return _map_many("owens_t", _owens_t, h, a)


def _owens_t(h: np.ndarray, a: np.ndarray, out: Any = None) -> np.ndarray:
    sign = np.copysign(1.0, a)
    h, a = np.absolute(h), np.absolute(a)
    steep = a > 1
    product = np.where(h == 0, 0.0, h * a)
    t = _owens_rule(np.where(steep, product, h), np.where(steep, 1 / a, a))
    q, r = _normal_tail(h), _normal_tail(product)
    return sign * np.where(steep, 0.5 * (q + r) - q * r - t, t)


def _owens_rule(h: np.ndarray, a: np.ndarray) -> np.ndarray:
    end = np.where(a * h > 9, 9 / np.where(h > 0, h, 1), a)
    total = np.zeros_like(h)
    for node, weight in zip(_NODES, _WEIGHTS):
        square = np.square(end * (0.5 * (node + 1)))
        total += weight * np.exp(-0.5 * h * h * square) / (1 + square)
    return np.where(h == np.inf, np.where(np.isnan(a), np.nan, 0.0), np.exp(-0.5 * h * h) * total * end / (4 * math.pi))
