"""What pytrees say when structures differ, and trees that are too deep, endless, or shared between threads."""

import collections
import sys
import threading

import numpy as np
import pytest
from test_tree import Layer, Listed, Mode, Pair, Special, Strict

from fnets import tree
from fnets.errors import FnetsError, TreeStructureError


def said(error):
    """The message without the user's own line, which here quotes what the test expects."""
    return str(error).partition("\n  at ")[0]


def mapped(*trees, **kwargs):
    return lambda: tree.map(lambda *_: 0, *trees, **kwargs)


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (
            mapped({"layer1": {"w": {"a": 1, "b": 2}}}, {"layer1": {"w": 1}}),
            [
                "[tree.map] expected the trees to have the same structure, got others: at ['layer1']['w'] tree 0 has dict with keys "
                "['a', 'b'], tree 1 has a leaf."
            ],
        ),
        (mapped({"a": 1, "b": 2}, {"a": 1, "c": 2}), ["at the root", "(missing: ['b'], extra: ['c'])"]),
        (
            mapped({"a": 1}, {"a": 1, "b": 2}),
            ["dict with keys ['a', 'b'] (extra: ['b'])"],
        ),
        (
            mapped([1, (2,)], [1, (2,)], [1, [2]]),
            ["at [1] tree 0 has tuple of length 1, tree 2 has list", "Lists and tuples"],
        ),
        (mapped([1, None], [1, 3]), ["at [1] tree 0 has None, tree 1 has a leaf", "is_leaf=lambda x: x is None"]),
        (mapped(Pair(1, 2), (1, 2)), ["namedtuple Pair with fields ['mu', 'nu'], tree 1 has tuple of length 2"]),
        (mapped(Layer(1, [2]), Layer(1, [2, 3])), ["at .b tree 0 has list of length 1, tree 1 has list of length 2"]),
        (mapped(Layer(1, 2), Layer(1, 2, "x")), ["Layer with 2 children and static data ('dense',)", "('x',)"]),
        (mapped([[1], [1]], [1, 2]), ["; 1 further place differs"]),
        (mapped([[1]] * 20, [2] * 20), ["; 10 or more further places differ"]),
        (
            mapped({"a": collections.OrderedDict(b=1)}, {"a": {"b": 1}}),
            ["at ['a'] tree 0 has OrderedDict with keys ['b']"],
        ),
        (
            lambda: tree.map_with_path(lambda *_: 0, [[1]], [2]),
            ["[tree.map_with_path] expected the trees to have the same structure, got others: at [0]"],
        ),
        (
            lambda: tree.structure([0, [0]]).flatten_up_to([0, 0]),
            ["[PyTreeDef.flatten_up_to]", "at [1] the structure has list of length 1, the tree has a leaf"],
        ),
        (
            lambda: tree.flatten({"a": {1: 2, "x": 3}}),
            ["[tree.flatten]", "sorted, got 1 (int), 'x' (str) at ['a']", "OrderedDict"],
        ),
        (lambda: tree.leaves_with_path([{None: 2, "x": 3}]), ["got None (NoneType), 'x' (str) at [0]"]),
        (
            lambda: tree.flatten([collections.defaultdict(int, {1: 2, "x": 3})]),
            ["sorted, got 1 (int), 'x' (str) at [0]"],
        ),
        (
            lambda: tree.unflatten(tree.structure([1, 2]), [1]),
            ["[tree.unflatten] expected 2 leaves for [*, *], got 1."],
        ),
        (lambda: tree.unflatten(tree.structure([1, 2]), [1, 2, 3]), ["expected 2 leaves for [*, *], got 3."]),
        (lambda: tree.unflatten(tree.structure(1), []), ["expected 1 leaves for *, got 0."]),
        (lambda: tree.unflatten(tree.structure(None), [1]), ["expected 0 leaves for None, got 1."]),
        (lambda: tree.unflatten([1], tree.structure([1])), ["expected a PyTreeDef, then the leaves, got list first"]),
        (
            lambda: tree.broadcast((1, 2, 3), (0, {"a": 0})),
            ["[tree.broadcast]", "tuple of length 3, the tree has tuple of length 2"],
        ),
        (lambda: tree.broadcast_prefix((None, 1), ([1], 1)), ["at [0] it has None, the tree has list of length 1"]),
        (
            lambda: tree.transpose(
                tree.structure({"a": 0, "b": 0}), tree.structure([0, 0, 0]), {"a": [1, 2], "b": [3, 4]}
            ),
            ["[tree.transpose]", "at ['a'] (outer, inner) has list of length 3, the tree has list of length 2"],
        ),
        (lambda: tree.transpose(tree.structure([]), None, []), ["[tree.transpose] expected an outer tree with leaves"]),
        (
            lambda: tree.reduce(lambda a, b: a, []),
            ["[tree.reduce] expected a tree with at least one leaf", "initializer"],
        ),
        (lambda: tree.reduce_associative(lambda a, b: a, {}), ["[tree.reduce_associative]", "identity"]),
        (
            lambda: tree.build_tree(tree.structure([0, [0]]), [3]),
            ["expected an iterable of 2 items for list of length 2"],
        ),
        (lambda: tree.build_tree(tree.structure([[0]]), [3]), ["expected an iterable of 1 items", "got 3"]),
    ],
)
def test_messages(call, parts):
    with pytest.raises(FnetsError) as caught:
        call()
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TypeError)
    text, _, line = str(caught.value).partition("\n  at ")
    assert [part for part in parts if part not in text] == [], text
    assert line.startswith("test_tree_errors.py:")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_prefix_errors():
    first, second = tree.prefix_errors({"a": [1, 2], "b": (1,), "c": 3}, {"a": [1], "b": 5, "c": [4]})
    assert "[in_axes] expected a prefix" in said(first("in_axes"))
    assert "at in_axes['a'] it has list of length 2, the tree has list of length 1" in said(first("in_axes"))
    assert "at in_axes['b'] it has tuple of length 1, the tree has a leaf" in said(second("in_axes"))
    assert tree.prefix_errors((1, 2), ((11, 12, 13), {"{oops}": 2})) == []
    [error] = tree.prefix_errors({"{oops}": {"{a}": 1}}, {"{oops}": {"{b}": 1}})
    assert "at in_axes['{oops}'] it" in said(error("in_axes"))
    [error] = tree.prefix_errors(Special(1, [2]), Special(3, 4))
    assert "at in_axes[<flat index 1>] it" in said(error("in_axes"))
    [error] = tree.prefix_errors(Strict(1.0), 1)
    assert "Strict with 1 children" in said(error("in_axes"))
    assert tree.prefix_errors((None, 1), ([1, 2], 3), is_leaf=lambda x: x is None) == []


def test_paths_of_classes_that_refuse_placeholders():
    strict = Strict(1.0)
    strict.w = [1.0]
    [error] = tree.prefix_errors([strict], [Strict(2.0)])
    assert "at x[0].w it has list of length 1" in said(error("x"))


def test_equality_errors():
    a = {"a": 1, "b": [1, (2,)], "c": Mode("x"), "d": {"e": 1}, "f": None, "g": {}, "h": 1}
    b = {"a": 1, "b": (1, (2,)), "c": Mode("y"), "d": {"f": 1}, "f": 1, "g": {"h": 2}, "h": [1]}
    found = [(tree.keystr(path), *rest) for path, *rest in tree.equality_errors(a, b)]
    assert found == [
        ("['b']", "list of length 2", "tuple of length 2", "their types differ"),
        (
            "['c']",
            "Mode with 0 children and static data 'x'",
            "Mode with 0 children and static data 'y'",
            "the static data does not match",
        ),
        ("['d']", "dict with keys ['e']", "dict with keys ['f']", "the keys do not match"),
        ("['f']", "None", "a leaf", "their types differ"),
        ("['g']", "dict with keys []", "dict with keys ['h']", "the numbers of children do not match"),
        ("['h']", "a leaf", "list of length 1", "their types differ"),
    ]
    assert list(tree.equality_errors_pytreedef(tree.structure([1]), tree.structure([2]))) == []


def test_static_data_that_does_not_compare_names_its_class():
    a, b = (tree.structure([Listed(1, None, np.arange(3))]) for _ in range(2))
    assert hash(a) == hash(b)
    with pytest.raises(ValueError, match="static data of Listed to compare with =="):
        a == b  # noqa: B015
    with pytest.raises(ValueError, match="static data of Listed to compare with =="):
        tree.map(lambda *_: 0, Listed(1, None, np.arange(3)), Listed(1, None, np.arange(3)))


# ---------------------------------------------------------------- deep and endless trees


def nested(depth, leaf=7.0):
    t = leaf
    for i in range(depth):
        t = [i, t] if i % 2 else (t,)
    return t


@pytest.mark.parametrize("depth", [300, 950, 5000])
def test_deep_trees(depth):
    t = nested(depth)
    leaves, treedef = tree.flatten(t)
    assert len(leaves) == treedef.num_leaves == 1 + depth // 2
    assert leaves[-1] == 7.0
    assert treedef.num_nodes == depth + len(leaves)
    rebuilt = treedef.unflatten(leaves)
    again = tree.structure(rebuilt)
    assert again == treedef
    assert hash(again) == hash(treedef)
    assert tree.structure(nested(depth, None)) != treedef
    assert tree.leaves(tree.map(lambda a, b: a + b, t, rebuilt)) == [2 * leaf for leaf in leaves]
    assert tree.broadcast_prefix(t, rebuilt) == leaves
    assert tree.leaves(rebuilt, is_leaf=lambda x: x is None) == leaves
    assert treedef.compose(tree.structure([0, 0])).num_leaves == 2 * len(leaves)
    path, leaf = tree.leaves_with_path(t)[-1]
    assert (len(path), leaf) == (depth, 7.0)
    assert repr(treedef).count("*") == len(leaves)
    with pytest.raises(TreeStructureError, match=r"expected \d+ leaves"):
        treedef.unflatten(leaves[1:] + [0, 0])
    with pytest.raises(TreeStructureError, match=r"expected \d+ leaves"):
        treedef.unflatten([])


def test_deep_trees_in_a_thread_hash_without_overflow():
    results = []
    thread = threading.Thread(target=lambda: results.append(hash(tree.structure(nested(15_000)))))
    thread.start()
    thread.join()
    assert len(results) == 1


def test_a_high_recursion_limit_does_not_lift_the_bound():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(500_000)
    try:
        with pytest.raises(TreeStructureError, match="fewer than 20000 levels"):
            tree.flatten(nested(30_000))
    finally:
        sys.setrecursionlimit(before)


def test_endless_trees():
    cycle = [1]
    cycle.append({"x": (cycle,)})
    for function in (tree.flatten, tree.leaves_with_path, tree.structure):
        with pytest.raises(
            TreeStructureError, match=r"got a list at \['a'\] that contains itself at \['a'\]\[1\]\['x'\]\[0\]"
        ):
            function({"a": cycle})

    class Endless:
        pass

    tree.register_node(Endless, lambda e: ((Endless(),), None), lambda *_: Endless())
    with pytest.raises(TreeStructureError, match="fewer than 20000 levels"):
        tree.flatten(Endless())


def test_shared_subtrees_are_no_cycle():
    shared = [1.0]
    t = nested(1200, [shared, shared])
    assert tree.leaves(t)[-2:] == [1.0, 1.0]


def test_threads():
    """Flattening keeps no state: eight threads at once agree."""
    t = {"a": [np.zeros(2), None], "b": Layer(1, (2, 3))}
    expected = repr(tree.structure(t))
    results = []

    def work():
        results.extend(repr(tree.structure(tree.map(lambda x: x, t))) for _ in range(200))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 1600
