"""What distributions share: location and scale, support, and the functions that follow from others. May import `fnets.numpy`, primitives, core.

A distribution is declared by functions of the standardised variable and its shape parameters; `Continuous` and `Discrete` make of them the public
functions, with SciPy's names and arguments. Outside of the support the derivative is 0.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of
from fnets.errors import ArgumentError
from fnets.numpy.arguments import promoted_inexact
from fnets.primitives import elementwise as e

INF = np.inf
LOG_TWO_PI = 1.8378770664093453


def pick(condition: Any, x: Any, y: Any) -> Any:
    """`where`, for Python numbers too.

    >>> float(pick(True, 1.0, 2.0))
    1.0
    """
    return e.select(condition, x, y)


def always(z: Any, *shapes: Any) -> Any:
    """The support of a law on the whole line.

    >>> always(np.zeros(2))
    array([ True,  True])
    """
    return e.eq(z, z)


class Distribution:
    """A family of laws as a namespace of functions, `norm.logpdf(x, loc, scale)` and so on.

    shapes: names of the shape parameters, which follow the variable.
    scaled: whether loc and scale follow them (loc alone for discrete laws).
    """

    def __init__(self, name: str, doc: str, shapes: tuple[str, ...], options: tuple[str, ...]):
        self.name, self.__doc__, self.shapes, self.options = name, doc, shapes, options

    def __repr__(self) -> str:
        return f"<distribution {self.name}>"

    def publish(self, name: str, variable: str, function: Callable, told: str) -> None:
        """Add a public function: arguments checked, promoted to one float dtype, and NumPy's warnings at the ends of the support silenced."""
        names = (variable, *self.shapes, *self.options)
        defaults = {"loc": 0, "scale": 1}
        full = f"{self.name}.{name}"

        def call(*args: Any, **kwargs: Any) -> Any:
            if len(args) > len(names):
                raise ArgumentError(
                    f"[{full}] expected at most {len(names)} arguments, {', '.join(names)}, got {len(args)}."
                )
            given = dict(zip(names, args))
            for key, value in kwargs.items():
                if key not in names or key in given:
                    raise ArgumentError(f"[{full}] expected the arguments {', '.join(names)}, each once, got {key}=.")
                given[key] = value
            missing = [n for n in names if n not in given and n not in defaults]
            if missing:
                raise ArgumentError(
                    f"[{full}] expected the arguments {', '.join(names)}, got none for {', '.join(missing)}."
                )
            values = promoted_inexact(*[given.get(n, defaults.get(n)) for n in names])
            with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                return function(*values)

        call.__name__, call.__qualname__ = name, full
        call.__doc__ = f"{told} of {self.__doc__}"
        call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(
                    n, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=defaults.get(n, inspect.Parameter.empty)
                )
                for n in names
            ]
        )
        setattr(self, name, call)


def _complement(p: Any) -> Any:
    return e.sub(1, p)


class Continuous(Distribution):
    """A law with a density. All functions take the standardised variable z = (x - loc) / scale, then the shape parameters.

    logpdf, cdf, sf, logcdf, logsf: what is given; the rest follows (sf = 1 - cdf, and logarithms).
    ppf, isf: inverses of cdf and sf, functions of the probability; isf(q) = ppf(1 - q) where it is not given.
    inside: whether z is in the support; `centre` is a point inside of it, which stands for those outside.
    below: whether a point outside is below the support (its cdf is 0) or above it.

    >>> law = Continuous("unit", "the uniform law on [0, 1].", logpdf=lambda z: 0 * z, inside=lambda z: (z >= 0) & (z <= 1), centre=0.5)
    >>> law.pdf(np.array([-1.0, 0.25]))
    array([0., 1.])
    """

    def __init__(
        self,
        name: str,
        doc: str,
        shapes: tuple[str, ...] = (),
        *,
        logpdf: Callable,
        cdf: Callable | None = None,
        sf: Callable | None = None,
        logcdf: Callable | None = None,
        logsf: Callable | None = None,
        ppf: Callable | None = None,
        isf: Callable | None = None,
        inside: Callable = always,
        centre: Any = 0.0,
        below: Callable = lambda z, *shapes: e.lt(z, 0),
    ):
        super().__init__(name, doc, shapes, ("loc", "scale"))

        def standardised(x: Any, params: tuple) -> tuple:
            *own, loc, scale = params
            return e.div(e.sub(x, loc), scale), own, scale

        def on_support(function: Callable, low: float, high: float) -> Callable:
            def apply(x: Any, *params: Any) -> Any:
                z, own, _ = standardised(x, params)
                within = inside(z, *own)
                middle = centre(*own) if callable(centre) else e.fill_like(z, centre)
                y = function(pick(within, z, middle), *own)
                outside = pick(below(z, *own), e.fill_like(y, low), e.fill_like(y, high))
                return pick(e.ne(z, z), z, pick(within, y, outside))

            return apply

        log_density = on_support(logpdf, -INF, -INF)
        full_logpdf = lambda x, *params: e.sub(log_density(x, *params), e.log(params[-1]))  # noqa: E731
        self.publish("logpdf", "x", full_logpdf, "Logarithm of the density")
        self.publish("pdf", "x", lambda *a: e.exp(full_logpdf(*a)), "Density")
        if cdf is None:
            return
        sf = sf or (lambda z, *own: _complement(cdf(z, *own)))
        logcdf = logcdf or (lambda z, *own: e.log(cdf(z, *own)))
        logsf = logsf or (lambda z, *own: e.log(sf(z, *own)))
        self.publish("cdf", "x", on_support(cdf, 0.0, 1.0), "Probability of values up to x,")
        self.publish("sf", "x", on_support(sf, 1.0, 0.0), "Probability of values above x,")
        self.publish("logcdf", "x", on_support(logcdf, -INF, 0.0), "Logarithm of the probability of values up to x,")
        self.publish("logsf", "x", on_support(logsf, 0.0, -INF), "Logarithm of the probability of values above x,")
        if ppf is None:
            return
        inverse = isf or (lambda q, *own: ppf(_complement(q), *own))

        def placed(function: Callable) -> Callable:
            def apply(q: Any, *params: Any) -> Any:
                *own, loc, scale = params
                return e.add(loc, e.mul(scale, function(q, *own)))

            return apply

        self.publish("ppf", "q", placed(ppf), "Inverse of the cdf")
        self.publish("isf", "q", placed(inverse), "Inverse of the sf")


class Discrete(Distribution):
    """A law on integers. All functions take k = x - loc, then the shape parameters.

    inside: whether an integer k is in the support; `centre` is a point of it.

    >>> coin = Discrete("coin", "a fair coin.", logpmf=lambda k: 0 * k - np.log(2), inside=lambda k: (k == 0) | (k == 1))
    >>> coin.pmf(np.array([0, 1, 2, 0.5]))
    array([0.5, 0.5, 0. , 0. ])
    """

    def __init__(
        self,
        name: str,
        doc: str,
        shapes: tuple[str, ...] = (),
        *,
        logpmf: Callable,
        inside: Callable,
        cdf: Callable | None = None,
        sf: Callable | None = None,
        ppf: Callable | None = None,
        centre: float = 0.0,
        top: Callable | None = None,
    ):
        super().__init__(name, doc, shapes, ("loc",))

        def log_mass(x: Any, *params: Any) -> Any:
            *own, loc = params
            k = e.sub(x, loc)
            within = e.logical_and(e.eq(k, e.floor(k)), inside(k, *own))
            y = logpmf(pick(within, k, e.fill_like(k, centre)), *own)
            return pick(e.ne(k, k), k, pick(within, y, e.fill_like(y, -INF)))

        self.publish("logpmf", "k", log_mass, "Logarithm of the probability of k,")
        self.publish("pmf", "k", lambda *a: e.exp(log_mass(*a)), "Probability of k,")
        if cdf is None:
            return

        def steps(function: Callable, low: float, high: float) -> Callable:
            def apply(x: Any, *params: Any) -> Any:
                *own, loc = params
                k = e.floor(e.sub(x, loc))
                below = e.lt(k, centre)
                above = e.lt(k, k) if top is None else e.ge(k, top(*own))
                y = function(pick(e.logical_or(below, above), e.fill_like(k, centre), k), *own)
                return pick(below, e.fill_like(y, low), pick(above, e.fill_like(y, high), y))

            return apply

        upper = sf or (lambda k, *own: _complement(cdf(k, *own)))
        self.publish("cdf", "k", steps(cdf, 0.0, 1.0), "Probability of values up to k,")
        self.publish("sf", "k", steps(upper, 1.0, 0.0), "Probability of values above k,")
        self.publish(
            "logcdf", "k", lambda *a: e.log(steps(cdf, 0.0, 1.0)(*a)), "Logarithm of the probability of values up to k,"
        )
        self.publish(
            "logsf",
            "k",
            lambda *a: e.log(steps(upper, 1.0, 0.0)(*a)),
            "Logarithm of the probability of values above k,",
        )
        if ppf is not None:
            self.publish("ppf", "q", lambda q, *params: e.add(ppf(q, *params[:-1]), params[-1]), "Inverse of the cdf")


def broadcast_dtype(*xs: Any) -> np.dtype:
    """The common dtype of promoted operands.

    >>> broadcast_dtype(np.zeros(1, "float32"))
    dtype('float32')
    """
    return np.result_type(*[dtype_of(x) for x in xs])
