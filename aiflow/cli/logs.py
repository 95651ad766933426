"""`aiflow logs`: what happened in a run, line by line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from aiflow.cli._options import json_option, out, project_option, project_settings, store_is_empty
from aiflow.cli._text import as_json, clean, count, one_line, span
from aiflow.errors import RunError

if TYPE_CHECKING:
    from aiflow.inspector import Inspector, RunInfo
    from aiflow.settings import Settings

ASK_S = 0.5


@click.command(
    epilog="""\b
Examples:
  aiflow logs 01J9ZK
  aiflow logs -f                 the newest run, until it has ended
  aiflow logs 01J9ZK --json | jq 'select(.event == "attempt_failed")'
"""
)
@click.argument("run", default="last")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until the run has ended.")
@project_option
@json_option
def logs(run: str, following: bool, project: str | None, as_json_: bool) -> int:
    """Show what happened in a RUN: beginnings and ends, failed attempts, what steps printed.

    With --json one object per line: {"at", "event", "path", ...}.
    """
    settings = project_settings(project)
    if store_is_empty(settings):
        raise RunError(f"there are no runs in {settings.root}", "start one with: aiflow run FILE")
    return asyncio.run(_logs(settings, run, following, as_json_))


async def _logs(settings: Settings, text: str, following: bool, as_json_: bool) -> int:
    from aiflow.app import App

    async with App(settings) as app:
        info = await app.inspector.find(text)
        told = Told()
        while True:
            entries = await told.news(app.inspector, info)
            for entry in entries:
                out(as_json({**entry, "at": _rfc3339(entry["at"])}, indent=None) if as_json_ else line_of(entry))
            if not info.is_open or not following:
                return 0
            await asyncio.sleep(ASK_S)
            info = await app.inspector.run(info.run_id) or info


class Told:
    """What has been printed of a run, so that only news come next."""

    def __init__(self) -> None:
        self._entries = 0
        self._paths: set[str] = set()
        self._events: set[str] = set()

    async def news(self, inspector: Inspector, info: RunInfo) -> list[dict[str, Any]]:
        """New entries of the journal, steps outside of loops that ended, and the run's own beginning and end, by time."""
        journal = await inspector.journal(info.run_id, self._entries)
        self._entries += len(journal)
        news = [*journal, *self._of_run(info, journal)]
        paths = [path for path in await _single_steps(inspector, info) if path not in self._paths]
        async for path, record in inspector.records(info.run_id, paths):
            self._paths.add(path)
            entry: dict[str, Any] = {
                "at": record.finished, "event": "step_ended", "path": path, "status": record.status,
                "took_ms": record.finished - record.started,
            }  # fmt: skip
            if record.count is not None:
                entry["items"], entry["failed"] = record.count, record.failed
            news.append(entry)
        return sorted(news, key=lambda one: int(one["at"]))

    def _of_run(self, info: RunInfo, journal: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        if "created" not in self._events:
            self._events.add("created")
            yield {"at": info.created_ms, "event": "run_created", "workflow": info.workflow, "version": info.version}
        if info.started_ms and "started" not in self._events:
            self._events.add("started")
            yield {"at": info.started_ms, "event": "run_started"}
        if info.finished_ms and "ended" not in self._events:
            self._events.add("ended")
            if not any(one["event"] in ("run_failed", "run_cancelled", "run_stopped") for one in journal):
                yield {"at": info.finished_ms, "event": "run_ended", "status": info.status}


async def _single_steps(inspector: Inspector, info: RunInfo) -> list[str]:
    """Paths of the steps that run at most once: those outside of every loop."""
    from aiflow.language.model import walk_paths

    workflow = await inspector.workflow(info.version)
    return [path for path, step in walk_paths(workflow) if step.block == 0]


def line_of(entry: dict[str, Any]) -> str:
    """An entry of the journal for people: time, path, what happened."""
    ms = int(entry["at"])
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000)) + f".{ms % 1000:03d}"
    path = str(entry.get("path") or "")
    return clean(f"{clock}  {path + ': ' if path else ''}{_said(entry)}").replace("\n", " ")


def _said(entry: dict[str, Any]) -> str:
    error = entry.get("error") or {}
    what = f"{error.get('type', '')}: {one_line(error.get('message', ''), 300)}"
    match entry["event"]:
        case "run_created":
            return f"run of {entry['workflow']}, version {entry['version']}"
        case "run_started":
            return "run started"
        case "run_ended":
            return f"run ended: {entry['status']}"
        case "run_failed":
            return f"run failed: {entry.get('type', '')}: {one_line(entry.get('message', ''), 300)}"
        case "run_stopped" | "run_cancelled":
            return f"run {entry['event'].removeprefix('run_')}: {one_line(entry.get('reason', ''), 300)}"
        case "run_retried":
            return "run retried"
        case "step_ended":
            facts = [entry["status"]]
            if "items" in entry:
                facts.append(count(entry["items"], "item"))
            if entry.get("failed"):
                facts.append(f"{entry['failed']:,} failed")
            return ", ".join([*facts, *([span(entry["took_ms"])] if entry["took_ms"] else [])])
        case "attempt_failed":
            return f"attempt {entry['attempt']} failed: {what}; the next in {span(entry['retry_in_ms'])}"
        case "step_failed":
            tries = entry.get("attempt", 1)
            return f"failed after {tries} attempts: {what}" if tries > 1 else f"failed: {what}"
        case "handler_failed":
            return f"the workflow's {entry.get('list')} failed too: {what}"
        case "log":
            level = entry.get("level", "info")
            return ("" if level == "info" else f"{level}: ") + one_line(entry.get("text", ""), 1000)
        case "blob_waits":
            return f"{one_line(entry.get('text', ''), 300)}; trying again"
        case "worker_lost":
            return f"worker {entry.get('worker', '')} was lost; another goes on"
        case event:
            rest = {key: value for key, value in entry.items() if key not in ("at", "event", "path")}
            return one_line(f"{event} {as_json(rest, indent=None) if rest else ''}", 300)


def _rfc3339(ms: int) -> str:
    from aiflow.clock import rfc3339

    return rfc3339(int(ms))
