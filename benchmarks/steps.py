"""The step functions that the benchmark workflows call."""

from __future__ import annotations

import time


async def noop() -> dict[str, int]:
    """A checkpointed step that does nothing."""
    return {"ok": 1}


async def stamp() -> float:
    """When the step began, in seconds since 1970."""
    return time.time()


async def hold(marker: str) -> float:
    """Write a line when it begins, then wait: for the takeover of a killed worker."""
    import asyncio

    with open(marker, "a") as stream:
        stream.write(f"{time.time()}\n")
    await asyncio.sleep(3600)
    return 0.0
