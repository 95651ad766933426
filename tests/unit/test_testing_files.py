"""A test file: what is wrong with it is said at its place, all at once."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from aiflow.errors import SpecError
from aiflow.settings import Settings
from aiflow.testing.files import Loader, files_in, found_files
from aiflow.testing.shape import SCHEMA, render
from tests.support.workflow_tests import faults, suite

ROOT = Path(__file__).parents[2]
FLOW = """\
inputs: {who: string, n: {type: integer, default: 1}}
steps:
  - id: greet
    shell: echo hello
  - id: docs
    each: range(inputs.n)
    do:
      - id: text
        shell: echo text
"""


def said(root: Path, tests: str, flow: str = FLOW) -> list[str]:
    return [f"{one.line}:{one.column} {one.message}" + (f" | {one.hint}" if one.hint else "") for one in faults(root, flow, tests)]


def test_the_written_schema_is_current_and_is_one() -> None:
    assert (ROOT / "schemas" / "test.schema.json").read_text("utf-8") == render(), "write it again: aiflow schema --write"
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_the_projects_own_tests_fit_the_schema() -> None:
    files = found_files(ROOT)
    assert files
    for path in files:
        jsonschema.Draft7Validator(SCHEMA).validate(yaml.safe_load(path.read_text("utf-8")))


def test_a_case_has_what_the_file_says_for_all_under_what_it_says_itself(tmp_path: Path) -> None:
    tests = """\
    inputs: {who: ann}
    mock: {shell: {stdout: a}}
    env: {A: x}
    tests:
      - name: one
      - {name: two, inputs: {n: 3}, mock: {greet: {stdout: b}}, env: {B: y}, now: "2026-05-01T00:00:00Z"}
    """
    one, two = suite(tmp_path, FLOW, tests).cases
    assert (dict(one.inputs), dict(two.inputs)) == ({"who": "ann", "n": 1}, {"who": "ann", "n": 3})
    assert (dict(one.env), dict(two.env)) == ({"A": "x"}, {"A": "x", "B": "y"})
    assert two.now_ms - one.now_ms == 120 * 86_400_000
    assert one.place == "tests/flow.test.yaml:6:11"
    assert len(two.mocks.of("greet", "greet", "shell")) == 1


@pytest.mark.parametrize(
    ("tests", "wanted"),
    [
        ("inputs: {who: a}\ntests: [{name: x, expct: {}}]", "3:19 unknown key `expct` | did you mean `expect`?"),
        ("inputs: {who: a}\ntests: [{name: x, expect: {stats: ok}}]", "3:28 unknown key `stats` | did you mean `status`?"),
        ("inputs: {who: a}\ntests: [{expect: {}}]", "3:9 `name` is missing"),
        ("tests: []", "2:8 `tests` must have at least 1 items, this has 0"),
        (
            "inputs: {who: a}\ntests: [{name: x, expect: {status: fine}}]",
            '3:36 `tests[0].expect.status` must be one of ok, failed, stopped, cancelled, skipped, this is the text "fine"',
        ),
        ("inputs: {who: a, nn: 2}\ntests: [{name: x}]", "2:18 there is no input `nn` | did you mean `n`?"),
        ("tests: [{name: x}]", "2:9 input `who` is missing (a text)"),
        (
            "inputs: {who: a}\nmock: {gret: 1}\ntests: [{name: x}]",
            "3:8 the workflow has no step and aiflow no kind `gret` | did you mean `greet`?",
        ),
        ("inputs: {who: a}\nmock: {greet: {takes: 5x}}\ntests: [{name: x}]", "3:23 `5x` is not a duration"),
        ("inputs: {who: a}\nmock: {greet: '{{ 1 + }}'}\ntests: [{name: x}]", "3:15 "),
        ("inputs: {who: a}\ntests: [{name: x, expect: {ran: [greet, text, dox]}}]", "3:47 the workflow has no step `dox`"),
        ("inputs: {who: a}\ntests: [{name: x, expect: {steps: {'docs[0].txt': {}}}}]", "3:36 the workflow has no step `docs[0].txt`"),
        ("inputs: {who: a}\ntests: [{name: x, expect: {took: 3}}]", "3:34 `tests[0].expect.took` must be a text, this is 3"),
        ("inputs: {who: a}\ntests: [{name: x, expect: {took: 3y}}]", "3:34 `3y` is not a duration"),
        ("inputs: {who: a}\ntests: [{name: x, expect: {output: 1, outputs: 1}}]", "3:39 `output` and `outputs` say the same"),
        ("inputs: {who: a}\ntests: [{name: x}, {name: x}]", "3:27 two tests have the name `x`"),
        ("inputs: {who: a}\ntests: [{name: x, events: [{at: 6h}]}]", "3:28 `event` is missing"),
        ("inputs: {who: a}\ntests: [{name: x, expect: {that: steps.gret.output == 1}}]", "3:34 the workflow has no step `gret`"),
    ],
)
def test_a_fault_is_said_at_its_place(tmp_path: Path, tests: str, wanted: str) -> None:
    found = said(tmp_path, tests)
    assert any(one.startswith(wanted) for one in found), found


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    tests = "inputs: {who: a}\nmock: {gret: 1}\ntests: [{name: x, expect: {ran: [nobody], took: 3y}}]"
    assert len(said(tmp_path, tests)) == 3


def test_faults_of_the_workflow_are_its_own(tmp_path: Path) -> None:
    problems = faults(tmp_path, "steps:\n  - shll: echo\n", "tests: [{name: x}]")
    assert [one.file for one in problems] == ["workflows/flow.yaml"]


def test_a_workflow_in_place_of_a_test_file_is_known_as_one(tmp_path: Path) -> None:
    path = tmp_path / "workflows" / "flow.yaml"
    path.parent.mkdir()
    path.write_text("name: flow\n" + FLOW)
    with pytest.raises(SpecError) as caught:
        Loader().load(path, Settings(root=tmp_path))
    (problem,) = caught.value.problems
    assert problem.message == "this is a workflow, and no file of tests"
    assert problem.hint == "name a test file, such as tests/NAME.test.yaml: docs/testing.md"


def test_a_workflow_that_is_not_there_has_a_near_name(tmp_path: Path) -> None:
    suite(tmp_path, FLOW, "inputs: {who: a}\ntests: [{name: x}]")
    (tmp_path / "tests" / "flow.test.yaml").write_text("workflow: ../workflows/flw.yaml\ntests: [{name: x}]\n")

    with pytest.raises(SpecError) as caught:
        Loader().load(tmp_path / "tests" / "flow.test.yaml", Settings(root=tmp_path))
    assert "did you mean flow.yaml?" in str(caught.value)


def test_files_are_found_in_tests_and_beside_workflows(tmp_path: Path) -> None:
    for name in ("tests/a.test.yaml", "tests/deep/b.test.yml", "workflows/c.test.yaml", "workflows/d.yaml", "e.test.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in found_files(tmp_path)] == ["a.test.yaml", "b.test.yml", "c.test.yaml"]
    assert [path.name for path in files_in(tmp_path / "workflows")] == ["c.test.yaml"]
