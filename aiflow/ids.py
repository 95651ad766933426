"""Names of things: run ids, worker ids."""

from __future__ import annotations

import os
import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32


def new_run_id() -> str:
    """A ULID: 26 characters that sort by time, 80 random bits."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def new_worker_id() -> str:
    """Unique per registration; holds the pid for people."""
    return f"{os.getpid()}-{secrets.token_hex(6)}"
