"""The names of JAX that are about devices, for scripts that use them: there is one device, the CPU, and everything is there already.

And the number of threads.

May import backends, core, tree, errors, primitives.
"""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from fnets import tree
from fnets.backends.llvm.runtime import pool
from fnets.core.trace import Tracer, resumed
from fnets.errors import ArgumentError
from fnets.primitives.base import arr


class Device:
    """The processor that everything runs on.

    >>> devices()[0].platform
    'cpu'
    """

    __slots__ = ()
    id = 0
    platform = "cpu"
    device_kind = "cpu"
    process_index = 0

    def __repr__(self) -> str:
        return "CpuDevice(id=0)"

    __str__ = __repr__


_CPU = Device()


def devices(backend: str | None = None) -> list[Device]:
    """All devices: the CPU.

    >>> devices()
    [CpuDevice(id=0)]
    """
    if backend not in (None, "cpu"):
        raise ArgumentError(f"[devices] expected backend 'cpu' or None, got {backend!r}. Everything runs on the CPU.")
    return [_CPU]


def local_devices(process_index: int | None = None, backend: str | None = None, host_id: int | None = None) -> list:
    """The devices of this process: the CPU.

    >>> local_devices()
    [CpuDevice(id=0)]
    """
    return devices(backend)


def device_count(backend: str | None = None) -> int:
    """The number of devices, 1.

    >>> device_count()
    1
    """
    return len(devices(backend))


local_device_count = device_count


def process_count(backend: str | None = None) -> int:
    """The number of processes that compute together, 1.

    >>> process_count()
    1
    """
    return 1


def process_index(backend: str | None = None) -> int:
    """The number of this process among them, 0.

    >>> process_index()
    0
    """
    return 0


def default_backend() -> str:
    """The kind of device that is used, "cpu".

    >>> default_backend()
    'cpu'
    """
    return "cpu"


def device_put(
    x: Any, device: Any = None, *, src: Any = None, donate: bool = False, may_alias: bool | None = None
) -> Any:
    """A tree with its leaves as arrays: Python numbers become arrays of the default dtype, arrays stay what they are.

    Args:
      x: a tree of arrays and numbers.
      device, src, donate: accepted; there is one device.
      may_alias: False copies every array.

    >>> device_put({"w": 1.5})
    {'w': array(1.5, dtype=float32)}
    """

    def put(leaf: Any) -> Any:
        out = arr(leaf)
        return out.copy() if may_alias is False and type(out) is np.ndarray else out

    return tree.map(put, x)


def device_get(x: Any) -> Any:
    """A tree with its leaves as NumPy arrays.

    >>> device_get([np.float32(2.0), 1])
    [np.float32(2.0), 1]
    """
    return tree.map(lambda leaf: leaf.__array__() if isinstance(leaf, Tracer) else leaf, x)


def block_until_ready(x: Any) -> Any:
    """`x` itself: a result is there when the function that computes it returns.

    >>> block_until_ready(3)
    3
    """
    return x


def effects_barrier() -> None:
    """Nothing to wait for: callbacks have run when the function that calls them returns.

    >>> effects_barrier()
    """


def num_threads() -> int:
    """How many threads native code uses, the caller's included.

    >>> num_threads() >= 1
    True
    """
    return pool.num_threads()


def set_num_threads(count: int) -> None:
    """Have native code use so many threads from now on, the caller's included; results do not depend on it.

    At the start it is `FNETS_NUM_THREADS`, or the number of processors that the process may use. NumPy's products have threads of their own, which
    their library's settings control, such as `OPENBLAS_NUM_THREADS`.

    >>> before = num_threads()
    >>> set_num_threads(1)
    >>> num_threads()
    1
    >>> set_num_threads(before)
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
        raise ArgumentError(f"[set_num_threads] expected a positive integer, got {count!r}. 1 turns threads off.")
    pool.set_num_threads(int(count))


@contextlib.contextmanager
def default_device(device: Any) -> Iterator[None]:
    """Context manager: choose the device. There is one.

    >>> with default_device(devices("cpu")[0]):
    ...     pass
    """
    yield


@contextlib.contextmanager
def default_matmul_precision(precision: Any) -> Iterator[None]:
    """Context manager: accepted; every product is computed in the precision of its operands.

    >>> with default_matmul_precision("highest"):
    ...     pass
    """
    yield


def ensure_compile_time_eval() -> contextlib.AbstractContextManager:
    """Context manager: compute now what does not depend on values that are being staged.

    Outside of branches and checkpointed functions that is always so. Inside, what is computed from values of an outer function alone is part
    of the branch; within this block it is not, so that Python may decide on values that the outer function knows.

    >>> with ensure_compile_time_eval():
    ...     pass
    """
    return resumed()


def print_environment_info(return_string: bool = False) -> str | None:
    """Print the versions that a bug report needs; or return them as text.

    >>> "numpy" in print_environment_info(return_string=True)
    True
    """
    text = f"numpy:  {np.__version__}\npython: {sys.version}\ndevice: {platform.processor() or platform.machine()}\nplatform: {platform.platform()}\n"
    if return_string:
        return text
    print(text, end="")
    return None


__all__ = [
    "Device",
    "block_until_ready",
    "default_backend",
    "default_device",
    "default_matmul_precision",
    "device_count",
    "device_get",
    "device_put",
    "devices",
    "effects_barrier",
    "ensure_compile_time_eval",
    "local_device_count",
    "local_devices",
    "num_threads",
    "print_environment_info",
    "process_count",
    "process_index",
    "set_num_threads",
]
