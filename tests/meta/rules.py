"""
The measurable half of the house style: each rule looks at one module or function and returns its complaints. Pure.
"""

import ast
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from tests.meta.sources import Source

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

LARGEST_MODULE, MODULE_P90, MODULE_MEDIAN = 400, 300, 120
LARGEST_FUNCTION, FUNCTION_P90, FUNCTION_MEDIAN = 50, 25, 8
MOST_PARAMETERS, MOST_POSITIONAL = 5, 2
EMPTY_NAMES = {
    "util", "utils", "helper", "helpers", "common", "misc", "manager", "managers", "handler", "handlers",
}  # fmt: skip
#: Signatures that others prescribe: ASGI's, and those of click's parameter types and options.
PRESCRIBED = {("scope", "receive", "send"), ("value", "param", "ctx"), ("ctx", "opts", "args")}
#: Decorators of functions whose parameters others prescribe: a base class, or the command line's flags.
PRESCRIBING = {"override", "overload", "command"}


def judge_docstring(source: Source) -> Iterator[str]:
    """Every module says what it is for."""
    if not ast.get_docstring(source.tree):
        yield f"{source.path}: no docstring"


def judge_init(source: Source) -> Iterator[str]:
    """A package's `__init__.py` holds a docstring and nothing else."""
    if source.path.name == "__init__.py" and len(source.tree.body) > 1:
        yield f"{source.path}: holds more than a docstring"


def judge_name(source: Source) -> Iterator[str]:
    """A module's name says what is in it."""
    for name in source.dotted.split("."):
        if name.strip("_") in EMPTY_NAMES:
            yield f"{source.path}: {name!r} says nothing"


def judge_module_size(source: Source) -> Iterator[str]:
    if source.size > LARGEST_MODULE:
        yield f"{source.path}: {source.size} lines, at most {LARGEST_MODULE}"


def judge_function_sizes(source: Source) -> Iterator[str]:
    for function in functions(source):
        if (size := function_size(function)) > LARGEST_FUNCTION:
            yield f"{source.path}:{function.lineno}: {function.name} has {size} lines, at most {LARGEST_FUNCTION}"


def judge_parameters(source: Source) -> Iterator[str]:
    """At most five parameters, keyword-only from the third; not where others prescribe the signature."""
    for function in functions(source):
        if _is_prescribed(function):
            continue
        positional = [name for name in _names(function.args.posonlyargs + function.args.args) if not _is_self(name)]
        total = len(positional) + len(function.args.kwonlyargs)
        where = f"{source.path}:{function.lineno}: {function.name}"
        if total > MOST_PARAMETERS:
            yield f"{where} takes {total} parameters, at most {MOST_PARAMETERS}"
        if len(positional) > MOST_POSITIONAL:
            yield f"{where}: keyword-only from the third parameter"


def judge_spread(what: str, sizes: Sequence[int], *, median: int, p90: int) -> Iterator[str]:
    """The middle and the upper tenth of all sizes."""
    if len(sizes) < 2:
        return
    if (found := statistics.median(sizes)) > median:
        yield f"{what}: median {found:g} lines, at most {median}"
    if (found := statistics.quantiles(sizes, n=10, method="inclusive")[8]) > p90:
        yield f"{what}: nine in ten within {found:g} lines, at most {p90}"


def functions(source: Source) -> Iterator[Function]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def function_size(function: Function) -> int:
    """Count a function's lines from `def` on, without its docstring."""
    assert function.end_lineno is not None
    size = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        assert first.end_lineno is not None
        size -= first.end_lineno - first.lineno + 1
    return size


def _is_prescribed(function: Function) -> bool:
    names = tuple(name for name in _names(function.args.args) if not _is_self(name))
    is_dunder = function.name.startswith("__") and function.name != "__init__"
    return is_dunder or names in PRESCRIBED or not PRESCRIBING.isdisjoint(map(_last_name, function.decorator_list))


def _last_name(decorator: ast.expr) -> str:
    """`command` for `@click.command("drone")`."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rpartition(".")[2]


def _names(arguments: Iterable[ast.arg]) -> list[str]:
    return [argument.arg for argument in arguments]


def _is_self(name: str) -> bool:
    return name in {"self", "cls"}
