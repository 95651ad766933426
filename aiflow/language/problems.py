"""A fault or hint of a file, with its place and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, order=True)
class Problem:
    """One fault of a file.

    Attributes:
        file: as shown to people, relative to the current or project folder.
        line, column: of the offending word, from 1.
        message: what is wrong, one sentence.  code: stable, kebab-case.
        hint: what to write; may have several lines.
        severity: `error`, or `hint` (printed alike, changes no exit code).
        length: characters to underline.
    """

    file: str
    line: int
    column: int
    message: str
    code: str
    hint: str = ""
    severity: Literal["error", "hint"] = "error"
    length: int = 1

    def __str__(self) -> str:
        word = "hint: " if self.severity == "hint" else ""
        first = f"{self.file}:{self.line}:{self.column}: {word}{self.message} [{self.code}]"
        return first + "".join(f"\n    {line}" for line in self.hint.splitlines())
