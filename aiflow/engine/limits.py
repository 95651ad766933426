"""Rate limits as written (`60/min`, or a name of `limits:` in aiflow.yaml) -> interval and burst."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_RATE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*/\s*(s|min|h|d)\s*$")
_UNIT_US = {"s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
BURST_S = 1.0  # starts of one second may come at once


def parse_rate(text: str) -> tuple[int, int] | None:
    """(microseconds between starts, how many may come at once), or None when it is not a rate."""
    match = _RATE.match(text)
    if match is None or float(match[1]) <= 0:
        return None
    interval = _UNIT_US[match[2]] / float(match[1])
    return int(interval), max(1, int(BURST_S * 1_000_000 / interval))


def rate_of(throttle: str, limits: Mapping[str, Mapping[str, Any]]) -> tuple[int, int] | None:
    """The rate that a step's `throttle` stands for, or None when nothing limits it."""
    if throttle in limits:
        return parse_rate(str(limits[throttle].get("rate", "")))
    return parse_rate(throttle)
