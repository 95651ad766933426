"""The tests of the example workflows: all pass, and no step of the six is left out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_the_tests_of_the_examples_pass_and_cover_every_step() -> None:
    command = [sys.executable, "-m", "aiflow", "test", "--cover-fail-under", "100", "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, text=True, capture_output=True, timeout=100)
    report = json.loads(done.stdout)
    assert [one for one in report["tests"] if one["status"] != "passed"] == []
    assert report["not_run"] == []
    tested = {Path(one["file"]).name.removesuffix(".test.yaml") for one in report["tests"]}
    assert tested == {path.stem for path in (REPOSITORY / "workflows").glob("*.yaml")}
    assert done.returncode == 0, done.stderr
