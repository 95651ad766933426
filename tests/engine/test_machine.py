"""Any small plan under any crashes, stolen leases, lost and doubled messages finishes, and records each step once."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from aiflow.app import App
from aiflow.engine.host import Host
from aiflow.errors import RunError
from aiflow.settings import Settings
from aiflow.store.records import Record
from tests.support import ledger
from tests.support.project import Project, with_settings

Steps = list[dict[str, Any]]

Expected = dict[str, tuple[str | None, bool]]
KINDS = ("python", "set", "wait", "wait_for", "call", "do", "parallel", "switch")

LEASE_MS = 60_000  # nothing expires by itself here
PATIENCE_S = 20


def effect(**with_: Any) -> dict[str, Any]:
    return {"python": "tests.support.ledger:effect", **({"with": with_} if with_ else {})}


leaves = st.sampled_from(
    [
        effect(),
        effect(value=[1, {"a": None}]),
        {**effect(first_fail=2), "retry": {"times": 2, "delay": "1ms"}},
        {**effect(first_fail=1), "retry": {"times": 1, "delay": "1050ms", "jitter": False}},
        effect(broken=True),
        {**effect(first_fail=9), "on_error": "continue"},
        {**effect(first_fail=9), "on_error": [effect()]},
        {**effect(), "timeout": "30s"},
        {"set": {"x": 1}},
        {"wait": "3ms"},
        {"wait_for": "tick"},
        {"call": "child.yaml"},
    ]
)
CHILD: Steps = [effect(), {"wait": "3ms"}, effect()]
NEVER = "run.id == 'no'"
ALWAYS_FAILS = effect(first_fail=99)


def blocks(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.lists(inner, min_size=1, max_size=3)
    fan = {"each": st.integers(1, 5).map(lambda n: f"range({n})"), "concurrency": st.integers(1, 4), "do": lists}
    again = lists.map(lambda steps: {"do": [*steps, {"python": "tests.support.ledger:once"}], "retry": {"times": 9, "delay": "1ms", "backoff": 1}})
    passes = {"until": st.integers(0, 2).map(lambda n: f"index == {n}"), "do": lists}
    split = {"parallel": st.dictionaries(st.sampled_from("abc"), lists, min_size=1, max_size=3)}
    many = {"each": st.integers(1, 3).map(lambda n: f"range({n})"), **split}
    pick = {"switch": st.just("'b'"), "cases": st.fixed_dictionaries({"a": st.just([effect()]), "b": lists})}
    first = {**split, "join": st.just("first")}
    one_by_one = {**split, "concurrency": st.just(1)}
    split_again = lists.map(
        lambda steps: {"parallel": {"a": [effect(), *steps, {"python": "tests.support.ledger:once"}], "b": steps}, "retry": {"times": 9, "delay": "1ms"}}
    )
    some = lists.map(lambda steps: {"each": "range(3)", "allow_failures": 3, "concurrency": 2, "do": [*steps, ALWAYS_FAILS]})
    other = {"switch": st.just("'z'"), "cases": st.just({"a": [effect()]}), "else": lists}
    each_other = {"each": st.just("range(2)"), **other}
    late = lists.map(lambda steps: {"do": [*steps, {"wait": "1h"}], "timeout": "40ms", "on_timeout": "continue"})
    skipped = {"if": st.just(NEVER), **split}
    instead = {"if": st.just(NEVER), "do": lists, "else": lists}
    kinds = (
        {"do": lists}, fan, fan, passes, split, split, many, pick, first, one_by_one, other, each_other, skipped, instead,
    )  # fmt: skip
    return st.one_of(*(st.fixed_dictionaries(kind) for kind in kinds), again, split_again, some, late)


plans = st.lists(st.recursive(leaves, blocks, max_leaves=6), min_size=1, max_size=4)
deeds = st.lists(
    st.sampled_from(["deliver"] * 6 + ["crash", "crash", "steal", "lose", "double", "cancel", "pause", "pause", "send"]), max_size=60
)


def expected(steps: Steps, prefix: str, anew: bool = False) -> Expected:
    """Path of every record -> (status, whether a retried block around it may overwrite it)."""
    found: Expected = {}
    for number, step in enumerate(steps, 1):
        kind = next(key for key in step if key in KINDS)
        path = f"{prefix}.{kind}@{number}" if prefix else f"{kind}@{number}"
        if step.get("if") == NEVER:
            found[path] = ("ok" if "else" in step else "skipped", anew)
            found |= expected(step.get("else", []), f"{path}.else", anew)
            continue
        found[path] = ("failed" if step.get("on_error") == "continue" or step == ALWAYS_FAILS else "ok", anew)
        if isinstance(step.get("on_error"), list):
            found |= expected(step["on_error"], f"{path}.on_error", anew)
        if kind in ("do", "parallel", "switch"):
            inner = anew or "retry" in step
            times = int(step["each"][6:-1]) if "each" in step else int(step["until"][9:]) + 1 if "until" in step else None
            for place in [path] if times is None else [f"{path}[{n}]" for n in range(times)]:
                found[place] = ("failed" if "allow_failures" in step else "timed_out" if "on_timeout" in step else "ok", anew)
                found |= inside(step, kind, place, inner)
            if times is not None:
                found[path] = ("ok", anew)
    return found


def inside(step: dict[str, Any], kind: str, place: str, anew: bool) -> Expected:
    """What one item, pass or the step itself records below its own path."""
    if kind == "do":
        found = expected(step["do"], place, anew)
        return uncertain(found) if "on_timeout" in step or "allow_failures" in step else found
    if kind == "switch":
        name, steps = ("else", step["else"]) if "else" in step else ("b", step["cases"]["b"])
        return expected(steps, f"{place}.{name}", anew)
    found = {}
    for name, steps in step["parallel"].items():
        found[f"{place}.{name}"] = ("ok", True)  # cancelled when another failed: recorded anew by a retry of the run
        found |= expected(steps, f"{place}.{name}", anew)
    return uncertain(found) if step.get("join") == "first" else found


def uncertain(found: Expected) -> Expected:
    """Steps that may have been reached, or not."""
    return dict.fromkeys(found, (None, True))


class Machine:
    """Two hosts without consumers: messages are handed to them, or not, by the test."""

    def __init__(self, app: App, project: Project, steps: Steps, rid: str) -> None:
        self.app = app
        self.project = project
        self.rid = rid
        self.plan = expected(steps, "")
        self.hosts: list[Host] = []
        self.faults = self.deaths = self.unaware = 0
        self.done: dict[str, tuple[Record, int]] = {}

    async def join(self) -> None:
        """A new worker."""
        host = self.app.host()
        host.bind()

        async def register() -> None:
            await self.script("register", host.worker, LEASE_MS, "{}")

        host.on_unknown = register
        await register()
        self.hosts.append(host)

    async def script(self, name: str, *args: Any) -> Any:
        return await self.app.commit.call(name, (self.app.keys.ns,), args)

    async def deliver(self, copies: int = 1) -> None:
        """Hand the oldest message to the first host, which goes to the end of the row."""
        for body in await self.script("fetch", 1):
            rid, path = yaml.safe_load(body)["args"]
            for _ in range(copies):
                self.hosts.append(self.hosts.pop(0))
                if self.hosts[-1]._room.acquire(blocking=False):
                    self.hosts[-1]._begin(rid, path)

    async def double(self) -> None:
        await self.deliver(3)

    async def lose(self) -> None:
        await self.script("fetch", 1)
        self.faults += 1

    async def crash(self) -> None:
        """Its tasks stop where they are and release nothing; then others notice."""
        host = self.hosts.pop()
        host.stopping = True
        tasks = list(host._tasks)
        while any(not task.done() for task in tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=0.05)
        await self.join()
        await self.take_from(host)

    async def steal(self) -> None:
        """Its lease ends although it lives and goes on working."""
        self.unaware += 1
        await self.take_from(self.hosts[0])

    async def take_from(self, host: Host) -> None:
        """Two deaths count, the others do not: a third one would be the step's own fault."""
        self.faults += 1
        self.deaths += 1
        await self.script("reap", 500, LEASE_MS, host.worker, int(self.deaths > 2))

    async def cancel(self) -> None:
        with contextlib.suppress(RunError):
            await self.app.client.cancel(self.rid)
            self.faults += 1
            await self.retry()

    async def retry(self) -> None:
        with contextlib.suppress(RunError):
            await self.app.client.retry(self.rid)
            self.faults += 1
            self.unaware += 1

    async def hurry(self) -> None:
        """Fire what is due; what is due in a second or later is due now."""
        timers = self.app.keys.named("timers")
        now = self.app.clock.now_ms()
        for name, due in self.project.redis.zrange(timers, 0, -1, withscores=True):
            if due > now + 500:
                self.project.redis.zadd(timers, {name: 1})
        await self.script("fire_timers", 500)

    async def send(self) -> None:
        await self.app.client.send("tick", {})

    async def pause(self) -> None:
        await asyncio.sleep(0.002)

    def look(self) -> None:
        """What is recorded as done stays as it is, and has no further effect, but for one that was on its way in a worker
        whose claim was void already and that had not noticed."""
        counts = Counter(ledger.effects)
        for path, record in self.project.records(self.rid).items():
            if path in self.plan and not self.plan[path][1] and record.done:
                count = counts[f"{self.rid}:{path}"]
                first, before = self.done.setdefault(path, (record, count))
                assert record == first, path
                assert count <= before + self.unaware, (path, before, count)

    async def finish(self) -> None:
        """No more faults: everything that is due goes on until the run has ended well."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        while (status := self.project.status(self.rid)) != "ok":
            await self.hurry()
            if not self.project.redis.llen(self.app.keys.queue()):
                await self.script("rewake", 100, 500)
                await self.send()
            await self.deliver()
            await asyncio.sleep(0)
            self.look()
            if status in ("failed", "cancelled"):
                ledger.mended.add(self.rid)
                await self.retry()
            assert loop.time() < deadline, (status, self.project.redis.hgetall(self.project.keys.run(self.rid)))

    def judge(self) -> None:
        """Every step is recorded, and nothing else; no step took effect without need."""
        records = self.project.records(self.rid)
        sure = {path: status for path, (status, _) in self.plan.items() if status is not None}
        assert {path: record.status for path, record in records.items() if path in sure or path not in self.plan} == sure
        assert all(record.started and record.finished >= record.started - 1 for record in records.values()), records
        for key, count in Counter(ledger.effects).items():
            rid, _, path = key.partition(":")
            if rid != self.rid or not self.plan[path][1]:
                assert count <= 10 + self.faults, (path, count)

    def runs(self) -> list[str]:
        """The run, and those that it called."""
        return [rid.decode() for rid in self.project.redis.zrange(self.app.keys.named("runs"), 0, -1)]


async def live(root: Settings, steps: Steps, acts: list[str]) -> None:
    """One run of the plan under the given deeds."""
    project = Project(with_settings(root, namespace=f"m{uuid.uuid4().hex[:12]}", lease_ms=LEASE_MS))
    ledger.effects.clear()
    ledger.mended.clear()
    try:
        async with App(project.settings) as app:
            project.load(yaml.safe_dump({"steps": CHILD}), "child")
            rid = await app.client.start(project.load(yaml.safe_dump({"steps": steps})), {})
            machine = Machine(app, project, steps, rid)
            await machine.join()
            await machine.join()
            for act in acts:
                deed: Callable[[], Awaitable[None]] = getattr(machine, act)
                await deed()
                await machine.script("fire_timers", 500)
                await asyncio.sleep(0)
                machine.look()
            await machine.finish()
            for host in machine.hosts:
                await host.stop(5)
            machine.judge()
            await project.assert_at_rest(*machine.runs())
            assert not list(project.redis.scan_iter(f"{project.keys.ns}:ev:*:waiting"))
    finally:
        project.close()


@settings(
    max_examples=80, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@example(steps=[{"parallel": {"a": [effect()], "c": [{"parallel": {"a": [effect()], "b": [effect()]}}]}, "join": "first"}], acts=[])
@given(steps=plans, acts=deeds)
def test_any_plan_under_any_faults(store_settings: Settings, steps: Steps, acts: list[str]) -> None:
    asyncio.run(live(store_settings, steps, acts))
