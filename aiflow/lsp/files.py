"""Files that are open in the editor: their text there, what the checks say about it, places in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from aiflow.language.yaml_text import normal

if TYPE_CHECKING:
    from aiflow.language.check import Inspection
    from aiflow.language.problems import Problem

FRONT = "---"


def path_of(uri: str) -> Path | None:
    """The file of a URI, or None when it is none (a text that was never saved, say)."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" and parts.path else None


@dataclass
class OpenFile:
    """A text in the editor.

    Attributes: look: at this text, or None when it could not be read or is not a workflow.  problems: of all files that it names.
    """

    path: Path
    text: str
    look: Inspection | None = None
    problems: list[Problem] = field(default_factory=list)
    checked: bool = False

    @property
    def is_workflow(self) -> bool:
        """By its place or by its first words; tests and the project file are none."""
        name = self.path.name
        if self.path.suffix not in (".yaml", ".yml") or name.endswith((".test.yaml", ".test.yml")) or name == "aiflow.yaml":
            return False
        return self.path.parent.name == "workflows" or any(line.startswith("steps:") for line in self.text.splitlines())

    @property
    def is_prompt(self) -> bool:
        return self.path.suffix == ".md" and "prompts" in self.path.parts

    def check(self) -> None:
        """Look at the text as it is now, unless that was done."""
        if not self.checked:
            self.look, self.problems = _checked(self)
            self.checked = True

    def change(self, text: str) -> None:
        """The text is another one."""
        self.text, self.checked = text, False


def _checked(file: OpenFile) -> tuple[Inspection | None, list[Problem]]:
    from aiflow.errors import ConfigError
    from aiflow.language.problems import Problem
    from aiflow.language.workflow import check_text
    from aiflow.settings import find_root, load_settings

    if not (file.is_workflow or file.is_prompt):
        return None, []
    root = find_root(file.path)
    if file.is_prompt:
        return None, _of_prompt(file, root)
    try:
        settings = load_settings(root=root)
    except ConfigError as error:
        return None, [Problem(str(file.path), 1, 1, f"the project cannot be read: {error.message}", "config", error.hint)]
    return check_text(file.text, file.path, settings)


def _of_prompt(file: OpenFile, root: Path) -> list[Problem]:
    from aiflow.errors import SpecError
    from aiflow.language.prompts import parse_prompt, prompt_source

    try:
        return list(parse_prompt(prompt_source(file.text, file.path, str(file.path))).hints)
    except SpecError as error:
        return error.problems
    except OSError:
        return []


class Positions:
    """Between our lines and columns, from 1 in characters, and those of the protocol, from 0 in UTF-16 units."""

    def __init__(self, text: str) -> None:
        self._lines = normal(text).split("\n")

    def ours(self, position: dict[str, int]) -> tuple[int, int]:
        """Line and column of a position in the editor."""
        line = position["line"]
        units = position["character"]
        for column, char in enumerate(self._line(line)):
            if units <= 0:
                return line + 1, column + 1
            units -= _units(char)
        return line + 1, len(self._line(line)) + 1

    def theirs(self, line: int, column: int, length: int = 0) -> dict[str, Any]:
        """The range of so many characters of a line."""
        text = self._line(line - 1)
        start = sum(map(_units, text[: column - 1]))
        end = start + sum(map(_units, text[column - 1 : column - 1 + length]))
        return {"start": {"line": line - 1, "character": start}, "end": {"line": line - 1, "character": max(start, end)}}

    def _line(self, number: int) -> str:
        return self._lines[number] if 0 <= number < len(self._lines) else ""


def _units(char: str) -> int:
    return 2 if ord(char) > 0xFFFF else 1
