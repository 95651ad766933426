"""Steps for runs inside the test's own process: every call is one entry in `effects`."""

from __future__ import annotations

import asyncio
from typing import Any

effects: list[str] = []
"""`run id:path` of each call, in order."""

mended: set[str] = set()
"""Run ids whose broken steps work now."""


async def effect(ctx: Any, first_fail: int = 0, broken: bool = False, value: Any = None) -> Any:
    """One effect. Fails in its first `first_fail` attempts; `broken`: until the run is mended."""
    effects.append(ctx.key)
    await asyncio.sleep(0)
    if ctx.attempt <= first_fail or (broken and ctx.run.id not in mended):
        raise RuntimeError(f"attempt {ctx.attempt}")
    return value


async def once(ctx: Any) -> None:
    """Fails the first time it is called at this place."""
    effects.append(ctx.key)
    if effects.count(ctx.key) == 1:
        raise RuntimeError("the first time")
