"""Workers killed with -9 at every named point: no recorded step runs again, and the run finishes with the right output."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict

import pytest

from aiflow.app import App
from aiflow.inspector import RunInfo
from tests.support.project import Project, ended, until

FLOW = """
    steps:
      - id: first
        python: work:echo
        with: {value: 1}
      - id: pure
        set: {n: "{{ steps.first.output + 1 }}"}
      - id: docs
        each: range(4)
        as: doc
        concurrency: 3
        do:
          - id: head
            python: work:echo
            with: {value: "{{ doc }}"}
          - id: parts
            each: range(3)
            as: part
            concurrency: 2
            do:
              - id: read
                python: work:echo
                with: {value: "{{ doc * 10 + part }}"}
              - id: again
                python: work:flaky
                with: {times: 1, value: "{{ steps.read.output }}"}
                retry: {times: 1, delay: 1ms}
          - wait: 20ms
          - id: tail
            python: work:echo
            with: {value: "{{ steps.parts.output | sum + steps.pure.output.n }}"}
      - id: flat
        each: range(25)
        concurrency: 8
        python: work:echo
        with: {value: "{{ item }}"}
      - id: last
        python: work:echo
        with: {value: "{{ steps.docs.output + [steps.flat.output | sum] }}"}
    """
RESULT = [3 * 10 * doc + 3 + 2 for doc in range(4)] + [300]

BLOCKS = """
    steps:
      - id: rounds
        until: index == 1
        do:
          - id: sides
            parallel:
              left:
                - id: a
                  python: work:echo
                  with: {value: "{{ index }}"}
                - wait: 20ms
                - id: b
                  python: work:echo
                  with: {value: "{{ steps.a.output + 1 }}"}
              right:
                - id: items
                  each: range(3)
                  concurrency: 2
                  switch: item
                  cases:
                    1: [{wait: 10ms}, {id: one, python: work:echo, with: {value: 10}}]
                  else: [{id: other, python: work:echo, with: {value: "{{ item }}"}}]
          - id: sum
            python: work:echo
            with: {value: "{{ steps.sides.output.left + (steps.sides.output.right | sum) + (previous or 0) }}"}
      - id: race
        join: first
        parallel:
          quick: [{id: fast, python: work:echo, with: {value: 1}}]
          slow: [{wait: 1h}, {python: work:echo}]
      - id: last
        python: work:echo
        with: {value: "{{ steps.rounds.output + steps.race.output.quick | default(0) }}"}
    """

POINTS = {  # point: at which of its times the worker dies
    "before_claim": (1, 2, 9),
    "after_claim": (1, 2, 4, 9),
    "after_effect": (1, 2, 9, 30, 66),
    "before_checkpoint": (1, 3, 15),
    "after_checkpoint": (1, 3, 15),
    "before_fan_out": (1, 2, 6),
    "after_fan_out": (1, 2, 6),
    "before_park": (1, 4),
    "after_park": (1, 4),
    "before_finish_item": (1, 4),
    "after_finish_item": (1, 4),
    "lane_before_items": (1, 4, 20),
    "lane_after_items": (1, 2, 9),
    "before_finish": (1,),
    "after_finish": (1,),
}


def settled(project: Project, rid: str) -> dict[str, int]:
    """How often each step that is recorded as ok took effect so far."""
    counts = project.counts()
    records = project.records(rid)  # first the records: an effect in between is not held against its step
    return {path: counts[path] for path, record in records.items() if record.status == "ok" and counts[path]}


async def judge(project: Project, info: RunInfo, before: dict[str, int], kills: int) -> None:
    """The output is right; what was recorded never ran again; nothing ran more often than the kills explain."""
    assert (info.status, info.outputs) == ("ok", RESULT), info.error
    counts = project.counts()
    assert {path: counts[path] for path in before} == before
    own = {path: 2 if path.endswith(".again") else 1 for path in counts}
    assert len(counts) == 1 + 4 * 2 + 12 * 2 + 25 + 1
    for path, count in counts.items():
        assert own[path] <= count <= own[path] + kills, (path, count)
    await project.assert_at_rest(info.run_id)


@pytest.mark.parametrize("point", POINTS)
async def test_a_worker_killed_at_this_point(app: App, project: Project, point: str) -> None:
    flow = project.load(FLOW)
    for count in POINTS[point]:
        project.forget_effects()
        doomed = project.worker(f"{point}:{count}=kill")
        rid = await app.client.start(flow, {})
        await doomed.death()
        before = settled(project, rid)
        rescuer = project.worker()
        await judge(project, await ended(app, rid), before, kills=1)
        assert rescuer.stop() == 0


@pytest.mark.parametrize(
    "crash",
    ["after_claim:1", "after_claim:4", "after_effect:2", "after_effect:6", "after_effect:12", "before_checkpoint:2", "after_checkpoint:4",
     "before_fan_out:1", "after_fan_out:2", "after_fan_out:3", "before_park:1", "after_park:2", "after_finish_item:1", "lane_before_items:3", "lane_after_items:2",
     "lane_after_items:9"],
)  # fmt: skip
async def test_killed_in_passes_and_branches(app: App, project: Project, crash: str) -> None:
    doomed = project.worker(f"{crash}=kill")
    rid = await app.client.start(project.load(BLOCKS), {})
    await doomed.death()
    before = settled(project, rid)
    project.worker()
    info = await ended(app, rid)
    assert (info.status, info.outputs) == ("ok", (1 + 12) + (2 + 12) + 1), info.error
    counts = project.counts()
    assert {path: counts[path] for path in before} == before
    assert len(counts) == 2 * (2 + 3 + 1) + 2
    assert set(counts.values()) <= {1, 2}
    await until(lambda: not project.held(), "the loser of the race")
    await project.assert_at_rest(rid)


@pytest.mark.parametrize("crash", ["before_listen:1", "after_listen:1", "before_listen:2", "after_listen:2", "after_claim:3"])
async def test_killed_while_it_begins_to_wait_for_an_event(app: App, project: Project, crash: str) -> None:
    flow = project.load(
        """
        steps:
          - python: work:echo
          - id: many
            each: [1, 2]
            wait_for: tick
            match: event.data.n == item
            output: "{{ result.data.n }}"
          - python: work:echo
        outputs: {many: "{{ steps.many.output }}"}
        """
    )
    doomed = project.worker(f"{crash}=kill")
    rid = await app.client.start(flow, {})
    await app.client.send("tick", {"n": 2})
    await until(lambda: doomed.process.poll() is not None or project.status(rid) == "waiting", "the death")
    project.worker()
    await app.client.send("tick", {"n": 1})
    info = await ended(app, rid)
    assert (info.status, info.outputs) == ("ok", {"many": [1, 2]}), info.error
    assert project.counts() == {"python@1": 1, "python@3": 1}
    await project.assert_at_rest(rid)


@pytest.mark.parametrize("point", ["after_effect", "lane_after_items", "after_park", "after_fan_out", "before_finish"])
async def test_another_worker_stands_by(app: App, project: Project, point: str) -> None:
    """A dead process of the same host is noticed at once: its frames go on before its lease has ended."""
    doomed = project.worker(f"{point}:1=kill")
    rid = await app.client.start(project.load(FLOW), {})
    await doomed.death()
    began = time.monotonic()
    project.worker()
    info = await ended(app, rid)
    await judge(project, info, {}, kills=1)
    assert time.monotonic() - began < app.settings.lease_ms / 1000


async def test_one_point_after_another(app: App, project: Project) -> None:
    """Twelve workers, each dies once, one after another, in one run."""
    rid = await app.client.start(project.load(FLOW), {})
    kills = 0
    for point in ["after_claim:1", "after_effect:1", "lane_after_items:3", "before_checkpoint:2", "after_effect:4", "before_fan_out:1",
                  "after_checkpoint:3", "lane_before_items:5", "after_effect:7", "before_finish_item:1", "after_park:1", "after_effect:12"]:  # fmt: skip
        doomed = project.worker(f"{point}=kill")
        await until(lambda doomed=doomed: doomed.process.poll() is not None or project.status(rid) in ("ok", "failed"), point)
        while not doomed.died and project.status(rid) == "failed":  # three of the kills struck one step: it is set aside
            await app.client.retry(rid)
            await until(lambda doomed=doomed: doomed.process.poll() is not None or project.status(rid) in ("ok", "failed"), point)
        kills += doomed.died
        if not doomed.died:
            break
    assert kills >= 6
    project.worker()
    info = await ended(app, rid)
    if info.error and info.error["type"] == "quarantined":
        await app.client.retry(rid)
        info = await ended(app, rid)
    await judge(project, info, {}, kills)


@pytest.mark.parametrize("seed", range(2))
async def test_random_kills(app: App, project: Project, seed: int) -> None:
    """Two workers, one of them killed every now and then; twenty runs."""
    rand = random.Random(seed)
    flow = project.load(FLOW.replace("work:echo", "work:slow"))
    rids = [await app.client.start(flow, {}) for _ in range(20)]
    workers = [project.worker(ready=False), project.worker(ready=False)]
    kills = 0
    done: dict[str, dict[bytes, bytes]] = defaultdict(dict)
    while kills < 5 and (kills < 3 or any(project.status(rid) != "ok" for rid in rids)):
        if all(project.status(rid) == "ok" for rid in rids):
            rids += [await app.client.start(flow, {}) for _ in range(5)]
        number = rand.randrange(2)
        workers[number].wait_ready()
        got = len(project.effects())  # between two kills something goes on: three in one step are a quarantine
        await until(lambda got=got, rids=rids: len(project.effects()) >= got + 40 or all(project.status(rid) == "ok" for rid in rids), "progress")
        moment = time.monotonic() + rand.uniform(0, 0.3)
        await until(lambda moment=moment: time.monotonic() > moment, "the moment")
        workers[number].kill()
        kills += 1
        for rid in rids:  # what is recorded stays as it is
            now = project.raw_records(rid)
            assert now.items() >= done[rid].items()
            done[rid] = now
        workers[number] = project.worker(ready=False)
    for rid in rids:
        info = await ended(app, rid)
        if info.error and info.error["type"] == "quarantined":  # on a slow machine three kills may strike one step
            await app.client.retry(rid)
            info, done[rid] = await ended(app, rid), {}
        assert (info.status, info.outputs) == ("ok", RESULT), info.error
        assert project.raw_records(rid).items() >= done[rid].items()
    for path, count in project.counts().items():
        assert count <= len(rids) * (2 if path.endswith(".again") else 1) + kills * len(rids), path  # in each of the runs the same step may be in flight
    await project.assert_at_rest(*rids)


async def test_an_item_that_kills_ends_in_quarantine(app: App, project: Project) -> None:
    """A step that kills its worker is given up after three deaths; its neighbours are done."""
    flow = project.load(
        """
        steps:
          - id: all
            each: range(6)
            concurrency: 6
            allow_failures: 1
            do:
              - id: pre
                set: {x: "{{ item }}"}
              - if: item == 3
                python: work:deadly
                else:
                  - python: work:echo
                    with: {value: "{{ steps.pre.output.x }}"}
        outputs: {all: "{{ steps.all.output }}", errors: "{{ steps.all.errors }}"}
        """
    )
    rid = await app.client.start(flow, {})
    deaths = 0
    while project.status(rid) not in ("ok", "failed"):
        worker = project.worker()
        await until(lambda worker=worker: worker.process.poll() is not None or project.status(rid) in ("ok", "failed"), "an end")
        deaths += worker.died
        assert deaths < 8
    info = await ended(app, rid)
    assert info.status == "ok", info.error
    assert info.outputs["all"] == [0, 1, 2, None, 4, 5]
    assert [error["error"]["type"] for error in info.outputs["errors"]] == ["quarantined"]
    counts = Counter(effect.path for effect in project.effects())
    assert counts["all[3].python@2"] == deaths
    assert 3 <= deaths <= 5  # an item of the same lane that got through sets its count back


async def test_a_step_that_must_not_repeat_is_not_repeated(app: App, project: Project) -> None:
    flow = project.load(
        """
        steps:
          - id: pay
            python: work:echo
            repeatable: false
          - python: work:echo
        """
    )
    doomed = project.worker("after_effect:1=kill")
    rid = await app.client.start(flow, {})
    await doomed.death()
    project.worker()
    info = await ended(app, rid)
    assert info.status == "failed" and info.error is not None
    assert (info.error["type"], info.error["step"]) == ("outcome_unknown", "pay")
    assert project.records(rid)["pay"].status == "outcome_unknown"
    assert project.counts() == {"pay": 1}
    await app.client.retry(rid)  # a person found out that it did not happen
    assert (await ended(app, rid)).status == "ok"
    assert project.counts() == {"pay": 2, "python@2": 1}


async def test_an_unknown_outcome_can_be_handled(app: App, project: Project) -> None:
    flow = project.load(
        """
        steps:
          - each: range(3)
            concurrency: 1
            python: work:echo
            with: {value: "{{ item }}"}
            repeatable: false
            retry: 3
            on_error:
              - if: error.type == 'outcome_unknown'
                set: {looked: "{{ item }}"}
        """
    )
    doomed = project.worker("after_effect:2=kill")
    rid = await app.client.start(flow, {})
    await doomed.death()
    project.worker()
    info = await ended(app, rid)
    assert info.outputs == [0, {"looked": 1}, 2]
    assert set(project.counts().values()) == {1}


@pytest.mark.parametrize("point", ["before_checkpoint:1", "before_claim:1", "after_checkpoint:2"])
async def test_a_mark_that_was_not_followed_by_an_effect(app: App, project: Project, point: str) -> None:
    """Killed before the mark: it runs. Killed after it: unknown, for all that the store can tell."""
    flow = project.load("steps:\n  - id: a\n    python: work:echo\n  - id: pay\n    python: work:echo\n    repeatable: false\n")
    doomed = project.worker(f"{point}=kill")
    rid = await app.client.start(flow, {})
    await doomed.death()
    project.worker()
    info = await ended(app, rid)
    counts = project.counts()
    if info.status == "ok":
        assert counts["pay"] == 1
    else:
        assert info.error is not None
        assert (info.error["type"], counts["pay"]) == ("outcome_unknown", 0)
    assert counts["a"] in (1, 2)


async def test_a_shutdown_hands_on_and_repeats_nothing(app: App, project: Project) -> None:
    """SIGTERM, again and again: steps finish, frames are handed on, no attempt is lost and none is counted as a death."""
    rids = [await app.client.start(project.load(FLOW), {}) for _ in range(3)]
    first = project.worker()
    for _ in range(4):
        await until(lambda: len(project.effects()) % 7 == 3 or all(project.status(rid) == "ok" for rid in rids), "some effects")
        second = project.worker()
        assert first.stop() == 0, first.log.read_text()
        first = second
    for rid in rids:
        assert (await ended(app, rid)).outputs == RESULT
    assert {count for path, count in project.counts().items() if not path.endswith(".again")} == {len(rids)}
    for rid in rids:
        assert not [line for line in await app.inspector.journal(rid) if line["event"] == "worker_lost"]
    await project.assert_at_rest(*rids)
