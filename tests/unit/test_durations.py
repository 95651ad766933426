"""Durations, moments and times of day."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiflow.durations import LONGEST_MS, format_duration, next_time_of_day, parse_duration, parse_moment


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("250ms", 250),
        ("30s", 30_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("3d", 259_200_000),
        ("1w", 604_800_000),
        ("1h30m", 5_400_000),
        ("1d12h5s", 129_605_000),
        ("1.5h", 5_400_000),
        ("0s", 0),
        ("PT30S", 30_000),
        ("P3D", 259_200_000),
        ("P1DT2H", 93_600_000),
        ("PT0.5S", 500),
    ],
)
def test_reads_durations(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "text", ["", "s", "30", "1.5", "-5s", "5 m", "30m1h", "1h1h", "P", "PT", "P1M", "P1Y", "1month", "soon", "999999w", "１s"]
)
def test_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_duration(text)


def test_a_bare_number_is_told_to_take_a_unit() -> None:
    with pytest.raises(ValueError, match="no unit.*`30s`"):
        parse_duration("30")


@given(st.integers(0, LONGEST_MS))
def test_what_is_written_is_read_back(ms: int) -> None:
    assert parse_duration(format_duration(ms)) == ms


@given(st.text(alphabet="0123456789.PTWDHMSwdhms ", max_size=12))
def test_any_text_is_a_number_or_a_value_error(text: str) -> None:
    try:
        assert 0 <= parse_duration(text) <= LONGEST_MS
    except ValueError as error:
        assert str(error)


def test_reads_moments_with_zones() -> None:
    assert parse_moment("1970-01-01T00:00:01Z") == 1_000
    assert parse_moment("1970-01-01T01:00:00.250+01:00") == 250
    assert parse_moment("2026-11-23T09:00:00.123456789Z") % 1000 == 123


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-11-23T09:00:00", "no time zone"),
        ("2026-02-30T09:00:00Z", "exists"),
        ("2026-11-23", "not a moment"),
        ("2026-11-23T09:00:00+99:00", "exists"),
        ("tomorrow", "not a moment"),
    ],
)
def test_refuses_moments(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_moment(text)


def test_next_time_of_day_in_a_zone() -> None:
    noon = parse_moment("2026-11-23T12:00:00+01:00")
    assert next_time_of_day("13:30", "Europe/Paris", noon) == parse_moment("2026-11-23T13:30:00+01:00")
    assert next_time_of_day("09:00", "Europe/Paris", noon) == parse_moment("2026-11-24T09:00:00+01:00")
    assert next_time_of_day("12:00", "Europe/Paris", noon) == noon


def test_time_of_day_over_a_change_of_clocks() -> None:
    before = parse_moment("2026-03-28T12:00:00+01:00")
    assert next_time_of_day("09:00", "Europe/Paris", before) == parse_moment("2026-03-29T09:00:00+02:00")
    assert next_time_of_day("02:30", "Europe/Paris", before) == parse_moment("2026-03-29T03:30:00+02:00")


@pytest.mark.parametrize(
    ("clock", "zone"), [("24:00", "UTC"), ("9", "UTC"), ("09:60", "UTC"), ("09:00", "Mars/Base"), ("09:00", "../etc/passwd")]
)
def test_refuses_bad_clocks_and_zones(clock: str, zone: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        next_time_of_day(clock, zone, 0)
