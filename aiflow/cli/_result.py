"""What a run gave, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiflow.cli._options import clickable, shown_path, stdout_colours
from aiflow.cli._text import brief, clean, count, money, one_line, span, tint, values
from aiflow.clock import rfc3339
from aiflow.values import File, Value, plain

if TYPE_CHECKING:
    from aiflow.inspector import Inspector, RunInfo
    from aiflow.language.model import Step, Workflow

MOST_RECORDS = 20_000  # of a larger run only some are looked at: those outside of loops, writes, and what the journal names
MOST_LISTED = 20  # failed items, written files


@dataclass
class Findings:
    """What the records of a run say besides its outputs.

    Attributes:
        failed: items that failed within `allow_failures`: (path, name of the item, error).
        written: paths of files, in the order in which they were written.
        rows: where rows went -> how many, None when they were too many writes to be counted.
        offline: whether an offline model answered.
        cached: steps whose result was one of an earlier run.
        partial: not all records were looked at.
    """

    failed: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    rows: dict[str, int | None] = field(default_factory=dict)
    offline: bool = False
    cached: int = 0
    partial: bool = False


def run_json(info: RunInfo) -> dict[str, Any]:
    """The object of DSL 3.18."""
    return {
        "run_id": info.run_id,
        "workflow": info.workflow,
        "version": info.version,
        "status": info.status,
        "outputs": info.outputs,
        "error": info.error,
        "usage": {name: info.usage[name] for name in ("tokens_in", "tokens_out", "cost")},
        "started_at": when(info.started_ms or info.created_ms),
        "finished_at": when(info.finished_ms),
    }


def when(ms: int | None) -> str | None:
    """RFC 3339, or None."""
    return None if ms is None else rfc3339(ms)


async def find(inspector: Inspector, info: RunInfo) -> Findings:
    """Look through the records of a run."""
    from aiflow.language.model import static_path, walk_paths

    workflow = await inspector.workflow(info.version)
    steps = dict(walk_paths(workflow))
    findings = Findings()
    wanted = None
    if await inspector.recorded(info.run_id) > MOST_RECORDS:
        named = {entry["path"] for entry in await inspector.journal(info.run_id) if entry["event"] == "step_failed"}
        findings.partial = True
        items = {path[: end + 1] for path in named for end, char in enumerate(path) if char == "]"}  # that failed with it
        wanted = list(dict.fromkeys([*steps, *named, *items]))
        for path in [path for path, step in steps.items() if step.kind == "write"]:
            inside = await _recorded_paths(inspector, info.run_id, steps, path)
            wanted += inside
            if not inside:
                findings.rows[_target(steps[path], workflow, info)] = None
    writes: list[tuple[int, str, Value]] = []
    async for path, record in inspector.records(info.run_id, wanted):
        step = steps.get(static_path(path))
        if record.status == "failed" and path.endswith("]") and record.error:
            findings.failed.append((path, _item_name(record.item), record.error))
        if step is not None and step.kind == "write" and record.status == "ok" and record.output is not None:
            writes.append((record.finished, _target(step, workflow, info), record.output))
        meta = record.meta or {}
        findings.offline = findings.offline or bool(meta.get("offline"))
        findings.cached += "cached" in meta
    findings.failed.sort(key=lambda one: natural(one[0]))
    for _, target, output in sorted(writes, key=lambda one: one[0]):
        _count_write(findings, target, output)
    return findings


async def _recorded_paths(inspector: Inspector, rid: str, steps: dict[str, Step], path: str) -> list[str]:
    """The paths in a run of a step inside of loops, `docs[0].stored` and so on; none when there are too many."""
    found, walked = [""], ""
    for part in path.split("."):
        walked = f"{walked}.{part}" if walked else part
        found = [f"{before}.{part}" if before else part for before in found]
        if walked not in steps or steps[walked].body_block is None:
            continue
        counts = [(where, record.count or 0) async for where, record in inspector.records(rid, found)]
        if sum(number for _, number in counts) > MOST_RECORDS:
            return []
        found = [f"{where}[{n}]" for where, number in counts for n in range(number)]
    return found


def natural(path: str) -> list[Any]:
    """Sorts `docs[2]` before `docs[10]`."""
    import re

    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path)]


def _count_write(findings: Findings, target: str, output: Value) -> None:
    if isinstance(output, File):
        if output.path not in findings.written:
            findings.written.append(output.path)
    elif isinstance(output, dict) and isinstance(output.get("rows"), int):
        findings.rows[target] = (findings.rows.get(target) or 0) + output["rows"]


def _target(step: Step, workflow: Workflow, info: RunInfo) -> str:
    """Where a `write` step writes; as it is written in the file when only the step itself knows."""
    to = str(step.config.get("to", ""))
    if "{{" not in to:
        return to
    from aiflow.errors import StepError
    from aiflow.language.expressions import compile_value

    try:
        return str(compile_value(to).evaluate({"inputs": info.inputs}))
    except StepError:
        return to


def _item_name(item: Value) -> str:
    item = plain(item)
    if isinstance(item, dict):
        for key in ("name", "path", "id", "title"):
            if isinstance(item.get(key), str | int):
                return one_line(str(item[key]), 60)
    return "" if item is None else brief(item, 60)


def result_lines(info: RunInfo, findings: Findings, root: Path, shown_id: str) -> list[str]:
    """The text on stdout after a run."""
    colour = stdout_colours()
    lines = _outputs(info) if info.outputs is not None else []
    if findings.failed and info.status != "failed":
        lines += ["", tint(f"{count(len(findings.failed), 'item')} failed, as the workflow allows:", "yellow", colour)]
        lines += _failed(findings.failed)
    facts = [*_written(findings, root), *_usage(info, findings)]
    if findings.cached:
        at_least = "at least " if findings.partial else ""
        facts.append(("cache", f"{at_least}{count(findings.cached, 'result')} reused (--fresh takes none)"))
    if info.finished_ms is not None:
        facts.append(("took", span(info.finished_ms - (info.started_ms or info.created_ms))))
    facts.append(("run", f"{shown_id}   details: aiflow show {shown_id}"))
    lines.append("")
    width = max(len(name) for name, _ in facts)
    lines += [tint(name.ljust(width), "dim", colour) + "  " + text for name, text in facts]
    return lines if lines[0] else lines[1:]


def _outputs(info: RunInfo) -> list[str]:
    outputs = info.outputs
    if isinstance(outputs, dict) and outputs:
        return values(outputs)
    return values({"output": outputs})


def _failed(failed: list[tuple[str, str, dict[str, Any]]]) -> list[str]:
    lines = []
    for path, name, error in failed[:MOST_LISTED]:
        what = f"{clean(path)} {name}".strip()
        lines.append(f"  {what}: {error['type']}: {one_line(error['message'])}")
    if len(failed) > MOST_LISTED:
        lines.append(f"  … and {len(failed) - MOST_LISTED} more")
    return lines


def _written(findings: Findings, root: Path) -> list[tuple[str, str]]:
    paths = [clean(shown_path(root / path)) for path in findings.written[:MOST_LISTED]]
    if len(findings.written) > MOST_LISTED:
        paths.append(f"… and {len(findings.written) - MOST_LISTED} more")
    paths += [clean(target) + (f" ({count(rows, 'row')})" if rows is not None else "") for target, rows in findings.rows.items()]
    return [("wrote" if n == 0 else "", text) for n, text in enumerate(paths)]


def _usage(info: RunInfo, findings: Findings) -> list[tuple[str, str]]:
    usage = info.usage
    if not usage["calls"]:
        return []
    tokens = f"{usage['tokens_in']:,} tokens in, {usage['tokens_out']:,} out"
    text = f"{count(usage['calls'], 'call')}, {tokens}, {money(usage['cost'])}"
    if findings.offline or info.meta.get("offline"):
        text += " (answered offline, by no real model)"
    return [("models", text)]


def failure_lines(info: RunInfo, root: Path, shown_id: str) -> list[str]:
    """The block of DSL 3.9 for a run that failed or was cancelled."""
    error = info.error or {"type": info.status, "message": ""}
    retry = f"retry: aiflow retry {shown_id}"
    if info.status == "cancelled":
        return [f"run {shown_id} was cancelled: {one_line(error.get('message', ''))}", f"  {retry}"]
    place = f"{clickable(error['at'], root)}: " if str(error.get("at", "")).count(":") == 2 else ""
    step = f"step {error['step']}" if error.get("step") else f"run {shown_id}"
    lines = [clean(f"{place}{step} failed: {error['type']}")]
    lines += [f"  {line}" for line in clean(error["message"]).splitlines()]
    lines += [f"  {line}" for line in clean(error.get("hint", "")).splitlines()]
    lines += _nested_errors(error)
    if error["type"] == "outcome_unknown":
        retry = f"settle: aiflow settle {shown_id} {clean(error['step'])} --done (or --redo)"
    facts = [f"attempts: {error.get('attempts', 1)}", f"cost so far: {money(info.usage['cost'])}", retry]
    return [*lines, "  " + "   ".join(facts)]


def _nested_errors(error: dict[str, Any]) -> list[str]:
    """The first items behind `too_many_failures`."""
    listed = error.get("data", {}).get("errors") if isinstance(error.get("data"), dict) else None
    lines = []
    for one in (listed or [])[:5]:
        inner = one.get("error") or {}
        name = _item_name(one.get("item"))
        lines.append(f"    [{one.get('index')}] {name}: {inner.get('type')}: {one_line(inner.get('message', ''))}")
    if listed and len(listed) > 5:
        lines.append(f"    … and {len(listed) - 5} more")
    return lines
