"""`aiflow schema`: the JSON Schema of the language."""

from __future__ import annotations

from pathlib import Path

import click

from aiflow.cli._options import out, project_option, project_settings, shown_path

PATH = Path("schemas", "workflow.schema.json")
TEST_PATH = Path("schemas", "test.schema.json")


@click.command(
    epilog="""\b
Examples:
  aiflow schema > workflow.schema.json
  aiflow schema --write                 both, into schemas/ of the project

Editors find it by the first line of a workflow, or of a test:
  # yaml-language-server: $schema=../schemas/workflow.schema.json
  # yaml-language-server: $schema=../schemas/test.schema.json
"""
)
@click.option("--write", is_flag=True, help=f"Write {PATH} and {TEST_PATH.name} of the project.")
@click.option("--test", "of_tests", is_flag=True, help="That of test files.")
@project_option
def schema(write: bool, of_tests: bool, project: str | None) -> int:
    """Print the JSON Schema of the language, with which editors complete and check workflows."""
    from aiflow.language.schema import render
    from aiflow.language.schema import write as write_schema
    from aiflow.testing import shape

    if not write:
        out((shape.render() if of_tests else render()).rstrip("\n"))
        return 0
    root = project_settings(project).root
    for path, write_it in ((root / PATH, write_schema), (root / TEST_PATH, shape.write)):
        write_it(path)
        click.echo(f"wrote {shown_path(path)}", err=True)
    return 0
