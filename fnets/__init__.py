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
from fnets.config import (
    allow_f16_reductions,
    debug_infs,
    debug_nans,
    default_dtype,
    disable_jit,
    enable_checks,
    enable_x64,
    no_execution,
    no_tracing,
)
from fnets.control import policies as checkpoint_policies
from fnets.control.callbacks import pure_callback
from fnets.control.checkpoint import checkpoint, remat
from fnets.control.checks import checkify, error_if
from fnets.control.custom import closure_convert, custom_gradient, custom_jvp, custom_vjp
from fnets.core import checked as _checked
from fnets.core.array import Array
from fnets.core.avals import ShapeDtypeStruct
from fnets.core.trace import typeof
from fnets.source import named_call, named_scope
from fnets.transforms.cache_misses import explain_cache_misses
from fnets.transforms.derivatives import (
    fwd_and_bwd,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    linear_transpose,
    linearize,
)
from fnets.transforms.jit import clear_caches, jit
from fnets.transforms.jvp import jvp
from fnets.transforms.staging import eval_shape, make_jaxpr
from fnets.transforms.vjp import grad, value_and_grad, vjp
from fnets.transforms.vmap import vmap

__version__ = "0.1.0"
_checked.refresh()  # settings of the environment hold from the start

_SUBMODULES = (
    "ad_checkpoint",
    "custom_batching",
    "custom_derivatives",
    "data",
    "dtypes",
    "flatten_util",
    "image",
    "interpreters",
    "io",
    "lax",
    "nn",
    "ops",
    "optim",
    "plots",
    "profiler",
    "progress",
    "random",
    "scipy",
    "stages",
    "test_util",
    "testing",
    "typing",
)
_FUNCTIONS = {  # name -> the submodule that defines it
    "Device": "cpu",
    "block_until_ready": "cpu",
    "check_leaks": "testing",
    "checking_leaks": "testing",
    "default_backend": "cpu",
    "default_device": "cpu",
    "default_matmul_precision": "cpu",
    "device_count": "cpu",
    "device_get": "cpu",
    "device_put": "cpu",
    "devices": "cpu",
    "effects_barrier": "cpu",
    "ensure_compile_time_eval": "cpu",
    "jaxpr_to_dot": "profiler",
    "jaxpr_to_html": "profiler",
    "local_device_count": "cpu",
    "local_devices": "cpu",
    "memory_report": "profiler",
    "num_threads": "cpu",
    "print_environment_info": "cpu",
    "process_count": "cpu",
    "process_index": "cpu",
    "profile": "profiler",
    "set_num_threads": "cpu",
}

if TYPE_CHECKING:
    from fnets import (
        data,
        dtypes,
        image,
        interpreters,
        io,
        lax,
        nn,
        ops,
        optim,
        plots,
        profiler,
        progress,
        random,
        stages,
        testing,
        typing,
    )
    from fnets.cpu import (
        Device,
        block_until_ready,
        default_backend,
        default_device,
        default_matmul_precision,
        device_count,
        device_get,
        device_put,
        devices,
        effects_barrier,
        ensure_compile_time_eval,
        local_device_count,
        local_devices,
        num_threads,
        print_environment_info,
        process_count,
        process_index,
        set_num_threads,
    )
    from fnets.profiler import jaxpr_to_dot, jaxpr_to_html, memory_report, profile
    from fnets.testing import check_leaks, checking_leaks


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:  # loaded when first used, so that `import fnets` stays quick
        return importlib.import_module(f"fnets.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"fnets.{_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module 'fnets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBMODULES, *_FUNCTIONS])


__all__ = [
    "Array",
    "Device",
    "ShapeDtypeStruct",
    "ad_checkpoint",
    "allow_f16_reductions",
    "block_until_ready",
    "check_leaks",
    "checkify",
    "checking_leaks",
    "checkpoint",
    "checkpoint_policies",
    "clear_caches",
    "closure_convert",
    "config",
    "custom_batching",
    "custom_derivatives",
    "custom_gradient",
    "custom_jvp",
    "custom_vjp",
    "data",
    "debug",
    "debug_infs",
    "debug_nans",
    "default_backend",
    "default_device",
    "default_dtype",
    "default_matmul_precision",
    "device_count",
    "device_get",
    "device_put",
    "devices",
    "disable_jit",
    "dtypes",
    "effects_barrier",
    "enable_checks",
    "enable_x64",
    "ensure_compile_time_eval",
    "error_if",
    "errors",
    "eval_shape",
    "explain_cache_misses",
    "flatten_util",
    "fwd_and_bwd",
    "grad",
    "hessian",
    "hvp",
    "image",
    "interpreters",
    "io",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jaxpr_to_dot",
    "jaxpr_to_html",
    "jit",
    "jvp",
    "lax",
    "linear_transpose",
    "linearize",
    "local_device_count",
    "local_devices",
    "make_jaxpr",
    "memory_report",
    "named_call",
    "named_scope",
    "nn",
    "no_execution",
    "no_tracing",
    "num_threads",
    "numpy",
    "ops",
    "optim",
    "plots",
    "print_environment_info",
    "process_count",
    "process_index",
    "profile",
    "profiler",
    "progress",
    "pure_callback",
    "random",
    "remat",
    "scipy",
    "set_num_threads",
    "stages",
    "testing",
    "tree",
    "tree_util",
    "typeof",
    "typing",
    "value_and_grad",
    "vjp",
    "vmap",
]
