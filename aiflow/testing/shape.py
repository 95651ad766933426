"""The shape of a test file, as the JSON Schema that editors and `aiflow test` use."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from aiflow.language.schema_faults import misfits

STATUSES = ("ok", "failed", "stopped", "cancelled", "skipped")
STEP_STATUSES = ("ok", "failed", "skipped", "timed_out", "outcome_unknown", "cancelled")

_INPUTS = {"type": "object", "description": "Inputs of the run by name; those of a test are laid over those of the file."}
_MOCK = {
    "type": "object",
    "description": (
        "What stands in for steps, by id, by path (`docs.facts`, `docs[3].facts`) or by kind. A value is the output; texts "
        "are templates that see what the step sees. A map of `output`, `error`, `takes`, `usage` says more. A list holds the "
        "outcomes of successive attempts, for a step with `each` or `until` those of its items or passes."
    ),
    "examples": [{"email": {"message_id": "{{ step.id }}-mail"}, "ask": [{"error": "rate_limit"}, "fine"]}],
}
_ENV = {
    "type": "object",
    "description": "Environment variables that `env.X` gives.",
    "additionalProperties": {"type": "string"},
}
_FILES = {
    "type": "array",
    "description": "Globs of the project's files that a run may need. Default: all but hidden ones and packages.",
    "items": {"type": "string"},
    "examples": [["workflows/samples/**"]],
}
_NOW = {"type": "string", "description": "The moment at which the run starts. Default: 2026-01-01T00:00:00Z."}
_PATHS = {"type": "array", "items": {"type": "string"}}


def _map(description: str, properties: Mapping[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "object", "description": description, "properties": dict(properties), "additionalProperties": False,
    }  # fmt: skip
    return {**made, "required": list(required)} if required else made


_STEP = _map(
    "What is expected of one step, or of one item (`docs[3]`).",
    {
        "status": {"enum": list(STEP_STATUSES), "description": "How it ended."},
        "output": {"description": "Its output; of a map the fields that are named."},
        "error": {"description": "Its error: its type, or a map.", "type": ["string", "object"]},
        "attempts": {"type": "integer", "minimum": 1, "description": "How often it was tried."},
        "given": {"type": "object", "description": "For a mocked step: the options it was given; `with` holds its data."},
    },
)
_ERROR = _map(
    "The error of the run.",
    {
        "type": {"type": "string", "description": "Its type.", "examples": ["timeout"]},
        "step": {"type": "string", "description": "Path or id of the step that failed."},
        "message": {"type": "string", "description": "A part of its message."},
        "data": {"type": "object", "description": "Its data, the fields that are named."},
    },
)
_OUTPUT = {"description": "What the run gives; of a map the fields that are named, of a list every item."}
_EXPECT = _map(
    "What has to be true at the end.",
    {
        "status": {"enum": list(STATUSES), "description": "How the run ends. Default: ok; with `error`: failed."},
        "output": _OUTPUT,
        "outputs": _OUTPUT,
        "error": {**_ERROR, "type": ["string", "object"], "description": "The run's error: its type, or a map."},
        "ran": {**_PATHS, "description": "Steps, by id or path, that ran."},
        "not_ran": {**_PATHS, "description": "Steps that did not run: skipped, or never reached."},
        "took": {"type": "string", "description": "How long it took, in virtual time, exactly.", "examples": ["30d"]},
        "steps": {"type": "object", "additionalProperties": _STEP, "description": "By id or path."},
        "usage": _map(
            "Use of models.",
            {
                "calls": {"type": "integer"}, "cost": {"type": "number"},
                "tokens_in": {"type": "integer"}, "tokens_out": {"type": "integer"},
            },
        ),
        "that": {
            "description": "Conditions: bare expressions with `inputs`, `steps`, `outputs`, `error`, `run`.",
            "type": ["string", "array"], "items": {"type": "string"}, "examples": ["outputs.parts > 3"],
        },
    },
)  # fmt: skip
_EVENT = _map(
    "An event from outside, `at` so long after the start.",
    {
        "at": {"type": "string", "description": "How long after the start of the run.", "examples": ["6h"]},
        "event": {"type": "string", "description": "Its name.", "examples": ["email.opened"]},
        "data": {"type": "object", "description": "What it carries."},
        "id": {"type": "string", "description": "Its id; the same id again is dropped."},
    },
    ("at", "event"),
)
_START = _map(
    "The event that started the run, as `event` gives it.",
    {name: {"type": "string"} for name in ("name", "id", "time")} | {"data": {"type": "object"}},
    ("name",),
)
_COMMON = {"inputs": _INPUTS, "mock": _MOCK, "env": _ENV, "files": _FILES, "now": _NOW, "event": _START}
_CASE = _map(
    "One run and what is expected of it.",
    {
        "name": {"type": "string", "minLength": 1, "description": "What it shows, in words."},
        **_COMMON,
        "events": {"type": "array", "items": _EVENT, "description": "What happens outside meanwhile."},
        "expect": _EXPECT,
    },
    ("name",),
)
SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$id": "https://aiflow.dev/schemas/test.schema.json",
    "title": "aiflow workflow tests",
    **_map(
        "Tests of one workflow, run in virtual time by `aiflow test`.",
        {
            "workflow": {
                "type": "string", "description": "The workflow, relative to this file.", "examples": ["../workflows/hello.yaml"],
            },
            **_COMMON,
            "tests": {"type": "array", "minItems": 1, "items": _CASE, "description": "The tests."},
        },
        ("workflow", "tests"),
    ),
    "patternProperties": {"^x-": {}},
}  # fmt: skip

Path = tuple[Any, ...]


def render() -> str:
    """The schema as the text of its file."""
    return json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"


def shape_faults(data: Any) -> Iterator[tuple[Path, str, str, bool]]:
    """(path, message, hint, whether the key is meant and not the value) of everything that does not fit."""
    if isinstance(data, dict) and "steps" in data and "tests" not in data:
        hint = "name a test file, such as tests/NAME.test.yaml: docs/testing.md"
        yield ("steps",), "this is a workflow, and no file of tests", hint, True
        return
    for path, known in _unknown(data, SCHEMA, ()):
        near = get_close_matches(str(path[-1]), known, 1, 0.6)
        hint = f"did you mean `{near[0]}`?" if near else "known here: " + ", ".join(known)
        yield path, f"unknown key `{path[-1]}`", hint, True
    for misfit in misfits(data, SCHEMA, "the file", more_fields=True):
        if misfit.message == "is missing":
            yield misfit.path[:-1], f"`{misfit.path[-1]}` is missing", misfit.hint, False
        else:
            name = misfit.where.removeprefix("the file.")
            yield misfit.path, f"`{name}` {misfit.message}" if misfit.path else f"the file {misfit.message}", misfit.hint, False


def _unknown(data: Any, schema: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, list[str]]]:
    if isinstance(data, list) and isinstance(schema.get("items"), Mapping):
        for index, item in enumerate(data):
            yield from _unknown(item, schema["items"], (*path, index))
    if not isinstance(data, dict):
        return
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for key, value in data.items():
        if key in known:
            yield from _unknown(value, known[key], (*path, key))
        elif isinstance(others, Mapping):
            yield from _unknown(value, others, (*path, key))
        elif others is False and not (not path and str(key).startswith("x-")):
            yield (*path, key), list(known)
