"""The workloads of `python -m benchmarks peers`: the same work in the idiom of each library. `WORKLOADS` has them by name, in the order of the table."""

from __future__ import annotations

from benchmarks.workloads import conv, elementwise, images, mlp, science, sequences
from benchmarks.workloads.program import Workload

WORKLOADS: dict[str, Workload] = {
    w.name: w
    for w in (
        images.TUTORIAL,
        images.CIFAR,
        mlp.MLP,
        images.RESNET,
        sequences.LSTM,
        sequences.TRANSFORMER,
        elementwise.GELU,
        elementwise.LAYER_NORM,
        elementwise.CROSS_ENTROPY,
        elementwise.ADAM,
        science.LOGISTIC,
        science.N_BODY,
        science.HEAT,
        science.PLANE,
        *conv.CONVOLUTIONS,
    )
}
