"""The printer of jaxprs, in JAX's grammar. May import ir, errors.

`{ lambda a:f32[3]; b:f32[2,3]. let c:f32[2] = ... in (c,) }`: constants before the semicolon, arguments after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var, set_printer
from fnets.source import describe_location

_COLOURS = {"prim": "\x1b[1m", "type": "\x1b[36m", "source": "\x1b[90m"}
_RESET = "\x1b[0m"


def letters(number: int) -> str:
    """0 -> a, 25 -> z, 26 -> ba: the printer's variable names.

    >>> letters(0), letters(27)
    ('a', 'bb')
    """
    name = chr(97 + number % 26)
    while number >= 26:
        number //= 26
        name = chr(97 + number % 26) + name
    return name


class _Printer:
    def __init__(self, source_info: bool, color: bool):
        self.source_info = source_info
        self.color = color
        self.names: dict[Var, str] = {}

    def paint(self, kind: str, text: str) -> str:
        return f"{_COLOURS[kind]}{text}{_RESET}" if self.color else text

    def name(self, v: Atom) -> str:
        if isinstance(v, Literal):
            value = v.val.item() if isinstance(v.val, (np.generic, np.ndarray)) else v.val
            return f"{value}:{v.aval.str_short()}"
        known = self.names.get(v)
        if known is None:
            known = self.names[v] = letters(len(self.names))
        return known

    def typed(self, v: Var) -> str:
        return f"{self.name(v)}:{self.paint('type', v.aval.str_short())}"

    def value(self, v: Any, indent: str) -> str:
        if isinstance(v, Jaxpr):
            return self.jaxpr(v, indent)
        if isinstance(v, tuple) and any(isinstance(x, Jaxpr) for x in v):
            inner = indent + "  "
            return "(\n" + "\n".join(f"{inner}{self.value(x, inner)}" for x in v) + f"\n{indent})"
        if isinstance(v, np.dtype):
            return v.name
        if callable(v) and hasattr(v, "__name__"):
            return v.__name__
        return str(v).replace("\n", " ")

    def eqn(self, e: Eqn, indent: str) -> str:
        inner = indent + "  "
        outs = " ".join(self.typed(v) for v in e.outvars)  # named before the jaxprs inside, as they are read
        shown = [f"{k}={self.value(v, inner)}" for k, v in sorted(e.params.items())]
        params = ""
        if len(shown) == 1:
            params = f"[{shown[0]}]"
        elif shown:
            params = "[\n" + "\n".join(f"{inner}{s}" for s in shown) + f"\n{indent}]"
        ins = "".join(f" {self.name(v)}" for v in e.invars)
        text = f"{indent}{outs} = {self.paint('prim', e.prim.name)}{params}{ins}"
        if self.source_info and e.where:
            text += self.paint("source", f"  # {describe_location(e.where)}")
        return text

    def jaxpr(self, j: Jaxpr, indent: str = "") -> str:
        def args(vs: tuple[Var, ...]) -> str:
            return " ".join(self.typed(v) for v in vs)

        head = f"{{ lambda {args(j.constvars)}; {args(j.invars)}. let"
        body = "\n".join(
            self.eqn(e, indent + "    ") for e in j.eqns
        )  # before the results: names follow the order of definition
        outs = ", ".join(self.name(v) for v in j.outvars) + ("," if len(j.outvars) == 1 else "")
        if not j.eqns:
            return f"{head}  in ({outs}) }}"
        return f"{head}\n{body}\n{indent}  in ({outs}) }}"


def pretty(jaxpr: Jaxpr, *, source_info: bool = False, color: bool = False, use_color: bool = False) -> str:
    """The jaxpr as text in JAX's grammar, with the user's lines as comments if `source_info`.

    >>> from fnets.core.avals import ShapedArray
    >>> v = Var(ShapedArray((2,), np.float32))
    >>> print(pretty(Jaxpr((), (), [v], (), [v])))
    { lambda ; a:f32[2]. let  in (a,) }
    """
    return _Printer(source_info, color or use_color).jaxpr(jaxpr)  # use_color is JAX's name


set_printer(pretty)
