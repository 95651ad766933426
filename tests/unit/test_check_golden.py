"""Files with faults and what is said about them, word for word; files without faults, about which nothing is said.

How cases are written: tests/cases/README.md.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiflow.errors import SpecError
from aiflow.language.check._shape_words import kind_names
from aiflow.language.model import Workflow
from aiflow.language.workflow import check_workflow, load_workflow
from aiflow.plan import compile_plan, encode_plan
from aiflow.settings import Settings, load_settings

CASES = Path(__file__).parent.parent / "cases"
BAD = sorted((CASES / "bad").glob("*.yaml"))
GOOD = sorted((CASES / "good").glob("*.yaml"))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of the cases."""
    root = tmp_path_factory.mktemp("project") / "project"
    shutil.copytree(CASES / "project", root)
    return root


@contextmanager
def demo_file(case: Path, project: Path, tmp_path: Path) -> Iterator[tuple[Path, Settings]]:
    """The case as `workflows/demo.yaml`, with its own files laid over the project, and the settings of that."""
    root = project
    own = case.with_suffix(".files")
    if own.is_dir():
        root = tmp_path / "project"
        shutil.copytree(project, root)
        shutil.copytree(own, root, dirs_exist_ok=True)
    file = root / "workflows" / "demo.yaml"
    shutil.copyfile(case, file)
    try:
        yield file, load_settings(root=root, environ={})
    finally:
        file.unlink()


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.stem)
def test_says_what_is_wrong(case: Path, project: Path, tmp_path: Path) -> None:
    with demo_file(case, project, tmp_path) as (file, settings):
        problems = check_workflow(file, settings)
        said = "".join(f"{problem}\n" for problem in problems)
        expected = case.with_suffix(".txt").read_text(encoding="utf-8")
        assert said == expected.replace("{kinds}", ", ".join(kind_names()))
        if any(problem.severity == "error" for problem in problems):
            with pytest.raises(SpecError) as raised:
                load_workflow(file, settings)
            assert raised.value.problems == problems
        else:
            compiled(load_workflow(file, settings))


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.stem)
def test_says_nothing_about_good_files(case: Path, project: Path, tmp_path: Path) -> None:
    with demo_file(case, project, tmp_path) as (file, settings):
        assert [str(problem) for problem in check_workflow(file, settings)] == []
        compiled(load_workflow(file, settings))


def compiled(workflow: Workflow) -> None:
    """What the checks accept can be compiled."""
    version, raw = encode_plan(workflow)
    compile_plan(raw, version)


def test_every_case_has_its_text() -> None:
    assert {case.stem for case in BAD} == {text.stem for text in (CASES / "bad").glob("*.txt")}


def test_the_corpus_is_large_enough_to_trust() -> None:
    assert len(GOOD) >= 60 and len(BAD) >= 150


@pytest.mark.parametrize("file", sorted((CASES.parent.parent / "workflows").glob("*.yaml")), ids=lambda file: file.stem)
def test_says_nothing_about_the_workflows_that_come_with_the_project(file: Path) -> None:
    settings = load_settings(root=CASES.parent.parent, environ={})
    assert [str(problem) for problem in check_workflow(file, settings)] == []
    compiled(load_workflow(file, settings))
