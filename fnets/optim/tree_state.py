"""Finding and replacing values in optimizer states by name. May import fnets.tree and errors.

A name is a dict key, a field of a namedtuple, or the name of a namedtuple's class. Paths are tuples of `fnets.tree`'s keys, except
that a namedtuple's field appears as `NamedTupleKey`, which also tells the class.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fnets import tree as _tree
from fnets.errors import TreeKeyError
from fnets.tree.registry import is_namedtuple

PyTree = Any
Filter = Callable[[tuple, Any], bool]


@dataclass(frozen=True)
class NamedTupleKey:
    """A field of a namedtuple in a path: `tuple_name` is the class, `name` the field.

    >>> str(NamedTupleKey("TraceState", "trace"))
    'TraceState.trace'
    """

    tuple_name: str
    name: str

    def __str__(self) -> str:
        return f"{self.tuple_name}.{self.name}"


@_tree.register_node_class
class ParamsPlaceholder:
    """Stands for the whole tree of parameters: a node without children, which mapping over leaves keeps.

    >>> type(_tree.map(abs, ParamsPlaceholder())).__name__
    'ParamsPlaceholder'
    """

    def tree_flatten(self) -> tuple[tuple, None]:
        return (), None

    @classmethod
    def tree_unflatten(cls, aux: None, children: tuple) -> ParamsPlaceholder:
        return cls()


def _children(node: PyTree) -> list[tuple[Any, Any]]:
    """(key, child) pairs of a node; none for a leaf."""
    kind = type(node)
    if is_namedtuple(kind):
        return [(NamedTupleKey(kind.__name__, field), getattr(node, field)) for field in node._fields]
    if _tree.all_leaves([node]):
        return []
    return list(_tree.flatten_one_level_with_keys(node)[0])


def _named(path: tuple, node: PyTree) -> Any:
    """What the node goes by: the names by which it can be found."""
    names = []
    if path:
        last = path[-1]
        names.append(getattr(last, "name", getattr(last, "key", None)))
    if is_namedtuple(type(node)):
        names.append(type(node).__name__)
    return names


def _matches(path: tuple, node: PyTree, key: Any, filtering: Filter | None) -> bool:
    return key in _named(path, node) and (filtering is None or bool(filtering(path, node)))


def _below(path: tuple, node: PyTree) -> Iterator[tuple[tuple, Any]]:
    """Everything below a node, its own children first."""
    children = [((*path, key), child) for key, child in _children(node)]
    yield from children
    for child in children:
        yield from _below(*child)


def get_all_with_path(tree: PyTree, key: Any, filtering: Filter | None = None) -> list[tuple[tuple, Any]]:
    """All values that go by a name, each with its path; those near the root first.

    Args:
      tree: the tree to search, usually an optimizer's state.
      key: a dict key, a field of a namedtuple, or the name of a namedtuple's class.
      filtering: called as `filtering(path, value)`; only values for which it is true are returned.

    >>> get_all_with_path({"a": {"lr": 1}, "lr": 2}, "lr")
    [((DictKey(key='lr'),), 2), ((DictKey(key='a'), DictKey(key='lr')), 1)]
    """
    everything = itertools.chain([((), tree)], _below((), tree))
    return [(path, node) for path, node in everything if _matches(path, node, key, filtering)]


def get(tree: PyTree, key: Any, default: Any = None, filtering: Filter | None = None) -> Any:
    """The one value that goes by a name.

    Args:
      tree, key, filtering: as in `get_all_with_path`.
      default: returned if there is none.

    Raises:
      TreeKeyError: (a KeyError) there are several.

    >>> get({"a": {"lr": 1}}, "lr"), get({}, "lr", default=0.5)
    (1, 0.5)
    """
    found = get_all_with_path(tree, key, filtering)
    if len(found) > 1:
        places = ", ".join("/".join(map(str, path)) for path, _ in found)
        raise TreeKeyError(
            f"[tree.get] expected one value named {key!r}, got {len(found)}: {places}. Choose one with filtering=."
        )
    return found[0][1] if found else default


def set(tree: PyTree, filtering: Filter | None = None, /, **kwargs: Any) -> PyTree:
    """A copy of the tree in which every value that goes by one of the names is replaced.

    Args:
      tree: the tree.
      filtering: called as `filtering(path, value)`; only values for which it is true are replaced.
      **kwargs: new values by name.

    Raises:
      TreeKeyError: (a KeyError) nothing goes by one of the names.

    >>> set({"a": {"lr": 1}, "b": 2}, lr=3)
    {'a': {'lr': 3}, 'b': 2}
    """
    for key in kwargs:
        if not get_all_with_path(tree, key, filtering):
            raise TreeKeyError(
                f"[tree.set] expected a value named {key!r}, got a tree without one{' that passes filtering' if filtering else ''}. "
                "Print the state to see its names."
            )

    def replaced(path: tuple, node: PyTree) -> PyTree:
        for key, value in kwargs.items():
            if _matches(path, node, key, filtering):
                return value
        children = _children(node)
        if not children:
            return node
        structure = _tree.structure(node, is_leaf=lambda x: x is not node)
        return structure.unflatten([replaced((*path, key), child) for key, child in children])

    return replaced((), tree)


def map_params(
    initable: Any,
    f: Callable[..., Any],
    state: PyTree,
    /,
    *rest: Any,
    transform_non_params: Callable[..., Any] | None = None,
    is_leaf: Callable[[Any], bool] | None = None,
) -> PyTree:
    """Applies `f` to those leaves of an optimizer's state that belong to a copy of the parameters (moments, traces, ...).

    Args:
      initable: the optimizer, or its `init`; it is run on a placeholder to find out where the parameters end up.
      f: called with the leaf, and the corresponding leaves of `rest`.
      state: a state that `initable` made.
      *rest: trees of the parameters' structure.
      transform_non_params: applied to all other leaves; by default they stay.
      is_leaf: as in `fnets.tree.map`, for the trees of parameters.

    >>> map_params(lambda params: {"count": 0, "mu": params}, lambda m: m + 1, {"count": 7, "mu": [1.0, 2.0]})
    {'count': 7, 'mu': [2.0, 3.0]}
    """
    init = initable.init if hasattr(initable, "init") else initable
    layout = init(ParamsPlaceholder())

    def apply(place: Any, value: Any) -> Any:
        if isinstance(place, ParamsPlaceholder):
            return _tree.map(f, value, *rest, is_leaf=is_leaf)
        return value if transform_non_params is None else transform_non_params(value)

    return _tree.map(apply, layout, state, is_leaf=lambda x: isinstance(x, ParamsPlaceholder))
