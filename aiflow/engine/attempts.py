"""One step at work: its attempts, each within its time, and what is inside a block."""

from __future__ import annotations

import abc
from collections.abc import Coroutine
from typing import Any

from aiflow.engine.caching import CachedStep
from aiflow.engine.calls import Calls, waits_for
from aiflow.engine.failure import DEATHS, Failed, StopRun, describe
from aiflow.engine.handling import Handling
from aiflow.engine.limits import Limit
from aiflow.engine.listening import Listening
from aiflow.engine.writing import Entry
from aiflow.errors import StepError
from aiflow.language.model import case_text, join
from aiflow.plan import BRANCHES, CompiledStep
from aiflow.steps._kind import Call, Context, Done, Listen, Send, Stop, Usage, Wait, uncached
from aiflow.store.records import Record
from aiflow.values import Value


class Attempts(Handling, abc.ABC):
    """How a single step is done, once everything around it said that it is its turn."""

    async def body(
        self, cs: CompiledStep, path: str, entry: Entry, slot: str | None, state: Any, rest: list[Entry] | None
    ) -> Value:
        """Attempts, then handlers, then `output`."""
        started = (state or {}).get("t") or self.clock()
        attempt = (state or {}).get("n", 1)
        if slot in ("on_error", "on_timeout"):
            return await self.handle(cs, path, entry, state["error"], attempt, started, slot, rest)
        due_ms = state.get("w", 0) if slot == "@" else 0
        if due_ms > self.clock():  # woken too early: the run was cancelled and opened again
            entry[1], entry[2] = slot, state
            await self.leave(due_ms)
        resumed = due_ms > 0
        held: dict[str, Any] = (state or {}) if slot == "do" else (state or {}).get("ev", {}) if slot == "@" else {}
        if slot == "@" and "c" in state:  # it waits for a run that it called
            entry[1], entry[2], resumed = slot, state, True
            held = {"until": state.get("until")} if state.get("g") == self.run.generation else {}
        while True:
            try:
                if self.run.settled and path in self.run.settled:
                    outcome = Done(self.run.settled[path], meta={"settled": True})
                    value = outcome.output
                    break
                if self.mark and self.mark == self._mark(path):
                    self.mark = ""
                    raise _unknown_outcome(self.run.rid, path)
                self.began_ms = started
                outcome = await self.attempt(cs, path, attempt, entry, rest if slot == "do" else None, resumed, held)
                value = outcome.output
                if cs.output is not None:
                    value = cs.output.evaluate({**self.scope(cs, path, attempt), "result": value})
                break
            except StepError as error:
                self.run.masker.error(error)
                described = describe(self.plan, cs, error, path, attempt, self.index)
                if not isinstance(error, Failed) and isinstance(paid := error.data.get("usage"), dict):
                    self.add_usage(Usage(**paid))
                try:
                    delay = self.retry_delay(cs, path, error, described, attempt)
                except StepError as wrong:  # in `retry.if`
                    described, delay = describe(self.plan, cs, wrong, path, attempt, self.index), None
                if delay is None:
                    return await self.handle(cs, path, entry, described, attempt, started, None, None)
                await self.wait_to_retry(path, entry, described, attempt, delay, started)
                attempt += 1
                slot = rest = None
                held = {}
                resumed = False
        usage = outcome.usage
        record = Record(output=value, attempts=attempt, started=started, finished=self.clock())
        if usage is not None:
            record.usage = (usage.tokens_in, usage.tokens_out, usage.cost, usage.calls)
        if outcome.meta:
            record.meta = dict(outcome.meta)
        self.keep(cs, path, record)
        return value

    # -- one attempt -------------------------------------------------------------------------------------------

    async def attempt(
        self,
        cs: CompiledStep,
        path: str,
        attempt: int,
        entry: Entry,
        rest: list[Entry] | None,
        resumed: bool,
        held: dict[str, Any],
    ) -> Done:
        """One try of a step, in its turn; `held`: where a block was let go of. Raises StepError, StopRun, Leave."""
        if resumed or (cs.throttle is None and not self.turns.under):
            return await self._in_time(cs, path, attempt, entry, rest, resumed, held)
        own = self.turns.limit(cs, path, attempt)
        inside = own is not None and own.at_once is not None and cs.kind.run is None
        begins = rest is None and not held
        try:
            if begins and (own is not None or cs.kind.run is not None and not cs.kind.pure) and not _asks_cache(cs):
                await self.turns.wait(own, path)  # does not count towards the timeout
            if inside and own is not None:
                self.turns.under.append(own)
            return await self._in_time(cs, path, attempt, entry, rest, resumed, held, own)
        finally:
            if inside and self.turns.under and self.turns.under[-1] is own:
                self.turns.under.pop()
            self.turns.ended()

    async def _in_time(
        self, cs: CompiledStep, path: str, attempt: int, entry: Entry, rest: list[Entry] | None, resumed: bool,
        held: dict[str, Any], limit: Limit | None = None,
    ) -> Done:  # fmt: skip
        """One try of a step, bounded by its timeout."""
        timeout_ms = cs.step.timeout_ms
        if timeout_ms is None or cs.kind.name == "wait_for":  # there it is the time to wait, over any number of claims
            return await self._attempt(cs, path, attempt, entry, rest, resumed, held, limit)
        if cs.kind.run is not None and not cs.kind.elsewhere:
            work = self._attempt(cs, path, attempt, entry, rest, resumed, held, limit)
            return await self._bounded(timeout_ms, timeout_ms, work)
        # A block, or a call, may be let go of and claimed again: what counts is the moment when its time is up.
        self.deadlines.append(held.get("until") or self.clock() + timeout_ms)
        try:
            if cs.kind.elsewhere:  # what it gave in time counts, however late it is seen
                return await self._attempt(cs, path, attempt, entry, rest, resumed, held)
            left = self.deadlines[-1] - self.clock()
            if left <= 0 and (fan := self.open_fan(cs, path, self.home, ["do", held], rest or [])):
                await self.store.stop_fan(self.run.rid, self.fence, self.epoch, fan)
            return await self._bounded(left, timeout_ms, self._attempt(cs, path, attempt, entry, rest, resumed, held))
        finally:
            self.deadlines.pop()

    async def _bounded(self, left_ms: int, timeout_ms: int, work: Coroutine[Any, Any, Done]) -> Done:
        if left_ms <= 0:
            work.close()
            raise _too_long(timeout_ms)
        self.bounded += 1
        before = self.time
        try:
            async with self.host.clock.timeout(left_ms / 1000) as limit:
                self.time = limit
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
            raise _too_long(timeout_ms) from None
        finally:
            self.time = before
            self.bounded -= 1

    def open_fan(self, cs: CompiledStep, path: str, home: str, at: Entry, rest: list[Entry]) -> str | None:
        """Path of the fan-out that a step waits for which was let go of at `at` (slot, state) and `rest`, if it waits for one."""
        slot, state = (*at, None, None)[:2]
        if slot == "each":
            return path
        if slot == "do" and state and state.get("f"):
            return join(path, BRANCHES)
        if slot == "until" and rest:
            assert cs.body is not None
            where = f"{path}[{state['i']}]"
            return self.open_fan(cs.body, where, where, rest[0][1:], rest[1:])
        inner = {"else": cs.else_, "on_error": cs.on_error, "on_timeout": cs.on_timeout}
        return self.open_fan_in(_own_steps(cs, state) if slot == "do" else inner.get(str(slot)), home, rest)

    def open_fan_in(self, steps: Any, home: str, rest: list[Entry]) -> str | None:
        """The same for a list of steps that was let go of at `rest`."""
        if not rest or not isinstance(steps, list):
            return None
        step = steps[rest[0][0]]
        return self.open_fan(step, join(home, step.sub), home, rest[0][1:], rest[1:])

    async def _attempt(
        self, cs: CompiledStep, path: str, attempt: int, entry: Entry, rest: list[Entry] | None, resumed: bool,
        held: dict[str, Any], limit: Limit | None = None,
    ) -> Done:  # fmt: skip
        kind = cs.kind
        if kind.run is None:
            return Done(await self._block(cs, path, attempt, entry, rest, held))
        if resumed and waits_for(entry) and (done := await Calls(self).collect(cs, path, attempt, entry)) is not None:
            return done
        if self.deaths >= (2 * DEATHS if kind.pure else DEATHS):  # a pure step is hardly ever the one that kills
            deaths, self.deaths = self.deaths, 0
            raise StepError("quarantined", f"its worker died {deaths} times in this step; it is not tried again")
        if not kind.pure:
            await self.before_effect(cs)
        scope = self.scope(cs, path, attempt)
        config = cs.constant if cs.constant is not None else cs.config.evaluate(scope)
        data = cs.with_.evaluate(scope) if cs.with_ is not None else {}
        cached, repeatable = uncached, _repeatable(cs, config)
        if _asks_cache(cs):
            step = CachedStep(self, cs, path, limit, self.time if cs.step.timeout_ms is not None else None)
            if repeatable:
                cached = step.cached
            else:
                await step.turn()
        once = not kind.pure and not repeatable
        if once:
            await self.flush(mark=self._mark(path))
        context = Context(
            run_id=self.run.rid,
            path=path,
            key=f"{self.run.rid}:{path}",
            attempt=attempt,
            now_ms=self.now_ms,
            resumed=resumed,
            project=self.host.settings.root,
            run_dir=self.run.run_dir,
            data=data,
            prompt=self.host.prompt(self.plan, cs),
            timeout_ms=cs.step.timeout_ms,
            services=self.run.services,
            secret=self.run.secret,
            log=lambda text, level="info": self.lines.append(
                self.store.line("log", path=path, level=level, text=self.run.masker.text(str(text)))
            ),
            budget_left=self.run.budget_left,
            cached=cached,
            written=cs.step.config,
        )
        if once:
            with self.host.keeping(self.run.rid, path):
                outcome = await kind.run(context, config)
        else:
            outcome = await kind.run(context, config)
        self.host.crash_point("after_effect")
        if isinstance(outcome, Done):
            if outcome.usage is not None and outcome.usage.calls:
                self.add_usage(outcome.usage)
            if not self.run.masker.knows_any:
                return outcome
            return Done(self.run.masker.value(outcome.output), outcome.usage, self.run.masker.value(outcome.meta))
        if isinstance(outcome, Stop):
            now = self.clock()
            self.keep(cs, path, Record(started=now, finished=now))
            raise StopRun(outcome.reason, outcome.outputs)
        if isinstance(outcome, Listen):
            return await Listening(self, path).step(cs, outcome.names, attempt, entry, held, scope)
        if isinstance(outcome, Send):
            event, _ = await self.host.events.accept(outcome.id, outcome.name, outcome.data, patient=True)
            return Done(event.view())
        if isinstance(outcome, Call):
            return await Calls(self).start(cs, path, attempt, entry, outcome)
        assert isinstance(outcome, Wait)
        entry[1], entry[2] = "@", {"n": attempt, "w": outcome.until_ms, "t": self.began_ms}
        await self.leave(outcome.until_ms)

    async def _block(
        self, cs: CompiledStep, path: str, attempt: int, entry: Entry, rest: list[Entry] | None, held: dict[str, Any]
    ) -> Value:
        """The steps inside a step, from where they were let go of."""
        state: dict[str, Any] = {"t": held.get("t") or self.clock()}
        if attempt > 1:
            state["n"] = attempt
        if cs.step.timeout_ms is not None:
            state["until"] = self.deadlines[-1]
        entry[1], entry[2] = "do", state
        if cs.kind.lists == "branches":
            state["f"] = True
            return await self.branches(cs, path, bool(held.get("f")))
        if cs.kind.lists == "cases":
            state["b"] = held["b"] if "b" in held else self._case(cs, path, attempt)
        steps = _own_steps(cs, state)
        return None if steps is None else await self.run_list(steps, rest)

    def _case(self, cs: CompiledStep, path: str, attempt: int) -> str | None:
        """Name of the case of a `switch`: the one that equals its value as text, or the first whose condition is true."""
        config = cs.config.evaluate(self.scope(cs, path, attempt))
        if "if" in config:
            found = next((str(number) for number, true in enumerate(config["if"], 1) if true), None)
        else:
            found = case_text(config["value"])
        if found in cs.branches:
            return found
        return None if cs.else_ is None else "else"

    @abc.abstractmethod
    async def branches(self, cs: CompiledStep, path: str, started: bool) -> Value:
        """Start the branches of a `parallel` (raises Leave), or give what they made."""

    def _mark(self, path: str) -> str:
        """The start mark of a step that is not repeatable; a retry of the run makes earlier ones void."""
        return f"{self.run.generation}|{path}"

    async def before_effect(self, cs: CompiledStep) -> None:
        """Everything before is durable, shutdown is looked at."""
        if self.host.stopping:
            await self.leave(0)
        if self.pending or self.lines:
            await self.flush()


def _own_steps(cs: CompiledStep, state: dict[str, Any] | None) -> list[CompiledStep] | None:
    """The steps inside a step: its list, or those of the case that was chosen; None when there was none."""
    if cs.kind.lists != "cases":
        return cs.steps
    case = (state or {}).get("b")
    return cs.branches.get(case) if case != "else" else cs.else_  # type: ignore[arg-type]


def _too_long(timeout_ms: int) -> StepError:
    return StepError("timeout", f"took longer than {timeout_ms / 1000:g} s", transient=True)


def _asks_cache(cs: CompiledStep) -> bool:
    """Whether the step looks for an earlier result first: its turn comes when there is none."""
    return cs.step.cache_ms is not None and cs.kind.cacheable


def _repeatable(cs: CompiledStep, config: Any) -> bool:
    if cs.step.repeatable is not None:
        return cs.step.repeatable
    said = cs.kind.repeatable
    return said(config) if callable(said) else said


def _unknown_outcome(rid: str, path: str) -> StepError:
    return StepError(
        "outcome_unknown",
        "a worker died in the middle of this step, so nobody knows whether it took effect",
        data={"path": path},
        hint=f"find out, then: aiflow settle {rid} {path} --done (or --redo); `repeatable: true` where repeating never hurts",
    )
