"""Files with faults and what is said about them, word for word; files without faults, about which nothing is said.

`tests/cases/bad/NAME.yaml` is checked as `workflows/demo.yaml` of `tests/cases/project`, and gives `NAME.txt`;
`{kinds}` there stands for the kinds of this version.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aiflow.errors import SpecError
from aiflow.language.check._shape_words import kind_names
from aiflow.language.problems import Problem
from aiflow.language.workflow import check_workflow, load_workflow
from aiflow.settings import ModelSpec, Settings

CASES = Path(__file__).parent.parent / "cases"
BAD = sorted((CASES / "bad").glob("*.yaml"))
GOOD = sorted((CASES / "good").glob("*.yaml"))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project with prompts and Python modules, and a model for every step."""
    root = tmp_path_factory.mktemp("project") / "project"
    shutil.copytree(CASES / "project", root)
    models = {"fast": ModelSpec("openai/gpt-4o-mini"), "embedder": ModelSpec("openai/text-embedding-3-small")}
    defaults = {"llm": {"model": "fast"}, "embed": {"model": "embedder"}}
    return Settings(root=root, models=models, defaults=defaults, limits={"openai": {"rate": "500/min"}})


def problems_of(case: Path, settings: Settings) -> list[Problem]:
    """What is said about a case."""
    file = settings.root / "workflows" / "demo.yaml"
    file.write_text(case.read_text(encoding="utf-8"), encoding="utf-8")
    return check_workflow(file, settings)


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.stem)
def test_says_what_is_wrong(case: Path, project: Settings) -> None:
    said = "".join(f"{problem}\n" for problem in problems_of(case, project))
    expected = case.with_suffix(".txt").read_text(encoding="utf-8")
    assert said == expected.replace("{kinds}", ", ".join(kind_names()))


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.stem)
def test_says_nothing_about_good_files(case: Path, project: Settings) -> None:
    assert [str(problem) for problem in problems_of(case, project)] == []
    load_workflow(project.root / "workflows" / "demo.yaml", project)


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.stem)
def test_a_file_with_faults_is_not_loaded(case: Path, project: Settings) -> None:
    problems = problems_of(case, project)
    file = project.root / "workflows" / "demo.yaml"
    if any(problem.severity == "error" for problem in problems):
        with pytest.raises(SpecError) as raised:
            load_workflow(file, project)
        assert raised.value.problems == problems
    else:
        load_workflow(file, project)


def test_every_case_has_its_text() -> None:
    assert {case.stem for case in BAD} == {text.stem for text in (CASES / "bad").glob("*.txt")}


@pytest.mark.parametrize("file", sorted((CASES.parent.parent / "workflows").glob("*.yaml")), ids=lambda file: file.stem)
def test_says_nothing_about_the_workflows_that_come_with_the_project(file: Path) -> None:
    models = {"fast": ModelSpec("openai/gpt-4o-mini"), "embedder": ModelSpec("openai/text-embedding-3-small")}
    settings = Settings(root=CASES.parent.parent, models=models, limits={"openai": {"rate": "500/min"}})
    assert [str(problem) for problem in check_workflow(file, settings)] == []
