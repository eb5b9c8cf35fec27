"""What a user does wrong, and what fnets says: one error of our own each, with the operation, what was expected and got, and the user's line."""

from __future__ import annotations

import traceback

import numpy as np
import pytest

import fnets
import fnets.nn as nn
import fnets.numpy as fnp
import fnets.optim as optim
from fnets import grad, jit, lax, random, tree, value_and_grad, vmap
from fnets.errors import FnetsError

A, B = np.ones((3, 4), np.float32), np.ones((2, 5), np.float32)
V = np.arange(4.0, dtype=np.float32)
I8 = np.arange(4)
IMAGE, KERNEL = np.ones((2, 3, 8, 8), np.float32), np.ones((6, 3, 3, 3), np.float32)
KEY = random.key(0)


def total(f):
    """`f` summed: a scalar for grad."""
    return lambda *args: fnp.sum(f(*args))


def write_item(x):
    x[0] = 1.0  # here
    return x.sum()


def write_into_an_array(x):
    out = np.zeros(4)
    out[0] = x[0]  # here
    return out.sum()


def write_slice_into_an_array(x):
    out = np.zeros(4)
    out[:] = x  # here
    return out.sum()


def traced_in_a_list(x):
    return np.array([x[0], 1.0]).sum()  # here


def index_a_python_list(i):
    return [1, 2, 3][i]  # here


def write_slice_with_operator(x):
    x[1:] += 1.0  # here
    return x.sum()


def branch_on_traced(x):
    if x.sum() > 0:  # here
        return x
    return -x


def loop_on_traced(x):
    while x < 3:  # here
        x = x * 2
    return x


def python_range(n, x):
    for _ in range(n):  # here
        x = x * 2
    return x


def leak():
    kept = []
    jit(lambda x: kept.append(x * 2) or x)(V)
    return kept[0] + 1  # here


def leak_from_grad():
    kept = []
    grad(lambda x: kept.append(x * 2) or x.sum())(V)
    return fnp.sin(kept[0])  # here


def hash_traced(x):
    return {x: 1}  # here


def key_twice():
    with random.check_key_reuse():
        random.normal(KEY, (2,))
        return random.normal(KEY, (2,))  # here


def new_optimizer_state_shape():
    opt = optim.adam(0.1)
    state = opt.init({"w": V})
    return opt.update({"w": V, "b": V}, state)  # here


def float_of_differentiated(x):
    return x * float(x)  # here


def asarray_under_jit(x):
    return np.asarray(x).sum()  # here


def shapes_from_values(x):
    return fnp.nonzero(x)  # here


CALLS = {
    # shapes
    "add": lambda: fnp.add(A, B),
    "operator under jit": lambda: jit(lambda x, y: x + y)(A, B),
    "matmul": lambda: fnp.matmul(A, A),
    "matmul operator under grad": lambda: grad(total(lambda x: x @ A))(A),
    "dot": lambda: fnp.dot(A, V[:3]),
    "dot_general": lambda: lax.dot_general(A, B, (((1,), (0,)), ((), ()))),
    "reshape": lambda: fnp.reshape(A, (5, 5)),
    "reshape method": lambda: jit(lambda x: x.reshape(7, -1))(A),
    "broadcast_to": lambda: fnp.broadcast_to(A, (2, 4)),
    "concatenate": lambda: fnp.concatenate([A, B]),
    "concatenate axis": lambda: fnp.concatenate([A, A], axis=2),
    "concatenate nothing": lambda: fnp.concatenate([]),
    "stack": lambda: fnp.stack([A, B]),
    "split": lambda: fnp.split(V, 3),
    "where": lambda: fnp.where(A > 0, A, B),
    "einsum shapes": lambda: fnp.einsum("ij,jk->ik", A, A),
    "einsum ranks": lambda: fnp.einsum("ijk->i", A),
    "einsum letters": lambda: fnp.einsum("ij->ik", A),
    "einsum operands": lambda: fnp.einsum("ij,jk->ik", A),
    "squeeze": lambda: fnp.squeeze(A, axis=0),
    "transpose": lambda: fnp.transpose(A, (0, 0)),
    "pad": lambda: fnp.pad(A, ((1, 1), (2, 2), (3, 3))),
    "tile under vmap": lambda: vmap(lambda x: fnp.reshape(x, (3,)))(A),
    "lax.add": lambda: lax.add(A, A.T),
    "lax.slice": lambda: lax.slice(V, (0,), (9,)),
    "lax.dynamic_slice": lambda: lax.dynamic_slice(V, (0,), (9,)),
    "conv channels": lambda: lax.conv_general_dilated(IMAGE, np.ones((6, 4, 3, 3), np.float32), (1, 1), "SAME"),
    "conv rank": lambda: lax.conv_general_dilated(A, KERNEL, (1, 1), "SAME"),
    "conv padding": lambda: lax.conv_general_dilated(IMAGE, KERNEL, (1, 1), "FULL"),
    "conv strides": lambda: lax.conv_general_dilated(IMAGE, KERNEL, (1,), "SAME"),
    "conv groups": lambda: lax.conv_general_dilated(IMAGE, KERNEL, (1, 1), "SAME", feature_group_count=2),
    "conv dimension numbers": lambda: lax.conv_general_dilated(
        IMAGE, KERNEL, (1, 1), "SAME", dimension_numbers=("NHW", "HWIO", "NHWC")
    ),
    "nn.conv2d": lambda: nn.conv2d({"w": np.ones((6, 4, 3, 3), np.float32)}, IMAGE),
    "nn.linear": lambda: nn.linear({"w": B}, A),
    "max_pool": lambda: nn.max_pool(IMAGE, (2, 2, 2)),
    "reduce_window": lambda: lax.reduce_window(A, 0.0, lax.add, (2,), (1,), "VALID"),
    "cross entropy": lambda: nn.softmax_cross_entropy(A, B),
    "integer labels": lambda: nn.softmax_cross_entropy_with_integer_labels(A, V[:3]),
    "solve": lambda: fnp.linalg.solve(A, V),
    # axes
    "sum axis": lambda: fnp.sum(A, axis=2),
    "sum axis twice": lambda: fnp.sum(A, axis=(0, 0)),
    "method axis under grad": lambda: grad(total(lambda x: x.sum(axis=3)))(A),
    "softmax axis": lambda: nn.softmax(A, axis=5),
    "argmax axis": lambda: fnp.argmax(A, axis=-3),
    "moveaxis": lambda: fnp.moveaxis(A, 0, 4),
    "cumsum axis": lambda: fnp.cumsum(A, axis=2),
    "sort axis": lambda: fnp.sort(A, axis=2),
    # dtypes
    "grad of an integer": lambda: grad(lambda x: x * x)(3),
    "grad of an integer result": lambda: grad(lambda x: fnp.argmax(x))(V),
    "bitwise of floats": lambda: fnp.bitwise_and(V, V),
    "complex result": lambda: grad(lambda x: x * 1j)(2.0),
    "text": lambda: jit(lambda x: x)("text"),
    "object in a tree": lambda: grad(lambda p: p["w"].sum())({"w": V, "name": "layer"}),
    "object array": lambda: fnp.sum(jit(lambda x: x)(np.array([None, 1]))),
    "holomorphic of reals": lambda: grad(lambda x: x, holomorphic=True)(1.0),
    "jvp tangent dtype": lambda: fnets.jvp(fnp.sin, (V,), (V.astype(np.complex64),)),
    "unknown dtype": lambda: fnp.zeros(3, "float33"),
    # arguments of transformations
    "vector loss": lambda: grad(lambda x: x * 2)(V),
    "tuple loss": lambda: grad(lambda x: (x.sum(), x))(V),
    "None loss": lambda: grad(lambda x: None)(V),
    "aux": lambda: grad(lambda x: x.sum(), has_aux=True)(V),
    "argnums": lambda: grad(lambda x: x, argnums=1)(1.0),
    "argnums kind": lambda: grad(lambda x: x, argnums="x"),
    "not a function": lambda: grad(3.0),
    "jit of a result": lambda: jit(fnp.sin(1.0)),
    "static argument number": lambda: jit(lambda x: x, static_argnums=3),
    "static argument name": lambda: jit(lambda x: x, static_argnames="y"),
    "unhashable static": lambda: jit(lambda x, n: x, static_argnums=1)(V, [1, 2]),
    "unknown option of jit": lambda: jit(lambda x: x, static=0),
    "unknown backend": lambda: jit(lambda x: x, backend="tpu"),
    "vmap sizes": lambda: vmap(fnp.add)(V, A),
    "vmap in_axes length": lambda: vmap(fnp.add, in_axes=(0,))(V, V),
    "vmap in_axes too deep": lambda: vmap(fnp.add, in_axes=(0, 1))(V, V),
    "vmap nothing mapped": lambda: vmap(fnp.add, in_axes=None)(V, V),
    "vmap scalar": lambda: vmap(fnp.sin)(1.0),
    "vmap out_axes": lambda: vmap(fnp.sin, out_axes=3)(V),
    "vmap out_axes None": lambda: vmap(fnp.sin, out_axes=None)(V),
    "vmap in_axes kind": lambda: vmap(fnp.sin, in_axes="rows"),
    "vmap in_axes tree": lambda: vmap(lambda p: p["a"], in_axes=({"b": 0},))({"a": V}),
    "axis name": lambda: vmap(lambda x: lax.psum(x, "i"))(V),
    "jvp tangent shape": lambda: fnets.jvp(fnp.sin, (V,), (V[:2],)),
    "jvp primals kind": lambda: fnets.jvp(fnp.sin, V, V),
    "jvp structures": lambda: fnets.jvp(fnp.add, (V, V), (V,)),
    "vjp cotangent shape": lambda: fnets.vjp(fnp.sin, V)[1](V[:2]),
    "vjp cotangent structure": lambda: fnets.vjp(fnp.sin, V)[1]((V, V)),
    "linearize tangent": lambda: fnets.linearize(fnp.sin, V)[1](V[:1]),
    "value_and_grad scalar": lambda: value_and_grad(fnp.sin)(V),
    "hessian of integers": lambda: fnets.hessian(lambda x: x.sum())(I8),
    "compiled for another type": lambda: jit(fnp.sin).lower(V).compile()(A),
    # control flow
    "scan carry type": lambda: lax.scan(lambda c, x: (c.astype(np.float64), x), V[0], V),
    "scan carry structure": lambda: lax.scan(lambda c, x: ((c, c), x), V[0], V),
    "scan result": lambda: lax.scan(lambda c, x: c, V[0], V),
    "scan without length": lambda: lax.scan(lambda c, x: (c, x), 1.0),
    "scan lengths": lambda: lax.scan(lambda c, x: (c, c), 1.0, (V, V[:2])),
    "cond branches": lambda: jit(lambda p: lax.cond(p, lambda: V, lambda: A))(True),
    "cond structures": lambda: jit(lambda p: lax.cond(p, lambda: V, lambda: (V, V)))(True),
    "cond predicate": lambda: lax.cond(V > 0, fnp.sin, fnp.cos, V),
    "switch without branches": lambda: lax.switch(0, []),
    "while condition": lambda: jit(lambda x: lax.while_loop(lambda x: x > 0, lambda x: x - 1, x))(V),
    "fori carry": lambda: jit(lambda n: lax.fori_loop(0, n, lambda i, x: fnp.stack([x, x]), V))(3),
    "custom_vjp without rules": lambda: grad(fnets.custom_vjp(lambda x: x))(1.0),
    # indexing
    "index out of range": lambda: jit(lambda x: x[7])(V),
    "index axis": lambda: jit(lambda x: x[0, 0])(V),
    "index float": lambda: grad(lambda x: x[1.5])(V),
    "index text": lambda: jit(lambda x: x["w"])(V),
    "take": lambda: fnp.take(V, 9),
    "at": lambda: fnp.at(V)[9].set(0.0),
    "at shape": lambda: fnp.at(V)[:2].set(np.ones(3)),
    "at mode": lambda: fnp.at(V)[0].set(0.0, mode="ignore"),
    "mask under jit": lambda: jit(lambda x: x[x > 0])(V),
    "mask shape": lambda: jit(lambda x: x[np.ones(3, bool)])(V),
    "take_along_axis": lambda: fnp.take_along_axis(A, I8, axis=1),
    # values that are not known
    "item": lambda: jit(lambda x: x.item())(V[0]),
    "float under jit": lambda: jit(lambda x: float(x))(1.0),
    "int of traced": lambda: jit(lambda x: int(x))(1.0),
    "len of a scalar": lambda: jit(lambda x: fnp.zeros(x))(3),
    "arange of traced": lambda: jit(lambda n: fnp.arange(n))(3),
    "round trip through list": lambda: jit(lambda x: x.tolist())(V),
    # trees
    "tree.map": lambda: tree.map(fnp.add, {"a": V}, {"b": V}),
    "tree.map kinds": lambda: tree.map(fnp.add, [V, V], (V, V)),
    "tree.unflatten": lambda: tree.unflatten(tree.structure([1, 2]), [1]),
    # random, losses, optimizers
    "seed kind": lambda: random.key(1.5),
    "not a key": lambda: random.normal(3, (2,)),
    "shape kind": lambda: random.normal(KEY, (2, -1)),
    "permutation": lambda: random.choice(KEY, 3, (5,), replace=False),
    "apply_updates": lambda: optim.apply_updates({"w": V}, {"b": V}),
    "learning rate kind": lambda: optim.sgd("fast").update({"w": V}, optim.sgd("fast").init({"w": V})),
    "params needed": lambda: optim.adamw(0.1).update({"w": V}, optim.adamw(0.1).init({"w": V})),
    "chain of nothing callable": lambda: optim.chain(0.1, optim.sgd(0.1)).init({"w": V}),
    # settings
    "setting name": lambda: fnets.config.update("default_type", "float32"),
    "setting value": lambda: fnets.config.update("promotion", "loose"),
    "default dtype": lambda: fnets.config.update("default_dtype", "int32"),
    "error_if": lambda: fnets.error_if(V, V.astype(np.complex64), "no"),
    "check_grads modes": lambda: fnets.testing.check_grads(fnp.sin, (V,), 1, modes="both"),
}
FUNCTIONS = {
    "x[i] = v": (write_item, lambda: grad(write_item)(V)),
    "x[i] += v": (write_slice_with_operator, lambda: jit(write_slice_with_operator)(V)),
    "np_array[i] = tracer": (write_into_an_array, lambda: grad(write_into_an_array)(V)),
    "np_array[:] = tracer": (write_slice_into_an_array, lambda: jit(write_slice_into_an_array)(V)),
    "np.array([tracer])": (traced_in_a_list, lambda: jit(traced_in_a_list)(V)),
    "list[tracer]": (index_a_python_list, lambda: jit(index_a_python_list)(1)),
    "if tracer": (branch_on_traced, lambda: jit(branch_on_traced)(V)),
    "if tracer under vmap": (branch_on_traced, lambda: vmap(branch_on_traced)(A)),
    "while tracer": (loop_on_traced, lambda: jit(loop_on_traced)(1.0)),
    "range(tracer)": (python_range, lambda: jit(python_range)(3, V)),
    "leaked from jit": (leak, leak),
    "leaked from grad": (leak_from_grad, leak_from_grad),
    "key used twice": (key_twice, key_twice),
    "gradient of another structure": (new_optimizer_state_shape, new_optimizer_state_shape),
    "float(differentiated)": (float_of_differentiated, lambda: grad(float_of_differentiated)(2.0)),
    "np.asarray(traced)": (asarray_under_jit, lambda: jit(asarray_under_jit)(V)),
    "nonzero under jit": (shapes_from_values, lambda: jit(shapes_from_values)(V)),
}


def line_of(function) -> int:
    """The line of a function that says `# here`, or its first one."""
    code = function.__code__
    with open(__file__, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for number in range(code.co_firstlineno, code.co_firstlineno + 8):
        if "# here" in lines[number - 1]:
            return number
    return code.co_firstlineno


def check(call, function, line: int) -> None:
    with pytest.raises(FnetsError) as caught:
        call()
    told, _, place = str(caught.value).partition("\n  at ")
    assert told.startswith("["), told
    assert "expected" in told, told
    assert "got" in told, told
    assert told.rstrip().endswith((".", "?", ")")), told
    assert place.startswith(f"test_errors.py:{line} in "), f"{place} instead of line {line}: {told}"
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("Traceback (most recent call last)") == 1, "one error, not a chain of them"


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call(name: str):
    check(CALLS[name], CALLS[name], CALLS[name].__code__.co_firstlineno)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_wrong_function(name: str):
    function, call = FUNCTIONS[name]
    check(call, function, line_of(function))


def test_the_table_is_long_enough():
    assert len(CALLS) + len(FUNCTIONS) >= 45
