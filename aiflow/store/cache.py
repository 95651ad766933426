"""Results kept for equal calls, by the digest of what was asked. A worker that finds the store full or away keeps nothing."""

from __future__ import annotations

from aiflow.store.commit import Commit
from aiflow.store.keys import Keys


class CacheStore:
    """One per process; shares the process's `Commit`."""

    def __init__(self, commit: Commit, keys: Keys) -> None:
        self._commit = commit
        self._keys = keys

    async def get(self, digest: str, max_age_ms: int, not_before_ms: int = 0) -> tuple[bytes, int] | None:
        """(record, when it was made) of a result that is not older, or None."""
        keys = (self._keys.ns, self._keys.cached(digest))
        reply = await self._commit.call("cache_get", keys, (max_age_ms, not_before_ms))
        return None if reply is None else (reply[0], int(reply[1]))

    async def put(self, digest: str, record: bytes, keep_ms: int) -> None:
        """Keep a result for so long, in place of an older one. Raises StoreError."""
        keys = (self._keys.ns, self._keys.cached(digest))
        await self._commit.call("cache_put", keys, (record, keep_ms), patient=False)
