"""Looking inside: lower and compile, costs, cache misses, donation, profiles, memory reports, pictures, scopes."""

from __future__ import annotations

import functools
import gc
import html.parser
import json
import logging
import re
import tracemalloc
import warnings

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.errors import ArgumentError, RetraceWarning

STRUCT = fnets.ShapeDtypeStruct


def loss(params, x, *, scale=1.0):
    h = fnp.tanh(x @ params["w"] + params["b"])
    y = h @ params["v"]
    return fnp.mean((y * scale) ** 2)


PARAMS = {
    "w": np.ones((30, 40), np.float32),
    "b": np.zeros(40, np.float32),
    "v": np.ones((40, 5), np.float32),
}
X = np.linspace(-1, 1, 16 * 30, dtype=np.float32).reshape(16, 30)


# ------------------------------------------------------------------ stages


def test_lower_takes_arrays_or_structs():
    f = fnets.jit(fnets.value_and_grad(loss))
    real = f.lower(PARAMS, X)
    described = f.lower(fnets.tree.map(lambda a: STRUCT(a.shape, a.dtype), PARAMS), STRUCT(X.shape, X.dtype))
    assert real.in_avals == described.in_avals
    assert real.as_text() == described.as_text()
    value, gradient = real.out_info
    assert value == STRUCT((), np.float32)
    assert gradient["w"] == STRUCT((30, 40), np.float32)
    assert f.cache_info().misses == 0  # looking is not calling


def test_texts():
    lowered = fnets.jit(loss).lower(PARAMS, X)
    assert lowered.as_text() == str(fnets.make_jaxpr(loss)(PARAMS, X))
    assert "h = fnp.tanh(x @" in lowered.as_text(debug_info=True)
    source = lowered.as_text("numpy")
    assert source.startswith("def run(")
    compile(source, "<test>", "exec")
    assert "mul" not in lowered.as_text("optimized")  # y * 1.0 is y
    with pytest.raises(ArgumentError, match="'numpy'"):
        lowered.as_text("stablehlo")


def test_compiled_equals_jitted_bit_for_bit():
    f = fnets.jit(fnets.value_and_grad(loss))
    compiled = f.lower(PARAMS, X).compile()
    for a, b in zip(fnets.tree.leaves(compiled(PARAMS, X)), fnets.tree.leaves(f(PARAMS, X)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((PARAMS, X[:3]), r"expected x of type float32\[16,30\], .* got float32\[3,30\]"),
        ((PARAMS, X.astype(np.float64)), r"got float64\[16,30\]"),
        (({**PARAMS, "b": np.zeros(7, np.float32)}, X), r"params\['b'\] of type float32\[40\]"),
        (({**PARAMS, "extra": X}, X), r"dict with keys \['b', 'extra', 'v', 'w'\].* in params"),
        ((PARAMS,), "tuple of length 1 instead of tuple of length 2 in the positional arguments"),
        ((PARAMS, 1.0), r"got float64\[\] \(a Python scalar\)"),
    ],
)
def test_compiled_refuses_other_types(args, told):
    compiled = fnets.jit(loss).lower(PARAMS, X).compile()
    with pytest.raises(ArgumentError, match=told):
        compiled(*args)


def test_compiled_with_static_arguments():
    f = fnets.jit(lambda x, n: x * n, static_argnames="n")
    compiled = f.lower(X, n=3).compile()
    np.testing.assert_array_equal(compiled(X), 3 * X)
    np.testing.assert_array_equal(compiled(X, n=3), 3 * X)
    with pytest.raises(ArgumentError, match="static arguments"):
        compiled(X, n=4)


def test_compiled_differentiates():
    compiled = fnets.jit(lambda x: fnp.sum(fnp.sin(x))).lower(X).compile()
    np.testing.assert_allclose(fnets.grad(compiled)(X), np.cos(X), rtol=1e-6)


def test_lower_inside_a_transformation():
    def f(x):
        return fnets.jit(lambda y: y * x).lower(2.0).compile()(2.0)

    assert fnets.grad(f)(3.0) == 2.0


def test_trace_and_eval_shape():
    f = fnets.jit(lambda x, k: {"a": fnp.concatenate([x] * k), "b": x.sum()}, static_argnums=1)
    assert f.eval_shape(STRUCT((3, 2), "float32"), 4) == {"a": STRUCT((12, 2), "float32"), "b": STRUCT((), "float32")}
    traced = f.trace(X, 2)
    assert traced.fun_name == "<lambda>"
    assert [a.shape for a in traced.in_avals] == [(16, 30)]
    np.testing.assert_array_equal(traced.lower().compile()(X)["a"], np.concatenate([X, X]))


# ------------------------------------------------------------------ costs


def test_flops_of_contractions_are_the_textbook_ones():
    a, b = np.ones((7, 11, 13), np.float32), np.ones((7, 13, 17), np.float32)
    assert fnets.jit(fnp.matmul).lower(a, b).cost_analysis()["flops"] == 2 * 7 * 11 * 13 * 17
    x, w = np.ones((2, 6, 9, 9), np.float32), np.ones((8, 3, 3, 3), np.float32)

    def conv(x, w):
        return lax.conv_general_dilated(x, w, (2, 2), "VALID", feature_group_count=2)

    y = conv(x, w)
    macs = y.size * 3 * 3 * 3
    assert fnets.jit(conv).lower(x, w).cost_analysis()["flops"] == 2 * macs
    both = fnets.jit(lambda x, w, ct: fnets.vjp(conv, x, w)[1](ct)).lower(x, w, y).cost_analysis()
    assert both["flops"] == 2 * 2 * macs  # x's gradient and w's; the value itself is not needed


def test_elementwise_reductions_and_bytes():
    x = np.ones((10, 20), np.float32)
    cost = fnets.jit(lambda x: fnp.sum(fnp.exp(x) * x, axis=0)).lower(x).cost_analysis()
    assert cost["flops"] == 3 * 200
    assert cost["transcendentals"] == 200
    assert cost["bytes accessed"] == 4 * (2 * 200 + 3 * 200 + 200 + 20)
    views = fnets.jit(lambda x: fnp.reshape(x.T, (20, 10))[::2]).lower(x).cost_analysis()
    assert views["flops"] == 0


def test_loops_multiply_by_their_trips():
    w = np.ones((8, 8), np.float32)

    def f(x):
        return lax.scan(lambda h, _: (h @ w, None), x, None, length=25)[0]

    assert fnets.jit(f).lower(w).cost_analysis()["flops"] == 25 * 2 * 8**3
    nested = fnets.jit(lambda x: lax.scan(lambda h, _: (f(h), None), x, None, length=4)[0])
    assert nested.lower(w).cost_analysis()["flops"] == 100 * 2 * 8**3
    endless = fnets.jit(lambda x: lax.while_loop(lambda h: h[0, 0] < 9, lambda h: h @ w, x)).lower(w).cost_analysis()
    assert ">=" in str(endless)


def test_the_dearer_branch_counts():
    w = np.ones((8, 8), np.float32)
    f = fnets.jit(lambda p, x: lax.cond(p, lambda x: x @ w, lambda x: x + 1, x))
    assert f.lower(True, w).cost_analysis()["flops"] == 2 * 8**3


def test_the_cost_table_names_the_users_lines():
    text = str(fnets.jit(fnets.grad(loss)).lower(PARAMS, X).cost_analysis())
    assert "h = fnp.tanh(x @ params" in text
    assert "(backward of tanh)" in text
    assert text.splitlines()[-1].startswith("total:")


def measured_peak(f, *args) -> int:
    f(*args)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    out = f(*args)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    del out
    return peak


BIG = np.linspace(0.1, 1, 200_000, dtype=np.float32).reshape(400, 500)
PROGRAMS = {
    "chain": lambda x: fnp.sin(fnp.cos(x) * 2 + 1),
    "keeps": lambda x: fnp.sum(fnp.sin(x) * fnp.cos(x) + fnp.exp(x)),
    "dots": lambda x: fnp.tanh(x @ x.T) @ x,
    "gradient": fnets.grad(lambda x: fnp.sum(fnp.tanh(x @ x.T) @ x)),
    "transposed": lambda x: fnp.reshape(x.T, (-1,)) * 2,
    "several": lambda x: (x + 1, x * 2, fnp.sum(x, axis=0)),
    "scan": lambda x: lax.scan(lambda c, row: (c + row, fnp.exp(row)), x[0], x),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_predicted_memory_is_what_numpy_allocates(name: str):
    compiled = fnets.jit(PROGRAMS[name], backend="numpy").lower(BIG).compile()
    memory = compiled.memory_analysis()
    predicted = memory.peak - memory.arguments
    measured = measured_peak(compiled, BIG)
    assert measured == pytest.approx(predicted, rel=0.05, abs=20_000)


# ------------------------------------------------------------------ the cache


def test_cache_info_and_clear_cache():
    f = fnets.jit(lambda x: x + 1)
    f(1.0), f(2.0), f(X)
    assert f.cache_info()[:2] == (1, 2)
    assert f.cache_info().currsize == 2
    f.clear_cache()
    assert f.cache_info()[:2] == (0, 0)
    assert f.cache_info().currsize == 0
    assert f(1.0) == 2.0


def test_the_cache_is_bounded_and_drops_the_oldest():
    with fnets.config.using(jit_cache_size=3):
        f = fnets.jit(lambda x: x + 1)
        for n in range(5):
            f(np.ones(n))
        assert f.cache_info().currsize == 3
        hits = f.cache_info().hits
        f(np.ones(4)), f(np.ones(3)), f(np.ones(2))
        assert f.cache_info().hits == hits + 3
        f(np.ones(0))
        assert f.cache_info().hits == hits + 3


def messages(caplog, call) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="fnets.jit"), fnets.explain_cache_misses():
        call()
    return [r.getMessage() for r in caplog.records]


def test_cache_misses_are_explained(caplog):
    f = fnets.jit(lambda params, x, n=1, opt=None: params["w"] * x * n, static_argnames="n")
    args = {"w": np.ones(3, np.float32)}, np.ones(3, np.float32)

    def told(*args, **kwargs):
        found = messages(caplog, lambda: f(*args, **kwargs))
        assert len(found) <= 1
        return found[0] if found else ""

    assert "has not been compiled before" in told(*args)
    assert told(*args) == ""
    assert "params['w'] is float32[4], before float32[3]; x is float32[4]" in told(
        {"w": np.ones(4, np.float32)}, np.ones(4, np.float32)
    )
    assert "x is float64[3], before float32[3]" in told(args[0], np.ones(3))
    assert "x is a Python float, before float" in told(args[0], 2.0)
    assert "static n is 2, before not given" in told(*args, n=2)
    assert "static n is 3, before 2" in told(*args, n=3)
    assert "another structure of params: dict with keys ['v', 'w'], before dict with keys ['w']" in told(
        {**args[0], "v": 1.0}, args[1]
    )
    assert "another structure of the keyword arguments" in told(*args, opt=1.0)
    with fnets.default_dtype("float64"):
        message = told(*args)
    assert "setting default_dtype is float64, before float32" in message
    assert "test_inspection.py" in message  # the user's line


def test_a_new_function_at_every_call_is_told(caplog):
    def call():
        for _ in range(3):
            fnets.jit(lambda x: x * 2)(1.0)

    found = messages(caplog, call)
    assert "function object number 2" in found[1]
    assert "outside of the loop" in found[2]


def test_closing_over_a_traced_value_is_told(caplog):
    f = messages(caplog, lambda: fnets.grad(lambda z: fnets.jit(lambda x: x * z)(1.0))(2.0))
    assert "closes over a value of a running transformation" in f[0]


def test_nothing_is_told_when_off(caplog):
    with caplog.at_level(logging.WARNING, logger="fnets.jit"):
        fnets.jit(lambda x: x)(1.0)
    assert not caplog.records


def test_one_warning_after_sixteen_retraces_names_the_path():
    f = fnets.jit(lambda params, batch: params["w"] * fnp.sum(batch["x"]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(40):
            f({"w": X}, {"x": np.ones(n)})
    (warning,) = [w for w in caught if w.category is RetraceWarning]
    assert "batch['x']: float64[0], float64[1]" in str(warning.message)
    assert warning.filename == __file__
    f = fnets.jit(lambda x, n: x * n, static_argnums=1)
    with pytest.warns(RetraceWarning, match="static n: 0, 1, 2"):
        for n in range(16):
            f(X, n)


def test_the_retrace_warning_can_be_silenced():
    f = fnets.jit(lambda x: x + 1)
    with fnets.config.using(retrace_warning=0), warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(20):
            f(np.ones(n))


# ------------------------------------------------------------------ donation


def test_donated_memory_is_reused():
    f = fnets.jit(lambda x, y: fnp.tanh(x) * y, donate_argnums=0)
    x, y = np.ones((50, 50)), np.full((50, 50), 2.0)
    expected = np.tanh(x) * y
    got = f(x, y)
    assert np.shares_memory(got, x)
    assert not np.shares_memory(got, y)
    np.testing.assert_array_equal(got, expected)


def test_donated_trees_and_names():
    f = fnets.jit(lambda state, g: fnets.tree.map(lambda s, g: s - 0.1 * g, state, g), donate_argnames="state")
    state, g = {"a": np.ones(5), "b": np.zeros((2, 2))}, {"a": np.ones(5), "b": np.ones((2, 2))}
    new = f(state, g)
    np.testing.assert_allclose(new["a"], 0.9)
    np.testing.assert_allclose(new["b"], -0.1)
    assert g["a"].sum() == 5


def test_read_only_donated_arrays_are_copied():
    f = fnets.jit(lambda x: x * 2 + 1, donate_argnums=0)
    x = np.arange(4.0)
    x.flags.writeable = False
    np.testing.assert_array_equal(f(x), [1, 3, 5, 7])
    np.testing.assert_array_equal(x, np.arange(4.0))
    np.testing.assert_array_equal(f(np.broadcast_to(np.float64(3.0), (4,))), [7, 7, 7, 7])


def test_donated_arrays_that_others_see_are_copied():
    f = fnets.jit(lambda x, y: (x * 2, y + 1), donate_argnums=0)
    x = np.arange(4.0)
    for y in (x, x[::-1]):
        kept = y.copy()
        _, second = f(x, y)
        np.testing.assert_array_equal(second, kept + 1)
        np.testing.assert_array_equal(y, kept)


def test_without_donation_arguments_stay():
    x = np.arange(4.0)
    fnets.jit(lambda x: fnp.sin(x) * 2)(x)
    np.testing.assert_array_equal(x, np.arange(4.0))


# ------------------------------------------------------------------ lines and scopes


def test_equations_keep_their_lines_through_all_transformations():
    def f(x):
        y = fnp.sin(x)  # line A
        return fnp.sum(y * y)  # line B

    first = f.__code__.co_firstlineno
    programs = [
        fnets.make_jaxpr(fnets.grad(f))(X),
        fnets.make_jaxpr(fnets.grad(fnets.jit(f)))(X),
        fnets.make_jaxpr(fnets.vmap(fnets.grad(f)))(X),
        fnets.make_jaxpr(fnets.jacfwd(fnets.jit(f)))(X[0]),
        fnets.make_jaxpr(fnets.grad(fnets.checkpoint(f)))(X),
    ]

    def all_eqns(jaxpr):
        for e in jaxpr.eqns:
            yield e
            for v in e.params.values():
                if hasattr(v, "eqns"):
                    yield from all_eqns(v)

    for jaxpr in programs:
        lines = {e.prim.name: e.where.line for e in all_eqns(jaxpr)}
        assert lines["cos"] == first + 1
        assert {e.where.backward for e in all_eqns(jaxpr) if e.prim.name == "cos"} <= {"sin", ""}
        assert all(e.where.file == __file__ for e in all_eqns(jaxpr))


def test_named_scopes_nest_and_show():
    @fnets.named_scope("layer")
    def layer(x):
        with fnets.named_scope("act"):
            return fnp.tanh(x)

    def f(x):
        with fnets.named_scope("net"):
            return fnp.sum(layer(x) * 2)

    jaxpr = fnets.make_jaxpr(fnets.grad(f))(X)
    scopes = {(e.prim.name, e.where.scope, e.where.backward) for e in jaxpr.eqns}
    assert ("tanh", "net/layer/act", "") in scopes
    assert any(scope == "net/layer/act" and back == "tanh" for _, scope, back in scopes)
    assert "[net/layer/act]" in jaxpr.pretty_print(source_info=True)
    with pytest.raises(Exception, match=r"in shout \[loud\]"):
        shout(X)


def shout(x):
    with fnets.named_scope("loud"):
        return fnp.reshape(x, (7, 7))


def test_run_time_errors_under_jit_name_the_users_line():
    def f(x, i):
        y = x * 2
        return fnp.take(y, i)

    line = f.__code__.co_firstlineno + 2
    for g in (f, fnets.jit(f), fnets.grad(fnets.jit(f))):
        with pytest.raises(IndexError, match=f"test_inspection.py:{line} in f"):
            g(np.ones(3), np.array(9) if g is not f else 9)


# ------------------------------------------------------------------ profiles


def rnn(w, xs):
    def step(h, x):
        with fnets.named_scope("cell"):
            h = fnp.tanh(h @ w + x)
        return h, fnp.sum(h)

    h, ys = lax.scan(step, xs[0], xs)
    return fnp.mean(ys**2) + fnp.sum(h)


W, XS = np.full((16, 16), 0.1, np.float32), np.ones((30, 4, 16), np.float32)


def test_profile_counts_calls_flops_and_time():
    p = fnets.profile(fnets.jit(rnn), W, XS)
    by_name = {r.eqn.prim.name: r for r in p.rows if r.depth == 1}
    assert by_name["dot_general"].calls == 30
    assert by_name["dot_general"].flops == 30 * 2 * 4 * 16 * 16
    assert by_name["tanh"].where.scope == "cell"
    scan = next(r for r in p.rows if r.eqn.prim.name == "scan")
    inner = [r for r in p.rows if r.depth == 1]
    assert scan.flops == sum(r.flops for r in inner)
    assert 0 < sum(r.seconds for r in inner) < scan.seconds
    assert by_name["dot_general"].gflops == pytest.approx(
        by_name["dot_general"].flops / by_name["dot_general"].seconds / 1e9
    )
    assert p.seconds > 0
    top = [r for r in p.rows if r.depth == 0]
    shown = [line for line in str(p).splitlines() if re.match(r" *[\d.]+ +[\d.]+ ", line)]
    assert len(shown) == len(p.rows)
    slowest = max(top, key=lambda r: r.seconds)
    assert slowest.eqn.prim.name in shown[0]


def test_profile_finds_the_slow_line():
    def f(x):
        y = x @ x  # slow
        return fnp.sum(y[0])

    p = fnets.profile(f, np.ones((400, 400)))
    assert "y = x @ x" in next(iter(p.by_line()))


def test_profile_of_products_that_run_on_one_thread():
    a = np.ones((100, 100), np.float32)
    assert fnets.profile(lambda x: x @ x, a).rows[0].flops == 2 * 100**3


def test_profile_follows_the_backend():
    pytest.importorskip("llvmlite")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a machine without native code falls back on NumPy
        p = fnets.profile(fnets.jit(rnn, backend="llvm"), W, XS)
    assert next(r for r in p.rows if r.eqn.prim.name == "dot_general").calls == 30
    with pytest.raises(ArgumentError, match="backend='numpy'"):
        fnets.profile(fnets.jit(rnn, backend="interpreter"), W, XS)
    assert not any(name.startswith("_") for name in fnets.backends.backend_names())


def test_profile_of_a_gradient_points_at_forward_lines():
    p = fnets.profile(fnets.grad(loss), PARAMS, X)
    assert {r.where.function for r in p.rows} == {"loss"}
    assert any(r.where.backward == "dot_general" for r in p.rows)


def test_chrome_trace(tmp_path):
    path = tmp_path / "trace.json"
    fnets.profile(rnn, W, XS).chrome_trace(path)
    events = json.loads(path.read_text())["traceEvents"]
    assert sum(e["name"] == "tanh" for e in events) == 30
    assert all(e["ph"] == "X" and e["ts"] >= 0 and e["dur"] >= 0 for e in events)
    (scan,) = [e for e in events if e["name"] == "scan"]
    for e in events:
        if e["name"] == "tanh":
            assert scan["ts"] <= e["ts"]
            assert e["ts"] + e["dur"] <= scan["ts"] + scan["dur"] + 1
            assert e["args"]["scope"] == "cell"


def test_profiling_does_not_change_results_or_later_calls():
    f = fnets.jit(rnn)
    before = f(W, XS)
    fnets.profile(f, W, XS)
    assert f(W, XS) == before
    assert f.cache_info().misses == 1


def test_profile_refuses_traced_values():
    with pytest.raises(ArgumentError, match="outside of jit, grad and vmap"):
        fnets.grad(lambda x: fnets.profile(fnp.sin, x).seconds * x)(1.0)


def test_memory_report():
    x = STRUCT((1000, 1000), "float32")
    report = fnets.memory_report(lambda x: fnp.sum(fnp.sin(x) * fnp.cos(x)), x)
    assert report.peak == 3 * 4_000_000
    assert {h.origin for h in report.held} == {"x", "sin", "cos"}
    assert all(h.where.function == "<lambda>" for h in report.held if h.origin != "x")
    assert "12 MB" in str(report)


def test_memory_report_says_what_checkpoint_saves():
    def chain(x):
        for _ in range(10):
            x = fnp.sin(x)
        return fnp.sum(x)

    x = STRUCT((100_000,), "float32")
    plain = fnets.memory_report(fnets.grad(chain), x)
    saved = fnets.memory_report(fnets.grad(fnets.checkpoint(chain)), x)
    assert plain.peak >= 10 * 400_000
    assert [h.origin for h in plain.held].count("sin") + [h.origin for h in plain.held].count("cos") >= 9
    assert saved.peak <= plain.peak + 400_000


# ------------------------------------------------------------------ pictures


class Balance(html.parser.HTMLParser):
    """Checks that every tag is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)
        self.seen.append(tag)
        assert not dict(attrs).get("src") and not dict(attrs).get("href"), "must need nothing else"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_view():
    jaxpr = fnets.make_jaxpr(fnets.grad(rnn, argnums=0))(W, XS)
    page = fnets.jaxpr_to_html(jaxpr, title="a < b & c")
    parser = Balance()
    parser.feed(page)
    assert not parser.open
    assert parser.seen.count("details") == sum(e.prim.name == "scan" for e in jaxpr.eqns)
    assert "a &lt; b &amp; c" in page
    assert "h = fnp.tanh(h @ w + x)" in page
    assert all(e.prim.name in page for e in jaxpr.eqns)


def test_dot_view():
    jaxpr = fnets.make_jaxpr(rnn)(W, XS)
    dot = fnets.jaxpr_to_dot(jaxpr)
    assert dot.count("{") == dot.count("}")
    assert dot.count("subgraph cluster") == 1
    body = next(e for e in jaxpr.eqns if e.prim.name == "scan").params["jaxpr"]
    boxes = len(re.findall(r'shape="box" style="filled', dot))
    assert boxes == len(jaxpr.eqns) + len(body.eqns)
    declared = set(re.findall(r"^\s*(n\d+) \[", dot, re.MULTILINE))
    used = {n for pair in re.findall(r"(n\d+) -> (n\d+)", dot) for n in pair}
    assert used <= declared


def test_jitted_methods_and_partials():
    class Model:
        def __init__(self, k):
            self.k = k

        @functools.partial(fnets.jit, static_argnums=0)
        def __call__(self, x):
            return x * self.k

    assert Model(3)(2.0) == 6.0
    assert Model(4)(2.0) == 8.0
