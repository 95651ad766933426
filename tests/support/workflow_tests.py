"""A project with one workflow and one test file, loaded or run in this process."""

from __future__ import annotations

import textwrap
from pathlib import Path

from aiflow.errors import SpecError
from aiflow.language.problems import Problem
from aiflow.settings import Settings
from aiflow.testing.files import Loader, Suite
from aiflow.testing.runner import Outcome, run_tests


def suite(root: Path, workflow: str, tests: str, **settings: object) -> Suite:
    """`workflows/flow.yaml` and `tests/flow.test.yaml`; the test file gets its `workflow:`. Raises: SpecError."""
    (root / "workflows").mkdir(exist_ok=True)
    (root / "tests").mkdir(exist_ok=True)
    (root / "workflows" / "flow.yaml").write_text(textwrap.dedent(workflow))
    path = root / "tests" / "flow.test.yaml"
    path.write_text("workflow: ../workflows/flow.yaml\n" + textwrap.dedent(tests))
    return Loader().load(path, Settings(root=root, state_dir=root / ".aiflow", **settings))  # type: ignore[arg-type]


def faults(root: Path, workflow: str, tests: str) -> list[Problem]:
    """What is wrong with the test file."""
    try:
        suite(root, workflow, tests)
    except SpecError as error:
        return error.problems
    return []


def played(root: Path, workflow: str, tests: str, **settings: object) -> Outcome:
    """All its tests, run."""
    return run_tests([suite(root, workflow, tests, **settings)], lambda case: True, lambda result: None)


def wrong(outcome: Outcome) -> list[tuple[str, object, object]]:
    """(what, expected, got) of everything that failed."""
    return [(one.what, one.expected, one.got) for result in outcome.results for one in result.failures]
