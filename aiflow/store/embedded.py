"""The Redis server that aiflow starts by itself: one a project, shared by all its processes.

Files in `<state_dir>/redis`:

    server.sock    where it listens; elsewhere if that path is too long for a socket, then `socket.path` says where
    start.lock     held (flock) by whoever starts or stops the server, for milliseconds
    server.lock    held by the server itself, inherited at its start: free means dead, whatever killed it
    users.lock     held shared by each process that uses the server; who gets it alone is the last one out
    server.log, server.pid, appendonlydir/

No lock needs cleaning: the kernel drops it with its process. A process that is killed leaves the server
running for the others; the next one that leaves in order shuts it down, its file flushed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from aiflow.errors import StoreError
from aiflow.settings import Settings
from aiflow.store import _place, _server

START_PATIENCE_S = 20.0
"""How long a server may take to listen, or a dying one to end. Measured: 40 ms; a busy machine needs its air."""

ATTEMPTS = 5
"""Starts of a server that something kills before it has loaded its data."""

LOST_SOCKET_S = 3.0
"""A living server whose socket file is missing for so long was robbed of it and is asked to end."""


@dataclass
class ServerHandle:
    """This process's share in the embedded server. Give it back with `release()`, or use it in a `with`.

    Attributes: socket_path: where to connect.  pid: of the server.
    """

    socket_path: Path
    pid: int
    _settings: Settings = field(repr=False)
    _users: int = field(repr=False)

    def release(self) -> None:
        """Leave. The last one out shuts the server down, its append-only file flushed. A second call does nothing.

        A forked child keeps its parent's share until it has called this, or has ended.
        """
        if self._users >= 0:
            users, self._users = self._users, -1
            _leave(self._settings, users)

    def __enter__(self) -> ServerHandle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def ensure_server(settings: Settings) -> ServerHandle:
    """Join the project's server; start it first if it does not run. Waits until its data are loaded.

    Raises:
        ConfigError: there is no server program.
        StoreError: folder not writable, disk full, append-only file damaged, server frozen.
    """
    folder = _place.prepared(settings)
    with _place.held(folder / "start.lock"):
        users = _place.open_lock(folder / "users.lock")
        fcntl.flock(users, fcntl.LOCK_SH)
    try:
        path = _serving(settings, folder)
        if settings.durability == "always":  # the one who started it may have asked for less
            _server.ask(path, "CONFIG", "SET", "appendfsync", "always")
        return ServerHandle(path, _server.process_id(path), settings, users)
    except BaseException:
        os.close(users)
        raise


def restart_if_dead(settings: Settings) -> bool:
    """Start the server again if it was killed. For users of the server that were refused a connection.

    Returns: whether it did not answer.  Raises: as `ensure_server`.
    """
    folder = _place.prepared(settings)
    with _place.held(folder / "start.lock"):
        if _answers(_place.socket_of(folder), folder):
            return False
    _serving(settings, folder)
    return True


def socket_path(settings: Settings) -> Path:
    """Where the project's server listens, or will."""
    return _place.socket_of(_place.prepared(settings))


def _serving(settings: Settings, folder: Path) -> Path:
    """The socket of a server that has its data loaded, started if need be."""
    for _ in range(ATTEMPTS):
        with _place.held(folder / "start.lock"):
            path = _listening(settings, folder)
        if _has_loaded(path):
            return path
        if reason := _server.death(folder, _server.find_binary()):
            raise reason
    raise _server.unexplained(folder, "something kills it, perhaps for want of memory")


def _listening(settings: Settings, folder: Path) -> Path:
    """The socket of a server that answers (perhaps `LOADING`), started if need be. `start.lock` is held."""
    path, began, launches = _place.socket_of(folder), time.monotonic(), 0
    while not _answers(path, folder):
        waited = time.monotonic() - began
        lock = _place.try_lock(folder / "server.lock")
        if lock is not None:
            try:
                path = _launch(settings, folder, lock, launches)
            finally:
                os.close(lock)
            launches += 1
        elif waited > START_PATIENCE_S:
            raise StoreError(
                f"the store in {folder} belongs to a server that cannot be reached at {path}",
                "does another machine or container use this folder? Otherwise end the process named in server.pid",
            )
        elif waited > LOST_SOCKET_S and not launches and not path.exists():
            _ask_to_end(folder)
        time.sleep(0.001 if waited < 0.2 else 0.01)
    return path


def _launch(settings: Settings, folder: Path, lock: int, launches: int) -> Path:
    """Start a server that inherits `lock`, unless one that was started just now died for a reason."""
    binary = _server.find_binary()
    if launches and (reason := _server.death(folder, binary)):
        raise reason
    if launches >= ATTEMPTS:
        raise _server.unexplained(folder, "something kills it, perhaps for want of memory")
    path = _place.socket_of(folder)
    path.unlink(missing_ok=True)  # left by a server that was killed
    fsync = "always" if settings.durability == "always" else "everysec"
    _server.launch(binary, folder, path, fsync=fsync, lock=lock)
    return path


def _answers(path: Path, folder: Path) -> bool:
    try:
        return _server.ask(path, "PING") is not None
    except TimeoutError:
        raise StoreError(
            f"the store's server accepts connections at {path} but does not answer",
            f"it may be stopped or starved; its process id is in {folder / 'server.pid'}",
        ) from None


def _has_loaded(path: Path) -> bool:
    """Wait while the server reads its append-only file, however long that takes; False if it died over it."""
    try:
        while (reply := _server.ask(path, "PING", patience_s=60)) is not None:
            if not reply.startswith("-LOADING"):
                return True
            time.sleep(0.002)
    except TimeoutError:
        raise StoreError(f"the store's server at {path} does not answer while it loads its data") from None
    return False


def _leave(settings: Settings, users: int) -> None:
    folder = _place.folder_of(settings)
    try:
        same = os.path.samestat(os.fstat(users), os.stat(folder / "users.lock"))
    except OSError:  # the folder was deleted meanwhile
        same = False
    if not same:
        os.close(users)
        return
    with _place.held(folder / "start.lock"):
        os.close(users)  # not LOCK_UN, which would also drop the share of a forked child
        alone = _place.try_lock(folder / "users.lock")
        if alone is None:
            return
        try:
            _shut_down(folder)
        finally:
            os.close(alone)


def _shut_down(folder: Path) -> None:
    path = _place.socket_of(folder)
    try:
        refused = _server.ask(path, "SHUTDOWN", patience_s=60)  # no reply: it went
    except TimeoutError:
        return
    if refused is not None:  # it cannot flush, or is still loading: better left running
        return
    deadline = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < deadline:
        lock = _place.try_lock(folder / "server.lock")
        if lock is not None:
            os.close(lock)
            return
        time.sleep(0.001)


def _ask_to_end(folder: Path) -> None:
    """SIGTERM to the server that holds `server.lock`, if the noted process id is still that of a server."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / "server.pid").read_text())
        program = Path(f"/proc/{pid}/cmdline")
        if not Path("/proc/self").exists() or b"-server" in program.read_bytes():
            os.kill(pid, signal.SIGTERM)
