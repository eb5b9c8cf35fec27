"""The command line: `python -m fnets explain`, `python -m fnets doctor`."""

from __future__ import annotations

import platform

import numpy as np
import pytest

import fnets
from fnets.__main__ import doctor, explain, main


def test_doctor_tells_what_is_here():
    rows = dict(line.split(maxsplit=1) for line in doctor().splitlines() if " " in line)
    assert rows["fnets"] == fnets.__version__
    assert rows["NumPy"] == np.__version__
    assert platform.python_version() in rows["Python"]
    assert np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"] in rows["BLAS"]
    assert "numpy" in rows["backends"]


def test_doctor_knows_settings_and_extras():
    with fnets.config.using(debug_nans=True, default_dtype="float64"):
        text = doctor()
    lines = {line.rsplit("  (FNETS", 1)[0].strip() for line in text.splitlines()}
    assert any(line.startswith("setting debug_nans") and line.endswith("True") for line in lines)
    assert any(line.startswith("setting default_dtype") and line.endswith("float64") for line in lines)
    assert any(line.startswith("matplotlib") for line in text.splitlines())


def test_explain_lists_all_classes():
    text = explain(None)
    for name in ("ShapeError", "UnexpectedTracerError", "KeyReuseError"):
        assert any(line.startswith(name) for line in text.splitlines())


def test_explain_helps_with_a_wrong_name():
    with pytest.raises(SystemExit, match="TracerBoolConversionError"):
        explain("TracerBool")


def test_a_command_is_required(capsys):
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "explain" in capsys.readouterr().err
