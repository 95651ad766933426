"""Fixtures for all tests: a real server for those that need a store, shared by the tests of one xdist worker."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio

from aiflow.settings import Settings
from aiflow.store.connect import connect
from aiflow.store.embedded import ensure_server


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of a running embedded server."""
    root = tmp_path_factory.mktemp("store")
    with ensure_server(Settings(root=root, state_dir=root)):
        yield root


@pytest.fixture
def store_settings(store_folder: Path, tmp_path: Path) -> Settings:
    """Settings of a project of its own: own folder, own namespace in the shared server."""
    return Settings(
        root=tmp_path,
        state_dir=store_folder,
        artifacts=str(tmp_path / "artifacts"),
        namespace=f"t{uuid.uuid4().hex[:12]}",
    )


@pytest.fixture
async def store(store_settings: Settings) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of the store, replies as bytes."""
    client = connect(store_settings)
    yield client
    await client.aclose()
