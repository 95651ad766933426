"""`aiflow rename`: another name for a step, an input or an item, wherever it is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiflow.cli._options import json_option, out, out_json, project_option, project_settings, shown_path, stdout_colours
from aiflow.cli._rewrite import Change, difference, read_raw, write_all
from aiflow.cli._text import count
from aiflow.errors import ConfigError, SpecError

if TYPE_CHECKING:
    from aiflow.language.edits import Edit
    from aiflow.language.problems import Problem
    from aiflow.language.rename import Renaming
    from aiflow.settings import Settings


@click.command(
    epilog="""\b
Examples:
  aiflow rename workflows/digest.yaml sumaries summaries
  aiflow rename workflows/digest.yaml inputs.folder inputs.source   an input, in workflows that call it too
  aiflow rename workflows/digest.yaml file document                 the item of an `each` (its `as`)
  aiflow rename workflows/digest.yaml docs papers --dry-run         only show what would change

Changed are the name itself, expressions (steps.OLD, steps['OLD']), paths compared with error.step, and in
tests (tests/*.test.yaml) mocks, expected steps and expressions. Comments, texts and everything else stay as they are.
Runs that have begun keep the file they were started with.
"""
)
@click.argument("file", type=click.Path())
@click.argument("old")
@click.argument("new")
@click.option("--dry-run", is_flag=True, help="Show the changes and write nothing.")
@project_option
@json_option
def rename(file: str, old: str, new: str, dry_run: bool, project: str | None, as_json_: bool) -> int:
    """Rename a step of a workflow FILE from OLD to NEW, with everything that refers to it."""
    from aiflow.language.rename import rename as renamed
    from aiflow.language.rename import what_is

    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"there is no file {file}", "give a workflow, such as workflows/hello.yaml")
    settings = project_settings(project, path)
    try:
        text = read_raw(path)
        what, name = what_is(text, old, path)
        edits, task = renamed(text, what, name, new.removeprefix(f"{what}s."), path)
        changes = [(_change(path, text, edits), len(edits))]
        notices: list[str] = []
        changes += _elsewhere(path, task, settings, notices)
        _no_new_faults(changes[0][0], settings)
    except SpecError as error:
        from aiflow.cli.validate import print_problems

        print_problems(error.problems)
        return error.exit_code
    if not dry_run:
        write_all([change for change, _ in changes])
    notices += _by_name(text, task, path)
    if as_json_:
        files = [{"file": change.shown, "changes": number} for change, number in changes]
        out_json({"what": what, "old": task.old, "new": task.new, "written": not dry_run, "files": files, "notices": notices})
        return 0
    if dry_run:
        out("\n".join(difference(change, stdout_colours()) for change, _ in changes))
    where = ", ".join(f"{count(number, 'place')} in {change.shown}" for change, number in changes)
    click.echo(f"{what} `{task.old}` {'would be' if dry_run else 'is now'} `{task.new}`: {where}", err=True)
    for notice in notices:
        click.echo(f"note: {notice}", err=True)
    return 0


def _change(path: Path, text: str, edits: list[Edit]) -> Change:
    from aiflow.language.edits import apply_edits

    return Change(path, text, apply_edits(text, edits))


def _no_new_faults(change: Change, settings: Settings) -> None:
    """Raises: SpecError: the new text has more faults than the old one."""
    from aiflow.cli.validate import seen_from_here
    from aiflow.language.workflow import check_text

    def faults(text: str) -> list[Problem]:
        _, found = check_text(text, change.path, settings)
        return [seen_from_here(one, settings.root) for one in found if one.severity == "error"]

    after = faults(change.after)
    if after and len(after) > len(before := faults(change.before)):
        known = {(one.line, one.message) for one in before}
        raise SpecError([one for one in after if (one.line, one.message) not in known])


def _elsewhere(path: Path, task: Renaming, settings: Settings, notices: list[str]) -> Iterator[tuple[Change, int]]:
    """Changes of tests of the workflow, and of workflows that call it."""
    from aiflow.language.rename_elsewhere import rename_in_caller, rename_in_test

    for other in _tests_of(path, settings.root, notices):
        text = read_raw(other)
        if edits := rename_in_test(text, task, shown_path(other)):
            yield _change(other, text, edits), len(edits)
    for other in _workflows(settings, path) if task.what == "input" else ():
        try:
            text = read_raw(other)
            if edits := rename_in_caller(text, task, path.resolve(), other):
                yield _change(other, text, edits), len(edits)
        except SpecError:
            notices.append(f"{shown_path(other)} has faults and was left alone; it may call this workflow")


def _workflows(settings: Settings, path: Path) -> list[Path]:
    from aiflow.cli.validate import found_workflows

    return [other for other in found_workflows(str(settings.root)) if other.resolve() != path.resolve()]


def _tests_of(path: Path, root: Path, notices: list[str]) -> Iterator[Path]:
    """Files of tests that name the workflow."""
    from aiflow.language.load import load_document
    from aiflow.testing.files import files_in, found_files

    for other in sorted({*found_files(root), *files_in(path.parent)}):
        try:
            data: Any = load_document(read_raw(other), shown_path(other)).data
        except SpecError:
            notices.append(f"{shown_path(other)} has faults and was left alone; it may test this workflow")
            continue
        named = data.get("workflow") if isinstance(data, dict) else None
        if isinstance(named, str) and (other.parent / named).resolve() == path.resolve():
            yield other


def _by_name(text: str, task: Renaming, path: Path) -> Iterator[str]:
    """What fills inputs by name from outside has to know the new one."""
    from aiflow.language.load import load_document

    if task.what != "input":
        return
    triggers = load_document(text, str(path)).data.get("triggers")
    for trigger in triggers if isinstance(triggers, list) else ():
        source = next((f"{word} {trigger[word]}" for word in ("event", "webhook") if word in trigger), "")
        if source and "inputs" not in trigger:
            yield f"the trigger `{source}` fills inputs by name: what comes has to carry `{task.new}` from now on"
