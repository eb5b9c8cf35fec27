"""Saving and loading: the safetensors layout to the byte, trees through a round trip, every kind of damage,
checkpoints."""

import collections
import dataclasses
import json
import math
import os
import struct
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fnets import io, tree
from fnets.errors import ArgumentError, CheckpointError, MissingExtraError


class Layer(NamedTuple):
    w: object
    b: object


class Empty(NamedTuple):
    pass


@tree.register_dataclass
@dataclasses.dataclass
class Dense:
    w: object
    activation: str = tree.static(default="relu")


@tree.register_node_class
class Pair:
    def __init__(self, a, b):
        self.a, self.b = a, b

    def tree_flatten(self):
        return (self.a, self.b), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.safetensors"


def parse(path):
    """Header and data of a safetensors file, read as the format's description says, with nothing of ours."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def build(path, header, data, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def assert_same(a, b):
    """Equal trees: same types, same values bit for bit, NaN included."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert a.tobytes() == b.tobytes()
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, (float, complex)):
        assert repr(a) == repr(b)
    else:
        assert a == b


DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32")
DTYPES += ("float64", "complex64", "complex128")


# ---------------------------------------------------------------- the layout


def test_our_files_are_safetensors(path):
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    io.save(path, {"layer": {"w": w, "n": np.int8(3)}, "list": [np.array([1.5, 2.5])], "step": 7})
    header, data = parse(path)
    metadata = header.pop("__metadata__")
    assert all(isinstance(value, str) for value in metadata.values())
    assert set(header) == {"layer.w", "layer.n", "list.0"}
    assert header["layer.w"]["dtype"] == "F32"
    assert header["layer.w"]["shape"] == [2, 3]
    begin, end = header["layer.w"]["data_offsets"]
    assert data[begin:end] == w.astype("<f4").tobytes()
    spans = sorted(entry["data_offsets"] for entry in header.values())
    assert [b for b, _ in spans] == [0] + [e for _, e in spans[:-1]]  # neither holes nor overlaps
    assert spans[-1][1] == len(data)
    assert (path.stat().st_size - len(data)) % 8 == 0


def test_a_foreign_file_loads_as_a_dict(path):
    a, b = np.arange(4, dtype=np.float32), np.array([[1, -2]], np.int64)
    header = {
        "__metadata__": {"format": "pt"},
        "model.b": {"dtype": "I64", "shape": [1, 2], "data_offsets": [16, 32]},
        "model.a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        "none": {"dtype": "F16", "shape": [0, 3], "data_offsets": [32, 32]},
    }
    build(path, header, a.tobytes() + b.tobytes())
    assert_same(io.load(path), {"model.a": a, "model.b": b, "none": np.zeros((0, 3), np.float16)})
    like = {"model": Layer(w=None, b=b), "none": np.zeros((0, 3), np.float16)}
    with pytest.raises(CheckpointError, match=r"model\.a is unexpected"):
        io.load(path, like)
    like["model"] = {"a": a, "b": b}
    assert_same(io.load(path, like), {"model": {"a": a, "b": b}, "none": np.zeros((0, 3), np.float16)})


def test_a_foreign_file_need_not_be_aligned_or_have_metadata(path):
    header = {
        "flag": {"dtype": "BOOL", "shape": [], "data_offsets": [0, 1]},
        "x": {"dtype": "F64", "shape": [2], "data_offsets": [1, 17]},
    }
    build(path, json.dumps(header).encode() + b"   ", b"\1" + np.array([0.5, 2.0]).tobytes())
    loaded = io.load(path)
    assert loaded["flag"][()]
    np.testing.assert_array_equal(loaded["x"], [0.5, 2.0])
    assert loaded["x"].flags.aligned
    assert loaded["x"].flags.writeable
    assert loaded["x"].flags.owndata
    assert io.load(path, {"flag": False, "x": np.zeros(2)})["flag"] is True


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3)])
def test_every_dtype_and_shape(path, dtype, shape):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)
    io.save(path, x)
    assert_same(io.load(path), x)
    assert_same(io.load(path, x), x)


def test_bfloat16(path, monkeypatch):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    io.save(path, {"x": x})
    assert parse(path)[0]["x"]["dtype"] == "BF16"
    loaded = io.load(path, {"x": x})["x"]
    assert loaded.dtype == x.dtype
    assert loaded.tobytes() == x.tobytes()
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    monkeypatch.setitem(io._DTYPES, "BF16", "a name that NumPy does not know")
    with pytest.raises(MissingExtraError, match="pip install ml_dtypes"):
        io.load(path)


def test_byte_order_and_strides_are_normalised(path):
    x = np.arange(12, dtype=">i4").reshape(3, 4)
    io.save(path, {"swapped": x, "strided": x.T[::2], "fortran": np.asfortranarray(x, "i4")})
    for name, value in io.load(path).items():
        assert value.dtype.isnative
        np.testing.assert_array_equal(value, {"swapped": x, "strided": x.T[::2], "fortran": x}[name])


# ---------------------------------------------------------------- trees

arrays = st.builds(
    lambda dtype, shape, seed: np.random.default_rng(seed).integers(0, 2, shape).astype(dtype),
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 3), max_size=3),
    st.integers(0, 9),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(max_size=8))
trees = st.recursive(
    st.one_of(arrays, scalars),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=5), inner, max_size=4),
        st.dictionaries(st.integers(-9, 9), inner, max_size=4),
        st.dictionaries(st.tuples(st.integers(0, 3), st.text(max_size=2)), inner, max_size=3),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees)
def test_any_tree_makes_the_round_trip(path, value):
    io.save(path, value)
    assert_same(io.load(path), value)
    assert_same(tree.leaves(io.load(path, value)), tree.leaves(value))
    assert tree.structure(io.load(path, value)) == tree.structure(value)


def test_namedtuples_and_registered_nodes(path):
    w = np.ones(2, np.float32)
    value = {"layer": Layer(w, None), "dense": Dense(w, "tanh"), "pair": Pair(w, 3), "state": (Empty(), [])}
    value["ordered"] = collections.OrderedDict(z=1, a=2)
    io.save(path, value)
    plain = io.load(path)
    assert_same(plain["layer"], {"w": w, "b": None})
    assert_same(plain["dense"], {"w": w})
    assert_same(plain["pair"], (w, 3))
    assert_same(plain["ordered"], {"z": 1, "a": 2})
    zeros = tree.map(lambda x: x * 0, value)
    same = io.load(path, zeros)
    assert tree.structure(same) == tree.structure(value)
    assert same["dense"].activation == "tanh"
    assert_same(tree.leaves(same), tree.leaves(value))


def test_names_stay_distinct_where_dotted_ones_would_not(path):
    value = {"a": {"b": np.array(1)}, "a.b": np.array(2), "__metadata__": np.array(3), "c": {"0": 4}, "d": 5}
    io.save(path, value)
    assert_same(io.load(path), value)
    assert_same(io.load(path, value), {k: value[k] for k in sorted(value)})


def test_numpy_scalars_and_numbers_without_end(path):
    value = {"f": np.float32(1.5), "i": np.int64(2), "inf": math.inf, "big": 10**40, "z": complex(math.nan, -0.0)}
    io.save(path, value)
    loaded = io.load(path)
    assert_same(loaded["f"], np.array(1.5, np.float32))
    assert (loaded["inf"], loaded["big"]) == (math.inf, 10**40)
    assert repr(loaded["z"]) == repr(value["z"])
    again = io.load(path, value)
    assert type(again["f"]) is np.float32
    assert type(again["i"]) is np.int64


def test_structures_alone_are_enough_for_like(path):
    class Shape:
        def __init__(self, shape, dtype):
            self.shape, self.dtype = shape, dtype

    io.save(path, [np.arange(3.0)])
    np.testing.assert_array_equal(io.load(path, [Shape((3,), np.dtype("float64"))])[0], [0, 1, 2])


def test_arrays_of_other_libraries_are_saved(path):
    class Foreign:
        def __array__(self, dtype=None, copy=None):
            return np.arange(3)

    io.save(path, {"x": Foreign()})
    np.testing.assert_array_equal(io.load(path)["x"], [0, 1, 2])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, object()]}, r"at \['a'\]\[1\], got a object"),
        ({"a": np.array(["text"])}, r"at \['a'\], got dtype <U4"),
        ({"a": np.array([None])}, r"at \['a'\], got dtype object"),
        (np.zeros(2, "M8[s]"), "at the root of the tree, got dtype datetime64"),
        ({"f": len}, "got a builtin_function_or_method"),
        ({"b": b"bytes"}, "got a bytes"),
        ({"x": {frozenset(): 1}}, r"dict keys that are strings.*at \['x'\], got frozenset"),
    ],
)
def test_what_cannot_be_saved_is_named(path, value, message):
    with pytest.raises(CheckpointError, match=rf"\[save\] expected .*{message}"):
        io.save(path, value)
    assert not path.exists()


# ---------------------------------------------------------------- like


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ({"w": np.zeros((2, 3), np.float32)}, r"step is unexpected"),
        ({"w": np.zeros((2, 3), np.float32), "step": 1, "b": np.zeros(3)}, r"\['b'\] is missing"),
        (
            {"w": np.zeros((3, 2), np.float32), "step": 1},
            r"\['w'\] should be float32 of shape \(3, 2\), is float32 of shape \(2",
        ),
        ({"w": np.zeros((2, 3), np.float64), "step": 1}, r"\['w'\] should be float64 of shape \(2, 3\), is float32"),
        ({"w": 1.0, "step": 1}, r"\['w'\] should be of type float, is float32 of shape \(2, 3\)"),
        ({"w": np.zeros((2, 3), np.float32), "step": 1.0}, r"\['step'\] should be of type float, is the int 7"),
        (
            {"w": np.zeros((2, 3), np.float32), "step": np.array(1)},
            r"\['step'\] should be int64 of shape \(\), is the int 7",
        ),
        (
            [1, 2],
            r"got 4 differences:\n  \[0\] is missing\n  \[1\] is missing\n  step is unexpected\n  w is unexpected",
        ),
    ],
)
def test_differences_from_like_are_named_by_path(path, like, message):
    io.save(path, {"w": np.ones((2, 3), np.float32), "step": 7})
    with pytest.raises(CheckpointError, match=message) as caught:
        io.load(path, like)
    assert str(path) in str(caught.value)
    assert "test_io.py" in str(caught.value)


def test_many_differences_are_counted(path):
    io.save(path, {f"k{i:02}": i for i in range(30)})
    with pytest.raises(CheckpointError, match=r"got 30 differences:[\s\S]*and 20 more"):
        io.load(path, {})


# ---------------------------------------------------------------- damage


def good(path):
    io.save(path, {"w": np.arange(100, dtype=np.float32), "flag": np.array([True, False]), "n": 3})
    return path.read_bytes()


def test_every_truncation_is_noticed(path):
    raw = good(path)
    for length in [*range(40), *range(40, len(raw), 37), len(raw) - 1]:
        path.write_bytes(raw[:length])
        with pytest.raises(CheckpointError, match=r"The file is damaged"):
            io.load(path)


def test_bytes_left_over_are_noticed(path):
    path.write_bytes(good(path) + b"\0")
    with pytest.raises(CheckpointError, match="expected 402 bytes of data in .*, got 403"):
        io.load(path)


def test_every_flipped_bit_is_noticed(path):
    raw = good(path)
    length = struct.unpack("<Q", raw[:8])[0]
    padding = set(range(8 + len(raw[8 : 8 + length].rstrip()), 8 + length))
    value = {"w": np.arange(100, dtype=np.float32), "flag": np.array([True, False]), "n": 3}
    for at in range(len(raw)):
        damaged = bytearray(raw)
        damaged[at] ^= 1 << (at % 7)
        path.write_bytes(damaged)
        try:
            loaded = io.load(path)
        except (CheckpointError, MissingExtraError):
            continue
        # Blanks behind the header mean nothing; nor does a checksum whose own name was hit.
        assert at in padding or b"fnets.sha256" not in damaged
        assert_same(loaded, value)


def entry(**changes):
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


HOSTILE = {
    "not json": b"{nonsense",
    "not an object": [1, 2],
    "an array for metadata": {"__metadata__": ["x"]},
    "numbers in metadata": {"__metadata__": {"x": 1}},
    "a name twice": b'{"a":%b,"a":%b}' % ((b'{"dtype":"F32","shape":[2],"data_offsets":[0,8]}',) * 2),
    "no utf-8": b'{"\xff": 1}',
    "nested without end": b"[" * 100_000,
    "an entry that is no object": {"a": 3},
    "a missing field": {"a": {"dtype": "F32", "shape": [2]}},
    "an unknown field": {"a": entry(extra=1)},
    "an unknown dtype": {"a": entry(dtype="F32x")},
    "a dtype that is no text": {"a": entry(dtype=["F32"])},
    "pickled objects": {"a": entry(dtype="O")},
    "a negative dimension": {"a": entry(shape=[-2])},
    "a float dimension": {"a": entry(shape=[2.0])},
    "a boolean dimension": {"a": entry(shape=[True, 2])},
    "a shape that is no list": {"a": entry(shape="2")},
    "too large for its bytes": {"a": entry(shape=[3])},
    "too small for its bytes": {"a": entry(shape=[1])},
    "enormous": {"a": entry(shape=[1 << 62, 1 << 62])},
    "enormous and empty": {"a": entry(shape=[1 << 63, 0], data_offsets=[0, 0]), "b": entry()},
    "too many dimensions": {"a": entry(shape=[2] + [1] * 99)},
    "offsets out of the file": {"a": entry(shape=[4], data_offsets=[0, 16])},
    "offsets reversed": {"a": entry(data_offsets=[8, 0])},
    "negative offsets": {"a": entry(data_offsets=[-8, 0])},
    "three offsets": {"a": entry(data_offsets=[0, 8, 8])},
    "an overlap": {"a": entry(), "b": entry(shape=[1], data_offsets=[4, 8])},
    "a hole": {"a": entry(shape=[1], data_offsets=[4, 8])},
    "bytes of no array": {"a": entry(shape=[1], data_offsets=[0, 4])},
    "booleans that are none": {"a": entry(dtype="BOOL", shape=[8])},
    "an unknown leaf": {"__metadata__": {"fnets.tree": '{"list": ["b"]}'}, "a": entry()},
    "a leaf twice": {"__metadata__": {"fnets.tree": '{"list": ["a", "a"]}'}, "a": entry()},
    "a leaf without place": {"__metadata__": {"fnets.tree": '{"list": []}'}, "a": entry()},
    "an unknown node": {"__metadata__": {"fnets.tree": '{"class": ["a"]}'}, "a": entry()},
    "a node that is none": {"__metadata__": {"fnets.tree": '{"list": 3}'}, "a": entry()},
    "a tree nested without end": {"__metadata__": {"fnets.tree": '{"list":[' * 5000}, "a": entry()},
    "a number for a tree": {"__metadata__": {"fnets.tree": "3"}, "a": entry()},
    "a list for numbers": {"__metadata__": {"fnets.tree": '"a"', "fnets.scalars": "[1]"}, "a": entry()},
    "a wrong checksum": {"__metadata__": {"fnets.sha256": "00"}, "a": entry()},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused(path, kind):
    build(path, HOSTILE[kind], b"\2" * 8)
    with pytest.raises(CheckpointError, match=r"\[load\] expected") as caught:
        io.load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("length", [0, 1, 10**6, 10**8 + 1, 2**63, 2**64 - 1])
def test_a_wrong_header_length_is_refused_before_anything_is_allocated(path, length):
    build(path, {"a": entry()}, b"\2" * 8, length)
    with pytest.raises(CheckpointError, match=rf"a length of {length} for it in a file of \d+ bytes"):
        io.load(path)


def test_a_missing_file_is_an_ordinary_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        io.load(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        io.save(tmp_path / "no folder" / "x", {})


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_an_interrupted_write_leaves_the_old_file(path, monkeypatch, call):
    io.save(path, {"x": 1})
    before = path.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="disk full"):
            io.save(path, {"x": 2})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    assert io.load(path) == {"x": 1}
    io.save(path, {"x": 2})
    assert io.load(path) == {"x": 2}


def test_a_symbolic_link_stays_one(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    io.save(target, {"x": 1})
    link.symlink_to(target)
    io.save(link, {"x": 2})
    assert link.is_symlink()
    assert io.load(target) == {"x": 2}


def test_files_have_the_usual_permissions(path):
    mask = os.umask(0o027)
    try:
        io.save(path, {})
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o640


# ---------------------------------------------------------------- checkpoints


def test_checkpoints_are_kept_found_and_loaded(tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    assert io.latest_checkpoint(folder) is None
    for step in (1, 2, 10, 9, 11):
        io.save_checkpoint(folder, {"w": np.full(3, step, np.float32)}, step)
    (folder / "notes.txt").write_text("mine")
    assert sorted(os.listdir(folder)) == [
        "notes.txt",
        *(f"step_{step:08d}.safetensors" for step in (9, 10, 11)),
    ]
    assert io.latest_checkpoint(folder).name == "step_00000011.safetensors"
    loaded, step = io.load_checkpoint(folder, like={"w": np.zeros(3, np.float32)})
    assert step == 11
    np.testing.assert_array_equal(loaded["w"], 11)


def test_a_checkpoint_of_an_earlier_step_is_not_removed_at_once(tmp_path):
    for step in (100, 101, 102):
        io.save_checkpoint(tmp_path, {}, step)
    written = io.save_checkpoint(tmp_path, {}, 5)
    assert written.exists()


def test_all_checkpoints_may_be_kept(tmp_path):
    for step in range(12):
        io.save_checkpoint(tmp_path, {}, step, keep=None)
    assert len(os.listdir(tmp_path)) == 12


def test_a_failed_checkpoint_removes_nothing(tmp_path, monkeypatch):
    io.save_checkpoint(tmp_path, {}, 1, keep=1)
    with pytest.raises(CheckpointError):
        io.save_checkpoint(tmp_path, {"x": object()}, 2, keep=1)
    assert os.listdir(tmp_path) == ["step_00000001.safetensors"]


def test_no_checkpoint_and_wrong_arguments(tmp_path):
    with pytest.raises(CheckpointError, match=r"\[load_checkpoint\] expected a file step_"):
        io.load_checkpoint(tmp_path)
    with pytest.raises(ArgumentError, match="expected a step from 0"):
        io.save_checkpoint(tmp_path, {}, -1)
    with pytest.raises(ArgumentError, match="keep from 1"):
        io.save_checkpoint(tmp_path, {}, 1, keep=0)
