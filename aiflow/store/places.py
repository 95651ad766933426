"""The places of a limit (`at_once`) that all workers of a store share: who holds one, and the line of those that wait.

First come, first served over all processes. A place belongs to a token that names its worker first, so that the script
that ends a worker's lease frees what it held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

from aiflow.store.commit import Commit
from aiflow.store.keys import Keys

UNKNOWN = -1
"""The worker's lease was ended: it has to register again before it may hold a place."""

CALLS = 100  # calls that one read takes


def token(worker: str, number: int, rid: str, path: str) -> str:
    """The name of one wait for a place."""
    return f"{worker}|{number}|{rid}|{path}"


def split_token(text: str) -> tuple[str, str]:
    """(run id, step path) of a name made by `token`."""
    _, _, rid, path = text.split("|", 3)
    return rid, path


class PlaceStore:
    """One per process; shares the process's `Commit`.

    Args: read: a plain command, patient (`RunStore.read`).  wake: called with each token of this worker that gets a place
        which this worker gave back; the others are heard of by `called`.
    """

    def __init__(
        self, commit: Commit, keys: Keys, worker: str, read: Callable[..., Awaitable[object]], wake: Callable[[str], None]
    ) -> None:
        self._commit = commit
        self._keys = keys
        self._worker = worker
        self._read = read
        self._wake = wake

    async def take(self, limit: str, at_once: int, token: str) -> int:
        """1: it has a place.  0: it stands in the line.  UNKNOWN. The same token again changes nothing."""
        asked = self._commit.call("take_place", self._of(limit), (self._worker, token, limit, at_once))
        try:
            return int(await asyncio.shield(asked))
        except asyncio.CancelledError:  # whatever the answer will be: only after it can the place be given back
            asked.add_done_callback(lambda _: self.leave(limit, at_once, token))
            raise

    def leave(self, limit: str, at_once: int, token: str) -> None:
        """Give a place, or one in the line, back: sent with the next write, nobody waits for the reply."""
        left = self._commit.call("leave_place", self._of(limit), (self._worker, token, limit, at_once))
        left.add_done_callback(self._left)

    def _left(self, left: asyncio.Future[Any]) -> None:
        if left.cancelled() or left.exception() is not None:  # the store was closed: ending the lease frees the place
            return
        for one in left.result():
            self._wake(one.decode())

    async def called(self, most_s: float) -> list[str]:
        """Wait for the next tokens of this worker that get a place; none when none did for so long."""
        key = self._keys.called(self._worker)
        found: Any = await self._read("BLMPOP", most_s, 1, key, "LEFT", "COUNT", CALLS)
        return [] if found is None else [one.decode() for one in found[1]]

    def _of(self, limit: str) -> tuple[str, str, str]:
        return self._keys.ns, self._keys.held(limit), self._keys.line(limit)


async def line(reader: Redis, keys: Keys, limit: str, most: int) -> list[str]:
    """Tokens that wait for a place of a limit, the first in the line first."""
    found: Any = await reader.zrange(keys.line(limit), 0, most - 1)
    return [one.decode() for one in found]
