"""Where the embedded store keeps its files: the folder, the locks in it, the path of the socket."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from aiflow.errors import StoreError
from aiflow.settings import Settings
from aiflow.store import _server

SOCKET_LIMIT = 100
"""Bytes of a socket's path; the kernel's limits are 107 (Linux) and 103 (macOS)."""

LOCK_PATIENCE_S = 30.0
"""How long to wait for a lock that is held for milliseconds, or as long as a server takes to start."""


def folder_of(settings: Settings) -> Path:
    """`<state_dir>/redis`, absolute."""
    return (settings.root / settings.state_dir / "redis").absolute()


def prepared(settings: Settings) -> Path:
    folder = folder_of(settings)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _server.unwritable(folder, error) from error
    return folder


def socket_of(folder: Path) -> Path:
    """The socket's path; a long one is replaced by that of `socket.path`, which all processes read."""
    near = folder / "server.sock"
    if len(os.fsencode(near)) <= SOCKET_LIMIT:
        return near
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads((folder / "socket.path").read_text())
        path = Path(noted["socket"])
        moved = noted["folder"] != str(folder)
        if _private(path.parent) and not (moved and _free(folder / "server.lock")):
            return path
    return _far_socket(folder)


def _far_socket(folder: Path) -> Path:
    """A short path in a folder that only this user may enter, noted in `socket.path`."""
    name = f"aiflow-{os.getuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")
    if not base.is_dir() or len(os.fsencode(base)) > SOCKET_LIMIT - 40:
        base = Path("/tmp")
    try:
        home = base / name
        with contextlib.suppress(FileExistsError):
            home.mkdir(mode=0o700)
        if not _private(home):  # somebody else was there first
            home = Path(tempfile.mkdtemp(prefix="aiflow-", dir=base))
        path = home / "server.sock"
        new = folder / f"socket.path.{os.getpid()}"
        new.write_text(json.dumps({"folder": str(folder), "socket": str(path)}))
        new.replace(folder / "socket.path")
    except OSError as error:
        raise _server.unwritable(base, error) from error
    return path


def _private(folder: Path) -> bool:
    found = folder.lstat()
    return os.path.isdir(folder) and not folder.is_symlink() and found.st_uid == os.getuid() and not found.st_mode & 0o077


def open_lock(path: Path) -> int:
    """A descriptor of a lock file, nothing locked yet; not inherited by programs that are started."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _server.unwritable(path.parent, error) from error


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock alone, or None if somebody has it."""
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        os.close(descriptor)
        raise StoreError(
            f"the disk of {path.parent} has no file locks: {error.strerror}",
            "choose a local folder: AIFLOW_STATE_DIR=/some/where",
        ) from error
    return descriptor


def _free(path: Path) -> bool:
    lock = try_lock(path)
    if lock is not None:
        os.close(lock)
    return lock is not None


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock; whoever has it needs it for milliseconds, so a long wait means a stopped process."""
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while (lock := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise StoreError(f"another aiflow process has been holding {path} for too long", "is one stopped (Ctrl-Z)?")
        time.sleep(0.001)
    try:
        yield
    finally:
        os.close(lock)
