"""`fnets.scipy.integrate`: the trapezoidal rule. May import `fnets.numpy`."""

from __future__ import annotations

from fnets.numpy.calculus import trapezoid

__all__ = ["trapezoid"]
