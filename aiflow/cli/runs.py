"""`aiflow runs`: list runs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import click

from aiflow.cli._errors import say
from aiflow.cli._options import (
    json_option,
    out,
    out_json,
    project_option,
    project_settings,
    stdout_colours,
    store_is_empty,
)
from aiflow.cli._text import MARKS, clean, moment, money, one_line, pad, span, tint, width_of

if TYPE_CHECKING:
    from aiflow.inspector import RunInfo
    from aiflow.settings import Settings

STATUSES = ("queued", "running", "waiting", "ok", "failed", "stopped", "cancelled", "skipped")


class Since(click.ParamType[int]):
    """A duration back from now (`2d`) or a moment."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from aiflow.durations import parse_duration, parse_moment

        try:
            return int(time.time() * 1000) - parse_duration(value)
        except ValueError as error:
            try:
                return parse_moment(value)
            except ValueError:
                self.fail(str(error), param, ctx)


@click.command(
    epilog="""\b
Examples:
  aiflow runs
  aiflow runs --status failed --since 2d
  aiflow runs --workflow doc_ingest --json | jq '.[0].outputs'
"""
)
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow.")
@click.option("--status", type=click.Choice(STATUSES), help="Only runs in this status.")
@click.option("--since", type=Since(), metavar="2d", help="Only runs started since: 30m, 2d, or 2026-11-23T09:00:00Z.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many.")
@project_option
@json_option
def runs(
    workflow: str | None, status: str | None, since: int | None, limit: int, project: str | None, as_json_: bool
) -> int:
    """List runs, newest first."""
    settings = project_settings(project)
    found: list[RunInfo] = []
    reasons: dict[str, str] = {}
    workers = 0
    if not store_is_empty(settings):
        found, reasons, workers = asyncio.run(_runs(settings, workflow, status, since, limit))
    if as_json_:
        from aiflow.cli._result import run_json

        out_json([run_json(info) for info in found])
        return 0
    if not found:
        click.echo("no runs" if workflow or status or since else "no runs yet; start one with: aiflow run FILE", err=True)
        return 0
    out("\n".join(run_lines(found, stdout_colours(), reasons)))
    if not workers and any(info.is_open for info in found):
        say("nobody works on the unfinished runs now: aiflow resume RUN, or aiflow worker")
    return 0


async def _runs(
    settings: Settings, workflow: str | None, status: str | None, since_ms: int | None, limit: int
) -> tuple[list[RunInfo], dict[str, str], int]:
    """Runs, by id what those wait for that have not ended, and how many workers there are."""
    from aiflow.app import App

    async with App(settings) as app:
        found = await app.inspector.runs(workflow=workflow, status=status, since_ms=since_ms, limit=limit)
        waits = {info.run_id: await app.inspector.waits_for(info) for info in found}
        return found, {rid: reason for rid, reason in waits.items() if reason}, await app.inspector.workers()


def run_lines(found: list[RunInfo], colour: bool, reasons: dict[str, str] | None = None) -> list[str]:
    """A table of runs with a heading. `reasons`: by run id, what it waits for."""
    now_ms = int(time.time() * 1000)
    rows = [("RUN", "STATUS", "WORKFLOW", "STARTED", "TOOK", "COST", "")]
    for info in found:
        took = (info.finished_ms or now_ms) - info.created_ms
        cost = "offline" if info.meta.get("offline") else money(info.usage["cost"]) if info.usage["calls"] else ""
        why = ""
        if info.error and info.status == "failed":
            why = f"{info.error.get('step', '')}: {info.error['type']}".lstrip(": ")
        elif reasons and info.run_id in reasons:
            why = f"waits for {reasons[info.run_id]}"
        rows.append(
            (info.run_id, info.status, clean(info.workflow), moment(info.created_ms), span(took), cost, one_line(why, 80))
        )
    widths = [max(width_of(row[n]) for row in rows) for n in range(7)]
    lines = []
    for number, row in enumerate(rows):
        cells = [pad(cell, widths[n]) for n, cell in enumerate(row)]
        if number == 0:
            lines.append(tint("  ".join(cells).rstrip(), "dim", colour))
            continue
        cells[1] = tint(cells[1], MARKS.get(row[1], ("", "dim"))[1], colour)
        lines.append("  ".join(cells).rstrip())
    return lines
