"""No YAML text takes long, takes much memory or ends the process, wherever YAML is read."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiflow._project_checks import read_project_file
from aiflow.errors import AiflowError, SpecError
from aiflow.language.load import read_document
from aiflow.language.prompts import load_prompt_source, parse_prompt
from aiflow.language.workflow import load_workflow
from aiflow.settings import Settings
from aiflow.steps._text import Unreadable, decode_text
from aiflow.steps._yaml import yaml_value

ROOM = 256 * 1024 - 64


def _laughs(levels: int, width: int, merge: str = "") -> str:
    lines = ["a0: &a0 {x: y}"]
    for level in range(levels):
        again = ", ".join([f"*a{level}"] * width)
        lines.append(f"a{level + 1}: &a{level + 1} " + (f"{{<<: [{again}], k{level}: 1}}" if merge else f"[{again}]"))
    return "\n".join(lines) + "\n"


# What no reader takes.
REFUSED = {
    "billion laughs": _laughs(30, 10),
    "merge bomb": _laughs(20, 9, "<<"),
    "long text by aliases": 'a: &a "' + "x" * 100_000 + '"\nb: [' + ",".join(["*a"] * 20_000) + "]\n",
    "list by aliases": "a: &a [" + "1," * 5000 + "]\nb: [" + ",".join(["*a"] * 20_000) + "]\n",
    "alias in itself": "a: &a [*a]\n",
    "alias of nothing": "a: *b\n" * 1_000,
    "deep brackets": "[" * ROOM,
    "deep brackets, closed": "[" * 100_000 + "]" * 100_000,
    "deep maps": "{a: " * 50_000,
    "deep dashes": "- " * 100_000,
    "deep questions": "? " * 100_000,
    "deep blocks": "".join(" " * depth + "a:\n" for depth in range(700)),
    "brackets beyond the limit": "[" * 102 + "]" * 102,
    "tags of Python": "a: !!python/object/apply:os.system ['id']\n",
    "a tag": "a: !x 1\n",
    "NUL": "a: \0\n",
    "NULs": "\0" * ROOM,
    "half a character": "a: \ud800\n",
    "percent signs": "%" * ROOM,
    "never closed": "a: 'x\n" + "b: 1\n" * 40_000,
    "backslashes": '"' + "\\" * ROOM,
    "number without end": "[" + "a, " * 10 + "\n",
}
# What some readers take and others refuse.
ODD = {
    "many documents": "---\na: 1\n" * 20_000,
    "byte order marks": "\ufeff" * 60_000,
    "long text": "a: " + "x" * ROOM,
    "long block": "a: |\n" + "  yyyy\n" * 30_000,
    "long key": "x" * ROOM + ": 1",
    "many keys": "".join(f"k{number}: 1\n" for number in range(20_000)),
    "one key often": "a: 1\n" * 20_000,
    "carriage returns": "a: 1\r" * 5_000,
    "line separators": "a: 1\u2028" * 5_000,
    "tabs": "a:\t1\n" * 5_000,
    "comments": "#x\n" * 80_000,
    "blanks": " " * ROOM,
    "quotes": "'" * ROOM,
    "braces": "{{" * 100_000,
    "templates": "a: {{ x }}\n" * 5_000,
    "signs of the language": "- %x\n- @x\n- `x\n- *x\n" * 1_000,
    "digits": "a: " + "9" * ROOM,
    "exponent": "a: 1e" + "9" * ROOM,
    "base 60": "a: " + ":".join(["59"] * 80_000),
    "binary": "a: 0b" + "1" * ROOM,
    "hexadecimal": "a: 0x" + "f" * ROOM,
    "underscores": "a: " + "1_" * 100_000 + "1",
    "numbers that are none": "- .nan\n- .inf\n- 1e400\n" * 1_500,
    "5000 ambiguous values": "- yes\n" * 5_000,
    "5000 unknown keys": "".join(f"a{number}: 1\n" for number in range(5_000)),
    "5000 anchors": "".join(f"a{number}: &a{number} 1\n" for number in range(5_000)),
    "lists as keys": "[a]: b\n" * 5_000,
    "accents": "\u0301" * 100_000,
    "optional names": "inputs: {" + "a?: string, " * 5_000 + "}",
}  # fmt: skip


def _document(text: str, folder: Path) -> None:
    _, problems = read_document(text, "a.yaml")
    if problems:
        raise SpecError(problems)


def _workflow(text: str, folder: Path) -> None:
    path = folder / "workflows" / "w.yaml"
    path.parent.mkdir(exist_ok=True)
    _write(path, text)
    load_workflow(path, Settings(root=folder))


def _prompt(text: str, folder: Path) -> None:
    _write(folder / "p.md", f"---\n{text}\n---\nHello\n")
    parse_prompt(load_prompt_source(folder / "p.md", "p.md"))


def _schema_file(text: str, folder: Path) -> None:
    (folder / "p.md").write_text("---\nschema: s.yaml\n---\nHello\n")
    _write(folder / "s.yaml", text)
    parse_prompt(load_prompt_source(folder / "p.md", "p.md"))


def _project(text: str, folder: Path) -> None:
    _write(folder / "aiflow.yaml", text)
    read_project_file(folder / "aiflow.yaml")


def _data(text: str, folder: Path) -> None:
    yaml_value(decode_text(text.encode("utf-8", "surrogatepass")))


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


READERS: list[Callable[[str, Path], None]] = [_document, _workflow, _prompt, _schema_file, _project, _data]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__.strip("_"))
@pytest.mark.parametrize("name", [*REFUSED, *ODD])
def test_hostile_texts_are_read_or_refused_in_time(reader: Any, name: str, tmp_path: Path) -> None:
    start = time.thread_time()
    try:
        reader(REFUSED.get(name) or ODD[name], tmp_path)
        refused = False
    except (AiflowError, Unreadable) as error:
        refused = True
        assert len(getattr(error, "message", str(error))) < 5_000_000
    assert time.thread_time() - start < 1.5, "measured below 0.35 s on an idle machine"
    assert refused or name not in REFUSED


def test_hostile_texts_take_no_memory(tmp_path: Path) -> None:
    program = f"from tests.unit.test_hostile_yaml import print_growth; print_growth({str(tmp_path)!r})"
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert int(made.stdout) < 100


def print_growth(folder: str) -> None:
    """For a process of its own: by how many MB reading all of them lets it grow."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    for reader in READERS:
        _quietly(reader, "a: 1\n", folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for text in REFUSED.values():
        for reader in READERS:
            _quietly(reader, text, folder)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)


def _quietly(reader: Callable[[str, Path], None], text: str, folder: str) -> None:
    try:
        reader(text, Path(folder))
    except (AiflowError, Unreadable):
        pass


@pytest.mark.parametrize("raw", [b"\xff\xfea\0:\0 \x001\0", b"a: \xff\n", b"\0\0\xfe\xff\0\0\0a"])
def test_other_encodings_are_named(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "workflows" / "w.yaml"
    path.parent.mkdir()
    path.write_bytes(raw)
    with pytest.raises(SpecError, match="UTF-"):
        load_workflow(path, Settings(root=tmp_path))
    (tmp_path / "aiflow.yaml").write_bytes(raw)
    with pytest.raises(AiflowError, match="UTF-8|YAML"):
        read_project_file(tmp_path / "aiflow.yaml")


def test_aliases_within_reason_work(tmp_path: Path) -> None:
    assert yaml_value("a: &a [x, y]\nb: *a\n") == {"a": ["x", "y"], "b": ["x", "y"]}
    document, problems = read_document("x-a: &a [x, y]\nb: *a\n", "a.yaml")
    assert not problems and document is not None and document.data["b"] == ["x", "y"]


def test_the_project_file_lists_fifty_faults(tmp_path: Path) -> None:
    _write(tmp_path / "aiflow.yaml", "".join(f"k{number}: 1\n" for number in range(1_000)))
    with pytest.raises(AiflowError, match="and 950 more faults"):
        read_project_file(tmp_path / "aiflow.yaml")
