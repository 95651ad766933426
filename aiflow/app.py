"""The one place where settings become objects and objects meet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiflow.clock import StoreClock
from aiflow.settings import Settings
from aiflow.store.commit import Commit
from aiflow.store.keys import Keys

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from aiflow.client import Client
    from aiflow.engine.host import Host
    from aiflow.inspector import Inspector
    from aiflow.store.blobs import BlobStore
    from aiflow.store.embedded import ServerHandle
    from aiflow.worker import Worker


class App:
    """Everything that one process needs, opened with `async with App(settings) as app`.

    Attributes:
        client: what one may do.  inspector: what one may see.
        warnings: what `preflight` found that is not an error.
    """

    client: Client
    inspector: Inspector
    blobs: BlobStore

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.keys = Keys(settings.namespace)
        self.clock = StoreClock()
        self.warnings: list[str] = []
        self._handle: ServerHandle | None = None
        self._closers: list[Callable[[], Any]] = []

    async def __aenter__(self) -> App:
        """Start or find the store, check that it is fit, connect. Raises StoreError, ConfigError."""
        from aiflow.client import Client
        from aiflow.inspector import Inspector
        from aiflow.store.blobs import BlobStore
        from aiflow.store.connect import connect, preflight
        from aiflow.store.embedded import ensure_server
        from aiflow.store.events import EventStore
        from aiflow.store.runs import RunStore

        if self.settings.embedded:
            self._handle = await asyncio.to_thread(ensure_server, self.settings)
        try:
            self.reader: Redis = connect(self.settings)
            self.warnings = await preflight(self.reader, self.settings)
            self.commit = Commit(self.reader, self._revive if self.settings.embedded else None)
            await self.commit.start()
        except BaseException:
            await self._release()
            raise
        self.blobs = BlobStore(self.settings.artifacts)
        self.store = RunStore(self.commit, self.reader, self.keys, self.clock)
        self.events = EventStore(self.commit, self.reader, self.keys, self.clock, self.settings.retention_ms)
        self.client = Client(self.store, self.events, self.settings, self.blobs)
        self.inspector = Inspector(self.reader, self.keys, self.settings, self.blobs)
        return self

    async def __aexit__(self, *error: object) -> None:
        for close in reversed(self._closers):
            await close()
        await self.commit.close()
        await self._release()

    async def _release(self) -> None:
        if hasattr(self, "reader"):
            await self.reader.aclose()
        if self._handle is not None:
            await asyncio.to_thread(self._handle.release)

    async def _revive(self) -> None:
        from aiflow.store.embedded import restart_if_dead

        await asyncio.to_thread(restart_if_dead, self.settings)

    def host(self) -> Host:
        """The engine of this process."""
        from aiflow.engine.host import Host, crash_points
        from aiflow.ids import new_worker_id
        from aiflow.settings import secret

        return Host(
            self.settings, self.commit, self.reader, self.keys, self.clock, self.blobs, self._services(),
            lambda name: secret(self.settings, name), new_worker_id(), crash_points(os.environ.get("AIFLOW_CRASH", "")),
        )  # fmt: skip

    def worker(self) -> Worker:
        """A worker in this process; start and stop it inside the `async with`."""
        from aiflow.engine.broker import DOORBELL_S
        from aiflow.store.connect import connect_sync
        from aiflow.worker import Worker

        blocking, plain = connect_sync(self.settings, block_s=DOORBELL_S), connect_sync(self.settings)

        async def close() -> None:
            blocking.close()
            plain.close()

        self._closers.append(close)
        return Worker(self.host(), blocking, plain)

    def _services(self) -> Any:
        from aiflow.steps._kind import Services

        made: dict[str, Any] = {}

        def gateway(profile: str | None = None, offline: bool = False) -> Any:
            name = f"gateway {profile} {offline}"
            if name not in made:
                from aiflow.models.gateway import Gateway
                from aiflow.settings import settings_of_run

                made[name] = Gateway(settings_of_run(self.settings, profile), offline)
                self._closers.append(made[name].close)
            return made[name]

        async def http() -> Any:
            if "http" not in made:
                from aiflow.steps._network import make_session

                made["http"] = make_session(self.settings.embedded, self.settings.network_allow)
                self._closers.append(made["http"].close)
            return made["http"]

        return Services(gateway=gateway, http=http, extra={"settings": self.settings})
