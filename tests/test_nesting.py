"""All nestings to depth 3 of the transformations, over several functions, against finite differences or an explicit loop."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax

rng = np.random.default_rng(0)
W = rng.standard_normal((3, 3)) * 0.5
W2 = rng.standard_normal((3, 3)) * 0.5
FILTER = rng.standard_normal((1, 1, 2))
INDEX = np.array([2, 0, 0])
X = np.array([0.31, -0.52, 0.73])


def arithmetic(x):
    return fnp.sin(x) * fnp.tanh(x * x)


def mlp(x):
    return fnp.tanh(fnp.tanh(x @ W) @ W2)


def plain_numpy(x):
    return np.exp(-np.sum(x**2)) * x + np.where(x > 0, np.sqrt(abs(x) + 1), x**3)


def indexing(x):
    return x[INDEX] * fnp.at(x)[0].add(x[1])


def convolution(x):
    y = lax.conv_general_dilated(fnp.pad(x, (1, 2)).reshape(1, 1, 6), FILTER, (1,), "VALID").reshape(5)
    return fnp.sin(y[:3]) + y[2:]


def normalised(x):
    return x - fnp.log(fnp.sum(fnp.exp(x))) + fnp.cumsum(x)


FUNCTIONS = [arithmetic, mlp, plain_numpy, indexing, convolution, normalised]


def tanh_ct(x):
    return fnp.tanh(x) + 0.5


# each maps a function R^3 -> R^3 to another
TRANSFORMS = {
    "vjp": lambda f: lambda x: fnets.vjp(f, x)[1](tanh_ct(x))[0],
    "grad": lambda f: fnets.grad(lambda x: fnp.sum(f(x) * f(x))),
    "jvp": lambda f: lambda x: fnets.jvp(f, (x,), (tanh_ct(x),))[1],
    "vmap": lambda f: lambda x: fnp.sum(fnets.vmap(f)(fnp.stack([x, 2 * x])), axis=0),
    "jit": fnets.jit,
    "linearize": lambda f: lambda x: fnets.linearize(f, x)[1](tanh_ct(x)),
    "jacfwd": lambda f: lambda x: fnets.jacfwd(f)(x) @ x,
    "jacrev": lambda f: lambda x: fnets.jacrev(f)(x) @ x,
}


def jacobian(f, x, eps=1e-4):
    """Fourth-order central differences, so that three of them inside each other keep their digits."""
    columns = []
    for e in np.eye(len(x)) * eps:
        columns.append((8 * (f(x + e) - f(x - e)) - (f(x + 2 * e) - f(x - 2 * e))) / (12 * eps))
    return np.stack(columns, 1)


REFERENCE = {
    "vjp": lambda f: lambda x: jacobian(f, x).T @ (np.tanh(x) + 0.5),
    "grad": lambda f: lambda x: jacobian(f, x).T @ (2 * f(x)),
    "jvp": lambda f: lambda x: jacobian(f, x) @ (np.tanh(x) + 0.5),
    "vmap": lambda f: lambda x: f(x) + f(2 * x),
    "jit": lambda f: f,
    "linearize": lambda f: lambda x: jacobian(f, x) @ (np.tanh(x) + 0.5),
    "jacfwd": lambda f: lambda x: jacobian(f, x) @ x,
    "jacrev": lambda f: lambda x: jacobian(f, x) @ x,
}
DERIVATIVES = {"vjp", "grad", "jvp", "linearize", "jacfwd", "jacrev"}


def cases():
    names = list(TRANSFORMS)
    for f in FUNCTIONS:
        for depth in (1, 2, 3):
            for combo in itertools.product(names, repeat=depth):
                if depth == 3 and f is not arithmetic and len(set(combo)) < 3:
                    continue  # repeated transformations to depth 3 on one function, different ones on all
                yield pytest.param(f, combo, id=f"{f.__name__}-{'-'.join(combo)}")


@pytest.mark.parametrize("f,combo", cases())
def test_nesting(f, combo):
    mine, reference = f, f
    for name in combo:
        mine, reference = TRANSFORMS[name](mine), REFERENCE[name](reference)
    order = sum(name in DERIVATIVES for name in combo)
    got, expected = mine(X), reference(X)
    assert got.shape == expected.shape
    tol = {0: 1e-12, 1: 1e-8, 2: 1e-5, 3: 2e-2}[order]
    np.testing.assert_allclose(got, expected, rtol=tol, atol=tol * max(1.0, np.abs(expected).max()))
