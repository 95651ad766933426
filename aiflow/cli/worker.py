"""`aiflow worker`: work on runs until told to stop."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any

import click

from aiflow.cli._options import profile_option, project_option, project_settings, verbose_option
from aiflow.cli._text import clean

if TYPE_CHECKING:
    from aiflow.app import App
    from aiflow.settings import Settings

log = logging.getLogger("aiflow.worker")


class Duration(click.ParamType[int]):
    """A duration such as `30s`; milliseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from aiflow.durations import parse_duration

        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    epilog="""\b
Examples:
  aiflow worker
  aiflow worker --processes 4 --grace 1m
  REDIS_URL=redis://db:6379/0 aiflow worker

SIGTERM or Ctrl-C: running steps get the grace to finish, everything else goes to other workers.
"""
)
@click.option("--processes", type=click.IntRange(1, 256), default=1, show_default=True, help="How many processes.")
@click.option(
    "--grace", type=Duration(), default="30s", show_default=True, help="How long running steps get at the end."
)
@click.option("--supervised", is_flag=True, hidden=True)
@profile_option
@project_option
@verbose_option
def worker(
    processes: int, grace: int, supervised: bool, profile: str | None, project: str | None, verbose: bool
) -> int:
    """Work on runs until told to stop. Any number of workers may share a store."""
    _log_to_stderr(verbose)
    settings = project_settings(project, None, profile)
    if processes == 1:
        return asyncio.run(_work(settings, grace / 1000, supervised))
    from aiflow.cli._supervisor import supervise

    command = [sys.executable, "-m", "aiflow", "worker", "--supervised", "--grace", f"{grace}ms", "--project", str(settings.root)]
    command += ["--profile", profile] if profile else []
    command += ["--verbose"] if verbose else []
    asyncio.run(_try_store(settings))
    return asyncio.run(supervise(command, processes, grace / 1000))


async def _work(settings: Settings, grace_s: float, supervised: bool) -> int:
    from aiflow.app import App
    from aiflow.cli._signals import Interrupts
    from aiflow.store.connect import address

    settings = _offline_too(settings)
    async with App(settings) as app:
        for warning in app.warnings:
            log.warning("%s", warning)
        with Interrupts(lambda: log.info("stopping: running steps get %g s", grace_s)) as interrupts:
            if supervised:
                _end_with_parent(interrupts)
            running = app.worker()
            await running.start()
            log.info("worker ready for %s, store %s", settings.root, "embedded" if settings.embedded else address(settings))
            warm = asyncio.create_task(_warm_up(app, running))
            await interrupts.asked.wait()
            warm.cancel()
            await running.stop(grace_s)
            log.info("worker stopped")
    return 0


def _offline_too(settings: Settings) -> Settings:
    """With --profile offline also aliases that the profile leaves out are answered offline."""
    if settings.profile != "offline":
        return settings
    from aiflow.cli._models import Named, offline_settings

    return offline_settings(settings, [Named((name,), "llm") for name in settings.models])


async def _warm_up(app: App, running: Any) -> None:
    """Import litellm before the first model call needs it, when a model can be called at all."""
    from aiflow.models.resolve import credentials_missing, is_offline

    specs = app.settings.models.values()
    if any(not is_offline(one.model) and credentials_missing(one, app.settings.env) is None for one in specs):
        await running.host.services.gateway().preload()


async def _try_store(settings: Settings) -> None:
    """A wrong setup is said once, by the parent. Raises StoreError, ConfigError."""
    from aiflow.app import App

    async with App(settings) as app:
        for warning in app.warnings:
            log.warning("%s", warning)


def _end_with_parent(interrupts: Any) -> None:
    """Stop in order when the supervisor is gone: it holds the other end of our stdin."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(0)
        interrupts.asked.set()

    loop.add_reader(0, gone)


class _Lines(logging.Formatter):
    """Records that no text in them can forge: without control characters, further lines moved to the right."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record)).replace("\n", "\n    ")


def _log_to_stderr(verbose: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("aiflow").setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("dramatiq").setLevel(logging.INFO if verbose else logging.ERROR)
