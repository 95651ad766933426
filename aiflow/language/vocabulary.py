"""The words of the language besides the kinds: keys at the top, modifiers of a step, what comes later, foreign words.

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
    "else": Word(
        STEPS, "Steps to do instead when `if` is not true.", partner="if", names="`else` belongs to an `if`"
    ),
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
    "with": Word(
        VALUES, "The data handed over: prompt variables, arguments, environment of the shell.", wants="a map of values"
    ),
    "output": Word({}, "Reshapes what the step hands on; `result` is what it gave."),
    "timeout": Word(
        DURATION, "How long one attempt may take.", wants="a duration such as 30s, 5m or 2h", write="30s"
    ),
    "on_timeout": Word(
        HANDLER,
        "What to do when the timeout has passed: `continue`, `stop`, or steps. Default: an error.",
        wants="`continue`, `stop`, or a list of steps",
        write="continue",
        partner="timeout",
        names="`on_timeout` says what to do when the `timeout` has passed",
    ),
    "retry": Word(
        RETRY, "Further attempts: a number, or a map.", wants="a number of times, or a map", write="3", examples=(3,)
    ),
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
        {"type": "object"}, "Options for every step of a kind; `retry` and `timeout` for every step that calls something.",
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

FOREIGN_STEP: Mapping[str, str] = {
    "foreach": "each", "for_each": "each", "for-each": "each", "forEach": "each", "for": "each", "loop": "each",
    "with_items": "each", "withItems": "each", "items": "each", "map": "each", "iterate": "each", "over": "each",
    "when": "if", "condition": "if", "only_if": "if", "unless": "if", "where": "if",
    "otherwise": "else", "default": "else",
    "item_name": "as", "loop_var": "as", "var": "as", "item_var": "as",
    "register": "id", "key": "id", "step": "id",
    "title": "name", "label": "name", "description": "name", "displayName": "name",
    "retries": "retry", "max_retries": "retry", "attempts": "retry", "max_attempts": "retry", "retry_on": "retry",
    "continue-on-error": "on_error", "continue_on_error": "on_error", "ignore_errors": "on_error", "catch": "on_error",
    "rescue": "on_error", "on_failure": "on_error", "onError": "on_error", "on-error": "on_error", "except": "on_error",
    "timeout-minutes": "timeout", "timeout_seconds": "timeout", "timeoutSeconds": "timeout", "time_limit": "timeout",
    "max_parallel": "concurrency", "max-parallel": "concurrency", "parallelism": "concurrency", "batch_size": "concurrency",
    "max_concurrency": "concurrency", "args": "with", "arguments": "with", "params": "with", "inputs": "with",
    "vars": "with", "env": "with", "input": "with", "outputs": "output", "result": "output", "returns": "output",
    "rate_limit": "throttle", "idempotent": "repeatable",
    "run": "shell", "script": "shell", "bash": "shell", "cmd": "shell", "command": "shell", "sh": "shell",
    "prompt": "llm", "model": "llm", "ai": "llm", "openai": "llm", "chat": "llm", "completion": "llm",
    "function": "python", "request": "http", "fetch": "http", "curl": "http", "url": "http", "get": "http",
    "sleep": "wait", "delay": "wait", "pause": "wait", "block": "do", "steps": "do", "then": "do", "sequence": "do",
    "tasks": "do", "raise": "fail", "throw": "fail", "error": "fail", "return": "stop", "exit": "stop", "end": "stop",
    "set_fact": "set", "assign": "set", "variables": "set", "glob": "files", "embedding": "embed",
    "embeddings": "embed", "mail": "email", "subworkflow": "call", "workflow": "call",
}  # fmt: skip
"""Words of other languages in a step and ours for them."""

FOREIGN_SENTENCES: Mapping[str, str] = {
    "needs": "steps run from top to bottom; move this step below the ones it needs",
    "depends_on": "steps run from top to bottom; move this step below the ones it needs",
    "dependsOn": "steps run from top to bottom; move this step below the ones it needs",
    "depends-on": "steps run from top to bottom; move this step below the ones it needs",
    "after": "steps run from top to bottom; move this step below the ones it needs",
    "next": "steps run from top to bottom; the next step is the one below",
    "goto": "steps run from top to bottom; nothing jumps",
    "uses": "aiflow has no actions; say what to do with one kind: python: module:function",
    "type": "aiflow says what a step does by its kind, a key of its own",
    "kind": "aiflow says what a step does by its kind, a key of its own",
    "action": "aiflow says what a step does by its kind, a key of its own",
    "matrix": "aiflow says: each, one inside the other",
    "strategy": "aiflow says: each, one inside the other",
    "while": "aiflow has no while; for lists there is `each`",
    "runs-on": "steps run on any worker; drop this",
    "always": "aiflow says: finally, at the top of the workflow",
}
"""Words of other languages in a step that need a sentence."""

FOREIGN_TOP: Mapping[str, str] = {
    "on": "triggers", "trigger": "triggers", "schedule": "triggers", "cron": "triggers",
    "jobs": "steps", "tasks": "steps", "nodes": "steps", "stages": "steps", "do": "steps", "workflow": "steps",
    "title": "name", "id": "name", "displayName": "name", "summary": "description",
    "params": "inputs", "parameters": "inputs", "input": "inputs", "arguments": "inputs", "args": "inputs",
    "output": "outputs", "results": "outputs", "returns": "outputs", "retries": "defaults", "retry": "defaults",
    "always": "finally", "on_failure": "on_error", "onError": "on_error", "catch": "on_error", "max_cost": "budget",
    "timeout-minutes": "timeout", "timeout_seconds": "timeout", "model": "defaults",
}  # fmt: skip
"""Words of other languages at the top of a workflow and ours for them."""

FOREIGN_TOP_SENTENCES: Mapping[str, str] = {
    "version": "drop it: runs keep the version they started with; the version of the language is `aiflow: 1`",
    "apiVersion": "drop it: the version of the language is `aiflow: 1`",
    "kind": "drop it: a file in workflows/ is a workflow",
    "env": "drop it: the environment is read as env.NAME in expressions",
    "vars": "values come from `inputs`, or from a step: - set: {name: value}",
    "variables": "values come from `inputs`, or from a step: - set: {name: value}",
    "secrets": "drop it: secrets are read as secrets.NAME",
}
"""Words of other languages at the top that need a sentence."""

RESERVED_NAMES = frozenset(
    "inputs steps event index previous result error run step env secrets true false null none True False None not and or in is if "
    "else for now range zip uuid loop".split()
)
"""Names that have a meaning in expressions and cannot name an item."""
