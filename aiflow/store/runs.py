"""The moves of a run in Redis: one function per script, which turns the reply into a value.

`Lost` is raised when the claim is no longer ours (`fenced`) or the run has ended (`gone`): the caller drops the
frame silently, whoever holds the newest claim goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from redis.asyncio import Redis

from aiflow.clock import StoreClock
from aiflow.errors import RunError, StoreError
from aiflow.store.commit import Arg, Commit
from aiflow.store.keys import CANCEL_FRAME, Keys
from aiflow.store.records import Record, decode_record
from aiflow.store.scripts import whole
from aiflow.values import Value, decode, encode

LOG_LINES = 20_000  # of one run
PART = 1_000  # values sent to one call of a script; Lua unpacks some 8,000 at most
PAGES_AT_ONCE = 64  # of 64 kB
NO_USAGE: tuple[Arg, ...] = ("", "", "", "")
OPEN = ("queued", "running", "waiting")
"""Status of a run that has not ended."""


class Lost(Exception):
    """The claim is no longer ours, or the run has ended."""


class GivenUp(Lost):
    """It was written, but the fan-out that the frame is an item of was stopped: it begins nothing more."""


@dataclass(slots=True)
class Claim:
    """What `claim` hands out: the frame's newest epoch and all that is needed to go on."""

    rid: str
    path: str
    epoch: int
    cursor: bytes
    now_ms: int  # time of the last checkpoint: `now()` of the next step
    deaths: int
    mark: str
    workflow: str
    version: str
    inputs: bytes
    created_ms: int
    begun_ms: int  # let in by its gate
    timed_ms: int  # since when its `timeout` counts
    generation: int
    cost: float
    meta: bytes
    environment: bytes
    sequence: int  # of the last checkpoint


@dataclass(slots=True)
class Move:
    """The common part of every checkpoint: results, cursor, use of models.

    Attributes:
        fence: key of the frame whose epoch guards the write (the frame itself, or its lane).  frame: key of the frame.
        usage: cost, tokens in, tokens out, calls, or NO_USAGE.
        journal: a line for people, or "".  records: path, record, path, record ...
    """

    rid: str
    path: str
    fence: str
    frame: str
    epoch: int
    sequence: int
    cursor: bytes
    usage: tuple[Arg, ...]
    journal: bytes
    records: list[Arg]


@dataclass(slots=True)
class Fan:
    """A fan-out to be started. `next`: first item never handed out; `finished`: items that are done already.
    `deadline_ms`: the frame is woken then, done or not; 0 for never. `scope`: names that its items see besides, JSON or "".
    `first`: the first item that succeeds decides. `branches`: paths of their records, for a `parallel`."""

    path: str
    total: int
    next: int
    finished: int
    allowed: int
    concurrency: int
    lanes: int
    page_size: int
    generation: int
    actor: str
    deadline_ms: int
    scope: bytes = b""
    first: bool = False
    branches: tuple[str, ...] = ()


@dataclass(slots=True)
class FanState:
    """Counters of a fan-out; see keys.py."""

    total: int
    next: int
    finished: int
    failed: int
    allowed: int
    concurrency: int
    stopped: bool
    lanes: int
    page_size: int
    generation: int
    begun_ms: int
    scope: bytes = b""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a new run has to pass.

    Attributes:
        name: of the gate, "" for none.  limit: runs at work at the same time.
        overflow: queue, skip, replace, fail.  why: what is said when the run is turned away.
        throttle: "<us between starts> <burst> <name of the limit>", or "".
    """

    name: str = ""
    limit: int = 0
    overflow: str = "queue"
    why: str = ""
    throttle: str = ""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be made. `plan` is sent only when the store does not have it; `retention_ms`: how long it is kept after its end,
    should nobody else say so; `closing`: it has steps to do at its end whatever happened (`finally`)."""

    rid: str
    workflow: str
    version: str
    inputs: bytes
    meta: bytes
    environment: bytes
    plan: bytes
    gate: Gate = Gate()
    retention_ms: int = 0
    closing: bool = False

    def args(self) -> tuple[Arg, ...]:
        """As the scripts take it, without id and plan."""
        gate = self.gate
        return (
            self.workflow, self.version, self.inputs, self.meta, self.environment,
            gate.name, gate.limit, gate.overflow, gate.why, gate.throttle, self.retention_ms,
            int(self.closing),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Called:
    """A run as the frame sees it that called it. `usage`: cost, tokens in, tokens out, calls."""

    status: str
    workflow: str
    outputs: bytes
    error: bytes
    meta: bytes
    usage: tuple[float, int, int, int]

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


class RunStore:
    """The verbs. One per process; shares the process's `Commit`."""

    def __init__(self, commit: Commit, reader: Redis, keys: Keys, clock: StoreClock) -> None:
        self.commit = commit
        self.reader = reader
        self.keys = keys
        self.clock = clock

    async def start(self, new: NewRun) -> None:
        """Make a run. The same run id again changes nothing."""
        keys = (self.keys.ns, self.keys.run(new.rid), self.keys.plan(new.version))
        what = f"run {new.rid}"
        reply = await self.commit.take_in("start_run", keys, (new.rid, b"", *new.args()), what)
        if reply[0] == b"noplan":
            await self.commit.take_in("start_run", keys, (new.rid, new.plan, *new.args()), what)

    async def claim(self, rid: str, path: str, worker: str, operation: str) -> Claim | str:
        """Take a frame out of `ready`; or a word why not: busy, gone, unknown."""
        keys = (self.keys.ns, self.keys.run(rid), self.keys.frame(rid, path))
        reply = await self.commit.call("claim", keys, (rid, path, worker, operation))
        if reply[0] != b"ok":
            return str(reply[0].decode())
        self.clock.learn(reply[1])
        return Claim(
            rid=rid, path=path, epoch=int(reply[2]), cursor=reply[3], now_ms=int(reply[4]), deaths=int(reply[5]),
            mark=reply[6].decode(), workflow=reply[7].decode(), version=reply[8].decode(), inputs=reply[9],
            created_ms=int(reply[16]), begun_ms=int(reply[10]), timed_ms=int(reply[17]), generation=int(reply[11]),
            cost=float(reply[12]), meta=reply[13], environment=reply[14], sequence=int(reply[15]),
        )  # fmt: skip

    async def checkpoint(self, move: Move, mark: str = "") -> int:
        """Make results durable; returns Redis's time. `mark`: a step that is not repeatable begins. Raises Lost, GivenUp."""
        keys = (
            self.keys.ns, self.keys.run(move.rid), move.fence, move.frame,
            self.keys.results(move.rid), self.keys.log(move.rid),
        )  # fmt: skip
        args = (move.epoch, move.sequence, move.cursor, *move.usage, move.journal, mark, len(move.records) // 2)
        reply = await self.commit.call("checkpoint", keys, (*args, *move.records))
        if reply == b"called":
            reply = await self.commit.call(whole("checkpoint"), keys, (*args, *move.records))
        if reply == b"given up":
            raise GivenUp
        return self._time(reply)

    async def park(self, move: Move, worker: str, actor: str, lane: str, due_ms: int) -> int:
        """Let go of a frame until `due_ms`; 0 hands it on at once."""
        keys = (
            self.keys.ns, self.keys.run(move.rid), move.fence, move.frame,
            self.keys.results(move.rid), self.keys.log(move.rid),
        )  # fmt: skip
        args = (
            move.epoch, move.sequence, move.cursor, *move.usage, move.journal,
            move.rid, move.path, worker, actor, lane, due_ms, len(move.records) // 2,
        )  # fmt: skip
        return self._time(await self.commit.call("park", keys, (*args, *move.records)))

    async def call(self, move: Move, worker: str, actor: str, lane: str, due_ms: int, how: str, called: NewRun) -> int:
        """Let go of a frame until the run that it calls ends; `due_ms`: it is woken then in any case, 0 for never.

        Args: how: start, again (open it again), wait (it is there), detach (nobody waits for it; the frame is kept).
        """
        keys = (
            self.keys.ns, self.keys.run(move.rid), move.fence, move.frame, self.keys.results(move.rid),
            self.keys.log(move.rid), self.keys.run(called.rid), self.keys.plan(called.version),
        )  # fmt: skip
        head = (
            move.epoch, move.sequence, move.cursor, *move.usage, move.journal,
            move.rid, move.path, worker, actor, lane, due_ms, how, called.rid, self.line("run_retried"),
        )  # fmt: skip
        tail = (*called.args(), len(move.records) // 2, *move.records)
        reply = await self.commit.call("call", keys, (*head, b"", *tail))
        if reply == b"noplan":
            reply = await self.commit.call("call", keys, (*head, called.plan, *tail))
        return self._time(reply)

    async def called(self, rid: str) -> Called | None:
        """How a called run stands, or None when it is not there."""
        fields = ("st", "wf", "out", "err", "meta", "cost", "tin", "tout", "calls")
        st, wf, out, err, meta, *used = await self.read("HMGET", self.keys.run(rid), *fields)
        if st is None:
            return None
        cost, tin, tout, calls = (float(one or 0) for one in used)
        return Called(
            st.decode(), (wf or b"").decode(), out or b"", err or b"", meta or b"", (cost, int(tin), int(tout), int(calls))
        )

    async def spent(self, rids: Sequence[str]) -> list[float]:
        """What runs have cost so far, in dollars."""
        return [float(one) for one in await self.commit.call("spent", (self.keys.ns,), tuple(rids))]

    async def fan_out(self, move: Move, worker: str, actor: str, lane: str, fan: Fan) -> int:
        """Start the lanes of an `each`; the frame is let go of until the last item is done."""
        keys = (
            self.keys.ns, self.keys.run(move.rid), move.fence, move.frame,
            self.keys.results(move.rid), self.keys.fan(move.rid, fan.path),
        )  # fmt: skip
        args = (
            move.epoch, move.sequence, move.cursor, *move.usage, move.rid, move.path, worker, actor, lane,
            fan.path, fan.total, fan.next, fan.finished, fan.allowed, fan.concurrency, fan.lanes, fan.page_size,
            fan.generation, fan.actor, fan.deadline_ms, fan.scope, int(fan.first),
            "".join(f"{path}\n" for path in fan.branches), len(move.records) // 2,
        )  # fmt: skip
        return self._time(await self.commit.call("fan_out", keys, (*args, *move.records)))

    async def finish_item(self, move: Move, worker: str, failed: bool, fans: Sequence[tuple[str, int]]) -> int:
        """The last checkpoint of an item that had left its lane. `fans`: path, lanes of fan-outs that it has moved past."""
        keys = (self.keys.ns, self.keys.run(move.rid), move.frame, self.keys.results(move.rid))
        args = (
            move.epoch, move.rid, move.path, worker, *move.usage, int(failed), move.sequence, move.cursor,
            len(fans), *(part for fan in fans for part in fan), len(move.records) // 2,
        )  # fmt: skip
        return self._time(await self.commit.call("finish_item", keys, (*args, *move.records)))

    async def finish_run(
        self, move: Move, worker: str, status: str, outputs: bytes, error: bytes, retention_ms: int
    ) -> int:
        """The last checkpoint of a run."""
        keys = (
            self.keys.ns, self.keys.run(move.rid), self.keys.results(move.rid), self.keys.log(move.rid), move.fence,
        )  # fmt: skip
        args = (
            move.epoch, move.rid, move.sequence, move.cursor, *move.usage, status, outputs, error,
            retention_ms, worker, move.journal, len(move.records) // 2,
        )  # fmt: skip
        return self._time(await self.commit.call("finish_run", keys, (*args, *move.records)))

    async def stop_run(self, move: Move) -> int:
        """An item ends its run: every other frame is void, and the root goes on at `move.cursor`."""
        keys = (
            self.keys.ns, self.keys.run(move.rid), self.keys.results(move.rid), self.keys.log(move.rid), move.fence,
        )  # fmt: skip
        args = (move.epoch, move.rid, move.cursor, *move.usage, move.journal, len(move.records) // 2)
        return self._time(await self.commit.call("stop_run", keys, (*args, *move.records)))

    async def arm(self, rid: str, epoch: int) -> None:
        """Have the events looked at that cancel a run (`cancel_on`). Raises Lost."""
        self._time(await self.commit.call("arm", (self.keys.ns, self.keys.run(rid)), (epoch, rid, CANCEL_FRAME)))

    async def give_up(self, claim: Claim, worker: str, error: dict[str, Any], retention_ms: int) -> None:
        """Fail the run of a claim with an error of our own making; its cursor stays where it is."""
        fence = self.keys.frame(claim.rid, claim.path)
        move = Move(
            rid=claim.rid, path=claim.path, fence=fence, frame=fence, epoch=claim.epoch, sequence=1 << 53,
            cursor=claim.cursor, usage=NO_USAGE, records=[],
            journal=self.line("run_failed", path=claim.path, type=error["type"], message=error["message"]),
        )  # fmt: skip
        await self.finish_run(move, worker, "failed", b"", msgspec.json.encode(error), retention_ms)

    async def log(self, rid: str, fence: str, epoch: int, lines: Sequence[bytes]) -> None:
        """Append lines to the journal; the oldest go when there are too many. Raises Lost."""
        keys = (self.keys.ns, self.keys.run(rid), fence, self.keys.log(rid))
        for first in range(0, len(lines), PART):
            part = tuple(lines[first : first + PART])
            again: tuple[Arg, ...] = (epoch, LOG_LINES, 1, *part)
            reply = await self.commit.call("log", keys, (epoch, LOG_LINES, 0, *part), resend=partial(tuple, again))
            if reply == b"fenced":
                raise Lost("fenced")

    async def begin(self, rid: str, fence: str, epoch: int, index: int | None = None, deaths: int = 0) -> None:
        """A frame, or the item `index` of a lane, that waited to work alone begins. Raises Lost."""
        keys = (self.keys.ns, self.keys.run(rid), fence)
        self._time(await self.commit.call("begin", keys, (epoch, "" if index is None else index, deaths)))

    async def drop(self, rid: str, path: str, worker: str, epoch: int, *, hand_on: bool = False) -> None:
        """Let go of a claim that was lost. `hand_on`: if it was not, somebody else goes on with the frame."""
        keys = (self.keys.ns, self.keys.run(rid), self.keys.frame(rid, path))
        await self.commit.call("drop", keys, (rid, path, worker, epoch, int(hand_on)))

    async def release_lane(self, rid: str, path: str, worker: str, epoch: int) -> None:
        """Hand a lane on with what it has claimed. Raises Lost."""
        keys = (self.keys.ns, self.keys.run(rid), self.keys.frame(rid, path))
        self._time(await self.commit.call("release_lane", keys, (epoch, rid, path, worker)))

    async def cancel(self, rid: str, reason: str, retention_ms: int) -> None:
        """End a run and those that it called. With a `finally` it ends when that is done; called again, at once.

        Raises: RunError: it is missing or has ended.
        """
        keys = (self.keys.ns, self.keys.run(rid))
        reply = (await self.commit.call("cancel_run", keys, (rid, reason, retention_ms), patient=False)).decode()
        if reply != "accepted":
            raise _refused(rid, reply, "cancelled")

    async def retry(self, rid: str) -> None:
        """Open a failed or cancelled run again; it passes its gate. Raises RunError otherwise."""
        keys = (self.keys.ns, self.keys.run(rid))
        reply = (await self.commit.call("retry_run", keys, (rid, self.line("run_retried")), patient=False)).decode()
        if reply != "accepted":
            raise _refused(rid, reply, "retried")

    async def note(self, rid: str, **facts: Any) -> None:
        """Change facts of a run's `meta`; the next claim sees them."""
        raw = await self.read("HGET", self.keys.run(rid), "meta")
        meta = {**(decode(raw) if raw else {}), **facts}
        await self.read("HSET", self.keys.run(rid), "meta", encode(meta))

    async def settle(self, rid: str, path: str, output: Value) -> None:
        """Note the result that a person gives to a step of unknown outcome; the next claim of the run sees it."""
        raw = await self.read("HGET", self.keys.run(rid), "meta")
        settled = (decode(raw) if raw else {}).get("settled", {})
        await self.note(rid, settled={**settled, path: output})

    async def throttle(self, name: str, interval_us: int, burst: int) -> int:
        """Take one start from a shared rate limit; microseconds to wait before asking again, 0 when granted."""
        keys = (self.keys.ns, self.keys.limit(name))
        return int(await self.commit.call("throttle", keys, (interval_us, burst)))

    async def records(self, rid: str, paths: Sequence[str]) -> list[Record | None]:
        """The records at these paths, None where there is none."""
        raw = await self.read("HMGET", self.keys.results(rid), *paths)
        return [None if one is None else decode_record(one) for one in raw]

    async def fan_state(self, rid: str, path: str) -> FanState | None:
        """Counters of a fan-out, or None when there is none."""
        v = await self.read("HMGET", self.keys.fan(rid, path), "n", "x", "k", "b", "a", "c", "s", "L", "z", "g", "t", "S")
        if v[0] is None:
            return None
        n, x, k, b, a, c, s, lanes, z, g, t = (int(one or 0) for one in v[:-1])
        return FanState(n, x, k, b, a, c, s == 1, lanes, z, g, t, v[-1] or b"")

    async def stop_fan(self, rid: str, fence: str, epoch: int, path: str) -> None:
        """Let nothing new begin in a fan-out that its frame has given up; cancel the runs that it called. Raises Lost."""
        keys = (self.keys.ns, self.keys.run(rid), fence, self.keys.fan(rid, path))
        self._time(await self.commit.call("stop_fan", keys, (epoch, rid)))

    async def write_pages(
        self, rid: str, fence: str, epoch: int, path: str, pages: Sequence[bytes], again: Sequence[int]
    ) -> None:
        """Put the items of a fan-out beside it before it starts, and the indexes of those to be done again. Raises Lost."""
        keys = (self.keys.ns, self.keys.run(rid), fence, self.keys.fan(rid, path))
        numbered = list(enumerate(pages))
        parts = [(numbered[first : first + PAGES_AT_ONCE], 0, again[:0]) for first in range(0, len(pages), PAGES_AT_ONCE)]
        parts += [([], first, again[first : first + PART]) for first in range(0, len(again), PART)]
        for number, (some, before, indexes) in enumerate(parts or [([], 0, again)]):
            flat = [value for pair in some for value in pair]
            args = (epoch, int(number == 0), len(some), *flat, before, *indexes)
            self._time(await self.commit.call("pages", keys, args))

    async def page(self, rid: str, path: str, number: int) -> list[Any]:
        """One page of the items of a fan-out."""
        raw = await self.read("HGET", self.keys.fan(rid, path), f"p{number}")
        if raw is None:
            raise Lost
        page: list[Any] = decode(raw)
        return page

    async def drop_fan(self, rid: str, fence: str, epoch: int, path: str, lanes: int) -> None:
        """Remove a fan-out that its frame has moved past. Raises Lost."""
        keys = (self.keys.ns, self.keys.run(rid), fence)
        self._time(await self.commit.call("drop_fan", keys, (epoch, rid, path, lanes)))

    async def plan(self, version: str) -> bytes:
        """A stored plan. Raises StoreError when it is gone."""
        raw = await self.read("GET", self.keys.plan(version))
        if raw is None:
            raise StoreError(f"the plan {version[:12]} is not in the store any more")
        return bytes(raw)

    async def read(self, *command: Arg) -> Any:
        """A plain read, tried again while Redis is away."""
        return await self.commit.patient_read(self.reader, command)

    def line(self, event: str, **facts: Any) -> bytes:
        """A journal entry."""
        return msgspec.json.encode({"at": self.clock.now_ms(), "event": event, **facts})

    def _time(self, reply: Any) -> int:
        if isinstance(reply, int):
            self.clock.learn(reply)
            return reply
        raise Lost(reply.decode() if isinstance(reply, bytes) else str(reply))


def _refused(rid: str, status: str, verb: str) -> RunError:
    if status == "missing":
        return RunError(f"there is no run {rid}", "list them with: aiflow runs")
    hints = {"failed": f"continue it with: aiflow retry {rid}", "running": f"follow it with: aiflow resume {rid}"}
    return RunError(f"run {rid} is {status} and cannot be {verb}", hints.get(status, f"look at it with: aiflow show {rid}"))
