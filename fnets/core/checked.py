"""Checks around every primitive's impl, while a setting asks for one; otherwise nothing is wrapped, and nothing is asked. May import primitive, config.

A check is registered by `while_set` with the settings that turn it on; see `nonfinite` and `promotion`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from fnets import config
from fnets.core.primitive import BinaryPrimitive, Primitive, is_missing, registry

Wrapper = Callable[[Primitive, Callable], Callable]

_lock = threading.Lock()
_wrappers: list[Wrapper] = []
_wrapped: dict[str, tuple[Primitive, Callable, Callable]] = {}  # name -> primitive, its own impl, the checked one
_operators: dict[BinaryPrimitive, Callable | None] = {}  # that go by unchecked otherwise
_seen = 0  # how many primitives there were when they were last wrapped
checking = 0  # in how many places one of the settings is on


def while_set(wrapper: Wrapper, *settings: str) -> None:
    """Wrap every impl as `wrapper(prim, impl)` while one of the settings is not at its default somewhere.

    The wrapped impl reads the settings itself, since they may be on in another thread alone.

    >>> while_set(lambda prim, impl: impl, "debug_nans")
    """
    _unwrap_all()
    _wrappers.append(wrapper)
    for name in settings:
        config.watch(name, _changed)
    if checking:
        _wrap_all()


def _wrap_all() -> None:
    global _seen
    with _lock:
        for name, prim in list(registry.items()):
            if name not in _wrapped and not is_missing(prim.impl):
                impl = checked = prim.impl
                for wrapper in _wrappers:
                    checked = wrapper(prim, checked)
                prim.impl = checked
                _wrapped[name] = (prim, impl, checked)
                if isinstance(prim, BinaryPrimitive):
                    _operators[prim], prim.scalar = prim.scalar, None
        _seen = len(registry)


def _unwrap_all() -> None:
    with _lock:
        for prim, impl, checked in _wrapped.values():
            if prim.impl is checked:
                prim.impl = impl
        for prim, operator in _operators.items():
            prim.scalar = operator
        _wrapped.clear()
        _operators.clear()


def refresh() -> None:
    """Wrap the primitives that were defined since the settings were turned on, if they are.

    >>> refresh()
    """
    if checking and len(registry) != _seen:
        _wrap_all()


def _changed(by: int) -> None:
    global checking
    with _lock:
        checking += by
        now = checking
    if by > 0 and now == 1:
        _wrap_all()
    elif now == 0:
        _unwrap_all()
