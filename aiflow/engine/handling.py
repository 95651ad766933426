"""What happens when an attempt failed: the next one, `on_timeout`, `on_error`, or the failure goes on; and what is recorded."""

from __future__ import annotations

import abc
from typing import Any

from aiflow.engine.calls import again
from aiflow.engine.failure import NEVER_RETRIED, Failed, StopRun, describe
from aiflow.engine.retry import backoff_ms
from aiflow.engine.writing import Entry, Writing
from aiflow.errors import StepError
from aiflow.plan import CompiledStep
from aiflow.store.records import Record
from aiflow.values import Value

INLINE_RETRY_MS = 1_000  # a longer delay lets go of the frame; a shorter one is cheaper to sit out
MOST_RETRY_AFTER_MS = 3_600_000  # a provider that asks for more is asked again after an hour


class Handling(Writing, abc.ABC):
    """Failures of the steps of a frame."""

    @abc.abstractmethod
    async def run_list(self, steps: list[CompiledStep], at: list[Entry] | None) -> Value:
        """Run a list of steps from its beginning, or from `at`."""

    def failed(self, cs: CompiledStep, path: str, error: StepError, attempts: int) -> Failed:
        """Record a failure for good and give the exception that tells the lists around."""
        described = describe(self.plan, cs, error, path, attempts, self.index)
        now = self.clock()
        self.keep(cs, path, Record(status="failed", error=described, attempts=attempts, started=now, finished=now))
        self._note_cursor()
        return Failed(described)

    def _cut(self, entry: Entry) -> None:
        """Close the lists inside `entry`."""
        depth = next(number for number, one in enumerate(self.stack) if one is entry)
        del self.stack[depth + 1 :]

    def _note_cursor(self) -> None:
        if self.stopped_at is None:
            self.stopped_at = self.cursor(fresh=True)

    def _failed_cursor(self) -> str:
        at = self.stopped_at or self.cursor(fresh=True)
        self.stopped_at = None
        self.stack.clear()
        return at.decode()

    def retry_delay(self, cs: CompiledStep, path: str, error: StepError, described: dict[str, Any], attempt: int) -> int | None:
        """Milliseconds until the next attempt, or None when there is none."""
        policy = cs.retry
        if policy is None or attempt > policy.times or error.type in NEVER_RETRIED:
            return None
        if cs.retry_if is not None:
            if not cs.retry_if.evaluate({**self.scope(cs, path, attempt), "error": described}):
                return None
        elif cs.kind.transient_only and not error.transient:
            return None
        delay = backoff_ms(attempt, policy, self.host.random)
        if error.retry_after_ms is not None:
            delay = max(delay, min(error.retry_after_ms, MOST_RETRY_AFTER_MS))
        return delay

    async def wait_to_retry(
        self, path: str, entry: Entry, error: dict[str, Any], attempt: int, delay: int, started: int
    ) -> None:  # fmt: skip
        """Record the failed attempt, then sit out a short delay or let go of the frame for a long one."""
        entry[1], entry[2] = "@", {"n": attempt + 1, "t": started}
        self._cut(entry)
        self.stopped_at = None
        journal = self.store.line("attempt_failed", path=path, attempt=attempt, error=error, retry_in_ms=delay)
        if delay > INLINE_RETRY_MS or self.host.stopping:
            await self.leave(self.clock() + delay, journal)
        await self.flush(journal=journal)
        await self.host.clock.sleep(delay / 1000)

    async def handle(
        self,
        cs: CompiledStep,
        path: str,
        entry: Entry,
        error: dict[str, Any],
        attempts: int,
        started: int,
        slot: str | None,
        rest: list[Entry] | None,
    ) -> Value:
        """What happens when a step failed for good: `on_timeout`, `on_error`, or the failure goes on."""
        self._cut(entry)
        journal = {"path": path, "attempt": attempts, "error": error}
        if slot is None:
            self.lines.append(self.store.line("step_failed", **journal))
            if self.stopped_at is None:
                entry[:] = again(entry)
                self._note_cursor()
        timed_out = error["type"] == "timeout" and cs.on_timeout is not None
        if slot == "on_timeout" or (slot is None and timed_out):
            if cs.on_timeout == "continue":
                return self._passed_over(cs, path, "timed_out", error, attempts, started)
            if cs.on_timeout == "stop":
                raise StopRun(error["message"])
            assert isinstance(cs.on_timeout, list)
            try:
                return await self._handlers(cs, path, entry, error, attempts, started, "on_timeout", cs.on_timeout, rest)
            except StepError as second:
                error = second.error if isinstance(second, Failed) else error
                rest = None
                self._cut(entry)
        if cs.on_error == "continue":
            return self._passed_over(cs, path, "failed", error, attempts, started)
        if cs.on_error == "stop":
            raise StopRun(error["message"])
        if isinstance(cs.on_error, list):
            return await self._handlers(cs, path, entry, error, attempts, started, "on_error", cs.on_error, rest)
        status = "outcome_unknown" if error["type"] == "outcome_unknown" else "failed"
        self._settled(cs, path, status, error, attempts, started, None)
        raise Failed(error)

    def _passed_over(self, cs: CompiledStep, path: str, status: str, error: dict[str, Any], attempts: int, started: int) -> None:
        """`continue`: the failure is on record, and a retry of the run does not come back to it."""
        self.stopped_at = None
        self._settled(cs, path, status, error, attempts, started, None)
        self.pending[-1][1].handled = True

    def _settled(
        self, cs: CompiledStep, path: str, status: str, error: dict[str, Any], attempts: int, started: int, value: Value
    ) -> Value:
        self.keep(
            cs,
            path,
            Record(
                status=status, output=value, error=error, attempts=attempts, started=started, finished=self.clock(),
                item=self.around.item if path == self.path and status != "ok" else None,
            ),
        )  # fmt: skip
        return value

    async def _handlers(
        self,
        cs: CompiledStep,
        path: str,
        entry: Entry,
        error: dict[str, Any],
        attempts: int,
        started: int,
        slot: str,
        steps: list[CompiledStep],
        rest: list[Entry] | None,
    ) -> Value:
        before = self.base.get("error")
        self.base["error"] = error
        resumed = entry[1] == slot and isinstance(entry[2], dict)  # and not from `on_timeout` into `on_error`
        ran = bool(resumed and entry[2].get("ran")) or bool(rest)
        entry[1], entry[2] = slot, {"error": error, "n": attempts, "ran": ran, "t": started}
        try:
            value = await self.run_list(steps, rest)
        except StepError as second:
            now = describe(self.plan, cs, second, path, attempts, self.index)
            self._settled(cs, path, "failed", now, attempts, started, None)
            raise Failed(now) from None
        finally:
            if before is None:
                self.base.pop("error", None)
            else:
                self.base["error"] = before
        if not entry[2]["ran"]:
            self._settled(cs, path, "failed", error, attempts, started, None)
            raise Failed(error)
        self.stopped_at = None
        if cs.output is not None:
            try:
                value = cs.output.evaluate({**self.scope(cs, path, attempts), "result": value})
            except StepError as wrong:
                self._note_cursor()
                now = describe(self.plan, cs, wrong, path, attempts, self.index)
                self._settled(cs, path, "failed", now, attempts, started, None)
                raise Failed(now) from None
        return self._settled(cs, path, "ok", error, attempts, started, value)
