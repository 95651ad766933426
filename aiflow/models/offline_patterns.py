"""A text that fits a regular expression: the shortest plain one."""

from __future__ import annotations

import re
from typing import Any

_CATEGORIES = {"CATEGORY_DIGIT": "0", "CATEGORY_WORD": "a", "CATEGORY_SPACE": " "}


def example_of(pattern: str) -> str:
    """A text that matches, as far as can be told; "" for patterns that are too clever (look-arounds) or broken."""
    try:
        from re import _parser  # type: ignore[attr-defined]

        made = _sequence(_parser.parse(pattern), {})
        return made if re.search(pattern, made) else ""
    except (re.error, ImportError, RecursionError, _TooClever):
        return ""


class _TooClever(Exception):
    """The pattern uses something that is not walked."""


def _sequence(parts: Any, groups: dict[int, str]) -> str:
    return "".join(_one(str(name), argument, groups) for name, argument in parts)


def _one(name: str, argument: Any, groups: dict[int, str]) -> str:
    match name:
        case "LITERAL":
            return chr(argument)
        case "NOT_LITERAL":
            return "a" if chr(argument) != "a" else "b"
        case "ANY":
            return "a"
        case "AT" | "ASSERT" | "ASSERT_NOT":
            return ""
        case "IN":
            return _of_set(argument)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return _sequence(argument[2], groups) * min(int(argument[0]), 1_000)
        case "SUBPATTERN":
            made = _sequence(argument[3], groups)
            groups[argument[0] or 0] = made
            return made
        case "BRANCH":
            return _sequence(argument[1][0], groups)
        case "GROUPREF":
            return groups.get(argument, "")
        case "ATOMIC_GROUP":
            return _sequence(argument, groups)
    raise _TooClever


def _of_set(parts: Any) -> str:
    if str(parts[0][0]) == "NEGATE":
        taken = re.compile("[" + "".join(_shown(str(name), argument) for name, argument in parts[1:]) + "]")
        return next(letter for letter in "a0 -_Z!~" if not taken.match(letter))
    name, argument = str(parts[0][0]), parts[0][1]
    if name == "RANGE":
        low, high = argument
        return next((letter for letter in "a0A" if low <= ord(letter) <= high), chr(low))
    if name == "CATEGORY":
        if str(argument) not in _CATEGORIES:
            return "!" if str(argument) == "CATEGORY_NOT_WORD" else "a"
        return _CATEGORIES[str(argument)]
    return chr(argument)


def _shown(name: str, argument: Any) -> str:
    if name == "RANGE":
        return f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
    if name == "LITERAL":
        return re.escape(chr(argument))
    return {"CATEGORY_DIGIT": r"\d", "CATEGORY_WORD": r"\w", "CATEGORY_SPACE": r"\s"}.get(str(argument), "")
