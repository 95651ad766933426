"""`aiflow completion`: the completion script of a shell."""

from __future__ import annotations

import click

from aiflow.cli._options import out


@click.command(
    epilog="""\b
Examples:
  aiflow completion bash >> ~/.bashrc
  aiflow completion zsh >> ~/.zshrc
  aiflow completion fish > ~/.config/fish/completions/aiflow.fish
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the completion script of a SHELL."""
    from click.shell_completion import get_completion_class

    from aiflow.cli._group import cli

    made = get_completion_class(shell)
    assert made is not None
    out(made(cli, {}, "aiflow", "_AIFLOW_COMPLETE").source().rstrip("\n"))
    return 0
