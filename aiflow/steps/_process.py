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
    loop = asyncio.get_running_loop()
    transport, watched = await loop.subprocess_exec(
        _Watched,
        *argv,
        cwd=cwd,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    group = transport.get_pid()
    try:
        await watched.exited.wait()
        await _within(DRAIN_S, watched.drained)
    except asyncio.CancelledError:
        _signal_group(group, signal.SIGTERM)
        await _within(GRACE_S, watched.exited)
        raise
    finally:
        _signal_group(group, signal.SIGKILL)
        await _within(GRACE_S, watched.exited)
        transport.close()  # lets go of pipes that something outside of the group may still hold open
    code = transport.get_returncode() or 0
    return Finished(code if code >= 0 else 128 - code, bytes(watched.kept[1]), bytes(watched.kept[2]), watched.cut)


class _Watched(asyncio.SubprocessProtocol):
    """Keeps the start of the output, and knows the end of the program from the end of its output.

    asyncio's own `Process.wait` waits for both, and so for anything that was left behind in the background.
    """

    def __init__(self) -> None:
        self.kept = {1: bytearray(), 2: bytearray()}
        self.cut = False
        self.exited = asyncio.Event()
        self.drained = asyncio.Event()
        self._open = 2

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        room = MOST_OUTPUT - len(self.kept[fd])
        self.kept[fd] += data[:room]
        self.cut = self.cut or len(data) > room

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open -= 1
        if self._open == 0:
            self.drained.set()

    def process_exited(self) -> None:
        self.exited.set()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
