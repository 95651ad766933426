"""Follow a run to its end: ask the store, feed the view, stop when the run has ended or somebody interrupts."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from redis.exceptions import RedisError

from aiflow.cli._signals import Interrupts
from aiflow.cli._text import one_line, span
from aiflow.errors import StoreError

if TYPE_CHECKING:
    from aiflow.app import App
    from aiflow.inspector import Inspector, RunInfo, RunProgress

ASK_S = 0.05  # how often the status is asked for: an end is seen at once
SHOW_S = 0.25  # how often the view is fed; a refresh of 30 rows costs 10 ms
GRACE_S = 5.0  # what running steps get after Ctrl-C
AWAY_S = 0.5  # how often a store that does not answer is asked again
AFTER_S = 2.0  # what steps of other runs get when ours has ended
MOST_RETRIES = 200  # retries remembered for the view


@dataclass
class Happenings:
    """What the journal says besides the state of the steps.

    Attributes:
        lines: journal entries that are new since the last look, without the first `told`.
        retries: path -> the entry of its last failed attempt, while the next is awaited.
        due_ms: when a waiting run goes on by itself, or None.
        waits_for: its gate, its turn, a run that it called: what an unfinished run waits for besides, or None.
        places: (step path, limit) of the steps that wait for a place of a limit.
    """

    lines: list[dict[str, Any]] = field(default_factory=list)
    retries: dict[str, dict[str, Any]] = field(default_factory=dict)
    due_ms: int | None = None
    waits_for: str | None = None
    places: list[tuple[str, str]] = field(default_factory=list)
    seen: int = 0
    told: int = 0

    def take(self, entries: list[dict[str, Any]]) -> None:
        """Take in new entries of the journal."""
        self.lines = entries[max(0, self.told - self.seen) :]
        self.seen += len(entries)
        for entry in entries:
            path = entry.get("path", "")
            if entry["event"] == "attempt_failed":
                self.retries[path] = entry
                if len(self.retries) > MOST_RETRIES:
                    del self.retries[next(iter(self.retries))]
            elif entry["event"] == "step_failed":
                self.retries.pop(path, None)

    def awaited(self, now_ms: int) -> list[dict[str, Any]]:
        """Failed attempts whose next one is still to come, the nearest first."""
        left = [one for one in self.retries.values() if one["at"] + one["retry_in_ms"] > now_ms]
        return sorted(left, key=lambda one: int(one["at"] + one["retry_in_ms"]))


class View(Protocol):
    """Shows a run while it goes on. All of it on stderr."""

    def show(self, progress: RunProgress, happenings: Happenings) -> None:
        """Called a few times a second."""

    def note(self, text: str) -> None:
        """A line that is no part of the progress."""

    def close(self) -> None:
        """Give the terminal back. A second call does nothing."""


class Quiet:
    """Shows nothing but notes on stderr."""

    def show(self, progress: RunProgress, happenings: Happenings) -> None:
        pass

    def note(self, text: str) -> None:
        from aiflow.cli._errors import say

        say(text)

    def close(self) -> None:
        pass


def make_view(quiet: bool) -> View:
    """The live tree on a terminal, lines elsewhere."""
    import os
    import sys

    if quiet:
        return Quiet()
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from aiflow.cli._live import LiveView

        return LiveView()
    from aiflow.cli._plain import PlainView

    return PlainView()


async def follow(
    app: App, rid: str, view: View, interrupts: Interrupts, *, no_wait: bool = False, told: int = 0
) -> RunInfo | None:
    """The run when it has ended (or, with `no_wait`, when only waits are left); None after an interruption.

    Args: told: entries of its journal that are old news.
    """
    happenings = Happenings(told=told)
    shown = 0.0
    away = False
    while not interrupts.asked.is_set():
        try:
            status = await app.inspector.status(rid)
            if status is None:
                raise StoreError(f"the store does not know run {rid} any more", "did it come back without its data?")
            ended = status not in ("queued", "running", "waiting")
            if ended or time.monotonic() - shown >= SHOW_S:
                await _feed(app.inspector, rid, view, happenings, status)
                shown = time.monotonic()
            idle = no_wait and status == "waiting" and not happenings.awaited(_now_ms())
            if ended or (idle and await app.inspector.only_waits(rid)):
                return await app.inspector.run(rid)
        except (RedisError, OSError) as error:
            if not away:
                away = True
                view.note(f"the store does not answer ({one_line(str(error), 90)}); waiting for it, finished work is kept")
            await interrupts.sleep(AWAY_S)
            continue
        if away:
            away = False
            view.note("the store is back")
        await interrupts.sleep(ASK_S)
    return None


async def _feed(inspector: Inspector, rid: str, view: View, happenings: Happenings, status: str | None) -> None:
    happenings.take(await inspector.journal(rid, happenings.seen))
    happenings.due_ms = await inspector.due(rid) if status == "waiting" else None
    happenings.places = await inspector.places(rid) if status == "running" else []
    progress = await inspector.progress(rid)
    if progress is not None:
        happenings.waits_for = await inspector.waits_for(progress.run) if status in ("queued", "waiting") else None
        view.show(progress, happenings)


def waiting_for(happenings: Happenings, now_ms: int) -> list[str]:
    """Why nothing seems to move, as lines for people."""
    reasons = []
    for entry in happenings.awaited(now_ms)[:3]:
        left = max(0, entry["at"] + entry["retry_in_ms"] - now_ms)
        error = entry["error"]
        reasons.append(
            f"{entry['path']}: attempt {entry['attempt'] + 1} in {span(max(1000, left))},"
            f" after {error['type']}: {one_line(error['message'], 200)}"
        )
    reasons += limit_lines(happenings.places)
    if not reasons and happenings.waits_for is not None:
        reasons.append(f"waits for {happenings.waits_for}")
    elif not reasons and happenings.due_ms is not None and happenings.due_ms > now_ms:
        from aiflow.cli._text import moment

        reasons.append(f"waiting until {moment(happenings.due_ms)}, {span(happenings.due_ms - now_ms)} from now")
    return reasons


def limit_lines(places: list[tuple[str, str]]) -> list[str]:
    """For each limit who waits for a place of it: `docs[3].ask and 12 more: waiting for limit openai`."""
    waiting: dict[str, list[str]] = {}
    for path, limit in places:
        waiting.setdefault(limit, []).append(path)
    return [
        f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}: waiting for limit {limit}"
        for limit, paths in waiting.items()
    ]


def _now_ms() -> int:
    return int(time.time() * 1000)


class NotesHandler(logging.Handler):
    """Lets the program's own log lines out through the view, so that they do not break its picture."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._view.note(one_line(f"{record.levelname.lower()}: {record.getMessage()}", 300))
        except Exception:
            self.handleError(record)


def show_logs(view: View, verbose: bool) -> None:
    """Send warnings (with `verbose`: everything) of aiflow to the view."""
    logger = logging.getLogger("aiflow")
    logger.setLevel(logging.DEBUG if verbose else logging.ERROR)
    logger.propagate = False
    logger.handlers[:] = [NotesHandler(view)]
    logging.getLogger("dramatiq").setLevel(logging.INFO if verbose else logging.CRITICAL + 1)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


async def settle_down(coroutine: Any, seconds: float) -> None:
    """Await the end of something that must not keep the command from ending."""
    try:
        await asyncio.wait_for(coroutine, seconds)
    except TimeoutError:
        pass
