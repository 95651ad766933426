"""Time: milliseconds UTC as integers, RFC 3339 for people, and Redis's time without asking Redis."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime


def rfc3339(ms: int) -> str:
    """A moment as text, UTC with milliseconds: `2026-03-01T09:00:00.000Z`."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ms % 1000:03d}Z"


class StoreClock:
    """Redis's time, estimated from its last reply and this process's monotonic clock.

    Only for timestamps that people read; what decides anything reads `TIME` inside a script.
    """

    virtual = False
    """Whether time only moves when nothing is at work, and no other process is at work at the store."""

    def __init__(self) -> None:
        self._offset_ms = (time.time() - time.monotonic()) * 1000

    def learn(self, redis_ms: int) -> None:
        """Take over the time that a script's reply carried."""
        self._offset_ms = redis_ms - time.monotonic() * 1000

    def now_ms(self) -> int:
        """Redis's time now, in ms since 1970."""
        return int(time.monotonic() * 1000 + self._offset_ms)

    async def sleep(self, seconds: float) -> None:
        """Sit out a short wait: before a retry, for a place under a rate."""
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[asyncio.Timeout]:
        """`asyncio.timeout`."""
        return asyncio.timeout(seconds)

    def restart(self, limit: asyncio.Timeout, seconds: float | None) -> None:
        """Let a `timeout` begin anew; None: let it stand still."""
        limit.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)
