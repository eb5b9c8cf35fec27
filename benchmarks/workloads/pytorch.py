"""PyTorch as workloads see it: data as tensors in its layouts, and the training step. PyTorch is imported when the library is made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads.program import Program, channels_first, filters_first, mapped


class PyTorch:
    """`torch` and `F`, and data in channels-last memory; `compiled` is `torch.compile`, or the identity for eager execution."""

    def __init__(self, compile: bool):
        import torch

        self.torch, self.F = torch, torch.nn.functional
        self.compiled: Callable = torch.compile if compile else lambda f: f

    def image(self, x: np.ndarray) -> Any:
        """Images (N, C, H, W), channels-last in memory."""
        return self.torch.tensor(channels_first(x)).contiguous(memory_format=self.torch.channels_last)

    def filters(self, w: np.ndarray) -> Any:
        """Filters (out, in, H, W), channels-last in memory."""
        return self.torch.tensor(filters_first(w)).contiguous(memory_format=self.torch.channels_last)

    def params(self, tree: Any) -> Any:
        """Parameters that learn; a matrix is (out, in)."""

        def tensor(a: np.ndarray) -> Any:
            made = self.filters(a) if a.ndim == 4 else self.torch.tensor(np.ascontiguousarray(a.T))
            return made.requires_grad_()

        return mapped(tensor, tree)

    def linear(self, params: Any, x: Any) -> Any:
        return self.F.linear(x, params["w"], params["b"])

    def sgd(self, rate: float) -> Callable:
        return functools.partial(self.torch.optim.SGD, lr=rate, fused=True)

    def adam(self, rate: float) -> Callable:
        return functools.partial(self.torch.optim.Adam, lr=rate, fused=True)

    def training(self, loss_fn: Callable, params: Any, batch: tuple, optimizer: Callable) -> Program:
        """Steps of the optimizer on `loss_fn(params, *batch)`."""
        made = optimizer(leaves(params))
        loss_of = self.compiled(loss_fn)

        def call() -> Any:
            made.zero_grad()
            loss = loss_of(params, *batch)
            loss.backward()
            made.step()
            return loss.detach()

        return Program(call)


def leaves(tree: Any) -> list[Any]:
    """The tensors of nested dicts and lists."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, list) else [tree]
