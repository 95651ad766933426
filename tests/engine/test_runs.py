"""Whole runs in one worker: what each modifier does, and what is recorded of it."""

from __future__ import annotations

import asyncio
import time

import pytest

from aiflow.app import App
from aiflow.engine import handling
from aiflow.errors import RunError
from tests.engine.conftest import Run
from tests.support.project import Project, ended, until

# -- lists of steps --------------------------------------------------------------------------------------------


async def test_steps_run_one_after_another(run: Run, project: Project) -> None:
    info = await run(
        """
        inputs: {n: integer}
        steps:
          - id: a
            python: work:echo
            with: {value: "{{ inputs.n }}"}
          - python: work:thread
          - id: b
            python: work:echo
            with: {value: "{{ steps.a.output * 2 }}"}
        outputs: {b: "{{ steps.b.output }}", a: "{{ steps.a.status }}"}
        """,
        n=21,
    )
    assert (info.status, info.outputs) == ("ok", {"b": 42, "a": "ok"})
    assert [effect.path for effect in project.effects()] == ["a", "python@2", "b"]
    assert {path: record.output for path, record in project.records(info.run_id).items()} == {"a": 21, "python@2": None, "b": 42}
    await project.assert_at_rest(info.run_id)


async def test_without_outputs_the_run_hands_on_the_last_step(run: Run) -> None:
    info = await run("steps:\n  - python: work:echo\n    with: {value: [1, {a: b}]}\n")
    assert info.outputs == [1, {"a": "b"}]


async def test_an_else_runs_instead_and_gives_the_output(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: nothing
            if: inputs.n > 2
            python: work:echo
          - id: either
            if: inputs.n > 2
            python: work:echo
            else:
              - python: work:echo
                with: {value: first}
              - id: second
                python: work:echo
                with: {value: second}
          - id: taken
            if: inputs.n < 2
            python: work:echo
            with: {value: first}
            else:
              - fail: never
        outputs:
          nothing: "{{ steps.nothing.output }}"
          status: "{{ steps.nothing.status }}"
          either: "{{ steps.either.output }}"
          taken: "{{ steps.taken.output }}"
        inputs: {n: integer}
        """,
        n=1,
    )
    assert info.outputs == {"nothing": None, "status": "skipped", "either": "second", "taken": "first"}
    assert [effect.path for effect in project.effects()] == ["either.else.python@1", "either.else.second", "taken"]


async def test_a_do_hands_on_its_last_step_and_output_reshapes(run: Run) -> None:
    info = await run(
        """
        steps:
          - id: block
            do:
              - id: inner
                python: work:echo
                with: {value: {a: 1}}
              - python: work:echo
                with: {value: "{{ steps.inner.output.a + 1 }}"}
            output: {twice: "{{ result * 2 }}", inner: "{{ steps.inner.output }}"}
        """
    )
    assert info.outputs == {"twice": 4, "inner": {"a": 1}}


async def test_now_and_uuid_are_the_same_for_every_attempt(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: once
            do:
              - id: ids
                set: {id: "{{ uuid() }}", at: "{{ now() }}", key: "{{ step.key }}"}
              - python: work:flaky
                with: {times: 2, value: "{{ steps.ids.output }}"}
                retry: {times: 2, delay: 1ms}
        """
    )
    assert info.status == "ok"
    assert info.outputs["key"] == f"{info.run_id}:once.ids"
    assert info.outputs == project.records(info.run_id)["once.ids"].output


async def test_a_step_begins_with_its_first_attempt_whoever_ends_it(run: Run, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its frame is let go of and claimed again in between."""
    monkeypatch.setattr(handling, "INLINE_RETRY_MS", 1)
    info = await run(
        """
        steps:
          - id: retried
            python: work:flaky
            with: {times: 1}
            retry: {times: 1, delay: 200ms, jitter: false}
          - id: failed
            python: work:broken
            retry: {times: 1, delay: 200ms, jitter: false}
            on_error: continue
          - id: waited
            wait: 200ms
          - id: handled
            python: work:broken
            on_error:
              - wait: 200ms
          - id: never
            wait_for: nothing
            timeout: 200ms
            on_timeout: continue
        """
    )
    assert info.status == "ok", info.error
    records = project.records(info.run_id)
    took = {path: records[path].finished - records[path].started for path in ("retried", "failed", "waited", "handled", "never")}
    assert all(200 <= ms < 5_000 for ms in took.values()), took


# -- each ------------------------------------------------------------------------------------------------------


async def test_an_each_lasts_from_its_first_item_to_its_last(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: all
            each: range(3)
            concurrency: 1
            python: work:slow
          - id: some
            each: range(3)
            concurrency: 1
            allow_failures: 1
            on_error: continue
            python: work:slow
          - id: bad
            each: range(3)
            concurrency: 1
            python: work:fails_on
            with: {value: "{{ item }}", bad: [2]}
        """
    )
    records = project.records(info.run_id)
    for name in ("all", "some", "bad"):
        items = [records[f"{name}[{n}]"] for n in range(3)]
        assert records[name].started <= items[0].started and records[name].finished >= items[2].finished
    assert records["all"].finished - records["all"].started >= 150


async def test_an_each_gives_a_list_in_the_order_of_its_items(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: all
            each: range(7)
            as: number
            python: work:slow
            with: {value: "{{ [number, index] }}", s: "{{ (7 - number) / 200 }}"}
            output: "{{ {'of': result} }}"
        """
    )
    assert info.outputs == [{"of": [n, n]} for n in range(7)]
    records = project.records(info.run_id)
    assert records["all"].count == 7 and records["all"].output is None  # its items have their own
    assert records["all[3]"].output == {"of": [3, 3]}
    await project.assert_at_rest(info.run_id)


@pytest.mark.parametrize("concurrency", [1, 2, 3, 7, 20])
async def test_concurrency_is_exact(run: Run, project: Project, concurrency: int) -> None:
    info = await run(
        f"""
        steps:
          - each: range(40)
            concurrency: {concurrency}
            python: work:slow
            with: {{s: 0.02}}
        """
    )
    assert info.status == "ok"
    assert len(project.effects("end")) == 40
    assert project.most_at_once() <= concurrency
    assert project.most_at_once() >= min(concurrency, 5), "nothing ran side by side"


async def test_one_at_a_time_is_in_order_and_knows_the_item_before(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - each: [1, 2, 3, 4]
            concurrency: 1
            python: work:echo
            with: {value: "{{ (previous or 0) + item }}"}
        """
    )
    assert info.outputs == [1, 3, 6, 10]
    assert [effect.path for effect in project.effects()] == [f"python@1[{n}]" for n in range(4)]


async def test_nested_each(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: docs
            each: ["a", "b", "c"]
            as: doc
            do:
              - id: name
                python: work:echo
                with: {value: "{{ doc | upper }}"}
              - id: parts
                each: range(index + 1)
                as: part
                do:
                  - id: words
                    each: [10, 20]
                    as: word
                    python: work:echo
                    with: {value: "{{ doc }}{{ part }}{{ word }}"}
                  - python: work:echo
                    with: {value: "{{ steps.words.output | join('+') }}"}
              - id: sum
                python: work:echo
                with: {value: "{{ steps.name.output }}:{{ steps.parts.output | join(',') }}"}
        """
    )
    assert info.outputs == ["A:a010+a020", "B:b010+b020,b110+b120", "C:c010+c020,c110+c120,c210+c220"]
    assert set(project.counts().values()) == {1}
    assert project.records(info.run_id)["docs[2].parts[1].words[0]"].output == "c110"
    await project.assert_at_rest(info.run_id)


async def test_an_each_over_nothing_is_an_empty_list(run: Run, project: Project) -> None:
    info = await run("steps:\n  - id: all\n    each: []\n    python: work:echo\noutputs: {all: '{{ steps.all.output }}'}\n")
    assert (info.status, info.outputs) == ("ok", {"all": []})
    assert project.effects() == []


async def test_an_each_over_a_map_is_an_error(run: Run) -> None:
    info = await run("steps:\n  - id: all\n    each: 'inputs.x'\n    python: work:echo\ninputs: {x: any}\n", x={"a": 1})
    assert info.status == "failed"
    assert info.error is not None
    assert (info.error["type"], info.error["step"]) == ("expression", "all")
    assert "needs a list" in info.error["message"]


async def test_failed_items_are_null_as_long_as_they_are_allowed(run: Run) -> None:
    text = """
        steps:
          - id: all
            each: range(10)
            allow_failures: {allowed}
            python: work:fails_on
            with: {{value: "{{{{ item }}}}", bad: [2, 5, 7]}}
        outputs:
          all: "{{{{ steps.all.output }}}}"
          errors: "{{{{ steps.all.errors }}}}"
        """
    for allowed in ("3", '"30%"', '"39%"'):
        info = await run(text.format(allowed=allowed))
        assert info.outputs["all"] == [0, 1, None, 3, 4, None, 6, None, 8, 9], allowed
        assert [(e["index"], e["item"], e["error"]["message"]) for e in info.outputs["errors"]] == [
            (n, n, f"ValueError: bad {n}") for n in (2, 5, 7)
        ]
    for allowed in ("2", '"29%"'):
        info = await run(text.format(allowed=allowed))
        assert info.status == "failed" and info.error is not None
        assert (info.error["type"], len(info.error["data"]["errors"])) == ("too_many_failures", 3), allowed


async def test_one_failure_too_many_stops_new_items(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - each: range(400)
            concurrency: 4
            python: work:fails_on
            with: {value: "{{ item }}", bad: [3]}
        """
    )
    assert info.error is not None
    assert (info.error["type"], info.error["message"], info.error["index"]) == ("python_error", "ValueError: bad 3", 3)
    assert len(project.effects()) < 100


async def test_three_thousand_items(run: Run, project: Project) -> None:
    began = time.monotonic()
    info = await run(
        """
        steps:
          - id: all
            each: range(3000)
            concurrency: 50
            python: work:echo
            with: {value: "{{ item * 2 }}"}
        outputs: {n: "{{ steps.all.output | length }}", sum: "{{ steps.all.output | sum }}"}
        """
    )
    assert info.outputs == {"n": 3000, "sum": 2 * sum(range(3000))}
    assert len(project.effects()) == 3000 and set(project.counts().values()) == {1}
    assert time.monotonic() - began < 30
    await project.assert_at_rest(info.run_id)


async def test_an_each_of_pure_steps_needs_no_lanes(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: all
            each: range(5)
            concurrency: 1
            set: {n: "{{ item }}", before: "{{ previous.n if previous else 'none' }}"}
        outputs: {all: "{{ steps.all.output }}"}
        """
    )
    assert info.outputs["all"][:2] == [{"n": 0, "before": "none"}, {"n": 1, "before": 0}]
    await project.assert_at_rest(info.run_id)


# -- failures --------------------------------------------------------------------------------------------------


async def test_short_retries_are_sat_out(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: f
            python: work:flaky
            with: {times: 3, value: done}
            retry: {times: 3, delay: 5ms}
        outputs: {value: "{{ steps.f.output }}", attempts: "{{ steps.f.attempts }}"}
        """
    )
    assert info.outputs == {"value": "done", "attempts": 4}
    assert [effect.attempt for effect in project.effects()] == [1, 2, 3, 4]


async def test_long_retries_let_go_of_the_frame(working: App, project: Project) -> None:
    workflow = project.load(
        """
        steps:
          - id: f
            python: work:flaky
            with: {times: 1, value: done}
            retry: {times: 1, delay: 1500ms, jitter: false}
        """
    )
    rid = await working.client.start(workflow, {})
    await until(lambda: project.status(rid) == "waiting", "the retry")
    assert project.redis.zcard(project.keys.named("timers")) == 1
    began = time.monotonic()
    info = await ended(working, rid)
    assert info.outputs == "done"
    assert time.monotonic() - began > 1.0
    assert [effect.attempt for effect in project.effects()] == [1, 2]
    await project.assert_at_rest(rid)


async def test_a_retry_asks_its_condition(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - python: work:broken
            retry: {times: 5, delay: 1ms, if: "error.attempts < 3 and error.data.exception == 'ValueError'"}
        """
    )
    assert info.error is not None
    assert info.error["attempts"] == 3 and len(project.effects()) == 3


async def test_an_expression_that_fails_is_not_retried(run: Run) -> None:
    info = await run(
        """
        inputs: {x: any}
        steps:
          - python: work:echo
            with: {value: "{{ 1 + inputs.x }}"}
            retry: {times: 5, delay: 1ms}
        """,
        x="text",
    )
    assert info.error is not None
    assert (info.error["type"], info.error["attempts"]) == ("expression", 1)


async def test_a_do_is_retried_from_its_beginning(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - do:
              - id: first
                python: work:echo
                with: {value: 1}
              - id: second
                python: work:fails_on
                with: {value: "{{ steps.first.output }}", bad: [1], unless: mended}
                on_error:
                  - python: work:echo
                  - shell: touch "$DIR/mended"
                    with: {DIR: "{{ inputs.dir }}"}
                  - fail: again
            retry: {times: 1, delay: 1ms}
        inputs: {dir: string}
        """,
        dir=str(project.root),
    )
    assert info.status == "ok", info.error
    counts = project.counts()
    assert (counts["do@1.first"], counts["do@1.second"]) == (2, 2)


async def test_a_timeout_ends_an_attempt(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: late
            python: work:slow
            with: {s: 5}
            timeout: 50ms
            retry: {times: 1, delay: 1ms}
        """
    )
    assert info.error is not None
    assert (info.error["type"], info.error["attempts"], info.error["transient"]) == ("timeout", 2, True)
    assert len(project.effects()) == 2 and project.effects("end") == []


async def test_on_timeout(run: Run) -> None:
    info = await run(
        """
        steps:
          - id: a
            python: work:slow
            with: {s: 5}
            timeout: 20ms
            on_timeout: continue
          - id: b
            python: work:slow
            with: {s: 5}
            timeout: 20ms
            on_timeout:
              - python: work:echo
                with: {value: "{{ error.type }}"}
          - id: c
            python: work:slow
            with: {s: 5}
            timeout: 20ms
            on_timeout:
              - fail: {message: worse, type: worse}
            on_error:
              - python: work:echo
                with: {value: "{{ error.message }}"}
        outputs:
          a: "{{ [steps.a.output, steps.a.status] }}"
          b: "{{ [steps.b.output, steps.b.status] }}"
          c: "{{ [steps.c.output, steps.c.status] }}"
        """
    )
    assert info.outputs == {"a": [None, "timed_out"], "b": ["timeout", "ok"], "c": ["worse", "ok"]}


async def test_a_handler_that_left_everything_out_handles_nothing_after_on_timeout_either(run: Run) -> None:
    info = await run(
        """
        steps:
          - id: a
            python: work:slow
            with: {s: 5}
            timeout: 20ms
            on_timeout:
              - python: work:echo
              - id: late
                fail: {message: nobody, type: nobody}
            on_error:
              - if: error.type == 'rejected'
                set: {approved: false}
        """
    )
    assert info.error is not None
    assert (info.status, info.error["type"], info.error["step"]) == ("failed", "nobody", "a.on_timeout.late")


async def test_a_run_that_was_left_in_on_error_after_on_timeout_goes_on_there(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: a
            python: work:slow
            with: {s: 5}
            timeout: 20ms
            on_timeout:
              - python: work:echo
                with: {value: 1}
              - fail: {message: nobody, type: nobody}
            on_error:
              - python: work:echo
                with: {value: 2}
              - python: work:echo
                with: {value: 3}
              - wait: 50ms
              - python: work:echo
                with: {value: "{{ error.type }}"}
        outputs: {a: "{{ steps.a.output }}"}
        """
    )
    assert info.outputs == {"a": "nobody"}, info.error
    counts = project.counts()
    assert (counts["a.on_timeout.python@1"], counts["a.on_error.python@2"], counts["a.on_error.python@4"]) == (1, 1, 1)


async def test_on_error(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: goes_on
            python: work:broken
            on_error: continue
          - id: handled
            python: work:broken
            with: {value: 7}
            on_error:
              - if: false
                python: work:echo
              - python: work:echo
                with: {value: "{{ error.message }} at {{ error.step }}"}
          - id: block
            do:
              - id: deep
                python: work:broken
                on_error:
                  - if: error.type == 'other'
                    python: work:echo
            on_error:
              - id: outer
                python: work:echo
                with: {value: "{{ error.step }}"}
        outputs:
          goes_on: "{{ [steps.goes_on.output, steps.goes_on.status, steps.goes_on.error.message] }}"
          handled: "{{ steps.handled.output }}"
          block: "{{ steps.block.output }}"
          deep: "{{ steps.deep.status }}"
        """
    )
    assert info.status == "ok", info.error
    assert info.outputs == {
        "goes_on": [None, "failed", "ValueError: broken None"],
        "handled": "ValueError: broken 7 at handled",
        "block": "block.deep",
        "deep": "failed",
    }
    await project.assert_at_rest(info.run_id)


async def test_a_handler_of_an_item_sees_the_item(run: Run) -> None:
    info = await run(
        """
        steps:
          - each: ["x", "y"]
            python: work:broken
            with: {value: "{{ item }}"}
            on_error:
              - python: work:echo
                with: {value: "{{ item }}{{ index }}{{ error.index }}: {{ error.message }}"}
        """
    )
    assert info.outputs == ["x00: ValueError: broken x", "y11: ValueError: broken y"]


async def test_on_error_stop_ends_the_run_without_a_failure(run: Run, project: Project) -> None:
    info = await run("steps:\n  - python: work:broken\n    on_error: stop\n  - python: work:echo\n")
    assert (info.status, info.error) == ("stopped", None)
    assert len(project.effects()) == 1
    await project.assert_at_rest(info.run_id)


async def test_fail_says_type_message_and_data(run: Run, project: Project) -> None:
    info = await run("steps:\n  - fail: {message: 'no {{ 1 + 1 }}', type: mine, data: {a: 1}}\n")
    assert info.status == "failed" and info.error is not None
    assert (info.error["type"], info.error["message"], info.error["data"]) == ("mine", "no 2", {"a": 1})
    assert info.error["at"] == "workflows/flow.yaml:2:5"
    assert project.redis.zscore(project.keys.named("dead"), info.run_id) is not None
    await project.assert_at_rest(info.run_id)


async def test_the_workflows_own_handlers_run_at_the_end(run: Run, project: Project) -> None:
    text = """
        steps:
          - id: work
            python: work:fails_on
            with: {value: "{{ inputs.n }}", bad: [1]}
        on_error:
          - id: sorry
            python: work:echo
            with: {value: "{{ error.message }}"}
        finally:
          - id: bye
            python: work:echo
            with: {value: "{{ run.status }}"}
        inputs: {n: integer}
        """
    bad, good = await run(text, n=1), await run(text, n=2)
    assert (bad.status, good.status, good.outputs) == ("failed", "ok", 2)
    assert project.records(bad.run_id)["on_error.sorry"].output == "ValueError: bad 1"
    assert project.records(bad.run_id)["finally.bye"].output == "failed"
    assert project.records(good.run_id)["finally.bye"].output == "ok"
    assert "on_error.sorry" not in project.records(good.run_id)
    await project.assert_at_rest(bad.run_id, good.run_id)


async def test_a_failing_finally_does_not_change_how_the_run_ended(run: Run, working: App) -> None:
    info = await run("steps:\n  - set: {a: 1}\nfinally:\n  - fail: in the end\n")
    assert (info.status, info.outputs) == ("ok", {"a": 1})
    assert [line for line in await working.inspector.journal(info.run_id) if line["event"] == "handler_failed"]


# -- ends ------------------------------------------------------------------------------------------------------


async def test_stop_inside_an_item_ends_the_run(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - each: range(30)
            concurrency: 3
            do:
              - python: work:slow
                with: {s: 0.02}
              - if: item == 4
                stop: {reason: enough, outputs: {at: "{{ item }}"}}
              - python: work:echo
          - python: work:echo
        """
    )
    assert (info.status, info.outputs) == ("stopped", {"at": 4})
    assert "python@2" not in project.counts()
    await until(lambda: not project.held(), "lanes")
    await project.assert_at_rest(info.run_id)


async def test_cancel_ends_a_run_in_the_middle_of_a_step(working: App, project: Project) -> None:
    rid = await working.client.start(project.load("steps:\n  - python: work:gate\n    with: {name: never}\n  - python: work:echo\n"), {})
    await until(project.effects, "the step")
    await working.client.cancel(rid, "not wanted")
    info = await working.inspector.run(rid)
    assert info is not None and info.status == "cancelled"
    assert info.error is not None and info.error["message"] == "not wanted"
    await until(lambda: not project.held(), "the worker")
    await project.assert_at_rest(rid)
    assert len(project.effects()) == 1
    with pytest.raises(RunError, match="is cancelled and cannot be cancelled"):
        await working.client.cancel(rid)


async def test_cancel_of_a_waiting_run(working: App, project: Project) -> None:
    rid = await working.client.start(project.load("steps:\n  - wait: 1h\n"), {})
    await until(lambda: project.status(rid) == "waiting", "the wait")
    await working.client.cancel(rid)
    await project.assert_at_rest(rid)


async def test_the_same_run_id_starts_one_run(working: App, project: Project) -> None:
    workflow = project.load("steps:\n  - python: work:echo\n")
    for _ in range(3):
        assert await working.client.start(workflow, {}, run_id="01MINE") == "01MINE"
    await ended(working, "01MINE")
    await working.client.start(workflow, {}, run_id="01MINE")
    await asyncio.sleep(0.05)
    assert project.counts() == {"python@1": 1}


# -- waiting ---------------------------------------------------------------------------------------------------


async def test_a_wait_holds_no_worker_and_is_not_early(working: App, project: Project) -> None:
    workflow = project.load("steps:\n  - python: work:echo\n  - wait: 300ms\n  - python: work:echo\n")
    began = time.monotonic()
    rids = [await working.client.start(workflow, {}) for _ in range(20)]
    await until(lambda: project.redis.zcard(project.keys.named("timers")) == 20, "the timers")
    for rid in rids:
        assert (await ended(working, rid)).status == "ok"
    assert 0.3 <= time.monotonic() - began < 5
    assert project.counts() == {"python@1": 20, "python@3": 20}
    await project.assert_at_rest(*rids)


async def test_items_that_wait_keep_their_place(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: all
            each: range(6)
            concurrency: 2
            do:
              - python: work:echo
                with: {value: "{{ item }}"}
              - wait: 60ms
              - python: work:echo
                with: {value: "{{ item }}"}
        """
    )
    assert info.outputs == list(range(6))
    order = [effect.path for effect in project.effects()]
    for earlier, later in [(0, 2), (1, 3), (2, 4)]:
        assert order.index(f"all[{later}].python@1") > min(
            order.index(f"all[{earlier}].python@3"), order.index(f"all[{earlier + 1 if earlier % 2 == 0 else earlier - 1}].python@3")
        )
    assert set(project.counts().values()) == {1}
    await project.assert_at_rest(info.run_id)


# -- retry of a run --------------------------------------------------------------------------------------------


async def test_a_retried_run_goes_on_at_the_failed_step(run: Run, working: App, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: before
            python: work:echo
            with: {value: 1}
          - id: block
            do:
              - id: inside
                python: work:echo
                with: {value: 2}
              - id: bad
                python: work:broken
                with: {value: "{{ steps.inside.output }}", unless: mended}
          - python: work:echo
            with: {value: "{{ steps.before.output + steps.block.output }}"}
        """
    )
    assert info.status == "failed"
    project.touch("mended")
    await working.client.retry(info.run_id)
    info = await ended(working, info.run_id)
    assert (info.status, info.outputs, info.error) == ("ok", 3, None)
    assert project.counts() == {"before": 1, "block.inside": 1, "block.bad": 2, "python@3": 1}
    await project.assert_at_rest(info.run_id)
    with pytest.raises(RunError, match="is ok and cannot be retried"):
        await working.client.retry(info.run_id)


NESTED = """
    steps:
      - id: docs
        each: range(4)
        as: doc
        concurrency: 2
        do:
          - id: head
            python: work:echo
            with: {value: "{{ doc }}"}
          - id: parts
            each: range(5)
            as: part
            concurrency: 1
            do:
              - id: read
                python: work:echo
                with: {value: "{{ part }}"}
              - id: check
                python: work:fails_on
                with: {value: "{{ doc * 10 + part }}", bad: [13], unless: mended}
          - id: tail
            python: work:echo
            with: {value: "{{ steps.parts.output | sum }}"}
      - id: after
        python: work:echo
        with: {value: "{{ steps.docs.output }}"}
    """


async def test_a_retry_inside_nested_fan_outs_does_only_what_is_not_done(run: Run, working: App, project: Project) -> None:
    info = await run(NESTED)
    assert info.status == "failed" and info.error is not None
    assert info.error["step"] == "docs[1].parts[3].check"
    done = {path for path, record in project.records(info.run_id).items() if record.status == "ok"}
    before = project.counts()
    assert before["docs[1].parts[4].read"] == 0
    project.touch("mended")
    await working.client.retry(info.run_id)
    info = await ended(working, info.run_id)
    assert info.outputs == [10, 60, 110, 160]
    assert [path for path, n in project.counts().items() if path in done and n > 1] == []
    assert project.counts()["docs[1].parts[3].check"] == 2
    assert project.counts()["docs[1].parts[3].read"] == 1
    await project.assert_at_rest(info.run_id)


async def test_a_retry_that_fails_again_can_be_retried(run: Run, working: App, project: Project) -> None:
    info = await run(NESTED)
    for _ in range(3):
        await working.client.retry(info.run_id)
        info = await ended(working, info.run_id)
        assert info.status == "failed"
    project.touch("mended")
    await working.client.retry(info.run_id)
    info = await ended(working, info.run_id)
    assert info.outputs == [10, 60, 110, 160]
    assert project.counts()["docs[1].parts[3].check"] == 5
    await project.assert_at_rest(info.run_id)


async def test_a_cancelled_run_can_go_on(working: App, project: Project) -> None:
    workflow = project.load(
        """
        steps:
          - id: all
            each: range(6)
            concurrency: 2
            do:
              - python: work:echo
              - python: work:gate
                with: {name: "go{{ index // 2 }}", value: "{{ item }}"}
        """
    )
    rid = await working.client.start(workflow, {})
    project.touch("go0")
    await until(lambda: project.counts()["all[3].python@2"], "the second pair")
    await working.client.cancel(rid)
    project.touch("go1")
    project.touch("go2")
    await working.client.retry(rid)
    info = await ended(working, rid)
    assert info.outputs == list(range(6))
    counts = project.counts()
    assert {counts[f"all[{n}].python@2"] for n in (0, 1)} == {1}
    assert {counts[f"all[{n}].python@1"] for n in range(6)} == {1}
    await project.assert_at_rest(rid)


@pytest.mark.parametrize("early", [True, False])
async def test_a_cancelled_run_goes_on_with_its_waits(working: App, project: Project, early: bool) -> None:
    """Timers of the time before must not move items that lanes have taken over, and no wait ends early."""
    workflow = project.load(
        """
        steps:
          - id: all
            each: range(4)
            concurrency: 4
            do:
              - python: work:echo
              - wait: 500ms
              - python: work:echo
                with: {value: "{{ item }}"}
        """
    )
    began = time.monotonic()
    rid = await working.client.start(workflow, {})
    await until(lambda: project.redis.zcard(project.keys.named("timers")) == 4, "the timers")
    await working.client.cancel(rid)
    if not early:
        await asyncio.sleep(0.6)
    await working.client.retry(rid)
    info = await ended(working, rid)
    assert info.outputs == list(range(4))
    assert time.monotonic() - began >= 0.5
    assert set(project.counts().values()) == {1}, project.counts()
    await project.assert_at_rest(rid)


async def test_items_left_waiting_by_a_failure_are_done_once_after_a_retry(run: Run, working: App, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: all
            each: range(4)
            concurrency: 4
            do:
              - python: work:echo
              - if: item < 3
                wait: 300ms
              - id: last
                python: work:fails_on
                with: {value: "{{ item }}", bad: [3], unless: mended}
        """
    )
    assert info.status == "failed"
    project.touch("mended")
    await working.client.retry(info.run_id)
    info = await ended(working, info.run_id)
    assert info.outputs == list(range(4))
    counts = project.counts()
    assert [counts[f"all[{n}].last"] for n in range(4)] == [1, 1, 1, 2]
    await project.assert_at_rest(info.run_id)


async def test_an_each_inside_a_retried_do_begins_anew(working: App, project: Project) -> None:
    """Its items of the attempt before, also those that failed or wait, must not be in the way."""
    workflow = project.load(
        """
        steps:
          - id: block
            do:
              - id: all
                each: range(5)
                concurrency: 5
                do:
                  - python: work:echo
                    with: {value: "{{ item }}"}
                  - if: item < 2
                    wait: 250ms
                  - python: work:echo
                  - id: last
                    python: work:fails_on
                    with: {value: "{{ item }}", bad: [4], unless: mended}
            retry: {times: 20, delay: 10ms}
          - python: work:echo
            with: {value: "{{ steps.block.output }}"}
        """
    )
    rid = await working.client.start(workflow, {})
    await until(lambda: project.counts()["block.all[4].last"] >= 2, "the second attempt")
    project.touch("mended")
    info = await ended(working, rid)
    assert (info.status, info.outputs) == ("ok", list(range(5)))
    await project.assert_at_rest(rid)


async def test_a_retry_does_not_come_back_to_failures_that_were_passed_over(run: Run, working: App, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: first
            python: work:broken
            on_error: continue
          - id: all
            each: range(4)
            concurrency: 1
            python: work:fails_on
            with: {value: "{{ item }}", bad: [1]}
            on_error: continue
          - id: two
            each: range(4)
            concurrency: 1
            python: work:fails_on
            with: {value: "{{ item }}", bad: [1, 3], unless: mended}
            allow_failures: 1
          - python: work:echo
        """
    )
    assert info.status == "failed"
    project.touch("mended")
    await working.client.retry(info.run_id)
    assert (await ended(working, info.run_id)).status == "ok"
    counts = project.counts()
    assert counts["first"] == 1
    assert [counts[f"all[{n}]"] for n in range(4)] == [1, 1, 1, 1]
    assert [counts[f"two[{n}]"] for n in range(4)] == [1, 2, 1, 2]
    await project.assert_at_rest(info.run_id)


# -- odds and ends ---------------------------------------------------------------------------------------------


async def test_large_results_live_beside_the_store(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: one
            python: work:big
            with: {size: 300000}
          - id: many
            each: [a, b, c]
            python: work:big
            with: {size: 100000, letter: "{{ item }}"}
          - id: used
            python: work:echo
            with: {value: "{{ steps.one.output | length }}-{{ steps.many.output[2][:3] }}-{{ steps.many.output | length }}"}
        outputs: {used: "{{ steps.used.output }}", one: "{{ steps.one.output }}"}
        """
    )
    assert info.outputs == {"used": "300000-ccc-3", "one": "x" * 300_000}
    assert max(len(raw) for raw in project.raw_records(info.run_id).values()) < 1000
    assert project.redis.memory_usage(project.keys.run(info.run_id)) < 10_000


async def test_keys_that_look_like_references_survive(run: Run) -> None:
    value = {"$blob": {"$file": 1}, "$$x": [{"$": None}]}
    info = await run("inputs: {x: any}\nsteps:\n  - id: a\n    python: work:echo\n    with: {value: '{{ inputs.x }}'}\noutputs: {x: '{{ steps.a.output }}'}\n", x=value)
    assert info.outputs == {"x": value}


async def test_usage_and_times_are_recorded(run: Run, project: Project) -> None:
    info = await run("steps:\n  - python: work:slow\n    with: {s: 0.05}\n")
    record = project.records(info.run_id)["python@1"]
    assert 40 <= record.finished - record.started < 2000
    assert info.started_ms is not None and info.finished_ms is not None
    assert info.created_ms <= info.started_ms <= record.started <= record.finished <= info.finished_ms


async def test_outputs_see_results_from_before_a_wait(run: Run) -> None:
    info = await run(
        """
        steps:
          - id: first
            python: work:echo
            with: {value: 7}
          - id: many
            each: [1, 2, 3]
            python: work:echo
            with: {value: "{{ item }}"}
          - wait: 20ms
        outputs: {first: "{{ steps.first.output }}", many: "{{ steps.many.output }}", status: "{{ steps.first.status }}"}
        """
    )
    assert (info.status, info.outputs) == ("ok", {"first": 7, "many": [1, 2, 3], "status": "ok"})


async def test_stop_inside_an_item_still_does_what_is_to_be_done_at_the_end(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: outer
            each: [1, 2]
            concurrency: 1
            do:
              - id: before
                python: work:echo
                with: {value: "{{ item }}"}
              - each: [10, 20, 30]
                as: inner
                do:
                  - if: inner == 20
                    stop: {reason: enough, outputs: {at: "{{ item }}-{{ inner }}"}}
                  - wait: 1h
          - python: work:echo
        finally:
          - wait: 20ms
          - id: end
            each: [1, 2]
            python: work:echo
            with: {value: "{{ run.status }}"}
        """
    )
    assert (info.status, info.outputs) == ("stopped", {"at": "1-20"})
    assert project.counts() == {"outer[0].before": 1, "finally.end[0]": 1, "finally.end[1]": 1}
    records = project.records(info.run_id)
    assert [records[f"finally.end[{n}]"].output for n in (0, 1)] == ["stopped", "stopped"]
    assert records["outer[0].do@2[1].stop@1"].finished
    await until(lambda: not project.held(), "lanes")
    await project.assert_at_rest(info.run_id)


async def test_previous_reaches_the_steps_inside_an_item(run: Run) -> None:
    info = await run(
        """
        steps:
          - id: sums
            each: [1, 2, 3, 4]
            concurrency: 1
            do:
              - if: item == 3
                wait: 20ms
              - if: true
                do:
                  - set: {n: "{{ (previous.n if previous else 0) + item }}"}
        outputs: {all: "{{ steps.sums.output | map(attribute='n') | list }}"}
        """
    )
    assert info.outputs == {"all": [1, 3, 6, 10]}


async def test_items_in_handlers_see_the_error_and_the_status_of_the_run(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - python: work:broken
            on_error:
              - id: tell
                each: [a, b]
                do:
                  - wait: 20ms
                  - id: inner
                    each: [1]
                    as: n
                    python: work:echo
                    with: {value: "{{ item }} {{ n }} {{ error.type }} {{ run.status }}"}
          - fail: {message: enough, type: mine}
        on_error:
          - id: told
            each: [1]
            python: work:echo
            with: {value: "{{ error.type }} {{ run.status }}"}
        finally:
          - wait: 20ms
          - id: end
            each: [1]
            do:
              - wait: 20ms
              - id: last
                python: work:echo
                with: {value: "{{ error.type }} {{ run.status }}"}
        """
    )
    assert (info.status, info.error and info.error["type"]) == ("failed", "mine")
    records = project.records(info.run_id)
    assert records["python@1.on_error.tell[1].inner[0]"].output == "b 1 python_error running"
    assert records["on_error.told[0]"].output == "mine failed"
    assert records["finally.end[0].last"].output == "mine failed"


async def test_waiting_for_a_throttle_is_no_time_of_the_step(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: one
            each: [1, 2, 3, 4, 5, 6, 7, 8]
            throttle: 5/s
            timeout: 250ms
            python: work:echo
          - id: block
            each: [1, 2, 3, 4, 5, 6, 7, 8]
            throttle: "{{ 5 }}/s"
            do:
              - python: work:echo
        """
    )
    assert info.status == "ok", info.error
    records = project.records(info.run_id)
    for fan in ("one", "block"):
        ends = sorted(records[f"{fan}[{n}]"].finished for n in range(8))
        assert ends[7] - ends[0] >= 500, fan  # five at once, the others 200 ms apart
