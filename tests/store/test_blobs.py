"""Blobs: what was put is what is got, or a sentence that says which one is not there."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiflow.errors import ConfigError, StoreError
from aiflow.store.blobs import STALE_S, BlobStore

CONTENT = bytes(range(256)) * 400
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["folder", "file-url", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    place: dict[str, str | Path] = {"folder": tmp_path / "blobs", "file-url": (tmp_path / "blö bs").as_uri(), "memory": f"memory://{tmp_path.name}"}
    return BlobStore(place[request.param])


def file_of(folder: Path) -> Path:
    return folder / SHA[:2] / SHA[2:]


async def test_put_and_get(blobs: BlobStore) -> None:
    assert await blobs.put(CONTENT) == {"$blob": SHA, "size": len(CONTENT)}
    assert await blobs.put(CONTENT) == {"$blob": SHA, "size": len(CONTENT)}
    assert await blobs.get(SHA) == CONTENT
    assert await blobs.get((await blobs.put(b""))["$blob"]) == b""
    blobs.close()


async def test_a_missing_blob_is_named(blobs: BlobStore) -> None:
    with pytest.raises(StoreError, match=f"{SHA} is missing.*{SHA[2:]}"):
        await blobs.get(SHA)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, SHA + "\n", "/etc/passwd"])
async def test_only_hashes_are_names(blobs: BlobStore, name: str) -> None:
    with pytest.raises(StoreError, match="is not the name of a stored value"):
        await blobs.get(name)


async def test_a_damaged_blob_is_refused_and_mended_by_the_next_put(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    await blobs.put(CONTENT)
    for damaged in (CONTENT[:-1], b"?" + CONTENT[1:]):
        file_of(tmp_path).write_bytes(damaged)
        with pytest.raises(StoreError, match=f"{SHA} is damaged"):
            await blobs.get(SHA)
        await blobs.put(CONTENT)
        assert await blobs.get(SHA) == CONTENT


async def test_twenty_at_once_leave_one_file_and_nothing_half_written(tmp_path: Path) -> None:
    stores = [BlobStore(tmp_path) for _ in range(4)]
    await asyncio.gather(*(store.put(CONTENT) for store in stores for _ in range(5)))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file_of(tmp_path)]


async def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    old, new = tmp_path / "00" / "a.part", tmp_path / "00" / "b.part"
    old.parent.mkdir()
    for left in (old, new):
        left.write_bytes(b"x")
    os.utime(old, (time.time() - STALE_S - 10,) * 2)
    await BlobStore(tmp_path).put(CONTENT)
    assert not old.exists() and new.exists()


async def test_the_loop_goes_on_while_the_disk_is_slow(tmp_path: Path) -> None:
    """The folder is a pipe's neighbour: reading a FIFO blocks a thread until somebody writes."""
    fifo = file_of(tmp_path)
    fifo.parent.mkdir()
    os.mkfifo(fifo)
    blobs = BlobStore(tmp_path)
    reading = asyncio.create_task(blobs.get(SHA))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not reading.done()
    await asyncio.to_thread(fifo.write_bytes, CONTENT)
    assert await reading == CONTENT


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be stored at") as caught:
        await BlobStore(tmp_path / "file").put(CONTENT)
    assert str(tmp_path / "file") in caught.value.message


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    script = (
        "import asyncio, resource, sys\n"
        "from aiflow.errors import StoreError; from aiflow.store.blobs import BlobStore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: asyncio.run(BlobStore(sys.argv[1]).put(b'x' * 100_000))\n"
        "except StoreError as error: print(error.message, error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert f"cannot be stored at {tmp_path}" in done.stdout
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_an_unknown_kind_of_url(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="large values cannot go to nosuch://h/x"):
        await BlobStore("nosuch://user:secret@h/x").put(CONTENT)
