"""Data: IDX files and MNIST with every kind of damage, downloads, the Dataset, and iteration that resumes exactly."""

import copy
import functools
import gc
import gzip
import hashlib
import http.server
import json
import pickle
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnets import config, data, tree
from fnets.data import datasets, download
from fnets.data.datasets import FILES
from fnets.errors import ArgumentError, DataError, IndexingError

MNIST = Path(__file__).parents[1] / "examples" / "data" / "mnist"


# ---------------------------------------------------------------- IDX


def idx_bytes(code, dims, payload):
    return bytes([0, 0, code, len(dims)]) + struct.pack(f">{len(dims)}I", *dims) + payload


@pytest.mark.parametrize("name", ["x.idx", "x.idx.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(5,), (2, 3), (0,), (2, 0, 3), (1, 2, 3, 4)])
def test_idx_round_trip(tmp_path, name, dtype, shape):
    x = np.random.default_rng(0).integers(-100, 100, shape).astype(dtype)
    data.write_idx(tmp_path / name, x)
    back = data.read_idx(tmp_path / name)
    assert (back.shape, back.dtype) == (x.shape, x.dtype)
    assert back.dtype.isnative
    assert back.flags.writeable
    np.testing.assert_array_equal(back, x)


def test_idx_to_the_byte(tmp_path):
    (tmp_path / "x").write_bytes(idx_bytes(0x0B, (2, 2), struct.pack(">4h", 1, -2, 300, 4)))
    np.testing.assert_array_equal(data.read_idx(tmp_path / "x"), np.array([[1, -2], [300, 4]], np.int16))
    data.write_idx(tmp_path / "y", np.array([[1, -2], [300, 4]], ">i2"))
    assert (tmp_path / "y").read_bytes() == (tmp_path / "x").read_bytes()


GOOD = idx_bytes(0x08, (2, 3), bytes(range(6)))
DAMAGE = {
    "empty": (b"", r"an IDX header in .*, got the bytes \(none\)"),
    "other content": (b"<html>not here</html>", "an IDX header in .*, got the bytes 3c 68 74 6d"),
    "an unknown type": (b"\0\0\x07" + GOOD[3:], "an IDX header"),
    "no dimensions": (idx_bytes(0x08, (), b""), "an IDX header"),
    "too many dimensions": (b"\0\0\x08\xff" + b"\0" * 2000, "an IDX header"),
    "a truncated header": (GOOD[:9], "2 dimensions in .*, got only 5 bytes of them, the file is truncated"),
    "truncated": (GOOD[:-1], r"6 bytes for shape \(2, 3\) in .*, got 5, the file is truncated"),
    "bytes left over": (GOOD + b"\0", "6 bytes .*, got more than that"),
    "a shape beyond all memory": (idx_bytes(0x0E, (2**32 - 1,) * 4, b"12345678"), "got 8, the file is truncated"),
    "truncated gzip": (gzip.compress(GOOD)[:-9], "gzipped IDX data in .*, got a truncated or corrupted file"),
    "a wrong sum in gzip": (gzip.compress(GOOD)[:-8] + b"\0" * 8, "gzipped IDX data"),
    "corrupted gzip": (gzip.compress(GOOD)[:10] + b"\xff" * 20, "gzipped IDX data"),
    "gzip of other content": (gzip.compress(b"hello, world"), "an IDX header"),
    "gzip of truncated content": (gzip.compress(GOOD[:-2]), "got 4, the file is truncated"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_idx_files_are_named_with_a_remedy(tmp_path, kind):
    content, message = DAMAGE[kind]
    path = tmp_path / "x.idx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        data.read_idx(path)
    assert str(path) in str(caught.value)
    assert "Replace the file" in str(caught.value)
    assert "test_data.py" in str(caught.value)


def test_idx_refuses_what_it_cannot_hold(tmp_path):
    with pytest.raises(DataError, match="got int64. Convert"):
        data.write_idx(tmp_path / "x", np.arange(3))
    with pytest.raises(DataError, match="1 to 32 dimensions"):
        data.write_idx(tmp_path / "x", np.float32(1))
    with pytest.raises(FileNotFoundError):
        data.read_idx(tmp_path / "x")


# ---------------------------------------------------------------- MNIST


@functools.cache
def real():
    return data.mnist(MNIST)


def test_mnist_is_the_original():
    train, test = real()
    assert repr(train) == (
        "Dataset MNIST(\n   (data): Array(shape=(60000, 28, 28), dtype=uint8)\n"
        "   (labels): Array(shape=(60000,), dtype=uint8)\n)"
    )
    assert (len(train), len(test)) == (60000, 10000)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    # published MD5 sums of the original files: of images with the header of 16 bytes
    header = struct.pack(">IIII", 2051, 60000, 28, 28)
    assert hashlib.md5(header + train.data.tobytes()).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
    assert abs(train.data.mean() / 255 - 0.13066) < 1e-5


def test_mnist_applies_the_tutorials_transform_once():
    calls = []
    reshape = functools.partial(lambda shape, x: calls.append(x.shape) or x.reshape(shape))
    transform = data.compose(lambda x: reshape((-1, 784), x), data.normalize, lambda x: reshape((-1, 1, 28, 28), x))
    train, test = data.mnist(MNIST, transform)
    assert calls == [(60000, 28, 28), (60000, 784), (10000, 28, 28), (10000, 784)]
    assert repr(train) == (
        "Dataset MNIST(\n   (data): Array(shape=(60000, 1, 28, 28), dtype=float32)\n"
        "   (labels): Array(shape=(60000,), dtype=uint8)\n)"
    )
    assert train.data.min() == pytest.approx(-0.8508, abs=1e-4)
    assert train.data.max() == pytest.approx(7.7701, abs=1e-4)
    raw = real()[1].data[17].astype(np.float64)
    np.testing.assert_allclose(test.data[17, 0], (raw - raw.mean()) / raw.std(), atol=2e-6)


def test_mnist_finds_the_checkouts_files_by_default():
    assert datasets._default_root() == MNIST


def test_mnist_looks_in_the_cache_folder_where_there_is_no_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "__file__", str(tmp_path / "site-packages" / "fnets" / "data" / "datasets.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert datasets._default_root() == tmp_path / "fnets" / "mnist"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert datasets._default_root() == Path.home() / ".cache" / "fnets" / "mnist"


SHAPES = {"train-images": (6, 28, 28), "train-labels": (6,), "t10k-images": (3, 28, 28), "t10k-labels": (3,)}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder with a small database in the place of MNIST, whose sums and shapes are the expected ones."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in list(FILES):
        shape = next(shape for start, shape in SHAPES.items() if name.startswith(start))
        x = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
        data.write_idx(folder / name, x)
        monkeypatch.setitem(
            FILES, name, (shape, hashlib.sha256(gzip.decompress((folder / name).read_bytes())).hexdigest())
        )
    return folder


def test_unpacked_files_will_do(small):
    for name in FILES:
        (small / name[:-3]).write_bytes(gzip.decompress((small / name).read_bytes()))
        (small / name).unlink()
    assert len(data.mnist(small, download=False)[1]) == 3


@pytest.mark.parametrize("name", list(FILES))
@pytest.mark.parametrize("kind", ["truncated", "corrupted", "foreign", "another shape", "changed content", "empty"])
def test_damaged_mnist_files_are_named_with_a_remedy(small, name, kind):
    path = small / name
    raw = bytearray(path.read_bytes())
    content = bytearray(gzip.decompress(raw))
    if kind == "truncated":
        path.write_bytes(raw[: len(raw) // 2])
    elif kind == "corrupted":
        raw[len(raw) // 2] ^= 0x55
        path.write_bytes(raw)
    elif kind == "foreign":
        path.write_bytes(b"<html>404 Not Found</html>")
    elif kind == "another shape":
        data.write_idx(path, np.zeros((7, 7), np.uint8))
    elif kind == "changed content":
        content[-1] ^= 1
        path.write_bytes(gzip.compress(content))
    else:
        path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        data.mnist(small)
    assert str(path) in str(caught.value)
    assert "Delete the file and call mnist() again to download the original." in str(caught.value)
    if kind == "changed content":
        assert "SHA-256" in str(caught.value)


def test_files_of_the_same_shape_that_were_exchanged_are_noticed(small):
    a, b = small / "train-images-idx3-ubyte.gz", small / "t10k-images-idx3-ubyte.gz"
    a.write_bytes(b.read_bytes())
    with pytest.raises(DataError, match=r"uint8 data of shape \(6, 28, 28\) in .*, got uint8 of shape \(3, 28, 28\)"):
        data.mnist(small)


def test_absent_files_without_download(tmp_path):
    with pytest.raises(DataError, match=r"\[mnist\] expected the file .*train-images-idx3-ubyte.gz.*download=True"):
        data.mnist(tmp_path, download=False)


# ---------------------------------------------------------------- downloads


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; below /broken/ it closes the connection half-way, below /slow/ it never answers."""

    def do_GET(self):
        if self.path.startswith("/slow/"):
            time.sleep(3)
            return
        if not self.path.startswith("/broken/"):
            super().do_GET()
            return
        content = Path(self.directory, self.path.rsplit("/", 1)[1]).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(small, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    handler = functools.partial(Handler, directory=str(small))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http_server.server_port}"
        http_server.shutdown()
        thread.join()


def test_mnist_downloads_what_is_absent_from_the_first_good_mirror(tmp_path, small, server, monkeypatch, capsys):
    (small / "other").mkdir()
    for name in FILES:  # a mirror with other content under the same names
        (small / "other" / name).write_bytes(gzip.compress(b"other"))
    mirrors = ("http://127.0.0.1:9/", f"{server}/absent/", f"{server}/broken/", f"{server}/other/", f"{server}/")
    monkeypatch.setattr(datasets, "MIRRORS", mirrors)
    target = tmp_path / "new" / "folder"
    train, _ = data.mnist(target)
    np.testing.assert_array_equal(train.data, data.read_idx(small / "train-images-idx3-ubyte.gz"))
    assert sorted(path.name for path in target.iterdir()) == sorted(FILES)  # no temporary files
    out = capsys.readouterr().out
    assert "Downloading train-images-idx3-ubyte.gz: 100%" in out
    assert "\r" not in out
    (target / "t10k-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setattr(datasets, "MIRRORS", (f"{server}/",))
    data.mnist(target)
    assert capsys.readouterr().out.count("Done !") == 1


def test_when_all_mirrors_fail_the_error_lists_them(tmp_path, small, server, monkeypatch):
    (small / "cut").mkdir()
    name = next(iter(FILES))
    (small / "cut" / name).write_bytes((small / name).read_bytes()[:-20])
    mirrors = ("http://127.0.0.1:9/", f"{server}/absent/", f"{server}/broken/", f"{server}/cut/", "nonsense://x/")
    monkeypatch.setattr(datasets, "MIRRORS", mirrors)
    with pytest.raises(DataError) as caught:
        data.mnist(tmp_path / "new")
    message = str(caught.value)
    for mirror in mirrors:
        assert mirror + name in message
    assert "refused" in message
    assert "HTTP Error 404" in message
    assert "bytes came" in message
    assert "truncated or corrupted" in message
    assert f"place it at {tmp_path / 'new' / name}" in message
    assert message.count("\n  at ") == 1
    assert list((tmp_path / "new").iterdir()) == []


def test_a_mirror_that_sends_too_much_or_hangs_is_given_up(tmp_path, small, server):
    name = next(iter(FILES))
    with pytest.raises(DataError, match="more than 100 bytes came"):
        download.download([f"{server}/{name}"], tmp_path / "x", limit=100)
    start = time.monotonic()
    with pytest.raises(DataError, match="timed out"):
        download.download([f"{server}/slow/{name}"], tmp_path / "x", timeout=0.2)
    assert time.monotonic() - start < 2
    assert not (tmp_path / "x").exists()


# ---------------------------------------------------------------- Dataset


@pytest.fixture
def points():
    return data.Dataset("Points", data=np.arange(20, dtype=np.float32).reshape(10, 2), labels=np.arange(10) % 3)


def test_examples_slices_and_gathers(points):
    assert len(points) == 10
    x, y = points[3]
    assert (x.tolist(), y) == ([6, 7], 0)
    assert points[-1][0].tolist() == points[np.int64(9)][0].tolist() == [18, 19]
    for part, expected in (
        (points[2:8:3], [2, 5]),
        (points[[4, 4, -1]], [4, 4, 9]),
        (points[np.array([1, 0], np.uint8)], [1, 0]),
        (points[points.labels == 2], [2, 5, 8]),
        (points[[]], []),
    ):
        assert isinstance(part, data.Dataset)
        assert part.name == "Points"
        np.testing.assert_array_equal(part.data, points.data[expected])
        np.testing.assert_array_equal(part.labels, points.labels[expected])
    assert np.shares_memory(points[2:5].data, points.data)
    assert [int(y) for _, y in points] == points.labels.tolist()
    x, y = points.arrays
    assert x is points.data
    assert y is points.labels


def test_any_number_of_fields_with_any_names():
    ds = data.Dataset(image=np.zeros((2, 3)), mask=[[1], [2]], weight=(0.5, 1.5))
    assert repr(ds) == (
        "Dataset(\n   (image): Array(shape=(2, 3), dtype=float64)\n   (mask): Array(shape=(2, 1), dtype=int64)\n"
        "   (weight): Array(shape=(2,), dtype=float64)\n)"
    )
    assert ds.fields == ("image", "mask", "weight")
    assert len(ds[0]) == 3
    assert "mask" in dir(ds)
    assert len(data.Dataset(x=np.zeros(4))[1]) == 1


def test_a_dataset_is_immutable(points):
    source = np.zeros(3)
    ds = data.Dataset(x=source)
    for attempt in (
        lambda: setattr(ds, "x", 1),
        lambda: setattr(ds, "new", 1),
        lambda: delattr(ds, "x"),
    ):
        with pytest.raises(AttributeError, match="immutable"):
            attempt()
    for array in (ds.x, points[2:4].data, points[[1, 2]].labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    source[0] = 1  # the array that was passed in stays as it was
    with pytest.raises(AttributeError, match="no field or attribute 'nothing'"):
        _ = ds.nothing


def test_a_dataset_is_a_pytree(points):
    leaves, structure = tree.flatten(points)
    assert leaves[0] is points.data
    assert [tree.keystr(path) for path, _ in tree.leaves_with_path(points)] == [".data", ".labels"]
    doubled = tree.map(lambda x: 2 * x, points)
    assert isinstance(doubled, data.Dataset)
    assert doubled.name == "Points"
    np.testing.assert_array_equal(doubled.data, 2 * points.data)
    assert tree.structure(points[:3]) == structure
    assert tree.structure(data.Dataset("Other", data=points.data, labels=points.labels)) != structure
    assert "(data): None" in repr(tree.map(lambda x: None, points))


def test_a_dataset_can_be_copied_and_pickled(points):
    for other in (copy.copy(points), copy.deepcopy(points), pickle.loads(pickle.dumps(points))):
        assert repr(other) == repr(points)
        np.testing.assert_array_equal(other.data, points.data)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: data.Dataset(), DataError, "at least one array, got none"),
        (lambda: data.Dataset(np.zeros(3)), DataError, "a name, then arrays by keyword, got ndarray"),
        (lambda: data.Dataset(a=np.zeros(3), b=np.zeros(4)), DataError, "equal length, got a: 3, b: 4"),
        (lambda: data.Dataset(a=1.0), DataError, "a first axis for 'a', got a scalar"),
        (lambda: data.Dataset(arrays=[1]), DataError, "another name for the field 'arrays'"),
        (lambda: data.Dataset(_x=[1]), DataError, "another name for the field '_x'"),
        (lambda: data.Dataset(x=[1, 2])[2], IndexError, "an index below 2, got 2"),
        (lambda: data.Dataset(x=[1, 2])[-3], IndexError, "an index below 2, got -3"),
        (lambda: data.Dataset(x=[1, 2])[[0, 2]], IndexingError, "indices below 2, got 0 to 2"),
        (lambda: data.Dataset(x=[1, 2])[[True]], IndexingError, "a mask of length 2, got 1"),
        (lambda: data.Dataset(x=[1, 2])[0, 1], IndexingError, "got tuple"),
        (lambda: data.Dataset(x=[1, 2])[[0.5]], IndexingError, r"got Array\(shape=\(1,\), dtype=float64\)"),
        (lambda: data.Dataset(x=[1, 2])["x"], IndexingError, "got str"),
    ],
)
def test_wrong_datasets_are_explained(make, error, message):
    with pytest.raises(error, match=rf"\[Dataset\] expected .*{message}"):
        make()


# ---------------------------------------------------------------- helpers


@pytest.mark.parametrize(
    ("shape", "axis"), [((7, 5), -1), ((7, 5), 0), ((700, 3, 4, 5), (1, 2, 3)), ((6, 2), None), ((9,), 0)]
)
def test_normalize_is_the_textbooks(shape, axis):
    x = np.random.default_rng(0).normal(3, 2, shape)
    expected = (x - x.mean(axis, keepdims=True)) / x.std(axis, keepdims=True)
    np.testing.assert_allclose(data.normalize(x, axis), expected, rtol=1e-12)
    assert data.normalize(x.astype(np.float32), axis).dtype == np.float32
    assert data.normalize(x, axis, "float32").dtype == np.float32


def test_normalize_of_integers_and_constants():
    x = np.array([[3, 3, 3], [0, 1, 2]], np.uint8)
    assert data.normalize(x).dtype == np.float32
    with config.default_dtype("float64"):
        assert data.normalize(x).dtype == np.float64
    np.testing.assert_array_equal(data.normalize(x)[0], 0)
    assert x.dtype == np.uint8  # and untouched
    assert data.normalize(np.zeros((0, 3))).shape == (0, 3)


def test_compose_runs_left_to_right():
    assert data.compose(lambda x: x + "a", lambda x: x + "b")("") == "ab"
    assert data.compose()(3) == 3


# ---------------------------------------------------------------- iteration


def seen(batches):
    return [y.tolist() for _, y in batches]


@pytest.mark.parametrize("size", [0, 1, 9, 10, 64])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 100])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_len_is_what_is_yielded_and_each_example_comes_once(size, batch_size, drop_last, shuffle, prefetch):
    x = np.arange(size)
    batches = data.iterator((x * 10, x), batch_size, shuffle, drop_last=drop_last, prefetch=prefetch)
    got = list(batches)
    assert len(got) == len(batches)
    assert all(len(y) == batch_size for _, y in got[: -1 if not drop_last else None])
    flat = np.concatenate([y for _, y in got]) if got else np.arange(0)
    assert len(set(flat.tolist())) == len(flat) == (size // batch_size * batch_size if drop_last else size)
    assert all(np.array_equal(a, 10 * b) for a, b in got)
    if not shuffle:
        np.testing.assert_array_equal(flat, x[: len(flat)])


def test_unshuffled_batches_are_views_and_shuffled_ones_contiguous_copies(points):
    for x, _ in data.iterator(points, 4):
        assert np.shares_memory(x, points.data)
    for x, _ in data.iterator(points, 4, shuffle=True):
        assert not np.shares_memory(x, points.data)
        assert x.flags.c_contiguous
        assert x.flags.writeable
        assert x.dtype == np.float32


def test_each_epoch_has_its_own_order_which_the_seed_alone_decides(points):
    batches = data.iterator(points, 3, shuffle=True, seed=7)
    epochs = [seen(batches) for _ in range(4)]
    assert len({json.dumps(epoch) for epoch in epochs}) == 4
    again = data.iterator(points, 3, shuffle=True, seed=7)
    assert [seen(again) for _ in range(4)] == epochs
    assert seen(data.iterator(points, 3, shuffle=True, seed=8)) != epochs[0]
    assert seen(data.iterator(points, 3, shuffle=True)) == seen(data.iterator(points, 3, shuffle=True, seed=0))


def test_the_order_is_numpys_philox_stream():
    """Computed from NumPy's bit generator alone; the numbers are fixed, for files of older versions to resume."""
    order = data.iterator((np.arange(8),), shuffle=True, seed=5).order(3)
    words = np.random.Philox(np.random.SeedSequence(5, spawn_key=(3,))).random_raw(8)
    assert order.tolist() == sorted(range(8), key=lambda i: int(words[i]))
    assert order.tolist() == [1, 6, 4, 7, 3, 2, 0, 5]


def test_orders_are_uniform():
    batches = data.iterator((np.arange(4),), shuffle=True)
    counts = np.zeros((4, 4))
    for epoch in range(4000):
        counts[np.arange(4), batches.order(epoch)] += 1
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(4000 * 0.25 * 0.75)


def test_keys_are_seeds():
    ds = (np.arange(50),)
    plain = data.iterator(ds, shuffle=True, seed=9).order(0).tolist()
    assert data.iterator(ds, shuffle=True, key=9).order(0).tolist() == plain
    assert data.iterator(ds, shuffle=True, key=np.array([0, 9], np.uint32)).order(0).tolist() == plain
    assert data.iterator(ds, shuffle=True, key=np.array([1, 9], np.uint32)).order(0).tolist() != plain
    big = data.iterator(ds, shuffle=True, key=np.array([2**32 - 1] * 2, np.uint32))
    assert big.seed == 2**64 - 1
    assert data.iterator(ds, shuffle=True, seed=2**64 - 1).order(0).tolist() == big.order(0).tolist()


def test_two_loops_side_by_side_are_two_epochs(points):
    batches = data.iterator(points, 3, shuffle=True)
    one, two = [], []
    for (_, a), (_, b) in zip(batches, batches, strict=True):
        one.append(a.tolist())
        two.append(b.tolist())
    fresh = data.iterator(points, 3, shuffle=True)
    assert [seen(fresh), seen(fresh)] == [one, two]


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 30),
    batch_size=st.integers(1, 12),
    stop=st.integers(0, 60),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    prefetch=st.sampled_from([0, 0, 3]),
)
def test_a_restored_iterator_goes_on_exactly(size, batch_size, stop, shuffle, drop_last, prefetch):
    def make():
        x = np.arange(size)
        return data.iterator((x,), batch_size, shuffle, seed=3, drop_last=drop_last, prefetch=prefetch)

    def stream(batches, epochs):
        for _ in range(epochs):
            yield from batches

    if len(make()) == 0:
        return
    total = [x.tolist() for (x,) in stream(make(), 8)]
    stop %= len(total) - 2 * len(make())
    first, state = make(), None
    for i, _ in enumerate(stream(first, 8)):
        if i == stop:
            state = json.loads(json.dumps(first.state()))
            break
    second = make().restore(state)
    assert second.state() == state
    assert (second.epoch, second.position) == divmod(stop + 1, len(second))
    rest = [x.tolist() for (x,) in stream(second, 2)]
    assert rest == total[stop + 1 : stop + 1 + len(rest)]
    assert len(rest) == 2 * len(second) - state["position"]


def test_after_a_break_the_next_loop_is_the_next_epoch(points):
    batches = data.iterator(points, 3, shuffle=True)
    for _ in batches:
        break
    assert (batches.epoch, batches.position) == (0, 1)
    second = seen(batches)
    assert second == seen(
        data.iterator(points, 3, shuffle=True).restore({**batches.state(), "epoch": 1, "position": 0})
    )
    assert (batches.epoch, batches.position) == (2, 0)


def test_at_the_last_batch_the_state_is_the_next_epoch(points):
    batches = data.iterator(points, 5)
    states = [(batches.epoch, batches.position) for _ in batches]
    assert states == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, "seed = 3 as in this iterator, got 4. Make the iterator with seed = 4"),
        ({"size": 11}, "size = 10 as in this iterator, got 11"),
        ({"batch_size": 5}, "batch_size = 3 as"),
        ({"shuffle": False}, "shuffle = True as"),
        ({"drop_last": True}, "drop_last = False as"),
        ({"position": 4}, "a position from 0 to 3, got epoch 0, position 4"),
        ({"position": -1}, "a position from 0 to 3"),
        ({"epoch": -1}, "an epoch from 0"),
        ({"epoch": "1"}, "an epoch from 0"),
        ({"more": 1}, r"what state\(\) gave"),
    ],
)
def test_a_wrong_state_is_refused(points, change, message):
    batches = data.iterator(points, 3, shuffle=True, seed=3)
    with pytest.raises(DataError, match=rf"\[restore\] expected .*{message}"):
        batches.restore({**batches.state(), **change})
    for nothing in ({}, None, [], {"epoch": 1}):
        with pytest.raises(DataError, match=r"what state\(\) gave"):
            batches.restore(nothing)
    assert batches.state()["epoch"] == 0


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"batch_size": 0}, ArgumentError, "batch_size to be an integer from 1, got 0"),
        ({"batch_size": 2.5}, ArgumentError, "batch_size to be an integer from 1, got 2.5"),
        ({"prefetch": -1}, ArgumentError, "prefetch to be an integer from 0, got -1"),
        ({"key": 1, "seed": 1}, ArgumentError, "key or seed, got both"),
        ({"seed": -1}, ArgumentError, "a seed that is an integer from 0"),
        ({"seed": 0.5}, ArgumentError, "a seed that is an integer from 0"),
        ({"key": np.zeros(0, np.uint32)}, ArgumentError, "a key of uint32 words"),
        ({"key": np.zeros((2, 2), np.uint32)}, ArgumentError, "a key of uint32 words"),
        ({"key": np.array([2**40, 1])}, ArgumentError, "a key of uint32 words"),
        ({"dataset": np.zeros(3)}, DataError, "a Dataset or a tuple of arrays, got ndarray"),
    ],
)
def test_wrong_arguments_are_explained(points, kwargs, error, message):
    with pytest.raises(error, match=rf"\[iterator\] expected .*{message}"):
        data.iterator(**{"dataset": points, **kwargs})


# ---------------------------------------------------------------- prefetching


def prefetching_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fnets-prefetch")]


def test_prefetched_batches_are_the_same_ones(points):
    for shuffle in (False, True):
        plain = data.iterator(points, 3, shuffle, seed=1)
        ahead = data.iterator(points, 3, shuffle, seed=1, prefetch=3)
        for _ in range(3):
            assert seen(plain) == seen(ahead)
    assert prefetching_threads() == []


def test_the_state_counts_what_was_delivered_not_what_was_prepared(points):
    batches = data.iterator(points, 2, prefetch=3)
    it = iter(batches)
    next(it)
    assert batches.position == 1
    it.close()


def test_a_thread_ends_with_an_abandoned_iteration(points):
    batches = data.iterator(points, 2, prefetch=2)
    for _ in batches:
        assert len(prefetching_threads()) == 1
        break
    gc.collect()
    assert prefetching_threads() == []
    with pytest.raises(KeyError):
        for _ in batches:
            raise KeyError
    gc.collect()
    assert prefetching_threads() == []


def test_exceptions_of_the_thread_come_out_of_the_loop(points, monkeypatch):
    batches = data.iterator(points, 2, prefetch=2)
    good = batches._batch

    def failing(piece):
        if piece.start == 4:
            raise OSError("the disk is gone")
        return good(piece)

    monkeypatch.setattr(batches, "_batch", failing)
    got = []
    with pytest.raises(OSError, match="the disk is gone"):
        for _, y in batches:
            got.append(y.tolist())
    assert got == [[0, 1], [2, 0]]
    gc.collect()
    assert prefetching_threads() == []


def test_the_thread_works_ahead(points, monkeypatch):
    batches = data.iterator(points, 1, prefetch=4)
    made = []
    good = batches._batch
    monkeypatch.setattr(batches, "_batch", lambda piece: made.append(piece) or good(piece))
    it = iter(batches)
    next(it)
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(made) == 5  # the one delivered and four ahead, no more
    it.close()


# ---------------------------------------------------------------- cost


def test_importing_is_cheap():
    code = """
import sys
import fnets.data, fnets.io, fnets.plots, fnets.progress
late = {"matplotlib", "tqdm", "safetensors", "ml_dtypes", "torch", "jax", "concurrent.futures.thread"}
assert not late & set(sys.modules), late & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_shuffling_mnist_costs_little():
    train = data.Dataset(data=np.zeros((60000, 1, 28, 28), np.float32), labels=real()[0].labels)
    batches = data.iterator(train, 64, shuffle=True)
    costs = []
    for _ in range(3):
        start = time.perf_counter()
        for _ in batches:
            pass
        costs.append(time.perf_counter() - start)
    print(f"shuffled MNIST epoch, batch 64: {min(costs) * 1e3:.0f} ms for {len(batches)} batches")
    assert min(costs) < 1.0
