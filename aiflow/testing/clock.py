"""Virtual time: it stands still while anything is at work, and jumps to the next moment that somebody waits for."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import selectors
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from aiflow.clock import StoreClock

LEAST_REAL_S = 10.0
"""A step that really runs may take at least so long, however short its `timeout`: a test must not hang, nor depend on
how busy the machine is."""


class VirtualClock(StoreClock):
    """The time of one test, in ms since 1970. Moved by `move`, and by nothing else."""

    virtual = True

    def __init__(self, start_ms: int) -> None:
        super().__init__()
        self._now_ms = start_ms
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._deadlines: dict[int, tuple[int | None, asyncio.Timeout]] = {}

    def learn(self, redis_ms: int) -> None:
        """Nothing: the scripts have their time from here."""

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep(self, seconds: float) -> None:
        """Until the clock was moved so far."""
        due = self._now_ms + max(1, round(seconds * 1000))
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (due, next(self._order), future))
        await future

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[asyncio.Timeout]:
        """As `asyncio.timeout`: after so much virtual time, or for what hangs really."""
        return self._timeout(seconds)

    @contextlib.asynccontextmanager
    async def _timeout(self, seconds: float) -> AsyncIterator[asyncio.Timeout]:
        number, due = next(self._order), self._now_ms + round(seconds * 1000)
        async with asyncio.timeout(max(seconds, LEAST_REAL_S)) as limit:
            self._deadlines[number] = (due, limit)
            try:
                yield limit
            finally:
                del self._deadlines[number]

    def restart(self, limit: asyncio.Timeout, seconds: float | None) -> None:
        super().restart(limit, None if seconds is None else max(seconds, LEAST_REAL_S))
        due = None if seconds is None else self._now_ms + round(seconds * 1000)
        for number in [number for number, (_, one) in self._deadlines.items() if one is limit]:
            self._deadlines[number] = (due, limit)

    @property
    def next_due(self) -> int | None:
        """The next moment that somebody in this process waits for."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        dues = [due for due, _ in self._deadlines.values() if due is not None]
        if self._sleepers:
            dues.append(self._sleepers[0][0])
        return min(dues, default=None)

    def move(self, now_ms: int) -> None:
        """Set the time; who waits for it is woken by `wake_sleepers` and `strike_deadlines`."""
        self._now_ms = max(self._now_ms, now_ms)

    def wake_sleepers(self) -> bool:
        """End the sleeps that are over; whether there were any."""
        woken = False
        while self._sleepers and self._sleepers[0][0] <= self._now_ms:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)
                woken = True
        return woken

    def strike_deadlines(self) -> None:
        """End what has reached its time limit."""
        now = asyncio.get_running_loop().time()
        for due, limit in list(self._deadlines.values()):
            if due is not None and due <= self._now_ms and not limit.expired():
                limit.reschedule(now)


class IdleLoop(asyncio.SelectorEventLoop):
    """An event loop that says when it would sleep: nothing in it can go on before something comes from outside.

    `on_idle`: called then; gives whether it made something ready.
    """

    def __init__(self) -> None:
        self._idle_selector = _IdleSelector()
        super().__init__(self._idle_selector)

    @property
    def on_idle(self) -> list[Callable[[], bool]]:
        return self._idle_selector.watchers


class _IdleSelector(selectors.DefaultSelector):
    """The loop asks its selector to wait only when nothing is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.watchers: list[Callable[[], bool]] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            woken = [watch() for watch in self.watchers]  # all of them: no test waits for another
            timeout = 0 if any(woken) else timeout
        return super().select(timeout)
