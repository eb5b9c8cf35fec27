"""The layers of the house: a module imports from lower layers alone, and never inside a function."""

from __future__ import annotations

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent / "fnets"
# a module's layer is that of the longest entry that is a prefix of its path
LAYERS = {
    "source": 0,
    "errors": 0,
    "config": 0,
    "tree": 0,
    "tree_util": 0,
    "files": 0,
    "progress": 0,
    "core": 1,
    "primitives": 2,
    "backends": 3,
    "transforms": 4,
    "control": 5,
    "ad_checkpoint": 6,
    "custom_batching": 6,
    "custom_derivatives": 6,
    "debug": 6,
    "numpy": 6,
    "lax": 6,
    "random": 6,
    "flatten_util": 6,
    "image": 6,
    "nn": 7,
    "optim": 7,
    "data": 7,
    "io": 7,
    "plots": 7,
    "scipy": 7,
    "profiler": 7,
    "test_util": 7,
    "testing": 7,
    "cpu": 6,
    "dtypes": 7,
    "ops": 7,
    "stages": 6,
    "typing": 6,
    "interpreters": 6,
    "__init__": 8,
    "__main__": 8,
}


def modules() -> list[pathlib.Path]:
    return sorted(ROOT.rglob("*.py"))


def layer(dotted: str) -> int:
    parts = dotted.split(".")[1:] or ["__init__"]
    assert parts[0] in LAYERS, f"{dotted} has no layer in tests/test_layers.py"
    return LAYERS[parts[0]]


def name_of(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def type_checking_only(tree: ast.Module) -> set[ast.AST]:
    guarded: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            guarded.update(ast.walk(node))
    return guarded


def is_module(dotted: str) -> bool:
    path = ROOT.parent / dotted.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def imports(path: pathlib.Path):
    tree = ast.parse(path.read_text())
    guarded = type_checking_only(tree)
    functions = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))]
    inside = {node for f in functions for node in ast.walk(f)}
    for node in ast.walk(tree):
        if node in guarded:
            continue
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names = [f"{module}.{a.name}" if is_module(f"{module}.{a.name}") else module for a in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "fnets":
                yield name, node.lineno, node in inside


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_down(path: pathlib.Path):
    here = name_of(path)
    for name, line, inside_function in imports(path):
        assert not inside_function, f"{here}:{line} imports {name} inside a function"
        own_folder = here.split(".")[1:2] == name.split(".")[1:2]
        assert own_folder or layer(name) <= layer(here), f"{here}:{line} imports {name}, which is above it"


def test_no_import_cycles():
    graph = {name_of(p): {n for n, _, _ in imports(p)} for p in modules()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"cycle: {' -> '.join((*trail[trail.index(name) :], name))}"
        if name in done or name not in graph:
            return
        for other in graph[name]:
            if other != name:
                visit(other, (*trail, name))
        done.add(name)

    for name in graph:
        if name != "fnets":  # the package's face imports everything and is imported by nobody but for its submodules
            visit(name, ())
