"""`fnets.scipy.spatial.transform`: rotations in space, and interpolation between them. May import `fnets.numpy`, primitives, core.

A rotation is a quaternion (x, y, z, w) of length 1, or an array of them; formulas in Shuster, "A survey of attitude representations" (Journal of
the Astronautical Sciences 41, 1993), that of Euler angles in Bernardes and Viollet, PLOS ONE 17 (2022). Both classes are named tuples,
hence pytrees: they pass through every transformation, and all methods are differentiable.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy.arguments import promoted, to_array, to_inexact
from fnets.numpy.indexing import at
from fnets.numpy.linalg import eigh
from fnets.numpy.linear import cross
from fnets.numpy.norms import norm
from fnets.numpy.sorting import searchsorted
from fnets.primitives import elementwise as e
from fnets.primitives.base import convert
from fnets.primitives.gather import index_gather
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.reduce import argmax
from fnets.primitives.shape import concatenate, expand_dims, stack
from fnets.primitives.solvers import mT
from fnets.random.basic import normal

__all__ = ["Rotation", "Slerp"]

_SMALL = 1e-3  # angles up to which series take the place of quotients


def _parts(x: Any) -> list:
    return [x[..., i] for i in range(shape_of(x)[-1])]


def _check_last(op: str, x: Any, core: tuple[int, ...]) -> Any:
    x = to_inexact(x)
    if shape_of(x)[-len(core) :] != core:
        raise ShapeError(
            f"[{op}] expected an array of shape (..., {', '.join(map(str, core))}), got shape {shape_of(x)}."
        )
    return x


def _scaled(x: Any, factor: Any) -> Any:
    return e.mul(x, expand_dims(factor, -1))


def _unit(quat: Any) -> Any:
    return e.div(quat, norm(quat, axis=-1, keepdims=True))


def _product(p: Any, q: Any) -> Any:
    """The quaternion of the rotation q followed by p."""
    pv, pw, qv, qw = p[..., :3], p[..., 3:], q[..., :3], q[..., 3:]
    vector = e.add(e.add(e.mul(pw, qv), e.mul(qw, pv)), cross(pv, qv))
    dots = e.mul(pv, qv)
    scalar = e.sub(e.mul(pw, qw), e.add(e.add(dots[..., 0:1], dots[..., 1:2]), dots[..., 2:3]))
    return concatenate([vector, scalar], len(shape_of(vector)) - 1)


def _conjugated(quat: Any) -> Any:
    return e.mul(quat, np.array([-1, -1, -1, 1], dtype_of(quat)))


def _axes_of(op: str, seq: str, most: int, least: int) -> tuple[list[int], bool]:
    """Axes as numbers, and whether they turn with the body (capital letters)."""
    if not re.fullmatch(f"[xyz]{{{least},{most}}}|[XYZ]{{{least},{most}}}", seq):
        count = str(most) if most == least else f"{least} to {most}"
        raise ArgumentError(
            f"[{op}] expected {count} axes, all of 'xyz' (fixed) or all of 'XYZ' (turning along), got {seq!r}."
        )
    axes = ["xyz".index(c) for c in seq.lower()]
    if any([a == b for a, b in zip(axes, axes[1:])]):
        raise ArgumentError(f"[{op}] expected neighbouring axes that differ, got {seq!r}. Add the two angles.")
    return axes, seq.isupper()


class Rotation(NamedTuple):
    """A rotation, or several.

    quat: quaternions (..., 4) of length 1, the scalar last. Make it with one of the `from_` methods.

    >>> r = Rotation.from_euler("z", 90.0, degrees=True)
    >>> r.apply(np.array([1.0, 0.0, 0.0])).round(6) + 0.0
    array([0., 1., 0.])
    """

    quat: Any

    @classmethod
    def concatenate(cls, rotations: Sequence[Rotation]) -> Rotation:
        """Several rotations in one."""
        quats = promoted(*[r.quat for r in rotations])
        return cls(concatenate([q if len(shape_of(q)) > 1 else expand_dims(q, 0) for q in quats], 0))

    @classmethod
    def from_euler(cls, seq: str, angles: Any, degrees: bool = False) -> Rotation:
        """From angles about coordinate axes, one after the other.

        Args:
          seq: 1 to 3 letters: "xyz" for the fixed axes, "XYZ" for those that turn along.
          angles: array (..., len(seq)); for one axis also a scalar.
          degrees: the angles are in degrees.
        """
        axes, turning = _axes_of("from_euler", seq, 3, 1)
        angles = to_inexact(angles)
        n = len(axes)
        if not shape_of(angles):
            angles = expand_dims(angles, 0)
        angles = _check_last("from_euler", angles, (n,))
        half = e.mul(angles, math.pi / 360 if degrees else 0.5)
        sines, cosines = e.sin(half), e.cos(half)
        quat = None
        for i, axis in enumerate(axes):
            basis = np.eye(4, dtype=dtype_of(half))
            one = e.add(_scaled(basis[axis], sines[..., i]), _scaled(basis[3], cosines[..., i]))
            quat = one if quat is None else _product(quat, one) if turning else _product(one, quat)
        return cls(quat)

    @classmethod
    def from_matrix(cls, matrix: Any) -> Rotation:
        """From rotation matrices (..., 3, 3)."""
        m = _check_last("from_matrix", matrix, (3, 3))
        # the outer product of the quaternion with itself, four times; of its rows the one with the largest element is the most accurate
        d = [m[..., i, i] for i in range(3)]
        trace = e.add(e.add(d[0], d[1]), d[2])

        def plus(i: int, j: int) -> Any:
            return e.add(m[..., i, j], m[..., j, i])

        def minus(i: int, j: int) -> Any:
            return e.sub(m[..., i, j], m[..., j, i])

        squares = [e.add(e.sub(1, trace), e.mul(2, x)) for x in d]
        vector = [minus(2, 1), minus(0, 2), minus(1, 0)]
        rows = [[squares[i] if i == j else plus(i, j) for j in range(3)] + [vector[i]] for i in range(3)]
        rows.append([*vector, e.add(1, trace)])
        best = expand_dims(argmax(stack([*d, trace], -1), len(shape_of(trace))), -1)
        quat = stack(rows[3], -1)
        for i in range(3):
            quat = e.select(e.eq(best, i), stack(rows[i], -1), quat)
        return cls(_unit(quat))

    @classmethod
    def from_mrp(cls, mrp: Any) -> Rotation:
        """From modified Rodrigues parameters (..., 3): the axis times the tangent of a quarter of the angle."""
        mrp = _check_last("from_mrp", mrp, (3,))
        x, y, z = _parts(e.square(mrp))
        size = expand_dims(e.add(e.add(x, y), z), -1)
        quat = concatenate([e.mul(2, mrp), e.sub(1, size)], len(shape_of(mrp)) - 1)
        return cls(e.div(quat, e.add(1, size)))

    @classmethod
    def from_quat(cls, quat: Any) -> Rotation:
        """From quaternions (..., 4) of any length but zero, the scalar last."""
        return cls(_unit(_check_last("from_quat", quat, (4,))))

    @classmethod
    def from_rotvec(cls, rotvec: Any, degrees: bool = False) -> Rotation:
        """From axes times angles (..., 3)."""
        v = _check_last("from_rotvec", rotvec, (3,))
        if degrees:
            v = e.mul(v, math.pi / 180)
        x, y, z = _parts(e.square(v))
        square = e.add(e.add(x, y), z)
        small = e.lt(square, _SMALL**2)
        angle = e.sqrt(e.select(small, e.fill_like(square, 1), square))
        series = e.add(0.5, e.mul(square, e.sub(e.mul(square, 1 / 3840), 1 / 48)))
        factor = e.select(small, series, e.div(e.sin(e.mul(angle, 0.5)), angle))
        near = e.add(1, e.mul(square, e.sub(e.mul(square, 1 / 384), 1 / 8)))
        cosine = e.select(small, near, e.cos(e.mul(angle, 0.5)))
        return cls(concatenate([_scaled(v, factor), expand_dims(cosine, -1)], len(shape_of(v)) - 1))

    @classmethod
    def identity(cls, num: int | None = None, dtype: Any = float) -> Rotation:
        """The rotation that turns nothing, `num` times."""
        quat = np.array([0, 0, 0, 1], dtype)
        return cls(quat if num is None else np.tile(quat, (num, 1)))

    @classmethod
    def random(cls, random_key: Any, num: int | None = None) -> Rotation:
        """Rotations, all equally likely, from a key of `fnets.random`."""
        return cls(_unit(normal(random_key, (4,) if num is None else (num, 4))))

    @property
    def single(self) -> bool:
        """Whether this is one rotation, not an array of them."""
        return len(shape_of(self.quat)) == 1

    def __getitem__(self, indexer: Any) -> Rotation:  # type: ignore[override]
        if self.single:
            raise TypeError("[Rotation] expected several rotations to take some of, got a single one. Use it as it is.")
        return Rotation(at(self.quat)[indexer].get())

    def __len__(self) -> int:
        if self.single:
            raise TypeError("[Rotation] expected several rotations to count, got a single one.")
        return shape_of(self.quat)[0]

    def __mul__(self, other: Rotation) -> Rotation:  # type: ignore[override]
        """The rotation `other`, followed by this one."""
        return Rotation(_unit(_product(*promoted(self.quat, other.quat))))

    def apply(self, vectors: Any, inverse: bool = False) -> Any:
        """The vectors (..., 3), turned; with `inverse` turned back. Leading axes broadcast against those of the rotation."""
        m, v = promoted(self.as_matrix(), _check_last("apply", vectors, (3,)))
        m = e.select(to_array(inverse), mT(m), m) if not isinstance(inverse, bool) else mT(m) if inverse else m
        return matmul(m, expand_dims(v, -1))[..., 0]

    def as_euler(self, seq: str, degrees: bool = False) -> Any:
        """Angles (..., 3) about three axes, as `from_euler` takes them.

        The middle one is in [0, pi] if the outer axes are equal, else in [-pi/2, pi/2]. Where it is at an end only the sum or the difference of
        the others is determined: the last one is then 0.
        """
        axes, turning = _axes_of("as_euler", seq, 3, 3)
        q = _parts(self.quat)
        i, j, k = axes[::-1] if turning else axes
        equal = i == k
        if equal:
            k = 3 - i - j
        sign = (i - j) * (j - k) * (k - i) // 2
        if equal:
            a, b, c, d = q[3], q[i], q[j], e.mul(q[k], sign)
        else:
            a, b = e.sub(q[3], q[j]), e.add(q[i], e.mul(q[k], sign))
            c, d = e.add(q[j], q[3]), e.sub(e.mul(q[k], sign), q[i])
        middle = e.mul(2, e.atan2(_hypot(c, d), _hypot(a, b)))
        half_sum, half_difference = e.atan2(b, a), e.atan2(d, c)
        at_zero, at_pi = e.lt(middle, 1e-7), e.gt(middle, math.pi - 1e-7)
        first = e.sub(half_sum, half_difference)
        third = e.add(half_sum, half_difference)
        free = e.select(at_zero, e.mul(2, half_sum), e.mul(half_difference, 2 if turning else -2))
        locked = e.logical_or(at_zero, at_pi)
        if turning:
            first, third = e.select(locked, e.fill_like(first, 0), first), e.select(locked, free, third)
        else:
            first, third = e.select(locked, free, first), e.select(locked, e.fill_like(third, 0), third)
        if not equal:
            third, middle = e.mul(third, sign), e.sub(middle, math.pi / 2)
        angles = [third, middle, first] if turning else [first, middle, third]
        out = stack([_wrapped(x) for x in angles], -1)
        return e.mul(out, 180 / math.pi) if degrees else out

    def as_matrix(self) -> Any:
        """Rotation matrices (..., 3, 3)."""
        x, y, z, w = _parts(self.quat)

        def twice(a: Any, b: Any, c: Any, d: Any, sign: int) -> Any:
            first, second = e.mul(a, b), e.mul(c, d)
            return e.mul(2, e.add(first, second) if sign > 0 else e.sub(first, second))

        x2, y2, z2, w2 = e.square(x), e.square(y), e.square(z), e.square(w)
        rows = [
            [e.sub(e.add(x2, w2), e.add(y2, z2)), twice(x, y, z, w, -1), twice(x, z, y, w, 1)],
            [twice(x, y, z, w, 1), e.sub(e.add(y2, w2), e.add(x2, z2)), twice(y, z, x, w, -1)],
            [twice(x, z, y, w, -1), twice(y, z, x, w, 1), e.sub(e.add(z2, w2), e.add(x2, y2))],
        ]
        return stack([stack(row, -1) for row in rows], -2)

    def as_mrp(self) -> Any:
        """Modified Rodrigues parameters (..., 3) of the way that is at most half a turn."""
        q = self._short()
        return e.div(q[..., :3], e.add(1, q[..., 3:]))

    def as_rotvec(self, degrees: bool = False) -> Any:
        """Axes times angles (..., 3), the angles in [0, pi]."""
        q = self._short()
        x, y, z = _parts(e.square(q[..., :3]))
        square = e.add(e.add(x, y), z)
        small = e.lt(square, (_SMALL / 2) ** 2)
        sine = e.sqrt(e.select(small, e.fill_like(square, 1), square))
        series = e.add(2, e.mul(square, e.add(1 / 3, e.mul(square, 3 / 20))))  # of 2 arcsin(s) / s
        factor = e.select(small, series, e.div(e.mul(2, e.atan2(sine, q[..., 3])), sine))
        out = _scaled(q[..., :3], factor)
        return e.mul(out, 180 / math.pi) if degrees else out

    def as_quat(self, canonical: bool = False, scalar_first: bool = False) -> Any:
        """Quaternions (..., 4); canonical ones have a positive scalar or, where it is 0, a positive first element that is not 0."""
        q = self.quat
        if canonical:
            x, y, z, w = _parts(q)
            lead = w
            for part in (x, y, z):
                lead = e.select(e.eq(lead, 0), part, lead)
            q = _scaled(q, e.select(e.lt(lead, 0), e.fill_like(lead, -1), e.fill_like(lead, 1)))
        return concatenate([q[..., 3:], q[..., :3]], len(shape_of(q)) - 1) if scalar_first else q

    def inv(self) -> Rotation:
        """The rotations back."""
        return Rotation(_conjugated(self.quat))

    def magnitude(self) -> Any:
        """The angles, in [0, pi]."""
        return e.mul(2, e.atan2(norm(self.quat[..., :3], axis=-1), e.abs(self.quat[..., 3])))

    def mean(self, weights: Any = None) -> Rotation:
        """The rotation with the smallest weighted sum of squared distances to these (Markley et al., Averaging quaternions, 2007)."""
        n = len(self)
        w = np.ones(n, dtype_of(self.quat)) if weights is None else convert(to_array(weights), dtype_of(self.quat))
        if shape_of(w) != (n,):
            raise ShapeError(f"[mean] expected one weight for each of {n} rotations, got shape {shape_of(w)}.")
        return Rotation(eigh(matmul(self.quat.T, e.mul(w[:, None], self.quat)))[1][:, -1])

    def _short(self) -> Any:
        """The quaternions of the shorter way around."""
        w = self.quat[..., 3:]
        return e.mul(self.quat, e.select(e.lt(w, 0), e.fill_like(w, -1), e.fill_like(w, 1)))


def _hypot(a: Any, b: Any) -> Any:
    """The length of (a, b), whose slope at zero is 0."""
    return norm(stack([a, b], -1), axis=-1)


def _wrapped(angle: Any) -> Any:
    """The same angle in [-pi, pi]."""
    turn = e.select(e.gt(angle, math.pi), e.fill_like(angle, -2 * math.pi), e.fill_like(angle, 0))
    return e.add(angle, e.select(e.lt(angle, -math.pi), e.fill_like(angle, 2 * math.pi), turn))


class Slerp(NamedTuple):
    """Interpolation between rotations with constant angular velocity; make it with `Slerp.init`.

    times: (n,); timedelta: (n - 1,), between them; rotations: the first n - 1; rotvecs: (n - 1, 3), from each to the next.

    >>> s = Slerp.init([0.0, 1.0], Rotation.from_euler("z", np.array([[0.0], [90.0]]), degrees=True))
    >>> s(0.5).as_euler("xyz", degrees=True).round(6)
    array([ 0.,  0., 45.])
    """

    times: Any
    timedelta: Any
    rotations: Rotation
    rotvecs: Any

    @classmethod
    def init(cls, times: Any, rotations: Rotation) -> Slerp:
        """From increasing times (n,) and as many rotations, at least two.

        Raises:
          ArgumentError: no rotations, or a single one.
          ShapeError: not one time for each.
        """
        if not isinstance(rotations, Rotation) or rotations.single or len(rotations) < 2:
            raise ArgumentError(
                f"[Slerp] expected a Rotation with at least two rotations, got {type(rotations).__name__}."
            )
        quat = rotations.quat
        times = convert(to_array(times), dtype_of(quat))
        if shape_of(times) != (len(rotations),):
            raise ShapeError(
                f"[Slerp] expected one time for each of {len(rotations)} rotations, got {shape_of(times)}."
            )
        begin = Rotation(quat[:-1])
        return cls(times, e.sub(times[1:], times[:-1]), begin, (begin.inv() * Rotation(quat[1:])).as_rotvec())

    def __call__(self, times: Any) -> Rotation:
        """The rotations at a time, or at several (k,); beyond the ends the first and the last motion go on."""
        t = convert(to_array(times), dtype_of(self.times))
        if len(shape_of(t)) > 1:
            raise ShapeError(f"[Slerp] expected a time or a vector of times, got shape {shape_of(t)}.")
        last = np.int64(shape_of(self.timedelta)[0] - 1)
        i = e.clamp(np.int64(0), e.sub(searchsorted(self.times, t), 1), last)
        begin, length, quat, rotvec = [
            index_gather(x, (i,), (0,)) for x in (self.times, self.timedelta, self.rotations.quat, self.rotvecs)
        ]
        return Rotation(quat) * Rotation.from_rotvec(_scaled(rotvec, e.div(e.sub(t, begin), length)))
