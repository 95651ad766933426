"""`wait_for`: take the first event that matches, or let go of the frame until one may have come.

Whoever accepts an event only wakes the frames that wait at its indexes. The frame itself looks through what has come since
its run began, asks its `match`, and takes one. It parks in the same script that checks that nothing came meanwhile, so no
event is missed, and after a crash it looks again. An event accepted before the time was up wins, also when the frame gets
to it later; so event against timeout takes one branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
    """What a frame waits for among the events."""

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
        timeout_ms = cs.step.timeout_ms
        until_ms = held.get("u", 0 if timeout_ms is None else self.frame.clock() + timeout_ms)
        match = None if cs.step.match is None else compile_match(cs.step.match)
        asked = [_Asked.of(name, match, scope) for name in names]
        _resume(asked, held.get("s", ()))
        while True:
            for event in await self._look(asked, scope, until_ms):
                if await self.events.take(self.frame.run.rid, self.frame.fence, self.frame.epoch, event.id, self.path):
                    return Done(event.view())
            if until_ms and self.frame.clock() >= until_ms:
                which = f"no {names[0]}" if len(names) == 1 else f"none of {', '.join(names)}"
                raise StepError("timeout", f"{which} came within {format_duration(timeout_ms or 0)}", transient=True)
            entry[1], entry[2] = "@", {"n": attempt, "t": self.frame.began_ms, "ev": {"u": until_ms, "s": _seen(asked)}}
            await self._park(until_ms, asked)

    async def cancelling(self, given: list[dict[str, Any]]) -> Event:
        """The event that cancels the run (`cancel_on`). Raises Leave."""
        frame = self.frame
        asked = []
        for one in given:
            match = None if one.get("match") is None else compile_match(one["match"])
            asked.append(_Asked.of(one["event"], match, frame.base))
        _resume(asked, (frame.resume or {}).get("x", {}).get("s", ()))
        while True:
            for event in await self._look(asked, frame.base, 0):
                return event
            frame.extra = {"s": _seen(asked)}
            await self._park(0, asked)

    async def _look(self, asked: list[_Asked], scope: dict[str, Any], until_ms: int) -> list[Event]:
        """The events that are meant among those not looked at yet, the earliest first."""
        found = []
        for one in asked:
            async for event in self.events.since(one.index, self.frame.run.created_ms, one.seen):
                one.seen = Seen(event.number, event.at_ms)
                in_time = not until_ms or event.at_ms <= until_ms
                if in_time and (one.match is None or one.match.accepts(event.view(), scope)):
                    found.append(event)
        return sorted(found, key=lambda event: event.number)

    async def _park(self, until_ms: int, asked: list[_Asked]) -> None:
        """Let go of the frame (raises Leave), or return at once: an event came that was not looked at."""
        frame = self.frame
        if frame.pending or frame.lines:
            await frame.flush()
        due_ms = min((one for one in (until_ms, frame.deadline) if one), default=0)
        move = await frame.move()
        indexes = [(one.index, one.seen) for one in asked]
        frame.host.crash_point("before_listen")
        with frame.left():
            parked = await frame.whole(self.events.listen(move, frame.host.worker, frame.actor, frame.lane, due_ms, indexes))
        frame.host.crash_point("after_listen")
        if parked:
            raise Leave


@dataclass(slots=True)
class _Asked:
    """Events that are waited for: where they are found, which are meant, how far they were looked at."""

    index: str
    match: Match | None
    seen: Seen = Seen()

    @classmethod
    def of(cls, name: str, match: Match | None, scope: dict[str, Any]) -> _Asked:
        if match is None or match.path is None or match.value is None:
            return cls(index_name(name), match)
        return cls(index_name(name, match.path, key_of(match.value.evaluate(scope))), match)


def _seen(asked: list[_Asked]) -> list[dict[str, int]]:
    return [asdict(one.seen) for one in asked]


def _resume(asked: list[_Asked], seen: Sequence[dict[str, int]]) -> None:
    for one, before in zip(asked, seen, strict=False):
        one.seen = Seen(**before)
