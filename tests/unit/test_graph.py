"""Pictures of workflows: everything that the file says is in them, and nothing breaks the picture."""

from __future__ import annotations

from aiflow.graph import mermaid, text_lines
from aiflow.language.model import Retry, Step, Workflow


def _step(kind: str, id: str, **facts: object) -> Step:
    return Step(kind=kind, label=id, sub=id, id=id, **facts)  # type: ignore[arg-type]


def _workflow() -> Workflow:
    return Workflow(
        name="w",
        file="w.yaml",
        inputs={"properties": {"folder": {}, "n": {}}, "required": ["folder"]},
        steps=[
            _step("files", "found", config={"pattern": "*.md"}),
            _step(
                "do", "docs", each="steps.found.output", as_="doc", allow_failures="25%", concurrency=4,
                steps=[_step("read", "text", config={"from": "{{ doc.path }}"})],
            ),
            _step(
                "http", "call", config={"url": "https://x.example", "method": "POST"}, if_="inputs.n > 3",
                else_=[_step("set", "nothing", config={"a": 1})], retry=Retry(2), timeout_ms=30_000,
                on_error=[_step("fail", "give_up", config={"message": 'say "no" | <b>'})],
            ),
        ],
        finally_=[_step("shell", "clean", config={"run": "rm -f x\nrm -f y"})],
    )  # fmt: skip


def test_the_outline_shows_loops_branches_and_handlers() -> None:
    assert text_lines(_workflow()) == [
        "w(folder, n?)",
        "├ found        files *.md",
        "├ docs         for each doc of steps.found.output, 4 at a time  25% may fail",
        "│ └ text       read {{ doc.path }}",
        "└ call         http POST https://x.example  if inputs.n > 3  timeout 30s  retry 2",
        "  ├ on error",
        '  │ └ give_up  fail say "no" | <b>',
        "  └ else",
        "    └ nothing  set a",
        "→ the output of its last step",
        "finally",
        "└ clean        shell rm -f x rm -f y",
    ]


def test_mermaid_has_balanced_frames_and_no_raw_signs_in_labels() -> None:
    chart = mermaid(_workflow())
    lines = [line.strip() for line in chart.splitlines()]
    assert lines[0] == "flowchart TD"
    assert sum(line.startswith("subgraph") for line in lines) == lines.count("end") == 3
    assert "#quot;no#quot; #124; #lt;b#gt;" in chart
    assert "-->|yes|" in chart and "-->|no|" in chart and "-.->|on error|" in chart


def test_what_follows_a_stop_is_reached_around_it() -> None:
    steps = [_step("stop", "halt", if_="true", config={"reason": "r"}), _step("set", "after", config={"a": 1})]
    lines = mermaid(Workflow(name="w", file="w.yaml", steps=steps)).splitlines()
    halt = next(line.split("[")[0].strip() for line in lines if "halt" in line)
    assert not any(line.strip().startswith(f"{halt} --") for line in lines)
