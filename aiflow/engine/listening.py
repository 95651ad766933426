"""`wait_for`: take the first event that matches, or let go of the frame until one may have come.

Whoever accepts an event only wakes the frames that wait at its indexes. The frame itself looks through what has come since
its run began, asks its `match`, and takes one. It parks in the same script that checks that nothing came meanwhile, so no
event is missed, and after a crash it looks again. An event accepted before the time was up wins, also when the frame gets
to it later; so event against timeout takes one branch.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiflow.durations import format_duration
from aiflow.engine.failure import Leave
from aiflow.errors import StepError
from aiflow.language.match import Match, compile_match
from aiflow.plan import CompiledStep
from aiflow.steps._kind import Done
from aiflow.store.events import Event, Seen, index_name, key_of

if TYPE_CHECKING:
    from aiflow.engine.attempts import Attempts
    from aiflow.engine.writing import Entry


class Listening:
    """One wait of a frame."""

    def __init__(self, frame: Attempts, path: str) -> None:
        self.frame = frame
        self.path = path
        self.events = frame.host.events

    async def step(
        self, cs: CompiledStep, names: tuple[str, ...], attempt: int, entry: Entry, held: dict[str, Any], scope: dict[str, Any]
    ) -> Done:
        """The event for a `wait_for`. State of the position: {"u": time is up at, ms or 0, "s": how far each name was looked at}.

        Raises: Leave: the frame was let go of.  StepError: `timeout`.
        """
        match = None if cs.step.match is None else compile_match(cs.step.match)
        timeout_ms = cs.step.timeout_ms
        until_ms = held.get("u", 0 if timeout_ms is None else self.frame.clock() + timeout_ms)
        seen = [Seen(**one) for one in held.get("s", ())] or [Seen()] * len(names)
        indexes = [_index(name, match, scope) for name in names]
        while True:
            event, seen = await self._look(indexes, seen, match, scope, until_ms)
            if event is not None:
                return Done(event.view())
            if until_ms and self.frame.clock() >= until_ms:
                which = f"no {names[0]}" if len(names) == 1 else f"none of {', '.join(names)}"
                raise StepError("timeout", f"{which} came within {format_duration(timeout_ms or 0)}", transient=True)
            entry[1], entry[2] = "@", {"n": attempt, "ev": {"u": until_ms, "s": [asdict(one) for one in seen]}}
            await self._park(until_ms, list(zip(indexes, seen, strict=True)))

    async def _look(
        self, indexes: list[str], seen: list[Seen], match: Match | None, scope: dict[str, Any], until_ms: int
    ) -> tuple[Event | None, list[Seen]]:
        """(the earliest event that is ours, how far each index was looked through)."""
        frame, found = self.frame, []
        seen = list(seen)
        for place, index in enumerate(indexes):
            async for event in self.events.since(index, frame.run.created_ms, seen[place]):
                seen[place] = Seen(event.number, event.at_ms)
                if not (until_ms and event.at_ms > until_ms) and (match is None or match.accepts(event.view(), scope)):
                    found.append(event)
        for event in sorted(found, key=lambda one: one.number):
            if await self.events.take(frame.run.rid, frame.fence, frame.epoch, event.id, self.path):
                return event, seen
        return None, seen

    async def _park(self, until_ms: int, indexes: list[tuple[str, Seen]]) -> None:
        """Let go of the frame (raises Leave), or return at once: an event came that was not looked at."""
        frame = self.frame
        if frame.pending or frame.lines:
            await frame.flush()
        due_ms = min((one for one in (until_ms, frame.deadline) if one), default=0)
        move = await frame.move()
        frame.host.crash_point("before_listen")
        with frame.left():
            parked = await frame.whole(self.events.listen(move, frame.host.worker, frame.actor, frame.lane, due_ms, indexes))
        frame.host.crash_point("after_listen")
        if parked:
            raise Leave


def _index(name: str, match: Match | None, scope: dict[str, Any]) -> str:
    if match is None or match.path is None or match.value is None:
        return index_name(name)
    return index_name(name, match.path, key_of(match.value.evaluate(scope)))
