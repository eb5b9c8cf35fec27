"""Index arrays: gather, its transpose, and the scatter family. May import base, elementwise, scatter_kernels, core, errors.

`gather(x, *indices, axes)` is `x[...]` with index arrays at `axes` and every other axis whole, with NumPy's shape of the result. Each other
form of index is brought to this one by views. `unique` promises that no position occurs twice, which makes the transpose an assignment.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray, is_float
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError
from fnets.primitives.base import (
    arr,
    broadcast_to,
    convert,
    inverse_permutation,
    move_dim,
    reshape,
    transpose,
    zeros_like,
)
from fnets.primitives.elementwise import (
    add,
    clamp,
    div,
    eq,
    ge,
    gt,
    logical_and,
    lt,
    maximum,
    mul,
    remainder,
    select,
    sub,
)
from fnets.primitives.index_arrays import (
    Axes,
    batched_index_ndim,
    batched_indices,
    batched_updates,
    check_indices,
    check_updates,
    common_index_shape,
    gathered_shape,
    iota_along,
    move_block,
    shifted,
)
from fnets.primitives.scatter_kernels import index_tuple, out_of_range, placement, scatter_into

# ------------------------------------------------------------------ gather and its transpose

gather_p = Primitive("gather", fresh=True)


def _gather_impl(x: Any, *indices: Any, axes: Axes, unique: bool) -> Any:
    try:
        if len(axes) == 1 and x.flags.c_contiguous:
            return x.take(indices[0], axes[0])
        out = x[indices if axes[-1] == len(axes) - 1 else index_tuple(indices, axes)]
        if type(out) is np.ndarray and not any([type(i) is np.ndarray and i.ndim for i in indices]):
            return out.copy()  # scalars alone give a view
        return out
    except IndexError:
        error = out_of_range("getitem", indices, axes, x.shape)
        if error is None:
            raise
        raise error from None


def _gather_abstract(x: ShapedArray, *indices: ShapedArray, axes: Axes, unique: bool) -> ShapedArray:
    check_indices("getitem", x.ndim, indices, axes)
    return ShapedArray(gathered_shape(x.shape, common_index_shape(indices), axes), x.dtype)


def _gather_jvp(primals: Sequence, tangents: Sequence, axes: Axes, unique: bool) -> tuple:
    x, *indices = primals
    out = gather_p.bind(*primals, axes=axes, unique=unique)
    t = tangents[0]
    return out, None if t is None else gather_p.bind(t, *indices, axes=axes, unique=unique)


def _gather_vjp(active: Sequence[int], x: Any, *indices: Any, axes: Axes, unique: bool) -> tuple:
    out = gather_p.bind(x, *indices, axes=axes, unique=unique)
    if not is_float(dtype_of(out)):
        return out, None
    shape = shape_of(x)
    return out, lambda ct: (gather_transpose_p.bind(ct, *indices, shape=shape, axes=axes, unique=unique),)


def _gather_batch(size: int, vals: Sequence, dims: Sequence, axes: Axes, unique: bool) -> tuple:
    x, *indices = vals
    index_ndim = batched_index_ndim(indices, dims[1:])
    pos = placement(axes)
    adjacent = axes[-1] - axes[0] == len(axes) - 1
    if all([d is None for d in dims[1:]]):
        x = move_dim(x, dims[0], 0, size)
        return gather_p.bind(x, *indices, axes=shifted(axes), unique=unique), 0 if adjacent else index_ndim
    indices = batched_indices(size, indices, dims[1:], index_ndim)
    if dims[0] is None:
        return gather_p.bind(x, *indices, axes=axes, unique=False), pos
    x = move_dim(x, dims[0], 0, size)
    out = gather_p.bind(x, iota_along(size, index_ndim + 1, 0), *indices, axes=(0, *shifted(axes)), unique=unique)
    return move_block(out, 1, pos + 1, index_ndim), 0


gather_p.impl, gather_p.abstract, gather_p.jvp, gather_p.vjp, gather_p.batch = (
    _gather_impl,
    _gather_abstract,
    _gather_jvp,
    _gather_vjp,
    _gather_batch,
)

# gather_transpose(u, *indices): the array of `shape` that holds, at each position, the sum of the updates with that index
gather_transpose_p = Primitive("gather_transpose", fresh=True)


def _gather_transpose_impl(u: Any, *indices: Any, shape: tuple[int, ...], axes: Axes, unique: bool) -> Any:
    out = np.zeros(shape, u.dtype)
    if unique:
        out[index_tuple(indices, axes)] = u
        return out
    return scatter_into(out, np.asarray(u), indices, axes, "add", False, unique)


def _gather_transpose_abstract(
    u: ShapedArray, *indices: ShapedArray, shape: tuple[int, ...], axes: Axes, unique: bool
) -> ShapedArray:
    check_indices("scatter_add", len(shape), indices, axes)
    check_updates("scatter_add", u.shape, shape, indices, axes)
    return ShapedArray(shape, u.dtype)


def _gather_transpose_jvp(primals: Sequence, tangents: Sequence, **params: Any) -> tuple:
    out = gather_transpose_p.bind(*primals, **params)
    t = tangents[0]
    return out, None if t is None else gather_transpose_p.bind(t, *primals[1:], **params)


def _gather_transpose_vjp(
    active: Sequence[int], u: Any, *indices: Any, shape: tuple[int, ...], axes: Axes, unique: bool
) -> tuple:
    out = gather_transpose_p.bind(u, *indices, shape=shape, axes=axes, unique=unique)
    return out, lambda ct: (gather_p.bind(ct, *indices, axes=axes, unique=unique),)


def _gather_transpose_batch(
    size: int, vals: Sequence, dims: Sequence, shape: tuple[int, ...], axes: Axes, unique: bool
) -> tuple:
    u, *indices = vals
    index_ndim = batched_index_ndim(indices, dims[1:])
    batched = any([d is not None for d in dims[1:]])
    u = batched_updates(size, u, dims[0], batched, axes, index_ndim)
    axes = shifted(axes)
    if batched:
        indices = [iota_along(size, index_ndim + 1, 0), *batched_indices(size, indices, dims[1:], index_ndim)]
        axes = (0, *axes)
    return gather_transpose_p.bind(u, *indices, shape=(size, *shape), axes=axes, unique=unique), 0


gather_transpose_p.impl, gather_transpose_p.abstract = _gather_transpose_impl, _gather_transpose_abstract
gather_transpose_p.jvp, gather_transpose_p.vjp, gather_transpose_p.batch = (
    _gather_transpose_jvp,
    _gather_transpose_vjp,
    _gather_transpose_batch,
)


# ------------------------------------------------------------------ scatter: set, add, mul, min, max

# scatter(x, updates, *indices): a copy of x with the updates set, or combined, at the indices. With `drop`, indices outside [0, n) are left
# out, negative ones too; otherwise negative ones count from the end and others are an error.
scatter_p = Primitive("scatter", fresh=True)


def _scatter_impl(x: Any, u: Any, *indices: Any, axes: Axes, op: str, drop: bool, unique: bool) -> Any:
    return scatter_into(np.array(x, order="C"), np.asarray(u), indices, axes, op, drop, unique)


def _scatter_inside(x: Any, u: Any, *indices: Any, axes: Axes, op: str, drop: bool, unique: bool) -> Any:
    return scatter_into(x, np.asarray(u), indices, axes, op, drop, unique)


def in_place(impl: Callable, inside: Callable) -> Callable:
    """The lowering of an update `impl(x, ...)`: where the backend may overwrite x, `inside(x, ...)` does so.

    The other operands may be views of x, and x may be one element seen many times: then it works on a copy after all.
    """

    def reuse(x: Any, *operands: Any, **params: Any) -> Any:
        if not (x.flags.writeable and x.flags.c_contiguous) or any(
            [np.may_share_memory(x, v) for v in operands if type(v) is np.ndarray]
        ):
            return impl(x, *operands, **params)
        return inside(x, *operands, **params)

    def lower(cg: Any, eqn: Any, args: list[str], out: str | None) -> str:
        run = functools.partial(reuse if out is not None and out == args[0] else impl, **eqn.params)
        return f"{cg.const(run, eqn.prim.name)}({', '.join(args)})"

    return lower


def _scatter_abstract(
    x: ShapedArray, u: ShapedArray, *indices: ShapedArray, axes: Axes, op: str, drop: bool, unique: bool
) -> ShapedArray:
    name = "scatter" if op == "set" else f"scatter_{op}"
    check_indices(name, x.ndim, indices, axes)
    check_updates(name, u.shape, x.shape, indices, axes)
    if x.dtype != u.dtype:
        raise DTypeError(
            f"[{name}] expected updates of dtype {x.dtype.name}, as the array, got {u.dtype.name}. Use updates.astype(...)."
        )
    return ShapedArray(x.shape, x.dtype)


class _Use:
    """One use of scatter: its values, and what its derivatives are made of."""

    def __init__(self, x: Any, u: Any, indices: Sequence[Any], axes: Axes, op: str, drop: bool, unique: bool):
        self.x, self.u, self.indices, self.axes, self.op, self.drop, self.unique = (
            x,
            u,
            tuple(indices),
            axes,
            op,
            drop,
            unique,
        )

    def scatter(self, x: Any, u: Any, op: str) -> Any:
        return scatter_p.bind(x, u, *self.indices, axes=self.axes, op=op, drop=self.drop, unique=self.unique)

    def gather(self, x: Any) -> Any:
        """x at the indices, 0 for those that are left out."""
        if not self.drop:
            return gather_p.bind(x, *self.indices, axes=self.axes, unique=self.unique)
        return index_gather(
            x, self.indices, self.axes, mode="fill", fill_value=0, wrap_negative=False, unique=self.unique
        )

    def winners(self) -> Any:
        """1 for the updates that are the last at their position, else 0; None if all are."""
        index_shape = common_index_shape(self.indices)
        count = 1
        for n in index_shape:
            count *= n
        if self.unique or count <= 1:
            return None
        ids = np.arange(count).reshape(index_shape)
        sizes = [shape_of(self.x)[a] for a in self.axes]
        every = tuple(range(len(sizes)))
        slots = _Use(np.zeros(sizes, np.int64), ids, self.indices, every, "set", self.drop, False)
        won = eq(slots.gather(slots.scatter(slots.x, ids, "set")), ids)
        pos = placement(self.axes)
        behind = len(shape_of(self.u)) - pos - len(index_shape)
        return convert(reshape(won, (*(1,) * pos, *index_shape, *(1,) * behind)), dtype_of(self.u))

    def slopes(self) -> tuple[Callable, Callable]:
        """d out / d x and d out / d u, position by position, each worked out when called; None stands for 1."""
        if self.op == "add":
            return lambda: None, lambda: None
        if self.op == "set":
            return lambda: self.scatter(_ones_like(self.x), zeros_like(self.u), "set"), self.winners
        if self.op == "mul":
            return lambda: self.scatter(_ones_like(self.x), self.u, "mul"), self._mul_by_update
        return self._extremal()

    def _mul_by_update(self) -> Any:
        x = self.gather(self.x)
        if self.unique:
            return x
        # the product of the other updates of the same position: without its zeros, and 0 if another one is zero
        zero = eq(self.u, 0)
        safe = select(zero, _ones_like(self.u), self.u)
        zeros = convert(zero, dtype_of(self.u))
        product = self.gather(self.scatter(_ones_like(self.x), safe, "mul"))
        others_zero = gt(sub(self.gather(self.scatter(zeros_like(self.x), zeros, "add")), zeros), 0)
        return mul(x, select(others_zero, zeros_like(self.u), div(product, safe)))

    def _extremal(self) -> tuple[Callable, Callable]:
        """Whoever equals the minimum or maximum shares the derivative equally."""
        dtype = dtype_of(self.x)

        @functools.cache
        def parts() -> tuple:
            out = self.scatter(self.x, self.u, self.op)
            x_wins = convert(eq(self.x, out), dtype)
            u_wins = convert(eq(self.u, self.gather(out)), dtype)
            count = maximum(self.scatter(x_wins, u_wins, "add"), 1)
            return x_wins, u_wins, count

        def by_update() -> Any:
            _, u_wins, count = parts()
            shared = self.gather(count)
            return div(u_wins, maximum(shared, 1) if self.drop else shared)

        return lambda: div(parts()[0], parts()[2]), by_update


def _ones_like(x: Any) -> Any:
    return broadcast_to(dtype_of(x).type(1), shape_of(x))


def _scaled(t: Any, slope: Any) -> Any:
    return t if slope is None else mul(t, slope)


def _scatter_jvp(primals: Sequence, tangents: Sequence, **params: Any) -> tuple:
    x, u, *indices = primals
    out = scatter_p.bind(*primals, **params)
    tx, tu = tangents[:2]
    if tx is None and tu is None or not is_float(dtype_of(out)):
        return out, None
    use = _Use(x, u, indices, **params)
    if use.op == "set":
        return out, use.scatter(zeros_like(x) if tx is None else tx, zeros_like(u) if tu is None else tu, "set")
    by_x, by_u = use.slopes()
    total = zeros_like(x) if tx is None else _scaled(tx, by_x())
    return out, total if tu is None else use.scatter(total, _scaled(tu, by_u()), "add")


def _scatter_vjp(active: Sequence[int], x: Any, u: Any, *indices: Any, **params: Any) -> tuple:
    out = scatter_p.bind(x, u, *indices, **params)
    if not is_float(dtype_of(out)):
        return out, None
    if params["op"] in ("set", "add"):
        x, u = zeros_like(x), zeros_like(u)  # their values do not matter: hold no memory
    use = _Use(x, u, indices, **params)

    def pull(ct: Any) -> list:
        by_x, by_u = use.slopes()
        cts = []
        for i in active:
            if i:
                cts.append(_scaled(use.gather(ct), by_u()))
            else:
                cts.append(use.scatter(ct, zeros_like(u), "set") if use.op == "set" else _scaled(ct, by_x()))
        return cts

    return out, pull


def _scatter_batch(size: int, vals: Sequence, dims: Sequence, axes: Axes, op: str, drop: bool, unique: bool) -> tuple:
    x, u, *indices = vals
    index_ndim = batched_index_ndim(indices, dims[2:])
    batched = any([d is not None for d in dims[2:]])
    x = move_dim(x, dims[0], 0, size)
    u = batched_updates(size, u, dims[1], batched, axes, index_ndim)
    axes = shifted(axes)
    if batched:
        indices = [iota_along(size, index_ndim + 1, 0), *batched_indices(size, indices, dims[2:], index_ndim)]
        axes = (0, *axes)
    return scatter_p.bind(x, u, *indices, axes=axes, op=op, drop=drop, unique=unique), 0


scatter_p.impl, scatter_p.abstract, scatter_p.jvp, scatter_p.vjp, scatter_p.batch = (
    _scatter_impl,
    _scatter_abstract,
    _scatter_jvp,
    _scatter_vjp,
    _scatter_batch,
)
scatter_p.lower["numpy"] = in_place(_scatter_impl, _scatter_inside)


# ------------------------------------------------------------------ what to do with indices that are out of range

_MODES = {
    None: "raise",
    "raise": "raise",
    "promise_in_bounds": "raise",
    "clip": "clip",
    "fill": "drop",
    "drop": "drop",
    "fill_or_drop": "drop",
    "wrap": "wrap",
}


def as_mode(mode: Any, op: str) -> str:
    """One of "raise", "clip", "drop", "wrap" from JAX's names for modes, `GatherScatterMode` members among them.

    >>> as_mode("fill", "take"), as_mode(None, "take")
    ('drop', 'raise')
    """
    name = mode.name.lower() if hasattr(mode, "name") else mode
    if name not in _MODES:
        raise ArgumentError(
            f"[{op}] expected mode to be 'clip', 'fill', 'drop', 'wrap', 'promise_in_bounds' or None, got {mode!r}."
        )
    return _MODES[name]


def count_from_end(i: Any, n: int) -> Any:
    """Negative indices as positions counted from the end of an axis of length n."""
    return select(lt(i, 0), add(i, n), i) if dtype_of(i).kind == "i" else i


def _resolved(indices: Sequence[Any], sizes: Sequence[int], mode: str, wrap_negative: bool) -> list[Any]:
    """Indices with negative ones resolved and, by clip or wrap, moved into range."""
    if mode == "raise" and wrap_negative:
        return list(indices)
    out = []
    for i, n in zip(indices, sizes):
        i = convert(arr(i), np.int64)
        if mode == "wrap":
            out.append(remainder(i, n))
            continue
        if wrap_negative:
            i = count_from_end(i, n)
        elif mode == "raise":
            i = select(lt(i, 0), n, i)  # out of range, and found to be so
        out.append(clamp(0, i, n - 1) if mode == "clip" else i)
    return out


def in_range(indices: Sequence[Any], sizes: Sequence[int]) -> Any:
    """Where all indices lie in [0, size)."""
    valid = None
    for i, n in zip(indices, sizes):
        inside = logical_and(ge(i, 0), lt(i, n))
        valid = inside if valid is None else logical_and(valid, inside)
    return valid


@functools.lru_cache(maxsize=64)
def default_fill(dtype: np.dtype) -> Any:
    """What JAX fills in for an index that is out of range: NaN, the lowest signed or highest unsigned integer, or True."""
    if dtype.kind == "i":
        return np.iinfo(dtype).min
    if dtype.kind == "u":
        return np.iinfo(dtype).max
    return True if dtype.kind == "b" else float("nan")


def index_gather(
    x: Any,
    indices: Sequence[Any],
    axes: Axes,
    *,
    mode: Any = None,
    fill_value: Any = None,
    unique: bool = False,
    wrap_negative: bool = True,
    op: str = "getitem",
) -> Any:
    """x[...] with integer arrays at `axes`. mode: "raise" (None), "clip", "wrap" or "fill", by which `fill_value` stands where an index is out of range."""
    mode = as_mode(mode, op)
    shape = shape_of(x)
    sizes = [shape[a] for a in axes]
    indices = _resolved(indices, sizes, mode, wrap_negative)
    if mode != "drop":
        return gather_p.bind(x, *indices, axes=axes, unique=unique and mode == "raise")
    dtype = dtype_of(x)
    fill = np.asarray(default_fill(dtype) if fill_value is None else fill_value).astype(dtype)[()]
    index_shape = common_index_shape(indices)
    if 0 in sizes:
        return broadcast_to(fill, gathered_shape(shape, index_shape, axes))
    valid = in_range(indices, sizes)
    out = gather_p.bind(x, *[clamp(0, i, n - 1) for i, n in zip(indices, sizes)], axes=axes, unique=False)
    return fill_invalid(out, valid, fill, placement(axes))


def fill_invalid(out: Any, valid: Any, fill: Any, pos: int) -> Any:
    """`out` with `fill` where `valid`, whose dimensions stand at `pos`, is False."""
    own = shape_of(valid)
    mask = reshape(valid, (*(1,) * pos, *own, *(1,) * (len(shape_of(out)) - pos - len(own))))
    return select(mask, out, fill)


def index_scatter(
    x: Any,
    updates: Any,
    indices: Sequence[Any],
    axes: Axes,
    op: str,
    *,
    mode: Any = None,
    unique: bool = False,
    wrap_negative: bool = True,
    name: str = "scatter",
) -> Any:
    """A copy of x with updates, of the shape of x[...] and of its dtype, set or combined by `op` at integer arrays at `axes`."""
    mode = as_mode(mode, name)
    indices = _resolved(indices, [shape_of(x)[a] for a in axes], mode, wrap_negative)
    return scatter_p.bind(
        x, updates, *indices, axes=axes, op=op, drop=mode == "drop", unique=unique and mode in ("raise", "drop")
    )


def apply_counted(x: Any, func: Callable, counts: np.ndarray) -> Any:
    """`x` with an elementwise function applied to each element as often as `counts`, of the shape of x, says."""
    for r in range(np.max(counts, initial=0)):
        if not shape_of(x):
            x = convert(func(x), dtype_of(x))
            continue
        positions = (counts > r).nonzero()
        axes = _every_axis(len(positions))
        values = convert(func(gather_p.bind(x, *positions, axes=axes, unique=True)), dtype_of(x))
        x = scatter_p.bind(x, values, *positions, axes=axes, op="set", drop=False, unique=True)
    return x


@functools.lru_cache(maxsize=64)
def _every_axis(ndim: int) -> Axes:
    return tuple(range(ndim))


# ------------------------------------------------------------------ gathers of a known form


def along_axis_indices(shape: tuple[int, ...], indices: Any, axis: int) -> tuple[list[Any], bool]:
    """Index arrays for all axes such that `x[...]` of them is take_along_axis; and whether each row is read once at most."""
    ndim = len(shape)
    own = shape_of(indices)
    once = own[axis] == 1
    arrays = []
    for d in range(ndim):
        if d == axis:
            arrays.append(indices)
        else:
            arrays.append(iota_along(shape[d], ndim, d))
            once = once and own[d] <= shape[d]
    return arrays, once


def take_along(x: Any, indices: Any, axis: int, unique: bool = False) -> Any:
    """`x` at integer `indices` along one axis, row by row; the other axes broadcast. unique: no row of indices repeats an entry."""
    shape = shape_of(x)
    if len(shape) == 1:
        return gather_p.bind(x, indices, axes=(0,), unique=unique)
    arrays, once = along_axis_indices(shape, indices, axis)
    return gather_p.bind(x, *arrays, axes=_every_axis(len(shape)), unique=unique or once)


def window_plan(
    ndim: int, starts: Mapping[int, Any], sizes: Sequence[int], collapsed: Sequence[int], batch_ndim: int
) -> tuple[Axes, list[Any], tuple[int, ...]]:
    """Index arrays for windows of static sizes at starts that vary: (axes, indices, permutation).

    starts: for each axis where windows differ, integer arrays that broadcast to the batch's shape; other axes are whole. collapsed: axes, of
    window size 1, that the result lacks. The permutation brings the gathered array to (batch..., remaining axes in order).
    """
    axes = tuple(sorted(starts))
    windowed = [a for a in axes if a not in collapsed]
    indices = []
    for a in axes:
        start = reshape(starts[a], (*shape_of(starts[a]), *(1,) * len(windowed)))
        if a in windowed and sizes[a] != 1:
            start = add(start, iota_along(sizes[a], len(windowed), windowed.index(a)))
        indices.append(start)
    pos = placement(axes)
    rest = [a for a in range(ndim) if a not in axes]
    gathered = [*rest[:pos], *[-1] * batch_ndim, *windowed, *rest[pos:]]
    batch = range(pos, pos + batch_ndim)
    return axes, indices, (*batch, *[gathered.index(a) for a in sorted([*rest, *windowed])])


def gather_windows(
    x: Any,
    starts: Mapping[int, Any],
    sizes: Sequence[int],
    collapsed: Sequence[int] = (),
    batch_ndim: int = 1,
    unique: bool = False,
) -> Any:
    """Windows of x as (batch..., window...); arguments as `window_plan`, the starts in range. unique: they do not overlap."""
    axes, indices, order = window_plan(len(shape_of(x)), starts, sizes, collapsed, batch_ndim)
    return transpose(gather_p.bind(x, *indices, axes=axes, unique=unique), order)


def scatter_windows(
    x: Any,
    updates: Any,
    starts: Mapping[int, Any],
    sizes: Sequence[int],
    collapsed: Sequence[int] = (),
    batch_ndim: int = 1,
    op: str = "set",
    drop: bool = False,
    unique: bool = False,
) -> Any:
    """A copy of x with windows, given as (batch..., window...), set or combined by `op`; the counterpart of `gather_windows`."""
    axes, indices, order = window_plan(len(shape_of(x)), starts, sizes, collapsed, batch_ndim)
    return scatter_p.bind(
        x, transpose(updates, inverse_permutation(order)), *indices, axes=axes, op=op, drop=drop, unique=unique
    )
