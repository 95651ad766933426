"""The view on a terminal: the steps as a tree with marks, bars for fan-outs, cost and time on top."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aiflow.cli._follow import Happenings, waiting_for
from aiflow.cli._text import MARKS, count, money, one_line, span

if TYPE_CHECKING:
    from aiflow.inspector import Progress, RunProgress

BAR = 24  # columns, fewer on a narrow terminal
GAP = 2  # columns behind each column
SPARE = 6  # lines of the terminal that the tree leaves free
SHORTEST = 12  # columns that a name gets, however narrow the terminal is


class LiveView:
    """One picture on stderr, drawn anew at most five times a second."""

    def __init__(self, console: Console | None = None) -> None:
        no_color = True if os.environ.get("NO_COLOR") else None
        self._console = console or Console(stderr=True, highlight=False, no_color=no_color)
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._open = False
        self._begun: dict[str, float] = {}
        self._took: dict[str, int] = {}
        self._logged: list[str] = []

    def show(self, progress: RunProgress, happenings: Happenings) -> None:
        if not self._open:
            self._live.start()
            self._open = True
        for entry in happenings.lines:
            if entry["event"] == "log":
                self.note(f"{entry['path']}: {entry['text']}")
            elif entry["event"] == "blob_waits":
                self.note(f"{entry['path']}: {entry['text']}; trying again")
            elif entry["event"] == "worker_lost":
                self.note(f"a worker was lost in {entry['path'] or 'the run'}; another goes on")
        self._live.update(self._picture(progress, happenings), refresh=True)

    def note(self, text: str) -> None:
        self._console.print(Text(one_line(text, 500)))

    def close(self) -> None:
        if self._open:
            self._open = False
            self._live.stop()

    def _picture(self, progress: RunProgress, happenings: Happenings) -> Group:
        for line in progress.steps:
            self._clock(line)
        parts: list[Text | Table] = [self._head(progress), self._tree(progress, set(happenings.retries))]
        if progress.run.is_open:
            reasons = waiting_for(happenings, int(time.time() * 1000))
            parts += [Text(f"  ↻ {reason}", "yellow", no_wrap=True, overflow="ellipsis") for reason in reasons]
        return Group(*parts)

    def _head(self, progress: RunProgress) -> Text:
        run, usage = progress.run, progress.run.usage
        end = run.finished_ms or int(time.time() * 1000)
        head = Text.assemble((run.workflow, "bold"), "  ", (run.status, _style(run.status)))
        facts = [span(max(0, end - run.created_ms))]
        if usage["calls"]:
            facts += [count(usage["calls"], "model call"), f"{usage['tokens_in'] + usage['tokens_out']:,} tokens"]
            facts.append("offline" if run.meta.get("offline") else money(usage["cost"]))
        head.append("  " + " · ".join(facts), "dim")
        return head

    def _tree(self, progress: RunProgress, retried: set[str]) -> Table:
        grid = Table.grid(padding=(0, GAP, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        shown, above, below = _window(progress.steps, max(5, self._console.height - SPARE))
        if above:
            grid.add_row(Text(f"  … {above} above", "dim"), "", "")
        width = min(BAR, self._console.width // 4)
        rows = [(line, _bar(line, width), self._facts(line)) for line in shown]
        taken = max(len(bar) for _, bar, _ in rows) + max(len(facts) for _, _, facts in rows) + 3 * GAP if rows else 0
        for line, bar, facts in rows:
            status = line.status
            if status == "running":
                status = "retrying" if line.path in retried else "waiting" if progress.run.status == "waiting" else status
            sign, style = MARKS.get(status, ("?", "yellow"))
            name = Text.assemble("  " * (line.depth + 1), (sign, style), " ", line.label)
            if line.status in ("pending", "skipped"):
                name.stylize("dim")
            name.truncate(max(SHORTEST, self._console.width - taken), overflow="ellipsis")
            grid.add_row(name, bar, facts)
        if below:
            grid.add_row(Text(f"  … {below} below", "dim"), "", "")
        return grid

    def _facts(self, line: Progress) -> Text:
        text = Text(style="dim")
        if line.total is not None:
            text.append(f"{line.done:,}/{line.total:,}  ", "default")
            if line.failed:
                text.append(f"{line.failed:,} failed  ", "red")
        if line.note:
            text.append(f"{line.note}  ")
        if line.status == "skipped":
            text.append("skipped")
        elif line.path in self._took and line.depth == 0:
            text.append(span(self._took[line.path]))
        return text

    def _clock(self, line: Progress) -> None:
        """How long each step has taken: what the record says, or what we saw of it."""
        now = time.monotonic()
        if line.status == "running":
            self._begun.setdefault(line.path, now)
            self._took[line.path] = int((now - self._begun[line.path]) * 1000)
        elif line.finished_ms is not None:
            self._took[line.path] = line.finished_ms - (line.started_ms or line.finished_ms)


def _style(status: str) -> str:
    return MARKS.get(status, ("", "yellow"))[1]


def _bar(line: Progress, width: int) -> Text | str:
    if not line.total or line.status not in ("running", "failed"):
        return ""
    full = round(width * min(1.0, line.done / line.total))
    bad = min(full, max(1, round(width * line.failed / line.total))) if line.failed else 0
    return Text.assemble(("━" * (full - bad), "green"), ("━" * bad, "red"), ("─" * (width - full), "dim"))


def _window(steps: list[Progress], height: int) -> tuple[list[Progress], int, int]:
    """The part of a long list around what runs now: (lines, how many above, how many below)."""
    if len(steps) <= height:
        return steps, 0, 0
    running = next((n for n, line in enumerate(steps) if line.status == "running"), len(steps) - 1)
    first = max(0, min(running - height // 2, len(steps) - height))
    return steps[first : first + height], first, len(steps) - first - height
