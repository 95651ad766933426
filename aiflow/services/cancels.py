"""Hears of cancelled runs, so that a worker drops their steps at once and not at their next checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis

from aiflow.store.commit import Commit
from aiflow.store.keys import Keys

LOOK_S = 0.3


async def watch(commit: Commit, reader: Redis, keys: Keys, cancel: Callable[[str], None]) -> None:
    """Call `cancel` with the id of every run that is cancelled from now on, for ever."""
    last = 0.0
    key = keys.named("cancels")
    newest = await commit.patient_read(reader, ("ZRANGE", key, -1, -1, "WITHSCORES"))
    if newest:
        last = float(newest[0][1] if isinstance(newest[0], list) else newest[1])
    while True:
        await asyncio.sleep(LOOK_S)
        found = await commit.patient_read(reader, ("ZRANGE", key, f"({last}", "+inf", "BYSCORE", "WITHSCORES"))
        pairs = found if found and isinstance(found[0], list) else list(zip(found[::2], found[1::2], strict=True))
        for rid, score in pairs:
            last = max(last, float(score))
            cancel(rid.decode())
