"""Whether a value written in the file fits a JSON Schema, where a template may stand for what is not a text.

Knows the keywords that kinds use: type, enum, const, anyOf, oneOf, properties, required, additionalProperties, items,
minItems, minimum, maximum, exclusiveMinimum, minLength, pattern. Others are for editors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiflow.language.tree import Path

_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "null",
}


@dataclass(frozen=True)
class Misfit:
    """Where a value does not fit.

    Attributes:
        path: below the value that was asked about.  format: that its schema names, e.g. `duration`.
        what: `type`, `enum`, `unknown`, `missing`, `range`, `pattern`, `length`.
        wants: completes "must be ...".  known: names or values that would fit.  name: the key, for unknown and missing.
    """

    path: Path
    what: Literal["type", "enum", "unknown", "missing", "range", "pattern", "length"]
    wants: str = ""
    known: tuple[Any, ...] = ()
    name: str = ""
    format: str = ""


def misfits(value: Any, schema: Mapping[str, Any], *, templates: bool, path: Path = ()) -> Iterator[Misfit]:
    """All places where the value does not fit. `templates`: a text with `{{` fits everything."""
    if templates and isinstance(value, str) and has_template(value):
        return
    for word in ("anyOf", "oneOf"):
        if word in schema:
            yield from _one_of(value, schema, word, templates, path)
            return
    if "const" in schema and not _same(value, schema["const"]):
        yield Misfit(path, "enum", wants_of(schema), (schema["const"],))
        return
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        yield Misfit(path, "enum", wants_of(schema), tuple(schema["enum"]))
        return
    if not has_type(value, schema.get("type")):
        yield Misfit(path, "type", wants_of(schema), format=str(schema.get("format", "")))
        return
    yield from _inside(value, schema, templates, path)


def has_template(value: str) -> bool:
    """Whether a text holds an expression."""
    return "{{" in value or "{%" in value


def has_type(value: Any, wanted: Any) -> bool:
    """JSON Schema's `type`, one name or a list; None fits all."""
    if wanted is None:
        return True
    if isinstance(wanted, (list, tuple)):
        return any(has_type(value, one) for one in wanted)
    match wanted:
        case "string":
            return isinstance(value, str)
        case "integer":
            return (isinstance(value, int) or (isinstance(value, float) and value.is_integer())) and not isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "null":
            return value is None
    return True


def wants_of(schema: Mapping[str, Any]) -> str:
    """The schema in words: `a text, or a list`."""
    for word in ("anyOf", "oneOf"):
        if word in schema:
            parts = [wants_of(one) for one in schema[word]]
            return ", or ".join(dict.fromkeys(part for part in parts if part))
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        values = [_literal(one) for one in schema["enum"]]
        return values[0] if len(values) == 1 else "one of " + ", ".join(values)
    if "pattern" in schema and schema.get("examples"):
        return f"a text such as {schema['examples'][0]}"
    wanted = schema.get("type")
    names = wanted if isinstance(wanted, (list, tuple)) else [wanted]
    words = [_WORDS.get(str(name), "") for name in names if name is not None]
    return ", or ".join(word for word in words if word)


def _one_of(value: Any, schema: Mapping[str, Any], word: str, templates: bool, path: Path) -> Iterator[Misfit]:
    tries = [list(misfits(value, one, templates=templates, path=path)) for one in schema[word]]
    if any(not one for one in tries):
        return
    deeper = [one for one in tries if all(len(misfit.path) > len(path) or misfit.name for misfit in one)]
    if deeper:
        yield from min(deeper, key=len)
    else:
        whats = {misfit.what for one in tries for misfit in one}
        formats = [misfit.format for one in tries for misfit in one if misfit.format]
        yield Misfit(path, "range" if "range" in whats else "type", wants_of(schema), format=formats[0] if formats else "")


def _inside(value: Any, schema: Mapping[str, Any], templates: bool, path: Path) -> Iterator[Misfit]:
    if isinstance(value, dict):
        yield from _map(value, schema, templates, path)
    elif isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield Misfit(path, "length", "a list with something in it")
        items = schema.get("items")
        if isinstance(items, Mapping):
            for index, one in enumerate(value):
                yield from misfits(one, items, templates=templates, path=(*path, index))
    elif isinstance(value, str):
        if len(value.strip()) < schema.get("minLength", 0):
            yield Misfit(path, "length", "a text that is not empty")
        elif "pattern" in schema and not re.search(schema["pattern"], value):
            yield Misfit(path, "pattern", wants_of(schema))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _range(value, schema, path)


def _map(value: dict[Any, Any], schema: Mapping[str, Any], templates: bool, path: Path) -> Iterator[Misfit]:
    known = schema.get("properties", {})
    further = schema.get("additionalProperties", True)
    patterns = schema.get("patternProperties", {})
    for key, one in value.items():
        if key in known:
            yield from misfits(one, known[key], templates=templates, path=(*path, key))
        elif any(re.search(pattern, str(key)) for pattern in patterns):
            continue
        elif further is False:
            yield Misfit((*path, key), "unknown", known=tuple(known), name=str(key))
        elif isinstance(further, Mapping):
            yield from misfits(one, further, templates=templates, path=(*path, key))
    for key in schema.get("required", ()):
        if key not in value:
            yield Misfit(path, "missing", wants_of(known.get(key, {})), tuple(value), key)


def _range(value: float, schema: Mapping[str, Any], path: Path) -> Iterator[Misfit]:
    low, high = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMinimum")
    noun = wants_of(schema) or "a number"
    if (low is not None and value < low) or (high is not None and value > high):
        limits = f"{noun} from {low}" + (f" to {high}" if high is not None else "") if low is not None else f"{noun} up to {high}"
        yield Misfit(path, "range", limits)
    elif above is not None and value <= above:
        yield Misfit(path, "range", f"{noun} above {above}")


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _literal(value: Any) -> str:
    return f"`{value}`" if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
