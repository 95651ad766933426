"""Called workflows and gates at the command line: exit codes, and what people are shown."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.cli import Project, until

ONE_AT_A_TIME = """\
name: one
concurrency: {limit: 1, overflow: @OVERFLOW@}
steps:
  - shell: echo began >> @ROOT@/began.txt; while ! test -f @ROOT@/go; do sleep 0.02; done
    repeatable: true  # whichever process has it may end before the other
"""
CHILD = """\
name: child
inputs: {n: integer}
steps:
  - id: fragile
    shell: echo tried >> @ROOT@/tried.txt; test -f @ROOT@/mended
  - id: sum
    set: {value: "{{ inputs.n + 1 }}"}
outputs: {n: "{{ steps.sum.output.value }}"}
"""
PARENT = """\
name: parent
steps:
  - id: called
    call: child.yaml
    with: {n: 4}
outputs: {n: "{{ steps.called.output.n }}"}
"""


def held(project: Project, overflow: str) -> str:
    """A run that holds the only place; its id. `go` lets it end."""
    project.write("workflows/one.yaml", ONE_AT_A_TIME.replace("@OVERFLOW@", overflow))
    project.start("run", "workflows/one.yaml")
    until(lambda: project.lines("began.txt"))
    return str(project.json("runs")[0]["run_id"])


def test_a_skipped_run_is_no_failure(project: Project) -> None:
    held(project, "skip")
    done = project("run", "workflows/one.yaml", code=0)
    assert "skipped: another run of one is at work, and `concurrency` allows 1" in done.stderr
    result = project.json("run", "workflows/one.yaml")
    assert (result["status"], result["error"], result["outputs"]) == ("skipped", None, None)
    assert [run["status"] for run in project.json("runs")] == ["skipped", "skipped", "running"]
    (project.root / "go").touch()
    assert project.started[0].wait(30) == 0


def test_a_run_that_its_gate_fails_can_be_retried(project: Project) -> None:
    first = held(project, "fail")
    done = project("run", "workflows/one.yaml", code=1)
    assert "failed: concurrency" in done.stderr and "another run of one is at work" in done.stderr
    rid = str(project.json("run", "workflows/one.yaml", code=1)["run_id"])
    retried = project.start("retry", rid, "--json")
    until(lambda: project.json("show", rid)["status"] == "queued")
    assert "its `concurrency`: 1 of 1 at work, 0 before it" in project.json("show", rid)["waits_for"]
    assert re.search(r"queued.*waits for its `concurrency`: 1 of 1 at work", project("runs").stdout)
    assert "waits for its `concurrency`" in project("show", rid).stdout
    assert "every one reachable: 1 claimed, 1 gate" in project("doctor", "--audit").stdout
    (project.root / "go").touch()
    out, _ = retried.communicate(timeout=30)
    assert (retried.returncode, json.loads(out)["status"]) == (0, "ok")
    assert project.json("show", first)["status"] == "ok"


def test_a_replaced_run_ends_cancelled(project: Project) -> None:
    first = held(project, "replace")
    second = project.start("run", "workflows/one.yaml", "--json")
    until(lambda: len(project.lines("began.txt")) == 2)
    assert "replaced by run" in project.json("show", first)["error"]["message"]
    assert project.started[0].wait(30) == 1
    (project.root / "go").touch()
    result = json.loads(second.communicate(timeout=30)[0])
    assert result["status"] == "ok", result["error"]


def test_a_called_run_is_shown_and_opened_again(project: Project) -> None:
    project.write("workflows/child.yaml", CHILD)
    project.write("workflows/parent.yaml", PARENT)
    done = project("run", "workflows/parent.yaml", code=1)
    assert re.search(r"workflows/parent.yaml:4:5: step called failed: call_failed\n  run \w{26} of child failed: shell_exit", done.stderr)
    parent = project.json("runs", "--workflow", "parent")[0]["run_id"]
    child = project.json("runs", "--workflow", "child")[0]["run_id"]
    (step,) = project.json("show", parent)["steps"]
    assert (step["kind"], step["status"], step["run_id"]) == ("call", "failed", child)
    assert project.json("show", child)["caller"] == {"run_id": parent, "path": "called"}
    assert f"called by run {parent} at called" in project("show", child).stdout
    (project.root / "mended").touch()
    assert project.json("retry", parent)["outputs"] == {"n": 5}
    assert project.lines("tried.txt") == ["tried", "tried"]
    assert len(project.json("runs")) == 2
    (step,) = project.json("show", parent)["steps"]
    assert (step["status"], step["run_id"], step["output"]) == ("ok", child, {"n": 5})
    assert child in project("show", parent).stdout and child in project("show", parent, "called").stdout


def test_no_wait_works_as_long_as_a_called_run_does(project: Project) -> None:
    project.write("workflows/child.yaml", "steps:\n  - shell: sleep 0.4\n  - wait: 1h\n")
    project.write("workflows/parent.yaml", "steps:\n  - id: c\n    call: child.yaml\n")
    assert project.json("run", "workflows/parent.yaml", "--no-wait")["status"] == "waiting"
    runs = project.json("runs")
    assert [run["status"] for run in runs] == ["waiting", "waiting"]
    child = next(run["run_id"] for run in runs if run["workflow"] == "child")
    assert [step["path"] for step in project.json("show", child)["steps"]] == ["shell@1"]
    project("cancel", next(run["run_id"] for run in runs if run["workflow"] == "parent"))
    assert [run["status"] for run in project.json("runs")] == ["cancelled", "cancelled"]


def test_the_view_names_what_a_run_waits_for(project: Project) -> None:
    project.write("workflows/child.yaml", "steps:\n  - shell: while ! test -f @ROOT@/go; do sleep 0.02; done\n")
    project.write("workflows/parent.yaml", "steps:\n  - id: c\n    call: child.yaml\n")
    run = project.start("run", "workflows/parent.yaml")
    until(lambda: any(one["workflow"] == "child" and one["status"] == "running" for one in project.json("runs")))
    until(lambda: "waits for run" in project("runs").stdout)
    assert run.poll() is None
    (project.root / "go").touch()
    _, said = run.communicate(timeout=30)
    assert run.returncode == 0
    assert re.search(r"waits for run \w{26} of child, which it called at c", said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps:\n  - call: nobody.yaml\n", "workflows/parent.yaml:2:11: workflows/nobody.yaml does not exist [missing-file]"),
        ("steps:\n  - call: parent.yaml\n", "workflows/parent.yaml:2:11: parent.yaml is this workflow itself [circular-call]"),
        ("steps:\n  - call: bad.yaml\n", "workflows/bad.yaml:2:5: "),
    ],
)  # fmt: skip
def test_what_cannot_be_called_is_refused_before_the_run(project: Project, text: str, said: str) -> None:
    project.write("workflows/bad.yaml", "steps:\n  - fial: x\n")
    project.write("workflows/parent.yaml", text)
    assert said in project("run", "workflows/parent.yaml", code=1).stderr
    assert project.json("runs") == []


def test_a_circle_of_calls_is_refused(project: Project) -> None:
    project.write("workflows/a.yaml", "steps:\n  - call: b.yaml\n")
    project.write("workflows/b.yaml", "steps:\n  - call: a.yaml\n")
    said = project("run", "workflows/a.yaml", code=1).stderr
    assert "workflows/a.yaml:2:11: b.yaml comes back to this workflow: a.yaml → b.yaml → a.yaml [circular-call]" in said
