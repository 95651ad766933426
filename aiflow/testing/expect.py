"""A run that was played -> everything that is not as expected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiflow.durations import format_duration, parse_duration
from aiflow.errors import StepError
from aiflow.inspector import RunInfo
from aiflow.language.expressions import compile_bare
from aiflow.language.model import static_path
from aiflow.store.records import Record
from aiflow.testing.files import Case, conditions
from aiflow.testing.world import Played
from aiflow.values import Value, plain

MISSING = "(missing)"
_ITEMS = 20  # paths listed of a step that stands inside of an `each`


@dataclass(frozen=True)
class Failure:
    """One thing that is not as expected. `what`: `status`, `output.engaged`, `steps.tip.attempts` ..."""

    what: str
    expected: Value
    got: Value


def failures(case: Case, played: Played) -> list[Failure]:
    """Everything in which the run differs from what the case expects; faults of the test itself go first."""
    expect, run = case.expect, played.run
    found = [Failure("test", "a run to its end", fault) for fault in played.faults]
    if run is not None and run.error is not None and run.error["type"] != "not_mocked" and found:
        found += _status(expect, run)  # it may be why
    if run is None or found:
        return found
    found += _status(expect, run)
    for key in ("output", "outputs"):
        if key in expect:
            found += differences(key, expect[key], run.outputs)
    found += _error("error", expect.get("error"), run.error, case.names)
    found += _ran(case, played)
    if "took" in expect and played.took_ms != parse_duration(expect["took"]):
        found.append(Failure("took", expect["took"], format_duration(played.took_ms or 0)))
    for name, wanted in expect.get("steps", {}).items():
        found += _step(f"steps.{name}", wanted, case.names[name], played)
    found += differences("usage", expect.get("usage", {}), run.usage)
    found += _conditions(case, played)
    return found


def differences(what: str, expected: Value, got: Value) -> Iterator[Failure]:
    """Where a value is not as expected: of maps the fields that are named, of lists every item."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key, value in expected.items():
            if key in got:
                yield from differences(f"{what}.{key}", value, got[key])
            else:
                yield Failure(f"{what}.{key}", value, MISSING)
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, (one, other) in enumerate(zip(expected, got, strict=True)):
            yield from differences(f"{what}[{index}]", one, other)
    elif not _same(expected, got):
        yield Failure(what, expected, got)


def _same(expected: Value, got: Value) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    return bool(expected == got)


def _status(expect: Mapping[str, Any], run: RunInfo) -> Iterator[Failure]:
    wanted = expect.get("status") or ("failed" if expect.get("error") else "ok")
    if run.status == wanted:
        return
    got: Value = run.status
    if run.error is not None:
        at = f"{run.error['at']}: " if run.error.get("at") else ""
        step = f"step {run.error['step']}: " if run.error.get("step") else ""
        got = f"{run.status}: {at}{step}{run.error['type']}: {run.error['message']}"
    yield Failure("status", wanted, got)


def _error(what: str, wanted: Value, error: Mapping[str, Any] | None, names: Mapping[str, str]) -> Iterator[Failure]:
    if wanted is None:
        return
    wanted = {"type": wanted} if isinstance(wanted, str) else wanted
    if error is None:
        yield Failure(what, wanted, None)
        return
    for key, value in wanted.items():
        got = error.get(key)
        if key == "message":
            right = str(value) in str(got)
        elif key == "step":
            right = got == names.get(value, value) or static_path(got or "") == names.get(value, value)
        else:
            yield from differences(f"{what}.{key}", value, plain(got))
            continue
        if not right:
            yield Failure(f"{what}.{key}", value, got)


def ran(path: str, records: Mapping[str, Record]) -> list[str]:
    """The paths, with indexes, at which a step ran (a path without indexes: any item)."""
    if "[" in path:
        return [path] if path in records and records[path].status != "skipped" else []
    return [one for one, record in records.items() if static_path(one) == path and record.status != "skipped"]


def _ran(case: Case, played: Played) -> Iterator[Failure]:
    for name in case.expect.get("ran", []):
        if not ran(case.names[name], played.records):
            yield Failure("ran", name, _how(case.names[name], played))
    for name in case.expect.get("not_ran", []):
        if ran(case.names[name], played.records):
            yield Failure("not_ran", name, "it ran")


def _how(path: str, played: Played) -> str:
    skipped = any(static_path(one) == static_path(path) for one in played.records)
    return "it was skipped" if skipped else "it was not reached"


def _step(what: str, wanted: Mapping[str, Any], path: str, played: Played) -> Iterator[Failure]:
    record = played.records.get(path)
    if record is None:
        items = sorted(one for one in played.records if static_path(one) == path)[:_ITEMS]
        yield Failure(what, dict(wanted), f"give one item: {', '.join(items)}" if items else _how(path, played))
        return
    if "status" in wanted and record.status != wanted["status"]:
        yield Failure(f"{what}.status", wanted["status"], record.status)
    if "output" in wanted:
        yield from differences(f"{what}.output", wanted["output"], played.outputs.get(path))
    if "attempts" in wanted and record.attempts != wanted["attempts"]:
        yield Failure(f"{what}.attempts", wanted["attempts"], record.attempts)
    yield from _error(f"{what}.error", wanted.get("error"), record.error, {})
    if "given" in wanted:
        given = played.given.get(path)
        if given is None:
            yield Failure(f"{what}.given", wanted["given"], "it has no mock")
        else:
            yield from differences(f"{what}.given", wanted["given"], plain(dict(given)))


def _conditions(case: Case, played: Played) -> Iterator[Failure]:
    for text in conditions(case.expect):
        try:
            value = compile_bare(text, "that").evaluate(_scope(case, played))
        except StepError as error:
            yield Failure("that", text, error.message)
            continue
        if not value:
            yield Failure("that", text, value)


def _scope(case: Case, played: Played) -> dict[str, Any]:
    run = played.run
    assert run is not None
    steps = {}
    for path in case.asked:
        record = played.records.get(path, Record(status="pending", attempts=0))
        view = {"output": played.outputs.get(path), "status": record.status, "error": record.error, "attempts": record.attempts}
        steps[path.rpartition(".")[2]] = view
    return {
        "inputs": dict(case.inputs), "outputs": run.outputs, "error": run.error, "steps": steps,
        "run": {"id": run.run_id, "status": run.status, "workflow": run.workflow},
    }  # fmt: skip


def as_texts(failure: Failure) -> tuple[str, str]:
    """What was expected and what came, for a report: JSON, a sentence as it is unless it would look like the other value."""
    expected, got = _as_text(failure.expected), _as_text(failure.got)
    if expected == got:
        expected, got = (json.dumps(plain(one), ensure_ascii=False, default=str) for one in (failure.expected, failure.got))
    return expected, got


def _as_text(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
