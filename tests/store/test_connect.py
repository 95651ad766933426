"""Clients of the store, what they say when it is away or unfit, and that no secret is ever shown."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from aiflow.errors import ConfigError, StoreError
from aiflow.settings import Settings
from aiflow.store import _server
from aiflow.store.connect import address, connect, connect_blocking, connect_sync, judge, preflight, store_error
from aiflow.store.embedded import ensure_server, restart_if_dead

SECRET = "geheim-4711"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Settings, Path]]:
    """A server of the test's own on a unix socket, named by a URL as a real Redis is: settings, socket."""
    embedded = Settings(root=tmp_path)
    with ensure_server(embedded) as handle:
        yield replace(embedded, redis_url=f"unix://{handle.socket_path}"), handle.socket_path


def tell(path: Path, *words: str) -> None:
    answer = _server.ask(path, *words)
    assert answer is not None and not answer.startswith("-"), answer


async def check(settings: Settings) -> list[str]:
    client = connect(settings)
    try:
        return await preflight(client, settings)
    finally:
        await client.aclose()


async def test_the_embedded_store_is_fit(store_settings: Settings) -> None:
    assert await check(store_settings) == []


async def test_more_tasks_than_connections_wait_for_one(store_settings: Settings) -> None:
    client = connect(store_settings, connections=2)
    key = store_settings.namespace + ":n"
    await asyncio.gather(*(client.incr(key) for _ in range(100)))
    assert await client.get(key) == b"100"
    await client.aclose()


async def test_a_blocking_read_lasts_as_long_as_asked(store_settings: Settings) -> None:
    client = connect_blocking(store_settings, block_s=0.5)
    assert client.connection_pool.connection_kwargs["socket_timeout"] == 5.5
    began = time.monotonic()
    assert await client.blpop([store_settings.namespace + ":nothing"], timeout=0.5) is None
    assert 0.4 < time.monotonic() - began < 5
    await client.aclose()


async def test_a_url_cannot_shorten_a_blocking_read() -> None:
    client = connect_blocking(Settings(root=Path("/"), redis_url="redis://h/0?socket_timeout=1"), block_s=30)
    assert client.connection_pool.connection_kwargs["socket_timeout"] == 35


def test_the_client_for_threads(store_settings: Settings) -> None:
    with connect_sync(store_settings, decode=True) as client:
        assert client.set(store_settings.namespace + ":x", "ä")
        assert client.get(store_settings.namespace + ":x") == "ä"


async def test_commands_outlive_a_restart_of_the_server(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    with ensure_server(settings) as handle:
        client = connect(settings)
        await client.set("kept", "1")
        os.kill(handle.pid, signal.SIGKILL)
        later = asyncio.create_task(asyncio.to_thread(restart_if_dead, settings))
        assert await client.get("kept") == b"1"
        await later
        await client.aclose()


async def test_a_server_that_is_away(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, redis_url=f"redis://user:{SECRET}@127.0.0.1:1/0")
    with pytest.raises(StoreError, match=r"redis://127\.0\.0\.1:1/0 cannot be reached") as caught:
        await check(settings)
    assert SECRET not in caught.value.message + caught.value.hint
    assert "REDIS_URL" in caught.value.hint


async def test_wrong_and_missing_credentials(server: tuple[Settings, Path]) -> None:
    settings, path = server
    tell(path, "CONFIG", "SET", "requirepass", SECRET)
    try:
        for url in (settings.redis_url, f"{settings.redis_url}?password=wrong-{SECRET}"):
            with pytest.raises(StoreError, match="refuses our credentials") as caught:
                await check(replace(settings, redis_url=url))
            assert SECRET not in caught.value.message + caught.value.hint
        assert await check(replace(settings, redis_url=f"{settings.redis_url}?password={SECRET}")) == []
    finally:
        with connect_sync(replace(settings, redis_url=f"{settings.redis_url}?password={SECRET}")) as client:
            client.config_set("requirepass", "")


async def test_an_eviction_policy_is_refused_and_the_advice_mends_it(server: tuple[Settings, Path]) -> None:
    settings, path = server
    tell(path, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreError, match="maxmemory-policy is allkeys-lru") as caught:
        await check(settings)
    advice = caught.value.hint.splitlines()[0]
    assert advice == f"redis-cli -s '{path}' CONFIG SET maxmemory-policy noeviction"
    if shutil.which("redis-cli"):
        subprocess.run(advice, shell=True, check=True, capture_output=True)
    else:
        tell(path, *advice.split()[3:])
    assert await check(settings) == []


async def test_without_an_append_only_file_it_warns(server: tuple[Settings, Path]) -> None:
    settings, path = server
    tell(path, "CONFIG", "SET", "appendonly", "no")
    (warning,) = await check(settings)
    assert "CONFIG SET appendonly yes" in warning


async def test_a_replica_is_refused(server: tuple[Settings, Path]) -> None:
    settings, path = server
    tell(path, "REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreError, match="is a replica"):
        await check(settings)


async def test_a_user_who_may_not_ask_is_told_so(server: tuple[Settings, Path]) -> None:
    settings, path = server
    tell(path, "ACL", "SETUSER", "poor", "on", f">{SECRET}", "+@all", "-info", "~*")
    url = f"unix://poor:{SECRET}@{path}"
    with pytest.raises(StoreError, match="lacks a right.*info") as caught:
        await check(replace(settings, redis_url=url))
    assert SECRET not in caught.value.message + caught.value.hint


GOOD: dict[str, Any] = {
    "redis_version": "7.0.15", "role": "master", "maxmemory_policy": "noeviction", "aof_enabled": 1, "redis_mode": "standalone",
}


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        ({"redis_version": "6.2.14"}, r"is Redis 6\.2\.14; aiflow needs 7\.0"),
        ({"redis_version": "7.2.4", "valkey_version": "7.1.0"}, r"is Valkey 7\.1\.0; aiflow needs 7\.2"),
        ({"redis_mode": "cluster"}, "is a Redis Cluster"),
        ({"cluster_enabled": 1}, "is a Redis Cluster"),
        ({"aof_last_write_status": "err"}, "cannot write to its disk"),
    ],
)
def test_unfit_servers(info: dict[str, Any], sentence: str) -> None:
    settings = Settings(root=Path("/"), redis_url="redis://h:6379/0")
    assert judge(GOOD, settings) == []
    with pytest.raises(StoreError, match=sentence):
        judge({**GOOD, **info}, settings)


def test_newer_versions_are_fit() -> None:
    settings = Settings(root=Path("/"), redis_url="redis://h:6379/0")
    for version in ({"redis_version": "8.10.1"}, {"redis_version": "7.2.4", "valkey_version": "10.0.0"}):
        assert judge({**GOOD, **version}, settings) == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (AuthenticationError("WRONGPASS"), "refuses our credentials"),
        (NoPermissionError("no eval"), "lacks a right"),
        (BusyLoadingError("LOADING"), "still loading"),
        (OutOfMemoryError("OOM"), "out of memory"),
        (ReadOnlyError("READONLY"), "replica"),
        (RedisTimeoutError("Timeout"), "did not answer"),
        (RedisConnectionError("refused"), "cannot be reached"),
        (RedisConnectionError("max number of clients reached"), "no connection left"),
        (ResponseError("MISCONF Errors writing to the AOF file"), "cannot write to its disk"),
        (ResponseError("NOREPLICAS Not enough good replicas"), "too few replicas"),
        (ResponseError("BUSY Redis is busy"), "busy"),
        (ResponseError("MOVED 1 h:1"), "Cluster"),
        (ResponseError("ERR something else"), "something else"),
        (ValueError(f"redis://u:{SECRET}@h"), "failed"),
    ],
)
def test_errors_have_sentences(error: Exception, sentence: str) -> None:
    settings = Settings(root=Path("/"), redis_url=f"redis://u:{SECRET}@h:6379/0")
    found = store_error(error, settings)
    assert sentence in found.message
    assert "redis://h:6379/0" in found.message
    assert SECRET not in found.message + found.hint


@pytest.mark.parametrize("url", ["http://h", "localhost:6379", f"redis://u:{SECRET}@h:port/0", "redis://h/0?db=x"])
def test_a_bad_url_is_refused_without_showing_its_secret(url: str) -> None:
    settings = Settings(root=Path("/"), redis_url=url)
    for make in (connect, connect_sync):
        with pytest.raises(ConfigError, match="not that of a Redis") as caught:
            make(settings)
        assert SECRET not in repr(caught.value) and caught.value.__cause__ is None


def test_what_people_see_of_an_address() -> None:
    for url, shown in {
        f"redis://:{SECRET}@h:6379/0": "redis://h:6379/0",
        f"rediss://u:{SECRET}@h/1?password={SECRET}": "rediss://h/1",
        f"unix:///run/r.sock?password={SECRET}": "unix:///run/r.sock",
        f"redis://{SECRET}@[::1]:6379": "redis://[::1]:6379",
    }.items():
        settings = Settings(root=Path("/"), redis_url=url)
        assert address(settings) == shown
        assert SECRET not in repr(connect(settings))


def test_valkey_urls_are_redis_urls() -> None:
    client = connect(Settings(root=Path("/"), redis_url="valkeys://h:1/0"))
    assert client.connection_pool.connection_class is redis.asyncio.SSLConnection
