"""How the schema of one value is published: for editors, whose messages are built from `type` and `errorMessage`.

Editors report the nearest of several alternatives (`anyOf`), and say little about it. Alternatives of different types
are therefore written as one schema with a list of types: what is said about each type concerns that type alone.
`errorMessage`, `markdownDescription`, `enumDescriptions`, `defaultSnippets` and `doNotSuggest` are keywords of VS Code and
the YAML language server; others pass them over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.durations import DURATION_PATTERN
from aiflow.language.check._fit import wants_of

TEMPLATE_PATTERN = r"\{\{"
_DURATIONS = ("aiflow-duration", "duration")
_ABOUT = ("description", "markdownDescription", "examples", "default", "title", "defaultSnippets")
_INSIDE = {
    "array": ("items", "minItems", "maxItems"),
    "object": ("properties", "patternProperties", "required", "additionalProperties", "minProperties", "propertyNames"),
}
"""Keywords about what is inside a list or a map."""


def published(schema: Mapping[str, Any], name: str = "", wants: str = "", *, templates: bool = False) -> dict[str, Any]:
    """The schema as editors get it.

    Args:
        name: of the key, for messages.  wants: completes "`name` must be ..."; empty: said from the schema.
        templates: whether a text with `{{` may stand for what is no text.
    """
    made = _plain(schema)
    about = {key: made.pop(key) for key in _ABOUT if key in made}
    if "description" in about and "`" in about["description"]:
        about["markdownDescription"] = about["description"]
    if made:
        if templates:
            made = _with_template(made)
        if name and (words := wants or said(schema)) and "type" in made:
            made["errorMessage"] = f"`{name}` must be {words}"
        made = _apart(made, name)
    return {**about, **made}


def said(schema: Mapping[str, Any]) -> str:
    """What a value must be, to complete "must be ..."; may be empty."""
    return "a duration such as 30s, 5m or 1h30m" if schema.get("format") in _DURATIONS else wants_of(schema)


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Without formats that only aiflow knows, and alternatives as one where they are of different types."""
    made: dict[str, Any] = {}
    for key, one in schema.items():
        if key == "format":
            if one in _DURATIONS:
                made["pattern"] = DURATION_PATTERN
        elif key == "properties":
            made[key] = {name: published(inner, name) for name, inner in one.items()}
        elif isinstance(one, Mapping) and key in ("items", "additionalProperties"):
            made[key] = published(one)
        elif key in ("anyOf", "oneOf"):
            made[key] = [_plain(inner) for inner in one]
        else:
            made[key] = one
    return _joined(made)


def _joined(schema: dict[str, Any]) -> dict[str, Any]:
    alternatives = schema.get("anyOf") or schema.get("oneOf") or ()
    types: list[str] = []
    for one in alternatives:
        types += _types(one)
    known = all("type" in one and not {"enum", "const", "anyOf", "$ref"} & one.keys() for one in alternatives)
    if not alternatives or not known or len(set(types)) < len(types):
        return schema
    rest = {key: one for key, one in schema.items() if key not in ("anyOf", "oneOf")}
    inside = {key: value for one in alternatives for key, value in one.items() if key not in ("type", *_ABOUT)}
    return {**rest, "type": types, **inside}


def _with_template(schema: dict[str, Any]) -> dict[str, Any]:
    if "type" not in schema or "enum" in schema:
        template = {"title": "a template", "type": "string", "pattern": TEMPLATE_PATTERN}
        return {"anyOf": [{"title": "a word", **schema}, template]}
    types = _types(schema)
    if "string" not in types:
        return {**schema, "type": [*types, "string"], "pattern": TEMPLATE_PATTERN}
    return {**schema, "pattern": f"{schema['pattern']}|{TEMPLATE_PATTERN}"} if "pattern" in schema else schema


def _apart(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """What is inside lists and maps in conditions of their own: other types are completed and reported without it."""
    types = _types(schema)
    if len(types) < 2:
        if "errorMessage" in schema and any(word in schema for word in _INSIDE["object"]):
            del schema["errorMessage"]  # it would be said of every unknown key
        return schema
    conditions = []
    for kind, words in _INSIDE.items():
        inside = {word: schema.pop(word) for word in words if word in schema}
        if "required" in inside:
            inside = {"title": name, **inside}  # else editors call what must be there by the name of the whole schema
        if inside and kind in types:
            conditions.append({"if": {"type": kind}, "then": inside})
    if not conditions:
        return schema
    return {**schema, **conditions[0]} if len(conditions) == 1 else {**schema, "allOf": conditions}


def _types(schema: Mapping[str, Any]) -> list[str]:
    given = schema.get("type", [])
    return [given] if isinstance(given, str) else list(given)
