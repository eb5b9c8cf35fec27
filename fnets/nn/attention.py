"""Scaled dot-product attention and its masks. May import primitives, fnets.numpy, the package's rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnets.numpy as fnp
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.nn.activations import as_float
from fnets.numpy.arguments import to_array
from fnets.primitives import elementwise as ew
from fnets.primitives import softmax as primitives
from fnets.primitives.base import convert

_OP = "dot_product_attention"


def _four_axes(x: Any) -> Any:
    missing = 4 - len(shape_of(x))
    return fnp.expand_dims(x, tuple(range(missing))) if missing > 0 else x


def _check(query: Any, key: Any, value: Any) -> None:
    q, k, v = shape_of(query), shape_of(key), shape_of(value)
    if not len(q) == len(k) == len(v) == 4 or k != v or q[0] != k[0] or q[3] != k[3]:
        raise ShapeError(
            f"[{_OP}] expected query (B, T, N, H) and key and value (B, S, K, H), got {q}, {k} and {v}. Move the heads behind the positions."
        )
    if q[2] % k[2]:
        raise ShapeError(
            f"[{_OP}] expected the query's heads to be a multiple of the key's, got {q[2]} and {k[2]}. Each group of them shares one key head."
        )
    if not dtype_of(query) == dtype_of(key) == dtype_of(value):
        raise DTypeError(
            f"[{_OP}] expected query, key and value of one dtype, got {dtype_of(query)}, {dtype_of(key)} and {dtype_of(value)}."
        )


def _grouped(x: Any, groups: int) -> Any:
    """A bias or mask (B, N, T, S) with its heads split like those of the query: (B, K, G, T, S)."""
    b, n, t, s = shape_of(x)
    return fnp.reshape(x, (b, 1, 1, t, s) if n == 1 else (b, n // groups, groups, t, s))


def _window_mask(t: int, s: int, window: int | tuple[int, int]) -> np.ndarray:
    left, right = (window, window) if isinstance(window, int) else window
    distance = np.arange(t)[:, None] - np.arange(s)
    return (distance <= left) & (distance >= -right)


def _mask(shape: tuple[int, ...], mask: Any, causal: bool, window: Any, q_lengths: Any, kv_lengths: Any) -> Any:
    """Which pairs of query and key count, to broadcast against (B, K, G, T, S); None if all do."""
    t, s = shape[-2:]
    parts = [] if mask is None else [mask]
    if causal:
        parts.append(np.tri(t, s, dtype=bool))
    if window is not None:
        parts.append(_window_mask(t, s, window))
    if q_lengths is not None:
        parts.append(ew.lt(np.arange(t)[:, None], fnp.reshape(q_lengths, (-1, 1, 1, 1, 1))))
    if kv_lengths is not None:
        parts.append(ew.lt(np.arange(s), fnp.reshape(kv_lengths, (-1, 1, 1, 1, 1))))
    out = None
    for part in parts:
        out = part if out is None else ew.logical_and(out, part)
    return out


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    query_seq_lengths: Any = None,
    key_value_seq_lengths: Any = None,
    local_window_size: int | tuple[int, int] | None = None,
    implementation: str | None = None,
    return_residual: bool = False,
) -> Any:
    """softmax(query @ key.T * scale + bias) @ value for every head (Vaswani et al., 2017), as `jax.nn.dot_product_attention`.

    Args:
      query: (B, T, N, H) or (T, N, H): batch, positions, heads, features.
      key, value: (B, S, K, H) or (S, K, H). With K < N, N / K heads of the query share one of the key (grouped-query attention).
      bias: added to the logits, to broadcast against (B, N, T, S).
      mask: boolean, to broadcast against (B, N, T, S); False leaves a pair out.
      scale: of the logits; by default 1 / sqrt(H).
      is_causal: position t sees positions up to t alone.
      query_seq_lengths, key_value_seq_lengths: int (B,); positions beyond are padding.
      local_window_size: how far a position sees to the left and to the right.
      implementation: None or "xla", which are the same here.
      return_residual: also return the logsumexp of the logits, (B, T, N).

    Returns:
      An array of the query's shape and dtype; zeros at padded positions of the query.

    Raises:
      ShapeError, DTypeError: operands that don't go together.

    >>> x = fnp.ones((2, 5, 3, 4))
    >>> dot_product_attention(x, x, x, is_causal=True).shape
    (2, 5, 3, 4)
    """
    if implementation not in (None, "xla"):
        raise ArgumentError(f"[{_OP}] expected implementation None or 'xla', got {implementation!r}.")
    shape = shape_of(to_array(query))
    query, key, value = (_four_axes(as_float(x)) for x in (query, key, value))
    _check(query, key, value)
    b, t, n, h = shape_of(query)
    heads = shape_of(key)[2]
    groups = n // heads
    dtype = dtype_of(query)
    wide = np.dtype("float32") if dtype.itemsize < 4 else dtype
    scale = 1 / math.sqrt(h) if scale is None else scale
    q = fnp.reshape(ew.mul(query, scale), (b, t, heads, groups, h))
    logits = convert(fnp.einsum("btkgh,bskh->bkgts", q, key), wide)
    if bias is not None:
        logits = ew.add(logits, convert(_grouped(_four_axes(to_array(bias)), groups), wide))
    if mask is not None:
        mask = to_array(mask)
        if dtype_of(mask) != np.bool_:
            raise DTypeError(
                f"[{_OP}] expected a boolean mask, got {dtype_of(mask).name}. Pass an additive one as bias."
            )
        mask = _grouped(_four_axes(mask), groups)
    counted = _mask(shape_of(logits), mask, is_causal, local_window_size, query_seq_lengths, key_value_seq_lengths)
    if counted is not None:  # a large number instead of infinity: a row that is masked as a whole stays finite
        logits = ew.select(counted, logits, wide.type(-1e-3 * math.sqrt(np.finfo(wide).max)))
    weights = convert(primitives.softmax(logits, -1), dtype)
    out = fnp.einsum("bkgts,bskh->btkgh", weights, value)
    if query_seq_lengths is not None:
        out = ew.select(
            ew.lt(np.arange(t)[:, None, None, None], fnp.reshape(query_seq_lengths, (-1, 1, 1, 1, 1))),
            out,
            dtype.type(0),
        )
    out = fnp.reshape(out, shape)
    if not return_residual:
        return out
    residual = fnp.transpose(primitives.logsumexp(logits, -1), (0, 3, 1, 2))
    return out, convert(fnp.reshape(residual, shape[:-1]), dtype)


def make_causal_mask(length: int) -> np.ndarray:
    """The mask of causal self-attention, (1, 1, length, length), for `dot_product_attention(mask=...)`.

    >>> make_causal_mask(2)[0, 0]
    array([[ True, False],
           [ True,  True]])
    """
    return np.tri(length, length, dtype=bool)[None, None]
