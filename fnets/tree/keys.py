"""The steps of a path through a pytree, and paths as text. May import nothing of fnets."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

KeyEntry = Any
KeyPath = tuple[KeyEntry, ...]


class Key:
    """A step of a path: one value, named by the subclass's single slot.

    >>> DictKey("w") == DictKey("w"), DictKey(0) == SequenceKey(0)
    (True, False)
    """

    __slots__: tuple[str, ...] = ()

    @property
    def value(self) -> Any:
        """The index, key or name.

        >>> GetAttrKey("bias").value
        'bias'
        """
        return getattr(self, self.__slots__[0])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and type(self) is type(other) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self), self.value))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__slots__[0]}={self.value!r})"

    def __reduce__(self) -> tuple[type, tuple[Any]]:
        return type(self), (self.value,)


class SequenceKey(Key):
    """The step into item `idx` of a list or tuple.

    >>> str(SequenceKey(3))
    '[3]'
    """

    __slots__ = __match_args__ = ("idx",)

    def __init__(self, idx: int):
        self.idx = idx

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


class DictKey(Key):
    """The step into entry `key` of a dict.

    >>> str(DictKey("w"))
    "['w']"
    """

    __slots__ = __match_args__ = ("key",)

    def __init__(self, key: Hashable):
        self.key = key

    def __str__(self) -> str:
        return f"[{self.key!r}]"


class GetAttrKey(Key):
    """The step into attribute `name` of a namedtuple or dataclass.

    >>> str(GetAttrKey("bias"))
    '.bias'
    """

    __slots__ = __match_args__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __str__(self) -> str:
        return f".{self.name}"


class FlattenedIndexKey(Key):
    """The step into child number `key` of a registered node that does not name its children.

    >>> str(FlattenedIndexKey(0))
    '[<flat index 0>]'
    """

    __slots__ = __match_args__ = ("key",)

    def __init__(self, key: int):
        self.key = key

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


def keystr(keys: KeyPath, *, simple: bool = False, separator: str = "") -> str:
    """A path as text, as it would be written in Python; `simple=True` gives the bare names.

    >>> path = (DictKey("layer"), SequenceKey(0), GetAttrKey("w"))
    >>> keystr(path), keystr(path, simple=True, separator="/")
    ("['layer'][0].w", 'layer/0/w')
    """
    return separator.join([str(key.value if simple and isinstance(key, Key) else key) for key in keys])


def where(path: KeyPath) -> str:
    """A path as messages show it.

    >>> where(()), where((SequenceKey(1),))
    ('the root', '[1]')
    """
    return keystr(path) or "the root"
