"""Curvature of a loss `loss(params, inputs, targets)`. May import transforms, the package's layouts, fnets.numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fnets.numpy as fnp
from fnets.optim.base import Params
from fnets.optim.transforms.layouts import pack, unpack
from fnets.transforms.jvp import jvp
from fnets.transforms.vjp import grad
from fnets.transforms.vmap import vmap

Loss = Callable[[Params, Any, Any], Any]


def hvp(loss: Loss, v: Any, params: Params, inputs: Any, targets: Any) -> Params:
    """The Hessian of the loss times a vector, without the Hessian (Pearlmutter, 1994).

    Args:
      loss: function of parameters, inputs and targets.
      v: a vector with as many elements as the parameters.
      params, inputs, targets: where to evaluate.

    Returns:
      A tree like `params`.

    >>> hvp(lambda p, x, y: fnp.sum((p * x - y) ** 2), fnp.array([1.0]), fnp.array([2.0]), fnp.array([3.0]), 0.0)
    array([18.], dtype=float32)
    """
    slope = grad(lambda p: loss(p, inputs, targets))
    return jvp(slope, (params,), (unpack(v, params),))[1]


def hessian_diag(loss: Loss, params: Params, inputs: Any, targets: Any) -> Any:
    """The diagonal of the loss's Hessian, as a vector.

    Args:
      loss: function of parameters, inputs and targets.
      params, inputs, targets: where to evaluate.

    >>> hessian_diag(lambda p, x, y: fnp.sum((p * x - y) ** 2), fnp.array([2.0]), fnp.array([3.0]), 0.0)
    array([18.], dtype=float32)
    """
    flat = pack(params)
    units = fnp.eye(fnp.size(flat), dtype=flat.dtype)
    return vmap(lambda v: fnp.vdot(v, pack(hvp(loss, v, params, inputs, targets))))(units)


def fisher_diag(negative_log_likelihood: Loss, params: Params, inputs: Any, targets: Any) -> Any:
    """The diagonal of the observed Fisher information, the squared gradient, as a vector.

    Args:
      negative_log_likelihood: function of parameters, inputs and targets.
      params, inputs, targets: where to evaluate.

    >>> fisher_diag(lambda p, x, y: fnp.sum(p * x), fnp.array([2.0]), fnp.array([3.0]), 0.0)
    array([9.], dtype=float32)
    """
    return fnp.square(pack(grad(negative_log_likelihood)(params, inputs, targets)))
