"""The workflow as data: what the loader makes of a file, and what is stored as the plan of a run.

Plain structs, JSON-serialisable by msgspec, no compiled objects. Texts with templates are kept as written;
`aiflow.language.expressions` compiles them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

_INDEX = re.compile(r"\[\d+\]")


class Retry(msgspec.Struct, frozen=True, omit_defaults=True):
    """`times` further attempts after the first.

    Attributes:
        delay_ms, backoff, max_delay_ms, jitter: see engine/retry.py.
        condition: bare expression with `error`, or None: what is worth retrying by kind.
    """

    times: int
    delay_ms: int = 1_000
    backoff: float = 2.0
    max_delay_ms: int = 60_000
    jitter: bool = True
    condition: str | None = None


class Step(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One step. `config` is the long form of its kind's options, templates as written.

    Attributes:
        label: last part of the step's path: its id, or `kind@n` (n from 1, place in its list).
        sub: path within its block, e.g. `second.else.again`; a block is the workflow's own list or the body of one `each`
             (inside the body of `each` step `docs` the steps' subs start anew; the body itself has sub "").
        block: number of the block it runs in (0 = the workflow's own steps). For a step with `each`: the block that the
             `each` stands in; the body's block number is `body_block`. `until` makes a block of its body in the same way.
        with_: `with` map.  output: `output` as written, or UNSET when absent (null is a value).
        if_: bare expression, True/False, or None when absent.
        each: bare expression text, a literal list, or None when absent.
        allow_failures: a number of items, or a fraction as text, e.g. "25%".
        until: bare expression, or None.  every_ms: between its passes.  max: passes at most, 0 for any number.
        max_ms: the time in which passes may begin.
        steps: the kind's own list (`do`).  branches: those of `parallel` (by name) and `switch` (by case, in the order of
             the file); in `switch` with conditions they are named by number, and `config["if"]` has the conditions.
        join: of `parallel`.  match: of `wait_for`, bare.
        cache_ms: how long a result may be reused, 0 for as long as the store keeps it; None for not at all.
        on_error, on_timeout: "continue", "stop", a list of steps, or None.
        refs: ids of the steps that this step's own expressions (not those of nested lists' steps) refer to.
        body_refs: for `each` steps: refs used by each item (`with`, config, `output`, ...); `refs` then holds those of `if`
              and `each`.
        prompt: key into `Workflow.prompts` of the prompt or template file it names, or None.
        line, column: of the step's kind key (or of the step), for messages at run time.
    """

    kind: str
    label: str
    sub: str
    block: int = 0
    id: str | None = None
    name: str | None = None
    config: dict[str, Any] = {}
    with_: dict[str, Any] = {}
    output: Any = msgspec.UNSET
    if_: str | bool | None = None
    else_: list[Step] | None = None
    each: str | list[Any] | None = None
    as_: str = "item"
    concurrency: int = 10
    allow_failures: int | str = 0
    body_block: int | None = None
    timeout_ms: int | None = None
    retry: Retry | None = None
    on_error: Literal["continue", "stop"] | list[Step] | None = None
    on_timeout: Literal["continue", "stop"] | list[Step] | None = None
    repeatable: bool | None = None
    throttle: str | None = None
    cache_ms: int | None = None
    until: str | bool | None = None
    every_ms: int = 0
    max: int = 100
    max_ms: int | None = None
    steps: list[Step] = []
    branches: dict[str, list[Step]] = {}
    join: Literal["all", "first"] = "all"
    match: str | None = None
    refs: list[str] = []
    body_refs: list[str] = []
    prompt: str | None = None
    line: int = 0
    column: int = 0

    @property
    def else_in_body(self) -> bool:
        """Whether `else_` is what a `switch` does without a case, once per item or pass."""
        return self.kind == "switch" and self.if_ is None


class Concurrency(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many runs of a workflow may be at work at the same time, for each value of `key` (bare, or None)."""

    limit: int
    key: str | None = None
    overflow: Literal["queue", "skip", "replace", "fail"] = "queue"


class PromptSource(msgspec.Struct, omit_defaults=True):
    """A prompt file as found when the workflow was loaded: the content is part of the version."""

    path: str
    text: str
    sha256: str
    partials: dict[str, str] = {}


class Workflow(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A loaded, checked workflow; with everything it needs inside, it is the plan that a run keeps.

    Attributes:
        file: path relative to the project folder.
        inputs: JSON Schema (type object) of the inputs, from Picoschema; `x-aiflow-type` keeps `file`, `secret`, `date` ...
        outputs: map as written, or None (then: output of the last step).
        output_refs: ids of the steps that `outputs` refers to.
        places: line and column of `outputs` and `timeout`, as far as they are there.
        prompts: by the path that steps name in `Step.prompt`.
        files: other definition files by path (schemas, called workflows): content.
        budget: dollars.  timeout_ms: of the run.
        defaults: as written under `defaults`, merged over those of `aiflow.yaml`; already laid under each step's config.
        step_ids: every declared id: its block number and sub, e.g. {"facts": [1, "facts"]}.
        calls: called workflows by the path that steps name, complete.
        triggers, cancel_on: as written.  concurrency: of runs, or None.  throttle: starts of runs, a rate or a named limit.
        source: the YAML text.
    """

    name: str
    file: str
    description: str = ""
    inputs: dict[str, Any] = {}
    steps: list[Step] = []
    outputs: dict[str, Any] | None = None
    output_refs: list[str] = []
    places: dict[str, tuple[int, int]] = {}
    on_error: list[Step] = []
    finally_: list[Step] = []
    budget: float | None = None
    timeout_ms: int | None = None
    defaults: dict[str, Any] = {}
    prompts: dict[str, PromptSource] = {}
    files: dict[str, str] = {}
    step_ids: dict[str, tuple[int, str]] = {}
    calls: dict[str, Workflow] = {}
    triggers: list[dict[str, Any]] = []
    cancel_on: list[dict[str, Any]] = []
    concurrency: Concurrency | None = None
    throttle: str | None = None
    source: str = ""


def case_text(key: Any) -> str:
    """A value, or a key of `cases`, as a `switch` compares it: `true`, `1`, `invoice`."""
    if isinstance(key, bool) or key is None:
        return "null" if key is None else str(key).lower()
    return f"{key:g}" if isinstance(key, float) and key.is_integer() else str(key)


def static_path(path: str) -> str:
    """A step path without indexes: `docs[3].facts[7]` -> `docs.facts`."""
    return _INDEX.sub("", path)


def walk_paths(workflow: Workflow) -> Iterator[tuple[str, Step]]:
    """All steps with their paths without indexes, in the order of the file."""

    def inside(steps: list[Step], prefix: str) -> Iterator[tuple[str, Step]]:
        for step in steps:
            path = join(prefix, step.sub)
            yield path, step
            inner = path if step.body_block is not None else prefix
            for nested in (step.steps, *step.branches.values()):
                yield from inside(nested, inner)
            for handlers in (step.on_error, step.on_timeout):
                if isinstance(handlers, list):
                    yield from inside(handlers, inner)
            yield from inside(step.else_ or [], inner if step.else_in_body else prefix)

    yield from inside(workflow.steps, "")
    yield from inside(workflow.on_error, "")
    yield from inside(workflow.finally_, "")


def with_called(workflow: Workflow) -> Iterator[Workflow]:
    """A workflow, and all that it calls, directly or not."""
    yield workflow
    for called in workflow.calls.values():
        yield from with_called(called)


def join(prefix: str, sub: str) -> str:
    """The path of a step whose frame is `prefix`."""
    return f"{prefix}.{sub}" if prefix and sub else prefix or sub
