"""Which store a text such as `sqlite:data/crm.db` or `postgresql://...` means."""

from __future__ import annotations

import re
from pathlib import Path

from aiflow.errors import StepError
from aiflow.steps._kind import Context
from aiflow.steps._paths import local_path, target_path
from aiflow.values import Value

_SCHEME = re.compile(r"(?i)(sqlite(?=:)|[a-z][a-z0-9+.-]+(?=://)|postgres(?:ql)?(?=:))")


def scheme_of(place: Value) -> str | None:
    """`sqlite`, `postgresql`, `https` ..., or None for a path."""
    found = _SCHEME.match(place) if isinstance(place, str) else None
    return found[1].lower() if found else None


def sqlite_path(ctx: Context, place: str, error_type: str, *, writing: bool = False) -> Path:
    """The file of `sqlite:path`, `sqlite://path` or `sqlite:///absolute`."""
    text = place.split(":", 1)[1].removeprefix("//")
    if text in ("", ":memory:", "/:memory:"):
        raise StepError(error_type, f"`{place}` names no file", hint="write for example `sqlite:data/library.db`")
    return target_path(ctx, text, error_type, "to") if writing else local_path(ctx, text, error_type)


def refuse_store(place: str, scheme: str, error_type: str) -> StepError:
    """The error for a store that this installation cannot reach."""
    if scheme in ("postgres", "postgresql"):
        return StepError(error_type, "PostgreSQL is not available in this version", hint="use `sqlite:data/library.db`")
    if scheme in ("http", "https"):
        return StepError(
            error_type, f"`{scheme}:` is no store", hint="fetch addresses with a step `http` (its `save` keeps the file)"
        )
    return StepError(error_type, f"`{scheme}:` is no store that aiflow knows", hint="stores: `sqlite:data/library.db`")
