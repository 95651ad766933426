"""The workflow that comes out: paths, blocks, references, defaults, retries."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from aiflow.language.build import parse_retry
from aiflow.language.model import Retry, Step, Workflow
from aiflow.language.workflow import load_workflow
from aiflow.settings import Settings

Load = Callable[[str], Workflow]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a text as `workflows/demo.yaml`; `prompts/a.md` is there."""
    (tmp_path / "workflows" / "prompts").mkdir(parents=True)
    (tmp_path / "workflows" / "prompts" / "a.md").write_text("---\nmodel: x/front\ntemperature: 0.5\n---\nHello.\n")
    settings = Settings(root=tmp_path, defaults={"llm": {"model": "x/yaml", "max_tokens": 5}, "timeout": "1m"})

    def make(text: str) -> Workflow:
        file = tmp_path / "workflows" / "demo.yaml"
        file.write_text(textwrap.dedent(text))
        return load_workflow(file, settings)

    return make


def every(steps: list[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        for nested in [step.steps, *step.branches.values(), step.else_ or []]:
            yield from every(nested)
        for handler in (step.on_error, step.on_timeout):
            if isinstance(handler, list):
                yield from every(handler)


def test_paths_and_blocks(load: Load) -> None:
    workflow = load(
        """
        steps:
          - id: second
            if: inputs.ok
            do:
              - {id: guide, set: {a: 1}}
              - stop: x
            else:
              - {id: again, set: {a: 1}}
          - id: docs
            each: inputs.rows
            do:
              - {id: text, set: {a: 1}}
              - id: facts
                each: [1, 2]
                set: {b: "{{ item }}"}
                on_error:
                  - {id: note, set: {c: 1}}
              - {id: deep, do: [{id: inner, set: {d: 1}}]}
            on_error: [{id: mend, set: {e: 1}}]
            else: [{set: {f: 1}}]
            if: inputs.ok
        inputs: {ok: boolean, "rows(array)": any}
        on_error: [{id: tell, set: {g: 1}}, {set: {h: 1}}]
        finally: [{id: clean, set: {i: 1}}]
        """
    )
    found = {step.label: (step.block, step.sub) for step in every([*workflow.steps, *workflow.on_error, *workflow.finally_])}
    assert found == {
        "second": (0, "second"),
        "guide": (0, "second.guide"),
        "stop@2": (0, "second.stop@2"),
        "again": (0, "second.else.again"),
        "docs": (0, "docs"),
        "text": (1, "text"),
        "facts": (1, "facts"),
        "note": (2, "on_error.note"),
        "deep": (1, "deep"),
        "inner": (1, "deep.inner"),
        "mend": (1, "on_error.mend"),
        "set@1": (0, "docs.else.set@1"),
        "tell": (0, "on_error.tell"),
        "set@2": (0, "on_error.set@2"),
        "clean": (0, "finally.clean"),
    }
    assert workflow.step_ids["note"] == (2, "on_error.note")
    assert {step.label: step.body_block for step in every(workflow.steps) if step.each is not None} == {"docs": 1, "facts": 2}


def test_references_of_a_step_and_of_its_items(load: Load) -> None:
    workflow = load(
        """
        steps:
          - {id: a, set: {x: [1], y: true}}
          - {id: b, set: {x: 1}}
          - id: c
            if: steps.a.output.y
            each: steps.a.output.x
            set: {v: "{{ steps.b.output.x }}"}
            output: "{{ result.v + steps.b.output.x }}"
            retry: {times: 1, if: "steps.a.status == 'ok'"}
            on_error: [{set: {w: "{{ steps.b.status }}"}}]
          - id: d
            if: steps.a.output.y
            set: {v: "{{ steps.c.output | length }}"}
        outputs: {n: "{{ steps.d.output.v | default(0) }} of {{ steps.c.output }}"}
        """
    )
    c, d = workflow.steps[2], workflow.steps[3]
    assert c.refs == ["a"] and c.body_refs == ["b", "a"]
    assert isinstance(c.on_error, list) and c.on_error[0].refs == ["b"]
    assert sorted(d.refs) == ["a", "c"] and d.body_refs == []
    assert workflow.output_refs == ["d", "c"]


def test_short_forms_and_defaults(load: Load) -> None:
    workflow = load(
        """
        defaults:
          llm: {temperature: 0, max_tokens: 9}
          retry: 2
        steps:
          - llm: prompts/a.md
          - llm: {text: Hello, temperature: 1}
          - llm: Just say hello.
          - http: https://example.com
            timeout: 5s
          - files: "*.md"
          - set: {a: 1}
        """
    )
    prompt, text, short, http, files, values = workflow.steps
    # The front matter of a prompt is nearer to the step than the defaults are.
    assert prompt.config == {"prompt": "prompts/a.md", "max_tokens": 9}
    assert prompt.prompt == "workflows/prompts/a.md" and list(workflow.prompts) == [prompt.prompt]
    assert text.config == {"model": "x/yaml", "text": "Hello", "temperature": 1, "max_tokens": 9}
    assert short.config["text"] == "Just say hello." and short.prompt is None
    assert http.config == {"url": "https://example.com"}
    assert (http.timeout_ms, prompt.timeout_ms, files.timeout_ms) == (5_000, 60_000, None)
    assert (http.retry, files.retry) == (Retry(times=2), None)
    assert values.config == {"a": 1}


def test_schemas_become_json_schema(load: Load) -> None:
    workflow = load("steps: [{llm: {text: a, model: x/y, schema: {n: integer}}}]\ninputs: {name: string}\n")
    assert workflow.steps[0].config["schema"]["properties"]["n"] == {"type": "integer"}
    assert workflow.inputs["required"] == ["name"]
    assert workflow.steps[0].retry == Retry(times=3)


def test_what_is_absent_differs_from_null(load: Load) -> None:
    workflow = load("steps: [{set: {a: 1}, output: null}, {set: {a: 1}}]")
    assert workflow.steps[0].output is None and workflow.steps[1].output is msgspec.UNSET


def test_it_can_be_stored(load: Load) -> None:
    workflow = load("steps: [{id: a, each: [1], as: n, set: {x: '{{ n }}'}, allow_failures: 5%}]")
    assert msgspec.json.decode(msgspec.json.encode(workflow), type=Workflow) == workflow
    assert workflow.name == "demo" and workflow.file == "workflows/demo.yaml"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (0, None),
        (3, Retry(times=3)),
        ({"times": 0}, None),
        (
            {"times": 2, "delay": "1m30s", "backoff": 3, "max_delay": "1h", "jitter": False, "if": "error.transient"},
            Retry(times=2, delay_ms=90_000, backoff=3.0, max_delay_ms=3_600_000, jitter=False, condition="error.transient"),
        ),
    ],
)
def test_retry(given: object, wanted: Retry | None) -> None:
    assert parse_retry(given) == wanted
