"""A module's machine code: from the cache, or compiled and put there. May import cache, engine."""

from __future__ import annotations

import contextlib

from fnets.backends.llvm import cache
from fnets.backends.llvm.engine import Loaded, host, object_code


def load(text: str) -> Loaded:
    """The code of a module's text."""
    h = host()
    name = cache.key_of(text, h.cpu, h.features, h.version)
    code = cache.read(name)
    if code is not None:
        with contextlib.suppress(Exception):  # an object that cannot be loaded is built again
            return Loaded(code)
    code = object_code(text)
    cache.write(name, code)
    return Loaded(code)
