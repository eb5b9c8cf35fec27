"""What a call of an eager `fnets.numpy` function costs beside NumPy's own of that name: the median over 100 that programs use most, and the worst ten."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np

import fnets.numpy as fnp
from benchmarks.timing import Row, compare

X, Y = np.linspace(0.1, 0.9, 12).reshape(3, 4), np.linspace(0.2, 1.0, 12).reshape(3, 4)
V, W, I, B = X[0], Y[0], np.array([2, 0, 1]), X > 0.5
S = X[:, :3] + 3 * np.eye(3)

_ONE = """abs ceil cos cosh exp exp2 expm1 floor isfinite isinf isnan log log10 log1p log2 negative reciprocal rint sign sin sinh sqrt square tan tanh
    arcsin arctan arcsinh all any argmax argmin argsort cumprod cumsum diff max mean median min prod ptp sort std sum var ravel transpose
    squeeze flip atleast_2d copy isreal real imag nan_to_num zeros_like ones_like count_nonzero trace tril triu diag array asarray shape
    ndim size nansum nanmean"""
_TWO = """add subtract multiply divide power maximum minimum greater less equal not_equal greater_equal arctan2 hypot mod floor_divide logaddexp
    allclose array_equal fmax fmin"""
_CALLS: dict[str, tuple] = {
    **dict.fromkeys(_ONE.split(), (X,)),
    **dict.fromkeys(_TWO.split(), (X, Y)),
    "logical_and": (B, B), "logical_not": (B,), "where": (B, X, Y), "dot": (X, Y.T), "matmul": (X, Y.T), "inner": (V, W), "outer": (V, W),
    "tensordot": (X, Y.T, 1), "einsum": ("ij,kj->ik", X, Y), "vdot": (V, W), "kron": (V, W), "cross": (V[:3], W[:3]), "reshape": (X, (4, 3)),
    "broadcast_to": (V, (3, 4)), "expand_dims": (X, 0), "moveaxis": (X, 0, 1), "swapaxes": (X, 0, 1), "concatenate": ([X, Y],),
    "stack": ([X, Y],), "hstack": ([X, Y],), "vstack": ([X, Y],), "split": (X, 2, 1), "tile": (V, 2), "repeat": (V, 2), "roll": (X, 1),
    "pad": (V, 1), "clip": (X, 0.3, 0.6), "take": (V, I), "take_along_axis": (X, I[:, None], 1), "searchsorted": (V, W),
    "interp": (W, V, V), "percentile": (V, 50), "zeros": ((3, 4),), "ones": ((3, 4),), "full": ((3, 4), 2.0), "eye": (3,), "arange": (10,),
    "linspace": (0.0, 1.0, 10), "meshgrid": (V, W),
}  # fmt: skip
_LINALG: dict[str, tuple] = dict.fromkeys(("inv", "det", "norm", "svd", "eigvalsh"), (S,)) | {"solve": (S, V[:3])}


def _same(call: Callable, args: tuple) -> Callable[[], object]:
    return lambda: call(*args)


def measured(rounds: int = 7) -> dict[str, tuple[float, float]]:
    """Seconds of a call of ours and of NumPy's, by name."""
    calls = [(name, getattr(fnp, name), getattr(np, name), args) for name, args in _CALLS.items()]
    calls += [(f"linalg.{n}", getattr(fnp.linalg, n), getattr(np.linalg, n), args) for n, args in _LINALG.items()]
    out = {}
    for name, ours, numpys, args in calls:
        t = compare({"ours": _same(ours, args), "numpy": _same(numpys, args)}, rounds, 0.002)
        out[name] = (t["ours"], t["numpy"])
    return out


def rows() -> list[Row]:
    """The median of the differences, and the ten largest."""
    times = measured()
    cost = {name: ours - numpys for name, (ours, numpys) in times.items()}
    median = statistics.median(cost.values())
    worst = sorted(cost, key=cost.__getitem__, reverse=True)[:10]
    what = f"eager `fnets.numpy`, median over {len(cost)} functions, 12 elements"
    typical = statistics.median([numpys for _, numpys in times.values()])
    return [
        Row(what, "NumPy", typical + median, typical, 1.0, difference=True),
        *[Row(f"of these, the worst: `{name}`", "NumPy", *times[name], difference=True) for name in worst],
    ]
