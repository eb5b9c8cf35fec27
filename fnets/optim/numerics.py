"""Scalars and norms that optimizers need: hyperparameters that never widen an array, counters, norms with a slope at zero.

May import fnets.numpy, control, tree, errors and the layers below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fnets.numpy as fnp
from fnets import tree
from fnets.control.cond import cond
from fnets.core.trace import Tracer, dtype_of, is_weak
from fnets.errors import ArgumentError
from fnets.primitives.base import convert
from fnets.transforms.staging import eval_shape


def real_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of the real part: complex64 -> float32; real dtypes as they are.

    >>> real_dtype(np.dtype("complex64"))
    dtype('float32')
    """
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def like(value: Any, x: Any) -> Any:
    """A hyperparameter or factor ready to meet the array `x`: a Python number as it is, an array in x's precision.

    Python numbers adapt to an array by themselves; a float64 scalar or a 0-d array would widen float32.

    >>> (like(np.float64(0.1), fnp.ones(2)) * fnp.ones(2)).dtype, like(0.1, fnp.ones(2))
    (dtype('float32'), 0.1)
    """
    if is_weak(value):
        return value
    wanted, have = dtype_of(x), dtype_of(value)
    if wanted == have or wanted.kind not in "fcV" or (have.kind == "c" and wanted.kind != "c"):
        return value
    return convert(value, wanted if have.kind == "c" else real_dtype(wanted))


def at_least_float32(dtype: np.dtype) -> np.dtype:
    """The real dtype in which a scalar that belongs to arrays of a dtype is computed: float32 for half precision.

    >>> at_least_float32(np.dtype("float16"))
    dtype('float32')
    """
    real = real_dtype(dtype)
    return real if real.kind == "f" and real.itemsize >= 4 else np.dtype("float32")


def decay_power(decay: Any, count: Any, dtype: np.dtype) -> Any:
    """`decay ** count` computed in a dtype, as optax does: in float64 the first steps would differ from its float32 ones.

    >>> decay_power(0.5, np.int32(2), np.dtype("float32"))
    np.float32(0.25)
    """
    return fnp.power(convert(decay, dtype), convert(count, dtype))


def is_none(x: Any) -> bool:
    """True for None."""
    return x is None


def map_or_none(f: Callable[..., Any], *trees: Any) -> Any:
    """`tree.map` in which a None in the first tree gives None, whatever the other trees hold there.

    >>> map_or_none(lambda g, m: g + m, {"a": 1, "b": None}, {"a": 2, "b": 3})
    {'a': 3, 'b': None}
    """
    return tree.map(lambda x, *rest: None if x is None else f(x, *rest), *trees, is_leaf=is_none)


def choose(pred: Any, on_true: Callable[[], Any], on_false: Callable[[], Any]) -> Any:
    """`on_true()` or `on_false()`, two trees of one structure; under `jit` the second takes the first one's dtypes.

    >>> choose(fnp.asarray(True), lambda: (1, 2), lambda: (3, 4))
    (1, 2)
    """
    if not isinstance(pred, Tracer) or pred.concrete() is not None:
        return on_true() if pred else on_false()
    types = eval_shape(on_true)
    adapt = lambda x, t: x if dtype_of(x) == t.dtype else convert(x, t.dtype)  # noqa: E731
    return cond(pred, on_true, lambda: tree.map(adapt, on_false(), types))


def zero_count() -> np.ndarray:
    """A counter at zero: int32, 0-d.

    >>> zero_count()
    array(0, dtype=int32)
    """
    return np.zeros((), np.int32)


def safe_increment(count: Any) -> Any:
    """`count + 1`, staying at the greatest value of the dtype instead of overflowing.

    Args:
      count: an integer or float array of any shape.

    Raises:
      ArgumentError: any other dtype.

    >>> int(safe_increment(np.int32(4))), int(safe_increment(np.int8(127)))
    (5, 127)
    """
    dtype = dtype_of(count)
    if dtype.kind in "iu":
        return fnp.minimum(count, int(np.iinfo(dtype).max) - 1) + 1
    if dtype.kind == "f":
        return fnp.minimum(count + 1, float(np.finfo(dtype).max))
    raise ArgumentError(
        f"[safe_increment] expected a counter of an integer or float dtype, got {dtype.name}. Start with fnp.zeros((), 'int32')."
    )


safe_int32_increment = safe_increment


def abs_sq(x: Any) -> Any:
    """|x|**2, elementwise and real.

    >>> float(abs_sq(np.array(3 + 4j)))
    25.0
    """
    if dtype_of(x).kind != "c":
        return fnp.square(x)
    return fnp.square(fnp.real(x)) + fnp.square(fnp.imag(x))


def _norm(x: Any, ord: Any, axis: Any, keepdims: bool) -> Any:
    if ord is None:  # the Euclidean norm of all elements along the axes
        return fnp.sqrt(fnp.sum(abs_sq(x), axis=axis, keepdims=keepdims))
    return fnp.linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims)


def safe_norm(
    x: Any, min_norm: Any, ord: Any = None, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Any:
    """`maximum(norm(x), min_norm)` with gradient zero, not NaN, where the norm is at most `min_norm`.

    Args:
      x: an array.
      min_norm: lower bound of the result, typically 0 or a small number.
      ord, axis, keepdims: as in `fnp.linalg.norm`.

    >>> float(safe_norm(fnp.array([3.0, 4.0]), 0.0)), float(safe_norm(fnp.zeros(2), 0.5))
    (5.0, 0.5)
    """
    x = fnp.asarray(x)
    outer = _norm(x, ord, axis, True)
    low = outer <= min_norm
    inner = fnp.where(low, fnp.ones_like(x), x)  # the branch that is not taken must be differentiable too
    norm = _norm(inner, ord, axis, keepdims)
    if not keepdims:
        low = fnp.squeeze(low, axis=axis)
    return fnp.where(low, like(min_norm, norm), norm)


def safe_root_mean_squares(x: Any, min_rms: Any) -> Any:
    """`maximum(sqrt(mean(|x|**2)), min_rms)` with gradient zero, not NaN, where the result is `min_rms`.

    >>> float(safe_root_mean_squares(fnp.array([3.0, 3.0]), 0.1)), float(safe_root_mean_squares(fnp.zeros(2), 0.5))
    (3.0, 0.5)
    """
    low = fnp.sqrt(fnp.mean(abs_sq(x))) <= min_rms
    inner = fnp.where(low, fnp.ones_like(x), x)
    rms = fnp.sqrt(fnp.mean(abs_sq(inner)))
    return fnp.where(low, like(min_rms, rms), rms)
