"""Cases to results: several at a time on one event loop, in the order of the files."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiflow.settings import Settings
from aiflow.testing.clock import IdleLoop
from aiflow.testing.coverage import Coverage
from aiflow.testing.expect import Failure, failures
from aiflow.testing.files import Case, Suite
from aiflow.testing.stage import Stage
from aiflow.testing.workspace import Original
from aiflow.testing.world import World

AT_ONCE = 8
"""Tests side by side: they wait for the store and for real steps, hardly ever for a processor."""


@dataclass(frozen=True)
class Result:
    """One test that was run. `took_ms`: virtual; `real_s`: really."""

    suite: Suite
    case: Case
    failures: tuple[Failure, ...]
    took_ms: int | None
    real_s: float

    @property
    def passed(self) -> bool:
        return not self.failures


@dataclass
class Outcome:
    """All tests of a command, in their order, and what they left out of each workflow, by its file."""

    results: list[Result]
    coverage: dict[Path, Coverage]


def run_tests(suites: Sequence[Suite], wanted: Callable[[Case], bool], report: Callable[[Result], None]) -> Outcome:
    """Run the wanted cases of all suites.

    Args: report: told of each result, in their order.
    Raises: ConfigError, StoreError: there is no server to be had; KeyboardInterrupt.
    """
    try:
        with asyncio.Runner(loop_factory=IdleLoop) as runner:
            return runner.run(_run(suites, wanted, report))
    except asyncio.CancelledError:  # SIGTERM
        raise KeyboardInterrupt from None


async def _run(suites: Sequence[Suite], wanted: Callable[[Case], bool], report: Callable[[Result], None]) -> Outcome:
    pairs = [(suite, case) for suite in suites for case in suite.cases if wanted(case)]
    coverage = {_file(suite): Coverage(suite.workflow) for suite, _ in pairs}
    originals = {suite.settings.root: _original(suite.settings) for suite, _ in pairs}
    results: list[Result] = []
    with _ended_by_sigterm():
        async with Stage(min(AT_ONCE, len(pairs))) as stage:
            tasks = [asyncio.ensure_future(_play(stage, suite, case, originals, coverage)) for suite, case in pairs]
            try:
                for task in tasks:
                    results.append(await task)
                    report(results[-1])
            finally:
                await _all_ended(tasks)
    return Outcome(results, coverage)


async def _play(
    stage: Stage, suite: Suite, case: Case, originals: dict[Path, Original], coverage: dict[Path, Coverage]
) -> Result:
    async with stage.slot() as (slot, name):
        began = time.monotonic()
        played = await World(stage, slot, name, suite, case, originals[suite.settings.root]).play()
    coverage[_file(suite)].see(played.records)
    return Result(suite, case, tuple(failures(case, played)), played.took_ms, time.monotonic() - began)


def _file(suite: Suite) -> Path:
    return suite.settings.root / suite.workflow.file


def _original(settings: Settings) -> Original:
    left_out = {settings.root / settings.state_dir}
    if "://" not in settings.artifacts:
        left_out.add(Path(settings.artifacts))
    return Original(settings.root, frozenset(left_out))


async def _all_ended(tasks: Iterable[asyncio.Task[Result]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the tests as Ctrl-C does: the server and the folder go."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    try:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    except (ValueError, RuntimeError):  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
