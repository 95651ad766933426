"""Blocking work beside the event loop: users' sync functions, files, SQLite, documents.

Not `asyncio.to_thread`: its pool has a handful of threads, shared with name resolution, and waits for all of them at
exit, so one function that hangs would keep a worker from ending. These threads are daemons.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MOST_THREADS = 512
"""Above this, calls queue. A thread that only waits costs some 50 kB."""


@dataclass(slots=True)
class _Job:
    call: Callable[[], Any]
    context: contextvars.Context
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class _Pool:
    """Starts a thread only when none is idle."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self.idle = threading.Semaphore(0)
        self.count = 0

    def submit(self, job: _Job) -> None:
        self.jobs.put(job)
        if self.count < MOST_THREADS and not self.idle.acquire(blocking=False):
            self.count += 1
            threading.Thread(target=self._work, name=f"aiflow-{self.count}", daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                job = self.jobs.get_nowait()
            except queue.Empty:
                self.idle.release()
                job = self.jobs.get()
            if not job.future.cancelled():
                _perform(job)
            del job


_pool = _Pool()


def _forget_threads() -> None:
    global _pool
    _pool = _Pool()


os.register_at_fork(after_in_child=_forget_threads)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function` gives, called in a thread with the caller's context variables.

    When the caller is cancelled the thread goes on and its result is dropped: Python threads cannot be stopped.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    _pool.submit(_Job(lambda: function(*args, **kwargs), contextvars.copy_context(), loop, future))
    return await future


def _perform(job: _Job) -> None:
    result: Any = None
    error: BaseException | None = None
    try:
        result = job.context.run(job.call)
    except StopIteration as stop:  # a future refuses to carry it
        error = RuntimeError(f"StopIteration: {stop.value}")
    except BaseException as raised:
        error = raised
    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
        job.loop.call_soon_threadsafe(_settle, job.future, result, error)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
