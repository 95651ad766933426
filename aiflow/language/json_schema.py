"""What aiflow knows of JSON Schema as such: its words, when a map is one, and values that may also be null."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

KEYWORDS = frozenset(
    "type properties required additionalProperties patternProperties propertyNames items prefixItems contains minContains "
    "maxContains minItems maxItems uniqueItems enum const default description title examples format pattern minLength "
    "maxLength minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minProperties maxProperties anyOf oneOf allOf "
    "not if then else dependentRequired dependentSchemas readOnly writeOnly deprecated contentEncoding contentMediaType "
    "$ref $defs $schema $id $comment $anchor nullable".split()
)
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_COUNTS = frozenset(
    {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"}
)
_TEXTS = frozenset({"description", "title", "format", "$comment", "$id", "$schema", "$anchor"})
_FLAGS = frozenset({"uniqueItems", "readOnly", "writeOnly", "deprecated"})


def looks_like_json_schema(value: Mapping[str, Any], types: Collection[str]) -> bool:
    """Whether a map is a JSON Schema and not a map of fields.

    It is when `type` is one of the types, or a list of them; or where a keyword holds what no field can: lists in
    `enum`, `anyOf` ..., a map in `properties`, a reference.
    """
    kind = value.get("type")
    if isinstance(kind, str) and kind in types:
        return True
    if isinstance(kind, list) and all(isinstance(one, str) and one in types for one in kind):
        return True
    if isinstance(value.get("properties"), Mapping):
        return True
    if any(isinstance(value.get(word), list) for word in ("enum", "anyOf", "oneOf", "allOf")):
        return True
    reference = value.get("$ref")
    return isinstance(reference, str) and reference.startswith(("#", "http", "file"))


def fault_in_keyword(keyword: str, value: Any, types: Collection[str]) -> tuple[str, str] | None:
    """Sentence and hint if the value cannot stand behind the keyword."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if keyword in _NUMBERS and not number:
        return f"`{keyword}` must be a number", "write it without quotes"
    if keyword in _COUNTS and not (number and value == int(value) and value >= 0):
        return f"`{keyword}` must be a whole number from 0", ""
    if keyword in _TEXTS and not isinstance(value, str):
        return f"`{keyword}` must be a text", ""
    if keyword in _FLAGS and not isinstance(value, bool):
        return f"`{keyword}` must be true or false", ""
    if keyword in ("enum", "required", "examples") and not isinstance(value, list):
        return f"`{keyword}` must be a list", f"write: {keyword}: [{value}]"
    if keyword == "pattern":
        return _pattern(value)
    if keyword == "type":
        return _type(value, types)
    if keyword == "$ref" and not (isinstance(value, str) and value.startswith("#")):
        return "`$ref` may only refer to this schema itself", "write for example: $ref: '#/$defs/name'"
    if keyword in ("properties", "$defs", "patternProperties", "dependentSchemas"):
        return f"`{keyword}` must be a map", ""
    if keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        return f"`{keyword}` must be a list of schemas", ""
    return None


def _pattern(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return "`pattern` must be a text", ""
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        return f"`pattern` is not a regular expression: {error}", ""
    return None


def _type(value: Any, types: Collection[str]) -> tuple[str, str] | None:
    names = value if isinstance(value, list) else [value]
    for name in names:
        if not isinstance(name, str) or name not in types:
            return f"there is no type `{name}`", "types: " + ", ".join(types)
    return None


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, satisfied by null too."""
    schema = dict(schema)
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    kind = schema.get("type")
    if isinstance(kind, str) and kind != "null":
        schema["type"] = [kind, "null"]
    elif isinstance(kind, list) and "null" not in kind:
        schema["type"] = [*kind, "null"]
    for word in ("anyOf", "oneOf"):
        if word in schema and not any(one == {"type": "null"} for one in schema[word]):
            schema[word] = [*schema[word], {"type": "null"}]
    if schema.keys() & {"$ref", "const", "allOf", "not"}:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema
