"""Object code on disk: private to the user, checked by a keyed checksum, rebuilt when anything is wrong with it. May import files.

The directory is `FNETS_CACHE_DIR`, or `fnets` in the user's cache directory; `FNETS_CACHE=0` turns the cache off. Its files are machine code, so
it must belong to the user and be closed to others, and an entry counts only with a checksum made with a secret key kept beside it. A
directory that is not so is not used. Beyond `LIMIT` bytes the entries that were used longest ago go, when one in `BETWEEN` entries is written: to look at all
of them takes long.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import pathlib
import stat

from fnets.files import atomic_write

LIMIT = 256 << 20
BETWEEN = 64
CODE, PROGRAM = ".o", ".json"  # what an entry is
_KEY_FILE, _TAG = "key", 32


def is_on() -> bool:
    """False if the user wants no cache."""
    return os.environ.get("FNETS_CACHE", "1").lower() not in ("0", "false", "no", "off")


def directory() -> pathlib.Path | None:
    """The cache's directory, made if it is missing; None if there is no cache, or none that is safe."""
    if not is_on():
        return None
    chosen = os.environ.get("FNETS_CACHE_DIR")
    base = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"))
    folder = pathlib.Path(chosen) if chosen else base / "fnets"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_private(folder, stat.S_ISDIR):
            return folder
    return None


def _is_private(path: pathlib.Path, is_kind: object) -> bool:
    status = os.lstat(path)
    return is_kind(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077  # type: ignore[operator]


def _secret(folder: pathlib.Path) -> bytes | None:
    path = folder / _KEY_FILE
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(32))
    key = path.read_bytes()
    return key if len(key) == 32 and _is_private(path, stat.S_ISREG) else None


def key_of(*parts: str | bytes) -> str:
    """The name of the entry for these texts and bytes.

    >>> len(key_of("define ...", "znver4"))
    64
    """
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode() if isinstance(part, str) else part
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()


def read(name: str, kind: str = CODE) -> bytes | None:
    """An entry, or None if there is none that can be trusted."""
    with contextlib.suppress(OSError):
        folder = directory()
        secret = None if folder is None else _secret(folder)
        if folder is not None and secret is not None:
            path = folder / (name + kind)
            content = path.read_bytes()
            tag, code = content[:_TAG], content[_TAG:]
            if hmac.compare_digest(tag, _tag(secret, name + kind, code)):
                os.utime(path)
                return code
    return None


def write(name: str, code: bytes, kind: str = CODE) -> None:
    """Store an entry, if there is a cache and it can be written to."""
    with contextlib.suppress(OSError):
        folder = directory()
        secret = None if folder is None else _secret(folder)
        if folder is not None and secret is not None:
            with atomic_write(folder / (name + kind), durable=False) as file:  # what is broken is found out
                file.write(_tag(secret, name + kind, code) + code)
            if int(name[:8], 16) % BETWEEN == 0:
                _trim(folder)


def _tag(secret: bytes, name: str, code: bytes) -> bytes:
    return hmac.new(secret, name.encode() + code, hashlib.sha256).digest()


def _trim(folder: pathlib.Path) -> None:
    with os.scandir(folder) as files:
        status = [(f.stat(), f.path) for f in files if f.name.endswith((CODE, PROGRAM))]
    total = sum([s.st_size for s, _ in status])
    for s, path in sorted(status, key=lambda entry: entry[0].st_mtime):
        if total <= LIMIT:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= s.st_size
