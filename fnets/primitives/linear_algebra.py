"""Products of arrays: one primitive, `dot_general`, and the functions over it. May import base, elementwise, shape, core.

What is contracted decides which BLAS call runs: two matrices go to `dot` as (transposed) views without a copy, batches to
`matmul`, and products without contraction are broadcast multiplications. Every derivative is again one `dot_general`, arranged so that
it needs no transposed copy where that is possible.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import DTypeError, ShapeError
from fnets.primitives.base import arr, as_axis, convert, inverse_permutation, reshape, transpose
from fnets.primitives.elementwise import add

DimensionNumbers = tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]

dot_general_p = Primitive("dot_general", fresh=True)

_MATMUL: DimensionNumbers = (((1,), (0,)), ((), ()))  # a @ b of matrices
_TRANSPOSED: dict[
    DimensionNumbers, tuple[bool, bool]
] = {  # products of two matrices: which of the operands enters transposed
    _MATMUL: (False, False),
    (((0,), (0,)), ((), ())): (True, False),
    (((1,), (1,)), ((), ())): (False, True),
    (((0,), (1,)), ((), ())): (True, True),
}


def _free(ndim: int, contract: tuple[int, ...], batch: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that are neither contracted nor batch."""
    return tuple([i for i in range(ndim) if i not in contract and i not in batch])


# ------------------------------------------------------------------ impl


@functools.lru_cache(maxsize=4096)
def _plan(lhs: tuple[int, ...], rhs: tuple[int, ...], dimension_numbers: DimensionNumbers) -> Callable[[Any, Any], Any]:
    """The function of two arrays that computes the product for these shapes."""
    shape = _result_shape(lhs, rhs, dimension_numbers)
    (lc, rc), (lb, rb) = dimension_numbers
    lf, rf = _free(len(lhs), lc, lb), _free(len(rhs), rc, rb)
    if not lc:
        return _outer_plan(lhs, rhs, (lb, lf), (rb, rf))
    if lb:
        return _batched_plan(lhs, rhs, (lb, lf, lc), (rb, rf, rc), shape)
    if len(lhs) == 2 and len(rhs) == 2 and len(lc) == 1:
        return _matrix_plan(*_TRANSPOSED[dimension_numbers])
    return _flat_plan(lhs, rhs, (lf, lc), (rf, rc), shape)


def _matrix_plan(transpose_lhs: bool, transpose_rhs: bool) -> Callable[[Any, Any], Any]:
    if transpose_lhs:
        return (lambda a, b: a.T.dot(b.T)) if transpose_rhs else (lambda a, b: a.T.dot(b))
    return (lambda a, b: a.dot(b.T)) if transpose_rhs else (lambda a, b: a.dot(b))


def _outer_plan(lhs: tuple, rhs: tuple, left: tuple, right: tuple) -> Callable[[Any, Any], Any]:
    """No contraction: multiply (batch, lhs free, 1...) with (batch, 1..., rhs free)."""
    (lb, lf), (rb, rf) = left, right
    arrange_lhs = _arranger(lhs, (*lb, *lf), (*[lhs[i] for i in lb], *[lhs[i] for i in lf], *(1,) * len(rf)))
    arrange_rhs = _arranger(rhs, (*rb, *rf), (*[rhs[i] for i in rb], *(1,) * len(lf), *[rhs[i] for i in rf]))
    return lambda a, b: np.multiply(arrange_lhs(a), arrange_rhs(b))


def _arranger(shape: tuple[int, ...], order: tuple[int, ...], new: tuple[int, ...]) -> Callable[[Any], Any]:
    """x -> x.transpose(order).reshape(new), without the steps that do nothing."""
    moves = order != tuple(range(len(order)))
    reshapes = tuple([shape[i] for i in order]) != new
    if moves and reshapes:
        return lambda x: x.transpose(order).reshape(new)
    if moves:
        return lambda x: x.transpose(order)
    return (lambda x: x.reshape(new)) if reshapes else (lambda x: x)


def _size(shape: tuple[int, ...], axes: Sequence[int]) -> int:
    size = 1
    for i in axes:
        size *= shape[i]
    return size


def _flat_plan(lhs: tuple, rhs: tuple, left: tuple, right: tuple, shape: tuple) -> Callable[[Any, Any], Any]:
    """One product of two matrices; contracted axes come in the order that lets most operands be reshaped without a copy."""
    (lf, lc), (rf, rc) = left, right
    orders = [tuple(sorted(range(len(lc)), key=lambda k: lc[k])), tuple(sorted(range(len(rc)), key=lambda k: rc[k]))]

    def copies(order: tuple[int, ...]) -> int:
        return _needs_copy(lhs, lf, tuple([lc[k] for k in order])) + _needs_copy(rhs, rf, tuple([rc[k] for k in order]))

    order = min(orders, key=copies)
    lc, rc = tuple([lc[k] for k in order]), tuple([rc[k] for k in order])
    m, k, n = _size(lhs, lf), _size(lhs, lc), _size(rhs, rf)
    if lc + lf == tuple(range(len(lhs))) and lf:
        flat = _arranger(lhs, (*lc, *lf), (k, m))
        first: Callable = lambda x: flat(x).T  # noqa: E731
    else:
        first = _arranger(lhs, (*lf, *lc), (m, k) if lf else (k,))
    if rf + rc == tuple(range(len(rhs))) and rf:
        flat_rhs = _arranger(rhs, (*rf, *rc), (n, k))
        second: Callable = lambda x: flat_rhs(x).T  # noqa: E731
    else:
        second = _arranger(rhs, (*rc, *rf), (k, n) if rf else (k,))
    if len(lf) <= 1 and len(rf) <= 1:
        return lambda a, b: first(a).dot(second(b))
    return lambda a, b: first(a).dot(second(b)).reshape(shape)


def _needs_copy(shape: tuple[int, ...], free: tuple[int, ...], contract: tuple[int, ...]) -> int:
    """Elements to copy to make a matrix out of a C-contiguous array."""
    natural = tuple(range(len(shape)))
    return 0 if natural in (free + contract, contract + free) else _size(shape, natural)


def _batched_plan(lhs: tuple, rhs: tuple, left: tuple, right: tuple, shape: tuple) -> Callable[[Any, Any], Any]:
    (lb, lf, lc), (rb, rf, rc) = left, right
    batch = tuple([lhs[i] for i in lb])
    m, k, n = _size(lhs, lf), _size(lhs, lc), _size(rhs, rf)
    first = _arranger(lhs, (*lb, *lf, *lc), (*batch, m, k))
    second = _arranger(rhs, (*rb, *rc, *rf), (*batch, k, n))
    if (*batch, m, n) == shape:
        return lambda a, b: np.matmul(_blas_ready(first(a)), _blas_ready(second(b)))
    return lambda a, b: np.matmul(_blas_ready(first(a)), _blas_ready(second(b))).reshape(shape)


def _blas_ready(x: Any) -> Any:
    """`x`, or a copy where neither of the last two axes is contiguous: NumPy would multiply such matrices without BLAS."""
    strides = x.strides
    if strides[-1] == x.itemsize or strides[-2] == x.itemsize:
        return x
    return np.ascontiguousarray(x)


def _dot_general_impl(lhs: Any, rhs: Any, dimension_numbers: DimensionNumbers) -> Any:
    if dimension_numbers == _MATMUL and lhs.ndim == 2 and rhs.ndim == 2:
        return lhs.dot(rhs)
    return _plan(lhs.shape, rhs.shape, dimension_numbers)(lhs, rhs)


# ------------------------------------------------------------------ types


def _result_shape(lhs: tuple[int, ...], rhs: tuple[int, ...], dimension_numbers: DimensionNumbers) -> tuple[int, ...]:
    (lc, rc), (lb, rb) = dimension_numbers
    for name, shape, axes in (("lhs", lhs, lc + lb), ("rhs", rhs, rc + rb)):
        if len(set(axes)) != len(axes) or not all([0 <= a < len(shape) for a in axes]):
            raise ShapeError(
                f"[dot_general] expected different axes of {name}, of shape {shape}, in dimension_numbers, got {axes}. "
                "They are ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch))."
            )
    if dimension_numbers == _MATMUL and len(lhs) == len(rhs) == 2 and lhs[1] != rhs[0]:
        raise ShapeError(inner_mismatch(lhs, rhs))
    for what, left, right in (("contracted", lc, rc), ("batch", lb, rb)):
        if len(left) != len(right) or any([lhs[i] != rhs[j] for i, j in zip(left, right)]):
            raise ShapeError(
                f"[dot_general] expected {what} axes of equal lengths, got {tuple([lhs[i] for i in left])} for axes {left} of lhs {lhs} and "
                f"{tuple([rhs[j] for j in right])} for axes {right} of rhs {rhs}. Check dimension_numbers, or transpose an operand."
            )
    lf, rf = _free(len(lhs), lc, lb), _free(len(rhs), rc, rb)
    return (*[lhs[i] for i in lb], *[lhs[i] for i in lf], *[rhs[i] for i in rf])


def inner_mismatch(lhs: tuple[int, ...], rhs: tuple[int, ...], op: str = "matmul") -> str:
    """The message for a matrix product whose inner dimensions differ, with the transposition that would make it fit.

    >>> inner_mismatch((3, 4), (3, 4))
    '[matmul] expected inner dimensions to agree, got (3, 4) @ (3, 4): 4 and 3 differ. Try a @ b.T or a.T @ b.'
    """
    inner = rhs[-2] if len(rhs) > 1 else rhs[0]
    fixes = []
    if len(rhs) == 2 and lhs[-1] == rhs[-1]:
        fixes.append("a @ b.T")
    if len(lhs) == 2 and lhs[0] == inner:
        fixes.append("a.T @ b")
    if not fixes and len(lhs) == len(rhs) == 2 and lhs[0] == rhs[1]:
        fixes.append("b @ a")
    fix = (
        f"Try {' or '.join(fixes)}."
        if fixes
        else "The last axis of a is summed against the last but one of b: reshape or transpose one."
    )
    return f"[{op}] expected inner dimensions to agree, got {lhs} @ {rhs}: {lhs[-1]} and {inner} differ. {fix}"


@functools.cache
def _result_dtype(lhs: np.dtype, rhs: np.dtype) -> np.dtype:
    try:
        return np.matmul.resolve_dtypes((lhs, rhs, None))[2]
    except TypeError:
        raise DTypeError(
            f"[dot_general] expected numeric dtypes, got {lhs.name} and {rhs.name}. Convert with x.astype(...)."
        ) from None


def _dot_general_abstract(lhs: ShapedArray, rhs: ShapedArray, dimension_numbers: DimensionNumbers) -> ShapedArray:
    return ShapedArray(_result_shape(lhs.shape, rhs.shape, dimension_numbers), _result_dtype(lhs.dtype, rhs.dtype))


# ------------------------------------------------------------------ derivatives


def _dot_general_jvp(primals: Sequence, tangents: Sequence, dimension_numbers: DimensionNumbers) -> tuple:
    lhs, rhs = primals
    out = dot_general_p.bind(lhs, rhs, dimension_numbers=dimension_numbers)
    total = None
    if tangents[0] is not None:
        total = dot_general_p.bind(tangents[0], rhs, dimension_numbers=dimension_numbers)
    if tangents[1] is not None:
        other = dot_general_p.bind(lhs, tangents[1], dimension_numbers=dimension_numbers)
        total = other if total is None else add(total, other)
    return out, total


@functools.lru_cache(maxsize=4096)
def _cotangent_plan(lhs_ndim: int, rhs_ndim: int, dimension_numbers: DimensionNumbers, of_lhs: bool) -> tuple:
    """How to contract the cotangent with the other operand: (is the cotangent the lhs, dimension numbers, permutation or None).

    The result has the axes (batch, free ones of the first operand, free ones of the second); the order of the two is chosen so that
    it already is the operand's own, if either is.
    """
    (lc, rc), (lb, rb) = dimension_numbers
    lf, rf = _free(lhs_ndim, lc, lb), _free(rhs_ndim, rc, rb)
    nb, nl, nr = len(lb), len(lf), len(rf)
    ct_batch = tuple(range(nb))
    ct_of_lhs, ct_of_rhs = tuple(range(nb, nb + nl)), tuple(range(nb + nl, nb + nl + nr))
    if of_lhs:  # contract the free axes of rhs
        own_batch, own_free, own_contract, other_contract, other_free, other_batch, ct_contract = (
            lb,
            lf,
            lc,
            rc,
            rf,
            rb,
            ct_of_rhs,
        )
    else:
        own_batch, own_free, own_contract, other_contract, other_free, other_batch, ct_contract = (
            rb,
            rf,
            rc,
            lc,
            lf,
            lb,
            ct_of_lhs,
        )
    # the other operand's contracted axes come out in increasing order; name each by the own axis that it pairs with
    from_other = tuple([own_contract[other_contract.index(a)] for a in sorted(other_contract)])
    ct_first = (*own_batch, *own_free, *from_other)
    other_first = (*own_batch, *from_other, *own_free)
    natural = tuple(range(len(ct_first)))
    if other_first == natural and ct_first != natural or (ct_first != natural and not of_lhs):
        numbers = ((other_free, ct_contract), (other_batch, ct_batch))
        return False, numbers, None if other_first == natural else inverse_permutation(other_first)
    numbers = ((ct_contract, other_free), (ct_batch, other_batch))
    return True, numbers, None if ct_first == natural else inverse_permutation(ct_first)


def _cotangent(
    ct: Any, other: Any, ndims: tuple[int, int], dimension_numbers: DimensionNumbers, of_lhs: bool, dtype: np.dtype
) -> Any:
    ct_is_lhs, numbers, permutation = _cotangent_plan(*ndims, dimension_numbers, of_lhs)
    out = (
        dot_general_p.bind(ct, other, dimension_numbers=numbers)
        if ct_is_lhs
        else dot_general_p.bind(other, ct, dimension_numbers=numbers)
    )
    if permutation is not None:
        out = transpose(out, permutation)
    return out if dtype_of(out) == dtype else convert(out, dtype)


def _dot_general_vjp(active: tuple, lhs: Any, rhs: Any, dimension_numbers: DimensionNumbers) -> tuple:
    out = dot_general_p.bind(lhs, rhs, dimension_numbers=dimension_numbers)
    ndims = len(shape_of(lhs)), len(shape_of(rhs))
    # hold only what the pullback reads
    of_lhs = (rhs, dtype_of(lhs)) if 0 in active else None
    of_rhs = (lhs, dtype_of(rhs)) if 1 in active else None

    def pull(ct: Any) -> list:
        cts = []
        if of_lhs is not None:
            cts.append(_cotangent(ct, of_lhs[0], ndims, dimension_numbers, True, of_lhs[1]))
        if of_rhs is not None:
            cts.append(_cotangent(ct, of_rhs[0], ndims, dimension_numbers, False, of_rhs[1]))
        return cts

    return out, pull


# ------------------------------------------------------------------ batching


def _shift(axes: tuple[int, ...], d: int) -> tuple[int, ...]:
    return tuple([a + (a >= d) for a in axes])


def _dot_general_batch(size: int, vals: Sequence, dims: Sequence, dimension_numbers: DimensionNumbers) -> tuple:
    (lc, rc), (lb, rb) = dimension_numbers
    (lhs, rhs), (ld, rd) = vals, dims
    if ld is not None:
        lc, lb = _shift(lc, ld), _shift(lb, ld)
    if rd is not None:
        rc, rb = _shift(rc, rd), _shift(rb, rd)
    if ld is not None and rd is not None:
        return dot_general_p.bind(lhs, rhs, dimension_numbers=((lc, rc), ((ld, *lb), (rd, *rb)))), 0
    out = dot_general_p.bind(lhs, rhs, dimension_numbers=((lc, rc), (lb, rb)))
    # the batch is one more free axis of the operand that has it
    lf, rf = _free(len(shape_of(lhs)), lc, lb), _free(len(shape_of(rhs)), rc, rb)
    if ld is not None:
        return out, len(lb) + lf.index(ld)
    return out, len(lb) + len(lf) + rf.index(rd)


# ------------------------------------------------------------------ lowering


def _dot_general_lower(cg: Any, eqn: Any, args: list[str], out: str | None) -> str:
    lhs, rhs = (v.aval for v in eqn.invars)
    numbers = eqn.params["dimension_numbers"]
    a, b = args
    if lhs.ndim == 2 and rhs.ndim == 2 and numbers in _TRANSPOSED:
        transpose_lhs, transpose_rhs = _TRANSPOSED[numbers]
        return f"{a}{'.T' if transpose_lhs else ''}.dot({b}{'.T' if transpose_rhs else ''})"
    return f"{cg.const(_plan(lhs.shape, rhs.shape, numbers), 'dot_general')}({a}, {b})"


dot_general_p.impl, dot_general_p.abstract = _dot_general_impl, _dot_general_abstract
dot_general_p.jvp, dot_general_p.vjp, dot_general_p.batch = _dot_general_jvp, _dot_general_vjp, _dot_general_batch
dot_general_p.lower["numpy"] = _dot_general_lower


# ------------------------------------------------------------------ functions


def dot_general(
    lhs: Any, rhs: Any, dimension_numbers: Any, precision: Any = None, preferred_element_type: Any = None
) -> Any:
    """The product of two arrays, summed over any axes, with any axes as batch.

    Args:
      lhs, rhs: arrays.
      dimension_numbers: `((lhs_contract, rhs_contract), (lhs_batch, rhs_batch))`, sequences of axes, pairwise of equal length.
      precision: accepted and ignored.
      preferred_element_type: dtype to compute in, if wider, and of the result.

    Returns:
      An array of the axes (batch, other axes of lhs, other axes of rhs), in NumPy's promoted dtype; booleans give "or of ands".

    Raises:
      ShapeError: paired axes differ in length.

    >>> dot_general(np.ones((2, 3, 4)), np.ones((2, 4, 5)), (((2,), (1,)), ((0,), (0,)))).shape
    (2, 3, 5)
    """
    lhs, rhs = arr(lhs), arr(rhs)
    (lc, rc), (lb, rb) = dimension_numbers
    nl, nr = len(shape_of(lhs)), len(shape_of(rhs))
    numbers = (
        (tuple([as_axis(a, nl, "dot_general") for a in lc]), tuple([as_axis(a, nr, "dot_general") for a in rc])),
        (tuple([as_axis(a, nl, "dot_general") for a in lb]), tuple([as_axis(a, nr, "dot_general") for a in rb])),
    )
    return _in_dtype(lhs, rhs, numbers, preferred_element_type)


def _in_dtype(lhs: Any, rhs: Any, numbers: DimensionNumbers, preferred: Any) -> Any:
    if preferred is None:
        return dot_general_p.bind(lhs, rhs, dimension_numbers=numbers)
    preferred = np.dtype(preferred)
    natural = _result_dtype(dtype_of(lhs), dtype_of(rhs))
    wide = np.promote_types(natural, preferred)
    if wide != natural:
        lhs, rhs = convert(lhs, wide), convert(rhs, wide)
    return convert(dot_general_p.bind(lhs, rhs, dimension_numbers=numbers), preferred)


_VECTOR_VECTOR: DimensionNumbers = (((0,), (0,)), ((), ()))
_VECTOR_MATRIX: DimensionNumbers = (((0,), (0,)), ((), ()))


def matmul(a: Any, b: Any, *, preferred_element_type: Any = None, precision: Any = None) -> Any:
    """The matrix product with NumPy's rules: vectors stand for a row on the left and a column on the right, leading axes broadcast.

    Args:
      a: array (..., m, k) or (k,).
      b: array (..., k, n) or (k,).
      preferred_element_type: dtype to compute in, if wider, and of the result.
      precision: accepted and ignored.

    Raises:
      ShapeError: the inner dimensions differ, an operand is a scalar, or leading axes do not broadcast.

    >>> matmul(np.ones((2, 3)), np.ones(3))
    array([3., 3.])
    """
    a, b = arr(a), arr(b)
    left, right = shape_of(a), shape_of(b)
    na, nb = len(left), len(right)
    if na == 2 and nb == 2:
        if preferred_element_type is None:
            return dot_general_p.bind(a, b, dimension_numbers=_MATMUL)
        return _in_dtype(a, b, _MATMUL, preferred_element_type)
    if not na or not nb:
        raise ShapeError(
            f"[matmul] expected arrays with at least one axis, got shapes {left} and {right}. Multiply scalars with *."
        )
    if left[-1] != (right[-2] if nb > 1 else right[0]):
        raise ShapeError(inner_mismatch(left, right))
    if na == 1 or nb == 1 or nb == 2:
        contract = max(nb - 2, 0)
        out = _in_dtype(a, b, (((na - 1,), (contract,)), ((), ())), preferred_element_type)
        return out
    return _batched_matmul(a, b, preferred_element_type)


def _batched_matmul(a: Any, b: Any, preferred: Any) -> Any:
    """Both with leading axes, or only b: those that are equal become batch axes, those of length 1 free ones."""
    left, right = shape_of(a), shape_of(b)
    na, nb = len(left), len(right)
    lead = max(na, nb) - 2
    la, lb = (1,) * (lead + 2 - na) + left[:-2], (1,) * (lead + 2 - nb) + right[:-2]
    shape = []
    for n, m in zip(la, lb):
        if n != m and n != 1 and m != 1:
            raise ShapeError(
                f"[matmul] expected leading axes that broadcast together, got {left} @ {right}. Each pair must be equal or contain a 1."
            )
        shape.append(m if n == 1 else n)
    shared = [i for i in range(lead) if la[i] == lb[i]]
    of_a = [i for i in range(lead) if la[i] != lb[i] and lb[i] == 1]
    of_b = [i for i in range(lead) if la[i] != lb[i] and la[i] == 1]
    # leave the ones out, multiply, and put the leading axes back in order
    a = reshape(a, (*[la[i] for i in range(lead) if i not in of_b], *left[-2:]))
    b = reshape(b, (*[lb[i] for i in range(lead) if i not in of_a], *right[-2:]))
    kept_a, kept_b = [i for i in range(lead) if i not in of_b], [i for i in range(lead) if i not in of_a]
    batch_a, batch_b = tuple([kept_a.index(i) for i in shared]), tuple([kept_b.index(i) for i in shared])
    numbers = (((len(kept_a) + 1,), (len(kept_b),)), (batch_a, batch_b))
    out = _in_dtype(a, b, numbers, preferred)
    # axes of the result: shared, of_a, m, of_b, n
    names = [*shared, *of_a, lead, *of_b, lead + 1]
    return transpose(out, tuple([names.index(i) for i in range(lead + 2)]))


def dot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """`np.dot`: matrix product of vectors and matrices, multiplication by scalars, else a sum over a's last and b's last but one axis.

    >>> dot(np.ones(3), np.ones(3))
    np.float64(3.0)
    """
    a, b = arr(a), arr(b)
    left, right = shape_of(a), shape_of(b)
    if not left or not right:
        return _in_dtype(a, b, (((), ()), ((), ())), preferred_element_type)
    contract = max(len(right) - 2, 0)
    if left[-1] != right[contract]:
        raise ShapeError(inner_mismatch(left, right, "dot"))
    return _in_dtype(a, b, (((len(left) - 1,), (contract,)), ((), ())), preferred_element_type)
