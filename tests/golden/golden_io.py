"""Write and read the golden files: arrays and, in `config_json`, the list of calls that made them. NumPy only.

A call's arguments are stored as JSON: tuples become lists, arrays become `{"array": ..., "dtype": ...}`, and a dict
whose keys aren't strings becomes `{"items": [[key, value], ...]}`. `decode` turns them back. Nested calls, as in
`chain(clip(1.0), adam(0.1))`, are dicts too, which `call` and `ref` write and `build` evaluates on any module.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def encode(value: Any) -> Any:
    """A JSON value for a Python, NumPy or array-like argument."""
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, dict):
        return {"items": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, type):
        return np.dtype(value).name
    array = np.asarray(value)
    return {"array": encode(array.tolist()), "dtype": array.dtype.name}


def decode(value: Any) -> Any:
    """The inverse of `encode`; every list comes back as a tuple."""
    if isinstance(value, list):
        return tuple(decode(item) for item in value)
    if isinstance(value, dict):
        if value.keys() == {"array", "dtype"}:
            return np.array(decode(value["array"]), value["dtype"])
        if value.keys() == {"float"}:
            return float(value["float"])
        if value.keys() == {"items"}:
            return dict(decode(value["items"]))
        return {key: decode(item) for key, item in value.items()}
    return value


def call(function: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """The expression `function(*args, **kwargs)`; a function is a name or itself an expression."""
    return {"call": function, "args": list(args), "kwargs": kwargs}


def ref(name: str) -> dict[str, Any]:
    """The expression that is a module's attribute itself."""
    return {"ref": name}


def build(module: Any, expression: Any) -> Any:
    """The value of a decoded expression, with every name looked up in `module`."""
    if isinstance(expression, tuple):
        return tuple(build(module, item) for item in expression)
    if not isinstance(expression, dict):
        return expression
    if expression.keys() == {"ref"}:
        return getattr(module, expression["ref"])
    if "call" not in expression:
        return {key: build(module, item) for key, item in expression.items()}
    function = expression["call"]
    function = getattr(module, function) if isinstance(function, str) else build(module, function)
    return function(*build(module, expression["args"]), **build(module, expression["kwargs"]))


def save(name: str, arrays: dict[str, Any], config: list[dict[str, Any]]) -> None:
    """Write `<name>.npz`; the same arrays give the same bytes."""
    path = HERE / f"{name}.npz"
    stored = {key: np.asarray(value) for key, value in arrays.items()}
    np.savez_compressed(path, config_json=np.array(json.dumps(config)), **stored)
    print(f"{path.name}: {len(config)} cases, {len(stored)} arrays, {path.stat().st_size / 1024:.0f} KB")


def load(name: str) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Read `<name>.npz` as (decoded cases, arrays)."""
    with np.load(HERE / f"{name}.npz") as data:
        arrays = {key: data[key] for key in data.files}
    config = [decode(case) for case in json.loads(str(arrays.pop("config_json")))]
    return config, arrays
