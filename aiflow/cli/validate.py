"""`aiflow validate`: check workflow files without running them."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiflow.cli._options import json_option, out_json, project_option, project_settings, shown_path
from aiflow.cli._text import colourful, count

if TYPE_CHECKING:
    from aiflow.language.problems import Problem
    from aiflow.settings import Settings


@click.command(
    epilog="""\b
Examples:
  aiflow validate                       all workflows of the project
  aiflow validate workflows/digest.yaml
  aiflow validate --json | jq -r '.[] | "\\(.file):\\(.line) \\(.message)"'

Exit codes: 0 no faults (hints do not count), 1 faults.
"""
)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path())
@project_option
@json_option
def validate(files: tuple[str, ...], project: str | None, as_json_: bool) -> int:
    """Check workflow FILEs without running anything; without FILE all workflows of the project.

    Says all faults at once, each with its line, its column and what to write instead.
    """
    from aiflow.language.workflow import Workflows, check_workflow

    roots: dict[Path, Settings] = {}
    read: dict[Path, Workflows] = {}
    problems: list[Problem] = []
    paths = [Path(file) for file in files] or found_workflows(project)
    with _little_collecting():
        for path in paths:
            settings = _settings(path, project, roots)
            workflows = read.setdefault(settings.root, Workflows(settings))
            problems += [seen_from_here(problem, settings.root) for problem in check_workflow(path, settings, workflows)]
    problems = sorted(set(problems))
    faulty = any(problem.severity == "error" for problem in problems)
    if as_json_:
        out_json([problem_json(problem) for problem in problems])
        return 1 if faulty else 0
    if problems:
        print_problems(problems)
    if not paths:
        click.echo("no workflows found; give a FILE, or make some in workflows/", err=True)
    elif not faulty:
        click.echo(f"{count(len(paths), 'workflow')} checked, no faults", err=True)
    return 1 if faulty else 0


@contextmanager
def _little_collecting() -> Iterator[None]:
    """Look for garbage less often: what the checks make is kept to the end, and looking through it takes a third of the time."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def found_workflows(project: str | None) -> list[Path]:
    """All files of `workflows/` that look like workflows: with `steps:` at the top. Not tests, not prompts."""
    folder = project_settings(project).root / "workflows"
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".yaml", ".yml") and path.is_file() and not path.name.endswith((".test.yaml", ".test.yml")):
            if _looks_like_a_workflow(path):
                found.append(Path(shown_path(path)))
    return found


def _looks_like_a_workflow(path: Path) -> bool:
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return True  # validate says what is wrong with it
    return any(line.startswith(("steps", '"steps"')) for line in text.splitlines())


def _settings(path: Path, project: str | None, roots: dict[Path, Settings]) -> Settings:
    from aiflow.settings import find_root

    root = Path(project).absolute() if project else find_root(path)
    if root not in roots:
        roots[root] = project_settings(project, path)
    return roots[root]


def seen_from_here(problem: Problem, root: Path) -> Problem:
    """With the file's name as a person in the current folder would write it."""
    return replace(problem, file=os.path.normpath(shown_path(root / problem.file)))


def problem_json(problem: Problem) -> dict[str, Any]:
    """One problem as DSL 3.18 has it."""
    made: dict[str, Any] = {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
    }
    if problem.severity != "error":
        made["severity"] = problem.severity
    return made


def print_problems(problems: Sequence[Problem]) -> None:
    """All problems on stderr with the lines they are in, and how many there are."""
    from aiflow.language.render_problems import render_problems

    texts: dict[str, str | None] = {}

    def source(file: str) -> str | None:
        if file not in texts:
            try:
                texts[file] = Path(file).read_text("utf-8", errors="replace")
            except OSError:
                texts[file] = None
        return texts[file]

    colour = colourful(sys.stderr)
    click.echo(render_problems(problems, source, colour=colour), err=True, color=colour)
    click.echo("\n" + ", ".join(_totals(problems)), err=True)


def _totals(problems: Sequence[Problem]) -> Iterator[str]:
    faults = sum(problem.severity == "error" for problem in problems)
    if faults:
        yield count(faults, "fault")
    if len(problems) > faults:
        yield count(len(problems) - faults, "hint")
