"""Running one step kind alone: a real context in a real folder, without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiflow.errors import StepError
from aiflow.steps._kind import Context, Done, Outcome, Services
from aiflow.steps._registry import kinds


async def _no_budget() -> None:
    return None


@dataclass
class Bench:
    """A project folder in which kinds are run. `lines`: what was logged, as (level, text)."""

    project: Path
    session: aiohttp.ClientSession | None = None
    lines: list[tuple[str, str]] = field(default_factory=list)
    now_ms: int = 1_764_000_000_000
    timeout_ms: int | None = None

    def context(self, data: Mapping[str, Any] | None = None, **changes: Any) -> Context:
        ctx = Context(
            run_id="01RUN",
            path="step",
            key="01RUN:step",
            attempt=1,
            now_ms=self.now_ms,
            resumed=False,
            project=self.project,
            run_dir=self.project / ".aiflow" / "runs" / "01RUN",
            data=dict(data or {}),
            prompt=None,
            timeout_ms=self.timeout_ms,
            services=Services(gateway=lambda: pytest.fail("no model is called"), http=self._http),
            secret=lambda name: pytest.fail("no secret is asked for"),
            log=self._log,
            budget_left=_no_budget,
        )
        for name, value in changes.items():
            setattr(ctx, name, value)
        return ctx

    async def outcome(
        self, kind: str, config: Mapping[str, Any], data: Mapping[str, Any] | None = None, **changes: Any
    ) -> Outcome:
        run = kinds()[kind].run
        assert run is not None
        return await run(self.context(data, **changes), config)

    async def output(self, kind: str, config: Mapping[str, Any], data: Mapping[str, Any] | None = None, **changes: Any) -> Any:
        outcome = await self.outcome(kind, config, data, **changes)
        assert isinstance(outcome, Done)
        return outcome.output

    async def error(
        self, kind: str, config: Mapping[str, Any], data: Mapping[str, Any] | None = None, **changes: Any
    ) -> StepError:
        with pytest.raises(StepError) as caught:
            await self.outcome(kind, config, data, **changes)
        return caught.value

    async def _http(self) -> aiohttp.ClientSession:
        assert self.session is not None
        return self.session

    def _log(self, text: str, level: str = "info") -> None:
        self.lines.append((level, text))
