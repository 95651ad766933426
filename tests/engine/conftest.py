"""Fixtures for whole runs: a project in a folder of its own, and an app with a worker on the test's event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from aiflow.app import App
from aiflow.inspector import RunInfo
from aiflow.settings import Settings
from tests.support.project import Project, ended

Run = Callable[..., Awaitable[RunInfo]]


@pytest.fixture
def project(store_settings: Settings) -> Iterator[Project]:
    """A project with the module `work`; its processes end with the test."""
    project = Project(store_settings)
    yield project
    project.close()


@pytest.fixture
async def app(project: Project) -> AsyncIterator[App]:
    """Everything but a worker."""
    async with App(project.settings) as app:
        yield app


@pytest.fixture
async def working(app: App) -> AsyncIterator[App]:
    """The app with a worker."""
    worker = app.worker()
    await worker.start()
    yield app
    await worker.stop(2)


@pytest.fixture
def run(project: Project, working: App) -> Run:
    """Load a workflow, run it to its end."""

    async def run(text: str, **inputs: Any) -> RunInfo:
        rid = await working.client.start(project.load(text), inputs)
        return await ended(working, rid)

    return run
