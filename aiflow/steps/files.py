"""files: the files of a folder that match a pattern."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aiflow.errors import StepError
from aiflow.steps import _glob
from aiflow.steps._kind import Context, Done, Outcome, StepKind
from aiflow.steps._paths import FILE_SCHEMA, describe, local_path, nearest_name, shown_path
from aiflow.steps._threads import in_thread
from aiflow.values import File, Value


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """List the files. Output: list of files, sorted by path; each once, with the sha256 of its content."""
    globs = config["glob"] if isinstance(config["glob"], list) else [config["glob"]]
    found: dict[str, File] = {}
    for glob in globs:
        for file in await in_thread(_matches, ctx, glob):
            found[file.path] = file
    return Done(sorted(found.values(), key=lambda file: file.path))


def _matches(ctx: Context, glob: Value) -> list[File]:
    if not isinstance(glob, str) or not glob.strip():
        raise StepError("not_found", f"{glob!r} is not a pattern of file names")
    try:
        pattern = _glob.compile_pattern(glob)
    except ValueError as error:
        raise StepError("not_found", f"the pattern is wrong: {error}") from error
    base = local_path(ctx, pattern.base or ".", "not_found")
    if pattern.fixed:
        return [_one(ctx, base, glob)]
    if not base.is_dir():
        raise StepError(
            "not_found",
            f"there is no folder `{shown_path(ctx, base)}`, looked for `{glob}` in {ctx.project}",
            hint=nearest_name(base) or "paths are relative to the project folder",
        )
    try:
        paths = _glob.find(base, pattern)
    except OSError as error:
        raise StepError("not_found", f"the folder `{shown_path(ctx, base)}` cannot be read: {error.strerror}") from error
    return [file for path in paths if (file := _described(ctx, path)) is not None]


def _one(ctx: Context, path: Path, glob: str) -> File:
    if path.is_dir():
        raise StepError("not_found", f"`{glob}` is a folder", hint=f"for the files in it write `{glob.rstrip('/')}/*`")
    if not path.is_file():
        raise StepError("not_found", f"there is no file `{glob}` in {ctx.project}", hint=nearest_name(path))
    try:
        return describe(ctx, path)
    except OSError as error:
        raise StepError("not_found", f"`{glob}` cannot be read: {error.strerror}") from error


def _described(ctx: Context, path: Path) -> File | None:
    """The file, or None with a line in the log: deleted meanwhile, not readable, or a name that is not text."""
    try:
        str(path).encode()
        return describe(ctx, path)
    except UnicodeEncodeError:
        ctx.log(f"left out {str(path)!a}: its name is not UTF-8", level="warning")
    except OSError as error:
        ctx.log(f"left out {shown_path(ctx, path)}: {error.strerror}", level="warning")
    return None


KIND = StepKind(
    name="files",
    summary="List the files that match a pattern.",
    run=run,
    short="glob",
    schema={
        "properties": {
            "glob": {
                "description": "Pattern relative to the project folder: `*` within a name, `**` through folders, `{a,b}` for "
                "either. Hidden folders and `node_modules` are passed over unless named. A list finds what any of them matches.",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
                "examples": ["docs/**/*.{pdf,docx,md}", "inbox/*.csv"],
            }
        },
        "required": ["glob"],
    },
    output_schema={"type": "array", "items": FILE_SCHEMA},
    errors=("not_found",),
    example='- id: found\n  files: "workflows/samples/**/*.{md,txt}"\n',
)
