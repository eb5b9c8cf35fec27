"""A transformation from outside fnets: interval arithmetic. What can f(x) be, if all that is known of x is lower <= x <= upper?

    python examples/custom_transform.py

A transformation is a trace, which receives every operation on its tracers, and a rule per primitive in `prim.rules["interval"]`. Being data like
any other, its bounds may themselves be traced: it nests with grad, vmap and jit in any order.
"""

from __future__ import annotations

import numpy as np

import fnets
import fnets.numpy as fnp
from fnets.core import Trace, Tracer, typeof
from fnets.core.primitive import registry


class IntervalTracer(Tracer):
    """A lower and an upper bound."""

    __slots__ = ("lower", "upper")

    def __init__(self, trace, lower, upper):
        self.owner, self.lower, self.upper = trace, lower, upper

    @property
    def aval(self):
        return typeof(self.lower)


class IntervalTrace(Trace):
    transform = "interval"

    def process(self, prim, args, params):
        rule = prim.rules.get("interval")
        if rule is None:
            raise TypeError(
                f"[interval] expected a primitive with an interval rule, got {prim.name}. Add prim.rules['interval']."
            )
        bounds = [(a.lower, a.upper) if isinstance(a, IntervalTracer) and a.owner is self else (a, a) for a in args]
        return IntervalTracer(self, *rule(*bounds, **params))


def interval(f):
    """`interval(f)(lower, upper)` gives bounds of f over all x between lower and upper."""

    def bounded(lower, upper):
        with IntervalTrace("f") as trace:
            out = f(IntervalTracer(trace, lower, upper))
        return (out.lower, out.upper) if isinstance(out, IntervalTracer) and out.owner is trace else (out, out)

    return bounded


def rule(name):
    def register(f):
        registry[name].rules["interval"] = f
        return f

    return register


for name, f in {
    "exp": fnp.exp,
    "tanh": fnp.tanh,
    "logistic": lambda x: 1 / (1 + fnp.exp(-x)),
    "relu": lambda x: fnp.maximum(x, 0),
}.items():
    rule(name)(lambda x, f=f: (f(x[0]), f(x[1])))  # monotone functions map bounds to bounds
rule("add")(lambda x, y: (x[0] + y[0], x[1] + y[1]))
rule("sub")(lambda x, y: (x[0] - y[1], x[1] - y[0]))
rule("neg")(lambda x: (-x[1], -x[0]))


@rule("mul")
def _(x, y):
    corners = [a * b for a in x for b in y]
    low, high = corners[0], corners[0]
    for c in corners[1:]:
        low, high = fnp.minimum(low, c), fnp.maximum(high, c)
    return low, high


@rule("reduce_sum")
def _(x, axes):
    return fnp.sum(x[0], axis=axes), fnp.sum(x[1], axis=axes)


@rule("dot_general")
def _(x, y, **params):
    # a constant matrix splits into its positive and negative part
    dot = registry["dot_general"].bind
    positive, negative = fnp.maximum(y[0], 0), fnp.minimum(y[0], 0)
    low = dot(x[0], positive, **params) + dot(x[1], negative, **params)
    high = dot(x[1], positive, **params) + dot(x[0], negative, **params)
    return low, high


def main() -> None:
    rng = np.random.default_rng(0)
    w1, w2 = rng.standard_normal((3, 8)), rng.standard_normal((8, 1))

    def net(x):
        return fnp.sum(fnp.tanh(x @ w1) @ w2)

    x = np.array([0.1, -0.2, 0.3])
    low, high = interval(net)(x - 0.05, x + 0.05)
    print(f"net(x) = {net(x):.4f}, and for all inputs within 0.05 it lies in [{low:.4f}, {high:.4f}]")
    samples = [net(x + rng.uniform(-0.05, 0.05, 3)) for _ in range(1000)]
    assert low <= min(samples) and max(samples) <= high

    # it nests: how fast does the upper bound grow with the radius?
    growth = fnets.jit(fnets.grad(lambda radius: interval(net)(x - radius, x + radius)[1]))
    print(f"slope of the upper bound at radius 0.05: {growth(0.05):.4f}")
    bounds = fnets.vmap(interval(net), (0, 0))(np.stack([x - 0.05, x]), np.stack([x + 0.05, x]))
    np.testing.assert_allclose(bounds[1][0], high)


if __name__ == "__main__":
    main()
