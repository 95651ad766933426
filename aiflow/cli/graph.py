"""`aiflow graph`: a workflow as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from aiflow.cli._options import out, project_option, project_settings
from aiflow.cli._text import clean
from aiflow.errors import ConfigError, SpecError


@click.command(
    epilog="""\b
Examples:
  aiflow graph workflows/doc_ingest.yaml
  aiflow graph workflows/doc_ingest.yaml --format mermaid > docs/doc_ingest.mmd
"""
)
@click.argument("file", type=click.Path())
@click.option("--format", "form", type=click.Choice(["text", "mermaid"]), default="text", show_default=True)
@project_option
def graph(file: str, form: str, project: str | None) -> int:
    """Draw a workflow FILE: its steps, loops, branches and handlers."""
    from aiflow.graph import mermaid, text_lines
    from aiflow.language.workflow import load_workflow

    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"there is no file {file}", "give a workflow, such as workflows/hello.yaml")
    settings = project_settings(project, path)
    try:
        workflow = load_workflow(path, settings)
    except SpecError as error:
        from aiflow.cli.validate import print_problems, seen_from_here

        print_problems([seen_from_here(problem, settings.root) for problem in error.problems])
        return error.exit_code
    out(clean("\n".join(text_lines(workflow)) if form == "text" else mermaid(workflow)))
    return 0
