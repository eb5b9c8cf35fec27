"""`python -m fnets explain [NAME]` and `python -m fnets doctor`. May import everything below."""

from __future__ import annotations

import argparse
import difflib
import importlib.metadata
import importlib.util
import os
import platform
import sys
import textwrap
from collections.abc import Sequence
from time import perf_counter

import numpy as np

import fnets
from fnets import config, errors
from fnets.backends import backend_names

_EXTRAS = {  # distribution -> what it is for
    "matplotlib": "fnets.plots (extra: examples)",
    "tqdm": "progress bars in examples (extra: examples)",
    "ml_dtypes": "bfloat16 arrays",
    "llvmlite": "native code",
    "mpi4py": "several processes",
    "hypothesis": "tests (extra: dev)",
    "jax": "benchmarks (extra: bench)",
    "torch": "benchmarks (extra: bench)",
}
_THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def explain(name: str | None) -> str:
    """Cause, wrong code and right code of an error class; without a name, the list of classes.

    >>> print(explain("AxisError").splitlines()[0])
    AxisError (a ValueError, an IndexError)
    """
    classes = errors.error_classes()
    if name is None:
        width = max(map(len, classes))
        lines = [f"{n:{width}}  {errors.explanation(c).cause.splitlines()[0]}" for n, c in classes.items()]
        return "\n".join([*lines, "", "python -m fnets explain NAME shows wrong and right code."])
    cls = classes.get(name) or {n.lower(): c for n, c in classes.items()}.get(name.lower())
    if cls is None:
        near = difflib.get_close_matches(name, classes, 3, 0.4)
        raise SystemExit(
            f"no error class {name!r}{'; perhaps ' + ' or '.join(near) if near else ''}. python -m fnets explain lists them."
        )
    cause, wrong, right = errors.explanation(cls)
    builtin = [c.__name__ for c in cls.__mro__ if c.__module__ == "builtins" and c not in (Exception, BaseException, object)]  # fmt: skip
    kinds = ", ".join(f"{'an' if b[0] in 'AEIOU' else 'a'} {b}" for b in builtin if b not in ("LookupError", "ArithmeticError"))  # fmt: skip
    parts = [f"{cls.__name__} ({kinds or 'an Exception'})", "", cause]
    for title, code in (("Wrong", wrong), ("Right", right)):
        if code:
            parts += ["", f"{title}:", textwrap.indent(code, "    ")]
    if wrong:
        parts += ["", "after", textwrap.indent(errors.EXAMPLE_IMPORTS.rstrip(), "    ")]
    return "\n".join(parts)


def _blas() -> str:
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[index]
    details = blas.get("openblas configuration", "")
    return f"{blas.get('name')} {blas.get('version')}" + (f" ({details})" if details else "")


def _speed() -> str:
    a = np.ones((512, 512), np.float32)
    a @ a
    seconds = []
    for _ in range(5):
        start = perf_counter()
        a @ a
        seconds.append(perf_counter() - start)
    return f"{2 * 512**3 / min(seconds) / 1e9:.0f} GFLOP/s (float32, 512x512)"


def _call_time() -> str:
    f = fnets.jit(lambda x: x + x)
    x = np.ones(3, np.float32)
    f(x)
    start = perf_counter()
    for _ in range(2000):
        f(x)
    return f"{(perf_counter() - start) / 2000 * 1e6:.1f} us"


def _cores() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    told = [f"{name}={os.environ[name]}" for name in _THREAD_VARIABLES if name in os.environ]
    return f"{usable} of {os.cpu_count()} usable" + (f"; {', '.join(told)}" if told else "; no thread variable is set")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "yes" if importlib.util.find_spec(package) else "-"


def doctor() -> str:
    """What fnets finds on this machine: versions, BLAS, threads, speed, settings, optional packages.

    >>> doctor().splitlines()[0].startswith("fnets")
    True
    """
    rows = [
        ("fnets", fnets.__version__),
        ("Python", f"{platform.python_version()} ({platform.system()} {platform.machine()})"),
        ("NumPy", np.__version__),
        ("BLAS", _blas()),
        ("cores", _cores()),
        ("matrix product", _speed()),
        ("call of a jitted function", _call_time()),
        ("backends", ", ".join(backend_names())),
    ]
    for name in ("default_dtype", "promotion", "backend", "debug_nans", "debug_infs", "disable_jit", "traceback"):
        rows.append((f"setting {name}", f"{config.read(name)}  (FNETS_{name.upper()})"))
    rows += [(package, f"{_version(package):12} {what}") for package, what in _EXTRAS.items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    >>> main(["explain", "AxisError"]) # doctest: +ELLIPSIS
    AxisError (a ValueError, an IndexError)
    ...
    """
    parser = argparse.ArgumentParser(prog="python -m fnets", description="Help from the command line.")
    commands = parser.add_subparsers(dest="command", required=True)
    explaining = commands.add_parser("explain", help="cause, wrong code and right code of an error class")
    explaining.add_argument("name", nargs="?", help="the class; without it, all are listed")
    commands.add_parser("doctor", help="versions, BLAS, threads, settings, optional packages")
    options = parser.parse_args(argv)
    print(explain(options.name) if options.command == "explain" else doctor())
    return 0


if __name__ == "__main__":
    sys.exit(main())
