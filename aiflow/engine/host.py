"""The engine in one process: takes wake-ups, claims frames, runs them on one event loop, and stops cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from random import Random

from redis.asyncio import Redis

from aiflow.clock import StoreClock
from aiflow.engine.around import surroundings
from aiflow.engine.caching import Cache
from aiflow.engine.failure import SUSPECT, Leave, NotKept, StopRun
from aiflow.engine.frames import Frame
from aiflow.engine.lanes import Lane, cancelled
from aiflow.engine.listening import Listening
from aiflow.engine.run import RunContext
from aiflow.engine.scope import Results
from aiflow.engine.turns import Turns
from aiflow.errors import AiflowError, StepError, StoreError
from aiflow.ids import new_run_id
from aiflow.language.model import Step, walk_paths
from aiflow.language.prompts import Prompt, parse_email, parse_prompt
from aiflow.masking import Masker
from aiflow.plan import CompiledPlan, CompiledStep, compile_plan
from aiflow.settings import Settings
from aiflow.steps._kind import Services
from aiflow.store.blobs import BlobStore
from aiflow.store.cache import CacheStore
from aiflow.store.commit import Commit
from aiflow.store.events import EventStore
from aiflow.store.keys import CANCEL_FRAME, Keys
from aiflow.store.runs import Claim, Lost, RunStore

log = logging.getLogger(__name__)

CUT_S = 0.2  # how often is looked whether a step may be cut off
FRAMES_MOST = 512  # frames in work at once in one process; more wait in the queue for another
PLANS_KEPT = 64


class Host:
    """One process's engine. Everything is handed in; `start` and `stop` belong to the event loop that runs it.

    Args:
        worker: this process's id in the store.
        secret: looks a secret up by name.
        crash: named crash points for tests, e.g. {"after_effect": "kill"}; empty in production.
    """

    def __init__(
        self,
        settings: Settings,
        commit: Commit,
        reader: Redis,
        keys: Keys,
        clock: StoreClock,
        blobs: BlobStore,
        services: Services,
        secret: Callable[[str], str | None],
        worker: str,
        crash: dict[str, str] | None = None,
    ) -> None:
        self.settings = settings
        self.commit = commit
        self.keys = keys
        self.clock = clock
        self.store = RunStore(commit, reader, keys, clock)
        self.events = EventStore(commit, reader, keys, clock, settings.retention_ms)
        self.blobs = blobs
        self.services = services
        self.secret = secret
        self.worker = worker
        self.random = Random()
        self.stopping = False
        self.turns = Turns(self)
        self.cache = Cache(CacheStore(commit, keys), blobs, settings)
        self._crash = crash or {}
        self._plans: OrderedDict[str, CompiledPlan] = OrderedDict()
        self._prompts: dict[tuple[str, str], Prompt] = {}
        self._tasks: dict[asyncio.Task[None], tuple[str, str]] = {}  # run id, path
        self._epochs: dict[asyncio.Task[None], int] = {}
        self._preloaded_for: set[str] = set()
        self.unrepeatable: dict[tuple[str, str], None] = {}  # (run, path) of steps at work that must not be cut off
        self._background: set[asyncio.Task[None]] = set()
        self._unwanted: set[asyncio.Task[None]] = set()  # of cancelled runs
        self._suspects = asyncio.Lock()
        self._suspect: object = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room = threading.BoundedSemaphore(FRAMES_MOST)
        self.on_plan: Callable[[CompiledPlan], None] = lambda plan: None
        self.on_unknown: Callable[[], Awaitable[None]] | None = None

    def bind(self) -> None:
        """Run frames on the event loop that is running now."""
        self._loop = asyncio.get_running_loop()

    @property
    def busy(self) -> int:
        """Frames in work."""
        return len(self._tasks)

    # -- taking frames -----------------------------------------------------------------------------------------

    def wake(self, rid: str, path: str) -> None:
        """Look at a frame. Called from a worker thread; blocks while this process has enough to do."""
        while not self._room.acquire(timeout=0.5):
            if self.stopping:
                return
        if self.stopping or self._loop is None:
            self._room.release()
            return
        self._loop.call_soon_threadsafe(self._begin, rid, path)

    def _begin(self, rid: str, path: str) -> None:
        task = asyncio.get_running_loop().create_task(self._claim_and_work(rid, path))
        self._tasks[task] = rid, path
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._epochs.pop(task, None)
        self._unwanted.discard(task)
        self._room.release()
        if not task.cancelled() and task.exception() is not None:
            log.error("a frame ended with a bug", exc_info=task.exception())

    async def _claim_and_work(self, rid: str, path: str) -> None:
        if self.stopping:
            return
        self.crash_point("before_claim")
        claim = await self.store.claim(rid, path, self.worker, new_run_id())
        if claim == "unknown" and self.on_unknown is not None:
            await self.on_unknown()
            claim = await self.store.claim(rid, path, self.worker, new_run_id())
        if isinstance(claim, str):
            return
        self.crash_point("after_claim")
        if (task := asyncio.current_task()) in self._tasks:
            self._epochs[task] = claim.epoch
        masker = Masker()
        try:
            if claim.deaths >= SUSPECT and "#" not in path:  # a lane looks at each of its items
                await self._work_alone(claim, masker)
            else:
                await self._work(claim, masker)
        except Leave:
            return
        except Lost:
            await self.store.drop(rid, path, self.worker, claim.epoch)
        except StoreError as error:
            log.error("run %s, frame `%s`: %s", rid, path, masker.text(error.message))
            await self._give_up(claim, error, masker)
        except AiflowError as error:
            await self._give_up(claim, error, masker)
        except asyncio.CancelledError:
            if asyncio.current_task() in self._unwanted:
                await self.store.drop(rid, path, self.worker, claim.epoch, hand_on=True)
            raise
        except Exception as error:
            log.error("run %s, frame `%s`: a bug in aiflow\n%s", rid, path, masker.text(traceback.format_exc()))
            await self._give_up(claim, AiflowError(f"{type(error).__name__}: {error} (a bug in aiflow)"), masker)

    async def _work_alone(self, claim: Claim, masker: Masker) -> None:
        """A frame that may be the one that kills: no other such frame is at work, so that only the right one is blamed."""
        await self.alone(claim)
        try:
            await self.store.begin(claim.rid, self.keys.frame(claim.rid, claim.path), claim.epoch)
            await self._work(claim, masker)
        finally:
            self.cleared(claim)

    async def alone(self, who: object) -> None:
        """Wait until no other suspect is at work in this process."""
        await self._suspects.acquire()
        self._suspect = who

    def cleared(self, who: object) -> None:
        """It got past the step that it was suspected for, or ended."""
        if self._suspect is who:
            self._suspect = None
            self._suspects.release()

    async def _work(self, claim: Claim, masker: Masker) -> None:
        plan = await self.plan(claim.version)
        run = RunContext(self, plan, claim, masker)
        self._preload(run)
        if "#" in claim.path:
            fan, _, _ = claim.path.rpartition("#")
            await Lane(run, claim, fan, await surroundings(run, fan)).work()
            return
        around = await surroundings(run, claim.path)
        frame = Frame(
            run,
            claim.path,
            fence=self.keys.frame(claim.rid, claim.path),
            epoch=claim.epoch,
            lane="",
            around=around,
            results=Results(self.store, self.blobs, claim.rid),
            cursor=claim.cursor,
            sequence=claim.sequence,
            now_ms=claim.now_ms,
            mark=claim.mark,
            deaths=claim.deaths,
        )
        if claim.path == CANCEL_FRAME:
            event = await Listening(frame, CANCEL_FRAME).cancelling(plan.workflow.cancel_on)
            await self.store.cancel(claim.rid, f"cancelled by the event {event.name}", self.settings.retention_ms)
            raise Lost
        if around.fan is None:
            await frame.run_root()
            return
        try:
            succeeded = await frame.run_one(around.fan)
        except StopRun as stop:
            await frame.end_run(stop)
            raise Lost from None
        self.crash_point("before_finish_item")
        await self.store.finish_item(await frame.move(frame.failed_at), self.worker, not succeeded, frame.done_fans)
        self.crash_point("after_finish_item")

    async def _give_up(self, claim: Claim, error: AiflowError, masker: Masker) -> None:
        """What aiflow itself cannot go on with fails the run, with the reason in its record; it can be retried."""
        path = error.path if isinstance(error, NotKept) else claim.path
        plan = self._plans.get(claim.version)
        step = plan.step_at(path) if plan is not None else None
        described = {
            "type": error.type if isinstance(error, StepError) else "store" if isinstance(error, StoreError) else "internal",
            "message": masker.text(error.message), "step": path, "data": {}, "attempts": 1, "index": None, "transient": False,
            "at": claim.workflow if plan is None or step is None else f"{plan.workflow.file}:{step.line}:{step.column}",
            "hint": error.hint,
        }  # fmt: skip
        with contextlib.suppress(Lost):
            await self.store.give_up(claim, self.worker, described, self.settings.retention_ms)
        if claim.path:  # the run's end lets go of its root only
            await self.store.drop(claim.rid, claim.path, self.worker, claim.epoch)

    # -- what frames ask for -----------------------------------------------------------------------------------

    async def plan(self, version: str) -> CompiledPlan:
        """The compiled plan of a version, loaded from the store when this process has not seen it."""
        plan = self._plans.get(version)
        if plan is None:
            plan = compile_plan(await self.store.plan(version), version)
            self._plans[version] = plan
            self.on_plan(plan)
            if len(self._plans) > PLANS_KEPT:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(version)
        return plan

    def prompt(self, plan: CompiledPlan, cs: CompiledStep) -> Prompt | None:
        """The prompt file of a step, or the template of an email, parsed once."""
        if cs.step.prompt is None:
            return None
        key = (plan.version, cs.step.prompt)
        if key not in self._prompts:
            parse = parse_email if cs.step.kind == "email" else parse_prompt
            self._prompts[key] = parse(plan.workflow.prompts[cs.step.prompt])
        return self._prompts[key]

    async def frame_state(self, rid: str, path: str, default_ms: int) -> tuple[bytes, int, str, int]:
        """(cursor, sequence, mark, time of the last checkpoint) of an item that a lane has to go on with."""
        c, q, m, t = await self.store.read("HMGET", self.keys.frame(rid, path), "c", "q", "m", "t")
        return c or b"", int(q or 0), (m or b"").decode(), int(t or default_ms)

    def offline(self, cs: CompiledStep, run: RunContext) -> bool:
        """Whether offline models answer a step, which asks nobody and waits for nobody's limit."""
        if cs.step.kind in ("llm", "embed") and run.meta.get("offline"):
            return True
        names = self._models(run.plan, cs.step)
        return bool(names) and not any(run.services.gateway().needs_litellm(name) for name in names)

    def _models(self, plan: CompiledPlan, step: Step) -> list[str]:
        """The models that a step names, as far as they are known before it runs."""
        if step.kind not in ("llm", "embed"):
            return []
        model = step.config.get("model")
        if model is None and step.prompt is not None:
            model = parse_prompt(plan.workflow.prompts[step.prompt]).options.get("model")
        return [name for name in (model if isinstance(model, list) else [model]) if isinstance(name, str) and "{" not in name]

    def _preload(self, run: RunContext) -> None:
        """Import litellm, which takes seconds, while the steps before the first call run; not for calls that may be cached."""
        if run.plan.version in self._preloaded_for:
            return
        self._preloaded_for.add(run.plan.version)
        gateway = run.services.gateway()
        asking = (step for _, step in walk_paths(run.plan.workflow) if step.cache_ms is None)
        names = {name for step in asking for name in self._models(run.plan, step)}
        if any(gateway.needs_litellm(name) for name in names):
            self._background.add(task := asyncio.get_running_loop().create_task(gateway.preload()))
            task.add_done_callback(self._preloaded)

    def _preloaded(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("litellm could not be imported: %s", task.exception())

    # -- stopping ----------------------------------------------------------------------------------------------

    async def stop(self, grace_s: float, cut: asyncio.Event | None = None) -> None:
        """Take nothing new, let running steps finish for `grace_s`, then hand everything on.

        Args: cut: until it is set, steps that must not be repeated may take longer: cut off, nobody would know of their effect.
        """
        self.stopping = True
        self.turns.stop()
        await self._wait_for_tasks(grace_s)
        if cut is not None:
            while self.unrepeatable and not cut.is_set():
                await self._wait_for_tasks(CUT_S)
            await self._wait_for_tasks(grace_s)  # until what they gave is written
        await cancelled(self._tasks)

    async def _wait_for_tasks(self, seconds: float) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=seconds)

    @contextlib.contextmanager
    def keeping(self, rid: str, path: str) -> Iterator[None]:
        """Around the effect of a step that must not be repeated."""
        self.unrepeatable[rid, path] = None
        try:
            yield
        finally:
            self.unrepeatable.pop((rid, path), None)

    def cancel(self, rid: str, prefix: str = "", epoch: int | None = None) -> None:
        """Drop the frames of a run that were cancelled: those whose path has a prefix, claimed up to an epoch."""
        for task, (owner, path) in self._tasks.items():
            if owner == rid and path.startswith(prefix) and (epoch is None or self._epochs.get(task, epoch + 1) <= epoch):
                self._unwanted.add(task)
                task.cancel()

    # -- tests -------------------------------------------------------------------------------------------------

    def crash_point(self, name: str) -> None:
        """Die here if a test asks for it (`AIFLOW_CRASH=after_effect:3=kill`); does nothing otherwise."""
        if not self._crash or name not in self._crash:
            return
        count, _, action = self._crash[name].partition("=")
        left = int(count) - 1
        if left > 0:
            self._crash[name] = f"{left}={action}"
            return
        del self._crash[name]
        if action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)


def crash_points(text: str) -> dict[str, str]:
    """Parse `AIFLOW_CRASH`: `point:n=kill` or `point:n=stop`, separated by semicolons; n counts from 1."""
    found = {}
    for part in filter(None, text.split(";")):
        name, _, rest = part.partition(":")
        found[name] = rest if "=" in rest else f"{rest or 1}=kill"
    return found
