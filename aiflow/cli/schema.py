"""`aiflow schema`: the JSON Schemas of the language and of the project file."""

from __future__ import annotations

import click

from aiflow.cli._options import out, project_option, project_settings, shown_path

FOLDER = "schemas"
FILES = {"workflow": "workflow.schema.json", "project": "project.schema.json", "test": "test.schema.json"}
"""What has a schema -> the name of its file."""


@click.command(
    epilog="""\b
Examples:
  aiflow schema > workflow.schema.json
  aiflow schema project                 the schema of aiflow.yaml
  aiflow schema test                    that of workflow tests
  aiflow schema --write                 all, into schemas/ of the project

\b
Editors find it by the first line of a workflow, or of a test:
  # yaml-language-server: $schema=../schemas/workflow.schema.json
  # yaml-language-server: $schema=../schemas/test.schema.json
"""
)
@click.argument("what", default="workflow", metavar="[workflow|project|test]", type=click.Choice(list(FILES)))
@click.option("--write", is_flag=True, help=f"Write all into {FOLDER}/ of the project.")
@project_option
def schema(what: str, write: bool, project: str | None) -> int:
    """Print the JSON Schema of workflows, of aiflow.yaml or of tests, with which editors complete and check them."""
    texts = rendered()
    if not write:
        out(texts[what].rstrip("\n"))
        return 0
    folder = project_settings(project).root / FOLDER
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        path = folder / FILES[name]
        path.write_text(text, encoding="utf-8")
        click.echo(f"wrote {shown_path(path)}", err=True)
    return 0


def rendered() -> dict[str, str]:
    """The text of each schema."""
    from aiflow.language import project_schema
    from aiflow.language import schema as workflow_schema
    from aiflow.testing import shape

    return {"workflow": workflow_schema.render(), "project": project_schema.render(), "test": shape.render()}
