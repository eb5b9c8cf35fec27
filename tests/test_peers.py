"""The benchmark against the peers: its verdicts, and its processes, which may fail or die."""

import os
import signal

import numpy as np
import pytest

from benchmarks.contender import Contender, Failed, Settings
from benchmarks.peers import Line, disagreement, memory
from benchmarks.workloads import WORKLOADS
from benchmarks.workloads.images import TUTORIAL


def test_ratio_is_of_medians_and_goals_are_judged_by_it():
    line = Line("w", 1, {"llvm": [1.0, 2.0, 9.0], "jax": [8.0, 4.0, 6.0], "torch": [3.0] * 3}, {"jax": 3, "torch": 2})
    assert line.ratio("jax") == 3.0
    assert line.misses() == ["torch"]
    assert line.cells()[:3] == ["w", "1", "2 s"]
    assert line.cells()[-1] == "no (PyTorch)"


def test_contender_that_failed_says_why_and_one_left_out_is_not_judged():
    line = Line("w", 1, {"llvm": [1.0], "jax": "its process died"}, {"jax": 3, "torch": 2}, limit=2.0)
    assert line.misses() == ["jax"]
    assert "its process died" in line.cells()
    assert line.cells()[-2:] == ["jax.jit 3x, <= 2 s", "no (jax.jit)"]
    assert line.record()["ratios"] == {"jax": None}


def test_failure_of_ours_is_no_success():
    line = Line("w", 1, {"llvm": "disagrees by 0.3", "jax": [1.0]}, {"jax": 3}, limit=2.0)
    assert line.misses() == ["jax", "limit"]
    assert "disagrees by 0.3" in line.cells()


def test_disagreement_of_values_shapes_and_dtypes():
    one = [[np.ones(3, np.float32)]]
    assert disagreement(one, [[np.full(3, 1.0005, np.float32)]], 1e-3) is None
    assert "by 0.5" in disagreement(one, [[np.full(3, 2, np.float32)]], 1e-3)
    assert "nan" in disagreement([[np.full(3, np.nan, np.float32)]], one, 1e-3)
    assert "float64[3]" in disagreement(one, [[np.ones(3)]], 1e-3)
    assert "float32[4]" in disagreement(one, [[np.ones(4, np.float32)]], 1e-3)


def test_goals_name_contenders():
    assert {name for w in WORKLOADS.values() for name in w.goals} == {"jax", "torch"}


def test_contender_runs_fails_dies_and_starts_again(tmp_path):
    with Contender(Settings("numpy", 1, str(tmp_path))) as contender:
        contender.ask("take_up", TUTORIAL.name)
        losses = [float(arrays[0]) for arrays in contender.ask("results", 2)]
        assert losses[1] < losses[0]
        assert contender.ask("time", 0.01) > 0
        with pytest.raises(Failed, match="KeyError"):
            contender.ask("take_up", "no such workload")
        os.kill(contender._process.pid, signal.SIGKILL)
        with pytest.raises(Failed, match="died"):
            contender.ask("time", 0.01)
        contender.ask("take_up", TUTORIAL.name)
        assert contender.ask("compile") > 0


def test_memory_of_a_contender():
    line = memory(TUTORIAL, ["numpy"], 1, channels_last=True)
    assert 0 < line.median("numpy") < 1e9
