"""Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from types import TracebackType

from aiflow.cli._errors import EXIT_INTERRUPTED, say

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """`with Interrupts(...) as interrupts` inside a running event loop; `interrupts.asked` is set by the first signal.

    Args: first, second: called before the end begins / before the process ends at once.
    """

    def __init__(self, first: Callable[[], None] = lambda: None, second: Callable[[], None] = lambda: None) -> None:
        self.asked = asyncio.Event()
        self._first, self._second = first, second

    def __enter__(self) -> Interrupts:
        self._loop = asyncio.get_running_loop()
        for number in SIGNALS:
            self._loop.add_signal_handler(number, self._came)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number in SIGNALS:
            self._loop.remove_signal_handler(number)

    async def sleep(self, seconds: float) -> bool:
        """Sleep, but not past a signal; whether one has come."""
        try:
            await asyncio.wait_for(self.asked.wait(), seconds)
        except TimeoutError:
            pass
        return self.asked.is_set()

    def _came(self) -> None:
        if not self.asked.is_set():
            self.asked.set()
            self._first()
            return
        self._second()
        say("ended at once")
        os._exit(EXIT_INTERRUPTED)
