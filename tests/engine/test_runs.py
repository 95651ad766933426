"""Whole runs in one worker: what each modifier does, and what is recorded of it."""

from __future__ import annotations

from aiflow.app import App
from tests.engine.conftest import Run
from tests.support.project import Project


async def test_steps_run_one_after_another(run: Run, project: Project, app: App) -> None:
    info = await run(
        """
        steps:
          - id: a
            python: work:echo
            with: {value: "{{ inputs.n }}"}
          - python: work:thread
          - id: b
            python: work:echo
            with: {value: "{{ steps.a.output * 2 }}"}
        outputs: {b: "{{ steps.b.output }}", a: "{{ steps.a.status }}"}
        """,
        n=21,
    )
    assert (info.status, info.outputs) == ("ok", {"b": 42, "a": "ok"})
    assert [effect.path for effect in project.effects()] == ["a", "python@2", "b"]
    assert {path: record.output for path, record in project.records(info.run_id).items()} == {"a": 21, "python@2": None, "b": 42}
    project.assert_at_rest(info.run_id)
