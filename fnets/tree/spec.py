"""The engine: flattening to leaves and a spec, and back. May import `fnets.errors`, `fnets.tree.keys` and `.registry`.

A structure is described by a *spec*, plain nested tuples that hash and compare at C speed: a leaf is `LEAF`, every node
is `(node_type, aux, child_specs)`. `aux` is the sorted keys for a dict, None for lists, tuples, namedtuples and None,
and the static data for a registered type. The usual path is recursive; a tree that is too deep for Python's stack takes
a second one.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from fnets.errors import TreeStructureError
from fnets.tree.keys import DictKey, FlattenedIndexKey, GetAttrKey, KeyEntry, KeyPath, SequenceKey, where
from fnets.tree.registry import LEAF_TYPES, Node, is_namedtuple, registry

PyTree = Any
Leaf = Any
Spec = Any
IsLeaf = Callable[[Any], bool] | None
Link = tuple[Any, KeyEntry, int] | None  # a path as (link to the parent, key, depth): deep trees share the tails

_END = object()
# Hashing a spec recurses in C; several times deeper than this it would overflow the C stack instead of raising.
MAX_DEPTH = 20_000
_MAX_RECURSION = 2_000  # where sys.setrecursionlimit allows more than that


class _Leaf:
    """The spec of a leaf; a singleton that survives copying and pickling."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "*"

    def __reduce__(self) -> str:
        return "LEAF"


LEAF = _Leaf()
NONE: Spec = (type(None), None, ())


# ---------------------------------------------------------------- flatten


def flatten_spec(tree: PyTree, is_leaf: IsLeaf = None) -> tuple[list[Leaf], Spec]:
    """The leaves of `tree` and its spec. The fast path under `flatten`; no PyTreeDef is made.

    >>> flatten_spec({"b": 2, "a": [1, None]})[0]
    [1, 2]
    """
    if type(tree) in LEAF_TYPES:
        return [tree], LEAF
    found: list[Leaf] = []
    try:
        return found, _flatten(tree, found, is_leaf, _MAX_RECURSION)
    except (TypeError, ValueError, RecursionError):
        pass  # too deep, or wrong: the slower walk copes with the first and names the path of the second
    found, _, spec = flatten_by_stack(tree, None if is_leaf is None else lambda _, x: is_leaf(x))
    return found, spec


def _flatten(tree: PyTree, found: list[Leaf], is_leaf: IsLeaf, levels: int) -> Spec:
    """Appends the leaves of `tree` to `found`, returns its spec. Recursive, `levels` deep at most."""
    if is_leaf is not None and is_leaf(tree):
        found.append(tree)
        return LEAF
    kind, aux = type(tree), None
    if kind is dict:
        aux = tuple(sorted(tree))
        children = [tree[key] for key in aux]
    elif kind is tuple or kind is list:
        children = tree
    elif tree is None:
        return NONE
    elif (node := registry.get(kind)) is not None:
        children, aux = _flatten_registered(node, tree)
    elif is_namedtuple(kind):
        children = tree
    else:
        found.append(tree)
        return LEAF
    if not levels:
        raise RecursionError
    specs = []  # a plain loop: a comprehension costs a frame here
    for child in children:
        if type(child) in LEAF_TYPES:
            found.append(child)
            specs.append(LEAF)
        else:
            specs.append(_flatten(child, found, is_leaf, levels - 1))
    return kind, aux, tuple(specs)


def _flatten_registered(node: Node, tree: PyTree) -> tuple[tuple[Any, ...], Any]:
    """(children, aux) of an instance of a registered class."""
    result = node.flatten(tree)
    if not isinstance(result, tuple) or len(result) != 2 or not hasattr(result[0], "__iter__"):
        raise TreeStructureError(
            f"[tree.flatten] expected the flatten function of {type(tree).__name__} to return (children, aux_data) "
            f"with iterable children, got {shorten(repr(result))}. Correct the function given to register_node."
        )
    return tuple(result[0]), result[1]


class ByEquality(tuple):
    """A spec whose static data cannot be hashed: a key that is found by equality alone.

    >>> {ByEquality((list, ["unhashable"], ())): 1}[ByEquality((list, ["unhashable"], ()))]
    1
    """

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return len(self)


def flatten_once(tree: PyTree, link: Link = None) -> tuple[tuple[Any, ...], Any] | None:
    """(children, aux) of a node, None for a leaf; `link` is where it stands, for the message.

    >>> flatten_once({"b": [1], "a": 2}), flatten_once(3.0)
    (((2, [1]), ('a', 'b')), None)
    """
    kind = type(tree)
    if kind is dict or kind is collections.defaultdict:
        keys = _sorted_keys(tree, link)
        if kind is dict:
            return tuple([tree[key] for key in keys]), keys
    if kind is tuple or kind is list:
        return tuple(tree), None
    if tree is None:
        return (), None
    node = registry.get(kind)
    if node is not None:
        return _flatten_registered(node, tree)
    return (tuple(tree), None) if is_namedtuple(kind) else None


def _sorted_keys(tree: dict, link: Link) -> tuple[Any, ...]:
    try:
        return tuple(sorted(tree))
    except TypeError:
        one_of_each = {type(key): key for key in tree}.values()
        shown = ", ".join([f"{key!r} ({type(key).__name__})" for key in islice(one_of_each, 4)])
        raise TreeStructureError(
            f"[tree.flatten] expected dict keys that can be sorted, got {shown} at {where(path_of(link))}. "
            "Use keys of one type, or an OrderedDict, whose order is kept."
        ) from None


def child_keys(kind: type, aux: Any, count: int, tree: PyTree = _END) -> Sequence[KeyEntry]:
    """The keys of a node's children: those of `tree` where it is at hand, else as far as its spec tells.

    >>> child_keys(dict, ("a", "b"), 2)
    [DictKey(key='a'), DictKey(key='b')]
    """
    if kind is dict:
        return [DictKey(key) for key in aux]
    if kind is tuple or kind is list:
        return [SequenceKey(i) for i in range(count)]
    node = registry.get(kind)
    if node is None:
        return [GetAttrKey(name) for name in getattr(kind, "_fields", ())]
    if node.fields is not None:
        return [GetAttrKey(name) for name in node.fields]
    if node.flatten_with_keys is not None:
        try:
            instance = node.unflatten(aux, (LEAF,) * count) if tree is _END else tree
            keys = [key for key, _ in node.flatten_with_keys(instance)[0]]
        except Exception:
            if tree is not _END:
                raise
            keys = []  # the class does not accept placeholders
        if len(keys) == count:
            return keys
    return [FlattenedIndexKey(i) for i in range(count)]


def path_of(link: Link) -> KeyPath:
    """The path that a chain of links stands for.

    >>> path_of(((None, DictKey("w"), 1), SequenceKey(0), 2))
    (DictKey(key='w'), SequenceKey(idx=0))
    """
    keys = []
    while link is not None:
        link, key, _ = link
        keys.append(key)
    return tuple(keys[::-1])


def flatten_by_stack(
    tree: PyTree, is_leaf: Callable[[KeyPath, Any], bool] | None = None, with_paths: bool = False
) -> tuple[list[Leaf], list[KeyPath], Spec]:
    """Leaves, their paths if asked for, and the spec, without recursion: for paths, deep trees and messages.

    >>> flatten_by_stack([1, (2,)], with_paths=True)[:2]
    ([1, 2], [(SequenceKey(idx=0),), (SequenceKey(idx=1), SequenceKey(idx=0))])
    """
    found: list[Leaf] = []
    paths: list[KeyPath] = []
    specs: list[Spec] = []
    todo: list[tuple[Any, ...]] = [(tree, None)]
    while todo:
        item = todo.pop()
        if len(item) == 3:  # all children of this node are done: (node, aux, their number)
            node, aux, count = item
            at = len(specs) - count
            specs[at:] = [(type(node), aux, tuple(specs[at:]))]
            continue
        node, link = item
        stop = is_leaf is not None and is_leaf(path_of(link) if with_paths else (), node)
        parts = None if stop else flatten_once(node, link)
        if parts is None:
            found.append(node)
            specs.append(LEAF)
            if with_paths:
                paths.append(path_of(link))
            continue
        children, aux = parts
        depth = 1 if link is None else link[2] + 1
        if depth % 1000 == 0:
            _check_finite(link, [*[entry[0] for entry in todo if len(entry) == 3], node])
        keys = child_keys(type(node), aux, len(children), node)
        todo.append((node, aux, len(children)))
        todo.extend([(child, (link, key, depth)) for key, child in zip(keys[::-1], children[::-1])])
    return found, paths, specs[0]


def _check_finite(link: Link, ancestors: list[Any]) -> None:
    """Raises when a node is its own ancestor, or the tree is deeper than can be hashed."""
    path = path_of(link)
    seen: dict[int, int] = {}
    for depth, node in enumerate(ancestors):
        above = seen.setdefault(id(node), depth)
        if above != depth:
            raise TreeStructureError(
                f"[tree.flatten] expected a finite tree, got a {type(node).__name__} at {where(path[:above])} that "
                f"contains itself at {where(path[:depth])}. Break the cycle, or register a class that leaves the "
                "back reference out."
            )
    if len(ancestors) >= MAX_DEPTH:
        raise TreeStructureError(
            f"[tree.flatten] expected a tree of fewer than {MAX_DEPTH} levels, got a deeper one at "
            f"{where(path[:8])}... Use a flat list of its parts."
        )


# ---------------------------------------------------------------- unflatten and other walks over a spec


def unflatten_spec(spec: Spec, leaves: Sequence[Leaf]) -> PyTree:
    """The tree of this spec with these leaves. The fast path under `unflatten`.

    >>> unflatten_spec(flatten_spec([0, (0,)])[1], [1, 2])
    [1, (2,)]
    """
    rest = iter(leaves)
    try:
        try:
            tree = next(rest) if spec is LEAF else _build(spec, rest)
        except RecursionError:
            rest = iter(leaves)
            tree = fold(spec, rest.__next__, make_node)
    except StopIteration:
        tree = _END
    if tree is _END or next(rest, _END) is not _END:
        raise TreeStructureError(
            f"[tree.unflatten] expected {num_leaves(spec)} leaves for {shorten(spec_text(spec))}, got {len(leaves)}. "
            "Pass as many leaves as tree.flatten gave."
        )
    return tree


def _build(spec: Spec, rest: Iterator[Leaf]) -> PyTree:
    """The tree of a node's spec, with leaves from `rest`. Recursive."""
    kind, aux, children = spec
    values = []
    for child in children:
        values.append(next(rest) if child is LEAF else _build(child, rest))
    return make_node(kind, aux, values)


def make_node(kind: type, aux: Any, values: list[Any]) -> PyTree:
    """The node of this type with these children.

    >>> make_node(dict, ("a", "b"), [1, 2])
    {'a': 1, 'b': 2}
    """
    if kind is dict:
        return dict(zip(aux, values))
    if kind is list:
        return values
    if kind is tuple:
        return tuple(values)
    if kind is type(None):
        return None
    node = registry.get(kind)
    return node.unflatten(aux, tuple(values)) if node is not None else tuple.__new__(kind, values)


def fold(spec: Spec, on_leaf: Callable[[], Any], on_node: Callable[[type, Any, list[Any]], Any]) -> Any:
    """Reduces a spec bottom-up, left to right, without recursion; `on_node` gets the children's results.

    >>> fold(flatten_spec([1, (2, None)])[1], lambda: 1, lambda kind, aux, depths: 1 + max(depths, default=0))
    3
    """
    done: list[Any] = []
    todo: list[tuple[Spec, bool]] = [(spec, False)]
    while todo:
        spec, children_done = todo.pop()
        if spec is LEAF:
            done.append(on_leaf())
        elif children_done:
            at = len(done) - len(spec[2])
            done[at:] = [on_node(spec[0], spec[1], done[at:])]
        else:
            todo.append((spec, True))
            todo.extend([(child, False) for child in spec[2][::-1]])
    return done[0]


def num_leaves(spec: Spec) -> int:
    """The number of leaves of a spec.

    >>> num_leaves(flatten_spec([1, {"a": (2, None)}])[1])
    2
    """
    if spec is LEAF:
        return 1
    total, todo = 0, [spec]
    while todo:
        children = todo.pop()[2]
        count = children.count(LEAF)
        total += count
        if count < len(children):
            todo.extend([child for child in children if child is not LEAF])
    return total


def flatten_up_to(spec: Spec, tree: PyTree) -> list[PyTree] | None:
    """The subtrees of `tree` where `spec` has leaves; None if `spec` is not a prefix of it.

    >>> flatten_up_to(flatten_spec([0, 0])[1], [(1, 2), 3])
    [(1, 2), 3]
    """
    found: list[PyTree] = []
    todo = [(spec, tree)]
    while todo:
        spec, tree = todo.pop()
        if spec is LEAF:
            found.append(tree)
            continue
        kind, aux, specs = spec
        if type(tree) is not kind:
            return None
        if kind is dict:
            if len(tree) != len(aux):
                return None
            try:
                children = [tree[key] for key in aux]
            except KeyError:
                return None
        elif kind is list or kind is tuple:
            children = tree
        elif (node := registry.get(kind)) is not None:
            children, other_aux = _flatten_registered(node, tree)
            if not _equal_aux(kind, aux, other_aux):
                return None
        else:
            children = () if tree is None else tree
        if len(children) != len(specs):
            return None
        if specs.count(LEAF) == len(specs):
            found += children
        else:
            todo.extend(zip(specs[::-1], children[::-1]))
    return found


def same_node(a: Spec, b: Spec) -> bool:
    """Whether two specs agree at their roots.

    >>> same_node(flatten_spec([1, 2])[1], flatten_spec([(), 2])[1])
    True
    """
    if a is LEAF or b is LEAF:
        return a is b
    return a[0] is b[0] and len(a[2]) == len(b[2]) and _equal_aux(a[0], a[1], b[1])


def _equal_aux(kind: type, a: Any, b: Any) -> bool:
    try:
        return a is b or bool(a == b)
    except Exception as error:
        raise TreeStructureError(
            f"[tree] expected the static data of {kind.__name__} to compare with ==, got {shorten(repr(a))} and "
            f"{shorten(repr(b))}, which raise {type(error).__name__}. Make arrays children (data fields) instead."
        ) from None


# ---------------------------------------------------------------- text


def shorten(text: str, width: int = 200) -> str:
    """The text, cut to `width` characters.

    >>> shorten("abcdefgh", 6)
    'abc...'
    """
    return text if len(text) <= width else f"{text[: width - 3]}..."


def spec_text(spec: Spec) -> str:
    """A spec as PyTreeDef prints it.

    >>> spec_text(flatten_spec({"a": (1, None)})[1])
    "{'a': (*, None)}"
    """
    return fold(spec, lambda: "*", _node_text)


def _node_text(kind: type, aux: Any, parts: list[str]) -> str:
    inside = ", ".join(parts)
    if kind is type(None):
        return "None"
    if kind is list:
        return f"[{inside}]"
    if kind is tuple:
        return f"({inside},)" if len(parts) == 1 else f"({inside})"
    if kind is dict:
        return "{" + ", ".join([f"{key!r}: {part}" for key, part in zip(aux, parts)]) + "}"
    name = f"{kind.__name__}[{aux}]" if kind in registry else f"namedtuple[{kind.__name__}]"
    return f"CustomNode({name}, [{inside}])"
