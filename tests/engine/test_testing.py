"""Workflow tests are real runs: the engine, the scripts, the kinds; only time is virtual and what acts outside is played."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from aiflow.settings import Settings
from aiflow.store.embedded import ensure_server
from aiflow.testing.expect import as_texts
from aiflow.testing.stage import PREFIX
from tests.support.workflow_tests import played, wrong

MAILS = """\
inputs: {who: string}
steps:
  - id: welcome
    email: {to: "{{ inputs.who }}", subject: Hello, text: "Dear {{ inputs.who }}"}
  - wait: 3d
  - id: again
    if: inputs.who == "bob"
    email: {to: "{{ inputs.who }}", subject: Again, text: x}
  - wait: 27d
outputs: {first: "{{ steps.welcome.output.message_id }}"}
"""


def test_thirty_days_pass_in_no_time(tmp_path: Path) -> None:
    began = time.monotonic()
    outcome = played(tmp_path, MAILS, """\
        inputs: {who: ann}
        mock: {email: {message_id: "{{ step.id }}-{{ inputs.who }}"}}
        tests:
          - name: one
            expect: {outputs: {first: welcome-ann}, took: 30d, ran: [welcome], not_ran: [again]}
          - name: two
            inputs: {who: bob}
            expect:
              ran: [again]
              steps: {again: {given: {to: bob, subject: Again}}, welcome: {output: {message_id: welcome-bob}, attempts: 1}}
        """)  # fmt: skip
    assert wrong(outcome) == []
    assert time.monotonic() - began < 20
    coverage = next(iter(outcome.coverage.values()))
    assert (coverage.not_run, coverage.not_taken) == ([], [])


def test_what_is_not_as_expected_is_said(tmp_path: Path) -> None:
    outcome = played(tmp_path, MAILS, """\
        inputs: {who: ann}
        mock: {email: {message_id: m}}
        tests:
          - name: one
            expect:
              status: stopped
              outputs: {first: n, second: 2}
              took: 29d
              ran: [again]
              not_ran: [welcome]
              steps: {welcome: {attempts: 2, given: {to: bob}}, again: {status: ok}}
              usage: {calls: 1}
              that: [outputs.first == "m", steps.welcome.status == "failed"]
        """)  # fmt: skip
    assert wrong(outcome) == [
        ("status", "stopped", "ok"),
        ("outputs.first", "n", "m"),
        ("outputs.second", 2, "(missing)"),
        ("ran", "again", "it was skipped"),
        ("not_ran", "welcome", "it ran"),
        ("took", "29d", "30d"),
        ("steps.welcome.attempts", 2, 1),
        ("steps.welcome.given.to", "bob", "ann"),
        ("steps.again.status", "ok", "skipped"),
        ("usage.calls", 1, 0),
        ("that", 'steps.welcome.status == "failed"', False),
    ]


def test_a_number_and_the_same_text_are_told_apart(tmp_path: Path) -> None:
    flow = """\
        steps: [{set: {n: 1, list: ["1"]}}]
        """
    outcome = played(tmp_path, flow, """\
        tests:
          - name: one
            expect: {output: {n: "1", list: [1]}}
        """)  # fmt: skip
    lines = [as_texts(failure) for failure in outcome.results[0].failures]
    assert lines == [('"1"', "1"), ("1", '"1"')]


def test_what_acts_outside_and_has_no_mock_is_not_run(tmp_path: Path) -> None:
    flow = """\
        steps:
          - id: page
            http: "https://example.invalid/"
            retry: 3
            on_error: continue
          - wait: 1d
        """
    ((what, _, got),) = wrong(played(tmp_path, flow, "tests: [{name: one}]"))
    assert what == "test"
    assert "step page (http) has no mock" in str(got)
    assert "page: {status: 200" in str(got)


def test_a_run_that_fails_is_no_run_that_was_expected(tmp_path: Path) -> None:
    flow = "steps:\n  - {id: a, fail: {message: no luck, type: unlucky}}\n"
    outcome = played(tmp_path, flow, """\
        tests:
          - {name: plain}
          - {name: meant, expect: {error: {type: unlucky, step: a, message: luck}}}
          - {name: short, expect: {error: unlucky}}
          - {name: other, expect: {error: {type: timeout, message: late}}}
        """)  # fmt: skip
    plain, meant, short, other = outcome.results
    assert plain.failures[0].got == "failed: workflows/flow.yaml:2:13: step a: unlucky: no luck"
    assert (meant.passed, short.passed) == (True, True)
    assert [one.what for one in other.failures] == ["error.type", "error.message"]


def test_a_run_that_failed_before_an_event_came_says_why(tmp_path: Path) -> None:
    outcome = played(tmp_path, """\
        steps:
          - if: run.id
            fail: the shop is closed
          - wait_for: order.paid
        """, """\
        tests:
          - name: one
            events: [{at: 1h, event: order.paid}]
        """)  # fmt: skip
    assert wrong(outcome) == [
        ("test", "a run to its end", "the run ended before `order.paid` came"),
        ("status", "ok", "failed: workflows/flow.yaml:3:5: step fail@1: failed: the shop is closed"),
    ]


def test_emails_from_templates_are_played_too(tmp_path: Path) -> None:
    (tmp_path / "workflows" / "emails").mkdir(parents=True)
    (tmp_path / "workflows" / "emails" / "hello.md").write_text(
        "---\nsubject: Hello {{ who }}\ninputs: {who: string}\n---\nHi {{ who }}\n"
    )
    outcome = played(tmp_path, """\
        steps:
          - id: hello
            email: {template: emails/hello.md, to: ann@example.com}
            with: {who: Ann}
        """, """\
        mock: {email: {message_id: m}}
        tests:
          - name: one
            expect:
              output: {message_id: m}
              steps: {hello: {given: {to: ann@example.com, with: {who: Ann}}}}
        """)  # fmt: skip
    assert wrong(outcome) == []


def test_attempts_time_limits_and_retries_are_virtual(tmp_path: Path) -> None:
    flow = """\
        steps:
          - id: slow
            http: "https://example.invalid/"
            timeout: 2m
            retry: {times: 2, delay: 10m, max_delay: 1h, if: 'error.type == "timeout"'}
          - id: block
            timeout: 1h
            on_timeout: continue
            do:
              - id: inner
                http: "https://example.invalid/"
        """
    outcome = played(tmp_path, flow, """\
        mock:
          slow: [{takes: 5m, output: late}, {takes: 5m, output: late}, {takes: 1m, output: fine}]
          inner: {takes: 2h}
        tests:
          - name: one
            expect:
              took: 1h35m       # 2m and 10m, 2m and 20m, 1m; then the hour of the block
              steps: {slow: {output: fine, attempts: 3}, block: {status: timed_out}}
        """)  # fmt: skip
    assert wrong(outcome) == []


def test_short_delays_and_rates_are_virtual_too(tmp_path: Path) -> None:
    flow = """\
        steps:
          - id: page
            http: "https://example.invalid/"
            retry: {times: 1, delay: 500ms, if: "true"}
          - id: items
            each: range(3)
            concurrency: 1
            throttle: 60/min
            http: "https://example.invalid/"
          - id: poll
            set: {n: "{{ index }}"}
            until: index == 2
            every: 800ms
        """
    tests = """\
        mock: {page: [{error: broken}, fine], items: fine}
        tests: [{name: one, expect: {took: 4s100ms, steps: {page: {attempts: 2}}}}]
        """
    assert wrong(played(tmp_path, flow, tests)) == []


def test_places_of_a_limit_are_waited_for_in_virtual_time(tmp_path: Path) -> None:
    flow = """\
        steps:
          - id: items
            each: range(6)
            throttle: two
            timeout: 1h30m
            http: "https://example.invalid/"
          - id: kept
            throttle: 1/h
            cache: 30d
            each: [1, 1]
            timeout: 1m
            http: "https://example.invalid/{{ item }}"
        """
    tests = """\
        mock: {items: {takes: 1h, output: fine}, kept: fine}
        tests: [{name: one, expect: {status: ok, took: 4h}}]
        """
    began = time.monotonic()
    assert wrong(played(tmp_path, flow, tests, limits={"two": {"at_once": 2}})) == []
    assert time.monotonic() - began < 20


def test_a_wait_in_an_item_lets_the_others_go_on(tmp_path: Path) -> None:
    flow = """\
        steps:
          - id: items
            each: range(40)
            concurrency: 8
            do:
              - wait: 1h
              - id: n
                set: {n: "{{ item }}"}
            output: "{{ steps.n.output.n }}"
        outputs: {sum: "{{ steps.items.output | sum }}"}
        """
    assert wrong(played(tmp_path, flow, "tests: [{name: one, expect: {took: 5h, outputs: {sum: 780}}}]")) == []


def test_files_are_those_of_a_copy_that_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("from the project")
    (tmp_path / ".secret").write_text("x")
    (tmp_path / "tools.py").write_text("import os\ndef where(ctx): return [str(ctx.project), sorted(os.listdir(ctx.project))]\n")
    flow = """\
        steps:
          - id: text
            read: data/a.txt
          - id: written
            write: {to: data/b.txt, text: "{{ steps.text.output }}, changed"}
          - id: listed
            shell: ls; cat data/b.txt
            with: {}
          - id: function
            python: "tools:where"
          - id: found
            files: "data/*"
        outputs:
          listed: "{{ steps.listed.output.stdout }}"
          where: "{{ steps.function.output }}"
          found: "{{ steps.found.output | map(attribute='name') | list }}"
        """
    flow = flow.replace("shell: ls; cat data/b.txt", "shell: {run: cat data/b.txt, cwd: .}")
    tests = "tests: [{name: one, expect: {outputs: {found: [a.txt, b.txt], listed: 'from the project, changed'}}}, {name: two}]"
    outcome = played(tmp_path, flow, tests)
    assert wrong(outcome) == []
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["a.txt"]
    assert not (tmp_path / ".aiflow").exists()


def test_models_are_the_offline_ones_whatever_keys_there_are(tmp_path: Path) -> None:
    flow = """\
        steps:
          - id: sum_up
            llm: {text: "Summarise: The shop opens at nine. It closes at five.", model: openai/gpt-4o-mini}
        """
    outcome = played(tmp_path, flow, "tests: [{name: one, expect: {usage: {calls: 1, cost: 0}}}]", env={"OPENAI_API_KEY": "sk-real"})
    assert wrong(outcome) == []


def test_a_mock_of_a_model_has_to_fit_its_schema(tmp_path: Path) -> None:
    flow = "steps:\n  - id: tip\n    llm: {text: A tip, model: fast, schema: {subject: string, body: string}}\n"
    outcome = played(tmp_path, flow, "mock: {tip: {subject: x}}\ntests: [{name: one}]")
    assert [got for _, _, got in wrong(outcome)] == ["the mock of tip is no answer that fits its schema: tip.body is missing"]


def test_mocks_see_what_the_step_sees_also_of_steps_that_the_workflow_does_not_name(tmp_path: Path) -> None:
    flow = """\
        steps:
          - id: first
            set: {n: 20}
          - id: items
            each: [1, 2]
            as: number
            http: "https://example.invalid/"
        outputs: {all: "{{ steps.items.output }}"}
        """
    tests = """\
        mock: {http: "{{ steps.first.output.n + number + index }}"}
        tests: [{name: one, expect: {outputs: {all: [21, 23]}}}]
        """
    assert wrong(played(tmp_path, flow, tests)) == []


def test_budgets_secrets_environment_and_the_start_are_the_tests(tmp_path: Path) -> None:
    flow = """\
        budget: 1.00
        steps:
          - id: page
            http: {url: "https://example.invalid/{{ env.SHOP }}", headers: {token: "{{ secrets.SHOP_KEY }}"}}
          - id: one
            llm: {text: x, model: fast}
          - id: two
            llm: {text: x, model: fast}
        """
    outcome = played(tmp_path, flow, """\
        env: {SHOP: acme}
        now: "2026-03-01T09:00:00Z"
        mock:
          page: {status: 200, at: "{{ now() }}"}
          one: {output: fine, usage: {cost: 2.0, calls: 1}}
        tests:
          - name: one
            expect:
              error: {type: budget, step: two}
              usage: {cost: 2.0}
              steps:
                page: {given: {url: "https://example.invalid/acme"}, output: {at: "2026-03-01T09:00:00.000Z"}}
        """)  # fmt: skip
    assert wrong(outcome) == []


def test_a_budget_ends_what_is_played_too(tmp_path: Path) -> None:
    flow = """\
        budget: 1.00
        steps:
          - id: one
            llm: {text: x, model: fast}
          - id: two
            llm: {text: x, model: fast}
          - id: three
            embed: {input: x, model: fast}
        """
    outcome = played(tmp_path, flow, """\
        mock: {llm: {output: fine, usage: {cost: 0.6, calls: 1}}, embed: {output: [1.0]}}
        tests:
          - name: one
            expect: {error: {type: budget, step: three}, usage: {cost: 1.2}, ran: [two]}
        """)  # fmt: skip
    assert wrong(outcome) == []


LISTENING = """\
inputs: {user: string}
steps:
  - id: welcome
    email: {to: "{{ inputs.user }}", subject: Hello, text: Hello}
  - id: opened
    wait_for: email.opened
    match: event.data.message_id == steps.welcome.output.message_id
    timeout: 2d
    on_timeout:
      - id: again
        email: {to: "{{ inputs.user }}", subject: Again, text: Hello}
  - wait: 1d
outputs: {opened: "{{ steps.opened.output.data | default(false) }}"}
"""


def test_events_come_at_their_time_and_time_runs_out_without_them(tmp_path: Path) -> None:
    outcome = played(tmp_path, LISTENING, """\
        inputs: {user: ann}
        mock: {email: {message_id: "{{ step.id }}-mail"}}
        tests:
          - name: a reader who opens it
            events:
              - {at: 1h, event: email.opened, data: {message_id: other}}
              - {at: 6h, event: email.opened, data: {message_id: welcome-mail}}
            expect: {took: 1d6h, not_ran: [again], outputs: {opened: {message_id: welcome-mail}}}
          - name: a reader who does not
            expect: {took: 3d, ran: [again]}
          - name: in time by a millisecond
            events: [{at: 1d23h59m59s999ms, event: email.opened, data: {message_id: welcome-mail}}]
            expect: {not_ran: [again]}
        """)  # fmt: skip
    assert wrong(outcome) == []


def test_an_event_after_the_end_proves_nothing(tmp_path: Path) -> None:
    outcome = played(tmp_path, "steps:\n  - wait: 2d\n", "tests: [{name: late, events: [{at: 3d, event: order.placed}]}]")
    assert [got for _, _, got in wrong(outcome)] == ["the run ended before `order.placed` came"]


def test_a_run_that_waits_for_ever_says_so(tmp_path: Path) -> None:
    outcome = played(tmp_path, "steps:\n  - wait_for: order.placed\n", "tests: [{name: one}]")
    assert "waits for something that never comes" in str(wrong(outcome))


def test_a_mock_of_a_wait_takes_its_time(tmp_path: Path) -> None:
    outcome = played(tmp_path, LISTENING, """\
        inputs: {user: ann}
        mock: {email: {message_id: m}}
        tests:
          - {name: soon, mock: {opened: {takes: 1d, output: {data: x}}}, expect: {took: 2d, outputs: {opened: x}}}
          - {name: late, mock: {opened: {takes: 9d, output: {data: x}}}, expect: {took: 3d, ran: [again]}}
        """)  # fmt: skip
    assert wrong(outcome) == []


def test_branches_cases_and_passes_are_played_too(tmp_path: Path) -> None:
    flow = """\
        inputs: {sort: string}
        steps:
          - id: race
            join: first
            parallel:
              slow:
                - id: far
                  http: "https://example.invalid/"
              fast:
                - wait: 1h
                - id: near
                  http: "https://example.invalid/"
          - id: poll
            http: "https://example.invalid/"
            until: result.body.done
            every: 10m
          - id: pick
            switch: inputs.sort
            cases:
              a: [{id: one, set: {x: 1}}]
              b: [{id: two, set: {x: 2}}]
            else: [{id: three, set: {x: 3}}]
        outputs: {race: "{{ steps.race.output }}", polled: "{{ steps.poll.output }}"}
        """
    outcome = played(tmp_path, flow, """\
        mock:
          far: {takes: 5h, output: far}
          near: near
          poll: [{body: {done: false}}, {body: {done: false}}, {body: {done: true}}]
        tests:
          - name: one
            inputs: {sort: a}
            expect:
              took: 1h20m
              outputs: {race: {fast: near}, polled: {body: {done: true}}}
              ran: [one]
              not_ran: [two, three]
        """)  # fmt: skip
    assert wrong(outcome) == []
    assert next(iter(outcome.coverage.values())).not_taken == ["pick: case b", "pick: else"]


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary, project = tmp_path / "temporary", tmp_path / "project"
    temporary.mkdir()
    project.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))  # other tests work in the usual one
    played(project, "steps:\n  - shell: sleep 0\n", "tests: [{name: one}, {name: two}]")
    assert list(temporary.glob(f"{PREFIX}*")) == []
    assert sorted(path.name for path in project.iterdir()) == ["tests", "workflows"]


def test_what_a_killed_command_left_is_cleared_a_day_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, new = tmp_path / f"{PREFIX}old", tmp_path / f"{PREFIX}new"
    server = ensure_server(Settings(root=old, state_dir=old))
    new.mkdir()
    os.utime(old, (0, 0))
    server.release()
    os.utime(old, (0, 0))
    (tmp_path / "project").mkdir()
    played(tmp_path / "project", "steps:\n  - wait: 1d\n", "tests: [{name: one}]")
    assert (old.exists(), new.exists()) == (False, True)


def test_a_project_that_is_too_large_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiflow.testing.workspace.MOST_BYTES", 10)
    (tmp_path / "a.txt").write_text("more than ten bytes")
    flow = "steps:\n  - read: a.txt\n"
    assert "files: [" in str(wrong(played(tmp_path, flow, "tests: [{name: one}]")))
    monkeypatch.setattr("aiflow.testing.workspace.MOST_BYTES", 30)
    assert wrong(played(tmp_path, flow, "files: [a.txt]\ntests: [{name: one}]")) == []


def test_a_hundred_tests_side_by_side(tmp_path: Path) -> None:
    tests = "mock: {email: {message_id: m}}\ntests:\n"
    for number in range(100):
        tests += f"  - {{name: t{number}, inputs: {{who: w{number}}}, expect: {{took: 30d, steps: {{welcome: {{given: {{to: w{number}}}}}}}}}}}\n"
    outcome = played(tmp_path, MAILS, tests)
    assert wrong(outcome) == []
    assert [result.case.name for result in outcome.results] == [f"t{number}" for number in range(100)]
