"""The published JSON Schema of `aiflow.yaml`, for editors. What the file may hold is checked by `_project_checks`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.language.published import published
from aiflow.language.schema import defaults, text_of
from aiflow.language.vocabulary import DURATION

_NAME = "openai/gpt-4o-mini"
_MODEL: Mapping[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "model": {"type": "string", "description": "provider/name, as litellm knows it.", "examples": [_NAME]},
                "api_base": {"type": "string", "description": "Where the model is served.", "examples": ["http://localhost:11434/v1"]},
                "max_tokens": {"type": "integer", "minimum": 1, "description": "A longer answer is an error, never cut."},
                "params": {"type": "object", "description": "Further parameters, handed to litellm as they are."},
                "prices": {
                    "type": "object",
                    "description": "Dollars per million tokens, for models whose price is not known.",
                    "additionalProperties": {"type": "number", "minimum": 0},
                    "examples": [{"input": 0.15, "output": 0.6}],
                },
            },
            "required": ["model"],
        },
    ],
    "examples": [_NAME],
    "errorMessage": f"a model must be a name such as {_NAME}, or a map with `model`",
}

_DEFAULTS: Mapping[str, Any] = {"$ref": "#/definitions/defaults"}
_RATE = r"^[1-9][0-9]*\s*/\s*[0-9]*(s|min|h|d)$"

FIELDS: Mapping[str, Mapping[str, Any]] = {
    "models": {
        "description": "Who plays the roles that workflows and prompts name: an alias, and a model that litellm knows.",
        "type": "object",
        "additionalProperties": _MODEL,
        "examples": [{"fast": _NAME}],
    },
    "profiles": {
        "description": "Other models and defaults, laid over these by `--profile NAME` or `AIFLOW_PROFILE`.",
        "type": "object",
        "additionalProperties": {"type": "object", "properties": {"defaults": _DEFAULTS}, "additionalProperties": _MODEL},
        "examples": [{"offline": {"fast": "offline/text"}}],
    },
    "profile": {"description": "The profile that is taken when none is named.", "type": "string", "examples": ["offline"]},
    "limits": {
        "description": "Limits that `throttle` names, shared by all runs.",
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": {
                "rate": {
                    "type": "string",
                    "pattern": _RATE,
                    "description": "Starts per time; units are s, min, h, d.",
                    "examples": ["500/min"],
                },
                "at_once": {"type": "integer", "minimum": 1, "description": "Steps at the same time.", "examples": [20]},
            },
            "additionalProperties": False,
        },
        "examples": [{"openai": {"rate": "500/min"}}],
    },
    "store": {
        "description": "Where runs are kept. Without it, and without `REDIS_URL`, aiflow starts a store of its own.",
        "type": "string",
        "examples": ["redis://localhost:6379/0"],
    },
    "stores": {
        "description": "Where other things are kept.",
        "type": "object",
        "properties": {
            "artifacts": {
                "type": "string",
                "description": "Folder or bucket of large values.",
                "examples": ["./artifacts", "s3://bucket/prefix"],
            }
        },
        "additionalProperties": False,
    },
    "durability": {
        "description": "When the store's log is synced to disk. Default: standard.",
        "enum": ["standard", "always"],
        "enumDescriptions": ["Every second.", "At every commit."],
    },
    "state_dir": {"description": "Folder of the embedded store and of runs. Default: `.aiflow`.", "type": "string"},
    "blob_limit": {
        "description": "Bytes from which on a value is kept as an artifact. Default: 65536.",
        "type": "integer",
        "minimum": 1024,
        "examples": [65536],
    },
    "network": {
        "description": "What steps may reach.",
        "type": "object",
        "properties": {
            "allow": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Private networks that `http` may reach.",
                "examples": [["10.0.0.0/8", "127.0.0.1"]],
            }
        },
        "additionalProperties": False,
    },
    "lease": {**DURATION, "description": "After how long a silent worker is taken for dead. At least 1s.", "examples": ["20s"]},
    "retention": {**DURATION, "description": "How long ended runs are kept.", "examples": ["30d"]},
    "namespace": {
        "description": "Sets projects apart that share a store.",
        "type": "string",
        "pattern": "^[A-Za-z0-9_.:-]{1,100}$",
        "examples": ["team.shop"],
    },
    "email": {"description": "The server that sends emails.", "examples": ["smtp://localhost:1025"]},
}
"""Every key but `defaults`, in the order in which one meets them."""


def compose() -> dict[str, Any]:
    """The whole schema."""
    options, definitions = defaults()
    options["description"] = "Options for every step of a kind, in all workflows; `retry` and `timeout` for what calls something."
    properties = {name: _empty_is_fine(published(schema, name)) for name, schema in FIELDS.items()}
    properties["defaults"] = _empty_is_fine(options)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://aiflow.dev/schemas/project.schema.json",
        "title": "aiflow project",
        "description": "What all workflows of a project share.",
        "type": "object",
        "properties": properties,
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
        "definitions": {**definitions, "defaults": options},
    }


def render() -> str:
    """The schema as the text of its file."""
    return text_of(compose())


def _empty_is_fine(schema: dict[str, Any]) -> dict[str, Any]:
    """A key with everything below it commented out is read as if it were not there."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]} if isinstance(schema.get("type"), str) else schema
