"""Proves that every open run is reachable: gives away the frames of dead workers, wakes what nobody claimed,
frees places in gates that nobody holds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from aiflow.store.commit import Commit
from aiflow.store.keys import Keys
from aiflow.store.scripts import whole
from aiflow.store.spool import Spool

log = logging.getLogger(__name__)

BATCH = 500
GATES = 50  # gates with waiting runs that are looked at each time, picked at random
NEIGHBOURS_S = 0.25  # how often dead processes of this host are looked for
LOST_MESSAGE_MS = 5_000  # a frame that is ready for so long without a claim gets another message


def host_identity() -> str:
    """Names this machine, this boot and this pid namespace: where a pid means the same process."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = ""
    with contextlib.suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{boot.read_text().strip() if boot.exists() else ''}/{space}"


def process_start(pid: int) -> str | None:
    """When a process began, in the kernel's ticks; None when it is gone (a zombie counts as gone)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        return _start_without_proc(pid)
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _start_without_proc(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "?"


def worker_info() -> bytes:
    """How other processes of this host can see whether this one lives."""
    pid = os.getpid()
    return json.dumps({"host": host_identity(), "pid": pid, "start": process_start(pid)}).encode()


class Reconciler:
    """The loop. Any number of them, in any number of processes, are harmless to each other."""

    def __init__(
        self, commit: Commit, reader: Redis, keys: Keys, worker: str, lease_ms: int, spool: Spool
    ) -> None:  # fmt: skip
        self._spool = spool
        self._commit = commit
        self._reader = reader
        self._keys = keys
        self._worker = worker
        self._lease_ms = lease_ms
        self._host = host_identity()
        self.repaired = 0

    async def run(self) -> None:
        """For ever: the neighbours often, everything every quarter of a lease."""
        loop = asyncio.get_running_loop()
        full = 0.0
        while True:
            await self._bury_neighbours()
            if loop.time() >= full:
                await self._reap("")
                self.repaired += await self._commit.call("rewake", (self._keys.ns,), (LOST_MESSAGE_MS, BATCH))
                await self._commit.call("mend_gates", (self._keys.ns,), (GATES,))
                full = loop.time() + self._lease_ms / 4000
            await asyncio.sleep(NEIGHBOURS_S)

    async def _bury_neighbours(self) -> None:
        known = await self._commit.patient_read(self._reader, ("HGETALL", self._keys.named("workerinfo")))
        pairs = known.items() if isinstance(known, dict) else zip(known[::2], known[1::2], strict=True)
        for worker, raw in pairs:
            name = worker.decode()
            if name != self._worker and self._is_dead(json.loads(raw)):
                await self._deliver(name)
                await self._reap(name)

    async def _deliver(self, worker: str) -> None:
        """What a dead worker had finished while the store was away is written before its frames are given away."""
        for name, keys, args in self._spool.read(worker):
            await self._commit.call(whole(name), keys, args)
            log.warning("delivered finished work of a worker that died while the store was away")
        self._spool.clear(worker)

    def _is_dead(self, info: dict[str, Any]) -> bool:
        return bool(info["host"] == self._host and process_start(info["pid"]) != info["start"])

    async def _reap(self, worker: str) -> None:
        moved = BATCH
        while moved >= BATCH:
            moved, _, gone = await self._commit.call("reap", (self._keys.ns,), (BATCH, self._lease_ms, worker, 0))
            if moved:
                log.warning("took over %d frame(s) of a worker that is gone", moved)
            if gone:  # messages that it had taken are lost with it
                await self._commit.call("rewake", (self._keys.ns,), (0, BATCH))
