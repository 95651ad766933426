"""Whatever a file holds, the checks answer: no exception, no endless loop, work that grows with the file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiflow.errors import SpecError
from aiflow.language.model import Workflow
from aiflow.language.vocabulary import MODIFIERS, TOP
from aiflow.language.workflow import check_workflow, load_workflow
from aiflow.plan import compile_plan, encode_plan
from aiflow.settings import Settings
from aiflow.steps._registry import kinds

T = TypeVar("T")
TEXTS = st.sampled_from([
    "", "a", "{{ steps.a.output }}", "{{ steps.a.output.x.y[0] }}", "{{ item.x }} {{ inputs.n }}", "{{", "{% for x in steps.a.output %}{{ x.y }}{% endfor %}",
    "inputs.n > 3", "steps.b.output", "item", "3d", "2 days", "prompts/a.md", "x:y", "{{ previous.x + result.y }}", "continue", "stop", "5%",
    "0 9 * * *", "emails/a.md", "sub.yaml", "any.yaml", "event.data.x == inputs.n", "order.paid", "result.x", "skip", "first", "/in",
    "steps.b.errors[0].item.x == 'a'", "{{ [1, 2] | map(attribute='x') | list }}", "{{ {'a': 1}.b }}", "é😀", "string", "2026-01-01T00:00:00",
])  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 400), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
KEYS = st.sampled_from(
    [*kinds(), *MODIFIERS, "when", "needs", "x-a", "url", "prompt", "for", "that"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(KEYS, TEXTS), inner, max_size=3)),
    max_leaves=6,
)
STEPS = st.lists(st.dictionaries(KEYS, VALUES, max_size=4) | VALUES, max_size=5)
IDS = st.sampled_from(["a", "b", "c"])


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """Something like a workflow, with anything in it."""
    data: dict[str, Any] = draw(st.dictionaries(st.sampled_from([*TOP, "on", "x-b", "triggers"]), VALUES, max_size=4))
    steps = draw(STEPS)
    for step in steps:
        if isinstance(step, dict) and draw(st.booleans()):
            step["id"] = draw(IDS)
            step.setdefault(draw(st.sampled_from(list(kinds()))), draw(VALUES))
        if isinstance(step, dict) and draw(st.booleans()):
            step[draw(st.sampled_from(["do", "else", "on_error", "on_timeout"]))] = draw(STEPS)
    data["steps"] = steps
    return data


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("robust")
    (root / "workflows" / "prompts").mkdir(parents=True)
    (root / "workflows" / "prompts" / "a.md").write_text('---\ninputs: {"text?": string}\n---\nHello {{ text | default(1) }}.\n')
    (root / "workflows" / "emails").mkdir()
    (root / "workflows" / "emails" / "a.md").write_text('---\nsubject: Hi\ninputs: {"text?": string}\n---\n{{ text | default(1) }}\n')
    (root / "workflows" / "sub.yaml").write_text("inputs: {'n?': integer}\nsteps: [{id: a, set: {x: 1}}]\noutputs: {x: 1}\n")
    return Settings(root=root, defaults={"llm": {"model": "x/y"}, "email": {"to": "a@b.example"}})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(documents())
def test_any_document_is_answered(project: Settings, data: Any) -> None:
    file = project.root / "workflows" / "any.yaml"
    file.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")
    problems = check_workflow(file, project)
    assert problems == sorted(problems, key=lambda one: (one.file, one.line, one.column, one.code, one.message))
    assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in problems)
    if any(problem.severity == "error" for problem in problems):
        with pytest.raises(SpecError):
            load_workflow(file, project)
    else:
        compiled(load_workflow(file, project))


def compiled(workflow: Workflow) -> None:
    """What the checks accept can be built and compiled."""
    version, raw = encode_plan(workflow)
    compile_plan(raw, version)


SIMPLE = [
    {"set": {"x": 1, "n": 2}}, {"set": {"x": "{{ inputs.n }}"}}, {"llm": "prompts/a.md"}, {"llm": {"text": "Hi", "schema": {"x": "integer"}}},
    {"http": "https://a.example"}, {"emit": "order.paid", "with": {"n": "{{ inputs.n }}"}}, {"email": "emails/a.md"},
    {"email": {"subject": "Hi", "text": "{{ inputs.s }}"}}, {"wait_for": "order.paid", "match": "event.data.x == inputs.n", "timeout": "1d"},
    {"wait_for": ["a.b", "c.d"], "match": "event.data.x == inputs.n", "timeout": "1d", "on_timeout": "continue"}, {"wait": "1h"},
    {"approve": {"message": "Ok?", "form": {"x": "integer"}}, "timeout": "2h", "on_timeout": "stop"}, {"call": "sub.yaml", "with": {"n": 1}},
    {"call": {"workflow": "sub.yaml", "detach": True}}, {"assert": "inputs.n > 1"}, {"shell": "ls"}, {"files": "*.md"},
]  # fmt: skip
MODIFIED = st.sampled_from([
    {}, {}, {}, {"if": "inputs.n > 3"}, {"each": [1, 2]}, {"each": "inputs.list", "as": "thing", "concurrency": 1},
    {"until": "index >= 2", "every": "1s", "max": 3}, {"until": "result is none", "max": "1h"}, {"on_error": "continue"}, {"retry": 2},
    {"output": {"x": "{{ result | json }}"}}, {"timeout": "5s", "on_timeout": [{"set": {"x": 1}}]}, {"on_error": [{"set": {"x": "{{ error.message }}"}}]},
    {"if": "inputs.b", "each": [1], "output": {"n": "{{ index }}"}}, {"throttle": "60/min"}, {"name": "a step"}, {"repeatable": True},
])  # fmt: skip
USES = ["output", "output.x", "output.n | default(0)", "output[0].x", "output.left.x", "status", "output.data.x", "output.form.x", "errors | length"]


@st.composite
def blocks(draw: st.DrawFn, ids: list[str], depth: int = 0) -> list[dict[str, Any]]:
    """Steps that are right taken by themselves: blocks in blocks, with modifiers; what they use of each other may be wrong."""
    steps = []
    for _ in range(draw(st.integers(1, 3))):
        step = dict(draw(st.sampled_from(SIMPLE)))
        shape = draw(st.sampled_from(["", "", "", "do", "parallel", "switch", "cases", "else"])) if depth < 3 else ""

        def inner() -> list[dict[str, Any]]:
            return draw(blocks(ids, depth + 1))

        match shape:
            case "do":
                step = {"do": inner()}
            case "parallel":
                step = {"parallel": {"left": inner(), "right": inner()}, "join": draw(st.sampled_from(["all", "first"]))}
            case "switch":
                step = {"switch": [{"if": "inputs.n > 3", "do": inner()}, {"do": inner()}]}
            case "cases":
                step = {"switch": "inputs.s", "cases": {"a": inner(), 2: inner(), True: inner()}}
                if draw(st.booleans()):
                    step["else"] = inner()
            case "else":
                step = {**step, "if": "inputs.b", "else": inner()}
        added = draw(MODIFIED)
        step = {**added, **step} if not (shape == "cases" and "if" in added and "else" in step) else step
        if draw(st.booleans()):
            step["id"] = f"s{len(ids)}"
            ids.append(step["id"])
        if ids and draw(st.booleans()):
            step = {**step, "with": {"text": "{{ steps." + f"{draw(st.sampled_from(ids))}.{draw(st.sampled_from(USES))}" + " }}"}}
        steps.append(step)
    return steps


@st.composite
def plausible(draw: st.DrawFn) -> dict[str, Any]:
    """A workflow with most words of the language, which is often right."""
    ids: list[str] = []
    data: dict[str, Any] = {"inputs": {"n": "integer", "s": "string", "b": "boolean", "list(array)": "any"}, "steps": draw(blocks(ids))}
    for key, value in {
        "triggers": [{"event": "order.paid", "if": "event.data.x > 1"}, {"webhook": "/in", "secret": "{{ secrets.A }}"}],
        "cancel_on": [{"event": "order.paid", "match": "event.data.x == inputs.n"}],
        "concurrency": {"limit": 1, "key": "inputs.n", "overflow": "skip"}, "throttle": "60/min", "timeout": "1h",
        "finally": [{"emit": "all.done", "with": {"status": "{{ run.status }}"}}], "on_error": [{"set": {"x": "{{ error.message }}"}}],
    }.items():  # fmt: skip
        if draw(st.booleans()):
            data[key] = value
    if ids and draw(st.booleans()):
        data["outputs"] = {"x": "{{ steps." + f"{draw(st.sampled_from(ids))}.{draw(st.sampled_from(USES))}" + " }}"}
    return data


ACCEPTED = {"yes": 0, "no": 0}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(plausible())
def test_what_is_accepted_can_be_compiled(project: Settings, data: Any) -> None:
    file = project.root / "workflows" / "any.yaml"
    file.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")
    problems = check_workflow(file, project)
    faulty = any(problem.severity == "error" for problem in problems)
    ACCEPTED["no" if faulty else "yes"] += 1
    if not faulty:
        compiled(load_workflow(file, project))


def test_enough_was_accepted_to_mean_something() -> None:
    assert ACCEPTED["yes"] + ACCEPTED["no"] == 0 or ACCEPTED["yes"] > 20


def test_a_missing_file_is_a_problem(project: Settings) -> None:
    (problem,) = check_workflow(Path("nowhere.yaml").absolute(), project)
    assert problem.code == "missing-file"
    (problem,) = check_workflow(project.root / "workflows", project)
    assert problem.code == "missing-file"


def steps_of(count: int) -> str:
    """A long workflow in which each step uses the one before."""
    lines = ["steps:\n  - {id: s0, set: {v: text}}"]
    for number in range(1, count):
        before = f"steps.s{number - 1}.output.v"
        lines.append(f'  - {{id: s{number}, set: {{v: "{{{{ {before} | default({number}) }}}}"}}}}')
        lines.append(f"  - {{if: {before} == 'x{number}', stop: done}}")
    return "\n".join(lines)


def counted(work: Callable[[], T]) -> tuple[T, int]:
    """What `work` gives, and how many functions of Python and of C it called: a measure that no busy machine disturbs."""
    calls = 0

    def count(_frame: object, what: str, _value: object) -> None:
        nonlocal calls
        calls += what in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        return work(), calls
    finally:
        sys.setprofile(before)


def test_work_grows_linearly_with_the_file(project: Settings) -> None:
    calls = {}
    for count in (20, 100, 500):
        file = project.root / "workflows" / f"long_{count}.yaml"
        file.write_text(steps_of(count))
        problems, calls[count] = counted(partial(check_workflow, file, project))
        assert [str(problem) for problem in problems] == []
    assert 3 * calls[100] < calls[500] < 6 * calls[100], calls  # 5 times the steps


def test_a_chain_of_outputs_does_not_exhaust_the_stack(project: Settings) -> None:
    lines = ["steps:"]
    for number in range(300, 0, -1):
        lines.append(f'  - {{id: s{number}, each: "{{{{ steps.s{number - 1}.output }}}}", set: {{v: "{{{{ item.v.w }}}}"}}}}')
    file = project.root / "workflows" / "chain.yaml"
    file.write_text("\n".join(lines))
    assert {problem.code for problem in check_workflow(file, project)} == {"later-step", "unknown-step"}
