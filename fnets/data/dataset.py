"""Named arrays of equal length. Lives here: `Dataset` and the helpers that prepare its arrays. May import fnets.tree,
fnets.errors and fnets.config."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fnets import tree
from fnets.config import default_float
from fnets.errors import DataError, IndexingError

_TAKEN = {"name", "fields", "arrays", "tree_flatten", "tree_flatten_with_keys", "tree_unflatten"}


class Dataset:
    """Named arrays whose first axes count the same examples; immutable, and a pytree of those arrays.

    An integer index gives one example as a tuple, a slice (a view), an index array or a boolean mask gives a `Dataset`;
    iteration gives examples. A field is read as an attribute (`ds.labels`), all of them as the tuple `ds.arrays`. The
    arrays are read-only views of those passed in, which must not be changed afterwards.

    Args:
        name: shown when printed.
        **fields: the arrays, shape (N, ...) each, any dtype.

    Raises:
        DataError: without fields, for a 0-d field, for unequal lengths, or for a field name that is taken.

    >>> ds = Dataset("Points", data=np.zeros((4, 2), np.float32), labels=np.array([1, 0, 1, 0], np.uint8))
    >>> ds
    Dataset Points(
       (data): Array(shape=(4, 2), dtype=float32)
       (labels): Array(shape=(4,), dtype=uint8)
    )
    >>> image, label = ds[0]
    >>> len(ds[ds.labels == 1])
    2
    """

    __slots__ = ("_fields", "_name")
    _name: str
    _fields: dict[str, Any]

    def __init__(self, name: str = "", /, **fields: Any):
        if not isinstance(name, str):
            raise DataError(
                f"[Dataset] expected a name, then arrays by keyword, got {type(name).__name__}. "
                "Write Dataset('MNIST', data=images, labels=labels)."
            )
        if not fields:
            raise DataError("[Dataset] expected at least one array, got none. Write Dataset('MNIST', data=images).")
        arrays = {field: _frozen(value) for field, value in fields.items()}
        for field, array in arrays.items():
            if field in _TAKEN or field.startswith("_"):
                raise DataError(f"[Dataset] expected another name for the field {field!r}, it is taken. Rename it.")
            if array.ndim == 0:
                raise DataError(
                    f"[Dataset] expected an array with a first axis for {field!r}, got a scalar. Wrap it in a list."
                )
        if len({len(array) for array in arrays.values()}) > 1:
            lengths = ", ".join(f"{field}: {len(array)}" for field, array in arrays.items())
            raise DataError(f"[Dataset] expected fields of equal length, got {lengths}. Cut them to the same examples.")
        _fill(self, name, arrays)

    @property
    def name(self) -> str:
        """The name shown when printed."""
        return self._name

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields, in order."""
        return tuple(self._fields)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The arrays, in the order of `fields`: `x, y = ds.arrays`."""
        return tuple(self._fields.values())

    def __getattr__(self, name: str) -> Any:
        if (
            name.startswith("_") or name not in self._fields
        ):  # the first test also ends the search on a half-made object
            raise AttributeError(f"'Dataset' has no field or attribute {name!r}")
        return self._fields[name]

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"a Dataset is immutable, cannot set {name!r}; make a new one: Dataset(name, data=..., labels=...)"
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Dataset is immutable, cannot delete {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._fields]

    def __repr__(self) -> str:
        lines = [f"   ({field}): {_describe(array)}\n" for field, array in self._fields.items()]
        return f"Dataset{' ' if self._name else ''}{self._name}(\n{''.join(lines)})"

    def __len__(self) -> int:
        return next(iter(self._fields.values())).shape[0]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return zip(*self._fields.values(), strict=True)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._map(lambda array: array[index])
        try:
            i = operator.index(index)
        except TypeError:
            return self._gather(index)
        if not -len(self) <= i < len(self):
            raise IndexingError(f"[Dataset] expected an index below {len(self)}, got {i}. Use len(dataset).")
        return tuple(array[i] for array in self._fields.values())

    def _gather(self, index: Any) -> Dataset:
        where = np.asarray(index) if isinstance(index, (list, np.ndarray)) else index
        if not isinstance(where, np.ndarray) or where.ndim != 1 or (where.size and where.dtype.kind not in "iub"):
            raise IndexingError(
                "[Dataset] expected an integer, a slice, or a 1-d array of integers or booleans, "
                f"got {_describe(where) if isinstance(where, np.ndarray) else type(index).__name__}. "
                "Index the arrays themselves for more: dataset.arrays."
            )
        if where.dtype.kind == "b":
            if len(where) != len(self):
                raise IndexingError(
                    f"[Dataset] expected a mask of length {len(self)}, got {len(where)}. Mask all examples."
                )
            where = where.nonzero()[0]
        if where.size and not -len(self) <= where.min() <= where.max() < len(self):
            raise IndexingError(
                f"[Dataset] expected indices below {len(self)}, got {where.min()} to {where.max()}. Use len(dataset)."
            )
        where = where.astype(np.intp)
        return self._map(lambda array: array.take(where, 0))

    def _map(self, f: Callable[[Any], Any]) -> Dataset:
        return _fill(object.__new__(Dataset), self._name, {k: _frozen(f(v)) for k, v in self._fields.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._name, self._fields)

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], tuple[str, tuple[str, ...]]]:
        """Children with their keys, and what is static: the names."""
        return [(tree.GetAttrKey(k), v) for k, v in self._fields.items()], (self._name, self.fields)

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[str, tuple[str, ...]]]:
        """Children, and what is static: the names."""
        return self.arrays, (self._name, self.fields)

    @classmethod
    def tree_unflatten(cls, static: tuple[str, tuple[str, ...]], children: Any) -> Dataset:
        """A data set of whatever the leaves have become: traced values, shapes, None; nothing is checked."""
        name, fields = static
        return _fill(object.__new__(cls), name, dict(zip(fields, children, strict=True)))


def _fill(dataset: Dataset, name: str, fields: dict[str, Any]) -> Dataset:
    object.__setattr__(dataset, "_name", name)
    object.__setattr__(dataset, "_fields", fields)
    return dataset


def _rebuild(name: str, fields: dict[str, Any]) -> Dataset:
    return Dataset(name, **fields)


def _frozen(value: Any) -> np.ndarray:
    view = np.asarray(value).view()
    view.flags.writeable = False
    return view


def _describe(array: Any) -> str:
    if hasattr(array, "shape") and hasattr(array, "dtype"):
        return f"Array(shape={tuple(array.shape)}, dtype={array.dtype})"
    return repr(array)


tree.register_with_keys_class(Dataset)


def normalize(x: Any, axis: int | tuple[int, ...] | None = -1, dtype: Any = None) -> np.ndarray:
    """`(x - mean) / std` along `axis` (of each image, when the axis holds its pixels), with the population's std (ddof
    0).

    Args:
        x: numbers of shape (N, ...).
        axis: the axis or axes that mean and std are taken over; where std is 0 the result is 0.
        dtype: of the result; by default x's own when that is floating, else `fnets.config.default_float()`.

    Returns:
        An array of x's shape.

    >>> normalize(np.array([[0, 2], [5, 5]], np.uint8))
    array([[-1.,  1.],
           [ 0.,  0.]], dtype=float32)
    """
    x = np.asarray(x)
    if dtype is None:
        dtype = x.dtype if x.dtype.kind in "fc" else default_float()
    result = np.empty(x.shape, dtype)
    axes = range(x.ndim) if axis is None else [a % max(x.ndim, 1) for a in np.atleast_1d(axis)]
    # A few examples at a time stay in the cache, which is several times faster than passes over all of memory.
    step = max(len(x) if 0 in axes else (1 << 18) // max(x[:1].size, 1), 1)
    for start in range(0, len(x), step):
        block = result[start : start + step]
        block[...] = x[start : start + step]
        block -= block.mean(axis, keepdims=True)
        std = np.sqrt(np.square(block).mean(axis, keepdims=True))
        std[std == 0] = 1
        block /= std
    return result


def compose(*functions: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """One function that applies `functions` from left to right.

    >>> compose(lambda x: x + 1, lambda x: 2 * x)(3)
    8
    """

    def composed(x: Any) -> Any:
        for function in functions:
            x = function(x)
        return x

    return composed
