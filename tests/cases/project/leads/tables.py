"""Sums over rows."""

from dataclasses import dataclass
from typing import Literal, TypedDict


class Row(TypedDict):
    name: str
    amount: float
    state: Literal["open", "paid", "late"]


@dataclass
class Report:
    total: float
    rows: list[Row]
    currency: str = "EUR"


def parse(text: str, limit: int = 100) -> list[Row]:
    return []


def report(rows: list[Row], currency: Literal["EUR", "CHF"] = "EUR") -> Report:
    return Report(0.0, rows, currency)


async def total(rows: list[dict[str, float]]) -> float:
    return 0.0


def first(rows: list[Row]) -> "Row | None":
    return rows[0] if rows else None
