"""What a layer is, functions as layers, and layers without parameters. May import the package's functions, random, errors.

A layer is an immutable description. `init(key)` makes its parameters, a dict of arrays ({} if it has none); `apply(params, x)` runs it. Both are
pure, and `init, apply = layer` unpacks them. A new layer is a frozen dataclass with a `forward`:

>>> from dataclasses import dataclass
>>> import fnets.numpy as fnp
>>> @dataclass(frozen=True, repr=False)
... class Scale(Layer):
...     features: int
...     def init(self, key=None):
...         return {"scale": fnp.ones(self.features)}
...     def forward(self, params, x, train, key):
...         return x * params["scale"]
>>> layer = Scale(3)
>>> layer, layer.apply(layer.init(), fnp.ones(3))
(Scale(features=3), array([1., 1., 1.], dtype=float32))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from fnets.nn import activations as act
from fnets.nn.functional import dropout, flatten
from fnets.nn.rows import log_softmax, softmax

Params = dict[str, Any]


def rare(default: Any) -> Any:
    """A field of a layer that prints only where it isn't the default.

    >>> rare(1).default
    1
    """
    return field(default=default, metadata={"rare": True})


@dataclass(frozen=True, repr=False)
class Layer:
    """Base of all layers; see the module's docstring. A subclass overrides `forward`, `init` if it has parameters, and for a state `apply`.

    >>> init, apply = Identity()
    >>> init(), apply({}, 2.0)
    ({}, array(2., dtype=float32))
    """

    def init(self, key: Any = None) -> Params:
        """The parameters to start from.

        Args:
          key: a random key; layers without random parameters ignore it.
        """
        return {}

    def init_state(self) -> Params:
        """What the layer keeps beside its parameters (running statistics); {} for most."""
        return {}

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        """The layer's function; what a subclass without a state defines."""
        raise TypeError(f"{type(self).__name__} defines neither forward nor apply")

    def apply(
        self, params: Params, x: Any, *, train: bool = False, key: Any = None, state: Params | None = None
    ) -> Any:
        """The layer's output, or (output, new state) if a state is given.

        Args:
          params: as `init` makes them.
          x: the input.
          train: whether dropout drops and batch statistics count.
          key: a random key, for layers that draw numbers when training.
          state: as `init_state` makes it.
        """
        y = self.forward(params, x, train, key)
        return y if state is None else (y, state)

    def __iter__(self) -> Iterator[Callable]:
        return iter((self.init, self.apply))

    def shown(self) -> list[tuple[str, Any]]:
        """The arguments that the layer prints with; rare ones only where they differ from their default."""
        pairs = [(f, getattr(self, f.name)) for f in fields(self)]
        return [(f.name, value) for f, value in pairs if not f.metadata.get("rare") or value != f.default]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.shown())})"


@dataclass(frozen=True, repr=False)
class Lambda(Layer):
    """A function of the input as a layer.

    >>> Lambda(abs).apply({}, -2.0)
    2.0
    """

    function: Callable[[Any], Any]

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return self.function(x)

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", repr(self.function))
        return f"Lambda({name})"


@dataclass(frozen=True, repr=False)
class Flatten(Layer):
    """(N, ...) as (N, rest).

    >>> import fnets.numpy as fnp
    >>> Flatten().apply({}, fnp.ones((2, 3, 4))).shape
    (2, 12)
    """

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return flatten(x)


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """Zeroes elements with a probability while training; see `nn.dropout`.

    >>> Dropout(0.5)
    Dropout(rate=0.5)
    """

    rate: float = 0.5

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return dropout(key, x, self.rate, train)


# ---------------------------------------------------------------- activations


class Activation(Layer):
    """Base of the layers that apply one function and have no arguments.

    >>> float(Tanh().function(0.0))
    0.0
    """

    function: Callable[[Any], Any]

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return type(self).function(x)


class Identity(Activation):
    """x itself.

    >>> Identity()
    Identity()
    """

    function = staticmethod(act.identity)


class ReLU(Activation):
    """max(x, 0).

    >>> ReLU()
    ReLU()
    """

    function = staticmethod(act.relu)


class ReLU6(Activation):
    """min(max(x, 0), 6).

    >>> ReLU6()
    ReLU6()
    """

    function = staticmethod(act.relu6)


class Sigmoid(Activation):
    """1 / (1 + exp(-x)).

    >>> Sigmoid()
    Sigmoid()
    """

    function = staticmethod(act.sigmoid)


class Tanh(Activation):
    """The hyperbolic tangent.

    >>> Tanh()
    Tanh()
    """

    function = staticmethod(act.tanh)


class SiLU(Activation):
    """x * sigmoid(x).

    >>> SiLU()
    SiLU()
    """

    function = staticmethod(act.silu)


class Mish(Activation):
    """x * tanh(softplus(x)).

    >>> Mish()
    Mish()
    """

    function = staticmethod(act.mish)


class SELU(Activation):
    """The scaled exponential linear unit.

    >>> SELU()
    SELU()
    """

    function = staticmethod(act.selu)


class Softplus(Activation):
    """log(1 + exp(x)).

    >>> Softplus()
    Softplus()
    """

    function = staticmethod(act.softplus)


class HardSigmoid(Activation):
    """relu6(x + 3) / 6.

    >>> HardSigmoid()
    HardSigmoid()
    """

    function = staticmethod(act.hard_sigmoid)


class HardSwish(Activation):
    """x * hard_sigmoid(x).

    >>> HardSwish()
    HardSwish()
    """

    function = staticmethod(act.hard_swish)


@dataclass(frozen=True, repr=False)
class LeakyReLU(Layer):
    """x where it is positive, else `negative_slope * x`.

    >>> LeakyReLU()
    LeakyReLU(negative_slope=0.01)
    """

    negative_slope: float = 0.01

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return act.leaky_relu(x, self.negative_slope)


@dataclass(frozen=True, repr=False)
class ELU(Layer):
    """x where it is positive, else `alpha * (exp(x) - 1)`.

    >>> ELU()
    ELU(alpha=1.0)
    """

    alpha: float = 1.0

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return act.elu(x, self.alpha)


@dataclass(frozen=True, repr=False)
class GELU(Layer):
    """x times the normal distribution function at x.

    >>> GELU()
    GELU(approximate=True)
    """

    approximate: bool = True

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return act.gelu(x, self.approximate)


@dataclass(frozen=True, repr=False)
class Softmax(Layer):
    """exp(x) over its sum along an axis.

    >>> Softmax()
    Softmax(axis=-1)
    """

    axis: int = -1

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return softmax(x, self.axis)


@dataclass(frozen=True, repr=False)
class LogSoftmax(Layer):
    """log(softmax(x)) along an axis.

    >>> LogSoftmax()
    LogSoftmax(axis=-1)
    """

    axis: int = -1

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return log_softmax(x, self.axis)
