"""Write the first part of docs/jax_parity.md: which names of JAX and optax there are here, and why others are not.

    python docs/make_parity.py            # rewrite the part between the markers; needs the bench extra
    python docs/make_parity.py --check    # fail if it is out of date

The second part of the document, about behaviour, is written by hand.
"""

from __future__ import annotations

import importlib
import pathlib
import re
import sys
import types

DOCUMENT = pathlib.Path(__file__).parent / "jax_parity.md"
BEGIN, END = "<!-- names: written by docs/make_parity.py -->", "<!-- end of names -->"

NAMESPACES = [
    *(
        "jax",
        "jax.numpy",
        "jax.numpy.linalg",
        "jax.numpy.fft",
        "jax.lax",
        "jax.lax.linalg",
        "jax.random",
        "jax.nn",
        "jax.nn.initializers",
    ),
    *(
        "jax.scipy.special",
        "jax.scipy.linalg",
        "jax.scipy.stats.*",
        "jax.scipy.signal",
        "jax.scipy.fft",
        "jax.scipy.ndimage",
    ),
    *(
        "jax.scipy.interpolate",
        "jax.scipy.integrate",
        "jax.image",
        "jax.scipy.optimize",
        "jax.scipy.sparse.linalg",
        "jax.scipy.cluster.vq",
    ),
    *(
        "jax.scipy.spatial.transform",
        "jax.tree",
        "jax.tree_util",
        "jax.flatten_util",
        "jax.ops",
        "jax.dtypes",
        "jax.errors",
    ),
    *("jax.debug", "jax.custom_derivatives", "jax.custom_batching", "jax.ad_checkpoint", "optax"),
]

DEVICES = "There is one process and one device: no meshes, shardings, transfers, memories or other hosts."
REFS = "Mutable references: arrays here are NumPy's own, which Python code may write to, and traced functions are pure."
FLAGS = "A switch of XLA or of JAX's implementation that has no counterpart."
MACHINERY = (
    "JAX's own machinery, or its interface to XLA; the counterparts are `fnets.core` and the rules on a primitive."
)
TYPES = "No float0, no key dtype: integers carry no cotangents, keys are plain uint32 arrays, promotion is NumPy's."
PRIMITIVES = "The object of a primitive that is made of others here, or has other parameters; the function of that name is there."
TOKENS = "Effects are ordered by the program; there are no tokens to thread through."
LOW_BITS = "Products of blocks of 4- and 8-bit floats with scales: formats of accelerators."
ALGORITHMS = "A choice of algorithm; there is one of each."
LATER = "Not written yet."

ABSENT: dict[str, dict[str, str]] = {
    "jax": {
        DEVICES: """NamedSharding P Shard auto_pcast copy_to_host_async distributed host_count host_id host_ids make_array_from_callback
            make_array_from_process_local_data make_array_from_single_device_arrays make_mesh memory pmap process_indices
            remove_size_one_mesh_axis_from_type reshard set_mesh shard_map sharding smap transfer_guard transfer_guard_device_to_device
            transfer_guard_device_to_host transfer_guard_host_to_device live_arrays array_garbage_collection_guard thread_guard""",
        REFS: "Ref ref new_ref empty_ref free_ref freeze ad ds",
        FLAGS: """default_prng_impl enable_custom_prng jax2tf_associative_scan_reductions legacy_prng_key
            make_user_context numpy_dtype_promotion numpy_rank_promotion softmax_custom_jvp threefry_partitionable""",
        "Under another name: `explain_cache_misses`, `checking_leaks`, `fnets.random`'s own check of keys, `fnets.__version__`, "
        "`fnets.numpy.from_dlpack`.": "log_compiles check_tracer_leaks debug_key_reuse version dlpack",
        MACHINERY: "api_util export ffi lib monitoring experimental",
        TYPES: "float0",
    },
    "jax.numpy": {TYPES: "int1 uint1"},
    "jax.lax": {
        PRIMITIVES: r".*_p",
        TOKENS: "after_all create_token",
        DEVICES: "pcast psend precv ragged_all_to_all",
        LOW_BITS: "scaled_dot",
        ALGORITHMS: "DotAlgorithm DotAlgorithmPreset",
        "Not a pure function: its numbers depend on the moment.": "rng_uniform",
        "Shapes of convolutions: `eval_shape` tells them.": """conv_general_permutations conv_general_shape_tuple conv_shape_tuple
            conv_transpose_shape_tuple""",
        MACHINERY: "stage",
    },
    "jax.lax.linalg": {
        PRIMITIVES: r".*_p",
        ALGORITHMS: "EigImplementation EighImplementation SvdAlgorithm qdwh",
    },
    "jax.random": {TYPES: "key_dtype", PRIMITIVES: "random_gamma_p"},
    "jax.nn": {LOW_BITS: "get_scaled_dot_general_config scaled_dot_general scaled_matmul"},
    "jax.dtypes": {TYPES: "extended float0 prng_key"},
    "jax.errors": {
        "The base classes are `fnets.errors.FnetsError` and the built-in exceptions.": "JAXIndexError JAXTypeError JaxRuntimeError",
        "Shapes are numbers; there is no arithmetic with unknown dimensions.": "InconclusiveDimensionOperation",
        "`fnets.random` has a check of its own for keys used twice.": "KeyReuseError",
    },
    "jax.debug": {
        DEVICES: "inspect_array_sharding visualize_array_sharding visualize_sharding",
        MACHINERY: "DebugEffect OrderedDebugEffect",
        "Python's own `breakpoint()` works in eager code and under `disable_jit`; `debug.callback` reaches compiled code.": "breakpoint",
        "`debug.print` and `debug.callback` are there.": "log",
    },
    "jax.custom_derivatives": {
        "`custom_vjp` and `lax.custom_linear_solve` serve for it.": "linear_call",
        MACHINERY: "remat_opt_p",
    },
    "jax.ad_checkpoint": {"A policy returns True or False.": "Offloadable Recompute Saveable"},
}


def module(name: str) -> types.ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def counterpart(namespace: str) -> str:
    return "fnets.optim" if namespace == "optax" else namespace.replace("jax", "fnets", 1)


def public_names(namespace: str) -> list[str]:
    """Public names; submodules count in `jax` itself only, elsewhere they are mostly what a file happens to import.

    `package.*` means the names in all modules of a package, with the module's name in front.
    """
    if namespace.endswith(".*"):
        package = importlib.import_module(namespace[:-2])
        parts = [n for n in dir(package) if isinstance(getattr(package, n), types.ModuleType) and not n.startswith("_")]
        own = public_names(namespace[:-2])
        return sorted([*own, *[f"{p}.{n}" for p in parts for n in public_names(f"{namespace[:-2]}.{p}")]])
    m = importlib.import_module(namespace)

    def counts(name: str) -> bool:
        return namespace == "jax" or not isinstance(getattr(m, name), types.ModuleType)

    return sorted(n for n in dir(m) if not n.startswith("_") and hasattr(m, n) and counts(n))


def is_here(m: types.ModuleType | None, name: str) -> bool:
    value = m
    try:
        for part in name.split("."):
            value = getattr(value, part)
    except AttributeError:
        return False
    except ImportError:  # a lazy name that needs an extra
        return True
    return m is not None


def reason_for(namespace: str, name: str) -> str:
    for reason, patterns in ABSENT.get(namespace, {}).items():
        if any(re.fullmatch(p, name) for p in patterns.split()):
            return reason
    return LATER


def survey() -> str:
    rows, details = [], []
    there = found = waiting = 0
    for namespace in NAMESPACES:
        names = public_names(namespace)
        here = counterpart(namespace)
        ours = module(here.removesuffix(".*"))
        missing = [n for n in names if not is_here(ours, n)]
        by_reason: dict[str, list[str]] = {}
        for n in missing:
            by_reason.setdefault(reason_for(namespace, n), []).append(n)
        later = len(by_reason.get(LATER, []))
        there, found, waiting = there + len(names), found + len(names) - len(missing), waiting + later
        rows.append(
            f"| `{namespace}` | `{here}` | {len(names)} | {len(names) - len(missing)} | {len(missing) - later} | {later} |"
        )
        if by_reason:
            details += [f"**{namespace}**", ""]
            details += [f"- {reason} {', '.join(f'`{n}`' for n in group)}" for reason, group in by_reason.items()]
            details += [""]
    versions = ", ".join(f"{m} {importlib.import_module(m).__version__}" for m in ("jax", "optax"))
    head = [
        f"Against {versions}: {found} of {there} public names are here; {there - found - waiting} have no place in a library of one device on "
        f"plain NumPy arrays, {waiting} are not written yet.",
        "",
        "| namespace | here | names | present | absent on purpose | not yet |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, "", "### Absent names, and why", "", *details]).rstrip() + "\n"


def main() -> int:
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    new = f"\n\n{survey()}\n"
    if "--check" in sys.argv[1:]:
        if new != old:
            print(f"{DOCUMENT.name} is out of date: run python docs/make_parity.py")
        return int(new != old)
    DOCUMENT.write_text(f"{before}{BEGIN}{new}{END}{after}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
