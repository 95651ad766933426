"""Group commit: one connection per process carries all script calls; what is ready in one turn of the loop goes as one write.

Each caller waits for its own reply, calls of others go on meanwhile. While Redis is away the calls wait and are
sent again: every script may be sent twice (see its header), so finished work is never lost to an outage. Calls
that only take work in (`patient=False`, `take_in`) fail with `StoreError` instead.

redis-py makes the connection (TLS, authentication, protocol); then its transport is read by hiredis directly:
of the 400 us that a checkpoint took through redis-py's streams, three fifths were turns of the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from aiflow.errors import StoreError
from aiflow.store.scripts import Script, scripts
from aiflow.store.spool import FINISHING

log = logging.getLogger(__name__)

REPLY_TIMEOUT_S = 30.0  # no reply for so long means that the connection is dead
WATCH_S = 5.0
RETRY_FIRST_S, RETRY_MOST_S = 0.02, 1.0
KEEP_AFTER_S = 0.1  # an outage that lasts longer than such a pause has finished work written to disk
SURE_S = 5.0  # how long is asked whether work was taken in, when the reply was lost
REFUSED_S = 0.5  # pause before a call is sent again that Redis refused for now
PASSING = ("OOM", "MISCONF", "READONLY", "NOREPLICAS", "LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN")

Arg = str | bytes | int | float


@dataclass(slots=True)
class Call:
    """One script call. `resend` gives other arguments for when the reply to the first was lost."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Arg]
    future: asyncio.Future[Any]
    resend: Callable[[], Sequence[Arg]] | None
    patient: bool

    def packed(self) -> bytes:
        return _pack("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args)


class _Wire(asyncio.Protocol):
    """Reads replies off one connection and hands them over in order."""

    def __init__(self, reply: Callable[[Any], None], lost: Callable[[_Wire], None]) -> None:
        self._reader = hiredis.Reader()
        self._reply = reply
        self._lost = lost

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._reply(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(self)


class Commit:
    """The single writer of this process.

    Args:
        client: only its connection pool's settings are used: the writer has a connection of its own.
        revive: called when the connection is refused: starts the embedded server again if it died. May raise StoreError.
        keep: called in a thread while Redis is away with the calls that wait, and with [] when they were delivered.
        virtual: its scripts take the time from the namespace (workflow tests).
    """

    def __init__(
        self,
        client: Redis,
        revive: Callable[[], Awaitable[Any]] | None = None,
        keep: Callable[[list[Call]], None] | None = None,
        virtual: bool = False,
    ) -> None:
        self.keep = keep
        self._pool: Any = client.connection_pool
        self._revive = revive
        self._connection: Any = None
        self._transport: asyncio.Transport | None = None
        self._wire: _Wire | None = None
        self._waiting: deque[Call] = deque()
        self._sent: deque[Call | None] = deque()  # None: a SCRIPT LOAD
        self._scheduled = False
        self._closed = False
        self._last_reply = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._scripts = scripts(virtual=True) if virtual else scripts()
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Connect and load the scripts. Raises redis-py's errors."""
        await self._connect()
        self._spawn(self._watch())

    async def close(self) -> None:
        """Hang up. Calls that wait for a reply fail with StoreError."""
        self._closed = True
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=1)  # one may be in the middle of connecting
        await self._hang_up()
        for call in (*self._sent, *self._waiting):
            if call is not None and not call.future.done():
                call.future.set_exception(StoreError("the connection to the store was closed"))
                call.future.exception()  # nobody may be waiting any more

    def call(
        self,
        name: str,
        keys: Sequence[str],
        args: Sequence[Arg],
        *,
        resend: Callable[[], Sequence[Arg]] | None = None,
        patient: bool = True,
    ) -> asyncio.Future[Any]:
        """Run a script; await the result for its reply (bytes, int or list)."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._transport is None and not patient:
            future.set_exception(_away())
            return future
        self._waiting.append(Call(self._scripts[name], keys, args, future, resend, patient))
        self._schedule()
        return future

    async def take_in(self, name: str, keys: Sequence[str], args: Sequence[Arg], what: str) -> Any:
        """A call that takes work in: refused while the store is away, sent again where only the reply was lost.

        Args: what: names the work, for people: `run 01J9ZK`.
        Raises: StoreError: it was not taken in, or (it says so) nobody knows.
        """
        try:
            return await self.call(name, keys, args, patient=False)
        except _Unanswered:
            pass
        try:
            return await asyncio.wait_for(self.call(name, keys, args), SURE_S)
        except TimeoutError:
            raise StoreError(
                f"the store went away before it answered: whether it took {what} is not known",
                "look when it is back: aiflow runs",
            ) from None

    async def patient_read(self, client: Any, command: Sequence[Arg]) -> Any:
        """A plain command on another connection, tried again while Redis is away."""
        pause = RETRY_FIRST_S
        while True:
            try:
                return await client.execute_command(*command)
            except (RedisConnectionError, RedisTimeoutError, OSError) as error:
                log.debug("read failed: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_MOST_S)

    # -- sending -----------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled and self._transport is not None:
            self._scheduled = True
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._scheduled = False
        if self._transport is None or not self._waiting:
            return
        if not self._sent:
            self._last_reply = self._loop.time()
        parts = []
        while self._waiting:
            call = self._waiting.popleft()
            parts.append(call.packed())
            self._sent.append(call)
        self._transport.writelines(parts)

    def _load(self, scripts: Sequence[Script]) -> None:
        assert self._transport is not None
        for script in scripts:
            self._sent.append(None)
            self._transport.write(_pack("SCRIPT", "LOAD", script.text))

    # -- replies -----------------------------------------------------------------------------------------------

    def _reply(self, reply: Any) -> None:
        self._last_reply = self._loop.time()
        call = self._sent.popleft()
        if call is None:
            return
        if not isinstance(reply, hiredis.ReplyError):
            if not call.future.done():
                call.future.set_result(reply)
            return
        text = str(reply)
        if text.startswith("NOSCRIPT"):
            self._load([call.script])
            self._waiting.appendleft(call)
            self._schedule()
        elif text.startswith(PASSING) and call.patient:
            log.warning("the store refuses `%s`: %s; waiting", call.script.name, text)
            self._spawn(self._again(call))
        elif not call.future.done():
            call.future.set_exception(_refused(call, text))

    async def _again(self, call: Call) -> None:
        await asyncio.sleep(REFUSED_S)
        self._waiting.append(call)
        self._schedule()

    # -- the connection ----------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        connection = self._connection = self._pool.make_connection()
        await connection.connect()
        self._wire = _Wire(self._reply, self._lost)
        transport = connection._writer.transport
        transport.set_protocol(self._wire)
        self._transport = transport
        self._load(list(self._scripts.values()))
        self._schedule()

    def _lost(self, wire: _Wire) -> None:
        """The connection broke: what has no reply yet is sent again on the next one."""
        if wire is not self._wire or self._closed:
            return
        self._wire = self._transport = None
        again = [call for call in self._sent if call is not None and not call.future.done()]
        self._sent.clear()
        for call in [call for call in again if not call.patient]:
            again.remove(call)
            call.future.set_exception(_Unanswered(*_AWAY))
        for call in reversed(again):
            if call.resend is not None:
                call.args = call.resend()
            self._waiting.appendleft(call)
        for call in [call for call in self._waiting if not call.patient]:
            self._waiting.remove(call)
            call.future.set_exception(_away())
        log.warning("the connection to the store broke; %d call(s) wait for it", len(self._waiting))
        self._spawn(self._reconnect())

    async def _reconnect(self) -> None:
        pause = RETRY_FIRST_S
        kept: list[Call] = []
        while not self._closed:
            await self._hang_up()
            try:
                await self._connect()
                log.warning("the store is back")
                if kept and self.keep is not None:
                    await asyncio.wait([call.future for call in kept])
                    await asyncio.to_thread(self.keep, [])
                return
            except (RedisError, OSError) as error:
                log.debug("still away: %s", error)
            if self._revive is not None:
                with contextlib.suppress(StoreError):
                    await self._revive()
            waiting = [call for call in self._waiting if call.script.name in FINISHING]
            if self.keep is not None and waiting != kept and pause > KEEP_AFTER_S:
                kept = waiting
                await asyncio.to_thread(self.keep, kept)
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_MOST_S)

    async def _hang_up(self) -> None:
        self._wire = self._transport = None
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            if self._sent and self._transport and self._loop.time() - self._last_reply > REPLY_TIMEOUT_S:
                log.warning("the store has not answered for %.0f s: connecting anew", REPLY_TIMEOUT_S)
                self._transport.abort()

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _pack(*command: Arg) -> bytes:
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub knows only 1-tuples
    return packed


_AWAY = ("the store does not answer", "try again when Redis is back")


class _Unanswered(StoreError):
    """The connection broke after the call was sent: it may have taken effect."""


def _away() -> StoreError:
    return StoreError(*_AWAY)


def _refused(call: Call, text: str) -> StoreError:
    return StoreError(f"the store refused `{call.script.name}`: {text}")
