"""Einstein summation over `dot_general`: parsing, a plan of pairwise contractions, running it. May import base, shape, diagonals, linear_algebra.

An operand's axes get labels: letters, and -1, -2, ... (from the right) for the axes that an ellipsis stands for. From the labels and
shapes a plan is made once and remembered: diagonals for repeated labels, sums of labels that occur once, then products of two operands at
a time, always the pair that leaves the least to do.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.primitives.base import arr, convert, reduce_sum, reshape, transpose
from fnets.primitives.diagonals import diagonal
from fnets.primitives.linear_algebra import dot_general_p
from fnets.primitives.reduce import size_of

Labels = tuple[Any, ...]
Step = tuple[Any, ...]


def einsum(
    *operands: Any, optimize: Any = True, precision: Any = None, preferred_element_type: Any = None, dtype: Any = None
) -> Any:
    """Sums of products of array elements in Einstein's notation; all of `np.einsum`'s forms.

    Args:
      operands: `"ij,jk->ik", a, b`, or `a, [0, 1], b, [1, 2], [0, 2]`. Without `->` (or a last list) the result has the labels that
        occur once, in alphabetical order. `...` stands for further axes, which broadcast. A label repeated in one operand takes its
        diagonal; an axis of length 1 broadcasts.
      optimize: accepted and ignored: the order of contraction is always chosen greedily.
      precision: accepted and ignored.
      preferred_element_type, dtype: dtype to compute in, if wider, and of the result; by default the operands' promoted one.

    Raises:
      ArgumentError: the subscripts are not well formed, or do not fit the number of operands.
      ShapeError: the subscripts do not fit the shapes.

    >>> einsum("ij,jk->ik", np.ones((2, 3)), np.ones((3, 4))).shape
    (2, 4)
    >>> einsum("ii", np.arange(9).reshape(3, 3))
    np.int64(12)
    """
    if not operands:
        raise ArgumentError("[einsum] expected subscripts and operands, got nothing. Write einsum('ij,jk->ik', a, b).")
    if isinstance(operands[0], str):
        subscripts, arrays = operands[0], [arr(x) for x in operands[1:]]
    else:
        subscripts, arrays = _from_lists(operands)
    wanted = preferred_element_type if dtype is None else dtype
    result = np.result_type(*map(dtype_of, arrays)) if arrays else None
    if wanted is not None:
        wide = np.promote_types(result, wanted)
        arrays = [convert(x, wide) for x in arrays]
        result = np.dtype(wanted)
    for step, *args in plan(subscripts, tuple([shape_of(x) for x in arrays])):
        _STEPS[step](arrays, *args)
    return convert(arrays[0], result)


# ------------------------------------------------------------------ parsing


def _from_lists(operands: Sequence[Any]) -> tuple[str, list]:
    """The form `a, [0, 1], b, [1, 2], [0, 2]` as a string and arrays."""
    pairs, rest = operands[: len(operands) // 2 * 2], operands[len(operands) // 2 * 2 :]
    arrays, lists = [arr(x) for x in pairs[::2]], pairs[1::2]

    def letters(labels: Any) -> str:
        try:
            return "".join(["..." if k is Ellipsis else _LETTERS[k] for k in labels])
        except (TypeError, IndexError):
            raise ArgumentError(
                f"[einsum] expected lists of integers below {len(_LETTERS)} and Ellipsis after each operand, got {labels!r}. "
                "Write einsum(a, [0, 1], b, [1, 2], [0, 2]) or einsum('ij,jk->ik', a, b)."
            ) from None

    return ",".join(map(letters, lists)) + ("->" + letters(rest[0]) if rest else ""), arrays


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _fail(subscripts: str, expected: str, got: str) -> None:
    raise ArgumentError(
        f"[einsum] expected {expected} in '{subscripts}', got {got}. Write for example einsum('ij,jk->ik', a, b)."
    )


def _terms(subscripts: str, count: int) -> tuple[list[str], str | None]:
    """The operands' terms and the result's (None if implicit), an ellipsis as a single '.'."""
    text = subscripts.replace(" ", "").replace("...", ".")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != count:
        _fail(subscripts, f"one comma-separated term for each of {count} operands", str(len(terms)))
    for term in [*terms, output]:
        for c in term:
            if c != "." and c not in _LETTERS:
                _fail(subscripts, "letters, ',', '->' and '...'", repr(c))
        if term.count(".") > 1:
            _fail(subscripts, "at most one '...' in a term", repr(term.replace(".", "...")))
    return terms, output if arrow else None


def parse(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[list[Labels], Labels]:
    """The labels of every operand's axes, and of the result's.

    >>> parse("...ij,jk", ((5, 2, 3), (3, 4)))
    ([(-1, 'i', 'j'), ('j', 'k')], (-1, 'i', 'k'))
    """
    terms, output = _terms(subscripts, len(shapes))
    inputs = []
    widest = 0
    for term, shape in zip(terms, shapes):
        hidden = len(shape) - len(term) + 1 if "." in term else 0
        if hidden < 0 or ("." not in term and len(term) != len(shape)):
            raise ShapeError(
                f"[einsum] expected an operand with {len(term.replace('.', ''))} axes for the term '{term.replace('.', '...')}' of "
                f"'{subscripts}', got shape {shape}. Name every axis, or write '...' for the others."
            )
        widest = max(widest, hidden)
        inputs.append(tuple([k for c in term for k in (range(-hidden, 0) if c == "." else [c])]))
    hidden_labels = tuple(range(-widest, 0))
    counts = Counter(itertools.chain.from_iterable(inputs))
    if output is None:
        return inputs, (*hidden_labels, *sorted([k for k, n in counts.items() if n == 1 and isinstance(k, str)]))
    if "." not in output and widest:
        _fail(subscripts, "'...' in the result, as it stands for axes of an operand", repr(output))
    out = tuple([k for c in output for k in (hidden_labels if c == "." else [c])])
    for k in out:
        if out.count(k) > 1 or k not in counts:
            _fail(subscripts, "every label of the result once there and in some operand", repr(k))
    return inputs, out


# ------------------------------------------------------------------ planning


@functools.lru_cache(maxsize=4096)
def plan(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[Step, ...]:
    """The steps of an einsum: (name, arguments) of functions on the list of operands, of which the result is the only one left."""
    inputs, output = parse(subscripts, shapes)
    steps: list[Step] = []
    sizes: dict[Any, int] = {}
    for labels, shape in zip(inputs, shapes):
        for k, n in zip(labels, shape):
            known = sizes.setdefault(k, n)
            if known == 1:
                sizes[k] = n
            elif n not in (1, known):
                raise ShapeError(
                    f"[einsum] expected axes of one length for label {k if isinstance(k, str) else '...'!r} of '{subscripts}', "
                    f"got {known} and {n} in shapes {', '.join(map(str, shapes))}."
                )
    terms = [
        _prepare(i, labels, shape, sizes, subscripts, steps) for i, (labels, shape) in enumerate(zip(inputs, shapes))
    ]
    while len(terms) > 1:
        i, j = _best_pair(terms, sizes, output)
        rest = [t for k, t in enumerate(terms) if k not in (i, j)]
        needed = set(output).union(*rest)
        left, right = [_sum_out(k, terms[k], needed.union(terms[i + j - k]), steps) for k in (i, j)]
        batch = [k for k in left if k in right and k in needed]
        contract = [k for k in left if k in right and k not in needed]
        product = _product_labels(left, right, batch, contract)
        flipped = _product_labels(right, left, batch, contract)
        if not rest and flipped == output != product:
            i, j, left, right, product = j, i, right, left, flipped
        numbers = tuple([tuple([tuple([t.index(k) for k in ks]) for t in (left, right)]) for ks in (contract, batch)])
        steps.append(("product", i, j, numbers))
        terms = [*rest, product]
    last = _sum_out(0, terms[0], set(output), steps)
    if last != output:
        steps.append(("transpose", tuple([last.index(k) for k in output])))
    return tuple(steps)


def _prepare(i: int, labels: Labels, shape: tuple[int, ...], sizes: dict, subscripts: str, steps: list[Step]) -> Labels:
    """Diagonals of repeated labels, and no axes of length 1 that broadcast against longer ones."""
    names, lengths = list(labels), list(shape)
    for k in [k for k, n in Counter(names).items() for _ in range(n - 1)]:
        first = names.index(k)
        second = names.index(k, first + 1)
        n = lengths[first]
        if n != lengths[second]:
            raise ShapeError(
                f"[einsum] expected axes of one length for the repeated label {k!r} of '{subscripts}', got {n} and "
                f"{lengths[second]} in shape {shape}."
            )
        steps.append(("diagonal", i, first, second))
        for axis in (second, first):
            del names[axis], lengths[axis]
        names.append(k)
        lengths.append(n)
    keep = [a for a, k in enumerate(names) if lengths[a] == sizes[k]]
    if len(keep) < len(names):
        steps.append(("reshape", i, tuple([lengths[a] for a in keep])))
    return tuple([names[a] for a in keep])


def _sum_out(i: int, labels: Labels, needed: set, steps: list[Step]) -> Labels:
    """Sum an operand over the labels that nothing else needs."""
    axes = tuple([a for a, k in enumerate(labels) if k not in needed])
    if axes:
        steps.append(("sum", i, axes))
    return tuple([k for k in labels if k in needed])


def _product_labels(left: Labels, right: Labels, batch: list, contract: list) -> Labels:
    """The labels of a product's axes, in `dot_general`'s order."""
    both = [*batch, *contract]
    return (*batch, *[k for k in left if k not in both], *[k for k in right if k not in both])


def _best_pair(terms: list[Labels], sizes: dict, output: Labels) -> tuple[int, int]:
    """The pair whose product removes most elements (then: costs the fewest multiplications), as np.einsum_path's greedy does."""
    if len(terms) == 2:
        return 0, 1

    def score(pair: tuple[int, int]) -> tuple[int, int]:
        i, j = pair
        both = set(terms[i]) | set(terms[j])
        needed = set(output).union(*[t for k, t in enumerate(terms) if k not in pair])
        size = [size_of([sizes[k] for k in ks]) for ks in (both & needed, terms[i], terms[j], both)]
        return size[0] - size[1] - size[2], size[3]

    pairs = list(itertools.combinations(range(len(terms)), 2))
    sharing = [(i, j) for i, j in pairs if set(terms[i]) & set(terms[j])]
    return min(sharing or pairs, key=score)


# ------------------------------------------------------------------ running a plan


def _product(arrays: list, i: int, j: int, numbers: Any) -> None:
    out = dot_general_p.bind(arrays[i], arrays[j], dimension_numbers=numbers)
    for k in sorted((i, j), reverse=True):
        del arrays[k]
    arrays.append(out)


def _diagonal_step(arrays: list, i: int, first: int, second: int) -> None:
    arrays[i] = diagonal(arrays[i], 0, first, second)


def _sum_step(arrays: list, i: int, axes: tuple[int, ...]) -> None:
    # dtypes stay as they are, as in np.einsum: sums of small integers wrap, of booleans are "or"
    arrays[i] = convert(reduce_sum(arrays[i], axes), dtype_of(arrays[i]))


def _reshape_step(arrays: list, i: int, shape: tuple[int, ...]) -> None:
    arrays[i] = reshape(arrays[i], shape)


def _transpose_step(arrays: list, permutation: tuple[int, ...]) -> None:
    arrays[0] = transpose(arrays[0], permutation)


_STEPS = {
    "product": _product,
    "diagonal": _diagonal_step,
    "sum": _sum_step,
    "reshape": _reshape_step,
    "transpose": _transpose_step,
}
