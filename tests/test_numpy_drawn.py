"""`fnets.numpy` against NumPy on drawn shapes, dtypes and axes: the same values, the same dtypes, the same refusals, eagerly and jitted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fnets
import fnets.numpy as fnp

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

NUMBERS = [
    "bool",
    "int8",
    "uint8",
    "int32",
    "uint32",
    "int64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
REALS = [d for d in NUMBERS if not d.startswith("complex")]
FLOATS = ["float32", "float64"]


@pytest.fixture(autouse=True, scope="module")
def double():
    with fnets.default_dtype("float64"):
        yield


def elements(dtype: np.dtype):
    kind = np.dtype(dtype).kind
    if kind == "b":
        return st.booleans()
    if kind in "iu":
        return st.integers(0 if kind == "u" else -8, 8)
    if kind == "f":
        return st.integers(-16, 16).map(lambda n: n / 4)
    return st.tuples(st.integers(-8, 8), st.integers(-8, 8)).map(lambda p: complex(p[0] / 2, p[1] / 2))


@st.composite
def arrays(draw, dtypes=NUMBERS, shapes=None, min_dims=0, min_side=0):
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(
        hnp.array_shapes(min_dims=min_dims, max_dims=3, min_side=min_side, max_side=4) if shapes is None else shapes
    )
    return draw(hnp.arrays(dtype, shape, elements=elements(dtype)))


@st.composite
def pairs(draw, dtypes=NUMBERS):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=1, max_side=4)).input_shapes
    first = draw(arrays(dtypes, st.just(shapes[0])))
    scalars = st.one_of(st.booleans(), st.integers(0, 5), st.floats(-4, 4, width=16), st.just(2j))
    second = draw(st.one_of(arrays(dtypes, st.just(shapes[1])), scalars))
    return (first, second) if draw(st.booleans()) else (second, first)


def outcome(f, *args, **kwargs):
    """The result as arrays, or the kind of refusal."""
    try:
        with np.errstate(all="ignore"):
            out = f(*args, **kwargs)
    except (TypeError, ValueError, OverflowError, IndexError) as error:
        return type(error), str(error)[:80]
    return [np.asarray(v) for v in (out if isinstance(out, (tuple, list)) else [out])]


def same(got, expected, tol: float = 1e-6) -> None:
    if isinstance(expected, tuple):
        assert isinstance(got, tuple), f"expected a refusal, {expected}"
        return
    assert isinstance(got, list), f"unexpected refusal: {got}"
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        if a.dtype.kind in "fc":
            rough = 1e-2 if a.dtype == np.float16 else 1e-4 if a.dtype in (np.float32, np.complex64) else tol
            np.testing.assert_allclose(a, b, rtol=rough, atol=rough)
        else:
            np.testing.assert_array_equal(a, b)


def check(name: str, *args, jit: bool = True, **options) -> None:
    reference, function = getattr(np, name), getattr(fnp, name)
    expected = outcome(reference, *args, **options)
    got = outcome(function, *args, **options)
    same(got, expected)
    positions = [i for i, a in enumerate(args) if isinstance(a, np.ndarray)]
    if not jit or not isinstance(got, list) or not positions:
        return

    def call(*xs):
        full = list(args)
        for i, x in zip(positions, xs):
            full[i] = x
        return function(*full, **options)

    same(outcome(fnets.jit(call), *[args[i] for i in positions]), got)


BINARY = "add subtract multiply divide floor_divide remainder power maximum minimum arctan2 hypot less equal logical_and bitwise_and bitwise_xor"


@pytest.mark.parametrize("name", BINARY.split())
@given(pair=pairs())
def test_promotion_of_two(name, pair):
    if any(isinstance(x, bool) for x in pair):
        pair = tuple(np.bool_(x) if isinstance(x, bool) else x for x in pair)
    check(name, *pair)


@given(pair=pairs(), mask=st.booleans())
def test_promotion_of_where(pair, mask):
    condition = np.array([mask, not mask, True, False])
    x, y = (a if np.ndim(a) == 0 else np.resize(a, 4) for a in pair)
    check("where", condition, x, y)


UNARY = "negative absolute sign square sqrt exp log1p sin tanh floor ceil trunc rint isnan isfinite conj real imag invert logical_not cbrt angle"


@pytest.mark.parametrize("name", UNARY.split())
@given(x=arrays())
def test_functions_of_one(name, x):
    check(name, x)


@st.composite
def with_axis(draw, dtypes=NUMBERS, several=True, min_side=0):
    x = draw(arrays(dtypes, min_dims=1, min_side=min_side))
    one = st.integers(-x.ndim, x.ndim - 1)
    choices = [one, st.none()]
    if several:
        choices.append(st.lists(st.integers(0, x.ndim - 1), unique=True, max_size=x.ndim).map(tuple))
    return x, draw(st.one_of(*choices))


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "any", "all", "count_nonzero", "std", "var"])
@given(drawn=with_axis(), keepdims=st.booleans())
def test_reductions(name, drawn, keepdims):
    x, axis = drawn
    if name in ("std", "var") and x.dtype.kind == "b":
        x = x.astype(np.int8)
    check(name, x, axis=axis, keepdims=keepdims)


@pytest.mark.parametrize("name", ["max", "min", "ptp", "median", "nanmax", "nansum"])
@given(drawn=with_axis([d for d in REALS if d != "bool"], min_side=1), keepdims=st.booleans())
def test_reductions_of_real_numbers(name, drawn, keepdims):
    check(name, drawn[0], axis=drawn[1], keepdims=keepdims)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@given(drawn=with_axis(REALS, several=False, min_side=1), keepdims=st.booleans())
def test_positions_of_extremes(name, drawn, keepdims):
    check(name, drawn[0], axis=drawn[1], keepdims=keepdims)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "sort", "flip"])
@given(drawn=with_axis(REALS, several=False))
def test_along_an_axis(name, drawn):
    check(name, drawn[0], axis=drawn[1])


@given(
    drawn=with_axis(FLOATS, min_side=1),
    q=st.floats(0, 1),
    method=st.sampled_from(["linear", "lower", "higher", "nearest", "midpoint", "hazen"]),
)
def test_quantiles(drawn, q, method):
    if drawn[1] != ():
        check("quantile", drawn[0], q, axis=drawn[1], method=method)


@given(x=arrays(min_dims=1), data=st.data())
def test_shapes(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    to = data.draw(st.integers(-x.ndim, x.ndim - 1))
    check("moveaxis", x, axis, to)
    check("swapaxes", x, axis, to)
    check("rollaxis", x, axis, to)
    check("expand_dims", x, axis)
    check("squeeze", x)
    check("ravel", x)
    check("transpose", x, data.draw(st.permutations(range(x.ndim))))
    check(
        "reshape",
        x,
        data.draw(st.sampled_from([(-1,), (1, -1), (x.size,), (2, -1)])),
        order=data.draw(st.sampled_from("CF")),
    )
    check("roll", x, data.draw(st.integers(-5, 5)), axis=data.draw(st.sampled_from([None, axis])))
    check("repeat", x, data.draw(st.integers(0, 3)), axis=data.draw(st.sampled_from([None, axis])))
    check("tile", x, data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3)))
    check("array_split", x, data.draw(st.integers(1, 4)), axis=axis)
    check("split", x, data.draw(st.one_of(st.integers(1, 3), st.lists(st.integers(-2, 5), max_size=3))), axis=axis)
    check("concatenate", [x, x.astype(data.draw(st.sampled_from(NUMBERS)))], axis=axis, jit=False)
    check("stack", [x, x], axis=data.draw(st.integers(-x.ndim - 1, x.ndim)), jit=False)
    check("diff", x, n=data.draw(st.integers(0, 2)), axis=axis)
    check("rot90", x, data.draw(st.integers(-4, 4)))
    check("trim_zeros", x[(slice(None), *(0,) * (x.ndim - 1))] if 0 not in x.shape[1:] else x.ravel(), jit=False)


@given(x=arrays(FLOATS, min_dims=1, min_side=1), data=st.data())
def test_padding(x, data):
    widths = data.draw(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=x.ndim, max_size=x.ndim))
    mode = data.draw(
        st.sampled_from(
            ["constant", "edge", "reflect", "symmetric", "wrap", "linear_ramp", "mean", "maximum", "minimum", "median"]
        )
    )
    check("pad", x, widths, mode=mode)


@given(x=arrays(REALS, min_dims=1, min_side=1), data=st.data())
def test_taking(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    n = x.shape[axis]
    index = data.draw(hnp.arrays(np.int64, hnp.array_shapes(max_dims=2, max_side=3), elements=st.integers(-n, n - 1)))
    check("take", x, index, axis=axis, jit=False)
    check("take", x, index + 3, axis=axis, mode="wrap")
    check("delete", x, data.draw(st.integers(-n, n - 1)), axis=axis)
    check("insert", x, data.draw(st.integers(-n, n)), 1, axis=axis)
    check("nonzero", x, jit=False)
    check("compress", data.draw(st.lists(st.booleans(), max_size=n)), x, axis=axis, jit=False)
    check("searchsorted", np.sort(x.ravel()), x, side=data.draw(st.sampled_from(["left", "right"])))


@given(
    a=arrays(NUMBERS, hnp.array_shapes(min_dims=1, max_dims=3, max_side=3)),
    b=arrays(NUMBERS, hnp.array_shapes(min_dims=1, max_dims=3, max_side=3)),
)
def test_products(a, b):
    for name in ("dot", "matmul", "inner", "outer", "kron"):
        check(name, a, b)


@given(
    a=arrays(["int8", "int64", "float64"], st.integers(0, 6).map(lambda n: (n,))),
    b=arrays(["int64", "float32"], st.integers(0, 6).map(lambda n: (n,))),
)
def test_sets(a, b):
    for name in ("union1d", "intersect1d", "setdiff1d", "setxor1d", "isin"):
        check(name, a, b, jit=False)
    check("unique", a, return_index=True, return_inverse=True, return_counts=True, jit=False)


@given(
    start=st.integers(-5, 5), stop=st.integers(-5, 9), step=st.sampled_from([-2, -1, 1, 3, 0.5]), num=st.integers(0, 6)
)
def test_ranges(start, stop, step, num):
    check("arange", start, stop, step)
    check("linspace", start, stop, num, endpoint=bool(num % 2))
    check("eye", num, abs(stop), start)
    check("tri", num, abs(stop), start)


@given(x=arrays(["int64", "float64"], st.integers(1, 8).map(lambda n: (n,))), n=st.integers(1, 5))
def test_histograms(x, n):
    check("histogram", x, bins=n)
    check("histogram", x, bins=n, density=True)
    check("digitize", x, np.array([-1.0, 0.0, 2.0]))
