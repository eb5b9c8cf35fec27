"""Scaling what flows backwards. May import control, fnets.tree."""

from __future__ import annotations

from typing import Any

from fnets import tree
from fnets.control.custom import custom_vjp
from fnets.optim.numerics import like
from fnets.primitives.elementwise import mul


@custom_vjp
def _scaled(inputs: Any, scale: Any) -> Any:
    return inputs


def _forward(inputs: Any, scale: Any) -> tuple[Any, Any]:
    return inputs, scale


def _backward(scale: Any, ct: Any) -> tuple[Any, None]:
    return tree.map(lambda g: mul(g, like(scale, g)), ct), None


_scaled.defvjp(_forward, _backward)


def scale_gradient(inputs: Any, scale: float) -> Any:
    """The inputs as they are; gradients that flow back through them are multiplied by `scale`.

    Args:
      inputs: a tree of arrays.
      scale: 1 changes nothing, 0 stops the gradient.

    >>> import fnets
    >>> float(fnets.grad(lambda x: scale_gradient(x, 0.5) * 2.0)(3.0))
    1.0
    """
    return _scaled(inputs, scale)
