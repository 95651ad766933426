"""What a call costs: the author's own prices, else litellm's table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.errors import StepError
from aiflow.models.calls import Usage
from aiflow.settings import ModelSpec

PER = 1_000_000
"""Prices in `aiflow.yaml` are dollars per million tokens, as providers publish them."""

TRUST_FACTOR = 100
"""A provider's count this many times above our estimate is taken for a fault (RELIABILITY 6.3)."""

MARGIN = 1.5
"""Estimates are raised by so much, so that a budget errs on the safe side."""


def cost_of(prices: Mapping[str, float], tokens_in: int, tokens_out: int) -> float:
    """Dollars, from `{"input": ..., "output": ...}` per million tokens; a price left out is 0."""
    return (tokens_in * prices.get("input", 0.0) + tokens_out * prices.get("output", 0.0)) / PER


def table_prices(info: Mapping[str, Any] | None) -> dict[str, float] | None:
    """Prices in the form of `aiflow.yaml` from an entry of litellm's table, or None when it has none."""
    if info is None or info.get("input_cost_per_token") is None:
        return None
    return {
        "input": float(info["input_cost_per_token"]) * PER,
        "output": float(info.get("output_cost_per_token") or 0.0) * PER,
    }


def counted(reported: tuple[int, int], estimated: tuple[int, int]) -> tuple[int, int, bool]:
    """Tokens in and out, and whether they had to be estimated.

    A provider that reports nothing, something negative or something absurd is not believed.
    """
    tokens_in, tokens_out = reported
    believable = tokens_in > 0 and tokens_out >= 0 and (tokens_out > 0 or estimated[1] == 0)
    limit_in, limit_out = (TRUST_FACTOR * max(size, 1_000) for size in estimated)
    if believable and tokens_in <= limit_in and tokens_out <= limit_out:
        return tokens_in, tokens_out, False
    return int(estimated[0] * MARGIN), int(estimated[1] * MARGIN), True


def offline_usage(tokens_in: int, tokens_out: int) -> Usage:
    """Of an answer that cost nothing."""
    return Usage(tokens_in, tokens_out, 0.0, 1)


def unknown_price(spec: ModelSpec) -> StepError:
    """A run with a budget may not call a model whose price nobody knows."""
    return StepError(
        "budget",
        f"the run has a budget, but the price of {spec.model} is not known",
        data={"model": spec.model, "price_unknown": True},
        hint="give its prices in aiflow.yaml, dollars per million tokens:\n"
        f"models:\n  NAME: {{model: {spec.model}, prices: {{input: 0.15, output: 0.60}}}}",
    )
