"""Time: durations, moments, times of day, zones, cron lines, rates."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from aiflow.durations import parse_clock, parse_duration, parse_moment, parse_zone
from aiflow.language.check._fit import has_template
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._words import nearest
from aiflow.language.config import long_form
from aiflow.language.tree import Node, Path
from aiflow.language.vocabulary import RATE_PATTERN, RETRIED_KINDS

_UNITS = {
    "ms": "ms", "milli": "ms", "s": "s", "sec": "s", "second": "s", "m": "m", "min": "m", "minute": "m", "h": "h", "hr": "h",
    "hour": "h", "d": "d", "day": "d", "w": "w", "week": "w",
}  # fmt: skip
_SAID = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_RATE = re.compile(RATE_PATTERN)
_LOOSE_RATE = re.compile(r"(\d+)\s*(?:/|per|a)\s*([A-Za-z]+)", re.IGNORECASE)
_RATE_UNITS = {
    "s": "s",
    "sec": "s",
    "second": "s",
    "m": "min",
    "min": "min",
    "minute": "min",
    "h": "h",
    "hour": "h",
    "hr": "h",
    "d": "d",
    "day": "d",
}
_ZONES = {
    "CEST": "Europe/Paris", "BST": "Europe/London", "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles",
    "MDT": "America/Denver", "CDT": "America/Chicago", "EDT": "America/New_York", "JST": "Asia/Tokyo", "AEST": "Australia/Sydney",
    "Z": "UTC", "GMT+1": "Europe/Paris",
}  # fmt: skip
"""Short names of zones that are no IANA names, and a city where they hold."""
_ISO = {"w": "P{}W", "d": "P{}D", "h": "PT{}H", "m": "PT{}M", "s": "PT{}S"}


def check(look: Inspection) -> None:
    """All faults of what means a time."""
    _fixed(look, ("timeout",), look.data.get("timeout"))
    defaults = look.data.get("defaults")
    if isinstance(defaults, dict):
        _fixed(look, ("defaults", "timeout"), defaults.get("timeout"))
        _retry(look, ("defaults", "retry"), defaults.get("retry"))
        for kind in RETRIED_KINDS:
            options = defaults.get(kind)
            _fixed(look, ("defaults", kind, "cache"), options.get("cache") if isinstance(options, dict) else None)
    _throttle(look, ("throttle",), look.data.get("throttle"))
    triggers = look.data.get("triggers")
    for index, trigger in enumerate(triggers if isinstance(triggers, list) else []):
        if isinstance(trigger, dict):
            _cron(look, ("triggers", index, "cron"), trigger.get("cron"))
            _zone(look, ("triggers", index, "timezone"), trigger.get("timezone"))
    for node in look.tree.nodes:
        for key in ("timeout", "every", "max", "cache"):
            _fixed(look, (*node.path, key), node.data.get(key))
        _retry(look, (*node.path, "retry"), node.data.get("retry"))
        _throttle(look, (*node.path, "throttle"), node.data.get("throttle"))
        if node.kind is not None and node.kind.name == "wait":
            _wait(look, node)


def _retry(look: Inspection, path: Path, given: Any) -> None:
    if isinstance(given, dict):
        for key in ("delay", "max_delay"):
            _fixed(look, (*path, key), given.get(key))


def _wait(look: Inspection, node: Node) -> None:
    assert node.kind is not None
    value = node.data["wait"]
    config = long_form(node.kind, value, look.file.parent)
    path: Path = (*node.path, "wait")

    def where(option: str) -> Path:
        return (*path, option) if isinstance(value, dict) else path

    _duration(look, where("for"), config.get("for"))
    _moment(look, where("until"), config.get("until"))
    _parsed(look, where("at"), config.get("at"), parse_clock, "timestamp", 'write it like "09:00"')
    _zone(look, where("timezone"), config.get("timezone"))


def _fixed(look: Inspection, path: Path, given: Any) -> None:
    """A duration that must stand in the file."""
    if isinstance(given, str) and has_template(given) and not look.is_wrong(path):
        message = f"`{path[-1]}` cannot contain a template: it is read before the run"
        look.at_value(path, message, "fixed-option", f"write a duration: {path[-1]}: 30s")
        return
    _duration(look, path, given)


def _duration(look: Inspection, path: Path, given: Any) -> None:
    if not _is_fixed_text(look, path, given):
        return
    try:
        parse_duration(given)
    except ValueError as error:
        message = f'"{given}" is not a duration' if len(given) <= 40 and "longer" not in str(error) else str(error)
        look.at_value(path, message, "duration", _better_duration(given))


def _better_duration(given: str) -> str:
    units = "(units: s, m, h, d, w"
    if re.search(r"\d\s*(mo|month|y)", given, re.IGNORECASE):
        return "months and years have no fixed length: write days such as 30d, or `wait` with `until` a moment"
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", given):
        return f"write {given.strip()}s {units}; or ISO 8601: PT{given.strip()}S)"
    parts = [(number, _unit(word)) for number, word in _SAID.findall(given)]
    if parts and all(unit for _, unit in parts):
        fixed = "".join(f"{number}{unit}" for number, unit in parts)
        iso = _ISO.get(parts[0][1] or "", "").format(parts[0][0]) if len(parts) == 1 else ""
        try:
            parse_duration(fixed)
            return f"write {fixed} {units}; or ISO 8601: {iso})" if iso else f"write {fixed} {units})"
        except ValueError:
            pass
    return f"write for example 30s, 5m or 1h30m {units})"


def _unit(word: str) -> str | None:
    lowered = word.lower()
    return (
        _UNITS.get(lowered)
        or _UNITS.get(lowered.rstrip("s"))
        or next((unit for name, unit in _UNITS.items() if len(name) > 2 and lowered.startswith(name)), None)
    )


def _moment(look: Inspection, path: Path, given: Any) -> None:
    if not _is_fixed_text(look, path, given):
        return
    try:
        parse_moment(given)
    except ValueError as error:
        if "no time zone" in str(error):
            look.at_value(path, "this time has no zone", "timestamp", f"write {given}Z, or +01:00 for the zone")
            return
        date = re.fullmatch(r"(\d{4}-\d\d-\d\d)", given.strip())
        hint = f"write {date[1]}T09:00:00Z" if date else "write it like 2026-03-01T09:00:00Z"
        message = f'"{given}" is no date and time that exists' if "exists" in str(error) else f'"{given}" is not a moment'
        look.at_value(path, message, "timestamp", hint)


def _zone(look: Inspection, path: Path, given: Any) -> None:
    if not _is_fixed_text(look, path, given):
        return
    try:
        parse_zone(given)
    except ValueError:
        from zoneinfo import available_timezones

        zones = sorted(available_timezones())
        cities = {zone.rpartition("/")[2].lower(): zone for zone in reversed(zones)}
        near = _ZONES.get(given.strip().upper()) or cities.get(given.strip().lower().replace(" ", "_")) or nearest(given, zones)
        hint = f"did you mean {near}?" if near else "write an IANA name such as Europe/Paris or UTC"
        look.at_value(path, f'"{given}" is not a time zone', "timezone", hint)


def _cron(look: Inspection, path: Path, given: Any) -> None:
    if not _is_fixed_text(look, path, given):
        return
    from aiflow.cron import CronError, check_cron

    try:
        doubt = check_cron(given)
    except CronError as error:
        if error.at:
            look.at_offset(path, error.at, str(error), "cron", error.hint, length=error.length)
        else:
            look.at_value(path, str(error), "cron", error.hint)
        return
    if doubt is not None:
        look.at_value(path, doubt[0], "cron", doubt[1], "hint")


def _parsed(look: Inspection, path: Path, given: Any, parse: Callable[[str], Any], code: str, hint: str) -> None:
    if not _is_fixed_text(look, path, given):
        return
    try:
        parse(given)
    except ValueError as error:
        message = str(error).partition(":  ")[0].partition(": write")[0].replace("`", '"')
        look.at_value(path, message, code, hint)


def _throttle(look: Inspection, path: Path, given: Any) -> None:
    if not _is_fixed_text(look, path, given) or _RATE.fullmatch(given.strip()):
        return
    limits = look.settings.limits
    if given in limits:
        return
    loose = _LOOSE_RATE.search(given)
    if loose or given[:1].isdigit() or "/" in given and not limits and given.split("/")[0].isdigit():
        unit = _RATE_UNITS.get(loose[2].lower().rstrip("s") or "s") if loose else None
        hint = f"write {loose[1]}/{unit}" if loose and unit else "write for example 60/min (units: s, min, h, d)"
        look.at_value(path, f'"{given}" is not a rate', "rate", hint)
        return
    near = nearest(given, limits)
    hint = f"did you mean `{near}`?" if near else f"nothing is limited; add to aiflow.yaml: limits: {{{given}: {{rate: 60/min}}}}"
    look.at_value(path, f"aiflow.yaml has no limit `{given}`", "unknown-limit", hint, "hint")


def _is_fixed_text(look: Inspection, path: Path, given: Any) -> bool:
    return isinstance(given, str) and not has_template(given) and not look.is_wrong(path)
