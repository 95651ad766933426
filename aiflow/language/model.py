"""The workflow as data: what the loader makes of a file, and what is stored as the plan of a run.

Plain structs, JSON-serialisable by msgspec, no compiled objects. Texts with templates are kept as written;
`aiflow.language.expressions` compiles them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


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
             `each` stands in; the body's block number is `body_block`.
        with_: `with` map.  output: `output` as written, or UNSET when absent (null is a value).
        if_: bare expression, True/False, or None when absent.
        each: bare expression text, a literal list, or None when absent.
        allow_failures: a number of items, or a fraction as text, e.g. "25%".
        lists: the kind's lists of steps: {"do": [...]}.
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
    cache: bool | int | None = None
    lists: dict[str, list[Step]] = {}
    refs: list[str] = []
    body_refs: list[str] = []
    prompt: str | None = None
    line: int = 0
    column: int = 0


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
        prompts: by the path that steps name in `Step.prompt`.
        files: other definition files by path (schemas, called workflows): content.
        budget: dollars.  timeout_ms: of the run.
        defaults: as written under `defaults`, merged over those of `aiflow.yaml`; already laid under each step's config.
        step_ids: every declared id: its block number and sub, e.g. {"facts": [1, "facts"]}.
        block_parents: for each block: None for the root, else [block of the `each` step, sub of the `each` step].
        source: the YAML text.
    """

    name: str
    file: str
    description: str = ""
    inputs: dict[str, Any] = {}
    steps: list[Step] = []
    outputs: dict[str, Any] | None = None
    output_refs: list[str] = []
    on_error: list[Step] = []
    finally_: list[Step] = []
    budget: float | None = None
    timeout_ms: int | None = None
    defaults: dict[str, Any] = {}
    prompts: dict[str, PromptSource] = {}
    files: dict[str, str] = {}
    step_ids: dict[str, tuple[int, str]] = {}
    block_parents: list[tuple[int, str] | None] = msgspec.field(default_factory=lambda: [None])
    source: str = ""
