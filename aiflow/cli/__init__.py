"""The command line: `main` runs one command and ends the process with its exit code.

A command is a module of this package, imported when it is called; until then only its name and its one line
of help are known, so that `aiflow --help` and completion cost nothing but click.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command that `sys.argv` names."""
    from aiflow.cli._errors import guarded
    from aiflow.cli._group import cli

    for stream in (sys.stdout, sys.stderr):  # an encoding without our signs is no reason to fail
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    code = guarded(lambda: cli.main(prog_name="aiflow", standalone_mode=False))
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
