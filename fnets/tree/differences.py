"""Where two structures differ, in words. Lives here: every message about trees that do not fit. May import
`fnets.errors`, `fnets.tree.keys`, `.registry` and `.spec`.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from fnets.errors import TreeStructureError
from fnets.tree.keys import KeyPath, keystr, where
from fnets.tree.registry import registry
from fnets.tree.spec import (
    LEAF,
    NONE,
    IsLeaf,
    PyTree,
    Spec,
    child_keys,
    flatten_spec,
    path_of,
    same_node,
    shorten,
    spec_text,
)


def mismatches(prefix: Spec, full: Spec, exact: bool = False) -> Iterator[tuple[KeyPath, Spec, Spec]]:
    """(path, prefix's subspec, full's subspec) wherever `prefix` is no prefix of (`exact`: not equal to) `full`.

    >>> list(mismatches(flatten_spec([0, (0,)])[1], flatten_spec([0, 0])[1]))
    [((SequenceKey(idx=1),), (<class 'tuple'>, None, (*,)), *)]
    """
    todo: list[tuple[Any, Spec, Spec]] = [(None, prefix, full)]
    while todo:
        link, a, b = todo.pop()
        if a is b or (a is LEAF and not exact):
            continue
        if not same_node(a, b):
            yield path_of(link), a, b
        elif a[2]:
            keys = child_keys(a[0], a[1], len(a[2]))
            todo.extend([((link, key, 0), x, y) for key, x, y in zip(keys[::-1], a[2][::-1], b[2][::-1])])


def describe(spec: Spec) -> str:
    """What stands at a node, in a few words.

    >>> describe(flatten_spec({"w": 1, "b": 2})[1])
    "dict with keys ['b', 'w']"
    """
    if spec is LEAF:
        return "a leaf"
    kind, aux, children = spec
    name = kind.__name__
    if kind is type(None):
        return "None"
    if kind is list or kind is tuple:
        return f"{name} of length {len(children)}"
    if kind in (dict, collections.OrderedDict, collections.defaultdict):
        keys = aux[1] if kind is collections.defaultdict else aux
        return f"{name} with keys {shorten(repr(list(keys)))}"
    if kind not in registry:
        return f"namedtuple {name} with fields {list(kind._fields)}"
    return f"{name} with {len(children)} children and static data {shorten(repr(aux))}"


def _dict_difference(a: Spec, b: Spec) -> str:
    """` (missing: ['b'], extra: ['c'])` for two dicts, else nothing."""
    if a is LEAF or b is LEAF or a[0] is not dict or b[0] is not dict:
        return ""
    missing, extra = [key for key in a[1] if key not in b[1]], [key for key in b[1] if key not in a[1]]
    parts = [f"{word}: {shorten(repr(keys), 100)}" for word, keys in (("missing", missing), ("extra", extra)) if keys]
    return f" ({', '.join(parts)})"


def _hint(a: Spec, b: Spec) -> str:
    if a is not LEAF and b is not LEAF and {a[0], b[0]} == {list, tuple}:
        return "Lists and tuples are different structures: convert one of them."
    if NONE in (a, b):
        return "None is an empty tree: is_leaf=lambda x: x is None makes it a leaf; or use None in both places."
    return "Compare tree.structure of the two."


def structure_error(op: str, expected: str, names: tuple[str, str], prefix: Spec, full: Spec) -> TreeStructureError:
    """The error that names the first differing path, what each side has there, and a fix.

    >>> error = structure_error("op", "a pair", ("x", "y"), flatten_spec([1, 2])[1], flatten_spec((1, 2))[1])
    >>> str(error).split(" Lists")[0]
    '[op] expected a pair, got others: at the root x has list of length 2, y has tuple of length 2.'
    """
    found = list(islice(mismatches(prefix, full), 11))
    if not found:  # the class's == or flatten function contradicts itself
        return TreeStructureError(
            f"[{op}] expected {expected}, got {shorten(spec_text(prefix))} and {shorten(spec_text(full))}. "
            "Check the flatten functions of the registered classes in them."
        )
    path, a, b = found[0]
    count = len(found) - 1
    more = f"; {count}{' or more' if count == 10 else ''} further {'place differs' if count == 1 else 'places differ'}"
    return TreeStructureError(
        f"[{op}] expected {expected}, got others: at {where(path)} {names[0]} has {describe(a)}, {names[1]} has {describe(b)}"
        f"{_dict_difference(a, b)}{more if count else ''}. {_hint(a, b)}"
    )


def prefix_errors(
    prefix_tree: PyTree, full_tree: PyTree, is_leaf: IsLeaf = None
) -> list[Callable[[str], TreeStructureError]]:
    """One function per place where `prefix_tree` is no prefix of `full_tree`: name of the argument -> error to raise.

    >>> [make_error] = prefix_errors((0, [0]), (1, {"a": 2}))
    >>> str(make_error("in_axes")).split(", got")[1].split(".")[0]
    " another: at in_axes[1] it has list of length 1, the tree has dict with keys ['a']"
    """

    def error_maker(path: KeyPath, a: Spec, b: Spec) -> Callable[[str], TreeStructureError]:
        return lambda name: TreeStructureError(
            f"[{name}] expected a prefix of the tree that it is for, got another: at {name}{keystr(path)} it has {describe(a)}, "
            f"the tree has {describe(b)}{_dict_difference(a, b)}. {_hint(a, b)}"
        )

    found = mismatches(flatten_spec(prefix_tree, is_leaf)[1], flatten_spec(full_tree)[1])
    return [error_maker(*mismatch) for mismatch in found]


def spec_differences(a: Spec, b: Spec) -> Iterator[tuple[KeyPath, str, str, str]]:
    """Where two specs differ: (path, what the first has, what the second has, why they differ).

    >>> list(spec_differences(LEAF, NONE))
    [((), 'a leaf', 'None', 'their types differ')]
    """
    for path, x, y in mismatches(a, b, exact=True):
        if x is LEAF or y is LEAF or x[0] is not y[0]:
            why = "their types differ"
        elif len(x[2]) != len(y[2]):
            why = "the lengths do not match" if x[0] in (list, tuple) else "the numbers of children do not match"
        else:
            why = "the keys do not match" if x[0] is dict else "the static data does not match"
        yield path, describe(x), describe(y), why


def equality_errors(tree1: PyTree, tree2: PyTree, is_leaf: IsLeaf = None) -> Iterator[tuple[KeyPath, str, str, str]]:
    """Where the structures of two trees differ: (path, what the first has, what the second has, why they differ).

    >>> list(equality_errors([1, (2,)], [1, (2, 3)]))
    [((SequenceKey(idx=1),), 'tuple of length 1', 'tuple of length 2', 'the lengths do not match')]
    """
    return spec_differences(flatten_spec(tree1, is_leaf)[1], flatten_spec(tree2, is_leaf)[1])
