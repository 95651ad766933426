"""Messages are wake-ups: doubled, lost, unreadable or late ones change nothing."""

from __future__ import annotations

import json

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from dramatiq.message import Message

from aiflow.app import App
from aiflow.services import reconciler
from aiflow.settings import Settings
from tests.support.project import Project, ended, until, with_settings

TWO = "steps:\n  - python: work:slow\n    with: {s: 0.1}\n  - python: work:echo\n"


def queued(project: Project) -> list[bytes]:
    """Bodies of the messages in the queue, in order."""
    ids = project.redis.lrange(project.keys.queue(), 0, -1)
    return [project.redis.hget(project.keys.queue() + ".msgs", id) for id in ids]


def push(project: Project, *bodies: bytes) -> None:
    """Put messages into the queue behind everybody's back, each under an id of its own."""
    for body in bodies:
        id = f"test-{project.redis.incr('ids')}"
        project.redis.hset(project.keys.queue() + ".msgs", id, body)
        project.redis.rpush(project.keys.queue(), id)
    project.redis.rpush(project.keys.bell(), *["1"] * len(bodies))


async def work(app: App) -> None:
    """A worker for the rest of the test."""
    worker = app.worker()
    await worker.start()
    app._closers.append(lambda: worker.stop(1))


@pytest.mark.parametrize("processes", [1, 2])
async def test_fifty_copies_of_a_message(app: App, project: Project, processes: int) -> None:
    rid = await app.client.start(project.load(TWO), {})
    push(project, *queued(project) * 50)
    for _ in range(processes):
        await work(app)
    info = await ended(app, rid)
    assert info.status == "ok"
    await until(lambda: project.redis.llen(project.keys.queue()) == 0, "an empty queue")
    assert project.counts() == {"python@1": 1, "python@2": 1}
    await project.assert_at_rest(rid)


async def test_a_worker_that_leaves_hands_on_the_messages_that_it_had_taken(app: App, project: Project) -> None:
    """Else their frames would wait until somebody finds them lost."""
    leaving = app.worker()
    await leaving.start()
    leaving.host.stopping = True  # it takes messages as long as its threads run, and does nothing with them
    rid = await app.client.start(project.load(TWO), {})
    await until(lambda: not queued(project), "its taking the message")
    await leaving.stop(1)
    assert len(queued(project)) == 1
    await work(app)
    assert (await ended(app, rid, reconciler.LOST_MESSAGE_MS / 2000)).status == "ok"


async def test_a_late_message_changes_nothing(app: App, project: Project) -> None:
    rid = await app.client.start(project.load("steps:\n  - python: work:echo\n  - wait: 300ms\n  - python: work:echo\n"), {})
    body = queued(project)[0]
    await work(app)
    await until(lambda: project.status(rid) == "waiting", "the wait")
    before = project.redis.hgetall(project.keys.run(rid))
    push(project, *[body] * 5)
    await until(lambda: project.redis.llen(project.keys.queue()) == 0, "an empty queue")
    assert project.redis.hgetall(project.keys.run(rid)) == before
    await ended(app, rid)
    push(project, *[body] * 5)
    await until(lambda: project.redis.llen(project.keys.queue()) == 0, "an empty queue")
    assert project.counts() == {"python@1": 1, "python@3": 1}
    await project.assert_at_rest(rid)


async def test_lost_messages_are_sent_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "LOST_MESSAGE_MS", 200)
    async with App(with_settings(project.settings, lease_ms=1000)) as app:
        flow = project.load("steps:\n  - id: all\n    each: range(20)\n    concurrency: 4\n    do:\n      - wait: 10ms\n      - python: work:echo\n")
        rids = [await app.client.start(flow, {}) for _ in range(5)]
        await work(app)

        def lose() -> bool:
            project.redis.delete(project.keys.queue(), project.keys.queue() + ".msgs")
            return len(project.effects()) >= 60

        lose()
        await until(lose, "effects in spite of it")
        for rid in rids:
            assert (await ended(app, rid)).status == "ok"
        assert set(project.counts().values()) == {len(rids)}
        await project.assert_at_rest(*rids)


async def test_messages_that_cannot_be_read_are_put_aside(app: App, project: Project) -> None:
    flow = project.load(TWO)
    good = [await app.client.start(flow, {}) for _ in range(10)]
    body = json.loads(queued(project)[0])
    bad = [
        b"no json", b"\x00\xff\xfe", b"[]", b"{}", b'"text"', b"null", b'{"queue_name": "default"}', b"x" * 5_000_000,
        json.dumps({**body, "more": 1}).encode(),
    ]  # fmt: skip
    ids = [id.decode() for id in project.redis.lrange(project.keys.queue(), 0, -1)]
    push(project, *bad)
    for id in ids[5:]:  # five good ones before the bad, five after
        project.redis.lrem(project.keys.queue(), 1, id)
        project.redis.rpush(project.keys.queue(), id)
    await work(app)
    for rid in good:
        assert (await ended(app, rid, 10)).status == "ok"
    aside = project.redis.lrange(project.keys.named("unreadable"), 0, -1)
    assert sorted(aside) == sorted(bad)


@pytest.mark.parametrize(
    "change",
    [
        {"args": []},
        {"args": [1, 2]},
        {"args": ["a", "b", "c"]},
        {"args": [{"a": 1}, None]},
        {"args": ["no-such-run", ""]},
        {"args": ["no-such-run", "x[3].y#1"]},
        {"kwargs": {"more": 1}},
        {"actor_name": "nobody.knows"},
        {"actor_name": ""},
        {"actor_name": "ünïcode / with spaces"},
        {"actor_name": None},
        {"options": {}},
        {"options": []},
        {"options": {"eta": 99999999999999}},
        {"message_timestamp": 0},
    ],
    ids=str,
)
async def test_a_strange_message_harms_nobody(app: App, project: Project, change: dict[str, object]) -> None:
    flow = project.load(TWO)
    rid = await app.client.start(flow, {})
    strange = json.dumps({**json.loads(queued(project)[0]), **change}).encode()
    push(project, strange)
    await work(app)
    assert (await ended(app, rid, 5)).status == "ok"
    push(project, strange)
    after = await app.client.start(flow, {})
    assert (await ended(app, after, 5)).status == "ok"
    assert set(project.counts().values()) == {2}


async def test_our_messages_are_dramatiqs_own(app: App, project: Project) -> None:
    """Decoded by Dramatiq, a message pushed by a script is what Dramatiq would have enqueued."""
    rid = await app.client.start(project.load('name: a_b1\nsteps:\n  - each: [1]\n    do:\n      - wait: 1h\n'), {})
    ours = Message.decode(queued(project)[0])
    broker = RedisBroker(client=project.redis, middleware=[], namespace="other")
    actor = dramatiq.actor(lambda rid, path: None, actor_name="a_b1", queue_name="default", broker=broker)
    sent = actor.send(rid, "")
    raw = project.redis.hget("other:default.msgs", sent.options["redis_message_id"])
    theirs = Message.decode(raw)
    assert json.loads(queued(project)[0]).keys() == json.loads(raw).keys()
    for field in ("queue_name", "actor_name", "args", "kwargs"):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert type(ours.message_id) is type(theirs.message_id)
    assert type(ours.message_timestamp) is type(theirs.message_timestamp)
    assert abs(ours.message_timestamp - theirs.message_timestamp) < 60_000
    assert ours.options.keys() == theirs.options.keys()
    assert project.redis.lrange(project.keys.queue(), 0, -1) == [ours.options["redis_message_id"].encode()]
    project.redis.delete("other:default", "other:default.msgs", "other:__heartbeats__", "other:__acks__")


async def test_a_plan_of_an_older_version_finishes_on_it(project: Project) -> None:
    """A worker that never saw the file runs what was stored when the run started."""
    async with App(project.settings) as app:
        old = await app.client.start(project.load("name: flow\nsteps:\n  - python: work:echo\n    with: {value: old}\n"), {})
        new = await app.client.start(project.load("name: flow\nsteps:\n  - python: work:echo\n    with: {value: new}\n"), {})
        other = await app.client.start(project.load("name: elsewhere\nsteps:\n  - each: [1, 2]\n    python: work:echo\n    with: {value: '{{ item }}'}\n", "b"), {})
    for file in (project.root / "workflows").iterdir():
        file.unlink()
    project.worker()
    async with App(project.settings) as app:
        assert [(await ended(app, rid)).outputs for rid in (old, new, other)] == ["old", "new", [1, 2]]


async def test_an_actor_is_declared_for_every_block(app: App, project: Project, store_settings: Settings) -> None:
    flow = project.load("name: doc\nsteps:\n  - id: docs\n    each: [1]\n    do:\n      - id: parts\n        each: [1]\n        do:\n          - python: work:gate\n            with: {name: go}\n")
    rid = await app.client.start(flow, {})
    seen = {Message.decode(queued(project)[0]).actor_name}
    worker = app.worker()
    await worker.start()
    await until(project.effects, "the innermost step")
    seen |= set(worker._broker.actors)
    project.touch("go")
    await ended(app, rid)
    await worker.stop(1)
    assert {"doc", "doc.docs", "doc.docs.parts"} <= seen
