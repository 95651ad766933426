"""A lane whose items end while it talks to the store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiflow.engine.frames import Frame
from aiflow.engine.lanes import Lane
from tests.engine.conftest import Run
from tests.support.project import Project


@pytest.fixture
def slow_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane hears from the store when all its items have ended."""
    ask = Lane._items

    async def late(self: Lane, *args: Any) -> Any:
        reply = await ask(self, *args)
        while self.flying:
            await asyncio.sleep(0.001)
        return reply

    monkeypatch.setattr(Lane, "_items", late)


@pytest.mark.usefixtures("slow_replies")
async def test_a_lane_is_let_go_of_when_its_last_item_leaves_meanwhile(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - parallel:
              a: [{python: "work:echo", with: {value: 1}}]
              b: [{wait: 1h}]
            join: first
        """
    )
    assert info.outputs == {"a": 1}
    await project.assert_at_rest(info.run_id)


@pytest.mark.usefixtures("slow_replies")
async def test_a_bug_in_an_item_ends_the_run_whenever_it_strikes(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Frame.run_one

    async def buggy(self: Frame, *args: Any) -> bool:
        if self.path.endswith("[1]"):
            await asyncio.sleep(0.05)
            raise ZeroDivisionError("oops")
        return await work(self, *args)

    monkeypatch.setattr(Frame, "run_one", buggy)
    info = await run("steps:\n  - each: range(2)\n    python: work:echo\n    concurrency: 8\n")
    assert info.error is not None
    assert (info.status, info.error["type"]) == ("failed", "internal")
    await project.assert_at_rest(info.run_id)
