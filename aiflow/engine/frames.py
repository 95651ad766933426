"""One frame: claim -> steps, one after another, each checkpointed before the next effect -> end, or hand-over.

The position in a frame is a stack of [index, slot, state]: one entry per list of steps that is open. Slots:

    None        step `index` begins
    @           its next attempt begins; state {"n": attempt, "w": until when it waits}
    do          inside its own list; state {"n": attempt} from the second attempt on, {"until": ms} with a timeout
    else        inside its `else`
    each        its fan-out was started
    on_error, on_timeout   inside a handler; state {"error": …, "n": attempts, "ran": a step of it was not skipped}

The stack is the cursor: every checkpoint stores it, a new claim goes on from it. Results of pure steps ride on the
next checkpoint; after a crash they are computed again.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from aiflow.clock import rfc3339
from aiflow.engine.failure import NEVER_RETRIED, Failed, Leave, StopRun, describe
from aiflow.engine.fans import Fans
from aiflow.engine.retry import backoff_ms
from aiflow.engine.scope import Results, StepsView
from aiflow.errors import ExpressionError, StepError, StoreError
from aiflow.language.expressions import PROJECT
from aiflow.plan import CompiledPlan, CompiledStep, join
from aiflow.steps._kind import Context, Done, Stop, Usage, Wait
from aiflow.store.records import Record, encode_record
from aiflow.store.runs import NO_USAGE, Claim, Lost, Move
from aiflow.values import Value, decode, encode

if TYPE_CHECKING:
    from aiflow.engine.host import Host

INLINE_RETRY_MS = 1_000  # a longer delay lets go of the frame; a shorter one is cheaper to sit out
MOST_RETRY_AFTER_MS = 3_600_000  # a provider that asks for more is asked again after an hour
SUSPECT = 2  # a frame in which so many workers died works alone, so that only the right one is blamed
DEATHS = 3  # a step that kills its worker so often is not tried again
BLOB_PAUSES_S = (1.0, 4.0, 10.0)  # a blob store in trouble is asked again

_cursor_encoder = msgspec.json.Encoder()
_cursor_decoder = msgspec.json.Decoder()

Entry = list[Any]  # [index, slot, state]


class RunContext:
    """What all frames of one run share in this process while one of them is claimed."""

    def __init__(self, host: Host, plan: CompiledPlan, claim: Claim) -> None:
        self.host = host
        self.plan = plan
        self.claim = claim
        self.rid = claim.rid
        self.generation = claim.generation
        self.created_ms = claim.created_ms
        self.cost = claim.cost
        self.inputs: dict[str, Value] = decode(claim.inputs)
        self.env: dict[str, str] = decode(claim.environment) if claim.environment else {}
        self.meta: dict[str, Any] = decode(claim.meta) if claim.meta else {}
        self.settled: dict[str, Value] = self.meta.get("settled", {})
        self.run_dir = host.settings.state_dir / "runs" / claim.rid
        self.secrets: dict[str, bytes] = {}
        self.view: dict[str, Any] = {
            "id": claim.rid,
            "url": self.meta.get("url", ""),
            "dir": str(self.run_dir),
            "started_at": rfc3339(claim.created_ms),
            "status": "running",
            "event": self.meta.get("event"),
            "workflow": plan.workflow.name,
            "version": plan.version,
        }

    def budget_left(self) -> float | None:
        """Dollars left, or None without a budget."""
        limits = [limit for limit in (self.plan.workflow.budget, self.meta.get("max_cost")) if limit is not None]
        return min(limits) - self.cost if limits else None

    def secret(self, name: str) -> str:
        """A secret's value; remembered so that it is masked wherever it would be written."""
        value = self.host.secret(name)
        if value is None:
            raise StepError("secret", f"the secret {name} is not set", hint=f"set the environment variable {name}")
        if len(value) >= 4:
            self.secrets[name] = value.encode()
        return value

    def mask(self, raw: bytes) -> bytes:
        """`raw` with every secret that was used replaced by ***."""
        for value in self.secrets.values():
            if value in raw:
                raw = raw.replace(value, b"***")
        return raw


class _Secrets(dict[str, str]):
    """`secrets` in expressions: looked up when used."""

    def __init__(self, run: RunContext) -> None:
        super().__init__()
        self._run = run

    def __missing__(self, name: str) -> str:
        return self._run.secret(name)

    def __contains__(self, name: object) -> bool:
        return True


class Frame:
    """One claimed frame (the root, or an item) at work.

    Args:
        fence: key of the frame whose epoch guards our writes: our own, or that of the lane we run in.
        lane: path of that lane, "" when the frame has a claim of its own.
        prefixes: for each block that can be seen, the path of its frame.
        loop: `item`, `index`, `previous` of the loops around.
    """

    def __init__(
        self,
        run: RunContext,
        path: str,
        *,
        fence: str,
        epoch: int,
        lane: str,
        prefixes: dict[int, str],
        loop: dict[str, Value],
        results: Results,
        cursor: bytes = b"",
        sequence: int = 0,
        now_ms: int = 0,
        mark: str = "",
        deaths: int = 0,
        index: int | None = None,
        item: Value = None,
    ) -> None:
        self.run = run
        self.host = run.host
        self.store = run.host.store
        self.plan = run.plan
        self.path = path
        self.fence = fence
        self.frame_key = self.store.keys.frame(run.rid, path)
        self.epoch = epoch
        self.lane = lane
        self.results = results
        self.sequence = sequence
        self.now_ms = now_ms
        self.mark = mark
        self.deaths = deaths
        self.index = index
        self.item = item
        self.stack: list[Entry] = []
        self.list_name = "steps"
        self.extra: dict[str, Any] = {}
        self.stopped_at: bytes | None = None  # cursor of the step whose failure ended the frame
        self.bounded = 0  # timeouts that are running
        self.failed_at = b""  # the same, once an item has ended
        self.pending: list[tuple[str, Record]] = []
        self.usage: Usage | None = None
        self.lines: list[bytes] = []
        self.done_fans: list[tuple[str, int]] = []  # fan-outs that the next checkpoint moves past
        self.deadlines: list[int] = []  # of the blocks with a `timeout` that are open, ms
        self.prefixes = prefixes
        self.steps_view = StepsView(run.plan, results, prefixes)
        self.base: dict[str, Any] = {
            "inputs": run.inputs,
            "steps": self.steps_view,
            "run": run.view,
            "env": run.env,
            "event": run.meta.get("event"),
            "now": self.now_text,
            PROJECT: self.host.settings.root,
            **loop,
        }
        self.resume: dict[str, Any] | None = _cursor_decoder.decode(cursor) if cursor else None

    # -- the whole frame ---------------------------------------------------------------------------------------

    async def run_root(self) -> None:
        """Run the workflow's own steps to the end of the run. Raises Leave, Lost."""
        at = None
        if self.resume:
            self.list_name = self.resume["l"]
            self.extra = self.resume.get("x", {})
            at = self.resume["s"]
        value: Value = None
        if self.list_name == "steps":
            try:
                value = await self._run_steps(at)
                self.extra = {"status": "ok"}
            except StopRun as stop:
                self.extra = {"status": "stopped", "outputs": stop.outputs, "reason": stop.reason}
            except StepError as error:
                self.extra = {"status": "failed", "error": self._described(error), "at": self._failed_cursor()}
            if self.extra["status"] == "ok":
                self._outputs(value)
            at = None
            self.list_name = "on_error" if self.extra["status"] == "failed" else "finally"
        await self._closing(at)
        await self._finish()

    async def _run_steps(self, at: list[Entry] | None) -> Value:
        """The workflow's own steps, within the `timeout` of the run."""
        timeout_ms = self.plan.workflow.timeout_ms
        if timeout_ms is None:
            return await self.run_list(self.plan.steps, at)
        self.deadlines.append(self.run.created_ms + timeout_ms)
        try:
            left_ms = self.deadlines[-1] - self.clock()
            return (await self._bounded(left_ms, timeout_ms, self._listed(at))).output
        finally:
            self.deadlines.pop()

    async def _listed(self, at: list[Entry] | None) -> Done:
        return Done(await self.run_list(self.plan.steps, at))

    def _described(self, error: StepError) -> dict[str, Any]:
        return error.error if isinstance(error, Failed) else {
            "type": error.type, "message": error.message, "step": "", "data": error.data, "attempts": 1,
            "index": None, "transient": error.transient, "at": f"{self.plan.workflow.file}:1:1",
        }  # fmt: skip

    def _outputs(self, value: Value) -> None:
        if self.plan.outputs is None:
            self.extra["outputs"] = value
            return
        try:
            self.extra["outputs"] = self.plan.outputs.evaluate(self.base)
        except ExpressionError as error:
            self.extra = {"status": "failed", "error": {**self._described(error), "step": "outputs"}}

    async def _closing(self, at: list[Entry] | None) -> None:
        """The workflow's `on_error`, then its `finally`. What fails in them is recorded beside the run's own end."""
        self.run.view["status"] = self.extra["status"]
        self.base["error"] = self.extra.get("error")
        for name, steps in (("on_error", self.plan.on_error), ("finally", self.plan.finally_)):
            if name == "finally" and self.list_name == "on_error":
                self.list_name, at = "finally", None
            if not steps or self.list_name != name:
                continue
            try:
                await self.run_list(steps, at)
            except StopRun:
                pass
            except StepError as error:
                self.lines.append(self.store.line("handler_failed", list=name, error=self._described(error)))
            self.stack.clear()

    async def _finish(self) -> None:
        status, error = self.extra["status"], self.extra.get("error")
        outputs = await self._outputs_raw(self.extra.get("outputs"))
        at = self.extra.get("at")
        move = await self.move(at.encode() if at else b"")
        if status == "failed" and error:
            move.journal = self.store.line("run_failed", path=error["step"], type=error["type"], message=error["message"])
        elif status == "stopped":
            move.journal = self.store.line("run_stopped", reason=self.extra.get("reason", ""))
        raw_error = self.run.mask(msgspec.json.encode(error)) if error else b""
        self.host.crash_point("before_finish")
        await self.store.finish_run(
            move, self.host.worker, status, outputs, raw_error, self.host.settings.retention_ms
        )  # fmt: skip
        self.host.crash_point("after_finish")

    async def _outputs_raw(self, outputs: Value) -> bytes:
        if outputs is None:
            return b""
        raw = self.run.mask(encode(outputs))
        if len(raw) <= self.host.settings.blob_limit:
            return raw
        return msgspec.json.encode({"$blob": await self.host.blobs.put(raw)})

    async def run_item(self, body: CompiledStep) -> tuple[bool, Value]:
        """Run one item of an `each`: (succeeded, output). Raises Leave, Lost, StopRun."""
        entry: Entry = [0, None, None]
        slot = state = rest = None
        if self.resume and self.resume["s"]:
            _, slot, state = (*self.resume["s"][0], None, None)[:3]
            rest = self.resume["s"][1:] or None
        self.stack.append(entry)
        try:
            if body.refs:
                await self.need(body.refs)
            return True, await self.body(body, self.path, entry, slot, state, rest)
        except StepError:
            self.failed_at = self._failed_cursor().encode()  # a retry of the run goes on at the step that failed
            if self.lane and (self.sequence or body.lists):
                await self.flush(cursor=self.failed_at)
            return False, None

    async def end_run(self, stop: StopRun) -> None:
        """A `stop` inside an item ends the whole run."""
        self.extra = {"status": "stopped", "outputs": stop.outputs, "reason": stop.reason}
        await self._finish()

    # -- lists and steps ---------------------------------------------------------------------------------------

    async def run_list(self, steps: list[CompiledStep], at: list[Entry] | None) -> Value:
        """Run a list from its beginning, or from `at`; the output of its last step."""
        entry: Entry = [0, None, None]
        depth = len(self.stack)
        self.stack.append(entry)
        slot = state = rest = None
        first = 0
        if at:
            first, slot, state = (*at[0], None, None)[:3]
            rest = at[1:] or None
        value: Value = None
        for number in range(first, len(steps)):
            entry[0], entry[1], entry[2] = number, None, None
            value = await self.step(steps[number], entry, slot, state, rest)
            slot = state = rest = None
        del self.stack[depth:]
        return value

    async def step(
        self, cs: CompiledStep, entry: Entry, slot: str | None, state: Any, rest: list[Entry] | None
    ) -> Value:
        """One step with everything around it."""
        if cs.refs:
            await self.need(cs.refs)
        if slot is None and cs.cond is not None and not self._condition(cs):
            if cs.else_ is None:
                self.keep(cs, join(self.path, cs.sub), Record(status="skipped", started=self.clock(), finished=self.clock()))
                return None
            slot = "else"
        if slot == "else":
            entry[1] = "else"
            started = self.clock()
            value = await self.run_list(cs.else_ or [], rest)
            self.keep(cs, join(self.path, cs.sub), Record(output=value, started=started, finished=self.clock()))
            self._ran()
            return value
        self._ran()
        if cs.each is not None:
            return await Fans(self).run(cs, entry, slot)
        return await self.body(cs, join(self.path, cs.sub), entry, slot, state, rest)

    def _condition(self, cs: CompiledStep) -> bool:
        assert cs.cond is not None
        path = join(self.path, cs.sub)
        try:
            return bool(cs.cond.evaluate(self.scope(cs, path, 1)))
        except StepError as error:
            raise self.failed(cs, path, error, 1) from None

    def _ran(self) -> None:
        if len(self.stack) > 1 and self.stack[-2][1] in ("on_error", "on_timeout"):
            self.stack[-2][2]["ran"] = True

    async def body(
        self, cs: CompiledStep, path: str, entry: Entry, slot: str | None, state: Any, rest: list[Entry] | None
    ) -> Value:
        """Attempts, then handlers, then `output`."""
        started = self.clock()
        attempt = (state or {}).get("n", 1)
        if slot in ("on_error", "on_timeout"):
            return await self.handle(cs, path, entry, state["error"], attempt, started, slot, rest)
        due_ms = state.get("w", 0) if slot == "@" else 0
        if due_ms > self.clock():  # woken too early: the run was cancelled and opened again
            entry[1], entry[2] = slot, state
            await self.leave(due_ms)
        resumed = due_ms > 0
        until: int | None = (state or {}).get("until") if slot == "do" else None
        while True:
            try:
                if self.run.settled and path in self.run.settled:
                    outcome = Done(self.run.settled[path], meta={"settled": True})
                    value = outcome.output
                    break
                if self.mark and self.mark == self._mark(path):
                    self.mark = ""
                    raise _unknown_outcome(self.run.rid, path)
                outcome = await self.attempt(cs, path, attempt, entry, rest if slot == "do" else None, resumed, until)
                value = outcome.output
                if cs.output is not None:
                    value = cs.output.evaluate({**self.scope(cs, path, attempt), "result": value})
                break
            except StepError as error:
                described = describe(self.plan, cs, error, path, attempt, self.index)
                if not isinstance(error, Failed) and isinstance(paid := error.data.get("usage"), dict):
                    self.add_usage(Usage(**paid))
                delay = self.retry_delay(cs, path, error, described, attempt)
                if delay is None:
                    return await self.handle(cs, path, entry, described, attempt, started, None, None)
                await self.wait_to_retry(path, entry, described, attempt, delay)
                attempt += 1
                slot = rest = until = None
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
        self, cs: CompiledStep, path: str, attempt: int, entry: Entry, rest: list[Entry] | None, resumed: bool,
        until: int | None = None,
    ) -> Done:
        """One try of a step, bounded by its timeout. Raises StepError, StopRun, Leave."""
        timeout_ms = cs.step.timeout_ms
        if timeout_ms is None:
            return await self._attempt(cs, path, attempt, entry, rest, resumed)
        if cs.kind.run is not None:
            return await self._bounded(timeout_ms, timeout_ms, self._attempt(cs, path, attempt, entry, rest, resumed))
        # A block may be let go of and claimed again: what counts is the moment when its time is up.
        self.deadlines.append(until or self.clock() + timeout_ms)
        try:
            left = self.deadlines[-1] - self.clock()
            if left <= 0 and rest and (fan := self._open_fan(cs.lists["do"], rest)):
                await self.store.stop_fan(self.run.rid, fan)
            return await self._bounded(left, timeout_ms, self._attempt(cs, path, attempt, entry, rest, resumed))
        finally:
            self.deadlines.pop()

    async def _bounded(self, left_ms: int, timeout_ms: int, work: Coroutine[Any, Any, Done]) -> Done:
        if left_ms <= 0:
            work.close()
            raise _too_long(timeout_ms)
        self.bounded += 1
        try:
            async with asyncio.timeout(left_ms / 1000) as limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
            raise _too_long(timeout_ms) from None
        finally:
            self.bounded -= 1

    @property
    def deadline(self) -> int | None:
        """When the first of the open blocks has to be done, or None."""
        return min(self.deadlines, default=None)

    def _open_fan(self, steps: list[CompiledStep], rest: list[Entry]) -> str | None:
        """Path of the fan-out that the position `rest` waits for, if it waits for one."""
        for entry in rest:
            number, slot, _ = (*entry, None, None)[:3]
            step = steps[number]
            if slot == "each":
                return join(self.path, step.sub)
            inner = {"do": step.lists.get("do"), "else": step.else_, "on_error": step.on_error, "on_timeout": step.on_timeout}
            steps = inner.get(slot) or []
        return None

    async def _attempt(
        self, cs: CompiledStep, path: str, attempt: int, entry: Entry, rest: list[Entry] | None, resumed: bool
    ) -> Done:
        kind = cs.kind
        if kind.run is None:
            entry[1], entry[2] = "do", {"n": attempt} if attempt > 1 else None
            if cs.step.timeout_ms is not None:
                entry[2] = {"n": attempt, "until": self.deadlines[-1]}
            return Done(await self.run_list(cs.lists["do"], rest))
        if self.deaths >= (2 * DEATHS if kind.pure else DEATHS):  # a pure step is hardly ever the one that kills
            deaths, self.deaths = self.deaths, 0
            raise StepError("quarantined", f"its worker died {deaths} times in this step; it is not tried again")
        if not kind.pure:
            await self.before_effect(cs)
        scope = self.scope(cs, path, attempt)
        config = cs.constant if cs.constant is not None else cs.config.evaluate(scope)
        data = cs.with_.evaluate(scope) if cs.with_ is not None else {}
        if not kind.pure and not _repeatable(cs, config):
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
            services=self.host.services,
            secret=self.run.secret,
            log=lambda text, level="info": self.lines.append(
                self.run.mask(self.store.line("log", path=path, level=level, text=str(text)))
            ),
            budget_left=self.run.budget_left,
            written=cs.step.config,
        )
        outcome = await kind.run(context, config)
        self.host.crash_point("after_effect")
        if isinstance(outcome, Done):
            if outcome.usage is not None:
                self.add_usage(outcome.usage)
            return outcome
        if isinstance(outcome, Stop):
            raise StopRun(outcome.reason, outcome.outputs)
        assert isinstance(outcome, Wait)
        entry[1], entry[2] = "@", {"n": attempt, "w": outcome.until_ms}
        await self.leave(outcome.until_ms)

    def _mark(self, path: str) -> str:
        """The start mark of a step that is not repeatable; a retry of the run makes earlier ones void."""
        return f"{self.run.generation}|{path}"

    async def before_effect(self, cs: CompiledStep) -> None:
        """Everything before is durable, shutdown and limits are looked at."""
        if self.host.stopping:
            await self.leave(0)
        if self.pending or self.lines:
            await self.flush()
        if cs.step.throttle is not None:
            await self.host.throttle(cs, self.plan)

    # -- failure -----------------------------------------------------------------------------------------------

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
        at, self.stopped_at = self.stopped_at, None
        self.stack.clear()
        return (at or self.cursor()).decode()

    def retry_delay(
        self, cs: CompiledStep, path: str, error: StepError, described: dict[str, Any], attempt: int
    ) -> int | None:
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
        self, path: str, entry: Entry, error: dict[str, Any], attempt: int, delay: int
    ) -> None:  # fmt: skip
        """Record the failed attempt, then sit out a short delay or let go of the frame for a long one."""
        entry[1], entry[2] = "@", {"n": attempt + 1}
        self._cut(entry)
        self.stopped_at = None
        journal = self.run.mask(
            self.store.line("attempt_failed", path=path, attempt=attempt, error=error, retry_in_ms=delay)
        )
        if delay > INLINE_RETRY_MS or self.host.stopping:
            await self.leave(self.clock() + delay, journal)
        await self.flush(journal=journal)
        await asyncio.sleep(delay / 1000)

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
            self.lines.append(self.run.mask(self.store.line("step_failed", **journal)))
            if self.stopped_at is None:
                entry[1] = entry[2] = None
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
        if cs.on_error == "continue":
            return self._passed_over(cs, path, "failed", error, attempts, started)
        if cs.on_error == "stop":
            raise StopRun(error["message"])
        if isinstance(cs.on_error, list):
            return await self._handlers(cs, path, entry, error, attempts, started, "on_error", cs.on_error, rest)
        status = "outcome_unknown" if error["type"] == "outcome_unknown" else "failed"
        self._settled(cs, path, status, error, attempts, started, None)
        raise Failed(error)

    def _passed_over(
        self, cs: CompiledStep, path: str, status: str, error: dict[str, Any], attempts: int, started: int
    ) -> None:
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
                item=self.item if path == self.path and self.index is not None and status != "ok" else None,
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
        ran = bool(isinstance(entry[2], dict) and entry[2].get("ran")) or bool(rest)
        entry[1], entry[2] = slot, {"error": error, "n": attempts, "ran": ran}
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
            value = cs.output.evaluate({**self.scope(cs, path, attempts), "result": value})
        return self._settled(cs, path, "ok", error, attempts, started, value)

    # -- scope -------------------------------------------------------------------------------------------------

    def is_last(self, cs: CompiledStep) -> bool:
        """Whether the list that `cs` stands in, or the run, hands its output on without naming it."""
        steps = self.plan.steps if len(self.stack) == 1 and not self.path else None
        if steps is not None:
            return steps[-1] is cs and self.plan.outputs is None
        return True

    async def need(self, ids: tuple[str, ...]) -> None:
        """Have the results of these steps at hand."""
        for id in ids:
            path = self.steps_view.path(id)
            if path is not None and not self.results.has(path):
                await self.results.load(path, self.path)

    def scope(self, cs: CompiledStep, path: str, attempt: int) -> dict[str, Any]:
        """The names that this step's expressions may use."""
        key = f"{self.run.rid}:{path}"
        scope = {**self.base, "step": {"id": cs.step.id, "key": key, "attempt": attempt}, "uuid": _uuids(key)}
        if cs.wants_secrets:
            scope["secrets"] = _Secrets(self.run)
        return scope

    def now_text(self) -> str:
        """`now()`: the time of the last checkpoint."""
        return rfc3339(self.now_ms)

    def clock(self) -> int:
        return self.host.clock.now_ms()

    # -- writing -----------------------------------------------------------------------------------------------

    def keep(self, cs: CompiledStep, path: str, record: Record) -> None:
        """A step's outcome; it becomes durable with the next checkpoint."""
        self.pending.append((path, record))
        if cs.step.id in self.plan.kept:
            self.results.put(path, record)

    def add_usage(self, usage: Usage) -> None:
        """What model calls used; counted into the run by the next checkpoint."""
        self.run.cost += usage.cost
        self.usage = usage if self.usage is None else self.usage + usage

    def cursor(self, fresh: bool = False) -> bytes:
        """The position, as stored. `fresh`: the innermost step as if it had not begun."""
        stack: list[Entry] = self.stack
        if fresh and stack and stack[-1][1] != "each":
            stack = [*stack[:-1], [stack[-1][0], None, None]]
        position: dict[str, Any] = {"l": self.list_name, "s": stack}
        if self.extra:
            position["x"] = self.extra
        return _cursor_encoder.encode(position)

    async def encoded(self) -> list[Any]:
        """The pending records, flat: path, record, path, record; large outputs go to the blob store first."""
        flat: list[Any] = []
        limit = self.host.settings.blob_limit
        for path, record in self.pending:
            try:
                raw = encode_record(record)
            except TypeError as error:
                record = Record(status="failed", error={"type": "expression", "message": str(error)})
                raw = encode_record(record)
            if len(raw) > limit and record.output is not None:
                ref = await self._put_blob(path, self.run.mask(encode(record.output)))
                raw = encode_record(msgspec.structs.replace(record, output=None, blob=ref))
            flat.append(path)
            flat.append(self.run.mask(raw) if self.run.secrets else raw)
        self.pending = []
        return flat

    async def _put_blob(self, path: str, raw: bytes) -> dict[str, Any]:
        """Store a large result; a blob store in trouble is given some time, since the result may have been paid for."""
        for pause in (*BLOB_PAUSES_S, None):
            try:
                return {**await self.host.blobs.put(raw)}
            except StoreError as error:
                if pause is None:
                    raise
                await self.store.log(self.run.rid, [self.store.line("blob_waits", path=path, text=error.message)])
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def move(self, cursor: bytes | None = None) -> Move:
        """Everything that is pending, as the next checkpoint."""
        if self.lines:
            lines, self.lines = self.lines, []
            await self.store.log(self.run.rid, lines)
        records = await self.encoded()
        usage = take_usage(self)
        self.sequence += 1
        return Move(
            rid=self.run.rid, path=self.path, fence=self.fence, frame=self.frame_key, epoch=self.epoch,
            sequence=self.sequence, cursor=self.cursor() if cursor is None else cursor, usage=usage,
            journal=b"", records=records,
        )  # fmt: skip

    async def flush(self, mark: str = "", journal: bytes = b"", cursor: bytes | None = None) -> None:
        """Make everything durable that was done so far."""
        move = await self.move(cursor)
        move.journal = journal
        self.host.crash_point("before_checkpoint")
        self.now_ms = await self.whole(self.store.checkpoint(move, mark))
        self.mark = ""
        if self.deaths:
            self.deaths = 0
            if self.lane:
                await self.store.begin(self.run.rid, self.fence, self.epoch, self.index)
            self.host.cleared(self if self.lane else self.run.claim)
        self.host.crash_point("after_checkpoint")
        while self.done_fans:
            await self.store.drop_fan(self.run.rid, self.fence, self.epoch, *self.done_fans.pop())

    async def leave(self, due_ms: int, journal: bytes = b"") -> NoReturn:
        """Let go of the frame until `due_ms`, or hand it on at once (0). Always raises."""
        move = await self.move()
        move.journal = journal
        if due_ms and self.deadline is not None:
            due_ms = min(due_ms, self.deadline)
        self.host.crash_point("before_park")
        with self.left():
            await self.whole(self.store.park(move, self.host.worker, self.actor, self.lane, due_ms))
        self.host.crash_point("after_park")
        raise Leave

    @contextlib.contextmanager
    def left(self) -> Iterator[None]:
        """Around the commit that lets go of the frame: a timeout that struck meanwhile comes too late."""
        try:
            yield
        except asyncio.CancelledError:
            if not self.bounded:
                raise

    async def whole(self, commit: Coroutine[Any, Any, int]) -> int:
        """A commit that a timeout does not leave half-way: whether it happened is known, then the timeout counts."""
        if not self.bounded:
            return await commit
        task, interrupted = asyncio.ensure_future(commit), False
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                interrupted = True
        now = task.result()
        if interrupted:
            raise asyncio.CancelledError
        return now

    @property
    def actor(self) -> str:
        """Name of the Dramatiq actor of this frame's block."""
        block = next((number for number, prefix in self.prefixes.items() if prefix == self.path), 0)
        return self.plan.actors.get(block, self.plan.workflow.name)


def take_usage(frame: Frame) -> tuple[Any, ...]:
    """The use of models since the last checkpoint, as script arguments."""
    usage, frame.usage = frame.usage, None
    return NO_USAGE if usage is None else (usage.cost, usage.tokens_in, usage.tokens_out, usage.calls)


def _too_long(timeout_ms: int) -> StepError:
    return StepError("timeout", f"took longer than {timeout_ms / 1000:g} s", transient=True)


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
        hint=f"find out, then: aiflow settle {rid} {path} --done (or --redo); write `repeatable: true` where repeating never hurts",
    )


def _uuids(key: str) -> Any:
    made = 0

    def make() -> str:
        nonlocal made
        made += 1
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"aiflow:{key}:{made}"))

    return make


__all__ = ["Frame", "Leave", "Lost", "RunContext"]
