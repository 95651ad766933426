"""`concurrency` and `throttle` of workflows, in whole runs: who begins when, and that kills lose no place."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from aiflow.app import App
from aiflow.audit import audit
from aiflow.errors import InputError
from aiflow.inspector import RunInfo
from aiflow.settings import Settings
from tests.support.project import Project, ended, until, with_settings

SLOW = "steps:\n  - python: work:slow\n    with: {s: 0.03}\n"
HELD = "steps:\n  - python: work:gate\n    with: {name: go, value: done}\n"


async def start(app: App, project: Project, text: str, count: int, name: str = "flow") -> list[str]:
    flow = project.load(text, name)
    return [await app.client.start(flow, {}) for _ in range(count)]


async def info_of(app: App, rid: str) -> RunInfo:
    info = await app.inspector.run(rid)
    assert info is not None
    return info


def gate_keys(project: Project) -> list[bytes]:
    return [*project.redis.scan_iter(f"{project.keys.ns}:gate:*"), *project.redis.scan_iter(f"{project.keys.ns}:crowded")]


async def test_no_more_runs_at_work_than_allowed(project: Project, working: App) -> None:
    rids = await start(working, project, "concurrency: 2\n" + SLOW, 7)
    infos = [await ended(working, rid) for rid in rids]
    assert {info.status for info in infos} == {"ok"}
    assert project.most_at_once() == 2
    begun = [info.started_ms or 0 for info in infos]
    assert begun == sorted(begun)
    assert gate_keys(project) == []
    await project.assert_at_rest(*rids)


async def test_a_run_that_waits_for_a_moment_keeps_its_place(project: Project, working: App) -> None:
    first, second = await start(working, project, "concurrency: 1\nsteps:\n  - wait: 200ms\n  - python: work:echo\n", 2)
    await until(lambda: project.status(first) == "waiting", "the wait")
    assert project.status(second) == "queued"
    one, two = await ended(working, first), await ended(working, second)
    assert (two.started_ms or 0) >= (one.finished_ms or 0)


async def test_each_key_has_a_gate(project: Project, working: App) -> None:
    flow = project.load("inputs: {user: string}\nconcurrency: {limit: 1, key: inputs.user}\n" + HELD)
    rids = {user: [await working.client.start(flow, {"user": user}) for _ in range(2)] for user in ("ana", "bo")}
    await until(lambda: len(project.effects()) == 2, "one run for each")
    assert [[project.status(rid) for rid in pair] for pair in rids.values()] == [["running", "queued"]] * 2
    project.touch("go")
    for pair in rids.values():
        assert [(await ended(working, rid)).status for rid in pair] == ["ok", "ok"]
    assert gate_keys(project) == []


async def test_a_key_that_cannot_be_evaluated_refuses_the_run(project: Project, app: App) -> None:
    flow = project.load("inputs: {user: any}\nconcurrency: {limit: 1, key: inputs.user.id}\n" + HELD)
    with pytest.raises(InputError, match="`concurrency.key` of flow cannot be evaluated"):
        await app.client.start(flow, {"user": 3})
    assert project.redis.zcard(project.keys.named("runs")) == 0


async def test_one_too_many_is_skipped_or_fails_or_replaces(project: Project, working: App) -> None:
    (first,) = await start(working, project, "concurrency: {limit: 1, overflow: skip}\n" + HELD, 1)
    await until(project.effects, "the first")
    skipped = await info_of(working, (await start(working, project, "concurrency: {limit: 1, overflow: skip}\n" + HELD, 1))[0])
    assert (skipped.status, skipped.error, skipped.outputs) == ("skipped", None, None)
    failed = await info_of(working, (await start(working, project, "concurrency: {limit: 1, overflow: fail}\n" + HELD, 1))[0])
    assert failed.status == "failed" and failed.error is not None
    assert failed.error["type"] == "concurrency" and "another run of flow is at work" in failed.error["message"]
    (last,) = await start(working, project, "concurrency: {limit: 1, overflow: replace}\n" + HELD, 1)
    replaced = await info_of(working, first)
    assert replaced.status == "cancelled" and replaced.error is not None and f"replaced by run {last}" in replaced.error["message"]
    project.touch("go")
    assert (await ended(working, last)).outputs == "done"
    await working.client.retry(failed.run_id)
    assert (await ended(working, failed.run_id)).outputs == "done"
    assert gate_keys(project) == []
    await project.assert_at_rest(first, skipped.run_id, failed.run_id, last)


async def test_what_a_queued_run_waits_for(project: Project, working: App) -> None:
    rids = await start(working, project, "concurrency: 1\n" + HELD, 3)
    await until(project.effects, "the first")
    reasons = [await working.inspector.waits_for(await info_of(working, rid)) for rid in rids]
    assert reasons == [
        None, "its `concurrency`: 1 of 1 at work, 0 before it", "its `concurrency`: 1 of 1 at work, 1 before it",
    ]  # fmt: skip
    found = await audit(working.reader, working.keys)
    assert (found.lost, found.how) == ([], {"claimed": 1, "gate": 2})
    project.redis.zrem(project.keys.gate("flow"), rids[0])  # as if a place had been lost: nobody would ever open the gate
    assert sorted((await audit(working.reader, working.keys)).lost) == sorted(rids[1:])  # ids of one millisecond have no order
    project.redis.zadd(project.keys.gate("flow"), {rids[0]: 0})
    project.touch("go")
    for rid in rids:
        await ended(working, rid)


async def test_starts_are_throttled(project: Project, working: App) -> None:
    flow = project.load("throttle: 2/s\nsteps:\n  - python: work:echo\n")
    rids = [await working.client.start(flow, {}) for _ in range(5)]
    late = await info_of(working, rids[-1])
    assert late.status == "queued"
    assert str(await working.inspector.waits_for(late)).startswith("its turn at 20")
    assert (await audit(working.reader, working.keys)).lost == []
    infos = [await ended(working, rid) for rid in rids]
    begun = [(info.started_ms or 0) - infos[0].created_ms for info in infos]
    assert begun == sorted(begun) and begun[-1] >= 1400  # two at once, then one each 500 ms
    await project.assert_at_rest(*rids)


async def test_a_named_limit_throttles_the_starts_of_all_that_name_it(project: Project) -> None:
    async with App(with_settings(project.settings, limits={"slow": {"rate": "1/h"}})) as app:
        first = await app.client.start(project.load("throttle: slow\n" + SLOW, "a"), {})
        second = await app.client.start(project.load("throttle: slow\n" + SLOW, "b"), {})
        assert await app.inspector.due(first) is None
        assert (await app.inspector.due(second) or 0) > app.clock.now_ms() + 3_000_000


async def test_the_time_of_a_run_does_not_run_while_it_waits_in_its_gate(project: Project, working: App) -> None:
    text = "concurrency: 1\ntimeout: 250ms\nsteps:\n  - python: work:slow\n    with: {s: 0.2}\n"
    for rid in await start(working, project, text, 3):
        assert (await ended(working, rid)).status == "ok"


# -- called runs -----------------------------------------------------------------------------------------------


async def test_called_runs_pass_their_gate(project: Project, working: App) -> None:
    project.load("concurrency: 2\n" + SLOW, "child")
    rids = await start(working, project, "steps:\n  - each: range(6)\n    call: child.yaml\n", 2)
    for rid in rids:
        assert (await ended(working, rid)).status == "ok"
    assert project.most_at_once() == 2
    assert gate_keys(project) == []


async def test_the_gate_of_a_called_run_takes_its_inputs(project: Project, working: App) -> None:
    project.load("inputs: {user: string}\nconcurrency: {limit: 1, key: inputs.user}\n" + SLOW, "child")
    (rid,) = await start(working, project, "steps:\n  - each: [a, a, b]\n    call: child.yaml\n    with: {user: '{{ item }}'}\n", 1)
    assert (await ended(working, rid)).status == "ok"
    assert project.most_at_once() == 2


@pytest.mark.parametrize("overflow", ["skip", "fail"])
async def test_a_called_run_that_is_turned_away_fails_the_call(project: Project, working: App, overflow: str) -> None:
    child = f"concurrency: {{limit: 1, overflow: {overflow}}}\n" + HELD
    await start(working, project, child, 1, "child")
    (rid,) = await start(working, project, "steps:\n  - id: c\n    call: child.yaml\n", 1)
    info = await ended(working, rid)
    assert info.status == "failed" and info.error is not None
    assert (info.error["type"], info.error["data"]["error"]["type"]) == ("call_failed", "concurrency")
    project.touch("go")
    await until(lambda: not gate_keys(project), "the first run's end")
    await working.client.retry(rid)
    assert (await ended(working, rid)).outputs == "done"


async def test_a_cancelled_caller_takes_its_child_out_of_the_row(project: Project, working: App) -> None:
    (first,) = await start(working, project, "concurrency: 1\n" + HELD, 1, "child")
    (rid,) = await start(working, project, "steps:\n  - call: child.yaml\n", 1)
    await until(lambda: project.redis.exists(project.keys.gate("child") + ":q"), "a child in the gate")
    found = await audit(working.reader, working.keys)
    assert (found.lost, found.how) == ([], {"call": 1, "claimed": 1, "gate": 1})
    await working.client.cancel(rid)
    assert not project.redis.exists(project.keys.gate("child") + ":q")
    project.touch("go")
    await ended(working, first)
    assert gate_keys(project) == []


async def test_a_replaced_child_fails_the_call(project: Project, working: App) -> None:
    child = "concurrency: {limit: 1, overflow: replace}\n" + HELD
    project.load(child, "child")
    (rid,) = await start(working, project, "steps:\n  - call: child.yaml\n", 1)
    await until(project.effects, "the child")
    (last,) = await start(working, project, child, 1, "child")
    info = await ended(working, rid)
    assert info.status == "failed" and info.error is not None and f"replaced by run {last}" in info.error["message"]
    project.touch("go")
    await ended(working, last)


# -- kills -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
async def test_kills_lose_no_place(app: App, project: Project, store_settings: Settings, seed: int) -> None:
    """Two workers, one of them killed every now and then; runs that come, end, are cancelled and retried; some of them
    call others of a gate of their own."""
    rand = random.Random(seed)
    project.load("concurrency: 2\n" + SLOW, "child")
    flows = [
        project.load("concurrency: 3\n" + SLOW, "plain"),
        project.load("concurrency: 2\nsteps:\n  - python: work:echo\n  - each: range(3)\n    call: child.yaml\n  - wait: 5ms\n", "calling"),
    ]
    limits = {"plain": 3, "calling": 2, "child": 2}
    workers = [project.worker(ready=False), project.worker(ready=False)]
    rids: list[str] = []
    crowded = kills = 0

    async def look(seconds: float) -> int:
        moment, seen = time.monotonic() + seconds, 0
        while time.monotonic() < moment:
            for name, limit in limits.items():
                assert project.redis.zcard(project.keys.gate(name)) <= limit
                seen += project.redis.exists(project.keys.gate(name) + ":q")
            await asyncio.sleep(0.01)
        return seen

    for _ in range(8):
        rids += [await app.client.start(rand.choice(flows), {}) for _ in range(4)]
        number = rand.randrange(2)
        workers[number].wait_ready()
        crowded += await look(rand.uniform(0.02, 0.25))
        workers[number].kill()
        kills += 1
        victim = rand.choice(rids)
        if project.status(victim) in ("queued", "running", "waiting"):
            await app.client.cancel(victim)
        workers[number] = project.worker(ready=False)
    assert crowded > 5 and kills == 8
    for rid in rids:
        if (await ended(app, rid)).status == "cancelled":
            await app.client.retry(rid)
        assert (await ended(app, rid)).status == "ok", (await info_of(app, rid)).error
    everything = [rid.decode() for rid in project.redis.zrange(project.keys.named("runs"), 0, -1)]
    assert gate_keys(project) == []
    assert (await audit(app.reader, app.keys)).open == 0
    await project.assert_at_rest(*everything)
