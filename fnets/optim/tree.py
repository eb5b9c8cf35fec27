"""Arithmetic on pytrees of arrays, under optax's names (`optim.tree.add`, or `optim.tree_utils.tree_add`).

May import the package's numerics and tree_state, fnets.numpy, random, tree.
"""

from __future__ import annotations

import builtins
import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

import fnets.numpy as fnp
from fnets import random as _random
from fnets import tree as _tree
from fnets.config import default_float
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError
from fnets.optim.numerics import abs_sq, at_least_float32, decay_power, like, map_or_none
from fnets.optim.tree_state import NamedTupleKey, get, get_all_with_path, map_params, set
from fnets.primitives.base import convert

PyTree = Any
_map = _tree.map

# ---------------------------------------------------------------- arithmetic


def add(tree_x: PyTree, tree_y: PyTree, *other_trees: PyTree) -> PyTree:
    """The sum of two or more trees.

    >>> add({"a": 1.0}, {"a": 2.0}, {"a": 3.0})
    {'a': 6.0}
    """
    return _map(lambda *xs: functools.reduce(fnp.add, xs), tree_x, tree_y, *other_trees)


def sub(tree_x: PyTree, tree_y: PyTree) -> PyTree:
    """The difference of two trees.

    >>> sub([3.0], [1.0])
    [2.0]
    """
    return _map(fnp.subtract, tree_x, tree_y)


def mul(tree_x: PyTree, tree_y: PyTree) -> PyTree:
    """The elementwise product of two trees.

    >>> mul([3.0], [2.0])
    [6.0]
    """
    return _map(fnp.multiply, tree_x, tree_y)


def div(tree_x: PyTree, tree_y: PyTree) -> PyTree:
    """The elementwise quotient of two trees.

    >>> div([3.0], [2.0])
    [1.5]
    """
    return _map(fnp.divide, tree_x, tree_y)


def scale(scalar: Any, tree: PyTree) -> PyTree:
    """The tree times a scalar, in the leaves' own dtypes.

    >>> scale(2.0, [3.0])
    [6.0]
    """
    return _map(lambda x: fnp.multiply(like(scalar, x), x), tree)


def add_scale(tree_x: PyTree, scalar: Any, tree_y: PyTree) -> PyTree:
    """`tree_x + scalar * tree_y`; None where `tree_x` is None.

    >>> add_scale([1.0], 2.0, [3.0])
    [7.0]
    """
    return map_or_none(lambda x, y: fnp.add(x, fnp.multiply(like(scalar, y), y)), tree_x, tree_y)


def vdot(tree_x: PyTree, tree_y: PyTree) -> Any:
    """The inner product of two trees, the first one conjugated: a scalar, 0 for empty trees.

    >>> float(vdot([fnp.ones(2)], [fnp.ones(2)]))
    2.0
    """
    return builtins.sum(_tree.leaves(_map(fnp.vdot, tree_x, tree_y)))


def sum(tree: PyTree, associative_reduction: bool = False) -> Any:
    """The sum of all elements: a scalar, 0 for an empty tree.

    Args:
      tree: a tree of arrays.
      associative_reduction: add the leaves' sums pairwise as a balanced tree, which rounds less.

    >>> float(sum({"a": fnp.ones(2), "b": 3.0}))
    5.0
    """
    sums = _map(fnp.sum, tree)
    if associative_reduction:
        return _tree.reduce_associative(operator.add, sums, identity=0)
    return builtins.sum(_tree.leaves(sums))


def _extreme(tree: PyTree, reduction: Callable, combine: Callable, empty: float) -> Any:
    found = [reduction(x) for x in _tree.leaves(tree) if np.prod(shape_of(x)) != 0]
    return functools.reduce(combine, found) if found else empty


def max(tree: PyTree) -> Any:
    """The greatest element of all leaves; -inf for an empty tree.

    >>> float(max({"a": fnp.ones(2), "b": 3.0}))
    3.0
    """
    return _extreme(tree, fnp.max, fnp.maximum, -float("inf"))


def min(tree: PyTree) -> Any:
    """The least element of all leaves; inf for an empty tree.

    >>> float(min({"a": fnp.ones(2), "b": 3.0}))
    1.0
    """
    return _extreme(tree, fnp.min, fnp.minimum, float("inf"))


def size(tree: PyTree) -> int:
    """The number of elements of all leaves.

    >>> size({"a": fnp.ones((2, 3)), "b": 1.0})
    7
    """
    return builtins.sum(int(np.prod(shape_of(x))) for x in _tree.leaves(tree))


def conj(tree: PyTree) -> PyTree:
    """The complex conjugate.

    >>> conj([np.array([1 + 2j])])
    [array([1.-2.j])]
    """
    return _map(fnp.conj, tree)


def real(tree: PyTree) -> PyTree:
    """The real part.

    >>> real(fnp.ones(2))
    array([1., 1.], dtype=float32)
    """
    return _map(fnp.real, tree)


def norm(tree: PyTree, ord: int | float | str | None = None, squared: bool = False) -> Any:
    """The vector norm of all leaves taken together.

    Args:
      tree: a tree of arrays.
      ord: None or 2 (Euclidean), 1, or infinity (`inf` or `"inf"`).
      squared: return the square of the norm.

    Raises:
      ArgumentError: any other `ord`.

    >>> float(norm({"a": fnp.array([3.0]), "b": fnp.array([4.0])}))
    5.0
    """
    if ord is None or ord == 2:
        square = fnp.asarray(sum(_map(abs_sq, tree)))
        return square if squared else fnp.sqrt(square)
    if ord == 1:
        out = sum(_map(fnp.abs, tree))
    elif ord in (float("inf"), "inf", "infinity"):
        out = max(_map(fnp.abs, tree))
    else:
        raise ArgumentError(f"[tree.norm] expected ord to be None, 1, 2 or inf, got {ord!r}. Use the 2-norm, ord=None.")
    out = fnp.asarray(out)
    return fnp.square(out) if squared else out


# ---------------------------------------------------------------- making trees


def zeros_like(tree: PyTree, dtype: Any = None) -> PyTree:
    """A tree of zeros of the same shapes, and dtypes unless one is given.

    >>> zeros_like([fnp.ones(2)])
    [array([0., 0.], dtype=float32)]
    """
    return _map(lambda x: fnp.zeros_like(x, dtype=dtype), tree)


def ones_like(tree: PyTree, dtype: Any = None) -> PyTree:
    """A tree of ones of the same shapes, and dtypes unless one is given.

    >>> ones_like([fnp.zeros(2)])
    [array([1., 1.], dtype=float32)]
    """
    return _map(lambda x: fnp.ones_like(x, dtype=dtype), tree)


def full_like(tree: PyTree, fill_value: Any, dtype: Any = None) -> PyTree:
    """A tree filled with one value, of the same shapes, and dtypes unless one is given.

    >>> full_like([fnp.zeros(2)], 3.0)
    [array([3., 3.], dtype=float32)]
    """
    return _map(lambda x: fnp.full_like(x, fill_value, dtype=dtype), tree)


def batch_shape(tree: PyTree, shape: tuple[int, ...] = ()) -> PyTree:
    """Every leaf repeated along new leading axes of the given shape.

    >>> shape_of(batch_shape(fnp.zeros(3), (2,)))
    (2, 3)
    """
    return _map(lambda x: fnp.broadcast_to(x, (*shape, *shape_of(x))), tree)


def clip(tree: PyTree, min_value: Any = None, max_value: Any = None) -> PyTree:
    """Every element limited to [min_value, max_value]; None is no limit.

    >>> clip(fnp.array([-2.0, 0.5]), -1.0, 1.0)
    array([-1. ,  0.5], dtype=float32)
    """

    def limit(x: Any) -> Any:
        low, high = (v if v is None else like(v, x) for v in (min_value, max_value))
        return fnp.clip(x, low, high)

    return _map(limit, tree)


def where(condition: Any, tree_x: PyTree, tree_y: PyTree) -> PyTree:
    """The leaves of `tree_x` where the condition holds, else those of `tree_y`.

    >>> where(True, [fnp.array([1.0])], [2.0])
    [array([1.], dtype=float32)]
    """
    return _map(lambda x, y: fnp.where(condition, x, y), tree_x, tree_y)


def allclose(a: PyTree, b: PyTree, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Whether all leaves of two trees are equal within a tolerance, as `fnp.allclose`.

    >>> bool(allclose([1.0], [1.0 + 1e-9]))
    True
    """
    close = _map(lambda x, y: fnp.allclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan), a, b)
    return functools.reduce(operator.and_, _tree.leaves(close), True)


# ---------------------------------------------------------------- dtypes


def cast(tree: PyTree, dtype: Any) -> PyTree:
    """Every leaf with another dtype; the tree itself when `dtype` is None.

    >>> cast([fnp.ones(1)], "float64")
    [array([1.])]
    """
    return tree if dtype is None else _map(lambda x: convert(x, dtype), tree)


def cast_like(tree: PyTree, other_tree: PyTree) -> PyTree:
    """Every leaf with the dtype of the corresponding leaf of the other tree; a Python number there changes nothing.

    >>> cast_like([fnp.ones(1)], [np.ones(1)])
    [array([1.])]
    """
    return _map(lambda x, y: convert(x, y.dtype) if hasattr(y, "dtype") else x, tree, other_tree)


def dtype(tree: PyTree, mixed_dtype_handler: str | None = None) -> np.dtype:
    """The dtype of the leaves.

    Args:
      tree: a tree of arrays; Python numbers count as the default dtypes.
      mixed_dtype_handler: what to do if the leaves differ: None raises, "promote" takes NumPy's common dtype, "highest" and "lowest" the
        one that all others promote to, or that promotes to all others.

    Raises:
      ArgumentError: the leaves differ and no handler is given, or one has no order with another.

    >>> dtype([fnp.ones(1), np.ones(1)], "lowest")
    dtype('float32')
    """
    found = [(path, fnp.asarray(x).dtype) for path, x in _tree.leaves_with_path(tree)]
    if not found:
        return default_float()
    dtypes = [d for _, d in found]
    if mixed_dtype_handler is None:
        for path, d in found:
            if d != dtypes[0]:
                raise ArgumentError(
                    f"[tree.dtype] expected one dtype, {dtypes[0]}, got {d} at {_tree.keystr(path)}. Pass mixed_dtype_handler='promote'."
                )
        return dtypes[0]
    if mixed_dtype_handler == "promote":
        return functools.reduce(_promoted, dtypes)
    if mixed_dtype_handler == "highest":
        return functools.reduce(lambda a, b: _ordered(a, b)[1], dtypes)
    if mixed_dtype_handler == "lowest":
        return functools.reduce(lambda a, b: _ordered(a, b)[0], dtypes)
    raise ArgumentError(
        f"[tree.dtype] expected mixed_dtype_handler to be None, 'promote', 'highest' or 'lowest', got {mixed_dtype_handler!r}."
    )


def _promoted(a: np.dtype, b: np.dtype) -> np.dtype:
    try:
        return np.promote_types(a, b)
    except TypeError:  # bfloat16 and float16 have no common dtype in NumPy
        return np.dtype("float32")


def _ordered(a: np.dtype, b: np.dtype) -> tuple[np.dtype, np.dtype]:
    common = _promoted(a, b)
    if common not in (a, b):
        raise ArgumentError(f"[tree.dtype] expected dtypes of which one promotes to the other, got {a} and {b}.")
    return (b, a) if common == a else (a, b)


# ---------------------------------------------------------------- moments


def update_moment(updates: PyTree, moments: PyTree, decay: Any, order: int) -> PyTree:
    """The exponential moving average of `updates ** order`: `(1 - decay) * g ** order + decay * moment`.

    >>> update_moment([2.0], [1.0], 0.5, 2)
    [2.5]
    """
    return map_or_none(lambda g, t: _average(_power(g, order), t, decay), updates, moments)


def update_moment_per_elem_norm(updates: PyTree, moments: PyTree, decay: Any, order: int) -> PyTree:
    """The exponential moving average of `|updates| ** order`, which is real for complex updates.

    >>> update_moment_per_elem_norm([2.0], [1.0], 0.5, 2)
    [2.5]
    """

    def power(g: Any) -> Any:
        if dtype_of(g).kind != "c":
            return _power(g, order)
        return _power(abs_sq(g), order // 2 if order % 2 == 0 else order / 2)

    return map_or_none(lambda g, t: _average(power(g), t, decay), updates, moments)


def _power(g: Any, order: Any) -> Any:
    return g if order == 1 else fnp.square(g) if order == 2 else fnp.power(g, order)


def _average(new: Any, old: Any, decay: Any) -> Any:
    rest = like(1 - decay, new)
    return fnp.add(fnp.multiply(rest, new), fnp.multiply(like(decay, old), old))


def update_infinity_moment(updates: PyTree, moments: PyTree, decay: Any, eps: Any) -> PyTree:
    """The exponential moving maximum `maximum(|g| + eps, decay * moment)`.

    >>> update_infinity_moment([-2.0], [3.0], 0.5, 0.25)
    [2.25]
    """
    return map_or_none(
        lambda g, t: fnp.maximum(fnp.add(fnp.abs(g), like(eps, g)), fnp.multiply(like(decay, t), t)), updates, moments
    )


def bias_correction(moment: PyTree, decay: Any, count: Any) -> PyTree:
    """`moment / (1 - decay ** count)`: undoes the pull towards the zero that the average started from (Kingma and Ba, 2014).

    >>> bias_correction([fnp.array([1.0])], 0.5, 1)
    [array([2.], dtype=float32)]
    """
    factors: dict[np.dtype, Any] = {}

    def correct(t: Any) -> Any:
        dtype = at_least_float32(dtype_of(t))
        if dtype not in factors:
            factors[dtype] = fnp.subtract(1, decay_power(decay, count, dtype))
        return fnp.divide(t, like(factors[dtype], t))

    return _map(correct, moment)


# ---------------------------------------------------------------- random trees


def split_key_like(rng_key: Any, target_tree: PyTree) -> PyTree:
    """A tree of keys split from one, of the structure of `target_tree`.

    >>> sorted(split_key_like(_random.key(0), {"a": 0.0, "b": 0.0}))
    ['a', 'b']
    """
    structure = _tree.structure(target_tree)
    keys = _random.split(rng_key, structure.num_leaves)
    return structure.unflatten([keys[i] for i in range(structure.num_leaves)])


def random_like(
    rng_key: Any, target_tree: PyTree, sampler: Callable[..., Any] = _random.normal, dtype: Any = None
) -> PyTree:
    """A tree of random arrays of the shapes, and dtypes unless one is given, of `target_tree`.

    Args:
      rng_key: a key, split once for each leaf.
      target_tree: gives structure, shapes and dtypes.
      sampler: called as `sampler(key, shape, dtype)`.
      dtype: one dtype for all leaves.

    >>> random_like(_random.key(0), [fnp.zeros(2)])[0].shape
    (2,)
    """
    keys = split_key_like(rng_key, target_tree)
    return _map(lambda x, key: sampler(key, shape_of(x), dtype or dtype_of(x)), target_tree, keys)


def unwrap_random_key_data(input_tree: PyTree) -> PyTree:
    """The tree itself: here random keys are plain integer arrays already.

    >>> unwrap_random_key_data([1.0])
    [1.0]
    """

    return input_tree


__all__ = [
    "NamedTupleKey",
    "add",
    "add_scale",
    "allclose",
    "batch_shape",
    "bias_correction",
    "cast",
    "cast_like",
    "clip",
    "conj",
    "div",
    "dtype",
    "full_like",
    "get",
    "get_all_with_path",
    "map_params",
    "max",
    "min",
    "mul",
    "norm",
    "ones_like",
    "random_like",
    "real",
    "scale",
    "set",
    "size",
    "split_key_like",
    "sub",
    "sum",
    "unwrap_random_key_data",
    "update_infinity_moment",
    "update_moment",
    "update_moment_per_elem_norm",
    "vdot",
    "where",
    "zeros_like",
]
