"""Golden special functions and activations (special.npz) and initialisers (initializers.npz) from JAX.

The elementwise functions are evaluated on grids that reach the ends of the number line, in float32 and float64. Where
mpmath has the function, `exact` holds the correctly rounded value, since JAX's own can be off by some units in the last
place. Needs the `bench` extra (mpmath comes with torch).
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from golden_io import encode, save

DTYPES = {"f32": np.float32, "f64": np.float64}


def real_grid(dtype: Any) -> np.ndarray:
    """Both signs of zero, denormals, tiny, ordinary, large and non-finite values."""
    info = np.finfo(dtype)
    tiny = [
        info.smallest_subnormal,
        info.smallest_subnormal * 1000,
        info.tiny,
        info.tiny * 4,
        1e-30,
        1e-10,
        1e-5,
        info.eps,
    ]
    middle = [*np.arange(1, 49) / 8, 0.3, 0.9375, 1.4616321449683623, 6.5, 7.0, 7.5, 8.5, 9.0, 10.0, 11.5, 13.0]
    high = [16.0, 20.0, 26.5, 27.5, 33.0, 50.0, 88.0, 89.0, 104.0, 170.5, 500.0, 709.0, 710.0, 746.0, 1e4, 1e8, 1e30]
    positive = np.array([0.0, *tiny, *middle, *high, info.max / 2, info.max, np.inf], dtype)
    return np.concatenate([-positive[::-1], positive, np.array([np.nan], dtype)])


def unit_grid(dtype: Any) -> np.ndarray:
    """[-1, 1] with its ends approached closely, and some values outside."""
    info = np.finfo(dtype)
    near_one = [1 - info.epsneg * k for k in (1, 2, 10, 1000)]
    tiny = [info.smallest_subnormal, info.tiny, 1e-30, 1e-10, 1e-5, info.eps]
    positive = np.array(
        [0.0, *tiny, *np.arange(1, 40) / 40, 0.98, 0.99, 0.999, 0.9999, *near_one, 1.0, 1.5, np.inf], dtype
    )
    return np.concatenate([-positive[::-1], positive, np.array([np.nan], dtype)])


GRIDS = {"real": real_grid, "unit": unit_grid}

# module under jax, function, keyword arguments, grid
ELEMENTWISE: list[tuple[str, str, dict[str, Any], str]] = [
    *[("lax", fn, {}, "real") for fn in ("erf", "erfc", "lgamma", "digamma", "logistic", "log1p", "expm1")],
    *[("lax", fn, {}, "real") for fn in ("rsqrt", "cbrt", "sinh", "cosh", "tanh", "asinh", "acosh")],
    *[("lax", fn, {}, "unit") for fn in ("erf_inv", "atanh", "asin", "acos")],
    *[("scipy.special", fn, {}, "real") for fn in ("ndtr", "log_ndtr", "gammaln", "entr", "i0e", "i1e")],
    *[("scipy.special", fn, {}, "unit") for fn in ("ndtri", "logit")],
    ("nn", "gelu", {"approximate": True}, "real"),
    ("nn", "gelu", {"approximate": False}, "real"),
    ("nn", "elu", {}, "real"),
    ("nn", "elu", {"alpha": 0.5}, "real"),
    ("nn", "celu", {}, "real"),
    ("nn", "celu", {"alpha": 2.0}, "real"),
    ("nn", "leaky_relu", {}, "real"),
    ("nn", "leaky_relu", {"negative_slope": 0.2}, "real"),
    ("nn", "squareplus", {}, "real"),
    ("nn", "squareplus", {"b": 1.0}, "real"),
    *[("nn", fn, {}, "real") for fn in ("relu", "relu6", "sigmoid", "softplus", "silu", "selu", "mish", "soft_sign")],
    *[("nn", fn, {}, "real") for fn in ("log_sigmoid", "hard_sigmoid", "hard_silu", "hard_tanh")],
    *[("nn", fn, {}, "real") for fn in ("sparse_plus", "sparse_sigmoid", "tanh")],
]

EXACT: dict[str, Callable[[Any], Any]] = {
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "erf_inv": mpmath.erfinv,
    "lgamma": lambda x: mpmath.log(abs(mpmath.gamma(x))) if abs(x) < 1e4 else mpmath.re(mpmath.loggamma(x)),
    "digamma": mpmath.digamma,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
    "log1p": mpmath.log1p,
    "expm1": mpmath.expm1,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "log_sigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
    "ndtr": lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
    "log_ndtr": lambda x: mpmath.log(mpmath.erfc(-x / mpmath.sqrt(2)) / 2),
    "tanh": mpmath.tanh,
    "asinh": mpmath.asinh,
    "atanh": mpmath.atanh,
}


def exact_values(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """Correctly rounded values; NaN where the function isn't real, isn't finite or costs too much."""
    out = np.full(x.shape, np.nan, x.dtype)
    with mpmath.workprec(400), np.errstate(over="ignore"):
        for i, value in enumerate(x):
            if not np.isfinite(value) or abs(value) > 1e4:
                continue
            try:
                result = function(mpmath.mpf(float(value)))
            except (ValueError, ZeroDivisionError, OverflowError):
                continue
            if isinstance(result, mpmath.mpf) and mpmath.isfinite(result):
                out[i] = round_to(result, x.dtype)
    return out


def round_to(value: Any, dtype: np.dtype) -> Any:
    """One rounding to float32, not two by way of float64."""
    info = np.finfo(dtype)
    if abs(value) < info.tiny or dtype == np.float64:
        return dtype.type(float(value))
    with mpmath.workprec(info.nmant + 1):
        return dtype.type(float(+value))


def jax_function(module: str, fn: str) -> Callable[..., Any]:
    found: Any = jax
    for part in (*module.split("."), fn):
        found = getattr(found, part)
    return found


def elementwise_cases() -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    for module, fn, kwargs, grid in ELEMENTWISE:
        suffix = "_".join(str(value).lower() for value in kwargs.values())
        name = f"{module.split('.')[0]}_{fn}" + (f"_{suffix}" if suffix else "")
        arrays = {}
        for short, dtype in DTYPES.items():
            with jax.enable_x64(short == "f64"):
                x = jnp.asarray(GRIDS[grid](dtype))
                function = jax_function(module, fn)
                y, pull = jax.vjp(lambda x, f=function, k=kwargs: f(x, **k), x)
                arrays[short] = y
                arrays[f"{short}_derivative"] = pull(jnp.ones_like(y))[0]
                if fn in EXACT and not kwargs:
                    arrays[f"{short}_exact"] = exact_values(EXACT[fn], np.asarray(x))
                assert y.dtype == dtype
        case = {"name": name, "module": module, "fn": fn, "kwargs": kwargs, "grid": grid, "kind": "elementwise"}
        yield case, {part: np.asarray(array) for part, array in arrays.items()}


def row_inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20240604)
    plain = np.round(rng.normal(size=(3, 4, 6)) * 256) / 128
    inf = np.inf
    extreme = np.array(
        [
            [1000.0, 999.0, -1000.0, 0.0],
            [-1000.0, -1001.0, -1002.0, -1003.0],
            [0.0, -inf, 1.0, 2.0],
            [-inf, -inf, -inf, -inf],
            [inf, 0.0, 1.0, 2.0],
            [np.nan, 0.0, 1.0, 2.0],
            [1e-30, 0.0, -0.0, 1e-30],
            [3.0, 3.0, 3.0, 3.0],
        ]
    )
    return {"plain": plain, "extreme": extreme}


WHERE = np.arange(72).reshape(3, 4, 6) % 5 != 0
WEIGHTS = np.arange(72).reshape(3, 4, 6) % 7 - 2.0

# module, function, keyword arguments, input
ROWS: list[tuple[str, str, dict[str, Any], str]] = [
    *[
        ("nn", fn, kw, "plain")
        for fn in ("softmax", "log_softmax", "standardize", "logsumexp")
        for kw in ({}, {"axis": 1})
    ],
    *[("nn", fn, {"axis": (0, 2)}, "plain") for fn in ("softmax", "log_softmax", "standardize", "logsumexp")],
    *[("nn", fn, {}, "extreme") for fn in ("softmax", "log_softmax", "logsumexp")],
    *[("nn", fn, {"axis": -1}, "extreme") for fn in ("logsumexp", "logmeanexp", "standardize")],
    *[
        ("nn", fn, {"axis": -1, "where": WHERE}, "plain")
        for fn in ("softmax", "log_softmax", "standardize", "logsumexp")
    ],
    ("nn", "logsumexp", {"axis": 1, "keepdims": True}, "plain"),
    ("nn", "logsumexp", {"axis": 2, "b": WEIGHTS % 3 + 0.5}, "plain"),
    ("nn", "logsumexp", {"axis": 2, "b": WEIGHTS, "return_sign": True}, "plain"),
    ("nn", "logmeanexp", {"axis": 1}, "plain"),
    ("nn", "standardize", {"axis": 1, "epsilon": 0.5}, "plain"),
    ("nn", "glu", {}, "plain"),
    ("nn", "glu", {"axis": 1}, "plain"),
]


def row_cases() -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    inputs = row_inputs()
    rng = np.random.default_rng(20240605)
    for number, (module, fn, kwargs, source) in enumerate(ROWS):
        arrays = {}
        cotangent = None
        for short, dtype in DTYPES.items():
            with jax.enable_x64(short == "f64"):
                x = jnp.asarray(inputs[source].astype(dtype))
                function = jax_function(module, fn)
                typed = {k: v.astype(dtype) if k == "b" else v for k, v in kwargs.items()}

                def first(x: Any, f: Any = function, k: Any = typed) -> Any:
                    out = f(x, **k)
                    return out if isinstance(out, jax.Array) else out[0]

                y, pull = jax.vjp(first, x)
                if cotangent is None:
                    cotangent = np.round(rng.normal(size=y.shape) * 64) / 64
                arrays[short] = y
                arrays[f"{short}_dx"] = pull(jnp.asarray(cotangent, dtype))[0]
                if kwargs.get("return_sign"):
                    arrays[f"{short}_sign"] = function(x, **typed)[1]
        arrays["ct"] = cotangent
        case = {"name": f"rows_{fn}_{number:02d}", "module": module, "fn": fn, "kwargs": encode(kwargs)}
        yield {**case, "input": source, "kind": "rows"}, {part: np.asarray(array) for part, array in arrays.items()}


def make_special() -> None:
    arrays = {f"{grid}_{short}": make(dtype) for grid, make in GRIDS.items() for short, dtype in DTYPES.items()}
    arrays |= {f"input_{name}": value for name, value in row_inputs().items()}
    config = []
    for cases in (elementwise_cases, row_cases):
        for case, values in cases():
            arrays.update({f"{case['name']}_{part}": value for part, value in values.items()})
            config.append(case)
    save("special", arrays, config)


# Initialisers. A name ending in a call's parentheses is a factory; zeros and ones are initialisers themselves.

DENSE, CONV = (6, 4), (3, 3, 2, 4)
FANS = ("glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform")

INITIALIZERS: list[tuple[str, dict[str, Any] | None, tuple[int, ...]]] = [
    ("zeros", None, DENSE),
    ("ones", None, DENSE),
    ("constant", {"value": 0.25}, DENSE),
    ("normal", {}, DENSE),
    ("normal", {"stddev": 0.5}, CONV),
    ("truncated_normal", {}, DENSE),
    ("truncated_normal", {"stddev": 0.5, "lower": -1.0, "upper": 3.0}, DENSE),
    ("uniform", {}, DENSE),
    ("uniform", {"scale": 2.0}, CONV),
    *[(name, {}, shape) for name in FANS for shape in (DENSE, CONV)],
    ("glorot_uniform", {"in_axis": 0, "out_axis": 1}, (4, 2, 3, 3)),
    ("he_normal", {"in_axis": 1, "out_axis": 0}, (4, 2, 3, 3)),
    ("lecun_normal", {"in_axis": (0, 1), "out_axis": 2}, (2, 3, 4)),
    ("glorot_normal", {"batch_axis": 0}, (3, 4, 5)),
    *[
        ("variance_scaling", {"scale": 1.5, "mode": mode, "distribution": distribution}, DENSE)
        for mode in ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
        for distribution in ("normal", "truncated_normal", "uniform")
    ],
    ("orthogonal", {}, (4, 4)),
    ("orthogonal", {"scale": 2.0}, (5, 3)),
    ("orthogonal", {"column_axis": 0}, (3, 5)),
    ("orthogonal", {}, (2, 2, 3)),
    ("delta_orthogonal", {}, (3, 2, 4)),
    ("delta_orthogonal", {"scale": 0.5}, (3, 3, 2, 4)),
]


def make_initializers() -> None:
    arrays: dict[str, np.ndarray] = {}
    config = []
    for number, (fn, kwargs, shape) in enumerate(INITIALIZERS):
        name = f"{fn}_{number:02d}"
        for short, dtype in DTYPES.items():
            with jax.enable_x64(short == "f64"):
                found = getattr(jax.nn.initializers, fn)
                init = found if kwargs is None else found(**kwargs)
                arrays[f"{name}_{short}"] = np.asarray(init(jax.random.key(0), shape, dtype))
        config.append({"name": name, "fn": fn, "factory": kwargs is not None, "kwargs": kwargs or {}, "shape": shape})
    save("initializers", arrays, config)


if __name__ == "__main__":
    make_special()
    make_initializers()
