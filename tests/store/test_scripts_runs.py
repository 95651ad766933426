"""start, finish, cancel, retry of runs, and the shared rate limit."""

from __future__ import annotations

import asyncio

import pytest

from aiflow.errors import RunError
from aiflow.store.runs import Lost
from tests.store.conftest import Bench


async def test_a_run_starts_once_with_one_message(bench: Bench) -> None:
    for _ in range(3):
        await bench.start("R1")
    assert await bench.reader.llen(bench.keys.queue()) == 1
    assert await bench.reader.zrange(bench.keys.named("runs"), 0, -1) == [b"R1"]
    assert await bench.reader.get(bench.keys.plan("v1")) == b"{}"


async def test_what_is_left_of_a_run_has_a_time_to_live(bench: Bench) -> None:
    rid = await bench.start()
    claim = await bench.claim(rid)
    await bench.log(claim, [b'"line"'])
    await bench.store.finish_run(bench.move(claim, 1, "s"), "a", "ok", b"1", b"", 60_000)
    for key in (bench.keys.run(rid), bench.keys.results(rid), bench.keys.log(rid)):
        assert 0 < await bench.reader.pttl(key) <= 60_000
    assert await bench.reader.hmget(bench.keys.run(rid), "st", "out", "n", "w") == [b"ok", b"1", b"0", None]
    assert await bench.reader.zcard(bench.keys.named("open")) == 0
    with pytest.raises(Lost, match="gone"):
        await bench.store.finish_run(bench.move(claim, 2, "t"), "a", "failed", b"", b"", 1)
    assert await bench.reader.hkeys(bench.keys.results(rid)) == [b"s"]


async def test_a_late_line_does_not_outlive_its_run(bench: Bench) -> None:
    rid = await bench.start()
    claim = await bench.claim(rid)
    await bench.store.finish_run(bench.move(claim, 1), "a", "ok", b"", b"", 60_000)
    await bench.log(claim, [b'"late"'])
    assert 0 < await bench.reader.pttl(bench.keys.log(rid)) <= 60_000


async def test_the_journal_forgets_its_oldest_lines(bench: Bench) -> None:
    rid = await bench.start()
    await bench.log(await bench.claim(rid), [b"%d" % n for n in range(20_500)])
    assert await bench.reader.llen(bench.keys.log(rid)) == 20_000
    assert await bench.reader.lindex(bench.keys.log(rid), 0) == b"500"


async def test_cancel_and_retry_say_why_not(bench: Bench) -> None:
    rid = await bench.start()
    with pytest.raises(RunError, match="is queued and cannot be retried"):
        await bench.store.retry(rid)
    with pytest.raises(RunError, match="there is no run"):
        await bench.store.cancel("nobody", "x", 1)
    claim = await bench.claim(rid)
    await bench.store.finish_run(bench.move(claim, 1), "a", "ok", b"", b"", 60_000)
    with pytest.raises(RunError, match="is ok and cannot be cancelled"):
        await bench.store.cancel(rid, "x", 1)
    with pytest.raises(RunError, match="is ok and cannot be retried"):
        await bench.store.retry(rid)


async def test_a_retried_run_is_whole_again_and_old_claims_are_void(bench: Bench) -> None:
    rid = await bench.start()
    claim = await bench.claim(rid)
    await bench.store.checkpoint(bench.move(claim, 1, "s", cursor=b"here"))
    await bench.store.cancel(rid, "no", 60_000)
    with pytest.raises(Lost, match="gone"):
        await bench.store.checkpoint(bench.move(claim, 2, "t"))
    await bench.store.retry(rid)
    with pytest.raises(Lost, match="fenced"):
        await bench.store.checkpoint(bench.move(claim, 2, "t"))
    for key in (bench.keys.run(rid), bench.keys.results(rid), bench.keys.log(rid)):
        assert await bench.reader.pttl(key) == -1
    assert await bench.reader.smembers(bench.keys.worker("a")) == set()
    again = await bench.claim(rid)
    assert (again.cursor, again.generation) == (b"here", 1)
    assert await bench.reader.hmget(bench.keys.run(rid), "err", "t2", "n") == [None, None, b"1"]
    assert await bench.reader.zscore(bench.keys.named("open"), rid) is not None


async def test_a_closed_run_leaves_no_timers(bench: Bench) -> None:
    rid = await bench.start()
    claim = await bench.claim(rid)
    await bench.store.park(bench.move(claim, 1), "a", "flow", "", 1 << 50)
    await bench.store.cancel(rid, "no", 60_000)
    assert await bench.reader.zcard(bench.keys.named("timers")) == 0


async def test_a_rate_limit_is_shared_and_exact(bench: Bench) -> None:
    """10 a second, 3 at once: after the burst the next one is told to wait a tenth of a second."""
    waits = await asyncio.gather(*(bench.store.throttle("x", 100_000, 3) for _ in range(4)))
    assert waits[:3] == [0, 0, 0]
    assert 50_000 < waits[3] <= 100_000
    assert await bench.store.throttle("y", 100_000, 1) == 0
    assert 0 < await bench.reader.pttl(bench.keys.limit("x")) < 3000
