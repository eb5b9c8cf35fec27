"""Functions with their own derivative rules, under JAX's module name. May import control."""

from fnets.control.custom import closure_convert, custom_gradient, custom_jvp, custom_vjp

__all__ = ["closure_convert", "custom_gradient", "custom_jvp", "custom_vjp"]
