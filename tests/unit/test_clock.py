"""The store's time, as a process estimates it."""

from __future__ import annotations

import pytest

from aiflow.clock import JUMP_MS, StoreClock

BEGAN = 1_700_000_000_000


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have passed; a list of one, to be changed."""
    seconds = [100.0]
    monkeypatch.setattr("aiflow.clock.time.monotonic", lambda: seconds[0])
    return seconds


def test_the_first_reply_counts_whatever_this_machine_thought(passed: list[float]) -> None:
    clock = StoreClock()
    clock.learn(BEGAN)
    assert clock.now_ms() == BEGAN


def test_a_reply_that_was_long_on_its_way_does_not_turn_time_back(passed: list[float]) -> None:
    clock = StoreClock()
    clock.learn(BEGAN)
    passed[0] += 0.1
    before = clock.now_ms()
    clock.learn(BEGAN + 60)
    assert before == BEGAN + 100
    assert before - 1 <= clock.now_ms() <= before
    passed[0] += 0.1
    assert clock.now_ms() >= BEGAN + 199


def test_a_faster_reply_counts(passed: list[float]) -> None:
    clock = StoreClock()
    clock.learn(BEGAN)
    clock.learn(BEGAN + 40)
    assert clock.now_ms() == BEGAN + 40


def test_a_clock_that_was_set_back_counts(passed: list[float]) -> None:
    clock = StoreClock()
    clock.learn(BEGAN)
    clock.learn(BEGAN - JUMP_MS - 1)
    assert clock.now_ms() == BEGAN - JUMP_MS - 1


def test_clocks_that_drift_apart_stay_together(passed: list[float]) -> None:
    clock = StoreClock()
    for second in range(10_000):
        clock.learn(BEGAN + int(second * 999.9))
        assert abs(clock.now_ms() - (BEGAN + second * 999.9)) <= 2
        passed[0] += 1
