"""Functions with their own batching rule, under JAX's module name. May import control."""

from fnets.control.custom_vmap import custom_vmap, sequential_vmap

__all__ = ["custom_vmap", "sequential_vmap"]
