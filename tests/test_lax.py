"""`fnets.lax` against NumPy: values, dtypes, jit, vmap and gradients of every operator that is not tested with its own family."""

from __future__ import annotations

import inspect
import math
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.errors import ArgumentError, ShapeError
from fnets.testing import check_grads

rng = np.random.default_rng(31)
X, Y = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
P = rng.uniform(0.3, 3.0, (3, 4))
U = rng.uniform(-0.9, 0.9, (3, 4))
C = X + 1j * Y
I = rng.integers(-20, 20, (3, 4))
J = rng.integers(1, 7, (3, 4)) * np.where(X > 0, 1, -1)
BYTES = rng.integers(0, 256, (3, 4)).astype(np.uint8)
B = X > 0


def vector(f):
    """A scalar function of Python's math as one of arrays."""
    return np.vectorize(f, otypes=[np.float64])


CASES = {
    "abs": ((X,), np.abs),
    "acos": ((U,), np.arccos),
    "acosh": ((P + 1.2,), np.arccosh),
    "asin": ((U,), np.arcsin),
    "asinh": ((X,), np.arcsinh),
    "atan": ((X,), np.arctan),
    "atanh": ((U,), np.arctanh),
    "cbrt": ((X,), np.cbrt),
    "ceil": ((X,), np.ceil),
    "conj": ((C,), np.conj),
    "cos": ((X,), np.cos),
    "cosh": ((X,), np.cosh),
    "erf": ((X,), vector(math.erf)),
    "erfc": ((X,), vector(math.erfc)),
    "exp": ((X,), np.exp),
    "exp2": ((X,), np.exp2),
    "expm1": ((X,), np.expm1),
    "floor": ((X,), np.floor),
    "imag": ((C,), np.imag),
    "lgamma": ((P,), vector(math.lgamma)),
    "log": ((P,), np.log),
    "log1p": ((P,), np.log1p),
    "logistic": ((X,), lambda x: 1 / (1 + np.exp(-x))),
    "neg": ((X,), np.negative),
    "real": ((C,), np.real),
    "reciprocal": ((P,), np.reciprocal),
    "rsqrt": ((P,), lambda x: 1 / np.sqrt(x)),
    "sign": ((X,), np.sign),
    "sin": ((X,), np.sin),
    "sinh": ((X,), np.sinh),
    "sqrt": ((P,), np.sqrt),
    "square": ((X,), np.square),
    "tan": ((X,), np.tan),
    "tanh": ((X,), np.tanh),
    "is_finite": ((np.array([1.0, np.inf, np.nan]),), np.isfinite),
    "bitwise_not": ((I,), np.invert),
    "population_count": ((BYTES,), lambda x: np.bitwise_count(x).astype(np.uint8)),
    "clz": ((BYTES,), lambda x: np.array([[8 - int(v).bit_length() for v in row] for row in x], np.uint8)),
    "add": ((X, Y), np.add),
    "sub": ((X, Y), np.subtract),
    "mul": ((X, Y), np.multiply),
    "atan2": ((X, Y), np.arctan2),
    "pow": ((P, X), np.power),
    "max": ((X, Y), np.maximum),
    "min": ((X, Y), np.minimum),
    "nextafter": ((X, Y), np.nextafter),
    "complex": ((X, Y), lambda x, y: x + 1j * y),
    "rem": ((X, P), np.fmod),
    "eq": ((I, J), np.equal),
    "ne": ((I, J), np.not_equal),
    "lt": ((X, Y), np.less),
    "le": ((X, Y), np.less_equal),
    "gt": ((X, Y), np.greater),
    "ge": ((X, Y), np.greater_equal),
    "bitwise_and": ((I, J), np.bitwise_and),
    "bitwise_or": ((I, J), np.bitwise_or),
    "bitwise_xor": ((I, J), np.bitwise_xor),
    "shift_left": ((I, np.abs(J)), np.left_shift),
    "shift_right_arithmetic": ((I, np.abs(J)), np.right_shift),
    "zeta": ((P + 1.5, P), None),
    "bessel_i0e": ((X,), lambda x: np.i0(x) * np.exp(-np.abs(x))),
    "bessel_i1e": ((X,), None),
    "igamma": ((P, P[::-1]), None),
    "igammac": ((P, P[::-1]), None),
    "betainc": ((P, P[::-1], (U + 1) / 2), None),
    "polygamma": ((np.full((3, 4), 2.0), P), None),
    "clamp": ((-0.5, X, 0.5), lambda lo, x, hi: np.clip(x, lo, hi)),
    "select": ((B, X, Y), np.where),
    "select_n": ((np.where(B, 2, 0), X, Y, P), lambda w, a, b, c: np.choose(w, [a, b, c])),
    "round": ((X * 3,), lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5)),
    "expand_dims": ((X, (0, 2)), np.expand_dims),
    "squeeze": ((X[None], (0,)), np.squeeze),
    "reshape": ((X, (2, 6)), np.reshape),
    "transpose": ((X, (1, 0)), np.transpose),
    "rev": ((X, (1,)), lambda x, d: np.flip(x, d)),
    "concatenate": (([X, Y], 1), np.concatenate),
    "stack": (([X, Y], 1), np.stack),
    "unstack": ((X, 1), lambda x, axis: list(np.moveaxis(x, axis, 0))),
    "split": ((X, (1, 3), 1), lambda x, sizes, axis: np.split(x, np.cumsum(sizes)[:-1], axis)),
    "tile": ((X, (2, 1)), np.tile),
    "broadcast": ((X, (2,)), lambda x, sizes: np.broadcast_to(x, (*sizes, *x.shape))),
    "broadcast_in_dim": ((X[0], (3, 4, 2), (1,)), lambda x, shape, dims: np.broadcast_to(x[:, None], shape)),
    "broadcast_like": ((X[0], Y), lambda x, y: np.broadcast_to(x, y.shape)),
    "broadcast_to_rank": ((X, 3), lambda x, rank: x[None]),
    "collapse": ((np.stack([X, Y]), 1, 3), lambda x, a, b: x.reshape(2, 12)),
    "pad": ((X, 0.5, ((1, 2, 0), (0, 0, 1))), None),
    "slice": ((X, (1, 0), (3, 4), (1, 2)), lambda x, a, b, s: x[1:3, 0:4:2]),
    "slice_in_dim": ((X, 1, -1, 2, 1), lambda x, *rest: x[:, 1:-1:2]),
    "index_in_dim": ((X, -1, 1, False), lambda x, *rest: x[:, -1]),
    "dynamic_slice": ((X, (1, 9), (2, 2)), lambda x, *rest: x[1:3, 2:4]),
    "dynamic_index_in_dim": ((X, 2, 0, False), lambda x, *rest: x[2]),
    "dynamic_update_slice": ((X, Y[:1, :2], (1, 1)), lambda x, u, start: np.vstack([x[:1], np.hstack([x[1:2, :1], u, x[1:2, 3:]]), x[2:]])),
    "index_take": ((X, (np.array([0, 2]), np.array([1, 3])), (0, 1)), lambda x, i, axes: x[i]),
    "dot": ((X, Y.T), np.dot),
    "batch_matmul": ((np.stack([X, Y]), np.stack([Y.T, X.T])), np.matmul),
    "dot_general": ((X, Y, (((1,), (1,)), ((), ()))), lambda x, y, d: x @ y.T),
    "reduce_sum": ((X, (0,)), lambda x, axes: x.sum(axes)),
    "reduce_prod": ((X, (0, 1)), lambda x, axes: x.prod(axes)),
    "reduce_max": ((X, (1,)), lambda x, axes: x.max(axes)),
    "reduce_min": ((X, (1,)), lambda x, axes: x.min(axes)),
    "reduce_and": ((I, (1,)), lambda x, axes: np.bitwise_and.reduce(x, axes)),
    "reduce_or": ((B, (0,)), lambda x, axes: x.any(axes)),
    "reduce_xor": ((I, (0,)), lambda x, axes: np.bitwise_xor.reduce(x, axes)),
    "argmax": ((X, 1, np.int32), lambda x, axis, dtype: x.argmax(axis).astype(dtype)),
    "argmin": ((X, 0, np.int64), lambda x, axis, dtype: x.argmin(axis)),
    "cumsum": ((X, 1), np.cumsum),
    "cumprod": ((X, 0), np.cumprod),
    "cummax": ((X, 1), np.maximum.accumulate),
    "cummin": ((X, 1), np.minimum.accumulate),
    "cumlogsumexp": ((X, 1), np.logaddexp.accumulate),
    "sort": ((X, 0), np.sort),
    "top_k": ((X, 2), lambda x, k: [-np.sort(-x)[:, :k], np.argsort(-x)[:, :k]]),
    "approx_max_k": ((X, 2), lambda x, k: [-np.sort(-x)[:, :k], np.argsort(-x)[:, :k]]),
    "approx_min_k": ((X, 2), lambda x, k: [np.sort(x)[:, :k], np.argsort(x)[:, :k]]),
    "sort_key_val": ((X, Y, 1), lambda x, y, axis: [np.sort(x, axis), np.take_along_axis(y, np.argsort(x, axis), axis)]),
    "convert_element_type": ((X, np.float32), lambda x, dtype: x.astype(dtype)),
    "bitcast_convert_type": ((X, np.int64), lambda x, dtype: x.view(dtype)),
    "full_like": ((X, 0.1), np.full_like),
    "zeros_like_array": ((X,), np.zeros_like),
    "stop_gradient": ((X,), lambda x: x),
    "optimization_barrier": ((X,), lambda x: x),
    "platform_dependent": ((X,), None),
    "with_sharding_constraint": ((X, None), lambda x, s: x),
}  # fmt: skip
OPTIONS = {"platform_dependent": {"cpu": lambda x: x * 2}}
NO_GRADIENT = {"nextafter", "stop_gradient", "convert_element_type", "full_like"}

cases = pytest.mark.parametrize("name", CASES)


def call(name):
    args = CASES[name][0]
    positions = [i for i, a in enumerate(args) if isinstance(a, np.ndarray)]
    function, options = getattr(lax, name), OPTIONS.get(name, {})

    def f(*arrays):
        full = list(args)
        for i, a in zip(positions, arrays):
            full[i] = a
        return function(*full, **options)

    return f, [args[i] for i in positions]


def parts(x) -> list:
    return list(x) if isinstance(x, (list, tuple)) else [x]


def close(got, expected, tol: float) -> None:
    assert len(parts(got)) == len(parts(expected))
    for a, b in zip(parts(got), parts(expected)):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


@pytest.mark.parametrize("name", [n for n, (_, f) in CASES.items() if f is not None])
def test_equals_numpy(name):
    args, reference = CASES[name]
    close(getattr(lax, name)(*args), reference(*args), 1e-12)


@cases
def test_jit_equals_eager(name):
    f, arrays = call(name)
    close(fnets.jit(f)(*arrays), f(*arrays), 1e-14)


@cases
def test_vmap_equals_loop(name):
    f, arrays = call(name)
    if not arrays:
        pytest.skip("no arrays to map over")
    rows = [parts(f(*a)) for a in ([*arrays], [np.flip(a) if name != "zeta" else a for a in arrays])]
    batches = [np.stack([a, np.flip(a) if name != "zeta" else a]) for a in arrays]
    close(fnets.vmap(f)(*batches), [np.stack([r[k] for r in rows]) for k in range(len(rows[0]))], 1e-10)


@pytest.mark.parametrize("name", [n for n in CASES if n not in NO_GRADIENT])
def test_gradient_equals_finite_differences(name):
    f, arrays = call(name)
    wrt = [
        i
        for i, a in enumerate(arrays)
        if a.dtype == np.float64
        and not (name in ("zeta", "polygamma") and i == 0)
        and not (name == "betainc" and i < 2)
    ]
    if not wrt or not np.isfinite(arrays[wrt[0]]).all():
        pytest.skip("nothing to differentiate")
    if not any(np.asarray(v).dtype.kind in "fc" for v in parts(f(*arrays))):
        pytest.skip("integer results carry no derivative")
    weights = [rng.standard_normal(np.shape(v)) for v in parts(f(*arrays))]

    def loss(*points):
        full = list(arrays)
        for i, p in zip(wrt, points):
            full[i] = p
        outs = list(parts(f(*full)))
        return sum(
            (lax.reduce_sum(lax.real(v) * w, None) for v, w in zip(outs, weights) if v.dtype.kind in "fc"),
            0.0 * points[0].sum(),
        )

    points = [arrays[i] for i in wrt]
    direction = [rng.standard_normal(p.shape) for p in points]
    eps = 1e-6
    up, down = (loss(*[p + s * eps * d for p, d in zip(points, direction)]) for s in (1, -1))
    grads = fnets.grad(loss, argnums=tuple(range(len(points))))(*points)
    assert sum(np.sum(g * d) for g, d in zip(grads, direction)) == pytest.approx(
        (up - down) / (2 * eps), rel=1e-5, abs=1e-6
    )


# ------------------------------------------------------------------ where jax.lax differs from NumPy


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_integer_division_truncates(dtype):
    x, y = I.astype(dtype), J.astype(dtype)
    expected = np.trunc(I / J)
    got = lax.div(x, y)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(lax.rem(x, y), I - J * expected)
    np.testing.assert_array_equal(fnets.jit(lax.div)(x, y), expected)


def test_division_of_floats():
    np.testing.assert_allclose(lax.div(X, P), X / P)
    assert lax.div(np.float32(1), 2).dtype == np.float32


def test_rounding_methods():
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999999999999994, 1e300, np.inf, -np.inf])
    np.testing.assert_array_equal(lax.round(x), [-3, -2, -1, 1, 2, 3, 0, 1e300, np.inf, -np.inf])
    np.testing.assert_array_equal(lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), np.rint(x))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64])
def test_mulhi_and_bits(dtype):
    info = np.iinfo(dtype)
    values = np.array([info.min, info.min // 2, 0, 1, 3, info.max // 3, info.max], dtype)
    x, y = np.meshgrid(values, values)
    bits = info.bits
    exact = [[int(a) * int(b) >> bits for a, b in zip(p, q)] for p, q in zip(x, y)]
    np.testing.assert_array_equal(lax.mulhi(x, y), np.array(exact, dtype))
    mask = (1 << bits) - 1
    np.testing.assert_array_equal(lax.clz(values), [bits - (int(v) & mask).bit_length() for v in values])
    logical = [(int(v) & mask) >> 3 for v in values]
    np.testing.assert_array_equal(lax.shift_right_logical(values, dtype(3)), np.array(logical, np.uint64).astype(dtype))


def test_select_n_of_booleans_and_integers():
    np.testing.assert_array_equal(lax.select_n(B, X, Y), np.where(B, Y, X))
    np.testing.assert_array_equal(lax.select_n(np.True_, X, Y), Y)
    np.testing.assert_array_equal(lax.select_n(np.int32(1), X, Y, P), Y)


def test_full_loses_nothing():
    assert lax.full((2,), 0.1, np.float64)[0] == 0.1
    assert lax.full((2,), 0.1).dtype == np.float32
    assert lax.full((), 3).dtype == np.int64
    assert fnets.jit(lambda v: lax.full((2,), v))(np.float64(0.1)).dtype == np.float64


def test_creation_and_shapes():
    np.testing.assert_array_equal(lax.iota(np.int32, 3), np.arange(3, dtype=np.int32))
    np.testing.assert_array_equal(lax.broadcasted_iota(np.int32, (2, 3), 1), [[0, 1, 2], [0, 1, 2]])
    np.testing.assert_array_equal(lax.shape_as_value((2, 3)), [2, 3])
    assert lax.empty((2,), np.float32).shape == (2,)
    assert lax.dtype(1.0) == np.float32
    assert lax.broadcast_shapes((3, 1), (4,)) == (3, 4)
    assert lax.reduce_window_shape_tuple((7, 5), (3, 2), (2, 1), [(1, 1), (0, 0)]) == (4, 4)
    assert lax.Precision.HIGHEST is not None


def test_special_functions_in_closed_form():
    np.testing.assert_allclose(lax.igamma(1.0, P), -np.expm1(-P), rtol=1e-12)
    np.testing.assert_allclose(lax.igammac(2.0, P), (1 + P) * np.exp(-P), rtol=1e-12)
    np.testing.assert_allclose(lax.betainc(2.0, 1.0, U**2), U**4, rtol=1e-12)
    slope = (np.i0(P + 1e-5) - np.i0(P - 1e-5)) / 2e-5
    np.testing.assert_allclose(lax.bessel_i1e(P), slope * np.exp(-P), rtol=1e-8)


def test_polygamma_and_zeta_at_known_values():
    np.testing.assert_allclose(lax.zeta(np.float64(2), np.float64(1)), math.pi**2 / 6, rtol=1e-12)
    np.testing.assert_allclose(lax.polygamma(np.float64(1), np.float64(1)), math.pi**2 / 6, rtol=1e-12)
    np.testing.assert_allclose(lax.polygamma(np.float64(2), np.float64(1)), -2 * 1.2020569031595942, rtol=1e-12)
    np.testing.assert_allclose(lax.polygamma(np.float64(0), P), lax.digamma(P), rtol=1e-12)


def test_argument_names_are_those_of_jax():
    expected = {
        "clamp": "min x max",
        "select": "pred on_true on_false",
        "convert_element_type": "operand new_dtype",
        "dot_general": "lhs rhs dimension_numbers precision preferred_element_type",
        "pad": "operand padding_value padding_config",
        "slice": "operand start_indices limit_indices strides",
        "reduce_sum": "operand axes",
        "broadcast_in_dim": "operand shape broadcast_dimensions",
        "concatenate": "operands dimension",
        "expand_dims": "array dimensions",
        "squeeze": "array dimensions",
        "reshape": "operand new_sizes dimensions",
        "transpose": "operand permutation",
        "sort": "operand dimension is_stable num_keys",
        "top_k": "operand k axis",
        "dynamic_slice": "operand start_indices slice_sizes",
        "dynamic_update_slice": "operand update start_indices",
        "iota": "dtype size",
        "integer_pow": "x y",
        "cumsum": "operand axis reverse",
        "full_like": "x fill_value dtype shape",
    }
    for name, arguments in expected.items():
        assert list(inspect.signature(getattr(lax, name)).parameters)[: len(arguments.split())] == arguments.split()


ERRORS = [
    (lambda: lax.clamp(np.zeros(2), X, 1.0), fnets.errors.ShapeError, "clamp"),
    (lambda: lax.select_n(np.zeros(2, np.int32), X, Y), fnets.errors.ShapeError, "select_n"),
    (lambda: lax.select_n(B), fnets.errors.ArgumentError, "case"),
    (lambda: lax.split(X, (1, 1), 1), fnets.errors.ShapeError, "add up"),
    (lambda: lax.dot(np.zeros((1, 1, 1)), X), fnets.errors.ShapeError, "dot_general"),
    (lambda: lax.clz(X), fnets.errors.DTypeError, "integers"),
    (lambda: lax.mulhi(I, I.astype(np.int32)), fnets.errors.DTypeError, "one dtype"),
    (lambda: lax.broadcast_to_rank(X, 1), fnets.errors.ShapeError, "at most 1"),
    (lambda: lax.platform_dependent(1.0, tpu=abs), fnets.errors.ArgumentError, "default"),
]


@pytest.mark.parametrize(("wrong", "error", "text"), ERRORS)
def test_wrong_calls_say_what_was_expected(wrong, error, text):
    with pytest.raises(error, match=text):
        wrong()


def test_local_convolution_with_equal_filters_is_convolution():
    x, w = rng.standard_normal((2, 3, 7, 6)), rng.standard_normal((4, 3, 3, 2))
    expected = lax.conv_general_dilated(x, w, (2, 1), [(1, 0), (0, 1)], rhs_dilation=(1, 2))
    local = np.broadcast_to(w.reshape(4, -1, 1, 1), (4, 18, *expected.shape[2:]))
    got = lax.conv_general_dilated_local(x, local, (2, 1), [(1, 0), (0, 1)], (3, 2), rhs_dilation=(1, 2))
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    last = lax.conv_general_dilated_local(
        x.transpose(0, 2, 3, 1),
        local.transpose(2, 3, 1, 0),
        (2, 1),
        [(1, 0), (0, 1)],
        (3, 2),
        rhs_dilation=(1, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(last, expected.transpose(0, 2, 3, 1), rtol=1e-12, atol=1e-12)


def test_windowed_reductions_and_late_names():
    np.testing.assert_array_equal(lax.reduce_window(np.arange(6.0), -np.inf, lax.max, (2,), (2,)), [1, 3, 5])
    np.testing.assert_array_equal(lax.reduce_window(np.arange(6), 0, lax.add, (3,), (1,), "SAME"), [1, 3, 6, 9, 12, 9])
    np.testing.assert_allclose(lax.fft(X + 0j, "FFT", (4,)), np.fft.fft(X))
    assert lax.linalg.cholesky(np.eye(2)).shape == (2, 2)
    with pytest.raises(AttributeError):
        lax.no_such_name  # noqa: B018


# ------------------------------------------------------------------ odd ends


@pytest.mark.parametrize("sizes", [[3, 0, 4], [2, 1, 1], [7, 0, 0], [0, 0, 0]])
def test_ragged_dot(sizes):
    rng = np.random.default_rng(0)
    lhs, rhs, sizes = rng.standard_normal((7, 2)), rng.standard_normal((3, 2, 4)), np.array(sizes)

    def loop(lhs, rhs):
        out, start = np.zeros((7, 4)), 0
        for g, n in enumerate(sizes):
            out[start : start + n] = lhs[start : start + n] @ rhs[g]
            start += n
        return out

    expected = loop(lhs, rhs)
    np.testing.assert_allclose(lax.ragged_dot(lhs, rhs, sizes), expected)
    np.testing.assert_allclose(fnets.jit(lax.ragged_dot)(lhs, rhs, sizes), expected)
    for f in (lax.ragged_dot, fnets.jit(lax.ragged_dot)):
        check_grads(lambda a, b, f=f: f(a, b, sizes), (lhs, rhs), order=2)
    many = fnets.vmap(lax.ragged_dot, (0, None, None))(np.stack([lhs, 2 * lhs]), rhs, sizes)
    np.testing.assert_allclose(many[1], 2 * expected)
    assert lax.ragged_dot(lhs, rhs, sizes, preferred_element_type=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="group_sizes"):
        lax.ragged_dot(lhs, rhs, sizes[:2])


def test_rng_bit_generator():
    key = np.array([1, 2, 3, 4], np.uint32)
    following, bits = lax.rng_bit_generator(key, (5, 7))
    for a, b in zip(fnets.jit(lambda k: lax.rng_bit_generator(k, (5, 7)))(key), (following, bits)):
        np.testing.assert_array_equal(a, b)
    assert bits.shape == (5, 7) and following.dtype == np.uint32 and not np.array_equal(following, key)
    assert not np.array_equal(lax.rng_bit_generator(following, (5, 7))[1], bits)
    np.testing.assert_array_equal(lax.rng_bit_generator(key, (0,))[0], key)
    wide = lax.rng_bit_generator(key.view(np.uint64), (5, 7), algorithm=lax.RandomAlgorithm.RNG_THREE_FRY)
    np.testing.assert_array_equal(wide[0].view(np.uint32), following)
    np.testing.assert_array_equal(wide[1], bits)
    keys, many = fnets.vmap(fnets.vmap(lambda k: lax.rng_bit_generator(k, (5, 7))))(np.stack([[key], [following]]))
    np.testing.assert_array_equal(many[0, 0], bits)
    mean = lax.rng_bit_generator(key, (10_000,), np.uint8)[1].mean()
    assert abs(mean - 127.5) < 4 * 74 / 100
    with pytest.raises(TypeError, match="uint32"):
        lax.rng_bit_generator(key[:3], (2,))


def test_composite():
    f = lax.composite(lambda x, *, k: fnp.sin(x) * k, "my.wave")
    assert f(0.5, k=2) == 2 * np.sin(0.5)
    assert fnets.make_jaxpr(lambda x: f(x, k=2))(0.5).eqns[0].where.scope == "my.wave"


@pytest.mark.parametrize("op", [lax.lt, lax.le, lax.gt, lax.ge, lax.rem])
def test_complex_numbers_have_no_order(op):
    with pytest.raises(TypeError, match="complex"):
        op(2 + 3j, np.complex64(4))


def test_stop_gradient_of_what_is_no_array():
    assert fnets.grad(lambda x: lax.stop_gradient({"a": x})["a"])(3.0) == 0.0
    with pytest.raises(TypeError):
        lax.stop_gradient(lambda x: x)


def test_random_gamma_grad():
    # golden values: jax.lax.random_gamma_grad in float64
    np.testing.assert_allclose(lax.random_gamma_grad(np.float64(2), np.float64(2)), 1.086208576636328)
    assert lax.random_gamma_grad(2.0, 2.0, dtype=np.float32).dtype == np.float32


def test_reduce_checks_structures():
    with pytest.raises(ValueError, match="in the same structure"):
        lax.reduce({"a": X}, {"b": 0.0}, lambda x, y: x, (0,))
    with pytest.raises(ValueError, match="that are scalars"):
        lax.reduce(X, np.zeros(2), lambda x, y: x * y, (0,))
    with pytest.raises(ValueError, match="returns the structure"):
        lax.reduce(X, 1.0, lambda x, y: (x * y,), (0,))
    out = lax.reduce(
        {"a": P, "b": X}, {"a": 1.0, "b": 0.0}, lambda x, y: {"a": x["a"] * y["a"], "b": x["b"] + y["b"]}, (0,)
    )
    np.testing.assert_allclose(out["a"], P.prod(0))
    np.testing.assert_allclose(out["b"], X.sum(0))


@pytest.mark.parametrize(
    "call",
    [
        lambda: lax.slice(X, (2, 0), (1, 4)),
        lambda: lax.split(X, (), axis=2),
        lambda: lax.transpose(X, (0, 0)),
        lambda: lax.integer_pow(X, 1.5),
        lambda: lax.shift_right_logical(np.float32(1), np.float32(1)),
        lambda: lax.shift_right_logical(np.int32(1), np.float32(1)),
    ],
)
def test_wrong_arguments_are_type_errors_with_values_too(call):
    with pytest.raises(TypeError):
        call()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slope_of_expm1_keeps_its_digits_far_below_zero(dtype):
    x = np.arange(-80.0, 80.0, dtype=dtype)
    np.testing.assert_array_equal(fnets.vmap(fnets.grad(lax.expm1))(x), np.exp(x))
    _, t = fnets.jvp(lax.expm1, (x,), (np.ones_like(x),))
    np.testing.assert_array_equal(t, np.exp(x))


def test_names_of_small_floats_are_dtypes_before_their_package_is_loaded():
    pytest.importorskip("ml_dtypes")
    code = """
import sys, fnets, fnets.numpy as fnp
from fnets import lax
assert "ml_dtypes" not in sys.modules
assert fnp.ones(2, "bfloat16").dtype.name == fnets.ShapeDtypeStruct((2,), "bfloat16").dtype.name == "bfloat16"
assert lax.convert_element_type(fnp.ones(2), "float8_e4m3fn").dtype.name == "float8_e4m3fn"
for wrong in ("bfloat17", "finfo", "__name__"):
    try:
        fnp.ones(2, wrong)
    except TypeError as error:
        assert wrong in str(error)
    else:
        raise AssertionError(wrong)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=pathlib.Path(fnets.__file__).parents[1])


@pytest.mark.parametrize(
    ("have", "want", "fits"),
    [
        ("float16", "float32", True),
        ("float32", "float16", True),
        ("int8", "int32", True),
        ("int8", "float32", True),
        ("float32", "complex64", True),
        ("float32", "int32", False),
        ("complex64", "float32", False),
        ("int32", "uint32", False),
    ],
)
def test_preferred_element_type_holds_the_product(have, want, fits):
    x, y = np.arange(6).reshape(2, 3).astype(have), np.arange(12).reshape(3, 4).astype(have)
    calls = [
        lambda x, y: lax.dot(x, y, preferred_element_type=want),
        lambda x, y: fnp.matmul(x, y, preferred_element_type=want),
        lambda x, y: fnp.dot(x[0, 1], y, preferred_element_type=want),
    ]
    for call, expected in zip(calls, (x @ y, x @ y, x[0, 1] * y)):
        for run in (call, fnets.jit(call)):
            if fits:
                out = run(x, y)
                assert out.dtype == np.dtype(want)
                np.testing.assert_array_equal(out, expected)
            else:
                with pytest.raises(TypeError, match="preferred_element_type"):
                    run(x, y)


def test_small_types_in_arrays_and_limits():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = fnp.array([[1, 2], [3, 4]], "bfloat16")
    assert x.dtype == ml_dtypes.bfloat16 and x.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert fnp.iinfo("int4").bits == 4 and fnp.iinfo("uint4").max == 15 and fnp.finfo("bfloat16").bits == 16
    for limits, wrong in ((fnp.iinfo, "bfloat16"), (fnp.finfo, "int4"), (fnp.iinfo, "float32")):
        with pytest.raises(TypeError):
            limits(wrong)


# ------------------------------------------------------------------ products of groups

RAGGED = [  # axes of lhs and rhs by letters, as in einsum: g counts groups, r is the ragged axis of lhs
    ("brk", "gbkn", "brn"),
    ("brk", "brn", "gbkn"),
    ("rbk", "brn", "gbkn"),
    ("rk", "gkn", "rn"),
    ("mrk", "gkn", "mrn"),
    ("rk", "rn", "gkn"),
    ("jrk", "jrn", "gkn"),
]


@pytest.mark.parametrize(("left", "right", "out"), RAGGED)
@pytest.mark.parametrize("own", [False, True])
def test_ragged_dot_general_is_the_sum_of_its_groups(left: str, right: str, out: str, own: bool):
    lengths = {"b": 2, "r": 5, "k": 3, "n": 4, "m": 2, "g": 4, "j": 2}
    lhs, rhs = (rng.standard_normal([lengths[c] for c in axes]) for axes in (left, right))
    batch = [c for c in left if c in right and c in out]
    contracted = [c for c in left if c in right and c not in out]
    kind = contracted if "r" in contracted else [c for c in left if c not in batch + contracted]
    before = [*batch, *kind[: kind.index("r")]]
    sizes = np.array([1, 0, 2, 1])
    if own and before:
        sizes = np.stack([sizes, [2, 2, 0, 1]])
    ends = np.cumsum(sizes, -1)[..., None]
    mask = (np.arange(5) < ends) & (np.arange(5) >= ends - sizes[..., None])
    letters = "".join(before) + "gr" if mask.ndim == 3 else "gr"
    expected = np.einsum(f"{left},{right},{letters}->{out}", lhs, rhs, mask.astype(float))
    numbers = lax.RaggedDotDimensionNumbers(
        (
            ([left.index(c) for c in contracted], [right.index(c) for c in contracted]),
            ([left.index(c) for c in batch], [right.index(c) for c in batch]),
        ),
        [left.index("r")],
        [right.index("g")] if "g" in right else [],
    )
    f = lambda sizes: lax.ragged_dot_general(lhs, rhs, sizes, numbers)  # noqa: E731
    np.testing.assert_allclose(f(sizes), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(fnets.jit(f)(sizes), expected, rtol=1e-12, atol=1e-12)


def test_ragged_dot_general_with_a_ragged_batch_and_wrong_calls():
    lhs, rhs = rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 3, 4))
    dots = ([2], [1]), ([0], [0])
    numbers = lax.RaggedDotDimensionNumbers(dots, [0], [])
    np.testing.assert_allclose(lax.ragged_dot_general(lhs, rhs, np.array([1, 1]), numbers), lhs @ rhs)
    for ragged, groups in (([0, 1], []), ([5], []), ([1], []), ([0], [0])):
        with pytest.raises(ArgumentError, match="ragged_dot_general"):
            lax.ragged_dot_general(lhs, rhs, np.array([1, 1]), lax.RaggedDotDimensionNumbers(dots, ragged, groups))
    with pytest.raises(ShapeError, match="group_sizes"):
        lax.ragged_dot_general(lhs, rhs, np.ones((3, 1), int), lax.RaggedDotDimensionNumbers(dots, [2], []))
