"""A lane: one message that works through a fan-out. It claims items a batch at a time and runs them side by side."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiflow.engine.failure import SUSPECT, Leave, StopRun
from aiflow.engine.frames import Frame
from aiflow.engine.run import RunContext
from aiflow.engine.scope import Results
from aiflow.engine.writing import take_usage
from aiflow.errors import StepError
from aiflow.language.model import static_path
from aiflow.plan import CompiledStep
from aiflow.store.runs import NO_USAGE, Claim, FanState, Lost
from aiflow.values import Value, decode

if TYPE_CHECKING:
    from aiflow.engine.host import Host


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

    def __init__(
        self, run: RunContext, claim: Claim, fan: str, cs: CompiledStep, prefixes: dict[int, str], loop: dict[str, Value]
    ) -> None:
        assert cs.body is not None
        self.run = run
        self.host: Host = run.host
        self.store = run.host.store
        self.path = claim.path
        self.fan = fan
        self.cs = cs
        self.body = cs.body
        self.epoch = claim.epoch
        self.now_ms = claim.now_ms
        self.key = self.store.keys.frame(run.rid, claim.path)
        self.prefixes = prefixes
        self.loop = loop
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
        self.loop = {**self.loop, **_scope(self.run, state)}
        number = int(self.path.rpartition("#")[2])
        width = state.concurrency // state.lanes + (number < state.concurrency % state.lanes)
        first = True
        try:
            while True:
                want = 0 if self.host.stopping else max(0, width - len(self.flying))
                reply = await self._items(want, first)
                first = False
                status = reply[0].decode()
                if status in ("gone", "fenced"):
                    raise Lost
                self.now_ms = reply[1]
                handed = [_handed(one) for one in reply[2:]]
                await self._load_pages([index for index, _, _ in handed])
                for index, again, deaths in handed:
                    self._launch(index, again, deaths)
                if not self.flying and not self.finished:
                    if self.host.stopping:
                        await self.store.release_lane(self.run.rid, self.path, self.host.worker, self.epoch)
                        return
                    if status != "go":
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
        if self.broken is not None:
            raise self.broken

    async def _items(self, want: int, first: bool) -> list[Any]:
        finished, self.finished = self.finished, []
        usage = _sum(finished)
        # While something is still to be done here, Redis must not let go of the lane as idle.
        flight = len(self.flying) + self.host.stopping
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
        item = self.pages[index // self.page_size][index % self.page_size]
        body_block = self.cs.step.body_block or 0
        previous = await _previous(self.results, self.cs, self.fan, index)
        cursor, sequence, mark, now_ms = b"", 0, "", self.now_ms
        if again:
            cursor, sequence, mark, now_ms = await self.host.frame_state(self.run.rid, path, self.now_ms)
        frame = Frame(
            self.run,
            path,
            fence=self.key,
            epoch=self.epoch,
            lane=self.path,
            prefixes={**self.prefixes, body_block: path},
            loop={**self.loop, self.cs.step.as_: item, "index": index, "previous": previous},
            results=self.results.child(),
            cursor=cursor,
            sequence=sequence,
            now_ms=now_ms,
            mark=mark,
            deaths=deaths,
            index=index,
            item=item,
        )
        if deaths >= SUSPECT:
            await self.host.alone(frame)
            await self.store.begin(self.run.rid, self.key, self.epoch, index, deaths)
        try:
            succeeded, _ = await frame.run_item(self.body)
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

    async def _load_pages(self, indexes: list[int]) -> None:
        """Have the pages of these items at hand; pages that were worked through are dropped."""
        numbers = {index // self.page_size for index in indexes}
        flying = {index // self.page_size for index in self.flying}
        for number in [one for one in self.pages if one not in numbers and one not in flying]:
            del self.pages[number]
        for number in sorted(numbers - self.pages.keys()):
            self.pages[number] = await self.store.page(self.run.rid, self.fan, number)


async def _previous(results: Results, cs: CompiledStep, fan: str, index: int) -> Value:
    """`previous` of an item: the output of the item before, with `concurrency: 1`."""
    if index == 0 or not cs.uses_previous or cs.step.concurrency != 1:
        return None
    path = f"{fan}[{index - 1}]"
    await results.load(path, "")
    record = results.get(path)
    return record.output if record else None


def _scope(run: RunContext, state: FanState) -> dict[str, Value]:
    """What the items of a handler see of it: `error`, and the status of the run."""
    if not state.scope:
        return {}
    scope: dict[str, Value] = decode(state.scope)
    if "status" in scope:
        scope["run"] = {**run.view, "status": scope.pop("status")}
    return scope


def _handed(one: bytes) -> tuple[int, bool, int]:
    """(index, begun before, workers that died in it) of an item as `items` names it."""
    index, _, deaths = one.lstrip(b"~").partition(b":")
    return int(index), one.startswith(b"~"), int(deaths or 0)


def _sum(finished: list[Finished]) -> tuple[Any, ...]:
    used = [one.usage for one in finished if one.usage is not NO_USAGE]
    if not used:
        return NO_USAGE
    return tuple(sum(column) for column in zip(*used, strict=True))


async def claimed_items(
    run: RunContext, path: str
) -> tuple[dict[int, str], dict[str, Value], list[tuple[str, int, CompiledStep]]]:
    """For a frame inside fan-outs: prefixes of the blocks it sees, the loop variables around it, and its chain of fan-outs.

    `path` is an item (`docs[3].facts[7]`) or a fan-out inside an item (`docs[3].facts`).
    """
    prefixes, loop, chain = {0: ""}, {}, []
    position = 0
    while (end := path.find("]", position)) >= 0:
        start = path.index("[", position)
        fan, index = path[:start], int(path[start + 1 : end])
        cs = run.plan.fans.get(static_path(fan))
        if cs is None:
            raise StepError("lost", f"the plan has no fan-out {fan}")
        state = await run.host.store.fan_state(run.rid, fan)
        if state is None:
            raise Lost
        number, place = divmod(index, state.page_size)
        page = await run.host.store.page(run.rid, fan, number)
        prefixes[cs.step.body_block or 0] = path[: end + 1]
        previous = await _previous(Results(run.host.store, run.host.blobs, run.rid), cs, fan, index)
        loop.update({**_scope(run, state), cs.step.as_: page[place], "index": index, "previous": previous})
        chain.append((fan, index, cs))
        position = end + 1
    return prefixes, loop, chain
