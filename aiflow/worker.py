"""A worker: the engine's host, Dramatiq's consumer, the lease and the services, in one process on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

import redis
from dramatiq import Worker as DramatiqWorker

from aiflow.engine.broker import WakeBroker
from aiflow.engine.host import Host
from aiflow.engine.lanes import cancelled
from aiflow.plan import CompiledPlan
from aiflow.services import cancels, ticker
from aiflow.services.lease import Lease
from aiflow.services.reconciler import Reconciler, worker_info
from aiflow.store.commit import Call
from aiflow.store.spool import Spool

log = logging.getLogger(__name__)

THREADS = 2  # Dramatiq's threads only pass wake-ups on
IDLE_MS = 200  # how long a Dramatiq thread sleeps at most when it is told to stop
WATCH_S = 1.0
EXIT_SICK = 70


class Worker:
    """One worker in this process.

    Args:
        blocking: a synchronous client that may block for the doorbell.
        plain: a synchronous client for the lease.
        sick: called when a thread that must live has died; the default ends the process, its supervisor starts another.
    """

    def __init__(
        self, host: Host, blocking: redis.Redis, plain: redis.Redis, sick: Callable[[], None] | None = None
    ) -> None:
        self.host = host
        self._blocking = blocking
        self._lease = Lease(plain, host.keys, host.worker, host.settings.lease_ms, worker_info())
        self._broker = WakeBroker(blocking, host.keys, host.wake)
        self._dramatiq = DramatiqWorker(self._broker, worker_threads=THREADS, worker_timeout=IDLE_MS)
        self._tasks: list[asyncio.Task[None]] = []
        self._sick = sick or (lambda: os._exit(EXIT_SICK))
        host.on_plan = self._declare
        host.on_unknown = self._register_again

    async def start(self) -> None:
        """Begin to take frames."""
        self.host.bind()
        await asyncio.to_thread(self._lease.start, asyncio.get_running_loop())
        host = self.host
        spool = Spool(host.settings.state_dir / "spool")
        host.commit.keep = lambda calls: _keep(spool, host.worker, calls)
        reconciler = Reconciler(host.commit, host.store.reader, host.keys, host.worker, host.settings.lease_ms, spool)
        for name, loop in (
            ("ticker", ticker.tick(host.commit, host.keys)),
            ("cancels", cancels.watch(host.commit, host.store.reader, host.keys, host.cancel)),
            ("reconciler", reconciler.run()),
            ("watchdog", self._watch()),
        ):
            task = asyncio.create_task(loop, name=name)
            task.add_done_callback(self._service_ended)
            self._tasks.append(task)
        self._broker.declare_queue("default")
        self._dramatiq.start()

    async def _register_again(self) -> None:
        await asyncio.to_thread(self._lease.register)

    def _declare(self, plan: CompiledPlan) -> None:
        for actor in plan.actors.values():
            self._broker.declare_block(actor)

    async def stop(self, grace_s: float, cut: asyncio.Event | None = None) -> None:
        """Running steps get `grace_s`, or until `cut` is set (see `Host.stop`); everything else is handed on at once."""
        await self.host.stop(grace_s, cut)
        await asyncio.to_thread(self._stop_threads)
        await cancelled(self._tasks)
        await asyncio.to_thread(self._lease.give_back)

    def _stop_threads(self) -> None:
        threads: list[Any] = [*self._dramatiq.workers, *self._dramatiq.consumers.values()]
        for thread in threads:
            thread.stop()
        with contextlib.suppress(redis.RedisError):
            self._blocking.rpush(self.host.keys.bell(), "1")  # the consumer may be waiting for it
        for thread in threads:
            thread.join(2 * IDLE_MS / 1000)

    def _service_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and not self.host.stopping:
            log.critical("the %s died", task.get_name(), exc_info=task.exception())
            self._sick()

    async def _watch(self) -> None:
        """A dead consumer or worker thread makes a process that looks alive and does nothing."""
        await asyncio.sleep(WATCH_S)
        while True:
            threads: list[threading.Thread] = [*self._dramatiq.workers, *self._dramatiq.consumers.values()]
            dead = [thread for thread in threads if not thread.is_alive()]
            if dead and not self.host.stopping:
                log.critical("a thread of the consumer died: %s", dead[0].name)
                self._sick()
            await asyncio.sleep(WATCH_S)


def _keep(spool: Spool, worker: str, calls: list[Call]) -> None:
    if calls:
        spool.write(worker, [(call.script.name, call.keys, call.args) for call in calls])
    else:
        spool.clear(worker)
