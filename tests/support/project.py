"""A project in a temporary folder, its runs, and the effects that its steps left behind.

Every function of the project's module `work` appends one line per call to `effects.log`, outside the store:

    path<TAB>attempt<TAB>pid<TAB>begin|end        (one `write` each, O_APPEND: whole lines, in the order they happened)

so a test can say which step ran how often, whatever the store says.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import redis

from aiflow.app import App
from aiflow.inspector import RunInfo
from aiflow.language.model import Workflow
from aiflow.language.workflow import load_workflow
from aiflow.settings import Settings
from aiflow.store.connect import connect_sync
from aiflow.store.keys import Keys
from aiflow.store.records import Record, decode_record

PATIENCE_S = 30.0
STOP_S = 15

MODULE = '''
import asyncio, os, time
from pathlib import Path

HERE = Path(__file__).parent


def _line(ctx, what):
    fd = os.open(HERE / "effects.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{ctx.path}\\t{ctx.attempt}\\t{os.getpid()}\\t{what}\\n".encode())
    os.close(fd)


async def echo(ctx, value=None):
    """One effect; gives back its value."""
    _line(ctx, "begin")
    return value


async def slow(ctx, value=None, s=0.05):
    _line(ctx, "begin")
    await asyncio.sleep(s)
    _line(ctx, "end")
    return value


def thread(ctx, value=None):
    _line(ctx, "begin")
    return value


async def flaky(ctx, times=1, value=None, kind="RuntimeError"):
    """Fails in the first `times` attempts."""
    _line(ctx, "begin")
    if ctx.attempt <= times:
        raise {"RuntimeError": RuntimeError, "TimeoutError": TimeoutError}[kind](f"attempt {ctx.attempt}")
    return value


async def broken(ctx, value=None, unless=None):
    """Fails unless the file `unless` exists."""
    _line(ctx, "begin")
    if unless is None or not (HERE / unless).exists():
        raise ValueError(f"broken {value}")
    return value


async def fails_on(ctx, value, bad, unless=None):
    """Fails for the values in `bad`, unless the file `unless` exists."""
    _line(ctx, "begin")
    if value in bad and (unless is None or not (HERE / unless).exists()):
        raise ValueError(f"bad {value}")
    return value


async def gate(ctx, name, value=None):
    """Waits until the file `name` exists."""
    _line(ctx, "begin")
    while not (HERE / name).exists():
        await asyncio.sleep(0.005)
    _line(ctx, "end")
    return value


async def big(ctx, size, letter="x"):
    _line(ctx, "begin")
    return letter * size


async def deadly(ctx, unless=None):
    """Kills its worker."""
    _line(ctx, "begin")
    if unless is None or not (HERE / unless).exists():
        os.kill(os.getpid(), 9)
'''


@dataclass(frozen=True)
class Effect:
    """One line of `effects.log`."""

    path: str
    attempt: int
    pid: int
    what: str


class Project:
    """The folder, its settings, and a plain client to look at the store behind everybody's back."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.root
        self.keys = Keys(settings.namespace)
        self.redis: redis.Redis = connect_sync(settings)
        self._workers: list[WorkerProcess] = []
        (self.root / "workflows").mkdir(parents=True, exist_ok=True)
        (self.root / "work.py").write_text(MODULE)

    def close(self) -> None:
        """End what was started."""
        for worker in self._workers:
            worker.kill()
        self.redis.close()

    # -- workflows and runs ------------------------------------------------------------------------------------

    def load(self, text: str, name: str = "flow") -> Workflow:
        """Write a workflow and load it."""
        path = self.root / "workflows" / f"{name}.yaml"
        path.write_text(textwrap.dedent(text))
        return load_workflow(path, self.settings)

    def records(self, rid: str) -> dict[str, Record]:
        """Everything that is recorded of a run, by path."""
        raw = self.redis.hgetall(self.keys.results(rid))
        return {path.decode(): decode_record(record) for path, record in raw.items()}

    def raw_records(self, rid: str) -> dict[bytes, bytes]:
        """The same, as it stands."""
        return dict(self.redis.hgetall(self.keys.results(rid)))

    def status(self, rid: str) -> str:
        raw = self.redis.hget(self.keys.run(rid), "st")
        return raw.decode() if raw else "missing"

    # -- effects -----------------------------------------------------------------------------------------------

    def effects(self, what: str = "begin") -> list[Effect]:
        """What happened, in order."""
        try:
            lines = (self.root / "effects.log").read_text().splitlines()
        except FileNotFoundError:
            return []
        rows = (line.split("\t") for line in lines)
        return [Effect(path, int(attempt), int(pid), word) for path, attempt, pid, word in rows if word == what]

    def counts(self) -> Counter[str]:
        """How often each step took effect."""
        return Counter(effect.path for effect in self.effects())

    def forget_effects(self) -> None:
        """Begin with no effects."""
        (self.root / "effects.log").unlink(missing_ok=True)

    def most_at_once(self) -> int:
        """How many steps with begin and end were between the two at the same time, at most."""
        running = most = 0
        for line in (self.root / "effects.log").read_text().splitlines():
            running += 1 if line.endswith("begin") else -1
            most = max(most, running)
        return most

    def touch(self, name: str) -> None:
        """Make the file that a function waits for."""
        (self.root / name).touch()

    # -- processes ---------------------------------------------------------------------------------------------

    def worker(self, crash: str = "", *, ready: bool = True) -> WorkerProcess:
        """Start a worker process; wait until it takes work."""
        worker = WorkerProcess(self.settings, crash)
        self._workers.append(worker)
        if ready:
            worker.wait_ready()
        return worker

    def held(self) -> set[bytes]:
        """Frames that workers hold."""
        return {name for key in self.redis.scan_iter(f"{self.keys.ns}:worker:*") for name in self.redis.smembers(key)}

    # -- the store at rest -------------------------------------------------------------------------------------

    async def assert_at_rest(self, *rids: str) -> None:
        """Nothing is left of runs that ended: no index names them, no frame or fan-out is kept but for a failed one."""
        for index in ("ready", "timers", "open"):
            left = self.redis.zrange(self.keys.named(index), 0, -1)
            assert left == [], f"{index}: {left}"
        await until(lambda: not self.held(), "workers that let go of everything", 5)
        for rid in rids:
            run = {name.decode(): value.decode() for name, value in self.redis.hgetall(self.keys.run(rid)).items() if name != b"in"}
            assert run["n"] == "0", run
            assert "w" not in run, run
            if run["st"] in ("ok", "stopped"):
                names = list(self.redis.scan_iter(f"{self.keys.run(rid)}:[^rl]*".replace("{", "\\{")))
                assert names == [], names
            for name in (self.keys.run(rid), self.keys.results(rid), self.keys.log(rid)):
                assert self.redis.ttl(name) != -1, f"{name} would stay for ever"


class WorkerProcess:
    """A worker process, and what one can do to it."""

    def __init__(self, settings: Settings, crash: str) -> None:
        facts = {
            "root": str(settings.root), "state_dir": str(settings.state_dir), "artifacts": settings.artifacts,
            "namespace": settings.namespace, "lease_ms": settings.lease_ms, "blob_limit": settings.blob_limit,
            "redis_url": settings.redis_url, "limits": dict(settings.limits),
        }  # fmt: skip
        self.log = settings.root / f"worker-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.worker_process"],
                cwd=Path(__file__).parents[2],
                env={**os.environ, "AIFLOW_TEST_PROJECT": json.dumps(facts), "AIFLOW_CRASH": crash},
                stdout=log, stderr=log,
            )  # fmt: skip
        self.pid = self.process.pid

    def wait_ready(self) -> None:
        wait_for(lambda: b"ready " in self.log.read_bytes() or self.process.poll() is not None, "a worker that is ready")
        assert b"ready " in self.log.read_bytes(), self.log.read_text()

    @property
    def died(self) -> bool:
        """Whether it was killed (and not: ended by itself)."""
        return self.process.poll() == -signal.SIGKILL

    async def death(self) -> None:
        """Until the crash point has struck."""
        await until(lambda: self.process.poll() is not None, "a worker that dies")
        assert self.died, self.log.read_text()

    @property
    def name(self) -> str:
        """Its id in the store."""
        return self.log.read_text().partition("ready ")[2].split()[0]

    def is_stopped(self) -> bool:
        """Whether it is frozen by SIGSTOP."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(1)
            raise AssertionError(f"it did not stop: {self.log.read_text()}") from None

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def wait_for(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Poll until `condition` gives something true; that."""
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s:g} s for {what}")
        time.sleep(0.005)
    return found


async def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """The same on an event loop."""
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s:g} s for {what}")
        await asyncio.sleep(0.005)
    return found


async def ended(app: App, rid: str, patience_s: float = PATIENCE_S) -> RunInfo:
    """The run, once it has ended."""
    deadline = time.monotonic() + patience_s
    while await _status(app, rid) in ("queued", "running", "waiting"):
        if time.monotonic() > deadline:
            keys = app.keys
            state = {
                "run": await app.reader.hgetall(keys.run(rid)),
                "ready": await app.reader.zrange(keys.named("ready"), 0, 20),
                "timers": await app.reader.zrange(keys.named("timers"), 0, 20),
                "keys": await app.reader.smembers(keys.run(rid) + ":keys"),
                "fans": {
                    key: await app.reader.hgetall(key)
                    for key in await app.reader.smembers(keys.run(rid) + ":keys")
                    if await app.reader.type(key) == b"hash"
                },
            }
            raise AssertionError(f"run {rid} did not end in {patience_s:g} s: {state}")
        await asyncio.sleep(0.005)
    info = await app.inspector.run(rid)
    assert info is not None
    return info


async def _status(app: App, rid: str) -> str | None:
    try:
        return await app.inspector.status(rid)
    except (redis.RedisError, OSError):  # the store is away
        return "queued"


def with_settings(settings: Settings, **changes: Any) -> Settings:
    """Other settings of the same project."""
    return replace(settings, **changes)
