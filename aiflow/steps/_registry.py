"""Finds the step kinds: every public module of this folder, and entry points of the group `aiflow.steps`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points

from aiflow import steps
from aiflow.steps._kind import StepKind


@cache
def kinds() -> dict[str, StepKind]:
    """All kinds by name, in the order of the documentation (alphabetical)."""
    found: dict[str, StepKind] = {}
    for module in pkgutil.iter_modules(steps.__path__):
        if not module.name.startswith("_"):
            kind = importlib.import_module(f"aiflow.steps.{module.name}").KIND
            found[kind.name] = kind
    for entry in entry_points(group="aiflow.steps"):
        kind = entry.load()
        found[kind.name] = kind
    return dict(sorted(found.items()))
