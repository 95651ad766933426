"""A lane: one message that works through a fan-out. It claims items a batch at a time and runs them side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aiflow.engine.around import Around, is_split, previous_of, scope_of
from aiflow.engine.failure import SUSPECT, Leave, StopRun
from aiflow.engine.frames import Frame
from aiflow.engine.run import RunContext
from aiflow.engine.scope import Results
from aiflow.engine.writing import take_usage
from aiflow.store.runs import NO_USAGE, Claim, Lost
from aiflow.values import Value

if TYPE_CHECKING:
    from aiflow.engine.host import Host


CANCEL_S = 5.0  # tasks that do not end for so long are left behind


@dataclass(slots=True)
class Finished:
    """An item that ended in this lane: what the `items` script needs."""

    index: int
    failed: bool
    frame: str
    records: list[Any]
    usage: tuple[Any, ...]


class Lane:
    """One claimed lane at work."""

    def __init__(self, run: RunContext, claim: Claim, fan: str, around: Around) -> None:
        self.run = run
        self.host: Host = run.host
        self.store = run.host.store
        self.path = claim.path
        self.fan = fan
        self.cs = run.plan.fan_at(fan)
        self.split = is_split(fan)
        self.epoch = claim.epoch
        self.now_ms = claim.now_ms
        self.key = self.store.keys.frame(run.rid, claim.path)
        self.around = around
        self.results = Results(self.store, run.host.blobs, run.rid)
        self.pages: dict[int, list[Value]] = {}
        self.flying: dict[int, asyncio.Task[None]] = {}
        self.begun: set[int] = set()  # indexes; handed out again when a reply was lost
        self.finished: list[Finished] = []
        self.landed = asyncio.Event()
        self.broken: BaseException | None = None

    async def work(self) -> None:
        """Work until there is nothing left to claim. Raises Lost."""
        state = await self.store.fan_state(self.run.rid, self.fan)
        if state is None:
            raise Lost
        self.page_size = state.page_size
        self.around = replace(self.around, loop={**self.around.loop, **scope_of(self.run, state)})
        number = int(self.path.rpartition("#")[2])
        width = state.concurrency // state.lanes + (number < state.concurrency % state.lanes)
        first = True
        try:
            while True:
                if self.broken is not None:
                    raise self.broken
                want = 0 if self.host.stopping else max(0, width - len(self.flying))
                # While something is still to be done here, Redis must not let go of the lane as idle.
                flight = len(self.flying) + self.host.stopping
                reply = await self._items(want, flight, first)
                first = False
                status = reply[0].decode()
                if status in ("gone", "fenced"):
                    raise Lost
                self.now_ms = reply[1]
                handed = [_handed(one) for one in reply[2:]]
                if not self.split:
                    await self._load_pages([index for index, _, _ in handed])
                elif status == "stop" and self.flying:  # another branch decided
                    await cancelled(self.flying.values())
                    continue
                for index, again, deaths in handed:
                    self._launch(index, again, deaths)
                if not self.flying and not self.finished:
                    if self.host.stopping:
                        await self.store.release_lane(self.run.rid, self.path, self.host.worker, self.epoch)
                        return
                    if status != "go" and flight == 0:
                        return
                    continue
                await self._wait()
        finally:
            for task in self.flying.values():
                task.cancel()

    async def _wait(self) -> None:
        if not self.finished:
            self.landed.clear()
            await self.landed.wait()

    async def _items(self, want: int, flight: int, first: bool) -> list[Any]:
        finished, self.finished = self.finished, []
        usage = _sum(finished)
        tail: list[Any] = [*usage, len(finished)]
        for one in finished:
            tail += (one.index, int(one.failed), one.frame, len(one.records) // 2, *one.records)
        keys = (
            self.store.keys.ns, self.store.keys.run(self.run.rid), self.key,
            self.store.keys.fan(self.run.rid, self.fan), self.store.keys.results(self.run.rid),
        )  # fmt: skip
        head = (self.epoch, self.run.rid, self.path, self.host.worker)
        self.host.crash_point("lane_before_items")
        reply: list[Any] = await self.store.commit.call(
            "items", keys, (*head, want, flight, int(first), *tail), resend=lambda: (*head, want, flight, 1, *tail)
        )
        self.host.crash_point("lane_after_items")
        return reply

    def _launch(self, index: int, again: bool, deaths: int) -> None:
        if index in self.begun:
            return
        self.begun.add(index)
        task = asyncio.get_running_loop().create_task(self._item(index, again, deaths))
        self.flying[index] = task

    async def _item(self, index: int, again: bool, deaths: int) -> None:
        try:
            ended = await self._run_item(index, again, deaths)
            if ended is not None:
                self.finished.append(ended)
        except Leave:
            pass
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.broken = error
        finally:
            self.flying.pop(index, None)
            self.landed.set()

    async def _run_item(self, index: int, again: bool, deaths: int) -> Finished | None:
        path = f"{self.fan}[{index}]"
        around = await self._around(path, index)
        cursor, sequence, mark, now_ms = b"", 0, "", self.now_ms
        if again:
            cursor, sequence, mark, now_ms = await self.host.frame_state(self.run.rid, path, self.now_ms)
        frame = Frame(
            self.run,
            path,
            fence=self.key,
            epoch=self.epoch,
            lane=self.path,
            around=around,
            results=self.results.child(),
            cursor=cursor,
            sequence=sequence,
            now_ms=now_ms,
            mark=mark,
            deaths=deaths,
        )
        if deaths >= SUSPECT:
            await self.host.alone(frame)
            await self.store.begin(self.run.rid, self.key, self.epoch, index, deaths)
        try:
            succeeded = await frame.run_one(self.cs)
        except StopRun as stop:
            await frame.end_run(stop)
            raise Lost from None
        finally:
            if deaths:
                self.host.cleared(frame)
        records = await frame.encoded()
        if frame.lines:
            await self.store.log(self.run.rid, self.key, self.epoch, frame.lines)
        drop = frame.frame_key if succeeded and frame.sequence else ""
        return Finished(index, not succeeded, drop, records, take_usage(frame))

    async def _around(self, path: str, index: int) -> Around:
        if self.split:
            return self.around.branch_of(self.cs, self.fan, index)
        item = self.pages[index // self.page_size][index % self.page_size]
        previous = await previous_of(self.results, self.cs, self.fan, index) if self.cs.uses_previous else None
        return self.around.item_of(self.cs, path, index, item, previous)

    async def _load_pages(self, indexes: list[int]) -> None:
        """Have the pages of these items at hand; pages that were worked through are dropped."""
        numbers = {index // self.page_size for index in indexes}
        flying = {index // self.page_size for index in self.flying}
        for number in [one for one in self.pages if one not in numbers and one not in flying]:
            del self.pages[number]
        for number in sorted(numbers - self.pages.keys()):
            self.pages[number] = await self.store.page(self.run.rid, self.fan, number)


def _handed(one: bytes) -> tuple[int, bool, int]:
    """(index, begun before, workers that died in it) of an item as `items` names it."""
    index, _, deaths = one.lstrip(b"~").partition(b":")
    return int(index), one.startswith(b"~"), int(deaths or 0)


def _sum(finished: list[Finished]) -> tuple[Any, ...]:
    used = [one.usage for one in finished if one.usage is not NO_USAGE]
    if not used:
        return NO_USAGE
    return tuple(sum(column) for column in zip(*used, strict=True))


async def cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: redis-py may swallow a cancellation that meets a reply (seen with 3.11)."""
    left = {task for task in tasks if not task.done()}
    deadline = time.monotonic() + CANCEL_S
    while left and time.monotonic() < deadline:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.2)
