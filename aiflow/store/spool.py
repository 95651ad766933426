"""Finished work that Redis cannot take now, kept on local disk until it can.

While the store is away, a worker's waiting checkpoints are written here and synced. If the worker dies before the
store is back, whoever finds it dead on the same host delivers them first, in its name and with its epoch: exactly
the calls that it would have sent. Only then are its frames given away. So an answer that was paid for is not lost.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

log = logging.getLogger(__name__)

FINISHING = frozenset({
    "checkpoint", "checkpoint+", "park", "fan_out", "items", "finish_item", "finish_run", "stop_run", "listen", "call",
})  # fmt: skip

Arg = str | bytes | int | float


class Spool:
    """The folder `<state_dir>/spool`: one file per worker, one call per line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, worker: str, calls: Iterable[tuple[str, Iterable[str], Iterable[Arg]]]) -> None:
        """Replace what is kept for `worker`; durable when this returns. Trouble with the disk is logged, not raised."""
        path = self._folder / worker
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(".new")
            with fresh.open("w") as stream:
                for name, keys, args in calls:
                    stream.write(json.dumps([name, list(keys), [_packed(arg) for arg in args]]) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            fresh.rename(path)
        except OSError as error:
            log.error("finished work could not be kept in %s: %s", path, error)

    def clear(self, worker: str) -> None:
        """Forget what was kept: it was delivered."""
        with contextlib.suppress(FileNotFoundError):
            (self._folder / worker).unlink()

    def read(self, worker: str) -> Iterator[tuple[str, list[str], list[Arg]]]:
        """What is kept for `worker`: script name, keys, arguments."""
        try:
            lines = (self._folder / worker).read_text().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            name, keys, args = json.loads(line)
            yield name, keys, [_unpacked(arg) for arg in args]


def _packed(arg: Arg) -> Arg | dict[str, str]:
    return {"b": base64.b64encode(arg).decode()} if isinstance(arg, bytes) else arg


def _unpacked(arg: Arg | dict[str, str]) -> Arg:
    return base64.b64decode(arg["b"]) if isinstance(arg, dict) else arg
