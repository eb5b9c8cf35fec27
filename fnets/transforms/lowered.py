"""What `jit(f).trace`, `.lower` and `.compile` return: a function staged, ready to be read, and compiled. May import core, backends, tree, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fnets import tree
from fnets.backends import compiled
from fnets.backends.costs import CostAnalysis, Memory, memory_of
from fnets.backends.numpy_codegen import compile_numpy
from fnets.backends.passes import optimise
from fnets.core.avals import ShapedArray, ShapeDtypeStruct
from fnets.core.ir import Jaxpr
from fnets.core.trace import Tracer, typeof
from fnets.errors import ArgumentError
from fnets.transforms.cache_misses import leaf_names, structure_differences
from fnets.transforms.call import jit_p
from fnets.transforms.edge import trim_traceback
from fnets.transforms.signature import Function


class Stage:
    """A function staged for given argument types."""

    def __init__(self, function: Function, leaves: list, spec: Any, static: tuple | None):
        avals = [typeof(x) for x in leaves]
        self._function = function
        self._staged = function.stage(avals, spec, static)
        self._in_spec = spec
        self._static = static
        self.fun_name = function.name
        self.in_avals = avals  # the types of the arguments' leaves

    @property
    def jaxpr(self) -> Jaxpr:
        """The program. Values of running transformations that the function closes over are its leading arguments."""
        return self._staged.jaxpr

    @property
    def backend(self) -> str | None:
        """The backend that jit was given; None is the one in force where the program is compiled."""
        return self._function.backend

    @property
    def hoisted(self) -> tuple:
        """Values of running transformations that the function closes over: leading operands of the jaxpr."""
        return self._staged.hoisted

    @property
    def names(self) -> list[str]:
        """What the leaves of the arguments are called in the function."""
        return leaf_names(self._function.fun, self._in_spec, self._static)

    @property
    def in_tree(self) -> tree.PyTreeDef:
        """The structure of `(args, kwargs)`, without static arguments."""
        return tree.PyTreeDef(self._in_spec)

    @property
    def out_tree(self) -> tree.PyTreeDef:
        """The structure of the result."""
        return tree.PyTreeDef(self._staged.out_spec)

    @property
    def args_info(self) -> Any:
        """The types of the arguments, in their structure."""
        return tree.unflatten_spec(self._in_spec, [_struct(a) for a in self.in_avals])

    @property
    def out_info(self) -> Any:
        """The types of the result, in its structure."""
        return tree.unflatten_spec(self._staged.out_spec, [_struct(v.aval) for v in self.jaxpr.outvars])

    def checked_leaves(self, args: tuple, kwargs: dict) -> list:
        """The leaves of a call's arguments; raises unless they have the types that this was staged for."""
        leaves, spec = tree.flatten_spec((args, kwargs))
        if spec != self._in_spec:
            leaves, spec, static = self._function.arguments(args, kwargs)
            if spec == self._in_spec and static != self._static:
                raise ArgumentError(
                    f"[compiled] expected the static arguments that {self.fun_name} was lowered for, got others. Lower it for these, "
                    "or call the jitted function, which compiles by itself."
                )
        if spec != self._in_spec:
            place, has, had = structure_differences(self._function.fun, self._static, spec, self._in_spec)[0]
            raise ArgumentError(
                f"[compiled] expected arguments of the structure that {self.fun_name} was lowered for, got {has} instead of {had} in "
                f"{place}. Call the jitted function, which compiles by itself."
            )
        for i, (x, want) in enumerate(zip(leaves, self.in_avals)):
            have = typeof(x)
            if have != want:
                raise ArgumentError(
                    f"[compiled] expected {self.names[i]} of type {_type(want)}, for which {self.fun_name} was lowered, got {_type(have)}. "
                    "Convert it, lower for this type, or call the jitted function, which compiles by itself."
                )
        return leaves

    def _as(self, cls: type) -> Any:
        out = cls.__new__(cls)
        out.__dict__.update(self.__dict__)
        return out

    def __repr__(self) -> str:
        types = ", ".join(f"{n}: {a.str_short()}" for n, a in zip(self.names, self.in_avals))
        return f"{type(self).__name__}({self.fun_name}: {types})"


class Traced(Stage):
    """`jit(f).trace(*args)`: the jaxpr as the function wrote it.

    >>> import fnets
    >>> fnets.jit(lambda x: x * 2).trace(1.0).out_info
    ShapeDtypeStruct(shape=(), dtype=float64, weak_type=True)
    """

    def lower(self) -> Lowered:
        """The next stage."""
        return self._as(Lowered)


class Lowered(Stage):
    """`jit(f).lower(*args)`: the program, to be read or compiled.

    >>> import fnets
    >>> lowered = fnets.jit(lambda x: x * 2 * 1).lower(1.0)
    >>> print(lowered.as_text())
    { lambda ; a:f64[]. let
        b:f64[] = mul a 2:i64[]
        c:f64[] = mul b 1:i64[]
      in (c,) }
    >>> print(lowered.as_text("numpy"))
    def run(v0):
      v1 = item_1(mul_0(v0, 2))
      return [v1]
    """

    def as_text(self, dialect: str | None = None, *, debug_info: bool = False) -> str:
        """The program as text.

        Args:
          dialect: None or "jaxpr", the jaxpr as traced; "optimized", the jaxpr that is compiled; "numpy", the NumPy source made of it.
          debug_info: add the user's lines as comments.
        """
        if dialect in (None, "jaxpr"):
            return self.jaxpr.pretty_print(source_info=debug_info)
        if dialect in ("optimized", "optimised"):
            return optimise(self.jaxpr).pretty_print(source_info=debug_info)
        if dialect == "numpy":
            return compile_numpy(self.jaxpr, True, self._staged.donated).source
        raise ArgumentError(f"[as_text] expected 'jaxpr', 'optimized' or 'numpy', got {dialect!r}.")

    def cost_analysis(self) -> CostAnalysis:
        """Operations, bytes moved and peak memory of the compiled program, in total and per equation with the user's line."""
        return CostAnalysis(optimise(self.jaxpr), self._staged.donated)

    def memory_analysis(self) -> Memory:
        """Peak memory by liveness, and what is held then."""
        return memory_of(optimise(self.jaxpr), self._staged.donated)

    def compile(self, compiler_options: Any = None) -> Compiled:
        """The program compiled: a function of the same arguments."""
        out = self._as(Compiled)
        out._run = compiled(self.jaxpr, self._function.backend, True, self._staged.donated)
        return out


class Compiled(Lowered):
    """`jit(f).lower(*args).compile()`: runs for arguments of these types, and for no others. Static arguments may be left out.

    >>> import fnets
    >>> double = fnets.jit(lambda x: x * 2).lower(1.0).compile()
    >>> double(4.0)
    8.0
    """

    _run: Callable[..., list]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            operands = [*self.hoisted, *self.checked_leaves(args, kwargs)]
            if any([isinstance(x, Tracer) for x in operands]):
                out = jit_p.bind(*operands, jaxpr=self.jaxpr, name=self.fun_name, backend=self._function.backend)
            else:
                out = self._run(*operands)
        except Exception as error:
            trim_traceback(error)
            raise
        return tree.unflatten_spec(self._staged.out_spec, out)

    def report(self) -> Any:
        """What the native backend did: `print` shows which equations run natively, in which calls and loops, and which in NumPy.

        `numpy` lists the primitives that NumPy runs. None for other backends.

        >>> import fnets
        >>> fnets.jit(lambda x: x * 2, backend="numpy").lower(1.0).compile().report() is None
        True
        """
        report = getattr(self._run, "report", None)
        return None if report is None else report()


def _type(a: ShapedArray) -> str:
    return a.str_short(short_dtypes=False) + (" (a Python scalar)" if a.weak_type else "")


def _struct(a: ShapedArray) -> ShapeDtypeStruct:
    return ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type)
