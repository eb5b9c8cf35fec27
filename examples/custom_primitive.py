"""A primitive from outside fnets: log(1 + x^2), with its own kernel, types, derivatives and batching.

    python examples/custom_primitive.py

The same five slots that fnets' own primitives fill; `fnets/core/primitive.py` documents their signatures.
"""

from __future__ import annotations

import numpy as np

import fnets
import fnets.numpy as fnp
from fnets.core import Primitive, ShapedArray

cauchy_p = Primitive("cauchy", kind="elementwise", fresh=True)


def cauchy(x):
    """log(1 + x^2), the penalty of robust regression; any shape, elementwise."""
    return cauchy_p.bind(x)


# impl: runs on NumPy arrays
@cauchy_p.def_impl
def impl(x):
    return np.log1p(np.square(x))


# abstract: the type of the result, and the place to refuse wrong operands
@cauchy_p.def_abstract_eval
def abstract(x: ShapedArray) -> ShapedArray:
    if x.dtype.kind != "f":
        raise TypeError(f"[cauchy] expected a float array, got {x.dtype.name}. Use x.astype('float32').")
    return x


# a slope serves both modes; it is written with fnets' functions, so that it can be differentiated again
def slope(x):
    return 2 * x / (1 + x * x)


def jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return cauchy(x), t * slope(x)


def vjp(active, x):
    return cauchy(x), lambda ct: (ct * slope(x),)


# batching: elementwise, so the batch dimension stays where it is
def batch(size, vals, dims):
    return cauchy(vals[0]), dims[0]


cauchy_p.jvp, cauchy_p.vjp, cauchy_p.batch = jvp, vjp, batch

# optional: how the NumPy backend writes it; `out` is an array that may be overwritten, or None
cauchy_p.lower["numpy"] = lambda cg, eqn, args, out: (
    f"{cg.const(np.log1p)}({cg.const(np.square)}({args[0]}{', ' + out if out else ''}))"
)


def main() -> None:
    x = np.linspace(-2.0, 2.0, 5)
    print("value        ", cauchy(x))
    print("gradient     ", fnets.grad(lambda x: fnp.sum(cauchy(x)))(x))
    print("Hessian diag ", np.diag(fnets.hessian(lambda x: fnp.sum(cauchy(x)))(x)))
    print("per example  ", fnets.jit(fnets.vmap(fnets.grad(cauchy)))(x))
    print(fnets.make_jaxpr(fnets.grad(cauchy))(1.0))
    numeric = (cauchy(x + 1e-6) - cauchy(x - 1e-6)) / 2e-6
    np.testing.assert_allclose(fnets.vmap(fnets.grad(cauchy))(x), numeric, atol=1e-8)


if __name__ == "__main__":
    main()
