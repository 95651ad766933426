"""What stands in for steps in a test: what a mock says, which one a step takes, and how it is laid over a compiled plan.

    mock:
      email: {message_id: "{{ step.id }}-mail"}        every email step: a value is the output, texts are templates
      tip: {error: {type: rate_limit, message: busy}}  fails; `{error: rate_limit}` for short
      ask: [{error: timeout}, {subject: Tip}]          successive attempts, the last one stays
      summaries: [first, second]                       a step with `each` or `until`: successive items or passes
      docs[2].text: {error: unreadable}                one item
      answer: {takes: 2d, output: {id: e1}}            after two days of virtual time

A map whose keys are all among `output`, `error`, `takes`, `usage` is such an outcome; any other map is the output.
An index goes before a path, a path or id before a kind.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from aiflow.durations import parse_duration
from aiflow.errors import StepError
from aiflow.language.expressions import Compiled, compile_value
from aiflow.language.model import Workflow, static_path, walk_paths
from aiflow.models.calls import Usage
from aiflow.plan import CompiledPlan, CompiledStep, Options
from aiflow.steps._kind import Context, Done, Outcome, StepKind
from aiflow.steps._registry import kinds
from aiflow.values import Value

OUTCOME = frozenset({"output", "error", "takes", "usage"})
_ERROR = frozenset({"type", "message", "transient", "data", "retry_after"})
_USAGE = frozenset({"tokens_in", "tokens_out", "cost", "calls"})
PASSING = frozenset({"timeout", "rate_limit", "connection"})
"""Types of errors that are transient unless the mock says otherwise."""

REAL = frozenset({"files", "read", "write", "shell", "python", "llm", "embed"})
"""Kinds that run for real when they are not mocked: files in a copy of the project, models by the offline ones."""

ENGINE = frozenset({"wait", "wait_for", "approve", "call", "emit"})
"""Kinds that the engine does by itself, as far as it can: their time is virtual, their events are the test's."""

_LAST_INDEX = re.compile(r"\[(\d+)\]$")


class MockFault(Exception):
    """A mock that cannot be understood. `path`: keys and indexes below the mock."""

    def __init__(self, message: str, path: tuple[Any, ...] = (), hint: str = "") -> None:
        super().__init__(message)
        self.message, self.path, self.hint = message, path, hint


@dataclass(frozen=True)
class Said:
    """One outcome: the output, or a failure, after `takes_ms` of virtual time."""

    output: Compiled | None = None
    error: Compiled | None = None
    takes_ms: int = 0
    usage: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> frozenset[str]:
        """Ids of the steps that it refers to."""
        return frozenset().union(*(one.steps for one in (self.output, self.error) if one is not None))


@dataclass(frozen=True)
class Series:
    """Outcomes of successive items, passes or attempts."""

    outcomes: tuple[Said | Series, ...]

    @property
    def steps(self) -> frozenset[str]:
        return frozenset().union(*(one.steps for one in self.outcomes))


Mock = Said | Series


def read_mock(raw: Value) -> Mock:
    """What a mock says. Raises: MockFault; ExpressionSyntaxError: a template in it is no expression."""
    if isinstance(raw, list):
        if not raw:
            raise MockFault("an empty list says nothing; an empty list as output is written `{output: []}`")
        return Series(tuple(_below(index, item) for index, item in enumerate(raw)))
    if not isinstance(raw, dict) or not raw or not raw.keys() <= OUTCOME:
        _look_again(raw)
        return Said(output=compile_value(raw))
    if "output" in raw and "error" in raw:
        raise MockFault("`output` and `error` exclude each other", ("error",))
    return Said(
        output=None if "error" in raw else compile_value(raw.get("output")),
        error=compile_value(_error(raw["error"])) if "error" in raw else None,
        takes_ms=_takes(raw.get("takes", "0s")),
        usage=_usage(raw.get("usage", {})),
    )


def _below(index: int, raw: Value) -> Mock:
    try:
        return read_mock(raw)
    except MockFault as fault:
        raise MockFault(fault.message, (index, *fault.path), fault.hint) from None


def _look_again(raw: Value) -> None:
    """A map that was meant to be an outcome, but for one word."""
    if isinstance(raw, dict) and "takes" in raw:
        odd = next(key for key in raw if key not in OUTCOME)
        near = get_close_matches(str(odd), sorted(OUTCOME), 1, 0.6)
        raise MockFault(
            f"unknown key `{odd}` beside `takes`",
            (odd,),
            f"did you mean `{near[0]}`?" if near else "a map with these keys as output is written `{output: {...}}`",
        )


def _error(raw: Value) -> dict[str, Value]:
    if isinstance(raw, str):
        raw = {"type": raw}
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        raise MockFault("`error` is a type, or a map with a `type`", ("error",), "write for example: {error: timeout}")
    for key in raw:
        if key not in _ERROR:
            raise MockFault(f"unknown key `{key}` of an error", ("error", key), "known here: " + ", ".join(sorted(_ERROR)))
    if "retry_after" in raw:
        _takes(raw["retry_after"], ("error", "retry_after"))
    return {"message": f"{raw['type']}, as the test has it", "transient": raw["type"] in PASSING, "data": {}, **raw}


def _takes(raw: Value, path: tuple[Any, ...] = ("takes",)) -> int:
    try:
        return parse_duration(raw)
    except ValueError as error:
        raise MockFault(str(error), path) from None


def _usage(raw: Value) -> dict[str, Value]:
    if not isinstance(raw, dict) or not raw.keys() <= _USAGE or not all(isinstance(one, int | float) for one in raw.values()):
        raise MockFault("`usage` is a map of numbers", ("usage",), "known here: " + ", ".join(sorted(_USAGE)))
    return raw


class Mocks:
    """The mocks of one test, by the names they were given.

    A name is an id, a path, a path with indexes, or a kind; `unknown_name` says when it is none of these.
    """

    def __init__(self, given: Mapping[str, Mock], workflow: Workflow) -> None:
        self._given = given
        self._paths = {id: path for path, step in walk_paths(workflow) if (id := step.id)}

    def of(self, path: str, step_id: str | None, kind: str) -> list[Mock]:
        """Every mock that a step at this path, without indexes, may take."""
        found = [mock for name, mock in self._given.items() if "[" in name and static_path(name) == path]
        plain = self._plain(path, step_id, kind)
        return found if plain is None else [*found, plain]

    def choose(self, path: str, step_id: str | None, kind: str, attempt: int, repeated: bool) -> Said | None:
        """The outcome of one attempt. `repeated`: the step itself has `each` or `until`, so the path ends in an index."""
        mock = self._given.get(path) if "[" in path else None
        index = _LAST_INDEX.search(path) if repeated else None
        if mock is None:
            around = path[: index.start()] if index else path
            mock = self._given.get(around) if "[" in around else None
            mock = mock or self._plain(static_path(path), step_id, kind)
            if isinstance(mock, Series) and index:
                mock = _nth(mock, int(index[1]))
        if isinstance(mock, Series):
            mock = _nth(mock, attempt - 1)
        while isinstance(mock, Series):
            mock = mock.outcomes[-1]
        return mock

    def _plain(self, path: str, step_id: str | None, kind: str) -> Mock | None:
        if path in self._given:
            return self._given[path]
        if step_id is not None and step_id in self._given:
            return self._given[step_id]
        return None if kind in self._paths else self._given.get(kind)


def _nth(series: Series, number: int) -> Mock:
    return series.outcomes[min(number, len(series.outcomes) - 1)]


def unknown_name(name: str, workflow: Workflow) -> str | None:
    """None for a name that a mock may have; else the nearest that it may be, or an empty text."""
    known = {*kinds(), *workflow.step_ids, *(path for path, _ in walk_paths(workflow))}
    if static_path(name) in known:
        return None
    return next(iter(get_close_matches(static_path(name), sorted(known), 1, 0.6)), "")


# -- over a plan ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A step that is about to run.

    Attributes: scope: what its expressions see.  config: its options, rendered.
    """

    cs: CompiledStep
    kind: StepKind
    context: Context
    config: Mapping[str, Value]
    scope: Mapping[str, Value]


Perform = Callable[[Call], Awaitable[Outcome]]


class _WithScope(Options):
    """Options that bring the scope along in which they were rendered."""

    __slots__ = ("_options",)

    def __init__(self, options: Options) -> None:
        super().__init__({}, [], [])
        self._options = options

    def evaluate(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        return {"config": self._options.evaluate(scope), "scope": scope}


def lay_over(plan: CompiledPlan, mocks: Mocks, mocked: Perform, real: Perform, refused: Perform) -> None:
    """Let `mocked` do the steps with a mock, `real` the others that act, and `refused` those that a test does not run.

    What computes, waits and holds steps stays as it is.
    """
    kept: set[str] = set(plan.kept)
    for path, cs in _walk(plan):
        found = mocks.of(path, cs.step.id, cs.step.kind)
        if found:
            refs = frozenset().union(*(mock.steps for mock in found))
            kept |= refs
            _replace(cs, mocked, refs)
        elif cs.kind.name in REAL:
            _replace(cs, real, frozenset())
        elif cs.kind.later or not (cs.kind.pure or cs.kind.lists or cs.kind.name in ENGINE):
            _replace(cs, refused, frozenset())
    plan.kept = frozenset(kept)


def _walk(plan: CompiledPlan) -> Iterator[tuple[str, CompiledStep]]:
    """All compiled steps, the bodies of `each` and `until` beside them, with their paths without indexes."""
    places = {id(step): path for path, step in walk_paths(plan.workflow)}

    def inside(steps: list[CompiledStep]) -> Iterator[tuple[str, CompiledStep]]:
        for cs in steps:
            path = places[id(cs.step)]
            for one in (cs, cs.body):
                if one is not None:
                    yield path, one
            handlers = [one for one in (cs.on_error, cs.on_timeout) if isinstance(one, list)]
            for nested in (cs.steps, *cs.branches.values(), *handlers, cs.else_ or []):
                yield from inside(nested)

    for steps in (plan.steps, plan.on_error, plan.finally_):
        yield from inside(steps)


def _replace(cs: CompiledStep, perform: Perform, refs: frozenset[str]) -> None:
    kind = cs.kind

    async def run(context: Context, config: Mapping[str, Value]) -> Outcome:
        return await perform(Call(cs, kind, context, config["config"], config["scope"]))

    cs.kind = replace(kind, name=f"{kind.name} in a test", run=run, lists="", pure=False, repeatable=True)
    cs.config = _WithScope(cs.config)
    cs.constant = None
    cs.refs = tuple(dict.fromkeys((*cs.refs, *sorted(refs))))


async def outcome_of(said: Said, scope: Mapping[str, Any], sleep: Callable[[float], Awaitable[None]]) -> Done:
    """What the mock says, in the step's scope. Raises: StepError: that it fails; ExpressionError: it cannot be evaluated."""
    if said.takes_ms:
        await sleep(said.takes_ms / 1000)
    usage = Usage(**said.usage) if said.usage else None
    if said.error is not None:
        error: dict[str, Any] = said.error.evaluate(scope)
        after = parse_duration(error["retry_after"]) if "retry_after" in error else None
        data = error["data"] if usage is None else {**error["data"], "usage": said.usage}
        raise StepError(
            error["type"], error["message"], data=data, transient=bool(error["transient"]), retry_after_ms=after
        )
    output = None if said.output is None else said.output.evaluate(scope)
    return Done(output, usage, {"mocked": True})


def needs_mock(kind: str, name: str, path: str) -> StepError:
    """What is said of a step that a test does not run: its kind acts outside, or waits for somebody."""
    example = EXAMPLES.get(kind, "{}")
    return StepError(
        "not_mocked",
        f"step {path} ({kind}) has no mock: a test does not run `{kind}`",
        hint=f"write under `mock:`\n  {name}: {example}",
    )


EXAMPLES = {
    "http": "{status: 200, headers: {}, body: {}}",
    "email": '{message_id: "{{ step.id }}-mail"}',
    "wait_for": "{id: e1, name: some.event, data: {}}",
    "approve": "{approved: true, by: ann@example.com, comment: \"\", form: {}}",
    "emit": "{id: e1, name: some.event, data: {}}",
    "call": "{}",
}
