"""Channels-last layouts: the same values and types, few transposes, and what must stay as it was."""

from __future__ import annotations

import itertools

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax, nn, optim
from fnets.backends.llvm.passes.layout import RULES, channels_last, keeps_places, transposes
from fnets.backends.passes import optimise
from fnets.core import ir
from fnets.core.check import check_jaxpr
from fnets.core.primitive import registry
from fnets.primitives.pool import avg_pool, max_pool

rng = np.random.default_rng(0)
NHWC = ("NHWC", "HWIO", "NHWC")


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def conv(x, w, stride: int = 1):
    return lax.conv_general_dilated(x, w, (stride,) * (w.ndim - 2), "SAME")


def laid_out(f, *args, supported=lambda e: True) -> ir.Jaxpr:
    """The program of f in its new layout, after it was seen to be well typed and to compute the same."""
    for pass_ in (lambda j: j, optimise):
        before = pass_(fnets.make_jaxpr(f)(*args).jaxpr)
        after = channels_last(before, supported)
        check_jaxpr(after)
        assert after.invars == before.invars and after.out_avals == before.out_avals
        flat = fnets.tree.leaves(args)
        for a, b in zip(ir.eval_jaxpr(after, flat), ir.eval_jaxpr(before, flat), strict=True):
            a, b = np.asarray(a), np.asarray(b)
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
        assert ir.drop_dead(after).eqns == after.eqns
    return after


def names(jaxpr: ir.Jaxpr) -> list[str]:
    return [e.prim.name for e in jaxpr.eqns]


def moved(jaxpr: ir.Jaxpr, batch: int) -> list[tuple[int, ...]]:
    """The shapes of activations that are transposed: of arrays whose first axis, in either layout, is the batch."""
    return [e.invars[0].aval.shape for e in transposes(jaxpr) if e.invars[0].aval.shape[0] == batch]


def moved_weights(jaxpr: ir.Jaxpr, batch: int) -> int:
    return len(transposes(jaxpr)) - len(moved(jaxpr, batch))


# ------------------------------------------------------------------ networks

N = 7  # the batch; no other axis is as long


def cnn_params(first_last: bool) -> dict:
    w1, w2 = normal(4, 3, 3, 3), normal(6, 4, 3, 3)
    if first_last:
        w1, w2 = w1.transpose(2, 3, 1, 0), w2.transpose(2, 3, 1, 0)
    return {"w1": w1, "b1": normal(4), "w2": w2, "b2": normal(6), "w3": normal(6 * 2 * 2, 10) * 0.1, "b3": normal(10)}


def cnn_loss(params, x, y, numbers=None):
    last = numbers is not None
    spatial = (1, 2) if last else (2, 3)
    for i, padding in ((1, "SAME"), (2, "VALID")):
        x = lax.conv_general_dilated(x, params[f"w{i}"], (1, 1), padding, dimension_numbers=numbers)
        x = nn.relu(x + (params[f"b{i}"] if last else params[f"b{i}"][:, None, None]))
        x = max_pool(x, (2, 2), spatial_dims=spatial)
    logits = x.reshape(x.shape[0], -1) @ params["w3"] + params["b3"]
    return -fnp.mean(fnp.sum(nn.log_softmax(logits) * y, -1))


def sgd(numbers):
    def step(params, x, y):
        grads = fnets.grad(cnn_loss)(params, x, y, numbers)
        return fnets.tree.map(lambda p, g: p - 0.1 * g, params, grads)

    return step


def adam(numbers):
    optimizer = optim.adam(1e-3)

    def step(params, state, x, y):
        loss, grads = fnets.value_and_grad(cnn_loss)(params, x, y, numbers)
        updates, state = optimizer.update(grads, state, params)
        return loss, optim.apply_updates(params, updates), state

    return step, optimizer


def images(last: bool) -> np.ndarray:
    return normal(N, 12, 12, 3) if last else normal(N, 3, 12, 12)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("numbers", [None, NHWC], ids=["NCHW", "NHWC"])
def test_convolutional_network(numbers, optimizer):
    params, x, y = cnn_params(numbers is not None), images(numbers is not None), normal(N, 10)
    if optimizer == "sgd":
        after = laid_out(sgd(numbers), params, x, y)
    else:
        step, opt = adam(numbers)
        after = laid_out(step, params, opt.init(params), x, y)
    assert not {"conv", "conv_input_grad", "conv_weight_grad"} & set(names(after))
    if numbers is NHWC:
        assert transposes(after) == []
    else:  # the images, and in front of and behind the dense layer; each of the weights and its gradient
        assert sorted(moved(after, N)) == sorted([(N, 3, 12, 12), (N, 2, 2, 6), (N, 6, 2, 2)])
        assert moved_weights(after, N) == 4


def test_inference_transposes_the_weights_when_it_is_compiled():
    params, y = cnn_params(False), normal(N, 10)
    after = laid_out(lambda x: cnn_loss(params, x, y), images(False))
    assert moved_weights(after, N) == 0 and len(moved(after, N)) == 2


def test_one_channel_is_reshaped():
    after = laid_out(lambda x, w: nn.relu(conv(x, w)), normal(N, 1, 8, 8), normal(1, 1, 3, 3))
    assert transposes(after) == []


# ------------------------------------------------------------------ residual networks


def batch_norm(params, x, train=True):
    y, state = nn.batch_norm(
        {"scale": params["scale"], "bias": params["bias"]}, {"mean": params["mean"], "var": params["var"]}, x, train
    )
    return y, state


def norm_params(n: int) -> dict:
    return {"scale": normal(n), "bias": normal(n), "mean": normal(n), "var": normal(n) ** 2 + 1}


def residual_loss(params, x, train):
    h, s1 = batch_norm(params["n1"], conv(x, params["w1"], 2), train)
    h, s2 = batch_norm(params["n2"], conv(nn.relu(h), params["w2"], 1), train)
    short, s3 = batch_norm(params["n3"], conv(x, params["w3"], 2), train)
    h = nn.relu(h + short)
    h2, s4 = batch_norm(params["n4"], conv(h, params["w4"], 1), train)
    h = nn.relu(h2 + h)
    h = avg_pool(h, (3, 3), (1, 1), "SAME", count_include_pad=False)
    return fnp.sum(fnp.tanh(h.mean((2, 3)) @ params["dense"]) ** 2), (s1, s2, s3, s4)


def residual_params() -> dict:
    shapes = {"w1": (5, 3, 3, 3), "w2": (5, 5, 3, 3), "w3": (5, 3, 1, 1), "w4": (5, 5, 3, 3)}
    return (
        {k: normal(*s) for k, s in shapes.items()}
        | {f"n{i}": norm_params(5) for i in (1, 2, 3, 4)}
        | {"dense": normal(5, 4)}
    )


@pytest.mark.parametrize("train", [True, False])
def test_residual_block(train):
    params, x = residual_params(), normal(N, 3, 10, 10)
    after = laid_out(lambda p, x: fnets.value_and_grad(residual_loss, has_aux=True)(p, x, train), params, x)
    assert moved(after, N) == [(N, 3, 10, 10)]
    assert moved_weights(after, N) == 8


def test_channels_in_groups_and_crops_follow():
    def f(x, w, scale):
        h = conv(x, w)
        split = h.reshape(N, 2, 2, 10, 10)
        centred = split - split.mean((2, 3, 4), keepdims=True)
        h = nn.relu(
            (centred / fnp.sqrt((centred**2).mean((2, 3, 4), keepdims=True))).reshape(h.shape) * scale[:, None, None]
        )
        odd = fnp.pad(h[:, :, 1::2, 1::2], ((0, 0), (0, 0), (0, 1), (0, 1)))[:, :, :-1, :-1]
        h = fnp.concatenate([h[:, :, ::2, ::2], odd], 1)
        return fnp.sum(fnp.cumsum(nn.softmax(h, 1), 2).max((2, 3)) ** 2)

    args = normal(N, 3, 10, 10), normal(4, 3, 3, 3), normal(4)
    assert moved(laid_out(f, *args), N) == [(N, 3, 10, 10)]
    assert moved(laid_out(fnets.grad(f, 1), *args), N) == [(N, 3, 10, 10)]


# ------------------------------------------------------------------ other convolutions


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_ranks_strides_dilations_groups(rank, groups):
    def f(x, w):
        y = lax.conv_general_dilated(
            x, w, (2,) * rank, [(1, 2)] * rank, (1,) * rank, (2,) * rank, feature_group_count=groups
        )
        return fnp.sum(fnp.sin(y))

    args = normal(N, 4, *[9] * rank), normal(6, 4 // groups, *[3] * rank)
    after = laid_out(fnets.value_and_grad(f, (0, 1)), *args)
    assert moved(after, N) == [args[0].shape, (N, *[9] * rank, 4)]
    # what is not supported stays
    assert channels_last(j := fnets.make_jaxpr(f)(*args).jaxpr, lambda e: e.params["feature_group_count"] > groups) is j


def test_second_derivatives():
    f = lambda x, w: fnp.sum(fnp.tanh(conv(x, w)) ** 2)  # noqa: E731
    g = lambda x, w, v: fnets.jvp(lambda w: fnets.grad(f, (0, 1))(x, w), (w,), (v,))  # noqa: E731
    laid_out(g, normal(N, 3, 6, 6), normal(4, 3, 3, 3), normal(4, 3, 3, 3))


def test_batch_groups():
    f = lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", batch_group_count=2) + 1.0  # noqa: E731
    laid_out(fnets.grad(lambda x, w: fnp.sum(f(x, w) ** 2), (0, 1)), normal(6, 3, 5, 5), normal(4, 3, 3, 3))


def test_unusual_operands():
    layer = lambda x, w: nn.relu(conv(x, w))  # noqa: E731
    laid_out(lambda x, w: (layer(x, w).reshape(0, 256), x, x, w), np.zeros((0, 3, 8, 8)), normal(4, 3, 3, 3))
    laid_out(
        lambda x, w: layer(x, w).transpose(0, 2, 3, 1).sum(1),
        np.arange(96).reshape(2, 3, 4, 4),
        np.ones((1, 3, 3, 3), int),
    )
    laid_out(lambda x, w: (layer(x, w), layer(x, w).transpose(1, 0, 2, 3)), normal(1, 1, 1, 1), normal(1, 1, 1, 1))
    laid_out(fnets.vmap(layer), normal(3, 2, 3, 5, 5), normal(3, 4, 3, 3, 3))
    laid_out(fnets.vmap(layer, (None, 0)), normal(2, 3, 5, 5), normal(3, 4, 3, 3, 3))


def test_some_are_supported():
    f = lambda x, w: conv(nn.relu(conv(x, w[0], stride=2)), w[1])  # noqa: E731
    args = normal(N, 3, 9, 9), [normal(4, 3, 3, 3), normal(4, 4, 3, 3)]
    after = laid_out(f, *args, supported=lambda e: e.params["window_strides"] == (1, 1))
    assert sorted(n for n in names(after) if "conv" in n) == ["conv", "conv_last"]


# ------------------------------------------------------------------ what stays


def test_without_convolutions_nothing_changes():
    jaxpr = fnets.make_jaxpr(lambda x: fnp.transpose(x, (1, 0)) * 2)(normal(2, 3)).jaxpr
    assert channels_last(jaxpr, lambda e: True) is jaxpr


def test_source_lines_and_effects_stay():
    def f(x, w):
        y = conv(x, w)
        fnets.debug.print("{}", fnp.sum(y))
        z = nn.relu(y)
        fnets.debug.print("{}", fnp.sum(z))
        return z

    before = fnets.make_jaxpr(f)(normal(2, 3, 5, 5), normal(4, 3, 3, 3)).jaxpr
    after = channels_last(before, lambda e: True)
    check_jaxpr(after)
    moves = {"transpose", "reshape", "broadcast_to"}
    steps = lambda jaxpr: [  # noqa: E731
        (e.prim.name.removesuffix("_last"), e.where) for e in jaxpr.eqns if e.prim.name not in moves
    ]
    assert sum(map(ir.has_effect, before.eqns)) == 2 and steps(after) == steps(before)


def test_inner_programs_stay():
    def f(x, w):
        y, _ = lax.scan(lambda c, _: (nn.relu(conv(c, w)), None), conv(x, w), None, length=2)
        return lax.cond(fnp.sum(y) > 0, lambda y: conv(y, w), lambda y: y, y)

    after = laid_out(f, normal(N, 3, 5, 5), normal(3, 3, 3, 3))
    assert {"scan", "cond", "conv_last"} <= set(names(after))


def test_places_in_windows_keep_their_order():
    """Ties are won by the first element in the order of the program, not in that of memory."""

    def f(x, w):
        y = fnp.round(conv(x, w)).transpose(0, 3, 2, 1)  # (N, W, H, C): the axes of the window are swapped
        return fnp.sum(max_pool(y, (2, 2), spatial_dims=(1, 2)) * 1.5)

    laid_out(fnets.grad(lambda x, w: f(x, w) + fnp.sum(x**2), (0, 1)), normal(2, 2, 6, 6), normal(3, 2, 3, 3) * 0.2)


def test_rules_are_of_primitives():
    assert set(RULES) <= set(registry)


def test_keeps_places():
    for shape in itertools.product((1, 2), repeat=3):
        x = np.arange(np.prod(shape)).reshape(shape)
        for order in itertools.permutations(range(3)):
            stays = np.array_equal(x.transpose(order).ravel(), x.ravel())
            assert keeps_places(shape, order) == stays


# ------------------------------------------------------------------ drawn programs

STEPS = {
    "conv": lambda x, y, w: lax.conv_general_dilated(x, w, (1, 1), "SAME"),
    "conv_nhwc": lambda x, y, w: lax.conv_general_dilated(
        x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), (1, 1), "SAME", dimension_numbers=NHWC
    ).transpose(0, 3, 1, 2),
    "relu": lambda x, y, w: nn.relu(x),
    "add": lambda x, y, w: x + y,
    "select": lambda x, y, w: fnp.where(x > y, x, 0.5 * y),
    "channel": lambda x, y, w: x * y.mean((0, 2, 3))[:, None, None],
    "centre": lambda x, y, w: x - y.mean((0, 2, 3), keepdims=True),
    "row": lambda x, y, w: x + y[0, 0],
    "plane": lambda x, y, w: x + y[:1],
    "gate": lambda x, y, w: x * nn.sigmoid(y.mean((2, 3)))[:, :, None, None],
    "max": lambda x, y, w: x - fnp.max(y, 3, keepdims=True),
    "softmax": lambda x, y, w: nn.softmax(x, 1),
    "pool": lambda x, y, w: max_pool(x, (3, 3), (1, 1), "SAME"),
    "average": lambda x, y, w: avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False),
    "swap": lambda x, y, w: x.transpose(0, 1, 3, 2),
    "swap_channels": lambda x, y, w: x.transpose(0, 2, 1, 3),
    "reverse": lambda x, y, w: x.transpose(3, 2, 1, 0),
    "groups": lambda x, y, w: x.reshape(4, 2, 2, 4, 4).sum(2)[:, :, None].repeat(2, 2).reshape(x.shape),
    "flatten": lambda x, y, w: (x.reshape(4, 64) * y.reshape(4, 64)).reshape(x.shape),
    "merge": lambda x, y, w: fnp.cumsum(x.reshape(4, 4, 16), 1).reshape(x.shape),
    "broadcast": lambda x, y, w: fnp.broadcast_to(y[:, :, :1, :1], x.shape) * 0.5,
    "concatenate": lambda x, y, w: fnp.concatenate([x[:, :2], y[:, 1:3]], 1),
    "shift": lambda x, y, w: fnp.pad(x, ((0, 0), (0, 0), (1, 0), (0, 1)))[:, :, :-1, 1:],
    "flip": lambda x, y, w: x[:, ::-1],
    "first": lambda x, y, w: x * y[:, 0][:, None],
    "matmul": lambda x, y, w: x @ y * 0.1,
    "argmax": lambda x, y, w: x * fnp.argmax(y, 1)[:, None],
}


@st.composite
def programs(draw):
    steps = draw(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 3), st.integers(0, 3)), max_size=8))
    return [("conv", 0, 0), *steps]


def run(program, x, w):
    """Values of shape (4, 4, 4, 4), each a function of recent ones."""
    values = [x]
    for name, i, j in program:
        recent = values[-4:]
        y = STEPS[name](recent[-1 - i % len(recent)], recent[-1 - j % len(recent)], w)
        values.append(y / (1.0 + fnp.max(fnp.abs(y))))
    return values[-2:]


@hypothesis.settings(max_examples=40)
@hypothesis.given(programs(), st.integers(0, 9))
def test_drawn_programs(program, seed):
    r = np.random.default_rng(seed)
    x, w = r.standard_normal((4, 4, 4, 4)), r.standard_normal((4, 4, 3, 3))
    laid_out(lambda x, w: run(program, x, w), x, w)
    laid_out(fnets.grad(lambda x, w: sum(fnp.sum(fnp.tanh(v)) for v in run(program, x, w)), (0, 1)), x, w)
