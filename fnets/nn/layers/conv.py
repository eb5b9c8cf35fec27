"""Layers that slide a window: convolutions and pools. May import the package's functions, initialisers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fnets.nn import initializers
from fnets.nn.convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d
from fnets.nn.initializers import Initializer
from fnets.nn.layers.base import Layer, Params, rare
from fnets.nn.layers.dense import weights_and_bias
from fnets.nn.pooling import avg_pool, max_pool

CONV_INIT = initializers.lecun_normal(in_axis=1, out_axis=0)
CONV_TRANSPOSE_INIT = initializers.lecun_normal(in_axis=0, out_axis=1)


def as_window(size: Any, rank: int) -> tuple[int, ...]:
    """A window as a tuple with a length for each dimension.

    >>> as_window(3, 2)
    (3, 3)
    """
    return (size,) * rank if isinstance(size, int) else tuple(size)


@dataclass(frozen=True, repr=False)
class _Conv(Layer):
    """A convolution; parameters "w" (out, in / groups, *filter_size), by default LeCun's normal numbers, and "b" (out,), zeros."""

    in_channels: int
    out_channels: int
    filter_size: Any
    stride: Any = 1
    pad: Any = 0
    bias: bool = True
    dilation: Any = rare(1)
    groups: int = rare(1)
    w_init: Initializer = rare(CONV_INIT)
    b_init: Initializer = rare(initializers.zeros)

    rank = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "filter_size", as_window(self.filter_size, self.rank))

    def init(self, key: Any = None) -> Params:
        shape = (self.out_channels, self.in_channels // self.groups, *self.filter_size)
        return weights_and_bias(key, shape, self.bias, (self.out_channels,), self.w_init, self.b_init)

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return _CONVOLUTIONS[self.rank](params, x, self.stride, self.pad, self.dilation, self.groups)


_CONVOLUTIONS = {1: conv1d, 2: conv2d, 3: conv3d}


class Conv1d(_Conv):
    """Convolution of (N, in_channels, length).

    Args:
      in_channels, out_channels: numbers of channels before and after.
      filter_size: length of the window.
      stride, pad, dilation, groups: as in `nn.conv1d`.
      bias: whether there is a "b".
      w_init, b_init: initialisers.

    >>> Conv1d(4, 8, 3)
    Conv1d(in_channels=4, out_channels=8, filter_size=(3,), stride=1, pad=0, bias=True)
    """

    rank = 1


class Conv2d(_Conv):
    """Convolution of (N, in_channels, height, width).

    Args:
      in_channels, out_channels: numbers of channels before and after.
      filter_size: the window, an int or (height, width).
      stride, pad, dilation, groups: as in `nn.conv2d`.
      bias: whether there is a "b".
      w_init, b_init: initialisers.

    >>> Conv2d(1, 1, (3, 3))
    Conv2d(in_channels=1, out_channels=1, filter_size=(3, 3), stride=1, pad=0, bias=True)
    """

    rank = 2


class Conv3d(_Conv):
    """Convolution of (N, in_channels, depth, height, width).

    Args:
      in_channels, out_channels: numbers of channels before and after.
      filter_size: the window, an int or (depth, height, width).
      stride, pad, dilation, groups: as in `nn.conv3d`.
      bias: whether there is a "b".
      w_init, b_init: initialisers.

    >>> Conv3d(1, 2, 3, pad="SAME")
    Conv3d(in_channels=1, out_channels=2, filter_size=(3, 3, 3), stride=1, pad='SAME', bias=True)
    """

    rank = 3


@dataclass(frozen=True, repr=False)
class _ConvTranspose(Layer):
    """A transposed convolution; parameters "w" (in, out / groups, *filter_size) and "b" (out,)."""

    in_channels: int
    out_channels: int
    filter_size: Any
    stride: Any = 1
    pad: Any = 0
    bias: bool = True
    output_pad: Any = rare(0)
    dilation: Any = rare(1)
    groups: int = rare(1)
    w_init: Initializer = rare(CONV_TRANSPOSE_INIT)
    b_init: Initializer = rare(initializers.zeros)

    rank = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "filter_size", as_window(self.filter_size, self.rank))

    def init(self, key: Any = None) -> Params:
        shape = (self.in_channels, self.out_channels // self.groups, *self.filter_size)
        return weights_and_bias(key, shape, self.bias, (self.out_channels,), self.w_init, self.b_init)

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        function = conv_transpose1d if self.rank == 1 else conv_transpose2d
        return function(params, x, self.stride, self.pad, self.output_pad, self.groups, self.dilation)


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of (N, in_channels, length); arguments as `ConvTranspose2d`.

    >>> ConvTranspose1d(4, 2, 3)
    ConvTranspose1d(in_channels=4, out_channels=2, filter_size=(3,), stride=1, pad=0, bias=True)
    """

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of (N, in_channels, height, width).

    Args:
      in_channels, out_channels: numbers of channels before and after.
      filter_size: the window, an int or (height, width).
      stride, pad, output_pad, dilation, groups: as in `nn.conv_transpose2d`.
      bias: whether there is a "b".
      w_init, b_init: initialisers.

    >>> ConvTranspose2d(4, 2, 3, stride=2)
    ConvTranspose2d(in_channels=4, out_channels=2, filter_size=(3, 3), stride=2, pad=0, bias=True)
    """

    rank = 2


@dataclass(frozen=True, repr=False)
class _Pool(Layer):
    """A pool; the stride is by default the window, so that windows don't overlap."""

    pool_size: Any
    stride: Any = None
    pad: Any = 0

    rank = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "pool_size", as_window(self.pool_size, self.rank))
        if self.stride is None:
            object.__setattr__(self, "stride", self.pool_size)


class _MaxPool(_Pool):
    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return max_pool(x, self.pool_size, self.stride, self.pad)


class MaxPool1d(_MaxPool):
    """The greatest element of each window of (N, C, length).

    >>> MaxPool1d(2)
    MaxPool1d(pool_size=(2,), stride=(2,), pad=0)
    """

    rank = 1


class MaxPool2d(_MaxPool):
    """The greatest element of each window of (N, C, height, width).

    Args:
      pool_size: the window, an int or (height, width).
      stride: its step, an int or one a dimension; by default the window.
      pad: as in `nn.max_pool`.

    >>> MaxPool2d((2, 2), stride=2)
    MaxPool2d(pool_size=(2, 2), stride=2, pad=0)
    """

    rank = 2


@dataclass(frozen=True, repr=False)
class _AvgPool(_Pool):
    count_include_pad: bool = rare(True)

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return avg_pool(x, self.pool_size, self.stride, self.pad, self.count_include_pad)


class AvgPool1d(_AvgPool):
    """The mean of each window of (N, C, length).

    >>> AvgPool1d(2)
    AvgPool1d(pool_size=(2,), stride=(2,), pad=0)
    """

    rank = 1


class AvgPool2d(_AvgPool):
    """The mean of each window of (N, C, height, width).

    Args:
      pool_size: the window, an int or (height, width).
      stride: its step, an int or one a dimension; by default the window.
      pad: as in `nn.avg_pool`.
      count_include_pad: whether padding counts as elements.

    >>> AvgPool2d(2)
    AvgPool2d(pool_size=(2, 2), stride=(2, 2), pad=0)
    """

    rank = 2


class GlobalAvgPool(Layer):
    """The mean over all positions: (N, C, ...) -> (N, C).

    >>> import fnets.numpy as fnp
    >>> GlobalAvgPool().apply({}, fnp.ones((2, 3, 4, 4))).shape
    (2, 3)
    """

    def forward(self, params: Params, x: Any, train: bool, key: Any) -> Any:
        return x.mean(tuple(range(2, x.ndim)))
