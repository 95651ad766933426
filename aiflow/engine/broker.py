"""Dramatiq's Redis broker with its teeth drawn: messages are wake-ups, and an idle consumer waits on a doorbell.

What carries a run is in our own indexes (`ready` and the frames); a message only says "look at this frame". So:

* fetching a message is acknowledging it: no ack sets, no heartbeats, no maintenance and its `KEYS`;
* an idle consumer blocks on the doorbell that every script rings, instead of sleeping up to a second;
* no middleware acts on its own (no retries, time limits, pipelines, callbacks): the list is given and empty;
* an actor that is not declared yet is declared when its first message arrives: a plan of an older version finishes;
* a message that cannot be decoded is put aside, its neighbours run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import dramatiq
import redis
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import DecodeError
from dramatiq.message import Message

from aiflow.store.keys import QUEUE, Keys
from aiflow.store.scripts import scripts

log = logging.getLogger(__name__)

FETCH = 32  # messages taken at once
DOORBELL_S = 1  # an idle consumer looks by itself so often; a lost ring costs no more
AWAY_S = 0.1  # pause while Redis does not answer

Wake = Callable[[str, str], None]


class WakeBroker(RedisBroker):
    """A broker whose actors all do one thing: tell the host to look at a frame.

    Args:
        client: a blocking client with a pool large enough for the consumer and enqueuers.
        wake: called in a worker thread with run id and path; may block to slow the intake down.
    """

    def __init__(self, client: redis.Redis, keys: Keys, wake: Wake) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            client=client, middleware=[], namespace=f"{keys.ns}:q", maintenance_chance=0
        )
        self._keys = keys
        self._wake = wake
        self.fetcher = client.register_script(scripts()["fetch"].text)

    @property
    def consumer_class(self) -> type[Consumer]:
        return _Doorbell

    def declare_block(self, actor: str) -> None:
        """Declare the actor of one block of a workflow."""
        if actor not in self.actors:
            dramatiq.actor(actor_name=actor, queue_name=QUEUE, broker=self)(self._look)

    def get_actor(self, actor_name: str) -> Any:
        self.declare_block(actor_name)
        return super().get_actor(actor_name)

    def _look(self, rid: str, path: str) -> None:
        self._wake(rid, path)

    def fetch(self) -> list[bytes]:
        """Take the next messages off the queue."""
        found: list[bytes] = self.fetcher(keys=[self._keys.ns], args=[FETCH])
        return found

    def wait(self) -> None:
        """Block until the doorbell rings or a second has passed."""
        self.client.blpop([self._keys.bell()], timeout=DOORBELL_S)

    def put_aside(self, body: bytes) -> None:
        """Keep a message that cannot be read, for a person to look at."""
        self.client.rpush(self._keys.named("unreadable"), body)
        log.error("a message could not be read and was put aside in %s", self._keys.named("unreadable"))


class _Doorbell(Consumer):
    """Takes messages in batches; waits on the doorbell when there are none."""

    def __init__(self, broker: WakeBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        self._broker = broker
        self._delayed = queue_name.endswith(".DQ")
        self._timeout_s = timeout / 1000
        self._bodies: list[bytes] = []

    def ack(self, message: MessageProxy) -> None:
        """Nothing to do: fetching was acknowledging."""

    def nack(self, message: MessageProxy) -> None:
        """The frame is still in `ready`; the reconciler wakes it again."""

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """The frames are still in `ready`; the reconciler wakes them again."""

    def __next__(self) -> MessageProxy | None:
        if self._delayed:  # nothing is ever delayed by Dramatiq here
            time.sleep(self._timeout_s)
            return None
        try:
            if not self._bodies:
                self._bodies = self._broker.fetch()
                if not self._bodies:
                    self._broker.wait()
                    self._bodies = self._broker.fetch()
                if not self._bodies:
                    return None
            body = self._bodies.pop(0)
            message = _readable(body)
            if message is None:
                self._broker.put_aside(body)
                return None
            return MessageProxy(message)
        except redis.RedisError as error:  # Dramatiq would close the consumer and begin anew after three seconds
            log.debug("no messages: %s", error)
            time.sleep(AWAY_S)
            return None


def _readable(body: bytes) -> Message[Any] | None:
    """The message, or None when it is not one of ours: anything odd would end Dramatiq's consumer thread."""
    try:
        message = Message.decode(body)
    except (DecodeError, TypeError):
        return None
    args = message.args
    fits = isinstance(args, (list, tuple)) and len(args) == 2 and all(isinstance(one, str) for one in args)
    named = isinstance(message.actor_name, str) and message.actor_name != ""
    plain = not message.kwargs and isinstance(message.options, dict) and "eta" not in message.options
    return message if fits and named and plain else None
