"""What `jit(f).trace`, `.lower` and `.compile` give, under JAX's module name. May import transforms."""

from fnets.transforms.lowered import Compiled, Lowered, Traced

__all__ = ["Compiled", "Lowered", "Traced"]
