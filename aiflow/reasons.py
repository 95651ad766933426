"""Why a run that has not ended does not move, in words: its gate, its turn, a run that it called. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiflow.store.keys import Keys, member

if TYPE_CHECKING:
    from aiflow.inspector import RunInfo


async def reason(reader: Any, keys: Keys, info: RunInfo) -> str | None:
    """What the run waits for, completing "waits for ...", or None when it is no other run and no turn."""
    if not info.is_open:
        return None
    if info.status == "queued":
        return await _to_begin(reader, keys, info)
    called = await reader.smembers(keys.run(info.run_id) + ":kids")
    if len(called) == 1:
        (path,) = called
        return await _called(reader, keys, info.run_id, path.decode())
    return f"{len(called)} runs that it called" if called else None


async def _to_begin(reader: Any, keys: Keys, info: RunInfo) -> str | None:
    gate, limit = await reader.hmget(keys.run(info.run_id), "G", "gl")
    if gate is not None:
        key = keys.gate(gate.decode())
        place = await reader.zrank(key + ":q", info.run_id)
        if place is not None:
            return f"its `concurrency`: {await reader.zcard(key)} of {int(limit)} at work, {place} before it"
    due = await reader.zscore(keys.named("timers"), member(info.run_id, ""))
    if due is None:
        return None
    from aiflow.clock import rfc3339

    return f"its turn at {rfc3339(int(due))} (`throttle`)"


async def _called(reader: Any, keys: Keys, rid: str, frame: str) -> str | None:
    child = await reader.hget(keys.frame(rid, frame), "k")
    if child is None:
        return None
    from msgspec.json import decode

    name, meta = await reader.hmget(keys.run(child.decode()), "wf", "meta")
    step = decode(meta)["caller"]["path"] if meta else frame
    return f"run {child.decode()} of {(name or b'?').decode()}, which it called at {step}"
