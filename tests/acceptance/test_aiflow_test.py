"""`aiflow test` as people and CI servers meet it: a real process in a small project."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

REPOSITORY = Path(__file__).parents[2]
AIFLOW = [sys.executable, "-m", "aiflow"]
KEYS = re.compile(r"_API_KEY$|^AWS_|^AIFLOW_|^REDIS_URL$|_TOKEN$|^NO_COLOR$|^FORCE_COLOR$")

FLOW = """\
name: shop
inputs: {who: string}
steps:
  - id: welcome
    email: {to: "{{ inputs.who }}", subject: Hello, text: Dear}
  - wait: 30d
  - id: again
    if: inputs.who == "bob"
    email: {to: "{{ inputs.who }}", subject: Again, text: Dear}
outputs: {first: "{{ steps.welcome.output.message_id }}"}
"""
TESTS = """\
workflow: ../workflows/shop.yaml
inputs: {who: ann}
mock: {email: {message_id: "{{ step.id }}-mail"}}
tests:
  - name: a reader is welcomed
    expect: {outputs: {first: welcome-mail}, took: 30d, not_ran: [again]}
  - name: a reader is welcomed twice
    expect:
      outputs: {first: "other <mail>"}
      ran: [again]
"""


class Project:
    """A project folder, and the command line in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {name: value for name, value in os.environ.items() if not KEYS.search(name)}
        self.env["PYTHONPATH"] = str(REPOSITORY)
        self.write("workflows/shop.yaml", FLOW)
        self.write("tests/shop.test.yaml", TESTS)

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def __call__(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*AIFLOW, *words], cwd=self.root, env=self.env, text=True, capture_output=True, timeout=100)
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code).stdout)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_list_of_tests_with_what_is_wrong_and_what_was_left_out(project: Project) -> None:
    done = project("test", code=1)
    assert "✓ a reader is welcomed  30d in" in done.stdout
    assert "✗ a reader is welcomed twice" in done.stdout
    assert "tests/shop.test.yaml:7:11" in done.stdout
    assert re.search(r'outputs.first  expected: other <mail>\n +got: +welcome-mail', done.stdout)
    assert re.search(r"ran  expected: again\n +got: +it was skipped", done.stdout)
    assert "no test ran: again" in done.stdout and "again: if true" in done.stdout
    assert done.stdout.rstrip().endswith("1 passed, 1 failed")
    assert sorted(path.name for path in project.root.iterdir()) == ["tests", "workflows"]


def test_json_is_what_the_language_says(project: Project) -> None:
    said = project.json("test", code=1)
    assert said == {
        "passed": 1,
        "failed": 1,
        "tests": [
            {"file": "tests/shop.test.yaml", "name": "a reader is welcomed", "status": "passed", "took": "30d", "failures": []},
            {
                "file": "tests/shop.test.yaml", "name": "a reader is welcomed twice", "status": "failed", "took": "30d",
                "failures": [
                    {"what": "outputs.first", "expected": "other <mail>", "got": "welcome-mail"},
                    {"what": "ran", "expected": "again", "got": "it was skipped"},
                ],
            },
        ],
        "not_run": ["again"],
    }  # fmt: skip


def test_tests_are_chosen_by_name_and_by_file(project: Project) -> None:
    assert project.json("test", "-k", "Welcomed Twice", code=1)["failed"] == 1
    project.write("workflows/other.test.yaml", TESTS.replace("../workflows/", "").split("  - name: a reader is welcomed twice")[0])
    assert project.json("test", "workflows")["passed"] == 1
    assert project.json("test", code=1)["passed"] == 2
    assert "no test has `nothing`" in project("test", "-k", "nothing", code=2).stderr
    assert "there is no file nowhere.test.yaml" in project("test", "nowhere.test.yaml", code=2).stderr


def test_a_project_without_tests_says_so(project: Project) -> None:
    (project.root / "tests" / "shop.test.yaml").unlink()
    assert "no tests found" in project("test", code=2).stderr


def test_faults_of_a_file_are_said_like_those_of_a_workflow(project: Project) -> None:
    project.write("tests/bad.test.yaml", "workflow: ../workflows/shop.yaml\ninputs: {who: a}\ntests: [{name: x, expect: {rann: []}}]\n")
    done = project("test", code=1)
    assert "tests/bad.test.yaml:3:28: unknown key `rann` [shape]" in done.stderr
    assert "did you mean `ran`?" in done.stderr
    assert "1 file with faults" in done.stdout
    bad = project.json("test", "tests/bad.test.yaml", code=1)
    assert (bad["failed"], bad["tests"][0]["status"], bad["tests"][0]["failures"][0]["what"]) == (1, "failed", "file")


def test_junit_is_xml_with_a_case_for_each_test(project: Project) -> None:
    project.write("tests/bad.test.yaml", "tests: 3\n")
    project("test", "--junit", "out/junit.xml", code=1)
    root = ElementTree.parse(project.root / "out" / "junit.xml").getroot()
    good, bad = root.findall("testsuite")
    assert (good.get("tests"), good.get("failures"), bad.get("errors")) == ("2", "1", "1")
    passed, failed = good.findall("testcase")
    assert passed.find("failure") is None
    failure = failed.find("failure")
    assert failure is not None and failure.get("message") == "outputs.first: welcome-mail" and "other <mail>" in (failure.text or "")


def test_coverage_can_be_asked_for(project: Project) -> None:
    assert "67%" in project("test", "-k", "a reader is welcomed", "--cover-fail-under", "80", code=1).stderr
    only = TESTS.split("  - name: a reader is welcomed twice")[0]
    project.write("tests/shop.test.yaml", only)
    project("test", "--cover-fail-under", "60")


def test_a_run_becomes_a_test_that_passes(project: Project) -> None:
    project.write("aiflow.yaml", "models: {fast: offline/text}\n")
    project.write("data.txt", "The shop opens at nine. Write {{ name }} in {% braces %}.\n")
    project.write(
        "workflows/real.yaml",
        """\
inputs: {file: file, n: integer}
steps:
  - id: text
    read: "{{ inputs.file.path }}"
  - id: sum_up
    llm: {text: "Summarise: {{ steps.text.output }}", model: fast}
  - id: items
    each: range(inputs.n)
    shell: echo "$n" 1e3 yes
    with: {n: "{{ item }}"}
  - id: flaky
    shell: test -e again || { touch again; exit 3; }
    retry: {times: 1, delay: 10ms}
  - id: page
    write: {to: out/page.txt, text: "{{ steps.sum_up.output }}"}
outputs:
  page: "{{ steps.page.output.path }}"
  items: "{{ steps.items.output | map(attribute='stdout') | list }}"
""",
    )
    run = project.json("run", "workflows/real.yaml", "-i", "file=data.txt", "-i", "n=2")
    said = project("test", "--record", run["run_id"], "-o", "tests/real.test.yaml")
    assert "wrote tests/real.test.yaml" in said.stderr
    text = (project.root / "tests" / "real.test.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=../schemas/test.schema.json\n")
    assert "shell_exit" in text and "1e3" in text
    done = project.json("test", "tests/real.test.yaml")
    assert (done["passed"], done["not_run"]) == (1, [])
    assert "exists already" in project("test", "--record", run["run_id"], "-o", "tests/real.test.yaml", code=2).stderr
    broken = text.replace("shell_exit", "timeout").replace("page: out/page.txt", "page: elsewhere")
    project.write("tests/real.test.yaml", broken)
    assert project.json("test", "tests/real.test.yaml", code=1)["tests"][0]["failures"][0]["what"] == "outputs.page"


def test_the_tests_of_the_example_workflows_pass(project: Project) -> None:
    done = subprocess.run(
        [*AIFLOW, "test", "--json"], cwd=REPOSITORY, env=project.env, text=True, capture_output=True, timeout=100
    )  # fmt: skip
    assert json.loads(done.stdout)["failed"] == 0, done.stdout
    assert json.loads(done.stdout)["not_run"] == []


def test_an_interrupted_command_leaves_nothing_behind(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    temporary = tmp_path_factory.mktemp("t")  # other tests work in the usual one
    project.env["TMPDIR"] = str(temporary)
    project.write("workflows/slow.yaml", "steps:\n  - shell: touch begun; sleep 60\n")
    project.write("tests/slow.test.yaml", "workflow: ../workflows/slow.yaml\ntests: [{name: slow}]\n")
    for number in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen(
            [*AIFLOW, "test", "tests/slow.test.yaml"], cwd=project.root, env=project.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while not list(temporary.glob("aiflow-test-*/**/begun")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode == 130
        assert list(temporary.glob("aiflow-test-*")) == []
