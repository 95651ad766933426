"""The usual layout: what is moved and what stays; whatever the text, its data and its comments are those of before."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from aiflow.cli._group import cli
from aiflow.errors import SpecError
from aiflow.language import format as module
from aiflow.language.format import FormatError, comments_of, format_text
from aiflow.language.key_order import STEP_ORDER, TOP_ORDER
from aiflow.language.vocabulary import MODIFIERS, TOP

ROOT = Path(__file__).parents[2]


def test_every_word_has_its_place() -> None:
    assert set(MODIFIERS) == set(STEP_ORDER) - {"(kind)"}
    assert set(TOP) == set(TOP_ORDER) - {"x-"}


@pytest.mark.parametrize("file", sorted((ROOT / "workflows").rglob("*.yaml")), ids=lambda file: file.name)
def test_the_examples_are_in_the_usual_layout(file: Path) -> None:
    text = file.read_text("utf-8")
    assert format_text(text) == text


NASTY = """\
# yaml-language-server: $schema=../schemas/workflow.schema.json
# about the steps
steps:
    # about the first
    -   llm: prompts/x.md   # the prompt
        # why this id
        id: a
            # deeper, so of the id
        with:
              t: |2

                 two more
                less
              # about u
              u: >+
                   folded
                     deeper


        # tail of a

    # about b
    - set: {text:   "{{ x }}",  b: 1,
          c: 2}   # set
      if: "{{ steps.a.output }}"      # a condition
      name: "over
        two lines"
      #    commented: out
      id: b

    # tail of the list
# about the inputs
inputs:
- not: a
-
  # inner
  - - deep
    - - deeper   # here
  - &x
    k: v
- *x
- ? a
  : b

finally: &f
  - stop: >-
      done
name: w   # the name
# the end
"""

NICE = """\
# yaml-language-server: $schema=../schemas/workflow.schema.json
name: w   # the name
# about the inputs
inputs:
  - not: a
  -
    # inner
    - - deep
      - - deeper   # here
    - &x
      k: v
  - *x
  - ? a
    : b
# about the steps
steps:
  # about the first
  # why this id
  - id: a
        # deeper, so of the id
    llm: prompts/x.md   # the prompt
    with:
      t: |2

         two more
        less
      # about u
      u: >+
        folded
          deeper


    # tail of a

  # about b
  #    commented: out
  - id: b
    name: "over
      two lines"
    if: steps.a.output              # a condition
    set: {text:   "{{ x }}",  b: 1,
        c: 2}   # set

  # tail of the list

finally: &f
  - stop: >-
      done
# the end
"""


def test_a_nasty_file() -> None:
    assert format_text(NASTY) == NICE
    assert format_text(NICE) == NICE


@pytest.mark.parametrize(
    ("written", "usual"),
    [
        ('if: "{{ inputs.n > 3 }}"', "if: inputs.n > 3"),
        ("if: '{{- inputs.n -}}'", "if: inputs.n"),
        ('if: "inputs.n > 3"', "if: inputs.n > 3"),
        ("if: inputs.n > 3", "if: inputs.n > 3"),
        ("if: \"{{ inputs.n == 'a: b' }}\"", "if: \"inputs.n == 'a: b'\""),
        ("if: \"'a' in inputs.n\"", "if: \"'a' in inputs.n\""),
        ("if: \"{{ 'a' in inputs.n }}\"", "if: \"'a' in inputs.n\""),
        ('if: "{{ [1] }}"', 'if: "[1]"'),
        ('if: "{{ true }}"', 'if: "true"'),
        ('if: "true"', 'if: "true"'),
        ('if: "{{ inputs.a }} and {{ inputs.b }}"', 'if: "{{ inputs.a }} and {{ inputs.b }}"'),
        ('if: "{{ }}"', 'if: "{{ }}"'),
        ('if: "inputs.a | default(\'#\')"', "if: inputs.a | default('#')"),
        ('if: "inputs.a # not"', 'if: "inputs.a # not"'),
        ("if: >-\n      {{ inputs.a }}", "if: >-\n      {{ inputs.a }}"),
        ('name: "{{ inputs.n }}"', 'name: "{{ inputs.n }}"'),
    ],
)  # fmt: skip
def test_conditions(written: str, usual: str) -> None:
    assert format_text(f"steps:\n  - {written}\n    set: {{a: 1}}\n") == f"steps:\n  - {usual}\n    set: {{a: 1}}\n"


def test_conditions_wherever_they_stand() -> None:
    text = """\
triggers:
  - event: a.b
    if: "{{ event.data.x }}"
cancel_on: [{event: a.c, match: "{{ event.data.x, 1 }}"}, {event: a.c, match: "{{ event.data.y }}"}]
concurrency: {limit: 1, key: "{{ inputs.a }}"}
steps:
  - each: "{{ inputs.list }}"
    switch:
      - if: "{{ item.a }}"
        do: [{assert: ["{{ item.b }}", "max([1, 2])"]}]
    retry: {times: 3, if: "{{ error.transient }}"}
"""
    assert format_text(text) == """\
triggers:
  - event: a.b
    if: event.data.x
cancel_on: [{event: a.c, match: "event.data.x, 1"}, {event: a.c, match: event.data.y}]
concurrency: {limit: 1, key: inputs.a}
steps:
  - each: inputs.list
    switch:
      - if: item.a
        do: [{assert: [item.b, "max([1, 2])"]}]
    retry: {times: 3, if: error.transient}
""".replace('match: "event.data.x, 1"', 'match: "{{ event.data.x, 1 }}"')  # a tuple is no expression


def test_an_alias_never_comes_before_its_anchor() -> None:
    text = "steps:\n  - with: &w {a: 1}\n    set: *w\n    id: a\n"
    assert format_text(text) == text
    moved = "steps:\n  - set: &w {a: 1}\n    with: *w\n    id: a\n"
    assert format_text(moved) == "steps:\n  - id: a\n    set: &w {a: 1}\n    with: *w\n"


def test_what_no_case_matches_stands_behind_the_cases() -> None:
    text = "steps:\n  - output: 1\n    else: [{set: {a: 1}}]\n    cases: {a: [{set: {a: 1}}]}\n    switch: inputs.a\n"
    assert list(yaml.safe_load(format_text(text))["steps"][0]) == ["switch", "cases", "else", "output"]
    text = text.replace("- output", "- if: inputs.b\n    output")
    assert list(yaml.safe_load(format_text(text))["steps"][0]) == ["if", "switch", "cases", "output", "else"]


def test_unknown_keys_stay_with_the_key_before() -> None:
    text = "steps:\n  - llm: x\n    colour: red\n    id: a\n    shape: round\n"
    assert list(yaml.safe_load(format_text(text))["steps"][0]) == ["id", "shape", "llm", "colour"]


@pytest.mark.parametrize("text", ["{steps: [{set: {a: 1}}]}\n", "- 1\n- 2\n", "just text\n", "a: 1\n"])
def test_what_is_no_workflow_or_in_one_line_stays(text: str) -> None:
    assert format_text(text) == text


def test_markers_line_ends_and_the_last_line() -> None:
    text = "%YAML 1.1\n---   # one\n# two\nsteps:\n- set: {a: 1}\nname: x\n\n\n...\n"
    assert format_text(text) == "%YAML 1.1\n---   # one\nname: x\n# two\nsteps:\n  - set: {a: 1}\n\n\n...\n"
    assert format_text("\ufeffsteps:\r\n- set:\r\n    t: |\r\n     x\r\n\r\n") == "\ufeffsteps:\r\n  - set:\r\n      t: |\r\n        x\r\n"
    assert format_text("steps:\n- set:\n    t: |\n      x") == "steps:\n  - set:\n      t: |\n        x"
    assert format_text("steps:\n- set: {t: 1}") == "steps:\n  - set: {t: 1}\n"


def test_blanks_that_belong_to_a_text_stay() -> None:
    text = 'steps:\n-   set:\n        a: |\n            x  \n              \n\n            y\n        b: "one \\ \n           two"   \n    if: inputs.a   \n'
    made = format_text(text)
    assert made == 'steps:\n  - if: inputs.a\n    set:\n      a: |\n        x  \n          \n\n        y\n      b: "one \\ \n         two"\n'


@pytest.mark.parametrize("text", ["steps: [\n", "a: 1\na: 2\n", "a: yes\n", "steps:\n\t- set: 1\n"])
def test_files_with_faults_of_yaml_are_refused(text: str) -> None:
    with pytest.raises(SpecError):
        format_text(text)


@pytest.mark.parametrize("wrong", ["steps: []\n", "steps: [{set: {a: 2}}] # c\n", "steps: [{set: {a: 1}}]\n", "steps: [\n"])
def test_a_result_that_says_something_else_is_never_given(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "laid_out", lambda *_: wrong)
    with pytest.raises(FormatError, match="cannot be laid out"):
        format_text("steps: [{set: {a: 1}}] # c\n")


def test_comments_are_told_from_texts() -> None:
    text = "# a\na: 'x # no' # b\nb: x#no\nc: |  # (of the header)\n  # no\n # c\nd: {e: \"#\", # d\n  f: 1}\n"
    assert comments_of(text) == ["# a", "# b", "# c", "# d"]


# --- any document -----------------------------------------------------------------------------------------------------

SCALARS = [
    "text", "two words", "'quoted'", '"do\\"uble"', "3", "true", "null", '"{{ inputs.a }}"', "{a: 1, b: [x, 'y']}", "[]",
    "{}", "a#b", "'# no'", "[1,\n2]", '"over\n\n lines"', "plain\nover lines",
]  # fmt: skip
BLOCKS = ["|", ">", "|-", ">+", "|+", "|2", ">2-"]
CONTENT = [["x"], ["x", "", "y"], ["x", "  deeper", "z"], ["# no comment", "x", ""], ["", "x"], ["x ", "  ", "y"]]
STEP_KEYS = [*MODIFIERS, "llm", "set", "do", "switch", "parallel", "wait_for", "colour"]


class _Writer:
    """Writes a document in any layout that YAML allows, with a numbered comment here and there."""

    def __init__(self, draw: Any) -> None:
        self.draw, self.lines, self.comments = draw, [""], 0

    def flag(self) -> bool:
        return bool(self.draw(st.booleans()))

    def comment(self) -> str:
        self.comments += 1
        return f"# {self.comments}!"

    def end_line(self, indent: int) -> None:
        """Ends the line, perhaps with a comment, and adds comments and blank lines between entries."""
        if self.draw(st.integers(0, 5)) == 0:
            self.lines[-1] += "  " + self.comment()
        self.new_line(indent)

    def new_line(self, indent: int) -> None:
        self.lines.append("")
        for what in self.draw(st.lists(st.sampled_from(["blank", "here", "shallow", "deep"]), max_size=2) if self.draw(st.integers(0, 3)) == 0 else st.just([])):
            depth = {"blank": 0, "here": indent, "shallow": self.draw(st.integers(0, indent)), "deep": indent + self.draw(st.integers(0, 5))}[what]
            self.lines[-1] = "" if what == "blank" else " " * depth + self.comment()
            self.lines.append("")

    def block(self, indent: int) -> None:
        header = self.draw(st.sampled_from(BLOCKS))
        deep = indent + 2 if "2" in header else indent + self.draw(st.integers(1, 4))
        self.lines[-1] += header
        content = list(self.draw(st.sampled_from(CONTENT)))
        self.lines += [" " * deep + line if line else "" for line in content]
        self.lines.append("")

    def scalar(self, indent: int) -> None:
        if self.draw(st.integers(0, 4)) == 0:
            self.block(indent)
            return
        first, *rest = self.draw(st.sampled_from(SCALARS)).split("\n")
        self.lines[-1] += first
        for line in rest:
            self.lines.append(" " * (indent + self.draw(st.integers(1, 4))) + line if line else "")
        self.end_line(indent)

    def value(self, indent: int, depth: int, kind: str = "") -> None:
        """What stands behind a `key:`; `indent` is the column of the key."""
        kind = kind or self.draw(st.sampled_from(["scalar", "scalar", "map", "list"]))
        if depth > 3 or kind == "scalar":
            self.lines[-1] += " "
            self.scalar(indent)
            return
        deeper = indent + self.draw(st.integers(1, 4))
        if kind in ("list", "steps"):
            deeper = indent + self.draw(st.integers(0, 4))
        self.end_line(deeper)
        if kind == "map":
            self.map(deeper, depth + 1, self.draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True)))
        else:
            self.list(deeper, depth + 1, kind == "steps")

    def map(self, indent: int, depth: int, keys: list[str], first: bool = False) -> None:
        for number, key in enumerate(keys):
            if number or not first:
                self.lines[-1] += " " * indent
            self.lines[-1] += f"{key}:"
            self.value(indent, depth, "steps" if key in ("steps", "do", "else", "on_error", "finally") else "")

    def list(self, indent: int, depth: int, steps: bool) -> None:
        for _ in range(self.draw(st.integers(1, 3))):
            self.lines[-1] += " " * indent + "-"
            if steps or (depth <= 3 and self.flag()):
                keys = STEP_KEYS if steps else list("abcdef")
                gap = self.draw(st.integers(1, 4))
                self.lines[-1] += " " * gap
                self.map(indent + gap + 1, depth + 1, self.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4, unique=True)), True)
            else:
                self.lines[-1] += " "
                self.scalar(indent)


@st.composite
def documents(draw: Any) -> str:
    writer = _Writer(draw)
    writer.new_line(0)
    writer.map(0, 0, ["steps", *draw(st.lists(st.sampled_from([*TOP_ORDER[:-1], "x-a", "other"]), max_size=4, unique=True).map(lambda keys: [key for key in keys if key not in ("steps", "x-")]))])
    return "\n".join(writer.lines)


def _untouched_orders(data: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], list[Any]]:
    """The order of keys of every map that holds nothing of the language."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    if isinstance(data, dict):
        if not set(data) & {*STEP_KEYS, "steps"}:
            found[path] = list(data)
        for key, value in data.items():
            found |= _untouched_orders(value, (*path, key))
    if isinstance(data, list):
        for number, value in enumerate(data):
            found |= _untouched_orders(value, (*path, number))
    return found


@settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
@given(documents())
def test_any_document_keeps_its_data_and_its_comments(text: str) -> None:
    made = format_text(text)
    before, after = yaml.safe_load(text), yaml.safe_load(made)
    unbraced = yaml.safe_load(text.replace('"{{ inputs.a }}"', "inputs.a"))
    assert _plain(after) == _plain(unbraced)
    assert _untouched_orders(before) == _untouched_orders(after)
    assert sorted(re.findall(r"# \d+!", text)) == sorted(re.findall(r"# \d+!", made))
    assert format_text(made) == made
    assert all(len(line) - len(line.lstrip()) for line in made.split("\n") if line.lstrip().startswith("- "))


def _plain(data: Any) -> Any:
    """Data with all conditions in one spelling, where the braces may have gone."""
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    return "inputs.a" if data == "{{ inputs.a }}" else data


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "workflows"
    folder.mkdir()
    (folder / "good.yaml").write_text("steps:\n  - set: {a: 1}\n", "utf-8")
    (folder / "loose.yaml").write_text("steps:\n- set: {a: 1}\n  if: '{{ true }}'\n", "utf-8")
    return tmp_path


def _fmt(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["fmt", *words], standalone_mode=False)
    assert done.exception is None, done.exception
    return done.return_value, done.output


def test_check_and_diff_write_nothing(project: Path) -> None:
    before = (project / "workflows/loose.yaml").read_text("utf-8")
    assert _fmt("--check") == (1, "would change workflows/loose.yaml\n2 files looked at, 1 would change\n")
    code, output = _fmt("--diff")
    assert code == 0 and "-- set: {a: 1}\n-  if: '{{ true }}'\n+  - if: \"true\"\n+    set: {a: 1}\n" in output
    assert (project / "workflows/loose.yaml").read_text("utf-8") == before


def test_files_are_written_once(project: Path) -> None:
    assert _fmt() == (0, "changed workflows/loose.yaml\n2 files looked at, 1 changed\n")
    assert (project / "workflows/loose.yaml").read_text("utf-8") == 'steps:\n  - if: "true"\n    set: {a: 1}\n'
    assert _fmt() == (0, "2 files looked at, nothing to change\n")
    assert _fmt("--check", "workflows/loose.yaml")[0] == 0


def test_a_file_with_faults_is_reported_and_left_alone(project: Path) -> None:
    (project / "workflows/broken.yaml").write_text("steps:\n- set: {a: yes}\n", "utf-8")
    code, output = _fmt()
    assert code == 1 and "workflows/broken.yaml:2:12: YAML 1.1 reads yes as true" in output and "changed workflows/loose.yaml" in output
    assert (project / "workflows/broken.yaml").read_text("utf-8") == "steps:\n- set: {a: yes}\n"
    assert '"code": "ambiguous-scalar"' in _fmt("--json")[1]
