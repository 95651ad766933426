"""Keeps this worker process's lease alive, from a thread of its own, and only while the event loop answers."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import redis

from aiflow.store.keys import Keys
from aiflow.store.scripts import scripts

log = logging.getLogger(__name__)

BATCH = 500  # frames given back by one call


class Lease:
    """One lease per worker process.

    Args:
        client: a synchronous client of its own.
        info: JSON that tells other processes of this host how to see whether we live.
    """

    def __init__(self, client: redis.Redis, keys: Keys, worker: str, lease_ms: int, info: bytes) -> None:
        self._keys = keys
        self._worker = worker
        self._lease_ms = lease_ms
        self._info = info
        self._register = client.register_script(scripts()["register"].text)
        self._renew = client.register_script(scripts()["renew"].text)
        self._reap = client.register_script(scripts()["reap"].text)
        self._rewake = client.register_script(scripts()["rewake"].text)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beat = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Register and begin to renew, as long as `loop` answers. Blocks for one round trip."""
        self._loop = loop
        self.register()
        self._thread.start()

    def register(self) -> None:
        """Take a lease, at the start or after it was ended by others."""
        self._register(keys=[self._keys.ns], args=[self._worker, self._lease_ms, self._info])

    def give_back(self) -> None:
        """Leave in order: what is still claimed becomes ready at once, and nobody counts a death.

        Messages that were taken and not looked at any more are sent again.
        """
        self._stop.set()
        try:
            while self._reap(keys=[self._keys.ns], args=[BATCH, self._lease_ms, self._worker, 1])[0] >= BATCH:
                pass
            self._rewake(keys=[self._keys.ns], args=[0, BATCH])
        except redis.RedisError as error:
            log.warning("the lease could not be given back: %s; it ends by itself", error)

    def _run(self) -> None:
        period = self._lease_ms / 3000
        while not self._stop.wait(period):
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._answer)
            silent = time.monotonic() - self._beat
            if silent > self._lease_ms / 1000:
                log.error("the event loop has not answered for %.1f s: the lease is not renewed", silent)
                continue
            try:
                if self._renew(keys=[self._keys.ns], args=[self._worker, self._lease_ms]) == 0:
                    log.warning("this worker's lease had ended; what it held went to others")
                    self.register()
            except redis.RedisError as error:
                log.debug("lease not renewed: %s", error)

    def _answer(self) -> None:
        self._beat = time.monotonic()
