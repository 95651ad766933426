"""Events: kept once, found again by name and key, each taken by one wait of a run.

An event stands in an index for its name, and in one for each path into its data that some workflow listens at. So a wait
whose `match` has an equality finds its events, and is found by them, without looking at any other.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from aiflow.clock import StoreClock, rfc3339
from aiflow.store.commit import Arg, Commit
from aiflow.store.keys import Keys
from aiflow.store.runs import Lost, Move
from aiflow.values import Value, decode, digest, encode

PAGE = 200  # events per read

EventPath = tuple[str, ...]
"""Keys below the `data` of an event."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event that was accepted. `number` rises with each; `at_ms`: when it was accepted, `time`: as its sender says."""

    id: str
    name: str
    data: Value
    time: str
    at_ms: int
    number: int

    def view(self) -> dict[str, Value]:
        """As expressions see it."""
        return {"id": self.id, "name": self.name, "data": self.data, "time": self.time}


@dataclass(frozen=True, slots=True)
class Seen:
    """How far an index was looked through: the newest event's number and time."""

    number: int = 0
    at_ms: int = 0


class EventStore:
    """The verbs about events. One per process; shares the process's `Commit`."""

    def __init__(self, commit: Commit, reader: Redis, keys: Keys, clock: StoreClock, retention_ms: int) -> None:
        self._commit = commit
        self._reader = reader
        self._keys = keys
        self._clock = clock
        self._retention_ms = retention_ms

    async def accept(
        self, id: str, name: str, data: Value, time: str | None = None, *, patient: bool = False
    ) -> tuple[Event, bool]:
        """Keep an event; (the event as it is kept, whether it is new). The same id again changes nothing.

        Args: patient: wait for a store that is away, as the steps of a run do.
        Raises: StoreError: it was not accepted.
        """
        keys = (self._keys.ns, self._keys.event(id))
        paths: list[EventPath] = []
        while True:
            found = [part for path, key in _keys_at(data, paths) for part in (_text(path), key)]
            args: tuple[Arg, ...] = (id, name, encode(data), time or "", self._retention_ms, len(paths), *found)
            if patient:
                reply = await self._commit.call("accept_event", keys, args)
            else:
                reply = await self._commit.take_in("accept_event", keys, args, f"event {id}")
            if reply[0] != b"paths":
                break
            paths = [tuple(json.loads(raw)) for raw in reply[1:]]
        self._clock.learn(int(reply[1]))
        if reply[0] == b"seen":
            before = await self.event(id)
            if before is not None:
                return before, False
        return Event(id, name, data, time or rfc3339(int(reply[1])), int(reply[1]), int(reply[2])), reply[0] == b"ok"

    async def event(self, id: str) -> Event | None:
        """An event that was accepted, or None."""
        return (await self._events([id]))[0]

    async def register(self, listens: dict[str, list[EventPath]]) -> None:
        """From now on events of these names are indexed at these paths too."""
        for name, paths in listens.items():
            if paths:
                await self._commit.patient_read(self._reader, ("SADD", self._keys.event_paths(name), *map(_text, paths)))

    async def since(self, index: str, start_ms: int, seen: Seen) -> AsyncIterator[Event]:
        """The events of an index that came at `start_ms` or later and were not looked at, oldest first."""
        lowest, offset = max(start_ms, seen.at_ms), 0
        while True:
            names = await self._commit.patient_read(
                self._reader, ("ZRANGE", self._keys.named(index), lowest, "+inf", "BYSCORE", "LIMIT", offset, PAGE)
            )
            fresh = [raw.decode().partition("|")[2] for raw in names if int(raw[:16]) > seen.number]
            for event in await self._events(fresh):
                if event is not None:
                    yield event
            if len(names) < PAGE:
                return
            offset += PAGE

    async def listen(
        self, move: Move, worker: str, actor: str, lane: str, due_ms: int, indexes: Sequence[tuple[str, Seen]]
    ) -> bool:
        """Let go of a frame until an event comes to an index, or `due_ms` (0: never). False: one came that was not looked at.

        Raises: Lost.
        """
        keys = (
            self._keys.ns, self._keys.run(move.rid), move.fence, move.frame,
            self._keys.results(move.rid), self._keys.log(move.rid),
        )  # fmt: skip
        flat = [part for index, seen in indexes for part in (index, seen.number)]
        args = (
            move.epoch, move.sequence, move.cursor, *move.usage, move.journal, move.rid, move.path, worker, actor, lane,
            due_ms, len(indexes), *flat, len(move.records) // 2, *move.records,
        )  # fmt: skip
        reply = await self._commit.call("listen", keys, args)
        if isinstance(reply, int):
            self._clock.learn(reply)
            return True
        if reply == b"more":
            return False
        raise Lost(reply.decode())

    async def take(self, rid: str, fence: str, epoch: int, id: str, path: str) -> bool:
        """Whether the wait at `path` has the event now: it is the first of its run that takes it. Raises Lost."""
        keys = (self._keys.ns, self._keys.run(rid), fence)
        reply = (await self._commit.call("take_event", keys, (epoch, id, path))).decode()
        if reply in ("fenced", "gone"):
            raise Lost(reply)
        return bool(reply == "taken")

    async def newest(self, limit: int) -> list[Event]:
        """The events that came last, newest first."""
        command = ("ZREVRANGE", self._keys.named("events"), 0, limit - 1)
        names: list[bytes] = await self._commit.patient_read(self._reader, command)
        return [event for event in await self._events([raw.decode() for raw in names]) if event is not None]

    async def _events(self, ids: Sequence[str]) -> list[Event | None]:
        found: list[Event | None] = []
        for id in ids:
            row = await self._commit.patient_read(
                self._reader, ("HMGET", self._keys.event(id), "name", "data", "time", "at", "n")
            )
            name, data, time, at, number = row
            if name is None:
                found.append(None)
                continue
            at_ms = int(at)
            found.append(Event(id, name.decode(), decode(data), time.decode() or rfc3339(at_ms), at_ms, int(number)))
        return found


def index_name(name: str, path: EventPath | None = None, key: str = "") -> str:
    """An index, without the namespace."""
    return f"ev:{name}" if path is None else f"ev:{name}|{_text(path)}={key}"


def key_of(value: Value) -> str:
    """A value as the key of an index: equal values (as `==` says) have equal keys."""
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return digest(value)[:24]


def _keys_at(data: Value, paths: Sequence[EventPath]) -> list[tuple[EventPath, str]]:
    """For each path that leads somewhere in the data: the key of what is there."""
    found = []
    for path in paths:
        value = data
        for part in path:
            if not isinstance(value, dict) or part not in value:
                break
            value = value[part]
        else:
            found.append((path, key_of(value)))
    return found


def _text(path: EventPath) -> str:
    return json.dumps(path, ensure_ascii=False, separators=(",", ":"))
