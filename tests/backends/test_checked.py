"""Checks of every load and store: they find kernels that are wrong, touch nothing then, and change nothing where all is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import config, lax, nn
from fnets.core.avals import ShapedArray
from fnets.core.ir import Var
from fnets.errors import IndexingError, KernelBoundsError
from tests.backends import stage_runner
from tests.backends.stage_runner import intact, prepare
from tests.backends.test_llvm import no_silent_fallback  # noqa: F401
from tests.backends.test_random_programs import arguments, programs, run

pytest.importorskip("llvmlite")

from fnets.backends.llvm.code.text import INT32, INT64, SINGLE, Function, Lanes
from fnets.backends.llvm.kernels import gathers, loops
from fnets.backends.llvm.kernels.contraction import Pack
from fnets.backends.llvm.kernels.stage import Stage
from fnets.backends.llvm.passes.prepare import prepare as prepare_jaxpr
from fnets.backends.llvm.runtime import loading, pool
from fnets.backends.llvm.schedule import anchors, chains, regions
from fnets.backends.llvm.schedule.regions import Call, schedule

rng = np.random.default_rng(0)
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # every example compiles: shrinking would take minutes


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


# ------------------------------------------------------------------ single accesses

N, PARTS = 24, 3
PART = N // PARTS
Body = Callable[[Function, str, str, str], None]


class Written(Stage):
    """Two operands and a result of N floats, all but the second in step, 64 bytes of scratch, and a body: of the function and the three pointers."""

    def __init__(self, body: Body):
        self.a, self.b, self.out = [Var(ShapedArray((N,), SINGLE)) for _ in range(3)]
        self.loaded, self.stored = [self.a, self.b], [self.out]
        self.extent, self.aligned, self.scratch = N, frozenset([self.a, self.out]), 64
        self.body = body

    def write(self, name: str) -> Function:
        f = self.begin(name)
        self.body(f, *self.pointer.values())
        f.do("ret void")
        return f


def all_of(count: int) -> Callable[[Function], Lanes]:
    return lambda f: Lanes(f, count)


def first(count: int) -> Callable[[Function], Lanes]:
    """Four lanes of which a constant mask enables so many."""
    return lambda f: Lanes(f, 4).first(count)


def lanes(bits: str) -> Callable[[Function], Lanes]:
    """A lane for each bit, by a mask that is computed."""

    def make(f: Function) -> Lanes:
        v = Lanes(f, len(bits))
        zero = v.splat(f.op("mul i64 %low, 0"), INT64)
        return Lanes(f, v.count, v.compare("sgt", f"<{', '.join([f'i64 {b}' for b in bits])}>", zero, INT64))

    return make


def loads(make: Callable[[Function], Lanes], k: int, operand: int = 1, start: Any = 0) -> Body:
    """A load at element `start + k` of an operand."""

    def body(f: Function, a: str, b: str, out: str) -> None:
        v = make(f)
        x = v.load(f.address(f.address((a, b)[operand], start, 4), k, 4), SINGLE)
        Lanes(f, v.count).store(x, f.allocate(64), SINGLE)

    return body


def stores(make: Callable[[Function], Lanes], k: int, into: str = "", start: Any = 0) -> Body:
    """A store at element `start + k` of the result or something else."""

    def body(f: Function, a: str, b: str, out: str) -> None:
        v = make(f)
        place = f.address(f.address(into or out, start, 4), k, 4)
        v.store(v.splat(f.op("fadd float 1.0, 0.0"), SINGLE), place, SINGLE)

    return body


def chosen(k: int, which: str) -> Body:
    """Stores at two places, k elements apart, of the operand or the result, as a select says; a phi goes from one to the next."""

    def body(f: Function, a: str, b: str, out: str) -> None:
        p = f.op(f"select i1 {f.op(f'icmp {which} i64 %low, 0')}, ptr {out}, ptr {b}")
        with f.loop(0, 2, 1, [("ptr", f.address(p, "%low", 4))]) as loop:
            Lanes(f, 1).store("1.0", loop.values[0], SINGLE)
            loop.next = [f.address(loop.values[0], k, 4)]

    return body


def filled(count: int, start: Any = "%low") -> Body:
    def body(f: Function, a: str, b: str, out: str) -> None:
        to, nbytes = f.address(out, start, 4), f.op(f"add i64 0, {4 * count}")
        f.call("void", "llvm.memset.p0.i64", ("ptr", to), ("i8", "0"), ("i64", nbytes), ("i1", "false"))

    return body


def copied(count: int, k: int, library: bool = False) -> Body:
    def body(f: Function, a: str, b: str, out: str) -> None:
        operands = [("ptr", f.address(out, "%low", 4)), ("ptr", f.address(b, k, 4)), ("i64", str(4 * count))]
        if library:
            f.call("ptr", "memcpy", *operands)
        else:
            f.call("void", "llvm.memcpy.p0.p0.i64", *operands, ("i1", "false"))

    return body


def on_the_stack(k: int) -> Body:
    def body(f: Function, a: str, b: str, out: str) -> None:
        Lanes(f, 4).store("splat (float 1.0)", f.address(f.allocate(32), k, 4), SINGLE)

    return body


def gathered(*picks: int) -> Body:
    def body(f: Function, a: str, b: str, out: str) -> None:
        v = Lanes(f, len(picks))
        x = v.gather(b, f"<{', '.join([f'i32 {k}' for k in picks])}>", INT32, SINGLE)
        v.store(x, f.allocate(64), SINGLE)

    return body


def called(k: int) -> Body:
    """A call of a helper, which calls itself for half as much, and stores element k."""

    def body(f: Function, a: str, b: str, out: str) -> None:
        inner = Function("inner", ["ptr %x", "i64 %n"])
        half = inner.op("lshr i64 %n, 1")
        with inner.when(inner.op(f"icmp sgt i64 {half}, 0")):
            inner.call("void", "inner", ("ptr", "%x"), ("i64", half), declare=False)
        Lanes(inner, 1).store("1.0", inner.address("%x", k, 4), SINGLE)
        inner.do("ret void")
        f.take(inner)
        f.call("void", "inner", ("ptr", f.address(out, "%low", 4)), ("i64", str(PART)), declare=False)

    return body


RIGHT: dict[str, Body] = {
    "first element": loads(all_of(1), 0),
    "last element": loads(all_of(1), N - 1),
    "last vector": loads(all_of(4), N - 4),
    "last of the part": loads(all_of(4), PART - 4, 0, "%low"),
    "last vector stored": stores(all_of(4), PART - 4, "", "%low"),
    "mask at the end": loads(first(3), N - 3),
    "mask at the end, stored": stores(first(3), PART - 3, "", "%low"),
    "computed mask at the end": loads(lanes("0110"), N - 3),
    "computed mask at the beginning": stores(lanes("0110"), -1, "", "%low"),
    "no lane": stores(lanes("0000"), 100),
    "chosen": chosen(PART - 1, "sge"),
    "memset": filled(PART),
    "memset of nothing": filled(0, 10**6),
    "memcpy": copied(PART, N - PART),
    "memcpy of the library": copied(PART, N - PART, True),
    "scratch": stores(all_of(4), 12, "%scratch"),
    "stack": on_the_stack(4),
    "gather": gathered(N - 1, 0, 5, N - 1),
    "helper": called(PART - 1),
}
WRONG: dict[str, tuple[Body, str]] = {  # with what the message says
    "load one beyond": (loads(all_of(1), N), r"bytes 0 to 96 of operand 1 \(float32\[24\]\) of Written.*, got bytes 96 to 100 in .*load"),
    "load one before": (loads(all_of(1), -1), "operand 1 .* got bytes -4 to 0 in .*load"),
    "load beyond in a vector": (loads(all_of(4), N - 3), "operand 1 .* got bytes 84 to 100 in .*load"),
    "load from the next part": (loads(all_of(1), PART, 0, "%low"), "bytes 0 to 32 of operand 0 .* got bytes 32 to 36"),
    "masked load": (loads(first(3), N - 2), "operand 1 .* got bytes 88 to 100 in .*masked.load"),
    "computed mask": (loads(lanes("0110"), N - 2), "operand 1 .* got bytes 92 to 100 in .*masked.load"),
    "store one before": (stores(all_of(1), -1), "result 0 .* got bytes -4 to 0 in .store"),
    "store one beyond": (stores(all_of(1), N), "result 0 .* got bytes 96 to 100 in .store"),
    "masked store": (stores(first(3), N - 2), "result 0 .* got bytes 88 to 100 in .*masked.store"),
    "computed mask before": (stores(lanes("0110"), -2), "result 0 .* got bytes -4 to 4 in .*masked.store"),
    "store into an operand": (stores(all_of(1), 0, "%b1"), "no writes to operand 1 .* got bytes 0 to 4"),
    "masked store into an operand": (stores(first(2), 0, "%b1"), "no writes to operand 1 .* got bytes 0 to 8"),
    "store into the next part": (stores(all_of(1), PART, "", "%low"), "bytes 0 to 32 of result 0 .* got bytes 32 to 36"),
    "store into the part before": (stores(all_of(1), 0), "bytes 32 to 64 of result 0 .* got bytes 0 to 4"),
    "vector across parts": (stores(all_of(4), PART - 3, "", "%low"), "bytes 0 to 32 of result 0 .* got bytes 20 to 36"),
    "chosen, beyond": (chosen(PART, "sge"), "bytes 0 to 32 of result 0 .* got bytes 32 to 36"),
    "chosen operand": (chosen(0, "slt"), "no writes to operand 1"),
    "memset": (filled(PART + 1), "bytes 0 to 32 of result 0 .* got bytes 0 to 36 in .*memset"),
    "memset of a negative length": (filled(-1), "result 0 .* in .*memset"),
    "memcpy from beyond": (copied(PART, N - PART + 1), "operand 1 .* got bytes 68 to 100 in .*memcpy"),
    "memcpy into the next part": (copied(PART + 1, 0, True), "result 0 .* got bytes 0 to 36 in .*memcpy"),
    "scratch": (stores(all_of(4), 13, "%scratch"), "bytes 0 to 64 of scratch .* got bytes 52 to 68"),
    "gather": (gathered(N - 1, 0, N, 5), "operand 1 .* got bytes 96 to 100 in .*gather"),
    "helper": (called(PART), "bytes 0 to 32 of result 0 .* got bytes 32 to 36 in .store"),
    "stack": (on_the_stack(5), "bytes 0 to 32 of memory on the stack.* got bytes 20 to 36"),
}  # fmt: skip


def operands() -> list[np.ndarray]:
    """Two arrays with others around them."""
    return [np.arange(1, 3 * N + 1, dtype=np.float32).reshape(3, N)[1] for _ in range(2)]


@pytest.mark.parametrize("name", RIGHT)
def test_right_accesses(name: str):
    plain, checked = [prepare(Written(RIGHT[name]), PARTS, c)(*operands()) for c in (False, True)]
    np.testing.assert_array_equal(checked, plain)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_accesses(name: str, monkeypatch):
    body, message = WRONG[name]
    made: list[np.ndarray] = []
    real = stage_runner.aligned
    monkeypatch.setattr(stage_runner, "aligned", lambda *a: made.append(real(*a)) or made[-1])
    given = operands()
    with pytest.raises(KernelBoundsError, match=message):
        prepare(Written(body), PARTS, checked=True)(*given)
    for x, y in zip(given, operands()):
        np.testing.assert_array_equal(x.base, y.base)  # type: ignore[arg-type]
    assert made and all(map(intact, made))


def test_what_is_loaded_wrongly_is_zero_and_only_the_first_is_told(monkeypatch):
    made: list[np.ndarray] = []
    real = stage_runner.aligned
    monkeypatch.setattr(stage_runner, "aligned", lambda *a: made.append(real(*a)) or made[-1])

    def body(f: Function, a: str, b: str, out: str) -> None:
        v = Lanes(f, 1)
        with f.loop("%low", "%high", 1) as loop:
            x = v.load(f.address(b, f.add(loop.index, 1), 4), SINGLE)
            v.store("5.0", f.address(b, loop.index, 4), SINGLE)
            v.store(x, f.address(out, loop.index, 4), SINGLE)

    run = prepare(Written(body), 1, checked=True)
    for _ in range(2):  # what has been told is forgotten
        made.clear()
        with pytest.raises(KernelBoundsError, match="operand 1 .* got bytes 0 to 4 in .*and 24 more accesses"):
            run(*operands())
        result = next(x for x in made if x.shape == (N,))
        np.testing.assert_array_equal(result, [*operands()[1][1:], 0])


@pytest.mark.parametrize(
    "lines",
    [
        [
            "%p = getelementptr float, ptr %b0, <4 x i64> zeroinitializer",
            "%x = call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> %p, i32 4, <4 x i1> zeroinitializer, <4 x float> poison)",
        ],
        ["%p = inttoptr i64 %low to ptr"],
        ["%p = load ptr, ptr %b0", "store float 1.0, ptr %p"],
        ["%p = load ptr, ptr %b0", "%q = getelementptr i8, ptr %p, i64 1"],
        ["call void @elsewhere(ptr %b0)"],
        ["%x = atomicrmw add ptr %b0, i64 1 monotonic"],
        ["%x = load atomic i64, ptr %b0 monotonic, align 8"],
        ["store float 1.0, ptr @somewhere"],
        ["store float 1.0, ptr null"],
    ],
)
def test_what_is_not_understood_is_an_error(lines: list[str]):
    def body(f: Function, a: str, b: str, out: str) -> None:
        for line in lines:
            f.do(line)

    with config.using(check_bounds=True), pytest.raises(ValueError, match="check_bounds"):
        Written(body).function("stage")


# ------------------------------------------------------------------ kernels that are spoilt


class Unclamped(Lanes):
    """Lanes that leave indices as they are."""

    def intrinsic(self, name: str, dtype: np.dtype, *operands: str) -> str:
        return operands[0] if name == "umin" else super().intrinsic(name, dtype, *operands)


def test_a_gather_beyond_its_table(monkeypatch):
    table, index = normal(50, 40), np.array([3, 49, 0, 50, -1])
    f = lambda x, i: fnp.tanh(x[i] + 1)  # noqa: E731
    with config.using(check_bounds=True):
        with pytest.raises(IndexingError):
            fnets.jit(f, backend="llvm")(table, index)
        monkeypatch.setattr(gathers, "Lanes", Unclamped)
        spoilt = fnets.jit(lambda x, i: f(x, i), backend="llvm")
        with pytest.raises(
            KernelBoundsError, match=r"bytes 0 to 8000 of operand 0 \(float32\[50,40\]\) of Gather gather"
        ):
            spoilt(table, index)
        np.testing.assert_allclose(spoilt(table, index[:3]), np.tanh(table[index[:3]] + 1), rtol=1e-5)


def test_a_loop_with_too_little_memory(monkeypatch):
    """What a loop gives to the stages of its body is an access too."""
    real = loops.rounded
    f = lambda x: lax.scan(lambda c, y: (fnp.tanh(c @ c.T @ c + y), c.sum()), x[0], x)  # noqa: E731
    x = normal(5, 7, 9)
    with config.using(check_bounds=True):
        want = fnets.jit(f, backend="llvm")(x)
        monkeypatch.setattr(loops, "rounded", lambda n: real(n) if n < 65 else real(n) - 64)
        with pytest.raises(KernelBoundsError, match="of scratch of Scan scan"):
            fnets.jit(lambda x: f(x), backend="llvm")(x)
    assert all([np.isfinite(y).all() for y in want])


# ------------------------------------------------------------------ stages and whole programs


def convolutional(p, x, y):
    h = nn.max_pool(nn.relu(lax.conv(x, p["c"], (1, 1), "SAME")), (2, 2), (2, 2))
    z = fnp.tanh(h.reshape(len(x), -1) @ p["w"] + p["b"])
    return fnp.mean((z - y) ** 2) + fnp.sum(p["w"] ** 2)


def lstm(p, x):
    """Steps of (batch, features); the mean of the last state."""

    def cell(carry, xt):
        h, c = carry
        i, f, g, o = fnp.split(xt @ p["x"] + h @ p["h"] + p["b"], 4, axis=-1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * fnp.tanh(g)
        h = nn.sigmoid(o) * fnp.tanh(c)
        return (h, c), h

    zero = fnp.zeros((x.shape[1], p["h"].shape[0]))
    (h, _), hs = lax.scan(cell, (zero, zero), x)
    return fnp.mean(h**2) + fnp.mean(hs)


def transformer(p, tokens):
    """One block of four heads, with an embedding, layer norm and a cross-entropy."""
    x = p["e"][tokens]
    normed = lambda x: (x - fnp.mean(x, -1, keepdims=True)) / fnp.sqrt(fnp.var(x, -1, keepdims=True) + 1e-5)  # noqa: E731
    b, t, d = x.shape
    q, k, v = [fnp.transpose(y.reshape(b, t, 4, -1), (0, 2, 1, 3)) for y in fnp.split(normed(x) @ p["qkv"], 3, -1)]
    scores = fnp.where(np.tril(np.ones((t, t), bool)), q @ fnp.swapaxes(k, -1, -2) / 4, -1e9)
    x = x + fnp.transpose(nn.softmax(scores) @ v, (0, 2, 1, 3)).reshape(b, t, d) @ p["o"]
    x = x + nn.gelu(normed(x) @ p["up"]) @ p["down"]
    logits = nn.log_softmax(x @ p["e"].T)
    return -fnp.mean(fnp.take_along_axis(logits[:, :-1], tokens[:, 1:, None], -1))


def updated(loss):
    return lambda p, *data: fnets.tree.map(lambda a, g: a - 0.1 * g, p, fnets.grad(loss)(p, *data))


def mixed(x):
    """What the others lack: copies, running operations, pooling, loops and branches of unknown length, places of extremes."""
    y = fnp.concatenate([fnp.pad(x[:, 1:], ((0, 0), (2, 3))), fnp.flip(x, 1)], axis=1)
    z = lax.while_loop(lambda c: fnp.sum(c) > 1e-3, lambda c: fnp.abs(c) * 0.5, y)
    w = lax.cond(fnp.sum(x) > 0, lambda a: a + 1, fnp.cumsum, y.reshape(-1))
    return z, w, fnp.cumsum(y, 1), fnp.argmax(y, 0), lax.reduce_window(y, -np.inf, lax.max, (2, 3), (1, 2), "VALID")


def ordered(x):
    """Sorting, selecting, searching."""
    keys = fnp.round(x[:, :50])
    best = [lax.top_k(a, 2) for a in (x, x.astype(np.float64))]
    return fnp.sort(x, 0), lax.sort((keys, x[:, 50:100]), num_keys=2), best, fnp.searchsorted(fnp.sort(x[0]), x)


def solved(a, b):
    """Small linear algebra, one by one and in groups."""
    spd = a @ a.swapaxes(1, 2) + 9 * fnp.eye(a.shape[-1], dtype=a.dtype)
    return fnp.linalg.solve(a, b), fnp.linalg.cholesky(spd), fnp.linalg.inv(spd[0]), fnp.linalg.slogdet(spd)


P = {"c": normal(16, 5, 3, 3), "w": normal(1024, 30), "b": normal(30)}
CELL = {"x": normal(9, 44), "h": normal(11, 44), "b": normal(44)}
BLOCK = {"e": normal(23, 32), "qkv": normal(32, 96), "o": normal(32, 32), "up": normal(32, 50), "down": normal(50, 32)}
TOKENS = rng.integers(0, 23, (5, 13))
WHOLE: dict[str, tuple] = {
    "convolutional": (updated(convolutional), P, normal(20, 5, 16, 16), normal(20, 30)),
    "lstm": (updated(lstm), CELL, normal(6, 7, 9)),
    "transformer": (updated(transformer), BLOCK, TOKENS),
    "mixed": (mixed, normal(9, 21)),
    "ordered": (ordered, normal(7, 300)),
    "solved": (solved, normal(37, 5, 5), normal(37, 5, 3)),
    "drawn": (lambda key: fnets.random.normal(key, (77, 5)), fnets.random.key(1)),
}


@pytest.fixture(params=["as they are", "in small parts"])
def cut(request, monkeypatch):
    if request.param == "in small parts":
        monkeypatch.setattr(chains, "WORTH_PARTS", 0)
        monkeypatch.setattr(chains, "PART", 1)
        monkeypatch.setattr(regions, "is_worthwhile", lambda eqns: True)


def _with_checks(check_bounds: bool, f: Callable, *args: Any) -> Any:
    with config.using(check_bounds=check_bounds):
        return f(*args)


@pytest.fixture
def have_checks(monkeypatch) -> list[bool]:
    """Of each compilation, whether there are checks in it."""
    pool.start()  # is compiled once, before
    found: list[bool] = []
    real = loading.object_code

    def compiled(*modules: Any, **options: Any) -> bytes:
        found.append(any(["@fnets_check" in m.text for m in modules]))
        return real(*modules, **options)

    monkeypatch.setattr(loading, "object_code", compiled)
    return found


def same_when_checked(f: Callable, *args: Any) -> None:
    jitted = fnets.jit(lambda *args: f(*args), backend="llvm")  # what is compiled is kept by function
    plain = _with_checks(False, jitted, *args)
    checked = _with_checks(True, jitted, *args)
    for a, b in zip(fnets.tree.leaves(checked), fnets.tree.leaves(plain), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_programs(name: str, cut, have_checks: list[bool]):
    same_when_checked(*WHOLE[name])
    assert have_checks == [False, True]


@hypothesis.settings(
    max_examples=12,
    phases=PHASES,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(programs(), st.integers(0, 9), st.sampled_from([np.float32, np.float64]))
def test_random_programs(cut, program, seed, dtype):
    x, y = arguments(seed, dtype)
    jitted = fnets.jit(lambda x, y: run(program, x, y), backend="llvm")
    with np.errstate(all="ignore"):
        plain, checked = [_with_checks(c, jitted, x, y) for c in (False, True)]
    for a, b in zip(checked, plain, strict=True):
        np.testing.assert_array_equal(a, b)


def stages_of(name: str, vector_bytes: int) -> list[Stage]:
    f, *args = WHOLE[name]
    jaxpr = prepare_jaxpr(fnets.make_jaxpr(f)(*args).jaxpr)
    calls = [s for s in schedule(jaxpr, vector_bytes, anchors.lower) if isinstance(s, Call)]
    return [s for call in calls for chain in call.chains for s in chain.stages]


def values_for(stage: Stage) -> list[np.ndarray]:
    draw = np.random.default_rng(3)
    return [
        draw.uniform(-1, 1, v.aval.shape).astype(v.aval.dtype)
        if v.aval.dtype.kind == "f"
        else draw.integers(0, 2, v.aval.shape).astype(v.aval.dtype)
        for v in stage.loaded
    ]


@pytest.mark.parametrize("vector_bytes", [64, 32])
@pytest.mark.parametrize("name", WHOLE)
def test_stages(name: str, vector_bytes: int):
    """Checked and plain code agree, and a result that were a byte shorter would be found to be too short."""
    every = [stages_of(name, vector_bytes) for _ in range(3)]
    assert every[0]
    for plain, checked, short in zip(*every, strict=True):
        given = values_for(plain)
        for a, b in zip(prepare(plain, 3, False)(*given), prepare(checked, 3, True)(*given)):
            np.testing.assert_array_equal(a, b)
        if isinstance(short, Pack):  # whose panels end with what nobody needs
            continue
        spaces, last = short.spaces(), len(short.loaded)
        s = spaces[last]
        spaces[last] = s._replace(nbytes=s.nbytes - 1, step=None if s.step is None else s.step - 1)
        short.spaces = lambda spaces=spaces: spaces  # type: ignore[method-assign]
        with pytest.raises(KernelBoundsError, match="of result 0"):
            prepare(short, 1, True)(*given)


# ------------------------------------------------------------------ the setting


def test_the_cache_keeps_checked_and_plain_code_apart(tmp_path, monkeypatch, have_checks: list[bool]):
    monkeypatch.setenv("FNETS_CACHE", "1")
    monkeypatch.setenv("FNETS_CACHE_DIR", str(tmp_path / "cache"))
    x = normal(40, 30)
    for times in range(2):
        for check_bounds in (False, True):
            with config.using(check_bounds=check_bounds):
                fnets.jit(lambda x: fnp.tanh(x) * 2 + 1, backend="llvm")(x)
        assert have_checks == [False, True], times
