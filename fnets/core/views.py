"""Pictures of jaxprs: Graphviz source and a self-contained HTML page. May import ir, pretty, source."""

from __future__ import annotations

import html
import itertools
from typing import Any

import numpy as np

from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var, sub_jaxprs
from fnets.core.pretty import letters
from fnets.source import describe_location


class _Names:
    """Letters for variables, in order of appearance."""

    def __init__(self) -> None:
        self.known: dict[Var, str] = {}

    def __call__(self, v: Atom) -> str:
        if isinstance(v, Literal):
            return str(v.val.item() if isinstance(v.val, (np.generic, np.ndarray)) else v.val)
        if v not in self.known:
            self.known[v] = letters(len(self.known))
        return self.known[v]

    def typed(self, v: Atom) -> str:
        return f"{self(v)}:{v.aval.str_short()}"


def _plain_params(e: Eqn) -> str:
    shown = []
    for k, v in sorted(e.params.items()):
        if not list(sub_jaxprs({k: v})):
            text = v.name if isinstance(v, np.dtype) else getattr(v, "__name__", None) if callable(v) else str(v)
            shown.append(f"{k}={text}")
    return " ".join(shown)


# ------------------------------------------------------------------ Graphviz

_COLOURS = {"elementwise": "#dbe9f6", "view": "#f2f2f2", "reduce": "#fde7c7", "call": "#e3dcf2", "loop": "#e3dcf2", "branch": "#e3dcf2"}  # fmt: skip


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


class _Dot:
    def __init__(self) -> None:
        self.names = _Names()
        self.lines: list[str] = []
        self.number = itertools.count()

    def node(self, indent: str, label: str, **attributes: str) -> str:
        name = f"n{next(self.number)}"
        told = " ".join(f"{k}={_quoted(v)}" for k, v in {"label": label, **attributes}.items())
        self.lines.append(f"{indent}{name} [{told}];")
        return name

    def jaxpr(self, j: Jaxpr, indent: str, outer: dict[Var, str]) -> None:
        made = dict(outer)
        for v in j.constvars:
            made[v] = self.node(indent, self.names.typed(v), shape="box", style="dashed")
        for v in j.invars:
            made[v] = self.node(indent, self.names.typed(v), shape="ellipse")
        for e in j.eqns:
            label = "\n".join([e.prim.name, *([p] if (p := _plain_params(e)[:60]) else [])])
            fill = _COLOURS.get(e.prim.kind, "#ffffff")
            where = describe_location(e.where) if e.where else ""
            node = self.node(indent, label, shape="box", style="filled,rounded", fillcolor=fill, tooltip=where)
            for v in e.invars:
                if type(v) is Var and v in made:
                    self.lines.append(f"{indent}{made[v]} -> {node} [label={_quoted(self.names.typed(v))}];")
            for v in e.outvars:
                made[v] = node
            for k, inner in enumerate(sub_jaxprs(e.params)):
                self.lines.append(f"{indent}subgraph cluster_{node}_{k} {{")
                self.lines.append(f'{indent}  label={_quoted(e.prim.name)}; style=rounded; color="#999999";')
                self.jaxpr(inner, indent + "  ", {})
                self.lines.append(f"{indent}}}")
        for v in j.outvars:
            out = self.node(indent, self.names.typed(v), shape="ellipse", style="bold")
            if type(v) is Var and v in made:
                self.lines.append(f"{indent}{made[v]} -> {out};")


def jaxpr_to_dot(jaxpr: Jaxpr) -> str:
    """The jaxpr as Graphviz source: operations are boxes, arrows carry types, jaxprs inside are clusters, the user's lines are tooltips.

    >>> import fnets
    >>> print(jaxpr_to_dot(fnets.make_jaxpr(lambda x: x + 1)(1.0)).splitlines()[0])
    digraph jaxpr {
    """
    dot = _Dot()
    dot.jaxpr(jaxpr, "  ", {})
    head = ["digraph jaxpr {", "  rankdir=TB;", '  node [fontname="monospace", fontsize=10];', "  edge [fontsize=9];"]
    return "\n".join([*head, *dot.lines, "}"]) + "\n"


# ------------------------------------------------------------------ HTML

_STYLE = """
body { font: 13px/1.5 ui-monospace, monospace; margin: 2em; color: #222; background: #fff; }
table { border-collapse: collapse; margin: .3em 0 .3em 1em; }
td { padding: 0 .8em 0 0; vertical-align: top; white-space: pre; }
.t { color: #0a7a7a; } .p { font-weight: bold; } .k { color: #777; } .w { color: #999; }
.v { border-radius: 3px; padding: 0 2px; cursor: default; } .v.on { background: #ffe08a; }
details { margin-left: 1em; } summary { cursor: pointer; color: #555; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #1b1b1b; } .t { color: #6cc; } .v.on { background: #665200; } }
"""
_SCRIPT = """
for (const [event, on] of [["mouseover", true], ["mouseout", false]])
  document.addEventListener(event, e => {
    const name = e.target.dataset && e.target.dataset.v;
    if (name) document.querySelectorAll(`[data-v="${name}"]`).forEach(x => x.classList.toggle("on", on));
  });
"""


class _Html:
    def __init__(self) -> None:
        self.names = _Names()

    def atom(self, v: Atom, typed: bool = False) -> str:
        name = html.escape(self.names(v))
        text = f'<span class="v" data-v="{name}">{name}</span>' if type(v) is Var else name
        return text + (f':<span class="t">{html.escape(v.aval.str_short())}</span>' if typed else "")

    def atoms(self, vs: Any, typed: bool = False) -> str:
        return " ".join(self.atom(v, typed) for v in vs)

    def row(self, e: Eqn) -> str:
        where = html.escape(describe_location(e.where)) if e.where else ""
        cells = [
            self.atoms(e.outvars, True),
            f'= <span class="p">{html.escape(e.prim.name)}</span> {self.atoms(e.invars)}',
            f'<span class="k">{html.escape(_plain_params(e))}</span>',
            f'<span class="w">{where}</span>',
        ]
        text = "<tr>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"
        for inner in sub_jaxprs(e.params):
            summary = f"{html.escape(e.prim.name)}: {len(inner.eqns)} equations"
            text += f'<tr><td colspan="4"><details><summary>{summary}</summary>{self.jaxpr(inner)}</details></td></tr>'
        return text

    def jaxpr(self, j: Jaxpr) -> str:
        head = f"<div>lambda {self.atoms(j.constvars, True)} ; {self.atoms(j.invars, True)}</div>"
        rows = "".join(self.row(e) for e in j.eqns)
        return f"{head}<table>{rows}</table><div>in ({self.atoms(j.outvars)})</div>"


def jaxpr_to_html(jaxpr: Jaxpr, title: str = "jaxpr") -> str:
    """The jaxpr as an HTML page that needs nothing else: jaxprs inside fold, the same variable lights up, the user's lines stand beside.

    >>> import fnets
    >>> jaxpr_to_html(fnets.make_jaxpr(lambda x: x + 1)(1.0))[:15]
    '<!DOCTYPE html>'
    """
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h3>{html.escape(title)}</h3>{_Html().jaxpr(jaxpr)}<script>{_SCRIPT}</script></body></html>\n"
    )
