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

PERCENT_PATTERN = r"^([0-9]{1,2}(\.[0-9]+)?|100(\.0+)?)\s*%$"
"""Form of a part of all items, e.g. `5%`."""

STEPS: Mapping[str, Any] = {"type": "array", "items": {"$ref": "#/definitions/step"}, "minItems": 1}
DURATION: Mapping[str, Any] = {"type": "string", "format": "aiflow-duration", "examples": ["30s", "5m", "1h30m", "3d"]}
BARE: Mapping[str, Any] = {"type": "string", "format": "aiflow-expression"}
VALUES: Mapping[str, Any] = {"type": "object"}
HANDLER: Mapping[str, Any] = {
    "anyOf": [
        {
            "enum": ["continue", "stop"],
            "enumDescriptions": ["Go on; the output of the step is null.", "End the run with status `stopped`."],
        },
        STEPS,
    ]
}

RETRY: Mapping[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {
            "type": "object",
            "properties": {
                "times": {"type": "integer", "minimum": 0, "description": "Further attempts after the first.", "examples": [3]},
                "delay": {**DURATION, "description": "Before the second attempt. Default 1s."},
                "backoff": {"type": "number", "minimum": 1, "default": 2, "description": "Each delay is so many times longer."},
                "max_delay": {**DURATION, "description": "No delay is longer. Default 1m."},
                "jitter": {"type": "boolean", "description": "Wait a random part of the delay. Default true."},
                "if": {**BARE, "description": "What is worth another attempt, with `error`.", "examples": ["error.transient"]},
            },
            "required": ["times"],
            "additionalProperties": False,
        },
    ]
}

TRIGGER: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "event": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            "description": "The name of an event, or several.",
            "examples": ["user.signed_up"],
        },
        "cron": {
            "type": "string",
            "description": "Minute, hour, day, month, weekday.",
            "examples": ["0 9 * * *", "*/15 * * * *", "0 8 * * 1-5"],
        },
        "timezone": {"type": "string", "description": "Of `cron`, IANA name. Default UTC.", "examples": ["Europe/Paris"]},
        "catch_up": {"type": "boolean", "description": "Make up for times that were missed. Default false."},
        "webhook": {"type": "string", "pattern": "^/", "description": "The path of the request.", "examples": ["/articles"]},
        "method": {"enum": ["POST", "PUT", "PATCH", "GET", "DELETE"], "description": "Of the request. Default POST."},
        "secret": {
            "type": "string",
            "description": "The key that signs the request (HMAC).",
            "examples": ["{{ secrets.WEBHOOK_KEY }}"],
        },
        "if": {**BARE, "description": "Start only then, with the incoming `event`."},
        "inputs": {"type": "object", "description": "The inputs of the run. Default: from `event.data`, by name."},
    },
    "additionalProperties": False,
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
        examples=("summary",),
    ),
    "name": Word({"type": "string"}, "For people, in logs.", wants="a text", examples=("ask the model",)),
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
        "Items (or branches of `parallel`) at the same time. Default 10; with 1 in order, and `previous` is the output of the "
        "item before.",
        wants="a whole number from 1",
        write="4",
        examples=(10,),
        partner="each",
        names="`concurrency` says how many items of an `each` run at the same time",
    ),
    "allow_failures": Word(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": PERCENT_PATTERN}]},
        "Items of the `each` that may fail: a number, or a part such as 5%. Default 0.",
        wants="a number of items, or a part such as 5%",
        write="5%",
        partner="each",
        names="`allow_failures` says how many items of an `each` may fail",
    ),
    "until": Word(
        BARE,
        "The step again until this is true, asked after each pass; `result` is the output of the pass. Output: that of the last.",
        wants="an expression",
        write="result.done",
        examples=("result.done",),
    ),
    "every": Word(
        DURATION,
        "Pause between the passes of `until`. Default: none.",
        wants="a duration such as 30s, 5m or 2h",
        write="30s",
        partner="until",
        names="`every` is the pause between the passes of an `until`",
    ),
    "max": Word(
        {"anyOf": [{"type": "integer", "minimum": 1}, DURATION]},
        "Passes of `until` at most, or the time in which they may begin; then the error `max_repeats`. Default 100.",
        wants="a number of passes, or a duration such as 30s, 5m or 2h",
        write="10",
        examples=(100,),
        partner="until",
        names="`max` bounds the passes of an `until`",
    ),
    "cases": Word(
        {"type": "object", "minProperties": 1},
        "The steps for each value of `switch`; keys are compared as text.",
        wants="a map of values and lists of steps",
        write="{invoice: [...]}",
        partner="switch",
        names="`cases` has the steps for each value of a `switch`",
    ),
    "join": Word(
        {
            "enum": ["all", "first"],
            "enumDescriptions": ["Every branch must succeed.", "The first that succeeds wins, the others are cancelled."],
        },
        "`all` (default): every branch of `parallel` must succeed; `first`: the first that succeeds wins, the others are "
        "cancelled.",
        wants="`all` or `first`",
        write="first",
        partner="parallel",
        names="`join` says which branches of a `parallel` must succeed",
    ),
    "match": Word(
        BARE,
        "Which event is meant: an expression with the incoming `event`.",
        wants="an expression with `event`",
        write="event.data.id == inputs.id",
        partner="wait_for",
        names="`match` says which event a `wait_for` takes",
        examples=("event.data.order_id == inputs.order_id",),
    ),
    "with": Word(VALUES, "The data handed over: prompt variables, arguments, environment of the shell.", wants="a map of values",
                 write='{text: "{{ inputs.text }}"}'),  # fmt: skip
    "output": Word({}, "Reshapes what the step hands on; `result` is what it gave.", examples=("{{ result.title }}",)),
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
    "cache": Word(
        {"anyOf": [{"type": "boolean"}, DURATION]},
        "Reuse the result of an equal call of an earlier run: true, or for how long. Only for steps that are `repeatable`.",
        wants="true, false, or a duration such as 30d",
        write="30d",
        examples=("30d",),
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
    "outputs": Word(VALUES, "What the run gives back. Default: the output of the last step.", wants="a map of values",
                    write='{result: "{{ steps.ID.output }}"}'),  # fmt: skip
    "timeout": Word(DURATION, "Of the whole run.", wants="a duration such as 30s, 5m or 2h", write="2h"),
    "budget": Word(
        {"type": "number", "minimum": 0}, "Dollars that models may cost in this run.", wants="a number of dollars", write="5.00",
        examples=(5,),
    ),  # fmt: skip
    "triggers": Word(
        {"type": "array", "items": TRIGGER, "minItems": 1},
        "What starts a run besides the command line: events, times, webhooks.",
        wants="a list of triggers",
        write="[{event: user.signed_up}]",
        examples=([{"event": "user.signed_up"}], [{"cron": "0 9 * * *", "timezone": "Europe/Paris"}]),
    ),
    "cancel_on": Word(
        {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "event": {"type": "string", "description": "The name of the event."},
                    "match": {**BARE, "description": "Which event is meant, with the incoming `event`."},
                },
                "required": ["event"],
                "additionalProperties": False,
            },
        },
        "An incoming event that matches cancels the run, wherever it is. `finally` still runs.",
        wants="a list of {event, match}",
        write="[{event: order.placed, match: event.data.user_id == inputs.user_id}]",
    ),
    "concurrency": Word(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {
                    "type": "object",
                    "properties": {
                        "limit": {"type": "integer", "minimum": 1, "description": "Runs at the same time.", "examples": [1]},
                        "key": {
                            **BARE,
                            "description": "The limit holds for each value of this expression.",
                            "examples": ["inputs.user_id"],
                        },
                        "overflow": {
                            "enum": ["queue", "skip", "replace", "fail"],
                            "enumDescriptions": [
                                "It waits.", "It ends as `skipped`.", "The oldest is cancelled.", "It fails with `concurrency`.",
                            ],  # fmt: skip
                            "description": "What happens to a run that is one too many. queue (default): it waits; skip: it ends "
                            "as `skipped`; replace: the oldest is cancelled; fail: it fails with `concurrency`.",
                            "default": "queue",
                        },
                    },
                    "required": ["limit"],
                    "additionalProperties": False,
                },
            ]
        },
        "Runs of this workflow at the same time.",
        wants="a number of runs, or a map {limit, key, overflow}",
        write="{limit: 1, overflow: skip}",
        examples=(1,),
    ),
    "throttle": Word(
        {"type": "string"},
        "Starts of runs per time: 60/min, or a limit of aiflow.yaml.",
        wants="a rate such as 60/min, or the name of a limit in aiflow.yaml",
        write="60/min",
        examples=("60/min",),
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

LATER_OPTIONS: Mapping[str, frozenset[str]] = {"llm": frozenset({"tools", "max_turns"})}
"""Options of the language that this version refuses with `not-yet`."""

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
