"""The published JSON Schema of the language, for editors: composed from the kinds and the modifiers.

Draft-07, which every editor understands. A step is checked by `allOf: [{if: {required: [llm]}, then: ...}, ...]`, so
that a wrong option is named and not `no alternative fits`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiflow.language.check._fit import has_type
from aiflow.language.vocabulary import (
    ID_PATTERN,
    MODIFIERS,
    RETRIED_KINDS,
    TOP,
    Word,
)
from aiflow.steps._kind import StepKind
from aiflow.steps._registry import kinds

TITLE = "aiflow workflow"
_OTHER_PARTNERS = ("on_timeout", "else", "concurrency")
"""Words that may also stand beside something else: a default timeout, a `switch`, a `parallel`."""
_TEMPLATE = {"type": "string", "pattern": r"\{\{"}
_FORMATS = ("aiflow-duration", "aiflow-expression", "duration")


def compose() -> dict[str, Any]:
    """The whole schema."""
    known = kinds()
    definitions: dict[str, Any] = {"steps": _steps(), "step": _step(known)}
    for kind in known.values():
        definitions[f"kind-{kind.name}"] = _kind(kind)
        if kind.name in RETRIED_KINDS:
            definitions[f"defaults-{kind.name}"] = _options(kind, required=False)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://aiflow.dev/schemas/workflow.schema.json",
        "title": TITLE,
        "description": "A durable AI pipeline: a list of steps, run from top to bottom.",
        "type": "object",
        "properties": {name: _top(name, word, known) for name, word in TOP.items()},
        "patternProperties": {"^x-": {}},
        "required": ["steps"],
        "additionalProperties": False,
        "definitions": definitions,
    }


def render() -> str:
    """The schema as the text of its file."""
    return json.dumps(compose(), indent=2, ensure_ascii=False) + "\n"


def write(path: Path) -> None:
    """Write the schema. Raises: OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(), encoding="utf-8")


def _steps() -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/step"}}


def _step(known: Mapping[str, StepKind]) -> dict[str, Any]:
    properties = {name: _word(name, word) for name, word in MODIFIERS.items()}
    for kind in known.values():
        properties[kind.name] = {"description": kind.summary, **_examples(kind)}
    choices = [{"if": {"required": [name]}, "then": {"$ref": f"#/definitions/kind-{name}"}} for name in known]
    partners = {name: [word.partner] for name, word in MODIFIERS.items() if word.partner and name not in _OTHER_PARTNERS}
    return {
        "type": "object",
        "description": "One kind (what it does) and any modifiers (how it is done).",
        "properties": properties,
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
        "allOf": choices,
        "anyOf": [{"required": [name]} for name in known],
        "dependencies": partners,
    }


def _examples(kind: StepKind) -> dict[str, Any]:
    short = kind.schema.get("properties", {}).get(kind.short, {}) if kind.short else {}
    return {"examples": short["examples"]} if short.get("examples") else {}


def _kind(kind: StepKind) -> dict[str, Any]:
    """What stands behind the key of one kind; other kinds beside it are refused."""
    others = [name for name in kinds() if name != kind.name]
    return {
        "description": kind.summary,
        "properties": {kind.name: _value(kind), **dict.fromkeys(others, False)},
    }


def _value(kind: StepKind) -> dict[str, Any]:
    match kind.lists:
        case "list":
            return {"description": kind.summary, **_steps_ref()}
        case "branches":
            return {"description": kind.summary, **kind.schema, **_branches(), "propertyNames": {"pattern": f"^{ID_PATTERN}$"}}
        case "cases":
            value = dict(kind.schema["properties"]["value"])
            return {"description": kind.summary, "if": {"type": "array"}, "then": _conditions(), "else": value, **_examples(kind)}
    if kind.whole:
        return {"description": kind.summary, **kind.schema}
    long = _options(kind, required=True)
    if kind.short is None:
        return {"description": kind.summary, **long}
    given = kind.short_schema or kind.schema["properties"].get(kind.short, {"type": "string"})
    short = dict(_option(given, fixed=kind.short in kind.fixed))
    if kind.name == "llm":
        short["description"] = "A prompt file (ends in .md), or the prompt itself."
        short["examples"] = ["prompts/summarize.md", "Summarise: {{ inputs.text }}"]
    # The if tells a map from the short form, so that faults inside the map are named.
    return {"description": kind.summary, "if": {"type": "object"}, "then": long, "else": short, **_examples(kind)}


def _branches() -> dict[str, Any]:
    return {"type": "object", "minProperties": 1, "additionalProperties": _steps_ref()}


def _conditions() -> dict[str, Any]:
    """`switch` as a list."""
    condition = {"type": ["string", "boolean"], "description": "An expression without braces. The last case may have none."}
    case = {
        "type": "object",
        "properties": {"if": condition, "do": _steps_ref()},
        "required": ["do"],
        "additionalProperties": False,
    }
    return {"type": "array", "minItems": 1, "items": case}


def _options(kind: StepKind, *, required: bool) -> dict[str, Any]:
    properties = {name: _option(schema, fixed=name in kind.fixed) for name, schema in kind.schema.get("properties", {}).items()}
    made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required and kind.schema.get("required") and kind.name not in RETRIED_KINDS:
        made["required"] = list(kind.schema["required"])
    return made


def _option(schema: Mapping[str, Any], *, fixed: bool) -> dict[str, Any]:
    """The schema of an option, with a template allowed where it wants no text."""
    made = {key: one for key, one in schema.items() if key != "format"}
    if fixed or has_type("", schema.get("type")) and "anyOf" not in schema and "enum" not in schema and "pattern" not in schema:
        return made
    if not any(word in schema for word in ("type", "anyOf", "enum", "oneOf", "const")):
        return made
    about: dict[str, Any] = {key: made.pop(key) for key in ("description", "examples", "default") if key in made}
    return {**about, "anyOf": [made, _TEMPLATE]}


def _word(name: str, word: Word) -> dict[str, Any]:
    if name in ("else",):
        made: dict[str, Any] = _steps_ref()
    elif name in ("on_error", "on_timeout"):
        made = {"anyOf": [{"enum": ["continue", "stop"]}, _steps_ref()]}
    elif name == "cases":
        made = _branches()
    elif name in ("id", "as"):
        made = {"type": "string", "pattern": f"^{ID_PATTERN}$"}
    else:
        made = _without_formats(word.schema)
    made = {"description": word.text, **made}
    if word.examples:
        made["examples"] = list(word.examples)
    return made


def _top(name: str, word: Word, known: Mapping[str, StepKind]) -> dict[str, Any]:
    if name in ("steps", "on_error", "finally"):
        return {"description": word.text, **_steps_ref()}
    if name == "defaults":
        properties = {kind: {"$ref": f"#/definitions/defaults-{kind}"} for kind in known if kind in RETRIED_KINDS}
        for modifier in ("retry", "timeout"):
            properties[modifier] = _word(modifier, MODIFIERS[modifier])
        return {"description": word.text, "type": "object", "properties": properties, "additionalProperties": False}
    made = {"description": word.text, **_without_formats(word.schema)}
    if name == "name":
        made["pattern"] = f"^{ID_PATTERN}$"
    if word.examples:
        made["examples"] = list(word.examples)
    return made


def _steps_ref() -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/step"}}


def _without_formats(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without formats that only aiflow knows; editors warn about them."""
    made: dict[str, Any] = {}
    for key, one in schema.items():
        if key == "format" and one in _FORMATS:
            continue
        if isinstance(one, Mapping):
            made[key] = (
                {name: _without_formats(inner) if isinstance(inner, Mapping) else inner for name, inner in one.items()}
                if (key == "properties")
                else _without_formats(one)
            )
        elif isinstance(one, list):
            made[key] = [_without_formats(inner) if isinstance(inner, Mapping) else inner for inner in one]
        else:
            made[key] = one
    return made
