"""The pages of the language: current, complete, and their examples are workflows without faults."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiflow.language.filters import FILTERS, FUNCTIONS, TESTS
from aiflow.language.load import load_document
from aiflow.language.workflow import check_workflow
from aiflow.settings import ModelSpec, Settings
from aiflow.steps._registry import kinds
from docs import generate

PAGES = sorted(generate.FOLDER.glob("*.md"))
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
CASES = Path(__file__).parents[1] / "cases"

REQUIRED: dict[str, dict[str, Any]] = {
    "email": {"to": "a@b.example", "subject": "Hello", "text": "Hello"}, "llm": {"text": "Hello"}, "write": {"text": "# Done"}, "wait": {"at": "09:00"},
}  # fmt: skip
"""What must stand beside an option, besides what the schema requires."""

EXCLUSIVE = [{"text", "prompt"}, {"text", "data"}, {"text", "template"}, {"text", "html"}, {"subject", "template"}]


@pytest.mark.parametrize("name", generate.pages())
def test_the_page_is_what_the_code_says(name: str) -> None:
    assert (generate.FOLDER / name).read_text("utf-8") == generate.pages()[name].rstrip() + "\n", "run: python docs/generate.py"


def test_every_filter_test_and_function_has_an_example() -> None:
    named = {**FILTERS, **{name: one for name, one in TESTS.items() if name[0].isalpha()}}
    shown = {named[name] for name in generate.EXAMPLES if name in named}
    assert [name for name, function in named.items() if function not in shown] == []
    assert FUNCTIONS.keys() <= generate.EXAMPLES.keys()


def test_every_kind_has_an_example() -> None:
    assert [name for name, kind in kinds().items() if not kind.example] == []


@pytest.mark.parametrize("name", ["kinds.md", "modifiers.md", "workflow.md"])
def test_examples_in_tables_are_yaml_as_it_would_be_written(name: str) -> None:
    cells = re.findall(r"\| `(\w+: [^`]+)` \|$", (generate.FOLDER / name).read_text("utf-8"), re.MULTILINE)
    assert len(cells) > 8
    for cell in cells:
        load_document(cell, cell)


def options() -> list[tuple[str, str]]:
    return [(name, option) for name, kind in kinds().items() for option in kind.schema.get("properties", {}) if option != name]


@pytest.mark.parametrize(("name", "option"), options())
def test_every_option_has_an_example_that_may_stand_there(folder: Path, name: str, option: str) -> None:
    kind = kinds()[name]
    schema = kind.schema["properties"][option]
    examples = schema.get("examples") or schema.get("enum")
    assert examples, "give the option an example"
    for example in examples:
        given = {word: kind.schema["properties"][word]["examples"][0] for word in kind.schema.get("required", ())}
        given |= REQUIRED.get(name, {})
        given = {word: one for word, one in given.items() if not any({word, option} <= pair for pair in EXCLUSIVE)} | {option: example}
        step = {name: given[kind.short] if kind.lists else given}
        if kind.lists:
            step["cases"] = {"a": [{"stop": "x"}]}
        text = yaml.safe_dump({"steps": [step]}, sort_keys=False)
        before = [{"id": one, "read": "data.json"} for one in sorted(set(re.findall(r"\bsteps\.(\w+)", text)))]
        text = yaml.safe_dump({"steps": [*before, step]}, sort_keys=False)
        assert [one for one in faults_of(folder, text) if "-input-missing]" not in one and "needs `" not in one] == [], text


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), (page.name, target)


def examples() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        if page.name not in ("faults.md", "filters.md"):
            found += [(f"{page.stem}-{number}", block) for number, block in enumerate(BLOCK.findall(page.read_text("utf-8")), 1)]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(CASES / "project", tmp_path, dirs_exist_ok=True)
    (tmp_path / "tools.py").write_text("def clean_up(): ...\n")
    return tmp_path


@pytest.mark.parametrize(("name", "text"), examples(), ids=lambda one: one if "\n" not in one else "")
def test_the_example_has_no_faults(folder: Path, name: str, text: str) -> None:
    page = generate.FOLDER / f"{name.rpartition('-')[0]}.md"
    for prompt in re.findall(r"^```markdown\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        (folder / "workflows" / "prompts" / "facts.md").write_text(prompt)
    assert faults_of(folder, text) == []


def faults_of(folder: Path, text: str) -> list[str]:
    """A list of steps becomes a workflow; inputs and steps that it only uses are declared for it."""
    data = yaml.safe_load(text)
    if isinstance(data, list):
        text = "steps:\n" + "".join(f"  {line}\n" for line in text.splitlines())
        data = {"steps": data}
    if "inputs" not in data:
        names = sorted(set(re.findall(r"\binputs\.(\w+)", text)))
        text = "inputs:\n" + "".join(f"  {one}: any\n" for one in names) + text if names else text
    file = folder / "workflows" / "example.yaml"
    file.write_text(text)
    settings = Settings(root=folder, models={"fast": ModelSpec("openai/gpt-4o-mini"), "embedder": ModelSpec("openai/e")}, defaults={"llm": {"model": "fast"}, "embed": {"model": "embedder"}})
    return [str(problem) for problem in check_workflow(file, settings) if problem.severity == "error"]
