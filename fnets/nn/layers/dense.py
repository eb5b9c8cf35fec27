"""Layers with a matrix or a table: Linear, Embedding. May import the package's functions, initialisers, random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fnets import random
from fnets.core.trace import shape_of
from fnets.errors import ShapeError
from fnets.nn import initializers
from fnets.nn.functional import embedding, linear
from fnets.nn.initializers import Initializer
from fnets.nn.layers.base import Layer, Params, rare

DENSE_INIT = initializers.lecun_normal()


def weights_and_bias(
    key: Any, w_shape: tuple[int, ...], bias: bool, b_shape: tuple[int, ...], w_init: Initializer, b_init: Initializer
) -> Params:
    """{"w", "b"}, or {"w"}; the weights don't depend on whether there is a bias."""
    w_key, b_key = random.split(key)
    params = {"w": w_init(w_key, w_shape)}
    return {**params, "b": b_init(b_key, b_shape)} if bias else params


@dataclass(frozen=True, repr=False)
class Linear(Layer):
    """`x @ w + b`; parameters "w" (input_dim, output_dim), by default LeCun's normal numbers, and "b" (output_dim,), zeros.

    Args:
      input_dim, output_dim: lengths of the last axis before and after.
      bias: whether there is a "b".
      w_init, b_init: initialisers.

    >>> layer = Linear(3, 2)
    >>> layer, {name: p.shape for name, p in layer.init(random.key(0)).items()}
    (Linear(input_dim=3, output_dim=2, bias=True), {'w': (3, 2), 'b': (2,)})
    """

    input_dim: int
    output_dim: int
    bias: bool = True
    w_init: Initializer = rare(DENSE_INIT)
    b_init: Initializer = rare(initializers.zeros)

    def init(self, key: Any = None) -> Params:
        return weights_and_bias(
            key, (self.input_dim, self.output_dim), self.bias, (self.output_dim,), self.w_init, self.b_init
        )

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        shape = shape_of(x)
        if shape[-1:] != (self.input_dim,):
            raise ShapeError(
                f"[Linear] expected x of shape (..., {self.input_dim}), got {shape}. Change input_dim, or put Flatten() before an image."
            )
        return linear(params, x)


@dataclass(frozen=True, repr=False)
class Embedding(Layer):
    """Rows of a table at integer indices; parameter "w" (rows, features), by default normal numbers of variance 1 / features.

    Args:
      rows: number of different indices.
      features: length of a row.
      w_init: an initialiser.

    >>> Embedding(10, 4)
    Embedding(rows=10, features=4)
    """

    rows: int
    features: int
    w_init: Initializer = rare(initializers.variance_scaling(1.0, "fan_out", "normal", out_axis=-1))

    def init(self, key: Any = None) -> Params:
        return {"w": self.w_init(key, (self.rows, self.features))}

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return embedding(params, x)
