"""What people see in their editor: the YAML language server of VS Code, Neovim and others with the published schema."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiflow.language import project_schema
from aiflow.language.schema import render
from aiflow.steps._registry import kinds
from tests.support.editing import chosen, place, unmarked
from tests.support.language_client import LanguageClient
from tests.support.yaml_server import install, start

REPOSITORY = Path(__file__).parents[2]
MODELINE = "# yaml-language-server: $schema=../schemas/workflow.schema.json\n"
GOOD = sorted([*(REPOSITORY / "tests/cases/good").glob("*.yaml"), *(REPOSITORY / "workflows").glob("*.yaml")])

BAD = {
    "unknown key at the top": ("§step: [{stop: x}]", "Property step is not allowed."),
    "no steps": ("§name: a", "this workflow has no `steps`"),
    "steps as a map": ("steps:\n  §a: {stop: x}", "`steps` must be a list of steps"),
    "no capitals in a name": ("name: §Digest\nsteps: [{stop: x}]", "`name` must be a name such as `digest`: a-z, 0-9, _"),
    "unknown key in a step": ("steps:\n  - stop: x\n    §retyr: 3", "Property retyr is not allowed."),
    "unknown kind": ("steps:\n  - §lllm: x", "Property lllm is not allowed."),
    "no kind": ("steps:\n  - §id: a\n    retry: 1", "this step says nothing to do; give it one of: llm, embed, http"),
    "two kinds": ("steps:\n  - llm: a.md\n    §http: https://a.example", "a step has one kind, and this one has `llm` too"),
    "two kinds, the other way round": ("steps:\n  - §http: https://a.example\n    llm: a.md", "a step has one kind"),
    "wrong type": ("steps:\n  - stop: x\n    retry: §true", "`retry` must be a number of times, or a map"),
    "wrong type in a map": ("steps:\n  - stop: x\n    retry: {times: §often}", "`times` must be a whole number"),
    "unknown word in retry": ("steps:\n  - stop: x\n    retry: {times: 1, §delays: 1s}", "Property delays is not allowed."),
    "a duration in words": ("steps:\n  - wait: §3 days", "`wait` must be a duration such as 30s, 5m or 1h30m, or a map"),
    "a duration without a unit": ("steps:\n  - stop: x\n    timeout: §30", "`timeout` must be a duration such as 30s"),
    "a number as text": ("steps:\n  - llm: {text: a, max_tokens: §many}", "`max_tokens` must be a whole number"),
    "max as text": ("steps:\n  - {until: result, max: §soon, stop: x}", "`max` must be a number of passes, or a duration"),
    "an option that is not there": ("steps:\n  - llm: {text: a, §temprature: 1}", "Property temprature is not allowed."),
    "an option beside its kind": ("steps:\n  - llm: a.md\n    §model: fast", "Property model is not allowed."),
    "a missing option": ("steps:\n  - §fail: {type: odd}", 'Missing property "message".'),
    "one of two is missing": ("steps:\n  - §write: {to: out/a.md}", "`write` needs `data` or `text`"),
    "one of two is too much": ("steps:\n  - llm: {prompt: a.md, §text: b}", "`llm` takes `prompt` or `text`, not both"),
    "no such word": ("steps:\n  - http: {url: https://a.example, method: §FETCH}", "Value is not accepted. Valid values: "),
    "a kind without a value": ("steps:\n  - http:§\n", "`http` must be a text, or a map"),
    "as without each": ("steps:\n  - §as: url\n    stop: x", "`as` names the item of an `each`, and this step has no `each`"),
    "else without if": ("steps:\n  - stop: x\n    §else: [{stop: y}]", "`else` belongs to an `if`, and this step has no `if`"),
    "every without until": ("steps:\n  - stop: x\n    §every: 1s", "`every` is the pause between the passes of an `until`"),
    "join without parallel": ("steps:\n  - stop: x\n    §join: first", "`join` says which branches of a `parallel`"),
    "do with one step": ("steps:\n  - do:\n      §stop: x", "`do` must be a list of steps"),
    "a branch with one step": ("steps:\n  - parallel:\n      a: §{stop: x}", "what stands in `parallel` must be a list of steps"),
    "a case with one step": ("steps:\n  - switch: inputs.a\n    cases:\n      a: §{stop: x}", "what stands in `cases` must be a list of steps"),
    "a list of cases": ("steps:\n  - switch: inputs.a\n    cases: §[{stop: x}]", "`cases` must be a map of names and lists of steps"),
    "a case without do": ("steps:\n  - switch:\n      - §if: inputs.a", 'Missing property "do".'),
    "on_error with another word": ("steps:\n  - stop: x\n    on_error: §ignore", "`on_error` must be `continue`, `stop`, or a list"),
    "a nested step": ("steps:\n  - do:\n      - if: inputs.a\n        do:\n          - §stp: x", "Property stp is not allowed."),
    "a trigger of no kind": ("triggers:\n  - {§evnt: a}\nsteps: [{stop: x}]", "Property evnt is not allowed."),
    "a trigger, wrong type": ("triggers:\n  - {cron: a, catch_up: §sometimes}\nsteps: [{stop: x}]", "`catch_up` must be true or false"),
    "triggers as a map": ("triggers: §{event: a}\nsteps: [{stop: x}]", "`triggers` must be a list of triggers"),
    "overflow": ("concurrency: {limit: 1, overflow: §wait}\nsteps: [{stop: x}]", "Value is not accepted. Valid values: "),
    "concurrency without a limit": ("§concurrency: {overflow: skip}\nsteps: [{stop: x}]", 'Missing property "limit".'),
    "a default that is no option": ("defaults: {llm: {§modle: a}}\nsteps: [{stop: x}]", "Property modle is not allowed."),
    "a budget as text": ("budget: §much\nsteps: [{stop: x}]", "`budget` must be a number of dollars"),
}
"""A file with a mark where the fault is, and how the only thing that is said about it begins."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for folder in ("schemas", "workflows"):
        (root / folder).mkdir()
    (root / "schemas/workflow.schema.json").write_text(render(), encoding="utf-8")
    (root / "schemas/project.schema.json").write_text(project_schema.render(), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def server(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageClient]:
    folder = tmp_path_factory.mktemp("editor")
    with start(install(folder), project) as client:
        yield client
    shutil.rmtree(folder)


class Editor:
    """Opens texts as files of the project."""

    def __init__(self, client: LanguageClient, project: Path) -> None:
        self._client, self._project, self._count = client, project, 0

    def _next(self) -> Path:
        self._count += 1
        return self._project / "workflows" / f"file{self._count}.yaml"

    def diagnostics(self, text: str) -> list[dict[str, Any]]:
        return self._client.open(self._next(), text)

    def ask(self, what: str, text: str, modeline: str = MODELINE) -> Any:
        """About the mark in a text."""
        plain, line, column = unmarked(modeline + text)
        path = self._next()
        self._client.show(path, plain)
        return self._client.at(what, path, line, column)

    def completions(self, text: str, modeline: str = MODELINE) -> dict[str, dict[str, Any]]:
        found = self.ask("completion", text, modeline)["items"]
        labels = [item["label"] for item in found]
        assert sorted(set(labels)) == sorted(labels), "something is offered twice"
        return {item["label"]: item for item in found}

    def hover(self, text: str) -> str:
        return str(self.ask("hover", text)["contents"]["value"])


@pytest.fixture(scope="module")
def editor(server: LanguageClient, project: Path) -> Editor:
    return Editor(server, project)


def described(item: dict[str, Any]) -> str:
    found = item.get("documentation") or ""
    return str(found["value"] if isinstance(found, dict) else found)


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_nothing_is_said_about_good_files(file: Path, editor: Editor) -> None:
    text = file.read_text(encoding="utf-8")
    assert editor.diagnostics(text if text.startswith(MODELINE) else MODELINE + text) == []


@pytest.mark.parametrize("case", BAD)
def test_one_thing_is_said_about_a_fault_and_at_its_place(case: str, editor: Editor) -> None:
    written, message = BAD[case]
    text, line, column = unmarked(MODELINE + written)
    said = editor.diagnostics(text)
    assert [one["message"] for one in said] == [said[0]["message"]] if said else pytest.fail("nothing is said")
    assert said[0]["message"].startswith(message)
    assert place(said[0]) == (line, column)


def test_the_top_is_completed(editor: Editor) -> None:
    found = editor.completions("name: a\n§\nsteps: [{stop: x}]\n")
    assert {"inputs", "triggers", "outputs", "budget", "on_error", "finally"} <= found.keys()
    assert not {"name", "steps"} & found.keys()
    assert "inputs.user_id" not in described(found["inputs"]) and "Picoschema" in described(found["inputs"])


def test_a_step_is_completed_with_kinds_and_modifiers(editor: Editor) -> None:
    found = editor.completions("steps:\n  - id: a\n    §\n")
    assert kinds().keys() <= found.keys()
    assert {"each", "if", "retry", "on_error", "with"} <= found.keys()
    assert all(described(found[name]) for name in [*kinds(), "each", "if", "retry", "on_error", "with"])
    assert "http_error" in described(found["http"])


def test_a_step_with_a_kind_is_completed_with_modifiers_alone(editor: Editor) -> None:
    found = editor.completions("steps:\n  - llm: prompts/a.md\n    §\n")
    assert {"each", "with", "retry"} <= found.keys()
    assert not kinds().keys() & found.keys()


def test_a_half_written_kind_is_completed(editor: Editor) -> None:
    assert "llm" in editor.completions("steps:\n  - ll§\n")


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("steps:\n  - llm:\n      §\n", {"prompt", "text", "model", "schema", "temperature", "attach", "repair"}),
        ("steps:\n  - http:\n      url: https://a.example\n      §\n", {"method", "headers", "json", "auth", "expect", "save"}),
        ("steps:\n  - do:\n      - read:\n          §\n", {"from", "as", "query", "limit"}),
        ("steps:\n  - stop: x\n    retry:\n      §\n", {"times", "delay", "backoff", "if"}),
        ("triggers:\n  - §\nsteps: [{stop: x}]\n", {"event", "cron", "webhook", "timezone"}),
        ("defaults:\n  llm:\n    §\nsteps: [{stop: x}]\n", {"model", "temperature"}),
        ("concurrency:\n  §\nsteps: [{stop: x}]\n", {"limit", "key", "overflow"}),
    ],
)
def test_options_are_completed(text: str, offered: set[str], editor: Editor) -> None:
    found = editor.completions(text)
    assert offered <= found.keys()
    assert all(described(found[name]) for name in offered)
    assert not {"llm", "each", "id"} & found.keys()


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("concurrency:\n  limit: 1\n  overflow: §\nsteps: [{stop: x}]\n", {"queue", "skip", "replace", "fail"}),
        ("steps:\n  - parallel: {a: [{stop: x}]}\n    join: §\n", {"all", "first"}),
        ("steps:\n  - stop: x\n    on_error: §\n", {"continue", "stop"}),
        ("steps:\n  - stop: x\n    timeout: 1s\n    on_timeout: §\n", {"continue", "stop"}),
        ("steps:\n  - http:\n      url: https://a.example\n      method: §\n", {"GET", "POST", "DELETE"}),
        ("steps:\n  - stop: x\n    repeatable: §\n", {"true", "false"}),
    ],
)
def test_words_are_completed(text: str, offered: set[str], editor: Editor) -> None:
    found = editor.completions(text)
    assert offered <= found.keys()
    if offered & {"queue", "all", "continue"}:
        assert len({described(found[name]) for name in offered}) == len(offered), "each word says what it means"


SNIPPETS = [
    ("§", ["workflow"]),
    ("steps:\n  §\n", ["a first step"]),
    *(
        (f"steps:\n  - {before}§\n", ["ask a model", "for each item", "call a web address", "if and else", "side by side"])
        for before in ("", "name: a\n    ")
    ),
    ("steps:\n  - do:\n      - §\n", ["ask a model for an object", "again until", "wait for an event"]),
]


@pytest.mark.parametrize(("text", "label"), [(text, label) for text, labels in SNIPPETS for label in labels])
def test_what_is_offered_as_a_whole_fits(text: str, label: str, editor: Editor) -> None:
    plain = unmarked(MODELINE + text)[0]
    written = chosen(plain, editor.completions(text)[label])
    assert isinstance(yaml.safe_load(written)["steps"], list)
    said = [one["message"] for one in editor.diagnostics(written)]
    assert said == [], written


@pytest.mark.parametrize(
    ("label", "typed"),
    [("do", "stop: x"), ("set", "a: 1"), ("parallel", "a: [{stop: x}]"), ("write", "out/a.md\n          text: x"), ("stop", "")],
)
@pytest.mark.parametrize("before", ["", "id: a\n        "])
def test_a_kind_is_inserted_with_what_it_needs(before: str, label: str, typed: str, editor: Editor) -> None:
    text = f"steps:\n  - do:\n      - {before}§"
    written = chosen(unmarked(MODELINE + text)[0], editor.completions(text)[label]) + typed
    assert editor.diagnostics(written) == [], written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("§steps: [{stop: x}]", "What is done, in order."),
        ("steps:\n  - §llm: prompts/a.md\n", "Ask a language model"),
        ("steps:\n  - llm:\n      §model: fast\n      text: a\n", "An alias of aiflow.yaml or a litellm name"),
        ("steps:\n  - §http: https://a.example\n", "Output: `{status: integer, headers: map, body: any}`"),
        ("steps:\n  - stop: x\n    §retry: 3\n", "Further attempts"),
        ("steps:\n  - stop: x\n    retry: {times: 1, §backoff: 2}\n", "Each delay is so many times longer"),
        ("steps:\n  - stop: x\n    §on_error: continue\n", "Go on; the output of the step is null."),
        ("concurrency: {limit: 1, §overflow: skip}\nsteps: [{stop: x}]\n", "It ends as `skipped`."),
        ("steps:\n  - §parallel:\n      a: [{stop: x}]\n", "Run several lists of steps at the same time"),
    ],
)
def test_the_mouse_tells_what_a_word_means(text: str, said: str, editor: Editor) -> None:
    shown = editor.hover(text)
    assert said.replace("`", "") in shown.replace("\\", "").replace("`", "")
    assert " || aiflow" not in shown


PROJECT_MODELINE = "# yaml-language-server: $schema=../schemas/project.schema.json\n"


@pytest.mark.parametrize("file", ["aiflow.yaml", "aiflow/templates/project/aiflow.yaml"])
def test_nothing_is_said_about_good_project_files(file: str, editor: Editor) -> None:
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    assert text.startswith(PROJECT_MODELINE.replace("../", ""))
    assert editor.diagnostics(text.replace("$schema=", "$schema=../", 1)) == []


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("§modles: {}", "Property modles is not allowed."),
        ("models: {fast: §3}", "a model must be a name such as openai/gpt-4o-mini, or a map"),
        ("models:\n  §fast: {api_base: x}", 'Missing property "model".'),
        ("limits: {openai: {rate: §500}}", "`rate` must be a text such as 500/min"),
        ("lease: §20", "`lease` must be a duration such as 30s, 5m or 1h30m"),
        ("defaults: {llm: {§temprature: 1}}", "Property temprature is not allowed."),
        ("profiles: {offline: {defaults: {llm: {§temprature: 1}}}}", "Property temprature is not allowed."),
        ("durability: §often", "Value is not accepted. Valid values: "),
    ],
)
def test_one_thing_is_said_about_a_fault_of_a_project_file(written: str, message: str, editor: Editor) -> None:
    text, line, column = unmarked(PROJECT_MODELINE + written)
    said = editor.diagnostics(text)
    assert [one["message"][: len(message)] for one in said] == [message]
    assert place(said[0]) == (line, column)


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("§", {"models", "profiles", "defaults", "limits", "store", "retention"}),
        ("defaults:\n  llm:\n    §\n", {"model", "temperature", "max_tokens"}),
        ("durability: §\n", {"standard", "always"}),
        ("models:\n  fast:\n    §\n", {"model", "prices"}),
    ],
)
def test_the_project_file_is_completed(text: str, offered: set[str], editor: Editor) -> None:
    found = editor.completions(text, PROJECT_MODELINE)
    assert offered <= found.keys()
    assert all(described(found[name]) for name in offered)
