"""fnets: composable transformations of functions on NumPy arrays.

A map of the house, from the ground up:

    tree, errors, config      pytrees, one error class per cause, settings
    core                      abstract values, the IR, primitives, dispatch
    primitives                one file per family of operations: impl, types and all rules
    backends                  from the IR to a callable
    transforms                grad, vjp, jvp, vmap, jit
    numpy, lax, random        what you write your functions with
    nn, optim, data, io, plots   what you train with

>>> import fnets
>>> import fnets.numpy as fnp
>>> fnets.grad(lambda x: fnp.sum(x**2))(fnp.arange(3.0))
array([0., 2., 4.], dtype=float32)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fnets import (
    config,
    debug,
    errors,
    numpy,  # attaches the operators and methods of traced arrays
    tree,
    tree_util,
)
from fnets.config import debug_infs, debug_nans, default_dtype, disable_jit, enable_x64
from fnets.control import policies as checkpoint_policies
from fnets.control.callbacks import pure_callback
from fnets.control.checkpoint import checkpoint, remat
from fnets.control.checks import checkify, error_if
from fnets.control.custom import closure_convert, custom_gradient, custom_jvp, custom_vjp
from fnets.core.avals import ShapeDtypeStruct
from fnets.source import named_scope
from fnets.transforms.cache_misses import explain_cache_misses
from fnets.transforms.derivatives import hessian, hvp, jacfwd, jacrev, linear_transpose, linearize
from fnets.transforms.jit import jit
from fnets.transforms.jvp import jvp
from fnets.transforms.staging import eval_shape, make_jaxpr
from fnets.transforms.vjp import grad, value_and_grad, vjp
from fnets.transforms.vmap import vmap

__version__ = "0.1.0"

_SUBMODULES = (
    "ad_checkpoint",
    "custom_batching",
    "custom_derivatives",
    "data",
    "flatten_util",
    "io",
    "lax",
    "nn",
    "optim",
    "plots",
    "profiler",
    "progress",
    "random",
    "testing",
)
_FUNCTIONS = {  # name -> the submodule that defines it
    "check_leaks": "testing",
    "jaxpr_to_dot": "profiler",
    "jaxpr_to_html": "profiler",
    "memory_report": "profiler",
    "profile": "profiler",
}

if TYPE_CHECKING:
    from fnets import data, io, lax, nn, optim, plots, profiler, progress, random, testing
    from fnets.profiler import jaxpr_to_dot, jaxpr_to_html, memory_report, profile
    from fnets.testing import check_leaks


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:  # loaded when first used, so that `import fnets` stays quick
        return importlib.import_module(f"fnets.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"fnets.{_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module 'fnets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBMODULES, *_FUNCTIONS])


__all__ = [
    "ShapeDtypeStruct",
    "check_leaks",
    "checkify",
    "checkpoint",
    "checkpoint_policies",
    "closure_convert",
    "config",
    "custom_gradient",
    "custom_jvp",
    "custom_vjp",
    "data",
    "debug",
    "debug_infs",
    "debug_nans",
    "default_dtype",
    "disable_jit",
    "enable_x64",
    "error_if",
    "errors",
    "eval_shape",
    "explain_cache_misses",
    "grad",
    "hessian",
    "hvp",
    "io",
    "jacfwd",
    "jacrev",
    "jaxpr_to_dot",
    "jaxpr_to_html",
    "jit",
    "jvp",
    "lax",
    "linear_transpose",
    "linearize",
    "make_jaxpr",
    "memory_report",
    "named_scope",
    "nn",
    "numpy",
    "optim",
    "plots",
    "profile",
    "profiler",
    "progress",
    "pure_callback",
    "random",
    "remat",
    "testing",
    "tree",
    "tree_util",
    "value_and_grad",
    "vjp",
    "vmap",
]
