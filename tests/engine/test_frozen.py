"""A worker that freezes longer than its lease: another one takes over, and what the frozen one still tries is refused."""

from __future__ import annotations

import signal
import time

import pytest

from aiflow.app import App
from tests.engine.test_crashes import FLOW, RESULT
from tests.support.project import Project, WorkerProcess, ended, until, with_settings

LEASE_MS = 1500


@pytest.fixture
def project(project: Project) -> Project:
    """With a short lease."""
    project.settings = with_settings(project.settings, lease_ms=LEASE_MS)
    return project


async def thawed(worker: WorkerProcess, project: Project, app: App) -> None:
    """Let it go on, until it has noticed that its lease was given away and works again."""
    worker.send(signal.SIGCONT)
    await until(lambda: project.redis.zscore(project.keys.named("workers"), worker.name), "its new lease")
    rid = await app.client.start(project.load(FLOW), {})
    assert (await ended(app, rid)).outputs == RESULT


def state(project: Project, rid: str) -> tuple[object, ...]:
    """Everything of a run that must not change any more."""
    run = project.redis.hgetall(project.keys.run(rid))
    return project.raw_records(rid), run, project.redis.lrange(project.keys.log(rid), 0, -1)


@pytest.mark.parametrize(
    "point",
    ["before_claim:3", "after_claim:1", "after_claim:4", "after_effect:1", "after_effect:7", "after_effect:40", "before_checkpoint:3",
     "after_checkpoint:2", "before_fan_out:2", "after_fan_out:2", "before_park:1", "after_park:1", "lane_before_items:3",
     "lane_after_items:6", "before_finish_item:1", "after_finish_item:1", "before_finish:1", "after_finish:1"],
)  # fmt: skip
async def test_what_a_frozen_worker_writes_is_refused(app: App, project: Project, point: str) -> None:
    frozen = project.worker(f"{point}=stop")
    rid = await app.client.start(project.load(FLOW), {})
    await until(frozen.is_stopped, point)
    began = time.monotonic()
    other = project.worker()
    info = await ended(app, rid)
    assert (info.status, info.outputs) == ("ok", RESULT)
    if point != "after_finish:1":
        assert time.monotonic() - began < LEASE_MS / 1000 + 6  # its messages are lost with it: 5 s at most until they are sent again
    counts, before = project.counts(), state(project, rid)
    for path, count in counts.items():
        assert count <= (3 if path.endswith(".again") else 2), path
    await project.assert_at_rest(rid)

    assert other.stop() == 0
    project.forget_effects()
    await thawed(frozen, project, app)
    assert state(project, rid) == before
    for path, count in project.counts().items():  # of the new run; of the old one the effects that were in flight
        assert count <= (3 if path.endswith(".again") else 2), path
    await project.assert_at_rest(rid)
    assert frozen.stop() == 0


async def test_a_frozen_worker_is_thawed_in_the_middle_of_the_takeover(app: App, project: Project) -> None:
    """Both are at work in the same frames: each step is recorded once, by one of them, and nothing is lost."""
    flow = project.load(FLOW.replace("work:echo", "work:slow"))
    for point in ("after_effect:6", "lane_after_items:4"):
        frozen = project.worker(f"{point}=stop")
        rid = await app.client.start(flow, {})
        await until(frozen.is_stopped, point)
        records = project.raw_records(rid)
        other = project.worker()
        await until(lambda records=records, rid=rid: len(project.raw_records(rid)) > len(records) + 2, "progress")
        records = project.raw_records(rid)
        frozen.send(signal.SIGCONT)
        info = await ended(app, rid)
        assert (info.status, info.outputs) == ("ok", RESULT)
        assert project.raw_records(rid).items() >= records.items()
        await project.assert_at_rest(rid)
        assert (frozen.stop(), other.stop()) == (0, 0)
