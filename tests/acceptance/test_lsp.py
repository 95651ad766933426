"""`aiflow lsp` as an editor meets it: a real process, messages over its stdin and stdout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.editing import place, unmarked
from tests.support.language_client import LanguageClient, LanguageServerError

CASES = Path(__file__).parents[1] / "cases"
COMMAND = [sys.executable, "-m", "aiflow", "lsp"]

WORKFLOW = """\
name: letters
inputs:
  folder: string, where the letters are
  limit?: integer
steps:
  - id: found
    files: "{{ inputs.folder }}/*.md"
  - id: moods
    each: steps.found.output
    as: letter
    llm:
      text: "How does the writer of {{ letter.name }} feel? {{ letter.text }}"
      schema: {mood(enum): [glad, cross], why: string}
    retry: 2
  - id: first
    llm: prompts/summarize.md
    with: {text: "{{ steps.moods.output[0].why }}"}
  - id: total
    python: leads.scoring:score
    with: {lead: 1}
  - call: other.yaml
    with: {mood: "{{ steps.moods.output[0].mood }}"}
outputs:
  text: "{{ steps.first.output }}"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lsp") / "project"
    shutil.copytree(CASES / "project", root)
    (root / "aiflow.yaml").write_text("models: {fast: openai/gpt-4o-mini}\ndefaults: {llm: {model: fast}}\n")
    (root / "workflows/other.yaml").write_text("inputs: {mood: string}\nsteps: [{set: {a: 1}}]\n")
    return root


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[LanguageClient]:
    with LanguageClient(COMMAND, project) as client:
        yield client
    assert client.exit_code == 0


@pytest.fixture
def file(project: Path) -> Path:
    return project / "workflows" / "letters.yaml"


def at(word: str, text: str = WORKFLOW) -> tuple[int, int]:
    """Line and column of the first place of a word; `§` in it is the cursor."""
    before, mark, after = word.partition("§")
    offset = text.index(before + after) + (len(before) if mark else 0)
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def hover(server: LanguageClient, file: Path, word: str, text: str = WORKFLOW) -> str:
    server.open(file, text)
    said = server.at("hover", file, *at(word, text))
    return str(said["contents"]["value"]) if said else ""


# -- diagnostics ------------------------------------------------------------------------------------------------


def test_nothing_is_said_about_a_good_file(server: LanguageClient, file: Path) -> None:
    assert server.open(file, WORKFLOW) == []


def test_what_validate_says_is_said_while_typing(server: LanguageClient, file: Path) -> None:
    assert server.open(file, WORKFLOW) == []
    broken = WORKFLOW.replace("steps.found.output", "steps.fund.output").replace("retry: 2", "retry: often")
    server.change(file, broken, 2)
    said = server.diagnostics(file)
    assert [one["code"] for one in said] == ["unknown-step", "wrong-type"]
    assert said[0]["message"] == "there is no step `fund`\ndid you mean `steps.found`?"
    assert [place(one) for one in said] == [at("steps.fund", broken), at("often", broken)]
    assert {one["source"] for one in said} == {"aiflow"}
    server.change(file, WORKFLOW, 3)
    assert server.diagnostics(file) == []


def test_a_burst_of_changes_is_checked_once(server: LanguageClient, file: Path) -> None:
    server.open(file, WORKFLOW)
    for version, name in enumerate(("f", "fu", "fun", "fund"), 2):
        server.change(file, WORKFLOW.replace("steps.found", f"steps.{name}"), version)
    assert [one["message"].splitlines()[0] for one in server.diagnostics(file)] == ["there is no step `fund`"]


def test_places_are_counted_as_the_editor_counts(server: LanguageClient, file: Path) -> None:
    text = 'steps:\n  - set: {a: "😀 é {{ inputs.x }}"}\n'
    (said,) = server.open(file, text)
    column = text.splitlines()[1].index("inputs.x") + 1  # one character more: the face counts twice
    assert said["range"]["start"] == {"line": 1, "character": column}


def test_windows_line_breaks(server: LanguageClient, file: Path) -> None:
    (said,) = server.open(file, "\ufeffname: a\r\nsteps:\r\n  - stp: x\r\n")
    assert place(said) == (3, 5)


def test_a_file_keeps_the_name_that_the_editor_gave_it(server: LanguageClient, project: Path) -> None:
    uri = (project / "workflows").as_uri() + "/a%281%29%20%C3%A4.yaml"  # others would write the brackets as they are
    item = {"uri": uri, "languageId": "yaml", "version": 1, "text": "steps: [{id: a, stp: x}]\n"}
    server.tell("textDocument/didOpen", {"textDocument": item})
    assert [one["code"] for one in server.said(uri)] == ["unknown-key"]
    position = {"line": 0, "character": 14}
    assert server.ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": position}) is None
    server.tell("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert server.said(uri) == []


@pytest.mark.parametrize("text", ["", ":", "steps: [", "- \t\n", "steps:\n  - id: a\n    if: ", "{{", "\x00", "steps: &a [*a]"])
def test_half_written_files(text: str, server: LanguageClient, file: Path) -> None:
    assert server.open(file, text)
    for line, column in ((1, 1), (1, 8), (3, 9), (99, 99)):
        for what in ("hover", "definition", "completion"):
            server.at(what, file, line, column)


def test_a_fault_in_a_prompt_is_shown_in_the_prompt(server: LanguageClient, project: Path) -> None:
    prompt = project / "workflows/prompts/sad.md"
    prompt.write_text("---\ninputs: {text: string}\n---\nSum up {{ txt }}.\n")
    file = project / "workflows/sad.yaml"
    server.show(file, 'steps:\n  - llm: prompts/sad.md\n    with: {text: "x"}\n')
    said = server.diagnostics(prompt)
    assert "prompt-undeclared" in [one["code"] for one in said]
    assert place(next(one for one in said if one["code"] == "prompt-undeclared")) == (4, 11)
    prompt.write_text("---\ninputs: {text: string}\n---\nSum up {{ text }}.\n")
    server.tell("textDocument/didSave", {"textDocument": {"uri": prompt.as_uri()}})
    assert server.diagnostics(prompt) == []


def test_a_prompt_is_checked_while_typing(server: LanguageClient, project: Path) -> None:
    said = server.open(project / "workflows/prompts/new.md", "---\ninputs: {text: string}\n---\nSum up {{ txt }}.\n")
    assert [(one["code"], place(one)) for one in said] == [("prompt-unused", (2, 10)), ("prompt-undeclared", (4, 11))]


def test_a_broken_project_file_is_named(server: LanguageClient, tmp_path: Path) -> None:
    (tmp_path / "aiflow.yaml").write_text("modles: {}\n")
    (said,) = server.open(tmp_path / "workflows/a.yaml", "steps: [{stop: x}]\n")
    assert said["code"] == "config" and "aiflow.yaml:1:1: unknown key `modles`" in said["message"]


@pytest.mark.parametrize("name", ["notes.yaml", "workflows/a.test.yaml", "aiflow.yaml", "docker.yml"])
def test_other_files_are_left_alone(name: str, server: LanguageClient, project: Path) -> None:
    assert server.open(project / name, "services: [a\n") == []


def test_what_was_said_about_a_closed_file_is_taken_back(server: LanguageClient, file: Path) -> None:
    assert server.open(file, "steps: [{stp: x}]\n")
    server.tell("textDocument/didClose", {"textDocument": {"uri": file.as_uri()}})
    assert server.diagnostics(file) == []


# -- hover ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("steps.fo§und", "steps.found.output: [file]"),
        ("steps.fo§und", "`files`, line 6. List the files"),
        ("steps.moods.out§put[0].why", "steps.moods.output: [{mood: glad | cross, why: string}]"),
        ("steps.moods.output[0].w§hy", "steps.moods.output[0].why: string"),
        ("steps.moods.output[0].mo§od", "steps.moods.output[0].mood: glad | cross"),
        ("inputs.fol§der }}", "inputs.folder: string"),
        ("inputs.fol§der }}", "where the letters are"),
        ("fol§der: string", "inputs.folder: string"),
        ("let§ter.name", "letter: file"),
        ("letter.na§me", "letter.name: string"),
        ("steps.fi§rst", "steps.first.output: string"),
        ("ret§ry", "Further attempts"),
        ("llm§:\n", "Ask a language model"),
        ("sche§ma: {", "Shape of the answer"),
        ("out§puts:", "What the run gives back"),
        ("prompts/summ§arize.md", "text: string"),
    ],
)
def test_hover(word: str, said: str, server: LanguageClient, file: Path) -> None:
    assert said in hover(server, file, word)


@pytest.mark.parametrize("word", ["feel§?", "gla§d", "name: let§ters", "2§\n"])
def test_no_hover_where_there_is_nothing_to_say(word: str, server: LanguageClient, file: Path) -> None:
    assert hover(server, file, word) == ""


def test_words_of_the_language_can_be_left_to_the_yaml_server(project: Path, file: Path) -> None:
    with LanguageClient(COMMAND, project, options={"words": False}) as client:
        assert hover(client, file, "ret§ry") == ""
        assert "[file]" in hover(client, file, "steps.fo§und")


# -- definitions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "target"),
    [
        ("steps.fo§und.output", "id: §found"),
        ("steps.first.out§put", "id: §first"),
        ("inputs.fol§der }}", "§folder: string"),
        ("let§ter.name", "as: §letter"),
    ],
)
def test_names_lead_to_where_they_are_given(word: str, target: str, server: LanguageClient, file: Path) -> None:
    server.open(file, WORKFLOW)
    found = server.at("definition", file, *at(word))
    assert found["uri"] == file.as_uri()
    assert place(found) == at(target)


@pytest.mark.parametrize(
    ("word", "name", "line"),
    [
        ("prompts/sum§marize.md", "workflows/prompts/summarize.md", 1),
        ("oth§er.yaml", "workflows/other.yaml", 1),
        ("leads.sco§ring:score", "leads/scoring.py", None),
    ],
)
def test_files_are_opened(word: str, name: str, line: int | None, server: LanguageClient, file: Path, project: Path) -> None:
    server.open(file, WORKFLOW)
    found = server.at("definition", file, *at(word))
    assert found["uri"] == (project / name).resolve().as_uri()
    if line is None:
        line = 1 + next(n for n, text in enumerate((project / name).read_text().splitlines()) if text.startswith("def score("))
    assert place(found)[0] == line


@pytest.mark.parametrize("word", ["out§puts:", "feel§?", "retry: §2"])
def test_no_definition(word: str, server: LanguageClient, file: Path) -> None:
    server.open(file, WORKFLOW)
    assert server.at("definition", file, *at(word)) is None


# -- completion ----------------------------------------------------------------------------------------------------


def completions(server: LanguageClient, file: Path, text: str) -> dict[str, str]:
    plain, line, column = unmarked(text)
    server.open(file, plain)
    return {item["label"]: item["detail"] for item in server.at("completion", file, line, column) or []}


def with_step(step: str) -> str:
    return WORKFLOW.replace("outputs:\n", f"  - {step}\noutputs:\n")


def test_steps_that_have_run_are_offered(server: LanguageClient, file: Path) -> None:
    found = completions(server, file, with_step("if: steps.§\n    stop: x"))
    assert found == {
        "found": "[file]", "moods": "[{mood: glad | cross, why: string}]", "first": "string", "total": "any",
    }  # fmt: skip
    early = WORKFLOW.replace("steps.found.output\n", "steps.§\n")
    assert completions(server, file, early).keys() == {"found"}


@pytest.mark.parametrize(
    ("written", "offered"),
    [
        ("set: {a: '{{ inputs.§ }}'}", {"folder": "string", "limit": "integer or null"}),
        ("set: {a: '{{ inputs.fo§ }}'}", {"folder": "string"}),
        ("set: {a: '{{ steps.first.§ }}'}", {"output": "string", "status": "pending | running"}),
        ("set: {a: '{{ steps.moods.output[0].§ }}'}", {"mood": "glad | cross", "why": "string"}),
        ("set: {a: '{{ steps.moods.output | le§ }}'}", {"length": "", "selectattr": ""}),
        ("each: steps.found.output\n    as: one\n    set: {a: '{{ one.§ }}'}", {"path": "string", "size": "integer"}),
        ("each: steps.found.output\n    as: one\n    set: {a: '{{ §x }}'}", {"one": "", "index": "", "inputs": "", "steps": ""}),
        ("assert: run.§", {"id": "string", "started_at": "string"}),
    ],
)
def test_names_are_offered(written: str, offered: dict[str, str], server: LanguageClient, file: Path) -> None:
    found = completions(server, file, with_step(written))
    assert offered.keys() <= found.keys()
    assert [name for name, detail in offered.items() if not found[name].startswith(detail)] == []


@pytest.mark.parametrize("written", ["set: {a: 'no § expression'}", "set: {a: '{{ inputs.folder }} inputs.§'}", "stop: §x"])
def test_nothing_is_offered_in_plain_text(written: str, server: LanguageClient, file: Path) -> None:
    assert completions(server, file, with_step(written)) == {}


# -- the protocol ----------------------------------------------------------------------------------------------------


def test_unknown_methods_are_refused_and_the_server_goes_on(server: LanguageClient, file: Path) -> None:
    with pytest.raises(LanguageServerError, match="no method textDocument/foldingRange"):
        server.ask("textDocument/foldingRange", {})
    server.tell("$/setTrace", {"value": "off"})
    assert server.open(file, WORKFLOW) == []


def test_a_broken_message_does_not_end_it(project: Path, file: Path) -> None:
    with LanguageClient(COMMAND, project) as client:
        client.send_bytes(b"Content-Length: 5\r\n\r\n{nope")
        assert client.open(file, WORKFLOW) == []


def test_it_ends_when_the_editor_is_gone(project: Path) -> None:
    ended = subprocess.run(COMMAND, cwd=project, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (1, b"")


# -- rename --------------------------------------------------------------------------------------------------------


def rename(server: LanguageClient, file: Path, word: str, new: str) -> str:
    """The text after a rename at a place."""
    server.open(file, WORKFLOW)
    assert server.at("prepareRename", file, *at(word)) == {"defaultBehavior": True}
    edits = server.at("rename", file, *at(word), newName=new)["changes"][file.as_uri()]
    lines = WORKFLOW.split("\n")
    for edit in sorted(edits, key=place, reverse=True):
        start, end = edit["range"]["start"], edit["range"]["end"]
        line = lines[start["line"]]
        lines[start["line"]] = line[: start["character"]] + edit["newText"] + line[end["character"] :]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("word", "old", "new"),
    [
        ("id: mo§ods", "moods", "feelings"),
        ("steps.mo§ods.output[0].why", "moods", "feelings"),
        ("inputs.fol§der }}", "folder", "place"),
        ("fol§der: string", "folder", "place"),
        ("as: let§ter", "letter", "page"),
        ("let§ter.name", "letter", "page"),
    ],
)
def test_rename(word: str, old: str, new: str, server: LanguageClient, file: Path) -> None:
    written = rename(server, file, word, new)
    declared = {"moods": "steps.moods", "folder": "inputs.folder", "letter": "{ letter."}[old]
    assert declared not in written and declared.replace(old, new) in written
    assert written.startswith("name: letters\n")
    assert server.open(file, written) == []


def test_a_name_that_is_taken_is_refused(server: LanguageClient, file: Path) -> None:
    server.open(file, WORKFLOW)
    with pytest.raises(LanguageServerError, match="`found` is already taken"):
        server.at("rename", file, *at("id: mo§ods"), newName="found")


@pytest.mark.parametrize("word", ["ret§ry", "feel§?", "steps.moods.out§put"])
def test_what_has_no_name_is_not_renamed(word: str, server: LanguageClient, file: Path) -> None:
    server.open(file, WORKFLOW)
    assert server.at("prepareRename", file, *at(word)) is None
