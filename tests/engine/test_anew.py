"""Blocks that begin anew, blocks that are given up, and what they leave behind."""

from __future__ import annotations

import pytest

from aiflow.app import App
from tests.engine.conftest import Run
from tests.support.project import Project, ended, until


async def test_the_winner_is_one_of_this_attempt(run: Run, project: Project) -> None:
    """First b wins and the step after it fails, then a wins."""
    (project.root / "more.py").write_text(
        "import asyncio\n"
        "seen = []\n"
        "async def branch(ctx, name):\n"
        "    seen.append(name)\n"
        "    while seen.count('a') != seen.count('b'): await asyncio.sleep(0.001)\n"
        "    second = seen.count(name) > 1\n"
        "    if (name == 'a') != second:\n"
        "        await asyncio.sleep(20)\n"
        "    return f'{name}{seen.count(name)}'\n"
        "async def after(ctx):\n"
        "    seen.append('after')\n"
        "    if seen.count('after') == 1: raise RuntimeError('once')\n"
    )
    info = await run(
        """
        steps:
          - id: all
            do:
              - id: race
                parallel:
                  a:
                    - python: more:branch
                      with: {name: a}
                  b:
                    - python: more:branch
                      with: {name: b}
                join: first
              - python: more:after
              - set: {got: "{{ steps.race.output }}"}
            retry: {times: 1, delay: 1ms}
        """
    )
    assert info.outputs == {"got": {"a": "a2"}}


async def test_the_error_is_one_of_this_attempt(run: Run, project: Project) -> None:
    (project.root / "more.py").write_text(
        "import asyncio\n"
        "seen = []\n"
        "async def branch(ctx, name):\n"
        "    seen.append(name)\n"
        "    while seen.count('a') != seen.count('b'): await asyncio.sleep(0.001)\n"
        "    second = seen.count(name) > 1\n"
        "    if (name == 'a') == second:\n"
        "        await asyncio.sleep(20)\n"
        "    raise RuntimeError(f'{name}{seen.count(name)}')\n"
    )
    info = await run(
        """
        steps:
          - id: race
            parallel:
              a:
                - python: more:branch
                  with: {name: a}
              b:
                - python: more:branch
                  with: {name: b}
            retry: {times: 1, delay: 1ms}
        """
    )
    assert "b2" in info.error["message"], info.error


async def test_an_item_that_failed_is_done_again_in_the_next_attempt(run: Run, project: Project) -> None:
    (project.root / "more.py").write_text(
        "seen = []\n"
        "async def after(ctx):\n"
        "    seen.append('after')\n"
        "    if seen.count('after') == 1: raise RuntimeError('once')\n"
    )
    info = await run(
        """
        steps:
          - id: all
            do:
              - id: items
                each: range(2)
                allow_failures: 1
                do:
                  - python: work:echo
                  - python: work:echo
                  - wait: 20ms
                  - python: work:echo
                  - id: bad
                    python: work:fails_on
                    with: {value: "{{ item }}", bad: [0]}
              - python: more:after
              - set: {got: "{{ steps.items.errors | length }}"}
            retry: {times: 1, delay: 1ms}
        """
    )
    assert info.outputs == {"got": 1}
    counts = project.counts()
    assert counts["all.items[0].bad"] == 2, counts


async def test_after_the_failure_that_is_one_too_many_nothing_begins_however_deep(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: outer
            do:
              - each: range(2)
                do:
                  - if: item == 1
                    python: work:slow
                    with: {s: 0.1}
                  - if: item == 1
                    python: work:broken
                  - id: inner
                    each: range(200)
                    concurrency: 1
                    python: work:slow
                    with: {s: 0.01}
            on_error: continue
          - id: then
            python: work:slow
            with: {s: 1}
        """
    )
    assert info.status == "ok"
    names = [effect.path for effect in project.effects()]
    late = names[names.index("then") + 1 :]
    assert len(late) <= 1, late


async def test_after_the_time_is_up_nothing_begins_however_deep(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: outer
            do:
              - each: range(2)
                do:
                  - id: inner
                    each: range(200)
                    concurrency: 1
                    python: work:slow
                    with: {s: 0.01}
            timeout: 300ms
            on_timeout: continue
          - id: then
            python: work:slow
            with: {s: 1}
        """
    )
    assert info.status == "ok"
    names = [effect.path for effect in project.effects()]
    late = names[names.index("then") + 1 :]
    assert len(late) <= 2, late


async def test_an_output_that_cannot_be_made_after_a_handler_fails_its_item_alone(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: all
            each: range(2)
            allow_failures: 1
            python: work:fails_on
            with: {value: "{{ item }}", bad: [0]}
            on_error:
              - set: {y: 1}
            output: "{{ result.x if item == 0 else result }}"
          - set: {errors: "{{ steps.all.errors }}", status: "{{ steps.all.output }}"}
        """
    )
    assert info.outputs["errors"][0]["error"]["type"] == "expression", info.outputs
    assert info.outputs["errors"][0]["error"]["step"] == "all[0]", info.outputs


async def test_an_output_that_cannot_be_made_after_a_handler_is_the_error_of_its_step(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: one
            python: work:broken
            on_error:
              - set: {y: 1}
            output: "{{ result.x }}"
        """
    )
    assert info.error["type"] == "expression" and info.error["step"] == "one", info.error


async def test_a_branch_began_before_it_waited(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: p
            parallel:
              a:
                - python: work:echo
                - wait: 300ms
        """
    )
    record = project.records(info.run_id)["p.a"]
    assert record.finished - record.started >= 300


async def test_a_condition_of_retry_that_cannot_be_asked_is_the_error_of_its_step(run: Run) -> None:
    info = await run(
        """
        steps:
          - id: one
            python: work:broken
            retry: {times: 2, if: error.data.status == 503}
        """
    )
    assert info.error is not None
    assert (info.error["type"], info.error["step"]) == ("expression", "one")


async def test_an_item_leaves_nothing_of_what_stood_in_it(project: Project, working: App) -> None:
    rid = await working.client.start(
        project.load(
            """
            steps:
              - each: range(3)
                do:
                  - each: range(3)
                    allow_failures: 1
                    python: work:fails_on
                    with: {value: "{{ item }}", bad: [1]}
              - python: work:echo
              - python: work:gate
                with: {name: go}
            """
        ),
        {},
    )
    await until(lambda: any(effect.path == "python@3" for effect in project.effects()), "the last step")
    assert project.redis.smembers(project.keys.run(rid) + ":keys") == set()
    project.touch("go")
    assert (await ended(working, rid)).status == "ok"


async def test_items_of_a_loop_that_is_over_do_not_speak_for_it(run: Run, project: Project) -> None:
    """The failure of the loop is that of the item that failed, not one that another item passed over."""
    for _ in range(16):
        info = await run(
            """
            steps:
              - id: outer
                each: range(24)
                concurrency: 24
                do:
                  - id: inner
                    each: [0, 1]
                    on_error: continue
                    do:
                      - python: work:echo
                      - if: item == 0
                        fail: {message: passed over, type: quiet}
                  - fail: {message: counts, type: loud}
            """
        )
        assert (info.status, info.error and info.error["type"]) == ("failed", "loud")
        await project.assert_at_rest(info.run_id)


async def test_branches_that_were_cancelled_long_ago_are_forgotten(run: Run, project: Project) -> None:
    key = project.keys.named("cancels")
    project.redis.zadd(key, {"long ago|": 1})
    info = await run("steps:\n  - parallel:\n      a: [{set: {x: 1}}]\n      b: [{wait: 1h}]\n    join: first\n")
    assert info.status == "ok"
    left = [name.decode().partition("|")[0] for name in project.redis.zrange(key, 0, -1)]
    assert left == [info.run_id]


@pytest.mark.parametrize("ending", ["timeout", "failure", "cancel"])
async def test_a_run_that_ended_inside_nested_loops_goes_on_in_them(project: Project, working: App, ending: str) -> None:
    rid = await working.client.start(
        project.load(
            f"""
            {"timeout: 400ms" if ending == "timeout" else ""}
            steps:
              - each: range(3)
                as: outer
                do:
                  - id: one
                    python: work:echo
                  - if: outer == 2 and {ending == "failure"}
                    python: work:gate
                    with: {{name: fail}}
                  - if: outer == 2 and {ending == "failure"}
                    python: work:broken
                    with: {{unless: go}}
                  - id: inner
                    each: range(4)
                    as: n
                    concurrency: 2
                    do:
                      - python: work:echo
                      - if: n == 1
                        wait: 20ms
                      - if: n > 1
                        python: work:gate
                        with: {{name: go}}
                      - set: {{sum: "{{{{ outer * 10 + n }}}}"}}
            """
        ),
        {},
    )
    await until(lambda: sum("inner" in effect.path for effect in project.effects()) >= (9 if ending != "failure" else 6), "the inner items")
    project.touch("fail")
    if ending == "cancel":
        await working.client.cancel(rid)
    info = await ended(working, rid)
    assert info.status == {"cancel": "cancelled"}.get(ending, "failed"), info.error
    project.touch("go")
    await working.client.retry(rid)
    info = await ended(working, rid)
    assert (info.status, info.outputs) == ("ok", [[{"sum": o * 10 + n} for n in range(4)] for o in range(3)]), info.error
    counts = project.counts()
    assert {counts[f"do@1[{outer}].one"] for outer in range(3)} == {1}
    await project.assert_at_rest(rid)
