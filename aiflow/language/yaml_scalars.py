"""What an unquoted YAML scalar means, in YAML 1.1 (PyYAML and most readers) and in the core schema of YAML 1.2.

Where the two agree, that is the value. Where they do not, the scalar is refused with what to write.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

Scalar = None | bool | int | float | str

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,20}\Z")
# Texts that start otherwise are texts in both versions.
_SPECIAL = frozenset("0123456789+-.~<=nNtTfFyYoO")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT_12 = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT_12 = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
LONGEST_NUMBER = 40
"""Characters of a plain scalar that is read as a number."""

_LARGEST = 2**63 - 1  # JSON readers and the store keep 64 bits


@dataclass(frozen=True, slots=True)
class Unclear:
    """A scalar without one meaning. `first` is what YAML 1.1 reads it as, in words."""

    message: str
    hint: str
    code: str = "ambiguous-scalar"
    first: str = ""
    second: str = ""


def resolve(text: str) -> Scalar | Unclear:
    """The value of a plain scalar, or why it has none."""
    if _INTEGER.match(text):
        return int(text)
    if not text:
        return None
    if text[0] not in _SPECIAL:
        return text
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _DECIMAL.match(text):
        return float(text)
    return _compare(text)


def _compare(text: str) -> Scalar | Unclear:
    if len(text) > LONGEST_NUMBER:
        return _long(text)
    kind, first = _read_11(text)
    second = _read_12(text)
    if type(first) is type(second) and (first == second or first != first):
        return _storable(text, second)
    return _unclear(text, kind, first, second)


def _long(text: str) -> Scalar | Unclear:
    """No number is as long as that: converting it would take the square of its length."""
    kinds = [regexp for _, regexp in yaml.SafeLoader.yaml_implicit_resolvers.get(text[0], ())]
    if any(pattern.match(text) for pattern in (*kinds, _INT_12, _FLOAT_12)):
        what = "integer is too large; integers have at most 64 bits" if text.lstrip("+-").isdecimal() else "number is too long"
        return Unclear(f"this {what}", "quote it to keep it as text", "not-json")
    return text


def _storable(text: str, value: Scalar) -> Scalar | Unclear:
    if isinstance(value, float) and not math.isfinite(value):
        return Unclear(f"{text} is not a number that JSON knows", f'write "{text}" for the text', "not-json")
    if isinstance(value, int) and not isinstance(value, bool) and not -_LARGEST - 1 <= value <= _LARGEST:
        hint = f'write "{text}" to keep it as text'
        return Unclear(f"{text} is too large; integers have at most 64 bits", hint, "not-json")
    return value


def _read_11(text: str) -> tuple[str, Any]:
    """Kind and value in YAML 1.1, by PyYAML's own rules; dates as the word `date`."""
    for tag, regexp in yaml.SafeLoader.yaml_implicit_resolvers.get(text[0], ()):
        if not regexp.match(text):
            continue
        kind = tag.rpartition(":")[2]
        node = yaml.ScalarNode(tag, text)
        try:
            match kind:
                case "bool":
                    return kind, _CONSTRUCTOR.construct_yaml_bool(node)
                case "int":
                    return kind, _CONSTRUCTOR.construct_yaml_int(node)
                case "float":
                    return kind, _CONSTRUCTOR.construct_yaml_float(node)
        except (ValueError, OverflowError):  # 1.1 itself cannot read it, e.g. `0b`
            return kind, None
        return kind, ...  # a date, `<<` or `=`: unlike any value of 1.2
    return "str", text


def _read_12(text: str) -> Scalar:
    if _INT_12.match(text):
        try:
            return int(text, 0 if text[:2] in ("0o", "0x") else 10)
        except ValueError:  # more digits than Python converts
            return math.inf
    if _FLOAT_12.match(text):
        return float(text)
    if _ENDLESS.match(text):
        return float(text.replace(".", "", 1))
    return text


def _unclear(text: str, kind: str, first: Any, second: Scalar) -> Unclear:
    one, two = _words_11(text, kind, first), _words_12(kind, second)
    message = f"YAML 1.1 reads {text} as {one}, YAML 1.2 as {two}"
    return Unclear(message, _remedy(text, kind, first, second), first=one, second=two)


def _words_11(text: str, kind: str, value: Any) -> str:
    match kind:
        case "bool":
            return "true" if value else "false"
        case "int" | "float" if value is not None:
            digits = text.lstrip("+-")
            base = ""
            if ":" in text:
                base = " (base 60)"
            elif digits[:2] in ("0b", "0x"):
                base = " (binary)" if digits[1] == "b" else " (hexadecimal)"
            elif kind == "int" and digits[0] == "0":
                base = " (octal)"
            return f"the number {value}{base}"
        case "int" | "float":
            return "a number"
        case "timestamp":
            return "a date"
        case "merge":
            return "a merge of maps"
        case "value":
            return "a default value"
    return "text"


def _words_12(kind: str, value: Scalar) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, float) or value is None:
        return "a number"
    return str(value) if kind in ("int", "float") else f"the number {value}"


def _remedy(text: str, kind: str, first: Any, second: Scalar) -> str:
    as_text = f'"{text}"'
    if kind == "bool":
        return f"write {as_text} for the text, or {'true' if first else 'false'} for the boolean"
    digits = text.lstrip("+-")
    if digits.isdigit() and digits[0] == "0":
        return f"write {as_text} to keep the zero, or {int(text)}"
    if isinstance(second, float):
        return f"write {_written_out(text) or as_text}"
    if isinstance(second, int):
        return f"write {second}, or {as_text} for the text"
    if isinstance(first, int | float) and ":" not in text:
        return f"write {first}, or {as_text} for the text"
    return f"write {as_text}"


def _written_out(text: str) -> str:
    """A number without exponent, or nothing when that would be long."""
    try:
        number = Decimal(text)
    except (InvalidOperation, ValueError):
        return ""
    if not -20 <= number.adjusted() <= 20 or len(text) > 30:
        return ""
    return format(number, "f")
