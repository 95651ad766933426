"""Keeps several worker processes alive: who dies is started again, the others are left alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from dataclasses import dataclass, field

from aiflow.cli._signals import Interrupts

log = logging.getLogger("aiflow.supervisor")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
HEALTHY_S = 30.0  # who lived so long starts again without a pause
EXTRA_S = 10.0  # after the grace: closing connections, giving the lease back
SETUP_FAULT = 2  # exit code: another start would not help


@dataclass
class Slot:
    """One place for a worker process."""

    number: int
    deaths: int = 0
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)


async def supervise(command: list[str], processes: int, grace_s: float) -> int:
    """Run `command` so many times side by side until a signal comes; the exit code."""
    slots = [Slot(number) for number in range(1, processes + 1)]

    def kill_all() -> None:
        _signal(slots, signal.SIGKILL)

    with Interrupts(lambda: _signal(slots, signal.SIGTERM), kill_all) as interrupts:
        log.info("starting %d workers", processes)
        keepers = [asyncio.create_task(_keep(slot, command, interrupts)) for slot in slots]
        try:
            codes = await _ends(keepers, interrupts, slots)
        finally:
            await _end(slots, keepers, grace_s)
    log.info("all workers stopped")
    return max(codes, default=0)


async def _ends(keepers: list[asyncio.Task[int]], interrupts: Interrupts, slots: list[Slot]) -> list[int]:
    """Wait for a signal, or for a worker that says its setup is wrong."""
    asked = asyncio.create_task(interrupts.asked.wait())
    done, _ = await asyncio.wait([asked, *keepers], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    codes = [keeper.result() for keeper in keepers if keeper in done]
    if not interrupts.asked.is_set():
        interrupts.asked.set()
        _signal(slots, signal.SIGTERM)
    return codes


async def _keep(slot: Slot, command: list[str], interrupts: Interrupts) -> int:
    """Start a worker, wait for its end, start it again; 0 after a signal, or the code of a wrong setup."""
    while not interrupts.asked.is_set():
        began = time.monotonic()
        slot.process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, start_new_session=True
        )
        log.info("worker %d is process %d", slot.number, slot.process.pid)
        code = await slot.process.wait()
        if interrupts.asked.is_set():
            return 0
        if code == SETUP_FAULT:
            log.error("worker %d says that the setup is wrong: all workers end", slot.number)
            return SETUP_FAULT
        slot.deaths = 0 if time.monotonic() - began > HEALTHY_S else slot.deaths + 1
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (slot.deaths - 1)) if slot.deaths else 0.0
        log.error("worker %d (process %d) ended with %s; again in %g s", slot.number, slot.process.pid, _way(code), pause)
        await interrupts.sleep(pause)
    return 0


def _way(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def _signal(slots: list[Slot], number: signal.Signals) -> None:
    for slot in slots:
        if slot.process is not None and slot.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(slot.process.pid, number)


async def _end(slots: list[Slot], keepers: list[asyncio.Task[int]], grace_s: float) -> None:
    """Everybody gets the grace, then is killed."""
    living = [slot for slot in slots if slot.process is not None and slot.process.returncode is None]
    _, late = await asyncio.wait(keepers, timeout=grace_s + EXTRA_S)
    if late:
        log.error("%d workers did not stop in time and are killed", len(late))
        _signal(living, signal.SIGKILL)
        await asyncio.wait(late, timeout=5)
