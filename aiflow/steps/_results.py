"""What a user's function gave, as JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from typing import Any

import msgspec

from aiflow.values import File, Value

_AS_IS = frozenset({type(None), bool, int, File})


class NoJson(TypeError):
    """A result is no JSON value; the message says what is, and where."""


def json_value(value: Any) -> Value:
    """A copy made of None, bool, int, float, str, list, dict and `File`.

    Tuples become lists; dataclasses, pydantic and attrs objects maps; dates RFC 3339; UUIDs, decimals, enums what msgspec
    makes of them. Raises: NoJson.
    """
    try:
        return _convert(value, ())
    except RecursionError as error:
        raise NoJson("the result contains itself, or is nested too deeply") from error


def _convert(value: Any, at: tuple[Any, ...]) -> Value:
    kind = type(value)
    if kind in _AS_IS:
        return value
    if kind is str:
        return _text(value, at)
    if kind is dict:
        return {_key(key, at): _convert(item, (*at, key)) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_convert(item, (*at, place)) for place, item in enumerate(value)]
    if kind is float:
        return _number(value, at)
    return _other(value, at)


def _other(value: Any, at: tuple[Any, ...]) -> Value:
    """Subclasses and objects."""
    if hasattr(value, "model_dump") and not isinstance(value, type):  # pydantic
        return _convert(value.model_dump(mode="json"), at)
    if isinstance(value, (tuple, list)) or isinstance(value, (set, frozenset)):
        return [_convert(item, (*at, place)) for place, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {_key(key, at): _convert(item, (*at, key)) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _convert(getattr(value, name), (*at, name)) for name in value.__dataclass_fields__}
    if isinstance(value, str) and not isinstance(value, Enum):
        return _text(str.__str__(value), at)
    try:
        made = msgspec.to_builtins(value)
    except (TypeError, ValueError) as error:
        raise _refuse(value, at) from error
    if type(made) is type(value):
        raise _refuse(value, at)
    return _convert(made, at)


def _text(value: str, at: tuple[Any, ...]) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise NoJson(f"{_place(at)} is a text with half a character (surrogate), which no JSON can hold") from error
    return value


def _number(value: float, at: tuple[Any, ...]) -> float:
    if not math.isfinite(value):
        raise NoJson(f"{_place(at)} is {value}, which no JSON can hold; return None instead")
    return value


def _key(key: Any, at: tuple[Any, ...]) -> str:
    if type(key) is str:
        return _text(key, at)
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, (bool, type(None))):
        return {True: "true", False: "false", None: "null"}[key]
    if isinstance(key, (int, float)):
        return str(key)
    raise NoJson(f"{_place(at)} has a {type(key).__name__} as a key; keys are texts")


def _refuse(value: Any, at: tuple[Any, ...]) -> NoJson:
    kind = type(value)
    name = kind.__name__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__name__}"
    if hasattr(value, "tolist"):
        return NoJson(f"{_place(at)} is a {name}, which is no JSON value; call its `tolist()`")
    return NoJson(f"{_place(at)} is a {name}, which is no JSON value")


def _place(at: tuple[Any, ...]) -> str:
    if not at:
        return "the result"
    return "the result at `" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).lstrip(".") + "`"
