"""`fnets.primitives.threefry` against golden values of jax.random, and against itself where JAX says what must hold."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from fnets.primitives import threefry
from fnets.primitives.threefry import bits_kernel, fold_in_kernel, seed_key, split_kernel, threefry2x32

with np.load(Path(__file__).parent / "golden" / "random.npz") as _data:
    GOLDEN = {name: _data[name] for name in _data.files}
CASES = json.loads(str(GOLDEN["config_json"]))


def cases(*functions):
    return [pytest.param(case, id=case["name"]) for case in CASES if case["fn"] in functions]


def case_key(case):
    return seed_key(case["seed"], x64=case["name"].startswith("x64"))


def assert_same(got, want):
    assert got.dtype == want.dtype and got.shape == want.shape
    assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("case", cases("key_data"))
def test_seed(case):
    assert_same(case_key(case), GOLDEN[case["name"]])


@pytest.mark.parametrize("case", cases("split"))
def test_split(case):
    num = case["args"][0]
    shape = tuple(num) if isinstance(num, list) else (num,)
    assert_same(split_kernel(case_key(case), shape), GOLDEN[case["name"]])


@pytest.mark.parametrize("case", cases("fold_in"))
def test_fold_in(case):
    assert_same(fold_in_kernel(case_key(case), case["args"][0]), GOLDEN[case["name"]])


@pytest.mark.parametrize("case", cases("bits"))
def test_bits(case):
    want = GOLDEN[case["name"]]
    assert_same(bits_kernel(case_key(case), want.shape, want.dtype.itemsize * 8), want)


@pytest.mark.parametrize("case", [case for case in cases("uniform") if not case.values[0]["kwargs"]])
def test_uniform_is_bits_in_the_mantissa(case):
    want = GOLDEN[case["name"]]
    info = np.finfo(want.dtype)
    bits = bits_kernel(case_key(case), want.shape, info.bits)
    one = np.ones((), want.dtype).view(bits.dtype)
    assert_same((bits >> np.uint8(info.bits - info.nmant) | one).view(want.dtype) - want.dtype.type(1), want)


def test_batches_of_keys_equal_vmap():
    keys = GOLDEN["batched_keys"]
    for shape in ((2,), (3, 2), (100,)):
        assert_same(split_kernel(keys, shape), GOLDEN[f"batched_split_{'x'.join(map(str, shape))}"])
    for width in (8, 16, 32, 64):
        assert_same(bits_kernel(keys, (5, 7), width), GOLDEN[f"batched_bits_{width}"])
    assert_same(fold_in_kernel(keys, 9), GOLDEN["batched_fold_in"])
    flat = keys.reshape(-1, 2)
    assert_same(fold_in_kernel(flat, np.arange(6)), GOLDEN["batched_fold_in_each"])
    assert_same(fold_in_kernel(flat[0], np.arange(6)), GOLDEN["one_key_fold_in_many"])


@pytest.mark.parametrize("count", [0, 1, 2, 20, 190, 193, 1000, 9000, 33000, 70001])
@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3), (400,), (0,)])
def test_a_batch_is_its_keys_one_by_one(batch, count):
    """Crosses every boundary between the few-words, long-stream and many-keys paths."""
    if np.prod(batch) * count > 500_000:
        count = 999
    keys = split_kernel(seed_key(5), batch)
    assert keys.shape == (*batch, 2)
    got = bits_kernel(keys, (count,))
    assert got.shape == (*batch, count)
    long = 131_072
    for index in np.ndindex(*batch):
        if sum(index) % 37 == 0:
            np.testing.assert_array_equal(got[index], bits_kernel(keys[index], (long,))[:count])


def test_known_answers_of_the_cipher():
    """The three vectors that the authors' Random123 distribution publishes for threefry2x32 with 20 rounds."""
    ones, pi = 0xFFFFFFFF, (0x13198A2E, 0x03707344, 0x243F6A88, 0x85A308D3)
    for arguments, want in (
        ((0, 0, 0, 0), (0x6B200159, 0x99BA4EFE)),
        ((ones,) * 4, (0x1CB996FC, 0xBB002BE7)),
        (pi, (0xC4923A9C, 0x483DF7A0)),
    ):
        words = [np.uint32(value) for value in arguments]
        assert tuple(int(word) for word in threefry2x32(*words)) == want
        many = threefry2x32(*(np.full((300, 5), word) for word in words))
        one_key = threefry2x32(*words[:2], *(np.full(40_000, word) for word in words[2:]))
        for word, full, keyed in zip(want, many, one_key, strict=True):
            assert full.shape == (300, 5) and (full == word).all() and (keyed == word).all()


def test_broadcasting_and_untouched_inputs():
    rng = np.random.default_rng(0)
    k0, k1 = rng.integers(0, 2**32, (2, 50, 1), dtype=np.uint32)
    x0, x1 = rng.integers(0, 2**32, (2, 40), dtype=np.uint32)
    before = [word.copy() for word in (k0, k1, x0, x1)]
    y0, y1 = threefry2x32(k0, k1, x0, x1)
    for row in (0, 17, 49):
        z0, z1 = threefry2x32(k0[row], k1[row], x0, x1)
        np.testing.assert_array_equal(y0[row], z0)
        np.testing.assert_array_equal(y1[row], z1)
    for old, new in zip(before, (k0, k1, x0, x1), strict=True):
        np.testing.assert_array_equal(old, new)


def test_counters_past_32_bits(monkeypatch):
    """The high word of the counter, which only a stream of more than 16 GiB would show: start its blocks late."""
    far = 2**33
    monkeypatch.setattr(threefry, "run_blocks", lambda count, body: body([count - 1]))
    key, seen = seed_key(3), []
    threefry._hash_long_stream(*key.tolist(), far + 5, 0, lambda *block: seen.append(block))
    ((start, stop, high, low),) = seen
    assert (start, stop) == (far, far + 5)
    want = threefry2x32(key[0], key[1], np.full(5, 2, np.uint32), np.arange(5, dtype=np.uint32))
    np.testing.assert_array_equal((high, low), want)


def test_seeds_of_every_kind():
    assert_same(
        seed_key(np.array([[1, -2], [3, 2**40]])), np.array([[[0, 1], [0, 2**32 - 2]], [[0, 3], [0, 0]]], np.uint32)
    )
    assert_same(seed_key(np.array([1, -2]), x64=True), np.array([[0, 1], [2**32 - 1, 2**32 - 2]], np.uint32))
    assert_same(seed_key(np.int8(-1), x64=True), np.array([0, 2**32 - 1], np.uint32))
    assert_same(seed_key(np.uint64(2**63 + 9), x64=True), np.array([2**31, 9], np.uint32))
    with pytest.raises(OverflowError):
        seed_key(2**63)
    with pytest.raises(TypeError, match="integer seed"):
        seed_key(1.0)
    with pytest.raises(OverflowError):
        fold_in_kernel(seed_key(0), -1)


def test_results_are_fresh_writable_arrays():
    key = seed_key(1)
    for make in (
        lambda: split_kernel(key),
        lambda: bits_kernel(key, (3,)),
        lambda: fold_in_kernel(key, 1),
        lambda: seed_key(1),
    ):
        first, second = make(), make()
        assert first.flags.writeable and first.flags.c_contiguous
        first += 1
        np.testing.assert_array_equal(first, second + np.uint32(1))


def test_threads_do_not_share_buffers():
    key = seed_key(8)
    want = bits_kernel(key, (50_000,))
    wrong = []

    def work():
        wrong.extend(i for i in range(10) if not np.array_equal(bits_kernel(key, (50_000,)), want))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
