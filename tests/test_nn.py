"""Activations, row functions, layers and models: against JAX's values (tests/golden/special.npz), NumPy, and finite differences."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import nn, random, tree
from fnets.errors import ArgumentError, DTypeError, ShapeError

sys.path.insert(0, str(Path(__file__).parent / "golden"))
from golden_io import load

SPECIAL, VALUES = load("special")
ELEMENTWISE = [case for case in SPECIAL if case["kind"] == "elementwise" and case["module"] == "nn"]
ROWS = [case for case in SPECIAL if case["kind"] == "rows"]
DTYPES = {"f32": np.float32, "f64": np.float64}
EPS = {"f32": 4e-6, "f64": 1e-13}


# ---------------------------------------------------------------- activations


@pytest.mark.parametrize("short", DTYPES)
@pytest.mark.parametrize("case", ELEMENTWISE, ids=[case["name"] for case in ELEMENTWISE])
def test_activation_equals_jax(case: dict, short: str):
    x = VALUES[f"{case['grid']}_{short}"]
    f = getattr(nn, case["fn"])
    with np.errstate(all="ignore"):
        y, pull = fnets.vjp(lambda x: f(x, **case["kwargs"]), x)
        slope = pull(np.ones_like(y))[0]
    assert y.dtype == slope.dtype == DTYPES[short]
    expected = VALUES.get(f"{case['name']}_{short}_exact", VALUES[f"{case['name']}_{short}"])
    expected = np.where(np.isnan(expected), VALUES[f"{case['name']}_{short}"], expected)
    tiny = np.finfo(x.dtype).tiny
    finite = np.isfinite(expected)
    # JAX's gelu ends in 1 + tanh(u), which loses what is left of it for negative u
    atol = EPS[short] if case["name"] == "nn_gelu_true" else 4 * tiny
    np.testing.assert_allclose(y[finite], expected[finite], rtol=EPS[short], atol=atol)
    derivative = VALUES[f"{case['name']}_{short}_derivative"]
    # JAX takes denormal numbers for 0
    finite = np.isfinite(derivative) & (np.abs(x) < 1e15) & ((x == 0) | (np.abs(x) >= tiny))
    np.testing.assert_allclose(slope[finite], derivative[finite], rtol=20 * EPS[short], atol=EPS[short])


@pytest.mark.parametrize("short", DTYPES)
@pytest.mark.parametrize("case", ROWS, ids=[case["name"] for case in ROWS])
def test_row_function_equals_jax(case: dict, short: str):
    dtype = DTYPES[short]
    x = VALUES[f"input_{case['input']}"].astype(dtype)
    kwargs = {
        k: v.astype(dtype) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v
        for k, v in case["kwargs"].items()
    }
    sign = None

    def f(x: Any) -> Any:
        nonlocal sign
        out = getattr(nn, case["fn"])(x, **kwargs)
        if isinstance(out, tuple):
            out, sign = out
        return out

    with np.errstate(all="ignore"):
        y, pull = fnets.vjp(f, x)
        dx = pull(VALUES[f"{case['name']}_ct"].astype(dtype))[0]
    assert y.dtype == dx.dtype == dtype
    tol = 2e-6 if short == "f32" else 1e-12
    np.testing.assert_allclose(y, VALUES[f"{case['name']}_{short}"], rtol=tol, atol=tol)
    expected = VALUES[f"{case['name']}_{short}_dx"]
    known = np.isfinite(expected)
    np.testing.assert_allclose(dx[known], expected[known], rtol=10 * tol, atol=10 * tol)
    if case["kwargs"].get("return_sign"):
        np.testing.assert_array_equal(sign, VALUES[f"{case['name']}_{short}_sign"])


# ---------------------------------------------------------------- layers as functions

rng = np.random.default_rng(0)


def normal(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    return rng.normal(size=shape).astype(dtype)


def check_gradient(f: Any, *args: np.ndarray, tol: float = 1e-6) -> None:
    """Reverse mode against central differences along one random direction per argument, in float64."""
    y, pull = fnets.vjp(f, *args)
    ct = normal(*np.shape(y))
    for i, g in enumerate(pull(ct)):
        direction = normal(*args[i].shape)
        moved = [[*args[:i], args[i] + sign * 1e-6 * direction, *args[i + 1 :]] for sign in (1, -1)]
        slope = np.sum(ct * (f(*moved[0]) - f(*moved[1]))) / 2e-6
        np.testing.assert_allclose(np.sum(g * direction), slope, rtol=tol, atol=tol)


CONV_CASES, CONV = load("conv_pool")
CONVOLUTIONS = {
    ("conv", 1): nn.conv1d,
    ("conv", 2): nn.conv2d,
    ("conv", 3): nn.conv3d,
    ("conv_transpose", 1): nn.conv_transpose1d,
    ("conv_transpose", 2): nn.conv_transpose2d,
}
USABLE = [case for case in CONV_CASES if (case["kind"], case["rank"]) in CONVOLUTIONS]


@pytest.mark.parametrize("case", USABLE, ids=[case["name"] for case in USABLE])
def test_convolutions_equal_torch(case: dict):
    x, w, y, ct = (CONV[f"{case['name']}_{part}"] for part in ("x", "w", "y", "ct"))
    function = CONVOLUTIONS[case["kind"], case["rank"]]
    options = {
        "stride": case["stride"],
        "padding": case["padding"],
        "dilation": case["dilation"],
        "groups": case["groups"],
    }
    if case["kind"] == "conv_transpose":
        options["output_padding"] = case["output_padding"]
    bias = normal(y.shape[1])
    got, pull = fnets.vjp(lambda x, w, b: function({"w": w, "b": b}, x, **options), x, w, bias)
    np.testing.assert_allclose(got, y + bias.reshape(-1, *(1,) * case["rank"]), rtol=1e-9, atol=1e-10)
    dx, dw, db = pull(ct)
    np.testing.assert_allclose(dx, CONV[f"{case['name']}_dx"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(dw, CONV[f"{case['name']}_dw"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(db, ct.sum((0, *range(2, ct.ndim))), rtol=1e-9, atol=1e-9)


POOLS = [case for case in CONV_CASES if case["kind"] in ("max_pool", "avg_pool")]


@pytest.mark.parametrize("case", POOLS, ids=[case["name"] for case in POOLS])
def test_pools_equal_torch(case: dict):
    x, y, ct = (CONV[f"{case['name']}_{part}"] for part in ("x", "y", "ct"))
    options = {"window": case["window"], "stride": case["stride"], "padding": case["padding"]}
    if case["kind"] == "avg_pool":
        options["count_include_pad"] = case["count_include_pad"]
    else:
        options["dilation"] = case["dilation"]
    got, pull = fnets.vjp(lambda x: getattr(nn, case["kind"])(x, **options), x)
    np.testing.assert_allclose(got, y, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(pull(ct)[0], CONV[f"{case['name']}_dx"], rtol=1e-12, atol=1e-12)


def test_padding_spellings_agree():
    x, w = normal(2, 3, 7, 8), {"w": normal(4, 3, 3, 3)}
    expected = nn.conv2d(w, x, padding=1)
    for padding in ((1, 1), [(1, 1), (1, 1)], "SAME", "same"):
        np.testing.assert_array_equal(nn.conv2d(w, x, padding=padding), expected)
    np.testing.assert_array_equal(nn.conv2d(w, x, padding="VALID"), nn.conv2d(w, x))
    assert nn.conv2d(w, x, stride=(2, 1), padding=(0, 1)).shape == (2, 4, 3, 8)


def test_linear_and_embedding():
    w, b, x = normal(3, 4), normal(4), normal(2, 5, 3)
    np.testing.assert_allclose(nn.linear({"w": w, "b": b}, x), x @ w + b)
    np.testing.assert_allclose(nn.linear({"w": w}, x), x @ w)
    table, indices = normal(6, 3), np.array([[0, 5], [5, 2]])
    np.testing.assert_array_equal(nn.embedding({"w": table}, indices), table[indices])
    grad = fnets.grad(lambda t: fnp.sum(nn.embedding({"w": t}, indices)))(table)
    np.testing.assert_array_equal(grad[:, 0], [1, 0, 1, 0, 0, 2])
    with pytest.raises(IndexError):
        nn.embedding({"w": table}, np.array([6]))


def test_normalisations_equal_their_formulas():
    x = normal(3, 4, 5, 6)
    scale, bias = normal(6), normal(6)
    centred = x - x.mean(-1, keepdims=True)
    expected = centred / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * scale + bias
    np.testing.assert_allclose(nn.layer_norm({"scale": scale, "bias": bias}, x), expected)
    expected = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale
    np.testing.assert_allclose(nn.rms_norm({"scale": scale}, x), expected)
    c = normal(4)
    groups = x.reshape(3, 2, 2, 5, 6)
    expected = (groups - groups.mean((2, 3, 4), keepdims=True)) / np.sqrt(groups.var((2, 3, 4), keepdims=True) + 1e-5)
    np.testing.assert_allclose(nn.group_norm({"scale": c}, x, 2), expected.reshape(x.shape) * c[:, None, None])
    state = {"mean": normal(4), "var": np.abs(normal(4))}
    y, new = nn.batch_norm({"bias": c}, state, x, train=True)
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    across = (slice(None), None, None)
    np.testing.assert_allclose(y, (x - mean[across]) / np.sqrt(var[across] + 1e-5) + c[across])
    np.testing.assert_allclose(new["mean"], 0.9 * state["mean"] + 0.1 * mean)
    np.testing.assert_allclose(new["var"], 0.9 * state["var"] + 0.1 * var)
    y, same = nn.batch_norm({"bias": c}, state, x, train=False)
    np.testing.assert_allclose(y, (x - state["mean"][across]) / np.sqrt(state["var"][across] + 1e-5) + c[across])
    assert same is state


GRADIENTS = {
    "linear": (lambda w, b, x: nn.linear({"w": w, "b": b}, x), (3, 4), (4,), (2, 3)),
    "layer_norm": (lambda s, b, x: nn.layer_norm({"scale": s, "bias": b}, x), (5,), (5,), (3, 5)),
    "rms_norm": (lambda s, x: nn.rms_norm({"scale": s}, x), (5,), (3, 5)),
    "group_norm": (lambda s, b, x: nn.group_norm({"scale": s, "bias": b}, x, 2), (4,), (4,), (2, 4, 3)),
    "batch_norm": (lambda s, b, x: nn.batch_norm({"scale": s, "bias": b}, None, x, True)[0], (4,), (4,), (3, 4, 2)),
    "conv2d": (
        lambda w, b, x: nn.conv2d({"w": w, "b": b}, x, 2, 1, groups=2),
        (4, 1, 3, 3),
        (4,),
        (2, 2, 5, 6),
    ),
    "conv_transpose2d": (
        lambda w, b, x: nn.conv_transpose2d({"w": w, "b": b}, x, 2, 1, 1, groups=2),
        (4, 2, 3, 3),
        (4,),
        (2, 4, 3, 4),
    ),
    "max_pool": (lambda x: nn.max_pool(x, 2), (2, 3, 4, 6)),
    "avg_pool": (lambda x: nn.avg_pool(x, 3, 2, 1), (2, 3, 5, 6)),
    "attention": (
        lambda q, k, v: nn.dot_product_attention(q, k, v, is_causal=True),
        (2, 4, 6, 3),
        (2, 5, 2, 3),
        (2, 5, 2, 3),
    ),
    "dropout": (lambda x: nn.dropout(random.key(0), x, 0.5), (4, 5)),
    "glu": (lambda x: nn.glu(x, axis=1), (3, 4)),
    "prelu": (lambda x, s: nn.prelu(x, s), (2, 3, 4), (3,)),
    "standardize": (lambda x: nn.standardize(x, axis=0), (4, 3)),
    "logmeanexp": (lambda x: nn.logmeanexp(x, axis=0), (4, 3)),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name: str):
    f, *shapes = GRADIENTS[name]
    check_gradient(f, *[normal(*shape) for shape in shapes])


@pytest.mark.parametrize("name", GRADIENTS)
def test_float32_in_float32_out_under_every_transformation(name: str):
    f, *shapes = GRADIENTS[name]
    args = [normal(*shape, dtype=np.float32) for shape in shapes]
    y = f(*args)
    assert y.dtype == np.float32
    np.testing.assert_allclose(fnets.jit(f)(*args), y, rtol=1e-5, atol=1e-6)
    grads = fnets.jit(fnets.grad(lambda *a: fnp.sum(f(*a)), argnums=tuple(range(len(args)))))(*args)
    assert all(g.dtype == np.float32 for g in grads)
    if name not in ("batch_norm", "dropout"):
        stacked = [np.stack([a, 2 * a]) for a in args]
        mapped = fnets.vmap(f)(*stacked)
        np.testing.assert_allclose(mapped[0], y, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(mapped[1], f(*[2 * a for a in args]), rtol=1e-4, atol=1e-5)


def test_dropout():
    x = np.ones((100, 100), np.float32)
    y = nn.dropout(random.key(0), x, 0.25)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    np.testing.assert_array_equal(nn.dropout(random.key(0), x, 0.25), y)
    assert nn.dropout(None, x, 0.25, train=False) is x
    np.testing.assert_array_equal(nn.dropout(random.key(0), x, 1.0), 0 * x)
    with pytest.raises(ArgumentError, match="key"):
        nn.dropout(None, x, 0.25)
    with pytest.raises(ArgumentError, match="rate"):
        nn.dropout(random.key(0), x, 1.25)


def naive_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, bias: Any, counted: Any) -> np.ndarray:
    out = np.zeros_like(q)
    share = q.shape[2] // k.shape[2]
    for b in range(q.shape[0]):
        for n in range(q.shape[2]):
            logits = q[b, :, n] @ k[b, :, n // share].T / np.sqrt(q.shape[-1])
            if bias is not None:
                logits = logits + bias[b, n]
            logits = np.where(np.broadcast_to(counted, (q.shape[0], q.shape[2], *logits.shape))[b, n], logits, -np.inf)
            p = np.exp(logits - logits.max(-1, keepdims=True))
            out[b, :, n] = p / p.sum(-1, keepdims=True) @ v[b, :, n // share]
    return out


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("option", ["plain", "bias", "mask", "causal", "window", "lengths"])
def test_attention(option: str, kv_heads: int):
    q, k, v = normal(2, 5, 4, 3), normal(2, 6, kv_heads, 3), normal(2, 6, kv_heads, 3)
    bias, counted, kwargs = None, np.ones((1, 1, 5, 6), bool), {}
    if option == "bias":
        bias = kwargs["bias"] = normal(2, 4, 5, 6)
    elif option == "mask":
        counted = kwargs["mask"] = rng.random((2, 4, 5, 6)) < 0.7
        counted[..., 0] = True
    elif option == "causal":
        counted, kwargs["is_causal"] = np.tri(5, 6, dtype=bool), True
    elif option == "window":
        d = np.arange(5)[:, None] - np.arange(6)
        counted, kwargs["local_window_size"] = (d <= 2) & (d >= -1), (2, 1)
    elif option == "lengths":
        kwargs["key_value_seq_lengths"] = np.array([6, 2], np.int32)
        counted = np.arange(6) < np.array([6, 2])[:, None, None, None]
    expected = naive_attention(q, k, v, bias, counted)
    np.testing.assert_allclose(nn.dot_product_attention(q, k, v, **kwargs), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        fnets.jit(lambda q, k, v: nn.dot_product_attention(q, k, v, **kwargs))(q, k, v), expected, rtol=1e-9
    )


def test_attention_of_padded_queries_is_zero_and_its_residual_the_logsumexp():
    q, k, v = normal(2, 5, 4, 3), normal(2, 6, 4, 3), normal(2, 6, 4, 3)
    out, residual = nn.dot_product_attention(
        q, k, v, query_seq_lengths=np.array([5, 3], np.int32), return_residual=True
    )
    assert not out[1, 3:].any() and out[1, :3].all()
    logits = np.einsum("btnh,bsnh->btns", q, k) / np.sqrt(3)
    np.testing.assert_allclose(residual[0], np.log(np.exp(logits[0]).sum(-1)))
    assert nn.dot_product_attention(q[0], k[0], v[0]).shape == (5, 4, 3)


# ---------------------------------------------------------------- models


def classifier(**extra: Any) -> nn.Serial:
    return nn.serial(
        conv=nn.Conv2d(1, 1, (3, 3)),
        pool=nn.MaxPool2d((2, 2), stride=2),
        flatten=nn.Flatten(),
        layer1=nn.Linear(169, 100),
        relu1=nn.ReLU(),
        layer2=nn.Linear(100, 100),
        relu2=nn.ReLU(),
        layer3=nn.Linear(100, 10),
        name="Classifier",
        **extra,
    )


def test_model_prints_as_in_the_tutorial():
    assert repr(classifier()).splitlines() == [
        "Classifier(",
        "   (conv): Conv2d(in_channels=1, out_channels=1, filter_size=(3, 3), stride=1, pad=0, bias=True)",
        "   (pool): MaxPool2d(pool_size=(2, 2), stride=2, pad=0)",
        "   (flatten): Flatten()",
        "   (layer1): Linear(input_dim=169, output_dim=100, bias=True)",
        "   (relu1): ReLU()",
        "   (layer2): Linear(input_dim=100, output_dim=100, bias=True)",
        "   (relu2): ReLU()",
        "   (layer3): Linear(input_dim=100, output_dim=10, bias=True)",
        ")",
    ]
    assert repr(nn.serial(nn.Linear(4, 8), nn.ReLU())) == (
        "Sequential(\n   (0): Linear(input_dim=4, output_dim=8, bias=True)\n   (1): ReLU()\n)"
    )
    inner = nn.serial(nn.serial(nn.Tanh(), np.abs))
    assert repr(inner) == "Sequential(\n   (0): Sequential(\n      (0): Tanh()\n      (1): Lambda(absolute)\n   )\n)"


def test_model_is_a_pair_of_pure_functions():
    model = classifier()
    init, apply = model
    params = init(random.key(0))
    assert tree.map(np.shape, params) == {
        "conv": {"b": (1,), "w": (1, 1, 3, 3)},
        "layer1": {"b": (100,), "w": (169, 100)},
        "layer2": {"b": (100,), "w": (100, 100)},
        "layer3": {"b": (10,), "w": (100, 10)},
    }
    assert all(leaf.dtype == np.float32 and type(leaf) is np.ndarray for leaf in tree.leaves(params))
    x = normal(3, 1, 28, 28, dtype=np.float32)
    y = apply(params, x)
    by_hand = nn.max_pool(nn.conv2d(params["conv"], x), 2).reshape(3, -1)
    for name in ("layer1", "layer2"):
        by_hand = nn.relu(nn.linear(params[name], by_hand))
    np.testing.assert_allclose(y, nn.linear(params["layer3"], by_hand), rtol=1e-6)
    np.testing.assert_allclose(fnets.jit(apply)(params, x), y, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(init(random.key(0))["layer2"]["w"], params["layer2"]["w"])
    assert hash(model) == hash(classifier()) and model == classifier() and model != nn.serial(nn.ReLU())
    with pytest.raises(AttributeError):
        model.name = "Other"


def test_layers_without_parameters_do_not_change_the_others():
    with_relu = nn.serial(a=nn.Linear(3, 3), relu=nn.ReLU(), b=nn.Linear(3, 3)).init(random.key(1))
    without = nn.serial(a=nn.Linear(3, 3), b=nn.Linear(3, 3)).init(random.key(1))
    np.testing.assert_array_equal(with_relu["b"]["w"], without["b"]["w"])
    assert not np.array_equal(without["a"]["w"], without["b"]["w"])


def test_training_flag_key_and_state_reach_the_layers():
    block = nn.serial(norm=nn.BatchNorm(4), drop=nn.Dropout(0.5), name="Block")
    model = nn.serial(lin=nn.Linear(3, 4), block=block)
    params, state = model.init(random.key(0)), model.init_state()
    assert tree.map(np.shape, state) == {"block": {"norm": {"mean": (4,), "var": (4,)}}}
    x = normal(64, 3, dtype=np.float32)
    y, new = model.apply(params, x, train=True, key=random.key(1), state=state)
    assert 0.3 < (y == 0).mean() < 0.7
    z = nn.linear(params["lin"], x)
    np.testing.assert_allclose(new["block"]["norm"]["mean"], 0.1 * z.mean(0), rtol=1e-4, atol=1e-6)
    again, _ = model.apply(params, x, train=True, key=random.key(1), state=state)
    np.testing.assert_array_equal(again, y)
    calm, kept = model.apply(params, x, state=new)
    assert (calm != 0).all()
    assert tree.all(tree.map(np.array_equal, kept, new))
    with pytest.raises(ArgumentError, match=r"In layer block\.norm, BatchNorm\(channels=4\): .*state"):
        model.apply(params, x)
    with pytest.raises(ArgumentError, match=r"In layer block\.drop, Dropout.*key"):
        model.apply(params, x, train=True)


def test_errors_name_the_layer():
    model = nn.serial(features=nn.serial(nn.Conv2d(3, 8, 3)), head=nn.serial(nn.Flatten(), nn.Linear(10, 2)))
    params = model.init(random.key(0))
    with pytest.raises(ShapeError, match=r"In layer features\.0, Conv2d\(in_channels=3"):
        model.apply(params, np.ones((2, 1, 8, 8), np.float32))
    with pytest.raises(ShapeError, match=r"In layer head\.1, Linear\(input_dim=10.*got \(2, 288\)") as caught:
        fnets.jit(model.apply)(params, np.ones((2, 3, 8, 8), np.float32))
    assert "test_nn.py" in str(caught.value)
    with pytest.raises(ArgumentError, match=r"params\['0'\]"):
        model.apply({"features": {}}, np.ones((2, 3, 8, 8), np.float32))


@pytest.mark.parametrize(
    ("error", "call", "says"),
    [
        (ArgumentError, lambda: nn.serial(nn.ReLU), "Call the class"),
        (ArgumentError, lambda: nn.serial(3), "layer or a function"),
        (ShapeError, lambda: nn.glu(np.ones(3)), "even length"),
        (ShapeError, lambda: nn.conv2d({"w": np.ones((1, 1, 3, 3))}, np.ones((5, 5))), "conv2d"),
        (ShapeError, lambda: nn.conv2d({"w": np.ones((1, 1, 3, 3))}, np.ones((1, 2, 5, 5))), "C = 1|channels|conv"),
        (
            ArgumentError,
            lambda: nn.conv2d({"w": np.ones((1, 1, 3, 3))}, np.ones((1, 1, 5, 5)), padding=(1, 2, 3)),
            "padding",
        ),
        (
            ArgumentError,
            lambda: nn.conv2d({"w": np.ones((1, 1, 3, 3))}, np.ones((1, 1, 5, 5)), stride=(1, 2, 3)),
            "stride",
        ),
        (ShapeError, lambda: nn.conv_transpose2d({"w": np.ones((2, 1, 3, 3))}, np.ones((1, 3, 5, 5))), "in = 2"),
        (ShapeError, lambda: nn.group_norm(None, np.ones((2, 5)), 2), "divides"),
        (ShapeError, lambda: nn.batch_norm(None, None, np.ones(3), True), r"\(N, C"),
        (ShapeError, lambda: nn.flatten(2.0), "batch axis"),
        (ShapeError, lambda: nn.dot_product_attention(*[np.ones((2, 3, 4))] * 2, np.ones((2, 3, 5))), "query"),
        (ShapeError, lambda: nn.dot_product_attention(np.ones((1, 2, 3, 4)), *[np.ones((1, 2, 2, 4))] * 2), "multiple"),
        (
            DTypeError,
            lambda: nn.dot_product_attention(*[np.ones((1, 2, 3, 4))] * 3, mask=np.ones((1, 1, 2, 2))),
            "boolean",
        ),
    ],
)
def test_wrong_arguments(error: type, call: Any, says: str):
    with pytest.raises(error, match=says):
        call()


def test_summary():
    table = nn.summary(classifier())
    assert table.splitlines()[1].split() == ["conv", "Conv2d", "b", "(1,),", "w", "(1,", "1,", "3,", "3)", "10"]
    assert table.splitlines()[-1].split() == ["total", "28,120"]
    params = classifier().init(random.key(0))
    assert nn.summary(params).splitlines()[-1].split() == ["total", "28,120"]
    assert "layer1.w" in nn.summary(params)


def test_one_hot_and_its_dtypes():
    np.testing.assert_array_equal(nn.one_hot(np.array([1, 3, -1]), 3), [[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    assert nn.one_hot(np.array([1]), 3).dtype == np.float32
    assert nn.one_hot(np.array([1], np.uint8), 300, dtype=int).dtype == int
    np.testing.assert_array_equal(nn.one_hot(np.array([[0, 1]]), 2, axis=0), np.eye(2)[:, None, :])


ACTIVATIONS = [
    "celu", "elu", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "identity", "leaky_relu", "log_sigmoid",
    "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "soft_sign", "softplus", "sparse_plus", "sparse_sigmoid", "squareplus",
    "swish", "tanh", "tanh_shrink",
]  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_keep_dtypes_and_have_right_slopes(name: str):
    f = getattr(nn, name)
    x = normal(3, 4)
    check_gradient(f, x)
    for dtype in (np.float16, np.float32, np.float64):
        assert f(x.astype(dtype)).dtype == dtype
    assert f(2.0).dtype == np.float32
    if name != "relu":
        assert f(np.array([1, -2])).dtype == np.float32
    np.testing.assert_allclose(fnets.jit(f)(x), f(x), rtol=1e-12)
    np.testing.assert_allclose(fnets.vmap(f)(x), f(x), rtol=1e-12)
