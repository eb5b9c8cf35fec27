"""The workloads of `python -m benchmarks peers`: the same work in the idiom of each library. `WORKLOADS` has them by name, in the order of the table."""

from __future__ import annotations

from benchmarks.workloads import conv, images, mlp
from benchmarks.workloads.program import Workload

WORKLOADS: dict[str, Workload] = {
    w.name: w
    for w in (
        images.TUTORIAL,
        images.CIFAR,
        mlp.MLP,
        *conv.CONVOLUTIONS,
    )
}
