"""A bench for the scripts: the verbs of `RunStore` on the real server, and frames without an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio

from aiflow.clock import StoreClock
from aiflow.ids import new_run_id
from aiflow.settings import Settings
from aiflow.store.commit import Commit
from aiflow.store.connect import connect
from aiflow.store.keys import Keys
from aiflow.store.records import Record, encode_record
from aiflow.store.runs import NO_USAGE, Claim, Fan, Gate, Move, NewRun, RunStore

LEASE_MS = 60_000


class Bench:
    """Workers `a` and `b` are registered. Frames are moved by hand."""

    def __init__(self, store: RunStore, reader: redis.asyncio.Redis) -> None:
        self.store = store
        self.keys = store.keys
        self.reader = reader

    async def script(self, name: str, *args: Any) -> Any:
        """A script that has no keys but the namespace."""
        return await self.store.commit.call(name, (self.keys.ns,), args)

    async def start(self, rid: str = "", gate: Gate | None = None) -> str:
        """A run that is queued, if its gate lets it in."""
        rid = rid or new_run_id()
        await self.store.start(NewRun(rid, "flow", "v1", b"{}", b"", b"", b"{}", gate or Gate(), 60_000))
        return rid

    async def claim(self, rid: str, path: str = "", worker: str = "a", operation: str = "") -> Claim:
        claim = await self.store.claim(rid, path, worker, operation or new_run_id())
        assert not isinstance(claim, str), claim
        return claim

    def move(self, claim: Claim, sequence: int, *paths: str, cursor: bytes = b"c") -> Move:
        """A checkpoint that records these paths as ok."""
        key = self.keys.frame(claim.rid, claim.path)
        records: list[Any] = []
        for path in paths:
            records += [path, encode_record(Record(output=sequence))]
        return Move(
            rid=claim.rid, path=claim.path, fence=key, frame=key, epoch=claim.epoch, sequence=sequence, cursor=cursor,
            usage=NO_USAGE, journal=b"", records=records,
        )  # fmt: skip

    async def log(self, claim: Claim, lines: list[bytes]) -> None:
        await self.store.log(claim.rid, self.keys.frame(claim.rid, claim.path), claim.epoch, lines)

    async def fan_out(self, claim: Claim, total: int, concurrency: int, *, allowed: int = 0, sequence: int = 1) -> None:
        """An `each` named `x` in the root."""
        await self.store.write_pages(claim.rid, self.keys.run(claim.rid), claim.epoch, "x", [b"[]"], [])
        fan = Fan(
            path="x", total=total, next=0, finished=0, allowed=allowed, concurrency=concurrency,
            lanes=min(4, concurrency, total), page_size=500, generation=0, actor="flow.x", deadline_ms=0,
        )  # fmt: skip
        await self.store.fan_out(self.move(claim, sequence), "a", "flow", "", fan)

    async def items(
        self, lane: Claim, want: int, done: dict[int, bool] | None = None, *, flight: int = 0, first: bool = False, worker: str = "a"
    ) -> tuple[str, list[str]]:
        """What a lane says: items that ended, {index: failed}. Gives the status and the items handed out."""
        tail: list[Any] = ["", "", "", "", len(done or {})]
        for index, failed in (done or {}).items():
            tail += [index, int(failed), "", 1, f"x[{index}]", encode_record(Record(status="failed" if failed else "ok"))]
        keys = (
            self.keys.ns, self.keys.run(lane.rid), self.keys.frame(lane.rid, lane.path), self.keys.fan(lane.rid, "x"),
            self.keys.results(lane.rid),
        )  # fmt: skip
        args = (lane.epoch, lane.rid, lane.path, worker, want, flight, int(first), *tail)
        reply = await self.store.commit.call("items", keys, args)
        return reply[0].decode(), [one.decode() for one in reply[2:]]

    async def field(self, rid: str, name: str, path: str = "") -> str | None:
        """A field of a frame."""
        raw = await self.reader.hget(self.keys.frame(rid, path), name)
        return None if raw is None else raw.decode()

    async def ready(self) -> list[str]:
        """Frames that may be claimed, without their run ids."""
        names = await self.reader.zrange(self.keys.named("ready"), 0, -1)
        return [name.decode().partition("|")[2] for name in names]


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Bench]:
    """A bench on the running event loop."""
    reader = connect(settings)
    commit = Commit(reader)
    await commit.start()
    bench = Bench(RunStore(commit, reader, Keys(settings.namespace), StoreClock()), reader)
    for worker in "ab":
        await bench.script("register", worker, LEASE_MS, "{}")
    yield bench
    await commit.close()
    await reader.aclose()


@pytest.fixture
async def bench(store_settings: Settings) -> AsyncIterator[Bench]:
    async with opened(store_settings) as bench:
        yield bench
