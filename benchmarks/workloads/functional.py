"""fnets and JAX as workloads see them: names that both have, layers on images, and how data become a library's arrays. A library is imported when made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads.channels_last import ChannelsLast
from benchmarks.workloads.program import Program, channels_first, filters_first, mapped, rows_channels_first


class Library:
    """`np`, `lax`, `nn`, `optim`, `tree` and the transformations under their common names.

    `images` holds conv2d, max_pool and batch_norm, whose layout `layout` brings data into; `array` copies one array, `wait` blocks until a result is there.
    """

    def __init__(self, module: Any, np: Any, nn: Any, optim: Any, images: Any, jit: Callable, array: Callable):
        self.np, self.nn, self.optim, self.images, self.jit, self.array = np, nn, optim, images, jit, array
        self.lax, self.tree = module.lax, module.tree
        self.grad, self.value_and_grad, self.vjp = module.grad, module.value_and_grad, module.vjp
        self.wait: Callable[[Any], Any] = getattr(module, "block_until_ready", lambda out: out)
        self.channels_last = isinstance(images, ChannelsLast)
        self.space = (1, 2) if self.channels_last else (2, 3)

    def arrays(self, tree: Any) -> Any:
        """The library's own copies of data that no layout concerns."""
        return mapped(self.array, tree)

    def image(self, x: np.ndarray) -> Any:
        return self.array(x if self.channels_last else channels_first(x))

    def params(self, tree: Any) -> Any:
        """Parameters, filters among them."""
        return mapped(lambda a: self.array(a if self.channels_last or a.ndim != 4 else filters_first(a)), tree)

    def flat_rows(self, w: np.ndarray, space: tuple[int, int]) -> np.ndarray:
        """The matrix after a flattened image."""
        return w if self.channels_last else rows_channels_first(w, space)


def fnets_library(backend: str, channels_last: bool) -> Library:
    import fnets
    import fnets.numpy as fnp
    from fnets import lax, nn, optim

    images = ChannelsLast(fnp, lax) if channels_last else nn
    return Library(fnets, fnp, nn, optim, images, functools.partial(fnets.jit, backend=backend), np.array)


def jax_library() -> Library:
    import types

    import jax
    import jax.numpy as jnp
    import optax

    def linear(params: Any, x: Any) -> Any:
        return x @ params["w"] + params["b"]

    def layer_norm(params: Any, x: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        var = (centred * centred).mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt(var + 1e-5) * params["scale"] + params["bias"]

    names = ("relu", "gelu", "sigmoid", "dot_product_attention")
    nn = types.SimpleNamespace(linear=linear, layer_norm=layer_norm, **{name: getattr(jax.nn, name) for name in names})
    return Library(jax, jnp, nn, optax, ChannelsLast(jnp, jax.lax), jax.jit, jnp.array)


def calling(library: Library, f: Callable, *args: Any) -> Program:
    """The jitted function of the same arguments again and again."""
    jitted, wait = library.jit(f), library.wait
    return Program(lambda: wait(jitted(*args)), compile=lambda: jitted.lower(*args).compile())


def repeating(library: Library, step: Callable, state: Any, *args: Any) -> Program:
    """`step(state, *args) -> (state, out)`, jitted, fed its own state, whose memory it may take. The program's result is `out`."""
    jitted, wait = library.jit(step, donate_argnums=0), library.wait

    def call() -> Any:
        nonlocal state
        state, out = wait(jitted(state, *args))
        return out

    return Program(call, compile=lambda: jitted.lower(state, *args).compile())


def training(
    library: Library, loss_fn: Callable, params: Any, batch: tuple, optimizer: Any, state: Any = None
) -> Program:
    """Steps of an optimizer on `loss_fn(params, *batch) -> loss`; given a state, on `loss_fn(params, state, *batch) -> (loss, state)`."""
    stateful = state is not None

    def step(carried: Any, *batch: Any) -> Any:
        params, state, moments = carried
        if stateful:
            (loss, state), grads = library.value_and_grad(loss_fn, has_aux=True)(params, state, *batch)
        else:
            loss, grads = library.value_and_grad(loss_fn)(params, *batch)
        updates, moments = optimizer.update(grads, moments, params)
        return (library.optim.apply_updates(params, updates), state, moments), loss

    return repeating(library, step, (params, state, optimizer.init(params)), *batch)


def cross_entropy(library: Library, logits: Any, labels: Any) -> Any:
    return library.optim.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
