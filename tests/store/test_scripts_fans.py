"""fan_out, items, finish_item: every item is handed out once, never more at a time than allowed."""

from __future__ import annotations

import random

import pytest

from aiflow.store.runs import Claim
from tests.store.conftest import LEASE_MS, Bench


async def lanes_of(bench: Bench, rid: str, count: int) -> list[Claim]:
    return [await bench.claim(rid, f"x#{number}") for number in range(count)]


async def test_fan_out_lets_go_of_the_parent_and_wakes_the_lanes(bench: Bench) -> None:
    rid = await bench.start()
    await bench.fan_out(await bench.claim(rid), total=10, concurrency=3)
    assert sorted(await bench.ready()) == ["x#0", "x#1", "x#2"]
    assert (await bench.field(rid, "w"), await bench.field(rid, "n")) == (None, "3")


@pytest.mark.parametrize("seed", range(5))
async def test_lanes_hand_out_each_item_once_and_never_too_many(bench: Bench, seed: int) -> None:
    rand = random.Random(seed)
    total, concurrency = rand.randint(1, 40), rand.randint(1, 9)
    rid = await bench.start()
    await bench.fan_out(await bench.claim(rid), total, concurrency)
    lanes = {lane.path: lane for lane in await lanes_of(bench, rid, min(4, concurrency, total))}
    flying: dict[str, list[int]] = {path: [] for path in lanes}
    handed: list[int] = []
    while lanes:
        path = rand.choice(list(lanes))
        done = {index: False for index in flying[path] if rand.random() < 0.5}
        flying[path] = [index for index in flying[path] if index not in done]
        status, given = await bench.items(lanes[path], rand.randint(0, concurrency), done, flight=len(flying[path]))
        flying[path] += [int(one) for one in given]
        handed += [int(one) for one in given]
        assert sum(map(len, flying.values())) <= concurrency
        if status in ("idle", "stop") and not flying[path]:
            del lanes[path]
            if status == "idle" and not lanes:  # the others still have to do: one is left to do it
                assert sum(map(len, flying.values())) or len(handed) < total
                break
    if sorted(handed) == list(range(total)) and not any(flying.values()):
        assert await bench.ready() == [""]
    assert len(set(handed)) == len(handed)


async def test_the_last_item_wakes_the_parent_once(bench: Bench) -> None:
    rid = await bench.start()
    await bench.fan_out(await bench.claim(rid), total=2, concurrency=2)
    one, two = await lanes_of(bench, rid, 2)
    assert (await bench.items(one, 1))[1] == ["0"]
    assert (await bench.items(two, 1))[1] == ["1"]
    await bench.items(one, 1, {0: False})
    assert "" not in await bench.ready()
    await bench.items(two, 1, {1: False})
    assert await bench.ready() == [""]


async def test_what_was_claimed_by_a_dead_worker_comes_back_with_its_deaths(bench: Bench) -> None:
    rid = await bench.start()
    await bench.fan_out(await bench.claim(rid), total=5, concurrency=1)
    (lane,) = await lanes_of(bench, rid, 1)
    assert (await bench.items(lane, 1, first=True)) == ("go", ["0"])
    for deaths in (1, 2, 2):  # from two on it waits to work alone, which is nobody's fault
        await bench.script("reap", 500, LEASE_MS, "a", 0)
        await bench.script("register", "a", LEASE_MS, "{}")
        lane = await bench.claim(rid, "x#0")
        assert await bench.items(lane, 0, flight=0, first=True) == ("go", [f"~0:{deaths}"])
        assert await bench.items(lane, 0, flight=1, first=True) == ("go", [f"~0:{deaths}"])  # sent again
    await bench.store.begin(rid, bench.keys.frame(rid, "x#0"), lane.epoch, 0, 2)
    await bench.script("reap", 500, LEASE_MS, "a", 0)
    lane = await bench.claim(rid, "x#0", worker="b")
    assert await bench.items(lane, 0, first=True, worker="b") == ("go", ["~0:3"])
    assert await bench.items(lane, 1, {0: False}, worker="b") == ("go", ["1"])


async def test_a_lane_that_was_let_go_of_takes_nothing_more(bench: Bench) -> None:
    """Its reply was lost and the call is sent again: it must not work on without being in anybody's hands."""
    rid = await bench.start()
    await bench.fan_out(await bench.claim(rid), total=2, concurrency=2)
    one, two = await lanes_of(bench, rid, 2)
    assert (await bench.items(one, 2))[1] == ["0", "1"]
    assert await bench.items(two, 2) == ("idle", [])
    assert await bench.items(two, 2) == ("fenced", [])
    assert await bench.reader.lrange(bench.keys.fan(rid, "x") + ":idle", 0, -1) == [b"1"]


async def test_finished_items_sent_twice_count_once(bench: Bench) -> None:
    rid = await bench.start()
    await bench.fan_out(await bench.claim(rid), total=9, concurrency=1)
    (lane,) = await lanes_of(bench, rid, 1)
    await bench.items(lane, 1)
    for _ in range(3):
        await bench.items(lane, 0, {0: False}, flight=1)
    assert await bench.reader.hmget(bench.keys.fan(rid, "x"), "k", "r") == [b"1", b"0"]


async def test_one_failure_too_many_stops_the_fan_out(bench: Bench) -> None:
    rid = await bench.start()
    await bench.fan_out(await bench.claim(rid), total=100, concurrency=3, allowed=1)
    lanes = await lanes_of(bench, rid, 3)
    for lane in lanes:
        await bench.items(lane, 1)
    assert (await bench.items(lanes[0], 1, {0: True}))[0] == "go"
    assert "" not in await bench.ready()
    status, given = await bench.items(lanes[1], 1, {1: True})
    assert (status, given) == ("stop", [])
    assert await bench.ready() == [""]
    assert await bench.items(lanes[2], 1, {2: True}) == ("stop", [])
    assert await bench.store.claim(rid, "x#0", "a", "o") in ("busy", "gone")


async def test_results_of_a_run_that_ended_are_kept(bench: Bench) -> None:
    """They may have been paid for: a retry does not ask for them again."""
    rid = await bench.start()
    await bench.fan_out(await bench.claim(rid), total=5, concurrency=1)
    (lane,) = await lanes_of(bench, rid, 1)
    await bench.items(lane, 1)
    await bench.store.cancel(rid, "no", 60_000)
    assert await bench.items(lane, 1, {0: False}) == ("gone", [])
    assert await bench.reader.hkeys(bench.keys.results(rid)) == [b"x[0]"]
    assert 0 < await bench.reader.pttl(bench.keys.results(rid)) <= 60_000


async def test_a_fan_out_that_begins_anew_forgets_the_items_of_before(bench: Bench) -> None:
    rid = await bench.start()
    parent = await bench.claim(rid)
    await bench.fan_out(parent, total=3, concurrency=1)
    (lane,) = await lanes_of(bench, rid, 1)
    await bench.items(lane, 1)
    item = bench.move(lane, 5, cursor=b"waiting")
    item.path, item.frame = "x[0]", bench.keys.frame(rid, "x[0]")
    await bench.store.park(item, "a", "flow.x", "x#0", 1 << 50)
    assert await bench.reader.zcard(bench.keys.named("timers")) == 1
    await bench.reader.zadd(bench.keys.named("ready"), {f"{rid}|": 1})
    await bench.fan_out(await bench.claim(rid), total=3, concurrency=1, sequence=2)
    assert (await bench.items(lane, 1, flight=0)) == ("fenced", [])
    (lane,) = await lanes_of(bench, rid, 1)
    assert await bench.items(lane, 1, first=True) == ("go", ["0"])
    assert await bench.reader.zcard(bench.keys.named("timers")) == 0
    assert await bench.reader.exists(bench.keys.frame(rid, "x[0]")) == 0


async def test_a_stale_fan_out_does_not_wake_a_parent_that_went_on(bench: Bench) -> None:
    rid = await bench.start()
    await bench.fan_out(await bench.claim(rid), total=1, concurrency=1)
    (lane,) = await lanes_of(bench, rid, 1)
    await bench.items(lane, 1)
    await bench.reader.hset(bench.keys.run(rid), "q", 7)
    await bench.items(lane, 1, {0: False})
    assert await bench.ready() == []
