"""claim, checkpoint, park, drop, reap, begin: who may write, and what a death leaves behind."""

from __future__ import annotations

import pytest

from aiflow.store.runs import Lost
from aiflow.store.scripts import scripts
from tests.store.conftest import LEASE_MS, Bench

INTAKE = {"start_run", "retry_run", "accept_event", "cache_put"}


def test_finished_work_is_taken_without_memory_and_new_work_is_not() -> None:
    for name, script in scripts().items():
        assert script.text.startswith("#!lua\n" if name in INTAKE else "#!lua flags=allow-oom\n"), name
        assert f"-- {name.rstrip('+')}: " in script.text and "-- KEYS ns" in script.text, name


async def test_a_frame_is_claimed_once(bench: Bench) -> None:
    rid = await bench.start()
    first = await bench.claim(rid)
    assert await bench.store.claim(rid, "", "b", "other") == "busy"
    assert await bench.store.claim("no-such-run", "", "a", "other") == "busy"
    assert (first.epoch, first.sequence, first.deaths, await bench.ready()) == (1, 0, 0, [])


async def test_the_same_claim_sent_twice_is_one_claim(bench: Bench) -> None:
    rid = await bench.start()
    assert (await bench.claim(rid, operation="o1")).epoch == (await bench.claim(rid, operation="o1")).epoch == 1
    assert await bench.field(rid, "n") == "1"


async def test_only_registered_workers_claim(bench: Bench) -> None:
    rid = await bench.start()
    assert await bench.store.claim(rid, "", "stranger", "o") == "unknown"
    assert await bench.ready() == [""]


async def test_only_the_newest_claim_writes(bench: Bench) -> None:
    rid = await bench.start()
    old = await bench.claim(rid)
    await bench.script("reap", 500, LEASE_MS, "a", 0)
    new = await bench.claim(rid, worker="b")
    assert new.epoch > old.epoch
    for refused in (
        bench.store.checkpoint(bench.move(old, 1, "s")),
        bench.store.park(bench.move(old, 1, "s"), "a", "flow", "", 0),
        bench.store.finish_run(bench.move(old, 1, "s"), "a", "ok", b"", b"", 1000),
        bench.log(old, [b"line"]),
        bench.store.write_pages(rid, bench.keys.run(rid), old.epoch, "x", [b"[]"], []),
        bench.store.drop_fan(rid, bench.keys.run(rid), old.epoch, "x", 1),
    ):
        with pytest.raises(Lost, match="fenced"):
            await refused
    assert await bench.reader.exists(bench.keys.results(rid), bench.keys.fan(rid, "x")) == 0
    assert await bench.reader.llen(bench.keys.log(rid)) == 1  # that a worker was lost
    await bench.store.checkpoint(bench.move(new, 1, "s"))
    assert await bench.reader.hkeys(bench.keys.results(rid)) == [b"s"]


async def test_a_checkpoint_sent_twice_counts_once(bench: Bench) -> None:
    rid = await bench.start()
    claim = await bench.claim(rid)
    move = bench.move(claim, 1, "s")
    move.usage = (0.5, 10, 20, 1)
    for _ in range(3):
        await bench.store.checkpoint(move)
    assert await bench.reader.hmget(bench.keys.run(rid), "cost", "tin", "tout", "calls") == [b"0.5", b"10", b"20", b"1"]
    late = bench.move(claim, 1, "other")
    await bench.store.checkpoint(late)
    assert await bench.reader.hkeys(bench.keys.results(rid)) == [b"s"]


async def test_a_parked_frame_comes_back_when_it_is_due(bench: Bench) -> None:
    rid = await bench.start()
    claim = await bench.claim(rid)
    now = await bench.store.checkpoint(bench.move(claim, 1))
    await bench.store.park(bench.move(claim, 2, "s", cursor=b"here"), "a", "flow", "", now + 3_600_000)
    assert await bench.field(rid, "st") == "waiting"
    fired, at, due = (int(one) for one in await bench.script("fire_timers", 10))
    assert (fired, due) == (0, now + 3_600_000) and at < due
    await bench.reader.zadd(bench.keys.named("timers"), {f"{rid}|": 1})
    assert (await bench.script("fire_timers", 10))[0] == 1
    again = await bench.claim(rid, worker="b")
    assert (again.cursor, again.sequence) == (b"here", 2)
    assert await bench.field(rid, "st") == "running"


async def test_timers_fire_in_batches(bench: Bench) -> None:
    rid = await bench.start()
    await bench.reader.zadd(bench.keys.named("timers"), {f"{rid}|x[{n}]": n for n in range(25)})
    assert [(await bench.script("fire_timers", 10))[0] for _ in range(4)] == [10, 10, 5, 0]


async def test_deaths_are_counted_and_a_checkpoint_forgets_them(bench: Bench) -> None:
    rid = await bench.start()
    for deaths in range(2):
        assert (await bench.claim(rid)).deaths == deaths
        assert (await bench.script("reap", 500, LEASE_MS, "a", 0))[0] == 1
        await bench.script("register", "a", LEASE_MS, "{}")
    claim = await bench.claim(rid)
    assert claim.deaths == 2
    await bench.store.checkpoint(bench.move(claim, 1))
    await bench.script("reap", 500, LEASE_MS, "a", 1)
    await bench.script("register", "a", LEASE_MS, "{}")
    assert (await bench.claim(rid)).deaths == 0  # a worker that left in order is no death


async def test_a_frame_that_waits_to_work_alone_is_not_blamed(bench: Bench) -> None:
    rid = await bench.start()
    for expected in (0, 1, 2, 2, 2):
        claim = await bench.claim(rid)
        assert claim.deaths == expected
        await bench.script("reap", 500, LEASE_MS, "a", 0)
        await bench.script("register", "a", LEASE_MS, "{}")
    claim = await bench.claim(rid)
    await bench.store.begin(rid, bench.keys.run(rid), claim.epoch)
    await bench.script("reap", 500, LEASE_MS, "a", 0)
    assert (await bench.claim(rid, worker="b")).deaths == 3


async def test_a_lease_that_ended_gives_everything_away(bench: Bench) -> None:
    rids = [await bench.start() for _ in range(7)]
    for rid in rids:
        await bench.claim(rid)
    await bench.reader.zadd(bench.keys.named("workers"), {"a": 1})
    moved = [(await bench.script("reap", 3, LEASE_MS, "", 0))[0] for _ in range(4)]
    assert moved == [3, 3, 1, 0]
    assert len(await bench.ready()) == 7
    assert await bench.script("renew", "a", LEASE_MS) == 0
    assert await bench.script("renew", "b", LEASE_MS) > 0


async def test_no_lease_ends_right_after_an_outage(bench: Bench) -> None:
    """When nobody has looked for longer than half a lease, living workers get the time to renew first."""
    rid = await bench.start()
    await bench.claim(rid)
    now = await bench.script("renew", "b", LEASE_MS)
    await bench.reader.zadd(bench.keys.named("workers"), {"a": 1})
    await bench.reader.set(bench.keys.named("pulse"), now - LEASE_MS)
    assert (await bench.script("reap", 500, LEASE_MS, "", 0))[0] == 0
    assert (await bench.script("reap", 500, LEASE_MS, "", 0))[0] == 0
    await bench.reader.set(bench.keys.named("grace"), 1)
    assert (await bench.script("reap", 500, LEASE_MS, "", 0))[0] == 1


async def test_drop_lets_go_of_the_own_claim_only(bench: Bench) -> None:
    rid = await bench.start()
    old = await bench.claim(rid)
    await bench.script("reap", 500, LEASE_MS, "a", 0)
    new = await bench.claim(rid, worker="b")
    await bench.store.drop(rid, "", "a", old.epoch, hand_on=True)
    assert (await bench.field(rid, "w"), await bench.ready()) == ("b", [])
    await bench.store.drop(rid, "", "b", new.epoch, hand_on=True)
    assert (await bench.field(rid, "w"), await bench.ready(), await bench.field(rid, "n")) == (None, [""], "1")


async def test_lost_messages_are_sent_again_and_busy_queues_left_alone(bench: Bench) -> None:
    rid = await bench.start()
    queue = bench.keys.queue()
    await bench.reader.delete(queue)
    assert await bench.script("rewake", 60_000, 10) == 0  # too young
    assert await bench.script("rewake", 0, 10) == 1
    assert await bench.reader.llen(queue) == 1
    assert await bench.script("rewake", 0, 0) == 0  # a queue longer than the batch: everybody is busy
    await bench.reader.hset(bench.keys.run(rid), "st", "ok")
    assert await bench.script("rewake", 0, 10) == 1
    assert await bench.ready() == []
