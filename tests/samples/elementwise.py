"""Samples of fnets/primitives/elementwise.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, integers, normal, uniform

from fnets.primitives import elementwise as e

ANY = normal(2, 3)
POSITIVE = uniform(0.3, 3.0, 2, 3)
UNIT = uniform(-0.9, 0.9, 2, 3)
ABOVE_ONE = uniform(1.2, 3.0, 2, 3)
COMPLEX = normal(2, 3) + 1j * normal(2, 3)
INTS = integers(-9, 9, 2, 3)
BITS = integers(0, 64, 2, 3)

on_any = [
    "exp",
    "exp2",
    "expm1",
    "sin",
    "cos",
    "tan",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "logistic",
    "softplus",
    "erf",
    "erfc",
    "square",
    "neg",
    "sign",
    "abs",
    "relu",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "cbrt",
]
on_positive = ["log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "lgamma", "digamma"]
on_complex = [
    "exp",
    "log",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "square",
    "neg",
    "reciprocal",
    "abs",
    "real",
    "imag",
    "conj",
    "expm1",
    "logistic",
    "sign",
]


def _prim(name: str):
    return getattr(e, f"{name}_p")


SAMPLES = [
    *[Sample(_prim(n), ANY) for n in on_any],
    *[Sample(_prim(n), POSITIVE) for n in on_positive],
    *[Sample(_prim(n), UNIT) for n in ("asin", "acos", "atanh", "erf_inv")],
    Sample(e.acosh_p, ABOVE_ONE),
    *[Sample(_prim(n), COMPLEX) for n in on_complex],
    *[Sample(_prim(n), 0.7, name="weak") for n in ("sin", "exp", "logistic", "neg")],
    *[Sample(_prim(n), INTS, name="int") for n in ("neg", "abs", "sign", "square", "sin")],
    *[
        Sample(p, ANY, normal(2, 3))
        for p in (e.add_p, e.sub_p, e.mul_p, e.div_p, e.atan2_p, e.hypot_p, e.maximum_p, e.minimum_p)
    ],
    *[
        Sample(p, ANY, normal(3))
        for p in (e.add_p, e.sub_p, e.mul_p, e.div_p, e.maximum_p, e.fmax_p, e.fmin_p, e.copysign_p)
    ],
    *[Sample(p, normal(2, 1), normal(3)) for p in (e.add_p, e.mul_p, e.div_p, e.logaddexp_p, e.logaddexp2_p)],
    *[
        Sample(p, ANY, 1.5, name="weak")
        for p in (e.add_p, e.sub_p, e.mul_p, e.div_p, e.minimum_p, e.pow_p)
        if p is not e.pow_p
    ],
    *[Sample(p, COMPLEX, normal(3), name="mixed") for p in (e.add_p, e.sub_p, e.mul_p, e.div_p)],
    *[Sample(p, ANY.astype(np.float32), 2.5, wrt=(), name="f32weak") for p in (e.add_p, e.mul_p, e.gt_p)],
    Sample(e.pow_p, POSITIVE, normal(3)),
    Sample(e.pow_p, POSITIVE, 2.5),
    *[Sample(e.integer_pow_p, POSITIVE, y=y) for y in (0, 1, 2, 3, 4, 7, -1, -3)],
    Sample(e.integer_pow_p, INTS, y=2),
    Sample(e.remainder_p, uniform(1, 9, 2, 3), np.array([1.3, 2.6, 4.1])),
    Sample(e.fmod_p, uniform(-9, 9, 2, 3), np.array([1.3, 2.6, 4.1])),
    Sample(e.floor_divide_p, ANY, POSITIVE),
    Sample(e.zeta_p, np.array([2.0, 3.0, 4.5]), uniform(0.5, 3, 2, 3), wrt=(1,)),
    *[
        Sample(p, ANY, normal(3))
        for p in (
            e.eq_p,
            e.ne_p,
            e.lt_p,
            e.le_p,
            e.gt_p,
            e.ge_p,
            e.logical_and_p,
            e.logical_or_p,
            e.logical_xor_p,
            e.nextafter_p,
        )
    ],
    *[Sample(p, INTS, integers(-9, 9, 3)) for p in (e.and_p, e.or_p, e.xor_p, e.gcd_p, e.lcm_p)],
    *[Sample(p, BITS, integers(0, 5, 3)) for p in (e.shift_left_p, e.shift_right_p)],
    *[Sample(p, INTS) for p in (e.not_p, e.population_count_p)],
    *[Sample(p, ANY) for p in (e.logical_not_p, e.is_finite_p, e.is_nan_p, e.is_inf_p, e.signbit_p)],
    Sample(e.ldexp_p, ANY, integers(-3, 4, 3)),
    Sample(e.select_p, ANY > 0, normal(2, 3), normal(3)),
    Sample(e.select_p, ANY > 0, normal(2, 3), 1.0),
    Sample(e.clamp_p, np.float64(-0.5), ANY, np.float64(0.5)),
    Sample(e.clamp_p, normal(3) - 1, ANY, normal(3) + 1, wrt=(1,)),
    Sample(e.complex_p, ANY, normal(2, 3)),
    *[Sample(p, ANY, name="real") for p in (e.real_p, e.imag_p, e.conj_p)],
]
