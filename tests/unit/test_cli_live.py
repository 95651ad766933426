"""The live view: what matters fits on the terminal, however long the names are."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from rich.console import Console

from aiflow.cli._follow import Happenings
from aiflow.cli._live import LiveView
from aiflow.inspector import Progress, RunInfo, RunProgress

LONG = "a_step_whose_name_is_as_long_as_it_may_be_in_this_language_and_more"


def picture(steps: list[Progress], happenings: Happenings, width: int = 80, height: int = 24) -> list[str]:
    """The lines that are drawn."""
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    view = LiveView(console)
    usage = {"tokens_in": 1_200_000, "tokens_out": 300_000, "cost": 0.41, "calls": 4_776}
    run = RunInfo("R", "doc_ingest", "v", "running", {}, None, None, int(time.time() * 1000) - 5000, 1, None, usage, {})
    with console.capture() as shown:
        console.print(view._picture(RunProgress(run, steps), happenings))
    return shown.get().splitlines()


def fan(name: str, **facts: Any) -> Progress:
    return Progress(name, name, "each", facts.pop("depth", 0), "running", **facts)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_long_names_give_way_to_what_happens(width: int) -> None:
    steps = [
        Progress(LONG, LONG, "shell", 0, "ok", started_ms=1000, finished_ms=2500),
        fan("docs", total=300, done=41, failed=12),
        fan(f"docs.{LONG}", depth=1, total=1_100, done=203),
        Progress("done", "done", "set", 0, "pending"),
    ]
    lines = picture(steps, Happenings(), width)
    assert all(len(line) <= width for line in lines)
    assert "4,776 model calls" in lines[0] and "$0.41" in lines[0] + lines[1]
    long, docs, inner, _ = lines[-4:]
    assert "a_step" in long and "1.5 s" in long
    assert "41/300" in docs and "12 failed" in docs and "━" in docs
    assert "203/1,100" in inner and "━" in inner


def test_a_reason_to_wait_takes_one_line_and_says_first_when_it_goes_on() -> None:
    happenings = Happenings()
    error = {"type": "connection", "message": "no connection to `127.0.0.1:9`: " + "reset " * 40}
    at = int(time.time() * 1000)
    happenings.take(
        [{"event": "attempt_failed", "path": f"a{n}", "attempt": 1, "at": at, "retry_in_ms": 60_000, "error": error} for n in range(5)]
    )
    lines = picture([Progress("a0", "a0", "http", 0, "running")], happenings)
    assert len(lines) == 5 and all(len(line) <= 80 for line in lines)
    assert lines[2].startswith("  ↻ a0: attempt 2 in ") and lines[2].endswith("…")


def test_of_a_long_list_the_part_that_runs_is_shown() -> None:
    steps = [Progress(f"s{n}", f"s{n}", "set", 0, "ok" if n < 50 else "running" if n == 50 else "pending") for n in range(100)]
    lines = picture(steps, Happenings())
    assert len(lines) <= 24
    assert any("s50" in line for line in lines) and any("above" in line for line in lines) and any("below" in line for line in lines)
