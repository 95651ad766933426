"""Events: `emit`, `wait_for` and what a sender sees, in one worker."""

from __future__ import annotations

import asyncio

from aiflow.app import App
from tests.engine.conftest import Run
from tests.support.project import Project, ended, until

WAITS = """
    inputs: {id: string}
    steps:
      - id: paid
        wait_for: invoice.paid
        match: event.data.invoice.id == inputs.id and event.data.amount > 10
      - python: work:echo
    outputs: {paid: "{{ steps.paid.output.data.amount }}", name: "{{ steps.paid.output.name }}"}
    """


async def waiting(app: App, project: Project, rid: str) -> None:
    await until(lambda: project.status(rid) == "waiting", "the wait")


async def test_an_event_finds_the_run_that_waits_for_it(working: App, project: Project) -> None:
    flow = project.load(WAITS)
    rids = {id: await working.client.start(flow, {"id": id}) for id in ("a", "b", "c")}
    for rid in rids.values():
        await waiting(working, project, rid)
    claims = {id: project.redis.hget(project.keys.run(rid), "ec") for id, rid in rids.items()}
    await working.client.send("invoice.paid", {"invoice": {"id": "b"}, "amount": 5})  # too little
    await working.client.send("invoice.paid", {"invoice": {"id": "b"}, "amount": 50})
    await working.client.send("invoice.lost", {"invoice": {"id": "a"}, "amount": 50})
    info = await ended(working, rids["b"])
    assert (info.status, info.outputs) == ("ok", {"paid": 50, "name": "invoice.paid"}), info.error
    for id in ("a", "c"):  # nobody has asked them
        assert project.redis.hget(project.keys.run(rids[id]), "ec") == claims[id]
        assert project.status(rids[id]) == "waiting"
        await working.client.cancel(rids[id])
    await project.assert_at_rest(rids["b"])


async def test_an_event_that_comes_before_the_wait_is_not_lost(working: App, project: Project) -> None:
    await working.client.send("invoice.paid", {"invoice": {"id": "a"}, "amount": 1000})  # before the run
    rid = await working.client.start(
        project.load(WAITS.replace("steps:\n", "steps:\n      - python: work:gate\n        with: {name: open}\n", 1)), {"id": "a"}
    )
    await until(lambda: project.effects(), "the first step")
    await working.client.send("invoice.paid", {"invoice": {"id": "a"}, "amount": 11})
    await working.client.send("invoice.paid", {"invoice": {"id": "a"}, "amount": 12})
    project.touch("open")
    info = await ended(working, rid)
    assert info.outputs == {"paid": 11, "name": "invoice.paid"}, info.error


async def test_an_event_is_taken_by_one_wait(working: App, project: Project) -> None:
    rid = await working.client.start(
        project.load(
            """
            steps:
              - id: both
                parallel:
                  one: [{wait_for: tick}]
                  two: [{wait_for: [tock, tick]}]
              - id: third
                until: index == 1
                wait_for: tick
                output: "{{ result.data.n }}"
            outputs: {both: "{{ [steps.both.output.one.data.n, steps.both.output.two.data.n] | sort }}", third: "{{ steps.third.output }}"}
            """
        ),
        {},
    )
    await waiting(working, project, rid)
    for n in range(4):
        await working.client.send("tick", {"n": n})
    info = await ended(working, rid)
    assert (info.status, info.outputs) == ("ok", {"both": [0, 1], "third": 3}), info.error
    await project.assert_at_rest(rid)


async def test_the_time_runs_out(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: none
            wait_for: tick
            timeout: 50ms
            on_timeout: continue
          - id: told
            wait_for: [tick, tock]
            timeout: 50ms
            on_timeout:
              - set: {message: "{{ error.message }}"}
        outputs: {none: "{{ steps.none.status }}", told: "{{ steps.told.output.message }}"}
        """
    )
    assert (info.status, info.outputs) == ("ok", {"none": "timed_out", "told": "none of tick, tock came within 50ms"}), info.error
    await project.assert_at_rest(info.run_id)


async def test_the_same_id_counts_once(working: App, project: Project) -> None:
    first, new = await working.client.send("tick", {"n": 1}, id="once")
    again, second = await working.client.send("tick", {"n": 2}, id="once")
    assert (new, second, again) == (True, False, first)


async def test_emit_sends_once_and_gives_the_event(working: App, project: Project) -> None:
    listener = await working.client.start(
        project.load("steps:\n  - id: hot\n    wait_for: lead.hot\noutputs: {score: '{{ steps.hot.output.data.score }}'}\n", "listener"), {}
    )
    await waiting(working, project, listener)
    rid = await working.client.start(
        project.load(
            """
            steps:
              - id: sent
                each: [1, 2]
                emit: lead.hot
                with: {score: "{{ item * 10 }}"}
            outputs: {sent: "{{ steps.sent.output | map(attribute='data') | list }}", id: "{{ steps.sent.output[1].id }}"}
            """
        ),
        {},
    )
    info = await ended(working, rid)
    assert (info.status, info.outputs) == ("ok", {"sent": [{"score": 10}, {"score": 20}], "id": f"{rid}:sent[1]"}), info.error
    assert (await ended(working, listener)).outputs == {"score": 10}


async def test_a_cancelled_branch_waits_no_more(working: App, project: Project) -> None:
    rid = await working.client.start(
        project.load(
            """
            steps:
              - join: first
                parallel:
                  event: [{wait_for: tick}]
                  quick: [{wait: 50ms}, {set: {a: 1}}]
              - wait_for: tock
            """
        ),
        {},
    )
    await until(lambda: project.redis.scard(f"{project.keys.ns}:ev:tock:waiting") == 1, "the second wait")
    assert project.redis.scard(f"{project.keys.ns}:ev:tick:waiting") == 0
    await working.client.cancel(rid)
    await until(lambda: project.redis.scard(f"{project.keys.ns}:ev:tock:waiting") == 0, "nobody")


async def test_many_senders_and_waits(working: App, project: Project) -> None:
    """Each of fifty runs takes its own event, sent while they begin to wait."""
    flow = project.load(
        """
        inputs: {n: integer}
        steps:
          - id: mine
            wait_for: tick
            match: event.data.n == inputs.n
        outputs: {n: "{{ steps.mine.output.data.n }}"}
        """
    )
    rids = []
    for n in range(50):
        rids.append(await working.client.start(flow, {"n": n}))
        await working.client.send("tick", {"n": n})
        if n % 10 == 0:
            await asyncio.sleep(0.01)
    for n, rid in enumerate(rids):
        assert (await ended(working, rid)).outputs == {"n": n}
    await project.assert_at_rest(*rids)


async def test_event_against_time_takes_one_branch(working: App, project: Project) -> None:
    """Sent around the very moment at which the time is up: one way or the other, and the record says which."""
    flow = project.load(
        """
        inputs: {n: integer}
        steps:
          - id: mine
            wait_for: tick
            match: event.data.n == inputs.n
            timeout: 60ms
            on_timeout: continue
          - if: steps.mine.output
            python: work:echo
            with: {value: event}
            else:
              - python: work:echo
                with: {value: time}
        """
    )
    async def once(n: int) -> str:
        rid = await working.client.start(flow, {"n": n})
        await asyncio.sleep(0.004 * n)
        await working.client.send("tick", {"n": n})
        return rid

    rids = await asyncio.gather(*map(once, range(40)))
    ways = [(await ended(working, rid)).outputs for rid in rids]
    assert set(ways) <= {"event", "time"} and len(set(ways)) == 2
    for rid, way in zip(rids, ways, strict=True):
        status = project.records(rid)["mine"].status
        assert (status, way) in {("ok", "event"), ("timed_out", "time")}
    assert sum(project.counts().values()) == 40
    await project.assert_at_rest(*rids)


CANCELLED = """
    inputs: {user: string}
    cancel_on:
      - event: order.placed
        match: event.data.user == inputs.user
    steps:
      - python: work:echo
      - id: many
        each: [1, 2]
        wait_for: tick
      - python: work:echo
    finally:
      - wait: 10ms
      - python: work:echo
        with: {value: "{{ run.status }} {{ error.type | default('none') }}"}
    """


async def test_an_event_cancels_the_run_and_finally_is_done(working: App, project: Project) -> None:
    flow = project.load(CANCELLED)
    rid, other = [await working.client.start(flow, {"user": user}) for user in ("u1", "u2")]
    for one in (rid, other):
        await until(lambda one=one: project.redis.hget(project.keys.frame(one, "many[1]"), "W"), "the waits")
    await working.client.send("order.placed", {"user": "u1"})
    info = await ended(working, rid)
    assert (info.status, info.error and info.error["message"]) == ("cancelled", "cancelled by the event order.placed")
    assert project.records(rid)["finally.python@2"].output == "cancelled cancelled"
    assert project.status(other) == "waiting"
    await working.client.send("tick", {})
    await working.client.send("tick", {})
    assert (await ended(working, other)).status == "ok"
    assert project.redis.scard(f"{project.keys.ns}:ev:order.placed:waiting") == 0
    await project.assert_at_rest(rid, other)


async def test_a_run_is_cancelled_by_an_event_that_came_before_it_was_looked_for(app: App, project: Project) -> None:
    rid = await app.client.start(project.load(CANCELLED), {"user": "u1"})
    await app.client.send("order.placed", {"user": "u1"})
    worker = app.worker()
    await worker.start()
    info = await ended(app, rid)
    await worker.stop(2)
    assert info.status == "cancelled"


async def test_cancelled_by_hand_finally_is_done_and_a_retry_goes_on(working: App, project: Project) -> None:
    rid = await working.client.start(project.load(CANCELLED), {"user": "u1"})
    await until(lambda: project.redis.hget(project.keys.frame(rid, "many[1]"), "W"), "the waits")
    await working.client.cancel(rid, "enough")
    info = await ended(working, rid)
    assert (info.status, info.error and info.error["message"]) == ("cancelled", "enough")
    assert project.counts() == {"python@1": 1, "finally.python@2": 1}
    await project.assert_at_rest(rid)
    await working.client.retry(rid)
    await until(lambda: project.redis.hget(project.keys.frame(rid, "many[1]"), "W"), "the waits")
    for _ in range(2):
        await working.client.send("tick", {})
    assert (await ended(working, rid)).status == "ok"
    assert project.counts() == {"python@1": 1, "python@3": 1, "finally.python@2": 2}
    await project.assert_at_rest(rid)
