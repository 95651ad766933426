"""Pictures of workflows: everything that the file says is in them, nothing lies on anything else, nothing breaks the picture."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from aiflow.cli._group import cli
from aiflow.cli._outline import outline
from aiflow.cli._text import width_of
from aiflow.graph import words
from aiflow.graph.measure import folded, shortened, text_width, wrap
from aiflow.graph.mermaid import mermaid
from aiflow.graph.svg import svg
from aiflow.language.model import Step, Workflow, walk_paths
from aiflow.language.workflow import load_workflow
from aiflow.settings import ModelSpec, Settings
from aiflow.steps._registry import kinds

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
NAME = "{http://www.w3.org/2000/svg}"


def _step(kind: str, id: str, **facts: object) -> Step:
    return Step(kind=kind, label=id, sub=id, id=id, **facts)  # type: ignore[arg-type]


def _flow(*steps: Step, **facts: object) -> Workflow:
    return Workflow(name="w", file="w.yaml", steps=list(steps), **facts)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def launch() -> Workflow:
    """Forty steps with everything that the language has."""
    return load_workflow(CASES / "graph/product_launch.yaml", Settings(root=ROOT))


@pytest.fixture(scope="module")
def ingest() -> Workflow:
    models = {name: ModelSpec("openai/gpt-4o-mini") for name in ("fast", "embedder")}
    return load_workflow(ROOT / "workflows/doc_ingest.yaml", Settings(root=ROOT, models=models, limits={"openai": {"rate": "1/s"}}))


# --- in words ---------------------------------------------------------------------------------------------------------


def test_the_example_has_every_kind(launch: Workflow) -> None:
    assert {step.kind for _, step in walk_paths(launch)} == set(kinds())
    assert len(list(walk_paths(launch))) >= 40


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        ("http", {"url": "{{ inputs.url }}"}, "GET inputs.url"),
        ("http", {"url": "https://x.example", "json": {}}, "POST https://x.example"),
        ("wait", {"for": "1d", "at": "09:00", "timezone": "Europe/Paris"}, "1d, then until 09:00 (Europe/Paris)"),
        ("wait", {"until": "{{ run.started_at | add('14d') }}"}, "until run.started_at | add('14d')"),
        ("wait_for", {"event": ["a.b", "c.d"]}, "a.b or c.d"),
        ("approve", {"message": "Go?", "to": "{{ inputs.boss }}"}, "Go? (asks inputs.boss)"),
        ("call", {"workflow": "x.yaml", "detach": True}, "x.yaml, not waited for"),
        ("email", {"template": "emails/x.md", "to": ["a", "b"]}, "emails/x.md to a, b"),
        ("assert", {"that": ["a > 1", "b"]}, "a > 1 and b"),
        ("set", {"a": 1, "b": 2}, "a, b"),
        ("write", {"to": "sqlite:x.db", "table": "t", "key": "id"}, "sqlite:x.db, table t"),
        ("switch", {"if": ["a", True]}, ""),
        ("own_kind", {"what": "x"}, "x"),
    ],
)  # fmt: skip
def test_what_a_step_does(kind: str, config: dict[str, object], said: str) -> None:
    assert words.gist(_step(kind, "s", config=config)) == said


def test_how_often_and_how() -> None:
    step = _step("llm", "s", until="result.done", every_ms=60_000, max=0, max_ms=7_200_000, cache_ms=0, repeatable=False, on_error="continue")
    assert words.loops(step) == ["again until result.done", "every 1m", "for 2h at most"]
    assert words.manners(step) == ["cache", "never repeated", "on error: continue"]
    assert words.loops(_step("llm", "s", each=[1, 2], concurrency=1)) == ["for each item of 2 values", "one after the other"]


# --- as an outline ----------------------------------------------------------------------------------------------------


def test_the_outline_of_the_example(launch: Workflow) -> None:
    assert "\n".join(outline(launch, 100)) + "\n" == (CASES / "graph/product_launch.txt").read_text("utf-8")


@pytest.mark.parametrize("width", [40, 60, 100, 200])
def test_no_line_of_an_outline_is_wider_than_asked(launch: Workflow, width: int) -> None:
    wide = _flow(_step("set", "x" * 64, config={"日本語" * 40: 1}, each="inputs.日本語" * 20), description="語" * 90)
    for line in [*outline(launch, width), *outline(wide, width)]:
        assert width_of(line) <= width


def test_colours_only_when_asked_and_nothing_steers_the_terminal() -> None:
    workflow = _flow(_step("llm", "a", config={"text": "x\x1b[31mred"}), description="\x1b]0;title\x07d")
    assert "\x1b" not in "\n".join(outline(workflow, 100))
    assert "\x1b[36mllm\x1b[0m" in "\n".join(outline(workflow, 100, colour=True))


# --- as Mermaid -------------------------------------------------------------------------------------------------------

_NODE = re.compile(r'(n\d+)(\(\[|\[\[|\[/|\[|\{\{|\{|>)"([^"<>`|\\%{}]|<br/>)+"(\]\)|\]\]|\\\]|\]|\}\}|\})')
_FRAME = re.compile(r'subgraph (s\d+)\["([^"<>`|\\%{}]|<br/>)+"\]')
_ARROW = re.compile(r'([ns]\d+) (?:-->|-\.->)(?:\|"(?:[^"<>`|\\%{}]|<br/>)+"\|)? ([ns]\d+)')
_CLASS = re.compile(r"class(Def)? [\w,]+ [\w:#,-]+")


def _parsed(chart: str) -> tuple[set[str], list[tuple[str, str]]]:
    """Names and arrows of a chart whose every line has the form that Mermaid's own parser accepted."""
    first, *lines = [line.strip() for line in chart.splitlines()]
    assert first == "flowchart TD"
    names: set[str] = set()
    arrows: list[tuple[str, str]] = []
    depth = 0
    for line in lines:
        if found := _NODE.fullmatch(line) or _FRAME.fullmatch(line):
            assert found[1] not in names
            names.add(found[1])
            depth += line.startswith("subgraph")
        elif found := _ARROW.fullmatch(line):
            arrows.append((found[1], found[2]))
        else:
            depth -= line == "end"
            assert line == "end" or _CLASS.fullmatch(line), line
    assert depth == 0 and {end for arrow in arrows for end in arrow} <= names
    return names, arrows


def test_mermaid_draws_the_whole_language(launch: Workflow) -> None:
    chart = mermaid(launch)
    names, arrows = _parsed(chart)
    reached = {end for arrow in arrows for end in arrow}
    alone = [line for line in chart.splitlines() if (found := re.match(r"\s+(n\d+)\W", line)) and found[1] not in reached]
    assert len(alone) == 4  # each the only step of its frame
    for said in ("call translate.yaml", '-->|"case gadget"|', '-->|"otherwise"|', "again until result.good · every 10s · 4 times at most",
                 "wait 7d, then until 09:00", '-.->|"on timeout"|', '-.->|"cancels"|', "webhook POST /launch"):  # fmt: skip
        assert said in chart


def test_what_follows_a_stop_is_reached_around_it() -> None:
    chart = mermaid(_flow(_step("stop", "halt", if_="true", config={"reason": "r"}), _step("set", "after", config={"a": 1})))
    halt, after = (next(line.split("[")[0].split("(")[0].strip() for line in chart.splitlines() if word in line) for word in ("halt", "after"))
    arrows = _parsed(chart)[1]
    assert not any(start == halt for start, _ in arrows) and any(end == after for _, end in arrows)


NASTY = st.lists(
    st.sampled_from(['"', "`", "<b>", "|", "#35;", "\\n", "{{", "%%{init}", "end", "direction TB", "style x:#f;", "classDef", "]", "é", " ", "a"]), max_size=6
).map("".join)


@settings(max_examples=60, deadline=None)
@given(NASTY, NASTY, NASTY)
def test_no_text_breaks_a_chart_or_a_picture(one: str, two: str, three: str) -> None:
    inner = [Step(kind="llm", label="l@1", sub="l", name=one, config={"text": two}, if_=three)]
    workflow = Workflow(
        name=one, file="w", description=two, triggers=[{"event": three}], outputs={one: 1}, on_error=inner,
        steps=[Step(kind="switch", label="s", sub="s", config={"value": one}, branches={two: inner, three: inner}, on_error=inner),
               Step(kind="parallel", label="p", sub="p", branches={two: inner}, each=one)],
    )  # fmt: skip
    _parsed(mermaid(workflow))
    chart = mermaid(workflow)
    assert not re.search(r"direction\s+TB|style.*:\S*#", chart.split("classDef of_")[0])
    ElementTree.fromstring(svg(workflow))


# --- as SVG -----------------------------------------------------------------------------------------------------------


def _shown(picture: str) -> str:
    return " ".join(text.text or "" for text in ElementTree.fromstring(picture).iter(f"{NAME}text"))


def test_the_picture_has_every_step_and_can_be_read_aloud(launch: Workflow) -> None:
    root = ElementTree.fromstring(svg(launch))
    assert root.get("role") == "img" and root.get("aria-labelledby") == "title desc"
    assert root.findtext(f"{NAME}title") == "Workflow product_launch"
    described = root.findtext(f"{NAME}desc") or ""
    assert described.startswith("From a product sheet") and "1. sheet: read inputs.sheet.path." in described
    shown = _shown(svg(launch))
    titles = " ".join(title.text or "" for title in root.iter(f"{NAME}title"))
    for _, step in walk_paths(launch):
        assert (step.id or step.kind) in (titles if step.branches else shown)
    for said in ("case gadget", "otherwise", "on timeout", "on error", "then", "else", "translate.yaml", "again until result.good"):
        assert said in shown


def test_the_picture_needs_nothing_from_outside(launch: Workflow) -> None:
    picture = svg(launch)
    assert "prefers-color-scheme:dark" in picture and "<script" not in picture and "@import" not in picture
    assert set(re.findall(r'(?:href|src)="([^"]*)"', picture)) <= {f"#{found}" for found in re.findall(r'<path id="([^"]*)"', picture)}
    assert re.findall(r"https?://[^\s\"<]*", re.sub(r"<(text|title|desc)[^>]*>[^<]*", "", picture)) == ["http://www.w3.org/2000/svg"]


def test_no_two_steps_lie_on_each_other_and_all_are_in_the_picture(launch: Workflow) -> None:
    root = ElementTree.fromstring(svg(launch))
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    cards = {(float(box.get("x") or 0), float(box.get("y") or 0), float(box.get("width") or 0), float(box.get("height") or 0))
             for box in root.iter(f"{NAME}rect") if box.get("class") == "card"}  # fmt: skip
    assert len(cards) > 30
    for x, y, w, h in cards:
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
        for a, b, c, d in cards:
            shared = min(x + w, a + c) - max(x, a), min(y + h, b + d) - max(y, b)
            apart = min(shared) <= 0
            assert apart or abs(x - a) <= 8 and abs(y - b) <= 8  # the cards behind the card of an `each`


def test_text_stays_within_its_step(launch: Workflow) -> None:
    for group in ElementTree.fromstring(svg(launch)).iter(f"{NAME}g"):
        box = next((box for box in group.iter(f"{NAME}rect") if box.get("class") in ("card", "frame", "handler")), None)
        for text in group.iter(f"{NAME}text") if box is not None else ():
            assert box is not None
            if text.get("text-anchor") is None:
                size = 13 if text.get("class") == "name" else 11 if text.get("class") == "fact" else 12
                right = float(box.get("x") or 0) + float(box.get("width") or 0)
                assert float(text.get("x") or 0) + text_width(text.text or "", size) / 1.05 <= right


def test_many_cases_stand_below_each_other() -> None:
    few, many = (_flow(_step("switch", "s", config={"value": "x"}, branches={f"c{n}": [_step("set", f"a{n}")] for n in range(count)})) for count in (3, 12))
    wide, tall = (ElementTree.fromstring(svg(one)) for one in (few, many))
    assert float(wide.get("width") or 0) > float(wide.get("height") or 0)
    assert float(tall.get("width") or 0) < 600 and float(tall.get("height") or 0) > 900


def test_texts_are_cut_where_they_end() -> None:
    assert shortened("abc", 100, 12) == "abc" and shortened("a" * 50, 100, 12).endswith("a…")
    assert folded("see {{ inputs.a }} there", 90, 12) == ["see", "{{ inputs.a }}", "there"]
    assert all(text_width(line, 12) <= 100 for line in folded("x" * 99 + " yes", 100, 12))
    assert wrap(["a", "b", "c" * 20], 60, 12, 3) == ["a · b", "cccccc", "cccccc…"]


def test_the_picture_in_the_readme_is_current(ingest: Workflow) -> None:
    drawn = (ROOT / "docs/images/doc_ingest.svg").read_text("utf-8")
    assert drawn == svg(ingest) + "\n", "draw it again: aiflow graph workflows/doc_ingest.yaml -o docs/images/doc_ingest.svg"
    assert "(docs/images/doc_ingest.svg)" in (ROOT / "README.md").read_text("utf-8")


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_draws_each_form(tmp_path: Path) -> None:
    file = str(CASES / "graph/translate.yaml")
    run = CliRunner()
    assert "└ translated  llm Translate into" in run.invoke(cli, ["graph", file], standalone_mode=False).output
    assert run.invoke(cli, ["graph", file, "--format", "mermaid"], standalone_mode=False).output.startswith("flowchart TD\n")
    path = tmp_path / "new" / "x.svg"
    done = run.invoke(cli, ["graph", file, "-o", str(path)], standalone_mode=False)
    assert done.output == f"wrote {path}\n" and path.read_text("utf-8").startswith("<svg ")


def test_the_width_of_the_terminal_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    output = CliRunner().invoke(cli, ["graph", str(CASES / "graph/product_launch.yaml")], standalone_mode=False).output
    assert max(map(len, output.splitlines())) <= 50
