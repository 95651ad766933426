"""The kind `files`: patterns, order, what is passed over, what is missing."""

import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiflow.steps._glob import compile_pattern, expand_braces
from aiflow.values import File
from tests.support.steps import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    for name in [
        "docs/a.md",
        "docs/b.txt",
        "docs/deep/er/c.md",
        "docs/Über uns – Gründung.txt",
        "docs/.hidden/h.md",
        "docs/.dot.md",
        "docs/node_modules/x/readme.md",
        "docs/data[1].md",
        ".git/x.md",
        ".aiflow/y.md",
        "other/z.md",
    ]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return Bench(tmp_path)


async def found(bench: Bench, glob: object) -> list[str]:
    return [file.path for file in await bench.output("files", {"glob": glob})]


async def test_walks_folders_and_spreads_braces(bench: Bench) -> None:
    assert await found(bench, "docs/**/*.{md,txt}") == [
        "docs/a.md",
        "docs/b.txt",
        "docs/data[1].md",
        "docs/deep/er/c.md",
        "docs/Über uns – Gründung.txt",
    ]


async def test_describes_content(bench: Bench) -> None:
    (file,) = await bench.output("files", {"glob": "docs/a.*"})
    raw = (bench.project / "docs/a.md").read_bytes()
    assert file == File("docs/a.md", "a.md", "md", len(raw), file.mime, hashlib.sha256(raw).hexdigest())


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("docs/*.md", ["docs/a.md", "docs/data[1].md"]),
        ("docs/?.md", ["docs/a.md"]),
        ("docs/[a-b].*", ["docs/a.md", "docs/b.txt"]),
        ("docs/[!a].txt", ["docs/b.txt"]),
        ("docs/data[[]1].md", ["docs/data[1].md"]),
        ("**/z.md", ["other/z.md"]),
        ("**/**/z.md", ["other/z.md"]),
        ("docs/a**", ["docs/a.md"]),
        ("docs/**", ["docs/a.md", "docs/b.txt", "docs/data[1].md", "docs/deep/er/c.md", "docs/Über uns – Gründung.txt"]),
        ("docs/.hidden/*.md", ["docs/.hidden/h.md"]),
        ("docs/.*.md", ["docs/.dot.md"]),
        ("docs/node_modules/**/*.md", ["docs/node_modules/x/readme.md"]),
        ("{docs,other}/*.md", ["docs/a.md", "docs/data[1].md", "other/z.md"]),
        ("docs/a.md", ["docs/a.md"]),
        ("docs/*.pdf", []),
        (["docs/a.md", "docs/*.md"], ["docs/a.md", "docs/data[1].md"]),
    ],
)
async def test_patterns(bench: Bench, glob: object, names: list[str]) -> None:
    assert await found(bench, glob) == names


async def test_outside_files_are_absolute(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "x.md").write_text("x")
    assert await found(bench, f"{folder}/*.md") == [str(folder / "x.md")]


async def test_links_to_folders_are_not_followed(bench: Bench) -> None:
    (bench.project / "docs/loop").symlink_to(bench.project / "docs")
    assert not [path for path in await found(bench, "docs/**/*.md") if "loop" in path]


async def test_missing_folder_names_the_nearest(bench: Bench) -> None:
    error = await bench.error("files", {"glob": "dcos/*.md"})
    assert error.type == "not_found"
    assert "`dcos`" in error.message
    assert error.hint == "did you mean `docs`?"


@pytest.mark.parametrize("glob", ["docs/c.md", "docs", "../*.md", "docs/{a,b", "", "a\0b", "\ud800/*", "[b-a]", "{a,b}" * 12])
async def test_what_cannot_be(bench: Bench, glob: str) -> None:
    error = await bench.error("files", {"glob": glob})
    assert error.type == "not_found"
    assert not error.transient


def test_braces_nest() -> None:
    assert expand_braces("a.{b,c{1,2}}x") == ["a.bx", "a.c1x", "a.c2x"]


@given(st.text(alphabet="ab*?[]!{},./\\^-", max_size=14))
def test_any_pattern_compiles_or_is_refused(text: str) -> None:
    try:
        compile_pattern(text)
    except ValueError:
        pass
    except re.error as error:  # pragma: no cover - the fault this test looks for
        pytest.fail(f"{text!r}: {error}")
