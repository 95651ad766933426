"""`throttle`: a step waits for its turn. Rates (starts per time) and places (`at_once`) are shared by all workers of the store.

A place is held while an attempt, or a block's own frame, is at work, and given back however that ends. **A frame that
waits for anything holds none**: so two blocks that need each other's limit cannot block each other, and a block that
sleeps for days, or whose items run elsewhere, keeps nobody out.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiflow.engine.limits import Limit, limit_of
from aiflow.errors import StoreError
from aiflow.language.model import static_path
from aiflow.plan import CompiledStep
from aiflow.store.places import UNKNOWN, PlaceStore, token

if TYPE_CHECKING:
    from aiflow.engine.host import Host
    from aiflow.engine.run import RunContext
    from aiflow.engine.writing import Writing

CALL_S = 2.0  # how long one blocking read for calls takes at most
RECHECK_S = 5.0  # so often those that wait look by themselves: a call may have been lost with a connection


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a limit, held."""

    limit: Limit
    token: str


class Turns:
    """The waiting of one process. At most one connection blocks for all that wait for places."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._store = PlaceStore(host.commit, host.keys, host.worker, host.store.read, self._wake)
        self._numbers = itertools.count()
        self._first: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: dict[str, tuple[Limit, asyncio.Future[bool]]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._sleeps: set[asyncio.Future[None]] = set()
        self._stopped = False

    def stop(self) -> None:
        """This process stops: nobody's turn comes any more."""
        self._stopped = True
        for sleep in self._sleeps:
            sleep.cancel()
        for _, called in self._waiting.values():
            if not called.done():
                called.set_result(False)
        if self._listener is not None:
            self._listener.cancel()

    def limit(self, cs: CompiledStep, path: str, run: RunContext, throttle: str) -> Limit | None:
        """What limits a step; None for calls that the offline models answer."""
        limit = limit_of(throttle, self._host.settings.limits, f"{run.plan.workflow.name}.{static_path(path)}")
        return None if limit is None or self._host.offline(cs, run) else limit

    async def rate(self, limit: Limit) -> bool:
        """Wait until a start is allowed; False when this process stops first. Only the first of those that wait here asks."""
        assert limit.rate is not None
        async with self._first[limit.name]:
            while not self._stopped and (wait_us := await self._host.store.throttle(limit.name, *limit.rate)):
                sleep = asyncio.ensure_future(self._host.clock.sleep(wait_us / 1e6))
                self._sleeps.add(sleep)
                try:
                    await asyncio.wait([sleep])
                finally:
                    sleep.cancel()
                    self._sleeps.discard(sleep)
        return not self._stopped

    async def place(self, limit: Limit, rid: str, path: str) -> Place | None:
        """Wait for a place; None when this process stops first."""
        place = Place(limit, token(self._host.worker, next(self._numbers), rid, path))
        called: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[place.token] = (limit, called)  # before it asks: the call may come with the answer
        try:
            if await self._take(place) or await self._called(called):
                return place
        except BaseException:
            self.give_back(place)
            raise
        finally:
            del self._waiting[place.token]
        self.give_back(place)
        return None

    def give_back(self, place: Place) -> None:
        """The next in the line gets it."""
        assert place.limit.at_once is not None
        self._store.leave(place.limit.name, place.limit.at_once, place.token)

    async def _take(self, place: Place) -> bool:
        assert place.limit.at_once is not None
        while (taken := await self._store.take(place.limit.name, place.limit.at_once, place.token)) == UNKNOWN:
            if self._host.on_unknown is None:
                raise StoreError("this worker is not registered in the store")
            await self._host.on_unknown()
        return taken == 1

    async def _called(self, called: asyncio.Future[bool]) -> bool:
        """In the line: until it has its place (True) or this process stops."""
        if self._stopped:
            return False
        # Who is alone at the store hears of every place by giving back the one before.
        if not self._host.clock.virtual and (self._listener is None or self._listener.done()):
            self._listener = asyncio.create_task(self._listen(), name="places")
        return await called

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        recheck = loop.time() + RECHECK_S
        while self._waiting:
            for name in await self._store.called(CALL_S):
                self._wake(name)
            if loop.time() > recheck:
                for name, (limit, _) in list(self._waiting.items()):
                    if await self._take(Place(limit, name)):
                        self._wake(name)
                recheck = loop.time() + RECHECK_S

    def _wake(self, name: str) -> None:
        if name in self._waiting and not self._waiting[name][1].done():
            self._waiting[name][1].set_result(True)


class FrameTurns:
    """The turns of one frame, which holds one place at most.

    Attributes: under: limits with places of the blocks that are open, from outside in.
    """

    __slots__ = ("_frame", "_held", "under")

    def __init__(self, frame: Writing) -> None:
        self._frame = frame
        self._held: Place | None = None
        self.under: list[Limit] = []

    def limit(self, cs: CompiledStep, path: str, attempt: int) -> Limit | None:
        """What limits a step by its own `throttle`. Raises ExpressionError."""
        if cs.throttle is None:
            return None
        throttle = cs.throttle.evaluate(self._frame.scope(cs, path, attempt))
        return self._frame.host.turns.limit(cs, path, self._frame.run, str(throttle))

    async def wait(self, own: Limit | None, path: str) -> None:
        """Until a step may start: a place of its own limit, else of the block's around it; then its own rate.

        Raises Leave: this process stops.
        """
        turns = self._frame.host.turns
        limit = own if own is not None and own.at_once is not None else self.under[-1] if self.under else None
        if limit is not None and (self._held is None or self._held.limit.name != limit.name):
            self.give_back()
            await self._durable()
            self._held = await turns.place(limit, self._frame.run.rid, path)
            if self._held is None:
                await self._frame.leave(0)
        if own is not None and own.rate is not None:
            await self._durable()
            if not await turns.rate(own):
                await self._frame.leave(0)

    def ended(self) -> None:
        """An attempt is over: its place goes back, unless it is that of the block around it."""
        if self._held is not None and (not self.under or self.under[-1].name != self._held.limit.name):
            self.give_back()

    def give_back(self) -> None:
        """Hold nothing."""
        if self._held is not None:
            self._frame.host.turns.give_back(self._held)
            self._held = None

    async def _durable(self) -> None:
        """What was done before is not at risk while this waits."""
        if self._frame.pending or self._frame.lines:
            await self._frame.flush()
