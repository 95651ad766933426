"""A workflow file to a checked `Workflow`, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aiflow.errors import SpecError
from aiflow.language.check import Inspection, check_all
from aiflow.language.check._python_source import Module
from aiflow.language.check.project import project_problems
from aiflow.language.definitions import Definitions
from aiflow.language.load import Document, decode_source, read_document
from aiflow.language.model import Workflow, walk_paths, with_called
from aiflow.language.problems import Problem
from aiflow.language.tree import plant
from aiflow.settings import Settings
from aiflow.steps._registry import kinds


@dataclass
class Opened:
    """A workflow file as it was found. `look`: None when it could not be read at all; `faults`: of reading it."""

    look: Inspection | None
    faults: list[Problem]
    checked: bool = field(default=False)

    @property
    def problems(self) -> list[Problem]:
        """Of reading and of the checks that were made, sorted."""
        return self.faults if self.look is None else _merged(self.faults, self.look.problems)


class Workflows:
    """The workflow files of a project: each is read once and checked once, by itself or because another calls it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.modules: dict[str, Module | Path | SyntaxError | None] = {}
        self._opened: dict[Path, Opened] = {}
        self._project: list[Problem] | None = None

    def read(self, path: Path) -> Opened:
        """The file, not checked yet."""
        path = path.absolute()
        key = path.resolve()
        if key not in self._opened:
            self._opened[key] = self._read(path)
        return self._opened[key]

    def checked(self, path: Path) -> Opened:
        """The file with all that is wrong with it."""
        opened = self.read(path)
        if opened.look is not None and not opened.checked:
            opened.checked = True
            check_all(opened.look)
        return opened

    def with_called(self, path: Path) -> Iterator[Opened]:
        """The file and those that it calls, directly or by others, all checked."""
        waiting, seen = [path], set()
        while waiting:
            opened = self.checked(waiting.pop(0))
            if id(opened) not in seen:
                seen.add(id(opened))
                yield opened
                waiting += opened.look.called if opened.look is not None else []

    def of_project(self) -> list[Problem]:
        """What is wrong with the project file."""
        if self._project is None:
            self._project = project_problems(self.settings)
        return self._project

    def _read(self, path: Path) -> Opened:
        shown = Definitions(self.settings.root, path, None).shown(path)
        try:
            raw = path.read_bytes()
        except IsADirectoryError:
            return Opened(None, [Problem(shown, 1, 1, "this is a folder, not a workflow file", "missing-file")])
        except (OSError, ValueError) as error:
            reason = "does not exist"
            if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
                reason = f"cannot be read: {error.strerror}"
            return Opened(None, [Problem(shown, 1, 1, f"{shown} {reason}", "missing-file")])
        try:
            document, faults = read_document(decode_source(raw, shown), shown)
        except SpecError as error:
            return Opened(None, error.problems)
        return Opened(None if document is None else self.look(document, path), faults)

    def look(self, document: Document, path: Path) -> Inspection:
        """A document as the file at `path`, whatever is in that file; not checked yet."""
        data = document.data if isinstance(document.data, dict) else {}
        definitions = Definitions(self.settings.root, path, data.get("inputs"))
        return Inspection(document, plant(document.data), self.settings, path, definitions, self)


def load_workflow(path: Path, settings: Settings, hints: list[Problem] | None = None) -> Workflow:
    """Read, check and build a workflow.

    Args: hints: takes what the checks found that is no fault.
    Raises: SpecError: with all problems of the file and of the prompts, schemas and workflows it names.
    """
    workflows = Workflows(settings)
    problems = check_workflow(path, settings, workflows)
    look = workflows.read(path).look
    if look is None or any(problem.severity == "error" for problem in problems):
        raise SpecError(problems)
    if hints is not None:
        hints += problems
    from aiflow.language.build import build

    return build(look)


def load_runnable(path: Path, settings: Settings, hints: list[Problem] | None = None) -> Workflow:
    """`load_workflow`, for a run.

    Raises: SpecError: also for what this version checks but cannot run yet.
    """
    workflow = load_workflow(path, settings, hints)
    problems = [
        Problem(
            one.file, step.line, step.column, f"`{step.kind}` cannot run in this version yet", "not-yet",
            "it can be checked and drawn, and played in tests with a mock: aiflow test", length=len(step.kind),
        )  # fmt: skip
        for one in with_called(workflow)
        for _, step in walk_paths(one)
        if kinds()[step.kind].later
    ]
    if problems:
        raise SpecError(problems)
    return workflow


def check_workflow(path: Path, settings: Settings, workflows: Workflows | None = None) -> list[Problem]:
    """All faults and hints, sorted by file, line and column. An empty list: it can be run.

    Args: workflows: what was read before of the same project; several files are checked faster with it.
    """
    workflows = workflows or Workflows(settings)
    found = {problem for opened in workflows.with_called(path) for problem in opened.problems}
    if workflows.read(path).look is not None:
        found.update(workflows.of_project())
    return _sorted(found)


def inspect(document: Document, path: Path, settings: Settings) -> Inspection:
    """All checks of one document, which need not be saved."""
    look = Workflows(settings).look(document, path)
    check_all(look)
    return look


def check_text(text: str, path: Path, settings: Settings) -> tuple[Inspection | None, list[Problem]]:
    """A text as the file at `path`, whatever is in that file: the look at it (None: it cannot be read), and its problems."""
    document, faults = read_document(text, Definitions(settings.root, path, None).shown(path))
    if document is None:
        return None, faults
    look = inspect(document, path, settings)
    return look, _merged(faults, [*look.problems, *project_problems(settings)])


def _merged(faults: list[Problem], found: list[Problem]) -> list[Problem]:
    """Faults of the YAML and of its meaning; where the YAML is broken, what it seems to mean on that line is left out."""
    broken = {(fault.file, fault.line) for fault in faults}
    kept = [problem for problem in found if (problem.file, problem.line) not in broken]
    return _sorted({*faults, *kept})


def _sorted(problems: set[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda one: (one.file, one.line, one.column, one.code, one.message))
