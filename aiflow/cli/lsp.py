"""`aiflow lsp`: the language server, for editors."""

from __future__ import annotations

import sys

import click


@click.command(
    epilog="""\b
Editors start it by themselves; docs/editors.md says how each is told.
"""
)
def lsp() -> int:
    """Serve an editor over stdin and stdout: checks while you type, types, where things come from."""
    from aiflow.lsp.server import serve

    stdout = sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints is no message
    return serve(sys.stdin.buffer, stdout)
