"""Golden images from JAX, float64 (scale_and_translate) and float32 (resize, whose weights JAX has in float32): image.npz. Needs the `bench` extra."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.image
import numpy as np
from golden_io import encode, save

jax.config.update("jax_enable_x64", True)
METHODS = ("linear", "cubic", "cubic-pytorch", "lanczos3", "lanczos5", "area")


def main() -> None:
    """Write the file."""
    image = np.random.default_rng(0).standard_normal((5, 7, 2))
    arrays: dict[str, Any] = {"image": image}
    config = []
    shapes = ((9, 4, 2), (3, 14, 2), (1, 2, 2), (20, 1, 2))
    for method, shape, antialias in itertools.product(("nearest", *METHODS), shapes, (True, False)):
        arrays[str(len(config))] = np.asarray(jax.image.resize(image.astype(np.float32), shape, method, antialias))
        config.append(encode({"name": "resize", "args": [list(shape), method, antialias]}))
    moves = (([1.3, 0.6], [0.2, -1.0]), ([0.5, 2.0], [3.0, 0.1]))
    for method, (scale, shift), antialias in itertools.product(METHODS, moves, (True, False)):
        out = jax.image.scale_and_translate(
            image, (6, 8, 2), (0, -2), np.array(scale), np.array(shift), method, antialias
        )
        arrays[str(len(config))] = np.asarray(out)
        config.append(
            encode({"name": "scale_and_translate", "args": [[6, 8, 2], [0, -2], scale, shift, method, antialias]})
        )
    save("image", arrays, config)


if __name__ == "__main__":
    main()
