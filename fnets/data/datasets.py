"""The MNIST database. Lives here: `mnist`, with the files' checksums and mirrors. May import the rest of fnets.data and
fnets.errors."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fnets.data.dataset import Dataset
from fnets.data.download import download as download_file
from fnets.data.idx import read_verified
from fnets.errors import DataError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
# file -> (shape, SHA-256 of the decompressed content); the compressed bytes differ from copy to copy
FILES = {
    "train-images-idx3-ubyte.gz": (
        (60000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte.gz": ((60000,), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte.gz": ((10000, 28, 28), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte.gz": ((10000,), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
_REMEDY = "Delete the file and call mnist() again to download the original."
_LARGEST = 1 << 25  # no copy of a file is bigger; a mirror that sends more is not sending MNIST


def mnist(
    root: str | os.PathLike[str] | None = None,
    transform: Callable[[Any], Any] | None = None,
    download: bool = True,
) -> tuple[Dataset, Dataset]:
    """The MNIST database of handwritten digits, LeCun, Cortes and Burges: 60,000 training and 10,000 test images.

    Reads the original IDX files, gzipped or not, and checks their headers and the SHA-256 of their content. Files that
    are absent are downloaded first, from a list of mirrors.

    Args:
        root: the folder of the files. By default the copy that comes with a checkout of fnets, `examples/data/mnist`,
            or, where fnets was installed without it, `mnist` in the user's cache folder for fnets.
        transform: called once with all images of each part, a uint8 array of shape (N, 28, 28); its result is the data.
        download: fetch files that are absent.

    Returns:
        `(train, test)`: a `Dataset` each with fields `data`, uint8 of shape (N, 28, 28) or what the transform made, and
        `labels`, uint8 of shape (N,).

    Raises:
        DataError: when a file is damaged or is another one, or is absent and cannot be downloaded.

    >>> train, test = mnist()
    >>> test
    Dataset MNIST(
       (data): Array(shape=(10000, 28, 28), dtype=uint8)
       (labels): Array(shape=(10000,), dtype=uint8)
    )
    """
    folder = _default_root() if root is None else Path(root)
    arrays = [_read(_find(folder, name, download), name) for name in FILES]
    images, labels = arrays[0::2], arrays[1::2]
    if transform is not None:
        images = [transform(array) for array in images]
    train, test = (Dataset("MNIST", data=x, labels=y) for x, y in zip(images, labels, strict=True))
    return train, test


def _default_root() -> Path:
    checkout = Path(__file__).parents[2] / "examples" / "data" / "mnist"
    if checkout.is_dir():
        return checkout
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fnets" / "mnist"


def _find(folder: Path, name: str, download: bool) -> Path:
    path = folder / name
    for candidate in (path, path.with_suffix("")):  # unpacked files will do
        if candidate.is_file():
            return candidate
    if not download:
        raise DataError(
            f"[mnist] expected the file {path}, got none. Place it there, or call mnist(..., download=True)."
        )
    download_file(
        [mirror + name for mirror in MIRRORS], path, lambda copy: _read(copy, name, "It was not kept."), limit=_LARGEST
    )
    return path


def _read(path: str | os.PathLike[str], name: str, remedy: str = _REMEDY) -> Any:
    shape, sha256 = FILES[name]
    return read_verified(path, shape, sha256, remedy)
