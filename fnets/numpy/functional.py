"""Functions applied along axes or to elements: `vectorize`, `apply_along_axis`, `piecewise`, `frompyfunc`. May import `fnets.vmap` and the rest."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy import manipulation as m
from fnets.numpy.arguments import as_type, operand, to_array
from fnets.numpy.searching import where
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axes, as_axis, broadcast_to, reshape
from fnets.transforms.vmap import vmap

__all__ = [
    "apply_along_axis", "apply_over_axes", "piecewise", "vectorize",
]  # fmt: skip

# ------------------------------------------------------------------ along axes


def apply_along_axis(func1d: Callable, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """`func1d` of every vector along an axis, all at once through `fnets.vmap`.

    Args:
      func1d: function of a vector (and `args`, `kwargs`); its result's axes take the place of the axis.

    >>> apply_along_axis(lambda v: v.sum(), 0, np.ones((2, 3)))
    array([2., 2., 2.])
    """
    arr = to_array(arr)
    axis = as_axis(axis, arr.ndim, "apply_along_axis")
    call = lambda v: func1d(v, *args, **kwargs)  # noqa: E731
    for _ in range(arr.ndim - axis - 1):
        call = vmap(call, in_axes=1, out_axes=-1)
    for _ in range(axis):
        call = vmap(call)
    return call(arr)


def apply_over_axes(func: Callable, a: Any, axes: int | Sequence[int]) -> Any:
    """`func(a, axis)` over several axes, one after the other; reduced axes are kept with length 1.

    >>> apply_over_axes(np.sum, np.ones((2, 3)), (0, 1))
    array([[6.]])
    """
    a = to_array(a)
    ndim = a.ndim
    for axis in as_axes(axes, ndim, "apply_over_axes"):
        out = to_array(func(a, axis))
        if len(shape_of(out)) == ndim - 1:
            out = m.expand_dims(out, axis)
        if len(shape_of(out)) != ndim:
            raise ShapeError(
                f"[apply_over_axes] expected a result with {ndim} or {ndim - 1} axes, got shape {shape_of(out)}."
            )
        a = out
    return a


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Any:
    """A function defined by cases.

    Every function is called on all of `x`, and the result is chosen elementwise; where several conditions hold, the last one counts.

    Args:
      x: array.
      condlist: conditions of the shape of `x`, or one.
      funclist: a function or number for each condition, and one more for where none holds (0 by default).

    Returns:
      An array of the shape and dtype of `x`.

    >>> piecewise(np.array([-2.0, 3.0]), [np.array([True, False])], [lambda v: -v, lambda v: v])
    array([2., 3.])
    """
    x = to_array(x)
    conditions = (
        [condlist] if not isinstance(condlist, (list, tuple)) and len(shape_of(condlist)) == x.ndim else list(condlist)
    )
    if conditions and not isinstance(condlist, (np.ndarray,)) and isinstance(conditions[0], (bool, np.bool_)):
        conditions = [np.asarray(condlist)] if x.ndim else conditions
    conditions = [to_array(c) for c in conditions]
    functions = list(funclist)
    if len(functions) not in (len(conditions), len(conditions) + 1):
        raise ArgumentError(
            f"[piecewise] expected {len(conditions)} functions for {len(conditions)} conditions, or one more, got {len(functions)}."
        )
    default = functions.pop() if len(functions) > len(conditions) else 0

    def value(f: Any) -> Any:
        return as_type(f(x, *args, **kw) if callable(f) else f, dtype_of(x))

    out = broadcast_to(value(default), shape_of(x))
    for c, f in zip(conditions, functions):
        out = where(c, value(f), out)
    return out.copy() if isinstance(out, np.ndarray) and not out.flags.writeable else out


# ------------------------------------------------------------------ elementwise from scalar functions

_NAME = r"\w+"
_CORE = rf"\((?:{_NAME}(?:,{_NAME})*)?,?\)"
_SIGNATURE = re.compile(rf"^{_CORE}(?:,{_CORE})*->{_CORE}(?:,{_CORE})*$")


def _parse_signature(signature: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    text = signature.replace(" ", "")
    if not _SIGNATURE.match(text):
        raise ArgumentError(f"[vectorize] expected a signature such as '(m,n),(n)->(m)', got {signature!r}.")
    sides = text.split("->")
    return tuple(
        [[tuple(filter(None, core.split(","))) for core in re.findall(r"\(([^)]*)\)", side)] for side in sides]
    )  # type: ignore[return-value]


def vectorize(pyfunc: Callable, *, excluded: Any = frozenset(), signature: str | None = None) -> Callable:
    """A function that broadcasts: `pyfunc`, written for single elements or core shapes, through nested `fnets.vmap`s.

    Args:
      pyfunc: function of arrays of the core shapes (scalars, without a signature).
      excluded: positions and names of arguments that are passed on as they are.
      signature: core shapes as "(m,n),(n)->(m)".

    >>> vectorize(lambda a, b: a @ b, signature="(n),(n)->()")(np.ones((4, 3)), np.ones(3))
    array([3., 3., 3., 3.])
    """
    excluded = frozenset(excluded)
    if any([not isinstance(x, (str, int)) for x in excluded]):
        raise ArgumentError(f"[vectorize] expected excluded to hold positions and names, got {excluded!r}.")
    if any([isinstance(x, int) and x < 0 for x in excluded]):
        raise ArgumentError(f"[vectorize] expected excluded positions that are not negative, got {excluded!r}.")
    cores = None if signature is None else _parse_signature(signature)

    @functools.wraps(pyfunc, updated=())
    def vectorized(*args: Any, **kwargs: Any) -> Any:
        names = [k for k in kwargs if k not in excluded]
        held = [i for i in range(len(args)) if i not in excluded and args[i] is not None]
        free = [operand(args[i]) for i in held] + [operand(kwargs[k]) for k in names]
        inputs = [()] * len(free) if cores is None else cores[0]
        if cores is not None and any([a is None for a in args]):
            raise ArgumentError(
                f"[vectorize] expected arrays for signature {signature!r}, got None. Put its position into excluded."
            )
        if len(inputs) != len(free):
            raise ArgumentError(
                f"[vectorize] expected {len(inputs)} arguments for signature {signature!r}, got {len(free)}."
            )
        sizes = _core_sizes(free, inputs, signature)

        def call(*xs: Any) -> Any:
            full = list(args)
            for i, x in zip(held, xs):
                full[i] = x
            out = pyfunc(*full, **(kwargs | dict(zip(names, xs[len(held) :]))))
            if cores is not None:
                _check_core_outputs(out, cores[1], sizes, signature)
            return out

        return _broadcast_call(call, free, [len(c) for c in inputs])

    return vectorized


def _core_sizes(xs: Sequence[Any], cores: Sequence[tuple[str, ...]], signature: str | None) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for x, core in zip(xs, cores):
        shape = shape_of(x)
        if len(shape) < len(core):
            raise ShapeError(
                f"[vectorize] expected an array with at least {len(core)} axes for {core} of {signature!r}, got shape {shape}."
            )
        for name, n in zip(core, shape[len(shape) - len(core) :]):
            if sizes.setdefault(name, n) != n:
                raise ShapeError(
                    f"[vectorize] expected one length for {name!r} of {signature!r}, got {sizes[name]} and {n}."
                )
    return sizes


def _check_core_outputs(
    out: Any, cores: Sequence[tuple[str, ...]], sizes: dict[str, int], signature: str | None
) -> None:
    outs = out if len(cores) > 1 else (out,)
    if len(cores) > 1 and (not isinstance(out, (tuple, list)) or len(out) != len(cores)):
        raise ArgumentError(
            f"[vectorize] expected a tuple of {len(cores)} results for {signature!r}, got {type(out).__name__}."
        )
    for value, core in zip(outs, cores):
        shape = shape_of(value)
        if len(shape) != len(core) or any([sizes.setdefault(name, n) != n for name, n in zip(core, shape)]):
            raise ShapeError(
                f"[vectorize] expected a result of core shape {core} for {signature!r} with {sizes}, got {shape}."
            )


def _broadcast_call(call: Callable, xs: list, core_ndims: Sequence[int]) -> Any:
    """`call` over the broadcast leading axes of its arguments."""
    leads = [shape_of(x)[: len(shape_of(x)) - n] for x, n in zip(xs, core_ndims)]
    lead = e.broadcast_shapes("vectorize", (), *leads)
    squeezed, axes = [], []
    for x, own, n in zip(xs, leads, core_ndims):
        wide = (1,) * (len(lead) - len(own)) + own
        squeezed.append(
            reshape(
                x,
                tuple([k for k, whole in zip(wide, lead) if k == whole and not (k == 1 and whole != 1)])
                + shape_of(x)[len(own) :],
            )
        )
        axes.append([k == whole for k, whole in zip(wide, lead)])
        del n
    for d in reversed(range(len(lead))):
        in_axes = tuple([0 if has[d] else None for has in axes])
        call = vmap(call, in_axes=in_axes, axis_size=lead[d])
    return call(*squeezed)
