"""wait: pause for a duration, until a moment, or until a time of day. No worker is held meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

from aiflow.durations import LONGEST_MS, next_time_of_day, parse_duration, parse_moment
from aiflow.errors import ExpressionError
from aiflow.steps._kind import Context, Done, Outcome, StepKind, Wait
from aiflow.values import Value


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Park until the moment has come; called again then. Output: null. A moment that has passed goes on at once."""
    if ctx.resumed:
        return Done(None)
    try:
        until_ms = wake_ms(config, ctx.now_ms)
    except ValueError as error:
        raise ExpressionError(f"`wait`: {error}") from error
    return Wait(until_ms) if until_ms > ctx.now_ms else Done(None)


def wake_ms(config: Mapping[str, Value], now_ms: int) -> int:
    """When to go on: after `for`, or at `until`; with `at`, at that time of day from there on.

    Raises: ValueError: a bad duration, moment, time of day or zone, or `for` and `until` together.
    """
    given = [name for name in ("for", "until") if config.get(name) is not None]
    clock = config.get("at")
    if len(given) == 2:
        raise ValueError("`for` and `until` exclude each other")
    if not given and clock is None:
        raise ValueError("it needs `for`, `until` or `at`")
    start_ms = now_ms
    if given == ["for"]:
        start_ms = now_ms + _duration_ms(config["for"])
    elif given == ["until"]:
        start_ms = parse_moment(config["until"])
    if clock is None:
        return start_ms
    return next_time_of_day(clock, config.get("timezone") or "UTC", start_ms)


def _duration_ms(value: Value) -> int:
    """Milliseconds of a text; the loader may have turned a fixed one into milliseconds already."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= LONGEST_MS:
            raise ValueError(f"{value} ms is no duration")
        return value
    return parse_duration(value)


KIND = StepKind(
    name="wait",
    summary="Pause; no worker is held meanwhile.",
    run=run,
    short="for",
    schema={
        "properties": {
            "for": {
                "description": "How long: `250ms`, `30s`, `5m`, `2h`, `3d`, `1w`, `1h30m`, or ISO 8601. A day is 24 hours.",
                "type": "string",
                "format": "duration",
                "examples": ["3d"],
            },
            "until": {
                "description": "A moment with time zone, RFC 3339. One that has passed goes on at once.",
                "type": "string",
                "examples": ["2027-01-01T09:00:00+01:00", "{{ run.started_at | add('14d') }}"],
            },
            "at": {
                "description": "Then the next such time of day.",
                "type": "string",
                "pattern": "^[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?$",
                "examples": ["09:00"],
            },
            "timezone": {"description": "Of `at`, IANA name.", "type": "string", "default": "UTC", "examples": ["Europe/Paris"]},
        },
    },
    output_schema={"type": "null"},
    example="- wait: 1s\n",
)
