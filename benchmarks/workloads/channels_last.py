"""Layers on channels-last images written over `lax`: for JAX, which leaves layers to its users, and for fnets in that layout. Imports nothing.

Arguments and parameters are those of `fnets.nn`.
"""

from __future__ import annotations

from typing import Any


class ChannelsLast:
    """The layers over a library's `numpy` and `lax`."""

    last = True

    def __init__(self, np: Any, lax: Any):
        self.np, self.lax = np, lax

    def conv2d(self, params: Any, x: Any, stride: int = 1, padding: int = 0) -> Any:
        y = self.lax.conv_general_dilated(
            x,
            params["w"],
            (stride, stride),
            [(padding, padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return y + params["b"] if "b" in params else y

    def max_pool(self, x: Any, window: int) -> Any:
        lengths = (1, window, window, 1)
        return self.lax.reduce_window(x, -self.np.inf, self.lax.max, lengths, lengths, "VALID")

    def batch_norm(self, params: Any, state: Any, x: Any, train: bool) -> tuple[Any, Any]:
        """While training only."""
        mean = x.mean((0, 1, 2))
        centred = x - mean
        var = (centred * centred).mean((0, 1, 2))
        y = centred * self.lax.rsqrt(var + 1e-5) * params["scale"] + params["bias"]
        return y, {"mean": 0.9 * state["mean"] + 0.1 * mean, "var": 0.9 * state["var"] + 0.1 * var}
