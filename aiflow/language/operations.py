"""Operators and the way into text: JSON rules, bounded sizes, errors that name the types."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from typing import Any

from aiflow.errors import ExpressionError
from aiflow.language.limits import ITEM_SIZE, Budget, in_force, small
from aiflow.values import File, Value, plain, type_name

LONG_TEXT = 10_000
"""Characters whose comparison is not worth counting."""

PART_SIZE = 3
"""Characters that a part takes in JSON at least, with comma and blank."""

PART_NS, CHARACTERS_PER_NS = 20, 8
"""What comparing costs: per part of a list or map, and how many characters of text in a nanosecond."""

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def as_text(value: Value, label: str = "") -> str:
    """A value inside text: numbers as written, true/false, maps and lists as JSON.

    Args: label: what the author wrote, for the message.
    Raises: ExpressionError: the value is null.
    """
    if type(value) is str:
        return value
    if value is None:
        what = f"`{label}` is null, and null" if label else "null"
        hint = f"write: {label} | default('...')" if label else "write: ... | default('...')"
        raise ExpressionError(f"{what} cannot be put into text", hint)
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, (int, float, str)):
        return str(value)
    return json_text(value)


def json_text(value: Value, indent: int | None = None) -> str:
    """JSON as people write it, letters of all languages as they are."""
    budget = in_force()
    if value.__class__ is list or value.__class__ is dict:
        parts, characters = _spread(value)
        budget.ahead(PART_SIZE * parts + characters)
    try:
        if indent is None:
            return json.dumps(value, ensure_ascii=False, allow_nan=False, default=plain)
        made, size = [], 0
        for piece in json.JSONEncoder(ensure_ascii=False, indent=indent, allow_nan=False, default=plain).iterencode(value):
            size += len(piece)
            budget.ahead(size)
            budget.tick()
            made.append(piece)
        return "".join(made)
    except (TypeError, ValueError, RecursionError) as error:
        raise ExpressionError(f"this is not a JSON value: {error}") from None


def spread(value: Value, most: int) -> tuple[int, int]:
    """Parts of a value and the characters of its texts, as they would be written out; counting ends beyond `most`.

    A list may hold the same list many times, and that one again: what takes a few bytes may be endless when it is read.
    """
    waiting = [value]
    parts = characters = 0
    while waiting:
        item = waiting.pop()
        parts += len(item)
        if item.__class__ is dict:
            characters += sum(map(len, item))
            item = item.values()
        for part in item:
            kind = part.__class__
            if kind is str:
                characters += len(part)
            elif kind is list or kind is dict:
                waiting.append(part)
        if PART_SIZE * parts + characters > most:
            break
    return parts, characters


def weigh(value: Value, times: int = 1) -> Value:
    """The value, if there is time to compare it so many times.

    Raises: ExpressionError
    """
    budget = in_force()
    if value.__class__ is list or value.__class__ is dict:
        parts, characters = _spread(value)
        if PART_SIZE * parts + characters > budget.left:
            raise ExpressionError("the values are too large to compare", "hand over to Python: python: module:function")
    else:
        parts, characters = 1, len(value) if value.__class__ is str else 0
    budget.work(times * (parts * PART_NS + characters // CHARACTERS_PER_NS))
    return value


def _spread(value: Value) -> tuple[int, int]:
    budget = in_force()
    parts, characters = spread(value, budget.left)
    if PART_SIZE * parts + characters > budget.left and budget.extend():
        return spread(value, budget.left)
    return parts, characters


def concat(budget: Budget, values: list[Value]) -> str:
    """`a ~ b ~ c`"""
    texts: list[str] = []
    size = 0
    for value in values:
        texts.append(as_text(value))
        size += len(texts[-1])
        budget.ahead(size)
    budget.spend(size)
    return "".join(texts)


def calculate(budget: Budget, sign: str, left: Value, right: Value) -> Value:
    """`+ - * / // %` on numbers, `+` also on two texts or two lists."""
    if _is_number(left) and _is_number(right):
        try:
            return small(_ARITHMETIC[sign](left, right))
        except ZeroDivisionError:
            raise ExpressionError("division by zero") from None
        except OverflowError:
            raise ExpressionError("the number is too large") from None
    if sign == "+" and isinstance(left, str) and isinstance(right, str):
        budget.spend(len(left) + len(right))
        return left + right
    if sign == "+" and isinstance(left, list) and isinstance(right, list):
        budget.spend((len(left) + len(right)) * ITEM_SIZE)
        return left + right
    raise ExpressionError(f"`{sign}` does not work on {type_name(left)} and {type_name(right)}", _remedy(sign, left, right))


def negate(sign: str, value: Value) -> Value:
    """`-a`, `+a`"""
    if not _is_number(value):
        raise ExpressionError(f"`{sign}` needs a number, not {type_name(value)}")
    return small(-value if sign == "-" else value)


def compare(sign: str, left: Value, right: Value) -> bool:
    """`== != < <= > >= in, not in`, by the names Jinja gives them.

    Raises: ExpressionError: an order between values that have none, `in` something that holds nothing.
    """
    if sign in ("in", "notin"):
        return _contains(right, left) is (sign == "in")
    if isinstance(left, (list, dict)) and isinstance(right, (list, dict)):
        weigh([left, right])
    try:
        return bool(_COMPARISONS[sign](left, right))
    except TypeError:
        raise ExpressionError(
            f"{type_name(left)} and {type_name(right)} have no order", _remedy("<", left, right)
        ) from None


def build_map(keys: list[Value], values: list[Value]) -> dict[str, Value]:
    """`{"a": 1}`; keys are texts, other plain values become text."""
    if any(isinstance(key, (list, Mapping, File)) for key in keys):
        raise ExpressionError("the key of a map must be a text")
    return dict(zip((as_text(key) for key in keys), values, strict=True))


def cut(value: Value, start: Value, stop: Value, step: Value) -> Value:
    """`value[start:stop:step]` of a list or text."""
    if not isinstance(value, (list, str)):
        raise ExpressionError(f"only lists and texts can be cut with [a:b], not {type_name(value)}")
    parts = (start, stop, step)
    if not all(part is None or type(part) is int for part in parts) or step == 0:
        raise ExpressionError("[a:b:c] takes integers, and c is not 0")
    return value[start:stop:step]


def _contains(container: Value, item: Value) -> bool:
    if isinstance(container, str):
        if not isinstance(item, str):
            raise ExpressionError(f"`in` looks for text in a text, not for {type_name(item)}")
        return item in container
    if isinstance(container, list):
        if isinstance(item, (list, dict)):
            weigh([container, item])
        elif isinstance(item, str) and len(item) * len(container) > LONG_TEXT:
            weigh(item, len(container))
        return item in container
    if isinstance(container, Mapping):
        return isinstance(item, str) and item in container
    raise ExpressionError(f"`in` needs a list, map or text on its right, not {type_name(container)}")


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _remedy(sign: str, left: Value, right: Value) -> str:
    kinds = {type_name(left), type_name(right)}
    if "null" in kinds:
        return "write: ... | default(...) for what may be null"
    if sign == "*" and kinds & {"text", "list"}:
        return "texts and lists cannot be repeated"
    if sign == "%" and isinstance(left, str):
        return "to put values into text write: \"...\" | format(...), or \"a {{ x }} b\""
    if kinds & {"integer", "number"} and "text" in kinds:
        return "to join texts write a ~ b; to calculate write ... | int or ... | float"
    return "to join maps or lists hand over to Python: python: module:function" if sign == "+" else ""
