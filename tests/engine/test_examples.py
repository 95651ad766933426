"""The example of every kind, run: what the documentation shows works."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from aiflow.app import App
from aiflow.language.workflow import load_workflow
from aiflow.steps._registry import kinds
from tests.support.project import Project, ended, with_settings

ELSEWHERE = {"http", "email", "approve", "call", "wait_for"}
"""Kinds whose examples need a server, a person, an event or another file; their own tests run them."""

SAMPLES = Path(__file__).parents[2] / "workflows" / "samples"
INPUTS: dict[str, Any] = {"texts": ["one", "two"], "document": str(SAMPLES / "workshop-rules.txt")}


@pytest.mark.parametrize("name", sorted(kinds().keys() - ELSEWHERE))
async def test_the_example_of_a_kind(project: Project, name: str) -> None:
    example = kinds()[name].example
    names = sorted(set(re.findall(r"\binputs\.(\w+)", example)))
    declared = "".join(f"  {one}: any\n" for one in names)
    text = (f"inputs:\n{declared}" if names else "") + "steps:\n" + "".join(f"  {line}\n" for line in example.splitlines())
    root = project.settings.root
    (root / "workflows").mkdir(exist_ok=True)
    (root / "workflows" / "example.yaml").write_text(text)
    shutil.copytree(SAMPLES, root / "workflows" / "samples")
    settings = with_settings(project.settings, models={}, defaults={"llm": {"model": "offline/text"}, "embed": {"model": "offline/embedding"}})
    async with App(settings) as app:
        worker = app.worker()
        await worker.start()
        try:
            flow = load_workflow(root / "workflows" / "example.yaml", settings)
            rid = await app.client.start(flow, {one: INPUTS.get(one, "the quick brown fox") for one in names}, meta={"offline": True})
            info = await ended(app, rid)
        finally:
            await worker.stop(2)
    assert info.status == "ok", info.error
