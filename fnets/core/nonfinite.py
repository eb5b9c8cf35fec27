"""`debug_nans` and `debug_infs`: find the operation that gave NaN or infinity. May import checked, primitive, trace, config, errors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import config
from fnets.core.avals import is_float
from fnets.core.checked import refresh, while_set
from fnets.core.primitive import Primitive
from fnets.errors import NonFiniteError


def _told(k: int, x: Any) -> str:
    """An operand in the message: its type, its range, what in it is not finite."""
    a = np.asarray(x)
    text = f"operand {k}: {a.dtype.name}{list(a.shape)}"
    if not a.size or a.dtype.kind not in "biufcV":
        return text
    if not is_float(a.dtype):
        return f"{text} from {a.min()} to {a.max()}" if a.dtype.kind in "iu" else text
    nans, infs = int(np.isnan(a).sum()), int(np.isinf(a).sum())
    finite = np.abs(a[np.isfinite(a)]) if a.dtype.kind == "c" else a[np.isfinite(a)]
    if finite.size:
        text += f" {'of size ' if a.dtype.kind == 'c' else ''}from {finite.min():.6g} to {finite.max():.6g}"
    return text + (f", {nans} NaN" if nans else "") + (f", {infs} inf" if infs else "")


def check_finite(name: str, outs: Sequence[Any], args: Sequence[Any], nans: bool, infs: bool) -> None:
    """Raise `NonFiniteError` if a result holds NaN (or infinity, if asked).

    >>> check_finite("log", [np.log(2.0)], [2.0], True, True)
    """
    for out in outs:
        if not isinstance(out, (np.ndarray, np.generic, float, complex)):
            continue
        a = np.asarray(out)
        if not is_float(a.dtype):
            continue
        for wanted, test, what, setting in (
            (nans, np.isnan, "NaN", "debug_nans"),
            (infs, np.isinf, "inf", "debug_infs"),
        ):
            bad = int(test(a).sum()) if wanted else 0
            if bad:
                operands = "; ".join(_told(k, x) for k, x in enumerate(args)) or "no operands"
                raise NonFiniteError(
                    f"[{name}] expected a result without {what} ({setting} is on), got {bad} {what} among {a.size} elements of "
                    f"{a.dtype.name}{list(a.shape)} from {operands}. Keep the operands away from where {name} is not defined, for example with "
                    f"fnets.numpy.where on the operand, or allow it here with fnets.config.using({setting}=False)."
                )


def _checked(prim: Primitive, impl: Callable) -> Callable:
    @functools.wraps(impl, updated=())
    def run(*args: Any, **params: Any) -> Any:
        nans, infs = config.read("debug_nans"), config.read("debug_infs")
        if not (nans or infs):
            return impl(*args, **params)
        refresh()
        with np.errstate(all="ignore"):  # our error says more than NumPy's warning
            out = impl(*args, **params)
        check_finite(prim.name, out if prim.multi else [out], args, nans, infs)
        return out

    return run


while_set(_checked, "debug_nans", "debug_infs")
