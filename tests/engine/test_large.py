"""Large things: fan-outs that only compute, many records in one checkpoint, steps that keep a processor busy."""

from __future__ import annotations

import asyncio
import time

import pytest

from aiflow.app import App
from aiflow.engine import fans, writing
from tests.engine.conftest import Run
from tests.support.project import Project, ended

ROWS = """
    inputs: {n: integer}
    steps:
      - id: rows
        each: range(inputs.n)
        set: {number: "{{ item }}", twice: "{{ item * 2 }}"}
      - id: total
        python: work:echo
        with: {value: "{{ steps.rows.output | sum(attribute='twice') }}"}
    outputs: {total: "{{ steps.total.output }}", rows: "{{ steps.rows.output | length }}"}
    """


async def test_ten_thousand_computed_items_are_recorded_one_by_one(run: Run, project: Project) -> None:
    """More than Lua unpacks in one call: some 8,000 values."""
    info = await run(ROWS, n=10_000)
    assert (info.status, info.outputs) == ("ok", {"total": 99_990_000, "rows": 10_000}), info.error
    records = project.records(info.run_id)
    assert [records[f"rows[{n}]"].output for n in (0, 4_999, 9_999)] == [{"number": n, "twice": 2 * n} for n in (0, 4_999, 9_999)]
    assert len(records) == 10_002
    await project.assert_at_rest(info.run_id)


@pytest.mark.parametrize("last", ["", "\n      - wait: 1ms\n", "\n      - {each: '[1, 2]', python: work:echo}\n"])
async def test_many_steps_that_only_compute_ride_on_whatever_checkpoint_comes(run: Run, last: str) -> None:
    """At the end of a run, with a wait and with a fan-out."""
    steps = "".join("      - set: {a: 1}\n" for _ in range(4_500))
    info = await run(f"\n    steps:\n{steps}{last}")
    assert info.status == "ok", info.error


async def test_a_computed_item_that_is_done_over_after_a_crash_is_the_same(project: Project, app: App) -> None:
    """Items are written in parts on the way: the worker dies in between, the next one computes all of them again."""
    text = ROWS.replace("total:", "clock:").replace("id: total", "id: clock").replace("steps.total", "steps.clock")
    text = text.replace("number: \"{{ item }}\"", "number: \"{{ now() }}\"").replace("sum(attribute='twice')", "map(attribute='number') | unique | list | length")
    rid = await app.client.start(project.load(text), {"n": 3 * fans.PART_ITEMS})
    await project.worker(crash="after_checkpoint:2=kill").death()
    before = project.records(rid)
    assert 0 < len(before) < 3 * fans.PART_ITEMS
    project.worker()
    info = await ended(app, rid)
    assert info.status == "ok", info.error
    assert info.outputs["clock"] == 1, "all items see the same time"
    assert len(project.records(rid)) == 3 * fans.PART_ITEMS + 2


async def test_the_models_that_aiflow_brings_along_leave_the_event_loop_free(working: App, project: Project) -> None:
    """A lease is renewed only while the event loop answers: one long document must not look like a dead worker."""
    (project.root / "texts.py").write_text(
        "def many(n):\n    return [f'In {k}, club {k} bought {k} bicycles. It sold {k} again. ' * 20 for k in range(n)]\n"
        "def long(n):\n    return '\\n\\n'.join(many(n))\n"
    )
    workflow = project.load(
        """
        steps:
          - id: texts
            python: texts:many
            with: {n: 12000}
          - embed: {input: "{{ steps.texts.output }}", model: offline/embedding}
          - id: text
            python: texts:long
            with: {n: 700}
          - llm: {text: "Summarise:\n\n{{ steps.text.output }}", model: offline/text}
        """
    )
    rid = await working.client.start(workflow, {})
    longest, before = 0.0, time.thread_time()  # what this thread computes, however busy the machine is
    while (await working.inspector.status(rid)) not in ("ok", "failed"):
        await asyncio.sleep(0.01)
        longest, before = max(longest, time.thread_time() - before), time.thread_time()
    info = await ended(working, rid)
    assert info.status == "ok", info.error
    assert longest < 1.0, f"the event loop computed for {longest:.1f} s in a row"


async def test_a_result_that_no_disk_takes_fails_its_run_with_place_and_remedy(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is kept trying for a while; then the run fails, and a retry after the cause was mended goes on."""
    monkeypatch.setattr(writing, "BLOB_PAUSES_S", (0.01,))
    artifacts = project.root / "artifacts"
    artifacts.write_text("a file where the folder should be")
    workflow = project.load("steps:\n  - id: little\n    python: work:echo\n  - id: large\n    python: work:big\n    with: {size: 200000}\n  - python: work:echo\noutputs: {size: \"{{ steps.large.output | length }}\"}\n")
    async with App(project.settings) as app:
        worker = app.worker()
        await worker.start()
        rid = await app.client.start(workflow, {})
        info = await ended(app, rid)
        assert info.status == "failed" and info.error is not None
        assert (info.error["type"], info.error["step"], info.error["at"]) == ("store", "large", "workflows/flow.yaml:5:5")
        assert "cannot be stored" in info.error["message"] and "aiflow retry" in info.error["hint"]
        assert "blob_waits" in [entry["event"] for entry in await app.inspector.journal(rid)]
        artifacts.unlink()
        await app.client.retry(rid)
        again = await ended(app, rid)
        await worker.stop(2)
    assert (again.status, again.outputs) == ("ok", {"size": 200_000})
