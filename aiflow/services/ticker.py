"""Fires timers: every worker process has one, none leads."""

from __future__ import annotations

import asyncio

from aiflow.store.commit import Commit
from aiflow.store.keys import Keys

BATCH = 500
LOOK_MS = 200  # a timer set by another process is noticed at the latest after this


async def tick(commit: Commit, keys: Keys) -> None:
    """Fire what is due, then sleep until the next one, for ever."""
    while True:
        fired, now, due = (int(one) for one in await commit.call("fire_timers", (keys.ns,), (BATCH,)))
        if fired < BATCH:
            wait = min(due - now, LOOK_MS) if due else LOOK_MS
            await asyncio.sleep(max(wait, 1) / 1000)
