"""All nestings to depth 3 of the transformations, over several functions, against finite differences or explicit Python.

Every function maps R^3 to R^3, every transformation maps such a function to another, so that they nest in any order.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax, nn

rng = np.random.default_rng(0)
W = rng.standard_normal((3, 3)) * 0.5
W2 = rng.standard_normal((3, 3)) * 0.5
FILTER = rng.standard_normal((2, 1, 3)) * 0.5
INDEX = np.array([2, 0, 0])
X = np.array([0.31, -0.52, 0.73])
STEPS = np.array([[0.1, -0.2, 0.3], [0.2, 0.1, -0.1]])


# ------------------------------------------------------------------ functions


def mlp(x):
    return fnp.tanh(fnp.tanh(x @ W) @ W2)


def conv_pool(x):
    """A strided convolution with two channels, and a max pool."""
    signal = fnp.concatenate([fnp.sin(2 * x), x, fnp.cos(x) * x, x * x]).reshape(1, 1, 12)
    y = lax.conv_general_dilated(signal, FILTER, (2,), [(1, 0)])
    y = nn.max_pool(fnp.tanh(y), (2,), (2,))
    return y.reshape(-1)[:3] + x


def rnn(x):
    """A recurrent net by scan, over inputs that depend on x too."""

    def step(h, u):
        h = fnp.tanh(h @ W + u * x)
        return h, h[0]

    h, ys = lax.scan(step, x, STEPS)
    return h + fnp.sum(ys)


def rnn_python(x):
    h, total = x, 0.0
    for u in STEPS:
        h = np.tanh(h @ W + u * x)
        total = total + h[0]
    return h + total


def loop(x):
    """The number of trips depends on the values."""
    return lax.while_loop(lambda y: fnp.sum(y * y) < 20.0, lambda y: 1.5 * y + 0.1 * fnp.sin(x), x)


def loop_python(x):
    y = x
    while np.sum(y * y) < 20.0:
        y = 1.5 * y + 0.1 * np.sin(x)
    return y


def indexing(x):
    return x[INDEX] * fnp.at(x)[0].add(x[1]) + fnp.at(fnp.zeros(3, x.dtype))[INDEX].add(fnp.sin(x))


def indexing_python(x):
    a = x.copy()
    a[0] += x[1]
    b = np.zeros(3)
    np.add.at(b, INDEX, np.sin(x))
    return x[INDEX] * a + b


def complex_numbers(x):
    z = fnp.exp(1j * x) * (1 + 0.5j * x[::-1])
    return fnp.abs(z) ** 2 + fnp.real(z * z) + fnp.imag(fnp.conj(z) * x)


def plain_numpy(x):
    return np.exp(-np.sum(x**2)) * x + np.where(x > 0, np.sqrt(abs(x) + 1), x**3)


def normalised(x):
    return x - fnp.log(fnp.sum(fnp.exp(x))) + fnp.cumsum(x)


FUNCTIONS = {
    mlp: mlp,
    conv_pool: conv_pool,
    rnn: rnn_python,
    loop: loop_python,
    indexing: indexing_python,
    complex_numbers: complex_numbers,
    plain_numpy: plain_numpy,
    normalised: normalised,
}

# ------------------------------------------------------------------ transformations


def tanh_ct(x):
    return fnp.tanh(x) + 0.5


def with_custom_vjp(f):
    g = fnets.custom_vjp(f)
    g.defvjp(lambda x: (f(x), x), lambda x, ct: fnets.vjp(f, x)[1](ct))
    return g


def with_custom_jvp(f):
    g = fnets.custom_jvp(f)
    g.defjvp(lambda primals, tangents: fnets.jvp(f, primals, tangents))
    return g


def by_scan(f):
    return lambda x: lax.scan(lambda c, u: (0.5 * f(c) + u, None), x, STEPS)[0]


def by_scan_python(f):
    def g(x):
        for u in STEPS:
            x = 0.5 * f(x) + u
        return x

    return g


TRANSFORMS = {
    "vjp": lambda f: lambda x: fnets.vjp(f, x)[1](tanh_ct(x))[0],
    "grad": lambda f: fnets.grad(lambda x: fnp.sum(f(x) * f(x))),
    "jvp": lambda f: lambda x: fnets.jvp(f, (x,), (tanh_ct(x),))[1],
    "vmap": lambda f: lambda x: fnp.sum(fnets.vmap(f)(fnp.stack([x, 1.1 * x])), axis=0),
    "jit": fnets.jit,
    "checkpoint": fnets.checkpoint,
    "scan": by_scan,
    "cond": lambda f: lambda x: lax.cond(fnp.sum(x) > -1e9, f, lambda x: 3 * x, x),
    "custom_vjp": with_custom_vjp,
    "custom_jvp": with_custom_jvp,
    "linearize": lambda f: lambda x: fnets.linearize(f, x)[1](tanh_ct(x)),
    "jacfwd": lambda f: lambda x: fnets.jacfwd(f)(x) @ x,
    "jacrev": lambda f: lambda x: fnets.jacrev(f)(x) @ x,
}
FORWARD = {"jvp", "linearize", "jacfwd"}  # forward mode, for which custom_vjp has no rule


def jacobian(f, x, eps=2e-4):
    """Fourth-order central differences, so that several inside each other keep their digits."""
    columns = []
    for e in np.eye(len(x)) * eps:
        columns.append((8 * (f(x + e) - f(x - e)) - (f(x + 2 * e) - f(x - 2 * e))) / (12 * eps))
    return np.stack(columns, 1)


def same(f):
    return f


REFERENCE = {
    "vjp": lambda f: lambda x: jacobian(f, x).T @ (np.tanh(x) + 0.5),
    "grad": lambda f: lambda x: jacobian(f, x).T @ (2 * f(x)),
    "jvp": lambda f: lambda x: jacobian(f, x) @ (np.tanh(x) + 0.5),
    "vmap": lambda f: lambda x: f(x) + f(1.1 * x),
    "scan": by_scan_python,
    "linearize": lambda f: lambda x: jacobian(f, x) @ (np.tanh(x) + 0.5),
    "jacfwd": lambda f: lambda x: jacobian(f, x) @ x,
    "jacrev": lambda f: lambda x: jacobian(f, x) @ x,
}
DERIVATIVES = {"vjp", "grad", "jvp", "linearize", "jacfwd", "jacrev"}


def has_no_rule(combo) -> bool:
    """custom_vjp inside forward mode, also that of a custom_jvp which is then differentiated: refused, by design."""
    for i, name in enumerate(combo):
        later = combo[i + 1 :]
        if name == "custom_vjp" and (FORWARD & set(later) or ("custom_jvp" in later and DERIVATIVES & set(later))):
            return True
    return False


def cases():
    names = list(TRANSFORMS)
    third = [n for n in names if n not in ("jacfwd", "jacrev")]
    for f in FUNCTIONS:
        depths = [*itertools.product(names, repeat=1), *itertools.product(names, repeat=2)]
        if f not in (plain_numpy, normalised):
            depths += itertools.product(third, repeat=3)
        for combo in depths:
            if not has_no_rule(combo):
                yield pytest.param(f, combo, id=f"{f.__name__}-{'-'.join(combo)}")


@pytest.mark.parametrize("f,combo", cases())
def test_nesting(f, combo):
    mine, reference = f, FUNCTIONS[f]
    for name in combo:
        mine, reference = TRANSFORMS[name](mine), REFERENCE.get(name, same)(reference)
    order = sum(name in DERIVATIVES for name in combo)
    got, expected = mine(X), reference(X)
    assert got.shape == expected.shape
    tol = {0: 1e-11, 1: 1e-6, 2: 1e-4, 3: 3e-2}[order]
    np.testing.assert_allclose(got, expected, rtol=tol, atol=tol * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("forward", ["jvp", "linearize", "jacfwd"])
def test_forward_mode_refuses_a_reverse_rule(forward):
    with pytest.raises(TypeError, match="custom_jvp"):
        TRANSFORMS[forward](with_custom_vjp(mlp))(X)
