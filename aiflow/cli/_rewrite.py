"""Files that a command rewrites: read as they are, shown as a difference, written in one go each."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from aiflow.cli._options import shown_path
from aiflow.cli._text import clean, tint
from aiflow.errors import ConfigError


@dataclass(frozen=True)
class Change:
    """A file with its text before and after, line ends and byte order mark included."""

    path: Path
    before: str
    after: str

    @property
    def shown(self) -> str:
        """The file as a person in the current folder would write it."""
        return shown_path(self.path)


def read_raw(path: Path) -> str:
    """The text of a file of the definition as it is, for `Change`. Raises: SpecError."""
    from aiflow.language.load import read_source

    return read_source(path, shown_path(path))


def write_all(changes: list[Change]) -> None:
    """Put the new texts in place, each file whole or not at all.

    Raises: ConfigError: one cannot be written, or has changed meanwhile; those before it in the list are written.
    """
    from aiflow.steps._atomic import replacing

    for change in changes:
        try:
            if change.path.read_bytes() != change.before.encode():
                raise ConfigError(f"{change.shown} has changed meanwhile", "run the command again")
            with replacing(change.path.resolve()) as stream:
                stream.write(change.after.encode())
        except OSError as error:
            raise ConfigError(f"{change.shown} cannot be written: {error.strerror or error}") from None


def difference(change: Change, colour: bool) -> str:
    """The change as a unified diff."""
    lines = difflib.unified_diff(
        change.before.splitlines(), change.after.splitlines(), f"a/{change.shown}", f"b/{change.shown}", lineterm=""
    )
    return "\n".join(_tinted(clean(line), colour) for line in lines)


def _tinted(line: str, colour: bool) -> str:
    name = "bold" if line.startswith(("---", "+++")) else {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
    return tint(line, name, colour and name != "")
