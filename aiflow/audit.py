"""Proves that every unfinished run is reachable: something in the store will carry it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from aiflow.store.keys import Keys, member

READY, TIMER, CLAIMED, ORPHANED, FAN, EVENT = "ready", "timer", "claimed", "orphaned", "fan-out", "event"
CALL, GATE = "call", "gate"
OPEN = (b"queued", b"running", b"waiting")


@dataclass
class Audit:
    """What was found. `how`: why runs are reachable -> how many.  `lost`: ids of the runs that are not.

    ready: a worker may claim it now.  timer: it waits for a moment.  claimed: a living worker has it.
    event: it waits for an event.
    orphaned: its worker's lease has ended; the next worker takes it over.  fan-out: its items are one of these.
    call: the run that it called is one of these.  gate: it waits in its gate for runs that have not ended.
    """

    open: int = 0
    how: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


async def audit(reader: Redis, keys: Keys) -> Audit:
    """Look at every unfinished run. Reads only."""
    found = Audit()
    rids: Any = await reader.zrange(keys.named("open"), 0, -1)
    for rid in [raw.decode() for raw in rids]:
        state = await reader.hget(keys.run(rid), "st")
        if state not in OPEN:
            continue
        found.open += 1
        why = await _Run(reader, keys, rid).reached("")
        if why is None and await reader.zscore(keys.named("open"), rid) is not None:
            found.lost.append(rid)
        elif why is not None:
            found.how[why] = found.how.get(why, 0) + 1
    return found


class _Run:
    def __init__(self, reader: Redis, keys: Keys, rid: str) -> None:
        self._reader: Any = reader  # replies are bytes
        self._keys, self._rid = keys, rid
        self._names: list[str] | None = None

    async def reached(self, path: str) -> str | None:
        """How a frame is reachable, or None."""
        name = member(self._rid, path)
        if await self._reader.zscore(self._keys.named("ready"), name) is not None:
            return READY
        if await self._reader.zscore(self._keys.named("timers"), name) is not None:
            return TIMER
        worker, indexes, called = await self._reader.hmget(self._keys.frame(self._rid, path), "w", "W", "k")
        if worker:
            return await self._claimed(worker.decode(), name)
        if indexes:
            return await self._waits(indexes.decode().split("\n"), name)
        if path == "" and await self._in_gate():
            return GATE
        if called:
            return await self._by_call(called.decode())
        return await self._by_items(path)

    async def _waits(self, indexes: list[str], name: str) -> str | None:
        """Whether the events of all these indexes would wake it."""
        known = [await self._reader.sismember(self._keys.named(f"{index}:waiting"), name) for index in indexes]
        return EVENT if all(known) else None

    async def _in_gate(self) -> bool:
        """Whether it waits in its gate, and somebody who is at work will open it."""
        gate = await self._reader.hget(self._keys.run(self._rid), "G")
        if gate is None or await self._reader.zscore(self._keys.gate(gate.decode()) + ":q", self._rid) is None:
            return False
        for rid in await self._reader.zrange(self._keys.gate(gate.decode()), 0, -1):
            if await self._reader.hget(self._keys.run(rid.decode()), "st") in OPEN:
                return True
        return False

    async def _by_call(self, rid: str) -> str | None:
        if await self._reader.hget(self._keys.run(rid), "st") not in OPEN:
            return None
        return CALL if await _Run(self._reader, self._keys, rid).reached("") is not None else None

    async def _claimed(self, worker: str, name: str) -> str | None:
        if not await self._reader.sismember(self._keys.worker(worker), name):
            return None
        lease = await self._reader.zscore(self._keys.named("workers"), worker)
        now_s, _ = await self._reader.time()
        if lease is None:
            return None
        return CLAIMED if lease > now_s * 1000 else ORPHANED

    async def _by_items(self, path: str) -> str | None:
        """Whether a fan-out that this frame waits for has a lane or an item that is reachable."""
        for fan in await self._fans():
            parent, stopped = await self._reader.hmget(self._keys.fan(self._rid, fan), "P", "s")
            if parent is None or parent.decode() != path or stopped == b"1":
                continue
            for frame in await self._frames():
                if frame.startswith((f"{fan}#", f"{fan}[")) and frame.count("[") <= fan.count("[") + 1:
                    if await self.reached(frame) is not None:
                        return FAN
        return None

    async def _fans(self) -> list[str]:
        mark = self._keys.fan(self._rid, "")
        return [n[len(mark) :] for n in await self._all() if n.startswith(mark) and not n.endswith((":idle", ":again"))]

    async def _frames(self) -> list[str]:
        mark = self._keys.run(self._rid) + ":f:"
        return [name[len(mark) :] for name in await self._all() if name.startswith(mark)]

    async def _all(self) -> list[str]:
        if self._names is None:
            raw = await self._reader.smembers(self._keys.run(self._rid) + ":keys")
            self._names = [name.decode() for name in raw]
        return self._names
