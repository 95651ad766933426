"""Options that several commands share, and what they mean."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aiflow.cli._text import as_json, colourful

if TYPE_CHECKING:
    from aiflow.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

project_option = click.option(
    "--project",
    type=click.Path(file_okay=False, exists=True),
    metavar="DIR",
    help="The project folder, instead of the nearest one upwards with aiflow.yaml or workflows/.",
)
profile_option = click.option(
    "--profile", metavar="NAME", help="Lay a profile of aiflow.yaml over the models; `offline` needs no keys."
)
json_option = click.option("--json", "as_json_", is_flag=True, help="Print JSON on stdout, for programs.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress, only the result.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Show what aiflow does inside.")


def project_settings(project: str | None, near: Path | None = None, profile: str | None = None) -> Settings:
    """The settings of the project that is named, or of the one around `near` (else the current folder).

    Raises: ConfigError.
    """
    from aiflow.settings import find_root, load_settings

    root = Path(project).absolute() if project else find_root(near or Path.cwd())
    return load_settings(root=root, profile=profile)


def store_is_empty(settings: Settings) -> bool:
    """Whether nothing was ever stored: then looking need not start a server and make its folder."""
    return settings.embedded and not (settings.state_dir / "redis").exists()


def out(text: str) -> None:
    """A result, on stdout. Colours are the caller's choice. Raises BrokenPipeError."""
    click.echo(text, color=True)
    sys.stdout.flush()


def out_json(value: Any) -> None:
    """One JSON document on stdout."""
    out(as_json(value))


def stdout_colours() -> bool:
    """Whether results are coloured."""
    return colourful(sys.stdout)


def shown_path(path: Path) -> str:
    """A path as a person would write it: relative to the current folder when it is inside."""
    absolute = path.absolute()
    try:
        return str(absolute.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(absolute)


def clickable(at: str, root: Path) -> str:
    """`file:line:column` with the file relative to the current folder, so that terminals can open it."""
    file, _, rest = at.partition(":")
    inside = os.path.relpath(root / file)
    return at if inside.startswith("..") else f"{inside}:{rest}"
