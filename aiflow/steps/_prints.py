"""What a user's function prints or logs goes to the run's log, told apart by context variable, not by time."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, TextIO, cast

MOST_LINES = 1_000
"""Lines of one attempt that are kept: the log is for people."""
MOST_CHARS = 4_000
"""Characters of a line that are kept."""

Log = Callable[..., None]

_current: ContextVar[Printed | None] = ContextVar("aiflow_printed", default=None)
_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warning"), (logging.INFO, "info"), (0, "debug"))


class Printed:
    """Collects one attempt's prints into lines."""

    __slots__ = ("_log", "_parts", "_lines")

    def __init__(self, log: Log) -> None:
        self._log = log
        self._parts: dict[str, str] = {}
        self._lines = 0

    def write(self, text: str, level: str) -> None:
        whole = self._parts.get(level, "") + text
        *lines, rest = whole.split("\n")
        self._parts[level] = rest
        for line in lines:
            self.line(line, level)

    def line(self, text: str, level: str) -> None:
        self._lines += 1
        if self._lines <= MOST_LINES:
            self._log(text[:MOST_CHARS], level=level)
        elif self._lines == MOST_LINES + 1:
            self._log(f"more than {MOST_LINES} lines; the rest is left out", level="warning")

    def finish(self) -> None:
        """Write out the lines that were begun."""
        for level, rest in self._parts.items():
            if rest:
                self.line(rest, level)
        self._parts.clear()


class _Stream:
    """Stands in for stdout or stderr; goes through to it outside of steps."""

    def __init__(self, through: TextIO, level: str) -> None:
        self._through = through
        self._level = level

    def write(self, text: str, /) -> int:
        printed = _current.get()
        if printed is None:
            return self._through.write(text)
        printed.write(text, self._level)
        return len(text)

    def flush(self) -> None:
        if _current.get() is None:
            self._through.flush()

    def isatty(self) -> bool:
        return _current.get() is None and self._through.isatty()

    def writelines(self, lines: Iterable[str], /) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._through, name)


class _Handler(logging.Handler):
    """Takes log records of steps; others go where they went before it was there."""

    def emit(self, record: logging.LogRecord) -> None:
        printed = _current.get()
        if printed is not None:
            level = next(name for number, name in _LEVELS if record.levelno >= number)
            printed.line(f"{record.name}: {record.getMessage()}", level)
        elif len(logging.root.handlers) == 1 and logging.lastResort is not None:
            if record.levelno >= logging.lastResort.level:
                logging.lastResort.handle(record)


_handler = _Handler()


def begin(log: Log) -> Printed:
    """From here on, in this context, prints and log records go to `log`. End with `end`."""
    if type(sys.stdout) is not _Stream:
        _install()
    printed = Printed(log)
    _current.set(printed)
    return printed


def end(printed: Printed) -> None:
    """Back to the terminal."""
    _current.set(None)
    if printed._parts:
        printed.finish()


def _install() -> None:
    sys.stdout = cast(TextIO, _Stream(sys.stdout, "info"))
    if type(sys.stderr) is not _Stream:
        sys.stderr = cast(TextIO, _Stream(sys.stderr, "warning"))
    if _handler not in logging.root.handlers:
        if not logging.root.handlers and logging.root.level == logging.WARNING:
            logging.root.setLevel(logging.INFO)  # nobody has set logging up: what steps say at INFO is wanted
        logging.root.addHandler(_handler)
