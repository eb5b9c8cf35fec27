"""Normalising layers. May import the package's functions, fnets.numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import fnets.numpy as fnp
from fnets.nn.functional import batch_norm, group_norm, layer_norm, rms_norm
from fnets.nn.layers.base import Layer, Params, rare


def _scale_and_bias(features: Any) -> Params:
    return {"scale": fnp.ones(features), "bias": fnp.zeros(features)}


@dataclass(frozen=True, repr=False)
class LayerNorm(Layer):
    """Each example standardised over its last axes; parameters "scale" and "bias" of the shape `features`.

    Args:
      features: lengths of the last axes, an int or several.
      eps: added to the variance.

    >>> LayerNorm(8)
    LayerNorm(features=8)
    """

    features: Any
    eps: float = rare(1e-5)

    def init(self, key: Any = None) -> Params:
        return _scale_and_bias(self.features)

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        n = 1 if isinstance(self.features, int) else len(self.features)
        return layer_norm(params, x, tuple(range(-n, 0)), self.eps)


@dataclass(frozen=True, repr=False)
class RMSNorm(Layer):
    """Each example divided by its root mean square over the last axis; parameter "scale" (features,).

    Args:
      features: length of the last axis.
      eps: added to the mean square.

    >>> RMSNorm(8)
    RMSNorm(features=8)
    """

    features: int
    eps: float = rare(1e-6)

    def init(self, key: Any = None) -> Params:
        return {"scale": fnp.ones(self.features)}

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return rms_norm(params, x, -1, self.eps)


@dataclass(frozen=True, repr=False)
class GroupNorm(Layer):
    """Groups of channels standardised; parameters "scale" and "bias" (channels,).

    Args:
      groups: number of groups.
      channels: number of channels, axis 1.
      eps: added to the variance.

    >>> GroupNorm(2, 8)
    GroupNorm(groups=2, channels=8)
    """

    groups: int
    channels: int
    eps: float = rare(1e-5)

    def init(self, key: Any = None) -> Params:
        return _scale_and_bias(self.channels)

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return group_norm(params, x, self.groups, self.eps)


@dataclass(frozen=True, repr=False)
class BatchNorm(Layer):
    """Channels standardised over the batch; parameters "scale" and "bias", state "mean" and "var" (channels,).

    Keep the state beside the parameters: `y, state = model.apply(params, x, train=True, state=state)`.

    Args:
      channels: number of channels, axis 1.
      momentum: how much of the running statistics stays at each step.
      eps: added to the variance.

    >>> layer = BatchNorm(1)
    >>> y, state = layer.apply(layer.init(), fnp.array([[1.0], [3.0]]), train=True, state=layer.init_state())
    >>> state["mean"].round(2)
    array([0.2], dtype=float32)
    """

    channels: int
    momentum: float = rare(0.9)
    eps: float = rare(1e-5)

    def init(self, key: Any = None) -> Params:
        return _scale_and_bias(self.channels)

    def init_state(self) -> Params:
        return {"mean": fnp.zeros(self.channels), "var": fnp.ones(self.channels)}

    def apply(
        self, params: Params, x: Any, *, train: bool = False, key: Any = None, state: Params | None = None
    ) -> Any:
        y, new = batch_norm(params, state, x, train, self.momentum, self.eps)
        return y if state is None else (y, new)
