"""One test at work: its namespace in the store, its clock, its engine, its copy of the project.

The engine is that of every run: frames are claimed from `ready`, steps are checkpointed, waits are timers. Two things are
different. The clock is virtual: when nothing is under way in this world, it moves to the next moment that somebody waits
for. And steps that act outside are played by mocks.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import NoReturn

import msgspec

from aiflow.client import Client
from aiflow.engine.host import Host
from aiflow.engine.lanes import cancelled
from aiflow.errors import AiflowError, RunError, StepError
from aiflow.ids import new_worker_id
from aiflow.inspector import Inspector, RunInfo
from aiflow.language.model import walk_paths
from aiflow.language.schema_faults import misfits
from aiflow.models.gateway import Gateway
from aiflow.plan import CompiledPlan
from aiflow.services import cancels
from aiflow.settings import Settings
from aiflow.steps import _functions
from aiflow.steps._kind import Done, Outcome, Services
from aiflow.store.events import EventStore
from aiflow.store.keys import Keys
from aiflow.store.records import Record
from aiflow.store.runs import RunStore
from aiflow.testing.clock import IdleLoop, VirtualClock
from aiflow.testing.events import deliver
from aiflow.testing.files import Case, Suite
from aiflow.testing.mocks import REAL, Call, lay_over, needs_mock, outcome_of
from aiflow.testing.stage import CountingBlobs, Slot, Stage
from aiflow.testing.workspace import Original
from aiflow.values import Value

RUN_ID = "01TEST00000000000000000000"
"""The same in every test, so that `run.id` and `step.key` can be expected."""

REAL_LIMIT_S = 60.0
"""A test that works longer than this, in real time, hangs."""

FETCH = 100
TIMERS = 500
NO_LEASE_MS = 1 << 50
ASKING = frozenset({"llm", "embed"})
"""Kinds that ask models, which cost: before each call stands the budget of the run."""
WITHOUT_FILES = ASKING | {"wait"}


@dataclass
class Played:
    """A run that was played to its end.

    Attributes:
        run: as it stands in the store.  records: by path.  given: what mocked steps were given, by path.
        outputs: of the steps whose outputs are asked for, by path.
        took_ms: virtual time.  faults: what is wrong with the test itself, sentences: a step without a mock ...
    """

    run: RunInfo | None = None
    records: dict[str, Record] = field(default_factory=dict)
    given: dict[str, Mapping[str, Value]] = field(default_factory=dict)
    outputs: dict[str, Value] = field(default_factory=dict)
    took_ms: int | None = None
    faults: list[str] = field(default_factory=list)


class _Nominal(Random):
    """No jitter: the delay before a retry is the longest that it may be, every time."""

    def uniform(self, a: float, b: float) -> float:
        return b


class World:
    """One case on its stage. `play` it once."""

    def __init__(self, stage: Stage, slot: Slot, name: str, suite: Suite, case: Case, original: Original) -> None:
        self.case = case
        self.suite = suite
        self.folder = stage.folder / name
        self._original = original
        self._slot = slot
        self._clock = VirtualClock(case.now_ms)
        self._keys = Keys(name)
        self._settings = _settings(suite.settings, self.folder, name, case)
        self._blobs = CountingBlobs(self._settings.artifacts)
        self._store = RunStore(slot.commit, slot.reader, self._keys, self._clock)
        events = EventStore(slot.commit, slot.reader, self._keys, self._clock, self._settings.retention_ms)
        self._client = Client(self._store, events, self._settings, self._blobs)
        self._inspector = Inspector(slot.reader, self._keys, self._settings, self._blobs)
        self._played = Played()
        self._undelivered = sorted(case.events, key=lambda event: event.at_ms)
        self._working = 0
        self._seen = -1
        self._quiet: asyncio.Future[None] | None = None

    async def play(self) -> Played:
        """Run the case to its end and look at it."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, IdleLoop)
        loop.on_idle.append(self._on_idle)
        gateway = Gateway(self._settings, offline=True)
        host = self._host(gateway)
        try:
            if self._needs_files():
                await asyncio.to_thread(self._original.copy, self.folder, self.case.files)
            with _functions.copied(self.folder, self.suite.settings.root):
                await self._run(host)
        except AiflowError as error:
            self._fault(error.message + (f"\n{error.hint}" if error.hint else ""))
        finally:
            await self._look()
            loop.on_idle.remove(self._on_idle)
            await host.stop(0)
            await gateway.close()
            self._blobs.close()
            await asyncio.to_thread(shutil.rmtree, self.folder, True)
        return self._played

    def _needs_files(self) -> bool:
        """Whether a step that runs for real may look at the project's files."""
        for path, step in walk_paths(self.suite.workflow):
            if step.kind in REAL - WITHOUT_FILES or "attach" in step.config:
                if not self.case.mocks.of(path, step.id, step.kind):
                    return True
        return "x-aiflow-type" in repr(self.suite.workflow.inputs)

    def _host(self, gateway: Gateway) -> Host:
        services = Services(gateway=lambda *_: gateway, http=_no_network, extra={"settings": self._settings})
        host = Host(
            self._settings, self._slot.commit, self._slot.reader, self._keys, self._clock, self._blobs, services,
            lambda name: f"secret-{name}", new_worker_id(),
        )  # fmt: skip
        host.random = _Nominal()
        host.on_plan = self._lay_over
        host.bind()
        return host

    # -- the run -----------------------------------------------------------------------------------------------

    async def _run(self, host: Host) -> None:
        await self._set_clock(self.case.now_ms)
        await self._slot.commit.call("register", (self._keys.ns,), (host.worker, NO_LEASE_MS, b"{}"))
        meta = {"event": dict(self.case.event)} if self.case.event else {}
        await self._client.start(self.suite.workflow, self.case.inputs, run_id=RUN_ID, meta=meta)
        watch = cancels.watch(self._slot.commit, self._slot.reader, self._keys, host.cancel)
        watching = asyncio.ensure_future(watch)
        try:
            async with asyncio.timeout(REAL_LIMIT_S):
                while not self._played.faults and await self._go_on(host):
                    pass
            for event in self._undelivered if not self._played.faults else ():
                self._fault(f"the run ended before `{event.name}` came")
        except TimeoutError:
            raise RunError(f"still not done after {REAL_LIMIT_S:g} s of real time: does a step hang?") from None
        finally:
            await cancelled([watching])

    async def _go_on(self, host: Host) -> bool:
        """One turn: hand out what is ready; when nothing is, see whether the run has ended, else move the clock."""
        self._quiet = asyncio.get_running_loop().create_future()
        await self._quiet
        if self._slot.commit.news != self._seen:
            self._seen = self._slot.commit.news
            bodies = await self._slot.commit.call("fetch", (self._keys.ns,), (FETCH,))
            for body in bodies:
                host.wake(*msgspec.json.decode(body)["args"])
            return True
        if self._busy:
            return True
        if await self._inspector.status(RUN_ID) not in ("queued", "running", "waiting"):
            return False
        await self._move_clock()
        return True

    @property
    def _busy(self) -> bool:
        slot = self._slot
        return bool(slot.commit.in_flight or slot.reader.under_way or self._blobs.under_way or self._working)

    def _on_idle(self) -> bool:
        """The loop has nothing to do: is it our turn?"""
        if self._quiet is None or self._quiet.done():
            return False
        if self._busy and self._slot.commit.news == self._seen:
            return False
        self._quiet.set_result(None)
        return True

    async def _move_clock(self) -> None:
        """To the next moment that a timer, a sleep, a time limit or an event is due; what is due then goes on."""
        first = await self._slot.reader.zrange(self._keys.named("timers"), 0, 0, withscores=True)
        timer = int(first[0][1]) if first else None
        event = self.case.now_ms + self._undelivered[0].at_ms if self._undelivered else None
        dues = [due for due in (timer, event, self._clock.next_due) if due is not None]
        if not dues:
            self._stuck()
        await self._set_clock(max(min(dues), self._clock.now_ms()))
        now = self._clock.now_ms()
        while self._undelivered and self.case.now_ms + self._undelivered[0].at_ms <= now:
            await deliver(self._client, self._undelivered.pop(0))
        woken = self._clock.wake_sleepers()
        fired = 0
        if timer is not None and timer <= now:
            fired = (await self._slot.commit.call("fire_timers", (self._keys.ns,), (TIMERS,)))[0]
        if not woken and not fired:
            self._clock.strike_deadlines()

    async def _set_clock(self, now_ms: int) -> None:
        self._clock.move(now_ms)
        await self._slot.reader.set(self._keys.named("clock"), now_ms)

    def _stuck(self) -> NoReturn:
        raise RunError(
            "the run waits for something that never comes: no timer, no event and no step is left to go on",
            "say when it comes, with `events:`, or mock the step that waits",
        )

    # -- steps -------------------------------------------------------------------------------------------------

    def _lay_over(self, plan: CompiledPlan) -> None:
        lay_over(plan, self.case.mocks, self._mocked, self._real, self._refused)

    async def _mocked(self, call: Call) -> Outcome:
        step, context = call.cs.step, call.context
        repeated = step.each is not None or step.until is not None
        said = self.case.mocks.choose(context.path, step.id, step.kind, context.attempt, repeated)
        if said is None:  # other items of this step have a mock, this one has not
            return await (self._real if step.kind in REAL else self._refused)(call)
        self._played.given[context.path] = {**call.config, "with": context.data}
        if step.kind in ASKING and (left := await context.budget_left()) is not None and left <= 0:
            raise StepError("budget", "the budget of the run is spent", hint="raise `budget`, or let mocks cost less")
        # What a mock says is never kept, nor taken from what was; with `cache` a step waits for its turn in here.
        done = await context.cached(_never_equal, lambda: outcome_of(said, call.scope, self._clock.sleep))
        if step.kind == "llm":
            self._check_answer(call, done)
        return done

    def _check_answer(self, call: Call, done: Done) -> None:
        """A mock that no model could give would prove nothing."""
        prompt = call.context.prompt
        schema = call.config.get("schema") or (prompt.schema if prompt is not None else None)
        for misfit in misfits(done.output, schema, call.cs.step.id or call.cs.label) if schema else ():
            self._fault(f"the mock of {call.context.path} is no answer that fits its schema: {misfit.where} {misfit.message}")

    async def _real(self, call: Call) -> Outcome:
        assert call.kind.run is not None
        self._working += 1
        try:
            return await call.kind.run(call.context, call.config)
        finally:
            self._working -= 1

    async def _refused(self, call: Call) -> Outcome:
        step = call.cs.step
        error = needs_mock(step.kind, step.id or step.kind, call.context.path)
        self._fault(f"{error.message}\n{error.hint}")
        raise error

    def _fault(self, sentence: str) -> None:
        if sentence not in self._played.faults:
            self._played.faults.append(sentence)

    # -- afterwards --------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Everything that expectations, coverage and reports ask for."""
        played = self._played
        played.run = run = await self._inspector.run(RUN_ID)
        if run is None:
            return
        played.took_ms = (run.finished_ms or self._clock.now_ms()) - run.created_ms
        played.records = dict([one async for one in self._inspector.records(RUN_ID)])
        for path in self.case.asked:
            if path in played.records:
                played.outputs[path] = await self._inspector.step_output(RUN_ID, path)


def _settings(settings: Settings, folder: Path, name: str, case: Case) -> Settings:
    """Those of the project, in a folder, a namespace and a store of the test's own."""
    state = folder / ".aiflow"
    return replace(
        settings, root=folder, state_dir=state, artifacts=str(state / "artifacts"), redis_url=None, namespace=name,
        env={**settings.env, **case.env},
    )  # fmt: skip


async def _no_network() -> NoReturn:
    raise StepError("not_mocked", "a test does not reach the network: mock this step")


async def _never_equal() -> Value:
    return None
