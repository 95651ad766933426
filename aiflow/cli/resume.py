"""`aiflow resume`, `retry`, `settle`, `cancel`: what one may do to a run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from aiflow.cli._errors import EXIT_INTERRUPTED, say
from aiflow.cli._options import (
    json_option,
    out_json,
    profile_option,
    project_option,
    project_settings,
    quiet_option,
    store_is_empty,
    verbose_option,
)
from aiflow.errors import RunError

if TYPE_CHECKING:
    from aiflow.app import App
    from aiflow.cli._session import Wishes
    from aiflow.inspector import RunInfo
    from aiflow.settings import Settings


@click.command(
    epilog="""\b
Examples:
  aiflow resume                  the newest unfinished run
  aiflow resume 01J9ZK           by the beginning (or end) of its id
"""
)
@click.argument("run", required=False)
@click.option("--no-wait", is_flag=True, help="Return when nothing but waits is left.")
@profile_option
@project_option
@json_option
@quiet_option
@verbose_option
def resume(
    run: str | None, no_wait: bool, profile: str | None, project: str | None, as_json_: bool, quiet: bool, verbose: bool
) -> int:
    """Go on with a RUN that was interrupted, and follow it.

    Everything that had finished is kept. A run that has ended prints its result again.
    """
    return asyncio.run(_resume(_settings(project, profile), run, _wishes(as_json_, quiet, verbose, no_wait), profile))


@click.command(
    epilog="""\b
Examples:
  aiflow retry 01J9ZK            after the cause was mended
  aiflow retry                   the newest run that failed
"""
)
@click.argument("run", required=False)
@click.option("--detach", is_flag=True, help="Leave it to a worker.")
@profile_option
@project_option
@json_option
@quiet_option
@verbose_option
def retry(
    run: str | None, detach: bool, profile: str | None, project: str | None, as_json_: bool, quiet: bool, verbose: bool
) -> int:
    """Continue a failed or cancelled RUN at the step that failed, and follow it.

    Steps that succeeded are not done again, nor are the items of an `each` that did.
    """
    settings, wishes = _settings(project, profile), _wishes(as_json_, quiet, verbose, False)
    return asyncio.run(_retry(settings, run, wishes, profile, detach))


@click.command(
    epilog="""\b
Examples:
  aiflow settle 01J9ZK pay --done                       it took effect; go on behind it
  aiflow settle 01J9ZK pay --done --output '{"id": 7}'  and this is its result
  aiflow settle 01J9ZK pay --redo                       it did not; do it again
"""
)
@click.argument("run")
@click.argument("step")
@click.option("--done/--redo", "done", default=None, help="Did the step take effect?")
@click.option("--output", metavar="JSON", help="Its result, with --done; null if not given.")
@profile_option
@project_option
@json_option
@quiet_option
@verbose_option
def settle(
    run: str, step: str, done: bool | None, output: str | None, profile: str | None, project: str | None,
    as_json_: bool, quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Decide on a STEP whose outcome is unknown, and go on with its RUN.

    A worker died in the middle of a step that must not be repeated unasked, so nobody knows whether it took effect.
    Find out, then say so here.
    """
    if done is None:
        raise click.UsageError("say --done or --redo")
    if output is not None and not done:
        raise click.UsageError("--output goes with --done")
    settings, wishes = _settings(project, profile), _wishes(as_json_, quiet, verbose, False)
    return asyncio.run(_settle(settings, run, step, done, _json_value(output), wishes, profile))


@click.command(
    epilog="""\b
Examples:
  aiflow cancel 01J9ZK
  aiflow cancel 01J9ZK --reason "wrong folder"
"""
)
@click.argument("run")
@click.option("--reason", default="cancelled by hand", help="Kept in the record.")
@project_option
@json_option
def cancel(run: str, reason: str, project: str | None, as_json_: bool) -> int:
    """End a RUN, wherever it is. What it finished stays on record; retry continues it."""
    return asyncio.run(_cancel(_settings(project, None), run, reason, as_json_))


def _settings(project: str | None, profile: str | None) -> Settings:
    settings = project_settings(project, None, profile)
    if store_is_empty(settings):
        raise RunError(f"there are no runs in {settings.root}", "start one with: aiflow run FILE")
    return settings


def _wishes(as_json: bool, quiet: bool, verbose: bool, no_wait: bool) -> Wishes:
    from aiflow.cli._session import Wishes

    return Wishes(as_json=as_json, quiet=quiet or as_json, verbose=verbose, no_wait=no_wait)


async def _resume(settings: Settings, text: str | None, wishes: Wishes, profile: str | None) -> int:
    from aiflow.app import App
    from aiflow.cli._session import print_result

    async with App(settings) as app:
        info = await (app.inspector.find(text) if text else _newest_open(app))
        if not info.is_open:
            if not wishes.as_json:
                say(f"run {info.run_id} of {info.workflow} has ended: {info.status}")
            return await print_result(app, info, wishes)
        return await _go_on(app, info, wishes, profile)


async def _retry(settings: Settings, text: str | None, wishes: Wishes, profile: str | None, detach: bool) -> int:
    from aiflow.app import App

    async with App(settings) as app:
        info = await (app.inspector.find(text) if text else _newest(app, "failed"))
        await app.client.retry(info.run_id)
        if detach:
            return await _left_alone(app, info.run_id, wishes.as_json)
        again = await app.inspector.run(info.run_id)
        assert again is not None
        return await _go_on(app, again, wishes, profile)


async def _settle(
    settings: Settings, text: str, step: str, done: bool, output: Any, wishes: Wishes, profile: str | None
) -> int:  # fmt: skip
    from aiflow.app import App

    async with App(settings) as app:
        info = await app.inspector.find(text)
        await app.client.settle(info.run_id, step, done=done, output=output)
        again = await app.inspector.run(info.run_id)
        assert again is not None
        return await _go_on(app, again, wishes, profile)


def _json_value(text: str | None) -> Any:
    import json

    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--output") from None


async def _go_on(app: App, info: RunInfo, wishes: Wishes, profile: str | None) -> int:
    """Work on an unfinished run and follow it, with the models that it was started with."""
    from aiflow.cli._session import Session, follow_to_end, say_safe

    await _check_models(app, info, profile)
    if not wishes.quiet:
        say(f"run {info.run_id} of {info.workflow}" + (" goes on offline" if info.meta.get("offline") else ""))
    told = len(await app.inspector.journal(info.run_id))
    async with Session(app, wishes) as session:
        code = await follow_to_end(app, info.run_id, session, told)
    if session.interrupts.asked.is_set() and code == EXIT_INTERRUPTED:
        say_safe(info.run_id)
    return code


async def _check_models(app: App, info: RunInfo, profile: str | None) -> None:
    """A run goes on with the models that it was started with, or with those of a profile that is named now."""
    from aiflow.cli import _models as models
    from aiflow.settings import settings_of_run

    settings = settings_of_run(app.settings, profile or info.meta.get("profile"))
    if profile is not None:
        await app.client.use_profile(info.run_id, profile)
    if profile == "offline" or (profile is None and info.meta.get("offline")):
        return
    named = models.models_named(await app.inspector.workflow(info.version), settings)
    for name, variable in models.missing_keys(named, settings).items():
        say(f"warning: {variable} is not set; a step that asks model `{name}` will fail")


async def _cancel(settings: Settings, text: str, reason: str, as_json: bool) -> int:
    from aiflow.app import App
    from aiflow.cli._result import run_json

    async with App(settings) as app:
        info = await app.inspector.find(text)
        await app.client.cancel(info.run_id, reason)
        ended = await app.inspector.run(info.run_id)
        assert ended is not None
        if as_json:
            out_json(run_json(ended))
        else:
            say(f"run {info.run_id} of {info.workflow} {_how_cancelled(ended)}")
    return 0


def _how_cancelled(info: RunInfo) -> str:
    if not info.is_open:
        return "is cancelled"
    return "is being cancelled: its `finally` is done first, by whoever works on it next (once more: end it at once)"


async def _left_alone(app: App, rid: str, as_json: bool) -> int:
    from aiflow.cli._options import out
    from aiflow.cli._result import run_json

    info: Any = await app.inspector.run(rid)
    if as_json:
        out_json(run_json(info))
    else:
        out(rid)
    return 0


async def _newest_open(app: App) -> RunInfo:
    for rid in await app.inspector.open_runs(1):
        info = await app.inspector.run(rid)
        if info is not None:
            return info
    raise RunError("no run is unfinished", "list all with: aiflow runs")


async def _newest(app: App, status: str) -> RunInfo:
    found = await app.inspector.runs(status=status, limit=1)
    if not found:
        raise RunError(f"no run is {status}", "list all with: aiflow runs")
    return found[0]
