"""Cron lines: minute, hour, day, month, weekday.

What a line means is cronsim's business (Debian's cron, its daylight saving rules included); here is what people get wrong
in one. cronsim because it has no dependencies, is typed, knows zones, and is what Home Assistant and Healthchecks run on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAYS = "sun mon tue wed thu fri sat".split()


@dataclass(frozen=True)
class _Field:
    """One of the five. `names`: words for its numbers, the first for `low`."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, tuple(_MONTHS)),
    _Field("weekday", 0, 7, tuple(_DAYS)),
)
_NICKNAMES = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
_SAID = re.compile(r"every\s+(?:(?P<count>\d+)\s*)?(?P<unit>min|hour|day|night|week|month)", re.IGNORECASE)
_PART = re.compile(r"(?P<from>\*|\w+)(?:-(?P<to>\w+))?(?:/(?P<step>\w+))?")
_LAST = re.compile(r"(?i)l|lw|\w+l|\w+#[1-5]")
_WEEKS = {"1-7": 1, "8-14": 2, "15-21": 3, "22-28": 4}
"""What people write to mean the first, second ... weekday of a month."""
_SOME_TIME = datetime(2024, 1, 1, tzinfo=UTC)


class CronError(ValueError):
    """A cron line that is none. `at`: characters before the part that is wrong.  hint: what to write."""

    def __init__(self, message: str, hint: str = "", at: int = 0, length: int = 1) -> None:
        super().__init__(message)
        self.hint, self.at, self.length = hint, at, length


def check_cron(text: str) -> tuple[str, str] | None:
    """Nothing, or what in a valid line is probably not meant, and what to write.

    Raises: CronError: it is no cron line, or never fires.
    """
    words = [(found[0], found.start()) for found in re.finditer(r"\S+", text)]
    if len(words) != len(_FIELDS):
        raise _count(text, len(words))
    for (word, at), field in zip(words, _FIELDS, strict=True):
        _check_field(word, at, field)
    _check_fires(text, [word for word, _ in words])
    return _doubt([word for word, _ in words])


def _count(text: str, count: int) -> CronError:
    nickname = _NICKNAMES.get(text.strip().lower())
    said = _SAID.search(text)
    if nickname:
        return CronError(f'"{text}" is not a cron line with its 5 fields', f'write: "{nickname}"', length=len(text))
    if said:
        hint = f'write: "{_line_for(said)}"  (minute hour day month weekday)'
        return CronError(f'"{text}" is not a cron line', hint, length=len(text))
    hint = 'every day at nine: "0 9 * * *"'
    if count == 6:
        hint = f'there are no seconds: "{" ".join(text.split()[1:])}"'
    fields = "a cron line has 5 fields (minute hour day month weekday), this one has"
    return CronError(f"{fields} {count or 'none'}", hint, length=max(len(text), 1))


def _line_for(said: re.Match[str]) -> str:
    count, unit = said["count"], said["unit"].lower()
    match unit:
        case "min":
            return f"*/{count} * * * *" if count else "* * * * *"
        case "hour":
            return f"0 */{count} * * *" if count else "0 * * * *"
        case "week":
            return "0 9 * * 1"
        case "month":
            return "0 9 1 * *"
    return "0 9 * * *" if unit == "day" else "0 0 * * *"


def _check_field(word: str, start: int, field: _Field) -> None:
    at = start
    for part in word.split(","):
        _check_part(part, at, field)
        at += len(part) + 1


def _check_part(part: str, at: int, field: _Field) -> None:
    if field.name in ("day", "weekday") and _LAST.fullmatch(part) and part.lower() not in field.names:
        return
    found = _PART.fullmatch(part)
    span = f"{field.low} to {field.high}" + (f", or {field.names[0]} to {field.names[-1]}" if field.names else "")
    if found is None or (found["to"] and found["from"] == "*"):
        hint = f"write {span}, * for every one, */5 for every fifth"
        raise CronError(f'"{part}" cannot stand for the {field.name} in a cron line', hint, at, len(part) or 1)
    low = field.low if found["from"] == "*" else _number(found["from"], at, field, span)
    if found["to"]:
        high = _number(found["to"], at + found.start("to"), field, span)
        if high < low:
            hint = f"write both ends: {_ends(found['from'], found['to'], field)}"
            raise CronError(f'the range "{part}" runs backwards', hint, at, len(part))
    step = found["step"]
    if step is not None and (not step.isdigit() or int(step) == 0):
        raise CronError(f'"/{step}" in "{part}" is no step', f"write */5 for every fifth {field.name}", at, len(part))


def _ends(low: str, high: str, field: _Field) -> str:
    """A range that runs backwards as two."""
    first, last = field.low, field.high
    if field.name == "weekday":
        named = not low.isdigit()
        return f"{low}-{'sat' if named else 6},{'sun' if named else 0}-{high}"
    return f"{low}-{last},{first}-{high}"


def _number(word: str, at: int, field: _Field, span: str) -> int:
    if word.lower() in field.names:
        return field.names.index(word.lower()) + field.low
    if word.isascii() and word.isdigit() and field.low <= int(word) <= field.high:
        return int(word)
    near = next((name for name in field.names if word.lower().startswith(name)), None)
    hint = f"write {near}" if near else f"write {span}"
    if field.name == "hour" and word == "24":
        hint = "write 0 for midnight"
    raise CronError(f'"{word}" is no {field.name} in a cron line', hint, at, len(word))


def _check_fires(text: str, words: list[str]) -> None:
    from cronsim import CronSim, CronSimError

    day, month = words[2], words[3]
    try:
        next(CronSim(text, _SOME_TIME))
    except StopIteration:
        pass
    except CronSimError as error:
        if "day-of-month" not in str(error) or not day[:1].isdigit():
            raise CronError(f'"{text}" is not a cron line: {error}', 'every day at nine: "0 9 * * *"', length=len(text)) from None
    else:
        return
    number = int(day) if day.isdigit() else 0
    months = [_number(one, 0, _FIELDS[3], "") for one in re.split(r"[,-]", month) if one != "*" and "/" not in one]
    name = datetime(2024, months[0], 1).strftime("%B") if len(months) == 1 else "in these months"
    what = f"there is no day {number} in {name}" if number and len(months) == 1 else f"no date is day {day} of month {month}"
    last = f"the last day of the month: {' '.join([*words[:2], 'L', *words[3:]])}"
    raise CronError(f"this never fires: {what}", last, len(text) - len(text.lstrip()), len(text.strip()))


def _doubt(words: list[str]) -> tuple[str, str] | None:
    for word, field in zip(words, _FIELDS, strict=True):
        step = word.partition("/")[2]
        if step.isdigit() and int(step) > field.high:
            message = f'"{word}" as the {field.name} means {field.name} {field.low} only: a step does not go beyond {field.high}'
            return message, f"write {field.low} if that is meant"
    if words[0] == "*" and words[1].isdigit():
        return f'"{" ".join(words)}" fires every minute of the hour {words[1]}', f"once an hour: 0 {' '.join(words[1:])}"
    nth = _WEEKS.get(words[2])
    if nth and re.fullmatch(r"[0-7]|[A-Za-z]{3}", words[4]):
        message = f'"{" ".join(words)}" fires on the days {words[2]} and besides on every {words[4]}: cron takes either'
        return message, f"for number {nth} of the month: {words[0]} {words[1]} * {words[3]} {words[4]}#{nth}"
    return None
