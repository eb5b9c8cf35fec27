"""Functions written with `import numpy as np` alone: NumPy's functions trace, and what cannot trace says so."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
from fnets.errors import ArgumentError, ImmutableArrayError, TracerArrayConversionError
from fnets.numpy import protocols

rng = np.random.default_rng(21)
X = rng.uniform(0.2, 0.9, (3, 4))
Y = rng.uniform(0.2, 0.9, (3, 4))
S = rng.standard_normal((4, 4))
V = rng.uniform(0.2, 0.9, 4)

# functions of an array with a float result, written in NumPy alone
FUNCTIONS = {
    "sum of sin": lambda x: np.sum(np.sin(x) * x),
    "ufuncs": lambda x: np.exp(x) + np.log(x) * np.sqrt(x) - np.tanh(x) / np.cos(x) ** 2,
    "ndarray first": lambda x: Y * x + Y / x - Y**x + Y @ x.T @ Y,
    "scalars first": lambda x: np.float64(2.0) * x + np.float32(1.5) / x - np.int64(3) ** x,
    "0-d first": lambda x: np.array(2.0) * x,
    "comparisons": lambda x: np.where(np.float64(0.5) < x, x, 2 * x) + np.where(x < Y, x * x, 0.0),
    "mean and std": lambda x: (x - np.mean(x, axis=0)) / np.std(x, axis=0, keepdims=True),
    "var": lambda x: np.var(x, 1, ddof=1),
    "max and min": lambda x: np.max(x, axis=0) - np.min(x, axis=0) + np.amax(x),
    "prod cumsum": lambda x: np.prod(x, 0) + np.cumsum(x, axis=1) + np.cumprod(x, 1),
    "maximum": lambda x: np.maximum(x, 0.5) + np.minimum(x, Y) + np.clip(x, 0.3, 0.6),
    "concatenate": lambda x: np.concatenate([x, Y, x * 2]),
    "stack": lambda x: np.stack((x, x + 1), axis=-1),
    "vstack hstack": lambda x: np.vstack([np.hstack([x, Y]), np.hstack([Y, x])]),
    "reshape": lambda x: np.reshape(x, (4, 3)) @ np.reshape(x, (3, -1)),
    "transpose": lambda x: np.transpose(x) + np.swapaxes(x, 0, 1) + np.moveaxis(x, 0, 1),
    "dot": lambda x: np.dot(x, S) + np.matmul(x, S) + np.inner(x, S),
    "outer": lambda x: np.outer(x[0], x[1]) + np.kron(x[0], x[1]).reshape(4, 4),
    "einsum": lambda x: np.einsum("ij,jk,lk->il", x, S, x),
    "tensordot": lambda x: np.tensordot(x, x, axes=([1], [1])),
    "where": lambda x: np.where(Y > 0.5, x, np.zeros_like(x)),
    "select": lambda x: np.select([x < 0.4, x > 0.7], [x**2, x**3], default=1.0),
    "indexing": lambda x: x[1:] * x[0] + x[np.array([0, 2])] + x[:, [3, 1, 0, 2]][:2],
    "take": lambda x: np.take(x, [2, 0], axis=0) + np.take_along_axis(x, np.array([[0, 1, 2, 0]]), 0),
    "sort": lambda x: np.sort(x, axis=1) * np.arange(4),
    "median": lambda x: np.median(x, axis=0) + np.percentile(x, 30, axis=0) + np.quantile(x, 0.7),
    "split": lambda x: sum(np.split(x, 2, axis=1)) + np.array_split(x, 2, axis=1)[0],
    "tile repeat": lambda x: np.tile(x, (2, 1)) + np.repeat(x, 2, axis=0),
    "flip roll": lambda x: np.flip(x, 0) + np.roll(x, 1, axis=1) + np.rot90(x, 2),
    "pad": lambda x: np.pad(x, 1, mode="reflect") + np.pad(x, ((1, 1), (1, 1))),
    "diag": lambda x: np.diag(x[0]) + np.diag(np.diag(S) * x[1]) + np.tril(S * x[2]) + np.triu(S * x[0]),
    "trace": lambda x: np.trace(x @ S @ x.T) * np.ones(2),
    "diff gradient": lambda x: np.diff(x, axis=1)[:, :2] + np.gradient(x, axis=0)[:, :2],
    "trapezoid": lambda x: np.trapezoid(x, axis=1),
    "interp": lambda x: np.interp(x, np.linspace(0, 1, 6), np.cos(np.arange(6))),
    "convolve": lambda x: np.convolve(x[0], x[1]) + np.correlate(x[2], x[0], mode="full"),
    "polyval": lambda x: np.polyval(x[0], x),
    "nan functions": lambda x: np.nansum(x, 0) + np.nanmean(np.where(Y > 0.5, x, np.nan)) + np.nan_to_num(x),
    "cov": lambda x: np.cov(x) + np.corrcoef(x),
    "average": lambda x: np.average(x, axis=0, weights=[1.0, 2.0, 3.0]),
    "cross": lambda x: np.cross(x[:, :3], Y[:, :3]),
    "broadcast": lambda x: np.broadcast_to(x, (2, 3, 4)) + np.expand_dims(x, 0) + np.squeeze(x[None]),
    "atleast": lambda x: np.atleast_2d(x[0]) * np.atleast_1d(x[1]),
    "append insert delete": lambda x: (
        np.append(x, x[0]) + np.pad(np.delete(np.insert(x, 1, x[2], axis=0), 0, axis=0).ravel(), (0, 4))
    ),
    "logaddexp": lambda x: np.logaddexp(x, Y) + np.hypot(x, Y) + np.arctan2(x, Y),
    "reduce": lambda x: (
        np.add.reduce(x, axis=1) + np.multiply.reduce(x, 1) + np.maximum.reduce(x, axis=1) + np.logaddexp.reduce(x, 1)
    ),
    "accumulate": lambda x: np.add.accumulate(x, axis=1) + np.multiply.accumulate(x, 1) + np.maximum.accumulate(x, 1),
    "any reduce and accumulate": lambda x: np.subtract.reduce(x, 1)[:, None] + np.subtract.accumulate(x, 1),
    "reduceat": lambda x: np.add.reduceat(x, [0, 2], axis=1),
    "ufunc outer": lambda x: np.multiply.outer(x[0], x[1]) + np.subtract.outer(V, x[2]),
    "ufunc dtype": lambda x: np.add(x, Y, dtype=np.float64),
    "like": lambda x: np.zeros_like(x) + np.ones_like(x) * x + np.full_like(x, 2.0) * x,
    "apply": lambda x: np.apply_along_axis(lambda v: v * v.sum(), 1, x),
    "meshgrid": lambda x: np.add(*np.meshgrid(x[0], x[1])),
    "linspace": lambda x: np.linspace(x[0], x[1], 5),
    "ix_": lambda x: x[np.ix_([0, 2], [1, 3])],
    "methods": lambda x: x.sum(0).cumsum() + x.mean(axis=0).clip(0.3, 0.5) + x.T.dot(V[:3]),
    "copysign sign": lambda x: np.copysign(x, -Y) + np.sign(x) + np.abs(x - 0.5) + np.fabs(x),
    "mod": lambda x: np.mod(x * 7, 1.7) + np.fmod(x * 7, 1.7) + x * 9 // 2,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_jit_and_gradients(name):
    f = FUNCTIONS[name]
    expected = f(X)
    np.testing.assert_allclose(fnets.vjp(f, X)[0], expected, rtol=1e-12)
    got = fnets.jit(f)(X)
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    weights = rng.standard_normal(expected.shape)
    loss = lambda x: np.sum(f(x) * weights)  # noqa: E731
    direction = rng.standard_normal(X.shape)
    eps = 1e-6
    numeric = (loss(X + eps * direction) - loss(X - eps * direction)) / (2 * eps)
    assert np.sum(fnets.grad(loss)(X) * direction) == pytest.approx(numeric, rel=1e-5, abs=1e-6)
    assert fnets.jvp(loss, (X,), (direction,))[1] == pytest.approx(numeric, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap(name):
    f = FUNCTIONS[name]
    batch = np.stack([X, Y, X * Y])
    np.testing.assert_allclose(fnets.vmap(f)(batch), np.stack([f(x) for x in batch]), rtol=1e-9)


def test_float32_stays_float32():
    x = X.astype(np.float32)
    f = lambda v: np.sum(np.maximum(np.tanh(v @ np.ones((4, 2), np.float32)) * 0.5 + 1, 0.0))  # noqa: E731
    assert fnets.grad(f)(x).dtype == np.float32
    assert fnets.jit(f)(x).dtype == f(x).dtype == np.float32


def test_numpy_ufuncs_are_all_covered():
    others = {"isnat", "_arg", "_ones_like", "clip", "_lg_from_ufunc", "strings"}
    ufuncs = {n: f for n, f in vars(np).items() if isinstance(f, np.ufunc) and n not in others}
    assert sorted({f.__name__ for f in ufuncs.values() if f not in protocols._UFUNCS}) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.add(x, 1.0, out=np.zeros((3, 4))),
        lambda x: np.sum(x, axis=0, out=np.zeros(4)),
        lambda x: np.sin(x, where=Y > 0.5),
        lambda x: np.add.at(x, [0], 1.0),
    ],
    ids=["out", "out of sum", "where", "at"],
)
def test_options_that_cannot_trace_are_errors(call):
    with pytest.raises(ArgumentError, match="expected"):
        fnets.grad(lambda x: np.sum(call(x)))(X)


def test_functions_that_cannot_trace_are_errors():
    with pytest.raises(ArgumentError, match=r"np.busday_count|fnets.numpy"):
        fnets.grad(lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, 0).sum())(X)
    with pytest.raises(ArgumentError, match="fnets.numpy"):
        fnets.grad(lambda x: np.nansum(x) + np.array2string(x))(X)
    with pytest.raises(TracerArrayConversionError, match="fnets.numpy"):
        fnets.grad(lambda x: np.asarray(x).sum())(X)
    with pytest.raises(TracerArrayConversionError, match="fnets.numpy"):
        fnets.jit(lambda x: np.array([x, x]).sum())(X)
    with pytest.raises(ImmutableArrayError, match="where"):
        fnets.grad(lambda x: (np.copyto(x, 0.0), x.sum())[1])(X)


def test_nothing_of_this_costs_plain_arrays():
    assert not hasattr(np.ndarray, "__fnets__")
    assert type(np.sin(X)) is np.ndarray


def test_a_network_in_plain_numpy():
    """The autograd README's style: a two-layer network, its gradient against finite differences."""
    params = {"w": rng.standard_normal((4, 5)) * 0.3, "b": np.zeros(5), "v": rng.standard_normal(5)}

    def loss(p, inputs, targets):
        hidden = np.tanh(np.dot(inputs, p["w"]) + p["b"])
        logits = np.dot(hidden, p["v"])
        return np.mean(np.logaddexp(0, logits) - targets * logits)

    targets = np.array([0.0, 1.0, 1.0])
    grads = fnets.grad(loss)(params, X, targets)
    for name in params:
        index = tuple(0 for _ in params[name].shape)
        up, down = ({k: v.copy() for k, v in params.items()} for _ in range(2))
        up[name][index] += 1e-6
        down[name][index] -= 1e-6
        numeric = (loss(up, X, targets) - loss(down, X, targets)) / 2e-6
        assert grads[name][index] == pytest.approx(numeric, rel=1e-6, abs=1e-9)
