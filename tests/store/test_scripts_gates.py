"""`concurrency` and `throttle` of runs: who is let in, who waits, who is turned away, and that no place is lost."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aiflow.errors import RunError
from aiflow.settings import Settings
from aiflow.store.runs import Gate, Lost
from tests.store.conftest import LEASE_MS, Bench, opened
from tests.support.project import with_settings

ONE = Gate("g", 1, "queue", "why")


async def status(bench: Bench, rid: str) -> str:
    return await bench.field(rid, "st") or "missing"


async def finish(bench: Bench, rid: str, how: str = "ok") -> None:
    claim = await bench.claim(rid)
    await bench.store.finish_run(bench.move(claim, claim.sequence + 1), "a", how, b"", b"", 60_000)


async def members(bench: Bench, name: str = "g") -> tuple[list[str], list[str]]:
    """(at work, waiting) in order."""
    found = []
    for key in (bench.keys.gate(name), bench.keys.gate(name) + ":q"):
        found.append([rid.decode() for rid in await bench.reader.zrange(key, 0, -1)])
    return found[0], found[1]


async def test_runs_wait_in_order_and_each_end_lets_the_next_in(bench: Bench) -> None:
    rids = [await bench.start(f"R{n}", ONE) for n in range(4)]
    assert await members(bench) == (["R0"], ["R1", "R2", "R3"])
    assert [await status(bench, rid) for rid in rids] == ["queued"] * 4
    assert await bench.reader.llen(bench.keys.queue()) == 1
    await bench.start("R1", ONE)  # sent twice
    await finish(bench, "R0")
    assert await members(bench) == (["R1"], ["R2", "R3"])
    await bench.store.cancel("R2", "x", 60_000)  # out of the row
    await bench.store.cancel("R1", "x", 60_000)  # let in, not begun
    assert await members(bench) == (["R3"], [])
    await finish(bench, "R3", "failed")
    assert await members(bench) == ([], [])
    assert await bench.reader.exists(bench.keys.gate("g"), bench.keys.gate("g") + ":q", bench.keys.named("crowded")) == 0


async def test_gates_of_other_keys_are_other_gates(bench: Bench) -> None:
    await bench.start("R1", ONE)
    await bench.start("R2", Gate("other", 1))
    assert sorted(await bench.reader.zrange(bench.keys.named("ready"), 0, -1)) == [b"R1|", b"R2|"]


async def test_one_too_many_is_skipped(bench: Bench) -> None:
    await bench.start("R1", ONE)
    await bench.start("R2", Gate("g", 1, "skip", "it is full"))
    assert (await status(bench, "R2"), await bench.field("R2", "err")) == ("skipped", None)
    assert [b"it is full" in line for line in await bench.reader.lrange(bench.keys.log("R2"), 0, -1)] == [True]
    assert await bench.reader.zscore(bench.keys.named("open"), "R2") is None
    assert 0 < await bench.reader.pttl(bench.keys.run("R2")) <= 60_000
    assert 0 < await bench.reader.pttl(bench.keys.log("R2")) <= 60_000
    with pytest.raises(RunError, match="is skipped and cannot be retried"):
        await bench.store.retry("R2")
    await finish(bench, "R1")
    await bench.start("R3", Gate("g", 1, "skip"))
    assert await members(bench) == (["R3"], [])


async def test_one_too_many_fails_and_a_retry_waits(bench: Bench) -> None:
    await bench.start("R1", ONE)
    await bench.start("R2", Gate("g", 1, "fail", "it is full"))
    assert await status(bench, "R2") == "failed"
    assert '"type":"concurrency","message":"it is full"' in str(await bench.field("R2", "err"))
    assert await bench.reader.zscore(bench.keys.named("dead"), "R2") is not None
    await bench.store.retry("R2")
    assert await members(bench) == (["R1"], ["R2"])
    assert (await status(bench, "R2"), await bench.field("R2", "err")) == ("queued", None)
    assert await bench.reader.pttl(bench.keys.run("R2")) == -1
    await finish(bench, "R1")
    assert await members(bench) == (["R2"], [])
    await finish(bench, "R2")


async def test_a_new_run_replaces_the_oldest(bench: Bench) -> None:
    replace = Gate("g", 2, "replace")
    await bench.start("R1", replace)
    await bench.start("R2", replace)
    claim = await bench.claim("R1")
    await bench.start("R3", replace)
    assert await members(bench) == (["R2", "R3"], [])
    assert "replaced by run R3" in str(await bench.field("R1", "err"))
    with pytest.raises(Lost, match="gone"):
        await bench.store.checkpoint(bench.move(claim, 1))
    await bench.store.retry("R1")  # waits for its turn, replaces nobody
    assert await members(bench) == (["R2", "R3"], ["R1"])
    await bench.start("R4", replace)
    assert await members(bench) == (["R3", "R4"], ["R1"])
    for rid in ("R3", "R1", "R4"):
        await finish(bench, rid)
    assert await members(bench) == ([], [])


async def test_a_waiting_run_keeps_its_place_when_the_limit_grows(bench: Bench) -> None:
    for n in range(3):
        await bench.start(f"R{n}", ONE)
    await bench.start("R3", Gate("g", 3))  # a newer version of the workflow
    assert await members(bench) == (["R0"], ["R1", "R2", "R3"])
    for rid in ("R0", "R1"):
        await finish(bench, rid)
    assert await members(bench) == (["R2", "R3"], [])


async def test_a_place_that_nobody_holds_is_free(bench: Bench) -> None:
    await bench.start("R1", ONE)
    await bench.start("R2", ONE)
    await bench.reader.delete(bench.keys.run("R1"))
    assert await bench.script("mend_gates", 50) == 1
    assert await members(bench) == (["R2"], [])
    await bench.reader.delete(bench.keys.run("R2"))
    await bench.start("R3", Gate("g", 1, "skip"))
    assert await members(bench) == (["R3"], [])


async def test_starts_are_spread_over_time(bench: Bench) -> None:
    """10 a second, 2 at once; the others sit in `timers`, in order."""
    began = await bench.script("renew", "a", LEASE_MS)
    for n in range(5):
        await bench.start(f"R{n}", Gate(throttle="100000 2 flow"))
    assert await bench.ready() == ["", ""]
    due = await bench.reader.zrange(bench.keys.named("timers"), 0, -1, withscores=True)
    assert [name for name, _ in due] == [b"R2|", b"R3|", b"R4|"]
    assert [round((score - began) / 100) for _, score in due] == [1, 2, 3]
    assert [await status(bench, f"R{n}") for n in range(5)] == ["queued"] * 5
    assert await bench.store.throttle("flow", 100_000, 2) > 200_000  # a step with the same limit waits behind them
    await bench.store.cancel("R3", "x", 1000)
    assert await bench.reader.zcard(bench.keys.named("timers")) == 2


async def test_the_clock_of_a_run_starts_when_it_is_let_in(bench: Bench) -> None:
    await bench.start("R1", ONE)
    await bench.start("R2", ONE)
    await asyncio.sleep(0.02)
    first = await bench.claim("R1")
    await bench.store.finish_run(bench.move(first, 1), "a", "ok", b"", b"", 1000)
    created = int(str(await bench.field("R2", "t0")))
    assert (await bench.claim("R2")).begun_ms >= created + 20


async def test_starts_of_runs_in_a_gate_are_throttled_when_they_are_let_in(bench: Bench) -> None:
    gate = Gate("g", 1, "queue", "", "60000000 1 flow")
    await bench.start("R1", gate)
    await bench.start("R2", gate)
    assert await bench.reader.zcard(bench.keys.named("timers")) == 0
    await finish(bench, "R1")
    assert await members(bench) == (["R2"], [])
    assert await bench.reader.zrange(bench.keys.named("timers"), 0, -1) == [b"R2|"]
    await bench.store.cancel("R2", "x", 1000)
    assert await members(bench) == ([], [])


# -- any sequence ----------------------------------------------------------------------------------------------

LIMITS = {"x": 1, "y": 2}
SEEN: Counter[str] = Counter()
"""What the sequences came upon: one that never fills a gate would prove nothing."""
deeds = st.lists(
    st.tuples(
        st.sampled_from(["start"] * 7 + ["finish"] * 3 + ["fail", "cancel", "retry", "retry", "die", "park"]),
        st.sampled_from(sorted(LIMITS)), st.sampled_from(["queue"] * 4 + ["skip", "replace", "fail"]), st.integers(0, 1000),
    ),
    min_size=25, max_size=50,
)  # fmt: skip


class Model:
    """Runs in three gates under random deeds. After each of them the store is looked at."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.gates: dict[str, str] = {}  # run -> gate
        self.vanished = False
        self.started = 0  # a run that vanished does not lend its id to another

    async def act(self, deed: str, gate: str, overflow: str, number: int) -> None:
        if deed == "start":
            self.started += 1
            rid = f"{gate}{self.started}"
            self.gates[rid] = gate
            await self.bench.start(rid, Gate(gate, LIMITS[gate], overflow))
        elif deed == "mend":
            await self.bench.script("mend_gates", 50)
        elif self.gates:
            wanted = {"retry": ("failed", "cancelled"), "cancel": ("queued", "running", "waiting")}.get(deed)
            rids = sorted(self.gates)
            if wanted is not None:
                rids = [rid for rid in rids if await status(self.bench, rid) in wanted]
            elif deed != "vanish":
                rids = [rid for gate in LIMITS for rid in (await members(self.bench, gate))[0] if rid in self.gates]
            if rids:
                SEEN[deed] += 1
                await getattr(self, deed)(rids[number % len(rids)])

    async def finish(self, rid: str, how: str = "ok") -> None:
        """Whoever may be claimed goes on to the end."""
        claim = await self.bench.store.claim(rid, "", "a", uuid.uuid4().hex)
        if not isinstance(claim, str):
            await self.bench.store.finish_run(self.bench.move(claim, claim.sequence + 1), "a", how, b"", b"", 60_000)

    async def fail(self, rid: str) -> None:
        await self.finish(rid, "failed")

    async def cancel(self, rid: str) -> None:
        try:
            await self.bench.store.cancel(rid, "x", 60_000)
        except RunError:
            pass

    async def retry(self, rid: str) -> None:
        try:
            await self.bench.store.retry(rid)
        except RunError:
            pass

    async def park(self, rid: str) -> None:
        """It waits; its place is kept."""
        claim = await self.bench.store.claim(rid, "", "a", uuid.uuid4().hex)
        if not isinstance(claim, str):
            await self.bench.store.park(self.bench.move(claim, claim.sequence + 1), "a", "flow", "", 1)

    async def die(self, rid: str) -> None:
        """Its worker is killed with the run in its hands."""
        await self.bench.store.claim(rid, "", "b", uuid.uuid4().hex)
        await self.bench.script("reap", 500, LEASE_MS, "b", 0)
        await self.bench.script("register", "b", LEASE_MS, "{}")

    async def vanish(self, rid: str) -> None:
        """Somebody deletes its keys."""
        self.vanished = True
        await self.bench.reader.delete(self.bench.keys.run(rid))
        for index in ("open", "ready", "timers"):
            await self.bench.reader.zrem(self.bench.keys.named(index), rid, f"{rid}|")
        del self.gates[rid]

    async def look(self) -> None:
        for gate, limit in LIMITS.items():
            inside, waiting = await members(self.bench, gate)
            states = {rid: await status(self.bench, rid) for rid, its in self.gates.items() if its == gate}
            open_ = {rid for rid, state in states.items() if state in ("queued", "running", "waiting")}
            assert len(inside) <= limit
            SEEN["full"] += len(inside) == limit
            SEEN["waiting"] += bool(waiting)
            assert {rid for rid in inside + waiting if rid in self.gates} == open_
            assert not set(inside) & set(waiting)
            assert self.vanished or not waiting or len(inside) == limit, "somebody waits although there is room"
            for rid in set(waiting) & self.gates.keys():
                assert states[rid] == "queued"

    async def end(self) -> None:
        """Everything ends, and the gates are gone."""
        for _ in range(2 * len(self.gates) + 10):
            await self.bench.script("fire_timers", 500)
            if self.vanished:
                await self.bench.script("mend_gates", 50)
            for rid in sorted(self.gates, key=lambda _: random.random()):
                await self.finish(rid)
            if not await self.bench.reader.zcard(self.bench.keys.named("open")):
                break
        assert await self.bench.reader.zrange(self.bench.keys.named("open"), 0, -1) == []
        if not self.vanished:
            for gate in LIMITS:
                assert await members(self.bench, gate) == ([], [])
        assert await self.bench.reader.exists(self.bench.keys.named("crowded")) == 0


async def live(root: Settings, acts: list[tuple[str, str, str, int]]) -> None:
    async with opened(with_settings(root, namespace=f"g{uuid.uuid4().hex[:12]}")) as bench:
        model = Model(bench)
        for act in acts:
            await model.act(*act)
            await model.look()
        await model.end()


def explored(count: int) -> Any:
    """As many sequences, always the same ones."""
    return settings(
        max_examples=count, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip


def test_never_too_many_and_no_place_is_lost(store_settings: Settings) -> None:
    @explored(60)
    @given(acts=deeds)
    def any_sequence(acts: Any) -> None:
        asyncio.run(live(store_settings, acts))

    SEEN.clear()
    any_sequence()
    assert all(SEEN[what] > 50 for what in ("full", "waiting", "finish", "retry", "cancel", "die", "park")), SEEN


def test_places_of_runs_that_vanished_are_freed(store_settings: Settings) -> None:
    """Keys deleted by hand in the middle of anything: `mend_gates` lets the others in."""

    @explored(20)
    @given(acts=deeds, moments=st.lists(st.integers(5, 45), min_size=1, max_size=4))
    def any_sequence(acts: Any, moments: list[int]) -> None:
        for moment in moments:
            acts.insert(moment, ("vanish", "x", "queue", moment))
            acts.insert(moment + 1, ("mend", "x", "queue", 0))
        asyncio.run(live(store_settings, acts))

    SEEN.clear()
    any_sequence()
    assert SEEN["vanish"] > 20 and SEEN["waiting"] > 50, SEEN
