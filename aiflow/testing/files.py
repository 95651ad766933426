"""A test file to a `Suite`: the workflow with its cases, or every fault with its line and column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from aiflow.durations import parse_duration, parse_moment
from aiflow.errors import InputError, SpecError
from aiflow.language.expressions import ExpressionSyntaxError, compile_bare
from aiflow.language.inputs import convert_inputs
from aiflow.language.load import Document, decode_source, read_document
from aiflow.language.model import Workflow, static_path, walk_paths
from aiflow.language.problems import Problem
from aiflow.language.workflow import load_workflow
from aiflow.settings import Settings
from aiflow.testing.mocks import Mock, MockFault, Mocks, read_mock, unknown_name
from aiflow.testing.shape import shape_faults
from aiflow.values import Value

START = "2026-01-01T00:00:00Z"
"""When runs start that do not say: the same every time, so that dates in outputs can be expected."""

SUFFIXES = (".test.yaml", ".test.yml")
FOLDERS = ("tests", "workflows")


@dataclass(frozen=True)
class Event:
    """Something from outside, `at_ms` after the start of the run."""

    at_ms: int
    name: str
    data: Mapping[str, Value]
    id: str | None


@dataclass(frozen=True)
class Case:
    """One test.

    Attributes:
        place: `file:line:column`.  given: inputs as written, without defaults.  inputs: converted.
        now_ms: when the run starts.  files: globs of the project that it sees, None for all.
        event: the one that started the run.  expect: as written, durations and conditions checked.
        names: of steps in `expect`, as written -> path, without indexes unless written with them.
        asked: paths of the steps whose outputs are looked at.
    """

    name: str
    place: str
    given: Mapping[str, Value]
    inputs: Mapping[str, Value]
    mocks: Mocks
    env: Mapping[str, str]
    now_ms: int
    files: tuple[str, ...] | None
    event: Mapping[str, Value] | None
    events: tuple[Event, ...]
    expect: Mapping[str, Any]
    names: Mapping[str, str]
    asked: frozenset[str]


@dataclass(frozen=True)
class Suite:
    """A test file that can be run. `shown`: its name for people; `settings`: of its project."""

    path: Path
    shown: str
    settings: Settings
    workflow: Workflow
    cases: tuple[Case, ...] = ()


def found_files(root: Path) -> list[Path]:
    """All test files of a project: in `tests/`, and beside workflows in `workflows/`."""
    return [path for name in FOLDERS for path in files_in(root / name)]


def files_in(folder: Path) -> list[Path]:
    """The test files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.name.endswith(SUFFIXES) and path.is_file())


class Loader:
    """Reads test files; a workflow that several name is loaded once."""

    def __init__(self) -> None:
        self._workflows: dict[Path, Workflow | list[Problem]] = {}

    def load(self, path: Path, settings: Settings) -> Suite:
        """One test file. Raises: SpecError: with all its faults, and those of its workflow."""
        path = path.absolute()
        shown = _shown(path, settings.root)
        try:
            text = decode_source(path.read_bytes(), shown)
        except OSError as error:
            reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
            raise SpecError([Problem(shown, 1, 1, f"{shown} {reason}", "missing-file")]) from None
        document, problems = read_document(text, shown)
        if document is None:
            raise SpecError(problems)
        if not problems:
            problems = [
                document.problem(where, message, "shape", hint, key=is_key)
                for where, message, hint, is_key in shape_faults(document.data)
            ]
        if problems:
            raise SpecError(sorted(set(problems)))
        workflow = self._workflow(document, path, settings)
        reader = _Reader(document, workflow, settings)
        suite = Suite(path, shown, settings, workflow, tuple(reader.cases()))
        if reader.problems:
            raise SpecError(sorted(set(reader.problems)))
        return suite

    def _workflow(self, document: Document, path: Path, settings: Settings) -> Workflow:
        file = (path.parent / document.data["workflow"]).resolve()
        if not file.is_file():
            near = get_close_matches(file.name, [one.name for one in file.parent.glob("*.y*ml")], 1, 0.6)
            message = f"there is no workflow {document.data['workflow']}"
            hint = f"did you mean {near[0]}?" if near else ""
            raise SpecError([document.problem(("workflow",), message, "missing-file", hint)])
        if file not in self._workflows:
            try:
                self._workflows[file] = load_workflow(file, settings)
            except SpecError as error:
                self._workflows[file] = error.problems
        found = self._workflows[file]
        if isinstance(found, list):
            raise SpecError(found)
        return found


def conditions(expect: Mapping[str, Any]) -> list[str]:
    """`that`: one, or a list."""
    that = expect.get("that", [])
    return [that] if isinstance(that, str) else list(that)


def _shown(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return str(path)


@dataclass
class _Reader:
    """The cases of one file; faults are collected on the way."""

    document: Document
    workflow: Workflow
    settings: Settings
    problems: list[Problem] = field(default_factory=list)

    def cases(self) -> Iterator[Case]:
        data = self.document.data
        seen: dict[str, int] = {}
        for number, test in enumerate(data["tests"]):
            path = ("tests", number)
            name = test["name"]
            if name in seen:
                self._fault((*path, "name"), f"two tests have the name `{name}`", "duplicate-name")
            seen[name] = number
            line, column = self.document.value_at((*path, "name"))
            inputs = {**data.get("inputs", {}), **test.get("inputs", {})}
            expect, names = self._expect(test.get("expect", {}), (*path, "expect"))
            yield Case(
                name=name,
                place=f"{self.document.shown}:{line}:{column}",
                given=inputs,
                inputs=self._inputs(inputs, test, path),
                mocks=Mocks({**self._mocks(data, ()), **self._mocks(test, path)}, self.workflow),
                env={**data.get("env", {}), **test.get("env", {})},
                now_ms=self._now(test, data, path),
                files=self._files(test, data),
                event=test.get("event", data.get("event")),
                events=tuple(self._events(test.get("events", []), (*path, "events"))),
                expect=expect,
                names=names,
                asked=self._asked(expect, names),
            )

    def _fault(self, path: tuple[Any, ...], message: str, code: str, hint: str = "", *, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, message, code, hint, key=key))

    def _inputs(self, given: Mapping[str, Value], test: Mapping[str, Any], path: tuple[Any, ...]) -> Mapping[str, Value]:
        try:
            return convert_inputs(self.workflow.inputs, given, from_text=False, project=self.settings.root)
        except InputError as error:
            for name, sentence in error.faults.items():
                where = path
                if name in given:
                    where = (*path, "inputs", name) if name in test.get("inputs", {}) else ("inputs", name)
                self._fault(where, sentence, "input", error.hint, key=name in given)
            return {}

    def _mocks(self, data: Mapping[str, Any], path: tuple[Any, ...]) -> dict[str, Mock]:
        found: dict[str, Mock] = {}
        for name, raw in data.get("mock", {}).items():
            where = (*path, "mock", name)
            near = unknown_name(name, self.workflow)
            if near is not None:
                hint = f"did you mean `{near}`?" if near else "a mock is named by a step's id, its path, or a kind"
                self._fault(where, f"the workflow has no step and aiflow no kind `{name}`", "unknown-step", hint, key=True)
            try:
                found[name] = read_mock(raw)
            except MockFault as fault:
                self._fault((*where, *fault.path), fault.message, "mock", fault.hint)
            except ExpressionSyntaxError as error:
                self._fault(where, error.message, error.code, error.hint)
        return found

    def _now(self, test: Mapping[str, Any], data: Mapping[str, Any], path: tuple[Any, ...]) -> int:
        where = path if "now" in test else ()
        return self._parsed(parse_moment, test.get("now", data.get("now", START)), (*where, "now"))

    def _files(self, test: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, ...] | None:
        given = test.get("files", data.get("files"))
        return None if given is None else tuple(given)

    def _parsed(self, parse: Callable[[str], int], text: str, path: tuple[Any, ...]) -> int:
        try:
            return parse(text)
        except ValueError as error:
            self._fault(path, str(error), "time")
            return 0

    def _events(self, given: list[Mapping[str, Any]], path: tuple[Any, ...]) -> Iterator[Event]:
        for number, one in enumerate(given):
            at_ms = self._parsed(parse_duration, one["at"], (*path, number, "at"))
            yield Event(at_ms, one["event"], one.get("data", {}), one.get("id"))

    # -- expectations ------------------------------------------------------------------------------------------

    def _expect(self, expect: Mapping[str, Any], path: tuple[Any, ...]) -> tuple[Mapping[str, Any], dict[str, str]]:
        names: dict[str, str] = {}
        if "output" in expect and "outputs" in expect:
            self._fault((*path, "outputs"), "`output` and `outputs` say the same: keep one of them", "doubled", key=True)
        if "took" in expect:
            self._parsed(parse_duration, expect["took"], (*path, "took"))
        for key in ("ran", "not_ran"):
            for number, name in enumerate(expect.get(key, [])):
                self._name(name, names, (*path, key, number), key=False)
        for name in expect.get("steps", {}):
            self._name(name, names, (*path, "steps", name), key=True)
        error = expect.get("error")
        if isinstance(error, dict) and "step" in error:
            self._name(error["step"], names, (*path, "error", "step"), key=False)
        for number, text in enumerate(conditions(expect)):
            self._condition(text, (*path, "that") if isinstance(expect["that"], str) else (*path, "that", number))
        return expect, names

    def _asked(self, expect: Mapping[str, Any], names: Mapping[str, str]) -> frozenset[str]:
        steps = expect.get("steps", {})
        found = {names[name] for name in steps if name in names}
        for text in conditions(expect):
            try:
                found |= {self._path(id) for id in compile_bare(text, "that").steps if id in self.workflow.step_ids}
            except ExpressionSyntaxError:
                continue  # said already
        return frozenset(found)

    def _path(self, id: str) -> str:
        return next(path for path, step in walk_paths(self.workflow) if step.id == id)

    def _condition(self, text: str, path: tuple[Any, ...]) -> None:
        try:
            found = compile_bare(text, "that")
        except ExpressionSyntaxError as error:
            self._fault(path, error.message, error.code, error.hint)
            return
        for id in sorted(found.steps - self.workflow.step_ids.keys()):
            self._fault(path, f"the workflow has no step `{id}`", "unknown-step", _near(id, list(self.workflow.step_ids)))

    def _name(self, name: str, names: dict[str, str], path: tuple[Any, ...], *, key: bool) -> None:
        paths = dict(walk_paths(self.workflow))
        by_id = {step.id: where for where, step in paths.items() if step.id}
        if name in by_id:
            names[name] = by_id[name]
        elif static_path(name) in paths:
            names[name] = name
        else:
            hint = _near(name, [*by_id, *paths])
            self._fault(path, f"the workflow has no step `{name}`", "unknown-step", hint, key=key)


def _near(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1, 0.6)
    return f"did you mean `{near[0]}`?" if near else ""
