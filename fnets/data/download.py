"""Fetching files from mirrors. Lives here: `download`. May import fnets.errors, fnets.files and fnets.progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from fnets.errors import DataError
from fnets.files import atomic_write
from fnets.progress import progress

_CHUNK = 1 << 16


def download(
    urls: Sequence[str],
    path: str | os.PathLike[str],
    check: Callable[[str], Any] | None = None,
    limit: int = 1 << 34,
    timeout: float = 30.0,
) -> Path:
    """Fetch a file from the first of `urls` that delivers it whole; `path` appears complete and checked, or not at all.

    Args:
        urls: addresses of the same file, tried in order.
        path: where to put it; missing folders are made.
        check: called with the name of the complete temporary file, raises `DataError` if the content is not what it
            should be.
        limit: bytes beyond which a mirror is given up.
        timeout: seconds without an answer after which a mirror is given up.

    Returns:
        The path.

    Raises:
        DataError: when every address failed; says why each did, and how to place the file by hand.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source, target = Path(folder, "source"), Path(folder, "target")
    ...     _ = source.write_text("content")
    ...     download([source.as_uri()], target).read_text()  # doctest: +ELLIPSIS
    Downloading target: 100% | [====...====] | Time: 0m 0s | ... | Done !
    'content'
    """
    import http.client  # these three are slow to import, and seldom needed
    import urllib.error
    import urllib.request

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=timeout) as reply, atomic_write(path) as file:
                _copy(reply, file, path.name, limit)
                file.flush()
                if check is not None:
                    check(file.name)
            return path
        except (urllib.error.URLError, http.client.HTTPException, OSError, DataError, ValueError) as error:
            failures.append(f"  {url}: {_reason(error)}")
    tried = "\n".join(failures)
    raise DataError(
        f"[download] expected to fetch {path.name} from one of {len(urls)} addresses, got no good copy:\n{tried}\n"
        f"Get the file by other means and place it at {path.absolute()}."
    )


def _copy(reply: Any, file: BinaryIO, name: str, limit: int) -> None:
    length = reply.headers.get("Content-Length")
    size = int(length) if length and length.isdecimal() else None
    with progress(prefix=f"Downloading {name}:", total=size, unit="B") as bar:
        while piece := reply.read(_CHUNK):
            file.write(piece)
            bar.update(len(piece))
            if bar.count > limit:
                raise DataError(f"more than {limit} bytes came")
        if size is not None and bar.count < size:  # the connection broke off
            raise DataError(f"only {bar.count} of {size} bytes came")


def _reason(error: BaseException) -> str:
    # An error of the connection says more in its reason, an answer such as "HTTP Error 404: Not Found" in itself.
    reason = error if hasattr(error, "code") else getattr(error, "reason", error)
    return str(reason).split("\n  at ")[0] or type(error).__name__
