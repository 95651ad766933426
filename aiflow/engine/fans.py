"""`each`: start the lanes of a fan-out, collect it when its last item is done, do its failed items again on a retry."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from aiflow.engine.around import branch_names, is_split, record_path
from aiflow.engine.failure import Failed, Leave, describe
from aiflow.errors import ExpressionError, StepError
from aiflow.language.model import join
from aiflow.plan import BRANCHES, CompiledStep
from aiflow.store.records import Record
from aiflow.store.runs import Fan, FanState, Lost
from aiflow.values import Value, encode, type_name

if TYPE_CHECKING:
    from aiflow.engine.frames import Frame
    from aiflow.engine.writing import Entry

PAGE_ITEMS = 500  # items of a fan-out per page, fewer when they are large
PAGE_BYTES = 64_000
LANES = 4  # messages that work through one fan-out; more would only make batches smaller
LISTED_ERRORS = 100  # failures listed in `too_many_failures`
LOOK_AGAIN_MS = 5_000
PART_ITEMS = 500  # computed items written at once; of 64 kB at most each, see `blob_limit`


class Fans:
    """The `each` of one step, seen from the frame that it stands in."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.store = frame.store
        self.rid = frame.run.rid

    async def run(self, cs: CompiledStep, entry: Entry, slot: str | None) -> Value:
        """Start it (raises Leave), or collect it when it is done."""
        path = join(self.frame.home, cs.sub)
        if slot == "each":
            entry[1] = "each"
            return await self._collect(cs, path, entry)
        try:
            items = self._items(cs, path)
        except StepError as error:
            raise self.frame.failed(cs, path, error, 1) from None
        if not items:
            now = self.frame.clock()
            self.frame.keep(cs, path, Record(output=[], count=0, started=now, finished=now))
            return []
        if cs.kind.pure and cs.kind.run is not None:
            return await self._inline(cs, path, items)
        entry[1] = "each"
        pages, size = _pages(items)
        await self.store.write_pages(self.rid, self.frame.fence, self.frame.epoch, path, pages, [])
        await self._start(cs, path, len(items), 0, 0, size)

    def _items(self, cs: CompiledStep, path: str) -> list[Value]:
        assert cs.each is not None
        items = cs.each.evaluate(self.frame.scope(cs, path, 1))
        if not isinstance(items, list):
            raise ExpressionError(f"`each` needs a list, and {cs.step.each} is {_article(type_name(items))}")
        return items

    async def _start(self, cs: CompiledStep, path: str, total: int, first: int, finished: int, size: int) -> NoReturn:
        frame = self.frame
        concurrency = max(1, cs.step.concurrency)
        one_wins = is_split(path) and cs.step.join == "first"
        allowed = 0 if is_split(path) else allowed_failures(cs.step.allow_failures, total)
        fan = Fan(
            path=path, total=total, next=first, finished=finished, allowed=total - 1 if one_wins else allowed,
            concurrency=concurrency, lanes=min(LANES, concurrency, total), page_size=size,
            generation=frame.run.generation,
            actor=frame.plan.actors.get(cs.step.body_block or 0, frame.plan.workflow.name),
            deadline_ms=frame.deadline or 0,
            scope=_scope_of(frame.base), first=one_wins,
            branches=tuple(record_path(cs, path, n) for n in range(total)) if is_split(path) else (),
        )  # fmt: skip
        move = await frame.move()
        frame.host.crash_point("before_fan_out")
        with frame.left():
            await frame.whole(self.store.fan_out(move, frame.host.worker, frame.actor, frame.lane, fan))
        frame.host.crash_point("after_fan_out")
        raise Leave

    # -- parallel ----------------------------------------------------------------------------------------------

    async def split(self, cs: CompiledStep, path: str) -> NoReturn:
        """Start the branches of a `parallel`. Always raises Leave."""
        fan = join(path, BRANCHES)
        await self.store.write_pages(self.rid, self.frame.fence, self.frame.epoch, fan, [], [])
        await self._start(cs, fan, len(cs.branches), 0, 0, 1)

    async def join(self, cs: CompiledStep, path: str) -> Value:
        """What the branches made, by name; with `join: first` only of the winner. Raises Failed, Leave."""
        fan = join(path, BRANCHES)
        state = await self._state(fan)
        names = branch_names(cs)
        found = await self.store.records(self.rid, [join(path, name) for name in names])
        records = {name: record for name, record in zip(names, found, strict=True) if record is not None and record.finished}
        done = {name: record for name, record in records.items() if record.done}
        if cs.step.join == "first" and done:
            done = dict([min(done.items(), key=lambda one: one[1].finished)])
        elif len(done) < len(names):
            await self._undecided(cs, fan, state, records)
        self.frame.done_fans.append((fan, state.lanes))
        return {name: await self.frame.results.output(join(path, name), record) for name, record in done.items()}

    async def _undecided(self, cs: CompiledStep, fan: str, state: FanState, records: dict[str, Record]) -> NoReturn:
        """Branches failed, or are not done yet. Raises Failed, Leave, Lost."""
        failed = [record for record in records.values() if not record.done and record.error is not None]
        if state.generation < self.frame.run.generation:
            await self._again(cs, fan, state)
        if not state.stopped and state.finished < state.total:
            await self.frame.leave(self.frame.clock() + LOOK_AGAIN_MS)
        if not failed:
            raise Lost  # it did not fail: a fan-out around it is over
        first = min(failed, key=lambda record: record.finished)
        assert first.error is not None
        self.frame.stopped_at = self.frame.cursor()
        raise Failed(first.error)

    # -- each --------------------------------------------------------------------------------------------------

    async def _state(self, path: str) -> FanState:
        state = await self.store.fan_state(self.rid, path)
        if state is None:
            raise StepError("lost", f"the fan-out of {path} is not in the store any more")
        return state

    async def _collect(self, cs: CompiledStep, path: str, entry: Entry) -> Value:
        state = await self._state(path)
        given_up = state.stopped and state.failed <= state.allowed  # it did not fail: a fan-out around it is over
        complete = state.finished >= state.total and (not state.stopped or given_up)
        if state.generation < self.frame.run.generation and (not complete or state.failed > state.allowed):
            await self._again(cs, path, state)
            # It was stopped from outside after its last item, before anybody collected it.
            state, complete = replace(state, finished=state.total, failed=0, stopped=False), True
            given_up = False
        if not complete and given_up:
            raise Lost
        if not complete and not state.stopped:
            await self.frame.leave(self.frame.clock() + LOOK_AGAIN_MS)
        if not complete:
            raise await self._failure(cs, path, state)
        now = self.frame.clock()
        record = Record(count=state.total, failed=state.failed, started=state.begun_ms or now, finished=now)
        self.frame.pending.append((path, record))
        self.frame.done_fans.append((path, state.lanes))
        if cs.step.id in self.frame.plan.kept or self.frame.is_last(cs):
            return await self._materialise(path, state, record)
        return None

    async def _materialise(self, path: str, state: FanState, record: Record) -> Value:
        """Read the items' outputs; the written record stays without them."""
        outputs, errors = await self.frame.results.items(path, state.total)
        shown = Record(output=outputs, count=state.total, failed=state.failed, started=record.started, finished=record.finished)
        self.frame.results.put(path, shown, errors)
        return outputs

    async def _again(self, cs: CompiledStep, path: str, state: FanState) -> None:
        """After `retry`: items that are not done are handed out again (raises Leave), the others keep their results."""
        again = []
        for first in range(0, state.next, PAGE_ITEMS):
            numbers = range(first, min(first + PAGE_ITEMS, state.next))
            records = await self.store.records(self.rid, [record_path(cs, path, n) for n in numbers])
            again += [n for n, record in zip(numbers, records, strict=True) if record is None or not record.done]
        if not again and state.next == state.total:
            return
        await self.store.write_pages(self.rid, self.frame.fence, self.frame.epoch, path, [], again)
        await self._start(cs, path, state.total, state.next, state.next - len(again), state.page_size)

    async def _failure(self, cs: CompiledStep, path: str, state: FanState) -> Failed:
        """The failure of the whole `each`: the item's own with `allow_failures: 0`, else `too_many_failures`."""
        _, errors = await self.frame.results.items(path, state.next)
        if state.allowed == 0 and errors:
            error = errors[0]["error"]
        else:
            failure = StepError(
                "too_many_failures",
                f"{len(errors)} of {state.total} items failed, {state.allowed} may",
                data={"errors": errors[:LISTED_ERRORS]},
            )
            error = describe(self.frame.plan, cs, failure, path, 1, None)
        now = self.frame.clock()
        self.frame.keep(
            cs, path,
            Record(
                status="failed", error=error, count=state.next, failed=len(errors), started=state.begun_ms or now, finished=now
            ),
        )  # fmt: skip
        self.frame.stopped_at = self.frame.cursor()
        return Failed(error)

    async def _inline(self, cs: CompiledStep, path: str, items: list[Value]) -> Value:
        """Items of a pure kind need no lanes: they are computed here, and again after a crash."""
        frame, body = self.frame, cs.body
        assert body is not None
        if body.refs:
            await frame.need(body.refs)
        started = frame.clock()
        allowed = allowed_failures(cs.step.allow_failures, len(items))
        outputs: list[Value] = []
        errors: list[Value] = []
        saved, previous, outer = dict(frame.base), None, frame.index
        frame.stack.append([0, None, None])
        try:
            for index, item in enumerate(items):
                frame.base.update({cs.step.as_: item, "index": index, "previous": previous})
                frame.index = index
                try:
                    value = await frame.body(body, f"{path}[{index}]", frame.stack[-1], None, None, None)
                except Failed as failure:
                    frame.stopped_at = None
                    errors.append({"index": index, "item": item, "error": failure.error})
                    if len(errors) > allowed:
                        raise self._too_many(cs, path, errors, allowed, len(items)) from None
                    value = None
                outputs.append(value)
                previous = value if cs.step.concurrency == 1 else None
                if index % PART_ITEMS == PART_ITEMS - 1:
                    await self._write_part()
                elif index % 100 == 99:
                    await asyncio.sleep(0)
        finally:
            frame.stack.pop()
            frame.base.clear()
            frame.base.update(saved)
            frame.index = outer
        record = Record(count=len(items), failed=len(errors), started=started, finished=frame.clock())
        frame.pending.append((path, record))
        if cs.step.id in frame.plan.kept:
            shown = Record(output=outputs, count=len(items), failed=len(errors), started=started, finished=record.finished)
            frame.results.put(path, shown, errors)
        return outputs

    async def _write_part(self) -> None:
        """Write the items computed so far. The position stays before the `each`: after a crash all are computed again."""
        frame = self.frame
        inner, now_ms = frame.stack.pop(), frame.now_ms
        try:
            await frame.flush()
        finally:
            frame.stack.append(inner)
            frame.now_ms = now_ms  # `now()` is the same for all items

    def _too_many(self, cs: CompiledStep, path: str, errors: list[Value], allowed: int, total: int) -> Failed:
        if allowed == 0:
            return Failed(errors[0]["error"])
        failure = StepError(
            "too_many_failures", f"{len(errors)} of {total} items failed, {allowed} may",
            data={"errors": errors[:LISTED_ERRORS]},
        )  # fmt: skip
        return Failed(describe(self.frame.plan, cs, failure, path, 1, None))


def _scope_of(base: dict[str, Any]) -> bytes:
    """What the items of a handler see besides their own: its `error`, and the status of the run that is ending."""
    scope = {"error": base["error"]} if "error" in base else {}
    if base["run"]["status"] != "running":
        scope["status"] = base["run"]["status"]
    return encode(scope) if scope else b""


def allowed_failures(given: int | str, total: int) -> int:
    """How many items may fail: a number, or a percentage of all items, rounded down."""
    if isinstance(given, str):
        return int(total * float(given.rstrip("% ")) / 100 + 1e-9)
    return given


def _pages(items: list[Value]) -> tuple[list[bytes], int]:
    """The items as stored: encoded pages, and how many items a page holds."""
    sample = max(len(encode(item)) for item in items[:20]) or 1
    size = max(1, min(PAGE_ITEMS, PAGE_BYTES // sample))
    return [encode(items[first : first + size]) for first in range(0, len(items), size)], size


def _article(word: str) -> str:
    return word if word in ("null", "text") else f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
