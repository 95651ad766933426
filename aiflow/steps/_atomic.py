"""Writing files so that a reader sees the old content or the new, never a part, also after a power cut."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from aiflow.errors import StepError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A stream into a temporary file beside `path`, which takes its place at the end, or is removed after an error.

    Makes the folders. An existing file's permissions are kept. Raises: OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}.part")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(path.stat().st_mode & 0o7777)
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def append(path: Path, make: Callable[[bytes], bytes]) -> None:
    """Add to the end of a file, whole and in turn with other steps and processes.

    A last line without line end, as a crash may leave it, is ended first.
    Args: make: gives the bytes to add, from the first 64 kB that are there (so that CSV can see its header).
    Raises: OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        head = stream.read(65_536)
        added = make(head)
        size = stream.seek(0, os.SEEK_END)
        if size and _last_byte(stream, size) != b"\n":
            added = b"\n" + added
        try:
            stream.write(added)
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(stream.fileno(), size)  # a full disk leaves no half line
            raise
        os.fsync(stream.fileno())


def write_error(shown: str, error: OSError) -> StepError:
    """The error of a step that could not write, in words."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return StepError("write_error", f"`{shown}` was not written: the disk is full", hint="free some space")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return StepError("write_error", f"`{shown}` was not written: no permission to write there")
        case errno.EISDIR:
            return StepError("write_error", f"`{shown}` was not written: a folder has this name")
        case errno.ENOTDIR | errno.EEXIST:
            return StepError("write_error", f"`{shown}` was not written: a part of its path is a file, not a folder")
        case errno.ENAMETOOLONG:
            return StepError("write_error", f"`{shown[:80]}…` was not written: the name is too long")
    return StepError("write_error", f"`{shown}` was not written: {error.strerror or error}")


def _last_byte(stream: IO[bytes], size: int) -> bytes:
    stream.seek(size - 1)
    return stream.read(1)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; folders of some file systems cannot be synced, which is no failure of the write."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
