"""What the documents show is true: every Python block of the README and of docs/ runs; doctest blocks print what they say."""

from __future__ import annotations

import doctest
import pathlib
import re

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_blocks_run(path: pathlib.Path):
    """All blocks of a document run one after the other in one namespace, as a reader would type them."""
    namespace: dict = {"__name__": "document"}
    text = path.read_text()
    for match in BLOCK.finditer(text):
        code = match.group(1)
        line = text[: match.start()].count("\n") + 1
        if ">>>" in code:
            test = doctest.DocTestParser().get_doctest(code, namespace, path.name, str(path), line)
            runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
            report: list[str] = []
            runner.run(test, out=report.append, clear_globs=False)
            assert runner.failures == 0, "".join(report)
            namespace.update(test.globs)
        else:
            exec(compile("\n" * line + code, str(path), "exec"), namespace)


def test_the_first_block_does_what_it_says():
    code = BLOCK.search((ROOT / "README.md").read_text())
    assert code is not None and code.start() == 0, "the README begins with a block"
    namespace: dict = {}
    exec(code.group(1), namespace)
    rng = np.random.default_rng(0)
    params = [(rng.standard_normal((3, 4)), np.zeros(4)), (rng.standard_normal((4, 2)), np.zeros(2))]
    x, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    g = namespace["gradient"](params, x, y)
    per_example = namespace["per_example"](params, x, y)
    assert per_example[0][0].shape == (5, 3, 4)
    np.testing.assert_allclose(per_example[0][0].mean(0), g[0][0])
    assert len([line for line in code.group(1).splitlines() if line.strip()]) <= 15


def test_links_lead_somewhere():
    for path in [*DOCUMENTS, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(
            r"\]\(([^)#]+)\)|`((?:docs|examples|benchmarks|tests|fnets)/[\w./]+)`", path.read_text()
        ):
            name = target[0] or target[1]
            if name and "://" not in name:
                base = path.parent if target[0] else ROOT
                assert (base / name).exists(), f"{path.name} names {name}, which does not exist"


def test_every_public_name_has_a_docstring_and_a_doctest():
    import importlib
    import pkgutil

    import fnets

    lacking = []
    modules = [
        "fnets",
        *(m.name for m in pkgutil.walk_packages(fnets.__path__, "fnets.") if not m.name.endswith("__main__")),
    ]
    for name in modules:
        module = importlib.import_module(name)
        assert module.__doc__, f"{name} has no docstring"
        for public in getattr(module, "__all__", []):
            value = getattr(module, public)
            if callable(value) and getattr(value, "__module__", "").startswith("fnets"):
                doc = value.__doc__ or ""
                if ">>>" not in doc and not _is_type_alias(value):
                    lacking.append(f"{name}.{public}")
    assert not lacking, f"public names without a doctest: {lacking}"


def _is_type_alias(value: object) -> bool:
    if isinstance(value, type) and issubclass(value, tuple):
        return True  # a result with names: the function that returns it shows it
    return not isinstance(value, type) and not hasattr(value, "__code__") and not hasattr(value, "__wrapped__")
