"""Virtual time: it stands still while anything is at work, and everybody wakes in the order of what he waits for."""

from __future__ import annotations

import asyncio
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from aiflow.testing.clock import IdleLoop, VirtualClock


class Mover:
    """Moves a clock whenever its loop has nothing to do."""

    def __init__(self, clock: VirtualClock, loop: IdleLoop) -> None:
        self.clock = clock
        self.moves: list[int] = []
        loop.on_idle.append(self.move)

    def move(self) -> bool:
        due = self.clock.next_due
        if due is None:
            return False
        self.moves.append(due)
        self.clock.move(due)
        if not self.clock.wake_sleepers():
            self.clock.strike_deadlines()
        return True


def run(work):  # type: ignore[no-untyped-def]
    """`work(clock)` on a loop whose clock moves; what it gives."""
    with asyncio.Runner(loop_factory=IdleLoop) as runner:

        async def main():  # type: ignore[no-untyped-def]
            clock = VirtualClock(0)
            loop = asyncio.get_running_loop()
            assert isinstance(loop, IdleLoop)
            Mover(clock, loop)
            return await work(clock)

        return runner.run(main())


def test_thirty_days_take_no_time() -> None:
    async def work(clock: VirtualClock) -> int:
        await clock.sleep(30 * 86_400)
        return clock.now_ms()

    began = time.monotonic()
    assert run(work) == 30 * 86_400_000
    assert time.monotonic() - began < 5


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=12))
def test_sleepers_wake_at_their_time_in_their_order(spans: list[int]) -> None:
    woken: list[tuple[int, int]] = []

    async def sleeper(clock: VirtualClock, ms: int) -> None:
        await clock.sleep(ms / 1000)
        woken.append((clock.now_ms(), ms))

    async def work(clock: VirtualClock) -> None:
        await asyncio.gather(*(sleeper(clock, ms) for ms in spans))

    woken.clear()
    run(work)
    assert woken == sorted((ms, ms) for ms in spans)


def test_a_time_limit_strikes_what_takes_longer() -> None:
    async def work(clock: VirtualClock) -> tuple[bool, int]:
        try:
            async with clock.timeout(120) as limit:
                await clock.sleep(300)
        except TimeoutError:
            return limit.expired(), clock.now_ms()
        raise AssertionError("it did not strike")

    assert run(work) == (True, 120_000)


def test_what_ends_exactly_at_its_limit_is_in_time_and_leaves_no_deadline_behind() -> None:
    async def work(clock: VirtualClock) -> tuple[int, int | None]:
        async with clock.timeout(60):
            await clock.sleep(60)
        return clock.now_ms(), clock.next_due

    assert run(work) == (60_000, None)


def test_a_cancelled_sleeper_is_not_waited_for() -> None:
    async def work(clock: VirtualClock) -> int:
        task = asyncio.ensure_future(clock.sleep(1_000_000))
        await clock.sleep(1)
        task.cancel()
        await clock.sleep(1)
        return clock.now_ms()

    assert run(work) == 2_000


def test_real_work_holds_the_loop_awake() -> None:
    """What is on its way from outside leaves the loop idle: only its owner can say that it is under way."""
    with asyncio.Runner(loop_factory=IdleLoop) as runner:
        idle: list[bool] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, IdleLoop)
            loop.on_idle.append(lambda: bool(idle.append(True)))
            for _ in range(100):
                await asyncio.sleep(0)
            assert idle == []
            await asyncio.to_thread(time.sleep, 0.01)
            assert idle != []

        runner.run(main())
