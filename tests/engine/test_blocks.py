"""`parallel`, `switch` and `until` in one worker: what runs, what is recorded, what others see of it."""

from __future__ import annotations

import time

import pytest

from aiflow.app import App
from tests.engine.conftest import Run
from tests.support.project import Project, ended, until

# -- parallel --------------------------------------------------------------------------------------------------


async def test_branches_run_at_the_same_time_and_are_found_by_name(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: sides
            parallel:
              left:
                - id: a
                  python: work:slow
                  with: {value: 1, s: 0.2}
                - id: b
                  python: work:echo
                  with: {value: "{{ steps.a.output + 1 }}"}
              right:
                - python: work:slow
                  with: {value: 10, s: 0.2}
          - python: work:echo
            with: {value: "{{ steps.sides.output.right + steps.b.output }}"}
        outputs: {sides: "{{ steps.sides.output }}", b: "{{ steps.b.output }}", status: "{{ steps.a.status }}"}
        """
    )
    assert (info.status, info.outputs) == ("ok", {"sides": {"left": 2, "right": 10}, "b": 2, "status": "ok"}), info.error
    assert project.most_at_once() == 2
    assert project.counts() == {"sides.left.a": 1, "sides.left.b": 1, "sides.right.python@1": 1, "python@2": 1}
    records = project.records(info.run_id)
    assert {"sides", "sides.left", "sides.right", "sides.left.a", "sides.left.b", "sides.right.python@1"} <= records.keys()
    await until(lambda: not project.held(), "lanes")
    await project.assert_at_rest(info.run_id)


async def test_a_failing_branch_cancels_the_others_at_once(run: Run, project: Project) -> None:
    began = time.monotonic()
    info = await run(
        """
        steps:
          - id: sides
            parallel:
              left:
                - wait: 20ms
                - id: boom
                  fail: {message: not so, type: mine}
              right:
                - python: work:slow
                  with: {s: 30}
                - python: work:echo
              parked:
                - wait: 1h
                - python: work:echo
            on_error:
              - id: told
                set: {type: "{{ error.type }}", step: "{{ error.step }}"}
          - python: work:echo
        outputs: {told: "{{ steps.told.output }}", sides: "{{ steps.sides.output }}"}
        """
    )
    assert (info.status, info.outputs) == (
        "ok", {"told": {"type": "mine", "step": "sides.left.boom"}, "sides": {"type": "mine", "step": "sides.left.boom"}}
    ), info.error  # fmt: skip
    assert time.monotonic() - began < 10
    assert project.counts() == {"sides.right.python@1": 1, "python@2": 1}
    await until(lambda: not project.held(), "the cancelled branches")
    await project.assert_at_rest(info.run_id)


async def test_the_first_success_wins(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: race
            join: first
            parallel:
              broken: [{python: work:broken}]
              quick:
                - python: work:slow
                  with: {value: 7, s: 0.1}
              slow:
                - python: work:slow
                  with: {value: 8, s: 30}
        outputs: {race: "{{ steps.race.output }}"}
        """
    )
    assert (info.status, info.outputs) == ("ok", {"race": {"quick": 7}}), info.error
    await until(lambda: not project.held(), "the losers")
    await project.assert_at_rest(info.run_id)


async def test_with_join_first_all_must_fail_before_it_fails(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - join: first
            parallel:
              one: [{wait: 30ms}, {fail: {message: late, type: second}}]
              two: [{fail: {message: early, type: first}}]
        """
    )
    assert (info.status, info.error and info.error["type"]) == ("failed", "first")
    await project.assert_at_rest(info.run_id)


async def test_branches_nest_with_loops_and_each_other(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: docs
            each: [1, 2]
            as: doc
            parallel:
              facts:
                - id: facts
                  each: range(3)
                  as: part
                  do:
                    - if: part == 1
                      wait: 10ms
                    - id: fact
                      python: work:echo
                      with: {value: "{{ doc * 10 + part + index }}"}
              inner:
                - id: deep
                  parallel:
                    x: [{set: {n: "{{ doc }}"}}]
                    y: [{wait: 10ms}, {python: work:echo, with: {value: "{{ doc }} {{ index }}"}}]
            output: {sum: "{{ result.facts | sum }}", deep: "{{ result.inner }}"}
        outputs: {docs: "{{ steps.docs.output }}"}
        """
    )
    assert (info.status, info.outputs) == (
        "ok",
        {"docs": [
            {"sum": 30 + 6, "deep": {"x": {"n": 1}, "y": "1 0"}}, {"sum": 60 + 6, "deep": {"x": {"n": 2}, "y": "2 1"}},
        ]},
    ), info.error  # fmt: skip
    assert "docs[1].facts.facts[2].fact" in project.records(info.run_id)
    assert "docs[0].inner.deep.y.python@2" in project.counts()
    await project.assert_at_rest(info.run_id)


async def test_a_time_limit_ends_all_branches(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: sides
            timeout: 300ms
            on_timeout: continue
            parallel:
              left: [{python: work:slow, with: {s: 30}}]
              right: [{wait: 1h}, {python: work:echo}]
          - python: work:echo
        outputs: {status: "{{ steps.sides.status }}"}
        """
    )
    assert (info.status, info.outputs) == ("ok", {"status": "timed_out"}), info.error
    await until(lambda: not project.held(), "the branches")
    assert project.counts() == {"sides.left.python@1": 1, "python@2": 1}
    await project.assert_at_rest(info.run_id)


async def test_a_retry_of_the_run_goes_on_in_the_branch_that_failed(run: Run, working: App, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: sides
            parallel:
              left:
                - python: work:echo
                - python: work:broken
                  with: {unless: mended}
              right:
                - python: work:echo
                - wait: 10ms
                - python: work:echo
          - python: work:echo
        """
    )
    assert (info.status, info.error and info.error["step"]) == ("failed", "sides.left.python@2")
    project.touch("mended")
    await working.client.retry(info.run_id)
    info = await ended(working, info.run_id)
    assert info.status == "ok", info.error
    counts = project.counts()
    assert counts["sides.left.python@1"] == counts["sides.right.python@1"] == counts["sides.right.python@3"] == 1
    assert counts["sides.left.python@2"] == 2
    await project.assert_at_rest(info.run_id)


async def test_a_retry_of_the_step_begins_all_branches_again(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: sides
            retry: {times: 2, delay: 1ms}
            parallel:
              left: [{python: work:echo}]
              right: [{wait: 10ms}, {shell: "test -e done || { touch done; exit 1; }", output: 5}]
        """
    )
    assert (info.status, info.outputs) == ("ok", {"left": None, "right": 5}), info.error
    assert project.records(info.run_id)["sides"].attempts == 2
    assert project.counts()["sides.left.python@1"] == 2
    await project.assert_at_rest(info.run_id)


async def test_stop_in_a_branch_ends_the_run(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - parallel:
              left: [{wait: 10ms}, {stop: {reason: enough, outputs: {n: 1}}}]
              right: [{wait: 1h}]
        finally:
          - python: work:echo
        """
    )
    assert (info.status, info.outputs) == ("stopped", {"n": 1})
    assert project.counts() == {"finally.python@1": 1}
    await project.assert_at_rest(info.run_id)


# -- switch ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "gives"),
    [("invoice", "an invoice"), ("1", "one"), (1, "one"), (1.0, "one"), (True, "yes"), ("other", "else"), (None, "else")],
)
async def test_a_case_is_found_by_its_text(run: Run, project: Project, given: object, gives: str) -> None:
    info = await run(
        """
        inputs: {kind: any}
        steps:
          - id: pick
            switch: inputs.kind
            cases:
              invoice: [{id: b, python: work:echo, with: {value: an invoice}}]
              1: [{wait: 10ms}, {python: work:echo, with: {value: one}}]
              true: [{set: {said: "yes"}}, {python: work:echo, with: {value: "yes"}}]
            else: [{id: again, python: work:echo, with: {value: else}}]
        """,
        kind=given,
    )
    assert (info.status, info.outputs) == ("ok", gives), info.error
    path = {"an invoice": "pick.invoice.b", "one": "pick.1.python@2", "yes": "pick.true.python@2", "else": "pick.else.again"}
    assert project.counts() == {path[gives]: 1}


async def test_conditions_are_asked_in_order_and_none_gives_null(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: many
            each: [1, 5, 9, 12]
            switch:
              - if: item > 10
                do: [{set: {size: huge}}]
              - if: item > 4
                do:
                  - wait: 10ms
                  - python: work:echo
                    with: {value: {size: big}}
          - id: last
            switch:
              - if: false
                do: [{fail: never}]
              - do: [{id: rest, set: {size: any}}]
        outputs: {many: "{{ steps.many.output }}", last: "{{ steps.rest.output.size | default('') }}"}
        """
    )
    assert (info.status, info.outputs) == (
        "ok", {"many": [None, {"size": "big"}, {"size": "big"}, {"size": "huge"}], "last": "any"}
    ), info.error  # fmt: skip
    assert project.counts() == {"many[1].2.python@2": 1, "many[2].2.python@2": 1}
    assert "last.2.rest" in project.records(info.run_id)


async def test_else_of_a_switch_is_done_for_each_item(run: Run) -> None:
    info = await run(
        """
        steps:
          - each: [a, b]
            switch: item
            cases:
              a: [{set: {said: A}}]
            else: [{wait: 5ms}, {set: {said: "{{ item }} {{ index }}"}}]
        """
    )
    assert info.outputs == [{"said": "A"}, {"said": "b 1"}], info.error


# -- until -----------------------------------------------------------------------------------------------------


async def test_passes_until_the_condition_is_true(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: sum
            until: result.n >= 10
            do:
              - id: add
                python: work:echo
                with: {value: "{{ (previous.n if previous else 0) + index + 1 }}"}
              - if: index == 1
                wait: 10ms
              - set: {n: "{{ steps.add.output }}"}
          - python: work:echo
            with: {value: "{{ steps.sum.output.n }}"}
        """
    )
    assert (info.status, info.outputs) == ("ok", 10), info.error
    assert project.counts() == {**{f"sum[{n}].add": 1 for n in range(4)}, "python@2": 1}
    records = project.records(info.run_id)
    assert [records[f"sum[{n}]"].output for n in range(4)] == [{"n": 1}, {"n": 3}, {"n": 6}, {"n": 10}]
    assert records["sum"].output == {"n": 10}
    assert records["sum"].meta == {"passes": 4}
    await project.assert_at_rest(info.run_id)


async def test_too_many_passes_are_an_error_that_can_be_handled(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: poll
            until: result == 'done'
            max: 3
            every: 5ms
            python: work:echo
            with: {value: "{{ index }}"}
        on_error:
          - id: told
            set: {type: "{{ error.type }}", message: "{{ error.message }}", step: "{{ error.step }}", passes: "{{ error.data.passes }}"}
        """
    )
    assert info.status == "failed"
    told = project.records(info.run_id)["on_error.told"].output
    assert told == {"type": "max_repeats", "message": "`until` was not true after 3 passes", "step": "poll", "passes": 3}
    assert sum(project.counts().values()) == 3


async def test_max_as_a_time_and_long_pauses(run: Run, project: Project) -> None:
    began = time.monotonic()
    info = await run(
        """
        steps:
          - do:
              - id: poll
                until: index == 99
                max: 2500ms
                every: 1200ms
                python: work:echo
            on_error: continue
          - set: {n: 1}
        """
    )
    assert info.status == "ok", info.error
    assert 2 <= sum(project.counts().values()) <= 3
    assert 1.2 <= time.monotonic() - began < 10


async def test_each_pass_has_its_own_retries_and_handlers(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: tries
            until: index == 2
            python: work:fails_on
            with: {value: "{{ index }}", bad: [1]}
            retry: {times: 1, delay: 1ms}
            on_error:
              - set: {handled: "{{ index }}"}
            output: {got: "{{ result }}"}
        outputs: {last: "{{ steps.tries.output }}"}
        """
    )
    assert (info.status, info.outputs) == ("ok", {"last": {"got": 2}}), info.error
    assert project.counts() == {"tries[0]": 1, "tries[1]": 2, "tries[2]": 1}
    assert project.records(info.run_id)["tries[1]"].output == {"got": {"handled": 1}}


async def test_loops_and_branches_inside_a_pass(run: Run, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: rounds
            until: index == 1
            do:
              - id: items
                each: [1, 2]
                do:
                  - wait: 5ms
                  - id: one
                    python: work:echo
                    with: {value: "{{ item * 10 + index }}"}
              - id: sides
                parallel:
                  a: [{wait: 5ms}, {id: leaf, python: work:echo, with: {value: "{{ index }}"}}]
                  b: [{set: {x: 1}}]
              - id: inner
                until: index == 1
                do: [{wait: 5ms}, {id: sub, python: work:echo, with: {value: "{{ index }}"}}]
              - set: {n: "{{ steps.items.output | join(',') }}/{{ steps.sides.output.a }}/{{ steps.inner.output }}"}
        outputs: {n: "{{ steps.rounds.output.n }}"}
        """
    )
    assert (info.status, info.outputs) == ("ok", {"n": "10,21/1/1"}), info.error
    counts = project.counts()
    assert counts == {
        **{f"rounds[{n}].items[{m}].one": 1 for n in range(2) for m in range(2)},
        **{f"rounds[{n}].sides.a.leaf": 1 for n in range(2)},
        **{f"rounds[{n}].inner[{m}].sub": 1 for n in range(2) for m in range(2)},
    }
    await project.assert_at_rest(info.run_id)


async def test_a_retry_of_the_run_goes_on_in_the_pass_that_failed(run: Run, working: App, project: Project) -> None:
    info = await run(
        """
        steps:
          - id: rounds
            until: index == 3
            do:
              - python: work:echo
              - if: index == 2
                python: work:broken
                with: {unless: mended}
        """
    )
    assert (info.status, info.error and info.error["step"], info.error and info.error["index"]) == (
        "failed", "rounds[2].python@2", 2,
    )  # fmt: skip
    project.touch("mended")
    await working.client.retry(info.run_id)
    assert (await ended(working, info.run_id)).status == "ok"
    counts = project.counts()
    assert [counts[f"rounds[{n}].python@1"] for n in range(4)] == [1, 1, 1, 1]


async def test_a_loop_that_only_computes_holds_nobody_up(run: Run, project: Project) -> None:
    info = await run("steps:\n  - id: n\n    until: index == 4999\n    max: 5000\n    set: {i: '{{ index }}'}\n")
    assert (info.status, info.outputs) == ("ok", {"i": 4999}), info.error


async def test_a_run_that_ran_out_of_time_has_its_time_again_after_a_retry(run: Run, working: App, project: Project) -> None:
    info = await run(
        """
        timeout: 600ms
        steps:
          - python: work:echo
          - python: work:gate
            with: {name: open}
        """
    )
    assert (info.status, info.error and info.error["type"]) == ("failed", "timeout")
    project.touch("open")
    await working.client.retry(info.run_id)
    info = await ended(working, info.run_id)
    assert info.status == "ok", info.error
    assert project.counts()["python@1"] == 1


@pytest.mark.parametrize(
    "wait", ["{wait: 1h}", "{each: [1, 2], do: [{wait: 1h}]}", "{parallel: {a: [{wait: 1h}], b: [{set: {x: 1}}]}}", "{wait_for: tick}"]
)
async def test_a_run_whose_time_ends_while_it_waits_goes_on_there_after_a_retry(
    run: Run, working: App, project: Project, wait: str
) -> None:
    info = await run(f"timeout: 400ms\nsteps:\n  - python: work:echo\n  - {wait}\nfinally:\n  - set: {{x: 1}}\n")
    assert (info.status, info.error and info.error["type"]) == ("failed", "timeout")
    await project.assert_at_rest(info.run_id)
    await working.client.retry(info.run_id)
    info = await ended(working, info.run_id)
    assert (info.status, info.error and info.error["type"]) == ("failed", "timeout")
    assert project.counts() == {"python@1": 1}


async def test_the_index_of_an_error_is_that_of_the_innermost_item(run: Run) -> None:
    info = await run(
        """
        steps:
          - each: [7, 8]
            do:
              - each: range(3)
                as: n
                do:
                  - python: work:fails_on
                    with: {value: "{{ item * 10 + n }}", bad: [82]}
        """
    )
    assert info.error is not None
    assert (info.error["step"], info.error["index"]) == ("do@1[1].do@1[2].python@1", 2)
