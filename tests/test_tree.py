"""Pytrees: expectations written out by hand as `jax.tree` gives them, and properties over generated trees."""

import collections
import copy
import dataclasses
import functools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnets import tree, tree_util
from fnets.errors import ArgumentError, TreeStructureError

Pair = collections.namedtuple("Pair", "mu nu")
Empty = collections.namedtuple("Empty", "")


class PairSubclass(Pair):
    pass


@dataclasses.dataclass
class Record:
    """Equality and a constructor for the classes registered below."""

    x: object
    y: object = None
    tag: object = "tag"


class Plain(Record):
    __hash__ = object.__hash__


class Keyed(Record):
    pass


class Listed(Record):
    """A node whose static data does not hash."""


tree.register_node(Plain, lambda r: ((r.x, r.y), r.tag), lambda tag, xy: Plain(*xy, tag))
tree.register_with_keys(
    Keyed,
    lambda r: (((tree.GetAttrKey("x"), r.x), (tree.GetAttrKey("y"), r.y)), r.tag),
    lambda tag, xy: Keyed(*xy, tag),
)
tree.register_node(Listed, lambda r: ([r.x], [r.tag]), lambda tag, xs: Listed(xs[0], None, tag[0]))


@tree.register_dataclass
@dataclasses.dataclass
class Layer:
    w: object
    b: object
    name: str = tree.static(default="dense")


@tree.register_dataclass
@dataclasses.dataclass
class OneField:
    w: object


@tree.register_dataclass
@dataclasses.dataclass
class Strict:
    """A dataclass that refuses anything but floats, placeholders included."""

    w: float

    def __post_init__(self):
        if not isinstance(self.w, float):
            raise TypeError("w must be a float")


@tree.register_static
class Mode(str):
    pass


@tree.register_node_class
class Special:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return type(self) is type(other) and (self.x, self.y) == (other.x, other.y)

    def tree_flatten(self):
        return (self.x, self.y), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(*children)


@tree.register_with_keys_class
class SpecialWithKeys(Special):
    def tree_flatten_with_keys(self):
        return ((tree.GetAttrKey("x"), self.x), (tree.GetAttrKey("y"), self.y)), None


# tree, leaves, printed structure, number of nodes
# fmt: off
EXAMPLES = [
    (1, [1], "*", 1),
    (None, [], "None", 1),
    ((None,), [], "(None,)", 2),
    ((), [], "()", 1),
    ([()], [], "[()]", 2),
    ({}, [], "{}", 1),
    ((1, 2), [1, 2], "(*, *)", 3),
    (((1, "foo"), ["bar", (3, None, 7)]), [1, "foo", "bar", 3, 7], "((*, *), [*, (*, None, *)])", 10),
    ({"b": 2, "a": 1, "c": {"z": 4, "y": 3}}, [1, 2, 3, 4], "{'a': *, 'b': *, 'c': {'y': *, 'z': *}}", 6),
    ({3: "x", 1: "y"}, ["y", "x"], "{1: *, 3: *}", 3),
    ([3, Pair((3, Pair(3, None)), {"baz": 34})], [3, 3, 3, 34], "[*, CustomNode(namedtuple[Pair], [(*, CustomNode(namedtuple[Pair], [*, None])), {'baz': *}])]", 10),
    (PairSubclass("hi", 3.5), ["hi", 3.5], "CustomNode(namedtuple[PairSubclass], [*, *])", 3),
    (Empty(), [], "CustomNode(namedtuple[Empty], [])", 1),
    (collections.OrderedDict([("foo", 34), ("baz", 101)]), [34, 101], "CustomNode(OrderedDict[('foo', 'baz')], [*, *])", 3),
    (collections.defaultdict(int, {"b": 2, "a": 1}), [1, 2], "CustomNode(defaultdict[(<class 'int'>, ('a', 'b'))], [*, *])", 3),
    ([Plain(3, None, "z")], [3], "[CustomNode(Plain[z], [*, None])]", 4),
    (Listed(3, None, "z"), [3], "CustomNode(Listed[['z']], [*])", 2),
    (Special(2, 3.0), [2, 3.0], "CustomNode(Special[None], [*, *])", 3),
    (Layer((1, 2), 3), [1, 2, 3], "CustomNode(Layer[('dense',)], [(*, *), *])", 5),
    (OneField(5), [5], "CustomNode(OneField[()], [*])", 2),
    (Mode("train"), [], "CustomNode(Mode[train], [])", 1),
]
# fmt: on


@pytest.mark.parametrize(("example", "leaves", "text", "num_nodes"), EXAMPLES, ids=[row[2] for row in EXAMPLES])
def test_examples(example, leaves, text, num_nodes):
    found, treedef = tree.flatten(example)
    assert found == leaves
    assert repr(treedef) == f"PyTreeDef({text})"
    assert (treedef.num_leaves, treedef.num_nodes) == (len(leaves), num_nodes)
    rebuilt = treedef.unflatten(iter(found))
    assert rebuilt == example
    assert type(rebuilt) is type(example)
    assert treedef.unflatten(treedef.flatten_up_to(example)) == example
    assert tree.structure(rebuilt) == treedef
    assert hash(tree.structure(rebuilt)) == hash(treedef)
    assert tree.flatten_with_path(example)[1] == treedef
    assert [leaf for _, leaf in tree.leaves_with_path(example)] == leaves


def test_structures_of_different_examples_differ():
    structures = [tree.structure(example) for example, *_ in EXAMPLES]
    assert len(set(structures)) == len(structures)
    for i, a in enumerate(structures):
        assert [a == b for b in structures] == [i == j for j in range(len(structures))]


def test_rebuilding_keeps_order_and_factory():
    ordered = collections.OrderedDict([("b", 2), ("a", 1)])
    assert list(tree.map(lambda x: x, ordered)) == ["b", "a"]
    assert list(tree.map(lambda x: x, {"b": 2, "a": 1})) == ["a", "b"]
    assert tree.structure(ordered) != tree.structure(collections.OrderedDict([("a", 1), ("b", 2)]))
    rebuilt = tree.map(lambda x: x, collections.defaultdict(list, a=1))
    assert rebuilt["new"] == []


def test_arrays_and_unregistered_containers_are_leaves():
    class Unregistered(dict):
        pass

    items = [
        np.zeros(3),
        np.float32(1),
        np.ma.masked_array([1]),
        Unregistered(a=1),
        {1, 2},
        frozenset(),
        "text",
        b"x",
        1j,
    ]
    assert all(a is b for a, b in zip(tree.leaves(items), items, strict=True))
    assert tree.all_leaves(items)


# ---------------------------------------------------------------- generated trees

LEAVES = st.one_of(st.integers(), st.floats(allow_nan=False), st.text(max_size=3), st.booleans())
KEYS = st.text(alphabet="abcdef", min_size=1, max_size=2)


def containers(children):
    return st.one_of(
        st.lists(children, max_size=4),
        st.lists(children, max_size=4).map(tuple),
        st.dictionaries(KEYS, children, max_size=4),
        st.dictionaries(KEYS, children, max_size=3).map(collections.OrderedDict),
        st.builds(Pair, children, children),
        st.builds(Layer, children, children, KEYS),
        st.builds(Plain, children, children, KEYS),
        st.builds(Keyed, children, children, KEYS),
    )


TREES = st.recursive(st.one_of(LEAVES, st.none()), containers, max_leaves=20)


def step(node, key):
    """One step of a path, taken by Python's own means."""
    match key:
        case tree.SequenceKey(idx=i):
            return node[i]
        case tree.DictKey(key=k):
            return node[k]
        case tree.GetAttrKey(name=name):
            return getattr(node, name)
        case tree.FlattenedIndexKey(key=i):
            return (node.x, node.y)[i]
    raise AssertionError(key)


@given(TREES)
def test_roundtrip(t):
    leaves, treedef = tree.flatten(t)
    assert treedef.unflatten(leaves) == t
    assert treedef == tree.structure(copy.deepcopy(t))
    assert hash(treedef) == hash(tree.structure(copy.deepcopy(t)))
    assert treedef.num_leaves == len(leaves) == tree.reduce(lambda n, _: n + 1, t, 0)
    restored = pickle.loads(pickle.dumps(treedef))
    assert restored == treedef
    assert hash(restored) == hash(treedef)
    assert tree.treedef_tuple([treedef, treedef]) == tree.structure((t, t))


@given(TREES)
def test_paths_lead_to_their_leaves(t):
    pairs, treedef = tree.flatten_with_path(t)
    assert [functools.reduce(step, path, t) for path, _ in pairs] == [leaf for _, leaf in pairs] == tree.leaves(t)
    assert treedef == tree.structure(t)
    assert len({tree.keystr(path) for path, _ in pairs}) == len(pairs)
    texts = tree.map_with_path(lambda path, leaf, again: f"{tree.keystr(path)}={leaf}{again}", t, t)
    assert tree.leaves(texts) == [f"{tree.keystr(path)}={leaf}{leaf}" for path, leaf in pairs]


@given(TREES)
def test_map_agrees_with_flatten(t):
    doubled = tree.map(lambda x: (x, x), t)
    assert tree.structure(doubled) == tree.structure(t).compose(tree.structure((0, 0)))
    assert tree.leaves(tree.map(lambda x, pair: pair == (x, x), t, doubled)) == [True] * len(tree.leaves(t))
    assert tree.all(tree.map(lambda x, y: x == y, t, copy.deepcopy(t)))


@given(TREES, TREES)
def test_prefix_functions_agree(a, b):
    """One prefix test, seen through every function that makes it."""
    is_prefix = not tree.prefix_errors(a, b)
    for function in (
        lambda: tree.structure(a).flatten_up_to(b),
        lambda: tree.map(lambda *_: 0, a, b),
        lambda: tree.map_with_path(lambda *_: 0, a, b),
        lambda: tree.broadcast_prefix(a, b),
        lambda: tree.broadcast(a, b),
    ):
        if is_prefix:
            function()
        else:
            with pytest.raises(TreeStructureError):
                function()
    assert (tree.structure(a) == tree.structure(b)) == (not list(tree.equality_errors(a, b)))


@given(TREES)
def test_broadcast_repeats_prefix_leaves(t):
    leaves, treedef = tree.flatten(t)
    full = treedef.unflatten([[leaf] * (i % 3) for i, leaf in enumerate(leaves)])
    expected = [leaf for i, leaf in enumerate(leaves) for _ in range(i % 3)]
    assert tree.broadcast_prefix(t, full) == expected
    assert tree.broadcast(t, full) == full
    assert tree.broadcast_flattened_prefix_with_treedef(leaves, treedef, tree.structure(full)) == expected
    assert tree.broadcast(7, t) == tree.map(lambda _: 7, t)


@given(TREES)
def test_transpose(t):
    outer, inner = tree.structure(t), tree.structure([0, {"a": 0}, (0,)])
    if outer.num_leaves:
        nested = tree.map(lambda x: [x, {"a": x}, (x,)], t)
        assert tree.transpose(outer, inner, nested) == [t, {"a": t}, (t,)]
        assert tree.transpose(outer, None, nested) == [t, {"a": t}, (t,)]


@given(TREES, st.sampled_from([list, tuple, dict, type(None)]))
def test_is_leaf_stops_there(t, kind):
    leaves, treedef = tree.flatten(t, lambda x: type(x) is kind)
    assert treedef.unflatten(leaves) == t
    assert all(type(leaf) is kind or not tree.is_tree_node(type(leaf)) for leaf in leaves)
    assert leaves == [leaf for _, leaf in tree.leaves_with_path(t, lambda x: type(x) is kind)]
    assert leaves == tree.leaves(
        tree.structure(t, lambda x: type(x) is kind).unflatten(leaves), lambda x: type(x) is kind
    )


@given(TREES)
def test_one_level_rebuilds_a_node(t):
    treedef = tree.structure(t)
    rebuilt = tree.PyTreeDef.make_from_node_data_and_children(
        tree.default_registry, treedef.node_data(), treedef.children()
    )
    assert rebuilt == treedef
    if not tree.treedef_is_strict_leaf(treedef):
        children, _ = tree.flatten_one_level(t)
        assert [tree.structure(child) for child in children] == treedef.children()
        pairs, _ = tree.flatten_one_level_with_keys(t)
        assert [step(t, key) for key, _ in pairs] == list(children)


# ---------------------------------------------------------------- functions


def test_is_leaf_on_nested_tuples():
    x = [(1, 2), (3, 4), (5, 6)]
    assert tree.leaves(x, lambda t: False) == [1, 2, 3, 4, 5, 6]
    assert tree.leaves(x, lambda t: isinstance(t, tuple)) == x
    assert tree.leaves(x, lambda t: True) == [x]
    assert tree.structure(x, lambda t: isinstance(t, list)).num_leaves == 1
    assert tree.leaves([None, 1], lambda t: t is None) == [None, 1]


def test_map_takes_subtrees_of_further_trees():
    x = ((1, 2), (3, 4, 5))
    y = (([3], None), ({"foo": "bar"}, 7, [5, 6]))
    pairs = (((1, [3]), (2, None)), ((3, {"foo": "bar"}), (4, 7), (5, [5, 6])))
    assert tree.map(lambda *xs: tuple(xs), x, y) == pairs
    is_leaf = lambda n: type(n) is tuple and len(n) == 3  # noqa: E731
    assert tree.map(lambda a, b: b, x, y, is_leaf=is_leaf) == (([3], None), y[1])
    assert tree.map(lambda a, b: (a, b), {"a": None}, {"a": 5}, is_leaf=lambda n: n is None) == {"a": (None, 5)}


def test_map_with_path_predicate_takes_path():
    x = ((1, 2), [3, {4: 4, 5: 5}])
    pairs, _ = tree.flatten_with_path(x, lambda path, _: len(path) >= 2, is_leaf_takes_path=True)
    S = tree.SequenceKey
    assert pairs == [((S(0), S(0)), 1), ((S(0), S(1)), 2), ((S(1), S(0)), 3), ((S(1), S(1)), {4: 4, 5: 5})]
    out = tree.map_with_path(lambda path, leaf: path[0].idx, x, is_leaf=lambda n: type(n) is list)
    assert out == ((0, 0), 1)


def test_reductions():
    assert tree.reduce(lambda a, b: f"({a}{b})", [1, (2, 3), 4]) == "(((12)3)4)"
    assert tree.reduce_associative(lambda a, b: f"({a}{b})", [1, (2, 3), 4, {"a": 5}]) == "((12)(3(45)))"
    assert tree.reduce(lambda a, b: a + b, [(1, 2), [(3, 4), (5, 6)]], is_leaf=lambda t: type(t) is tuple) == (
        1,
        2,
        3,
        4,
        5,
        6,
    )
    assert tree.reduce(lambda a, b: a + b, [], 10) == 10
    assert tree.reduce_associative(lambda a, b: a + b, [], identity=10) == 10
    assert tree.all([True, (1, {"a": "yes"})]) is True
    assert tree.all([]) is True
    assert tree.all([1, None, 0]) is False
    assert tree.all([[], [1]], is_leaf=lambda t: t == []) is False


@pytest.mark.parametrize(
    ("structure", "full", "expected"),
    [
        (
            [(1, 2), None, Pair(3, 7)],
            [({"foo": 7}, (3, 4)), None, Pair((11, 9), None)],
            [{"foo": 7}, (3, 4), (11, 9), None],
        ),
        ([1], [{"a": 7}], [{"a": 7}]),
        ({"a": 1, "b": (2, 3)}, {"a": [7], "b": ([8], (9,))}, [[7], [8], (9,)]),
        (None, None, []),
        (5, [1, 2], [[1, 2]]),
    ],
)
def test_flatten_up_to(structure, full, expected):
    assert tree.structure(structure).flatten_up_to(full) == expected


def test_compose_walk_and_build():
    outer = tree.structure({"a": 0, "b": (0, None)})
    assert repr(outer.compose(tree.structure([0, 0]))) == "PyTreeDef({'a': [*, *], 'b': ([*, *], None)})"
    seen = []
    data = {"b": 2, "a": 1, "c": {"b": 4, "a": 3}}
    leaves, treedef = tree.flatten(data)
    treedef.walk(lambda node, aux: seen.append((node, aux)), seen.append, leaves)
    assert seen == [1, 2, 3, 4, ((None, None), ["a", "b"]), ((None, None, None), ["a", "b", "c"])]
    assert tree.build_tree(treedef, (1, 2, [3, 4])) == data
    assert treedef.from_iterable_tree(([1], 2, [3, 4]))["a"] == [1]


def test_node_data():
    assert tree.structure(1).node_data() is None
    assert tree.structure(None).node_data() == (type(None), None)
    assert tree.structure({"b": 1, "a": 2}).node_data() == (dict, ["a", "b"])
    assert tree.structure(Plain(1, 2, "t")).node_data() == (Plain, "t")


def test_treedef_predicates():
    for example, is_leaf, is_strict in [(1, True, True), (None, True, False), ([], True, False), ([1], False, False)]:
        treedef = tree.structure(example)
        assert (tree.treedef_is_leaf(treedef), tree.treedef_is_strict_leaf(treedef)) == (is_leaf, is_strict)
    assert tree.treedef_children(tree.structure([1, (2,)])) == [tree.structure(1), tree.structure((2,))]
    assert tree.structure(1) != 1


def test_all_leaves_and_is_tree_node():
    assert tree.all_leaves([1, "a", np.zeros(2)])
    assert not tree.all_leaves([1, None])
    assert tree.all_leaves([1, None], is_leaf=lambda x: x is None)
    nodes = (
        dict,
        list,
        tuple,
        type(None),
        Pair,
        PairSubclass,
        Plain,
        Layer,
        Mode,
        collections.OrderedDict,
        tree.Partial,
    )
    assert all(tree.is_tree_node(kind) for kind in nodes)
    assert not any(tree.is_tree_node(kind) for kind in (int, str, np.ndarray, set, Record))


def test_flatten_axes():
    params = {"w": np.zeros(2), "b": (np.zeros(2), np.zeros(2))}
    treedef = tree.structure((params, np.zeros(3)))
    assert tree.flatten_axes("in_axes", treedef, 0) == [0, 0, 0, 0]
    assert tree.flatten_axes("in_axes", treedef, None) == [None] * 4
    assert tree.flatten_axes("in_axes", treedef, (None, 0)) == [None, None, None, 0]
    assert tree.flatten_axes("in_axes", treedef.spec, ({"w": 1, "b": (None, 2)}, np.int64(-1))) == [None, 2, 1, -1]
    assert tree.flatten_axes("in_axes", tree.structure((None, 1)), (None, 0)) == [0]
    with pytest.raises(
        TreeStructureError, match=r"\[vmap in_axes\].* at \[0\]\['b'\] it has tuple of length 1, the tree "
    ):
        tree.flatten_axes("vmap in_axes", treedef, ({"w": 1, "b": (0,)}, 0))
    with pytest.raises(TreeStructureError, match=r"it has list of length 2.*Lists and tuples"):
        tree.flatten_axes("vmap in_axes", treedef, [0, 0])


# ---------------------------------------------------------------- registered classes


def test_dataclass():
    layer = Layer(w=np.ones(2), b=[1.0, 2.0], name="first")
    assert [tree.keystr(path) for path, _ in tree.leaves_with_path(layer)] == [".w", ".b[0]", ".b[1]"]
    doubled = tree.map(lambda x: 2 * x, layer)
    assert (doubled.name, doubled.b, doubled.w.tolist()) == ("first", [2.0, 4.0], [2.0, 2.0])
    assert tree.structure(layer) != tree.structure(dataclasses.replace(layer, name="second"))


def test_dataclass_options():
    @dataclasses.dataclass
    class Fields:
        x: int
        y: int = 42
        z: int = dataclasses.field(default=42, init=False)

    with pytest.raises(ArgumentError, match=r"missing \[\] and unexpected \['z'\]"):
        tree.register_dataclass(Fields)
    with pytest.raises(ArgumentError, match=r"missing \['y'\]"):
        tree.register_dataclass(Fields, data_fields=["x"], meta_fields=[])
    with pytest.raises(ArgumentError, match="got data_fields=None, meta_fields="):
        tree.register_dataclass(Fields, meta_fields=["x"])
    with pytest.raises(ArgumentError, match=r"without overlap, got \['x'\]"):
        tree.register_dataclass(Fields, data_fields=["x", "y"], meta_fields=["x"])
    with pytest.raises(ArgumentError, match="expected a dataclass"):
        tree.register_dataclass(Record.__class__)
    tree.register_dataclass(Fields, drop_fields="z", data_fields=["y"], meta_fields=["x"])
    assert tree.flatten(Fields(1, 2)) == ([2], tree.structure(Fields(1, 3)))
    assert tree.map(lambda v: v + 1, Fields(1, 2)) == Fields(1, 3)


def test_dataclass_as_configured_decorator_and_plain_class():
    @functools.partial(tree.register_dataclass, data_fields=["x"], meta_fields=["op"])
    class Plainly:
        def __init__(self, x, op):
            self.x, self.op = x, op

    assert tree.map(lambda v: -v, Plainly(3, "neg")).x == -3
    assert repr(tree.structure(Plainly(3, "neg"))) == "PyTreeDef(CustomNode(Plainly[('neg',)], [*]))"


def test_static_field():
    assert tree.static().default is dataclasses.MISSING
    assert tree.static(default="abc").default == "abc"
    assert dict(tree.static(metadata={"key": 1}).metadata) == {"static": True, "key": 1}
    assert dict(tree.static(metadata={"static": False}).metadata) == {"static": False}


def test_register_static():
    leaves, treedef = tree.flatten([Mode("train"), 1])
    assert leaves == [1]
    assert treedef == tree.structure([Mode("train"), 2])
    assert treedef != tree.structure([Mode("eval"), 1])
    assert type(treedef.unflatten([3])[0]) is Mode


def test_partial():
    partial = tree.Partial(pow, 2, mod=5)
    assert partial(3) == 3
    assert tree.leaves(partial) == [2, 5]
    assert [tree.keystr(path) for path, _ in tree.leaves_with_path(partial)] == [
        "[<flat index 0>][0]",
        "[<flat index 1>]['mod']",
    ]
    assert tree.map(lambda x: x + 1, partial)(3) == 27 % 6
    inner = functools.partial(pow, 2)
    outer = tree.Partial(inner, 3)
    assert (outer.func, outer.args, outer()) == (inner, (3,), 8)
    assert hash(tree.Partial(inner, 1).func) == hash(inner)
    assert pickle.loads(pickle.dumps(partial))(3) == 3
    assert tree.Partial(lambda func: func, func=7)() == 7


def test_children_may_be_any_iterable_and_come_back_as_a_tuple():
    class Gen:
        def __init__(self, *items):
            self.items = items

    tree.register_node(Gen, lambda g: ((x for x in g.items), None), lambda _, xs: Gen(*(xs + ())))
    assert tree.map(lambda x: 2 * x, [Gen(1, (2, 3))])[0].items == (2, (4, 6))


def test_registering_wrongly():
    for args in [(list, None, None), (Plain, None, None), (3, None, None)]:
        with pytest.raises(ArgumentError):
            tree.register_node(*args)

    class Bad:
        result: object = None

    tree.register_node(Bad, lambda b: b.result, lambda *_: None)
    for Bad.result in ("hello", (2, 3, 4), (7, 7), None):
        with pytest.raises(TreeStructureError, match=r"flatten function of Bad to return \(children, aux_data\)"):
            tree.flatten([Bad()])


def test_a_leaf_type_may_become_a_node():
    class Number(float):
        pass

    tree.LEAF_TYPES.add(Number)
    assert tree.leaves([Number(2.0)]) == [2.0]
    tree.register_static(Number)
    assert tree.leaves([Number(2.0)]) == []


def test_errors_of_user_functions_pass_through():
    class Broken:
        pass

    class NoKeys:
        pass

    def fail(_):
        raise ZeroDivisionError("mine")

    tree.register_node(Broken, fail, lambda *_: None)
    with pytest.raises(ZeroDivisionError, match="mine"):
        tree.flatten(Broken())
    tree.register_with_keys(NoKeys, fail, lambda *_: None, lambda _: ((1,), None))
    assert tree.leaves(NoKeys()) == [1]
    with pytest.raises(ZeroDivisionError, match="mine"):
        tree.leaves_with_path(NoKeys())
    with pytest.raises(ZeroDivisionError, match="mine"):
        tree.map(fail, [1])
    with pytest.raises(ZeroDivisionError, match="mine"):
        tree.leaves([1, []], is_leaf=fail)


# ---------------------------------------------------------------- keys


def test_keys():
    keys = [
        tree.SequenceKey(idx=1),
        tree.DictKey(key="foo"),
        tree.GetAttrKey(name="bar"),
        tree.FlattenedIndexKey(key=1),
    ]
    assert [str(k) for k in keys] == ["[1]", "['foo']", ".bar", "[<flat index 1>]"]
    assert [repr(k) for k in keys] == [
        "SequenceKey(idx=1)",
        "DictKey(key='foo')",
        "GetAttrKey(name='bar')",
        "FlattenedIndexKey(key=1)",
    ]
    assert tree.keystr(tuple(keys), simple=True, separator="/") == "1/foo/bar/1"
    assert tree.keystr(("x", tree.SequenceKey(0))) == "x[0]"
    assert keys == pickle.loads(pickle.dumps(keys)) == copy.deepcopy(keys)
    assert len({*keys, *pickle.loads(pickle.dumps(keys))}) == 4
    assert tree.SequenceKey(1) != tree.FlattenedIndexKey(1)
    assert hash(tree.SequenceKey(1)) != hash(tree.FlattenedIndexKey(1))
    match keys:
        case [tree.SequenceKey(1), tree.DictKey("foo"), tree.GetAttrKey("bar"), tree.FlattenedIndexKey(1)]:
            pass
        case _:
            pytest.fail("positional patterns do not match")


def test_paths():
    t = {
        "pair": Pair(1, (2,)),
        "keyed": Keyed(3, [4]),
        "plain": Plain(5, None),
        "ordered": collections.OrderedDict(b=6),
        "default": collections.defaultdict(int, c=7),
        "special": SpecialWithKeys(8, 9),
        "none": None,
    }
    assert [tree.keystr(path) for path, _ in tree.leaves_with_path(t)] == [
        "['default']['c']",
        "['keyed'].x",
        "['keyed'].y[0]",
        "['ordered']['b']",
        "['pair'].mu",
        "['pair'].nu[0]",
        "['plain'][<flat index 0>]",
        "['special'].x",
        "['special'].y",
    ]


def test_one_level():
    assert tree.flatten_one_level([1, [2]]) == ([1, [2]], None)
    assert tree.flatten_one_level((1,)) == ((1,), None)
    assert tree.flatten_one_level({"b": 1, "a": 2}) == ((2, 1), ("a", "b"))
    assert tree.flatten_one_level(Pair((), [None])) == ([(), [None]], Pair)
    assert tree.flatten_one_level(None) == ((), None)
    assert tree.flatten_one_level(Keyed(1, 0, "c")) == ([1, 0], "c")
    pairs, aux = tree.flatten_one_level_with_keys(Pair(1, 2))
    assert (list(pairs), aux) == ([(tree.GetAttrKey("mu"), 1), (tree.GetAttrKey("nu"), 2)], Pair)
    for function in (tree.flatten_one_level, tree.flatten_one_level_with_keys):
        with pytest.raises(ValueError, match="got a leaf of type ndarray"):
            function(np.zeros(2))


# ---------------------------------------------------------------- specs and names


def test_leaf_marker_is_a_singleton():
    assert copy.deepcopy(tree.LEAF) is tree.LEAF
    assert pickle.loads(pickle.dumps(tree.LEAF)) is tree.LEAF


def test_spec_format():
    leaf = tree.LEAF
    assert tree.flatten_spec({"b": 1, "a": (2, None)}) == (
        [2, 1],
        (dict, ("a", "b"), ((tuple, None, (leaf, tree.NONE)), leaf)),
    )
    assert tree.flatten_spec(3.0) == ([3.0], leaf)
    assert tree.flatten_spec(Pair(1, [2]))[1] == (Pair, None, (leaf, (list, None, (leaf,))))
    assert tree.flatten_spec(Plain(1, 2, "t"))[1] == (Plain, "t", (leaf, leaf))
    assert tree.num_leaves((list, None, (leaf, tree.NONE, (tuple, None, (leaf,))))) == 2


JAX_NAMES = """
    DictKey FlattenedIndexKey GetAttrKey KeyEntry KeyPath Partial PyTreeDef SequenceKey all_leaves default_registry
    flatten_one_level flatten_one_level_with_keys is_tree_node keystr register_dataclass register_pytree_node
    register_pytree_node_class register_pytree_with_keys register_pytree_with_keys_class register_static tree_all
    tree_broadcast tree_flatten tree_flatten_with_path tree_leaves tree_leaves_with_path tree_map tree_map_with_path
    tree_reduce tree_reduce_associative tree_structure tree_transpose tree_unflatten treedef_children
    treedef_is_leaf treedef_tuple
"""


def test_tree_util_has_jaxs_names():
    names = JAX_NAMES.split()
    assert [name for name in names if not hasattr(tree_util, name)] == []
    assert set(names) <= set(tree_util.__all__)
    assert tree_util.tree_map is tree.map


def test_default_registry():
    registry = tree.default_registry
    assert registry.flatten([1, (2,)]) == tree.flatten([1, (2,)])
    assert registry.flatten_with_path([1], lambda path, _: len(path) == 0)[0] == [((), [1])]
    assert registry.flatten_one_level([1, 2]) == ([1, 2], None)
    assert registry.flatten_one_level(1) is None
    assert registry.flatten_one_level_with_keys(1) is None
    assert registry.is_node(list)
    assert not registry.is_node(int)
