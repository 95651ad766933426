"""A worker finishes a step while the store is away, and dies before it is back: the step does not run again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from aiflow.app import App
from aiflow.settings import Settings
from aiflow.store._server import find_binary
from aiflow.store.spool import Spool
from tests.support.project import Project, ended, until, wait_for


class Server:
    """A store of the test's own, that nobody starts again behind its back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/own.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            str(find_binary()), "--port", "0", "--unixsocket", f"{self.folder}/own.sock", "--dir", str(self.folder),
            "--appendonly", "yes", "--save", "",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self.answers, "a store that answers")

    def answers(self) -> bool:
        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


async def test_finished_work_outlives_an_outage_and_its_worker(server: Server, store_settings: Settings) -> None:
    project = Project(replace(store_settings, redis_url=server.url, lease_ms=2000))
    workflow = project.load(
        """
        steps:
          - id: paid
            python: work:gate
            with: {name: go, value: answer}
          - id: after
            python: work:echo
            with: {value: "{{ steps.paid.output }}"}
        """
    )
    spool = Spool(project.settings.state_dir / "spool")
    try:
        doomed = project.worker()
        async with App(project.settings) as app:
            rid = await app.client.start(workflow, {})
            await until(lambda: project.counts()["paid"] == 1, "the step")
            server.kill()
            project.touch("go")
            kept = project.settings.state_dir / "spool"
            await until(lambda: kept.exists() and any(not one.suffix for one in kept.iterdir()), "the spool")
            doomed.kill()
            server.start()
            project.worker()
            info = await ended(app, rid)
        assert info.status == "ok"
        assert info.outputs == "answer"
        assert project.counts() == {"paid": 1, "after": 1}
        assert not list(kept.iterdir()), "what was delivered is forgotten"
    finally:
        project.close()
    assert list(spool.read("nobody")) == []
