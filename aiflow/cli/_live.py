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

BAR = 24  # columns
SPARE = 6  # lines of the terminal that the tree leaves free


class LiveView:
    """One picture on stderr, drawn anew at most five times a second."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, no_color=True if os.environ.get("NO_COLOR") else None)
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
        parts: list[Text | Table] = [self._head(progress), self._tree(progress.steps, set(happenings.retries))]
        if progress.run.is_open:
            parts += [Text(f"  ↻ {reason}", "yellow") for reason in waiting_for(happenings, int(time.time() * 1000))]
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

    def _tree(self, steps: list[Progress], retried: set[str]) -> Table:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        shown, above, below = _window(steps, max(5, self._console.height - SPARE))
        if above:
            grid.add_row(Text(f"  … {above} above", "dim"), "", "")
        for line in shown:
            status = "retrying" if line.status == "running" and line.path in retried else line.status
            sign, style = MARKS.get(status, ("?", "yellow"))
            name = Text.assemble("  " * (line.depth + 1), (sign, style), " ", line.label)
            if line.status in ("pending", "skipped"):
                name.stylize("dim")
            grid.add_row(name, _bar(line), self._facts(line))
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


def _bar(line: Progress) -> Text | str:
    if not line.total or line.status not in ("running", "failed"):
        return ""
    full = round(BAR * min(1.0, line.done / line.total))
    bad = min(full, max(1, round(BAR * line.failed / line.total))) if line.failed else 0
    return Text.assemble(("━" * (full - bad), "green"), ("━" * bad, "red"), ("─" * (BAR - full), "dim"))


def _window(steps: list[Progress], height: int) -> tuple[list[Progress], int, int]:
    """The part of a long list around what runs now: (lines, how many above, how many below)."""
    if len(steps) <= height:
        return steps, 0, 0
    running = next((n for n, line in enumerate(steps) if line.status == "running"), len(steps) - 1)
    first = max(0, min(running - height // 2, len(steps) - height))
    return steps[first : first + height], first, len(steps) - first - height
