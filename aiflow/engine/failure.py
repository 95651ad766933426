"""Failures as data, and the exceptions that steer a frame."""

from __future__ import annotations

from typing import Any

from aiflow.errors import StepError, StoreError
from aiflow.plan import CompiledPlan, CompiledStep

SUSPECT = 2  # a frame in which so many workers died works alone, so that only the right one is blamed
DEATHS = 3  # a step that kills its worker so often is not tried again
NEVER_RETRIED = frozenset({"expression", "rejected", "budget", "cancelled", "outcome_unknown", "quarantined"})


class Leave(Exception):
    """The frame was let go of: parked, fanned out, or handed on. Whoever claims it next goes on."""


class StopRun(Exception):
    """A `stop` was reached, or `on_error: stop`."""

    def __init__(self, reason: str, outputs: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.outputs = outputs


class NotKept(StoreError):
    """A large result that no blob store takes. `path`: of its step."""

    def __init__(self, path: str, error: StoreError) -> None:
        super().__init__(error.message, error.hint)
        self.path = path


class Failed(StepError):
    """A step failed for good; `error` is what handlers and the record see."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["type"], error["message"], data=error["data"], transient=error["transient"])
        self.error = error


def describe(
    plan: CompiledPlan, cs: CompiledStep, error: StepError, path: str, attempts: int, index: int | None
) -> dict[str, Any]:
    """The `error` of DSL 3.6 for a failed attempt; that of the innermost step when a block failed."""
    if isinstance(error, Failed):
        return error.error
    step = cs.step
    described: dict[str, Any] = {
        "type": error.type,
        "message": error.message,
        "step": path,
        "data": error.data,
        "attempts": attempts,
        "index": index,
        "transient": error.transient,
        "at": f"{plan.workflow.file}:{step.line}:{step.column}",
    }
    if error.hint:
        described["hint"] = error.hint
    if error.traceback:
        described["traceback"] = error.traceback
    return described
