"""An opt-in check that finds a key which is used twice. Lives here: what it remembers. May import errors and core.

Keys are recognised by their numbers, so two keys made from one seed count as one: they give the same draws. Keys under `jit` and
`vmap` have no numbers yet and are not looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from fnets.errors import KeyReuseError
from fnets.source import describe_location, user_location

Where = tuple[str, int, str] | None

checking = 0  # how many blocks are open in all threads: nothing else is looked at while it is 0
_used: ContextVar[dict[bytes, tuple[str, Where]] | None] = ContextVar("fnets_used_keys", default=None)


@contextlib.contextmanager
def check_key_reuse() -> Iterator[None]:
    """Context manager: a key that a second draw or `split` uses raises an error which names both lines.

    Every function that takes a key uses it up, but for `fold_in`, whose results differ by its data, and `clone`. Costs about a
    microsecond a draw, and nothing outside of the block.

    Raises:
        KeyReuseError: inside the block, at the second use of a key.

    >>> from fnets import random
    >>> with random.check_key_reuse():
    ...     k1, k2 = random.split(random.key(0))
    ...     x = random.normal(k1), random.normal(k2)
    """
    global checking
    token = _used.set({})
    checking += 1
    try:
        yield
    finally:
        checking -= 1
        _used.reset(token)


def record(key: Any, op: str) -> None:
    """Remember a use of a key; raise if it is the second."""
    used = _used.get()
    if used is None or type(key) is not np.ndarray:
        return
    number, where = key.tobytes(), user_location()
    first = used.get(number)
    if first is not None:
        raise KeyReuseError(
            f"[random.{op}] expected a key that has not been used, got {key} again, which random.{first[0]} used at "
            f"{describe_location(first[1])}. Make new ones with k1, k2 = random.split(key) and use each once."
        )
    used[number] = (op, where)


def forget(key: Any) -> None:
    """Allow one more use of a key."""
    used = _used.get()
    if used is not None and type(key) is np.ndarray:
        used.pop(key.tobytes(), None)
