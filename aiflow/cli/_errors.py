"""What a failed command prints, and its exit code. Bugs leave their traceback in a file, not on the screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from aiflow.cli._text import clean
from aiflow.errors import AiflowError, StoreError

EXIT_PERSON = 5
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


def guarded(command: Callable[[], Any]) -> int:
    """Call a command and give the exit code of the process; whatever was raised is said on stderr."""
    try:
        code = command()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as wanted:
        return wanted.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return EXIT_INTERRUPTED
    except AiflowError as error:
        say(error_text(error))
        return error.exit_code
    except BrokenPipeError:
        silence_stdout()
        return 0
    except SystemExit as wanted:
        return wanted.code if isinstance(wanted.code, int) else 1
    except Exception as error:
        if type(error).__module__.startswith("redis."):  # not imported here: it takes long
            say(f"error: the store does not answer: {clean(str(error))}\n    try again when it is back")
            return StoreError.exit_code
        say(bug_text(error))
        return EXIT_BUG


def say(text: str) -> None:
    """One notice for a person, on stderr. Never fails: a closed stderr is no reason to lose the exit code."""
    try:
        click.echo(text, err=True)
    except (OSError, ValueError):
        pass


def error_text(error: AiflowError) -> str:
    """`error: sentence`, and the hint indented below."""
    message, hint = clean(error.message), clean(error.hint)
    lines = [f"error: {message}" if "\n" not in message else message]
    lines += [f"    {line}" for line in hint.splitlines()]
    return "\n".join(lines)


def bug_text(error: BaseException) -> str:
    """Two sentences: that it is a bug, and where the traceback is."""
    what = clean(f"{type(error).__name__}: {error}".split("\n", 1)[0])[:300]
    path = _keep_traceback(error)
    where = f"the traceback is in {path}" if path else "its traceback could not be written"
    return f"error: a bug in aiflow: {what}\n    {where}; please report it"


def silence_stdout() -> None:
    """Nobody reads any more: what is still to come goes nowhere."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass


def _keep_traceback(error: BaseException) -> Path | None:
    import tempfile
    import time
    import traceback

    from aiflow.settings import find_root

    text = "".join(traceback.format_exception(error))
    name = f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    for folder in (find_root(Path.cwd()) / ".aiflow", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(exist_ok=True)
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(f"aiflow {' '.join(sys.argv[1:2])}\n\n{text}", "utf-8")
            return path
        except OSError:
            continue
    return None
