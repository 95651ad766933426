"""Filters on single values: numbers, dates, JSON."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from aiflow.clock import rfc3339
from aiflow.durations import parse_duration, parse_moment
from aiflow.errors import ExpressionError
from aiflow.language.limits import ITEM_SIZE, NODE_SIZE, RANGE_LIMIT, ROOM_PER_CHARACTER, Budget, in_force, small
from aiflow.language.operations import as_text, json_text
from aiflow.values import Value, type_name

_REQUIRED: Any = object()
NUMBER_LIMIT, FORMAT_LIMIT = 1_000, 200
"""Characters of a number, of the form of a date."""

_DIRECTIVES = re.compile(r"%([^%])|%%")


def abs_(value: Value) -> int | float:
    """Without the sign."""
    return abs(_number(value, "abs"))


def add(value: Value, duration: str) -> str:
    """A moment so much later, or earlier with `-`: `run.started_at | add('3d')`. The zone stays as it was."""
    if not isinstance(duration, str):
        raise ExpressionError(f"`add` needs a duration such as '3d', not {type_name(duration)}")
    back = duration.startswith("-")
    try:
        moment = parse_moment(as_text(value))
        span = parse_duration(duration[1:] if back else duration)
        later = moment - span if back else moment + span
        return _like(str(value), later)
    except (ValueError, OverflowError) as error:
        raise ExpressionError(str(error)) from None


def date(value: Value, format: str = "%Y-%m-%d") -> str:
    """A moment or date in the form of strftime: `%d.%m.%Y %H:%M`. In the zone it is written in."""
    if len(as_text(format)) > FORMAT_LIMIT:
        raise ExpressionError(f"the format of `date` has more than {FORMAT_LIMIT} characters")
    for letter in _DIRECTIVES.findall(format):
        if letter and letter not in "aAbBdHIjmMpSUwWyYzZfGuV":
            raise ExpressionError(f"`date` does not know `%{letter}`", "write for example %Y-%m-%d %H:%M")
    text = as_text(value)
    try:
        return datetime.fromisoformat(text.strip().replace("z", "Z")).strftime(format)
    except (ValueError, OverflowError):
        raise ExpressionError(f"`{text:.60}` is not a moment or date", "write for example 2026-03-01T09:00:00Z") from None


def filesizeformat(value: Value, binary: bool = False) -> str:
    """`13.0 kB`, or `12.7 KiB` if `binary`."""
    size, base = float(_number(value, "filesizeformat")), 1024 if binary else 1000
    if size < base:
        return "1 Byte" if size == 1 else f"{int(size)} Bytes"
    for power, letter in enumerate("kMGTPEZY", 1):
        if size < base ** (power + 1) or letter == "Y":
            break
    unit = f"{letter.upper()}iB" if binary else f"{letter}B"
    return f"{size / base**power:.1f} {unit}"


def float_(value: Value, default: Value = _REQUIRED) -> Value:
    """A number from a text. What is none: `default`, or an error."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return small(float(value))
        if isinstance(value, str) and len(value) <= NUMBER_LIMIT:
            return small(float(value))
    except (ValueError, OverflowError, ExpressionError):
        pass
    return _otherwise(default, value, "number", "float")


def from_json(value: Value) -> Value:
    """The value that a JSON text stands for."""
    text = as_text(value)
    in_force().spend(ROOM_PER_CHARACTER * len(text))
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ExpressionError(f"this is not JSON: {error}") from None


def int_(value: Value, default: Value = _REQUIRED, base: int = 10) -> Value:
    """A whole number from a number (cut off) or a text. What is none: `default`, or an error."""
    try:
        if isinstance(value, str):
            if len(value) > NUMBER_LIMIT:
                raise ValueError
            return small(int(value, base) if base != 10 or not re.search("[.eE]", value) else int(float(value)))
        if isinstance(value, (int, float)):
            return small(int(value))
    except (ValueError, OverflowError, ExpressionError):
        pass
    return _otherwise(default, value, "whole number", "int")


def json(value: Value, indent: int | None = None, *, budget: Budget) -> str:
    """The value as JSON text, on several lines with `indent`."""
    if indent is not None and not 0 <= indent <= 16:
        raise ExpressionError("`json` takes an indent from 0 to 16")
    budget.check()
    return json_text(value, indent)


def range_(budget: Budget, *bounds: Value) -> list[int]:
    """`range(5)`, `range(1, 6)`, `range(10, 0, -2)`: at most 100,000 numbers."""
    if not all(type(bound) is int for bound in bounds) or bounds[2:] == (0,):
        raise ExpressionError("range() takes whole numbers, and a step that is not 0")
    numbers = range(*bounds)
    if max(map(abs, (numbers.start, numbers.stop))) > 2**53 or len(numbers) > RANGE_LIMIT:
        raise ExpressionError(f"range() gives at most {RANGE_LIMIT} numbers")
    return list(numbers)


def round_(value: Value, precision: int = 0, method: str = "common") -> float:
    """`common`, `ceil` or `floor`, to `precision` digits; a number with a point: add `| int` for none."""
    import math

    number = _number(value, "round")
    if method not in ("common", "ceil", "floor") or type(precision) is not int or not -20 <= precision <= 20:
        raise ExpressionError("`round` takes a precision from -20 to 20, and 'common', 'ceil' or 'floor'")
    if method == "common":
        return float(round(number, precision))
    return float((math.ceil if method == "ceil" else math.floor)(number * 10**precision) / 10**precision)


def string(value: Value) -> str:
    """As it would stand in text."""
    return as_text(value)


def zip_(budget: Budget, *lists: Value) -> list[list[Value]]:
    """Lists side by side, as long as the shortest: `zip([1, 2], ["a", "b"])` is `[[1, "a"], [2, "b"]]`."""
    for given in lists:
        if not isinstance(given, list):
            raise ExpressionError(f"zip() takes lists, not {type_name(given)}")
    budget.spend(sum(map(len, lists)) * ITEM_SIZE + min(map(len, lists)) * NODE_SIZE)
    return [list(row) for row in zip(*lists, strict=False)]


def _like(text: str, ms: int) -> str:
    """The moment written as `text` is: its zone, and milliseconds only if it has them."""
    utc = rfc3339(ms)
    if text.strip()[-1] not in "Zz":
        zone = datetime.fromisoformat(text.strip()).tzinfo
        local = datetime.fromisoformat(utc).astimezone(zone)
        return local.isoformat(timespec="milliseconds" if "." in text or ms % 1000 else "seconds")
    return utc if "." in text or ms % 1000 else utc[:-5] + "Z"


def _number(value: Value, name: str) -> int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise ExpressionError(f"`{name}` needs a number, not {type_name(value)}")


def _otherwise(default: Value, value: Value, kind: str, name: str) -> Value:
    if default is not _REQUIRED:
        return default
    shown = f"the text {value!r:.60}" if isinstance(value, str) else type_name(value)
    raise ExpressionError(f"{shown} is not a {kind}", f"if that may be, write: ... | {name}(default=0)")
