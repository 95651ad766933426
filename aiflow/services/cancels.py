"""Hears of cancelled runs and branches, so that a worker drops their steps at once and not at their next checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis

from aiflow.store.commit import Commit
from aiflow.store.keys import Keys

LOOK_S = 0.3


async def watch(commit: Commit, reader: Redis, keys: Keys, cancel: Callable[[str, str, int | None], None]) -> None:
    """Call `cancel` for everything that is cancelled from now on, for ever: run id, prefix of the frames' paths ("" for the
    whole run), and the newest epoch that is meant (None for all)."""
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
            cancel(*_named(rid.decode()))


def _named(name: str) -> tuple[str, str, int | None]:
    rid, bar, rest = name.partition("|")
    prefix, _, epoch = rest.rpartition("|")
    return rid, prefix, int(epoch) if bar else None
