"""Calls of other workflows: the file is there, its inputs are given, no workflow comes back to itself."""

from __future__ import annotations

from pathlib import Path as FilePath

from aiflow.language.check._handed import Wants, handed_over
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._paths import say_missing
from aiflow.language.tree import Node, Path


def check(look: Inspection) -> None:
    """All faults of `call`. Those of the called files are found when these are checked, once."""
    if look.workflows is None:
        return
    for node, path, written, file in list(look.calls):
        if look.is_wrong(path):
            continue
        if file.suffix not in (".yaml", ".yml"):
            message = f"`call` names the file of a workflow, and {written} is none"
            hint = f"for a prompt write: llm: {written}" if file.suffix == ".md" else "write for example: call: write_draft.yaml"
            look.at_value(path, message, "wrong-type", hint)
            look.calls.remove((node, path, written, file))
        elif not file.is_file():
            say_missing(look, path, written, file, "workflows")
        elif not _circle(look, path, written, file):
            _inputs(look, node, written, file)


def _inputs(look: Inspection, node: Node, written: str, file: FilePath) -> None:
    """`with` against the inputs of the called workflow."""
    assert look.workflows is not None
    other = look.workflows.read(file).look
    if other is not None and other.data:
        inputs = other.definitions.inputs
        handed_over(look, node, Wants(written, "call-input", inputs, f"declare it in {written}", always_whole=True))


def _circle(look: Inspection, path: Path, written: str, file: FilePath) -> bool:
    """Report a call by which the workflow comes back to itself."""
    home = look.file.resolve()
    way = _way_back(look, file, home)
    if way is None:
        return False
    if way:
        shown = " → ".join([look.file.name, *(one.name for one in way), look.file.name])
        message = f"{written} comes back to this workflow: {shown}"
    else:
        message = f"{written} is this workflow itself"
    hint = "to repeat steps write: until: ..., or each: ...; to start a new run later: emit an event that triggers it"
    look.at_value(path, message, "circular-call", hint)
    return True


def _way_back(look: Inspection, file: FilePath, home: FilePath) -> list[FilePath] | None:
    """The shortest way by calls from `file` to `home`, without `home`; None when there is none."""
    assert look.workflows is not None
    ways: list[list[FilePath]] = [[file]]
    seen: set[FilePath] = set()
    while ways:
        way = ways.pop(0)
        end = way[-1].resolve()
        if end == home:
            return way[:-1]
        if end in seen:
            continue
        seen.add(end)
        other = look.workflows.read(way[-1]).look
        ways += [[*way, called] for called in (other.called if other is not None else [])]
    return None
