"""`PyTreeDef`, the object that users hold for a structure, and its functions. May import `fnets.errors`,
`fnets.tree.keys`, `.spec` and `.differences`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fnets.errors import TreeStructureError
from fnets.tree.differences import describe, mismatches, spec_differences, structure_error
from fnets.tree.keys import KeyPath
from fnets.tree.spec import (
    LEAF,
    Leaf,
    PyTree,
    Spec,
    flatten_spec,
    flatten_up_to,
    fold,
    num_leaves,
    shorten,
    spec_text,
    unflatten_spec,
)


def _user_aux(kind: type, aux: Any) -> Any:
    return list(aux) if kind is dict else aux


class PyTreeDef:
    """The structure of a pytree: what is left when the leaves are taken out. Hashable, comparable, picklable.

    >>> from fnets import tree
    >>> tree.structure({"b": (1, None), "a": 2})
    PyTreeDef({'a': *, 'b': (*, None)})
    """

    __slots__ = ("_hash", "_num_leaves", "spec")

    def __init__(self, spec: Spec):
        self.spec = spec

    @property
    def num_leaves(self) -> int:
        """How many leaves the tree has.

        >>> from fnets import tree
        >>> tree.structure([1, None, 2]).num_leaves
        2
        """
        try:
            return self._num_leaves
        except AttributeError:
            self._num_leaves = num_leaves(self.spec)
            return self._num_leaves

    @property
    def num_nodes(self) -> int:
        """How many nodes the tree has, leaves included.

        >>> from fnets import tree
        >>> tree.structure([1, None, 2]).num_nodes
        4
        """
        return fold(self.spec, lambda: 1, lambda _kind, _aux, counts: 1 + sum(counts))

    def unflatten(self, leaves: Iterable[Leaf]) -> PyTree:
        """The tree of this structure with these leaves.

        >>> from fnets import tree
        >>> tree.structure([0, (0,)]).unflatten([1, 2])
        [1, (2,)]
        """
        return unflatten_spec(self.spec, leaves if type(leaves) is list else list(leaves))

    def flatten_up_to(self, tree: PyTree) -> list[PyTree]:
        """The subtrees of `tree` that stand where this structure has leaves.

        Raises:
          TreeStructureError: this structure is not a prefix of the tree's.

        >>> from fnets import tree
        >>> tree.structure([0, 0]).flatten_up_to([(1, 2), {"a": 3}])
        [(1, 2), {'a': 3}]
        """
        found = flatten_up_to(self.spec, tree)
        if found is None:
            names = ("the structure", "the tree")
            expected = "a tree that has the structure as a prefix"
            raise structure_error("PyTreeDef.flatten_up_to", expected, names, self.spec, flatten_spec(tree)[1])
        return found

    def compose(self, inner: PyTreeDef) -> PyTreeDef:
        """This structure with `inner` in the place of every leaf.

        >>> from fnets import tree
        >>> tree.structure([0, 0]).compose(tree.structure((0, 0)))
        PyTreeDef([(*, *), (*, *)])
        """
        return PyTreeDef(fold(self.spec, lambda: inner.spec, lambda kind, aux, specs: (kind, aux, tuple(specs))))

    def children(self) -> list[PyTreeDef]:
        """The structures of the root's children; none for a leaf.

        >>> from fnets import tree
        >>> tree.structure([1, (2,)]).children()
        [PyTreeDef(*), PyTreeDef((*,))]
        """
        return [] if self.spec is LEAF else [PyTreeDef(child) for child in self.spec[2]]

    def node_data(self) -> tuple[type, Any] | None:
        """(type, static data) of the root; None for a leaf.

        >>> from fnets import tree
        >>> tree.structure({"a": 1}).node_data()
        (<class 'dict'>, ['a'])
        """
        return None if self.spec is LEAF else (self.spec[0], _user_aux(*self.spec[:2]))

    @staticmethod
    def make_from_node_data_and_children(
        registry: Any, node_data: tuple[type, Any] | None, children: Iterable[PyTreeDef]
    ) -> PyTreeDef:
        """The structure with this root and these children; undoes `node_data` and `children`.

        >>> from fnets import tree
        >>> d = tree.structure({"a": [1]})
        >>> PyTreeDef.make_from_node_data_and_children(tree.default_registry, d.node_data(), d.children()) == d
        True
        """
        if node_data is None:
            return PyTreeDef(LEAF)
        kind, aux = node_data
        return PyTreeDef((kind, tuple(aux) if kind is dict else aux, tuple([child.spec for child in children])))

    from_node_data_and_children = make_from_node_data_and_children

    def from_iterable_tree(self, xs: Any) -> PyTree:
        """The tree whose leaves are read from nested iterables of this shape.

        >>> from fnets import tree
        >>> tree.structure([0, {"a": 0}]).from_iterable_tree((1, (2,)))
        [1, {'a': 2}]
        """
        found = []
        todo = [(self.spec, xs)]
        while todo:
            spec, x = todo.pop()
            if spec is LEAF:
                found.append(x)
                continue
            items = tuple(x) if hasattr(x, "__iter__") else None
            if items is None or len(items) != len(spec[2]):
                raise TreeStructureError(
                    f"[tree.build_tree] expected an iterable of {len(spec[2])} items for {describe(spec)}, got "
                    f"{shorten(repr(x))}. Nest the iterables like the structure."
                )
            todo.extend(zip(spec[2][::-1], items[::-1]))
        return unflatten_spec(self.spec, found)

    def walk(
        self, f_node: Callable[[Any, Any], Any], f_leaf: Callable[[Any], Any] | None, leaves: Iterable[Leaf]
    ) -> Any:
        """Reduces bottom-up: `f_leaf(leaf)` for leaves, `f_node(children's results, static data)` for nodes.

        >>> from fnets import tree
        >>> tree.structure([0, (0, 0)]).walk(lambda results, _: sum(results), None, [1, 2, 3])
        6
        """
        values = iter(leaves if f_leaf is None else [f_leaf(leaf) for leaf in leaves])
        return fold(self.spec, values.__next__, lambda kind, aux, parts: f_node(tuple(parts), _user_aux(kind, aux)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PyTreeDef):
            return NotImplemented
        try:
            return self.spec == other.spec
        except Exception:  # too deep for C, or static data that cannot be compared: the walk copes or names it
            return next(mismatches(self.spec, other.spec, exact=True), None) is None

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            pass
        try:
            self._hash = hash(self.spec)
        except TypeError:  # static data that does not hash; leaving it out keeps equal structures' hashes equal
            self._hash = hash(fold(self.spec, lambda: LEAF, lambda kind, _, specs: (kind, tuple(specs))))
        return self._hash

    def __reduce__(self) -> tuple[type, tuple[Spec]]:
        return PyTreeDef, (self.spec,)

    def __repr__(self) -> str:
        return f"PyTreeDef({spec_text(self.spec)})"


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """The structure of a tuple of trees of these structures.

    >>> from fnets import tree
    >>> tree.treedef_tuple([tree.structure(1), tree.structure([2])])
    PyTreeDef((*, [*]))
    """
    return PyTreeDef((tuple, None, tuple([treedef.spec for treedef in treedefs])))


def treedef_children(treedef: PyTreeDef) -> list[PyTreeDef]:
    """The structures of the root's children.

    >>> from fnets import tree
    >>> tree.treedef_children(tree.structure((1, [2])))
    [PyTreeDef(*), PyTreeDef([*])]
    """
    return treedef.children()


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether the structure is a single node: a leaf, None or an empty container.

    >>> from fnets import tree
    >>> tree.treedef_is_leaf(tree.structure(1)), tree.treedef_is_leaf(tree.structure([1]))
    (True, False)
    """
    return treedef.spec is LEAF or not treedef.spec[2]


def treedef_is_strict_leaf(treedef: PyTreeDef) -> bool:
    """Whether the structure is a leaf.

    >>> from fnets import tree
    >>> tree.treedef_is_strict_leaf(tree.structure(1)), tree.treedef_is_strict_leaf(tree.structure(None))
    (True, False)
    """
    return treedef.spec is LEAF


def build_tree(treedef: PyTreeDef, xs: Any) -> PyTree:
    """The tree of this structure whose leaves are read from `xs`, nested iterables of the same shape.

    >>> from fnets import tree
    >>> tree.build_tree(tree.structure({"a": 0, "b": [0]}), (1, (2,)))
    {'a': 1, 'b': [2]}
    """
    return treedef.from_iterable_tree(xs)


def equality_errors_pytreedef(tree1: PyTreeDef, tree2: PyTreeDef) -> Iterator[tuple[KeyPath, str, str, str]]:
    """Where two structures differ: (path, what the first has, what the second has, why they differ).

    >>> from fnets import tree
    >>> list(tree.equality_errors_pytreedef(tree.structure(1), tree.structure(None)))
    [((), 'a leaf', 'None', 'their types differ')]
    """
    return spec_differences(tree1.spec, tree2.spec)
