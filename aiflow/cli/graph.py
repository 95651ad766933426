"""`aiflow graph`: a workflow as a picture."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiflow.cli._options import out, project_option, project_settings, shown_path, stdout_colours
from aiflow.cli._text import clean
from aiflow.errors import ConfigError, SpecError

if TYPE_CHECKING:
    from aiflow.language.model import Workflow

WIDTH = 100  # columns of the outline when it does not go to a terminal


@click.command(
    epilog="""\b
Examples:
  aiflow graph workflows/doc_ingest.yaml
  aiflow graph workflows/doc_ingest.yaml -o docs/doc_ingest.svg      a picture, for light and dark pages
  aiflow graph workflows/doc_ingest.yaml --format mermaid > docs/doc_ingest.mmd
"""
)
@click.argument("file", type=click.Path())
@click.option(
    "--format", "form", type=click.Choice(["text", "mermaid", "svg"]), help="Default: by the name given with -o, else text."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="PATH", help="Write it to a file (.svg, .mmd, .txt).")
@project_option
def graph(file: str, form: str | None, output: str | None, project: str | None) -> int:
    """Draw a workflow FILE: what starts it, its steps, loops, branches, waits and handlers."""
    from aiflow.language.workflow import load_workflow

    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"there is no file {file}", "give a workflow, such as workflows/hello.yaml")
    settings = project_settings(project, path)
    form = form or {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid"}.get(Path(output or "").suffix, "text")
    try:
        workflow = load_workflow(path, settings)
    except SpecError as error:
        from aiflow.cli.validate import print_problems, seen_from_here

        print_problems([seen_from_here(problem, settings.root) for problem in error.problems])
        return error.exit_code
    text = _drawn(workflow, form, to_file=output is not None)
    if output is None:
        out(text)
        return 0
    _write(Path(output), text + "\n")
    click.echo(f"wrote {shown_path(Path(output))}", err=True)
    return 0


def _drawn(workflow: Workflow, form: str, to_file: bool) -> str:
    if form == "svg":
        from aiflow.graph.svg import svg

        return clean(svg(workflow))
    if form == "mermaid":
        from aiflow.graph.mermaid import mermaid

        return clean(mermaid(workflow))
    from aiflow.cli._outline import outline

    width = WIDTH
    if not to_file and (sys.stdout.isatty() or os.environ.get("COLUMNS")):
        width = shutil.get_terminal_size((WIDTH, 24)).columns
    return "\n".join(outline(workflow, width, colour=not to_file and stdout_colours()))


def _write(path: Path, text: str) -> None:
    """Raises: ConfigError."""
    from aiflow.steps._atomic import replacing

    try:
        with replacing(path) as stream:
            stream.write(text.encode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from None
