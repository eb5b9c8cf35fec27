"""Batches of a data set, shuffled anew each epoch and resumable. Lives here: `iterator`. May import fnets.data.dataset
and fnets.errors."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fnets.data.dataset import Dataset
from fnets.errors import ArgumentError, DataError

Batch = tuple[np.ndarray, ...]


class BatchIterator:
    """What `iterator` returns: each `iter()` is one epoch, `len` is the number of batches in it.

    >>> batches = iterator(Dataset(x=np.arange(5)), batch_size=2)
    >>> len(batches), [x.tolist() for (x,) in batches]
    (3, [[0, 1], [2, 3], [4]])
    """

    def __init__(
        self, arrays: tuple[np.ndarray, ...], batch_size: int, shuffle: bool, seed: int, drop_last: bool, prefetch: int
    ):
        self._arrays = arrays
        self._size = len(arrays[0])
        self.batch_size, self.shuffle, self.seed, self.drop_last, self.prefetch = (
            batch_size,
            shuffle,
            seed,
            drop_last,
            prefetch,
        )
        self._next = self._reached = (0, 0)  # (epoch, batches of it): where the next iter() starts; what was delivered

    def __len__(self) -> int:
        return self._size // self.batch_size if self.drop_last else -(-self._size // self.batch_size)

    def __repr__(self) -> str:
        return (
            f"BatchIterator({self._size} examples, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"seed={self.seed}, drop_last={self.drop_last}, epoch={self.epoch}, position={self.position})"
        )

    @property
    def epoch(self) -> int:
        """The epoch under way, or the next one when the last is complete."""
        return self._reached[0]

    @property
    def position(self) -> int:
        """How many batches of `epoch` have been delivered."""
        return self._reached[1]

    def __iter__(self) -> Iterator[Batch]:
        # The epoch is taken here, not at the first next(), so that two iterations side by side are two epochs.
        epoch, position = self._next
        self._next, self._reached = (epoch + 1, 0), (epoch, position)
        return self._run(epoch, position)

    def _run(self, epoch: int, position: int) -> Iterator[Batch]:
        pieces = self._pieces(epoch, position)
        for batch in map(self._batch, pieces) if not self.prefetch else _ahead(self._batch, pieces, self.prefetch):
            position += 1
            self._reached = (epoch, position) if position < len(self) else (epoch + 1, 0)
            yield batch

    def _pieces(self, epoch: int, position: int) -> Iterator[Any]:
        """What to take for each batch: indices when shuffled, else slices."""
        order = self.order(epoch) if self.shuffle else None
        for start in range(position * self.batch_size, len(self) * self.batch_size, self.batch_size):
            piece = slice(start, start + self.batch_size)
            yield piece if order is None else order[piece]

    def _batch(self, piece: Any) -> Batch:
        if isinstance(piece, slice):
            return tuple([array[piece] for array in self._arrays])
        return tuple([array.take(piece, 0) for array in self._arrays])

    def order(self, epoch: int) -> np.ndarray:
        """The order of the examples in an epoch when shuffled: an int64 array, a pure function of seed and epoch."""
        # Sorted raw words of a named bit generator: NumPy promises that stream for good, that of
        # Generator.permutation it does not.
        words = np.random.Philox(np.random.SeedSequence(self.seed, spawn_key=(epoch,))).random_raw(self._size)
        return words.argsort(kind="stable")

    def state(self) -> dict[str, int | bool]:
        """Where the iteration stands, as a small dictionary fit for JSON; hand it to `restore` to go on from there."""
        return {"epoch": self.epoch, "position": self.position, **self._identity()}

    def _identity(self) -> dict[str, int | bool]:
        same = {"seed": self.seed, "size": self._size, "batch_size": self.batch_size}
        return {**same, "shuffle": self.shuffle, "drop_last": self.drop_last}

    def restore(self, state: dict[str, Any]) -> BatchIterator:
        """Let the next `iter()` go on exactly where `state()` was taken, within the epoch; `epoch` then tells which it
        is.

        Raises:
            DataError: when the state is of an iterator with another seed, size or setting, or is no state at all.
        """
        expected = self._identity()
        if not isinstance(state, dict) or set(state) != {"epoch", "position", *expected}:
            raise DataError(
                f"[restore] expected what state() gave, got {state!r}. Save and pass that dictionary unchanged."
            )
        for key, value in expected.items():
            if state[key] != value:
                raise DataError(
                    f"[restore] expected {key} = {value!r} as in this iterator, got {state[key]!r}. "
                    f"Make the iterator with {key} = {state[key]!r}, or start afresh without restore()."
                )
        epoch, position = state["epoch"], state["position"]
        if not (
            isinstance(epoch, int) and isinstance(position, int) and epoch >= 0 and 0 <= position < max(len(self), 1)
        ):
            raise DataError(
                f"[restore] expected an epoch from 0 and a position from 0 to {len(self) - 1}, "
                f"got epoch {epoch!r}, position {position!r}. Save and pass what state() gave unchanged."
            )
        self._next = self._reached = (epoch, position)
        return self


def _ahead(function: Any, items: Iterable[Any], count: int) -> Iterator[Any]:
    """`map(function, items)` computed by a thread that stays `count` results ahead and ends with this generator."""
    from concurrent.futures import ThreadPoolExecutor  # here, because it is slow to import

    waiting: deque[Any] = deque()
    pool = ThreadPoolExecutor(1, "fnets-prefetch")
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _seed_of(key: Any, seed: int | None) -> int:
    if key is not None and seed is not None:
        raise ArgumentError("[iterator] expected key or seed, got both. Pass one of them.")
    value = np.asarray(0 if key is None and seed is None else seed if key is None else key)
    most = 1 << (32 if value.ndim else 64)
    if value.dtype.kind not in "iu" or value.size == 0 or value.ndim > 1 or value.min() < 0 or value.max() >= most:
        raise ArgumentError(
            "[iterator] expected a seed that is an integer from 0, or a key of uint32 words, "
            f"got {seed if key is None else key!r}. Use seed=0 or key=fnets.random.key(0)."
        )
    if value.ndim == 0:
        return int(value)
    return int.from_bytes(value.astype(">u4").tobytes(), "big")  # so that key(7), the words 0 and 7, is seed 7


def iterator(
    dataset: Dataset | Sequence[Any],
    batch_size: int = 32,
    shuffle: bool = False,
    key: Any = None,
    seed: int | None = None,
    drop_last: bool = False,
    prefetch: int = 0,
) -> BatchIterator:
    """Iterate over a data set in batches, as often as wanted: every `for` loop over the result is one epoch.

    Args:
        dataset: a `Dataset`, or a tuple of arrays of shapes (N, ...).
        batch_size: examples in a batch; the last one may be shorter.
        shuffle: take the examples in a new order each epoch, a pure function of the seed and the epoch's number.
            Batches are then contiguous copies, otherwise read-only views.
        key: a key of `fnets.random`, or an integer, that decides the order.
        seed: an integer from 0 that does the same; 0 when neither is given.
        drop_last: leave out a last batch that would be shorter.
        prefetch: number of batches that a thread prepares ahead.

    Returns:
        A `BatchIterator` whose batches are tuples of arrays, whose `len` is the number of batches in an epoch, and
        whose `state()` and `restore(state)` resume in mid-epoch.

    Raises:
        ArgumentError: for a batch size below 1, a negative prefetch, a wrong seed, or both key and seed.
        DataError: for arrays that do not fit together.

    >>> train = Dataset(data=np.arange(10), labels=np.arange(10) % 2)
    >>> batches = iterator(train, batch_size=4, shuffle=True, seed=1)
    >>> [x.shape for x, y in batches]
    [(4,), (4,), (2,)]
    """
    sizes = []
    for name, value, least in (("batch_size", batch_size, 1), ("prefetch", prefetch, 0)):
        try:
            sizes.append(operator.index(value))
        except TypeError:
            sizes.append(-1)
        if sizes[-1] < least:
            raise ArgumentError(
                f"[iterator] expected {name} to be an integer from {least}, got {value!r}. Try {name}={least}."
            )
    if not isinstance(dataset, Dataset):
        if not isinstance(dataset, (tuple, list)):
            raise DataError(
                f"[iterator] expected a Dataset or a tuple of arrays, got {type(dataset).__name__}. "
                "Write iterator((x, y), ...)."
            )
        dataset = Dataset(**{f"array{i}": array for i, array in enumerate(dataset)})
    return BatchIterator(dataset.arrays, sizes[0], bool(shuffle), _seed_of(key, seed), bool(drop_last), sizes[1])
