"""Products, einsum and diagonals against NumPy; what their derivatives look like; error messages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnets.backends.numpy_codegen import compile_numpy
from fnets.core.trace import typeof
from fnets.errors import ArgumentError, AxisError, ShapeError
from fnets.primitives import diagonals as dg
from fnets.primitives import linear_algebra as la
from fnets.primitives.base import reduce_sum
from fnets.primitives.einsum import einsum, parse
from fnets.primitives.elementwise import mul
from fnets.transforms.jit import jit
from fnets.transforms.staging import make_jaxpr
from fnets.transforms.vjp import grad, vjp
from fnets.transforms.vmap import vmap

rng = np.random.default_rng(0)
DTYPES = ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128"]


def array(shape, dtype="float64") -> np.ndarray:
    if dtype == "bool":
        return rng.random(shape) > 0.5
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 5, shape).astype(dtype)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape)).astype(dtype) if np.dtype(dtype).kind == "c" else x.astype(dtype)


def same(got, expected, tol: float | None = None) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if tol is None:
        tol = {"float16": 2e-2, "float32": 2e-5, "complex64": 2e-5}.get(expected.dtype.name, 1e-12)
    np.testing.assert_allclose(got, expected, rtol=tol, atol=tol)


@st.composite
def strided(draw, shape, dtype="float64"):
    """An array of this shape in some layout of memory."""
    layout = draw(st.sampled_from(["c", "f", "reversed", "every_second", "broadcast", "inner_first"]))
    x = array(shape, dtype)
    if layout == "f":
        return np.asarray(x, order="F")
    if layout == "reversed":
        return x[tuple([slice(None, None, -1)] * x.ndim)]
    if layout == "every_second" and x.ndim:
        return np.repeat(x, 2, -1)[..., ::2]
    if layout == "broadcast" and x.ndim:
        axis = draw(st.integers(0, x.ndim - 1))
        return np.broadcast_to(x.take([0], axis), shape) if shape[axis] else x
    if layout == "inner_first" and x.ndim > 1:
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)
    return x


@st.composite
def products(draw):
    """Operands of dot_general with any contracted and batch axes, in any memory layout."""
    sizes = st.integers(1, 4)
    nb, nc, nl, nr = draw(st.integers(0, 2)), draw(st.integers(0, 2)), draw(st.integers(0, 2)), draw(st.integers(0, 2))
    names = {k: draw(sizes) for k in "abcdefgh"[: nb + nc + nl + nr]}
    letters = list(names)
    batch, contract, left, right = (
        letters[:nb],
        letters[nb : nb + nc],
        letters[nb + nc : nb + nc + nl],
        letters[nb + nc + nl :],
    )
    lhs, rhs = draw(st.permutations(batch + contract + left)), draw(st.permutations(batch + contract + right))
    dtype = draw(st.sampled_from(["float32", "float64", "int64", "complex64"]))
    a = draw(strided(tuple([names[k] for k in lhs]), dtype))
    b = draw(strided(tuple([names[k] for k in rhs]), dtype))
    numbers = tuple([tuple([tuple([t.index(k) for k in ks]) for t in (lhs, rhs)]) for ks in (contract, batch)])
    free = [*[k for k in lhs if k in left], *[k for k in rhs if k in right]]
    return a, b, numbers, f"{''.join(lhs)},{''.join(rhs)}->{''.join([*batch, *free])}"


@given(products())
def test_dot_general_equals_einsum(case):
    a, b, numbers, subscripts = case
    expected = np.einsum(subscripts, a, b)
    same(la.dot_general(a, b, numbers), expected)
    same(jit(lambda x, y: la.dot_general(x, y, numbers))(a, b), expected)


@given(products())
def test_cotangents_of_dot_general(case):
    """The cotangent of an operand is the contraction of the result's with the other operand."""
    a, b, numbers, subscripts = case
    if a.dtype.kind == "i":
        return
    lhs, rhs, out = subscripts.replace("->", ",").split(",")
    value, pull = vjp(lambda x, y: la.dot_general(x, y, numbers), a, b)
    ct = array(value.shape, a.dtype)
    da, db = pull(ct)
    same(da, np.einsum(f"{out},{rhs}->{lhs}", ct, b))
    same(db, np.einsum(f"{lhs},{out}->{rhs}", a, ct))


SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (1, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((6, 5, 2, 3), (1, 5, 3, 4)),
    ((6, 1, 2, 3), (1, 5, 3, 4)),
    ((1, 1, 2, 3), (3, 4)),
    ((5, 1, 3), (5, 3, 1)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((5, 0, 3), (5, 3, 2)),
    ((5, 2, 0), (5, 0, 2)),
]


@pytest.mark.parametrize("left, right", SHAPES, ids=str)
def test_matmul_equals_numpy(left, right):
    for dtype in DTYPES:
        a, b = array(left, dtype), array(right, dtype)
        same(la.matmul(a, b), np.matmul(a, b))
    a, b = array(left), array(right)
    same(jit(la.matmul)(a, b), np.matmul(a, b))
    value, pull = vjp(la.matmul, a, b)
    ct = array(np.shape(value))
    t = array(left), array(right)
    change = np.sum(ct * (np.matmul(t[0], b) + np.matmul(a, t[1])))  # the derivative along t, by bilinearity
    da, db = pull(ct)
    assert da.shape == left
    assert db.shape == right
    np.testing.assert_allclose(np.sum(da * t[0]) + np.sum(db * t[1]), change, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("b", DTYPES)
def test_promotion_is_numpys(a, b):
    x, y = array((2, 3), a), array((3, 2), b)
    expected = np.matmul(x, y)
    same(la.matmul(x, y), expected)
    aval = la.dot_general_p.abstract(typeof(x), typeof(y), la._NN)
    assert aval.dtype == expected.dtype
    batched = la.matmul(np.stack([x, x]), np.stack([y, y]))
    assert batched.dtype == expected.dtype
    assert la.outer(x[:, 0], y[0]).dtype == np.outer(x[:, 0], y[0]).dtype


def test_python_scalars_stay_weak_in_dot():
    x = array(3, "float32")
    same(la.dot(2.0, x), 2.0 * x)
    assert la.dot(x, 3).dtype == np.float32


def test_preferred_element_type():
    a, b = array((2, 300), "int8"), array((300, 2), "int8")
    same(la.matmul(a, b, preferred_element_type=np.int32), np.matmul(a.astype(np.int32), b.astype(np.int32)))
    x = array((2, 3), "float32")
    same(
        la.dot_general(x, x, (((1,), (1,)), ((), ())), preferred_element_type=np.float16), (x @ x.T).astype(np.float16)
    )


def test_half_precision_is_multiplied_in_single():
    a, b = array((64, 300), "float16"), array((300, 32), "float16")
    expected = (a.astype(np.float32) @ b.astype(np.float32)).astype(np.float16)
    for f in (la.matmul, jit(la.matmul)):
        assert f(a, b).dtype == np.float16
        np.testing.assert_array_equal(f(a, b), expected)


@pytest.mark.parametrize("left", [(), (3,), (2, 3), (4, 2, 3)])
@pytest.mark.parametrize("right", [(), (3,), (3, 5), (2, 3, 5)])
def test_dot_equals_numpy(left, right):
    a, b = array(left), array(right)
    same(la.dot(a, b), np.dot(a, b))


def test_the_other_products_equal_numpy():
    a, b = array((2, 3, 4)), array((4, 3, 5))
    for axes in (1, 0, ([1, 2], [1, 0]), (2, 0), ([-1], [-3])):
        same(la.tensordot(a, b, axes), np.tensordot(a, b, axes))
    same(la.tensordot(array((2, 3)), array((2, 3)), 2).shape, np.array(()))
    x, y = array((2, 3), "complex128"), array((2, 3), "complex128")
    same(la.vdot(x, y), np.vdot(x, y))
    same(la.inner(x, y), np.inner(x, y))
    same(la.inner(x, 2.0), np.inner(x, 2.0))
    same(la.outer(x, y), np.outer(x, y))
    for left, right in [((2, 3), (4, 5)), ((2,), (3, 4)), ((3,), (2,)), ((2, 3, 2), (2, 2)), ((), (3,))]:
        a, b = array(left), array(right)
        same(la.kron(a, b), np.kron(a, b))


@pytest.mark.parametrize("k", [-5, -2, 0, 1, 3, 9])
def test_diagonals_and_triangles_equal_numpy(k):
    for x in (array((4, 4)), array((2, 5)), array((5, 2)), array((4, 4)).T, array((0, 3)), array((3, 3), "int8")):
        same(dg.diagonal(x, k), np.diagonal(x, k))
        same(dg.diag(x, k), np.diag(x, k))
        same(dg.trace(x, k), np.trace(x, k))
        same(dg.tril(x, k), np.tril(x, k))
        same(dg.triu(x, k), np.triu(x, k))
    x = array((2, 3, 4, 3))
    for a1, a2 in ((0, 1), (1, 3), (3, 1), (-1, 0)):
        same(dg.diagonal(x, k, a1, a2), np.diagonal(x, k, a1, a2))
    same(dg.tril(x, k), np.tril(x, k))
    for v in (array(3), array(1), array(0)):
        same(dg.diag(v, k), np.diag(v, k))


def test_derivative_of_a_diagonal_is_a_diagonal_matrix():
    w = array(3)
    same(grad(lambda x: reduce_sum(mul(dg.diagonal(x, 1), w), (0,)))(array((3, 5))), np.eye(3, 5, 1) * w[:, None])
    same(grad(lambda v: reduce_sum(mul(dg.diag(v, -1), array((4, 4))), (0, 1)))(w).shape, np.array((3,)))
    same(grad(dg.trace)(array((3, 3))), np.eye(3))


# ------------------------------------------------------------------ einsum

CASES = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ji,kj", (3, 2), (4, 3)),
    ("ij,jk->ki", (2, 3), (3, 4)),
    ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
    ("bqhd,bkhd->bhqk", (2, 3, 4, 5), (2, 6, 4, 5)),
    ("bhqk,bkhd->bqhd", (2, 4, 3, 6), (2, 6, 4, 5)),
    ("i,j->ij", (2,), (3,)),
    ("i,i->i", (3,), (3,)),
    ("i,i", (3,), (3,)),
    ("i,i->", (3,), (3,)),
    (",i->i", (), (3,)),
    (",", (), ()),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ij->i", (2, 3)),
    ("ba", (2, 3)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iii->i", (3, 3, 3)),
    ("iij->ij", (3, 3, 2)),
    ("iji->j", (3, 2, 3)),
    ("ijij->ij", (3, 2, 3, 2)),
    ("ii,ij->j", (3, 3), (3, 2)),
    ("...ij,...jk->...ik", (5, 2, 3), (5, 3, 4)),
    ("...ij,...jk", (6, 5, 2, 3), (5, 3, 4)),
    ("...ij,jk", (6, 1, 2, 3), (3, 4)),
    ("i...->...", (3, 4, 5)),
    ("...i->i...", (3, 4, 5)),
    ("i...j,j->...", (3, 4, 5, 2), (2,)),
    ("...,...", (2, 3), (3,)),
    ("...,...->...", (4, 1, 3), (2, 3)),
    ("...i,...i->...", (1, 3), (5, 3)),
    ("ij,jk->ik", (2, 1), (3, 4)),
    ("ij,ij->ij", (2, 3), (1, 3)),
    ("ij,ij->", (2, 1), (1, 3)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("ij,jk,kl,lm", (2, 3), (3, 4), (4, 5), (5, 2)),
    ("a,b,c->abc", (2,), (3,), (4,)),
    ("ab,bc,ca->", (2, 3), (3, 4), (4, 2)),
    ("i,i,i->i", (3,), (3,), (3,)),
    ("i,i,i->", (3,), (3,), (3,)),
    ("ij,ik,il->jkl", (4, 2), (4, 3), (4, 5)),
    ("bi,bj,ijk->bk", (5, 2), (5, 3), (2, 3, 4)),
    ("ij,kl->ik", (2, 3), (4, 5)),
    ("ijk,ilm,njm,nlk,abc->", (2, 3, 4), (2, 5, 3), (4, 3, 3), (4, 5, 4), (2, 2, 2)),
    ("Ab,bC->AC", (2, 3), (3, 4)),
    ("zB,Ba", (2, 3), (3, 4)),
    (" i j , j k -> i k ", (2, 3), (3, 4)),
    ("ij,jk->ik", (0, 3), (3, 4)),
    ("ij,jk->ik", (2, 0), (0, 4)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1:]}")
def test_einsum_equals_numpy(case):
    subscripts, *shapes = case
    arrays = [array(s) for s in shapes]
    expected = np.einsum(subscripts, *arrays)
    same(einsum(subscripts, *arrays), expected, 1e-11)
    same(jit(lambda *xs: einsum(subscripts, *xs))(*arrays), expected, 1e-11)
    # multilinear: the derivative along operand k replaces it
    value, pull = vjp(lambda *xs: einsum(subscripts, *xs), *arrays)
    ct = array(np.shape(value))
    for k, (x, d) in enumerate(zip(arrays, pull(ct))):
        t = array(x.shape)
        change = np.sum(ct * np.einsum(subscripts, *arrays[:k], t, *arrays[k + 1 :]))
        np.testing.assert_allclose(np.sum(d * t), change, rtol=1e-9, atol=1e-10)
    for dtype in ("int8", "bool", "float32"):
        arrays = [array(s, dtype) for s in shapes]
        same(einsum(subscripts, *arrays), np.einsum(subscripts, *arrays), 1e-4)


@st.composite
def summations(draw):
    sizes = {k: draw(st.integers(1, 3)) for k in "ijkl"}
    count = draw(st.integers(1, 4))
    terms = ["".join(draw(st.lists(st.sampled_from("ijkl"), max_size=3))) for _ in range(count)]
    present = sorted(set("".join(terms)))
    output = "".join(draw(st.permutations(present))[: draw(st.integers(0, len(present)))])
    explicit = draw(st.booleans())
    return ",".join(terms) + (f"->{output}" if explicit else ""), [array([sizes[k] for k in t]) for t in terms]


@given(summations())
def test_any_einsum_equals_numpy(case):
    subscripts, arrays = case
    same(einsum(subscripts, *arrays), np.einsum(subscripts, *arrays), 1e-11)


def test_einsum_takes_lists_of_axes():
    a, b = array((2, 3)), array((3, 4))
    same(einsum(a, [0, 1], b, [1, 2], [0, 2]), np.einsum(a, [0, 1], b, [1, 2], [0, 2]))
    same(einsum(a, [0, 1], b, [1, 2]), np.einsum(a, [0, 1], b, [1, 2]))
    same(einsum(a, [1, 0]), np.einsum(a, [1, 0]))
    same(einsum(a, [30, 2]), np.einsum(a, [30, 2]))
    c = array((3, 2))
    lists = (a, [Ellipsis, 1], c, [1, Ellipsis], [Ellipsis])
    same(einsum(*lists), np.einsum(*lists))
    same(einsum("ij,jk", a, b, optimize="optimal", preferred_element_type=np.float32), (a @ b).astype(np.float32))
    assert einsum("i,i", np.full(3, 100, np.int8), np.full(3, 100, np.int8), dtype=np.int64) == 30000


def test_einsum_contracts_cheap_pairs_first():
    """(v M) M M: never the product of two matrices."""
    jaxpr = make_jaxpr(lambda v, m: einsum("i,ij,jk,kl->l", v, m, m, m))(array(9), array((9, 9)))
    assert all(e.outvars[0].aval.size == 9 for e in jaxpr.eqns if e.prim is la.dot_general_p)


def test_parse_rejects_what_numpy_rejects():
    bad = [
        ("ij,jk", [(2, 3)]),
        ("ij", [(2, 3), (3, 4)]),
        ("i$", [(2, 3)]),
        ("ij->k", [(2, 3)]),
        ("ij->ii", [(2, 3)]),
        ("i..j", [(2, 3)]),
        ("......", [(2, 3)]),
        ("ij->i...j...", [(2, 3)]),
        ("...j->j", [(2, 3)]),
    ]
    for subscripts, shapes in bad:
        with pytest.raises(Exception):  # noqa: B017
            np.einsum(subscripts, *[np.zeros(s) for s in shapes])
        with pytest.raises(ArgumentError, match=r"^\[einsum\] expected .*, got "):
            parse(subscripts, tuple(shapes))
    for subscripts, shapes in [
        ("ijk", [(2, 3)]),
        ("i", [(2, 3)]),
        ("ij,jk", [(2, 3), (4, 5)]),
        ("ii", [(2, 3)]),
        ("ii", [(1, 3)]),
        ("...ij", [(2,)]),
    ]:
        with pytest.raises(ValueError, match="."):
            np.einsum(subscripts, *[np.zeros(s) for s in shapes])
        with pytest.raises(ShapeError, match=r"^\[einsum\] expected .*, got "):
            einsum(subscripts, *[np.zeros(s) for s in shapes])


# ------------------------------------------------------------------ what derivatives and batches look like


def names(jaxpr) -> list[str]:
    return [e.prim.name for e in jaxpr.eqns]


@pytest.mark.parametrize("numbers", [la._NN, la._TN, la._NT, la._TT], ids=["nn", "tn", "nt", "tt"])
def test_cotangents_of_matrix_products_need_no_transposition(numbers):
    (lc,), (rc,) = numbers[0]
    a, b = array((2, 3) if lc == 1 else (3, 2)), array((3, 4) if rc == 0 else (4, 3))
    ct = array((2, 4))

    def pulled(x, y, c):
        return vjp(lambda x, y: la.dot_general(x, y, numbers), x, y)[1](c)

    assert names(make_jaxpr(pulled)(a, b, ct)) in (["dot_general"] * 2, ["dot_general"] * 3)
    da, db = jit(pulled)(a, b, ct)
    left, right = (a if lc == 1 else a.T), (b if rc == 0 else b.T)
    same(da if lc == 1 else da.T, ct @ right.T)
    same(db if rc == 0 else db.T, left.T @ ct)


def test_per_example_gradients_are_one_batched_product():
    x, w, ct = array((6, 3)), array((3, 4)), array((6, 4))

    def per_example(x, ct):
        return grad(lambda w: reduce_sum(mul(la.dot(x, w), ct), (0,)))(w)

    jaxpr = make_jaxpr(vmap(per_example))(x, ct)
    assert names(jaxpr).count("dot_general") == 1
    assert "transpose" not in names(jaxpr)
    same(vmap(per_example)(x, ct), np.einsum("bi,bj->bij", x, ct))


@pytest.mark.parametrize("in_axes", [(0, None), (1, None), (None, 0), (None, 2), (0, 0), (1, 2)], ids=str)
def test_batches_move_no_data(in_axes):
    a = array((2, 3) if in_axes[0] is None else (5, 2, 3) if in_axes[0] == 0 else (2, 5, 3))
    b = array((3, 4) if in_axes[1] is None else (5, 3, 4) if in_axes[1] == 0 else (3, 4, 5))
    assert names(make_jaxpr(vmap(la.matmul, in_axes))(a, b))[0] == "dot_general"
    left, right = np.moveaxis(a, in_axes[0], 0) if in_axes[0] else a, np.moveaxis(b, in_axes[1], 0) if in_axes[1] else b
    same(vmap(la.matmul, in_axes)(a, b), np.matmul(left, right))


def test_jitted_products_call_dot_on_views():
    source = compile_numpy(
        make_jaxpr(lambda x, w, ct: vjp(la.matmul, x, w)[1](ct))(array((2, 3)), array((3, 4)), array((2, 4)))
    ).source
    assert source.count(".dot(") == 2
    assert ".T.dot(" in source
    assert ".T)" in source
    assert "transpose" not in source


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "f, expected",
    [
        (
            lambda: la.matmul(array((3, 4)), array((3, 4))),
            r"^\[matmul\] expected inner dimensions to agree, got \(3, 4\) @ \(3, 4\): 4 and 3 differ. Try a @ b.T or a.T @ b",
        ),
        (lambda: la.matmul(array((3, 4)), array((5, 4))), r"\(3, 4\) @ \(5, 4\): 4 and 5 differ. Try a @ b.T\."),
        (lambda: la.matmul(array((4, 3)), array((4, 5))), r"Try a.T @ b\."),
        (lambda: la.matmul(array((3, 4)), array((5, 3))), r"Try b @ a\."),
        (lambda: la.matmul(array((3, 4)), array(3)), r"\(3, 4\) @ \(3,\): 4 and 3 differ. Try a.T @ b\."),
        (lambda: la.matmul(array((2, 3, 4)), array((2, 5, 4))), r"^\[matmul\] expected inner dimensions"),
        (
            lambda: la.matmul(array((2, 3, 4)), array((5, 4, 2))),
            r"^\[matmul\] expected leading axes that broadcast together, got \(2, 3, 4\) @ \(5, 4, 2\)",
        ),
        (
            lambda: la.matmul(2.0, array(3)),
            r"^\[matmul\] expected arrays with at least one axis, got shapes \(\) and \(3,\)",
        ),
        (lambda: la.dot(array((2, 3)), array((2, 3))), r"expected inner dimensions to agree"),
        (lambda: la.dot(array((2, 3)), array((4, 2, 3))), r"^\[dot\] expected inner dimensions to agree"),
        (
            lambda: la.tensordot(array((2, 3, 4)), array((4, 3, 5))),
            r"^\[dot_general\] expected contracted axes of equal lengths, got \(3, 4\) .* \(4, 3\)",
        ),
        (
            lambda: la.dot_general(array((2, 3)), array((2, 3)), (((0, 1), (1, 0)), ((), ()))),
            r"^\[dot_general\] expected contracted axes",
        ),
        (
            lambda: la.dot_general(array((2, 3)), array((1, 3)), (((1,), (1,)), ((0,), (0,)))),
            r"^\[dot_general\] expected batch axes of equal lengths, got \(2,\)",
        ),
        (
            lambda: la.dot_general(array((2, 2)), array((2, 2)), (((0,), (0,)), ((0,), (0,)))),
            r"^\[dot_general\] expected different axes of lhs",
        ),
        (lambda: jit(la.matmul)(array((3, 4)), array((3, 4))), r"^\[matmul\] expected inner dimensions"),
        (lambda: dg.diag(array((2, 2, 2))), r"^\[diag\] expected a vector or a matrix, got shape \(2, 2, 2\)"),
        (lambda: dg.tril(array(3)), r"^\[tril\] expected at least two axes, got shape \(3,\)"),
    ],
)
def test_shape_errors(f, expected):
    with pytest.raises(ShapeError, match=expected):
        f()


@pytest.mark.parametrize(
    "f, expected",
    [
        (lambda: la.tensordot(array((2, 3)), array((3, 4)), 3), r"^\[tensordot\] expected axes between 0 and 2, got 3"),
        (
            lambda: la.dot_general(array((2, 3)), array((3, 4)), (((2,), (0,)), ((), ()))),
            r"^\[dot_general\] expected an axis between",
        ),
        (lambda: dg.diagonal(array(3)), r"^\[diagonal\] expected an axis between"),
        (lambda: dg.diagonal(array((3, 3)), 0, 1, 1), r"^\[diagonal\] expected two different axes, got 1 twice"),
    ],
)
def test_axis_errors(f, expected):
    with pytest.raises(AxisError, match=expected):
        f()
