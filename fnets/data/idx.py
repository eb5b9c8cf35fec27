"""The IDX file format of the MNIST database, plain or gzipped. Lives here: its reader and writer. May import
fnets.errors and fnets.files."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib
from typing import Any, BinaryIO

import numpy as np

from fnets.errors import DataError
from fnets.files import atomic_write

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(name).newbyteorder("="): code for code, name in _DTYPES.items()}
_MAX_NDIM = 32


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an IDX file, gzipped or plain (told apart by content), into an array of native byte order.

    Args:
        path: the file.

    Returns:
        A writable array with the shape and dtype of the file's header: uint8, int8, int16, int32, float32 or float64.

    Raises:
        DataError: when the file is not IDX, is truncated or corrupted, or has bytes left over.
        FileNotFoundError: when there is no such file.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "x.idx.gz")
    ...     write_idx(path, np.arange(6, dtype=np.int16).reshape(2, 3))
    ...     read_idx(path)
    array([[0, 1, 2],
           [3, 4, 5]], dtype=int16)
    """
    return read_verified(path)


def read_verified(
    path: str | os.PathLike[str], shape: tuple[int, ...] | None = None, sha256: str | None = None, remedy: str = ""
) -> np.ndarray:
    """`read_idx` that also insists on a uint8 array of this shape and on the SHA-256 of the decompressed content."""
    path = os.fspath(path)
    remedy = remedy or "Replace the file with an undamaged copy."

    def wrong(expected: str, got: str) -> DataError:
        return DataError(f"[read_idx] expected {expected} in {path}, got {got}. {remedy}")

    digest = hashlib.sha256()
    with open(path, "rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file: Any = gzip.GzipFile(fileobj=raw, mode="rb") if zipped else raw
        try:
            start = _read(file, 4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _DTYPES or not 0 < start[3] <= _MAX_NDIM:
                raise wrong("an IDX header", f"the bytes {start.hex(' ') or '(none)'}")
            dims = _read(file, 4 * start[3])
            if len(dims) < 4 * start[3]:
                raise wrong(f"{start[3]} dimensions", f"only {len(dims)} bytes of them, the file is truncated")
            found = tuple(int.from_bytes(dims[i : i + 4], "big") for i in range(0, len(dims), 4))
            dtype = np.dtype(_DTYPES[start[2]])
            if shape is not None and (found != shape or start[2] != 0x08):
                raise wrong(f"uint8 data of shape {shape}", f"{dtype.newbyteorder('=')} of shape {found}")
            size = math.prod(found) * dtype.itemsize
            body = _read(file, size + 1)  # one more, to notice bytes left over and to make gzip check its own sums
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise wrong("gzipped IDX data", f"a truncated or corrupted file ({error})") from error
    if len(body) != size:
        got = f"{len(body)}, the file is truncated" if len(body) < size else "more than that"
        raise wrong(f"{size} bytes for shape {found}", got)
    for part in (start, dims, body):
        digest.update(part)
    if sha256 is not None and digest.hexdigest() != sha256:
        raise wrong(f"content with SHA-256 {sha256[:16]}...", f"{digest.hexdigest()[:16]}..., other or corrupted data")
    array = np.frombuffer(body, dtype).reshape(found)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read(file: BinaryIO, size: int, step: int = 1 << 22) -> bytearray:
    """Up to `size` bytes, in steps, so that a header that promises too much cannot make us allocate it."""
    data = bytearray()
    while len(data) < size and (piece := file.read(min(step, size - len(data)))):
        data += piece
    return data


def write_idx(path: str | os.PathLike[str], array: Any) -> None:
    """Write an array as an IDX file, gzipped when the name ends in `.gz`; the file appears complete or not at all.

    Args:
        path: the file.
        array: uint8, int8, int16, int32, float32 or float64, of 1 to 32 dimensions.

    Raises:
        DataError: for another dtype or a 0-d array.

    >>> write_idx("x.idx", np.zeros(3, np.int64))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    fnets.errors.DataError: [write_idx] expected uint8, int8, int16, int32, float32 or float64, got int64. ...
    """
    array = np.asarray(array)
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        raise DataError(
            f"[write_idx] expected uint8, int8, int16, int32, float32 or float64, got {array.dtype}. "
            "Convert with x.astype(...) first."
        )
    if not 0 < array.ndim <= _MAX_NDIM or max(array.shape) >= 1 << 32:
        raise DataError(
            f"[write_idx] expected 1 to {_MAX_NDIM} dimensions below 2**32, got shape {array.shape}. Reshape it first."
        )
    header = bytes([0, 0, code, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    data = header + array.astype(_DTYPES[code]).tobytes()
    with atomic_write(path) as file:
        file.write(gzip.compress(data, mtime=0) if os.fspath(path).endswith(".gz") else data)
