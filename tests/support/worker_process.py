"""A worker in a process of its own: `python -m tests.support.worker_process`, with its project in AIFLOW_TEST_PROJECT.

The environment says: AIFLOW_TEST_PROJECT, a JSON map {root, state_dir, artifacts, namespace, lease_ms, blob_limit, limits};
AIFLOW_CRASH, named crash points (see Host.crash_point). Prints "ready <worker id>" when it takes work; SIGTERM ends it,
SIGUSR1 prints where its threads and tasks are.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

from aiflow.app import App
from aiflow.settings import Settings

GRACE_S = 5


def settings_of(facts: dict[str, Any]) -> Settings:
    """Settings from a JSON map; paths are texts in it."""
    return Settings(**{**facts, "root": Path(facts["root"]), "state_dir": Path(facts["state_dir"])}, env=dict(os.environ))


async def main() -> None:
    """Work until SIGTERM."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    loop.add_signal_handler(signal.SIGUSR1, _where)
    async with App(settings_of(json.loads(os.environ["AIFLOW_TEST_PROJECT"]))) as app:
        worker = app.worker()
        await worker.start()
        print(f"ready {worker.host.worker}", flush=True)
        await told.wait()
        await worker.stop(GRACE_S)


def _where() -> None:
    faulthandler.dump_traceback()
    for task in asyncio.all_tasks():
        task.print_stack()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(message)s")
    asyncio.run(main())
