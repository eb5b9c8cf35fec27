"""Checks of derivatives, under JAX's module name. May import testing."""

from fnets.testing import check_grads, check_jvp, check_vjp

__all__ = ["check_grads", "check_jvp", "check_vjp"]
