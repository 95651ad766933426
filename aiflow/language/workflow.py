"""A workflow file to a checked `Workflow`, or to everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path

from aiflow.errors import SpecError
from aiflow.language.check import Inspection, check_all
from aiflow.language.check.project import project_problems
from aiflow.language.definitions import Definitions
from aiflow.language.load import Document, decode_source, read_document
from aiflow.language.model import Workflow, walk_paths, with_called
from aiflow.language.problems import Problem
from aiflow.language.tree import plant
from aiflow.settings import Settings
from aiflow.steps._registry import kinds


def load_workflow(path: Path, settings: Settings) -> Workflow:
    """Read, check and build a workflow.

    Raises: SpecError: with all problems of the file and of the prompts and schemas it names.
    """
    return _load(path, settings, ())


def _load(path: Path, settings: Settings, callers: tuple[Path, ...]) -> Workflow:
    """The same for a workflow that is called, directly or not, by these files."""
    look, problems = _look_at(path, settings, callers)
    if look is None or any(problem.severity == "error" for problem in problems):
        raise SpecError(problems)
    from aiflow.language.build import build

    return build(look)


def _load_called(target: Path, settings: Settings, callers: tuple[Path, ...]) -> Workflow:
    """What a `call` names. Raises: SpecError: with a place, faults of that file; without (0, 0), why it cannot be called."""
    shown = Definitions(settings.root, target, None).shown
    if not target.is_file():
        raise SpecError([Problem(shown(target), 0, 0, f"{shown(target)} does not exist", "missing-file")])
    target = target.resolve()
    if target in callers:
        circle = " calls ".join(shown(one) for one in (*callers[callers.index(target) :], target))
        raise SpecError([Problem(shown(target), 0, 0, f"this call never ends: {circle}", "circular-call")])
    return _load(target, settings, callers)


def load_runnable(path: Path, settings: Settings) -> Workflow:
    """`load_workflow`, for a run.

    Raises: SpecError: also for what this version checks but cannot run yet.
    """
    workflow = load_workflow(path, settings)
    problems = [
        Problem(one.file, step.line, step.column, f"`{step.kind}` cannot run in this version yet", "not-yet")
        for one in with_called(workflow)
        for _, step in walk_paths(one)
        if kinds()[step.kind].later
    ]
    if problems:
        raise SpecError(problems)
    return workflow


def check_workflow(path: Path, settings: Settings) -> list[Problem]:
    """All faults and hints, sorted by file, line and column. An empty list: it can be run."""
    return _look_at(path, settings)[1]


def _look_at(path: Path, settings: Settings, callers: tuple[Path, ...] = ()) -> tuple[Inspection | None, list[Problem]]:
    path = path.absolute()
    shown = Definitions(settings.root, path, None).shown(path)
    try:
        raw = path.read_bytes()
    except IsADirectoryError:
        return None, [Problem(shown, 1, 1, "this is a folder, not a workflow file", "missing-file")]
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        return None, [Problem(shown, 1, 1, f"{shown} {reason}", "missing-file")]
    try:
        text = decode_source(raw, shown)
    except SpecError as error:
        return None, error.problems
    document, faults = read_document(text, shown)
    if document is None:
        return None, faults
    look = inspect(document, path, settings, callers)
    return look, _merged(faults, [*look.problems, *project_problems(settings)])


def inspect(document: Document, path: Path, settings: Settings, callers: tuple[Path, ...] = ()) -> Inspection:
    """All checks of one document. `callers`: files that call it, the outermost first."""
    data = document.data if isinstance(document.data, dict) else {}
    chain = (*callers, path.resolve())
    definitions = Definitions(
        settings.root, path, data.get("inputs"), lambda target: _load_called(target, settings, chain)
    )  # fmt: skip
    look = Inspection(document, plant(document.data), settings, path, definitions)
    check_all(look)
    return look


def _merged(faults: list[Problem], found: list[Problem]) -> list[Problem]:
    """Faults of the YAML and of its meaning; where the YAML is broken, what it seems to mean on that line is left out."""
    broken = {(fault.file, fault.line) for fault in faults}
    kept = [problem for problem in found if (problem.file, problem.line) not in broken]
    return sorted({*faults, *kept}, key=lambda one: (one.file, one.line, one.column, one.code, one.message))
