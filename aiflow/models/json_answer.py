"""Reads the JSON in a model's answer, strictly, and says in words where it departs from its schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_DIGITS = 4_300
"""Longer integers cost quadratic time to read; Python refuses them too."""

_FENCE = re.compile(r"```[ \t]*(?:json[c5]?)?[ \t]*\n(.*?)```", re.S | re.I)


class NotJson(ValueError):
    """The answer holds no JSON that may be used; the text says why, without quoting it."""


@dataclass(frozen=True)
class Fault:
    """Where a value departs from its schema.

    Attributes:
        said: for people, follows "the model ...": `left out `quote` in facts[0]`. Quotes the schema, never the answer.
        detail: for the model, which knows its own answer.
        path: of the place, `facts[0].quote`; empty for the whole.
    """

    said: str
    detail: str
    path: str = ""


def parse_answer(text: str) -> Any:
    """The JSON value of an answer; a code fence or prose around it is forgiven, nothing inside is.

    Raises: NotJson: none found, not finished, a key twice, NaN or Infinity, too large, too deep.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise NotJson("is longer than 1 MB")
    whole = text.strip().removeprefix("\ufeff")
    try:
        return _loads(whole)
    except json.JSONDecodeError as error:
        first = error
    for candidate in _FENCE.findall(whole):
        try:
            return _loads(candidate.strip())
        except json.JSONDecodeError:
            continue
    return _inside_prose(whole, first)


def first_fault(value: Any, schema: Mapping[str, Any]) -> Fault | None:
    """The fault that says most, or None when the value is valid."""
    if fault := _unstorable(value):
        return fault
    from jsonschema.exceptions import best_match

    error = best_match(validator(json.dumps(schema, sort_keys=True)).iter_errors(value))
    if error is None:
        return None
    path = shown_path(error.absolute_path)
    return Fault(_sentence(error, path), f"{path or 'the answer'}: {error.message[:500]}", path)


@lru_cache(maxsize=64)
def validator(schema: str) -> Any:
    """A jsonschema validator for a schema given as JSON text; formats are checked."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema), format_checker=Draft202012Validator.FORMAT_CHECKER)


def shown_path(path: Any) -> str:
    """`facts[0].quote` of `("facts", 0, "quote")`."""
    shown = ""
    for part in path:
        shown += f"[{part}]" if isinstance(part, int) else f".{part}" if shown else str(part)
    return shown


def _loads(text: str) -> Any:
    return _checked(text, lambda: _decoder.decode(text))


def _checked(text: str, read: Any) -> Any:
    if _too_deep(text):
        raise NotJson(f"is nested more than {MAX_DEPTH} deep")
    try:
        return read()
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise NotJson("is nested too deep") from None


def _inside_prose(text: str, first: json.JSONDecodeError) -> Any:
    """The largest object or list that stands in the text."""
    best: tuple[int, Any] | None = None
    at = 0
    for _ in range(50):  # enough for prose with some brackets in it; more is no answer
        found = re.compile(r"[{\[]").search(text, at)
        if found is None:
            break
        at = found.start()
        try:
            value, end = _checked(text[at:], partial(_decoder.raw_decode, text, at))
        except json.JSONDecodeError:
            at += 1
            continue
        if isinstance(value, (dict, list)) and (best is None or end - at > best[0]):
            best = (end - at, value)
        at = end
    if best is None:
        raise NotJson("is no JSON" if not re.search(r"[{\[]", text) else f"is no valid JSON ({first.msg})")
    return best[1]


def _too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        mark = token[0][0]
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif mark in "]}":
            depth -= 1
    return False


def _no_constant(name: str) -> Any:
    raise NotJson(f"holds {name}, which is no JSON")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise NotJson(f"holds a number of more than {MAX_DIGITS} digits")
    value = int(digits)
    if not -(1 << 63) <= value < 1 << 64:
        raise NotJson("holds an integer of more than 64 bits")
    return value


def _number(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise NotJson("holds a number that is too large")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise NotJson("names a key twice in one object")
    return made


_decoder = json.JSONDecoder(
    object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_integer, parse_float=_number
)


def _unstorable(value: Any) -> Fault | None:
    """Half of a surrogate pair (`\\ud83d` alone) is JSON but no text."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Fault("wrote a broken character", "the answer holds half of a surrogate pair; write plain characters")
    return None


def _sentence(error: Any, path: str) -> str:
    place = f" in {path}" if path else ""
    subject = f"`{path}`" if path else "the answer"
    match error.validator:
        case "required":
            missing = next((name for name in error.validator_value if name not in error.instance), "")
            return f"left out `{missing}`{place}"
        case "type":
            wanted = error.validator_value
            names = [wanted] if isinstance(wanted, str) else list(wanted)
            return f"gave {_word(error.instance)} for {subject} where {' or '.join(names)} is wanted"
        case "enum":
            allowed = ", ".join(f"`{item}`" for item in error.validator_value[:8])
            return f"gave something else for {subject} than one of {allowed}"
        case "additionalProperties" | "unevaluatedProperties":
            return f"added a key{place} that the schema does not have"
        case "format":
            return f"gave something for {subject} that is no {error.validator_value}"
    return f"gave something for {subject} that breaks `{error.validator}`"


def _word(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true/false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "an object"
