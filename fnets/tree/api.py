"""The functions of `fnets.tree` that work on whole trees: map, reduce, paths, prefixes. May import `fnets.errors` and
the other modules of `fnets.tree`.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fnets.errors import ArgumentError, TreeStructureError
from fnets.tree.differences import structure_error
from fnets.tree.keys import KeyEntry, KeyPath
from fnets.tree.registry import BUILTIN_NODES, is_tree_node, register_dataclass, register_node, registry
from fnets.tree.spec import (
    LEAF,
    IsLeaf,
    Leaf,
    PyTree,
    Spec,
    child_keys,
    flatten_by_stack,
    flatten_once,
    flatten_spec,
    flatten_up_to,
    num_leaves,
    same_node,
    unflatten_spec,
)
from fnets.tree.treedef import PyTreeDef

_map = builtins.map  # the public `map` and `all` hide the built-ins
_UNSPECIFIED: Any = object()


def flatten(tree: PyTree, is_leaf: IsLeaf = None) -> tuple[list[Leaf], PyTreeDef]:
    """The leaves of a tree, from left to right with dict keys sorted, and its structure.

    Args:
      tree: nested dicts, lists, tuples, namedtuples, None and registered classes; all else is a leaf.
      is_leaf: called on subtrees; where it returns True the subtree is a leaf.

    Raises:
      TreeStructureError: dict keys that cannot be sorted, a tree that contains itself.

    >>> flatten({"b": (1, None), "a": 2})
    ([2, 1], PyTreeDef({'a': *, 'b': (*, None)}))
    """
    found, spec = flatten_spec(tree, is_leaf)
    return found, PyTreeDef(spec)


def unflatten(treedef: PyTreeDef, leaves: Iterable[Leaf]) -> PyTree:
    """The tree with this structure and these leaves; undoes `flatten`.

    Raises:
      TreeStructureError: too many or too few leaves.

    >>> unflatten(structure({"a": 0, "b": [0]}), [1, 2])
    {'a': 1, 'b': [2]}
    """
    if not isinstance(treedef, PyTreeDef):
        raise ArgumentError(
            f"[tree.unflatten] expected a PyTreeDef, then the leaves, got {type(treedef).__name__} first. "
            "Pass the structure from tree.flatten or tree.structure first."
        )
    return treedef.unflatten(leaves)


def leaves(tree: PyTree, is_leaf: IsLeaf = None) -> list[Leaf]:
    """The leaves of a tree.

    >>> leaves([1, (2, 3), {"a": None}])
    [1, 2, 3]
    """
    return flatten_spec(tree, is_leaf)[0]


def structure(tree: PyTree, is_leaf: IsLeaf = None) -> PyTreeDef:
    """The structure of a tree.

    >>> structure([1, (2, 3)])
    PyTreeDef([*, (*, *)])
    """
    return PyTreeDef(flatten_spec(tree, is_leaf)[1])


def _columns(op: str, spec: Spec, rest: tuple[PyTree, ...]) -> list[list[PyTree]]:
    """For each further tree its subtrees at the leaves of `spec`."""
    columns = []
    for i, tree in enumerate(rest, 1):
        column = flatten_up_to(spec, tree)
        if column is None:
            names = ("tree 0", f"tree {i}")
            raise structure_error(op, "the trees to have the same structure", names, spec, flatten_spec(tree)[1])
        columns.append(column)
    return columns


def map(f: Callable[..., Any], tree: PyTree, *rest: PyTree, is_leaf: IsLeaf = None) -> PyTree:
    """Applies `f` to the leaves of a tree, or to the corresponding leaves of several.

    Args:
      f: takes as many arguments as there are trees.
      tree: gives the result its structure.
      *rest: trees that have `tree`'s structure as a prefix; `f` gets their whole subtrees.
      is_leaf: as in `flatten`, for `tree`.

    Raises:
      TreeStructureError: the structures differ; names the first differing path.

    >>> map(lambda x, y: x + y, {"w": 1, "b": 2}, {"w": 10, "b": 20})
    {'b': 22, 'w': 11}
    """
    found, spec = flatten_spec(tree, is_leaf)
    if rest:
        return unflatten_spec(spec, list(_map(f, found, *_columns("tree.map", spec, rest))))
    return unflatten_spec(spec, list(_map(f, found)))


def reduce(
    function: Callable[[Any, Any], Any], tree: PyTree, initializer: Any = _UNSPECIFIED, is_leaf: IsLeaf = None
) -> Any:
    """Folds the leaves with `function(accumulator, leaf)`, from `initializer` if it is given.

    >>> reduce(lambda total, x: total + x, [1, (2, 3)])
    6
    """
    found = flatten_spec(tree, is_leaf)[0]
    if initializer is not _UNSPECIFIED:
        return functools.reduce(function, found, initializer)
    _need_leaves("tree.reduce", "initializer", found)
    return functools.reduce(function, found)


def reduce_associative(
    operation: Callable[[Any, Any], Any], tree: PyTree, *, identity: Any = _UNSPECIFIED, is_leaf: IsLeaf = None
) -> Any:
    """Folds the leaves with an associative `operation` as a balanced tree, which rounds less than one long chain.

    `identity` is the result for a tree without leaves.

    >>> reduce_associative(lambda x, y: x + y, [1, (2, 3)])
    6
    """
    found = flatten_spec(tree, is_leaf)[0]
    if not found and identity is not _UNSPECIFIED:
        return identity
    _need_leaves("tree.reduce_associative", "identity", found)

    def fold_range(low: int, high: int) -> Any:
        middle = (low + high) // 2
        return found[low] if high - low == 1 else operation(fold_range(low, middle), fold_range(middle, high))

    return fold_range(0, len(found))


def _need_leaves(op: str, argument: str, found: list[Leaf]) -> None:
    if not found:
        raise TreeStructureError(f"[{op}] expected a tree with at least one leaf, got none. Pass {argument}=.")


def all(tree: PyTree, *, is_leaf: IsLeaf = None) -> bool:
    """Whether every leaf is true.

    >>> all({"a": True, "b": [1, 0]})
    False
    """
    return builtins.all(flatten_spec(tree, is_leaf)[0])


def all_leaves(iterable: Iterable[Any], is_leaf: IsLeaf = None) -> bool:
    """Whether every item of the iterable is a leaf.

    >>> all_leaves([1, 2.0]), all_leaves([1, (2,)])
    (True, False)
    """
    return builtins.all(flatten_spec(item, is_leaf)[1] is LEAF for item in iterable)


def transpose(outer_treedef: PyTreeDef, inner_treedef: PyTreeDef | None, pytree_to_transpose: PyTree) -> PyTree:
    """Turns a tree of structure (outer, inner) inside out into one of structure (inner, outer).

    Args:
      outer_treedef: the structure at the top.
      inner_treedef: the structure below each of its leaves; None: that of the first one.
      pytree_to_transpose: the tree.

    >>> transpose(structure([0, 0]), structure(("x", "y")), [(1, 2), (3, 4)])
    ([1, 3], [2, 4])
    """
    found, spec = flatten_spec(pytree_to_transpose)
    if inner_treedef is None:
        subtrees = outer_treedef.flatten_up_to(pytree_to_transpose)
        if not subtrees:
            raise TreeStructureError(
                "[tree.transpose] expected an outer tree with leaves, got none. Pass inner_treedef."
            )
        inner_treedef = structure(subtrees[0])
    rows, columns = outer_treedef.num_leaves, inner_treedef.num_leaves
    if len(found) != rows * columns:
        expected, names = "a tree of the structure (outer, inner)", ("(outer, inner)", "the tree")
        raise structure_error("tree.transpose", expected, names, outer_treedef.compose(inner_treedef).spec, spec)
    return inner_treedef.unflatten([outer_treedef.unflatten(found[i::columns]) for i in range(columns)])


# ---------------------------------------------------------------- paths


def flatten_with_path(
    tree: PyTree, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Leaf]], PyTreeDef]:
    """(path, leaf) pairs of a tree, and its structure; `is_leaf_takes_path` makes `is_leaf` take (path, subtree).

    >>> flatten_with_path([1, {"x": 3}])[0]
    [((SequenceKey(idx=0),), 1), ((SequenceKey(idx=1), DictKey(key='x')), 3)]
    """
    predicate = is_leaf if is_leaf is None or is_leaf_takes_path else lambda _, x: is_leaf(x)
    found, paths, spec = flatten_by_stack(tree, predicate, with_paths=True)
    return list(zip(paths, found)), PyTreeDef(spec)


def leaves_with_path(
    tree: PyTree, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Leaf]]:
    """(path, leaf) pairs of a tree.

    >>> [("/".join(str(key.value) for key in path), leaf) for path, leaf in leaves_with_path({"w": [1, 2]})]
    [('w/0', 1), ('w/1', 2)]
    """
    return flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def map_with_path(
    f: Callable[..., Any],
    tree: PyTree,
    *rest: PyTree,
    is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> PyTree:
    """`map` with the leaf's path as the first argument of `f`.

    >>> map_with_path(lambda path, x: x if path[0].key == "w" else 0.0, {"w": [1.5], "b": 2.5})
    {'b': 0.0, 'w': [1.5]}
    """
    pairs, treedef = flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    columns = _columns("tree.map_with_path", treedef.spec, rest)
    return treedef.unflatten([f(path, leaf, *others) for (path, leaf), *others in zip(pairs, *columns)])


# ---------------------------------------------------------------- prefixes


def _repeat(op: str, found: list[Leaf], prefix: Spec, full: Spec) -> list[Leaf]:
    """The leaves of the prefix, each as often as the full tree has leaves below it."""
    result: list[Leaf] = []
    rest = iter(found)
    todo = [(prefix, full)]
    while todo:
        a, b = todo.pop()
        if a is LEAF:
            result += [next(rest)] * num_leaves(b)
        elif same_node(a, b):
            todo.extend(zip(a[2][::-1], b[2][::-1]))
        else:
            raise structure_error(op, "a prefix of the tree that it is for", ("it", "the tree"), prefix, full)
    return result


def broadcast_prefix(prefix_tree: PyTree, full_tree: PyTree, is_leaf: IsLeaf = None) -> list[Leaf]:
    """The leaves of `prefix_tree`, each repeated for all leaves of `full_tree` below it.

    Args:
      prefix_tree: a tree whose containers are the top of `full_tree`.
      full_tree: the tree that gives the counts.
      is_leaf: as in `flatten`, for the prefix alone; `lambda x: x is None` lets None stand for all below it.

    Raises:
      TreeStructureError: `prefix_tree` is no prefix; names the first differing path.

    >>> broadcast_prefix((1, 2), ([0, 0], {"a": 0}))
    [1, 1, 2]
    """
    return _repeat("tree.broadcast", *flatten_spec(prefix_tree, is_leaf), flatten_spec(full_tree)[1])


def broadcast_flattened_prefix_with_treedef(
    prefix_leaves: list[Leaf], prefix_treedef: PyTreeDef, full_treedef: PyTreeDef
) -> list[Leaf]:
    """`broadcast_prefix` for trees that are flat already.

    >>> broadcast_flattened_prefix_with_treedef([7, 8], structure((0, 0)), structure(([0, 0], 0)))
    [7, 7, 8]
    """
    return _repeat("tree.broadcast", prefix_leaves, prefix_treedef.spec, full_treedef.spec)


def broadcast(prefix_tree: PyTree, full_tree: PyTree, is_leaf: IsLeaf = None) -> PyTree:
    """A tree like `full_tree` whose leaves are those of the prefix above them.

    >>> broadcast((1, 2), ([0, 0], {"a": 0}))
    ([1, 1], {'a': 2})
    """
    full = flatten_spec(full_tree)[1]
    return unflatten_spec(full, _repeat("tree.broadcast", *flatten_spec(prefix_tree, is_leaf), full))


def flatten_axes(name: str, treedef: PyTreeDef | Spec, axes: PyTree) -> list[Any]:
    """One axis per leaf from `axes`, a prefix of the tree in which None is a leaf: for `in_axes` and `out_axes`.

    Args:
      name: the argument, as the message calls it: "vmap in_axes".
      treedef: the structure (or spec) of the tree that the axes are for.
      axes: an int, None, or containers of them.

    Raises:
      TreeStructureError: `axes` is no prefix; names the first differing path.

    >>> flatten_axes("vmap in_axes", structure(({"w": 0, "b": 0}, 0)), (None, 0))
    [None, None, 0]
    """
    spec = treedef.spec if isinstance(treedef, PyTreeDef) else treedef
    if axes is None or type(axes) is int:
        return [axes] * num_leaves(spec)
    return _repeat(name, *flatten_spec(axes, _is_none), spec)


def _is_none(x: Any) -> bool:
    return x is None


# ---------------------------------------------------------------- one level, and the registry as an object


def flatten_one_level(tree: PyTree) -> tuple[Sequence[Any], Any]:
    """(children, static data) of a node.

    Raises:
      TreeStructureError: `tree` is a leaf.

    >>> flatten_one_level({"b": [1, 2], "a": 3})
    ((3, [1, 2]), ('a', 'b'))
    """
    pairs, aux = flatten_one_level_with_keys(tree)
    children = [child for _, child in pairs]
    return (tuple(children) if type(tree) in (dict, tuple, type(None)) else children), aux


def flatten_one_level_with_keys(tree: PyTree) -> tuple[Sequence[tuple[KeyEntry, Any]], Any]:
    """((key, child) pairs, static data) of a node.

    Raises:
      TreeStructureError: `tree` is a leaf.

    >>> flatten_one_level_with_keys([1, 2])
    (((SequenceKey(idx=0), 1), (SequenceKey(idx=1), 2)), None)
    """
    parts = flatten_once(tree)
    if parts is None:
        raise TreeStructureError(
            f"[tree.flatten_one_level] expected a pytree node, got a leaf of type {type(tree).__name__}. "
            "Register its class with tree.register_node if it is a container."
        )
    children, aux = parts
    kind = type(tree)
    keys = child_keys(kind, aux, len(children), tree)
    return tuple(zip(keys, children)), aux if kind in registry or kind in BUILTIN_NODES else kind


class PyTreeRegistry:
    """The functions that know the registered types, under the names of JAX's registry object. There is one registry.

    >>> default_registry.is_node(list), default_registry.flatten_one_level(3.0)
    (True, None)
    """

    __slots__ = ()
    flatten = staticmethod(flatten)
    is_node = staticmethod(is_tree_node)
    register_node = staticmethod(register_node)
    register_dataclass_node = staticmethod(register_dataclass)

    @staticmethod
    def flatten_with_path(
        tree: PyTree, is_leaf: Callable[[KeyPath, Any], bool] | None = None
    ) -> tuple[list[tuple[KeyPath, Leaf]], PyTreeDef]:
        """(path, leaf) pairs and the structure; `is_leaf` takes (path, subtree).

        >>> default_registry.flatten_with_path([5])[0]
        [((SequenceKey(idx=0),), 5)]
        """
        return flatten_with_path(tree, is_leaf, is_leaf_takes_path=True)

    @staticmethod
    def flatten_one_level(tree: PyTree) -> tuple[Sequence[Any], Any] | None:
        """(children, static data) of a node, None for a leaf.

        >>> default_registry.flatten_one_level((1, 2))
        ((1, 2), None)
        """
        return None if flatten_once(tree) is None else flatten_one_level(tree)

    @staticmethod
    def flatten_one_level_with_keys(tree: PyTree) -> tuple[Sequence[tuple[KeyEntry, Any]], Any] | None:
        """((key, child) pairs, static data) of a node, None for a leaf.

        >>> default_registry.flatten_one_level_with_keys((1,))
        (((SequenceKey(idx=0), 1),), None)
        """
        return None if flatten_once(tree) is None else flatten_one_level_with_keys(tree)


default_registry = PyTreeRegistry()
