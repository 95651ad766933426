"""`aiflow test`: run the tests of workflows in virtual time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiflow.cli._errors import say
from aiflow.cli._options import json_option, out, out_json, project_option, project_settings, quiet_option, shown_path
from aiflow.cli._text import clean, colourful, count, mark, tint
from aiflow.errors import ConfigError, SpecError

if TYPE_CHECKING:
    from aiflow.settings import Settings
    from aiflow.testing.coverage import Coverage
    from aiflow.testing.expect import Failure
    from aiflow.testing.files import Case, Suite
    from aiflow.testing.runner import Outcome, Result

LONGEST = 2_000  # characters of a value that a failure shows
EXAMPLES = """\b
Examples:
  aiflow test                                 all of tests/ and workflows/
  aiflow test tests/hello.test.yaml -k empty
  aiflow test --json | jq '.tests[] | select(.status == "failed")'
  aiflow test --record 01KB3 -o tests/hello.test.yaml

Waits take no time, models are answered by the offline ones, and what acts outside
(http, email ...) is played by mocks.

\b
Exit codes: 0 all passed, 1 a test failed or a file has faults, 2 usage or no tests."""


@dataclass(frozen=True)
class Wishes:
    """How results are printed."""

    as_json: bool
    quiet: bool
    colour: bool


@click.command(epilog=EXAMPLES)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path())
@click.option("-k", "named", metavar="NAME", help="Only tests whose name has this in it.")
@click.option("--junit", "junit_file", type=click.Path(dir_okay=False), metavar="FILE", help="Write JUnit XML for a CI server.")
@click.option(
    "--cover-fail-under", "least", type=click.FloatRange(0, 100), metavar="PERCENT",
    help="Fail if the tests run fewer of a workflow's steps.",
)
@click.option("--record", "run_id", metavar="RUN", help="Write a test from a run that was: its inputs, mocks, results.")
@click.option("-o", "--output", "target", type=click.Path(dir_okay=False), metavar="FILE", help="With --record: the file.")
@project_option
@json_option
@quiet_option
def test(
    files: tuple[str, ...],
    named: str | None,
    junit_file: str | None,
    least: float | None,
    run_id: str | None,
    target: str | None,
    project: str | None,
    as_json_: bool,
    quiet: bool,
) -> int:
    """Run workflow tests: FILEs, folders, or all *.test.yaml of the project.

    The runs are real ones but for two things: time is virtual, so that thirty days take
    milliseconds, and mocks stand in for what acts outside.
    """
    if run_id is not None:
        from aiflow.cli._record import record

        return record(run_id, target, project)
    if target is not None:
        raise click.UsageError("-o goes with --record")
    wishes = Wishes(as_json_, quiet or as_json_, colourful(sys.stdout))
    suites, faults = _load(_paths(files, project), project)
    outcome = _run(suites, named, wishes)
    if outcome is None and not faults:
        raise ConfigError(f"no test has `{named}` in its name" if named else "the test files hold no tests")
    if junit_file is not None:
        _write_junit(Path(junit_file), outcome, faults)
    return _conclude(outcome, faults, least, wishes)


def _paths(files: tuple[str, ...], project: str | None) -> list[Path]:
    """The test files that are meant. Raises: ConfigError: there are none."""
    from aiflow.testing.files import files_in, found_files

    paths: list[Path] = []
    for name in files:
        path = Path(name)
        if not path.exists():
            raise ConfigError(f"there is no file {name}")
        paths += files_in(path) if path.is_dir() else [path]
    root = project_settings(project).root
    paths = paths if files else found_files(root)
    if not paths:
        raise ConfigError(f"no tests found in {shown_path(root)}", "write some in tests/NAME.test.yaml: docs/testing.md")
    return list(dict.fromkeys(path.absolute() for path in paths))


def _load(paths: Sequence[Path], project: str | None) -> tuple[list[Suite], list[SpecError]]:
    from aiflow.cli.validate import seen_from_here
    from aiflow.settings import find_root
    from aiflow.testing.files import Loader

    loader = Loader()
    known: dict[Path, Settings] = {}
    suites: list[Suite] = []
    faults: list[SpecError] = []
    for path in paths:
        root = Path(project).absolute() if project else find_root(path)
        settings = known.setdefault(root, project_settings(project, path))
        try:
            suites.append(loader.load(path, settings))
        except SpecError as error:
            faults.append(SpecError([seen_from_here(problem, settings.root) for problem in error.problems]))
    return suites, faults


def _run(suites: list[Suite], named: str | None, wishes: Wishes) -> Outcome | None:
    """None: there is nothing to run."""

    def wanted(case: Case) -> bool:
        return named is None or named.casefold() in case.name.casefold()

    if not any(wanted(case) for suite in suites for case in suite.cases):
        return None
    from aiflow.testing.runner import run_tests

    return run_tests(suites, wanted, _Printer(wishes))


class _Printer:
    """One line a test, as soon as it is its turn, with what is wrong below."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._file: Path | None = None

    def __call__(self, result: Result) -> None:
        if self._wishes.as_json or (self._wishes.quiet and result.passed):
            return
        if result.suite.path != self._file:
            self._file = result.suite.path
            out(tint(shown_path(self._file), "bold", self._wishes.colour))
        out("\n".join(_lines(result, self._wishes.colour)))


def _lines(result: Result, colour: bool) -> list[str]:
    from aiflow.durations import format_duration

    took = "" if result.took_ms is None else format_duration(result.took_ms)
    note = tint(f"{took} in {result.real_s * 1000:.0f} ms", "dim", colour)
    lines = [f"  {mark('ok' if result.passed else 'failed', colour)} {clean(result.case.name)}  {note}"]
    if not result.passed:
        line, column = result.case.place.split(":")[-2:]
        lines.append("      " + tint(f"{shown_path(result.suite.path)}:{line}:{column}", "dim", colour))
        for failure in result.failures:
            lines += [f"      {line}" for line in _difference(failure, colour)]
    return lines


def _difference(failure: Failure, colour: bool) -> list[str]:
    from aiflow.testing.expect import as_texts

    expected, got = map(clean, as_texts(failure))
    if failure.what == "test":
        first, *rest = got.splitlines()
        return [tint(first, "red", colour), *(f"    {line}" for line in rest)]
    expected, got = expected[:LONGEST], got[:LONGEST]
    if "\n" in expected and "\n" in got:
        import difflib

        changes = difflib.unified_diff(expected.splitlines(), got.splitlines(), "expected", "got", lineterm="")
        return [failure.what, *(f"  {line}" for line in changes)]
    head = f"{failure.what}  "
    return [
        f"{head}expected: {tint(_shifted(expected, len(head) + 10), 'green', colour)}",
        f"{' ' * len(head)}got:      {tint(_shifted(got, len(head) + 10), 'red', colour)}",
    ]


def _shifted(text: str, width: int) -> str:
    return text.replace("\n", "\n      " + " " * width)


def _write_junit(path: Path, outcome: Outcome | None, faults: list[SpecError]) -> None:
    from aiflow.testing.junit import junit

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(junit(outcome.results if outcome else (), faults), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def _conclude(outcome: Outcome | None, faults: list[SpecError], least: float | None, wishes: Wishes) -> int:
    results = outcome.results if outcome else []
    coverage = list(outcome.coverage.values()) if outcome else []
    failed = sum(not result.passed for result in results) + len(faults)
    low = [one for one in coverage if least is not None and one.percent < least]
    if wishes.as_json:
        out_json(_json(results, coverage, faults, failed))
    if faults:
        from aiflow.cli.validate import print_problems

        print_problems([problem for error in faults for problem in error.problems])
    if not wishes.as_json:
        for line in _summary(results, coverage, len(faults), wishes):
            out(line)
    for one in low:
        say(f"the tests run {one.percent:.0f}% of the steps of {one.workflow.file}, and {least:g}% are asked for")
    return 1 if failed or low else 0


def _summary(results: list[Result], coverage: list[Coverage], faults: int, wishes: Wishes) -> list[str]:
    lines = []
    for one in coverage if not wishes.quiet else ():
        if one.not_run or one.not_taken:
            lines.append("")
            lines.append(f"{one.workflow.file}: {len(one.steps) - len(one.not_run)} of {count(len(one.steps), 'step')} run")
        if one.not_run:
            lines.append(f"  no test ran: {', '.join(one.not_run)}")
        if one.not_taken:
            lines.append(f"  no test took: {', '.join(one.not_taken)}")
    failed = sum(not result.passed for result in results)
    parts = [count(len(results) - failed, "passed", "passed")]
    if failed:
        parts.append(tint(f"{failed} failed", "red", wishes.colour))
    if faults:
        parts.append(tint(count(faults, "file with faults", "files with faults"), "red", wishes.colour))
    return [*lines, "", ", ".join(parts)]


def _json(results: list[Result], coverage: list[Coverage], faults: list[SpecError], failed: int) -> dict[str, Any]:
    """The object of DSL 3.19. A file with faults is a failed test without a name."""
    from aiflow.durations import format_duration

    tests: list[dict[str, Any]] = []
    for result in results:
        tests.append({
            "file": shown_path(result.suite.path),
            "name": result.case.name,
            "status": "passed" if result.passed else "failed",
            "took": None if result.took_ms is None else format_duration(result.took_ms),
            "failures": [{"what": one.what, "expected": one.expected, "got": one.got} for one in result.failures],
        })  # fmt: skip
    for error in faults:
        wrong = [{"what": "file", "expected": "no faults", "got": str(problem)} for problem in error.problems]
        tests.append({"file": error.problems[0].file, "name": "", "status": "failed", "took": None, "failures": wrong})
    several = len(coverage) > 1
    not_run = [f"{one.workflow.file}: {path}" if several else path for one in coverage for path in one.not_run]
    return {"passed": len(results) + len(faults) - failed, "failed": failed, "tests": tests, "not_run": not_run}
