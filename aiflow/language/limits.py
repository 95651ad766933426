"""What one evaluation may use: CPU time of its thread, and the size of what it makes.

CPU time, not wall time: a busy machine or a paused process fails no expression, and it works in any thread.
An evaluation that reads much data may use more: 20 ms and 4 MB for each MB of data that its names refer to.

Everything that makes a value asks first (`ahead`) and is counted once (`made`, by whoever called the filter); everything
that works long in C says so before (`work`). `in_force()` is the budget of the evaluation that runs in this thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import thread_time_ns
from typing import Any

from aiflow.errors import ExpressionError
from aiflow.values import File

ITEM_SIZE = 8
"""What an item of a new list counts, in characters: a pointer."""

NODE_SIZE = 32
"""What a value inside data counts, besides its text: filters take longer per item than per character."""

NS_PER_CHARACTER = 20
"""Additional CPU time for data read: 20 ms per MB, enough to hash, decode, cut and copy it."""

ROOM_PER_CHARACTER = 4
"""What may be made of data read: four times its size (overlapping chunks, escapes)."""

LARGEST_NUMBER = 2**63
"""Integers that JSON readers of all languages and the store hold: 64 bits."""

RANGE_LIMIT = 100_000
"""Numbers in a `range()`."""


@dataclass(frozen=True)
class Limits:
    """`time_ms` of CPU, `size`: characters made, also characters of rendered text."""

    time_ms: int
    size: int


VALUE_LIMITS = Limits(time_ms=100, size=1 << 20)
TEMPLATE_LIMITS = Limits(time_ms=1_000, size=10 << 20)


class Budget:
    """Counts what one evaluation uses. Every check raises ExpressionError when a limit is passed.

    Args: measure: gives the size of the data that the expression refers to; asked only when a limit is reached.
          project: the folder that `file.text` starts from.
    """

    __slots__ = ("_before", "_deadline_ns", "_limits", "_measure", "_room", "_ticks", "project")

    def __init__(
        self, limits: Limits, measure: Callable[[], int] | None = None, project: Path | None = None
    ) -> None:
        self.project = project
        self._limits = limits
        self._measure = measure
        self._deadline_ns = thread_time_ns() + limits.time_ms * 1_000_000
        self._room = limits.size
        self._ticks = 0

    def __enter__(self) -> Budget:
        self._before, _IN_FORCE.budget = _IN_FORCE.budget, self
        return self

    def __exit__(self, *_: object) -> None:
        _IN_FORCE.budget = self._before

    def check(self) -> None:
        """The time."""
        if thread_time_ns() > self._deadline_ns:
            self.extend()
            if thread_time_ns() > self._deadline_ns:
                raise ExpressionError(
                    f"the expression took longer than {self._limits.time_ms} ms of computing",
                    "hand over to Python: python: module:function",
                )

    def tick(self) -> None:
        """Called once per turn of any loop."""
        self._ticks += 1
        if not self._ticks & 63:
            self.check()

    def each(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items, with a look at the clock between them."""
        for item in items:
            self.tick()
            yield item

    def spend(self, size: int) -> None:
        """Count `size` characters as made. Call it before making them where the size is known before."""
        self._room -= size
        if self._room < 0:
            self.extend()
            if self._room < 0:
                raise ExpressionError(
                    f"the expression makes more than {self._limits.size >> 20} MB",
                    "hand over to Python: python: module:function",
                )

    def fits(self, size: int) -> bool:
        """Whether so much may still be made."""
        if size > self._room:
            self.extend()
        return size <= self._room

    def ahead(self, size: int) -> None:
        """Refuse what would be larger than may still be made; it is counted once it is there (`made`)."""
        if size > self._room and not self.fits(size):
            self.spend(size)

    @property
    def left(self) -> int:
        """Characters that may still be made."""
        return self._room

    def work(self, ns: int) -> None:
        """Take time off for what comes next and cannot be interrupted."""
        self._deadline_ns -= ns
        self.check()

    def seconds_left(self) -> float:
        """Time that may still be used; the data are looked at only when it is short."""
        left = self._deadline_ns - thread_time_ns()
        if left < self._limits.time_ms * 500_000 and self.extend():
            return self.seconds_left()
        return left / 1e9

    def made(self, value: Any) -> Any:
        """Count a new value, give it back. Inner values are not looked into: they were counted when they were made."""
        if isinstance(value, str):
            self.spend(len(value))
        elif isinstance(value, (list, dict)):
            self.spend(len(value) * ITEM_SIZE)
        elif isinstance(value, (int, float)):
            return small(value)
        return value

    def extend(self) -> bool:
        """Once: allow for the size of the data. False: that was done before."""
        if self._measure is None:
            return False
        size, self._measure = self._measure(), None
        self._deadline_ns += size * NS_PER_CHARACTER
        self._room += size * ROOM_PER_CHARACTER
        return True


class _InForce(threading.local):
    budget: Budget | None = None


_IN_FORCE = _InForce()


def in_force() -> Budget:
    """The budget of the evaluation that runs in this thread; outside of one, a new one for a single value."""
    return _IN_FORCE.budget or Budget(VALUE_LIMITS)


def small(number: int | float) -> int | float:
    """The number, if JSON can hold it.

    Raises: ExpressionError: infinite, not a number, or an integer beyond 64 bits.
    """
    if not -LARGEST_NUMBER <= number < LARGEST_NUMBER and (isinstance(number, int) or number in (_INFINITY, -_INFINITY)):
        raise ExpressionError("the number is too large")
    if number != number:
        raise ExpressionError("the result is not a number")
    return number


def data_size(values: Iterable[Any], cap: int = 64 << 20, nodes: int = 200_000) -> int:
    """Roughly the characters in some values, at most `cap`, counting at most `nodes` parts."""
    size = 0
    waiting = list(values)
    while waiting and size < cap and nodes > 0:
        nodes -= 1
        size += NODE_SIZE
        value = waiting.pop()
        if isinstance(value, str):
            size += len(value)
        elif isinstance(value, (list, tuple)):
            waiting.extend(value[:nodes])
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, File):
            size += value.size
    return min(size, cap)


_INFINITY = float("inf")
