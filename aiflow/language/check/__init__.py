"""The checks of a workflow, one module per family (DSL 3.12). Each offers `check(look)` and adds to `look.problems`."""

from __future__ import annotations

from aiflow.language.check import (
    cache,
    calls,
    dead_code,
    emails,
    expressions,
    files,
    ids,
    models,
    python,
    references,
    safety,
    shape,
    skipped,
    switches,
    time,
    triggers,
    types,
)
from aiflow.language.check._inspection import Inspection

FAMILIES = (
    shape, ids, emails, files, calls, time, expressions, references, triggers, types, switches, skipped, dead_code, python,
    safety, models, cache,
)  # fmt: skip
"""In this order: what a family refuses, later ones leave alone."""


def check_all(look: Inspection) -> None:
    """Every family, one after the other."""
    for family in FAMILIES:
        family.check(look)
    look.problems.extend(look.definitions.problems)


__all__ = ["FAMILIES", "Inspection", "check_all"]
