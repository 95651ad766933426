"""Time: milliseconds UTC as integers, RFC 3339 for people, and Redis's time without asking Redis."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

JUMP_MS = 1_000  # a reply that is so far behind was not late: the server's clock was set
FADES = 0.001  # ms for each ms; quartz is a tenth of that off at worst


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
        self._learnt_ms = -math.inf  # monotonic

    def learn(self, redis_ms: int) -> None:
        """Take over the time that a script's reply carried.

        A reply that was long on its way says too little, so the one that says most counts, and time does not go back:
        a step has no end before its start. That one fades, by 1 ms at a time at most, faster than clocks drift apart.
        """
        now_ms = time.monotonic() * 1000
        offset_ms = redis_ms - now_ms
        faded_ms = (now_ms - self._learnt_ms) * FADES
        kept_ms = self._offset_ms - (faded_ms if faded_ms == math.inf else min(faded_ms, 1))
        self._offset_ms = offset_ms if offset_ms < kept_ms - JUMP_MS else max(offset_ms, kept_ms)
        self._learnt_ms = now_ms

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
