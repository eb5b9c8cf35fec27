"""Write and read the golden files: arrays and, in `config_json`, the list of calls that made them. NumPy only.

A call's arguments are stored as JSON: tuples become lists and arrays become `{"array": ..., "dtype": ...}`. `decode`
turns them back.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def encode(value: Any) -> Any:
    """A JSON value for a Python, NumPy or array-like argument."""
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
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
        return {key: decode(item) for key, item in value.items()}
    return value


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
