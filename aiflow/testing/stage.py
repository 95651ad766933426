"""What all tests of one command share: a server of their own that leaves nothing behind, and connections to it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from aiflow.errors import AiflowError
from aiflow.settings import Settings
from aiflow.store.blobs import BlobRef, BlobStore
from aiflow.store.commit import Commit
from aiflow.store.connect import connect
from aiflow.store.embedded import ServerHandle, ensure_server

PREFIX = "aiflow-test-"
FORGOTTEN_S = 86_400
"""A folder of that age was left by a command that was killed."""


class Counting(Commit):
    """The writer of one test at a time. Knows what is under way, since only then nothing can move.

    `news`: replies so far, but to `fetch`: each may have put messages into the queue.
    """

    news = 0

    @property
    def in_flight(self) -> bool:
        return bool(self._waiting or self._sent)

    def _reply(self, reply: Any) -> None:
        call = self._sent[0]
        self.news += call is not None and call.script.name != "fetch"
        super()._reply(reply)


class CountingReader(Redis):
    """The reader beside it. `under_way`: commands without a reply."""

    under_way = 0

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        self.under_way += 1
        try:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        finally:
            self.under_way -= 1


class CountingBlobs(BlobStore):
    """Large values of one test."""

    under_way = 0

    async def put(self, content: bytes) -> BlobRef:
        self.under_way += 1
        try:
            return await super().put(content)
        finally:
            self.under_way -= 1

    async def get(self, sha256: str) -> bytes:
        self.under_way += 1
        try:
            return await super().get(sha256)
        finally:
            self.under_way -= 1


class Slot:
    """Connections that one test at a time uses."""

    def __init__(self, settings: Settings) -> None:
        pool = connect(settings, connections=4).connection_pool
        self.reader = cast(CountingReader, CountingReader.from_pool(pool))
        self.commit = Counting(self.reader, virtual=True)


class Stage:
    """`async with Stage(slots) as stage`: a temporary folder with a server in it."""

    def __init__(self, slots: int) -> None:
        self._count = slots
        self._numbers = itertools.count(1)
        self._free: asyncio.Queue[Slot] = asyncio.Queue()
        self._slots: list[Slot] = []
        self._server: ServerHandle | None = None

    async def __aenter__(self) -> Stage:
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        try:
            settings = Settings(root=self.folder, state_dir=self.folder)
            self._server = await asyncio.to_thread(ensure_server, settings)
            for _ in range(self._count):
                slot = Slot(settings)
                self._slots.append(slot)
                await slot.commit.start()
                self._free.put_nowait(slot)
            await slot.reader.config_set("appendonly", "no")
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._close()

    async def _close(self) -> None:
        for slot in self._slots:
            await slot.commit.close()
            await slot.reader.aclose()
            await slot.reader.connection_pool.disconnect()
        await asyncio.to_thread(self._clear)

    def _clear(self) -> None:
        if self._server is not None:
            self._server.release()
        shutil.rmtree(self.folder, ignore_errors=True)
        for left in self.folder.parent.glob(PREFIX + "*"):
            with contextlib.suppress(OSError, AiflowError):
                facts = left.stat()
                if facts.st_uid == os.getuid() and facts.st_mtime < time.time() - FORGOTTEN_S:
                    ensure_server(Settings(root=left, state_dir=left)).release()  # the last one out ends it
                    shutil.rmtree(left, ignore_errors=True)

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[tuple[Slot, str]]:
        """Connections for one test, and a name that no other has."""
        slot = await self._free.get()
        try:
            yield slot, f"t{next(self._numbers)}"
        finally:
            self._free.put_nowait(slot)
