"""Large values, kept by content: the SHA-256 of the bytes is their name. A folder, or any URL that fsspec knows.

A blob that `put` has answered for is on the disk; a blob that `get` gives is the one that was put.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypedDict, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from aiflow.errors import ConfigError, StoreError

THREADS = 4
"""Blobs written side by side by one process; the disk orders them anyway."""

STALE_S = 86_400
"""A temporary file of that age belongs to a process that was killed."""

_SHA = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T")

BlobRef = TypedDict("BlobRef", {"$blob": str, "size": int})
"""What stands for a blob in a record: its SHA-256, hex, and its size in bytes."""


class _Backend(Protocol):
    """Blocking storage; `read` gives None if there is no such blob."""

    def write(self, sha: str, content: bytes) -> None: ...

    def read(self, sha: str) -> bytes | None: ...

    def place(self, sha: str) -> str: ...


class BlobStore:
    """Blobs in a folder (made at the first `put`) or at an fsspec URL such as `s3://bucket/prefix`.

    Works in threads of its own; the event loop never waits for a disk.
    """

    def __init__(self, url_or_folder: str | Path) -> None:
        text = str(url_or_folder)
        if text.startswith("file://"):
            text = url2pathname(urlsplit(text).path)
        self._backend: _Backend = _Remote(text) if "://" in text else _Local(Path(text))
        self._threads = ThreadPoolExecutor(THREADS, "aiflow-blobs")

    async def put(self, content: bytes) -> BlobRef:
        """Keep the bytes, durably, and give the reference. The same bytes are kept once.

        Raises: StoreError: disk full, no right to write, remote storage away.  ConfigError: unknown kind of URL.
        """
        return await self._in_thread(lambda: self._put(content))

    async def get(self, sha256: str) -> bytes:
        """The bytes of that name. Raises: StoreError: missing, damaged, unreadable."""
        return await self._in_thread(lambda: self._get(sha256))

    def close(self) -> None:
        """Give the threads back; what was begun is finished."""
        self._threads.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _put(self, content: bytes) -> BlobRef:
        sha = hashlib.sha256(content).hexdigest()
        self._backend.write(sha, content)
        return {"$blob": sha, "size": len(content)}

    def _get(self, sha: str) -> bytes:
        if not _SHA.fullmatch(sha):
            raise StoreError(f"`{sha[:80]}` is not the name of a stored value")
        content = self._backend.read(sha)
        if content is None:
            raise StoreError(
                f"the stored value {sha} is missing: {self._backend.place(sha)}",
                "was the folder deleted or `stores.artifacts` changed? Every worker needs the same storage",
            )
        if hashlib.sha256(content).hexdigest() != sha:
            raise StoreError(
                f"the stored value {sha} is damaged: {self._backend.place(sha)}",
                "restore it from a backup, or delete it and run the step that made it again",
            )
        return content


class _Local:
    """`<folder>/<first two digits>/<the others>`, written beside and renamed, file and folders synced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._swept = False

    def place(self, sha: str) -> str:
        return str(self._path(sha))

    def read(self, sha: str) -> bytes | None:
        try:
            return self._path(sha).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"a stored value cannot be read: {self._path(sha)}: {error.strerror}") from error

    def write(self, sha: str, content: bytes) -> None:
        path = self._path(sha)
        try:
            made = _make_folders(path.parent)
            if not _holds(path, content):
                self._sweep()
                _replace(path, content)
            for folder in (path.parent, *made):  # also if the file was there: who wrote it may have died before this
                _sync_folder(folder)
        except OSError as error:
            raise StoreError(
                f"a large value cannot be stored at {path}: {error.strerror}",
                f"free space or mend the permissions of {self._folder}, then `aiflow retry` the run",
            ) from error

    def _path(self, sha: str) -> Path:
        return self._folder / sha[:2] / sha[2:]

    def _sweep(self) -> None:
        """Once: remove what killed processes left half written."""
        if self._swept:
            return
        self._swept = True
        for left in self._folder.glob("??/*.part"):
            with contextlib.suppress(OSError):
                if left.stat().st_mtime < time.time() - STALE_S:
                    left.unlink()


class _Remote:
    """Any file system of fsspec; object stores make a blob visible whole or not at all."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        parts = urlsplit(self._url)
        self._shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._system: Any = None
        self._prefix = ""

    def place(self, sha: str) -> str:
        return f"{self._shown}/{sha[:2]}/{sha[2:]}"

    def read(self, sha: str) -> bytes | None:
        system = self._connected()
        try:
            return bytes(system.cat_file(self._path(sha)))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._failed("read", sha, error) from error

    def write(self, sha: str, content: bytes) -> None:
        system, path = self._connected(), ""
        try:
            path = self._path(sha)
            if system.exists(path) and system.size(path) == len(content):
                return
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            system.pipe_file(path, content)
        except Exception as error:
            raise self._failed("stored", sha, error) from error

    def _path(self, sha: str) -> str:
        return f"{self._prefix}/{sha[:2]}/{sha[2:]}"

    def _connected(self) -> Any:
        if self._system is None:
            try:
                from fsspec.core import url_to_fs

                self._system, self._prefix = url_to_fs(self._url)
            except (ImportError, ValueError) as error:
                raise ConfigError(f"large values cannot go to {self._shown}: {error}") from error
            except Exception as error:
                raise self._failed("stored", "", error) from error
        return self._system

    def _failed(self, verb: str, sha: str, error: Exception) -> StoreError:
        where = self.place(sha) if sha else self._shown
        return StoreError(
            f"a large value cannot be {verb} at {where}: {type(error).__name__}: {error}",
            "check `stores.artifacts` and its credentials",
        )


def _make_folders(folder: Path) -> list[Path]:
    """Make the folder; gives the folders above it that got a new entry."""
    changed = []
    for step in (folder, *folder.parents):
        if step.is_dir():
            break
        changed.append(step.parent)
    folder.mkdir(parents=True, exist_ok=True)
    return changed


def _holds(path: Path, content: bytes) -> bool:
    """Whether the file is there and whole; a damaged one is written again."""
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except FileNotFoundError:
        return False


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name[:16]}-{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
