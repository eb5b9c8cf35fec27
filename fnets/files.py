"""Writing files so that a crash never leaves half of one. Lives here: `atomic_write`. Imports nothing of fnets."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], durable: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces `path` only when the block ends without an exception.

    The bytes go to a temporary file in the same directory, reach the disk, and are renamed over `path` in one step; on
    any failure the temporary file is removed and what was at `path` stays. Without `durable` nobody waits for the disk: other processes see one
    whole file or the other, but after a loss of power it may be a broken one.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(os.path.join(folder, "a.bin")) as file:
    ...         _ = file.write(b"whole")
    ...     os.listdir(folder)
    ['a.bin']
    """
    target = os.path.realpath(path)  # a symbolic link stays one
    folder, name = os.path.split(target)
    os.stat(folder)  # a missing folder is reported under its own name, not the temporary file's
    temporary = os.path.join(folder, f".{name}.{os.urandom(6).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        _sync_directory(folder)


def _sync_directory(folder: str) -> None:
    with contextlib.suppress(OSError):  # directories cannot be opened everywhere
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
