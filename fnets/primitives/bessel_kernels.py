"""Kernels of Bessel functions of integer order and of the generalised exponential integral, on plain arrays. May import special.

The rules of `special` hold: any array-like, NumPy's dtypes, no warnings, limits at the ends. Coefficients are our own fits, as there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.primitives.special import _DOUBLE, _map, _map_many, _patch, _Polynomial

# fmt: off
# J0(x), J1(x) / x, Y0(x) - 2/pi log(x) J0(x) and (Y1(x) - 2/pi (log(x) J1(x) - 1/x)) / x up to 8, in x * x / 32 - 1
_J0_NEAR = _Polynomial(_DOUBLE, (
    0.04582966485981377, 0.9303012472958572, -0.6484692830871837, -0.808088807669687, 1.0383794611437211, -0.507468045847102,
    0.14598884856759273, -0.028472718610869578, 0.0040580789891404906, -0.0004435459224727048, 3.8473197857390745e-05,
    -2.717749145067618e-06, 1.5956108859131922e-07, -7.915407670542993e-09, 3.363471845927858e-10, -1.2384699158898258e-11,
    3.990826081118029e-13, -1.1351274497848648e-14, 2.8714277889146964e-16,
))
_J1_NEAR = _Polynomial(_DOUBLE, (
    -0.05814382795599107, 0.08105866038589796, 0.15151665143806634, -0.2595948652859303, 0.15858376432721938, -0.054745818212847276,
    0.01245681439225544, -0.0020290394945702453, 0.0002494945813908964, -2.4045748660869218e-05, 1.8684525372339904e-06,
    -1.1967081644348947e-07, 6.43126873231046e-09, -2.943037865185982e-10, 1.1610655467503379e-11, -3.9908260820706373e-13,
    1.2060725733399566e-14, -3.230355718639617e-16, 7.738273635981454e-18,
))
_Y0_NEAR = _Polynomial(_DOUBLE, (
    -0.382250654459425, -0.8284358903604587, 1.6470964788745466, 0.14412632369302442, -1.0775477338215995, 0.6721770783431723,
    -0.2189574709617165, 0.046367047681347105, -0.007025741057269826, 0.0008061586060550243, -7.279541882784531e-05,
    5.321318633837185e-06, -3.2185077885300416e-07, 1.6391065111231336e-08, -7.130516901238508e-10, 2.6818364947987268e-11,
    -8.810558668651596e-13, 2.5508609608974215e-14, -6.559181488360024e-16,
))
_Y1_NEAR = _Polynomial(_DOUBLE, (
    0.07075985882118005, -0.24337743079193114, 0.023367571720993584, 0.23507209206669755, -0.19639839859930425, 0.07854786922242545,
    -0.01962875683309943, 0.003422490739918046, -0.00044381734351146775, 4.46743301291431e-05, -3.6009998744473516e-06,
    2.3804929913922338e-07, -1.3153322399203955e-08, 6.169742573016101e-10, -2.4887660128888838e-11, 8.728846995968639e-13,
    -2.6871299490566476e-14, 7.320630407550111e-16, -1.7777678745874505e-17,
))
# from 8 on, in 128 / (x * x) - 1: P and x / 8 Q of sqrt(2 / (pi x)) (P cos(c) - Q sin(c)), c being x - (2n + 1) pi / 4 (NIST DLMF 10.17)
_P0_FAR = _Polynomial(_DOUBLE, (
    0.9994572757882519, -0.0005363673192130031, 6.137416080162966e-06, -2.0527448162213505e-07, 1.2803760585321308e-08,
    -1.2121175693853139e-09, 1.55010787734737e-10, -2.488573779233352e-11, 4.772331023925661e-12, -1.056269548216839e-12,
    2.668257878241629e-13, -7.387418663158929e-14, 1.775248983600068e-14, -5.330584781994501e-15, 4.469105427097274e-15,
))
_Q0_FAR = _Polynomial(_DOUBLE, (
    -0.015555113879513518, 6.833149099343896e-05, -1.4771388326499655e-06, 7.10621485915512e-08, -5.668716049240259e-09,
    6.432781987478788e-10, -9.47041158664035e-11, 1.7032949455437694e-11, -3.5884456577405732e-12, 8.602315982558679e-13,
    -2.341397180046064e-13, 6.900332036608468e-14, -1.64697103261025e-14, 5.106678984026469e-15, -5.05803415691077e-15,
))
_P1_FAR = _Polynomial(_DOUBLE, (
    1.0009070262780821, 0.0008988049416705562, -7.959694698494747e-06, 2.4536766228894186e-07, -1.4708512088166258e-08,
    1.3603051333068624e-09, -1.713161670692846e-10, 2.7207265565791943e-11, -5.17567672866935e-12, 1.1384103301309482e-12,
    -2.8606315288389805e-13, 7.88696401478986e-14, -1.8942692840813685e-14, 5.674955772868603e-15, -4.717929599255695e-15,
))
_Q1_FAR = _Polynomial(_DOUBLE, (
    0.04677687402744898, -9.621458822054437e-05, 1.8212018512312627e-06, -8.291960708636421e-08, 6.420132498992037e-09,
    -7.151105706516684e-10, 1.0395095079650433e-10, -1.8524498571424332e-11, 3.875502362183683e-12, -9.239443579427935e-13,
    2.502727082192215e-13, -7.34784527018454e-14, 1.754535000314622e-14, -5.430000658130871e-15, 5.3301669514931285e-15,
))
# fmt: on
_FAR = ((_P0_FAR, _Q0_FAR), (_P1_FAR, _Q1_FAR))
_TWO_OVER_PI = 2 / math.pi


def _amplitude_and_phase(order: int, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """P, Q, and sqrt(2 / (pi x)) times the cosine and sine of the phase, which are sums of those of x."""
    t = 128 / (x * x) - 1
    p, q = _FAR[order]
    scale = np.sqrt(1 / (math.pi * x))
    cos, sin = np.cos(x) * scale, np.sin(x) * scale
    plus, minus = cos + sin, sin - cos
    return (p(t), q(t) * (8 / x), *((plus, minus) if order == 0 else (minus, -plus)))


def _first_kind(order: int, x: np.ndarray, out: Any = None) -> np.ndarray:
    a = np.absolute(x)
    y = np.where(a == np.inf, 0.0, np.nan)

    def near(a: np.ndarray) -> np.ndarray:
        t = a * a / 32 - 1
        return _J1_NEAR(t) * a if order else _J0_NEAR(t)

    def far(a: np.ndarray) -> np.ndarray:
        p, q, cos, sin = _amplitude_and_phase(order, a)
        return p * cos - q * sin

    _patch(y, a <= 8, near, a)
    _patch(y, (a > 8) & (a < np.inf), far, a)
    return np.where(x < 0, -y, y) if order else y


def _second_kind(order: int, x: np.ndarray, out: Any = None) -> np.ndarray:
    y = np.where(x == 0, -np.inf, np.where(x == np.inf, 0.0, np.nan))

    def near(x: np.ndarray) -> np.ndarray:
        t = x * x / 32 - 1
        if order:
            return _Y1_NEAR(t) * x + _TWO_OVER_PI * (np.log(x) * _J1_NEAR(t) * x - 1 / x)
        return _Y0_NEAR(t) + _TWO_OVER_PI * np.log(x) * _J0_NEAR(t)

    def far(x: np.ndarray) -> np.ndarray:
        p, q, cos, sin = _amplitude_and_phase(order, x)
        return p * sin + q * cos

    _patch(y, (x > 0) & (x <= 8), near, x)
    _patch(y, (x > 8) & (x < np.inf), far, x)
    return y


def j0(x: Any) -> Any:
    """The Bessel function of the first kind of order 0.

    >>> j0(np.array([0.0, 10.0]))
    array([ 1.        , -0.24593576])
    """
    return _map("j0", x, lambda x, out: _first_kind(0, x))


def j1(x: Any) -> Any:
    """The Bessel function of the first kind of order 1.

    >>> j1(np.array([0.0, 10.0]))
    array([0.        , 0.04347275])
    """
    return _map("j1", x, lambda x, out: _first_kind(1, x))


def y0(x: Any) -> Any:
    """The Bessel function of the second kind of order 0; -inf at 0, nan below.

    >>> y0(np.array([0.0, 10.0]))
    array([      -inf, 0.05567117])
    """
    return _map("y0", x, lambda x, out: _second_kind(0, x))


def y1(x: Any) -> Any:
    """The Bessel function of the second kind of order 1; -inf at 0, nan below.

    >>> y1(np.array([0.0, 10.0]))
    array([      -inf, 0.24901542])
    """
    return _map("y1", x, lambda x, out: _second_kind(1, x))


# ------------------------------------------------------------------ integer orders


def _by_order(n: np.ndarray, x: np.ndarray, f: Callable) -> np.ndarray:
    """f(order, x) for each integer order that occurs; nan for what is no integer."""
    y = np.full_like(x, np.nan)
    for order in np.unique(n[n == np.floor(n)]):
        _patch(y, n == order, lambda x, k=int(order): f(k, x), x)
    return y


def jn(n: Any, x: Any) -> Any:
    """The Bessel function of the first kind of integer order n: forward recurrence up to x, J. C. P. Miller's backward one beyond it.

    >>> jn(3, np.array([0.0, 2.0]))
    array([0.        , 0.12894325])
    """
    return _map_many("jn", lambda n, x, out: _by_order(n, x, _jn), n, x)


def _jn(n: int, x: np.ndarray) -> np.ndarray:
    if n < 0:
        return _jn(-n, x) * (-1) ** n
    if n < 2:
        return _first_kind(n, x)
    a = np.absolute(x)
    y = np.where(a == np.inf, 0.0, np.nan)
    y[a == 0] = 0
    _patch(y, (a > n) & (a < np.inf), lambda a: _forward(n, a, _first_kind(0, a), _first_kind(1, a)), a)
    _patch(y, (a > 0) & (a <= n), lambda a: _backward(n, a), a)
    return np.where(x < 0, y * (-1) ** n, y)


def _forward(n: int, x: np.ndarray, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    for k in range(1, n):
        before, now = now, 2 * k / x * now - before
    return now


def _backward(n: int, x: np.ndarray) -> np.ndarray:
    """From far beyond n down to 0, normalised by 1 = J0 + 2 (J2 + J4 + ...)."""
    start = 2 * ((n + int(math.sqrt(160 * n)) + 20) // 2)
    above, now = np.zeros_like(x), np.full_like(x, 1e-300)
    total, wanted = np.zeros_like(x), np.zeros_like(x)
    for k in range(start, 0, -1):
        above, now = now, 2 * k / x * now - above
        large = np.absolute(now) > 1e150
        if large.any():
            shrink = np.where(large, 1e-150, 1.0)
            above, now, total, wanted = above * shrink, now * shrink, total * shrink, wanted * shrink
        if k - 1 == n:
            wanted = now
        if k % 2 == 1:
            total = total + (2 * now if k > 1 else now)
    return wanted / total


def yn(n: Any, x: Any) -> Any:
    """The Bessel function of the second kind of integer order n, by forward recurrence; -inf at 0, nan below.

    >>> yn(3, np.array([2.0, 10.0]))
    array([-1.12778378, -0.25136266])
    """
    return _map_many("yn", lambda n, x, out: _by_order(n, x, _yn), n, x)


def _yn(n: int, x: np.ndarray) -> np.ndarray:
    if n < 0:
        return _yn(-n, x) * (-1) ** n
    if n < 2:
        return _second_kind(n, x)
    y = _forward(n, x, _second_kind(0, x), _second_kind(1, x))
    return np.where(x == 0, -np.inf, np.where(np.isnan(y) & (x > 0), -np.inf, y))


# ------------------------------------------------------------------ the generalised exponential integral


def expn(n: Any, x: Any) -> Any:
    """The integral of exp(-x t) / t**n from 1 to infinity, for integers n >= 0 and x >= 0 (nan elsewhere).

    The power series up to 1 and the continued fraction beyond it (NIST DLMF 8.19.8, 8.19.17).

    >>> expn(2, np.array([0.0, 1.0]))
    array([1.        , 0.14849551])
    """
    return _map_many("expn", lambda n, x, out: _by_order(n, x, _expn), n, x)


def _expn(n: int, x: np.ndarray) -> np.ndarray:
    if n < 0:
        return np.full_like(x, np.nan)
    if n == 0:
        return np.where(x >= 0, np.exp(-x) / x, np.nan)
    y = np.where(x == 0, np.inf if n == 1 else 1 / max(n - 1, 1), np.where(x == np.inf, 0.0, np.nan))
    _patch(y, (x > 0) & (x <= 1), lambda x: _expn_series(n, x), x)
    _patch(y, (x > 1) & (x < np.inf), lambda x: _expn_fraction(n, x), x)
    return y


def _expn_series(n: int, x: np.ndarray) -> np.ndarray:
    log = -np.log(x) - np.euler_gamma + sum(1 / k for k in range(1, n))
    total, term = np.zeros_like(x), np.ones_like(x)
    for k in range(max(30, n + 1)):
        if k:
            term = term * -x / k
        total += term * log if k == n - 1 else -term / (k - n + 1)
    return total


def _expn_fraction(n: int, x: np.ndarray) -> np.ndarray:
    b = x + n
    c, d = np.full_like(x, 1e300), 1 / b
    y = d.copy()
    for k in range(1, 500):
        top = -k * (n - 1 + k)
        b = b + 2
        d = 1 / (top * d + b)
        c = b + top / c
        y = y * (c * d)
        if np.all(np.absolute(c * d - 1) < 1e-16):
            break
    return y * np.exp(-x)
