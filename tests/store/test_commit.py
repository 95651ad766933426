"""The group commit writer against lost replies: every script that is sent twice does its work once."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiflow.app import App
from aiflow.clock import StoreClock
from aiflow.errors import StoreError
from aiflow.settings import Settings
from aiflow.store import commit as commit_module
from aiflow.store.commit import Commit
from aiflow.store.connect import connect
from aiflow.store.embedded import socket_path
from aiflow.store.keys import Keys
from aiflow.store.runs import RunStore
from tests.support.project import Project, ended
from tests.support.proxy import Proxy

ROUND = """
    steps:
      - id: all
        each: range(3)
        concurrency: 2
        do:
          - id: head
            python: work:echo
            with: {value: "{{ item }}"}
          - wait: 5ms
          - id: inner
            each: range(2)
            as: part
            python: work:echo
            with: {value: "{{ item + part }}"}
          - python: work:flaky
            with: {times: 1, value: "{{ steps.inner.output | sum }}"}
            retry: {times: 1, delay: 1ms}
      - id: pay
        python: work:echo
        repeatable: false
        with: {value: "{{ steps.all.output }}"}
    """
RESULT = [1, 3, 5]


@pytest.fixture
async def proxy(store_settings: Settings, tmp_path: Path) -> AsyncIterator[Proxy]:
    async with Proxy(tmp_path / "p.sock", socket_path(store_settings)) as proxy:
        yield proxy


@pytest.fixture
async def commit(store_settings: Settings, proxy: Proxy) -> AsyncIterator[Commit]:
    """A writer behind the proxy."""
    client = connect(replace(store_settings, redis_url=f"unix://{proxy.path}"))
    commit = Commit(client)
    await commit.start()
    yield commit
    await commit.close()
    await client.aclose()


async def through(project: Project, proxy: Proxy) -> tuple[list[str], Counter[str]]:
    """One run whose worker talks to the store through the proxy: the scripts it called, and its effects."""
    called: list[str] = []
    project.forget_effects()
    async with App(project.settings) as app:
        direct, client = app.commit, connect(replace(project.settings, redis_url=f"unix://{proxy.path}"))
        host = app.host()
        host.commit = host.store.commit = Commit(client)
        await host.commit.start()
        plain = host.commit.call

        def call(name: str, *args: object, **more: object) -> asyncio.Future[object]:
            called.append(name)
            return plain(name, *args, **more)  # type: ignore[arg-type]

        host.commit.call = call  # type: ignore[method-assign, assignment]
        host.bind()
        await direct.call("register", (app.keys.ns,), (host.worker, 60_000, "{}"))
        rid = await app.client.start(project.load(ROUND), {})

        async def consume() -> None:
            """What the consumer, the ticker and the reconciler do, on the connection that nothing happens to."""
            while True:
                await direct.call("fire_timers", (app.keys.ns,), (500,))
                for body in await direct.call("fetch", (app.keys.ns,), (10,)):
                    run, path = json.loads(body)["args"]
                    host._room.acquire()
                    host._begin(run, path)
                await asyncio.sleep(0.001)

        consumer = asyncio.create_task(consume())
        info = await ended(app, rid, 20)
        assert (info.status, info.outputs) == ("ok", RESULT), info.error
        await project.assert_at_rest(rid)
        consumer.cancel()
        await host.stop(1)
        await host.commit.close()
        await client.aclose()
    return called, project.counts()


@pytest.mark.parametrize("fault", ["lose", "refuse"])
async def test_every_call_of_a_run_survives_a_lost_connection(
    store_settings: Settings, proxy: Proxy, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The n-th script call is lost, or its reply, for every n: each effect once, each record once."""
    caplog.set_level(logging.CRITICAL)
    project = Project(store_settings)
    called, once = await through(project, proxy)
    assert {"claim", "checkpoint", "pages", "fan_out", "items", "park", "finish_item", "drop_fan", "finish_run"} <= set(called)
    assert proxy.cuts == 1 and all(count == (2 if "python@" in path else 1) for path, count in once.items())
    for number in range(1, len(called) + 4):
        proxy.calls = proxy.cuts = 0
        setattr(proxy, fault, number)
        again, counts = await through(project, proxy)
        assert proxy.cuts == 2 or number > len(again), number
        assert counts == once, (number, again[number - 2 : number + 1])
    project.close()


async def test_calls_of_one_turn_go_as_one_write(commit: Commit, store_settings: Settings, proxy: Proxy) -> None:
    keys = (store_settings.namespace, f"{store_settings.namespace}:limit:x")
    replies = await asyncio.gather(*(commit.call("throttle", keys, (1, 1000)) for _ in range(500)))
    assert replies == [b"0"] * 500 and proxy.calls == 500


async def test_each_caller_gets_its_own_reply(commit: Commit, store_settings: Settings, proxy: Proxy) -> None:
    ns = store_settings.namespace
    proxy.lose = 30
    calls = [commit.call("throttle", (ns, f"{ns}:limit:{n}"), (1 + 1_000_000 * (n % 2), 1000 * (n % 3))) for n in range(59)]
    replies = await asyncio.gather(*calls)
    assert [int(reply) > 0 for reply in replies] == [n % 3 == 0 for n in range(59)]  # without a burst none is granted
    assert proxy.cuts == 1


async def test_what_only_takes_work_in_is_not_kept_waiting(commit: Commit, store_settings: Settings, proxy: Proxy) -> None:
    ns = store_settings.namespace
    proxy.refuse = 1
    began = time.monotonic()
    with pytest.raises(StoreError, match="does not answer"):
        await commit.call("start_run", (ns, f"{ns}:run:{{a}}", f"{ns}:plan:v"), ("a", "w", "v", "{}", "", "", "plan"), patient=False)
    assert time.monotonic() - began < 1


async def test_work_is_taken_in_once_although_the_reply_was_lost(
    commit: Commit, store_settings: Settings, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    ns = store_settings.namespace
    keys, args = (ns, f"{ns}:ev:a"), ("a", "tick", "{}", "", 60_000, 0)
    proxy.lose = 1
    assert (await commit.take_in("accept_event", keys, args, "event a"))[0] == b"seen"
    assert proxy.cuts == 1 and proxy.calls == 2
    monkeypatch.setattr(commit_module, "SURE_S", 0.2)
    proxy.swallow, proxy.lose = 4, 3
    with pytest.raises(StoreError, match="whether it took event b is not known"):
        await commit.take_in("accept_event", (ns, f"{ns}:ev:b"), ("b", "tick", "{}", "", 60_000, 0), "event b")


@pytest.mark.parametrize("fault", ["lose", "refuse"])
async def test_a_line_of_the_journal_stands_there_once(commit: Commit, store_settings: Settings, proxy: Proxy, fault: str) -> None:
    keys = Keys(store_settings.namespace)
    async with connect(store_settings) as reader:
        store = RunStore(commit, reader, keys, StoreClock())
        await reader.hset(keys.run("a"), mapping={"st": "running", "e": 1})
        await store.log("a", keys.run("a"), 1, [b"1", b"2"])
        setattr(proxy, fault, 2)
        await store.log("a", keys.run("a"), 1, [b"2", b"3"])
        assert proxy.cuts == 1 and await reader.lrange(keys.log("a"), 0, -1) == [b"1", b"2", b"2", b"3"]


async def test_a_refusal_reaches_its_caller_only(commit: Commit, store_settings: Settings) -> None:
    ns = store_settings.namespace
    bad = commit.call("throttle", (ns, f"{ns}:limit:x"), ("no number", 1))
    good = commit.call("throttle", (ns, f"{ns}:limit:y"), (1, 1))
    with pytest.raises(StoreError, match="the store refused `throttle`"):
        await bad
    assert await good == b"0"


async def test_a_caller_that_gave_up_leaves_the_others_alone(commit: Commit, store_settings: Settings) -> None:
    ns = store_settings.namespace
    calls = [commit.call("throttle", (ns, f"{ns}:limit:{n}"), (1_000_000, n % 3)) for n in range(9)]
    for call in calls[::2]:
        call.cancel()
    assert [int(reply) > 0 for reply in await asyncio.gather(*calls[1::2])] == [False, True, False, False]


async def test_closing_ends_what_waits(store_settings: Settings, proxy: Proxy) -> None:
    client = connect(replace(store_settings, redis_url=f"unix://{proxy.path}"))
    commit = Commit(client)
    await commit.start()
    ns = store_settings.namespace
    call = commit.call("throttle", (ns, f"{ns}:limit:x"), (1, 1))
    await commit.close()
    with pytest.raises(StoreError, match="closed"):
        await call
    await client.aclose()


async def test_a_connection_without_replies_is_given_up(
    proxy: Proxy, store_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No reply for too long means a dead connection, even if nobody says so."""
    monkeypatch.setattr(commit_module, "WATCH_S", 0.05)
    monkeypatch.setattr(commit_module, "REPLY_TIMEOUT_S", 0.1)
    client = connect(replace(store_settings, redis_url=f"unix://{proxy.path}"))
    commit = Commit(client)
    await commit.start()
    ns = store_settings.namespace
    proxy.swallow = 1
    assert await asyncio.wait_for(commit.call("throttle", (ns, f"{ns}:limit:x"), (1, 1)), 5) == b"0"
    assert proxy.calls == 2
    await commit.close()
    await client.aclose()
