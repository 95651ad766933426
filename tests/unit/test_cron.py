"""Cron lines: what is accepted means what cronsim says; what is refused says why."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given
from hypothesis import strategies as st

from aiflow.cron import CronError, check_cron


@pytest.mark.parametrize("line", ["0 9 * * *", "*/15 8-18 * * MON-FRI", "0 0 1,15 jan-jun *", "0 9 L * *", "0 9 * * 5L", "0 9 * * mon#2", "0 9 29 2 *"])
def test_good_lines(line: str) -> None:
    assert check_cron(line) is None


@pytest.mark.parametrize(
    ("line", "said", "at"),
    [
        ("0 9 * *", "a cron line has 5 fields (minute hour day month weekday), this one has 4", 0),
        ("", "a cron line has 5 fields (minute hour day month weekday), this one has none", 0),
        ("0 9 * 13 *", '"13" is no month in a cron line', 6),
        ("0 9 1,2,x * *", '"x" is no day in a cron line', 8),
        ("0 9 31 2 *", "this never fires: there is no day 31 in February", 0),
        ("0 9 * * 5-1", 'the range "5-1" runs backwards', 8),
        ("0 9 * * 1-9", '"9" is no weekday in a cron line', 10),
        ("x" * 300, "a cron line has 5 fields (minute hour day month weekday), this one has 1", 0),
    ],
)
def test_bad_lines(line: str, said: str, at: int) -> None:
    with pytest.raises(CronError) as raised:
        check_cron(line)
    assert (str(raised.value), raised.value.at) == (said, at)


PART = st.one_of(st.sampled_from(["*", "0", "5", "1-5", "*/2", "L", "mon", "feb", "31", "30", "60", "a", "1,2", "3-1", "*/0", "5#2", "7"]), st.text("0123456789*/-,L#a", max_size=4))


@given(st.lists(PART, min_size=4, max_size=6))
def test_whatever_is_accepted_fires(parts: list[str]) -> None:
    line = " ".join(parts)
    try:
        check_cron(line)
    except CronError as error:
        assert str(error) and error.length >= 1
        return
    try:
        next(CronSim(line, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise AssertionError(line) from error
