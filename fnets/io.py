"""Saving trees of arrays: `save`, `load`, checkpoints. Lives here: the safetensors file layout, with a tree's structure
as JSON in its metadata; nothing in a file is ever executed. May import fnets.tree, fnets.errors and fnets.files."""

from __future__ import annotations

import hashlib
import json
import math
import operator
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fnets.errors import ArgumentError, CheckpointError, MissingExtraError
from fnets.files import atomic_write
from fnets.tree import (
    DictKey,
    GetAttrKey,
    KeyPath,
    flatten_one_level_with_keys,
    flatten_with_path,
    is_tree_node,
    keystr,
    unflatten,
)

# Name in the file -> NumPy's. All are the format's own but C128, our extension.
_DTYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
    "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "C64": "complex64", "C128": "complex128",
}  # fmt: skip
_CODES = {name: code for code, name in _DTYPES.items()}
_SCALARS = (bool, int, float, complex, str)
_MAX_HEADER = 100_000_000  # the format's own bound
_TREE, _VALUES, _SUM = "fnets.tree", "fnets.scalars", "fnets.sha256"  # our keys in the metadata
_CHECKPOINT = re.compile(r"step_(\d+)\.safetensors")
Header = dict[str, dict[str, Any]]  # name -> {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}


def save(path: str | os.PathLike[str], tree: Any) -> None:
    """Write a tree of arrays to a safetensors file, which appears complete or not at all.

    An array is named by its path, `layers.0.w`, so that other readers of the format can use the file too. The structure
    is stored beside the arrays: dicts, lists, tuples, None, and leaves that are Python numbers, booleans or strings. Of
    namedtuples and registered nodes only the names of their types and fields are stored; `load(path, like=...)` makes
    them anew. NumPy scalars are stored as 0-d arrays.

    Args:
        path: the file.
        tree: arrays of bool, an integer dtype, float16/32/64, bfloat16 or complex64/128, and Python scalars, in any
            nesting.

    Raises:
        CheckpointError: for a leaf or a dict key that cannot be saved; names its path.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "params.safetensors")
    ...     save(path, {"w": np.ones(2, np.float32), "step": 3})
    ...     load(path)
    {'w': array([1., 1.], dtype=float32), 'step': 3}
    """
    pairs, _ = flatten_with_path(tree)
    names = _names([where for where, _ in pairs])
    leaves = {names[where]: _leaf(leaf, where) for where, leaf in pairs}
    arrays = {name: leaf for name, leaf in leaves.items() if isinstance(leaf, np.ndarray)}
    scalars = {name: leaf for name, leaf in leaves.items() if name not in arrays}
    metadata = {
        _TREE: json.dumps(_encode(tree, (), names)),
        _VALUES: json.dumps(scalars, default=lambda z: [z.real, z.imag]),
    }
    # Wide items first, so that every array is aligned within the file.
    arrays = dict(sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])))
    header: Header = {}
    offset = 0
    for name, array in arrays.items():
        span = [offset, offset := offset + array.nbytes]
        header[name] = {"dtype": _CODES[array.dtype.name], "shape": list(array.shape), "data_offsets": span}
    digest = _digest(metadata, header)
    for array in arrays.values():
        digest.update(_bytes(array))
    text = _json({"__metadata__": {**metadata, _SUM: digest.hexdigest()}, **header})
    text += b" " * (-len(text) % 8)
    if len(text) > _MAX_HEADER:
        raise CheckpointError(
            f"[save] expected names and structure of up to {_MAX_HEADER} bytes, got {len(text)}. Save lists as arrays."
        )
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(_bytes(array))


def load(path: str | os.PathLike[str], like: Any = None) -> Any:
    """Read a tree that `save` wrote, or the arrays of any other safetensors file.

    Args:
        path: the file.
        like: a tree with the structure, shapes and dtypes to expect (arrays, or what `fnets.eval_shape` gives); the
            result has its node types, so namedtuples and registered nodes come back as such. Leaves are matched by
            path.

    Returns:
        The tree, with arrays that are writable and own their memory. Without `like`, namedtuples and registered nodes
        come back as dicts of their fields, or as tuples where the fields have no names; a file that other software
        wrote comes back as a dict from names to arrays.

    Raises:
        CheckpointError: when the file is damaged or not of this format, or does not match `like`; names the paths.
        FileNotFoundError: when there is no such file.

    >>> import tempfile
    >>> from typing import NamedTuple
    >>> class Layer(NamedTuple):
    ...     w: np.ndarray
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "layer.safetensors")
    ...     save(path, Layer(np.arange(3)))
    ...     load(path), load(path, like=Layer(np.zeros(3, int)))
    ({'w': array([0, 1, 2])}, Layer(w=array([0, 1, 2])))
    """
    path = os.fspath(path)
    metadata, arrays = _read(path)
    leaves = {**arrays, **_scalars(path, metadata)}
    if like is not None:
        return _match(path, leaves, like)
    if _TREE not in metadata:
        return leaves
    try:
        unused = dict(leaves)
        result = _decode(json.loads(metadata[_TREE]), unused)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(path, "the structure of a tree in the metadata", repr(error)) from error
    if unused:
        raise _damaged(path, "every array to have its place in the tree", f"{', '.join(sorted(unused))} without one")
    return result


# ---------------------------------------------------------------- the tree as JSON


def _names(paths: list[KeyPath]) -> dict[KeyPath, str]:
    """A name for each path: `layer.0.w`, or `['layer'][0].w` where the former would not be unique."""
    short = [keystr(path, simple=True, separator=".") or "value" for path in paths]
    count = Counter([*short, "__metadata__"])
    names = [name if count[name] == 1 else keystr(path) for path, name in zip(paths, short, strict=True)]
    if len(set(names)) < len(names):
        twice = next(name for name, n in Counter(names).items() if n > 1)
        raise CheckpointError(f"[save] expected distinct paths, got {twice} twice. Rename one of the dict keys in it.")
    return dict(zip(paths, names, strict=True))


def _encode(node: Any, path: KeyPath, names: dict[KeyPath, str]) -> Any:
    """A node as JSON: null, the name of a leaf, or {"dict" | "list" | "tuple": children}, with "type" if it was another
    type."""
    kind = type(node)
    if node is None:
        return None
    if not is_tree_node(kind):
        return names[path]
    if kind is dict:  # in its own order, which flattening would sort
        pairs = [(DictKey(key), child) for key, child in node.items()]
    else:
        pairs = flatten_one_level_with_keys(node)[0]
    children = [_encode(child, (*path, key), names) for key, child in pairs]
    if kind is list or kind is tuple:
        return {kind.__name__: children}
    other = {} if kind is dict else {"type": kind.__name__}
    if all(isinstance(key, (DictKey, GetAttrKey)) for key, _ in pairs):
        keys = [_key(key.key if isinstance(key, DictKey) else key.name, path) for key, _ in pairs]
        return {"dict": list(zip(keys, children, strict=True)), **other}
    return {"tuple": children, **other}


def _key(key: Any, path: KeyPath) -> Any:
    if type(key) is tuple:
        return [_key(item, path) for item in key]
    if key is None or type(key) in (bool, int, float, str):
        return key
    raise CheckpointError(
        f"[save] expected dict keys that are strings, numbers or tuples of them at {_at(path)}, "
        f"got {key!r} of type {type(key).__name__}. Use str(key)."
    )


def _unkey(key: Any) -> Any:
    return tuple([_unkey(item) for item in key]) if isinstance(key, list) else key


def _decode(node: Any, leaves: dict[str, Any]) -> Any:
    """The tree that `_encode` described; takes its leaves out of `leaves`."""
    if node is None:
        return None
    if isinstance(node, str):
        return leaves.pop(node)
    if "dict" in node:
        return {_unkey(key): _decode(child, leaves) for key, child in node["dict"]}
    children = [_decode(child, leaves) for child in node["list" if "list" in node else "tuple"]]
    return children if "list" in node else tuple(children)


def _leaf(leaf: Any, path: KeyPath) -> Any:
    """A leaf as it can be stored: a contiguous little-endian array, or a Python scalar."""
    if type(leaf) in _SCALARS:
        return leaf
    if hasattr(leaf, "__array__"):
        array = np.asarray(leaf, order="C")
        if array.dtype.name in _CODES:
            return array.astype(array.dtype.newbyteorder("<"), copy=False)
        got = f"dtype {array.dtype}"
    else:
        got = f"a {type(leaf).__name__}"
    raise CheckpointError(
        f"[save] expected an array of numbers or booleans, a Python number or a string at {_at(path)}, got {got}. "
        "Convert it, or leave it out of the tree."
    )


def _match(path: str, leaves: dict[str, Any], like: Any) -> Any:
    """The tree `like` with the leaves of the same names in its leaves' places."""
    pairs, treedef = flatten_with_path(like)
    names = _names([where for where, _ in pairs])
    problems = [f"{_at(where)} is missing" for where, _ in pairs if names[where] not in leaves]
    problems += [f"{name} is unexpected" for name in sorted(set(leaves) - set(names.values()))]
    result = []
    for where, leaf in pairs:
        if names[where] in leaves:
            value, problem = _fit(leaves[names[where]], leaf)
            result.append(value)
            problems += [f"{_at(where)} {problem}"] if problem else []
    if problems:
        more = f"\n  and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise CheckpointError(
            f"[load] expected the content of {path} to match `like`, got {len(problems)} differences:\n  "
            + "\n  ".join(problems[:10])
            + f"{more}\nPass the tree that the file was saved from, or load it without `like` to see what it holds."
        )
    return unflatten(treedef, result)


def _fit(value: Any, leaf: Any) -> tuple[Any, str]:
    """`value` in the form of `leaf`, and what keeps it from fitting."""
    stored = isinstance(value, np.ndarray)
    got = f"{value.dtype} of shape {value.shape}" if stored else f"the {type(value).__name__} {value!r:.60}"
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        shape, dtype = tuple(leaf.shape), np.dtype(leaf.dtype)
        if not stored or value.shape != shape or value.dtype != dtype:
            return value, f"should be {dtype} of shape {shape}, is {got}"
        return value[()] if isinstance(leaf, np.generic) else value, ""
    if stored and value.shape == ():  # other software has no Python scalars
        value = value.item()
    return value, "" if type(value) is type(leaf) else f"should be of type {type(leaf).__name__}, is {got}"


def _at(path: KeyPath) -> str:
    return keystr(path) or "the root of the tree"


# ---------------------------------------------------------------- the file


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(metadata: dict[str, str], header: Header) -> Any:
    """The checksum so far, over all that describes the data; the data themselves follow."""
    return hashlib.sha256(_json([metadata, header]))


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _damaged(path: str, expected: str, got: str) -> CheckpointError:
    return CheckpointError(f"[load] expected {expected} in {path}, got {got}. The file is damaged, use another copy.")


def _read(path: str) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Metadata and arrays of a safetensors file, everything in it checked before it is used."""
    arrays = {}
    with open(path, "rb") as file:
        metadata, header, dtypes = _read_header(path, file)
        checksum = metadata.pop(_SUM, None)
        digest = _digest(metadata, header)
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            dtype = dtypes[name]
            try:
                array = np.empty(entry["shape"], dtype.newbyteorder("<"))
            except ValueError as error:
                raise _damaged(path, f"a shape that an array can have for {name}", str(error)) from error
            view = _bytes(array)
            if file.readinto(view) != len(view):
                raise _damaged(path, f"{len(view)} bytes for {name}", "fewer")
            if dtype.kind == "b" and (most := array.view(np.uint8).max(initial=0)) > 1:
                raise _damaged(path, f"booleans for {name}", f"a byte {most}")
            digest.update(view)
            arrays[name] = array.astype(dtype, copy=False)
    if checksum not in (None, digest.hexdigest()):
        raise _damaged(path, f"content with checksum {checksum:.16}...", f"{digest.hexdigest():.16}...")
    return metadata, arrays


def _read_header(path: str, file: BinaryIO) -> tuple[dict[str, str], Header, dict[str, np.dtype]]:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(size - 8, _MAX_HEADER):
        raise _damaged(path, "a safetensors header", f"a length of {length} for it in a file of {size} bytes")
    try:
        header = json.loads(file.read(length).decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "a safetensors header in JSON", str(error)) from error
    metadata = header.pop("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise _damaged(path, "a JSON object with texts as __metadata__", "something else")
    dtypes = {name: _checked_dtype(path, name, entry) for name, entry in header.items()}
    reached = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        need = math.prod(entry["shape"]) * dtypes[name].itemsize
        if begin != reached:
            raise _damaged(
                path, f"{name} to start at byte {reached}", f"{begin}, {'an overlap' if begin < reached else 'a hole'}"
            )
        if end - begin != need:
            raise _damaged(path, f"{need} bytes for {name} of shape {entry['shape']}", f"{end - begin}")
        reached = end
    if reached != size - 8 - length:
        raise _damaged(path, f"{reached} bytes of data", f"{size - 8 - length}")
    return metadata, header, dtypes


def _checked_dtype(path: str, name: str, entry: Any) -> np.dtype:
    """The dtype of a header's entry, whose form is checked."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _damaged(path, f"dtype, shape and data_offsets for {name}", repr(entry)[:200])
    numbers, shape = entry["data_offsets"], entry["shape"]
    whole = all(isinstance(part, list) and all(type(n) is int and n >= 0 for n in part) for part in (numbers, shape))
    if not whole or len(numbers) != 2:
        raise _damaged(path, f"lists of integers as shape and data_offsets of {name}", f"{shape} and {numbers}"[:200])
    code = entry["dtype"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise CheckpointError(
            f"[load] expected one of the dtypes {', '.join(_DTYPES)} for {name} in {path}, got {code!r:.60}. "
            "Convert the array with the software that wrote the file."
        )
    try:
        return np.dtype(_DTYPES[code])
    except TypeError:
        pass  # NumPy knows bfloat16 only once ml_dtypes is loaded
    try:
        import ml_dtypes  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError(
            f"[load] expected the package ml_dtypes for {name} of dtype bfloat16 in {path}, got none. "
            "Run `pip install ml_dtypes`."
        ) from error
    return np.dtype(ml_dtypes.bfloat16)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name stands in it twice")
    return dict(pairs)


def _scalars(path: str, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        scalars = json.loads(metadata.get(_VALUES, "{}"))
        return {name: complex(*value) if isinstance(value, list) else value for name, value in scalars.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, "numbers and texts in the metadata", repr(error)) from error


# ---------------------------------------------------------------- checkpoints


def save_checkpoint(directory: str | os.PathLike[str], tree: Any, step: int, keep: int | None = 3) -> Path:
    """Save a tree as the checkpoint of a step, then remove all but the `keep` newest checkpoints.

    Args:
        directory: made if it does not exist; the files in it are `step_00000012.safetensors`.
        tree: as for `save`; put parameters, optimizer state, key and an iterator's `state()` in it to resume exactly.
        step: a number from 0 that orders the checkpoints.
        keep: how many to keep, None for all; the one just written always stays.

    Returns:
        The file's path.

    Raises:
        ArgumentError: for a negative step or keep below 1.
        CheckpointError: as for `save`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for step in range(5):
    ...         path = save_checkpoint(folder, {"w": np.ones(2)}, step, keep=2)
    ...     sorted(os.listdir(folder))
    ['step_00000003.safetensors', 'step_00000004.safetensors']
    """
    step = operator.index(step)
    if step < 0 or (keep is not None and keep < 1):
        raise ArgumentError(
            f"[save_checkpoint] expected a step from 0 and keep from 1, got {step} and {keep}. Try keep=None."
        )
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step_{step:08d}.safetensors"
    save(path, tree)
    if keep is not None:
        for _, old in _checkpoints(folder)[:-keep]:
            if old != path:
                old.unlink(missing_ok=True)
    return path


def latest_checkpoint(directory: str | os.PathLike[str]) -> Path | None:
    """The path of the checkpoint with the highest step, or None when there is none.

    >>> latest_checkpoint("/nowhere") is None
    True
    """
    found = _checkpoints(Path(directory))
    return found[-1][1] if found else None


def load_checkpoint(directory: str | os.PathLike[str], like: Any = None) -> tuple[Any, int]:
    """Load the checkpoint with the highest step.

    Args:
        directory: where `save_checkpoint` put it.
        like: as for `load`.

    Returns:
        `(tree, step)`.

    Raises:
        CheckpointError: when there is none, or as for `load`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_checkpoint(folder, {"lr": 0.5}, step=12)
    ...     load_checkpoint(folder)
    ({'lr': 0.5}, 12)
    """
    found = _checkpoints(Path(directory))
    if not found:
        raise CheckpointError(
            f"[load_checkpoint] expected a file step_*.safetensors in {os.fspath(directory)}, got none. "
            "Write one with save_checkpoint(), or start afresh if latest_checkpoint() is None."
        )
    step, path = found[-1]
    return load(path, like), step


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, path) of the checkpoints in a folder, by step."""
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted([(int(m[1]), folder / name) for name in names if (m := _CHECKPOINT.fullmatch(name))])
