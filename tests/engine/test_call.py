"""`call`: child runs, what they give back, how they fail, and who ends with whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from aiflow.app import App
from aiflow.audit import audit
from aiflow.inspector import RunInfo
from aiflow.settings import ModelSpec
from tests.engine.conftest import Run
from tests.support.openai_server import OpenAIServer, answer
from tests.support.project import Project, ended, until, with_settings

CHILD = """
    inputs: {n: integer, "name?": string}
    steps:
      - id: twice
        python: work:echo
        with: {value: "{{ inputs.n * 2 }}"}
    outputs: {twice: "{{ steps.twice.output }}", name: "{{ inputs.name | default('nobody') }}"}
    """
PARENT = """
    steps:
      - id: before
        python: work:echo
        with: {value: 4}
      - id: called
        call: child.yaml
        with: {n: "{{ steps.before.output }}"}
      - id: after
        python: work:echo
        with: {value: "{{ steps.called.output.twice + 1 }}"}
    """
GATED = "steps:\n  - id: work\n    python: work:gate\n    with: {name: go, value: done}\n"
BROKEN = """
    steps:
      - id: paid
        python: work:echo
      - id: bad
        python: work:broken
        with: {value: 7, unless: mended}
      - id: good
        python: work:echo
        with: {value: fine}
    """


def child_of(project: Project, rid: str, path: str) -> str:
    """The id of the run that a step called."""
    record = project.records(rid)[path]
    if record.meta:
        return str(record.meta["run_id"])
    assert record.error is not None
    return str(record.error["data"]["run_id"])


def waiting_for(project: Project, rid: str, path: str = "") -> str:
    """The id of the run that a frame waits for, or ""."""
    raw = project.redis.hget(project.keys.frame(rid, path), "k")
    return raw.decode() if raw else ""


async def open_child(project: Project, rid: str, path: str = "") -> str:
    """The same, once it is at work."""
    await until(lambda: (child := waiting_for(project, rid, path)) and project.status(child) == "running", "a child at work")
    return waiting_for(project, rid, path)


def runs_of(project: Project) -> list[str]:
    return [rid.decode() for rid in project.redis.zrange(project.keys.named("runs"), 0, -1)]


def others(project: Project, rid: str) -> list[str]:
    return [one for one in runs_of(project) if one != rid]


async def info_of(app: App, rid: str) -> RunInfo:
    info = await app.inspector.run(rid)
    assert info is not None
    return info


# -- what it gives ---------------------------------------------------------------------------------------------


async def test_a_called_workflow_gives_its_outputs(run: Run, project: Project, working: App) -> None:
    project.load(CHILD, "child")
    info = await run(PARENT)
    assert (info.status, info.outputs) == ("ok", 9)
    child = child_of(project, info.run_id, "called")
    record = project.records(info.run_id)["called"]
    assert record.output == {"twice": 8, "name": "nobody"}
    assert record.meta == {"run_id": child, "status": "ok"}
    assert [effect.path for effect in project.effects()] == ["before", "twice", "after"]
    called = await info_of(working, child)
    assert (called.workflow, called.status, called.inputs) == ("child", "ok", {"n": 4, "name": None})
    assert called.meta["caller"] == {"run_id": info.run_id, "path": "called", "detached": False}
    await project.assert_at_rest(info.run_id, child)


async def test_the_called_file_is_part_of_the_version(project: Project, working: App) -> None:
    """A run goes on with the called workflow that it was started with, whatever the file says now."""
    project.load(CHILD, "child")
    before = project.load("steps:\n  - python: work:gate\n    with: {name: go}\n  - call: child.yaml\n    with: {n: 1}\n")
    rid = await working.client.start(before, {})
    await until(project.effects, "the first step")
    project.load("inputs: {n: integer}\nsteps:\n  - fail: changed\n", "child")
    project.touch("go")
    assert (await ended(working, rid)).outputs == {"twice": 2, "name": "nobody"}
    after = project.load("steps:\n  - python: work:gate\n    with: {name: go}\n  - call: child.yaml\n    with: {n: 1}\n")
    assert (await ended(working, await working.client.start(after, {}))).status == "failed"


async def test_calls_nest(run: Run, project: Project) -> None:
    project.load("inputs: {n: integer}\nsteps:\n  - set: {n: '{{ inputs.n + 1 }}'}\n", "lowest")
    project.load("inputs: {n: integer}\nsteps:\n  - id: low\n    call: lowest.yaml\n    with: {n: '{{ inputs.n * 10 }}'}\n    output: '{{ result.n }}'\n", "middle")
    info = await run("steps:\n  - call: {workflow: middle.yaml}\n    with: {n: 4}\n    output: {got: '{{ result }}'}\n")
    assert info.outputs == {"got": 41}
    assert len(runs_of(project)) == 3


async def test_an_item_can_call(run: Run, project: Project) -> None:
    project.load("inputs: {n: integer}\nsteps:\n  - wait: 10ms\n  - python: work:echo\n    with: {value: '{{ inputs.n * 2 }}'}\n", "child")
    info = await run(
        """
        steps:
          - id: all
            each: range(12)
            concurrency: 5
            call: child.yaml
            with: {n: "{{ item }}"}
        """
    )
    assert info.outputs == [2 * n for n in range(12)]
    assert len(runs_of(project)) == 13
    await project.assert_at_rest(*runs_of(project))


async def test_no_more_children_at_work_than_the_concurrency_of_the_items(run: Run, project: Project) -> None:
    project.load("inputs: {n: integer}\nsteps:\n  - python: work:slow\n    with: {s: 0.03}\n", "child")
    info = await run("steps:\n  - each: range(9)\n    concurrency: 3\n    do:\n      - call: child.yaml\n        with: {n: '{{ item }}'}\n")
    assert info.status == "ok"
    assert project.most_at_once() == 3


async def test_a_stopped_child_hands_on_its_outputs(run: Run, project: Project) -> None:
    project.load("steps:\n  - stop: {reason: enough, outputs: {a: 1}}\n", "child")
    info = await run("steps:\n  - id: c\n    call: child.yaml\n")
    assert (info.status, info.outputs) == ("ok", {"a": 1})


async def test_a_large_output_comes_back_whole(run: Run, project: Project) -> None:
    project.load("steps:\n  - python: work:big\n    with: {size: 200000}\n", "child")
    info = await run("steps:\n  - id: c\n    call: child.yaml\noutputs: {n: '{{ steps.c.output | length }}'}\n")
    assert info.outputs == {"n": 200_000}


async def test_a_detached_run_is_on_its_own(project: Project, working: App) -> None:
    project.load(GATED, "child")
    flow = project.load("steps:\n  - id: c\n    call: {workflow: child.yaml, detach: true}\n  - python: work:echo\n    with: {value: '{{ steps.c.output.run_id }}'}\n")
    info = await ended(working, await working.client.start(flow, {}))
    child = info.outputs
    assert info.status == "ok" and project.status(child) in ("queued", "running")
    project.touch("go")
    done = await ended(working, child)
    assert (done.status, done.outputs, done.meta["caller"]["detached"]) == ("ok", "done", True)
    await project.assert_at_rest(info.run_id, child)


async def test_cancelling_does_not_reach_a_detached_run(project: Project, working: App) -> None:
    project.load(GATED, "child")
    flow = project.load("steps:\n  - id: c\n    call: {workflow: child.yaml, detach: true}\n  - wait: 1h\n")
    rid = await working.client.start(flow, {})
    await until(lambda: project.status(rid) == "waiting", "the wait")
    child = child_of(project, rid, "c")
    await working.client.cancel(rid)
    project.touch("go")
    assert (await ended(working, child)).status == "ok"


async def test_inputs_are_checked_as_those_of_any_run(run: Run, project: Project) -> None:
    project.load(CHILD, "child")
    info = await run("inputs: {x: any}\nsteps:\n  - call: child.yaml\n    with: {n: '{{ inputs.x }}'}\n", x="many")
    assert info.status == "failed" and info.error is not None
    assert info.error["type"] == "call_failed" and "input `n`" in info.error["message"]
    assert info.error["data"]["error"]["type"] == "inputs" and info.error["data"]["run_id"] is None
    assert len(runs_of(project)) == 1


async def test_the_environment_of_the_caller_holds_for_the_called(project: Project, working: App) -> None:
    project.load("steps:\n  - set: {who: '{{ env.SOMEBODY }}'}\n", "child")
    flow = project.load("steps:\n  - call: child.yaml\n")
    working.settings.env["SOMEBODY"] = "Ana"
    rid = await working.client.start(flow, {})
    assert (await ended(working, rid)).outputs == {"who": "Ana"}


# -- how it fails ----------------------------------------------------------------------------------------------


async def test_a_failed_child_fails_the_call(run: Run, project: Project) -> None:
    project.load(BROKEN, "child")
    info = await run("steps:\n  - id: c\n    call: child.yaml\n")
    assert info.status == "failed" and info.error is not None
    child = child_of(project, info.run_id, "c")
    assert (info.error["type"], info.error["step"], info.error["data"]["run_id"]) == ("call_failed", "c", child)
    assert info.error["data"]["error"]["type"] == "python_error"
    assert f"run {child} of child failed: python_error" in info.error["message"]
    await project.assert_at_rest(info.run_id, child)


async def test_a_failed_call_can_be_handled(run: Run, project: Project) -> None:
    project.load(BROKEN, "child")
    info = await run(
        """
        steps:
          - id: c
            call: child.yaml
            on_error:
              - set: {why: "{{ error.data.error.type }}", run: "{{ error.data.run_id }}"}
        """
    )
    assert info.outputs["why"] == "python_error" and info.outputs["run"] in runs_of(project)


async def test_each_attempt_calls_anew(run: Run, project: Project) -> None:
    project.load(BROKEN, "child")
    info = await run("steps:\n  - id: c\n    call: child.yaml\n    retry: {times: 2, delay: 1ms}\n")
    assert info.status == "failed" and info.error is not None and info.error["attempts"] == 3
    assert len(runs_of(project)) == 4
    assert project.counts() == {"paid": 3, "bad": 3}


async def test_a_block_that_is_tried_again_calls_anew(run: Run, project: Project) -> None:
    project.load("steps:\n  - python: work:echo\n    with: {value: ok}\n", "child")
    info = await run(
        """
        steps:
          - do:
              - id: c
                call: child.yaml
              - python: work:broken
            retry: {times: 1, delay: 1ms}
        """
    )
    assert info.status == "failed" and len(runs_of(project)) == 3


async def test_a_retried_run_opens_its_child_again(project: Project, working: App) -> None:
    """At the step that failed, in the same child: nothing that was paid for runs again."""
    project.load(BROKEN, "child")
    flow = project.load("steps:\n  - python: work:echo\n  - id: c\n    call: child.yaml\n")
    rid = await working.client.start(flow, {})
    await ended(working, rid)
    child = child_of(project, rid, "c")
    await working.client.retry(rid)  # not mended yet
    assert (await ended(working, rid)).status == "failed"
    project.touch("mended")
    await working.client.retry(rid)
    info = await ended(working, rid)
    assert (info.status, info.outputs) == ("ok", "fine")
    assert child_of(project, rid, "c") == child and len(runs_of(project)) == 2
    assert project.counts() == {"python@1": 1, "paid": 1, "bad": 3, "good": 1}
    await project.assert_at_rest(rid, child)


async def test_a_retried_run_takes_what_its_child_gave_meanwhile(project: Project, working: App) -> None:
    """Somebody retried the child by itself."""
    project.load(BROKEN, "child")
    flow = project.load("steps:\n  - id: c\n    call: child.yaml\n")
    rid = await working.client.start(flow, {})
    await ended(working, rid)
    child = child_of(project, rid, "c")
    project.touch("mended")
    await working.client.retry(child)
    await ended(working, child)
    await working.client.retry(rid)
    assert (await ended(working, rid)).outputs == "fine"
    assert project.counts() == {"paid": 1, "bad": 2, "good": 1}


async def test_a_retried_run_waits_for_a_child_that_is_at_work_already(project: Project, working: App) -> None:
    project.load(BROKEN.replace("work:echo\n        with: {value: fine}", "work:gate\n        with: {name: go, value: fine}"), "child")
    rid = await working.client.start(project.load("steps:\n  - id: c\n    call: child.yaml\n"), {})
    await ended(working, rid)
    child = child_of(project, rid, "c")
    project.touch("mended")
    await working.client.retry(child)
    await until(lambda: project.counts()["good"], "the child at its last step")
    await working.client.retry(rid)
    await until(lambda: waiting_for(project, rid) == child, "the caller")
    project.touch("go")
    assert (await ended(working, rid)).outputs == "fine"
    assert project.counts() == {"paid": 1, "bad": 2, "good": 1}


async def test_items_keep_their_children_over_a_retry(project: Project, working: App) -> None:
    """One item's child fails, those at work are cancelled with the run; the retry opens them again."""
    project.load(
        """
        inputs: {n: integer}
        steps:
          - id: paid
            python: work:echo
            with: {value: "{{ inputs.n }}"}
          - if: inputs.n == 1
            python: work:broken
            with: {unless: mended}
            else:
              - python: work:gate
                with: {name: mended}
        outputs: {n: "{{ inputs.n }}"}
        """,
        "child",
    )
    flow = project.load("steps:\n  - id: all\n    each: range(4)\n    call: child.yaml\n    with: {n: '{{ item }}'}\n    output: '{{ result.n }}'\n")
    rid = await working.client.start(flow, {})
    info = await ended(working, rid)
    assert info.status == "failed" and info.error is not None and info.error["index"] == 1
    children = set(runs_of(project)) - {rid}
    await until(lambda: all(project.status(one) in ("failed", "cancelled") for one in children), "no child at work")
    assert sorted(project.status(one) for one in children).count("failed") == 1
    project.touch("mended")
    await working.client.retry(rid)
    info = await ended(working, rid)
    assert (info.status, info.outputs) == ("ok", [0, 1, 2, 3])
    assert set(runs_of(project)) - {rid} >= children and len(runs_of(project)) == 5
    assert project.counts()["paid"] == 4
    await project.assert_at_rest(*runs_of(project))


# -- who ends with whom ----------------------------------------------------------------------------------------


async def test_cancelling_a_run_cancels_what_it_called(project: Project, working: App) -> None:
    project.load(GATED, "lowest")
    project.load("steps:\n  - call: lowest.yaml\n", "middle")
    flow = project.load("steps:\n  - each: range(3)\n    call: middle.yaml\n  - fail: never\n")
    rid = await working.client.start(flow, {})
    await until(lambda: len(project.effects()) == 3, "three grandchildren")
    await working.client.cancel(rid)
    assert len(runs_of(project)) == 7
    assert {project.status(one) for one in runs_of(project)} == {"cancelled"}
    await project.assert_at_rest(*runs_of(project))
    for one in set(runs_of(project)) - {rid}:
        error = (await info_of(working, one)).error
        assert error is not None and "which had called it, was cancelled" in error["message"]


async def test_a_cancelled_run_goes_on_with_its_child(project: Project, working: App) -> None:
    project.load("steps:\n  - python: work:echo\n  - python: work:gate\n    with: {name: go, value: done}\n", "child")
    rid = await working.client.start(project.load("steps:\n  - id: c\n    call: child.yaml\n"), {})
    await until(lambda: len(project.effects()) == 2, "the child at its second step")
    await working.client.cancel(rid)
    project.touch("go")
    await working.client.retry(rid)
    assert (await ended(working, rid)).outputs == "done"
    assert len(runs_of(project)) == 2 and project.counts()["python@1"] == 1


async def test_a_cancelled_child_fails_the_call(project: Project, working: App) -> None:
    project.load(GATED, "child")
    rid = await working.client.start(project.load("steps:\n  - id: c\n    call: child.yaml\n"), {})
    child = await open_child(project, rid)
    await working.client.cancel(child, "not needed")
    info = await ended(working, rid)
    assert info.status == "failed" and info.error is not None
    assert (info.error["type"], info.error["data"]["error"]["type"]) == ("call_failed", "cancelled")
    assert "not needed" in info.error["message"]


async def test_a_timeout_cancels_the_child(project: Project, working: App) -> None:
    project.load(GATED, "child")
    flow = project.load("steps:\n  - id: c\n    call: child.yaml\n    timeout: 250ms\n    on_timeout:\n      - set: {late: true}\n")
    rid = await working.client.start(flow, {})
    child = await open_child(project, rid)
    assert (await ended(working, rid)).outputs == {"late": True}
    assert project.status(child) == "cancelled"
    await project.assert_at_rest(rid, child)


async def test_each_attempt_has_its_own_time(project: Project, working: App) -> None:
    project.load(GATED, "child")
    flow = project.load("steps:\n  - id: c\n    call: child.yaml\n    timeout: 250ms\n    retry: {times: 1, delay: 1ms}\n")
    info = await ended(working, await working.client.start(flow, {}))
    assert info.status == "failed" and info.error is not None and (info.error["type"], info.error["attempts"]) == ("timeout", 2)
    assert [project.status(one) for one in others(project, info.run_id)] == ["cancelled", "cancelled"]
    project.touch("go")
    await working.client.retry(info.run_id)  # the last one is opened again, with its time anew
    assert (await ended(working, info.run_id)).outputs == "done"
    assert len(runs_of(project)) == 3


@pytest.mark.parametrize("around", ["block", "run", "fan"])
async def test_a_timeout_around_cancels_the_child(project: Project, working: App, around: str) -> None:
    project.load(GATED, "child")
    text = {
        "block": "steps:\n  - do:\n      - call: child.yaml\n    timeout: 250ms\n    on_timeout: continue\n  - wait: 1h\n",
        "run": "timeout: 250ms\nsteps:\n  - call: child.yaml\n",
        "fan": "steps:\n  - do:\n      - each: range(3)\n        call: child.yaml\n    timeout: 250ms\n    on_timeout: continue\n  - wait: 1h\n",
    }[around]
    rid = await working.client.start(project.load(text), {})
    await until(lambda: len(project.effects()) == (3 if around == "fan" else 1), "children at work")
    await until(lambda: all(project.status(one) == "cancelled" for one in others(project, rid)), "children that end")
    assert project.status(rid) in (("failed",) if around == "run" else ("running", "waiting"))


async def test_a_fan_out_that_fails_cancels_the_children_of_its_items(project: Project, working: App) -> None:
    project.load("inputs: {n: integer}\nsteps:\n  - if: inputs.n == 2\n    fail: bad\n    else:\n      - python: work:gate\n        with: {name: go}\n", "child")
    flow = project.load(
        """
        steps:
          - id: block
            do:
              - each: range(3)
                call: child.yaml
                with: {n: "{{ item }}"}
            on_error: continue
          - wait: 1h
        """
    )
    rid = await working.client.start(flow, {})
    await until(lambda: project.records(rid).get("block"), "the block's end")
    assert sorted(project.status(one) for one in others(project, rid)) == ["cancelled", "cancelled", "failed"]
    await working.client.cancel(rid)
    await project.assert_at_rest(*runs_of(project))


async def test_a_stop_in_an_item_cancels_the_children_of_others(project: Project, working: App) -> None:
    project.load(GATED, "child")
    flow = project.load(
        """
        steps:
          - each: range(3)
            do:
              - if: item == 2
                do:
                  - python: work:gate
                    with: {name: now}
                  - stop: enough
              - call: child.yaml
        finally:
          - python: work:echo
        """
    )
    rid = await working.client.start(flow, {})
    await until(lambda: len(project.effects()) == 3, "two children and an item")
    project.touch("now")
    assert (await ended(working, rid)).status == "stopped"
    assert [project.status(one) for one in others(project, rid)] == ["cancelled", "cancelled"]
    await project.assert_at_rest(*runs_of(project))


SIDES = """
    steps:
      - id: sides
        parallel:
          a:
            - call: child.yaml
          b:
            - python: work:gate
              with: {name: now}
            - python: work:LAST
        join: JOIN
        on_error: continue
      - wait: 1h
    """


@pytest.mark.parametrize(("join", "last"), [("first", "echo"), ("all", "broken")])
async def test_a_branch_that_is_cancelled_takes_its_child_with_it(project: Project, working: App, join: str, last: str) -> None:
    project.load(GATED, "child")
    rid = await working.client.start(project.load(SIDES.replace("JOIN", join).replace("LAST", last)), {})
    await until(lambda: len(project.effects()) == 2, "both branches")
    project.touch("now")
    await until(lambda: project.records(rid).get("sides"), "the end of the block")
    assert [project.status(one) for one in others(project, rid)] == ["cancelled"]
    await working.client.cancel(rid)
    await project.assert_at_rest(*runs_of(project))


async def test_each_pass_calls_anew(run: Run, project: Project) -> None:
    project.load("inputs: {n: integer}\nsteps:\n  - set: {n: '{{ inputs.n }}'}\n", "child")
    info = await run("steps:\n  - until: result.n == 2\n    call: child.yaml\n    with: {n: '{{ index }}'}\n")
    assert (info.status, info.outputs) == ("ok", {"n": 2})
    assert len(others(project, info.run_id)) == 3


# -- who knows what --------------------------------------------------------------------------------------------


async def test_the_audit_reaches_a_caller_by_its_child(project: Project, working: App) -> None:
    project.load(GATED, "child")
    rid = await working.client.start(project.load("steps:\n  - each: range(2)\n    call: child.yaml\n"), {})
    await until(lambda: len(project.effects()) == 2, "two children")
    await until(lambda: project.status(rid) == "waiting", "a caller that waits")
    found = await audit(working.reader, working.keys)
    assert (found.open, found.lost, found.how) == (3, [], {"fan-out": 1, "claimed": 2})
    single = await working.client.start(project.load("steps:\n  - call: child.yaml\n", "single"), {})
    child = await open_child(project, single)
    found = await audit(working.reader, working.keys)
    assert (found.lost, found.how["call"]) == ([], 1)
    project.redis.hset(project.keys.run(child), "st", "ok")  # as if an end had not woken its caller
    assert (await audit(working.reader, working.keys)).lost == [single]
    project.redis.hset(project.keys.run(child), "st", "running")
    project.touch("go")
    await asyncio.gather(*(ended(working, one) for one in (rid, single)))


async def test_progress_names_the_called_run(project: Project, working: App) -> None:
    project.load(GATED, "child")
    rid = await working.client.start(project.load("steps:\n  - id: c\n    call: child.yaml\n"), {})
    child = await open_child(project, rid)
    progress = await working.inspector.progress(rid)
    assert progress is not None and child in progress.steps[0].note
    reason = await working.inspector.waits_for(await info_of(working, rid))
    assert reason == f"run {child} of child, which it called at c"
    project.touch("go")
    await ended(working, rid)


# -- what it costs ---------------------------------------------------------------------------------------------

ASK = "steps:\n  - each: range(2)\n    concurrency: 1\n    llm: {text: 'Say {{ item }}', model: fast}\noutputs: {}\n"
PAID = answer("hello", tokens=(1_000, 1))  # 15 cents


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as server:
        yield server


@pytest.fixture
async def paying(project: Project, server: OpenAIServer) -> AsyncIterator[App]:
    """An app with a worker that pays for its models."""
    models = {"fast": ModelSpec("openai/gpt-4o-mini", {"api_base": server.url, "api_key": "sk-1234567890"}, {"input": 150.0, "output": 0.0})}
    async with App(with_settings(project.settings, models=models)) as app:
        worker = app.worker()
        await worker.start()
        yield app
        await worker.stop(2)


def used(info: RunInfo) -> tuple[float, int, int]:
    """Dollars, tokens in, calls."""
    return round(info.usage["cost"], 6), info.usage["tokens_in"], info.usage["calls"]


async def test_what_a_child_uses_counts_for_all_that_wait_for_it(project: Project, paying: App, server: OpenAIServer) -> None:
    server.script(*[PAID] * 3)
    project.load(ASK, "lowest")
    project.load("steps:\n  - id: low\n    call: lowest.yaml\n", "middle")
    flow = project.load("steps:\n  - llm: {text: First, model: fast}\n  - id: mid\n    call: middle.yaml\noutputs: {cost: '{{ steps.mid.usage.cost }}'}\n")
    info = await ended(paying, await paying.client.start(flow, {}))
    assert info.status == "ok", info.error
    assert (used(info), info.outputs["cost"]) == ((0.45, 3_000, 3), pytest.approx(0.3))
    middle = await info_of(paying, child_of(project, info.run_id, "mid"))
    lowest = await info_of(paying, child_of(project, middle.run_id, "low"))
    assert used(middle) == used(lowest) == (0.3, 2_000, 2)


@pytest.mark.parametrize("where", ["budget", "max_cost"])
async def test_a_budget_covers_called_runs(project: Project, paying: App, server: OpenAIServer, where: str) -> None:
    """20 cents: the child's second call finds some left, a third is not made, whichever run it would be in."""
    server.script(*[PAID] * 4)
    project.load(ASK, "child")
    text = "steps:\n  - id: a\n    call: child.yaml\n  - id: b\n    call: child.yaml\n"
    flow = project.load(text if where == "max_cost" else "budget: 0.20\n" + text)
    rid = await paying.client.start(flow, {}, max_cost=0.2 if where == "max_cost" else None)
    info = await ended(paying, rid)
    assert info.status == "failed" and info.error is not None
    assert (info.error["step"], info.error["type"], info.error["data"]["error"]["type"]) == ("b", "budget", "budget")
    assert used(info) == (0.3, 2_000, 2) and len(server.requests) == 2


async def test_children_side_by_side_share_the_budget(project: Project, paying: App, server: OpenAIServer) -> None:
    server.script(*[PAID] * 20)
    project.load(ASK, "child")
    flow = project.load("budget: 0.50\nsteps:\n  - each: range(6)\n    concurrency: 3\n    call: child.yaml\n    on_error: continue\n")
    info = await ended(paying, await paying.client.start(flow, {}))
    assert info.status == "ok"
    assert 4 <= len(server.requests) <= 4 + 2  # what was asked already when it was spent is paid for
    assert used(info)[0] == pytest.approx(0.15 * len(server.requests))


async def test_a_detached_run_pays_for_itself(project: Project, paying: App, server: OpenAIServer) -> None:
    server.script(*[PAID] * 3)
    project.load(ASK, "child")
    flow = project.load("budget: 0.10\nsteps:\n  - id: c\n    call: {workflow: child.yaml, detach: true}\n")
    info = await ended(paying, await paying.client.start(flow, {}))
    child = await ended(paying, info.outputs["run_id"])
    assert (child.status, used(child)[0], used(await info_of(paying, info.run_id))[0]) == ("ok", 0.3, 0)


# -- kills -----------------------------------------------------------------------------------------------------

DEEP = """
    steps:
      - id: first
        python: work:echo
        with: {value: 1}
      - id: one
        call: child.yaml
        with: {n: "{{ steps.first.output }}"}
      - id: many
        each: range(4)
        concurrency: 2
        do:
          - id: head
            python: work:echo
            with: {value: "{{ item }}"}
          - call: child.yaml
            with: {n: "{{ steps.head.output }}"}
      - call: {workflow: child.yaml, detach: true}
        with: {n: 100}
      - id: last
        python: work:echo
        with: {value: "{{ [steps.one.output, steps.many.output] }}"}
    """
DEEP_CHILD = """
    inputs: {n: integer}
    steps:
      - id: paid
        python: work:echo
        with: {value: "{{ inputs.n * 10 }}"}
      - wait: 5ms
      - id: more
        python: work:echo
        with: {value: "{{ steps.paid.output + 1 }}"}
    """
DEEP_RESULT = [11, [1, 11, 21, 31]]
POINTS = {
    "before_call": (1, 2, 4, 6),
    "after_call": (1, 2, 4, 6),
    "before_park": (1, 3),
    "after_park": (1, 3),
    "before_finish": (1, 3, 6),
    "after_finish": (1, 3, 6),
    "before_finish_item": (1, 3),
    "after_effect": (2, 5, 9),
}


async def judge(project: Project, app: App, rid: str, kills: int) -> None:
    """The right output; six children, no more; nothing ran more often than the kills explain: two runs are at work at the
    same time, and each may have had a step on its way."""
    info = await ended(app, rid)
    assert (info.status, info.outputs) == ("ok", DEEP_RESULT), info.error
    children = set(runs_of(project)) - {rid}
    assert len(children) == 6
    for child in children:
        assert (await ended(app, child)).status == "ok"
    counts = project.counts()
    assert 1 + 6 * 2 + 4 + 1 <= counts.total() <= 1 + 6 * 2 + 4 + 1 + 2 * kills
    assert (await audit(app.reader, app.keys)).open == 0
    await project.assert_at_rest(rid, *children)


@pytest.mark.parametrize("point", POINTS)
async def test_a_worker_killed_at_this_point(app: App, project: Project, point: str) -> None:
    project.load(DEEP_CHILD, "child")
    flow = project.load(DEEP)
    for count in POINTS[point]:
        project.forget_effects()
        for rid in runs_of(project):
            project.redis.zrem(project.keys.named("runs"), rid)
        doomed = project.worker(f"{point}:{count}=kill")
        rid = await app.client.start(flow, {})
        await doomed.death()
        assert (await audit(app.reader, app.keys)).lost == []
        rescuer = project.worker()
        await judge(project, app, rid, kills=1)
        assert rescuer.stop() == 0


async def test_a_worker_dies_while_the_child_is_at_work(app: App, project: Project) -> None:
    """The child goes on where it was, in another process, and its caller with it."""
    project.load("steps:\n  - id: paid\n    python: work:echo\n  - python: work:gate\n    with: {name: go, value: done}\n", "child")
    rid = await app.client.start(project.load("steps:\n  - id: c\n    call: child.yaml\n"), {})
    for _ in range(2):
        worker = project.worker()
        before = len(project.effects())
        await until(lambda before=before: len(project.effects()) > before and project.effects()[-1].path == "python@2", "the child")
        worker.kill()
    project.touch("go")
    project.worker()
    info = await ended(app, rid)
    assert (info.status, info.outputs) == ("ok", "done")
    assert project.counts() == {"paid": 1, "python@2": 3}
    assert len(runs_of(project)) == 2


async def test_a_shutdown_hands_on_a_caller(app: App, project: Project) -> None:
    """A worker that is told to stop while children run leaves them and their callers to others; nothing is cancelled."""
    project.load("inputs: {n: integer}\nsteps:\n  - python: work:slow\n    with: {s: 0.05, value: '{{ inputs.n }}'}\n", "child")
    rid = await app.client.start(project.load("steps:\n  - each: range(12)\n    concurrency: 4\n    call: child.yaml\n    with: {n: '{{ item }}'}\n"), {})
    worker = project.worker()
    for _ in range(3):
        seen = len(project.effects())
        await until(lambda seen=seen: len(project.effects()) >= min(seen + 2, 12), "some effects")
        following = project.worker()
        assert worker.stop() == 0, worker.log.read_text()
        worker = following
    info = await ended(app, rid)
    assert (info.status, info.outputs) == ("ok", list(range(12)))
    assert project.counts() == {"python@1": 12} and len(runs_of(project)) == 13
