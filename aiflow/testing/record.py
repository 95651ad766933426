"""A real run -> a test file that plays it again: its inputs, mocks for what acted outside, and how it ended."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from aiflow.inspector import Inspector, RunInfo
from aiflow.language.model import Step, static_path, walk_paths
from aiflow.steps._registry import kinds
from aiflow.values import File, Value, plain

MODELINE = "# yaml-language-server: $schema={}\n"
COMPUTED = frozenset({"wait", "write"})
"""Kinds that run for real when the test does: waits are virtual, and what is written goes into the copy of the project."""

_PLAIN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9 _./()-]*[A-Za-z0-9_./()]|[A-Za-z]")
_WORDS = frozenset("y n yes no on off true false null nan inf".split())
_LAST_INDEX = re.compile(r"\[\d+\]$")


async def record(inspector: Inspector, run: RunInfo, target: Path, root: Path) -> str:
    """The text of the test file, as it would stand at `target`. Raises: RunError: the run has not ended, or is gone."""
    workflow = await inspector.workflow(run.version)
    steps = dict(walk_paths(workflow))
    outcomes, ran = await _outcomes(inspector, run, steps)
    expect: dict[str, Value] = {"status": run.status}
    if run.outputs is not None:
        expect["outputs"] = run.outputs
    if run.error is not None and run.status == "failed":
        expect["error"] = {"type": run.error["type"], **({"step": run.error["step"]} if run.error.get("step") in steps else {})}
    if ran:
        expect["ran"] = ran
    case: dict[str, Value] = {"name": f"as run {run.run_id}"}
    if run.meta.get("event"):
        case["event"] = run.meta["event"]
    file: dict[str, Value] = {"workflow": os.path.relpath(root / workflow.file, target.parent)}
    given = {name: value for name, value in run.inputs.items() if value is not None}
    if given:
        file["inputs"] = _inputs(given)
    mocks = _mocks(outcomes, steps)
    if mocks:
        file["mock"] = mocks
    file["tests"] = [{**case, "expect": expect}]
    schema = os.path.relpath(root / "schemas" / "test.schema.json", target.parent)
    return MODELINE.format(schema) + _written(file)


async def _outcomes(inspector: Inspector, run: RunInfo, steps: Mapping[str, Step]) -> tuple[dict[str, Value], list[str]]:
    """What each step that acted gave, by path with indexes, as a mock says it; and the outer steps that ran."""
    failed = await _failed_attempts(inspector, run)
    outcomes: dict[str, Value] = {}
    ran: dict[str, None] = {}
    async for info in inspector.steps(run.run_id):
        step = steps.get(static_path(info.path))
        if step is None or info.status == "skipped":
            continue
        if "[" not in info.path:
            ran[step.id or info.path] = None
        if not _acts(step) or (step.body_block is not None and not _LAST_INDEX.search(info.path)):
            continue
        said = [{"error": _error(error)} for error in failed.get(info.path, [])]
        if info.status == "ok" and info.error is None:
            last: Value = {"output": _literal(info.output)}
        elif info.error is not None:
            last = {"error": _error(info.error)}
        else:
            continue
        if info.usage:
            last["usage"] = {**info.usage, "calls": 1}
        said.append(last)
        outcomes[info.path] = said if len(said) > 1 else last
    return outcomes, list(ran)


async def _failed_attempts(inspector: Inspector, run: RunInfo) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in await inspector.journal(run.run_id):
        if entry["event"] == "attempt_failed":
            found.setdefault(entry["path"], []).append(entry["error"])
    return found


def _acts(step: Step) -> bool:
    kind = kinds()[step.kind]
    return not (kind.pure or kind.lists or step.kind in COMPUTED)


def _error(error: Mapping[str, Any]) -> dict[str, Value]:
    made = {"type": error["type"], "message": _literal(error["message"]), "transient": bool(error.get("transient"))}
    return {**made, "data": _literal(error["data"])} if error.get("data") else made


def _mocks(outcomes: Mapping[str, Value], steps: Mapping[str, Step]) -> dict[str, Value]:
    """By name: of a step with `each` a list of its items, else one outcome; inside of loops by path with indexes."""
    made: dict[str, Value] = {}
    for path, outcome in outcomes.items():
        step = steps[static_path(path)]
        if step.body_block is None:
            made[_name(path, step)] = outcome
            continue
        around, index = path[: path.rindex("[")], int(path[path.rindex("[") + 1 : -1])
        items = made.setdefault(_name(around, step), [])
        items += [{"output": None}] * (index - len(items))
        items.append(outcome)
    return made


def _name(path: str, step: Step) -> str:
    return path if "[" in path or step.id is None else step.id


def _inputs(given: Mapping[str, Value]) -> dict[str, Value]:
    """A file is named by its path; of files in lists the loader takes the maps as they are."""
    return {name: value.path if isinstance(value, File) else plain(value) for name, value in given.items()}


def _literal(value: Value) -> Value:
    """The value so that its texts are not read as templates."""
    if isinstance(value, str):
        return re.sub(r"\{[{%#]", lambda found: "{{ '" + found[0] + "' }}", value) if "{{" in value or "{%" in value else value
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    return value


class _Dumper(yaml.SafeDumper):
    """Quotes whatever one of YAML's versions might take for something else than a text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if "\n" in text and not re.search(r"[^\S\n]\n|^\s|[^\n -\ud7ff\ue000-\ufffd]", text):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    plain = _PLAIN_TEXT.fullmatch(text) and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def _written(file: Mapping[str, Value]) -> str:
    parts: Iterable[str] = (
        yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110) for key, value in file.items()
    )
    return "\n".join(parts)


