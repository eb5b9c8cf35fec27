"""Steps that use an estimate of the curvature. May import the package's transforms and base modules."""

from __future__ import annotations

from fnets.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    ScalarOrSchedule,
    identity,
)
from fnets.optim.lbfgs import scale_by_lbfgs
from fnets.optim.linesearch import scale_by_zoom_linesearch
from fnets.optim.transforms.combining import chain
from fnets.optim.transforms.scaling import scale, scale_by_learning_rate

Optimizer = GradientTransformationExtraArgs

_ZOOM = scale_by_zoom_linesearch(max_linesearch_steps=20, initial_guess_strategy="one")


def lbfgs(
    learning_rate: ScalarOrSchedule | None = None,
    memory_size: int = 10,
    scale_init_precond: bool = True,
    linesearch: GradientTransformation | None = _ZOOM,
) -> Optimizer:
    """Limited-memory BFGS: gradients multiplied with an inverse Hessian estimated from the last steps (Liu and Nocedal, 1989).

    With a line search `update` needs `value=`, `grad=` and `value_fn=`; see `value_and_grad_from_state` to compute each value once.

    Args:
      learning_rate: a number or a schedule; None for 1.
      memory_size: how many steps the estimate remembers.
      scale_init_precond: scale the estimate by the last step's curvature.
      linesearch: finds the step's length; None for the learning rate alone.

    >>> import fnets, fnets.numpy as fnp
    >>> tx = lbfgs()
    >>> f = lambda x: fnp.sum(x**2)
    >>> x = fnp.array([1.0, -2.0])
    >>> value, grad = fnets.value_and_grad(f)(x)
    >>> updates, _ = tx.update(grad, tx.init(x), x, value=value, grad=grad, value_fn=f)
    >>> bool(f(x + updates) < f(x))
    True
    """
    direction = scale(-1.0) if learning_rate is None else scale_by_learning_rate(learning_rate)
    search = identity() if linesearch is None else linesearch
    return chain(scale_by_lbfgs(memory_size, scale_init_precond), direction, search)
