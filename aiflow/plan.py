"""Workflow -> Plan: the compiled form that a run keeps, named by its content.

The stored plan is the loaded `Workflow` with everything it needs inside (prompts, schemas, called files); its digest
is the version. `CompiledPlan` adds what a process makes of it: compiled expressions, kinds, the address of each fan-out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aiflow.errors import StepError
from aiflow.language.expressions import Compiled, compile_bare, compile_value
from aiflow.language.model import Retry, Step, Workflow, join, static_path, walk_paths
from aiflow.steps._kind import StepKind
from aiflow.steps._registry import kinds

_encoder = msgspec.json.Encoder()  # maps in the order of the file: it is part of the content, and outputs come back in it
_decoder = msgspec.json.Decoder(Workflow)
BRANCHES = "*"
"""Last part of the path of a `parallel` as a fan-out: the frames of its branches are `sides.*[0]`, `sides.*[1]`, and what
their steps record stands at `sides.left.…`, `sides.right.…`."""



def encode_plan(workflow: Workflow) -> tuple[str, bytes]:
    """(version, stored form). The version is the first 20 hex digits of the SHA-256 of the stored form."""
    raw = _encoder.encode(workflow)
    return hashlib.sha256(raw).hexdigest()[:20], raw


@dataclass(slots=True)
class Options:
    """The options of a step: what is fixed or constant, what is rendered, what holds bare expressions.

    A bare option gives the value of its expression, or the list of their values when it is a list.
    """

    constant: dict[str, Any]
    rendered: list[tuple[str, Compiled]]
    bare: list[tuple[str, Compiled | list[Compiled]]]
    whole: Compiled | None = None

    @property
    def is_constant(self) -> bool:
        """Whether the options are the same in every attempt."""
        return not self.rendered and not self.bare and (self.whole is None or self.whole.constant)

    @property
    def names(self) -> frozenset[str]:
        """Root names that the expressions use."""
        parts = [one for _, one in self.rendered]
        for _, group in self.bare:
            parts += group if isinstance(group, list) else [group]
        if self.whole is not None:
            parts.append(self.whole)
        return frozenset().union(*(one.names for one in parts))

    def evaluate(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        """The options as the kind gets them. Raises ExpressionError."""
        if self.whole is not None:
            value: dict[str, Any] = self.whole.evaluate(scope)
            return value
        out = dict(self.constant)
        for name, one in self.rendered:
            out[name] = one.evaluate(scope)
        for name, group in self.bare:
            if isinstance(group, list):
                out[name] = [one.evaluate(scope) for one in group]
            else:
                out[name] = group.evaluate(scope)
        return out


@dataclass(slots=True)
class CompiledStep:
    """A step ready to run.

    Attributes:
        config: compiled options; `constant` is their value when nothing in them is an expression, else None.
        body: for an `each` or `until`: the step itself without them, `if` and `else`, which runs once per item or pass.
    """

    step: Step
    kind: StepKind
    sub: str
    config: Options
    constant: dict[str, Any] | None
    with_: Compiled | None
    output: Compiled | None
    cond: Compiled | None
    each: Compiled | None
    until: Compiled | None
    retry: Retry | None
    retry_if: Compiled | None
    refs: tuple[str, ...]
    else_: list[CompiledStep] | None = None
    on_error: list[CompiledStep] | str | None = None
    on_timeout: list[CompiledStep] | str | None = None
    steps: list[CompiledStep] = field(default_factory=list)
    branches: dict[str, list[CompiledStep]] = field(default_factory=dict)
    body: CompiledStep | None = None
    body_refs: tuple[str, ...] = ()
    uses_previous: bool = False
    wants_secrets: bool = False
    throttle: Compiled | None = None

    @property
    def label(self) -> str:
        return self.step.label


@dataclass
class CompiledPlan:
    """A plan in this process.

    Attributes:
        fans: the steps with `each`, `until` and `parallel` by the path, without indexes, of their items, passes and branches.
        kept: ids that anything refers to.
    """

    workflow: Workflow
    version: str
    steps: list[CompiledStep]
    on_error: list[CompiledStep]
    finally_: list[CompiledStep]
    outputs: Compiled | None
    fans: dict[str, CompiledStep]
    kept: frozenset[str]
    actors: dict[int, str]
    _called: dict[str, tuple[Workflow, str, bytes]] = field(default_factory=dict)

    def called(self, written: str) -> tuple[Workflow, str, bytes]:
        """The workflow that a `call` names: (workflow, version, stored form)."""
        if written not in self._called:
            workflow = self.workflow.calls[written]
            self._called[written] = (workflow, *encode_plan(workflow))
        return self._called[written]

    def fan_at(self, path: str) -> CompiledStep:
        """The step whose items or branches are the frames of the fan-out at `path`. Raises StepError."""
        cs = self.fans.get(static_path(path))
        if cs is None:
            raise StepError("lost", f"the plan has no fan-out {path}")
        return cs

    def step_at(self, path: str) -> Step | None:
        """The step that a path names, or None."""
        wanted = static_path(path)
        for where, step in walk_paths(self.workflow):
            if where == wanted:
                return step
        return None


def compile_plan(raw: bytes, version: str) -> CompiledPlan:
    """Compile a stored plan for this process."""
    workflow = _decoder.decode(raw)
    actors = {0: workflow.name}
    fans: dict[str, CompiledStep] = {}
    kept: set[str] = set(workflow.output_refs)

    def steps_of(steps: list[Step], prefix: str) -> list[CompiledStep]:
        return [one(step, prefix) for step in steps]

    def handlers(given: Any, prefix: str) -> Any:
        return steps_of(given, prefix) if isinstance(given, list) else given

    def one(step: Step, prefix: str) -> CompiledStep:
        path = join(prefix, step.sub)
        inner = path if step.body_block is not None else prefix
        compiled = _compile_step(step)
        compiled.steps = steps_of(step.steps, inner)
        compiled.branches = {name: steps_of(nested, inner) for name, nested in step.branches.items()}
        compiled.on_error = handlers(step.on_error, inner)
        compiled.on_timeout = handlers(step.on_timeout, inner)
        if step.else_ is not None:
            compiled.else_ = steps_of(step.else_, inner if step.else_in_body else prefix)
        nested = [compiled.steps, *compiled.branches.values(), compiled.on_error, compiled.on_timeout, compiled.else_]
        if any(below.uses_previous for steps in nested if isinstance(steps, list) for below in steps):
            compiled.uses_previous = True  # the item of an `each` hands `previous` to all steps in it
        kept.update(step.refs, step.body_refs)
        if step.kind == "parallel":
            fans[join(static_path(path), BRANCHES)] = compiled
        if step.body_block is not None:
            compiled.body = _body_of(compiled)
            fans[static_path(path)] = compiled
            actors[step.body_block] = f"{workflow.name}.{static_path(path)}"
        return compiled

    return CompiledPlan(
        workflow=workflow,
        version=version,
        steps=steps_of(workflow.steps, ""),
        on_error=steps_of(workflow.on_error, ""),
        finally_=steps_of(workflow.finally_, ""),
        outputs=None if workflow.outputs is None else compile_value(workflow.outputs),
        fans=fans,
        kept=frozenset(kept),
        actors=actors,
    )


def _compile_step(step: Step) -> CompiledStep:
    kind = kinds()[step.kind]
    config = _compile_config(step.config, kind)
    with_ = compile_value(step.with_) if step.with_ else None
    output = None if step.output is msgspec.UNSET else compile_value(step.output)
    retry_if = step.retry.condition if step.retry else None
    bare = [None if one is None else compile_bare(one) for one in (step.if_, step.each, retry_if, step.until)]
    throttle = None if step.throttle is None else compile_value(step.throttle)
    names = config.names.union(*(one.names for one in (with_, output, throttle, *bare) if one is not None))
    return CompiledStep(
        step=step,
        kind=kind,
        sub=step.sub,
        config=config,
        constant=config.evaluate({}) if config.is_constant else None,
        with_=with_,
        output=output,
        cond=bare[0],
        each=bare[1],
        until=bare[3],
        retry=step.retry,
        retry_if=bare[2],
        refs=tuple(step.refs),
        body_refs=tuple(step.body_refs),
        uses_previous="previous" in names,
        wants_secrets="secrets" in names,
        throttle=throttle,
    )


def _compile_config(config: dict[str, Any], kind: StepKind) -> Options:
    if kind.whole:
        return Options({}, [], [], compile_value(config))
    constant: dict[str, Any] = {}
    rendered: list[tuple[str, Compiled]] = []
    bare: list[tuple[str, Compiled | list[Compiled]]] = []
    for name, value in config.items():
        if name in kind.fixed:
            constant[name] = value
        elif name in kind.bare:
            bare.append((name, [compile_bare(one) for one in value] if isinstance(value, list) else compile_bare(value)))
        else:
            compiled = compile_value(value)
            if compiled.constant:
                constant[name] = value
            else:
                rendered.append((name, compiled))
    return Options(constant, rendered, bare)


def _body_of(compiled: CompiledStep) -> CompiledStep:
    """The step as it runs for one item: at the item's own path, without what belongs to the `each`."""
    return CompiledStep(
        step=compiled.step,
        kind=compiled.kind,
        sub="",
        config=compiled.config,
        constant=compiled.constant,
        with_=compiled.with_,
        output=compiled.output,
        cond=None,
        each=None,
        until=None,
        retry=compiled.retry,
        retry_if=compiled.retry_if,
        refs=compiled.body_refs,
        on_error=compiled.on_error,
        on_timeout=compiled.on_timeout,
        steps=compiled.steps,
        branches=compiled.branches,
        else_=compiled.else_ if compiled.step.else_in_body else None,
        uses_previous=compiled.uses_previous,
        wants_secrets=compiled.wants_secrets,
        throttle=compiled.throttle,
    )
