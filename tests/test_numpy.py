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
from fnets.errors import DTypeError

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


# ------------------------------------------------------------------ dtypes of what is created, and of scalars


@pytest.fixture
def single():
    with fnets.default_dtype("float32"):
        yield


@pytest.mark.usefixtures("single")
class TestDefaultFloat:
    def test_created_arrays_are_float32(self):
        made = [
            fnp.zeros(2), fnp.ones(2), fnp.empty(2), fnp.full(2, 0.1), fnp.eye(2), fnp.identity(2), fnp.tri(2), fnp.linspace(0, 1, 3),
            fnp.arange(3.0), fnp.arange(0, 1, 0.1), fnp.logspace(0, 1, 3), fnp.geomspace(1, 4, 3), fnp.asarray(0.1), fnp.array([[0.1], [2]]),
            fnp.asarray((1.0, 2)), fnp.hanning(3), fnp.mgrid[0:1:3j], fnp.r_[0.0:1.0:0.5], fnp.full((2,), 1.5), fnp.stack([0.1, 0.2]),
            fnp.where(np.array([True]), 1.0, 0.0),
        ]  # fmt: skip
        assert [x.dtype.name for x in made] == ["float32"] * len(made)
        assert fnp.asarray(1j).dtype == fnp.array([1j, 2.0]).dtype == np.complex64

    def test_integers_and_booleans_are_numpys(self):
        for x, dtype in (
            (fnp.arange(3), "int64"),
            (fnp.asarray([1, 2]), "int64"),
            (fnp.full(2, 7), "int64"),
            (fnp.asarray(True), "bool"),
        ):
            assert x.dtype == dtype
        assert fnp.where(np.array([True]), 1, 0).dtype == np.int64

    def test_existing_arrays_and_explicit_dtypes_are_honoured(self):
        x = np.ones(2)
        assert fnp.asarray(x) is x
        assert fnp.array(x) is not x
        assert (
            fnp.asarray([x, x]).dtype == fnp.zeros(2, "float64").dtype == fnp.zeros(2, dtype=float).dtype == np.float64
        )
        assert fnp.asarray([np.float64(1), 2.0]).dtype == np.float64
        assert fnp.asarray([np.float32(1), 2.0]).dtype == np.float32
        assert fnp.full_like(x, 0.1)[0] == 0.1

    def test_python_numbers_lose_nothing_beside_float64(self):
        x = np.zeros(2)
        results = [
            fnp.full((2,), 0.1, dtype="float64"), fnp.where(x > 0, x, 0.1), fnp.select([x > 0], [x], 0.1), fnp.pad(x, 1, constant_values=0.1),
            fnp.sum(x, initial=0.1), fnp.max(x, initial=0.1), fnp.clip(x, 0.1), fnp.interp(0.1, np.array([0.0, 1.0]), np.array([0.0, 1.0])),
            fnp.stack([x[0], 0.1]), fnp.append(x, 0.1), fnp.insert(x, 0, 0.1), fnp.dot(np.ones(2), 0.1), fnp.heaviside(x, 0.1),
            fnp.diff(x, append=0.1), fnp.r_[x, 0.1], fnp.vectorize(lambda a, b: a + b)(x, 0.1), fnp.add(x, [0.1, 0.1]), fnp.nan_to_num(x + np.nan, nan=0.1),
            fnp.linspace(x, 0.1, 2)[1], fnp.asarray(0.1, dtype="float64"), fnp.concatenate([x, [0.1]]), fnp.fill_diagonal(np.zeros((2, 2)), 0.1),
            fnp.put(x, [0], 0.1), fnp.place(x, [True, True], 0.1), fnp.array([x[0], 0.1]),
        ]  # fmt: skip
        for r in results:
            r = np.asarray(r)
            assert r.dtype == np.float64
            assert 0.1 in r

    def test_float32_stays_float32(self):
        x = np.ones(2, np.float32)
        results = [
            x * 0.1, fnp.where(x > 0, x, 0.1), fnp.mean(x), fnp.std(x), fnp.clip(x, 0.1, 2), fnp.pad(x, 1), fnp.quantile(x, 0.3), fnp.median(x),
            fnp.interp(0.1, x, x), fnp.stack([x[0], 0.1]), fnp.power(x, 2), fnp.dot(x, 0.5), fnp.maximum(x, 0), fnp.full_like(x, 0.1), fnp.cov(x),
            fnp.convolve(x, x), fnp.diff(x, append=0.1), fnp.logaddexp(x, 0.0), fnp.linspace(x, 2.0, 3), fnp.trapezoid(x), fnp.gradient(x),
        ]  # fmt: skip
        assert [r.dtype.name for r in results] == ["float32"] * len(results)

    def test_functions_of_python_numbers_give_python_numbers(self):
        for x in (
            fnp.sin(2.0),
            fnp.add(1, 2),
            fnp.power(2.0, 3),
            fnp.maximum(1, 2.5),
            fnp.exp(0),
            fnp.less(1, 2),
            fnp.real(1j),
            fnp.floor(2.5),
        ):
            assert type(x) in (int, float, bool)


# ------------------------------------------------------------------ what the table of cases does not show


def test_lists_with_traced_values_become_arrays():
    f = lambda x: fnp.sum(fnp.array([[x[0], 1.0], [x[1] * x[2], 2]]) ** 2)  # noqa: E731
    np.testing.assert_allclose(fnets.grad(f)(np.array([1.0, 2.0, 3.0])), [2.0, 36.0, 24.0])
    assert fnets.jit(lambda x: fnp.asarray([x, 1.0]))(np.float32(2)).dtype == np.float32


@pytest.mark.parametrize("bad", [[[1], [1, 2]], ["a"], "a", [None], object()])
def test_what_is_no_array(bad):
    with pytest.raises(fnets.errors.ArgumentError, match=r"\[array\]"):
        fnp.array(bad)


def test_asarray_takes_what_has_memory():
    import array

    class Other:
        def __array__(self, dtype=None, copy=None):
            return np.arange(2.0)

    for x, expected in (
        (array.array("d", [1.0]), np.float64),
        (range(3), np.int64),
        (Other(), np.float64),
        (memoryview(b"ab"), np.uint8),
    ):
        assert fnp.asarray(x).dtype == expected
    with pytest.raises(fnets.errors.ArgumentError, match="copy"):
        fnp.asarray([1.0], copy=False)


def test_sizes_that_depend_on_traced_values_are_errors():
    for f in (
        lambda n: fnp.zeros(n),
        lambda n: fnp.arange(n),
        lambda n: fnp.ones((n, 2)),
        lambda n: fnp.eye(n),
        lambda n: fnp.linspace(0, 1, n),
    ):
        with pytest.raises(
            (fnets.errors.ConcretizationTypeError, fnets.errors.TracerIntegerConversionError), match="static"
        ):
            fnets.jit(f)(3)


def test_results_of_known_size_under_jit():
    x = np.array([3, 0, 3, 5, 0, 7])
    jitted = lambda f: fnets.jit(f)(x)  # noqa: E731
    np.testing.assert_array_equal(jitted(lambda v: fnp.nonzero(v, size=5, fill_value=-1))[0], [0, 2, 3, 5, -1])
    np.testing.assert_array_equal(jitted(lambda v: fnp.flatnonzero(v, size=2)), [0, 2])
    np.testing.assert_array_equal(jitted(lambda v: fnp.argwhere(v.reshape(2, 3), size=4)), np.argwhere(x.reshape(2, 3)))
    np.testing.assert_array_equal(jitted(lambda v: fnp.where(v > 2, size=3)[0]), [0, 2, 3])
    got = jitted(
        lambda v: fnp.unique(v, return_index=True, return_inverse=True, return_counts=True, size=5, fill_value=-1)
    )
    values, index, inverse, counts = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(got[0], [*values, -1])
    np.testing.assert_array_equal(got[1][:4], index)
    np.testing.assert_array_equal(got[2], inverse)
    np.testing.assert_array_equal(got[3], [*counts, 0])
    np.testing.assert_array_equal(jitted(lambda v: fnp.unique(v, size=2)), values[:2])
    rows = np.array([[1, 2], [0, 1], [1, 2]])
    np.testing.assert_array_equal(fnets.jit(lambda v: fnp.unique(v, axis=0, size=2))(rows), np.unique(rows, axis=0))
    np.testing.assert_array_equal(jitted(lambda v: fnp.union1d(v, v + 1, size=8)), np.union1d(x, x + 1))
    np.testing.assert_array_equal(
        jitted(lambda v: fnp.intersect1d(v, np.array([7, 3, 9]), size=3, fill_value=-1)), [3, 7, -1]
    )
    np.testing.assert_array_equal(
        jitted(lambda v: fnp.setdiff1d(v, np.array([7, 3]), size=3, fill_value=-1)), [0, 5, -1]
    )
    np.testing.assert_array_equal(jitted(lambda v: fnp.setxor1d(v, np.array([7, 3, 9]), size=3)), [0, 5, 9])
    np.testing.assert_array_equal(jitted(lambda v: fnp.bincount(v, length=8)), np.bincount(x, minlength=8))
    np.testing.assert_array_equal(jitted(lambda v: fnp.compress(v > 0, v, size=5, fill_value=-1)), [3, 3, 5, 7, -1])
    np.testing.assert_array_equal(
        jitted(lambda v: fnp.repeat(v, v[:1].repeat(6) * 0 + 2, total_repeat_length=12)), np.repeat(x, 2)
    )
    np.testing.assert_array_equal(jitted(lambda v: fnp.roll(v, v[0])), np.roll(x, 3))
    with pytest.raises(fnets.errors.ConcretizationTypeError, match="size="):
        jitted(lambda v: fnp.unique(v))


def test_gradients_through_unique_histogram_and_bincount():
    x = np.array([2.0, 1.0, 2.0, 5.0])
    w = np.array([1.0, 10.0, 100.0])
    np.testing.assert_array_equal(fnets.grad(lambda v: fnp.sum(fnp.unique(v) * w))(x), [10.0, 1.0, 0.0, 100.0])
    weights = fnets.grad(lambda v: fnp.sum(fnp.histogram(x, bins=3, weights=v)[0] * w))(np.ones(4))
    np.testing.assert_array_equal(weights, [1.0, 1.0, 1.0, 100.0])
    counts = fnets.grad(lambda v: fnp.sum(fnp.bincount(np.array([0, 2, 2, 1]), v) * w))(np.ones(4))
    np.testing.assert_array_equal(counts, [1.0, 100.0, 100.0, 10.0])


def test_kinks():
    grad = fnets.grad
    assert grad(fnp.abs)(0.0) == 0.0
    assert grad(lambda x: fnp.maximum(x, 0.0))(0.0) == 0.5
    assert grad(lambda x: fnp.clip(x, 0.0, 1.0))(0.0) == 0.5
    np.testing.assert_array_equal(grad(fnp.max)(np.array([2.0, 2.0, 1.0])), [0.5, 0.5, 0.0])
    np.testing.assert_array_equal(grad(fnp.std)(np.ones(3)), np.zeros(3))
    np.testing.assert_array_equal(
        grad(lambda x: fnp.sum(fnp.where(x > 0, fnp.log(fnp.where(x > 0, x, 1.0)), 0.0)))(np.array([0.0, 2.0])),
        [0.0, 0.5],
    )
    assert grad(fnp.sinc)(0.0) == 0.0
    assert fnets.grad(fnets.grad(fnp.sinc))(0.0) == pytest.approx(-(np.pi**2) / 3)
    np.testing.assert_array_equal(grad(fnp.prod)(np.array([0.0, 2.0, 3.0])), [6.0, 0.0, 0.0])


def test_index_helpers():
    x, y = np.arange(3.0), np.arange(2.0)
    for got, expected in (
        (fnp.r_[x, 0, y], np.r_[x, 0, y]),
        (fnp.r_[1:4, 0, 4], np.r_[1:4, 0, 4]),
        (fnp.r_["0,2", x, x], np.r_["0,2", x, x]),
        (fnp.r_["0,2,0", x, x], np.r_["0,2,0", x, x]),
        (fnp.r_["1,2,0", x, x], np.r_["1,2,0", x, x]),
        (fnp.c_[x, x], np.c_[x, x]),
        (fnp.c_[x[None], 0, 0, y[None]], np.c_[x[None], 0, 0, y[None]]),
        (fnp.mgrid[0:3, 0:2], np.mgrid[0:3, 0:2]),
        (fnp.ogrid[0:3, 0:2], np.ogrid[0:3, 0:2]),
        (fnp.mgrid[0:1:5j], np.mgrid[0:1:5j]),
    ):
        compare(got, expected, 1e-12)
    assert fnp.s_[1:2, ...] == np.s_[1:2, ...]
    np.testing.assert_array_equal(fnets.grad(lambda v: fnp.sum(fnp.r_[v, 1.0, v * 2] ** 2))(x), 10 * x)


def test_vectorize():
    f = fnp.vectorize(lambda a, b: fnp.dot(a, b) * 2, signature="(n),(n)->()")
    a, b = np.ones((4, 1, 3)), np.arange(15.0).reshape(5, 3)
    np.testing.assert_array_equal(f(a, b), np.broadcast_to(2 * b.sum(1), (4, 5)))
    g = fnp.vectorize(lambda x, y, scale: (x + y, x * scale), excluded={2})
    total, product = g(np.arange(3.0)[:, None], np.arange(2.0), 10)
    np.testing.assert_array_equal(total, np.arange(3.0)[:, None] + np.arange(2.0))
    assert product.shape == (3, 2)
    h = fnp.vectorize(lambda m, v: m @ v, signature="(i,j),(j)->(i)")
    np.testing.assert_array_equal(h(np.ones((2, 3)), np.ones((7, 3))), np.full((7, 2), 3.0))
    np.testing.assert_array_equal(fnets.grad(lambda v: f(a, v).sum())(b), np.full((5, 3), 8.0))
    for bad in ("n->m", "(n),->()", "(n)"):
        with pytest.raises(fnets.errors.ArgumentError, match="signature"):
            fnp.vectorize(lambda x: x, signature=bad)
    with pytest.raises(fnets.errors.ShapeError, match="'n'"):
        f(np.ones(3), np.ones(4))


def test_frompyfunc():
    add = fnp.frompyfunc(lambda x, y: x + y, 2, 1, identity=0)
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(add(x, 1.0), x + 1)
    np.testing.assert_array_equal(add.reduce(x, axis=1), x.sum(1))
    np.testing.assert_array_equal(add.reduce(x, axis=(0, 1), keepdims=True), x.sum(keepdims=True))
    np.testing.assert_array_equal(add.reduce(x, axis=0, where=x > 1), x.sum(0, where=x > 1))
    np.testing.assert_array_equal(add.accumulate(x, axis=1), x.cumsum(1))
    np.testing.assert_array_equal(add.outer(x[0], x[1]), np.add.outer(x[0], x[1]))
    np.testing.assert_array_equal(add.at(np.zeros(3), np.array([0, 0, 2]), np.ones(3)), [2.0, 0.0, 1.0])
    np.testing.assert_array_equal(
        add.reduceat(np.arange(8.0), [0, 4, 1, 5]), np.add.reduceat(np.arange(8.0), [0, 4, 1, 5])
    )
    assert (add.nin, add.nout, add.nargs, add.identity) == (2, 1, 2, 0)


def test_methods_of_binary_functions():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    np.testing.assert_array_equal(fnp.add.reduce(x), np.add.reduce(x))
    np.testing.assert_array_equal(fnp.multiply.accumulate(x, axis=1), np.multiply.accumulate(x, axis=1))
    np.testing.assert_array_equal(fnp.subtract.outer(x[0], x[1]), np.subtract.outer(x[0], x[1]))


def test_limits_of_dtypes():
    assert fnp.finfo("float32").max == np.finfo(np.float32).max
    assert fnp.iinfo(np.zeros(1, np.int8)).max == 127
    for bad, f in (("int32", fnp.finfo), ("float32", fnp.iinfo)):
        with pytest.raises(fnets.errors.DTypeError):
            f(bad)
    assert fnp.einsum_path("ij,jk,kl", np.ones((2, 3)), np.ones((3, 4)), np.ones((4, 5)))[0][0] == "einsum_path"


def test_float8_and_bfloat16_come_from_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    assert fnp.bfloat16 is ml_dtypes.bfloat16
    assert fnp.zeros(2, fnp.bfloat16).dtype == np.dtype(ml_dtypes.bfloat16)
    assert fnp.issubdtype(fnp.bfloat16, np.floating)
    with pytest.raises(AttributeError):
        fnp.no_such_name  # noqa: B018


ERRORS = [
    (lambda: fnp.sum(np.ones(3), axis=1), fnets.errors.AxisError, r"\[sum\]"),
    (lambda: fnp.mean(np.ones((2, 3)), axis=(0, 0)), fnets.errors.AxisError, "twice"),
    (lambda: fnp.add(np.ones(3), np.ones(4)), fnets.errors.ShapeError, r"\(3,\) and \(4,\)"),
    (lambda: fnp.matmul(np.ones((2, 3)), np.ones((2, 3))), fnets.errors.ShapeError, "a @ b.T"),
    (lambda: fnp.reshape(np.ones(6), (4, 2)), fnets.errors.ShapeError, r"\[reshape\]"),
    (lambda: fnp.concatenate([np.ones((2, 3)), np.ones((2, 4))]), fnets.errors.ShapeError, "axis 0"),
    (lambda: fnp.stack([np.ones(2), np.ones(3)]), fnets.errors.ShapeError, r"\[stack\]"),
    (lambda: fnp.split(np.ones(5), 2), fnets.errors.ShapeError, "sections"),
    (lambda: fnp.max(np.zeros((0, 3)), axis=0), fnets.errors.ShapeError, "initial"),
    (lambda: fnp.max(np.ones(3), where=np.ones(3, bool)), fnets.errors.ArgumentError, "initial"),
    (lambda: fnp.take(np.ones(3), np.array([3])), IndexError, "take"),
    (lambda: fnp.quantile(np.ones(3), 1.5), fnets.errors.ArgumentError, "between 0 and 1"),
    (lambda: fnp.quantile(np.ones(3), 0.5, method="none"), fnets.errors.ArgumentError, "linear"),
    (lambda: fnp.pad(np.ones(3), -1), fnets.errors.ArgumentError, "non-negative"),
    (lambda: fnp.pad(np.ones(3), 1, mode="none"), fnets.errors.ArgumentError, "constant"),
    (lambda: fnp.pad(np.ones(3), 1, mode="edge", end_values=1), fnets.errors.ArgumentError, "end_values"),
    (lambda: fnp.where(np.ones(3), 1.0), fnets.errors.ArgumentError, "both"),
    (lambda: fnp.cross(np.ones(4), np.ones(4)), fnets.errors.ShapeError, "2 or 3"),
    (lambda: fnp.interp(0.0, np.ones((2, 2)), np.ones(4)), fnets.errors.ShapeError, "vectors"),
    (lambda: fnp.bincount(np.array([1.0])), fnets.errors.ArgumentError, "integers"),
    (lambda: fnp.bincount(np.array([-1])), fnets.errors.ArgumentError, "non-negative"),
    (lambda: fnp.gradient(np.ones(1)), fnets.errors.ShapeError, "at least 2"),
    (lambda: fnp.diff(np.ones(3), n=-1), fnets.errors.ArgumentError, "non-negative"),
    (lambda: fnp.insert(np.ones(3), 9, 1.0), IndexError, "out of bounds"),
    (lambda: fnp.delete(np.ones(3), 9), IndexError, "out of bounds"),
    (lambda: fnp.zeros(-1), fnets.errors.ArgumentError, "non-negative"),
    (lambda: fnp.zeros("a"), fnets.errors.ArgumentError, "shape"),
    (lambda: fnp.zeros(2, dtype="nonsense"), fnets.errors.DTypeError, "nonsense"),
    (lambda: fnp.arange(0, 1, 0), fnets.errors.ArgumentError, "step"),
    (lambda: fnp.meshgrid(np.ones(2), indexing="zz"), fnets.errors.ArgumentError, "indexing"),
    (lambda: fnp.nanargmax(np.array([np.nan])), fnets.errors.ArgumentError, "NaN"),
    (lambda: fnp.select([np.array([1, 0])], [np.ones(2)]), fnets.errors.ArgumentError, "boolean"),
    (lambda: fnp.tensordot(np.ones((2, 3)), np.ones((2, 3)), 1), fnets.errors.ShapeError, "dot_general"),
    (lambda: fnp.searchsorted(np.ones((2, 2)), 1.0), fnets.errors.ShapeError, "vector"),
    (lambda: fnp.packbits(np.ones(3)), fnets.errors.DTypeError, "booleans"),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS)
def test_wrong_calls_say_what_was_expected(call, error, text):
    with pytest.raises(error, match=text) as told:
        call()
    assert "test_numpy.py" in str(told.value)


# ------------------------------------------------------------------ complex logarithms, bfloat16


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_log1p_is_accurate_near_zero(dtype):
    z = np.array([1e-5 + 1e-5j, 1e-3j, -1e-7 + 3e-9j, 3 + 4j, -0.5 + 0.1j, 1e20 - 1e20j], dtype)
    wide = z.astype(np.complex128)
    size = wide.real * (2 + wide.real) + wide.imag**2
    expected = np.where(
        np.abs(z) > 1e3, np.log(1 + wide), 0.5 * np.log1p(size) + 1j * np.arctan2(wide.imag, 1 + wide.real)
    )
    for f in (fnp.log1p, fnets.jit(fnp.log1p)):
        assert f(z).dtype == dtype
        np.testing.assert_allclose(f(z), expected, rtol=5e-7 if dtype == "complex64" else 1e-14)
    slope = fnets.grad(fnp.log1p, holomorphic=True)(np.complex128(0.1 + 0.2j))
    np.testing.assert_allclose(slope, 1 / (1.1 + 0.2j), rtol=1e-14)


@pytest.mark.parametrize(("name", "base"), [("logaddexp", np.e), ("logaddexp2", 2.0)])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_logarithms_of_complex_sums(name, base, dtype):
    f = getattr(fnp, name)
    a = (np.array([1.0, -2.0, 800.0, 0.3]) + 1j * np.array([0.5, 3.0, 1.0, -2.0])).astype(dtype)
    b = (np.array([0.2, -2.5, 799.0, 0.1]) + 1j * np.array([-0.5, 2.0, -1.0, 2.5])).astype(dtype)
    scale, top = np.log(base), np.maximum(a.real, b.real)
    expected = np.log(np.exp((a - top) * scale) + np.exp((b - top) * scale)) / scale + top
    for g in (f, fnets.jit(f)):
        assert g(a, b).dtype == dtype
        np.testing.assert_allclose(g(a, b), expected, rtol=1e-5 if dtype == "complex64" else 1e-13)
    weight = fnets.grad(f, holomorphic=True)(a[0], b[0])
    np.testing.assert_allclose(weight, 1 / (1 + np.exp((b[0] - a[0]) * scale)), rtol=1e-5)
    assert f(np.complex128(-np.inf), np.complex128(-np.inf)).real == -np.inf


def test_bfloat16_stays_bfloat16():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    assert fnp.array([1.0, 2.0], dtype=bfloat16).dtype == bfloat16
    for f in (fnp.deg2rad, fnets.jit(fnp.rad2deg)):
        assert f(np.ones(2, bfloat16)).dtype == bfloat16
    assert fnp.corrcoef(np.arange(5), np.arange(5), dtype=bfloat16).dtype == bfloat16
    with pytest.raises(DTypeError, match="corrcoef"):
        fnp.corrcoef(np.arange(5), dtype=int)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float32", "complex128"])
def test_traced_bytes_swap(dtype):
    x = np.array([0, 1, 3]).astype(dtype)
    got = fnets.jit(lambda x: x.byteswap())(x)
    assert got.dtype == dtype
    assert got.tobytes() == x.byteswap().tobytes()


def test_small_conventions():
    assert fnp.take(np.arange(3.0), np.array([0, 5]), fill_value=7.0).tolist() == [0, 7]
    assert fnp.take_along_axis(np.arange(3.0), np.array([0, 5]), 0, fill_value=7.0).tolist() == [0, 7]
    assert not fnp.iscomplexobj(np.float32)
    assert fnp.frompyfunc(lambda x, y: x + y, 2, 1).nargs == fnp.add.nargs == 2
