"""The store dies, hangs, forgets its scripts or has no memory left: finished work is kept, nothing runs twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from aiflow.app import App
from aiflow.errors import StoreError
from aiflow.settings import Settings
from tests.engine.test_crashes import FLOW, RESULT
from tests.support.project import Project, ended, until

SLOW = FLOW.replace("work:echo", "work:slow")


@pytest.fixture
def store_settings(tmp_path: Path) -> Settings:
    """A server of its own for each test."""
    return Settings(root=tmp_path, state_dir=tmp_path / "state", artifacts=str(tmp_path / "artifacts"), lease_ms=1500)


@pytest.fixture
def project(store_settings: Settings) -> Iterator[Project]:
    """As elsewhere; but the store may be away at the end."""
    from aiflow.store.embedded import ensure_server

    with ensure_server(store_settings):
        project = Project(store_settings)
        yield project
        project.close()


def server_pid(project: Project) -> int:
    return int((project.settings.state_dir / "redis" / "server.pid").read_text())


async def kill_server(project: Project) -> None:
    """kill -9, and proof that it struck."""
    pid = server_pid(project)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not Path(f"/proc/{pid}").exists() or b"valkey" not in Path(f"/proc/{pid}/cmdline").read_bytes(), "its death")


async def answers(project: Project) -> None:
    """Until the server is back."""

    def ping() -> bool:
        try:
            return bool(project.redis.ping())
        except (redis.RedisError, OSError):
            return False

    await until(ping, "the server")


@asynccontextmanager
async def nuisance(action: object, every_s: float) -> AsyncIterator[list[int]]:
    """Do something to the server again and again meanwhile; gives a list whose length says how often."""
    done: list[int] = []

    async def again() -> None:
        while True:
            action()  # type: ignore[operator]
            done.append(1)
            await asyncio.sleep(every_s)

    task = asyncio.create_task(again())
    try:
        yield done
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            raise task.exception() or AssertionError


async def judge(project: Project, app: App, rids: list[str], *, once: bool = True) -> None:
    """All runs are ok, each step took effect once, and no worker was taken for dead."""
    for rid in rids:
        info = await ended(app, rid)
        assert (info.status, info.outputs) == ("ok", RESULT), info.error
        lines = [line["event"] for line in await app.inspector.journal(rid)]
        assert "worker_lost" not in lines
    if once:
        assert {count for path, count in project.counts().items() if not path.endswith(".again")} == {len(rids)}
    await project.assert_at_rest(*rids)


@pytest.mark.parametrize("seed", range(2))
async def test_the_server_is_killed_and_comes_back(working: App, project: Project, seed: int) -> None:
    """It restarts by itself, and no acknowledged write is lost; finished steps wait in memory until it is back."""
    rand = random.Random(seed)
    rids = [await working.client.start(project.load(SLOW), {}) for _ in range(4)]
    kills = 0
    while any(project.status(rid) != "ok" for rid in rids) and kills < 6:
        moment = time.monotonic() + rand.uniform(0.02, 0.3)
        await until(lambda moment=moment: time.monotonic() > moment, "the moment")
        await kill_server(project)
        kills += 1
        await answers(project)
    assert kills >= 2
    await judge(project, working, rids)


async def test_a_server_that_hangs_longer_than_a_lease(working: App, project: Project) -> None:
    rids = [await working.client.start(project.load(SLOW), {}) for _ in range(2)]
    await until(lambda: len(project.effects()) > 8, "some effects")
    pid = server_pid(project)
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(2 * project.settings.lease_ms / 1000)  # the fault itself
    finally:
        os.kill(pid, signal.SIGCONT)
    await judge(project, working, rids)


async def test_connections_are_cut(working: App, project: Project) -> None:
    other = project.redis.client()
    mine = other.client_id()

    def cut() -> None:
        for client in other.client_list():
            if int(client["id"]) != mine:
                other.client_kill_filter(_id=client["id"])

    rids = [await working.client.start(project.load(SLOW), {}) for _ in range(3)]
    async with nuisance(cut, 0.1) as cuts:
        for rid in rids:
            await until(lambda rid=rid: other.hget(project.keys.run(rid), "st") == b"ok", rid)
    assert len(cuts) > 5
    await judge(project, working, rids)


async def test_the_server_forgets_its_scripts(working: App, project: Project) -> None:
    async with nuisance(project.redis.script_flush, 0.01) as flushes:
        rids = [await working.client.start(project.load(FLOW), {}) for _ in range(3)]
        await judge(project, working, rids)
    assert len(flushes) > 10


async def test_no_memory_left(working: App, project: Project) -> None:
    """Intake is refused as a whole; what runs is recorded and goes on, fan-outs and waits included."""
    flow = project.load(SLOW)
    rids = [await working.client.start(flow, {}) for _ in range(2)]
    await until(lambda: len(project.effects()) > 4, "some effects")
    project.redis.config_set("maxmemory", 1)
    before = set(project.redis.scan_iter("*run:*"))
    for _ in range(3):
        with pytest.raises(StoreError, match="OOM|memory"):
            await working.client.start(flow, {})
    fresh = set(project.redis.scan_iter("*run:*")) - before
    assert all(any(rid in name.decode() for rid in rids) for name in fresh)
    assert project.redis.zcard(project.keys.named("runs")) == 2
    for rid in rids:
        await until(lambda rid=rid: project.status(rid) == "ok", "the runs that had begun")
    project.redis.config_set("maxmemory", 0)
    rids.append(await working.client.start(flow, {}))
    await judge(project, working, rids)


async def test_intake_while_the_server_is_away(project: Project, app: App) -> None:
    """A start that was refused left nothing; one that was accepted is there."""
    flow = project.load("steps:\n  - python: work:echo\n")
    accepted = []
    for _ in range(3):
        await kill_server(project)
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            try:
                accepted.append(await app.client.start(flow, {}))
            except StoreError:
                await asyncio.sleep(0.01)
        await answers(project)
    assert accepted
    stored = {rid.decode() for rid in project.redis.zrange(project.keys.named("runs"), 0, -1)}
    assert stored == set(accepted)  # also those in flight at the moment of a kill
    worker = app.worker()
    await worker.start()
    for rid in stored:
        assert (await ended(app, rid)).status == "ok"
    await worker.stop(1)


async def test_work_goes_on_while_the_server_is_away_and_is_recorded_after(working: App, project: Project) -> None:
    rid = await working.client.start(project.load("steps:\n  - python: work:gate\n    with: {name: go, value: done}\n  - python: work:echo\n"), {})
    await until(project.effects, "the first step")
    pid = server_pid(project)
    os.kill(pid, signal.SIGSTOP)
    project.touch("go")
    await until(lambda: project.effects("end"), "its end")
    os.kill(pid, signal.SIGKILL)
    info = await ended(working, rid)
    assert info.status == "ok"
    assert project.records(rid)["python@1"].output == "done"
    assert project.counts() == {"python@1": 1, "python@2": 1}
