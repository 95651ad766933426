"""`aiflow lsp`: the language server, for editors."""

from __future__ import annotations

import sys

import click


@click.command(
    epilog="""\b
Example, for Neovim (others: docs/editors.md):
  vim.lsp.config('aiflow', { cmd = { 'aiflow', 'lsp' }, filetypes = { 'yaml', 'markdown' } })
  vim.lsp.enable('aiflow')
\b
Editors start it by themselves:
  aiflow lsp
"""
)
def lsp() -> int:
    """Serve an editor over stdin and stdout: checks while you type, types, where things come from."""
    from aiflow.lsp.server import serve

    stdout = sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints is no message
    return serve(sys.stdin.buffer, stdout)
