"""One worker process for the benchmarks: `python -m benchmarks.worker ROOT`, until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from aiflow.app import App
from aiflow.services import reconciler
from benchmarks.harness import bench_settings


async def main(root: Path) -> None:
    """Work until told to stop."""
    if elsewhere := os.environ.get("AIFLOW_BENCH_HOST"):  # as if on another machine: its pid says nothing
        reconciler.host_identity = lambda: elsewhere
    async with App(bench_settings(root, os.environ["AIFLOW_DURABILITY"])) as app:
        worker = app.worker()
        await worker.start()
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()
        await worker.stop(5)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
