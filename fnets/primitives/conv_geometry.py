"""Shapes of convolutions: validation, and the cutting of dilated problems into dense ones. May import errors.

A convolution relates input position i, output position q and tap r by q * stride + r * rhs_dilation = low + i * lhs_dilation, per dimension.
Solved for q it is the forward pass, solved for i the input gradient; both are cut here, by residues, into dense correlations, so that no
kernel ever multiplies the zeros that dilation would put in.
"""

from __future__ import annotations

import functools
import itertools
from math import gcd, prod
from typing import NamedTuple

from fnets.errors import ArgumentError, ShapeError

Ints = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


class Phase(NamedTuple):
    """Output positions `start, start + step, ...` of one dimension; they all use the taps `tap, tap + tap_step, ...` and see the input densely:

    position k and tap t read the source at k * stride + t * dilation - low.
    """

    start: int
    step: int
    count: int
    tap: int
    tap_step: int
    taps: int
    stride: int
    dilation: int
    low: int


def phases(size: int, a: int, b: int, c: int, e: int, window: int) -> list[Phase]:
    """The phases of `size` outputs j that read the source at (j * a + r * e + c) / b for every tap r < `window` where that is whole.

    >>> [(p.start, p.step, p.taps) for p in phases(5, 1, 2, 0, 1, 3)]
    [(0, 2, 2), (1, 2, 1)]
    """
    step, tap_step = b // gcd(a, b), b // gcd(e, b)
    out = []
    for start in range(min(step, size)):
        tap = next((r for r in range(min(tap_step, window)) if (start * a + r * e + c) % b == 0), window)
        taps = len(range(tap, window, tap_step))
        low = -((start * a + tap * e + c) // b)
        out.append(
            Phase(
                start, step, len(range(start, size, step)), tap, tap_step, taps, a * step // b, e * tap_step // b, low
            )
        )
    return out


class Dense:
    """out[g, n, o, q] = sum over c and r of x[g, n, c, q * strides + r * dilations - low] * w[g, o, c, r], zeros outside of x."""

    __slots__ = (
        "groups",
        "batch",
        "cin",
        "cout",
        "space",
        "out",
        "taps",
        "strides",
        "dilations",
        "low",
        "window",
        "positions",
        "flops",
    )

    def __init__(
        self,
        groups: int,
        batch: int,
        cin: int,
        cout: int,
        space: Ints,
        out: Ints,
        taps: Ints,
        strides: Ints,
        dilations: Ints,
        low: Ints,
    ):
        self.groups, self.batch, self.cin, self.cout = groups, batch, cin, cout
        self.space, self.out, self.taps = space, out, taps
        self.strides, self.dilations, self.low = strides, dilations, low
        self.window, self.positions = prod(taps), prod(out)
        self.flops = 2 * groups * batch * cin * cout * self.window * self.positions

    @property
    def rank(self) -> int:
        """The number of spatial dimensions."""
        return len(self.out)

    @property
    def unit(self) -> bool:
        """Neighbouring outputs read neighbouring inputs."""
        return all([s == 1 for s in self.strides])

    @property
    def pointwise(self) -> bool:
        """A matrix product of the channels: one tap, and the output is where the input is."""
        return self.window == 1 and self.unit and self.out == self.space and not any(self.low)

    def swapped(self) -> Dense:
        """The problem with x and the output in each other's place, for unit strides; its weight gradient is the mirror image."""
        low = tuple([(r - 1) * d - lo for r, d, lo in zip(self.taps, self.dilations, self.low)])
        return Dense(
            self.groups,
            self.batch,
            self.cout,
            self.cin,
            self.out,
            self.space,
            self.taps,
            self.strides,
            self.dilations,
            low,
        )


class Step(NamedTuple):
    """One dense problem and the parts of w and of the output that it concerns (None: all)."""

    dense: Dense
    taps: tuple[slice, ...] | None
    place: tuple[slice, ...] | None


class Geometry:
    """All that the shapes and parameters of one convolution determine. `plans` holds what the kernels worked out for it."""

    __slots__ = (
        "x_shape",
        "w_shape",
        "y_shape",
        "feature_groups",
        "batch_groups",
        "groups",
        "batch",
        "cin",
        "cout",
        "space",
        "window",
        "out",
        "strides",
        "padding",
        "lhs_dilation",
        "rhs_dilation",
        "plans",
    )

    def __init__(
        self,
        x_shape: Ints,
        w_shape: Ints,
        strides: Ints,
        padding: Pads,
        lhs_dilation: Ints,
        rhs_dilation: Ints,
        features: int,
        batches: int,
    ):
        self.x_shape, self.w_shape = x_shape, w_shape
        self.strides, self.padding, self.lhs_dilation, self.rhs_dilation = strides, padding, lhs_dilation, rhs_dilation
        self.feature_groups, self.batch_groups, self.groups = features, batches, features * batches
        self.batch, self.cin, self.cout = x_shape[0] // batches, w_shape[1], w_shape[0] // self.groups
        self.space, self.window = x_shape[2:], w_shape[2:]
        self.out = out_space(self.space, self.window, strides, padding, lhs_dilation, rhs_dilation)
        self.y_shape = (self.batch, w_shape[0], *self.out)
        self.plans: dict = {}

    @property
    def mixed(self) -> bool:
        """Groups of images and of channels at once (as vmap makes them): no view of x has one group axis."""
        return self.batch_groups > 1 and self.feature_groups > 1

    def _steps(self, per_dim: list[list[Phase]], cin: int, cout: int, space: Ints) -> list[Step]:
        steps = []
        for combination in itertools.product(*per_dim):
            out, taps, strides, dilations, low = (
                tuple([getattr(p, name) for p in combination])
                for name in ("count", "taps", "stride", "dilation", "low")
            )
            dense = Dense(self.groups, self.batch, cin, cout, space, out, taps, strides, dilations, low)
            whole = all([len(phases_) == 1 for phases_ in per_dim]) and all(
                [p.tap_step == 1 or p.taps == 0 for p in combination]
            )
            tap_slices = tuple([slice(p.tap, None, p.tap_step) for p in combination])
            place = tuple([slice(p.start, None, p.step) for p in combination])
            steps.append(Step(dense, None if whole else tap_slices, None if whole else place))
        return steps

    def forward(self) -> list[Step]:
        """Dense problems that make y from x and w; those of x's and y's weight gradient too."""
        dims = zip(self.out, self.strides, self.lhs_dilation, self.rhs_dilation, self.padding, self.window)
        per_dim = [phases(n, s, ld, -lo, d, r) for n, s, ld, d, (lo, _), r in dims]
        return self._steps(per_dim, self.cin, self.cout, self.space)

    def backward(self) -> list[Step]:
        """Dense problems that make x's cotangent from y's and the mirrored w, channels swapped."""
        dims = zip(self.space, self.strides, self.lhs_dilation, self.rhs_dilation, self.padding, self.window)
        per_dim = [phases(n, ld, s, lo - (r - 1) * d, d, r) for n, s, ld, d, (lo, _), r in dims]
        return self._steps(per_dim, self.cout, self.cin, self.out)


def dilated(size: int, dilation: int) -> int:
    """The length of `size` elements with `dilation - 1` gaps between them."""
    return max(0, (size - 1) * dilation + 1) if size else 0


def out_space(space: Ints, window: Ints, strides: Ints, padding: Pads, lhs_dilation: Ints, rhs_dilation: Ints) -> Ints:
    """The number of windows along each dimension.

    >>> out_space((28, 28), (3, 3), (1, 1), ((1, 1), (0, 0)), (1, 1), (1, 1))
    (28, 26)
    """
    dims = zip(space, window, strides, padding, lhs_dilation, rhs_dilation)
    return tuple([max(0, (dilated(n, ld) + lo + hi - dilated(r, d)) // s + 1) for n, r, s, (lo, hi), ld, d in dims])


_AXES = {1: ", L", 2: ", H, W", 3: ", D, H, W"}


def _axes(rank: int) -> str:
    return _AXES.get(rank, "".join(f", S{k}" for k in range(rank)))


@functools.lru_cache(maxsize=1024)
def geometry(
    op: str,
    x_shape: Ints,
    w_shape: Ints,
    window_strides: Ints,
    padding: Pads,
    lhs_dilation: Ints,
    rhs_dilation: Ints,
    feature_group_count: int,
    batch_group_count: int,
) -> Geometry:
    """The checked geometry of a convolution; `op` names the operation in errors."""
    rank = len(x_shape) - 2
    if rank < 0 or len(w_shape) != len(x_shape):
        raise ShapeError(
            f"[{op}] expected x of shape (N, C, ...) and w of shape (O, C, ...) with the same number of axes, got {x_shape} and {w_shape}. "
            "Add a batch axis with x[None] or a channel axis with x[:, None]."
        )
    for name, value in (
        ("window_strides", window_strides),
        ("padding", padding),
        ("lhs_dilation", lhs_dilation),
        ("rhs_dilation", rhs_dilation),
    ):
        if len(value) != rank:
            raise ArgumentError(f"[{op}] expected {name} with one entry per spatial dimension, {rank}, got {value}.")
        if name != "padding" and any(v < 1 for v in value):
            raise ArgumentError(f"[{op}] expected {name} of positive ints, got {value}.")
    features, batches = feature_group_count, batch_group_count
    if features < 1 or batches < 1:
        raise ArgumentError(
            f"[{op}] expected group counts of at least 1, got feature_group_count={features} and batch_group_count={batches}."
        )
    groups = f" and feature_group_count = {features}" if features > 1 else ""
    if x_shape[1] != w_shape[1] * features:
        raise ShapeError(
            f"[{op}] expected x of shape (N, C{_axes(rank)}) with C = {w_shape[1] * features} to match w {w_shape}{groups}, got {x_shape}. "
            "w is (O, C / groups, ...); for channels-last arrays pass dimension_numbers=('NHWC', 'HWIO', 'NHWC')."
        )
    if w_shape[0] % (features * batches):
        count = f"feature_group_count = {features}" if features > 1 else f"batch_group_count = {batches}"
        raise ShapeError(
            f"[{op}] expected w with O a multiple of {count}, got {w_shape}. Choose O as groups times outputs per group."
        )
    if x_shape[0] % batches:
        raise ShapeError(f"[{op}] expected x with N a multiple of batch_group_count = {batches}, got {x_shape}.")
    return Geometry(x_shape, w_shape, window_strides, padding, lhs_dilation, rhs_dilation, features, batches)
