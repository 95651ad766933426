"""Renaming: every word that means the step, input or item changes, and not one byte besides."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from aiflow.cli._group import cli
from aiflow.errors import SpecError
from aiflow.language.check._sites import find_sites
from aiflow.language.edits import Edit, apply_edits
from aiflow.language.rename import RenameError, look_at, rename, rename_step, what_is
from aiflow.language.rename_elsewhere import rename_in_caller, rename_in_test

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "workflows").glob("*.yaml")), *sorted((ROOT / "tests/cases/good").glob("*.yaml"))]
FILE = Path("w.yaml")

STEPS = r"""# steps.draft stays in comments
steps:
  - id: draft   # draft
    llm: "write a draft: {{ inputs.draft }}"
  - each: "{{ steps['draft'].output.draft }}"
    as: drafts
    set: {draft: "{{ steps[\"draft\"].output }} {% for draft in steps . draft.output %}{{ draft }}{% endfor %}"}
  - set:
      text: >
        draft {{ steps.draft.status }}
        and {{ steps['draft'].status
        }}
      drafts: '{{ steps[''draft''].output ~ "draft" }}'
    if: steps.draft.output and 'steps.draft'
inputs: {draft: string}
on_error:
  - if: error.step == 'draft' or error.step in ["draft", 'b.draft', "draft.on_error.x"]
    fail: "{{ error.message }} draft"
"""


def _step(text: str, old: str, new: str) -> str:
    return apply_edits(text, rename_step(text, old, new))


def test_a_step_is_renamed_wherever_it_is_meant() -> None:
    assert _step(STEPS, "draft", "article") == r"""# steps.draft stays in comments
steps:
  - id: article   # draft
    llm: "write a draft: {{ inputs.draft }}"
  - each: "{{ steps['article'].output.draft }}"
    as: drafts
    set: {draft: "{{ steps[\"article\"].output }} {% for draft in steps . article.output %}{{ draft }}{% endfor %}"}
  - set:
      text: >
        draft {{ steps.article.status }}
        and {{ steps['article'].status
        }}
      drafts: '{{ steps[''article''].output ~ "draft" }}'
    if: steps.article.output and 'steps.draft'
inputs: {draft: string}
on_error:
  - if: error.step == 'article' or error.step in ["article", 'b.draft', "article.on_error.x"]
    fail: "{{ error.message }} draft"
"""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_step_of_every_example_can_be_renamed_there_and_back(file: Path) -> None:
    text = file.read_text("utf-8")
    for name in look_at(text, file).tree.by_id:
        changed = _step(text, name, f"{name}_x")
        assert changed != text and name not in look_at(changed, file).tree.by_id
        used = [one for site in find_sites(look_at(text, file)) for one in site.references if one.path[:1] == (name,)]
        assert len(rename_step(text, name, f"{name}_x")) == 1 + len([one for one in used if one.root == "steps"])
        assert _step(changed, f"{name}_x", name) == text


def test_line_ends_and_byte_order_mark_stay() -> None:
    raw = "\ufeff" + STEPS.replace("\n", "\r\n")
    assert _step(raw, "draft", "article") == "\ufeff" + _step(STEPS, "draft", "article").replace("\n", "\r\n")


def test_an_edit_has_offsets_into_the_text_as_it_is() -> None:
    text = "\ufeffsteps:\r\n- id: a\r\n  set: {x: 1}\r\n"
    assert rename_step(text, "a", "b") == [Edit(text.index(": a") + 2, text.index(": a") + 3, "b")]


def test_a_name_that_yaml_reads_as_a_boolean_is_quoted() -> None:
    assert '- id: "no"\n' in _step("steps:\n  - id: a\n    set: {x: 1}\n", "a", "no")
    assert '- id: "no"\n' in _step('steps:\n  - id: "a"\n    set: {x: 1}\n', "a", "no")


def test_an_alias_is_changed_once_where_it_is_written() -> None:
    text = 'x-w: &w {t: "{{ steps.a.output }}"}\nsteps:\n- {id: a, set: {n: 1}}\n- {set: *w}\n- {set: *w}\n'
    assert _step(text, "a", "b") == text.replace("steps.a", "steps.b").replace("id: a", "id: b")


INPUTS = """\
inputs: {"folder?": string, "folders(array)": string}
triggers:
  - {event: a.b, inputs: {folder: "{{ event.data.folder }}"}}
steps:
  - set: {folder: "{{ inputs.folder | default('folder') }}{{ inputs['folder'] }}{{ inputs.folders }}"}
"""


def test_an_input_is_renamed_with_what_triggers_give_it() -> None:
    changed = apply_edits(INPUTS, rename(INPUTS, "input", "folder", "place", FILE)[0])
    assert changed == """\
inputs: {"place?": string, "folders(array)": string}
triggers:
  - {event: a.b, inputs: {place: "{{ event.data.folder }}"}}
steps:
  - set: {folder: "{{ inputs.place | default('folder') }}{{ inputs['place'] }}{{ inputs.folders }}"}
"""


def test_an_item_is_renamed_in_its_body_only() -> None:
    text = """\
steps:
  - each: inputs.list | map(attribute='part')
    as: part
    do:
      - set: {part: "{{ part.part }}{% for part in part.all %}{{ part }}{% endfor %}"}
      - write: {to: out/part.txt, text: "{{ part }}"}
"""
    changed = apply_edits(text, rename(text, "item", "part", "piece", FILE)[0])
    assert changed == text.replace("as: part", "as: piece").replace('"{{ part.part', '"{{ piece.part').replace(
        "in part.all", "in piece.all"
    ).replace('text: "{{ part }}', 'text: "{{ piece }}')


@pytest.mark.parametrize(
    ("name", "meant"),
    [("a", ("step", "a")), ("steps.a", ("step", "a")), ("inputs.a", ("input", "a")), ("one", ("item", "one"))],
)  # fmt: skip
def test_what_a_name_means(name: str, meant: tuple[str, str]) -> None:
    text = "inputs: {a: string, b: string}\nsteps: [{id: a, each: [1], as: one, set: {x: 1}}]\n"
    assert what_is(text, name, FILE) == meant
    with pytest.raises(RenameError) as wrong:
        what_is(text, "b", FILE)
    assert wrong.value.hint == "write: inputs.b"


@pytest.mark.parametrize(
    ("text", "old", "new", "message", "hint"),
    [
        (STEPS, "drafft", "x", "there is no step `drafft` in w.yaml", "did you mean `draft`?"),
        (STEPS, "draft", "draft", "the step `draft` already has this name", ""),
        (STEPS, "draft", "my-draft", "`my-draft` cannot be the name of a step", "a name begins with a small letter"),
        (STEPS, "draft", "x" * 65, "cannot be the name", ""),
        ("steps:\n- {id: a, set: {x: 1}}\n- {id: b, set: {x: 1}}\n", "a", "b", "`b` is already taken in w.yaml", "another name"),
        ("steps:\n- {id: a, set: {x: 1}}\n- if: steps.a.output >\n  set: {x: 1}\n", "a", "b", "w.yaml:3:7: this expression has a fault", "mend it"),
        ('steps:\n- {id: a, set: {x: 1}}\n- set: {x: "{{ steps.\\x61.output }}"}\n', "a", "b", "w.yaml:3: `a` is written with escapes here", "plainly"),
    ],
)  # fmt: skip
def test_what_cannot_be_renamed_is_said(text: str, old: str, new: str, message: str, hint: str) -> None:
    with pytest.raises(RenameError) as wrong:
        rename(text, "step", old, new, FILE)
    assert message in wrong.value.message and hint in wrong.value.hint


def test_a_name_that_something_else_would_catch_is_refused() -> None:
    text = 'steps:\n- each: [1]\n  as: one\n  set: {x: "{% for two in [3] %}{{ one }}{% endfor %}"}\n'
    with pytest.raises(RenameError, match="would mean something else"):
        rename(text, "item", "one", "two", FILE)


def test_broken_yaml_is_not_touched() -> None:
    with pytest.raises(SpecError):
        rename_step("steps: [\n", "a", "b")


NESTED = """\
steps:
  - id: docs
    each: [1, 2]
    do:
      - id: part
        do:
          - {id: facts, set: {x: 1}}
        on_error:
          - {id: mend, set: {x: 1}}
"""

TESTS = """\
workflow: ../workflows/nested.yaml
inputs: {part: 1}
mock:
  part: {x: 1}          # the step
  'docs': ["{{ steps.part.output.part }}{{ inputs.part }}"]
tests:
  - name: part
    mock: {part: 1}
    expect:
      output: {part: 1}
      ran: [docs, part, "docs[3].part.facts", docs.part.on_error.mend, x.part]
      not_ran:
        - docs[0].part
      steps: {docs.part: {output: {part: 1}}, "part": {status: ok}}
      error: {step: docs.part, message: part}
      that:
        - steps.part.output == 'part' and error.step == 'docs.part'
"""


def test_tests_follow_a_step() -> None:
    task = rename(NESTED, "step", "part", "piece", FILE)[1]
    assert apply_edits(TESTS, rename_in_test(TESTS, task, "t")) == """\
workflow: ../workflows/nested.yaml
inputs: {part: 1}
mock:
  piece: {x: 1}          # the step
  'docs': ["{{ steps.piece.output.part }}{{ inputs.part }}"]
tests:
  - name: part
    mock: {piece: 1}
    expect:
      output: {part: 1}
      ran: [docs, piece, "docs[3].piece.facts", docs.piece.on_error.mend, x.part]
      not_ran:
        - docs[0].piece
      steps: {docs.piece: {output: {part: 1}}, "piece": {status: ok}}
      error: {step: docs.piece, message: part}
      that:
        - steps.piece.output == 'part' and error.step == 'docs.piece'
"""


def test_tests_follow_an_input() -> None:
    task = rename(INPUTS, "input", "folder", "place", FILE)[1]
    text = TESTS.replace("part: 1}", "folder: 1}", 1).replace("inputs.part", "inputs.folder")
    assert apply_edits(text, rename_in_test(text, task, "t")) == text.replace("folder: 1}", "place: 1}", 1).replace("inputs.folder", "inputs.place")


def test_callers_follow_an_input() -> None:
    task = rename(INPUTS, "input", "folder", "place", FILE)[1]
    text = """\
steps:
  - {call: w.yaml, with: {folder: "{{ inputs.folder }}"}}
  - {call: {workflow: ./w.yaml}, with: {"folder": 1}}
  - {call: other.yaml, with: {folder: 1}}
"""
    changed = apply_edits(text, rename_in_caller(text, task, Path("/p/w.yaml"), Path("/p/caller.yaml")))
    assert changed == text.replace('with: {folder: "{{', 'with: {place: "{{').replace('{"folder": 1}', '{"place": 1}')


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "workflows/nested.yaml": NESTED, "tests/nested.test.yaml": TESTS, "tests/other.test.yaml": "workflow: ../workflows/x.yaml\nmock: {part: 1}\n",
        "workflows/inputs.yaml": "inputs:\n  word: string\ntriggers: [{event: a.b}]\nsteps:\n  - set: {x: '{{ inputs.word }}'}\n",
        "workflows/caller.yaml": "steps:\n  - call: inputs.yaml\n    with: {word: hello}\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def test_the_command_changes_the_file_and_its_tests(project: Path) -> None:
    dry = CliRunner().invoke(cli, ["rename", "workflows/nested.yaml", "part", "piece", "--dry-run"], standalone_mode=False)
    assert "-      - id: part\n+      - id: piece" in dry.output and "would be `piece`" in dry.output
    assert (project / "workflows/nested.yaml").read_text("utf-8") == NESTED
    done = CliRunner().invoke(cli, ["rename", "workflows/nested.yaml", "part", "piece"], standalone_mode=False)
    assert done.output == "step `part` is now `piece`: 1 place in workflows/nested.yaml, 12 places in tests/nested.test.yaml\n"
    assert "- id: piece\n" in (project / "workflows/nested.yaml").read_text("utf-8")
    assert "  piece: {x: 1}   " in (project / "tests/nested.test.yaml").read_text("utf-8")
    assert "part" in (project / "tests/other.test.yaml").read_text("utf-8")


def test_the_command_changes_callers_and_says_what_events_must_carry(project: Path) -> None:
    done = CliRunner().invoke(cli, ["rename", "workflows/inputs.yaml", "inputs.word", "inputs.term"], standalone_mode=False)
    assert "input `word` is now `term`: 2 places in workflows/inputs.yaml, 1 place in workflows/caller.yaml" in done.output
    assert "note: the trigger `event a.b` fills inputs by name: what comes has to carry `term`" in done.output
    assert "with: {term: hello}" in (project / "workflows/caller.yaml").read_text("utf-8")
    assert "{{ inputs.term }}" in (project / "workflows/inputs.yaml").read_text("utf-8")
