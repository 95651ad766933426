"""JSON Schemas as types: one step along a path, words for people. A type is a JSON Schema, or None: nothing is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Type = Mapping[str, Any] | None

STRING: Type = {"type": "string"}
INTEGER: Type = {"type": "integer"}
NUMBER: Type = {"type": "number"}
BOOLEAN: Type = {"type": "boolean"}
NULL: Type = {"type": "null"}
LIST: Type = {"type": "array"}

FILE: Mapping[str, Any] = {
    "type": "object",
    "x-aiflow-type": "file",
    "properties": {
        "path": STRING, "name": STRING, "ext": STRING, "size": INTEGER, "mime": STRING, "sha256": STRING, "text": STRING,
    },
    "additionalProperties": False,
}  # fmt: skip

ERROR: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "type": STRING, "message": STRING, "step": STRING, "data": {}, "attempts": INTEGER, "index": {}, "transient": BOOLEAN,
    },
    "additionalProperties": False,
}  # fmt: skip

USAGE: Mapping[str, Any] = {
    "type": "object",
    "properties": {"tokens_in": INTEGER, "tokens_out": INTEGER, "cost": NUMBER},
    "additionalProperties": False,
}

STATUSES = ["pending", "running", "waiting", "retrying", "ok", "failed", "skipped", "timed_out", "cancelled", "outcome_unknown"]

RUN: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "id": STRING, "url": STRING, "dir": STRING, "started_at": STRING,
        "status": {"enum": ["queued", "running", "waiting", "paused", "ok", "failed", "stopped", "cancelled", "skipped"]},
        "event": {}, "workflow": STRING, "version": STRING,
    },
    "additionalProperties": False,
}  # fmt: skip

STEP: Mapping[str, Any] = {
    "type": "object",
    "properties": {"id": {}, "key": STRING, "attempt": INTEGER},
    "additionalProperties": False,
}

EVENT: Mapping[str, Any] = {
    "type": "object",
    "properties": {"id": STRING, "name": STRING, "data": {}, "time": STRING, "headers": {}, "query": {}},
    "additionalProperties": False,
}

_EMAIL_DATA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"message_id": STRING, "to": {}, "url": STRING, "run_id": STRING, "step": STRING},
    "additionalProperties": False,
}
_RUN_DATA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"workflow": STRING, "run_id": STRING, "outputs": {}, "error": {}},
    "additionalProperties": False,
}

OWN_EVENTS: Mapping[str, Mapping[str, Any]] = {
    **{f"email.{what}": _EMAIL_DATA for what in ("delivered", "opened", "clicked", "bounced", "complained")},
    **{f"run.{what}": _RUN_DATA for what in ("ok", "failed", "cancelled")},
}
"""Events that aiflow sends by itself, and what they carry."""

_WORDS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "null",
}


_UNREAD = frozenset({"allOf", "$ref", "not", "if"})
"""Words of JSON Schema that are not looked into: with one of them nothing is known."""


@dataclass(frozen=True)
class NoField:
    """A path that leads nowhere. `at`: place in the path; `fields`: what is there instead, None: no fields at all."""

    at: int
    fields: tuple[str, ...] | None
    found: Type
    sure: bool = True


def plain(schema: Any) -> Type:
    """A schema without null and with files recognised; None when it says nothing that can be used."""
    if not isinstance(schema, Mapping) or not schema:
        return None
    if schema.get("x-aiflow-type") == "file" or schema.get("format") == "file":
        return FILE
    for word in ("anyOf", "oneOf"):
        if word in schema:
            rest = [one for one in schema[word] if not (isinstance(one, Mapping) and one.get("type") == "null")]
            return plain(rest[0]) if len(rest) == 1 else None
    if not _UNREAD.isdisjoint(schema):
        return None
    kinds = schema.get("type")
    if isinstance(kinds, (list, tuple)):
        rest = [one for one in kinds if one != "null"]
        return {**schema, "type": rest[0]} if len(rest) == 1 else None
    return schema


def kind(schema: Type) -> str | None:
    """`string`, `integer`, `number`, `boolean`, `array`, `object`, `null`, or None."""
    schema = plain(schema)
    if schema is None:
        return None
    if "type" in schema:
        return str(schema["type"])
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    kinds = {_kind_of(one) for one in values} if values else set()
    return kinds.pop() if len(kinds) == 1 else None


def say(schema: Type) -> str:
    """`a string`, `a list` ..."""
    if plain(schema) is FILE:
        return "a file"
    return _WORDS.get(kind(schema) or "", "something else")


def union(types: Sequence[Type]) -> Type:
    """The type of a value that has one of some types: what is known of all of them; of maps every field that one has."""
    found = [plain(one) for one in types]
    if not found or any(one is None for one in found):
        return None
    first = found[0]
    if all(one == first for one in found):
        return first
    kinds = {kind(one) for one in found}
    if len(kinds) > 1 or None in kinds:
        return None
    match kinds.pop():
        case "object":
            return _union_of_maps([one for one in found if one is not None])
        case "array":
            return {"type": "array", "items": union([(one or {}).get("items") for one in found]) or {}}
        case what:
            enums = [enum_of(one) for one in found]
            if any(one is None for one in enums):
                return {"type": what}
            return {"enum": list(dict.fromkeys(value for one in enums for value in one or ()))}


def _union_of_maps(found: list[Mapping[str, Any]]) -> Type:
    names = list(dict.fromkeys(name for one in found for name in one.get("properties", {})))
    fields = {
        name: union([one["properties"][name] for one in found if name in one.get("properties", {})]) or {} for name in names
    }
    is_open = any(not one.get("properties") or one.get("additionalProperties", True) is not False for one in found)
    return {"type": "object", "properties": fields, **({} if is_open else {"additionalProperties": False})}


def of_value(value: Any) -> Type:
    """The type of a literal."""
    match value:
        case dict():
            properties = {str(key): of_value(one) or {} for key, one in value.items()}
            return {"type": "object", "properties": properties, "additionalProperties": False}
        case list():
            return {"type": "array", "items": of_value(value[0]) or {}} if len(value) == 1 else LIST
        case None:
            return NULL
    return {"type": _kind_of(value), "const": value}


def step_into(schema: Type, key: str | int | None) -> Type | Literal[False] | tuple[str, ...]:
    """The type behind one key. False: there are no fields; names: there are others; None: not known."""
    schema = plain(schema)
    what = kind(schema)
    if schema is None or what is None or what == "null" or key is None:
        if schema is not None and what == "array" and key is None:
            return plain(schema.get("items"))
        return None
    if what == "array":
        return plain(schema.get("items")) if isinstance(key, int) else False
    if what == "object":
        properties = schema.get("properties", {})
        if key in properties:
            return plain(properties[key])
        further = schema.get("additionalProperties", True)
        if isinstance(further, Mapping):
            return plain(further)
        return None if further or not properties else tuple(properties)
    return None if isinstance(key, int) and what == "string" else False


def walk(schema: Type, path: tuple[str | int | None, ...], start: int = 0) -> Type | NoField:
    """The type at the end of a path from `start` on, or where it ends before."""
    for at in range(start, len(path)):
        found = step_into(schema, path[at])
        if found is False:
            return NoField(at, None, schema)
        if isinstance(found, tuple):
            return NoField(at, found, schema)
        schema = found
        if schema is None:
            return None
    return schema


def closed(schema: Type) -> Type:
    """The schema of a kind's output, where a map with fields has no others."""
    if schema is None or schema.get("x-aiflow-type") == "file":
        return plain(schema)
    if schema.get("type") == "object" and schema.get("properties") and "additionalProperties" not in schema:
        return {**schema, "additionalProperties": False}
    return schema


def enum_of(schema: Type) -> list[Any] | None:
    """The values that a type may have, where they are known."""
    schema = plain(schema)
    return list(schema["enum"]) if schema is not None and "enum" in schema else None


def _kind_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case None:
            return "null"
        case list():
            return "array"
    return "object"
