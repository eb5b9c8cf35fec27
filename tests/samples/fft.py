"""Samples of fnets/primitives/fft.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, normal

from fnets.primitives.fft import fft_p
from samples.solvers import complex_normal

NORMS = ("backward", "ortho", "forward")


def fft(x, kind, axes, length=None, norm="backward", **options) -> Sample:
    length = x.shape[axes[-1]] if length is None else length
    return Sample(fft_p, x, kind=kind, axes=axes, length=length, norm=norm, **options)


SAMPLES = [
    *[
        fft(complex_normal(5), kind, (0,), norm=norm, name=f"{kind}-{norm}")
        for kind in ("fft", "ifft")
        for norm in NORMS
    ],
    *[fft(normal(n), "rfft", (0,), norm=norm, name=f"rfft-{norm}") for n in (5, 6) for norm in NORMS],
    *[fft(complex_normal(4), "irfft", (0,), n, norm, name=f"irfft{n}-{norm}") for n in (6, 7) for norm in NORMS],
    fft(normal(2, 3), "fft", (1,), name="real"),
    fft(normal(2, 3), "ifft", (0, 1), name="real2"),
    fft(complex_normal(2, 3, 4), "fft", (2, 0), name="axes"),
    fft(normal(2, 3, 4), "rfft", (2, 0), norm="ortho", name="rfft2"),
    fft(normal(2, 4, 3), "rfft", (0, 1, 2), norm="forward", name="rfft3"),
    fft(complex_normal(2, 3, 4), "irfft", (1, 0), 3, name="irfft2"),
    fft(complex_normal(2, 3, 3), "irfft", (0, 1, 2), 4, "ortho", name="irfft3"),
    *[fft(normal(1), kind, (0,), 1, name=f"one-{kind}") for kind in ("fft", "rfft")],
    fft(complex_normal(1), "irfft", (0,), 1, name="one-irfft"),
    fft(np.zeros((0, 3)), "rfft", (1,), name="empty"),
    fft(np.zeros(0), "fft", (0,), name="no_points"),
    fft(normal(4).astype(np.float32), "rfft", (0,), wrt=(), name="single"),
    fft(normal(4).astype(np.float16), "fft", (0,), wrt=(), name="half"),
]
