"""take_place, leave_place, reap: who holds the places of a limit, and who gets the next one."""

from __future__ import annotations

from typing import Any

import pytest

from aiflow.store.places import PlaceStore, split_token, token
from tests.store.conftest import LEASE_MS, Bench


class Places:
    """Workers `a` and `b` at one limit."""

    def __init__(self, bench: Bench, at_once: int) -> None:
        self.bench = bench
        self.at_once = at_once
        self.woken: list[str] = []
        self.stores = {
            name: PlaceStore(bench.store.commit, bench.keys, name, bench.store.read, self.woken.append)
            for name in ("a", "b", "stranger")
        }

    async def take(self, name: str) -> int:
        return await self.stores[name.rstrip("0123456789")].take("l", self.at_once, self.token(name))

    async def leave(self, name: str) -> None:
        self.stores[name[0]].leave("l", self.at_once, self.token(name))
        await self.bench.store.commit.call("renew", (self.bench.keys.ns,), (name[0], LEASE_MS))  # the reply comes behind it

    async def called(self, worker: str) -> str | None:
        """Who of a worker has got a place: those it heard of by giving one back, and those it was rung for."""
        own = [one for one in self.woken if one.startswith(worker + "|")]
        self.woken[:] = [one for one in self.woken if one not in own]
        found = own + await self.stores[worker].called(0.01)
        return ",".join(one.split("|")[1] for one in found) or None

    async def held(self) -> set[str]:
        return {one.decode().split("|")[1] for one in await self.bench.reader.hkeys(self.bench.keys.held("l"))}

    @staticmethod
    def token(name: str) -> str:
        return token(name.rstrip("0123456789"), name, "R", "docs[3].ask")  # type: ignore[arg-type]


async def test_places_are_given_in_the_order_of_the_line(bench: Bench) -> None:
    places = Places(bench, 2)
    assert [await places.take(name) for name in ("a1", "a2", "b1", "a3", "b2")] == [1, 1, 0, 0, 0]
    await places.leave("a1")
    assert (await places.called("b"), await places.called("a")) == ("b1", None)
    await places.leave("a2")
    await places.leave("b1")
    assert (await places.called("a"), await places.called("b")) == ("a3", "b2")
    assert await places.held() == {"a3", "b2"}
    await places.leave("a3")
    await places.leave("b2")
    assert await bench.reader.keys(bench.keys.ns + ":held:*") == await bench.reader.keys(bench.keys.ns + ":places:*") == []


async def test_sent_twice_counts_once(bench: Bench) -> None:
    places = Places(bench, 1)
    assert [await places.take(name) for name in ("a1", "a1", "b1", "b1", "b1")] == [1, 1, 0, 0, 0]
    for _ in range(3):
        await places.leave("a1")
    assert await places.held() == {"b1"}
    assert await places.take("b1") == 1
    await places.leave("b1")
    assert await places.take("a2") == 1


async def test_nobody_overtakes_the_line(bench: Bench) -> None:
    places = Places(bench, 1)
    await places.take("a1")
    await places.take("b1")
    places.at_once = 3  # another configuration: two more
    assert await places.take("a2") == 1
    assert await places.held() == {"a1", "b1", "a2"} and await places.called("b") == "b1"


async def test_stepping_out_of_the_line_leaves_it_to_others(bench: Bench) -> None:
    places = Places(bench, 1)
    for name in ("a1", "a2", "b1"):
        await places.take(name)
    await places.leave("a2")
    await places.leave("a1")
    assert await places.held() == {"b1"}


@pytest.mark.parametrize("graceful", [0, 1])
async def test_what_a_worker_held_and_waited_for_goes_to_others_when_it_is_gone(bench: Bench, graceful: int) -> None:
    places = Places(bench, 2)
    for name in ("a1", "a2", "a3", "b1", "b2", "b3"):
        await places.take(name)
    await bench.script("reap", 500, LEASE_MS, "a", graceful)
    assert await places.held() == {"b1", "b2"}
    assert [await places.called("b"), await places.called("b")] == ["b1,b2", None]
    assert await bench.reader.exists(f"{bench.keys.ns}:places:a", bench.keys.called("a")) == 0
    await places.leave("a1")  # its own word comes late
    assert await places.held() == {"b1", "b2"}


async def test_a_worker_without_a_lease_gets_no_place(bench: Bench) -> None:
    places = Places(bench, 2)
    assert await places.take("stranger1") == -1
    await bench.script("reap", 500, LEASE_MS, "a", 0)
    assert await places.take("a1") == -1
    assert await places.held() == set()


def test_a_token_names_its_run_and_step() -> None:
    assert split_token(token("w", 7, "R", "docs[3].a")) == ("R", "docs[3].a")


async def test_a_result_is_kept_as_long_as_the_longest_wants(bench: Bench) -> None:
    async def script(name: str, *args: Any) -> Any:
        return await bench.store.commit.call(name, (bench.keys.ns, bench.keys.cached("d")), args)

    assert await script("cache_get", 1000, 0) is None
    made = await script("cache_put", b"one", 60_000)
    assert await script("cache_get", 1000, 0) == [b"one", made]
    await script("cache_put", b"two", 1_000)
    assert await bench.reader.pttl(bench.keys.cached("d")) > 50_000
    record, made = await script("cache_get", 1000, 0)
    assert record == b"two"
    assert await script("cache_get", 1000, made) is not None and await script("cache_get", 1000, made + 1) is None
