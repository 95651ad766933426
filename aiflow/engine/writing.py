"""What a frame knows, and how it is written: position, pending results, checkpoints, letting go."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Coroutine, Iterator
from typing import Any, NoReturn, TypeVar

import msgspec

from aiflow.clock import rfc3339
from aiflow.engine.around import Around
from aiflow.engine.calls import again
from aiflow.engine.failure import Leave, NotKept
from aiflow.engine.run import RunContext, Secrets
from aiflow.engine.scope import Results, StepsView
from aiflow.engine.turns import FrameTurns
from aiflow.errors import StoreError
from aiflow.language.expressions import PROJECT
from aiflow.plan import CompiledStep
from aiflow.steps._kind import Usage
from aiflow.store.records import Record, encode_record
from aiflow.store.runs import NO_USAGE, GivenUp, Move
from aiflow.values import encode

BLOB_PAUSES_S = (1.0, 4.0, 10.0)  # a blob store in trouble is asked again

_cursor_encoder = msgspec.json.Encoder()
_cursor_decoder = msgspec.json.Decoder()

Reply = TypeVar("Reply")

Entry = list[Any]  # [index, slot, state], see frames.py


class Writing:
    """A claimed frame (the root, or an item): its state and its writes.

    Args:
        fence: key of the frame whose epoch guards our writes: our own, or that of the lane we run in.
        lane: path of that lane, "" when the frame has a claim of its own.
        around: where it stands, see around.py.
    """

    def __init__(
        self,
        run: RunContext,
        path: str,
        *,
        fence: str,
        epoch: int,
        lane: str,
        around: Around,
        results: Results,
        cursor: bytes = b"",
        sequence: int = 0,
        now_ms: int = 0,
        mark: str = "",
        deaths: int = 0,
    ) -> None:
        self.run = run
        self.host = run.host
        self.store = run.host.store
        self.plan = run.plan
        self.path = path
        self.fence = fence
        self.frame_key = self.store.keys.frame(run.rid, path)
        self.epoch = epoch
        self.lane = lane
        self.results = results
        self.sequence = sequence
        self.now_ms = now_ms
        self.mark = mark
        self.deaths = deaths
        self.around = around
        self.home = around.home  # what the records of steps stand below; changes in the passes of an `until`
        self.index = around.index
        self.stack: list[Entry] = []
        self.list_name = "steps"
        self.extra: dict[str, Any] = {}
        self.stopped_at: bytes | None = None  # cursor of the step whose failure ended the frame
        self.bounded = 0  # timeouts that are running
        self.time: asyncio.Timeout | None = None  # the innermost of them
        self.turns = FrameTurns(self)
        self.began_ms = 0  # when the step that is at work began its first attempt
        self.failed_at = b""  # the same, once an item has ended
        self.pending: list[tuple[str, Record]] = []
        self.usage: Usage | None = None
        self.lines: list[bytes] = []
        self.done_fans: list[tuple[str, int]] = []  # fan-outs that the next checkpoint moves past
        self.deadlines: list[int] = []  # of the blocks with a `timeout` that are open, ms
        self.prefixes = {**around.prefixes} if around.branch else around.prefixes  # branches share those of their lane
        self.steps_view = StepsView(run.plan, results, self.prefixes)
        self.base: dict[str, Any] = {
            "inputs": run.inputs,
            "steps": self.steps_view,
            "run": run.view,
            "env": run.env,
            "event": run.meta.get("event"),
            "now": self.now_text,
            PROJECT: self.host.settings.root,
            **around.loop,
        }
        self.resume: dict[str, Any] | None = _cursor_decoder.decode(cursor) if cursor else None

    # -- scope -------------------------------------------------------------------------------------------------

    def is_last(self, cs: CompiledStep) -> bool:
        """Whether the list that `cs` stands in, or the run, hands its output on without naming it."""
        steps = self.plan.steps if len(self.stack) == 1 and not self.path else None
        if steps is not None:
            return steps[-1] is cs and self.plan.outputs is None
        return True

    async def need(self, ids: tuple[str, ...]) -> None:
        """Have the results of these steps at hand."""
        for id in ids:
            path = self.steps_view.path(id)
            if path is not None and not self.results.has(path):
                await self.results.load(path, self.around.own)

    def scope(self, cs: CompiledStep, path: str, attempt: int) -> dict[str, Any]:
        """The names that this step's expressions may use."""
        key = f"{self.run.rid}:{path}"
        scope = {**self.base, "step": {"id": cs.step.id, "key": key, "attempt": attempt}, "uuid": _uuids(key)}
        if cs.wants_secrets:
            scope["secrets"] = Secrets(self.run)
        return scope

    def now_text(self) -> str:
        """`now()`: the time of the last checkpoint."""
        return rfc3339(self.now_ms)

    def clock(self) -> int:
        return self.host.clock.now_ms()

    # -- writing -----------------------------------------------------------------------------------------------

    def keep(self, cs: CompiledStep, path: str, record: Record) -> None:
        """A step's outcome; it becomes durable with the next checkpoint."""
        self.pending.append((path, record))
        if cs.step.id in self.plan.kept:
            self.results.put(path, record)

    def add_usage(self, usage: Usage) -> None:
        """What model calls used; counted into the run by the next checkpoint."""
        self.run.unwritten += usage.cost
        self.usage = usage if self.usage is None else self.usage + usage

    def cursor(self, fresh: bool = False) -> bytes:
        """The position, as stored. `fresh`: the innermost step as if it had not begun, unless it waits for a fan-out."""
        stack: list[Entry] = self.stack
        if fresh and stack and stack[-1][1] != "each" and not (stack[-1][1] == "do" and stack[-1][2].get("f")):
            stack = [*stack[:-1], again(stack[-1])]
        position: dict[str, Any] = {"l": self.list_name, "s": stack}
        if self.extra:
            position["x"] = self.extra
        return _cursor_encoder.encode(position)

    async def encoded(self) -> list[Any]:
        """The pending records, flat: path, record, path, record; large outputs go to the blob store first."""
        flat: list[Any] = []
        limit = self.host.settings.blob_limit
        for path, record in self.pending:
            try:
                raw = encode_record(record)
            except (TypeError, ValueError, OverflowError, RecursionError) as error:
                record = Record(status="failed", error={"type": "expression", "message": str(error)})
                raw = encode_record(record)
            if len(raw) > limit and record.output is not None:
                ref = await self._put_blob(path, encode(record.output))
                raw = encode_record(msgspec.structs.replace(record, output=None, blob=ref))
            flat.append(path)
            flat.append(raw)
        self.pending = []
        return flat

    async def _put_blob(self, path: str, raw: bytes) -> dict[str, Any]:
        """Store a large result; a blob store in trouble is given some time, since the result may have been paid for."""
        for pause in (*BLOB_PAUSES_S, None):
            try:
                return {**await self.host.blobs.put(raw)}
            except StoreError as error:
                if pause is None:
                    raise NotKept(path, error) from error
                line = self.store.line("blob_waits", path=path, text=error.message)
                await self.store.log(self.run.rid, self.fence, self.epoch, [line])
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def move(self, cursor: bytes | None = None) -> Move:
        """Everything that is pending, as the next checkpoint."""
        if self.lines:
            lines, self.lines = self.lines, []
            await self.store.log(self.run.rid, self.fence, self.epoch, lines)
        records = await self.encoded()
        usage = take_usage(self)
        self.sequence += 1
        return Move(
            rid=self.run.rid, path=self.path, fence=self.fence, frame=self.frame_key, epoch=self.epoch,
            sequence=self.sequence, cursor=self.cursor() if cursor is None else cursor, usage=usage,
            journal=b"", records=records,
        )  # fmt: skip

    async def flush(self, mark: str = "", journal: bytes = b"", cursor: bytes | None = None) -> None:
        """Make everything durable that was done so far."""
        move = await self.move(cursor)
        move.journal = journal
        self.host.crash_point("before_checkpoint")
        try:
            self.now_ms = await self.whole(self.store.checkpoint(move, mark))
        except GivenUp:
            if self.lane:  # others in it may still have something to hand in
                raise Leave from None
            raise
        self.mark = ""
        if self.deaths:
            self.deaths = 0
            if self.lane:
                await self.store.begin(self.run.rid, self.fence, self.epoch, self.index)
            self.host.cleared(self if self.lane else self.run.claim)
        self.host.crash_point("after_checkpoint")
        while self.done_fans:
            await self.store.drop_fan(self.run.rid, self.fence, self.epoch, *self.done_fans.pop())

    @property
    def deadline(self) -> int | None:
        """When the first of the open blocks has to be done, or None."""
        return min(self.deadlines, default=None)

    async def leave(self, due_ms: int, journal: bytes = b"") -> NoReturn:
        """Let go of the frame until `due_ms`, or hand it on at once (0). Always raises."""
        move = await self.move()
        move.journal = journal
        if due_ms and self.deadline is not None:
            due_ms = min(due_ms, self.deadline)
        self.host.crash_point("before_park")
        with self.left():
            await self.whole(self.store.park(move, self.host.worker, self.actor, self.lane, due_ms))
        self.host.crash_point("after_park")
        raise Leave

    @contextlib.contextmanager
    def left(self) -> Iterator[None]:
        """Around the commit that lets go of the frame: a timeout that struck meanwhile comes too late."""
        try:
            yield
        except asyncio.CancelledError:
            if not self.bounded:
                raise

    async def whole(self, commit: Coroutine[Any, Any, Reply]) -> Reply:
        """A commit that a timeout does not leave half-way: whether it happened is known, then the timeout counts."""
        if not self.bounded:
            return await commit
        task, interrupted = asyncio.ensure_future(commit), False
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                interrupted = True
        now = task.result()
        if interrupted:
            raise asyncio.CancelledError
        return now

    @property
    def actor(self) -> str:
        """Name of the Dramatiq actor of this frame's block."""
        block = next((number for number, prefix in self.prefixes.items() if prefix == self.around.home), 0)
        return self.plan.actors.get(block, self.plan.workflow.name)


def take_usage(frame: Writing) -> tuple[Any, ...]:
    """The use of models since the last checkpoint, as script arguments."""
    usage, frame.usage = frame.usage, None
    if usage is not None:
        frame.run.unwritten -= usage.cost
    return NO_USAGE if usage is None else (usage.cost, usage.tokens_in, usage.tokens_out, usage.calls)


def _uuids(key: str) -> Any:
    made = 0

    def make() -> str:
        nonlocal made
        made += 1
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"aiflow:{key}:{made}"))

    return make
