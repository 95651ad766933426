"""The shape of a step kind. A kind is one file in this folder that offers a `KIND`.

A kind's `run` gets its options rendered (texts without templates, expressions evaluated), does its work and
returns an outcome, or raises `StepError`. It does not touch Redis, Dramatiq or the clock, and knows nothing of
retries, timeouts, loops or checkpoints: those are the engine's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aiflow.models.calls import Usage as Usage
from aiflow.values import Value

if TYPE_CHECKING:
    import aiohttp

    from aiflow.language.prompts import Prompt
    from aiflow.models.gateway import Gateway


@dataclass(frozen=True, slots=True)
class Done:
    """The step succeeded.

    Attributes:
        output: the result.
        usage: of model calls, or None.
        meta: facts for the record that are not part of the output, e.g.
              `{"model": "openai/gpt-4o-mini", "offline": true, "prompt": "prompts/x.md", "prompt_digest": "…"}`.
    """

    output: Value
    usage: Usage | None = None
    meta: Mapping[str, Value] | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """The step is to be called again at `until_ms` (Redis time, ms UTC); no worker is held meanwhile."""

    until_ms: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the run with status `stopped`."""

    reason: str
    outputs: Value = None


@dataclass(frozen=True, slots=True)
class Listen:
    """The step is done with the first event of one of these names that its `match` accepts and no other wait has taken."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """Accept an event; the step is done with it. The same `id` is sent once."""

    name: str
    data: Value
    id: str


@dataclass(frozen=True, slots=True)
class Call:
    """Run another workflow; its outputs are the step's.

    Attributes:
        workflow: its path as written; the plan holds it.  inputs: not yet checked.
        detach: do not wait for it; the output is {run_id}.
    """

    workflow: str
    inputs: Mapping[str, Value]
    detach: bool = False


Outcome: TypeAlias = Done | Wait | Stop | Listen | Send | Call


Ask: TypeAlias = Callable[[], Awaitable[Done]]
"""What a kind does once it knows that it has to."""

Identity: TypeAlias = Callable[[], Awaitable[Value]]
"""What makes two calls equal, as a JSON value; None: this call cannot be compared. Not asked when nothing is cached."""


async def uncached(identity: Identity, call: Ask) -> Done:
    """`Context.cached` of a step without `cache`."""
    return await call()


@dataclass(slots=True)
class Context:
    """What a kind may use while it runs one attempt.

    Attributes:
        run_id, path: the run and the step's address, e.g. `docs[3].facts[7]`.
        key: idempotency key, the same for every attempt of this step.
        attempt: from 1.  now_ms: Redis time of the checkpoint before this step.
        resumed: True when called again after a `Wait`.
        project: the project folder; relative data paths start here.
        run_dir: folder of this run (made on first use by whoever writes into it).
        data: the rendered `with:` map.
        prompt: the prompt or template file named by the step, loaded from the plan (llm, email); else None.
        timeout_ms: time left for this attempt, or None.
        services: process-wide helpers, see `Services`.
        secret: looks up a secret by name; raises StepError `secret` when it is not set.
        log: appends a line to the run's log: `log("text")` or `log("text", level="warning")`.
        budget_left: dollars left of the budgets of the run and of those that wait for it, or None when there is none.
              Awaited before each model call.
        cached: `await ctx.cached(identity, call)` gives the result of an equal call of before, or that of `call`. What counts
                is what is asked (texts, options, content of files), never who asks: no ids, positions, keys of services.
        written: the config as it stands in the file, before rendering; for messages only (`assert` names its expression).
    """

    run_id: str
    path: str
    key: str
    attempt: int
    now_ms: int
    resumed: bool
    project: Path
    run_dir: Path
    data: Mapping[str, Value]
    prompt: Prompt | None
    timeout_ms: int | None
    services: Services
    secret: Callable[[str], str]
    log: Callable[..., None]
    budget_left: Callable[[], Awaitable[float | None]]
    cached: Callable[[Identity, Ask], Awaitable[Done]] = uncached
    written: Mapping[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Services:
    """Helpers that live as long as the worker process. Each is made on first use.

    Attributes:
        gateway: calls models (aiflow.models.gateway), those of the run's own profile.
        http: `await http()` gives the shared aiohttp.ClientSession (address checks are in its connector).
        network: may loopback and private addresses be reached (`open`), and which networks are allowed besides.
    """

    gateway: Callable[..., Gateway]
    http: Callable[[], Awaitable[aiohttp.ClientSession]]
    extra: dict[str, Any] = field(default_factory=dict)


Run: TypeAlias = Callable[[Context, Mapping[str, Value]], Awaitable[Outcome]]


@dataclass(frozen=True)
class StepKind:
    """A kind of step.

    Attributes:
        name: the key in the YAML.
        summary: one sentence, shown in editors and docs.
        run: the work. None for kinds that hold lists of steps, and for those that this version checks but cannot run yet.
        short: the option that the short form (`http: URL`) stands for, or None when only a map is possible.
        short_schema: JSON Schema of the short form, when it is not the schema of that option.
        schema: JSON Schema (draft 2020-12 and draft-07 both) of the long form: an object with `properties`; the loader adds
                `additionalProperties: false`. Give `description` and `examples` to each property: editors show them.
                Templates: where a number, boolean, map or list is wanted, the loader also accepts a text with `{{`.
        fixed: options that may not contain templates and are handed over as written (paths of definitions, schemas, scripts).
        bare: options that hold bare expressions (evaluated to their value): `assert.that`.
        whole: the config is one map of values (`set`): keys are the user's own, everything is rendered.
        lists: how steps stand inside it: "list" (`do`), "branches" (`parallel`: name -> list), "cases" (`switch`: case -> list,
               or a list of {if, do}); "" when none do.
        pure: computed again after a crash instead of checkpointed alone (no effect, deterministic).
        repeatable: may an attempt of unknown outcome be made again? A bool, or asked with the rendered config.
        cacheable: it asks for something through `Context.cached`; `cache` may stand beside it where it is repeatable.
        transient_only: a plain `retry: 3` retries only transient errors.
        retries: default number of further attempts.
        elsewhere: an attempt goes on where no worker of ours holds it (`call`): its timeout is a stored moment, no timer.
        output_schema: JSON Schema of the output where it is known, or a function of the raw config; None if unknown.
        errors: own error types, for the docs.
        example: a step in YAML, run by the docs' tests.
    """

    name: str
    summary: str
    run: Run | None
    schema: Mapping[str, Any]
    short: str | None = None
    short_schema: Mapping[str, Any] | None = None
    fixed: frozenset[str] = frozenset()
    bare: frozenset[str] = frozenset()
    whole: bool = False
    lists: Literal["", "list", "branches", "cases"] = ""
    pure: bool = False
    repeatable: bool | Callable[[Mapping[str, Value]], bool] = True
    cacheable: bool = False
    transient_only: bool = False
    retries: int = 0
    elsewhere: bool = False
    output_schema: Mapping[str, Any] | Callable[[Mapping[str, Value]], Mapping[str, Any] | None] | None = None
    errors: tuple[str, ...] = ()
    example: str = ""

    @property
    def later(self) -> bool:
        """Whether this version can check it and not run it."""
        return self.run is None and not self.lists
