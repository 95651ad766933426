"""`aiflow schema`: the JSON Schema of the language."""

from __future__ import annotations

from pathlib import Path

import click

from aiflow.cli._options import out, project_option, project_settings, shown_path

PATH = Path("schemas", "workflow.schema.json")


@click.command(
    epilog="""\b
Examples:
  aiflow schema > workflow.schema.json
  aiflow schema --write                 schemas/workflow.schema.json of the project

Editors find it by the first line of a workflow:
  # yaml-language-server: $schema=../schemas/workflow.schema.json
"""
)
@click.option("--write", is_flag=True, help=f"Write it to {PATH} of the project.")
@project_option
def schema(write: bool, project: str | None) -> int:
    """Print the JSON Schema of the language, with which editors complete and check workflows."""
    from aiflow.language.schema import render
    from aiflow.language.schema import write as write_schema

    if not write:
        out(render().rstrip("\n"))
        return 0
    path = project_settings(project).root / PATH
    write_schema(path)
    click.echo(f"wrote {shown_path(path)}", err=True)
    return 0
