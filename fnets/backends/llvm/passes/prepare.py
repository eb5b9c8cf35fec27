"""What is done to a jaxpr before it is grouped into stages: one pass after the other.

May import convolution, expand, hoist, layout, passes, pieces, short_axes, core."""

from __future__ import annotations

from fnets.backends.llvm.kernels import convolution
from fnets.backends.llvm.passes.expand import expand
from fnets.backends.llvm.passes.hoist import hoist
from fnets.backends.llvm.passes.layout import channels_last
from fnets.backends.llvm.passes.pieces import put_together
from fnets.backends.llvm.passes.short_axes import split_short_axes
from fnets.backends.passes import optimise
from fnets.core.ir import Jaxpr


def prepare(jaxpr: Jaxpr) -> Jaxpr:
    """Simplified, in primitives that kernels know, with little in its scans, the convolutions channels-last, and pieces made in their places."""
    program = split_short_axes(expand(hoist(optimise(jaxpr))))
    return put_together(channels_last(program, convolution.is_supported))
