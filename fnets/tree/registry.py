"""Which types are pytree nodes and how they are taken apart. Lives here: the registry, the functions and decorators
that register a class, `Partial`. May import `fnets.errors` and `fnets.tree.keys`.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import operator
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fnets.errors import ArgumentError
from fnets.tree.keys import DictKey, GetAttrKey, KeyEntry

T = TypeVar("T")


class Node:
    """How a registered type is taken apart and put together; `fields` names the children of a dataclass.

    >>> registry[collections.OrderedDict].unflatten(("b", "a"), (1, 2))
    OrderedDict([('b', 1), ('a', 2)])
    """

    __slots__ = ("fields", "flatten", "flatten_with_keys", "unflatten")

    def __init__(
        self,
        flatten: Callable,
        unflatten: Callable,
        flatten_with_keys: Callable | None = None,
        fields: tuple[str, ...] | None = None,
    ):
        self.flatten = flatten
        self.unflatten = unflatten
        self.flatten_with_keys = flatten_with_keys
        self.fields = fields


registry: dict[type, Node] = {}
BUILTIN_NODES = (dict, list, tuple, type(None))
# Types that are leaves without a look at the registry. A pure short cut: other modules may add their array classes.
LEAF_TYPES: set[type] = {np.ndarray, np.bool_, bool, int, float, complex, str, bytes}
LEAF_TYPES.update((np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint32))


def is_namedtuple(kind: type) -> bool:
    """Whether objects of this class are namedtuples.

    >>> is_namedtuple(collections.namedtuple("Point", "x y")), is_namedtuple(tuple)
    (True, False)
    """
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def is_tree_node(typ: type) -> bool:
    """Whether objects of this class are pytree nodes: built-in containers, None, namedtuples and registered classes.

    >>> is_tree_node(dict), is_tree_node(float)
    (True, False)
    """
    return typ in BUILTIN_NODES or typ in registry or is_namedtuple(typ)


def _register(nodetype: type, node: Node) -> None:
    if not isinstance(nodetype, type):
        raise ArgumentError(
            f"[tree.register_node] expected a class, got {nodetype!r}. Pass the class, not an instance."
        )
    if nodetype in registry or nodetype in BUILTIN_NODES:
        raise ArgumentError(
            f"[tree.register_node] expected a class that is not a pytree node yet, got {nodetype.__name__}, which is "
            "registered already. Register a class once, or a subclass of it."
        )
    LEAF_TYPES.discard(nodetype)
    registry[nodetype] = node


def register_node(
    nodetype: type[T],
    flatten_func: Callable[[T], tuple[Iterable[Any], Hashable]],
    unflatten_func: Callable[[Any, Any], T],
    flatten_with_keys_func: Callable[[T], tuple[Iterable[tuple[KeyEntry, Any]], Hashable]] | None = None,
) -> None:
    """Makes `nodetype` a pytree node, so that its contents are leaves and not the object itself.

    Args:
      nodetype: the class; subclasses of it are not registered with it.
      flatten_func: object -> (children, hashable static data).
      unflatten_func: (static data, children) -> object. It is also called with placeholders, so it should neither
        convert nor validate its children.
      flatten_with_keys_func: like `flatten_func`, with (key, child) pairs; gives the children names in paths.

    Raises:
      ArgumentError: the class is a pytree node already.

    >>> from fnets import tree
    >>> class Interval:
    ...     def __init__(self, low, high):
    ...         self.low, self.high = low, high
    >>> tree.register_node(Interval, lambda i: ((i.low, i.high), None), lambda _, ends: Interval(*ends))
    >>> tree.leaves(Interval(1.0, 2.0))
    [1.0, 2.0]
    """
    _register(nodetype, Node(flatten_func, unflatten_func, flatten_with_keys_func))


def register_with_keys(
    nodetype: type[T],
    flatten_with_keys: Callable[[T], tuple[Iterable[tuple[KeyEntry, Any]], Hashable]],
    unflatten_func: Callable[[Any, Any], T],
    flatten_func: Callable[[T], tuple[Iterable[Any], Hashable]] | None = None,
) -> None:
    """Like `register_node`, from a flatten function that gives (key, child) pairs.

    >>> from fnets import tree
    >>> class Box:
    ...     def __init__(self, item):
    ...         self.item = item
    >>> key = tree.GetAttrKey("item")
    >>> tree.register_with_keys(Box, lambda b: (((key, b.item),), None), lambda _, items: Box(*items))
    >>> [tree.keystr(path) for path, leaf in tree.leaves_with_path(Box([5, 6]))]
    ['.item[0]', '.item[1]']
    """

    def without_keys(tree: T) -> tuple[list[Any], Hashable]:
        pairs, aux = flatten_with_keys(tree)
        return [child for _, child in pairs], aux

    register_node(nodetype, flatten_func or without_keys, unflatten_func, flatten_with_keys)


def register_node_class(cls: type[T]) -> type[T]:
    """Class decorator: registers a class with methods `tree_flatten(self)` and `tree_unflatten(cls, aux, children)`.

    >>> from fnets import tree
    >>> @tree.register_node_class
    ... class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    ...     def tree_flatten(self):
    ...         return (self.a, self.b), None
    ...     @classmethod
    ...     def tree_unflatten(cls, aux, children):
    ...         return cls(*children)
    >>> tree.map(lambda x: 10 * x, Pair(1, 2)).b
    20
    """
    register_node(cls, operator.methodcaller("tree_flatten"), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_with_keys_class(cls: type[T]) -> type[T]:
    """Class decorator like `register_node_class`, for a class with `tree_flatten_with_keys(self)`.

    >>> from fnets import tree
    >>> @tree.register_with_keys_class
    ... class Scale:
    ...     def __init__(self, w):
    ...         self.w = w
    ...     def tree_flatten_with_keys(self):
    ...         return ((tree.GetAttrKey("w"), self.w),), None
    ...     @classmethod
    ...     def tree_unflatten(cls, aux, children):
    ...         return cls(*children)
    >>> tree.leaves_with_path(Scale(2.0))
    [((GetAttrKey(name='w'),), 2.0)]
    """
    without_keys = operator.methodcaller("tree_flatten") if hasattr(cls, "tree_flatten") else None
    with_keys = operator.methodcaller("tree_flatten_with_keys")
    register_with_keys(cls, with_keys, cls.tree_unflatten, without_keys)  # type: ignore[attr-defined]
    return cls


Fields = Sequence[str] | None


def _dataclass_fields(nodetype: type, data_fields: Fields, meta_fields: Fields, dropped: set[str]):
    """(data fields, meta fields) of `register_dataclass`, completed from the dataclass itself and checked."""
    op = "[tree.register_dataclass]"
    is_dataclass = dataclasses.is_dataclass(nodetype)
    if data_fields is None and meta_fields is None:
        if not is_dataclass:
            raise ArgumentError(
                f"{op} expected a dataclass, got {nodetype!r}. Put @dataclass below @register_dataclass, or give "
                "data_fields and meta_fields."
            )
        kept = [f for f in dataclasses.fields(nodetype) if f.name not in dropped]  # type: ignore[arg-type]
        data_fields = [f.name for f in kept if not f.metadata.get("static", False)]
        meta_fields = [f.name for f in kept if f.metadata.get("static", False)]
    elif data_fields is None or meta_fields is None:
        raise ArgumentError(
            f"{op} expected both data_fields and meta_fields or neither, got {data_fields=}, {meta_fields=}. Give both."
        )
    if overlap := {*data_fields} & {*meta_fields}:
        raise ArgumentError(
            f"{op} expected data_fields and meta_fields without overlap, got {sorted(overlap)} in both. "
            "Remove them from one."
        )
    given = {*data_fields, *meta_fields}
    wanted = {f.name for f in dataclasses.fields(nodetype) if f.init} - dropped if is_dataclass else given
    if given != wanted:
        raise ArgumentError(
            f"{op} expected data_fields and meta_fields to be all fields that {nodetype.__name__}.__init__ takes, "
            f"got missing {sorted(wanted - given)} and unexpected {sorted(given - wanted)}. Name fields that may take "
            "their defaults in drop_fields."
        )
    return tuple(data_fields), tuple(meta_fields)


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda x: tuple([getattr(x, name) for name in names])


def register_dataclass(
    nodetype: type[T],
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> type[T]:
    """Makes a dataclass a pytree node; usable as a decorator above `@dataclass`.

    Args:
      nodetype: the class. It is rebuilt by `nodetype(**fields)`.
      data_fields: fields that hold arrays or subtrees; by default all that are not static.
      meta_fields: static, hashable fields; by default those declared with `tree.static()`, or
        `field(metadata={"static": True})`.
      drop_fields: fields to leave out; they must have defaults.

    Raises:
      ArgumentError: the fields are not those that the class's `__init__` takes.

    >>> from fnets import tree
    >>> @tree.register_dataclass
    ... @dataclasses.dataclass
    ... class Dense:
    ...     w: float
    ...     activation: str = tree.static(default="relu")
    >>> tree.flatten(Dense(w=0.5))
    ([0.5], PyTreeDef(CustomNode(Dense[('relu',)], [*])))
    """
    dropped = {drop_fields} if isinstance(drop_fields, str) else {*drop_fields}
    data_names, meta_names = _dataclass_fields(nodetype, data_fields, meta_fields, dropped)
    data, meta = _getter(data_names), _getter(meta_names)
    keys = [GetAttrKey(name) for name in data_names]

    def rebuild(aux: tuple[Any, ...], children: tuple[Any, ...]) -> T:
        return nodetype(**dict(zip(meta_names, aux)), **dict(zip(data_names, children)))

    def flatten_with_keys(x: T) -> tuple[list[tuple[KeyEntry, Any]], tuple[Any, ...]]:
        return list(zip(keys, data(x))), meta(x)

    _register(nodetype, Node(lambda x: (data(x), meta(x)), rebuild, flatten_with_keys, data_names))
    return nodetype


if TYPE_CHECKING:
    static = dataclasses.field
else:

    def static(**kwargs: Any) -> Any:
        """`dataclasses.field` for a field that is static metadata in `register_dataclass`.

        >>> static(default="relu").metadata["static"]
        True
        """
        kwargs["metadata"] = {"static": True, **(kwargs.get("metadata") or {})}
        return dataclasses.field(**kwargs)


def register_static(cls: type[T]) -> type[T]:
    """Class decorator: instances are nodes without leaves, compared and hashed as static data.

    >>> from fnets import tree
    >>> @tree.register_static
    ... class Mode(str):
    ...     pass
    >>> tree.flatten([Mode("train"), 1.0])
    ([1.0], PyTreeDef([CustomNode(Mode[train], []), *]))
    """
    register_node(cls, lambda obj: ((), obj), lambda obj, _: obj, lambda obj: ((), obj))
    return cls


def _nothing() -> None:
    pass


class Partial(functools.partial):
    """`functools.partial` as a pytree: its arguments are children, its function is static.

    >>> from fnets import tree
    >>> tree.leaves(tree.Partial(pow, 2.0, 3.0))
    [2.0, 3.0]
    """

    def __new__(cls, func: Callable, /, *args: Any, **keywords: Any) -> Partial:
        # partial(partial(f, 1), 2) merges into partial(f, 1, 2), which would turn the static 1 into a leaf.
        self = super().__new__(cls, _nothing)
        self.__setstate__((func, args, keywords, None))
        return self


def _sorted_items(d: dict) -> list[tuple[Any, Any]]:
    return [(key, d[key]) for key in sorted(d)]


register_node(
    collections.OrderedDict,
    lambda d: (tuple(d.values()), tuple(d)),
    lambda keys, values: collections.OrderedDict(zip(keys, values)),
    lambda d: ([(DictKey(key), value) for key, value in d.items()], tuple(d)),
)
register_node(
    collections.defaultdict,
    lambda d: ([value for _, value in _sorted_items(d)], (d.default_factory, tuple(sorted(d)))),
    lambda aux, values: collections.defaultdict(aux[0], zip(aux[1], values)),
    lambda d: ([(DictKey(key), value) for key, value in _sorted_items(d)], (d.default_factory, tuple(sorted(d)))),
)
register_node(Partial, lambda p: ((p.args, p.keywords), p.func), lambda func, xs: Partial(func, *xs[0], **xs[1]))
