"""What a word of the language means, as Markdown: shown by editors when the mouse rests on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.steps._kind import StepKind

_SIMPLE = {"array": "list", "object": "map"}
_FIELDS = 12
"""Fields of a map that are shown; more say less."""


def kind_text(kind: StepKind) -> str:
    """A kind: what it does and gives, its own errors, an example."""
    parts = [kind.summary]
    made = None if callable(kind.output_schema) else kind.output_schema
    if made:
        parts.append(f"Output: `{type_text(made)}`")
    if kind.errors:
        parts.append("Errors: " + ", ".join(f"`{error}`" for error in kind.errors))
    if kind.example:
        parts.append(f"```yaml\n{kind.example.rstrip()}\n```")
    return "\n\n".join(parts)


def type_text(schema: Mapping[str, Any] | None, depth: int = 2) -> str:
    """A type in the manner of Picoschema: `{title: string, tags: [string]}`; `any` when nothing is known of it.

    Args: depth: maps within maps that are spelt out.
    """
    if not schema:
        return "any"
    if schema.get("x-aiflow-type") == "file" or schema.get("format") == "file":
        return "file"
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(type_text(one, depth) for one in schema[word]))
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " | ".join(_literal(one) for one in values)
    names = schema.get("type")
    if isinstance(names, (list, tuple)):
        return " or ".join(type_text({**schema, "type": name}, depth) for name in names)
    if names == "array":
        return f"[{type_text(schema['items'], depth)}]" if schema.get("items") else "list"
    if names == "object" and schema.get("properties"):
        return _map(schema, depth)
    return _SIMPLE.get(str(names), str(names)) if names else "any"


def _map(schema: Mapping[str, Any], depth: int) -> str:
    properties = schema["properties"]
    shown = list(properties)[:_FIELDS]
    if depth <= 0:
        fields = ", ".join(shown)
    else:
        fields = ", ".join(f"{name}: {type_text(properties[name], depth - 1)}" for name in shown)
    return "{" + fields + (", …" if len(properties) > len(shown) else "") + "}"


def _literal(value: Any) -> str:
    return value if isinstance(value, str) else "null" if value is None else str(value).lower()
