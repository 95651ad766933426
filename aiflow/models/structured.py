"""How a model is told the shape of its answer: by the provider's own means, or in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiflow.models.calls import Message

# What OpenAI's strict mode takes; anything else is sent without `strict` and checked by us all the same.
_STRICT = frozenset(
    "type properties required additionalProperties items enum const anyOf $ref $defs description title"
    " minimum maximum exclusiveMinimum exclusiveMaximum multipleOf pattern format minItems maxItems".split()
)
_STRICT_FORMATS = frozenset("date-time time date duration email hostname ipv4 ipv6 uuid".split())


def schema_on_wire(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The `response_format` for a schema, or None where providers do not take it (the answer is no object)."""
    if schema.get("type") != "object":
        return None
    strict = strict_form(schema)
    if strict is not None:
        return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": strict}}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}


def strict_form(schema: Any) -> Any | None:
    """The schema with every property required (optional ones that may be null), or None if it cannot be said so."""
    try:
        return _strict(schema)
    except _NotStrict:
        return None


def schema_in_prompt(messages: Sequence[Message], schema: Mapping[str, Any]) -> list[Message]:
    """The messages, the last one of the user followed by the schema in words."""
    words = (
        "Answer with one JSON value that is valid against this JSON Schema, and with nothing else: "
        f"no explanation, no code fence.\n\n{json.dumps(schema, ensure_ascii=False)}"
    )
    told = [dict(message) for message in messages]
    last = next((message for message in reversed(told) if message["role"] == "user"), None)
    if last is None:
        return [*told, {"role": "user", "content": words}]
    if isinstance(last["content"], str):
        last["content"] = f"{last['content']}\n\n{words}"
    else:
        last["content"] = [*last["content"], {"type": "text", "text": words}]
    return list(told)


class _NotStrict(Exception):
    """The schema uses something that strict mode refuses."""


def _strict(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        raise _NotStrict
    plain = {key: value for key, value in schema.items() if not key.startswith("x-") and key not in ("$schema", "$id")}
    if plain.keys() - _STRICT or plain.get("format", "date") not in _STRICT_FORMATS:
        raise _NotStrict
    if "type" not in plain and not plain.keys() & {"anyOf", "$ref", "enum", "const"}:
        raise _NotStrict
    if "object" in _types(plain):
        return _strict_object(plain)
    return _inner(plain)


def _strict_object(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    if not properties or schema.get("additionalProperties") is not False:
        raise _NotStrict
    required = set(schema.get("required", ()))
    if any(name not in required and "null" not in _types(inner) for name, inner in properties.items()):
        raise _NotStrict
    return {**_inner(schema), "required": list(properties)}


def _inner(schema: dict[str, Any]) -> dict[str, Any]:
    made = dict(schema)
    for key in ("properties", "$defs"):
        if key in made:
            made[key] = {name: _strict(inner) for name, inner in made[key].items()}
    if "items" in made:
        made["items"] = _strict(made["items"])
    elif "array" in _types(made):
        raise _NotStrict
    if "anyOf" in made:
        made["anyOf"] = [_strict(inner) for inner in made["anyOf"]]
    return made


def _types(schema: Any) -> set[str]:
    if not isinstance(schema, Mapping):
        return set()
    kinds = schema.get("type", ())
    found = {kinds} if isinstance(kinds, str) else set(kinds)
    for branch in schema.get("anyOf", ()):
        found |= _types(branch)
    return found
