"""Connectionist temporal classification. May import control.scan, the losses' arguments, the package's rows."""

from __future__ import annotations

from typing import Any

import fnets.numpy as fnp
from fnets.control.scan import scan
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ShapeError
from fnets.nn.losses.arguments import floats, same_shape
from fnets.nn.rows import log_softmax, one_hot
from fnets.numpy.arguments import to_array
from fnets.primitives import elementwise as ew
from fnets.primitives.base import convert


def ctc_loss_with_forward_probs(
    logits: Any, logit_paddings: Any, labels: Any, label_paddings: Any, *, blank_id: int = 0, log_epsilon: Any = -1e5
) -> tuple[Any, Any, Any]:
    """`ctc_loss`, with the forward variables of its dynamic program.

    Args:
      logits, logit_paddings, labels, label_paddings, blank_id, log_epsilon: as in `ctc_loss`.

    Returns:
      (loss, phi, emit): one loss an example; log probabilities of having emitted n labels with a blank last, (frames, batch, labels + 1); and with
      the n-th label last, (frames, batch, labels).

    >>> loss, phi, emit = ctc_loss_with_forward_probs(fnp.zeros((1, 2, 3)), fnp.zeros((1, 2)), fnp.array([[1]]), fnp.zeros((1, 1)))
    >>> phi.shape, emit.shape
    ((2, 1, 2), (2, 1, 1))
    """
    op = "ctc_loss"
    logits, labels = floats(op, "logits", logits), to_array(labels)
    dtype = dtype_of(logits)
    logit_paddings, label_paddings = (convert(to_array(p), dtype) for p in (logit_paddings, label_paddings))
    _check(op, logits, logit_paddings, labels, label_paddings)
    batch, _, classes = shape_of(logits)
    longest = shape_of(labels)[1]

    log_p = log_softmax(logits)
    blank = fnp.transpose(log_p[:, :, blank_id : blank_id + 1], (1, 0, 2))  # (frames, batch, 1)
    emitted = fnp.einsum("btk,bnk->tbn", log_p, one_hot(labels, classes, dtype=dtype))
    # two equal labels in a row need a blank between them
    repeat = fnp.pad(convert(ew.eq(labels[:, :-1], labels[:, 1:]), dtype), ((0, 0), (0, 1)))
    forbidden, needed = ew.mul(log_epsilon, repeat), ew.mul(log_epsilon, ew.sub(1, repeat))

    def add_to(phi: Any, score: Any) -> Any:
        return fnp.concatenate([phi[:, :1], ew.logaddexp(phi[:, 1:], score)], axis=-1)

    def frame(carry: tuple, x: tuple) -> tuple:
        phi, emit = carry
        log_emit, log_blank, pad = x
        before = add_to(phi, ew.add(emit, forbidden))
        new_emit = ew.logaddexp(ew.add(before[:, :-1], log_emit), ew.add(emit, log_emit))
        new_phi = add_to(ew.add(before, log_blank), ew.add(ew.add(emit, log_blank), needed))
        pad = pad[:, None]
        keep = ew.sub(1, pad)
        new_emit = ew.add(ew.mul(pad, emit), ew.mul(keep, new_emit))
        new_phi = ew.add(ew.mul(pad, phi), ew.mul(keep, new_phi))
        return (new_phi, new_emit), (new_phi, new_emit)

    start_phi = fnp.concatenate([fnp.zeros((batch, 1), dtype), fnp.full((batch, longest), log_epsilon, dtype)], axis=1)
    start = (start_phi, fnp.full((batch, longest), log_epsilon, dtype))
    _, (phi, emit) = scan(frame, start, (emitted, blank, fnp.transpose(logit_paddings, (1, 0))))
    last = add_to(phi[-1], emit[-1])
    lengths = ew.sub(longest, convert(fnp.sum(label_paddings, axis=1), "int32"))
    loss = ew.neg(fnp.sum(ew.mul(last, one_hot(lengths, longest + 1, dtype=dtype)), axis=-1))
    return loss, fnp.concatenate([phi[:-1], last[None]], axis=0), emit


def _check(op: str, logits: Any, logit_paddings: Any, labels: Any, label_paddings: Any) -> None:
    if len(shape_of(logits)) != 3 or len(shape_of(labels)) != 2:
        raise ShapeError(
            f"[{op}] expected logits (batch, frames, classes) and labels (batch, labels), got shapes {shape_of(logits)} and {shape_of(labels)}. "
            "Add a batch axis with x[None]."
        )
    same_shape(op, "labels and label_paddings", labels, label_paddings)
    same_shape(op, "logit_paddings and the first two axes of logits", logit_paddings, logits[..., 0])
    if shape_of(labels)[0] != shape_of(logits)[0]:
        raise ShapeError(
            f"[{op}] expected logits and labels of one batch size, got {shape_of(logits)[0]} and {shape_of(labels)[0]}."
        )


def ctc_loss(
    logits: Any, logit_paddings: Any, labels: Any, label_paddings: Any, *, blank_id: int = 0, log_epsilon: Any = -1e5
) -> Any:
    """Minus the log probability of a label sequence, over all its alignments with the frames (Graves et al., 2006).

    Args:
      logits: float array (batch, frames, classes).
      logit_paddings: 1 where a frame is padding, else 0; (batch, frames).
      labels: integer array (batch, labels), padded on the right.
      label_paddings: 1 where a label is padding, else 0; (batch, labels).
      blank_id: the class that stands for no label.
      log_epsilon: stands for log(0).

    Returns:
      One loss an example, shape (batch,).

    Raises:
      ShapeError: shapes that don't go together.

    >>> ctc_loss(fnp.zeros((1, 1, 2)), fnp.zeros((1, 1)), fnp.array([[1]]), fnp.zeros((1, 1))).round(3)
    array([0.693], dtype=float32)
    """
    loss, _, _ = ctc_loss_with_forward_probs(
        logits, logit_paddings, labels, label_paddings, blank_id=blank_id, log_epsilon=log_epsilon
    )
    return loss
