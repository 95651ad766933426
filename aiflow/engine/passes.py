"""`until`: the body of a step pass after pass, in the frame that the step stands in, until its condition is true.

The state of the position is {"i": number of the pass, "t": when the first began, "w": pause until}; the entry below it is
the position in the body. A pass records at `review[2]`, its steps below that.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiflow.engine.around import previous_of
from aiflow.engine.failure import Failed
from aiflow.engine.handling import INLINE_RETRY_MS
from aiflow.errors import StepError
from aiflow.plan import CompiledStep
from aiflow.store.records import Record
from aiflow.values import Value

if TYPE_CHECKING:
    from aiflow.engine.frames import Frame
    from aiflow.engine.writing import Entry

MOST_PENDING = 200  # records of passes that only compute, before they are written


class Passes:
    """The `until` of one step, seen from the frame that it stands in."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    async def run(
        self, cs: CompiledStep, path: str, entry: Entry, held: dict[str, Any] | None, rest: list[Entry] | None
    ) -> Value:
        """All passes, or those from where the frame was let go of; the output of the last. Raises Failed, Leave."""
        frame = self.frame
        state = held or {"i": 0, "t": frame.clock()}
        home, index, saved = frame.home, frame.index, dict(frame.base)
        try:
            while True:
                await self._pause(entry, state)
                value = await self._pass(cs, path, state["i"], rest)
                if self._over(cs, path, state, value):
                    break
                state, rest = {"i": state["i"] + 1, "t": state["t"]}, None
                if cs.step.every_ms:
                    state["w"] = frame.clock() + cs.step.every_ms
        except Failed as failure:
            frame.keep(cs, path, Record(status="failed", error=failure.error, started=state["t"], finished=frame.clock()))
            raise
        finally:
            frame.home, frame.index = home, index
            frame.base.clear()
            frame.base.update(saved)
        meta = {"passes": state["i"] + 1}
        frame.keep(cs, path, Record(output=value, started=state["t"], finished=frame.clock(), meta=meta))
        return value

    async def _pause(self, entry: Entry, state: dict[str, Any]) -> None:
        """Sit out a short pause between two passes, or let go of the frame for a long one."""
        frame = self.frame
        due_ms = state.pop("w", 0)
        left_ms = due_ms - frame.clock()
        entry[1], entry[2] = "until", state
        if left_ms > INLINE_RETRY_MS or (left_ms > 0 and frame.host.stopping):
            entry[2] = {**state, "w": due_ms}
            await frame.leave(due_ms)
        if left_ms > 0:
            await frame.flush()
            await frame.host.clock.sleep(left_ms / 1000)
        elif len(frame.pending) > MOST_PENDING:
            await frame.flush()
        else:
            await asyncio.sleep(0)  # passes that only compute leave the loop to others

    async def _pass(self, cs: CompiledStep, path: str, number: int, rest: list[Entry] | None) -> Value:
        frame, body, where = self.frame, cs.body, f"{path}[{number}]"
        assert body is not None
        frame.home = frame.prefixes[cs.step.body_block or 0] = where
        frame.index = number
        frame.base.update(index=number, previous=await previous_of(frame.results, cs, path, number))
        slot = state = None
        if rest:
            _, slot, state = (*rest[0], None, None)[:3]
        depth = len(frame.stack)
        frame.stack.append([0, None, None])
        if body.refs:
            await frame.need(body.refs)
        value = await frame.body(body, where, frame.stack[-1], slot, state, rest[1:] or None if rest else None)
        del frame.stack[depth:]
        if cs.uses_previous:  # the next pass asks for it
            frame.results.put(where, Record(output=value))
        return value

    def _over(self, cs: CompiledStep, path: str, state: dict[str, Any], value: Value) -> bool:
        """Whether `until` is true after a pass. Raises Failed: it is not, and there may be no more passes."""
        assert cs.until is not None
        passes, bound_ms = state["i"] + 1, cs.step.max_ms
        within = f"after {passes} passes"
        try:
            if cs.until.evaluate({**self.frame.scope(cs, path, 1), "result": value}):
                return True
            if bound_ms is not None:
                within = f"within {bound_ms / 1000:g} s ({passes} passes)"
                more = self.frame.clock() + cs.step.every_ms < state["t"] + bound_ms
            else:
                more = passes < cs.step.max
            if not more:
                raise StepError(
                    "max_repeats", f"`until` was not true {within}", data={"passes": passes},
                    hint="allow more with `max`; what is to be done then goes into a `do` around the step, with `on_error`",
                )  # fmt: skip
        except StepError as error:
            raise self.frame.failed(cs, path, error, 1) from None
        return False
