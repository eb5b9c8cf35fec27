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

from fnets.core.avals import ShapedArray, as_np_dtype, is_float
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import AxisError, DTypeError, ShapeError
from fnets.primitives.base import arr, as_axis, as_shape, convert, inverse_permutation, reshape, transpose
from fnets.primitives.elementwise import add, conj, mul
from fnets.primitives.reduce import size_of
from fnets.primitives.shape import ravel

DimensionNumbers = tuple[
    tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]
]  # contracted axes, batch axes

dot_general_p = Primitive("dot_general", fresh=True)

_NN: DimensionNumbers = (((1,), (0,)), ((), ()))  # a @ b of matrices; also a @ vector
_TN: DimensionNumbers = (((0,), (0,)), ((), ()))  # a.T @ b; also vector @ b and vector @ vector
_NT: DimensionNumbers = (((1,), (1,)), ((), ()))
_TT: DimensionNumbers = (((0,), (1,)), ((), ()))
_TRANSPOSED: dict[DimensionNumbers, tuple[bool, bool]] = {
    _NN: (False, False),
    _TN: (True, False),
    _NT: (False, True),
    _TT: (True, True),
}


def _free(ndim: int, contract: tuple[int, ...], batch: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that are neither contracted nor batch."""
    return tuple([i for i in range(ndim) if i not in contract and i not in batch])


# ------------------------------------------------------------------ impl


def _dot_general_impl(lhs: Any, rhs: Any, dimension_numbers: DimensionNumbers) -> Any:
    if lhs.dtype.char in _HALVES and rhs.dtype == lhs.dtype:
        return _dot_general_impl(lhs.astype(np.float32), rhs.astype(np.float32), dimension_numbers).astype(lhs.dtype)
    ndim = lhs.ndim
    if 0 < ndim <= 2 and 0 < rhs.ndim <= 2:  # what `dot` takes as it is, without a look at the plans
        if dimension_numbers == _NN:
            if ndim == 2:
                return lhs.dot(rhs)
        elif dimension_numbers == _TN:
            return lhs.T.dot(rhs)
        elif dimension_numbers == _NT and ndim == rhs.ndim == 2:
            return lhs.dot(rhs.T)
    return _plan(lhs.shape, rhs.shape, dimension_numbers)(lhs, rhs)


_HALVES = "eE"  # float16 and bfloat16: BLAS has no product of them, NumPy's own is a hundred times slower


@functools.lru_cache(maxsize=4096)
def _plan(lhs: tuple[int, ...], rhs: tuple[int, ...], dimension_numbers: DimensionNumbers) -> Callable[[Any, Any], Any]:
    """The function of two arrays that computes the product for these shapes; axes are called batch, free and contracted."""
    shape = _result_shape(lhs, rhs, dimension_numbers)
    (lc, rc), (lb, rb) = dimension_numbers
    left, right = (lb, _free(len(lhs), lc, lb), lc), (rb, _free(len(rhs), rc, rb), rc)
    if not lc:
        return _outer_plan(lhs, rhs, left, right)
    if lb:
        return _batched_plan(lhs, rhs, left, right, shape)
    return (
        _inside_plan(lhs, rhs, left, right, shape)
        or _summed_plan(lhs, rhs, left, right)
        or _flat_plan(lhs, rhs, left, right, shape)
    )


def _outer_plan(lhs: tuple, rhs: tuple, left: tuple, right: tuple) -> Callable[[Any, Any], Any]:
    """No contraction: multiply (batch, lhs free, 1...) with (batch, 1..., rhs free)."""
    (lb, lf, _), (rb, rf, _) = left, right
    first = _arranger(lhs, (*lb, *lf), (*[lhs[i] for i in lb], *[lhs[i] for i in lf], *(1,) * len(rf)))
    second = _arranger(rhs, (*rb, *rf), (*[rhs[i] for i in rb], *(1,) * len(lf), *[rhs[i] for i in rf]))
    return lambda a, b: np.multiply(first(a), second(b))


def _flat_plan(lhs: tuple, rhs: tuple, left: tuple, right: tuple, shape: tuple) -> Callable[[Any, Any], Any]:
    """One product of two matrices; the contracted axes come in the order that lets most operands be reshaped without a copy."""
    (_, lf, lc), (_, rf, rc) = left, right
    order = _contraction_orders(lhs, rhs, left, right)[0][1]
    first = _matrix(lhs, lf, tuple([lc[k] for k in order]))
    second = _matrix(rhs, rf, tuple([rc[k] for k in order]))
    if len(lf) <= 1 and len(rf) <= 1:
        return lambda a, b: first(a).dot(second(b).T)
    return lambda a, b: first(a).dot(second(b).T).reshape(shape)


def _contraction_orders(lhs: tuple, rhs: tuple, left: tuple, right: tuple) -> list[tuple[int, tuple[int, ...]]]:
    """(elements to copy, order of the contracted axes) for lhs's and for rhs's own order, the better first."""
    (_, lf, lc), (_, rf, rc) = left, right
    orders = [tuple(sorted(range(len(c)), key=c.__getitem__)) for c in (lc, rc)]
    return sorted(
        [(_copied(lhs, lf, tuple([lc[k] for k in o])) + _copied(rhs, rf, tuple([rc[k] for k in o])), o) for o in orders]
    )


def _summed_plan(lhs: tuple, rhs: tuple, left: tuple, right: tuple) -> Callable[[Any, Any], Any] | None:
    """Both operands have a contracted axis in front: multiply batch by batch and add up, where that touches less than making matrices."""
    (_, lf, lc), (_, rf, rc) = left, right
    if len(lc) == 1 or not any([i == j == 0 for i, j in zip(lc, rc)]):
        return None
    if lhs[0] * _size(lhs, lf) * _size(rhs, rf) > _contraction_orders(lhs, rhs, left, right)[0][0]:
        return None
    rest = tuple([tuple([i for i in c if i]) for c in (lc, rc)])
    batches = _plan(lhs, rhs, (rest, ((0,), (0,))))

    def summed(a: Any, b: Any) -> Any:
        products = batches(a, b)
        return np.add.reduce(products, 0, products.dtype)

    return summed


def _matrix(shape: tuple[int, ...], free: tuple[int, ...], contract: tuple[int, ...]) -> Callable[[Any], Any]:
    """x -> a view, if there is one, as the matrix (free, contracted), or as the vector (contracted)."""
    k, m = _size(shape, contract), _size(shape, free)
    if free and contract + free == tuple(range(len(shape))):
        flat = _arranger(shape, contract + free, (k, m))
        return lambda x: flat(x).T
    return _arranger(shape, free + contract, (m, k) if free else (k,))


def _copied(shape: tuple[int, ...], free: tuple[int, ...], contract: tuple[int, ...]) -> int:
    """How many elements must be copied to make a matrix out of a C-contiguous array."""
    natural = tuple(range(len(shape)))
    return 0 if natural in (free + contract, contract + free) else _size(shape, natural)


def _inside_plan(lhs: tuple, rhs: tuple, left: tuple, right: tuple, shape: tuple) -> Callable[[Any, Any], Any] | None:
    """One operand with its contracted axes between free ones: as a batch of matrices it needs no copy, as one matrix it would."""
    (_, lf, lc), (_, rf, rc) = left, right
    if (split := _split_around(rhs, rf, rc)) and not _copied(lhs, lf, lc):
        first, batches = _matrix(lhs, lf, lc), (split[0], _size(rhs, rc), split[1])
        if not lf:
            return lambda a, b: np.matmul(first(a), _blas_ready(b.reshape(batches))).reshape(shape)
        return lambda a, b: (
            np.matmul(_blas_ready(first(a)), _blas_ready(b.reshape(batches))).transpose(1, 0, 2).reshape(shape)
        )
    if (split := _split_around(lhs, lf, lc)) and not _copied(rhs, rf, rc):
        second, batches = _matrix(rhs, rf, rc), (split[0], _size(lhs, lc), split[1])
        return lambda a, b: np.matmul(_blas_ready(a.reshape(batches)).transpose(0, 2, 1), second(b).T).reshape(shape)
    return None


def _split_around(shape: tuple[int, ...], free: tuple[int, ...], contract: tuple[int, ...]) -> tuple[int, int] | None:
    """The sizes before and behind contracted axes that stand together, in order, inside of the free ones; else None."""
    start = contract[0]
    if contract != tuple(range(start, start + len(contract))):
        return None
    before, behind = _size(shape, free[:start]), _size(shape, free[start:])
    return (before, behind) if before > 1 and behind > 1 else None


def _batched_plan(lhs: tuple, rhs: tuple, left: tuple, right: tuple, shape: tuple) -> Callable[[Any, Any], Any]:
    (lb, lf, lc), (rb, rf, rc) = left, right
    batch = tuple([lhs[i] for i in lb])
    m, k, n = _size(lhs, lf), _size(lhs, lc), _size(rhs, rf)
    first = _arranger(lhs, (*lb, *lf, *lc), (*batch, m, k))
    second = _arranger(rhs, (*rb, *rc, *rf), (*batch, k, n))
    if k == 1:
        return lambda a, b: np.multiply(first(a), second(b)).reshape(shape)
    if (*batch, m, n) == shape:
        return lambda a, b: np.matmul(_blas_ready(first(a)), _blas_ready(second(b)))
    return lambda a, b: np.matmul(_blas_ready(first(a)), _blas_ready(second(b))).reshape(shape)


def _blas_ready(x: Any) -> Any:
    """`x`, or a copy where neither of the last two axes is contiguous: NumPy would multiply such matrices without BLAS."""
    rows, columns = x.shape[-2:]
    across, along = x.strides[-2:]
    item = x.itemsize
    if (along == item and across >= columns * item) or (across == item and along >= rows * item):
        return x
    return np.ascontiguousarray(x)


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
    return size_of([shape[i] for i in axes])


# ------------------------------------------------------------------ types


def _result_shape(lhs: tuple[int, ...], rhs: tuple[int, ...], dimension_numbers: DimensionNumbers) -> tuple[int, ...]:
    (lc, rc), (lb, rb) = dimension_numbers
    for name, shape, axes in (("lhs", lhs, lc + lb), ("rhs", rhs, rc + rb)):
        if len(set(axes)) != len(axes) or not all([0 <= a < len(shape) for a in axes]):
            raise ShapeError(
                f"[dot_general] expected different axes of {name}, of shape {shape}, in dimension_numbers, got {axes}. "
                "They are ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch))."
            )
    if dimension_numbers == _BY_RANK.get((len(lhs), len(rhs))) and lhs[-1] != rhs[0]:
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
    na, nb = len(lhs), len(rhs)
    inner = rhs[max(nb - 2, 0)]
    fixes = []
    if nb == 2 and lhs[-1] == rhs[-1]:
        fixes.append("a @ b.T")
    if na == 2 and lhs[0] == inner:
        fixes.append("a.T @ b")
    if not fixes and na == nb == 2 and lhs[0] == rhs[1]:
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
        return np.result_type(lhs, rhs)
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
    if lhs.dtype.char in _HALVES:
        return f"{cg.const(functools.partial(_dot_general_impl, dimension_numbers=numbers), 'dot_general')}({a}, {b})"
    if lhs.ndim == 2 and rhs.ndim == 2 and numbers in _TRANSPOSED:
        transpose_lhs, transpose_rhs = _TRANSPOSED[numbers]
        return f"{a}{'.T' if transpose_lhs else ''}.dot({b}{'.T' if transpose_rhs else ''})"
    if numbers == _BY_RANK.get((lhs.ndim, rhs.ndim)):
        return f"{a}.dot({b})"
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


def _checked_preferred(natural: np.dtype, preferred: Any) -> np.dtype:
    """`preferred_element_type` as a dtype; raises where a product of the natural dtype would lose its fraction, sign or imaginary part."""
    preferred = as_np_dtype(preferred)
    real_floats = is_float(natural) and is_float(preferred) and natural.kind != "c"
    if not real_floats and not np.can_cast(natural, preferred, "same_kind"):
        raise DTypeError(
            f"[dot_general] expected a preferred_element_type that can hold {natural.name}, got {preferred.name}. "
            f"Convert the result with .astype({preferred.name!r}) if that is meant."
        )
    return preferred


def _in_dtype(lhs: Any, rhs: Any, numbers: DimensionNumbers, preferred: Any) -> Any:
    if preferred is None:
        return dot_general_p.bind(lhs, rhs, dimension_numbers=numbers)
    natural = _result_dtype(dtype_of(lhs), dtype_of(rhs))
    preferred = _checked_preferred(natural, preferred)
    wide = np.promote_types(natural, preferred)
    if wide != natural:
        lhs, rhs = convert(lhs, wide), convert(rhs, wide)
    return convert(dot_general_p.bind(lhs, rhs, dimension_numbers=numbers), preferred)


_BY_RANK: dict[tuple[int, int], DimensionNumbers] = {(2, 2): _NN, (2, 1): _NN, (1, 1): _TN, (1, 2): _TN}  # a @ b


def matmul(a: Any, b: Any, *, preferred_element_type: Any = None, precision: Any = None) -> Any:
    """The matrix product with NumPy's rules: a vector stands for a row on the left and a column on the right, leading axes broadcast.

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
    numbers = _BY_RANK.get((len(left), len(right)))
    if numbers is not None:
        return _in_dtype(a, b, numbers, preferred_element_type)
    shape_a, shape_b, numbers, permutation = _matmul_plan(left, right)
    out = _in_dtype(reshape(a, shape_a), reshape(b, shape_b), numbers, preferred_element_type)
    return out if permutation is None else transpose(out, permutation)


@functools.lru_cache(maxsize=4096)
def _matmul_plan(left: tuple[int, ...], right: tuple[int, ...]) -> tuple:
    """(shape of a, shape of b, dimension numbers, permutation of the result or None).

    Leading axes of equal length become batch axes; one that only one operand has becomes a free axis, so it costs no copies.
    """
    na, nb = len(left), len(right)
    if not na or not nb:
        raise ShapeError(
            f"[matmul] expected arrays with at least one axis, got shapes {left} and {right}. Multiply scalars with *."
        )
    if left[-1] != (right[-2] if nb > 1 else right[0]):
        raise ShapeError(inner_mismatch(left, right))
    if nb <= 2:
        return left, right, (((na - 1,), (0,)), ((), ())), None
    if na == 1:
        return left, right, (((0,), (nb - 2,)), ((), ())), None
    lead = max(na, nb) - 2
    la, lb = (1,) * (lead + 2 - na) + left[:-2], (1,) * (lead + 2 - nb) + right[:-2]
    if any([n != m and n != 1 and m != 1 for n, m in zip(la, lb)]):
        raise ShapeError(
            f"[matmul] expected leading axes that broadcast together, got {left} @ {right}. Each pair must be equal or contain a 1."
        )
    shared = [i for i in range(lead) if la[i] == lb[i]]
    of_a, of_b = (
        [i for i in range(lead) if la[i] != lb[i] and lb[i] == 1],
        [i for i in range(lead) if la[i] != lb[i] and la[i] == 1],
    )
    axes_a, axes_b = sorted(shared + of_a), sorted(shared + of_b)
    numbers = (
        ((len(axes_a) + 1,), (len(axes_b),)),
        (tuple([axes_a.index(i) for i in shared]), tuple([axes_b.index(i) for i in shared])),
    )
    result = [*shared, *of_a, lead, *of_b, lead + 1]  # which axis of the product each axis of dot_general's result is
    permutation = tuple([result.index(i) for i in range(lead + 2)])
    return (
        (*[la[i] for i in axes_a], *left[-2:]),
        (*[lb[i] for i in axes_b], *right[-2:]),
        numbers,
        None if permutation == tuple(range(lead + 2)) else permutation,
    )


def dot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """`np.dot`: products of vectors and matrices, multiplication by scalars, else the sum over the last axis of a and the last but one of b.

    >>> dot(np.ones(3), np.ones(3))
    np.float64(3.0)
    """
    numbers = _BY_RANK.get((getattr(a, "ndim", 0), getattr(b, "ndim", 0)))
    if numbers is not None:
        return _in_dtype(arr(a), arr(b), numbers, preferred_element_type)
    left, right = shape_of(a), shape_of(b)
    if not left or not right:
        out = mul(a, b)
        if preferred_element_type is None:
            return out
        return convert(out, _checked_preferred(dtype_of(out), preferred_element_type))
    contract = max(len(right) - 2, 0)
    if left[-1] != right[contract]:
        raise ShapeError(inner_mismatch(left, right, "dot"))
    numbers = (((len(left) - 1,), (contract,)), ((), ()))
    return _in_dtype(arr(a), arr(b), numbers, preferred_element_type)


def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The sum of products of all elements, those of `a` conjugated.

    >>> vdot(np.array([1j]), np.array([1j]))
    np.complex128(1+0j)
    """
    a, b = ravel(a), ravel(b)
    return dot(conj(a) if dtype_of(a).kind == "c" else a, b, preferred_element_type=preferred_element_type)


def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The sum over the last axes of both.

    >>> inner(np.ones((2, 3)), np.ones((4, 3))).shape
    (2, 4)
    """
    left, right = shape_of(a), shape_of(b)
    if not left or not right:
        return dot(a, b, preferred_element_type=preferred_element_type)
    numbers = (((len(left) - 1,), (len(right) - 1,)), ((), ()))
    return _in_dtype(arr(a), arr(b), numbers, preferred_element_type)


def outer(a: Any, b: Any) -> Any:
    """Every element of `a` times every element of `b`, both raveled.

    >>> outer(np.array([1, 2]), np.array([3, 4]))
    array([[3, 4],
           [6, 8]])
    """
    return dot_general_p.bind(ravel(a), ravel(b), dimension_numbers=(((), ()), ((), ())))


def tensordot(a: Any, b: Any, axes: Any = 2, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The product summed over pairs of axes.

    Args:
      a, b: arrays.
      axes: a number n (the last n axes of a with the first n of b), or a pair of axes or of sequences of axes.

    Raises:
      ShapeError: paired axes differ in length.

    >>> tensordot(np.ones((2, 3, 4)), np.ones((4, 3, 5)), axes=([1, 2], [1, 0])).shape
    (2, 5)
    """
    a, b = arr(a), arr(b)
    na, nb = len(shape_of(a)), len(shape_of(b))
    if isinstance(axes, (int, np.integer)):
        if not 0 <= axes <= min(na, nb):
            raise AxisError(
                f"[tensordot] expected axes between 0 and {min(na, nb)}, got {axes} for shapes {shape_of(a)} and {shape_of(b)}."
            )
        left, right = range(na - axes, na), range(axes)
    else:
        left, right = [as_shape(x) for x in axes]
    lc, rc = tuple([as_axis(i, na, "tensordot") for i in left]), tuple([as_axis(i, nb, "tensordot") for i in right])
    return _in_dtype(a, b, ((lc, rc), ((), ())), preferred_element_type)


def kron(a: Any, b: Any) -> Any:
    """The Kronecker product: every element of `a` times the whole of `b`, as blocks.

    >>> kron(np.array([1, 10]), np.array([1, 2]))
    array([ 1,  2, 10, 20])
    """
    a, b = arr(a), arr(b)
    ndim = max(len(shape_of(a)), len(shape_of(b)))
    left, right = [(1,) * (ndim - len(shape_of(x))) + shape_of(x) for x in (a, b)]
    wide_a, wide_b = [n for m in left for n in (m, 1)], [n for m in right for n in (1, m)]
    return reshape(
        mul(reshape(a, tuple(wide_a)), reshape(b, tuple(wide_b))), tuple([n * m for n, m in zip(left, right)])
    )
