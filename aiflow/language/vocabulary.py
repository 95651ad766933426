"""The words of the language besides the kinds: keys at the top, modifiers of a step, what comes later.

One table each, read by the shape checks and by the published JSON Schema. A `Word` holds the JSON Schema of its value;
`wants` says the same for people (`must be ...`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ID_PATTERN = "[a-z][a-z0-9_]{0,63}"
"""Form of ids, names of workflows and names of items."""

RATE_PATTERN = r"[1-9][0-9]*/(s|min|h|d)"
"""Form of a rate, e.g. `60/min`."""

STEPS: Mapping[str, Any] = {"type": "array", "items": {"$ref": "#/definitions/step"}, "minItems": 1}
DURATION: Mapping[str, Any] = {"type": "string", "format": "aiflow-duration", "examples": ["30s", "5m", "1h30m", "3d"]}
BARE: Mapping[str, Any] = {"type": "string", "format": "aiflow-expression"}
VALUES: Mapping[str, Any] = {"type": "object"}
HANDLER: Mapping[str, Any] = {"anyOf": [{"enum": ["continue", "stop"]}, STEPS]}

RETRY: Mapping[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {
            "type": "object",
            "properties": {
                "times": {"type": "integer", "minimum": 0, "description": "Further attempts after the first."},
                "delay": {**DURATION, "description": "Before the second attempt. Default 1s."},
                "backoff": {"type": "number", "minimum": 1, "description": "Each delay is so many times longer. Default 2."},
                "max_delay": {**DURATION, "description": "No delay is longer. Default 1m."},
                "jitter": {"type": "boolean", "description": "Wait a random part of the delay. Default true."},
                "if": {**BARE, "description": "What is worth another attempt, with `error`.", "examples": ["error.transient"]},
            },
            "required": ["times"],
            "additionalProperties": False,
        },
    ]
}


@dataclass(frozen=True)
class Word:
    """A key of the language.

    Attributes:
        schema: JSON Schema of its value.  text: what it means, for editors.
        wants: completes "`retry` must be ..."; empty: said from the schema.
        write: a value to propose in hints.
        partner: key that must stand beside it, or empty.  names: what it does, completes "`as` names the item of an `each`".
    """

    schema: Mapping[str, Any]
    text: str
    wants: str = ""
    write: str = ""
    partner: str = ""
    names: str = ""
    examples: tuple[Any, ...] = field(default=())


MODIFIERS: Mapping[str, Word] = {
    "id": Word(
        {"type": "string"},
        "The name that other steps use: `steps.ID.output`. Needed only to be referred to.",
        wants="a name such as `summary`",
    ),
    "name": Word({"type": "string"}, "For people, in logs.", wants="a text"),
    "if": Word(
        {"anyOf": [BARE, {"type": "boolean"}]},
        "One expression without braces. When it is not true the step is skipped: output null, status `skipped`. "
        "Asked once, before `each`.",
        wants="an expression, or true or false",
        write="inputs.urgent",
        examples=("inputs.count > 3",),
    ),
    "else": Word(STEPS, "Steps to do instead when `if` is not true.", partner="if", names="`else` belongs to an `if`"),
    "each": Word(
        {"anyOf": [BARE, {"type": "array"}]},
        "The step once per item of this list: an expression without braces, or a list. Output: a list in the same order.",
        wants="an expression that gives a list, or a list",
        write="inputs.urls",
        examples=("steps.found.output",),
    ),
    "as": Word(
        {"type": "string"},
        "Name of the item in `each`. Default `item`.",
        wants="a name such as `file`",
        partner="each",
        names="`as` names the item of an `each`",
    ),
    "concurrency": Word(
        {"type": "integer", "minimum": 1},
        "Items at the same time. Default 10; with 1 in order, and `previous` is the output of the item before.",
        wants="a whole number from 1",
        write="4",
        partner="each",
        names="`concurrency` says how many items of an `each` run at the same time",
    ),
    "allow_failures": Word(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*%$"}]},
        "Items of the `each` that may fail: a number, or a part such as 5%. Default 0.",
        wants="a number of items, or a part such as 5%",
        write="5%",
        partner="each",
        names="`allow_failures` says how many items of an `each` may fail",
    ),
    "with": Word(VALUES, "The data handed over: prompt variables, arguments, environment of the shell.", wants="a map of values"),
    "output": Word({}, "Reshapes what the step hands on; `result` is what it gave."),
    "timeout": Word(DURATION, "How long one attempt may take.", wants="a duration such as 30s, 5m or 2h", write="30s"),
    "on_timeout": Word(
        HANDLER,
        "What to do when the timeout has passed: `continue`, `stop`, or steps. Default: an error.",
        wants="`continue`, `stop`, or a list of steps",
        write="continue",
        partner="timeout",
        names="`on_timeout` says what to do when the `timeout` has passed",
    ),
    "retry": Word(RETRY, "Further attempts: a number, or a map.", wants="a number of times, or a map", write="3", examples=(3,)),
    "on_error": Word(
        HANDLER,
        "What to do when it still failed: `continue`, `stop`, or steps with `error`. Default: the run fails.",
        wants="`continue`, `stop`, or a list of steps",
        write="continue",
    ),
    "repeatable": Word(
        {"type": "boolean"},
        "Whether an attempt may be made again when nobody knows if it took effect.",
        wants="true or false",
        write="true",
    ),
    "throttle": Word(
        {"type": "string"},
        "Starts per time, over all runs: 60/min, or a limit of aiflow.yaml.",
        wants="a rate such as 60/min, or the name of a limit in aiflow.yaml",
        write="60/min",
        examples=("60/min", "openai"),
    ),
}
"""Modifiers of a step, in the order of the documentation."""

TOP: Mapping[str, Word] = {
    "steps": Word(STEPS, "What is done, in order."),
    "name": Word({"type": "string"}, "How runs are listed. Default: the name of the file.", wants="a name such as `digest`"),
    "description": Word({"type": "string"}, "For people.", wants="a text"),
    "inputs": Word(
        {"type": "object"},
        "What a run is given, as Picoschema: `name: type, description`; `name?:` is optional.",
        wants="a map of names and types",
        write="{folder: string}",
        examples=({"folder": "string", "limit?": "integer"},),
    ),
    "outputs": Word(VALUES, "What the run gives back. Default: the output of the last step.", wants="a map of values"),
    "timeout": Word(DURATION, "Of the whole run.", wants="a duration such as 30s, 5m or 2h", write="2h"),
    "budget": Word(
        {"type": "number", "minimum": 0}, "Dollars that models may cost in this run.", wants="a number of dollars", write="5.00"
    ),
    "defaults": Word(
        {"type": "object"},
        "Options for every step of a kind; `retry` and `timeout` for every step that calls something.",
        wants="a map of kinds",
        write="{llm: {model: fast}}",
    ),
    "on_error": Word(STEPS, "Steps to do when the run fails, with `error` and `run.status`."),
    "finally": Word(STEPS, "Steps to do at the end whatever happened."),
    "aiflow": Word({"enum": [1]}, "Version of the language.", wants="1"),
}
"""Keys at the top of a workflow, in the order of the documentation."""

RETRIED_KINDS = ("llm", "embed", "http", "python", "shell", "email", "call")
"""Kinds that `defaults.retry` and `defaults.timeout` speak to."""

KIND_ORDER = (
    "llm embed http python shell email files read write wait wait_for approve call emit set assert fail stop do parallel switch"
).split()
"""Kinds in the order of the documentation."""

LATER_KINDS = frozenset("email wait_for approve call emit parallel switch".split())
LATER_MODIFIERS = frozenset("until every max cache match cases join".split())
LATER_TOP = frozenset("triggers cancel_on concurrency throttle".split())
LATER_OPTIONS: Mapping[str, frozenset[str]] = {"llm": frozenset({"tools", "max_turns"})}
"""Keys of the language that this version refuses with `not-yet`. A kind that is in the registry is never refused."""

ONE_OF: Mapping[str, tuple[tuple[str, ...], bool]] = {
    "llm": (("prompt", "text"), False),
    "write": (("data", "text"), True),
    "http": (("json", "form", "body"), False),
    "wait": (("for", "until"), False),
}
"""Options of a kind of which at most one may be given, and whether one must be."""

RESERVED_NAMES = frozenset(
    "inputs steps event index previous result error run step env secrets true false null none True False None not and or in "
    "is if else for now range zip uuid loop".split()
)
"""Names that have a meaning in expressions and cannot name an item."""
