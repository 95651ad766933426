"""Paths of data: relative ones start in the project folder and stay there; absolute ones are what the author says."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import Any

from aiflow.errors import StepError
from aiflow.steps._kind import Context
from aiflow.values import File, Value, file_from, files_in, type_name

FILE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "x-aiflow-type": "file",
    "properties": {
        "path": {"type": "string"},
        "name": {"type": "string"},
        "ext": {"type": "string"},
        "size": {"type": "integer"},
        "mime": {"type": "string"},
        "sha256": {"type": "string"},
        "text": {"type": "string"},
    },
    "required": ["path", "name", "ext", "size", "mime", "sha256"],
}
"""JSON Schema of a `File` as expressions see it; `text` is read when asked for."""

GUARDED = (".git", ".aiflow")
"""Folders of the project that no relative path may write into: repository and store."""


def local_path(ctx: Context, value: Value, error_type: str) -> Path:
    """The absolute path of a text or `File`.

    Raises: StepError `error_type`: empty, not a text, or a relative path that leads out of the project folder
            (`../x` from a model's answer or an event must not reach further than the author meant).
    """
    text = value.path if isinstance(value, File) else value
    if not isinstance(text, str):
        raise StepError(error_type, f"a path must be a text or a file, not {type_name(value)}")
    if not text.strip() or "\0" in text or not _is_unicode(text):
        raise StepError(error_type, f"{text!a} is not a path")
    if text.startswith("~/"):
        text = os.path.expanduser(text)
    path = Path(os.path.normpath(ctx.project / text))
    if not os.path.isabs(text) and not inside(path, ctx.project):
        raise StepError(
            error_type,
            f"`{text}` leads out of the project folder",
            hint="relative paths start in the project folder and stay inside; write an absolute path if you mean it",
        )
    return path


_GIVEN = re.compile(r"(?:sqlite:(?://)?)?(?:/|~/|\{\{-?\s*\(*\s*(?:inputs|env|run)\b)")
"""How the text of an absolute path begins when author or starter of the run say it."""


def target_path(ctx: Context, value: Value, error_type: str, option: str) -> Path:
    """As `local_path`, for writing.

    Relative paths may not lead into the repository or the store either, and an absolute one must be given by the author or
    by whoever started the run: a model that answers `/etc/profile` or `~/.bashrc` does not choose what is overwritten.

    Args: option: that the path is the value of.
    """
    path = local_path(ctx, value, error_type)
    if inside(path, ctx.run_dir):
        return path
    if isinstance(value, str) and value.startswith(("/", "~/")):
        written = ctx.written.get(option)
        if not isinstance(written, str) or _GIVEN.match(written):
            return path
        if not inside(path, ctx.project):
            raise StepError(
                error_type,
                f"`{value}` is outside of the project folder, and neither the file nor an input says so",
                hint="begin the path with its folder, or with an input: {{ inputs.folder }}/...",
            )
    parts = path.relative_to(ctx.project).parts if inside(path, ctx.project) else ()
    if parts and parts[0].lower() in GUARDED:
        raise StepError(error_type, f"`{value}` is in `{parts[0]}`, which steps do not write into")
    return path


def shown_path(ctx: Context, path: Path) -> str:
    """How the path is recorded: relative to the project folder with `/`, absolute when outside of it."""
    return path.relative_to(ctx.project).as_posix() if inside(path, ctx.project) else str(path)


def describe(ctx: Context, path: Path, content: bytes | None = None) -> File:
    """The `File` at `path`. Blocks: reads and hashes the content unless it is given."""
    return file_from(path, shown_path(ctx, path), content)


def contents(ctx: Context, value: Value) -> list[str]:
    """SHA-256 of what is in the files of a value now, whatever was recorded of them. Blocks. Raises: StepError, OSError."""
    return [describe(ctx, local_path(ctx, file, "not_found")).sha256 for file in files_in(value)]


def inside(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder` or below it, by name."""
    return path == folder or folder in path.parents


def _is_unicode(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False


def nearest_name(path: Path) -> str:
    """A hint `did you mean ...?` with the most alike name beside a path that does not exist, or empty."""
    import difflib

    folder = path.parent
    try:
        names = sorted(os.listdir(folder))[:5_000]
    except OSError:
        return ""
    wanted = unicodedata.normalize("NFC", path.name)
    for name in names:
        if unicodedata.normalize("NFC", name) == wanted or name.casefold() == wanted.casefold():
            return f"did you mean `{name}`?"
    found = difflib.get_close_matches(wanted, names, n=1, cutoff=0.7)
    return f"did you mean `{found[0]}`?" if found else ""
