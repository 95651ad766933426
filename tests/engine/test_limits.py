"""`limits: {name: {rate, at_once}}`: how many are let in at a time, by all workers together, whatever happens to one of them."""

from __future__ import annotations

import asyncio
import signal
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from aiflow.app import App
from aiflow.settings import Settings
from tests.engine.conftest import Run
from tests.support.http_server import Server, http_server
from tests.support.project import Project, ended, until

LIMITS: dict[str, dict[str, Any]] = {
    "three": {"at_once": 3},
    "one": {"at_once": 1},
    "other": {"at_once": 1},
    "both": {"rate": "10/s", "at_once": 4},
}


@pytest.fixture
def project(store_settings: Settings) -> Iterator[Project]:
    project = Project(replace(store_settings, limits=LIMITS, lease_ms=2_000))
    yield project
    project.close()


@pytest.fixture
async def web() -> AsyncIterator[Server]:
    async with http_server() as server:
        yield server


def crowd(web: Server, items: int, ms: int = 30, limit: str = "three", more: str = "") -> str:
    return f"""
    steps:
      - id: all
        each: range({items})
        concurrency: {items}
        throttle: {limit}
        http: "{web.url}/delay/{ms}"
        {more}
    """


def left(project: Project) -> list[bytes]:
    """What is left of places in the store."""
    return [key for part in ("held", "line", "places") for key in project.redis.scan_iter(f"{project.keys.ns}:{part}:*")]


async def test_no_more_than_so_many_at_once(run: Run, project: Project, web: Server) -> None:
    began = time.monotonic()
    info = await run(crowd(web, 30))
    assert info.status == "ok", info.error
    assert (web.at_once, len(web.requests)) == (3, 30)
    assert time.monotonic() - began < 3, "a free place is taken at once"
    await until(lambda: not left(project), "places that were given back")


async def test_two_workers_share_the_places(project: Project, app: App, web: Server) -> None:
    workers = [project.worker(), project.worker()]
    rids = [await app.client.start(project.load(crowd(web, 40, 40)), {}) for _ in range(4)]
    for rid in rids:
        assert (await ended(app, rid)).status == "ok"
    assert web.at_once == 3
    assert len(web.requests) == 160
    pids = {project.redis.hget(project.keys.named("workerinfo"), worker.name) for worker in workers}
    assert len(pids) == 2
    await until(lambda: not left(project), "places that were given back")


@pytest.mark.parametrize("ending", ["fails", "times out", "is cancelled", "is retried"])
async def test_a_place_is_given_back_however_the_attempt_ends(
    ending: str, run: Run, project: Project, working: App, web: Server
) -> None:
    one = "steps:\n  - throttle: one\n    "
    if ending == "fails":
        assert (await run(one + f"http: '{web.url}/status/500'\n")).status == "failed"
    elif ending == "times out":
        assert (await run(one + f"http: '{web.url}/delay/9000'\n    timeout: 50ms\n")).status == "failed"
    elif ending == "is retried":
        assert (await run(one + f"http: '{web.url}/flaky/x/2'\n    retry: {{times: 2, delay: 1ms}}\n")).status == "ok"
    else:
        rid = await working.client.start(project.load(one + f"http: '{web.url}/delay/9000'\n"), {})
        await until(lambda: web.requests, "the request")
        waits = await working.client.start(project.load(one + f"http: '{web.url}/delay/1'\n"), {})
        await until(lambda: project.redis.zcard(project.keys.line("one")), "one that waits")
        await working.client.cancel(waits)
        await working.client.cancel(rid)
    await until(lambda: not left(project), "a place that was given back", 5)
    assert (await asyncio.wait_for(run(one + f"http: '{web.url}/text'\n"), 5)).status == "ok"


async def test_a_killed_worker_leaves_its_places_to_others(project: Project, app: App, web: Server) -> None:
    victim = project.worker()
    held = await app.client.start(project.load(crowd(web, 3, 60_000)), {})
    await until(lambda: len(web.requests) == 3, "a worker that holds all places")
    survivor = project.worker()
    other = await app.client.start(project.load(crowd(web, 5, 1), "other"), {})
    await until(lambda: project.redis.zcard(project.keys.line("three")) >= 1, "others that wait")
    assert len(web.requests) == 3
    victim.kill()
    await until(lambda: len(web.requests) >= 6, "the places of the dead worker", 10)
    await app.client.cancel(held)
    assert (await ended(app, other)).status == "ok"
    assert await asyncio.to_thread(survivor.stop) == 0
    assert left(project) == []


async def test_a_frozen_worker_loses_its_places_with_its_lease(project: Project, app: App, web: Server) -> None:
    victim = project.worker()
    await app.client.start(project.load(crowd(web, 3, 60_000)), {})
    await until(lambda: len(web.requests) == 3, "a worker that holds all places")
    victim.send(signal.SIGSTOP)
    project.worker()
    await until(lambda: len(web.requests) >= 6, "the places of the frozen worker", 15)
    victim.kill()


async def test_a_worker_that_stops_hands_on_what_waits_at_once(project: Project, app: App, web: Server) -> None:
    leaving = project.worker()
    rid = await app.client.start(project.load(crowd(web, 6, 700)), {})
    await until(lambda: project.redis.zcard(project.keys.line("three")) == 3, "three that wait")
    began = time.monotonic()
    assert await asyncio.to_thread(leaving.stop) == 0
    assert time.monotonic() - began < 3, "it waited for those that had no place"
    assert left(project) == [] and len(web.requests) == 3, "what waited was begun"
    project.worker()
    info = await ended(app, rid)
    assert (info.status, len(web.requests), web.at_once) == ("ok", 6, 3)


async def test_waiting_for_a_place_is_no_time_of_the_step(run: Run, web: Server) -> None:
    info = await run(crowd(web, 6, 100, "one", "timeout: 400ms"))
    assert info.status == "ok", info.error
    assert web.at_once == 1


async def test_a_place_and_a_rate(run: Run, project: Project, web: Server) -> None:
    began = time.monotonic()
    info = await run(crowd(web, 20, 1, "both"))
    assert info.status == "ok" and web.at_once <= 4
    assert time.monotonic() - began >= 0.9, "ten at once, the others 100 ms apart"


async def test_a_hit_of_the_cache_needs_no_place(run: Run, project: Project, working: App, web: Server) -> None:
    cached = f"steps:\n  - throttle: one\n    cache: 1h\n    http: '{web.url}/text'\n"
    assert (await run(cached)).status == "ok"
    holder = await working.client.start(project.load(f"steps:\n  - throttle: one\n    http: '{web.url}/delay/9000'\n"), {})
    await until(lambda: len(web.requests) == 2, "the one that holds the place")
    assert (await asyncio.wait_for(run(cached), 5)).status == "ok"
    await working.client.cancel(holder)


async def test_who_waits_for_an_equal_call_does_not_keep_it_from_its_place(
    run: Run, project: Project, working: App, web: Server
) -> None:
    ask = f"http: '{web.url}/text', throttle: one, cache: 1h"
    inside = f"steps:\n  - throttle: one\n    do:\n      - python: work:gate\n        with: {{name: go}}\n      - {{{ask}}}\n"
    block = await working.client.start(project.load(inside, "block"), {})
    await until(lambda: project.effects(), "a block that has the place")
    other = await working.client.start(project.load(f"steps:\n  - {{{ask}}}\n", "other"), {})
    await until(lambda: project.redis.zcard(project.keys.line("one")), "a call that waits for the place")
    project.touch("go")
    for rid in (block, other):
        assert (await ended(working, rid, 10)).status == "ok"
    assert len(web.requests) == 1


async def test_a_rate_of_its_own_ends_with_the_process(project: Project, app: App, web: Server) -> None:
    leaving = project.worker()
    rid = await app.client.start(project.load(crowd(web, 3, 1, "1/h")), {})
    await until(lambda: len(web.requests) == 1, "the first")
    began = time.monotonic()
    assert await asyncio.to_thread(leaving.stop) == 0
    assert time.monotonic() - began < 3
    assert len(web.requests) == 1 and project.status(rid) == "running"
    await app.client.cancel(rid)


# -- blocks ----------------------------------------------------------------------------------------------------


async def test_a_block_counts_once_while_it_is_at_work(run: Run, project: Project, web: Server) -> None:
    info = await run(
        f"""
        steps:
          - id: all
            each: range(8)
            throttle: three
            do:
              - http: "{web.url}/delay/20"
              - python: work:slow
                with: {{s: 0.02}}
              - http: "{web.url}/delay/20"
                throttle: three
        """
    )
    assert info.status == "ok", info.error
    assert web.at_once <= 3 and project.most_at_once() <= 3
    begun = [effect.path for effect in project.effects()]
    assert len(begun) == 8
    await until(lambda: not left(project), "places that were given back")


async def test_a_step_inside_uses_the_place_of_its_block(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: all
            each: range(4)
            throttle: one
            do:
              - throttle: one
                python: work:slow
              - do:
                  - throttle: one
                    python: work:slow
        """
    )
    assert info.status == "ok", info.error
    items = [effect.path.partition(".")[0] for effect in project.effects()]
    assert items[::2] == items[1::2], "another block came between"


async def test_blocks_that_need_each_others_limit_do_not_lock_each_other(run: Run, project: Project, web: Server) -> None:
    text = "steps:\n  - id: both\n    each: [0, 1]\n    do:\n" + _indented(
        f"""
        - if: item == 0
          do: {_flow(web, 'one', 'other')}
          else: {_flow(web, 'other', 'one')}
        """, 6)  # fmt: skip
    info = await asyncio.wait_for(run(text), 20)
    assert info.status == "ok", info.error
    assert len(web.requests) == 36


async def test_a_block_that_sleeps_keeps_nobody_out(run: Run, project: Project, working: App, web: Server) -> None:
    text = f"""
    steps:
      - throttle: one
        do:
          - http: "{web.url}/text"
          - wait: WAIT
          - http: "{web.url}/text"
    """
    sleeper = await working.client.start(project.load(text.replace("WAIT", "1h")), {})
    await until(lambda: project.status(sleeper) == "waiting", "a run that sleeps")
    info = await asyncio.wait_for(run(text.replace("WAIT", "50ms")), 10)
    assert (info.status, len(web.requests)) == ("ok", 3)
    await until(lambda: not left(project), "places that were given back")


async def test_items_in_a_block_count_for_themselves(run: Run, web: Server) -> None:
    text = f"""
    steps:
      - throttle: one
        do:
          - each: range(4)
            http: "{web.url}/delay/50"
          - each: range(4)
            throttle: three
            http: "{web.url}/delay/50"
    """
    info = await asyncio.wait_for(run(text), 10)
    assert info.status == "ok" and web.at_once == 4


# -- what is seen ----------------------------------------------------------------------------------------------


async def test_who_waits_is_seen(project: Project, working: App, web: Server) -> None:
    rid = await working.client.start(project.load(crowd(web, 5, 1_000)), {})
    await until(lambda: project.redis.zcard(project.keys.line("three")) == 2, "two that wait")
    waits = await working.inspector.places(rid)
    assert [limit for _, limit in waits] == ["three", "three"]
    assert all(path.startswith("all[") for path, _ in waits)
    assert await working.inspector.places("another") == []
    assert (await ended(working, rid)).status == "ok"
    assert await working.inspector.places(rid) == []


def _flow(web: Server, outer: str, inner: str) -> str:
    url = f"{web.url}/delay/5"
    return (
        f"[{{each: range(6), throttle: {outer}, do: [{{http: '{url}'}}, "
        f"{{http: '{url}', throttle: {inner}}}, {{http: '{url}'}}]}}]"
    )


def _indented(text: str, by: int) -> str:
    return textwrap.indent(textwrap.dedent(text), " " * by)

