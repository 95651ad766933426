"""The group: commands are found, the help names them all, and nothing heavy is imported for it."""

from __future__ import annotations

import importlib
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from aiflow.cli._group import COMMANDS, cli


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_its_help_has_examples(name: str) -> None:
    module, _, attribute = COMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(f"aiflow.cli.{module}"), attribute)
    assert isinstance(command, click.Command) and command.name == name
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert f"aiflow {name}" in result.output and "Example" in result.output


def test_help_names_all_commands() -> None:
    output = CliRunner().invoke(cli, ["--help"]).output
    for name, (_, help_line) in COMMANDS.items():
        assert name in output and help_line in output


@pytest.mark.parametrize(("typed", "meant"), [("rnu", "'run'"), ("validat", "'validate'"), ("log", "'logs'")])
def test_a_wrong_command_gets_the_near_one(typed: str, meant: str) -> None:
    result = CliRunner().invoke(cli, [typed])
    assert result.exit_code == 2 and f"Did you mean {meant}" in result.output


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from aiflow.cli._group import cli\n"
        "try:\n    cli.main(['--help'], prog_name='aiflow')\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'yaml', 'redis', 'dramatiq', 'asyncio', 'rich', 'jinja2', 'jsonschema', 'litellm', 'aiohttp', 'msgspec'}\n"
        "print('HEAVY', sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.splitlines()[-1] == "HEAVY []"
