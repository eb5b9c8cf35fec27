"""`fnets.numpy`: the functions of NumPy on arrays and on traced values, under NumPy's names and with NumPy's results.

Lives here: names only. The parts, by theme: `arguments` (what functions do with their arguments), `dtypes`, `creation`, `arithmetic`, `logic`,
`mathematics`, `reductions`, `nan_reductions`, `statistics`, `manipulation`, `reordering`, `padding`, `linear`, `sorting`, `searching`, `sets`, `indexing`,
`index_tricks`, `calculus`, `polynomials`, `functional`, `ufuncs`, and small ones; `linalg` and `fft` load when first used. `tracer_methods` gives
traced values the operators and methods of an `ndarray`, and `protocols` lets NumPy's own functions trace. May import everything below `fnets.nn`.

>>> import fnets.numpy as fnp
>>> fnp.sum(fnp.ones((2, 3)), axis=1)
array([3., 3.], dtype=float32)
"""

import importlib
import sys
from typing import Any

from fnets.numpy import (
    arithmetic,
    bits,
    calculus,
    comparing,
    creation,
    dtypes,
    files,
    functional,
    index_tricks,
    linear,
    logic,
    manipulation,
    mathematics,
    nan_reductions,
    padding,
    polynomials,
    protocols,
    reductions,
    reordering,
    searching,
    sets,
    sorting,
    statistics,
    tracer_methods,
    ufuncs,
    windows,
)
from fnets.numpy.arguments import Array
from fnets.numpy.arithmetic import *  # noqa: F403
from fnets.numpy.bits import *  # noqa: F403
from fnets.numpy.calculus import *  # noqa: F403
from fnets.numpy.comparing import *  # noqa: F403
from fnets.numpy.creation import *  # noqa: F403
from fnets.numpy.dtypes import *  # noqa: F403
from fnets.numpy.dtypes import __array_namespace_info__
from fnets.numpy.files import *  # noqa: F403
from fnets.numpy.functional import *  # noqa: F403
from fnets.numpy.index_tricks import *  # noqa: F403
from fnets.numpy.indexing import at, put_along_axis, take, take_along_axis
from fnets.numpy.linear import *  # noqa: F403
from fnets.numpy.logic import *  # noqa: F403
from fnets.numpy.manipulation import *  # noqa: F403
from fnets.numpy.mathematics import *  # noqa: F403
from fnets.numpy.nan_reductions import *  # noqa: F403
from fnets.numpy.padding import *  # noqa: F403
from fnets.numpy.polynomials import *  # noqa: F403
from fnets.numpy.reductions import *  # noqa: F403
from fnets.numpy.reordering import *  # noqa: F403
from fnets.numpy.searching import *  # noqa: F403
from fnets.numpy.sets import *  # noqa: F403
from fnets.numpy.sorting import *  # noqa: F403
from fnets.numpy.statistics import *  # noqa: F403
from fnets.numpy.ufuncs import *  # noqa: F403
from fnets.numpy.windows import *  # noqa: F403

__all__ = ["Array", "__array_namespace_info__", "at", "put_along_axis", "take", "take_along_axis"]
__all__ += arithmetic.__all__
__all__ += creation.__all__
__all__ += dtypes.__all__
__all__ += index_tricks.__all__
__all__ += linear.__all__
__all__ += manipulation.__all__
__all__ += mathematics.__all__
__all__ += nan_reductions.__all__
__all__ += reductions.__all__
__all__ += searching.__all__
__all__ += sorting.__all__
__all__ += statistics.__all__
__all__ += sets.__all__
__all__ += calculus.__all__
__all__ += polynomials.__all__
__all__ += functional.__all__
__all__ += files.__all__
__all__ += padding.__all__
__all__ += comparing.__all__
__all__ += bits.__all__
__all__ += ufuncs.__all__
__all__ += logic.__all__
__all__ += reordering.__all__
__all__ += windows.__all__


_SUBMODULES = ("fft", "linalg")
_LATE = {
    "i0": "bessel",
    "polyfit": "fitting",
    "roots": "fitting",
}  # loaded when first used, so that the import stays quick
__all__ += list(_LATE)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"fnets.numpy.{name}")
    if name in _LATE:
        return getattr(importlib.import_module(f"fnets.numpy.{_LATE[name]}"), name)
    if name in dtypes.EXTENDED:
        return dtypes.extended_type(name)
    raise AttributeError(f"module 'fnets.numpy' has no attribute {name!r}")


protocols.set_functions(sys.modules[__name__])
tracer_methods.set_namespace(sys.modules[__name__])
