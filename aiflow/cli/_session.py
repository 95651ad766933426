"""One run followed from one process: a worker beside the view, an orderly end, and the result printed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from aiflow.cli._errors import EXIT_INTERRUPTED, EXIT_PERSON, say, silence_stdout
from aiflow.cli._follow import AFTER_S, GRACE_S, View, follow, make_view, show_logs
from aiflow.cli._options import out, out_json
from aiflow.cli._result import failure_lines, find, result_lines, run_json
from aiflow.cli._signals import Interrupts

if TYPE_CHECKING:
    from aiflow.app import App
    from aiflow.inspector import RunInfo


@dataclass(frozen=True)
class Wishes:
    """How a run is followed and printed."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_wait: bool = False


class Session:
    """`async with Session(app, wishes) as session`: a worker works while it is open.

    Attributes: view: where notices go.  stopped: set after a signal.
    """

    def __init__(self, app: App, wishes: Wishes) -> None:
        self.app = app
        self.wishes = wishes
        self.view: View = make_view(wishes.quiet)
        self.interrupts = Interrupts(self._first, self._second)

    async def __aenter__(self) -> Session:
        show_logs(self.view, self.wishes.verbose)
        for warning in self.app.warnings:
            self.view.note(f"warning: {warning}")
        self.interrupts.__enter__()
        try:
            self._worker = self.app.worker()
            await self._worker.start()
        except BaseException:
            self.interrupts.__exit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await (self._worker.stop(GRACE_S) if self.interrupts.asked.is_set() else self._hand_on())
        finally:
            self.view.close()
            self.interrupts.__exit__(None, None, None)

    async def _hand_on(self) -> None:
        """Our run has ended. Steps of other runs get a moment, those that must not be cut off as long as they take."""
        stopping = asyncio.ensure_future(self._worker.stop(AFTER_S, self.interrupts.asked))
        await asyncio.wait([stopping], timeout=2 * AFTER_S)
        kept = sorted(self._worker.host.unrepeatable)
        if kept and not stopping.done():
            named = ", ".join(f"{path} of run {rid}" for rid, path in kept[:3]) + (" …" if len(kept) > 3 else "")
            say(f"waiting for what must not be cut off: {named}; after Ctrl-C nobody knows whether it took effect")
        await stopping

    async def follow(self, rid: str, told: int = 0) -> RunInfo | None:
        """The run at its end, or None when it was interrupted. `told`: entries of its journal that are old news."""
        try:
            return await follow(self.app, rid, self.view, self.interrupts, no_wait=self.wishes.no_wait, told=told)
        finally:
            self.view.close()

    def _first(self) -> None:
        self.view.close()
        say("\nstopping: running steps get 5 s to finish; press Ctrl-C again to end at once")

    def _second(self) -> None:
        self.view.close()


async def follow_to_end(app: App, rid: str, session: Session, told: int = 0) -> int:
    """Follow a run, print what it gave; the exit code. Call inside the session."""
    info = await session.follow(rid, told)
    if info is None:
        return await _interrupted(app, rid, session.wishes)
    return await print_result(app, info, session.wishes)


async def _interrupted(app: App, rid: str, wishes: Wishes) -> int:
    if wishes.as_json:
        with contextlib.suppress(RedisError, OSError):  # the store may be away; the run is as safe
            info = await app.inspector.run(rid)
            if info is not None:
                _printed(lambda: out_json(run_json(info)))
    return EXIT_INTERRUPTED


def say_safe(rid: str) -> None:
    """After an interruption: nothing is lost, and how to go on."""
    say(f"run {rid} is safe: everything finished so far is kept\n  go on: aiflow resume {rid}")


def exit_code(info: RunInfo) -> int:
    """DSL 3.18: 1 for a run that failed or was cancelled, 5 when a person has to decide, else 0."""
    if info.status == "failed" and info.error and info.error["type"] == "outcome_unknown":
        return EXIT_PERSON
    return 1 if info.status in ("failed", "cancelled") else 0


async def print_result(app: App, info: RunInfo, wishes: Wishes) -> int:
    """Print a run that has ended (or waits, with --no-wait); the exit code."""
    root: Path = app.settings.root
    failed = info.status in ("failed", "cancelled")
    code = exit_code(info)
    if wishes.as_json:
        _printed(lambda: out_json(run_json(info)))
        return code
    if failed:
        if not wishes.quiet:
            say("")
        say("\n".join(failure_lines(info, root, info.run_id)))
        return code
    if info.is_open:
        say(f"run {info.run_id} is {info.status}\n  follow it: aiflow resume {info.run_id}")
        return 0
    if info.status in ("stopped", "skipped"):
        say(f"{info.status}: {await _why_ended(app, info)}")
    if not wishes.quiet:
        say("")
    lines = result_lines(info, await find(app.inspector, info), root, info.run_id)
    _printed(lambda: out("\n".join(lines)))
    return 0


async def _why_ended(app: App, info: RunInfo) -> str:
    from aiflow.cli._text import one_line

    ended = f"run_{info.status}"
    reasons = [one.get("reason", "") for one in await app.inspector.journal(info.run_id) if one["event"] == ended]
    return one_line(reasons[-1]) if reasons else "the workflow asked for it"


def _printed(print_it: Callable[[], None]) -> None:
    """Print; a reader that has gone away does not change the exit code of the run."""
    try:
        print_it()
    except BrokenPipeError:
        silence_stdout()
