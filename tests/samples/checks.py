"""Samples of fnets/control/checks.py."""

from __future__ import annotations

import numpy as np
from harness import Sample

from fnets.control.checks import error_if_p

SAMPLES = [
    Sample(error_if_p, np.int32(0), np.array([False, False]), batch=(1,), message="never", spec=None),
]
