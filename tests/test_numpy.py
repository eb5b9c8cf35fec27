"""`fnets.numpy` against NumPy: values and dtypes, jit, vmap, and gradients against finite differences, for every public function."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
from numpy_cases import CASES, ELSEWHERE, Case

import fnets
import fnets.numpy as fnp
from fnets import tree

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture(autouse=True)
def double():
    """NumPy creates float64: so do we here, to compare dtypes."""
    with fnets.default_dtype("float64"):
        yield


def each(condition=lambda c: True):
    return pytest.mark.parametrize("c", [c for c in CASES if condition(c)], ids=repr)


def arrays_in(c: Case) -> list[int]:
    """Positions of array arguments."""
    return [i for i, a in enumerate(c.args) if isinstance(a, np.ndarray)]


def as_function(c: Case):
    """The call as a function of its array arguments."""
    positions, function = arrays_in(c), getattr(fnp, c.name)

    def call(*arrays):
        args = list(c.args)
        for i, a in zip(positions, arrays):
            args[i] = a
        return function(*args, **c.options)

    return call, [c.args[i] for i in positions]


def leaves(x) -> list:
    return [np.asarray(v) for v in tree.leaves(tree.map(lambda v: v, list(x) if isinstance(x, (tuple, list)) else x))]


def compare(got, expected, tol: float, types: bool = True) -> None:
    got, expected = leaves(got), leaves(expected)
    assert len(got) == len(expected)
    for a, b in zip(got, expected):
        assert a.shape == b.shape
        if types:
            assert a.dtype == b.dtype
        if a.dtype.kind in "fc":
            scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0.0)))
            np.testing.assert_allclose(a, b, rtol=tol, atol=tol * scale)
        else:
            np.testing.assert_array_equal(a, b)


def is_array_function(name: str) -> bool:
    f = getattr(fnp, name)
    return callable(f) and not isinstance(f, type)


def test_every_function_has_a_case():
    public = {n for n in fnp.__all__ if is_array_function(n)}
    assert not sorted(public - {c.name for c in CASES} - ELSEWHERE)


def test_every_public_name_exists_once():
    assert len(fnp.__all__) == len(set(fnp.__all__))
    assert all(hasattr(fnp, n) for n in fnp.__all__)


@each(lambda c: c.numpy is not None)
def test_equals_numpy(c: Case):
    with np.errstate(all="ignore"):
        compare(getattr(fnp, c.name)(*c.args, **c.options), c.numpy(*c.args, **c.options), c.tol, c.types)


@each(lambda c: c.jit)
def test_jit_equals_eager(c: Case):
    call, arrays = as_function(c)
    with np.errstate(all="ignore"):
        compare(fnets.jit(call)(*arrays), call(*arrays), min(c.tol, 1e-6))


@each(lambda c: c.vmap and arrays_in(c))
def test_vmap_equals_loop(c: Case):
    call, arrays = as_function(c)
    batches = [np.stack([a, np.flip(a), np.roll(a, 1)]) for a in arrays]
    with np.errstate(all="ignore"):
        try:
            loop = [leaves(call(*[b[k] for b in batches])) for k in range(3)]
        except (ValueError, TypeError):
            pytest.skip("the rearranged arguments are not valid")
        got = leaves(fnets.vmap(call)(*batches))
        compare(got, [np.stack([row[j] for row in loop]) for j in range(len(got))], max(c.tol, 1e-10))


def smooth(c: Case) -> bool:
    return c.grad and any(c.args[i].dtype == np.float64 and np.isfinite(c.args[i]).all() for i in arrays_in(c))


@each(smooth)
def test_gradient_equals_finite_differences(c: Case):
    call, arrays = as_function(c)
    wrt = [i for i, a in enumerate(arrays) if a.dtype == np.float64]
    weights = [np.random.default_rng(3).standard_normal(v.shape) for v in leaves(call(*arrays))]

    def loss(*parts):
        full = list(arrays)
        for i, p in zip(wrt, parts):
            full[i] = p
        out = call(*full)
        outs = list(out if isinstance(out, (list, tuple)) else [out])
        terms = [
            fnp.sum(fnp.real(v) * w) + fnp.sum(fnp.imag(v) * w)
            for v, w in zip(outs, weights)
            if fnp.asarray(v).dtype.kind in "fc"
        ]
        return sum(terms, 0.0) if terms else None

    points = [arrays[i] for i in wrt]
    if loss(*points) is None:
        pytest.skip("integer results carry no derivative")
    with np.errstate(all="ignore"):
        grads = fnets.grad(lambda *xs: loss(*xs) + 0.0 * fnp.sum(xs[0]), argnums=tuple(range(len(points))))(*points)
        direction = [np.random.default_rng(5).standard_normal(p.shape) for p in points]
        eps = 1e-6
        up = loss(*[p + eps * d for p, d in zip(points, direction)])
        down = loss(*[p - eps * d for p, d in zip(points, direction)])
    numeric = float((up - down) / (2 * eps))
    exact = float(sum(np.sum(g * d) for g, d in zip(grads, direction)))
    assert exact == pytest.approx(numeric, rel=1e-5, abs=1e-5 * max(1.0, abs(numeric)))
    assert all(g.shape == p.shape and g.dtype == p.dtype for g, p in zip(grads, points))


@each()
def test_arguments_do_not_change(c: Case):
    before = [a.copy() if isinstance(a, np.ndarray) else a for a in c.args]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(fnp, c.name)(*c.args, **c.options)
    for a, b in zip(c.args, before):
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)


OUT = [
    n
    for n in fnp.__all__
    if is_array_function(n)
    and not isinstance(getattr(fnp, n), np.ufunc)
    and n not in ELSEWHERE
    and "out" in inspect.signature(getattr(fnp, n)).parameters
]


@pytest.mark.parametrize("name", OUT)
def test_out_is_refused(name: str):
    c = next(c for c in CASES if c.name == name)
    with pytest.raises(fnets.errors.ArgumentError, match="out="):
        getattr(fnp, name)(*c.args, **{**c.options, "out": np.zeros(())})
