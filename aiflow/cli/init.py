"""`aiflow init`: a new project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from aiflow.cli._options import out, shown_path
from aiflow.errors import ConfigError

RENAMED = {"gitignore": ".gitignore", "env.example": ".env.example", "vscode": ".vscode"}
"""Names in the template -> names in the project: packages leave out files that begin with a dot."""


@click.command(
    epilog="""\b
Examples:
  aiflow init
  aiflow init my-project && cd my-project && aiflow run workflows/hello.yaml
"""
)
@click.argument("folder", default=".", metavar="[DIR]", type=click.Path(file_okay=False))
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def init(folder: str, force: bool) -> int:
    """Make a new project in DIR (default: here) with a small workflow that runs without any key."""
    from aiflow.cli.schema import FILES, FOLDER, rendered

    root = Path(folder)
    files = {**dict(_template()), **{f"{FOLDER}/{FILES[name]}": text for name, text in rendered().items()}}
    taken = [name for name in files if (root / name).exists()]
    if taken and not force:
        raise ConfigError(
            f"nothing was written: {shown_path(root)} has already {', '.join(sorted(taken))}",
            "give another folder, or --force to overwrite",
        )
    try:
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be written: {error.strerror}") from None
    out("\n".join(_said(root, sorted(files))))
    return 0


def _template() -> Iterator[tuple[str, str]]:
    """Path in the project and content of each file."""
    from importlib.resources import as_file, files

    with as_file(files("aiflow") / "templates" / "project") as folder:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                parts = [RENAMED.get(part, part) for part in path.relative_to(folder).parts]
                yield "/".join(parts), path.read_text("utf-8")


def _said(root: Path, names: list[str]) -> list[str]:
    there = root.resolve() == Path.cwd()
    go = "" if there else f"cd {shown_path(root)} && "
    return [
        f"made in {root.resolve()}:",
        *(f"  {name}" for name in names),
        "",
        "next:",
        f"  {go}aiflow run workflows/hello.yaml",
    ]
