"""Every error class explains itself: its wrong code raises it, its right code runs, `python -m fnets explain` shows both."""

from __future__ import annotations

import ast
import subprocess
import sys

import numpy as np
import pytest

import fnets
from fnets import __main__ as command_line
from fnets import errors

CLASSES = errors.error_classes()
ABSTRACT = {"FnetsError"}  # raised through its subclasses alone
ABSTRACT |= {"KernelBoundsError"}  # raised for kernels that are wrong, never for what a user writes


def run(code: str) -> None:
    """Run a snippet as a user's program would: its last line may be an expression."""
    namespace: dict = {"__name__": "snippet"}
    exec(errors.EXAMPLE_IMPORTS, namespace)
    exec(compile(ast.parse(code), "<snippet>", "exec"), namespace)


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = sys.modules.get("matplotlib.figure")
    yield
    sys.modules.pop("matplotlib.figure", None)
    if saved is not None:
        sys.modules["matplotlib.figure"] = saved


def test_every_class_has_cause_wrong_and_right_code():
    lacking = [n for n, c in CLASSES.items() if n not in ABSTRACT and not all(errors.explanation(c))]
    assert not lacking


@pytest.mark.parametrize("name", sorted(set(CLASSES) - ABSTRACT))
def test_wrong_code_raises_this_class(name: str):
    with pytest.raises(CLASSES[name]) as caught:
        run(errors.explanation(CLASSES[name]).wrong)
    assert type(caught.value) is CLASSES[name]


@pytest.mark.parametrize("name", sorted(set(CLASSES) - ABSTRACT))
def test_right_code_runs(name: str):
    if name == "MissingExtraError":
        pytest.importorskip("matplotlib")
    run(errors.explanation(CLASSES[name]).right)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_explain_shows_the_entry(name: str, capsys):
    assert command_line.main(["explain", name.lower()]) == 0
    shown = capsys.readouterr().out
    entry = errors.explanation(CLASSES[name])
    assert shown.startswith(name)
    for part in (*entry.cause.splitlines(), *entry.wrong.splitlines(), *entry.right.splitlines()):
        assert part in shown


def test_classes_derive_from_what_numpy_and_jax_raise():
    for name, builtin in {
        "ShapeError": ValueError, "DTypeError": TypeError, "AxisError": IndexError, "IndexingError": IndexError,
        "ConcretizationTypeError": TypeError, "NonFiniteError": FloatingPointError, "UnboundAxisError": NameError,
        "MissingExtraError": ImportError, "LinAlgError": np.linalg.LinAlgError, "NonConcreteBooleanIndexError": IndexError,
    }.items():  # fmt: skip
        assert issubclass(CLASSES[name], builtin)
        assert issubclass(CLASSES[name], errors.FnetsError)


def test_conceptual_errors_name_the_command():
    with pytest.raises(errors.TracerBoolConversionError, match="python -m fnets explain TracerBoolConversionError"):
        fnets.jit(lambda x: 1 if x else 2)(1.0)
    with pytest.raises(errors.ShapeError) as caught:
        fnets.numpy.matmul(np.ones((2, 3)), np.ones((2, 3)))
    assert "python -m fnets" not in str(caught.value)


def test_the_command_itself():
    done = subprocess.run([sys.executable, "-m", "fnets", "explain", "ShapeEror"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "perhaps ShapeError" in done.stderr
