"""shell: a script. Data comes in as environment variables, never as text of the script."""

from __future__ import annotations

import os
import re
import shlex
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from aiflow.errors import StepError
from aiflow.steps import _glob
from aiflow.steps._kind import Context, Done, Outcome, StepKind
from aiflow.steps._paths import FILE_SCHEMA, contents, describe, local_path, shown_path
from aiflow.steps._process import MOST_OUTPUT, Finished, run_program
from aiflow.steps._threads import in_thread
from aiflow.values import File, Value, plain

INTERPRETER = "bash -euo pipefail"

PASSED_ON = re.compile(r"PATH|HOME|LANG|LANGUAGE|LC_[A-Z]+|TMPDIR|TERM|TZ|USER|LOGNAME|SHELL|SSL_CERT_FILE|SSL_CERT_DIR")
"""Variables of the worker that a script sees; the others may be credentials."""

COUNTED = re.compile(r"PATH|LANG|LANGUAGE|LC_[A-Z]+|TZ")
"""Those of them that make two scripts differ for `cache`."""

MOST_VALUE = 128 * 1024 - 1
"""Bytes of one variable, name included: Linux takes no more (MAX_ARG_STRLEN)."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Run the script. Output: `{stdout, stderr, exit_code, files}`; one line end at the end of stdout is cut."""
    cwd = local_path(ctx, config["cwd"], "shell_start") if config.get("cwd") else ctx.run_dir

    async def identity() -> Value:
        return await in_thread(_identity, ctx, config, cwd)

    async def call() -> Done:
        return Done(await _result(ctx, config, cwd))

    return await ctx.cached(identity, call)


def _identity(ctx: Context, config: Mapping[str, Value], cwd: Path) -> Value:
    """The script, its data, what is in the files among them, and the settings of the machine that it can see."""
    try:
        files = contents(ctx, ctx.data)
    except (OSError, StepError):
        return None
    return {
        "script": config["run"],
        "interpreter": config.get("interpreter") or INTERPRETER,
        "cwd": "run.dir" if cwd == ctx.run_dir else shown_path(ctx, cwd),
        "data": dict(ctx.data),
        "files": files,
        "machine": {name: value for name, value in os.environ.items() if COUNTED.fullmatch(name)},
        "expect": config.get("expect", [0]),
        "kept": config.get("files") or [],
    }


async def _result(ctx: Context, config: Mapping[str, Value], cwd: Path) -> dict[str, Value]:
    finished = await _finished(ctx, config, cwd)
    if finished.cut:
        ctx.log(f"the script wrote more than {MOST_OUTPUT // 2**20} MB; the rest is left out", level="warning")
    stdout = finished.stdout.decode("utf-8", "replace").removesuffix("\n")
    stderr = finished.stderr.decode("utf-8", "replace")
    expected = config.get("expect", [0])
    if finished.exit_code not in (expected if isinstance(expected, list) else [expected]):
        raise _exit_error(finished.exit_code, stdout, stderr)
    files = await in_thread(_kept_files, ctx, cwd, config.get("files") or [])
    return {"stdout": stdout, "stderr": stderr, "exit_code": finished.exit_code, "files": files}


async def _finished(ctx: Context, config: Mapping[str, Value], cwd: Path) -> Finished:
    interpreter = str(config.get("interpreter") or INTERPRETER)
    env = environment(ctx)
    script: Path | None = None
    try:
        argv = shlex.split(interpreter)
        if cwd == ctx.run_dir:
            cwd.mkdir(parents=True, exist_ok=True)
        if interpreter == INTERPRETER and len(config["run"].encode()) < MOST_VALUE:
            argv += ["-c", config["run"]]
        else:
            script = _script_file(config["run"])
            argv.append(str(script))
        return await run_program(argv, cwd, env)
    except (OSError, ValueError) as error:
        raise _start_error(error, interpreter, cwd) from error
    finally:
        if script is not None:
            script.unlink(missing_ok=True)


def environment(ctx: Context) -> dict[str, str]:
    """What the script sees: a few variables of the worker, the `with` map, and the step's key and run.

    Texts and numbers as they are, true/false, null as "", maps and lists as JSON, files as their absolute path.
    """
    env = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    env["AIFLOW_IDEMPOTENCY_KEY"] = ctx.key
    env["AIFLOW_RUN_ID"] = ctx.run_id
    for name, value in ctx.data.items():
        text = _env_text(ctx, value)
        if not _NAME.fullmatch(name):
            raise StepError("shell_start", f"`{name}` cannot be the name of an environment variable")
        if "\0" in text:
            raise StepError("shell_start", f"`{name}` has a NUL character, which no environment variable can hold")
        if len(name) + 1 + len(text.encode("utf-8", "surrogatepass")) > MOST_VALUE:
            raise StepError(
                "shell_start",
                f"`{name}` is larger than {MOST_VALUE // 1024} kB, too large for an environment variable",
                hint="write it to a file with `write` and hand over the file",
            )
        env[name] = text
    return env


def _env_text(ctx: Context, value: Value) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case File():
            return str(local_path(ctx, value, "shell_start"))
        case dict() | list():
            return msgspec.json.encode(_with_local_paths(ctx, value)).decode()
    return str(value)


def _with_local_paths(ctx: Context, value: Value) -> Value:
    if isinstance(value, File):
        return plain(value) | {"path": str(local_path(ctx, value, "shell_start"))}
    if isinstance(value, dict):
        return {name: _with_local_paths(ctx, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_local_paths(ctx, item) for item in value]
    return value


def _script_file(text: str) -> Path:
    handle, name = tempfile.mkstemp(prefix="aiflow-", suffix=".script")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    return Path(name)


def _kept_files(ctx: Context, cwd: Path, globs: list[str]) -> list[File]:
    """The files below `cwd` that match, in the order of the globs, by path within each; every file once."""
    found: dict[Path, File] = {}
    for glob in [globs] if isinstance(globs, str) else globs:
        if os.path.isabs(glob) or ".." in glob.split("/"):
            raise StepError("shell_exit", f"`files`: `{glob}` leads out of the folder that the script ran in")
        try:
            pattern = _glob.compile_pattern(glob)
        except ValueError as error:
            raise StepError("shell_exit", f"`files`: {error}") from error
        base = cwd / pattern.base
        paths = [base] if pattern.fixed else _glob.find(base, pattern) if base.is_dir() else []
        for path in paths:
            if path.is_file() and path not in found:
                found[path] = describe(ctx, path)
    return list(found.values())


def _exit_error(code: int, stdout: str, stderr: str) -> StepError:
    last = next((line.strip() for line in reversed((stderr or stdout).splitlines()) if line.strip()), "")
    how = f"ended with exit code {code}"
    if code > 128 and code - 128 in signal.valid_signals():
        how = f"was killed by {signal.Signals(code - 128).name} (exit code {code})"
    data = {"exit_code": code, "stdout": stdout[-4_000:], "stderr": stderr[-4_000:]}
    return StepError("shell_exit", f"the script {how}" + (f": {last[:300]}" if last else ""), data=data)


def _start_error(error: OSError | ValueError, interpreter: str, cwd: Path) -> StepError:
    if not cwd.is_dir():
        return StepError("shell_start", f"the script was not started: there is no folder `{cwd}`")
    if isinstance(error, FileNotFoundError):
        return StepError("shell_start", f"the script was not started: there is no program `{interpreter.split()[0]}`")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return StepError("shell_start", f"the script was not started: {reason}")


_OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "stdout": {"type": "string"},
        "stderr": {"type": "string"},
        "exit_code": {"type": "integer"},
        "files": {"type": "array", "items": FILE_SCHEMA},
    },
    "required": ["stdout", "stderr", "exit_code", "files"],
}

KIND = StepKind(
    name="shell",
    summary="Run a shell script.",
    run=run,
    short="run",
    fixed=frozenset({"run", "interpreter"}),
    schema={
        "properties": {
            "run": {
                "description": "The script, without templates: data comes as environment variables from `with` (files as their "
                'path, maps and lists as JSON). Quote them: "$name".',
                "type": "string",
                "minLength": 1,
                "examples": ['wc -w < "$document"'],
            },
            "cwd": {
                "examples": ["{{ inputs.folder }}"],
                "description": "Folder to run in, relative to the project. Without it: the run's own folder, `run.dir`.",
                "type": "string",
            },
            "files": {
                "description": "Patterns of files to keep as the step's `files`, relative to the folder it runs in.",
                "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}],
                "examples": [["part_*.mp3"]],
            },
            "expect": {
                "description": "Exit codes that are a success.",
                "anyOf": [{"type": "array", "items": {"type": "integer"}, "minItems": 1}, {"type": "integer"}],
                "default": [0],
                "examples": [[0, 1]],
            },
            "interpreter": {
                "description": "The program that gets the script, without templates.",
                "type": "string",
                "default": INTERPRETER,
                "examples": ["python3", "node"],
            },
        },
        "required": ["run"],
    },
    repeatable=False,
    cacheable=True,
    output_schema=_OUTPUT,
    errors=("shell_exit", "shell_start"),
    example='- id: words\n  shell: wc -w < "$document"\n  with: {document: "{{ inputs.document }}"}\n',
)
