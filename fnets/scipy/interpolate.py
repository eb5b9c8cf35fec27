"""`fnets.scipy.interpolate`: interpolation on a rectangular grid. May import `fnets.numpy`, primitives, core."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.trace import Tracer, dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy.arguments import flat, promoted_inexact, to_inexact
from fnets.numpy.manipulation import broadcast_arrays
from fnets.numpy.sorting import searchsorted
from fnets.primitives import elementwise as e
from fnets.primitives.base import reshape
from fnets.primitives.gather import index_gather
from fnets.primitives.shape import stack

__all__ = ["RegularGridInterpolator"]


class RegularGridInterpolator:
    """Interpolation of values on a rectangular grid, whose lines need not be evenly spaced.

    Args:
      points: d increasing (or decreasing) vectors of the lengths m1, ..., md.
      values: array (m1, ..., md, ...).
      method: "linear" or "nearest".
      bounds_error: raise for points outside of the grid, where they are known.
      fill_value: what points outside get; None to extrapolate.

    Raises:
      ShapeError: the values do not fit the points.

    >>> RegularGridInterpolator((np.array([0.0, 1.0]),), np.array([0.0, 10.0]))(np.array([[0.25]]))
    array([2.5])
    """

    def __init__(
        self,
        points: Sequence[Any],
        values: Any,
        method: str = "linear",
        bounds_error: bool = False,
        fill_value: Any = np.nan,
    ):
        self._check_method(method)
        self.method, self.bounds_error, self.fill_value = method, bounds_error, fill_value
        values = to_inexact(values)
        grid = [to_inexact(p) for p in points]
        if len(grid) > len(shape_of(values)):
            raise ShapeError(
                f"[RegularGridInterpolator] expected values with at least {len(grid)} axes, got shape {shape_of(values)}."
            )
        for i, p in enumerate(grid):
            if len(shape_of(p)) != 1 or shape_of(p)[0] != shape_of(values)[i]:
                raise ShapeError(
                    f"[RegularGridInterpolator] expected {shape_of(values)[i]} points along axis {i}, as in values, got shape {shape_of(p)}."
                )
            if not isinstance(p, Tracer):
                steps = np.diff(p)
                if np.all(steps < 0):
                    grid[i], values = np.flip(p), values[(slice(None),) * i + (slice(None, None, -1),)]
                elif not np.all(steps > 0):
                    raise ArgumentError(
                        f"[RegularGridInterpolator] expected points along axis {i} that increase or decrease strictly."
                    )
        self.grid, self.values = tuple(grid), values

    @staticmethod
    def _check_method(method: str) -> None:
        if method not in ("linear", "nearest"):
            raise ArgumentError(f'[RegularGridInterpolator] expected method "linear" or "nearest", got {method!r}.')

    def _points(self, xi: Any) -> tuple[Any, tuple[int, ...]]:
        """Points as (n, d), and the shape of their batch."""
        d = len(self.grid)
        if isinstance(xi, (tuple, list)):
            xi = stack(broadcast_arrays(*promoted_inexact(*xi)), -1) if d > 1 or isinstance(xi, tuple) else xi
        xi = to_inexact(xi)
        if len(shape_of(xi)) < 2:
            xi = flat(xi)
            xi = reshape(xi, (shape_of(xi)[0] // d, d))
        if shape_of(xi)[-1] != d:
            raise ShapeError(f"[RegularGridInterpolator] expected points of shape (..., {d}), got {shape_of(xi)}.")
        batch = shape_of(xi)[:-1]
        n = 1
        for m in batch:
            n *= m
        return reshape(xi, (n, d)), batch

    def __call__(self, xi: Any, method: str | None = None) -> Any:
        """The interpolated values at points.

        Args:
          xi: array (..., d), or a tuple of d arrays that broadcast together.
          method: instead of the one given when it was made.

        Returns:
          An array (..., further axes of the values), differentiable in the points and the values.
        """
        method = self.method if method is None else method
        self._check_method(method)
        xi, batch = self._points(xi)
        per_axis, outside = [], np.zeros((), bool)
        for k, line in enumerate(self.grid):
            x, m = xi[:, k], shape_of(line)[0]
            outside = e.logical_or(outside, e.logical_or(e.lt(x, line[0]), e.gt(x, line[-1])))
            low = e.clamp(np.int64(0), e.sub(searchsorted(line, x, "right"), 1), np.int64(max(m - 2, 0)))
            left = index_gather(line, (low,), (0,))
            if m == 1:
                per_axis.append([(low, e.add(e.mul(x, 0), 1))])
                continue
            share = e.div(e.sub(x, left), e.sub(index_gather(line, (e.add(low, 1),), (0,)), left))
            if method == "nearest":
                per_axis.append([(e.select(e.le(share, 0.5), low, e.add(low, 1)), None)])
            else:
                per_axis.append([(low, e.sub(1, share)), (e.add(low, 1), share)])
        if self.bounds_error and not isinstance(outside, Tracer) and bool(np.any(outside)):
            raise ArgumentError(
                "[RegularGridInterpolator] expected points inside of the grid, got some outside. Use bounds_error=False."
            )
        out = self._interpolated(per_axis)
        rest = shape_of(self.values)[len(self.grid) :]
        if self.fill_value is not None:
            mask = reshape(outside, (*shape_of(outside), *(1,) * len(rest)))
            out = e.select(mask, np.asarray(self.fill_value, dtype_of(out)), out)
        return reshape(out, (*batch, *rest))

    def _interpolated(self, per_axis: list) -> Any:
        axes = tuple(range(len(self.grid)))
        more = len(shape_of(self.values)) - len(axes)
        terms = []
        for corner in itertools.product(*per_axis):
            value = index_gather(self.values, tuple([i for i, _ in corner]), axes)
            weights = [w for _, w in corner if w is not None]
            if weights:
                weight = functools.reduce(e.mul, weights)
                value = e.mul(value, reshape(weight, (*shape_of(weight), *(1,) * more)))
            terms.append(value)
        return functools.reduce(e.add, terms)
