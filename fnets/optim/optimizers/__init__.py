"""The optimizers: chains of the transformations. May import the package's transforms, line searches and base modules.

All take their learning rate as a number or as a schedule, and are used in the same way:

>>> import fnets, fnets.numpy as fnp
>>> from fnets.optim.updates import apply_updates
>>> optimizer = adam(0.1)
>>> params = {"w": fnp.array([1.0, -2.0])}
>>> state = optimizer.init(params)
>>> for _ in range(100):
...     grads = fnets.grad(lambda p: fnp.sum(p["w"] ** 2))(params)
...     updates, state = optimizer.update(grads, state, params)
...     params = apply_updates(params, updates)
>>> bool(fnp.all(fnp.abs(params["w"]) < 0.1))
True
"""

from fnets.optim.optimizers.descent import (
    fromage,
    noisy_sgd,
    optimistic_gradient_descent,
    polyak_sgd,
    rprop,
    sgd,
    sign_sgd,
    signum,
)
from fnets.optim.optimizers.moments import (
    adabelief,
    adam,
    adamax,
    adamaxw,
    adamw,
    adan,
    amsgrad,
    lamb,
    lars,
    lion,
    nadam,
    nadamw,
    novograd,
    optimistic_adam,
    optimistic_adam_v2,
    radam,
    yogi,
)
from fnets.optim.optimizers.quasi_newton import lbfgs
from fnets.optim.optimizers.squares import adadelta, adafactor, adagrad, rmsprop, sm3

__all__ = [
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamaxw",
    "adamw",
    "adan",
    "amsgrad",
    "fromage",
    "lamb",
    "lars",
    "lbfgs",
    "lion",
    "nadam",
    "nadamw",
    "noisy_sgd",
    "novograd",
    "optimistic_adam",
    "optimistic_adam_v2",
    "optimistic_gradient_descent",
    "polyak_sgd",
    "radam",
    "rmsprop",
    "rprop",
    "sgd",
    "sign_sgd",
    "signum",
    "sm3",
    "yogi",
]
