"""One frame: claim -> steps, one after another, each checkpointed before the next effect -> end, or hand-over.

The position in a frame is a stack of [index, slot, state]: one entry per list of steps that is open. Slots:

    None        step `index` begins
    @           its next attempt begins; state {"n": attempt, "t": since when, "w": until when it waits}
    do          inside its own list, case or branches; state {"t": since when}, {"n": attempt} from the second attempt on,
                {"until": ms} with a timeout, {"b": case} in a `switch`, {"f": true} once the branches of a `parallel` began
    else        inside its `else`
    each        its fan-out was started
    until       in a pass; state {"i": number, "t": when the first began, "w": pause until}; the next entry is the pass itself
    on_error, on_timeout   inside a handler; state {"error": …, "n": attempts, "t": since when, "ran": a step of it ran}

The stack is the cursor: every checkpoint stores it, a new claim goes on from it. Results of pure steps ride on the
next checkpoint; after a crash they are computed again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aiflow.engine.attempts import Attempts
from aiflow.engine.failure import Failed, StopRun
from aiflow.engine.fans import Fans
from aiflow.engine.passes import Passes
from aiflow.engine.writing import Entry
from aiflow.errors import ExpressionError, StepError
from aiflow.language.model import join
from aiflow.plan import CompiledStep
from aiflow.steps._kind import Done
from aiflow.store.records import Record
from aiflow.values import Value, encode


class Frame(Attempts):
    """One claimed frame at work."""

    # -- the whole frame ---------------------------------------------------------------------------------------

    async def run_root(self) -> None:
        """Run the workflow's own steps to the end of the run. Raises Leave, Lost."""
        at = None
        if self.resume:
            self.list_name = self.resume["l"]
            self.extra = self.resume.get("x", {})
            at = self.resume["s"]
        value: Value = None
        if self.plan.workflow.cancel_on and self.resume is None:
            await self.store.arm(self.run.rid, self.epoch)
        if self.list_name == "steps":
            try:
                value = await self._run_steps(at)
                self.extra = {"status": "ok"}
            except StopRun as stop:
                self.extra = {"status": "stopped", "outputs": stop.outputs, "reason": stop.reason}
            except StepError as error:
                self.extra = {"status": "failed", "error": self._described(error), "at": self._failed_cursor()}
            if self.extra["status"] == "ok":
                await self._outputs(value)
            at = None
            self.list_name = "on_error" if self.extra["status"] == "failed" else "finally"
        await self._closing(at)
        await self._finish()

    async def _run_steps(self, at: list[Entry] | None) -> Value:
        """The workflow's own steps, within the `timeout` of the run."""
        timeout_ms = self.plan.workflow.timeout_ms
        if timeout_ms is None:
            return await self.run_list(self.plan.steps, at)
        self.deadlines.append(self.run.timed_ms + timeout_ms)
        try:
            left_ms = self.deadlines[-1] - self.clock()
            if left_ms <= 0 and at:
                self.stack[:] = at  # a retry of the run goes on there
                self._note_cursor()
                if fan := self.open_fan_in(self.plan.steps, "", at):
                    await self.store.stop_fan(self.run.rid, self.fence, self.epoch, fan)
            return (await self._bounded(left_ms, timeout_ms, self._listed(at))).output
        finally:
            self.deadlines.pop()

    async def _listed(self, at: list[Entry] | None) -> Done:
        return Done(await self.run_list(self.plan.steps, at))

    def _described(self, error: StepError) -> dict[str, Any]:
        return error.error if isinstance(error, Failed) else {
            "type": error.type, "message": error.message, "step": "", "data": error.data, "attempts": 1,
            "index": None, "transient": error.transient, "at": self._at("timeout" if error.type == "timeout" else ""),
        }  # fmt: skip

    async def _outputs(self, value: Value) -> None:
        if self.plan.outputs is None:
            self.extra["outputs"] = value
            return
        await self.need(tuple(self.plan.workflow.output_refs))  # a run that waited has forgotten what it does not name since
        try:
            self.extra["outputs"] = self.plan.outputs.evaluate(self.base)
        except ExpressionError as error:
            self.extra = {"status": "failed", "error": {**self._described(error), "step": "outputs", "at": self._at("outputs")}}

    def _at(self, key: str) -> str:
        """The place of a key at the top of the workflow's file."""
        line, column = self.plan.workflow.places.get(key, (1, 1))
        return f"{self.plan.workflow.file}:{line}:{column}"

    async def _closing(self, at: list[Entry] | None) -> None:
        """The workflow's `on_error`, then its `finally`. What fails in them is recorded beside the run's own end."""
        self.run.view["status"] = self.extra["status"]
        self.base["error"] = self.extra.get("error")
        for name, steps in (("on_error", self.plan.on_error), ("finally", self.plan.finally_)):
            if name == "finally" and self.list_name == "on_error":
                self.list_name, at = "finally", None
            if not steps or self.list_name != name:
                continue
            try:
                await self.run_list(steps, at)
            except StopRun:
                pass
            except StepError as error:
                self.lines.append(self.store.line("handler_failed", list=name, error=self._described(error)))
            self.stack.clear()

    async def _finish(self) -> None:
        status, error = self.extra["status"], self.extra.get("error")
        outputs = await self._outputs_raw(self.extra.get("outputs"))
        at = self.extra.get("at")
        move = await self.move(at.encode() if at else b"")
        if status == "failed" and error:
            move.journal = self.store.line("run_failed", path=error["step"], type=error["type"], message=error["message"])
        elif status == "stopped":
            move.journal = self.store.line("run_stopped", reason=self.extra.get("reason", ""))
        raw_error = msgspec.json.encode(error) if error else b""
        self.host.crash_point("before_finish")
        await self.store.finish_run(
            move, self.host.worker, status, outputs, raw_error, self.host.settings.retention_ms
        )  # fmt: skip
        self.host.crash_point("after_finish")

    async def _outputs_raw(self, outputs: Value) -> bytes:
        if outputs is None:
            return b""
        raw = encode(self.run.masker.value(outputs))
        if len(raw) <= self.host.settings.blob_limit:
            return raw
        return msgspec.json.encode({"$blob": await self._put_blob("outputs", raw)})

    async def run_one(self, fan: CompiledStep) -> bool:
        """Run one item of an `each`, or one branch of a `parallel`; whether it succeeded. Raises Leave, Lost, StopRun."""
        if self.around.branch:
            return await self._branch(fan.branches[self.around.branch])
        assert fan.body is not None
        return await self._item(fan.body)

    async def _branch(self, steps: list[CompiledStep]) -> bool:
        self.extra = self.resume.get("x", {}) if self.resume else {}
        record = Record(started=self.extra.setdefault("t", self.clock()))
        try:
            record.output = await self.run_list(steps, self.resume["s"] if self.resume else None)
        except StepError as error:
            record.status, record.error = "failed", self._described(error)
        record.finished = self.clock()
        self.pending.append((self.around.own, record))
        if record.error is None:
            return True
        self.failed_at = self._failed_cursor().encode()
        if self.lane:
            await self.flush(cursor=self.failed_at)
        return False

    async def _item(self, body: CompiledStep) -> bool:
        entry: Entry = [0, None, None]
        slot = state = rest = None
        if self.resume and self.resume["s"]:
            _, slot, state = (*self.resume["s"][0], None, None)[:3]
            rest = self.resume["s"][1:] or None
        self.stack.append(entry)
        try:
            if body.refs:
                await self.need(body.refs)
            await self.body(body, self.path, entry, slot, state, rest)
            return True
        except StepError:
            self.failed_at = self._failed_cursor().encode()  # a retry of the run goes on at the step that failed
            if self.lane and (self.sequence or body.kind.lists):
                await self.flush(cursor=self.failed_at)
            return False

    async def end_run(self, stop: StopRun) -> None:
        """A `stop` inside an item ends the whole run; the root does what is to be done at the end."""
        self.extra = {"status": "stopped", "outputs": stop.outputs, "reason": stop.reason}
        if not self.plan.finally_:
            await self._finish()
            return
        self.stack.clear()
        self.stack.append([0, None, None])
        self.list_name = "finally"
        await self.store.stop_run(await self.move(self.cursor()))

    # -- lists and steps ---------------------------------------------------------------------------------------

    async def run_list(self, steps: list[CompiledStep], at: list[Entry] | None) -> Value:
        """Run a list from its beginning, or from `at`; the output of its last step."""
        entry: Entry = [0, None, None]
        depth = len(self.stack)
        self.stack.append(entry)
        slot = state = rest = None
        first = 0
        if at:
            first, slot, state = (*at[0], None, None)[:3]
            rest = at[1:] or None
        value: Value = None
        for number in range(first, len(steps)):
            entry[0], entry[1], entry[2] = number, None, None
            value = await self.step(steps[number], entry, slot, state, rest)
            slot = state = rest = None
        del self.stack[depth:]
        return value

    async def step(self, cs: CompiledStep, entry: Entry, slot: str | None, state: Any, rest: list[Entry] | None) -> Value:
        """One step with everything around it."""
        if cs.refs:
            await self.need(cs.refs)
        if slot is None and cs.cond is not None and not self._condition(cs):
            if cs.else_ is None:
                self.keep(cs, join(self.home, cs.sub), Record(status="skipped", started=self.clock(), finished=self.clock()))
                return None
            slot = "else"
        if slot == "else":
            entry[1] = "else"
            started = self.clock()
            value = await self.run_list(cs.else_ or [], rest)
            self.keep(cs, join(self.home, cs.sub), Record(output=value, started=started, finished=self.clock()))
            self._ran()
            return value
        self._ran()
        if cs.each is not None:
            return await Fans(self).run(cs, entry, slot)
        if cs.until is not None:
            return await Passes(self).run(cs, join(self.home, cs.sub), entry, state if slot == "until" else None, rest)
        return await self.body(cs, join(self.home, cs.sub), entry, slot, state, rest)

    async def branches(self, cs: CompiledStep, path: str, started: bool) -> Value:
        return await (Fans(self).join(cs, path) if started else Fans(self).split(cs, path))

    def _condition(self, cs: CompiledStep) -> bool:
        assert cs.cond is not None
        path = join(self.home, cs.sub)
        try:
            return bool(cs.cond.evaluate(self.scope(cs, path, 1)))
        except StepError as error:
            raise self.failed(cs, path, error, 1) from None

    def _ran(self) -> None:
        if len(self.stack) > 1 and self.stack[-2][1] in ("on_error", "on_timeout"):
            self.stack[-2][2]["ran"] = True
