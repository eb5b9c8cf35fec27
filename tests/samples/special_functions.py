"""Samples of fnets/primitives/special_functions.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, normal, uniform

from fnets.primitives import special_functions as f

ANY, POSITIVE = normal(2, 3), uniform(0.3, 3.0, 2, 3)
WITH_ZERO = np.array([-1.5, 0.0, 0.7, 12.0])

SAMPLES = [
    Sample(f.polygamma_p, np.array([1, 2, 3]), POSITIVE),
    Sample(f.polygamma_p, 1, POSITIVE, name="weak"),
    Sample(f.igamma_p, POSITIVE, uniform(0.3, 3, 3), order=1),
    Sample(f.igamma_p, POSITIVE, uniform(0.3, 3, 3), wrt=(1,), name="x"),
    Sample(f.igamma_p, np.array([1.0, 2.5]), np.array([0.0, 0.5]), wrt=(), name="at_zero"),
    Sample(f.igammac_p, POSITIVE, uniform(0.3, 3, 3), order=1),
    Sample(f.igammac_p, POSITIVE, uniform(0.3, 3, 3), wrt=(1,), name="x"),
    Sample(f.igamma_grad_a_p, POSITIVE, uniform(0.3, 3, 3), wrt=(1,)),
    Sample(f.betainc_p, POSITIVE, uniform(0.5, 3, 3), uniform(0.1, 0.9, 2, 1), wrt=(2,)),
    Sample(f.betainc_p, 2.0, 3.0, uniform(0.1, 0.9, 4).astype(np.float32), wrt=(), name="weak"),
    *[Sample(p, WITH_ZERO) for p in (f.bessel_i0_p, f.bessel_i1_p, f.bessel_j0_p, f.bessel_j1_p)],
    *[Sample(p, np.array([-1.5, 0.7, 12.0])) for p in (f.bessel_i0e_p, f.bessel_i1e_p)],
    *[Sample(p, np.array([0.4, 3.0, 12.0])) for p in (f.bessel_y0_p, f.bessel_y1_p)],
    Sample(f.bessel_jn_p, np.array([0, 1, 2, 5]), np.array([[0.5, 1.5, 2.5, 3.5], [20.0, 12.0, 9.0, 8.0]])),
    Sample(f.bessel_yn_p, np.array([0, 1, 2, 5]), np.array([[0.5, 1.5, 2.5, 3.5], [20.0, 12.0, 9.0, 8.0]])),
    Sample(f.ndtr_p, ANY),
    Sample(f.ndtri_p, uniform(0.1, 0.9, 2, 3)),
    Sample(f.log_ndtr_p, np.array([-30.0, -3.0, 0.0, 3.0])),
    Sample(f.expi_p, np.array([-1.5, 0.7, 9.0]), tol=1e-5),
    Sample(f.exp1_p, POSITIVE),
    Sample(f.expn_p, np.array([1, 2, 3]), POSITIVE),
    Sample(f.expn_p, 0, POSITIVE, name="weak"),
    Sample(f.spence_p, POSITIVE),
    Sample(f.spence_p, 0.5, name="weak"),
    Sample(f.xlogy_p, ANY, POSITIVE),
    Sample(f.xlogy_p, np.array([0.0, 2.0]), np.array([0.5, 0.5]), name="zero"),
    Sample(f.xlogy_p, np.array([0.0, 0.0, 1.0]), np.array([0.0, np.inf, 0.0]), wrt=(), name="limits"),
    Sample(f.xlogy_p, 2.0, POSITIVE.astype(np.float32), wrt=(), name="weak"),
    Sample(f.xlogy_p, POSITIVE.astype(np.float32), 2.0, wrt=(), name="weak_y"),
    Sample(f.xlog1py_p, ANY, POSITIVE),
    Sample(f.xlog1py_p, np.array([0.0, 0.0]), np.array([-1.0, 1.0]), wrt=(), name="limits"),
    Sample(f.student_t_cdf_p, POSITIVE, ANY, wrt=(1,)),
    Sample(f.student_t_cdf_p, 3.0, np.array([-40.0, 0.0, 1.0, 30.0]), name="tails"),
    Sample(f.wofz_p, np.array([0.3 + 0.2j, -1.0 + 2.0j, 3.3 - 0.4j])),
    Sample(f.erfcx_p, np.array([-1.5, 0.0, 0.7, 12.0])),
    Sample(f.erfcx_p, np.array([0.3 + 0.2j, -1.0 + 2.0j]), name="complex"),
    *[Sample(p, np.array([-1.5, 0.1, 0.7, 2.6])) for p in (f.dawsn_p, f.fresnel_s_p, f.fresnel_c_p, f.si_p)],
    Sample(f.ci_p, np.array([0.4, 3.0, 12.0])),
    Sample(f.owens_t_p, ANY, np.array([0.5, -2.0, 3.0])),
    Sample(f.hyp1f1_p, POSITIVE, uniform(0.3, 3, 3), ANY, order=1),
    Sample(f.hyp1f1_p, POSITIVE, uniform(0.3, 3, 3), ANY, wrt=(2,), name="x"),
    Sample(f.hyp1f1_grad_a_p, POSITIVE, POSITIVE, ANY, wrt=()),
    Sample(f.hyp1f1_grad_b_p, POSITIVE, POSITIVE, ANY, wrt=()),
    Sample(f.hyp2f1_p, POSITIVE, uniform(0.3, 3, 3), POSITIVE, uniform(-2, 0.9, 2, 3), order=1),
    Sample(f.hyp2f1_p, POSITIVE, uniform(0.3, 3, 3), POSITIVE, uniform(-2, 0.9, 2, 3), wrt=(3,), name="x"),
    Sample(f.hyp2f1_grad_a_p, POSITIVE, POSITIVE, POSITIVE, uniform(-2, 0.9, 2, 3), wrt=()),
    Sample(f.hyp2f1_grad_c_p, POSITIVE, POSITIVE, POSITIVE, uniform(-2, 0.9, 2, 3), wrt=()),
]
