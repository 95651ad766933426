"""Files that are not there: what is said, and which one was probably meant."""

from __future__ import annotations

from pathlib import Path as FilePath

from aiflow.language.check._inspection import Inspection
from aiflow.language.check._words import listed, nearest
from aiflow.language.tree import Path

_FOLDERS = {"prompts": "prompts", "emails": "emails", "workflows": ".", "schemas": "schemas"}
"""Where files of a kind usually are, beside the workflow."""


def say_missing(look: Inspection, where: Path, written: str, target: FilePath, what: str) -> None:
    """Report the file that a value names and that is not there. `what`: `prompts`, `emails`, `workflows`, `schemas`."""
    shown = look.definitions.shown(target)
    if target.is_dir():
        look.at_value(where, f"{shown} is a folder, not a file", "missing-file", _nearest_file(written, target, what))
        return
    look.at_value(where, f"{shown} does not exist", "missing-file", _nearest_file(written, target, what))


def _nearest_file(written: str, target: FilePath, what: str) -> str:
    """The file that was probably meant: a similar name in that folder, or that name in a folder nearby."""
    folder = target if target.is_dir() else target.parent
    suffixes = (".md",) if what in ("prompts", "emails") else (".yaml", ".yml", ".json")
    names = sorted(one.name for one in folder.iterdir() if one.is_file()) if folder.is_dir() else []
    names = [one for one in names if one.endswith(suffixes)]
    near = nearest(target.name, names)
    if near:
        head = written.rstrip("/").rpartition("/")[0] if not target.is_dir() else written.rstrip("/")
        return f"did you mean {head}/{near}?" if head else f"did you mean {near}?"
    base = target
    for _ in range(written.count("/") + 1):
        base = base.parent
    for place in (_FOLDERS[what], ".", f"workflows/{_FOLDERS[what]}", "workflows"):
        if (base / place / target.name).is_file() and base.is_dir():
            found = (base / place / target.name).relative_to(base).as_posix()
            return f"did you mean {found}?"
    if what == "prompts" and " " in written.strip():
        return "the prompt itself, instead of its path, is the option `text`"
    start = f"paths of {what} start at the folder of this file"
    return f"{start}; in {folder.name}/ there are: {listed(names[:8])}" if names else start
