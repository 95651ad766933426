"""Commands about files, as people start them: pictures in a terminal, the usual layout, new names."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Project

FLOW = """\
steps:
- set: {n: 3}   # three
  id: three
- if: "{{ steps.three.output.n > 2 }}"
  stop: enough
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    made.write("workflows/flow.yaml", FLOW)
    yield made
    made.close()


def _in_terminal(project: Project, *words: str, **env: str) -> str:
    """What a command prints on a terminal."""
    own, its = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "aiflow", *words], cwd=project.root, env={**project.env, "TERM": "xterm", **env}, stdout=its, stderr=its
    )
    os.close(its)
    said = b""
    try:
        while piece := os.read(own, 65536):
            said += piece
    except OSError:  # the other end is closed
        pass
    os.close(own)
    assert done.wait(timeout=60) == 0
    return said.decode()


def test_a_picture_has_colours_on_a_terminal_only(project: Project) -> None:
    plain = project("graph", "workflows/flow.yaml").stdout
    assert plain == "flow()\n├ three  set n\n└ ·      stop enough  if steps.three.output.n > 2\n→ the output of the last step\n"
    coloured = _in_terminal(project, "graph", "workflows/flow.yaml")
    assert "\x1b[31mstop\x1b[0m" in coloured
    assert _in_terminal(project, "graph", "workflows/flow.yaml", NO_COLOR="1").replace("\r\n", "\n") == plain


def test_layout_and_new_names(project: Project) -> None:
    assert "would change workflows/flow.yaml" in project("fmt", "--check", code=1).stderr
    project("fmt")
    project("fmt", "--check")
    said = project.json("rename", "workflows/flow.yaml", "three", "number")
    assert said["files"] == [{"file": "workflows/flow.yaml", "changes": 2}]
    assert (project.root / "workflows/flow.yaml").read_text("utf-8") == """\
steps:
  - id: number
    set: {n: 3}   # three
  - if: steps.number.output.n > 2
    stop: enough
"""
    assert "did you mean `number`?" in project("rename", "workflows/flow.yaml", "nunber", "x", code=2).stderr
    project("validate")


def test_a_rename_that_makes_a_fault_changes_nothing(project: Project) -> None:
    project.write("workflows/loop.yaml", "steps:\n  - each: [1]\n    as: one\n    do:\n      - each: [2]\n        as: two\n        set: {x: 1}\n")
    before = (project.root / "workflows/loop.yaml").read_bytes()
    said = project("rename", "workflows/loop.yaml", "two", "steps", code=2).stderr
    assert "`steps` is a word with a meaning of its own" in said
    assert "already taken" in project("rename", "workflows/loop.yaml", "two", "one", code=2).stderr
    assert (project.root / "workflows/loop.yaml").read_bytes() == before
