"""Golden values of `jax.random`: random.npz. Needs the `bench` extra.

Each case is one call `jax.random.<fn>(key(seed), *args, **kwargs)`, run with 32-bit and with 64-bit defaults. Its array
is called `both_<case>` where the two agree in dtype and bits, else there are `x32_<case>` and `x64_<case>`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from golden_io import encode, save

Call = tuple[str, int, tuple[Any, ...], dict[str, Any]]  # function, seed, args, kwargs

F16, F32, F64 = "float16", "float32", "float64"
SHAPES = ((), (5,), (3, 4), (1001,))
SEEDS = (0, 1, 42, -1, -(2**40) - 3, 2**31, 2**32 - 1, 2**32, 2**33 + 5, 2**63 - 1, -(2**63))


def key_cases() -> Iterator[Call]:
    for seed in SEEDS:
        yield "key_data", seed, (), {}
    for num in (2, 1, 5, 300, (3, 2), (2, 1, 3), ()):
        yield "split", 7, (num,), {}
    for data in (0, 1, 2**31, 2**32 - 1, 12345):
        yield "fold_in", 7, (data,), {}


def bits_cases() -> Iterator[Call]:
    for dtype in ("uint8", "uint16", "uint32", "uint64"):
        for shape in SHAPES:
            yield "bits", 3, (shape, dtype), {}
    yield "bits", 3, (), {}
    yield "bits", -5, ((4,),), {}
    yield "bits", 2**35 + 1, ((4,),), {}
    yield "bits", 3, ((0, 4),), {}


def uniform_cases() -> Iterator[Call]:
    for dtype in (F32, F64, F16):
        for shape in SHAPES[:3]:
            yield "uniform", 11, (shape, dtype), {}
        yield "uniform", 12, ((6,), dtype), {"minval": -2.5, "maxval": 7.25}
    yield "uniform", 11, ((1001,), F32), {}
    yield "uniform", 11, ((300,), F64), {}
    yield "uniform", 11, ((4,),), {}
    yield "uniform", 13, ((2, 3), F32), {"minval": np.array([-1, 0, 1], np.float32), "maxval": np.float32(4)}


def normal_cases() -> Iterator[Call]:
    for dtype in (F32, F64, F16):
        for shape in SHAPES[:3]:
            yield "normal", 21, (shape, dtype), {}
        yield "truncated_normal", 22, (-1.0, 2.0, (6,), dtype), {}
        yield "lognormal", 23, (0.5, (5,), dtype), {}
        yield "generalized_normal", 24, (1.5, (5,), dtype), {}
    yield "normal", 21, ((1001,), F32), {}
    yield "normal", 21, ((300,), F64), {}
    yield "normal", 21, ((4,),), {}
    for dtype in ("complex64", "complex128"):
        yield "normal", 21, ((4,), dtype), {}
    low = np.array([-3.0, -1.0, 0.0, 5.0], np.float32)
    yield "truncated_normal", 22, (low, low + np.float32(2)), {}
    yield "truncated_normal", 22, (-2, 2, (3, 4), F32), {}


def integer_cases() -> Iterator[Call]:
    for low, high in ((0, 10), (-7, 9), (0, 2**31 - 1), (-(2**31), 2**31 - 1), (5, 6), (3, 3), (4, 2)):
        yield "randint", 31, ((6,), low, high), {}
    for dtype, low, high in (
        ("int8", -128, 127),
        ("int8", -5, 5),
        ("uint8", 0, 256),
        ("int16", -300, 300),
        ("uint16", 0, 65536),
        ("uint32", 0, np.uint32(2**32 - 1)),
        ("int64", -(2**40), 2**41),
        ("uint64", 0, 2**50),
        ("int32", 0, 1000),
    ):
        yield "randint", 32, ((2, 3), low, high, dtype), {}
    yield "randint", 33, ((500,), 0, 60000), {}
    yield "randint", 34, ((2, 3), np.array([0, 10, 20]), np.array([5, 15, 1000])), {}
    for dtype in (None, "int8", "int32", F32, F64):
        yield "rademacher", 35, ((8,), dtype), {}
    for p in (0.5, 0.1, np.array([0.0, 0.3, 0.9, 1.0], np.float32)):
        shape = (4,) if isinstance(p, np.ndarray) else (9,)
        yield "bernoulli", 36, (p, shape), {}
        yield "bernoulli", 36, (p, shape), {"mode": "high"}
    yield "bernoulli", 36, (), {}


def order_cases() -> Iterator[Call]:
    matrix = np.arange(24).reshape(4, 6)
    for n in (1, 2, 10, 1000):
        yield "permutation", 41, (n,), {}
    yield "permutation", 41, (np.arange(7, dtype=np.float32) * 0.5,), {}
    for axis in (0, 1, -1):
        yield "permutation", 42, (matrix, axis), {}
        yield "permutation", 42, (matrix, axis), {"independent": True}
    yield "permutation", 42, (np.arange(12).reshape(2, 3, 2), 1), {}


def choice_cases() -> Iterator[Call]:
    weights = np.array([0.1, 0.2, 0.05, 0.4, 0.25], np.float32)
    matrix = np.arange(15).reshape(5, 3)
    for replace in (True, False):
        yield "choice", 51, (5, (4,)), {"replace": replace}
        yield "choice", 51, (5, (2, 2)), {"replace": replace, "p": weights}
        yield "choice", 51, (matrix, (3,)), {"replace": replace, "axis": 0}
        yield "choice", 51, (matrix.T, (3,)), {"replace": replace, "p": weights, "axis": 1}
    yield "choice", 51, (np.array([2.5, 3.5, 4.5], np.float32),), {}
    yield "choice", 52, (1000, (300,)), {}
    logits = np.log(weights)
    table = np.stack([logits, logits[::-1], np.zeros(5, np.float32)])
    yield "categorical", 53, (logits,), {}
    yield "categorical", 53, (logits,), {"shape": (7,)}
    yield "categorical", 53, (table,), {}
    yield "categorical", 53, (table,), {"axis": 0}
    yield "categorical", 53, (table,), {"axis": -1, "shape": (4, 3)}
    yield "categorical", 53, (logits,), {"shape": (3,), "replace": False}
    yield "categorical", 53, (table,), {"shape": (3,), "mode": "high"}
    yield "categorical", 53, (np.array([0.0, -np.inf, 1.0], np.float32),), {"shape": (6,)}


def plain_distribution_cases() -> Iterator[Call]:
    for dtype in (F32, F64, F16):
        for name in ("gumbel", "exponential", "laplace", "logistic", "cauchy", "maxwell"):
            yield name, 61, ((6,), dtype), {}
    for name in ("gumbel", "exponential", "laplace", "logistic", "cauchy", "maxwell"):
        yield name, 62, (), {}
        yield name, 62, ((2, 3),), {}
    yield "gumbel", 61, ((6,), F32), {"mode": "high"}
    for dtype in (F32, F64):
        yield "pareto", 63, (2.5, (5,), dtype), {}
        yield "rayleigh", 63, (1.5, (5,), dtype), {}
        yield "triangular", 63, (-1.0, 0.5, 2.0, (5,), dtype), {}
        yield "wald", 63, (1.5, (5,), dtype), {}
        yield "weibull_min", 63, (2.0, 1.5, (5,), dtype), {}
        yield "double_sided_maxwell", 63, (0.5, 2.0, (5,), dtype), {}
        yield "t", 63, (3.5, (5,), dtype), {}
        yield "ball", 64, (3, 2.0, (2,), dtype), {}
        yield "ball", 64, (2, 1.0, (2,), dtype), {}
        yield "chisquare", 65, (4.0, (5,), dtype), {}
        yield "f", 65, (4.0, 7.0, (5,), dtype), {}
    yield "geometric", 66, (0.3, (8,)), {}
    yield "geometric", 66, (np.array([0.1, 0.5, 0.9], np.float32),), {}


def gamma_family_cases() -> Iterator[Call]:
    shapes = np.array([0.3, 1.0, 2.5, 30.0], np.float32)
    for dtype in (F32, F64):
        for a in (0.5, 1.0, 5.0):
            yield "gamma", 71, (a, (5,), dtype), {}
        yield "loggamma", 72, (0.01, (5,), dtype), {}
        yield "beta", 73, (0.8, 2.5, (5,), dtype), {}
        yield "dirichlet", 74, (np.array([0.2, 1.0, 3.0], np.float32), (2,), dtype), {}
    yield "gamma", 71, (shapes,), {}
    yield "beta", 73, (shapes, shapes[::-1].copy()), {}
    for lam in (0.0, 0.7, 5.0, 12.0, 80.0, 1e4):
        yield "poisson", 75, (lam, (6,)), {}
    yield "poisson", 75, (np.array([0.5, 3.0, 20.0], np.float32), (4, 3)), {}
    for n, p in ((10.0, 0.3), (100.0, 0.5), (1000.0, 0.9), (5.0, 0.0)):
        yield "binomial", 76, (n, p, (6,)), {}
    yield "multinomial", 77, (20.0, np.array([0.2, 0.3, 0.5], np.float32)), {}


def matrix_cases() -> Iterator[Call]:
    mean = np.array([1.0, -2.0, 0.5])
    cov = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.5]])
    for dtype in (np.float32, np.float64):
        for method in ("cholesky", "eigh", "svd"):
            args = (mean.astype(dtype), cov.astype(dtype), (4,), np.dtype(dtype).name)
            yield "multivariate_normal", 81, args, {"method": method}
        yield "orthogonal", 82, (3, (), np.dtype(dtype).name), {}
        yield "orthogonal", 82, (3, (2,), np.dtype(dtype).name), {}
        yield "orthogonal", 82, (4, (), np.dtype(dtype).name), {"m": 2}
        yield "orthogonal", 82, (2, (), np.dtype(dtype).name), {"m": 4}


FAMILIES: tuple[Callable[[], Iterator[Call]], ...] = (
    key_cases,
    bits_cases,
    uniform_cases,
    normal_cases,
    integer_cases,
    order_cases,
    choice_cases,
    plain_distribution_cases,
    gamma_family_cases,
    matrix_cases,
)


def as_array(value: Any) -> np.ndarray:
    if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    return np.asarray(value)


def call(fn: str, seed: int, args: tuple[Any, ...], kwargs: dict[str, Any], x64: bool) -> np.ndarray | None:
    """The call's value, or None where 32-bit JAX can't make the dtype that was asked for."""
    wide = any(str(arg) in ("float64", "complex128", "uint64", "int64") for arg in args)
    if wide and not x64:
        return None
    with jax.enable_x64(x64):
        return as_array(getattr(jax.random, fn)(jax.random.key(seed), *args, **kwargs))


def batched_cases() -> Iterator[tuple[str, Any, np.ndarray]]:
    """vmap of each kernel over keys: (name, argument, value). `batched_keys` holds the keys."""
    keys = jax.random.split(jax.random.key(91), (2, 3))
    flat = keys.reshape(-1)

    def over_keys(f: Callable[[Any], Any]) -> np.ndarray:
        return as_array(jax.vmap(jax.vmap(f))(keys))

    yield "batched_keys", None, as_array(keys)
    for shape in ((2,), (3, 2), (100,)):
        yield (
            f"batched_split_{'x'.join(map(str, shape))}",
            shape,
            over_keys(lambda key, s=shape: jax.random.split(key, s)),
        )
    yield "batched_fold_in", 9, over_keys(lambda key: jax.random.fold_in(key, 9))
    yield (
        "batched_fold_in_each",
        np.arange(6),
        as_array(jax.vmap(jax.random.fold_in)(flat, np.arange(6, dtype=np.uint32))),
    )
    yield (
        "one_key_fold_in_many",
        np.arange(6),
        as_array(jax.vmap(jax.random.fold_in, (None, 0))(flat[0], np.arange(6, dtype=np.uint32))),
    )
    for width in (8, 16, 32, 64):
        with jax.enable_x64(True):
            yield (
                f"batched_bits_{width}",
                (5, 7),
                over_keys(lambda key, w=width: jax.random.bits(key, (5, 7), f"uint{w}")),
            )


def main() -> None:
    arrays: dict[str, np.ndarray] = {}
    config: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    for family in FAMILIES:
        for fn, seed, args, kwargs in family():
            number = counts[fn] = counts.get(fn, -1) + 1
            narrow, wide = (call(fn, seed, args, kwargs, x64) for x64 in (False, True))
            same = narrow is not None and narrow.dtype == wide.dtype and narrow.tobytes() == wide.tobytes()
            values = {"both": wide} if same else {"x32": narrow, "x64": wide}
            for prefix, value in values.items():
                if value is None:
                    continue
                name = f"{prefix}_{fn}_{number}"
                arrays[name] = value
                config.append({"name": name, "fn": fn, "seed": seed, "args": encode(args), "kwargs": encode(kwargs)})
    for name, _, value in batched_cases():
        arrays[name] = value
    save("random", arrays, config)


if __name__ == "__main__":
    main()
