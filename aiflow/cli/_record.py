"""`aiflow test --record`: a test file from a run."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiflow.cli._errors import say
from aiflow.cli._options import out, project_settings, shown_path, store_is_empty
from aiflow.errors import ConfigError, RunError


def record(run_id: str, target: str | None, project: str | None) -> int:
    """Write the test of a run to `target`, or to stdout. Raises: ConfigError, RunError, StoreError."""
    path = None if target is None else Path(target).absolute()
    if path is not None and path.exists():
        raise ConfigError(f"{target} exists already", "name another file with -o, or remove it first")
    text = asyncio.run(_text(run_id, path, project))
    if path is None:
        out(text.rstrip("\n"))
        return 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}") from None
    say(f"wrote {shown_path(path)}; run it: aiflow test {shown_path(path)}")
    return 0


async def _text(run_id: str, path: Path | None, project: str | None) -> str:
    from aiflow.app import App
    from aiflow.testing.record import record as record_run

    settings = project_settings(project)
    if store_is_empty(settings):
        raise RunError(f"there is no run {run_id}", "list them with: aiflow runs")
    async with App(settings) as app:
        run = await app.inspector.find(run_id)
        if run.is_open:
            raise RunError(f"run {run.run_id} has not ended", f"follow it: aiflow resume {run.run_id}")
        return await record_run(app.inspector, run, path or settings.root / "tests" / "x.test.yaml", settings.root)
