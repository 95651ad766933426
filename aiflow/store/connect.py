"""Connections to the store, what its errors mean, and whether it is fit to hold runs.

redis-py 8 left alone waits 5 s a reply and tries 10 times, so a blocking read of 8 s fails after a minute.
Here every client says what it waits for: commands `COMMAND_S` with `RETRIES` more tries (each script takes an
operation id, so a second delivery is harmless), blocking reads their own time and a margin, never twice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from aiflow.errors import ConfigError, StoreError
from aiflow.settings import Settings

COMMAND_S = 5.0
"""Seconds to wait for the reply to a command; a script takes microseconds, a stalled disk up to seconds."""

CONNECT_S = 3.0
"""Seconds to wait for a TCP connection."""

RETRIES = 3
"""Further tries after a lost connection or a missing reply: about a second in all, enough for a restart."""

MARGIN_S = 5.0
"""How much longer than it blocks a blocking read waits for its reply."""

LOADING_S = 60.0
"""How long `preflight` waits for a server that is reading its file."""

OLDEST_REDIS = (7, 0)
OLDEST_VALKEY = (7, 2)
"""Scripts with flags (`allow-oom`) need these."""

_SCHEMES = {"valkey": "redis", "valkeys": "rediss"}


def connect(settings: Settings, *, connections: int = 16, decode: bool = False) -> redis.asyncio.Redis:
    """The async client for commands. Who finds all `connections` busy waits for one.

    Connects at the first command. Args: decode: replies as str instead of bytes.
    Raises: ConfigError: the URL is not one of a Redis.
    """
    return _async_client(settings, COMMAND_S, RETRIES, connections, decode)


def connect_blocking(
    settings: Settings, *, block_s: float, connections: int = 4, decode: bool = False
) -> redis.asyncio.Redis:
    """The async client for reads that block up to `block_s` seconds (`BLPOP`, `XREAD BLOCK`). Never repeats one."""
    return _async_client(settings, block_s + MARGIN_S, 0, connections, decode)


def connect_sync(
    settings: Settings, *, block_s: float = 0.0, connections: int = 16, decode: bool = False
) -> redis.Redis:
    """The client for threads. Args: block_s: as for `connect_blocking`; 0: a client for commands."""
    wait_s, retries = (block_s + MARGIN_S, 0) if block_s else (COMMAND_S, RETRIES)
    options = _options(settings, wait_s, connections, decode)
    options["retry"] = Retry(_backoff(), retries)
    try:
        pool = redis.BlockingConnectionPool.from_url(_url(settings), **options)
    except (ValueError, TypeError):
        raise _bad_url(settings) from None
    pool.connection_kwargs["socket_timeout"] = wait_s
    return redis.Redis.from_pool(pool)


def _async_client(
    settings: Settings, wait_s: float, retries: int, connections: int, decode: bool
) -> redis.asyncio.Redis:
    options = _options(settings, wait_s, connections, decode)
    options["retry"] = AsyncRetry(_backoff(), retries)
    try:
        pool = redis.asyncio.BlockingConnectionPool.from_url(_url(settings), **options)
    except (ValueError, TypeError):
        raise _bad_url(settings) from None
    pool.connection_kwargs["socket_timeout"] = wait_s  # a `?socket_timeout=` in the URL would win otherwise
    return redis.asyncio.Redis.from_pool(pool)


def _backoff() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=0.05, cap=1.0)


def _options(settings: Settings, wait_s: float, connections: int, decode: bool) -> dict[str, Any]:
    """What both kinds of pool are made with."""
    options: dict[str, Any] = {
        "max_connections": connections,
        "timeout": 30,  # seconds to wait for a free connection
        "socket_timeout": wait_s,
        "decode_responses": decode,
        "driver_info": None,  # saves two commands at each connect
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    if not _url(settings).startswith("unix:"):
        options.update(socket_connect_timeout=CONNECT_S, socket_keepalive=True, health_check_interval=30)
    return options


def _url(settings: Settings) -> str:
    if settings.redis_url is None:
        from urllib.parse import quote

        from aiflow.store.embedded import socket_path

        return "unix://" + quote(str(socket_path(settings)))
    scheme, colon, rest = settings.redis_url.partition("://")
    return _SCHEMES.get(scheme, scheme) + colon + rest


def _bad_url(settings: Settings) -> ConfigError:
    return ConfigError(
        f"the store's address {address(settings)} is not that of a Redis",
        "write redis://host:6379/0, rediss://... for TLS, or unix:///path/to/redis.sock",
    )


def address(settings: Settings) -> str:
    """The store's address for people: no user, no password, no options."""
    if settings.redis_url is None:
        return f"embedded in {settings.root / settings.state_dir / 'redis'}"
    parts = urlsplit(settings.redis_url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else "(no scheme)"


def store_error(error: Exception, settings: Settings) -> StoreError:
    """What an error of the client means: what, which address, what to do."""
    where, text = address(settings), _clean(str(error))
    match error:
        case AuthenticationError():
            return _refused(where)
        case NoPermissionError():
            return StoreError(f"the store's user lacks a right at {where}: {text}", "give its ACL user that command")
        case BusyLoadingError():
            return StoreError(f"the store {where} is still loading its data", "try again in a moment")
        case OutOfMemoryError():
            return StoreError(f"the store {where} is out of memory", "raise maxmemory or delete old runs")
        case ReadOnlyError():
            return StoreError(f"the store {where} is a replica and read-only", "name the primary in REDIS_URL")
        case RedisTimeoutError():
            return StoreError(f"the store {where} did not answer in time", "is it stopped, overloaded or far away?")
        case RedisConnectionError():
            return _unreachable(settings, where, text)
        case ResponseError():
            return _by_reply(where, text)
    return StoreError(f"the store {where} failed: {text}")


def _refused(where: str) -> StoreError:
    return StoreError(
        f"the store {where} refuses our credentials",
        "put user and password into REDIS_URL: redis://user:password@host:6379/0",
    )


def _unreachable(settings: Settings, where: str, text: str) -> StoreError:
    if "HELLO <proto> AUTH" in text or "username-password pair" in text:  # redis-py has no class for these two
        return _refused(where)
    if "max number of clients" in text:
        return StoreError(f"the store {where} has no connection left", "raise maxclients of the server")
    if settings.embedded:
        return StoreError(f"the store ({where}) does not run", "the next aiflow command starts it again")
    return StoreError(
        f"the store {where} cannot be reached: {text}", "start it, or mend REDIS_URL; without one aiflow brings its own"
    )


def _by_reply(where: str, text: str) -> StoreError:
    word = text.split(" ", 1)[0]
    if word == "NOAUTH":
        return _refused(where)
    if word == "MISCONF" or "Errors writing to the AOF" in text:
        return StoreError(f"the store {where} cannot write to its disk", "free space on the server's disk; see its log")
    if word == "NOREPLICAS":
        return StoreError(f"the store {where} takes no writes: too few replicas are in sync", "mend the replicas")
    if word == "BUSY":
        return StoreError(f"the store {where} is busy with a long script", "wait for its end")
    if word in ("MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN"):
        return _cluster(where)
    return StoreError(f"the store {where} answered: {text}")


def _cluster(where: str) -> StoreError:
    return StoreError(
        f"the store {where} is a Redis Cluster, which cannot run aiflow's scripts",
        "name a single server (with a replica, if it must not stop)",
    )


def _clean(text: str) -> str:
    """Anything that looks like the user part of a URL is hidden."""
    return re.sub(r"//[^/@\s]*@", "//***@", text)


async def preflight(client: redis.asyncio.Redis, settings: Settings) -> list[str]:
    """Look whether the store may hold runs; one command. Waits up to `LOADING_S` while it loads its data.

    Returns: warnings, each a sentence.  Raises: StoreError: it is away or unfit, with what mends it.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LOADING_S
    while True:
        try:
            info = await client.info()
        except RedisError as error:
            raise store_error(error, settings) from None
        if not info.get("loading"):
            return judge(info, settings)
        if loop.time() > deadline:
            raise store_error(BusyLoadingError(), settings)
        await asyncio.sleep(0.05)


def judge(info: Mapping[str, Any], settings: Settings) -> list[str]:
    """Warnings about a server by what its `INFO` says. Raises: StoreError: it is unfit."""
    where = address(settings)
    if info.get("redis_mode") == "cluster" or info.get("cluster_enabled"):
        raise _cluster(where)
    _judge_version(info, where)
    if info.get("role", "master") != "master":
        raise StoreError(f"the store {where} is a replica and read-only", "name the primary in REDIS_URL")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreError(
            f"the store {where} may throw away runs when its memory is full (maxmemory-policy is {policy})",
            f"{_cli(settings)} CONFIG SET maxmemory-policy noeviction\nand set it in the server's configuration too",
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        raise StoreError(f"the store {where} cannot write to its disk", "free space on the server's disk; see its log")
    if not info.get("aof_enabled"):
        return [
            f"the store {where} keeps no append-only file: a restart loses the runs since its last snapshot;"
            f" mend it: {_cli(settings)} CONFIG SET appendonly yes"
        ]
    return []


def _judge_version(info: Mapping[str, Any], where: str) -> None:
    valkey = info.get("valkey_version")
    name, text, oldest = ("Valkey", valkey, OLDEST_VALKEY) if valkey else (
        "Redis", info.get("redis_version", "0"), OLDEST_REDIS
    )
    found = tuple(int(part) for part in re.findall(r"\d+", str(text))[:2])
    if found < oldest:
        raise StoreError(
            f"the store {where} is {name} {text}; aiflow needs {oldest[0]}.{oldest[1]} or newer",
            "update the server, or leave REDIS_URL out: aiflow brings its own",
        )


def _cli(settings: Settings) -> str:
    if settings.redis_url is None:
        from aiflow.store.embedded import socket_path

        return f"redis-cli -s '{socket_path(settings)}'"
    parts = urlsplit(settings.redis_url)
    if parts.scheme == "unix":
        return f"redis-cli -s '{parts.path}'"
    tls = " --tls" if parts.scheme in ("rediss", "valkeys") else ""
    return f"redis-cli{tls} -h {parts.hostname or 'localhost'} -p {parts.port or 6379}"
