"""Limits as written (`60/min`, or a name of `limits:` in aiflow.yaml) -> interval and burst, places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Limit:
    """What a step's `throttle` stands for.

    Attributes:
        name: under which workers share it.
        rate: (microseconds between starts, how many may come at once), or None.
        at_once: attempts at the same time, or None.
    """

    name: str
    rate: tuple[int, int] | None
    at_once: int | None = None


def limit_of(throttle: str, limits: Mapping[str, Mapping[str, Any]], own_name: str) -> Limit | None:
    """The limit that `throttle` names, or a rate of the step's own (shared as `own_name`); None when nothing is limited."""
    if throttle in limits:
        said = limits[throttle]
        limit = Limit(throttle, parse_rate(str(said.get("rate", ""))), said.get("at_once"))
    else:
        limit = Limit(own_name, parse_rate(throttle))
    return None if limit.rate is None and limit.at_once is None else limit
