"""Samples of fnets/primitives/conv.py."""

from __future__ import annotations

from typing import Any

from harness import Sample, integers, normal

from fnets.primitives import conv as c


def params(rank: int, **changes: Any) -> dict:
    """Parameters of a convolution with what `changes` says, else ones and no padding."""
    ones = (1,) * rank
    plain = {"window_strides": ones, "padding": ((0, 0),) * rank, "lhs_dilation": ones, "rhs_dilation": ones}
    return plain | {"feature_group_count": 1, "batch_group_count": 1} | changes


def family(x: tuple, w: tuple, name: str = "", **changes: Any) -> list[Sample]:
    """A sample of each of the three primitives on the same shapes."""
    given = params(len(x) - 2, **changes)
    left, right = normal(*x), normal(*w)
    y = normal(*c.conv_p.bind(left, right, **given).shape)
    return [
        Sample(c.conv_p, left, right, name=name, **given),
        Sample(c.conv_input_grad_p, y, right, name=name, space=x[2:], **given),
        Sample(c.conv_weight_grad_p, left, y, name=name, window=w[2:], **given),
    ]


SAMPLES = [
    *family((2, 3, 5, 6), (4, 3, 3, 2), name="plain"),
    *family((2, 1, 6, 6), (1, 1, 3, 3), name="one-channel", padding=((1, 1), (0, 1))),
    *family((2, 8, 5, 5), (2, 8, 3, 3), name="few-outputs", padding=((1, 1), (1, 1))),
    *family((1, 2, 7, 6), (3, 2, 3, 2), name="strided", window_strides=(2, 3), padding=((1, 0), (-1, 2))),
    *family(
        (1, 2, 4, 3), (2, 2, 3, 2), name="dilated", lhs_dilation=(2, 3), rhs_dilation=(1, 2), padding=((2, 1), (1, 2))
    ),
    *family((2, 4, 5), (6, 2, 3), name="groups", feature_group_count=2, padding=((1, 1),)),
    *family((2, 3, 6), (3, 1, 3), name="depthwise", feature_group_count=3, window_strides=(2,)),
    *family((4, 2, 5), (4, 2, 2), name="image-groups", batch_group_count=2),
    *family((4, 2, 5), (4, 1, 2), name="both-groups", batch_group_count=2, feature_group_count=2),
    *family((2, 3, 4, 4), (2, 3, 1, 1), name="pointwise"),
    *family((1, 2, 3, 3, 3), (2, 2, 2, 2, 2), name="three"),
    *family((2, 3), (4, 3), name="no-space"),
    Sample(
        c.conv_p,
        normal(2, 2, 4) + 1j * normal(2, 2, 4),
        normal(2, 2, 2) + 1j * normal(2, 2, 2),
        name="complex",
        **params(1),
    ),
    Sample(c.conv_p, integers(-5, 5, 2, 2, 4), integers(-5, 5, 3, 2, 2), name="int", wrt=(), **params(1)),
    Sample(c.conv_p, normal(2, 2, 2), normal(3, 2, 3), name="empty-result", **params(1)),
]
