"""Running a program: its output within limits, and nothing left behind when it ends or is called off."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_OUTPUT = 10 * 1024 * 1024
"""Bytes kept of each of stdout and stderr; what comes after is read and dropped, so that the program can end."""

GRACE_S = 2.0
"""Seconds between SIGTERM and SIGKILL."""

DRAIN_S = 1.0
"""Seconds to go on reading after the program ended, when something it started still holds its output open."""


@dataclass(frozen=True)
class Finished:
    """How a program ended. `exit_code`: 128 + number for a signal. `cut`: output beyond the limit was dropped."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    cut: bool


async def run_program(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Finished:
    """Run to the end, in a session of its own without input. Whatever it started is killed afterwards.

    When cancelled, the whole group gets SIGTERM, and SIGKILL after `GRACE_S`.
    Raises: OSError: it could not be started.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    readers = [_Reader(process.stdout), _Reader(process.stderr)]
    tasks = [asyncio.ensure_future(reader.read()) for reader in readers]
    try:
        code = await process.wait()
        await asyncio.wait(tasks, timeout=DRAIN_S)
    except asyncio.CancelledError:
        await _call_off(process)
        raise
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        _close(process)
    out, err = readers
    return Finished(code if code >= 0 else 128 - code, bytes(out.kept), bytes(err.kept), out.cut or err.cut)


class _Reader:
    def __init__(self, stream: asyncio.StreamReader) -> None:
        self.stream = stream
        self.kept = bytearray()
        self.cut = False

    async def read(self) -> None:
        while chunk := await self.stream.read(256 * 1024):
            room = MOST_OUTPUT - len(self.kept)
            self.kept += chunk[:room]
            self.cut = self.cut or len(chunk) > room


async def _call_off(process: asyncio.subprocess.Process) -> None:
    _signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), GRACE_S)
    _signal_group(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), GRACE_S)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _close(process: asyncio.subprocess.Process) -> None:
    """Let go of the pipes, which something that left the group may still hold open."""
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
