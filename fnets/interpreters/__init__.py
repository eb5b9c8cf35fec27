"""`batching`, under JAX's module name. May import transforms."""

from fnets.interpreters import batching

__all__ = ["batching"]
