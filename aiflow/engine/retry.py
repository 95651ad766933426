"""Delays between attempts. Pure."""

from __future__ import annotations

from random import Random

from aiflow.language.model import Retry


def backoff_ms(attempt: int, policy: Retry, rand: Random) -> int:
    """Delay before the next attempt, in milliseconds.

    Full jitter: uniform in [0, min(cap, base * factor ** (attempt - 1))]; without jitter that bound itself.
    Args:    attempt: the attempt that just failed, from 1.
    Raises:  ValueError: attempt < 1.
    Source:  "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    if attempt < 1:
        raise ValueError("attempts are counted from 1")
    try:
        bound = min(policy.max_delay_ms, policy.delay_ms * policy.backoff ** (attempt - 1))
    except OverflowError:
        bound = policy.max_delay_ms
    return int(rand.uniform(0, bound)) if policy.jitter else int(bound)
