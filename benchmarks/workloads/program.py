"""What the workloads are made of: a program as one library runs it, and the workload that several libraries have a program for. Imports NumPy alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Program(NamedTuple):
    """`call` does the work once and waits for its end; `result` brings what it returned into the form in which libraries are compared; `compile` traces and
    compiles without running."""

    call: Callable[[], Any]
    result: Callable[[Any], Any] = lambda out: out
    compile: Callable[[], Any] = lambda: None


class Workload(NamedTuple):
    """One piece of work with the same data for every library.

    `functional(library, data)` is the program for fnets and JAX, whose names are the same; `pytorch(library, data)` that for PyTorch. Data are
    channels-last (N, H, W, C), filters (H, W, in, out), matrices (in, out); `goals` says how many times faster than whom fnets should be.
    """

    name: str
    data: Callable[[], Any]
    functional: Callable[[Any, Any], Program]
    pytorch: Callable[[Any, Any], Program]
    goals: dict[str, float]
    memory_goals: dict[str, float] = {}  # likewise for peak memory, which is measured where there are any
    training: bool = False  # a training step: has a line for torch.compile
    tolerance: float = 1e-3
    double: bool = False


class Draw:
    """The same numbers for everybody: `Draw(seed)` gives arrays one after another."""

    def __init__(self, seed: int = 0, dtype: Any = np.float32):
        self._generator = np.random.default_rng(seed)
        self._dtype = dtype

    def normal(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        return (self._generator.standard_normal(shape) * scale).astype(self._dtype)

    def labels(self, count: int, classes: int) -> np.ndarray:
        return self._generator.integers(0, classes, count)

    def linear(self, inputs: int, outputs: int) -> dict[str, np.ndarray]:
        return {"w": self.normal(inputs, outputs, scale=(1 / inputs) ** 0.5), "b": self.normal(outputs, scale=0.1)}

    def conv(self, window: int, inputs: int, outputs: int) -> dict[str, np.ndarray]:
        w = self.normal(window, window, inputs, outputs, scale=(2 / (window * window * inputs)) ** 0.5)
        return {"w": w, "b": self.normal(outputs, scale=0.1)}

    def norm(self, features: int) -> dict[str, np.ndarray]:
        return {"scale": 1 + self.normal(features, scale=0.1), "bias": self.normal(features, scale=0.1)}


def mapped(f: Callable[[np.ndarray], Any], tree: Any) -> Any:
    """`f` of every array of nested dicts, lists and tuples."""
    if isinstance(tree, dict):
        return {key: mapped(f, value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(mapped(f, value) for value in tree)
    return f(tree)


def arrays_of(tree: Any) -> list[np.ndarray]:
    """The arrays of a result, of whichever library, in order."""
    if isinstance(tree, dict):
        tree = [tree[key] for key in sorted(tree)]
    if isinstance(tree, list | tuple):
        return [a for part in tree for a in arrays_of(part)]
    return [np.array(tree.detach() if hasattr(tree, "detach") else tree)]


def channels_first(a: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) as (N, C, H, W)."""
    return np.ascontiguousarray(a.transpose(0, 3, 1, 2))


def filters_first(w: np.ndarray) -> np.ndarray:
    """Filters (H, W, in, out) as (out, in, H, W)."""
    return np.ascontiguousarray(w.transpose(3, 2, 0, 1))


def rows_channels_first(w: np.ndarray, space: tuple[int, int]) -> np.ndarray:
    """A matrix whose rows belong to flattened (H, W, C), for flattened (C, H, W)."""
    split = w.reshape(*space, -1, w.shape[1])
    return np.ascontiguousarray(split.transpose(2, 0, 1, 3)).reshape(w.shape)
