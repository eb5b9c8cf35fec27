"""Promotion: the dtypes that NumPy's ufuncs give, and the setting `promotion`. May import checked, avals, trace, config, errors.

The setting finds where an operand of another dtype makes a float result wider. Promotion is NumPy's, so an int64 array or a stray float64 turns a
float32 network into a float64 one without a word. "warn" tells each place once, "strict" raises there; both look at operations as they run and
as they are traced. What Python scalars do is never told: they are weak.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import config
from fnets.core.avals import ShapedArray, is_float
from fnets.core.checked import refresh, while_set
from fnets.core.primitive import Primitive
from fnets.core.trace import typeof
from fnets.errors import DTypeError, PromotionWarning, warn_user


def loop_dtypes(ufunc: np.ufunc, kinds: Sequence[Any]) -> tuple[np.dtype, ...]:
    """The dtypes of operands and results of the loop that a ufunc picks, Python types standing for weak operands (a bool is never weak)."""
    known = [np.dtype(bool) if k is bool else k for k in kinds]
    return ufunc.resolve_dtypes((*known, *[None] * ufunc.nout))


@functools.cache
def resolve_dtype(ufunc: np.ufunc, *kinds: Any) -> np.dtype:
    """The dtype that a ufunc gives for operand dtypes, Python types standing for weak operands.

    An operation of more operands than the ufunc has promotes them one after the other, weak ones last: they adapt to all arrays.

    >>> resolve_dtype(np.arctan2, float, float, np.dtype("float32"))
    dtype('float32')
    """
    if len(kinds) <= ufunc.nin:
        return loop_dtypes(ufunc, kinds)[len(kinds)]
    strong_first = sorted(kinds, key=lambda k: isinstance(k, type))
    return functools.reduce(lambda a, b: resolve_dtype(ufunc, a, b), strong_first)


def _precision(dtype: np.dtype) -> int:
    """Bytes of a real number."""
    return dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize


def check_promotion(name: str, args: Sequence[ShapedArray], out: ShapedArray, mode: str) -> None:
    """Tell if `out` is wider than a float operand because of another operand.

    >>> check_promotion("add", [ShapedArray((2,), "float32")] * 2, ShapedArray((2,), "float32"), "strict")
    """
    dtypes = list(dict.fromkeys([a.dtype for a in args if not a.weak_type and a.dtype.kind != "b"]))
    if len(dtypes) < 2 or not is_float(out.dtype):
        return
    narrow = [d for d in dtypes if is_float(d) and _precision(d) < _precision(out.dtype)]
    if not narrow:
        return
    widening = [d.name for d in dtypes if d not in narrow]
    message = (
        f"[{name}] expected operands that keep the result {narrow[0].name} (promotion is {mode!r}), got {', '.join(d.name for d in dtypes)}, "
        f"which give {out.dtype.name}. Convert the {' or '.join(widening) or dtypes[-1].name} operand with x.astype({narrow[0].name!r})."
    )
    if mode == "strict":
        raise DTypeError(message)
    warn_user(message, PromotionWarning)


def _checked(prim: Primitive, impl: Callable) -> Callable:
    if prim.multi:  # what they consist of is looked at
        return impl

    @functools.wraps(impl, updated=())
    def run(*args: Any, **params: Any) -> Any:
        out = impl(*args, **params)
        mode = config.read("promotion")
        refresh()
        if mode != "numpy":
            check_promotion(prim.name, [typeof(a) for a in args], typeof(out), mode)
        return out

    return run


while_set(_checked, "promotion")
