"""The inputs of a run: texts from the command line become the declared types, everything is checked, defaults fill in.

Inside of a workflow nothing is converted (`from_text=False`), except that the path of a file becomes the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from aiflow.errors import InputError
from aiflow.language.schema_faults import misfits, shown, wanted, where
from aiflow.values import File, Value, file_from

_INTEGER = re.compile(r"[+-]?[0-9]{1,25}\Z")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_MISSING = object()


class _Wrong(Exception):
    """A value that cannot be converted: what is wrong, completing "input `x` ..."."""

    def __init__(self, message: str, path: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.path = message, path


@dataclass(frozen=True, slots=True)
class _Rules:
    """How to convert: texts to types?, the project folder, and whether files outside of it may be named."""

    from_text: bool
    project: Path
    outside: bool


def convert_inputs(
    schema: Mapping[str, Any], given: Mapping[str, Value | str], *, from_text: bool, project: Path, outside: bool = True
) -> dict[str, Value]:
    """All declared inputs with values of their types, in the order of the declaration.

    Args:
        schema: of the `inputs` section (`picoschema.to_json_schema(..., top_inputs=True)`).
        given: by name. With `from_text`, texts are converted: `"42"`, `"false"`, `"[1, 2]"`; other values are not.
        project: relative paths of files start here.
        outside: whether files outside of the project may be named (the command line: yes, events from outside: no).
    Returns:
        optional inputs that were not given are None; a `file` is a `values.File`.
    Raises:
        InputError: with every fault; `faults` has a sentence for each name.
    """
    rules = _Rules(from_text, project, outside)
    properties: Mapping[str, Any] = schema.get("properties", {})
    faults: dict[str, str] = {}
    hints: list[str] = []
    values: dict[str, Value] = {}
    for name, one in properties.items():
        value = given.get(name, _MISSING)
        if value is _MISSING:
            values[name] = _absent(name, one, schema, rules, faults)
        else:
            values[name] = _present(name, one, value, rules, faults, hints)
    _others(schema, given, rules, values, faults, hints)
    if faults:
        raise _error(faults, hints, properties, given, from_text)
    return values


def default_faults(schema: Mapping[str, Any]) -> dict[str, str]:
    """By name of an input: why its default does not fit. Files are not looked for."""
    faults: dict[str, str] = {}
    for name, one in schema.get("properties", {}).items():
        if isinstance(one, Mapping) and "default" in one and not _has_file(one):
            found = misfits(one["default"], one, name)
            if found:
                faults[name] = f"the default {found[0].message}"
    return faults


def _absent(name: str, one: Any, schema: Mapping[str, Any], rules: _Rules, faults: dict[str, str]) -> Value:
    if isinstance(one, Mapping) and "default" in one:
        plain = _Rules(False, rules.project, True)  # the author of the file wrote it: no texts to convert
        return _present(name, one, one["default"], plain, faults, [])
    if name in schema.get("required", ()):
        faults[name] = (
            f"input `{name}` is missing ({wanted(one)})" if wanted(one) != "another value" else f"input `{name}` is missing"
        )
    return None


def _present(name: str, one: Any, value: Value, rules: _Rules, faults: dict[str, str], hints: list[str]) -> Value:
    try:
        converted = _convert(value, one, rules, ())
    except _Wrong as wrong:
        faults[name] = f"input `{where(wrong.path, name)}` {wrong.message}"
        return None
    found = misfits(converted, one, name) if isinstance(one, Mapping) else []
    if found:
        faults[name] = "; ".join(f"input `{misfit.where}` {misfit.message}" for misfit in found[:5])
        hints.extend(misfit.hint for misfit in found if misfit.hint)
    return converted


def _others(
    schema: Mapping[str, Any],
    given: Mapping[str, Value],
    rules: _Rules,
    values: dict[str, Value],
    faults: dict[str, str],
    hints: list[str],
) -> None:
    """Inputs that are not declared: refused, or of the type of `(*)`."""
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", False)
    for name in given:
        if name in properties:
            continue
        if others is not False:
            one = others if isinstance(others, Mapping) else {}
            values[name] = _present(name, one, given[name], rules, faults, hints)
            continue
        faults[name] = f"there is no input `{name}`"
        near = get_close_matches(name, properties, 1, 0.6)
        if near:
            hints.append(f"did you mean `{near[0]}`?")
        else:
            hints.append("inputs here: " + ", ".join(properties) if properties else "this workflow takes no inputs")


def _error(
    faults: dict[str, str], hints: list[str], properties: Mapping[str, Any], given: Mapping[str, Any], from_text: bool
) -> InputError:
    missing = [name for name in faults if name in properties and name not in given]
    if missing and from_text:
        hints.append("give: " + " ".join(f"-i {name}=..." for name in missing))
    return InputError("\n".join(faults.values()), "\n".join(dict.fromkeys(hints)), faults)


def _convert(value: Value, schema: Any, rules: _Rules, path: tuple[Any, ...]) -> Value:
    """The value in the type of the schema, where a text or a path stands for it."""
    if not isinstance(schema, Mapping):
        return value
    if schema.get("x-aiflow-type") == "file":
        return None if value is None else _file(value, rules, path)
    if "anyOf" in schema or "oneOf" in schema:
        return _first_that_fits(value, schema, rules, path)
    if rules.from_text and isinstance(value, str):
        value = _from_text(value, schema, path)
        rules = _Rules(False, rules.project, rules.outside)  # inside of a JSON text nothing is a text for something else
    return _files_inside(value, schema, rules, path)


def _files_inside(value: Value, schema: Mapping[str, Any], rules: _Rules, path: tuple[Any, ...]) -> Value:
    """Paths of files in lists and maps become files."""
    if not _has_file(schema):
        return value
    if isinstance(value, list):
        return [_convert(one, schema.get("items"), rules, (*path, index)) for index, one in enumerate(value)]
    if isinstance(value, dict):
        inner, others = schema.get("properties", {}), schema.get("additionalProperties")
        return {key: _convert(one, inner.get(key, others), rules, (*path, key)) for key, one in value.items()}
    return value


def _has_file(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return schema.get("x-aiflow-type") == "file" or any(_has_file(one) for one in schema.values())
    return isinstance(schema, list) and any(_has_file(one) for one in schema)


def _first_that_fits(value: Value, schema: Mapping[str, Any], rules: _Rules, path: tuple[Any, ...]) -> Value:
    for one in [*schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        try:
            converted = _convert(value, one, rules, path)
        except _Wrong:
            continue
        if not misfits(converted, one, ""):
            return converted
    return value


def _file(value: Value, rules: _Rules, path: tuple[Any, ...]) -> File:
    if isinstance(value, File):
        return value
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        value = value["path"]
    if not isinstance(value, str) or not value:
        raise _Wrong(f"must be the path of a file, this is {shown(value)}", path)
    root = rules.project.resolve()
    try:
        target = (root / value).resolve()
        inside = target.is_relative_to(root)
        if not inside and not rules.outside:
            raise _Wrong(f"must be a file of the project, {value} is outside of it", path)
        if not target.exists():
            raise _Wrong(f"must be a file, {value} does not exist{_beside(target)}", path)
        if not target.is_file():
            raise _Wrong(f"must be a file, {value} is {'a folder' if target.is_dir() else 'no regular file'}", path)
        return file_from(target, target.relative_to(root).as_posix() if inside else str(target))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _Wrong(f"must be a file, it cannot be read: {reason}", path) from None


def _beside(target: Path) -> str:
    """A file of nearly that name in the same folder."""
    try:
        names = [entry.name for entry in list(target.parent.iterdir())[:1000]]
    except OSError:
        return ""
    near = get_close_matches(target.name, names, 1, 0.7)
    return f" (did you mean {near[0]}?)" if near else ""


def _from_text(text: str, schema: Mapping[str, Any], path: tuple[Any, ...]) -> Value:
    if "enum" in schema:
        return _enum(text, schema["enum"])
    kind = schema.get("type")
    names = [kind] if isinstance(kind, str) else list(kind or ())
    if not names or "string" in names:
        return text
    for name in names:
        value = _as_type(text, name)
        if value is not _MISSING:
            return value
    raise _Wrong(f"must be {wanted(schema)}, this is {shown(text)}{_example(names)}", path)


def _example(names: list[str]) -> str:
    if "array" in names:
        return ', write a JSON list: ["a", "b"]'
    return ', write a JSON map: {"name": "value"}' if "object" in names else ""


def _enum(text: str, values: list[Any]) -> Value:
    if text in values:
        return text
    return next((value for value in values if not isinstance(value, str) and _as_json(text) == value), text)


def _as_type(text: str, name: str) -> Value:
    """The text as a value of a JSON type, or `_MISSING`."""
    bare = text.strip()
    match name:
        case "integer":
            return int(bare) if _INTEGER.match(bare) and -(2**63) <= int(bare) < 2**63 else _MISSING
        case "number":
            return _number(bare)
        case "boolean":
            return {"true": True, "false": False}.get(bare.lower(), _MISSING)
        case "null":
            return None if bare in ("null", "") else _MISSING
        case "array":
            value = _as_json(bare)
            return value if isinstance(value, list) else _MISSING
        case "object":
            value = _as_json(bare)
            return value if isinstance(value, dict) else _MISSING
    return _MISSING


def _number(text: str) -> Value:
    if _INTEGER.match(text):
        return _as_type(text, "integer")
    value = float(text) if _NUMBER.match(text) else math.inf
    return value if math.isfinite(value) else _MISSING


def _as_json(text: str) -> Any:
    """Strict JSON, or `_MISSING`."""
    import msgspec

    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return _MISSING
