"""Samples of fnets/primitives/indexing.py and gather.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, integers, normal

from fnets.primitives import gather as g
from fnets.primitives import indexing as ix
from fnets.primitives.index_arrays import gathered_shape
from fnets.primitives.index_specs import spec_shape

X = normal(4, 5, 6)
REPEATED = np.array([2, 0, 2, 1, -1])
PAIR = np.array([[0], [3], [0]])  # broadcasts against the five columns
APART = np.array([5, 1, 1, -2, 0])
UNIQUE = np.array([3, 0, -1])
OUTSIDE = np.array([2, 9, 0, -1, 2])  # with drop, -1 is outside too


def gather(x, *indices, axes, unique=False, **options):
    return Sample(g.gather_p, x, *indices, axes=axes, unique=unique, **options)


def transposed(shape, *indices, axes, unique=False):
    u = normal(*gathered_shape(shape, np.broadcast_shapes(*[np.shape(i) for i in indices]), axes))
    return Sample(g.gather_transpose_p, u, *indices, shape=shape, axes=axes, unique=unique)


def scatter(op, x, *indices, axes, u=None, drop=False, unique=False, **options):
    if u is None:
        u = normal(*gathered_shape(x.shape, np.broadcast_shapes(*[np.shape(i) for i in indices]), axes))
    return Sample(g.scatter_p, x, u, *indices, axes=axes, op=op, drop=drop, unique=unique, **options)


OPS = ("set", "add", "mul", "min", "max")
SPECS = [
    (1,),
    (None, 2),
    ((0, 4, 2), None, 3),
    ((3, None, -1), 0, (4, 0, -2)),
    (0, 1, 2),
    ((0, 0, 1),),
    ((0, 4, 1), (1, 4, 1), None),
]

SAMPLES = [
    *[Sample(ix.getitem_p, X, spec=s) for s in SPECS],
    Sample(ix.getitem_p, np.float64(1.5), spec=(None,)),
    Sample(ix.getitem_p, integers(0, 9, 3), spec=((2, 0, -1),)),
    *[Sample(ix.place_p, normal(*spec_shape(X.shape, s)), spec=s, shape=X.shape) for s in SPECS],
    *[Sample(ix.update_p, X, normal(*spec_shape(X.shape, s)), spec=s, op=op) for s in SPECS for op in ("set", "add")],
    # windows inside, at the border, negative, past the end, whole
    *[
        Sample(ix.dynamic_slice_p, X, *map(np.int64, s), slice_sizes=z)
        for s, z in [((1, 2, 0), (2, 3, 6)), ((-1, 9, 4), (2, 1, 2)), ((0, -99, 3), (4, 5, 1))]
    ],
    Sample(ix.dynamic_slice_p, X, 1, 2, 3, slice_sizes=(2, 2, 2), name="weak"),
    Sample(ix.dynamic_slice_p, integers(0, 9, 5), np.int32(2), slice_sizes=(2,)),
    *[
        Sample(ix.dynamic_update_slice_p, X, normal(*z), *map(np.int64, s))
        for s, z in [((1, 2, 0), (2, 3, 6)), ((-1, 9, 4), (2, 1, 2)), ((0, 0, 0), (4, 5, 6))]
    ],
    gather(X, REPEATED, axes=(0,)),
    gather(X, REPEATED, axes=(1,)),
    gather(X, PAIR, APART, axes=(0, 2)),
    gather(X, PAIR, REPEATED, axes=(0, 1)),
    gather(X, REPEATED, APART, axes=(1, 2)),
    gather(X, PAIR, REPEATED, APART, axes=(0, 1, 2)),
    gather(X, np.int64(2), axes=(1,), name="scalar"),
    gather(X, np.int64(2), np.int32(-1), axes=(0, 2), name="scalars"),
    gather(X, UNIQUE, axes=(2,), unique=True),
    gather(X, np.zeros((0, 2), int), axes=(0,)),
    gather(normal(4, 1), np.array([3, 3], np.uint8), axes=(0,)),
    gather(X.transpose(2, 0, 1), REPEATED, axes=(1,), name="strided"),
    gather(integers(0, 9, 5), REPEATED, axes=(0,)),
    transposed((4, 5, 6), REPEATED, axes=(0,)),
    transposed((4, 5, 6), REPEATED, axes=(1,)),
    transposed((4, 5, 5), REPEATED, axes=(1,)),
    transposed((4, 5, 6), PAIR, APART, axes=(0, 2)),
    transposed((4, 5, 6), PAIR, REPEATED, APART, axes=(0, 1, 2)),
    transposed((4, 5, 6), np.int64(1), axes=(1,)),
    transposed((4, 5, 6), UNIQUE, axes=(2,), unique=True),
    *[scatter(op, X, REPEATED, axes=(0,)) for op in OPS],
    *[scatter(op, X, REPEATED, axes=(1,)) for op in OPS],
    *[scatter(op, X, PAIR, APART, axes=(0, 2)) for op in OPS],
    *[scatter(op, X, PAIR, REPEATED, APART, axes=(0, 1, 2)) for op in OPS],
    *[scatter(op, X, np.int64(-1), axes=(1,), name="scalar") for op in OPS],
    *[scatter(op, X, UNIQUE, axes=(1,), unique=True) for op in OPS],
    *[scatter(op, X, OUTSIDE, axes=(1,), drop=True, name="drop") for op in OPS],
    *[scatter(op, X, np.array([1, 7, 3]), axes=(2,), drop=True, unique=True, name="drop") for op in OPS],
    *[scatter(op, normal(6), REPEATED, axes=(0,)) for op in OPS],
    *[scatter(op, integers(-5, 5, 6), REPEATED, axes=(0,), u=integers(-5, 5, 5), name="int") for op in OPS],
    scatter("add", normal(4, 6) + 1j, REPEATED, axes=(0,), u=normal(5, 6) * 1j, name="complex"),
    scatter("add", normal(3, 1030), np.array([1, 1, 0]), axes=(0,), order=1, name="long"),
    scatter(
        "mul",
        np.array([2.0, 0.0, 1.0]),
        np.array([0, 0, 1, 1]),
        axes=(0,),
        u=np.array([0.0, 3.0, 2.0, 0.0]),
        order=1,
        name="zeros",
    ),
]
