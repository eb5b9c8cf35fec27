"""One class per cause of failure. Lives here: every exception fnets raises, each with its cause and an example. May import source.

Each class derives from the built-in exception that NumPy or JAX would raise for the same cause, so `except ValueError`
and ported `except` clauses keep working. The message always reads `[operation] expected ..., got ...`, then one fix, then
the user's own file and line, which the base class finds by itself. `python -m fnets explain NAME` prints a class's docstring:
its cause, wrong code and right code. `EXAMPLE_IMPORTS` comes before both.
"""

from __future__ import annotations

import inspect
import re
import warnings
from typing import NamedTuple

import numpy as np

from fnets.source import describe_location, user_location

EXAMPLE_IMPORTS = """\
import numpy as np
import fnets
import fnets.numpy as fnp
from fnets import grad, jit, lax, random, tree, vmap
"""


class FnetsError(Exception):
    """Base of every error that fnets raises; appends the user's own line to the message.

    >>> "boom" in str(FnetsError("boom"))
    True
    """

    hint = False  # True where the message should name the longer explanation

    def __init__(self, message: str = "", *rest: object):
        where = user_location()
        self.where = where
        if where is not None and "\n  at " not in message:
            message = f"{message}\n  at {describe_location(where)}"
            if self.hint:
                message = f"{message}\n  more: python -m fnets explain {type(self).__name__}"
        super().__init__(message, *rest)


class Explanation(NamedTuple):
    """What `python -m fnets explain` prints of an error class."""

    cause: str
    wrong: str
    right: str


def explanation(error: type[FnetsError]) -> Explanation:
    """Cause, wrong code and right code of an error class, from its docstring.

    >>> print(explanation(AxisError).right)
    fnp.sum(fnp.ones((2, 3)), axis=1)
    """
    text = inspect.cleandoc(error.__doc__ or "").split("\n>>>")[0]
    cause, wrong, right = re.fullmatch(r"(.*?)(?:\n\nWrong:\n(.*?)\n\nRight:\n(.*?))?\n*", text, re.DOTALL).groups()  # type: ignore[union-attr]
    return Explanation(cause, *[inspect.cleandoc("\n" + (code or "")).strip() for code in (wrong, right)])


def error_classes() -> dict[str, type[FnetsError]]:
    """All error classes that are loaded, by name.

    >>> "ShapeError" in error_classes()
    True
    """
    found: dict[str, type[FnetsError]] = {}
    work: list[type[FnetsError]] = [FnetsError]
    while work:
        cls = work.pop()
        found[cls.__name__] = cls
        work += cls.__subclasses__()
    return dict(sorted(found.items()))


class ShapeError(FnetsError, TypeError, ValueError):
    """Operand shapes do not fit the operation.

    Wrong:
        fnp.matmul(fnp.ones((3, 4)), fnp.ones((3, 4)))

    Right:
        fnp.matmul(fnp.ones((3, 4)), fnp.ones((3, 4)).T)

    >>> issubclass(ShapeError, ValueError)
    True
    """


class DTypeError(FnetsError, TypeError, ValueError):
    """The operation is not defined for this dtype.

    Wrong:
        grad(lambda x: x * x)(3)

    Right:
        grad(lambda x: x * x)(3.0)

    >>> issubclass(DTypeError, TypeError)
    True
    """


class ArgumentError(FnetsError, TypeError, ValueError):
    """An argument has a wrong value, kind or number.

    Wrong:
        grad(lambda x: x * x, argnums=2)(1.0)

    Right:
        grad(lambda x: x * x, argnums=0)(1.0)

    >>> issubclass(ArgumentError, ValueError)
    True
    """


class AxisError(FnetsError, TypeError, ValueError, IndexError):
    """An axis is out of range or named twice.

    Wrong:
        fnp.sum(fnp.ones((2, 3)), axis=2)

    Right:
        fnp.sum(fnp.ones((2, 3)), axis=1)

    >>> issubclass(AxisError, IndexError)
    True
    """


class IndexingError(FnetsError, IndexError, TypeError):
    """An index is out of range or of a kind that cannot index.

    Out-of-range indices raise, as in NumPy; other behaviour is asked for with a mode.

    Wrong:
        fnp.at(fnp.arange(5))[7].get()

    Right:
        fnp.at(fnp.arange(5))[7].get(mode="clip")

    >>> issubclass(IndexingError, IndexError)
    True
    """


class TreeStructureError(FnetsError, ValueError, TypeError):
    """Two pytrees that must have the same structure differ; the message names the first differing path.

    Wrong:
        tree.map(fnp.add, {"a": 1.0}, {"b": 1.0})

    Right:
        tree.map(fnp.add, {"a": 1.0}, {"a": 1.0})

    >>> issubclass(TreeStructureError, ValueError)
    True
    """


class ConcretizationTypeError(FnetsError, TypeError):
    """A concrete value was asked of an array whose value is not known while tracing.

    Under `jit` a function runs once on stand-ins for arrays: what must be a Python number has to be a static argument. Under `grad`
    a Python number would lose the derivative.

    Wrong:
        jit(lambda x: x * float(x.sum()))(np.ones(3))

    Right:
        jit(lambda x: x * x.sum())(np.ones(3))

    >>> issubclass(ConcretizationTypeError, TypeError)
    True
    """

    hint = True


class TracerBoolConversionError(ConcretizationTypeError):
    """`if x:` (or `and`, `or`, `not`, `while`) on a value that is abstract under `jit`, or batched under `vmap`.

    `if` chooses one way while tracing, but the value is only there when the compiled function runs. Let the program choose, or make the
    argument static.

    Wrong:
        jit(lambda x: x if x > 0 else -x)(1.0)

    Right:
        jit(lambda x: fnp.where(x > 0, x, -x))(1.0)
        jit(lambda x: lax.cond(x > 0, lambda x: x, lambda x: -x, x))(1.0)

    >>> issubclass(TracerBoolConversionError, TypeError)
    True
    """

    hint = True


class TracerIntegerConversionError(FnetsError, TypeError):
    """`range(n)`, `lst[n]` or a slice made of an abstract value.

    The length of a Python loop and the position in a Python list must be known while tracing: make the argument static, or loop with
    `lax.fori_loop`.

    Wrong:
        jit(lambda x, n: sum(x for _ in range(n)))(1.0, 3)

    Right:
        jit(lambda x, n: sum(x for _ in range(n)), static_argnums=1)(1.0, 3)
        jit(lambda x, n: lax.fori_loop(0, n, lambda i, total: total + x, 0.0))(1.0, 3)

    >>> issubclass(TracerIntegerConversionError, TypeError)
    True
    """

    hint = True


class TracerArrayConversionError(FnetsError, TypeError, ValueError):
    """Code outside fnets asked for the memory of a traced array.

    NumPy's functions on a traced array trace by themselves; `np.asarray(x)` and compiled extensions need real memory. For those there is
    `fnets.pure_callback`.

    Wrong:
        jit(lambda x: np.asarray(x) * 2)(np.ones(3))

    Right:
        jit(lambda x: np.multiply(x, 2))(np.ones(3))

    >>> issubclass(TracerArrayConversionError, TypeError)
    True
    """

    hint = True


class NonConcreteBooleanIndexError(FnetsError, IndexError):
    """A boolean mask that is not known while tracing cannot index: the result's shape would depend on values.

    Wrong:
        jit(lambda x: x[x > 0])(np.ones(3))

    Right:
        jit(lambda x: fnp.where(x > 0, x, 0))(np.ones(3))

    >>> issubclass(NonConcreteBooleanIndexError, IndexError)
    True
    """

    hint = True


class UnexpectedTracerError(FnetsError, TypeError):
    """A traced value was used after the transformation that made it had ended.

    An intermediate value was stored in a global, a list or an attribute inside a function that `grad`, `vmap` or `jit` transforms.

    Wrong:
        kept = []
        grad(lambda x: kept.append(x * 2) or x * x)(3.0)
        kept[0] + 1

    Right:
        gradient, kept = grad(lambda x: (x * x, x * 2), has_aux=True)(3.0)
        kept + 1

    >>> issubclass(UnexpectedTracerError, TypeError)
    True
    """

    hint = True


class ImmutableArrayError(FnetsError, TypeError):
    """A traced array was assigned to in place.

    Wrong:
        def f(x):
            x[0] = 1.0
            return x.sum()
        grad(f)(np.ones(3))

    Right:
        def f(x):
            x = fnp.at(x)[0].set(1.0)
            return x.sum()
        grad(f)(np.ones(3))

    >>> issubclass(ImmutableArrayError, TypeError)
    True
    """

    hint = True


class UnboundAxisError(FnetsError, NameError):
    """A collective or `axis_index` names an axis that no `vmap` around it has.

    Wrong:
        vmap(lambda x: lax.psum(x, "i"))(np.ones(3))

    Right:
        vmap(lambda x: lax.psum(x, "i"), axis_name="i")(np.ones(3))

    >>> issubclass(UnboundAxisError, NameError)
    True
    """


class RetraceError(FnetsError, RuntimeError):
    """A jitted function had to be compiled inside `no_tracing`: something in its arguments' types, structure or static values is new.

    `fnets.explain_cache_misses` names what has changed.

    Wrong:
        f = jit(lambda x: x + 1)
        with fnets.no_tracing():
            f(np.ones(3))

    Right:
        f = jit(lambda x: x + 1)
        f(np.ones(3))
        with fnets.no_tracing():
            f(np.ones(3))

    >>> issubclass(RetraceError, RuntimeError)
    True
    """


class ExecutionError(FnetsError, RuntimeError):
    """A jitted function was to run inside `no_execution`, where it may only be traced.

    Wrong:
        with fnets.no_execution():
            jit(lambda x: x + 1)(np.ones(3))

    Right:
        with fnets.no_execution():
            shape = fnets.eval_shape(jit(lambda x: x + 1), np.ones(3))

    >>> issubclass(ExecutionError, RuntimeError)
    True
    """


class NonFiniteError(FnetsError, FloatingPointError):
    """With `debug_nans` or `debug_infs` on, an operation gave NaN or infinity.

    The message names the operation, the line (on the way back: the line of the operation whose derivative it is) and what went in.

    Wrong:
        with fnets.config.using(debug_nans=True):
            jit(lambda x: fnp.log(x))(np.float32(-1.0))

    Right:
        with fnets.config.using(debug_nans=True):
            jit(lambda x: fnp.log(fnp.abs(x)))(np.float32(-1.0))

    >>> issubclass(NonFiniteError, FloatingPointError)
    True
    """


class CheckError(FnetsError, ValueError):
    """A predicate given to `error_if` was true when the program ran.

    Wrong:
        jit(lambda x: fnp.sqrt(fnets.error_if(x, x < 0, "negative")))(-1.0)

    Right:
        jit(lambda x: fnp.sqrt(fnets.error_if(x, x < 0, "negative")))(1.0)

    >>> issubclass(CheckError, ValueError)
    True
    """


class KernelBoundsError(FnetsError, RuntimeError):
    """With `check_bounds` on, a native kernel was about to touch memory that is not its own; it did not, but its results are worthless.

    The message names the operand or result, its bytes and the instruction: a kernel of fnets, or one from outside, is wrong.

    >>> issubclass(KernelBoundsError, RuntimeError)
    True
    """


class MissingRuleError(FnetsError, TypeError, AttributeError):
    """A primitive has no rule for this transformation.

    The rules of a primitive of your own are functions stored on it; see `fnets/core/primitive.py`.

    Wrong:
        twice = fnets.core.Primitive("twice_a")
        twice.impl = lambda x: 2 * x
        jit(twice.bind)(1.0)

    Right:
        twice = fnets.core.Primitive("twice_b")
        twice.impl = lambda x: 2 * x
        twice.abstract = lambda aval: aval
        jit(twice.bind)(1.0)

    >>> issubclass(MissingRuleError, TypeError)
    True
    """


class JaxprTypeError(FnetsError, TypeError):
    """A jaxpr is not well formed; an invariant of fnets, or of a third party's rule, is broken.

    Wrong:
        from fnets.core import Jaxpr, ShapedArray, Var, check_jaxpr
        v = Var(ShapedArray((2,), "float32"))
        check_jaxpr(Jaxpr((), (), [], [], [v]))

    Right:
        from fnets.core import Jaxpr, ShapedArray, Var, check_jaxpr
        v = Var(ShapedArray((2,), "float32"))
        check_jaxpr(Jaxpr((), (), [v], [], [v]))

    >>> issubclass(JaxprTypeError, TypeError)
    True
    """


class UnknownBackendError(FnetsError, ValueError):
    """`jit(backend=...)` or `FNETS_BACKEND` names a backend that is not registered.

    Wrong:
        jit(lambda x: x + 1, backend="gpu")

    Right:
        jit(lambda x: x + 1, backend="numpy")

    >>> issubclass(UnknownBackendError, ValueError)
    True
    """


class DataError(FnetsError, ValueError):
    """A data file is missing, truncated, corrupted or not what it should be.

    Wrong:
        fnets.data.Dataset("digits", image=np.ones((3, 2)), label=np.ones(4))

    Right:
        fnets.data.Dataset("digits", image=np.ones((3, 2)), label=np.ones(3))

    >>> issubclass(DataError, ValueError)
    True
    """


class CheckpointError(FnetsError, ValueError):
    """A saved file does not hold what was asked of it, or is damaged.

    Wrong:
        fnets.io.save("params.safetensors", {"w": np.array(["text"])})

    Right:
        fnets.io.save("params.safetensors", {"w": np.array([1.0])})

    >>> issubclass(CheckpointError, ValueError)
    True
    """


class MissingExtraError(FnetsError, ImportError):
    """An optional dependency is not installed; the message names the extra.

    Wrong:
        import sys
        sys.modules["matplotlib.figure"] = None  # as if it were not installed
        fnets.plots.loss_curve([1.0, 0.5])

    Right:
        fnets.plots.loss_curve([1.0, 0.5])  # after pip install fnets[examples]

    >>> issubclass(MissingExtraError, ImportError)
    True
    """


class KeyReuseError(FnetsError, RuntimeError):
    """A key was used twice inside `check_key_reuse`, so that two draws which look independent are the same.

    Wrong:
        with random.check_key_reuse():
            key = random.key(0)
            random.normal(key), random.uniform(key)

    Right:
        with random.check_key_reuse():
            k1, k2 = random.split(random.key(0))
            random.normal(k1), random.uniform(k2)

    >>> issubclass(KeyReuseError, RuntimeError)
    True
    """


class SeedOverflowError(ArgumentError, OverflowError):
    """A Python integer that is folded into a key, or makes one, does not fit.

    Wrong:
        random.key(2**64)

    Right:
        random.key(2**64 % 2**63)

    >>> issubclass(SeedOverflowError, OverflowError)
    True
    """


class TreeKeyError(FnetsError, KeyError):
    """No value, or more than one, goes by a name.

    Wrong:
        state = fnets.optim.adam(1.0).init(np.ones(2))
        fnets.optim.tree.set(state, momentum=np.zeros(2))

    Right:
        state = fnets.optim.adam(1.0).init(np.ones(2))
        fnets.optim.tree.set(state, mu=np.zeros(2))

    >>> issubclass(TreeKeyError, KeyError)
    True
    """

    __str__ = Exception.__str__  # KeyError's own would quote the message


class LinAlgError(FnetsError, np.linalg.LinAlgError):
    """A matrix is singular, not positive definite, or has values for which an algorithm does not converge.

    Wrong:
        fnp.linalg.inv(fnp.zeros((2, 2)))

    Right:
        fnp.linalg.pinv(fnp.zeros((2, 2)))

    >>> issubclass(LinAlgError, np.linalg.LinAlgError)
    True
    """


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the user's own line.

    >>> with warnings.catch_warnings(record=True) as told: warn_user("slow", RetraceWarning)
    >>> str(told[0].message)
    'slow'
    """
    where = user_location()
    if where is None:
        warnings.warn(message, category, stacklevel=3)
    else:
        warnings.warn_explicit(message, category, where.file, where.line)


class PromotionWarning(UserWarning):
    """An operand of another dtype makes a float result wider (setting `promotion` is "warn").

    >>> issubclass(PromotionWarning, UserWarning)
    True
    """


class RetraceWarning(UserWarning):
    """A jitted function was compiled again and again; the message names what keeps changing.

    >>> issubclass(RetraceWarning, UserWarning)
    True
    """
