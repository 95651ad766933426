"""Durations and moments as people write them: `1h30m`, `PT30S`, `2026-11-23T09:00:00+01:00`, `09:00` in a zone.

Every function gives integer milliseconds (durations) or milliseconds since 1970 UTC (moments), and raises
`ValueError` with a sentence that can be shown as it is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal

MILLISECONDS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
"""Milliseconds of each unit, largest first. A day is 24 hours; months do not exist."""

LONGEST_MS = 36_525 * 86_400_000
"""100 years: longer than any run, short enough that now + duration is still a date."""

_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)"
_SHORT = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in MILLISECONDS))
_ISO = re.compile(f"P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?")
_FILLED_ISO = _ISO.pattern.replace("P", "P(?=[0-9T])").replace("T(", "T(?=[0-9])(")
DURATION_PATTERN = rf"^\s*((?=[0-9]){_SHORT.pattern}|{_FILLED_ISO})\s*$".replace(_NUMBER, r"[0-9]+(\.[0-9]+)?")
"""The form of a duration for others who check it, JSON Schema for example."""

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?([Zz]|[+-]\d\d:\d\d)?",
    re.ASCII,
)
_CLOCK = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?", re.ASCII)
_EXAMPLES = "write for example `30s`, `5m`, `1h30m` or `3d`"


def parse_duration(text: str) -> int:
    """Milliseconds of `250ms`, `30s`, `5m`, `2h`, `3d`, `1w`, `1h30m`, `1.5h`, `PT30S`, `P3D`.

    Units stand largest first, each once.
    Raises: ValueError: not a duration, or longer than 100 years.
    """
    found = _match(text)
    if found is None:
        raise ValueError(_why_no_duration(text))
    amounts = zip(found.groups(), MILLISECONDS.values(), strict=False)  # ISO 8601 has no milliseconds
    total = sum((Decimal(number) * unit for number, unit in amounts if number is not None), Decimal(0))
    if total > LONGEST_MS:
        raise ValueError(f"`{text}` is longer than 100 years")
    return int(total)


def format_duration(ms: int) -> str:
    """The shortest text that `parse_duration` reads back: `90_000` gives `1m30s`, 0 gives `0s`."""
    parts = []
    for unit, size in list(MILLISECONDS.items())[1:]:
        count, ms = divmod(ms, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_moment(text: str) -> int:
    """Milliseconds UTC of an RFC 3339 moment with a zone, e.g. `2026-11-23T09:00:00Z`. Seconds may be left out.

    Raises: ValueError: not a moment, no such date, or no zone.
    """
    found = _MOMENT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"`{text}` is not a moment: write it like `2026-11-23T09:00:00Z` or `2026-11-23T09:00:00+01:00`")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    if zone is None:
        raise ValueError(f"`{text}` has no time zone: add `Z` for UTC or an offset such as `+01:00`")
    micros = int((fraction or "0").ljust(6, "0")[:6])
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), micros, _offset(zone))
        return _to_ms(moment)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"`{text}` is no date and time that exists") from error


def next_time_of_day(clock: str, zone_name: str, after_ms: int) -> int:
    """The first moment not before `after_ms` at which clocks in the zone show `clock` (`09:00` or `09:00:30`).

    Of a time that comes twice when clocks go back, the first counts; one that is skipped when they go forward comes
    as much later as was skipped (02:30 at 03:30).
    Raises: ValueError: no such time of day, or no such zone.
    """
    zone = parse_zone(zone_name)
    hour, minute, second = parse_clock(clock)
    start = datetime.fromtimestamp(after_ms / 1000, zone).date()
    for days in range(-1, 3):
        day = start + timedelta(days=days)
        local = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone)
        moment = _to_ms(local)
        if moment >= after_ms:
            return moment
    raise ValueError(f"`{clock}` does not come in the next days in `{zone_name}`")


def parse_clock(text: str) -> tuple[int, int, int]:
    """Hour, minute, second of `09:00` or `09:00:30`."""
    found = _CLOCK.fullmatch(text.strip()) if isinstance(text, str) else None
    parts = tuple(int(part or 0) for part in found.groups()) if found else (99, 0, 0)
    if parts[0] > 23 or parts[1] > 59 or parts[2] > 59:
        raise ValueError(f'`{text}` is not a time of day: write it like "09:00"')
    return parts[0], parts[1], parts[2]


def parse_zone(name: str) -> tzinfo:
    """The zone of an IANA name such as `Europe/Paris`."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"`{name}` is not a time zone: write an IANA name such as `Europe/Paris` or `UTC`") from error


def _match(text: str) -> re.Match[str] | None:
    if not isinstance(text, str):
        return None
    text = text.strip()
    pattern = _ISO if text.startswith("P") else _SHORT
    found = pattern.fullmatch(text)
    if found is None or not any(found.groups()) or text.endswith("T"):
        return None
    return found


def _why_no_duration(text: str) -> str:
    if isinstance(text, (int, float)) or re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
        return f"`{str(text).strip()}` has no unit: {_EXAMPLES}"
    if re.search(r"\d\s*(mo|month|y)", text, re.IGNORECASE):
        return f"`{text}` is not a duration: months and years have no fixed length; write days, or `until` a date"
    return f"`{text}` is not a duration: {_EXAMPLES}"


def _offset(zone: str) -> timezone:
    if zone in "Zz":
        return UTC
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))


def _to_ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
