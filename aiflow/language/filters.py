"""All filters, tests and functions of the language by name, and how they are called.

A filter takes its value first; one that makes much or works long also takes `budget`, by keyword.
Jinja's own filters are not used: they know nothing of null, limits or JSON, and some reach into Python objects.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from aiflow.errors import ExpressionError, StepError
from aiflow.language import chunks, list_filters, text_filters, value_filters
from aiflow.language.limits import NODE_SIZE, Budget
from aiflow.language.list_filters import as_list, plucker
from aiflow.language.lookup import Missing, nearest
from aiflow.language.operations import as_text, compare
from aiflow.values import File, Value, type_name

SOFT_FILTERS = frozenset({"default", "d"})
"""Filters that take what is missing."""

SOFT_TESTS = frozenset({"defined", "undefined", "none", "null"})
"""Tests that take what is missing; for `none` it counts as null."""


def default(value: Value, default_value: Value = "", boolean: bool = False) -> Value:
    """`default_value` for what is missing or null; with `boolean` also for "", 0, false and empty lists."""
    if isinstance(value, Missing) or value is None or (boolean and not value):
        return default_value
    return value


def chunk(value: Value, size: int, overlap: int = 0, *, budget: Budget) -> list[str]:
    """Texts of at most `size` characters, cut after a paragraph, else a sentence, else a word."""

    def count(length: int) -> None:
        budget.spend(length + NODE_SIZE)
        budget.check()

    return chunks.chunk(as_text(value), size, overlap, count)


def map_(value: Value, *args: Value, budget: Budget, **named: Value) -> list[Value]:
    """One field of each item, `map(attribute='a.b', default=0)`, or each item through a filter, `map('upper')`."""
    found = as_list(value, "map")
    if not args:
        if "attribute" not in named or set(named) - {"attribute", "default"}:
            raise ExpressionError("`map` takes attribute='...' or the name of a filter")
        fallback = {"default": named["default"]} if "default" in named else {}
        get = plucker(named["attribute"], project=budget.project, **fallback)
        return [get(item) for item in budget.each(found)]
    name, *rest = args
    function = filter_named(name, rest, named)
    return [run_filter(budget, name, function, item, rest, named) for item in budget.each(found)]


def select(value: Value, *test: Value, budget: Budget, **named: Value) -> list[Value]:
    """The items that pass a test, `select('gt', 3)`; without one: those that are true."""
    passes = _tester(test, named)
    return [item for item in budget.each(as_list(value, "select")) if passes(item)]


def reject(value: Value, *test: Value, budget: Budget, **named: Value) -> list[Value]:
    """The items that do not pass a test."""
    passes = _tester(test, named)
    return [item for item in budget.each(as_list(value, "reject")) if not passes(item)]


def selectattr(value: Value, attribute: str | int, *test: Value, budget: Budget, **named: Value) -> list[Value]:
    """The items with a field that passes a test: `selectattr('score', 'ge', 50)`."""
    get, passes = _getter(attribute, test, budget), _tester(test, named)
    return [item for item in budget.each(as_list(value, "selectattr")) if passes(get(item))]


def rejectattr(value: Value, attribute: str | int, *test: Value, budget: Budget, **named: Value) -> list[Value]:
    """The items with a field that does not pass a test."""
    get, passes = _getter(attribute, test, budget), _tester(test, named)
    return [item for item in budget.each(as_list(value, "rejectattr")) if not passes(get(item))]


def _whole(value: Value) -> int | float:
    """The number; `%` would put values into a text."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise ExpressionError(f"this test needs a number, not {type_name(value)}")


def _from(module: ModuleType, names: str) -> dict[str, Callable[..., Any]]:
    return {name: getattr(module, name) for name in names.split()}


FILTERS: dict[str, Callable[..., Any]] = {
    **_from(text_filters, """capitalize center escape format indent lower regex_replace replace sha256 slug split striptags
        title tokens trim truncate upper urlencode wordcount wordwrap"""),
    **_from(list_filters, "batch compact dictsort first flatten groupby items join last length mean reverse sort unique"),
    **_from(value_filters, "add date filesizeformat from_json json string"),
    "abs": value_filters.abs_, "float": value_filters.float_, "int": value_filters.int_, "round": value_filters.round_,
    "list": list_filters.list_, "max": list_filters.max_, "min": list_filters.min_, "slice": list_filters.slice_,
    "sum": list_filters.sum_,
    "chunk": chunk, "default": default, "map": map_, "select": select, "reject": reject,
    "selectattr": selectattr, "rejectattr": rejectattr,
    "count": list_filters.length, "d": default, "e": text_filters.escape, "forceescape": text_filters.escape,
    "tojson": value_filters.json,
}  # fmt: skip

TESTS: dict[str, Callable[..., Any]] = {
    "boolean": lambda value: isinstance(value, bool),
    "defined": lambda value: not isinstance(value, Missing),
    "divisibleby": lambda value, num: _whole(value) % _whole(num) == 0,
    "eq": lambda value, other: compare("eq", value, other),
    "even": lambda value: _whole(value) % 2 == 0,
    "false": lambda value: value is False,
    "float": lambda value: isinstance(value, float),
    "ge": lambda value, other: compare("gteq", value, other),
    "gt": lambda value, other: compare("gt", value, other),
    "in": lambda value, seq: compare("in", value, seq),
    "integer": lambda value: type(value) is int,
    "iterable": lambda value: isinstance(value, (str, list, Mapping)),
    "le": lambda value, other: compare("lteq", value, other),
    "lower": lambda value: as_text(value).islower(),
    "lt": lambda value, other: compare("lt", value, other),
    "mapping": lambda value: isinstance(value, Mapping),
    "matches": text_filters.matches,
    "ne": lambda value, other: compare("ne", value, other),
    "none": lambda value: value is None or isinstance(value, Missing),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "odd": lambda value: _whole(value) % 2 == 1,
    "sameas": lambda value, other: value is other,
    "sequence": lambda value: isinstance(value, (str, list)),
    "string": lambda value: isinstance(value, str),
    "true": lambda value: value is True,
    "undefined": lambda value: isinstance(value, Missing),
    "upper": lambda value: as_text(value).isupper(),
    "file": lambda value: isinstance(value, File),
}
TESTS |= {
    "null": TESTS["none"], "equalto": TESTS["eq"], "greaterthan": TESTS["gt"], "lessthan": TESTS["lt"],
    "==": TESTS["eq"], "!=": TESTS["ne"], "<": TESTS["lt"], "<=": TESTS["le"], ">": TESTS["gt"], ">=": TESTS["ge"],
}  # fmt: skip

FUNCTIONS: dict[str, Callable[..., Any] | None] = {
    "range": value_filters.range_,
    "zip": value_filters.zip_,
    "now": None,
    "uuid": None,
}
"""None: given by the scope, called without arguments."""


@dataclass(frozen=True)
class Signature:
    """What may be written in the parentheses. `least` and `most` count values by place; `most` None: any number."""

    least: int
    most: int | None
    names: tuple[str, ...]
    any_name: bool

    def fault(self, count: int, named: list[str]) -> str:
        """What is wrong with so many values by place and these by name; empty if nothing is."""
        unknown = [name for name in named if name not in self.names and not self.any_name]
        if unknown:
            near = nearest(unknown[0], self.names)
            return f"does not know `{unknown[0]}`" + (f"; did you mean `{near}`?" if near else "")
        twice = [name for name in named if name in self.names[:count]]
        if twice:
            return f"is given `{twice[0]}` twice"
        if self.most is not None and count > self.most:
            return f"takes {self.described()}, and here are {count}"
        absent = [name for name in self.names[count : self.least] if name not in named]
        return f"needs `{absent[0]}`" if absent else ""

    def described(self) -> str:
        """`no arguments`, `size, overlap`"""
        return ", ".join(f"`{name}`" for name in self.names) or "no arguments"


@cache
def signature_of(kind: str, name: str) -> Signature:
    """Args: kind: `filter`, `test` or `function`; name: one that exists."""
    function = FUNCTIONS[name] if kind == "function" else (FILTERS if kind == "filter" else TESTS)[name]
    parameters = list(inspect.signature(function).parameters.values())[1:] if function else []
    places = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    endless = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    least = sum(p.default is p.empty for p in places)
    if kind == "function" and endless:
        least, endless = 1, name != "range"
        return Signature(1, 3 if name == "range" else None, (), any_name=False)
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return Signature(least, None if endless else len(places), tuple(p.name for p in places), any_name)


def filter_named(name: str, args: Sequence[Value], named: Mapping[str, Value]) -> Callable[..., Any]:
    """A filter named by a value. Raises: ExpressionError: no such filter, or arguments that do not fit."""
    return _looked_up("filter", name, FILTERS, args, named)


def run_filter(
    budget: Budget, name: str, function: Callable[..., Any], value: Value, args: Any, named: Mapping[str, Value]
) -> Value:
    """Call it; the arguments are known to fit."""
    budget.check()
    try:
        made = function(value, *args, budget=budget, **named) if name in _BUDGETED else function(value, *args, **named)
    except StepError:
        raise
    except RecursionError:
        raise ExpressionError(f"the value is nested too deep for `{name}`") from None
    except Exception as error:
        raise _misfit("filter", name, value, args, named, error) from None
    if made is not value and name not in _UNCOUNTED:
        budget.made(made)
    budget.check()
    return made


def run_test(
    name: str, function: Callable[..., Any], value: Value, args: Sequence[Value], named: Mapping[str, Value]
) -> bool:
    """Call it; the arguments are known to fit."""
    try:
        return bool(function(value, *args, **named))
    except StepError:
        raise
    except Exception as error:
        raise _misfit("test", name, value, args, named, error) from None


def did_you_mean(name: object, names: Mapping[str, Any]) -> str:
    """A hint, or the empty text."""
    near = nearest(str(name), [n for n in names if n.isidentifier()])
    return f"did you mean `{near}`?" if near else ""


def _looked_up(
    kind: str, name: str, table: Mapping[str, Callable[..., Any]], args: Sequence[Value], named: Mapping[str, Value]
) -> Callable[..., Any]:
    function = table.get(name) if isinstance(name, str) else None
    if function is None:
        raise ExpressionError(f"there is no {kind} `{name}`", did_you_mean(name, table))
    fault = signature_of(kind, name).fault(len(args), list(named))
    if fault:
        raise ExpressionError(f"the {kind} `{name}` {fault}")
    return function


def _tester(test: tuple[Value, ...], named: Mapping[str, Value]) -> Callable[[Value], bool]:
    if not test:
        return bool
    name, *args = test
    function = _looked_up("test", name, TESTS, args, named)
    return lambda value: run_test(name, function, value, args, named)


def _getter(attribute: str | int, test: tuple[Value, ...], budget: Budget) -> Callable[[Value], Any]:
    return plucker(attribute, project=budget.project, soft=bool(test) and test[0] in SOFT_TESTS)


def _misfit(kind: str, name: str, value: Value, args: Any, named: Mapping[str, Value], error: Exception) -> Exception:
    given = [type_name(argument) for argument in (*args, *named.values())]
    with_ = f" with {', '.join(given)}" if given else ""
    if name in ("sort", "max", "min", "dictsort", "groupby"):
        return ExpressionError(f"`{name}` needs items of one type")
    return ExpressionError(f"the {kind} `{name}` does not work on {type_name(value)}{with_}", data={"cause": str(error)[:200]})


_BUDGETED = frozenset(name for name, function in FILTERS.items() if "budget" in inspect.signature(function).parameters)
_UNCOUNTED = frozenset({"default", "d", "first", "last", "max", "min"})
"""Filters that give what they were given."""
