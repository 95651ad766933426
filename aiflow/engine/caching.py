"""`cache`: the result of an equal call of an earlier run, kept by the digest of what was asked.

What makes two calls equal is said by the kind (`Context.cached`), what a result is worth here: it is not too old, its blob
and its files are still there, unchanged. Two equal calls at the same time in one process are one call. Over processes
they are two: the later result stays. What is kept has *** where a secret stood, as the record of the step has.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from aiflow.clock import rfc3339
from aiflow.engine.limits import Limit
from aiflow.errors import StepError, StoreError
from aiflow.plan import CompiledStep
from aiflow.settings import Settings
from aiflow.steps._kind import Ask, Done, Identity, Usage
from aiflow.steps._threads import in_thread
from aiflow.store.blobs import BlobStore
from aiflow.store.cache import CacheStore
from aiflow.store.records import Record, decode_record, encode_record
from aiflow.values import File, decode, digest, encode, file_from, files_in

if TYPE_CHECKING:
    from aiflow.engine.attempts import Attempts

log = logging.getLogger(__name__)

KEPT_MS = 30 * 86_400_000
"""How long `cache: true` keeps a result, ms: a month, as runs are kept."""

FORM = 1
"""Raised when entries of before can no longer be read."""


@dataclass(slots=True)
class Flight:
    """A call that is being made; who asks the same waits for it.

    Attributes:
        begun: it had its turn.  landed: (result, when it was made, ms), or the error, or None: ask yourself.
    """

    timeout_ms: int | None
    begun: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    landed: asyncio.Future[tuple[Done, int] | StepError | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def land(self, with_: tuple[Done, int] | StepError | None) -> None:
        """Tell those who wait. The first word counts."""
        for future, said in ((self.begun, None), (self.landed, with_)):
            if not future.done():
                future.set_result(said)  # type: ignore[arg-type]


class Cache:
    """The kept results, and the calls in flight of one process."""

    def __init__(self, store: CacheStore, blobs: BlobStore, settings: Settings) -> None:
        self._store = store
        self._blobs = blobs
        self._settings = settings
        self.flights: dict[str, Flight] = {}

    async def find(self, key: str, max_age_ms: int, not_before_ms: int) -> tuple[Done, int] | None:
        """A kept result that is still worth something, and when it was made."""
        found = await self._store.get(key, max_age_ms, not_before_ms)
        if found is None:
            return None
        raw, made_ms = found
        try:
            record = decode_record(raw)
            if record.blob is not None:
                record.output = decode(raw := await self._blobs.get(record.blob["$blob"]))
        except (StoreError, msgspec.DecodeError) as error:
            log.debug("a kept result is of no use: %s", error)
            return None
        if b'"$file"' in raw and not await in_thread(self._unchanged, list(files_in(record.output))):
            return None
        return _reused(record), made_ms

    async def keep(self, key: str, record: Record, keep_ms: int) -> None:
        """Keep a result. One that the store cannot take now is not kept."""
        try:
            raw = encode_record(record)
            if len(raw) > self._settings.blob_limit:
                blob = await self._blobs.put(encode(record.output))
                raw = encode_record(msgspec.structs.replace(record, output=None, blob={**blob}))
            await self._store.put(key, raw, keep_ms)
        except TypeError:
            pass  # no JSON: the checkpoint will say so
        except StoreError as error:
            log.warning("a result was not kept for later runs: %s", error.message)

    def _unchanged(self, files: list[File]) -> bool:
        """Whether the files are as they were. Blocks."""
        try:
            return all(file_from(self._settings.root / file.path, file.path).sha256 == file.sha256 for file in files)
        except OSError:
            return False


class CachedStep:
    """`Context.cached` of one attempt. Its turn (`throttle`) is waited for when it is known that there is nothing to reuse.

    Args: limit: what it waits for, if anything.  own_time: the clock of the step's own `timeout`, which stands still meanwhile.
    """

    def __init__(
        self, frame: Attempts, cs: CompiledStep, path: str, limit: Limit | None, own_time: asyncio.Timeout | None
    ) -> None:
        self._frame = frame
        self._cache = frame.host.cache
        self._cs = cs
        self._path = path
        self._limit = limit
        self._own_time = own_time

    async def turn(self) -> None:
        """Wait until the call may begin; no time of the step."""
        await self._pausing(self._frame.turns.wait(self._limit, self._path))

    async def cached(self, identity: Identity, call: Ask) -> Done:
        """`Context.cached`. Raises what `call` raises."""
        asked = await identity()
        if asked is None:
            await self.turn()
            return await call()
        key = digest([FORM, self._cs.kind.name, asked])
        flights = self._cache.flights
        while (flight := flights.get(key)) is not None:
            done = await self._together(flight)
            if done is not None:
                return done
        flight = flights[key] = Flight(self._cs.step.timeout_ms)
        try:
            found = await self._cache.find(key, self._max_age_ms, self._not_before_ms)
            if found is not None:
                flight.land(found)
                return found[0]
            await self.turn()
            flight.begun.set_result(None)
            done = await call()
            flight.land(await self._kept(key, done))
            return done
        except StepError as error:
            flight.land(error)
            raise
        finally:
            flight.land(None)
            del flights[key]

    @property
    def _max_age_ms(self) -> int:
        return self._cs.step.cache_ms or KEPT_MS

    @property
    def _not_before_ms(self) -> int:
        """A run that was started with `--fresh` takes nothing that is older than itself."""
        return self._frame.run.created_ms if self._frame.run.meta.get("fresh") else 0

    async def _kept(self, key: str, done: Done) -> tuple[Done, int]:
        """Keep a result; as others see it, and when it was made."""
        run, now_ms = self._frame.run, self._frame.clock()
        origin = {"run": run.rid, "step": self._path, "at": rfc3339(now_ms)}
        usage = None if done.usage is None else (0, 0, 0.0, 0)
        meta = {**run.masker.value(done.meta or {}), "cached": origin}
        record = Record(output=run.masker.value(done.output), usage=usage, meta=meta)
        await self._cache.keep(key, record, self._max_age_ms)
        return _reused(record), now_ms

    async def _together(self, flight: Flight) -> Done | None:
        """The result of a call that another frame makes now; None: ask yourself.

        Raises: StepError: that of the call, unless it is of the other's run or step alone (budget, timeout).
        """
        self._frame.turns.give_back()  # the other may wait for it
        await self._pausing(asyncio.wait([flight.begun]))
        await asyncio.wait([flight.landed])
        landed = flight.landed.result()
        if isinstance(landed, StepError):
            if landed.type == "budget" or (landed.type == "timeout" and flight.timeout_ms != self._cs.step.timeout_ms):
                return None
            raise _same(landed)
        if landed is None or landed[1] < self._not_before_ms or self._frame.clock() - landed[1] > self._max_age_ms:
            return None
        try:
            return replace(landed[0], output=decode(encode(landed[0].output)))
        except TypeError:
            return None

    async def _pausing(self, waiting: Coroutine[Any, Any, object]) -> None:
        """Wait while the step's own time stands still; then it begins anew."""
        if self._own_time is None:
            await waiting
            return
        clock = self._frame.host.clock
        clock.restart(self._own_time, None)
        await waiting
        assert self._cs.step.timeout_ms is not None
        clock.restart(self._own_time, self._cs.step.timeout_ms / 1000)


def _reused(record: Record) -> Done:
    """A kept result as the outcome of a step that did not have to ask."""
    return Done(record.output, None if record.usage is None else Usage(), record.meta)


def _same(error: StepError) -> StepError:
    """The error of a call for another step that waited for it; what the call cost is counted once."""
    data = {name: value for name, value in error.data.items() if name != "usage"}
    return StepError(
        error.type, error.message, data=data, transient=error.transient, retry_after_ms=error.retry_after_ms,
        hint=error.hint, traceback=error.traceback,
    )  # fmt: skip
