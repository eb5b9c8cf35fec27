"""Layers one after another, and the table of a model's parameters. May import the package's layers, transforms, random, tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fnets import random, tree
from fnets.core.trace import shape_of, typeof
from fnets.errors import ArgumentError, FnetsError
from fnets.nn.layers.base import Lambda, Layer, Params
from fnets.transforms.staging import eval_shape


def _in_layer(error: FnetsError, name: str, layer: Layer) -> FnetsError:
    """The same error, its message beginning with the layer's path in the model."""
    path, plain, shown = getattr(error, "layer", ("", str(error), repr(layer)))
    path = f"{name}.{path}" if path else name
    out = type(error)(f"In layer {path}, {shown}: {plain}")
    out.layer = (path, plain, shown)  # type: ignore[attr-defined]
    return out


@dataclass(frozen=True, repr=False)
class Serial(Layer):
    """Layers one after another; make it with `serial`.

    >>> Serial((("0", Lambda(abs)),))
    Sequential(
       (0): Lambda(abs)
    )
    """

    layers: tuple[tuple[str, Layer], ...]
    name: str = "Sequential"

    def init(self, key: Any = None) -> Params:
        """Parameters by the layers' names; layers without parameters have no entry.

        Args:
          key: a random key. A layer's numbers depend on its place among the layers with parameters alone.
        """
        params: Params = {}
        for name, layer in self.layers:
            found = layer.init(None if key is None else random.fold_in(key, len(params)))
            if found:
                params[name] = found
        return params

    def init_state(self) -> Params:
        states = {name: layer.init_state() for name, layer in self.layers}
        return {name: state for name, state in states.items() if state}

    def apply(
        self, params: Params, x: Any, *, train: bool = False, key: Any = None, state: Params | None = None
    ) -> Any:
        new_state = {}
        for i, (name, layer) in enumerate(self.layers):
            own_key = None if key is None else random.fold_in(key, i)
            own_state = None if state is None else state.get(name)
            try:
                x = layer.apply(params.get(name, {}), x, train=train, key=own_key, state=own_state)
            except FnetsError as error:
                raise _in_layer(error, name, layer) from error
            except KeyError as error:
                raise ArgumentError(
                    f"In layer {name}, {layer!r}: expected params[{name!r}] as init makes them, got the names {sorted(params.get(name, {}))} "
                    f"without {error}. Pass the parameters of this model."
                ) from error
            if own_state is not None:
                x, new_state[name] = x
        return x if state is None else (x, new_state)

    def __getitem__(self, name: str | int) -> Layer:
        """A layer by its name or position."""
        return self.layers[name][1] if isinstance(name, int) else dict(self.layers)[name]

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        lines = [f"({name}): {layer!r}".replace("\n", "\n   ") for name, layer in self.layers]
        return "\n".join([f"{self.name}(", *[f"   {line}" for line in lines], ")"])


def serial(
    *layers: Layer | Callable[[Any], Any], name: str = "Sequential", **named: Layer | Callable[[Any], Any]
) -> Serial:
    """Layers one after another, as one layer.

    Args:
      *layers: layers (or functions of the input), which get the names "0", "1", ...
      name: what the model prints as.
      **named: layers by name, after the others.

    Returns:
      An immutable layer: `model.init(key)`, `model.apply(params, x, train=..., key=..., state=...)`, or `init, apply = model`. The parameters are a
      dict by layer name; layers without parameters have no entry in it.

    Raises:
      ArgumentError: what is neither a layer nor a function.

    >>> from fnets.nn.layers import Linear, ReLU
    >>> model = serial(hidden=Linear(4, 8), relu=ReLU(), out=Linear(8, 3), name="Classifier")
    >>> model
    Classifier(
       (hidden): Linear(input_dim=4, output_dim=8, bias=True)
       (relu): ReLU()
       (out): Linear(input_dim=8, output_dim=3, bias=True)
    )
    >>> params = model.init(random.key(0))
    >>> sorted(params), params["out"]["w"].shape
    (['hidden', 'out'], (8, 3))
    """

    def as_layer(which: str, layer: Any) -> Layer:
        if isinstance(layer, Layer):
            return layer
        if not callable(layer) or isinstance(layer, type):
            raise ArgumentError(
                f"[serial] expected a layer or a function for {which}, got {layer!r}. Call the class: ReLU()."
            )
        return Lambda(layer)

    pairs = [(str(i), layer) for i, layer in enumerate(layers)] + list(named.items())
    return Serial(tuple([(which, as_layer(which, layer)) for which, layer in pairs]), name)


# ---------------------------------------------------------------- the table of a model


def _count(params: Any) -> int:
    return sum(typeof(p).size for p in tree.leaves(params))


def _rows(layer: Layer, params: Params, path: str) -> list[tuple[str, str, str, int]]:
    if isinstance(layer, Serial):
        return [
            row
            for name, inner in layer.layers
            for row in _rows(inner, params.get(name, {}), f"{path}.{name}" if path else name)
        ]
    shapes = ", ".join(
        f"{tree.keystr(p, simple=True, separator='.')} {shape_of(x)}" for p, x in tree.leaves_with_path(params)
    )
    return [(path or type(layer).__name__, type(layer).__name__, shapes, _count(params))]


def summary(model_or_params: Layer | Any) -> str:
    """A table of a model's layers, or of a tree of parameters: shapes and numbers of parameters.

    Args:
      model_or_params: a layer, whose parameters are worked out without drawing them; or a tree of arrays.

    >>> from fnets.nn.layers import Linear, ReLU
    >>> print(summary(serial(Linear(4, 8), ReLU(), Linear(8, 3))))
    name   layer   shapes             parameters
    0      Linear  b (8,), w (4, 8)           40
    1      ReLU                                0
    2      Linear  b (3,), w (8, 3)           27
    total                                     67
    """
    head = ("name", "layer", "shapes", "parameters")
    if isinstance(model_or_params, Layer):
        params = eval_shape(model_or_params.init, random.key(0))
        rows = _rows(model_or_params, params, "")
    else:
        params = model_or_params
        rows = [
            (tree.keystr(path, simple=True, separator="."), typeof(x).str_short(), str(shape_of(x)), typeof(x).size)
            for path, x in tree.leaves_with_path(params)
        ]
        head = ("name", "type", "shapes", "parameters")
    rows = [*rows, ("total", "", "", _count(params))]
    table = [head, *[(*row[:3], f"{row[3]:,}") for row in rows]]
    widths = [max(len(row[i]) for row in table) for i in range(4)]
    lines = ["  ".join([*[row[i].ljust(widths[i]) for i in range(3)], row[3].rjust(widths[3])]) for row in table]
    return "\n".join(lines)
