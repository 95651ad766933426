"""A project in a temporary folder, its embedded store, and worker processes to measure."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiflow.app import App
from aiflow.language.model import Workflow
from aiflow.language.workflow import load_workflow
from aiflow.settings import Settings, load_settings

HERE = Path(__file__).parent


class Bench:
    """One running system: an open App and `workers` processes.

    Attributes: root: the project.  durability: `standard` (AOF everysec) or `always`.
    """

    def __init__(self, root: Path, app: App, durability: str) -> None:
        self.root = root
        self.app = app
        self.durability = durability
        self.workers: list[subprocess.Popen[bytes]] = []

    def workflow(self, name: str, text: str) -> Workflow:
        """Write and load a workflow."""
        path = self.root / "workflows" / f"{name}.yaml"
        path.write_text(f"name: {name}\n{text}")
        return load_workflow(path, self.app.settings)

    async def start_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """Another worker process; returns when it takes frames."""
        known = await self.app.reader.zcard(self.app.keys.named("workers"))
        env = {**os.environ, "AIFLOW_DURABILITY": self.durability, **environment}
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.worker", str(self.root)], env=env, cwd=HERE.parent)
        self.workers.append(process)
        while await self.app.reader.zcard(self.app.keys.named("workers")) <= known:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        return process

    async def start(self, workflow: Workflow, runs: int, **inputs: object) -> list[str]:
        """Start `runs` runs, as many at once as there is room."""
        return list(await asyncio.gather(*(self.app.client.start(workflow, inputs) for _ in range(runs))))

    async def finished(self) -> None:
        """Wait until no run is open."""
        while await self.app.reader.zcard(self.app.keys.named("open")):
            await asyncio.sleep(0.005)

    async def timed(self, workflow: Workflow, runs: int, **inputs: object) -> float:
        """Seconds from the first start to the end of the last run."""
        began = time.perf_counter()
        rids = await self.start(workflow, runs, **inputs)
        await self.finished()
        took = time.perf_counter() - began
        for rid in (rids[0], rids[-1]):
            info = await self.app.inspector.run(rid)
            if info is None or info.status != "ok":
                raise RuntimeError(f"{workflow.name}: {info and info.error}")
        return took

    def memory_mb(self) -> float:
        """Peak resident memory of all workers together, in MB."""
        total = 0.0
        for process in self.workers:
            if process.poll() is None:
                for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                    if line.startswith("VmHWM"):
                        total += int(line.split()[1]) / 1024
        return total

    def cpu_s(self) -> float:
        """CPU seconds that the workers have used."""
        total = 0.0
        for process in self.workers:
            if process.poll() is None:
                fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total

    def stop_workers(self) -> None:
        """End all workers."""
        for process in self.workers:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.workers:
            process.wait(20)
        self.workers.clear()


@asynccontextmanager
async def bench(durability: str, workers: int = 2, **environment: str) -> AsyncIterator[Bench]:
    """A fresh project with a store of its own and `workers` processes."""
    root = Path(tempfile.mkdtemp(prefix="aiflow-bench."))
    (root / "workflows").mkdir()
    shutil.copy(HERE / "steps.py", root / "bench_steps.py")
    try:
        async with App(bench_settings(root, durability, environment)) as app:
            system = Bench(root, app, durability)
            try:
                for _ in range(workers):
                    await system.start_worker(**environment)
                yield system
            finally:
                system.stop_workers()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def bench_settings(root: Path, durability: str, environment: dict[str, str] | None = None) -> Settings:
    """Settings of a benchmark project."""
    return replace(load_settings(root=root, environ={**os.environ, **(environment or {})}), durability=durability)
