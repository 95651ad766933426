"""`aiflow show`: one run with its steps, or one step in full."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiflow.cli._options import (
    json_option,
    out,
    out_json,
    project_option,
    project_settings,
    stdout_colours,
    store_is_empty,
)
from aiflow.cli._text import MARKS, brief, clean, count, mark, moment, money, one_line, pad, span, tint, values, width_of
from aiflow.errors import RunError

if TYPE_CHECKING:
    from aiflow.app import App
    from aiflow.inspector import RunInfo, StepInfo
    from aiflow.settings import Settings

MOST_FAILED = 50  # steps inside of loops that are listed because they failed
MOST_BELOW = 200  # steps below the one that is shown


@click.command(
    epilog="""\b
Examples:
  aiflow show                           the newest run: its inputs, steps and outputs
  aiflow show last docs[3].facts[7]     one step of it: its output in full
  aiflow show 01J9ZK                    a run by the beginning (or end) of its id
  aiflow show 01J9ZK --json | jq '.steps[] | select(.status == "failed")'
"""
)
@click.argument("run", default="last")
@click.argument("step", required=False)
@click.option("--all", "every", is_flag=True, help="List also the items of every `each`, and the steps in them.")
@project_option
@json_option
def show(run: str, step: str | None, every: bool, project: str | None, as_json_: bool) -> int:
    """Show a RUN: its steps, what failed and where, what it cost; or one STEP in full.

    RUN may be the beginning or the end of an id; `last`, or none, is the newest run.
    STEP is a path such as `digest` or `docs[3].facts[7]`.
    """
    settings = project_settings(project)
    if store_is_empty(settings):
        raise RunError(f"there are no runs in {settings.root}", "start one with: aiflow run FILE")
    return asyncio.run(_show(settings, run, step, every, as_json_))


async def _show(settings: Settings, run: str, step: str | None, every: bool, as_json: bool) -> int:
    from aiflow.app import App

    async with App(settings) as app:
        info = await app.inspector.find(run)
        if step is not None:
            return await _one_step(app, info, step, as_json)
        if as_json:
            await _print_json(app, info)
            return 0
        for part in await _run_text(app, info, every):
            out(part)
    return 0


async def _print_json(app: App, info: RunInfo) -> None:
    """The run as one object; its steps are written one by one, so that a large run needs no large memory."""
    from aiflow.cli._result import run_json
    from aiflow.cli._text import as_json

    made = run_json(info)
    if "caller" in info.meta:
        made["caller"] = {name: info.meta["caller"][name] for name in ("run_id", "path")}
    if reason := await app.inspector.waits_for(info):
        made["waits_for"] = reason
    head = as_json(made)
    inputs = as_json(_plain(info.inputs), indent=None)
    click.echo(f'{head[:-2]},\n  "inputs": {inputs},\n  "steps": [', nl=False)
    first = True
    async for one in app.inspector.steps(info.run_id):
        click.echo(("\n    " if first else ",\n    ") + as_json(step_json(one), indent=None), nl=False)
        first = False
    click.echo("\n  ]\n}")


def step_json(one: StepInfo) -> dict[str, Any]:
    """One step as DSL 3.18 has it."""
    from aiflow.cli._result import when

    made: dict[str, Any] = {
        "path": one.path,
        "kind": one.kind,
        "status": one.status,
        "attempts": one.attempts,
        "started_at": when(one.started_ms),
        "finished_at": when(one.finished_ms),
        "output": one.output,
        "error": one.error,
        "usage": one.usage,
        "prompt": one.meta.get("prompt"),
        "model": one.meta.get("model"),
    }
    if one.meta.get("offline"):
        made["offline"] = True
    if one.kind == "call":
        made["run_id"] = called_run(one)
    if one.meta.get("cached"):
        made["cached"] = one.meta["cached"]
    if one.count is not None:
        made["items"], made["failed"] = one.count, one.failed
    return made


def called_run(one: StepInfo) -> str | None:
    """The run that a `call` made, however it ended."""
    data = one.error.get("data") if one.error and one.error.get("step") == one.path else None
    found: str | None = one.meta.get("run_id") or (data or {}).get("run_id")
    return found


async def _one_step(app: App, info: RunInfo, path: str, as_json: bool) -> int:
    """One step: what is known of it, and its output in full. Items below it are named."""
    below: list[tuple[StepInfo, int]] = []
    found = None
    async for one in app.inspector.steps(info.run_id, path):
        if one.path == path:
            found = one
        elif len(below) < MOST_BELOW:
            below.append((one, one.path.count("[") - path.count("[")))
    if found is None:
        raise await _no_step(app, info, path)
    found = replace(found, output=await app.inspector.step_output(info.run_id, path))
    if as_json:
        out_json(step_json(found))
        return 0
    out("\n".join(_step_text(found, app.settings.root, below)))
    return 0


async def _no_step(app: App, info: RunInfo, path: str) -> RunError:
    """Why there is nothing to show: no such step, or it has not run."""
    import difflib

    from aiflow.language.model import static_path, walk_paths

    known = [where for where, _ in walk_paths(await app.inspector.workflow(info.version))]
    if static_path(path) in known:
        return RunError(f"step {path} of run {info.run_id} has not run", f"see what has: aiflow show {info.run_id}")
    near = difflib.get_close_matches(static_path(path), known, 1)
    hint = f"did you mean {near[0]}?" if near else f"its steps: {', '.join(known[:10])}"
    return RunError(f"{info.workflow} has no step {path}", hint)


def _step_text(one: StepInfo, root: Path, below: list[tuple[StepInfo, int]]) -> list[str]:
    colour = stdout_colours()
    lines = [f"{mark(one.status, colour)} {tint(clean(one.path), 'bold', colour)}  {one.kind}  {one.status}{_facts(one)}"]
    for name in ("model", "prompt", "prompt_digest"):
        if one.meta.get(name):
            note = "  (offline)" if name == "model" and one.meta.get("offline") else ""
            lines.append(f"{tint(name, 'dim', colour)}  {clean(str(one.meta[name]))}{note}")
    if one.kind == "call" and called_run(one):
        lines.append(f"{tint('run', 'dim', colour)}  {called_run(one)}   its details: aiflow show {called_run(one)}")
    if cached := one.meta.get("cached"):
        origin = f"of run {cached['run']}, step {cached['step']}, {cached['at']}"
        lines.append(f"{tint('cached', 'dim', colour)}  {clean(origin)}")
    lines.append(f"{tint('began', 'dim', colour)}  {moment(one.started_ms)}")
    lines.append(f"{tint('ended', 'dim', colour)}  {moment(one.finished_ms)}")
    if one.error:
        lines += ["", *error_lines(one.error, root)]
    if below:
        lines += ["", *_table(below, colour)]
    return [*lines, "", *_full(one.output)]


def _full(output: Any) -> list[str]:
    from aiflow.cli._text import as_json

    if isinstance(output, str):
        return clean(output).split("\n")
    return clean(as_json(output)).split("\n")


def error_lines(error: dict[str, Any], root: Path) -> list[str]:
    """An error with its place, its remedy and the traceback of the user's code."""
    from aiflow.cli._options import clickable

    place = f"{clickable(error['at'], root)}: " if str(error.get("at", "")).count(":") == 2 else ""
    lines = [clean(f"{place}{error['type']}: {error['message']}")]
    lines += [f"    {line}" for line in clean(error.get("hint", "")).splitlines()]
    lines += [f"  {line}" for line in clean(error.get("traceback", "")).rstrip().splitlines()]
    return lines


async def _run_text(app: App, info: RunInfo, every: bool) -> list[str]:
    from aiflow.cli._follow import limit_lines
    from aiflow.cli._result import failure_lines

    colour = stdout_colours()
    status = tint(info.status, MARKS.get(info.status, ("", "dim"))[1], colour)
    took = span(info.finished_ms - (info.started_ms or info.created_ms)) if info.finished_ms else ""
    facts = [f"started {moment(info.started_ms or info.created_ms)}", *([f"took {took}"] if took else [])]
    if info.usage["calls"]:
        usage = info.usage
        facts.append(f"{count(usage['calls'], 'model call')}, {usage['tokens_in']:,} + {usage['tokens_out']:,} tokens")
        facts.append("offline" if info.meta.get("offline") else money(usage["cost"]))
    lines = [f"{tint(info.workflow, 'bold', colour)}  {info.run_id}  {status}", tint(", ".join(facts), "dim", colour)]
    lines += [tint(line, "dim", colour) for line in await _ties(app, info)]
    if info.inputs:
        lines += ["", tint("inputs", "dim", colour), *("  " + line for line in values(_plain(info.inputs)))]
    rows, left = await _rows(app, info, every)
    lines += ["", *_table(rows, colour)]
    if left:
        lines.append(tint(f"  {count(left, 'step')} inside of loops went well: aiflow show {info.run_id} --all", "dim", colour))
    if info.is_open and (waits := limit_lines(await app.inspector.places(info.run_id))):
        lines += ["", *(tint(f"  ↻ {clean(line)}", "yellow", colour) for line in waits)]
    if info.error and info.status in ("failed", "cancelled"):
        lines += ["", *failure_lines(info, app.settings.root, info.run_id)]
        lines += ["  " + line for line in clean(info.error.get("traceback", "")).rstrip().splitlines()]
    if info.outputs is not None:
        outputs = info.outputs if isinstance(info.outputs, dict) and info.outputs else {"output": info.outputs}
        lines += ["", tint("outputs", "dim", colour), *("  " + line for line in values(outputs))]
    return ["\n".join(lines)]


async def _ties(app: App, info: RunInfo) -> list[str]:
    """Who called the run, and what it waits for."""
    lines = []
    caller = info.meta.get("caller")
    if caller:
        on_its_own = ", on its own" if caller["detached"] else ""
        lines.append(f"called by run {caller['run_id']} at {clean(caller['path'])}{on_its_own}")
    reason = await app.inspector.waits_for(info)
    return [*lines, f"waits for {clean(reason)}"] if reason else lines


def _plain(inputs: dict[str, Any]) -> dict[str, Any]:
    from aiflow.values import plain

    made: dict[str, Any] = plain(inputs)
    return made


async def _rows(app: App, info: RunInfo, every: bool) -> tuple[list[tuple[StepInfo, int]], int]:
    """Steps to list with their depth, and how many were left out: those inside of loops that went well."""
    only = None if every else await _notable(app, info)
    rows = [(one, one.path.count("[")) async for one in app.inspector.steps(info.run_id, only=only)]
    return rows, await app.inspector.recorded(info.run_id) - len(rows)


async def _notable(app: App, info: RunInfo) -> list[str]:
    """Paths of the steps outside of loops, and of those inside that failed."""
    from aiflow.cli._result import MOST_RECORDS, natural
    from aiflow.language.model import walk_paths

    single = [path for path, step in walk_paths(await app.inspector.workflow(info.version)) if step.block == 0]
    wanted = None
    if await app.inspector.recorded(info.run_id) > MOST_RECORDS:
        wanted = [entry["path"] for entry in await app.inspector.journal(info.run_id) if entry["event"] == "step_failed"]
    failed = [path async for path, record in app.inspector.records(info.run_id, wanted) if record.status not in ("ok", "skipped")]
    return list(dict.fromkeys([*single, *sorted(set(failed) - set(single), key=natural)[:MOST_FAILED]]))


def _table(rows: list[tuple[StepInfo, int]], colour: bool) -> list[str]:
    cells = []
    for one, depth in rows:
        name = "  " * depth + clean(one.path)
        facts = _facts(one).lstrip(", ")
        if one.kind == "call" and called_run(one):
            facts = f"{called_run(one)}, {facts}".rstrip(", ")
        cells.append((mark(one.status, colour), name, one.kind, facts, _gist(one)))
    if not cells:
        return [tint("no step has ended yet", "dim", colour)]
    widths = [min(40, max(width_of(cell[n]) for cell in cells)) for n in range(1, 4)]
    lines = []
    for sign, name, kind, facts, gist in cells:
        parts = [pad(name, widths[0]), pad(kind, widths[1]), pad(facts, widths[2])]
        lines.append(f"{sign} {'  '.join(parts)}  {tint(gist, 'dim', colour)}".rstrip())
    return lines


def _facts(one: StepInfo) -> str:
    facts = []
    if one.count is not None:
        facts.append(count(one.count, "item") + (f" ({one.failed:,} failed)" if one.failed else ""))
    if one.finished_ms is not None and one.finished_ms > one.started_ms:
        facts.append(span(one.finished_ms - one.started_ms))
    if one.meta.get("cached"):
        facts.append("cached")
    if one.attempts > 1:
        facts.append(f"{one.attempts} attempts")
    if one.usage and one.usage["cost"]:
        facts.append(money(one.usage["cost"]))
    return ", " + ", ".join(facts) if facts else ""


def _gist(one: StepInfo) -> str:
    if one.error:
        if one.error.get("step") not in (one.path, "", None):
            return f"in {clean(one.error['step'])}"
        return one_line(f"{one.error['type']}: {one.error['message']}", 100)
    if one.status == "skipped":
        return "skipped"
    if one.count is not None or one.output is None:
        return ""
    return brief(one.output, 70)
