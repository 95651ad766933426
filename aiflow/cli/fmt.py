"""`aiflow fmt`: workflow files in the one usual layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiflow.cli._options import json_option, out, out_json, project_option, shown_path, stdout_colours
from aiflow.cli._rewrite import Change, difference, read_raw, write_all
from aiflow.cli._text import count
from aiflow.errors import SpecError

if TYPE_CHECKING:
    from aiflow.language.problems import Problem


@click.command(
    epilog="""\b
Examples:
  aiflow fmt                            all workflows of the project
  aiflow fmt workflows/digest.yaml
  aiflow fmt --diff                     only show what would change
  aiflow fmt --check                    for CI: write nothing, exit 1 if something would change

\b
What it does:
  keys in the usual order               id, name, if, each ... what is done, with, retry, on_error, output, else
  conditions without braces             if: "{{ inputs.urgent }}"   becomes   if: inputs.urgent
  two blanks a level                    items below their key: two blanks deeper

Comments, blank lines, quotes, {maps}, [lists] and texts stay as they are. The data of a file never changes: the
result is read again and compared before it is written. Files that are no proper YAML are reported and left alone.

Exit codes: 0 done, 1 a file has faults, or (with --check) something would change.
"""
)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path())
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file is not in the usual layout.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@project_option
@json_option
def fmt(files: tuple[str, ...], check: bool, diff: bool, project: str | None, as_json_: bool) -> int:
    """Write workflow FILEs in the usual layout; without FILE all workflows of the project."""
    from aiflow.cli.validate import found_workflows, print_problems, problem_json

    paths = [Path(file) for file in files] or found_workflows(project)
    changes, problems = _changes(paths)
    if not check and not diff:
        write_all(changes)
    if as_json_:
        out_json({"changed": [change.shown for change in changes], "written": not check and not diff,
                  "problems": [problem_json(problem) for problem in problems]})  # fmt: skip
        return 1 if problems or (check and changes) else 0
    if diff and changes:
        out("\n".join(difference(change, stdout_colours()) for change in changes))
    if problems:
        print_problems(problems)
    for change in changes if not diff else ():
        click.echo(f"{'would change' if check else 'changed'} {change.shown}", err=True)
    if not paths:
        click.echo("no workflows found; give a FILE, or make some in workflows/", err=True)
    else:
        click.echo(_total(len(paths), len(changes), writes=not check and not diff), err=True)
    return 1 if problems or (check and changes) else 0


def _changes(paths: list[Path]) -> tuple[list[Change], list[Problem]]:
    """What would change, and the faults of files that cannot be read."""
    from aiflow.language.format import format_text

    changes: list[Change] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            text = read_raw(path)
            made = format_text(text, shown_path(path))
        except SpecError as error:
            problems += error.problems
            continue
        if made != text:
            changes.append(Change(path, text, made))
    return changes, problems


def _total(files: int, changed: int, writes: bool) -> str:
    if not changed:
        return f"{count(files, 'file')} looked at, nothing to change"
    return f"{count(files, 'file')} looked at, {changed} {'changed' if writes else 'would change'}"
