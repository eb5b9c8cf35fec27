"""The benchmark table: `python -m benchmarks [eager mnist_step conv ...] [--write docs/benchmarks.md]`. Needs the extra `bench`.

`python -m benchmarks peers` is a table of its own, of processes, with options of its own.
"""

from __future__ import annotations

import argparse
import importlib
import pathlib
import pkgutil
import platform
import sys

import benchmarks
from benchmarks import peers
from benchmarks.timing import Row, markdown

_NO_TABLE = {"timing", "__main__", "peers", "contender", "workloads"}


def main() -> None:
    if sys.argv[1:2] == ["peers"]:
        peers.main(sys.argv[2:])
        return
    known = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name not in _NO_TABLE)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"which to run: {', '.join(known)}; all if none is given"
    )
    parser.add_argument("--write", type=pathlib.Path, help="also write the table to this file")
    args = parser.parse_args()
    unknown = [n for n in args.names if n not in known]
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(known)}")
    rows: list[Row] = []
    for name in args.names or known:
        print(f"{name} ...", flush=True)
        rows += importlib.import_module(f"benchmarks.{name}").rows()
    import numpy

    table = markdown(rows)
    text = f"{table}\n\nMeasured with Python {platform.python_version()}, NumPy {numpy.__version__}, on {platform.machine()}.\n"
    print("\n" + text)
    if args.write:
        args.write.write_text(text)


if __name__ == "__main__":
    main()
