"""The group `aiflow`: names and one-line helps of all commands, each imported when it is called."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import click

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Runs": {
        "run": ("run:run", "Start a run of a workflow file and follow it."),
        "resume": ("resume:resume", "Go on with a run that was interrupted."),
        "retry": ("resume:retry", "Continue a failed run at the step that failed."),
        "settle": ("resume:settle", "Decide on a step whose outcome is unknown."),
        "cancel": ("resume:cancel", "End a run, wherever it is."),
        "runs": ("runs:runs", "List runs, newest first."),
        "show": ("show:show", "Show a run: its steps, or one step in full."),
        "logs": ("logs:logs", "Show what happened in a run, line by line."),
    },
    "Events": {
        "send": ("events:send", "Send an event to the runs that wait for it."),
        "events": ("events:events", "List the events that came, newest first."),
    },
    "Files": {
        "validate": ("validate:validate", "Check workflow files without running them."),
        "test": ("test:test", "Run the tests of workflows, in virtual time."),
        "graph": ("graph:graph", "Draw a workflow, as text, SVG or Mermaid."),
        "fmt": ("fmt:fmt", "Write workflow files in the usual layout."),
        "rename": ("rename:rename", "Rename a step, with everything that refers to it."),
        "schema": ("schema:schema", "Print the JSON Schemas of workflows and aiflow.yaml, for editors."),
        "lsp": ("lsp:lsp", "Serve an editor: checks while you type, types, definitions."),
        "init": ("init:init", "Make a new project with a workflow that runs."),
    },
    "Setup": {
        "worker": ("worker:worker", "Work on runs until told to stop."),
        "doctor": ("doctor:doctor", "Check the setup and say what to mend."),
        "completion": ("completion:completion", "Print the completion script of your shell."),
    },
}
"""Section of the help -> command -> (module:name in this package, one line of help)."""

COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}

FIRST_STEPS = """\b
Try it in an empty folder; no key and no server is needed:
  aiflow init
  aiflow run workflows/hello.yaml"""


class LazyGroup(click.Group):
    """Imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        found: click.Command = getattr(importlib.import_module(f"aiflow.cli.{module}"), attribute)
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS)
            hint = f"Did you mean {' or '.join(f'{name!r}' for name in near)}?" if near else "See: aiflow --help"
            raise click.UsageError(f"No such command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> Any:
        """Names and helps from the table: no command is imported for a TAB."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=entry[1]) for name, entry in COMMANDS.items() if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in COMMANDS)
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), entry[1]) for name, entry in commands.items()])


def _print_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from aiflow import __version__

        click.echo(f"aiflow {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    help=f"Durable AI pipelines as plain YAML.\n\n{FIRST_STEPS}",
    epilog="aiflow COMMAND --help shows examples of each command.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def cli() -> None:
    """The group itself does nothing."""
