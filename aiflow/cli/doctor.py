"""`aiflow doctor`: check the setup."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from aiflow.cli._options import json_option, out, out_json, profile_option, project_option, stdout_colours
from aiflow.cli._text import clean, pad, tint

if TYPE_CHECKING:
    from aiflow.cli._checks import Check

_SIGNS = {"ok": ("✓", "green"), "hint": ("!", "yellow"), "fault": ("✗", "red")}


@click.command(
    epilog="""\b
Examples:
  aiflow doctor
  aiflow doctor --audit           also: can every unfinished run go on?
  aiflow doctor --json | jq '.[] | select(.status != "ok")'

Exit codes: 0 nothing wrong (hints do not count), 1 something to mend, 4 the store cannot be reached.
"""
)
@click.option("--audit", "audited", is_flag=True, help="Prove that every unfinished run is reachable.")
@profile_option
@project_option
@json_option
def doctor(audited: bool, profile: str | None, project: str | None, as_json_: bool) -> int:
    """Check the setup and say what to mend. Keys are looked for, never shown."""
    from aiflow.cli import _checks

    checks: list[Check] = []
    for check in asyncio.run(_checks.all_checks(project, profile, audited)):
        checks.append(check)
    if as_json_:
        out_json([check.__dict__ for check in checks])
    else:
        out("\n".join(_lines(checks)))
    faults = [check for check in checks if check.status == "fault"]
    if any(check.name == "store" for check in faults):
        return 4
    return 1 if faults else 0


def _lines(checks: list[Check]) -> list[str]:
    colour = stdout_colours()
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        sign, name = _SIGNS[check.status]
        first, *rest = clean(check.text).splitlines() or [""]
        lines.append(f"{tint(sign, name, colour)} {pad(check.name, width)}  {first}")
        lines += [f"  {' ' * width}  {line}" for line in rest]
        lines += [f"  {' ' * width}  {tint('→ ' + line, 'dim', colour)}" for line in clean(check.remedy).splitlines()]
    sys.stdout.flush()
    return lines
