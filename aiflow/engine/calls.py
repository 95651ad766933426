"""`call`: make the run of another workflow, wait for it without a worker, take what it gave.

The frame's cursor holds the id of the called run (`c`) and the generation in which it was called (`g`), written by the same
script that makes that run. So whoever claims the frame next finds the run that was called, and never calls twice; a retry
of the calling run opens the called one again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from aiflow.engine.failure import Leave
from aiflow.engine.gates import gate_of
from aiflow.errors import InputError, StepError
from aiflow.ids import new_run_id
from aiflow.language.inputs import convert_inputs
from aiflow.plan import CompiledStep
from aiflow.sealing import seal_inputs
from aiflow.steps._kind import Call, Done, Usage
from aiflow.store.runs import Called, NewRun
from aiflow.values import Value, decode, encode

if TYPE_CHECKING:
    from aiflow.engine.attempts import Attempts
    from aiflow.engine.writing import Entry

HANDED_ON = ("profile", "offline", "fresh")
"""Facts of a run that hold for those that it calls."""


def waits_for(entry: Entry) -> bool:
    """Whether the step of this entry has called a run."""
    return entry[1] == "@" and isinstance(entry[2], dict) and "c" in entry[2]


def again(entry: Entry) -> Entry:
    """The entry of a step that is to be done again: as if it had not begun, but that it knows the run that it called."""
    if not waits_for(entry):
        return [entry[0], None, None]
    return [entry[0], "@", {name: entry[2][name] for name in ("c", "g", "d") if name in entry[2]}]


class Calls:
    """The `call` of one step, seen from the frame that it stands in."""

    def __init__(self, frame: Attempts) -> None:
        self.frame = frame
        self.run = frame.run
        self.store = frame.store

    async def start(self, cs: CompiledStep, path: str, attempt: int, entry: Entry, call: Call) -> Done:
        """Make the run, and let go of the frame until it ends (raises Leave); a detached one is left to itself."""
        new = await self._new_run(path, call)
        self._note(cs, entry, attempt, new.rid, detached=call.detach)
        if not call.detach:
            await self._leave("start", new)
        await self._commit("detach", new)
        return _detached(new.rid)

    async def collect(self, cs: CompiledStep, path: str, attempt: int, entry: Entry) -> Done | None:
        """What the called run gave; None when it cannot be opened again, and another is to be made.

        Raises: Leave: it is still at work.  StepError: `call_failed`, `timeout`.
        """
        state = entry[2]
        rid, anew = state["c"], state.get("g", 0) < self.run.generation
        if state.get("d"):
            return _detached(rid)
        called = await self.store.called(rid)
        if called is None or called.status == "skipped":
            if anew:
                return None
            raise _failed(rid, called)
        if called.is_open or (anew and called.status in ("failed", "cancelled")):
            timeout_ms = cs.step.timeout_ms
            if not anew and timeout_ms is not None and self.frame.deadlines[-1] <= self.frame.clock():
                raise StepError(
                    "timeout", f"run {rid} took longer than {timeout_ms / 1000:g} s", transient=True, data={"run_id": rid}
                )
            self._note(cs, entry, attempt, rid)
            await self._leave("again" if anew else "wait", self._opened_again(rid, called))
        if called.status in ("failed", "cancelled"):
            failure = _failed(rid, called)
            if failure.data["error"].get("type") == "budget":
                left = await self.run.budget_left()
                if left is not None and left <= 0:
                    failure.type = "budget"  # it is that of this run, or of one that waits for it, which is spent
            raise failure
        cost, tokens_in, tokens_out, calls = called.usage
        usage = Usage(tokens_in, tokens_out, cost, calls) if calls else None
        return Done(await self._outputs(called), usage, {"run_id": rid, "status": called.status})

    def _note(self, cs: CompiledStep, entry: Entry, attempt: int, rid: str, detached: bool = False) -> None:
        """The position: in this attempt, with this run called."""
        entry[1], entry[2] = "@", {"n": attempt, "t": self.frame.began_ms, "c": rid, "g": self.run.generation}
        if detached:
            entry[2]["d"] = True
        elif cs.step.timeout_ms is not None:
            entry[2]["until"] = self.frame.deadlines[-1]

    async def _leave(self, how: str, called: NewRun) -> NoReturn:
        with self.frame.left():
            await self._commit(how, called)
        raise Leave

    async def _commit(self, how: str, called: NewRun) -> None:
        frame = self.frame
        move = await frame.move()
        frame.host.crash_point("before_call")
        due_ms = 0 if how == "detach" else frame.deadline or 0
        frame.now_ms = await frame.whole(
            self.store.call(move, frame.host.worker, frame.actor, frame.lane, due_ms, how, called)
        )
        frame.host.crash_point("after_call")

    async def _new_run(self, path: str, call: Call) -> NewRun:
        run, settings = self.run, self.frame.host.settings
        workflow, version, plan = run.plan.called(call.workflow)
        try:
            inputs = await asyncio.to_thread(
                convert_inputs, workflow.inputs, call.inputs, from_text=False, project=settings.root
            )
        except InputError as error:
            described = {"type": "inputs", "message": error.message, "data": error.faults}
            raise StepError(
                "call_failed", f"{workflow.name} was not started: {error.message}", hint=error.hint,
                data={"error": described, "run_id": None},
            ) from None  # fmt: skip
        stored, sealed = seal_inputs(workflow.inputs, inputs, settings)
        return NewRun(
            new_run_id(), workflow.name, version, encode(run.masker.value(stored)), self._meta(path, call.detach, sealed),
            run.claim.environment, plan, gate_of(workflow, inputs, None, settings.limits), settings.retention_ms,
            bool(workflow.finally_),
        )  # fmt: skip

    def _meta(self, path: str, detached: bool, sealed: dict[str, str]) -> bytes:
        run = self.run
        facts: dict[str, Any] = {name: run.meta[name] for name in HANDED_ON if name in run.meta}
        if sealed:
            facts["sealed"] = sealed
        facts["caller"] = {"run_id": run.rid, "path": path, "detached": detached}
        if detached:
            if "max_cost" in run.meta:
                facts["max_cost"] = run.meta["max_cost"]
        elif run.budgets:
            facts["budgets"] = run.budgets
        return msgspec.json.encode(facts)

    def _opened_again(self, rid: str, called: Called) -> NewRun:
        """A run that is there already; only its facts may change: it goes on with the models of its caller."""
        facts = decode(called.meta) if called.meta else {}
        facts |= {name: self.run.meta[name] for name in HANDED_ON if name in self.run.meta}
        return NewRun(rid, called.workflow, "", b"", msgspec.json.encode(facts), b"", b"")

    async def _outputs(self, called: Called) -> Value:
        if called.outputs.startswith(b'{"$blob":'):  # a user's own key would be written `$$blob`
            return decode(await self.frame.host.blobs.get(msgspec.json.decode(called.outputs)["$blob"]["$blob"]))
        return decode(called.outputs) if called.outputs else None


def _detached(rid: str) -> Done:
    return Done({"run_id": rid}, meta={"run_id": rid, "detached": True})


def _failed(rid: str, called: Called | None) -> StepError:
    """`call_failed`, with the error of the called run."""
    if called is None:
        gone = {"type": "lost", "message": "it is not in the store any more"}
        return StepError("call_failed", f"run {rid} is not in the store any more", data={"error": gone, "run_id": rid})
    name = f"run {rid} of {called.workflow}"
    if called.status == "skipped":
        why = "was skipped: as many runs as its `concurrency` allows are at work"
        turned_away = {"type": "concurrency", "message": f"it {why}"}
        return StepError("call_failed", f"{name} {why}", data={"error": turned_away, "run_id": rid})
    error: dict[str, Any] = msgspec.json.decode(called.error) if called.error else {"type": called.status, "message": ""}
    verb = "was cancelled" if called.status == "cancelled" else f"failed: {error['type']}"
    return StepError(
        "call_failed", f"{name} {verb}: {error['message']}", data={"error": error, "run_id": rid},
        transient=bool(error.get("transient")), hint=f"aiflow show {rid}",
    )  # fmt: skip
