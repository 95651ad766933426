"""Plans: named by their content, the same in every process, in the order of the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from aiflow.language.workflow import load_workflow
from aiflow.plan import compile_plan, encode_plan
from aiflow.settings import load_settings

ROOT = Path(__file__).parents[2]

VERSIONS = """
from pathlib import Path
from aiflow.language.workflow import load_workflow
from aiflow.plan import encode_plan
from aiflow.settings import load_settings
root = Path({root!r})
for path in sorted((root / "workflows").glob("*.yaml")):
    print(path.name, encode_plan(load_workflow(path, load_settings(root=root)))[0])
"""


def versions(seed: int) -> str:
    code = VERSIONS.format(root=str(ROOT))
    env = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_a_version_is_the_same_in_every_process() -> None:
    """Nothing in a plan depends on the order of a set."""
    first = versions(1)
    assert first and {versions(seed) for seed in (2, 3)} == {first}


def test_a_stored_plan_keeps_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "workflows" / "order.yaml"
    path.parent.mkdir()
    path.write_text(
        "inputs: {zeta: string, alpha: string}\n"
        "steps:\n"
        "  - parallel:\n      right: [{set: {z: 1, a: 2}}]\n      left: [{set: {b: 1}}]\n"
        "outputs: {second: 2, first: 1, another: 3}\n"
    )
    version, raw = encode_plan(load_workflow(path, load_settings(root=tmp_path)))
    plan = compile_plan(raw, version)
    assert list(plan.workflow.outputs or {}) == ["second", "first", "another"]
    assert list(plan.workflow.inputs["properties"]) == ["zeta", "alpha"]
    assert list(plan.workflow.steps[0].branches) == ["right", "left"]
    assert list(plan.workflow.steps[0].branches["right"][0].config) == ["z", "a"]
