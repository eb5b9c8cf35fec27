"""A traced value behaves as the ndarray it stands for: every operator with every kind of operand, every method and property, under every transformation."""

from __future__ import annotations

import copy
import operator

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets.errors import (
    ArgumentError,
    ConcretizationTypeError,
    ImmutableArrayError,
    TracerArrayConversionError,
    TracerBoolConversionError,
)

rng = np.random.default_rng(11)
X = rng.standard_normal((3, 4))
K = rng.integers(1, 9, (3, 4))


def under_grad(f, x):
    """f(x) as seen inside a gradient."""
    seen = []

    def loss(v):
        seen.append(f(v))
        return fnp.sum(v) * 0.0

    fnets.grad(loss)(x) if x.dtype.kind == "f" else fnets.grad(loss, allow_int=True)(x)
    return fnets.vjp(f, x)[0]


def under_jvp(f, x):
    return fnets.jvp(f, (x,), (np.ones(x.shape) if x.dtype.kind == "f" else x,))[0]


def under_jit(f, x):
    return fnets.jit(f)(x)


def under_vmap(f, x):
    return fnets.vmap(f)(np.stack([x, x]))


def under_jit_of_grad(f, x):
    return fnets.jit(lambda v: fnets.vjp(f, v)[0])(x)


TRANSFORMS = {"vjp": under_grad, "jvp": under_jvp, "jit": under_jit, "jit of vjp": under_jit_of_grad}
transforms = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)


def same(got, expected) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-12)


ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
BITS = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]
OPERANDS = {
    "ndarray": rng.uniform(1, 2, (3, 4)),
    "row": rng.uniform(1, 2, 4),
    "float32": rng.uniform(1, 2, (3, 4)).astype(np.float32),
    "int64": K,
    "int8": K.astype(np.int8),
    "np.float64": np.float64(1.5),
    "np.float32": np.float32(1.5),
    "np.int64": np.int64(2),
    "0-d": np.array(1.5),
    "float": 1.5,
    "int": 2,
    "bool": True,
    "list": [1.0, 2.0, 3.0, 4.0],
}


@pytest.mark.parametrize(
    ("transform", "other"),
    [pytest.param(t, o, id=f"{m}-{n}") for m, t in TRANSFORMS.items() for n, o in OPERANDS.items()],
)
@pytest.mark.parametrize("op", ARITHMETIC + COMPARISONS, ids=lambda f: f.__name__)
def test_operators_with_every_operand_on_either_side(op, other, transform):
    x = np.abs(X) + 0.5
    same(transform(lambda v: op(v, other), x), op(x, other))
    same(transform(lambda v: op(other, v), x), op(other, x))


@pytest.mark.parametrize("other", [pytest.param(o, id=n) for n, o in OPERANDS.items()])
@pytest.mark.parametrize("op", ARITHMETIC, ids=lambda f: f.__name__)
def test_float32_keeps_numpy_promotion(op, other):
    x = (np.abs(X) + 0.5).astype(np.float32)
    for got, expected in (
        (fnets.jit(lambda v: op(v, other))(x), op(x, other)),
        (fnets.jit(lambda v: op(other, v))(x), op(other, x)),
    ):
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-5)


@transforms
@pytest.mark.parametrize("op", ARITHMETIC + COMPARISONS, ids=lambda f: f.__name__)
def test_operators_between_two_traced_values(op, transform):
    x = np.abs(X) + 0.5
    same(transform(lambda v: op(v, v * 1.5), x), op(x, x * 1.5))


@pytest.mark.parametrize("other", [K, np.int64(3), 3, True], ids=["array", "scalar", "int", "bool"])
@pytest.mark.parametrize("op", BITS, ids=lambda f: f.__name__)
def test_bit_operators_of_integers(op, other):
    same(under_jit(lambda v: op(v, other), K), op(K, other))
    same(under_jit(lambda v: op(other, v), K), op(other, K))


@pytest.mark.parametrize("op", BITS[:3], ids=lambda f: f.__name__)
def test_bit_operators_of_booleans(op):
    same(under_jit(lambda v: op(v > 0, v < 1), X), op(X > 0, X < 1))
    same(under_jit(lambda v: ~(v > 0), X), ~(X > 0))


@transforms
def test_unary_operators(transform):
    for op in (operator.neg, operator.pos, operator.abs):
        same(transform(op, X), op(X))
    same(transform(lambda v: round(v, 1), X), np.round(X, 1))
    same(under_jit(operator.invert, K), ~K)
    import math

    same(
        fnets.vmap(lambda v: math.floor(v) + math.ceil(v) + math.trunc(v))(X[0]),
        np.floor(X[0]) + np.ceil(X[0]) + np.trunc(X[0]),
    )


@transforms
def test_divmod(transform):
    same(transform(lambda v: fnp.stack(divmod(v, 0.7)), X), np.stack(divmod(X, 0.7)))
    same(transform(lambda v: fnp.stack(divmod(7.0, v)), X), np.stack(divmod(7.0, X)))


@transforms
def test_matrix_products(transform):
    square, vector = rng.standard_normal((4, 4)), rng.standard_normal(4)
    same(transform(lambda v: v @ square, X), X @ square)
    same(transform(lambda v: v @ vector, X), X @ vector)
    same(transform(lambda v: X.T @ v, X), X.T @ X)
    same(transform(lambda v: vector @ v.T, X), vector @ X.T)
    same(transform(lambda v: v @ square.tolist(), X), X @ square)


def test_foreign_operands_keep_python_semantics():
    class Other:
        def __radd__(self, x):
            return "other"

        def __eq__(self, x):
            return True

        __hash__ = None

    found = []

    def f(v):
        found.extend([v + Other(), v == Other(), v == None, v != None, v == "a"])  # noqa: E711
        with pytest.raises(TypeError):
            v + "a"
        with pytest.raises(TypeError):
            v + None
        return v.sum()

    fnets.grad(f)(X)
    assert found == ["other", True, False, True, False]


METHODS = {
    "all": lambda a: (a > 0).all(),
    "any": lambda a: (a > 0).any(axis=1),
    "argmax": lambda a: a.argmax(),
    "argmax axis": lambda a: a.argmax(1),
    "argmin": lambda a: a.argmin(axis=0, keepdims=True),
    "argsort": lambda a: a.argsort(axis=1),
    "astype": lambda a: a.astype(np.float32),
    "astype int": lambda a: a.astype("int64", copy=False),
    "clip": lambda a: a.clip(-0.5, 0.5),
    "clip keywords": lambda a: a.clip(min=0.1),
    "compress": lambda a: a.compress([True, False, True], axis=0),
    "conj": lambda a: a.conj() + a.conjugate(),
    "copy": lambda a: a.copy(),
    "cumprod": lambda a: a.cumprod(1),
    "cumsum": lambda a: a.cumsum(axis=0),
    "diagonal": lambda a: a.diagonal(1),
    "dot": lambda a: a.dot(np.ones(4)),
    "flatten": lambda a: a.flatten(),
    "flatten F": lambda a: a.flatten("F"),
    "max": lambda a: a.max(1),
    "mean": lambda a: a.mean(axis=(0, 1)),
    "mean keepdims": lambda a: a.mean(0, keepdims=True),
    "min": lambda a: a.min(axis=-1),
    "prod": lambda a: a.prod(0),
    "ptp": lambda a: fnp.ptp(a, 1),
    "ravel": lambda a: a.ravel(),
    "repeat": lambda a: a.repeat(2, axis=1),
    "reshape": lambda a: a.reshape(4, 3),
    "reshape tuple": lambda a: a.reshape((2, -1)),
    "reshape -1": lambda a: a.reshape(-1),
    "reshape order": lambda a: a.reshape(4, 3, order="F"),
    "round": lambda a: a.round(2),
    "searchsorted": lambda a: fnp.sort(a.ravel()).searchsorted(0.3),
    "squeeze": lambda a: a[None].squeeze(0),
    "std": lambda a: a.std(axis=1, ddof=1),
    "sum": lambda a: a.sum(),
    "sum axis": lambda a: a.sum(0),
    "swapaxes": lambda a: a.swapaxes(0, 1),
    "take": lambda a: a.take(np.array([2, 0]), axis=1),
    "trace": lambda a: a.trace(1),
    "transpose": lambda a: a.transpose(),
    "transpose ints": lambda a: a.transpose(1, 0),
    "transpose tuple": lambda a: a.transpose((1, 0)),
    "var": lambda a: a.var(0),
    "view": lambda a: a.view(),
    "view ints": lambda a: a.view(np.int64),
    "view narrower": lambda a: a.view(np.int32),
    "T": lambda a: a.T,
    "mT": lambda a: a[None].mT,
    "real": lambda a: a.real,
    "imag": lambda a: a.imag,
    "index": lambda a: a[1],
    "index mixed": lambda a: a[..., None, 1:, ::2],
    "index arrays": lambda a: a[np.array([0, 2]), [1, 3]],
    "mask": lambda a: a[np.array([True, False, True])],
    "iteration": lambda a: fnp.stack([row * i for i, row in enumerate(a)]),
    "unpacking": lambda a: (lambda p, q, r: p + q * r)(*a),
    "len": lambda a: a * len(a),
    "sizes": lambda a: a * (a.size + a.ndim + a.nbytes + a.itemsize + a.shape[1]),
    "contains": lambda a: a * (3 in a.astype(np.int64) * 0 + 3),
}
NEEDS_VALUES = {"contains"}


@pytest.mark.parametrize(
    ("transform", "name"),
    [pytest.param(t, n, id=f"{m}-{n}") for m, t in TRANSFORMS.items() for n in METHODS],
)
def test_methods_and_properties(transform, name):
    if name in NEEDS_VALUES and "jit" in transform.__name__:
        pytest.skip("needs values")
    f = METHODS[name]
    same(transform(f, X), f(X))


@pytest.mark.parametrize("name", [n for n in METHODS if n not in NEEDS_VALUES])
def test_methods_under_vmap(name):
    f = METHODS[name]
    batch = np.stack([X, X[::-1], X * 2])
    same(fnets.vmap(f)(batch), np.stack([f(x) for x in batch]))


def test_sorting_methods_return_instead_of_changing():
    same(under_jit(lambda v: v.sort(), X), np.sort(X))
    same(under_jit(lambda v: v.partition(1), X), np.sort(X))


def test_every_ndarray_attribute_is_there_or_makes_no_sense():
    senseless = {
        "base", "byteswap", "ctypes", "data", "dump", "dumps", "flags", "getfield", "setfield", "setflags", "strides", "tobytes", "tofile",
        "__array_finalize__", "__array_interface__", "__array_prepare__", "__array_struct__", "__array_wrap__", "__buffer__", "__class_getitem__",
        "__dlpack__", "__dlpack_device__", "__reduce_ex__", "__setstate__", "__reduce__", "__sizeof__",
    } | {f"__i{n}__" for n in ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift"]}  # fmt: skip
    missing = [n for n in dir(np.ndarray) if not hasattr(fnets.core.trace.Tracer, n)]
    assert sorted(set(missing) - senseless) == []


# ------------------------------------------------------------------ values


def test_values_that_are_known_can_be_read():
    def f(v):
        assert (v > 0).any()
        order = v.argsort(axis=None)
        assert order.tolist() == X.argsort(axis=None).tolist()
        assert f"{v[0, 0]:.3f}" == f"{X[0, 0]:.3f}"
        assert isinstance((v > 0).nonzero()[0], np.ndarray)
        return v.sum()

    np.testing.assert_array_equal(fnets.grad(f)(X), np.ones((3, 4)))


def test_cutting_a_derivative_is_an_error():
    for read in (lambda v: v.item(), lambda v: v.tolist(), float):
        with pytest.raises(ConcretizationTypeError, match="derivative"):
            fnets.grad(lambda v, read=read: read(v.sum()) * v.sum())(X)


def test_unknown_values_are_an_error_that_names_the_fix():
    with pytest.raises(TracerBoolConversionError, match="where"):
        fnets.jit(lambda v: v if (v > 0).all() else -v)(X)
    with pytest.raises(ConcretizationTypeError):
        fnets.jit(lambda v: v.tolist())(X)
    with pytest.raises(fnets.errors.NonConcreteBooleanIndexError, match="size="):
        fnets.jit(lambda v: (v > 0).nonzero())(X)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.__setitem__(0, 1.0),
        lambda v: v.fill(0.0),
        lambda v: v.put([0], [1.0]),
        lambda v: v.resize((12,)),
        lambda v: v.__delitem__(0),
        lambda v: np.put(v, [0], [1.0]),
        lambda v: np.fill_diagonal(v, 0.0),
    ],
)
def test_changes_in_place_are_an_error(change):
    with pytest.raises(ImmutableArrayError):
        fnets.grad(lambda v: (change(v), v.sum())[1])(X)


def test_assignment_of_a_traced_value_into_an_array_is_an_error():
    with pytest.raises(
        ValueError, match="instead of a"
    ) as told:  # NumPy wraps our error into its own; grad takes it out again
        fnets.grad(lambda v: (np.zeros(3).__setitem__(0, v[0, 0]), v.sum())[1])(X)
    assert isinstance(told.value, TracerArrayConversionError)
    with pytest.raises(TracerArrayConversionError, match="at"):
        fnets.grad(lambda v: (np.zeros((3, 4)).__setitem__(slice(None), v), v.sum())[1])(X)


def test_augmented_assignment():
    def rebinding(v):
        total = 0.0
        total += v.sum()
        v += 1.0
        v *= 2.0
        return total + v.sum()

    np.testing.assert_array_equal(fnets.grad(rebinding)(X), np.full((3, 4), 3.0))

    def into_array(v):
        a = np.zeros((3, 4))
        a += v
        return a.sum()

    with pytest.raises(ArgumentError, match=r"a = a \+ x"):
        fnets.grad(into_array)(X)


def test_copies_and_hashes():
    def f(v):
        assert copy.copy(v) is v
        assert copy.deepcopy({"w": v})["w"] is v
        with pytest.raises(TypeError):
            hash(v)
        assert v.block_until_ready() is v
        assert v.__array_namespace__() is fnp
        assert v.device == "cpu"
        assert isinstance(v, fnp.Array)
        return v.sum()

    fnets.grad(f)(X)


def test_at_on_traced_values():
    got = fnets.grad(lambda v: v.at[0].set(2.0).at[1, 1].multiply(3.0).sum())(X)
    expected = np.ones((3, 4))
    expected[0], expected[1, 1] = 0.0, 3.0
    np.testing.assert_array_equal(got, expected)


def test_scalars_without_axes():
    def f(v):
        with pytest.raises(TypeError):
            len(v)
        with pytest.raises(TypeError):
            iter(v)
        return v * v

    assert fnets.grad(f)(3.0) == 6.0
