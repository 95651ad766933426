"""The options of a step: from the short form to the map its kind takes, with the defaults laid under it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiflow.language.vocabulary import MODIFIERS, RETRIED_KINDS
from aiflow.steps._kind import StepKind


def long_form(kind: StepKind, value: Any, folder: Path) -> dict[str, Any]:
    """The options as written, in long form. Nested lists of steps are left out.

    Args: value: what stands behind the kind's key.  folder: of the workflow; a short `llm` text may name a file there.
    """
    if kind.whole:
        return dict(value) if isinstance(value, dict) else {}
    if kind.lists == "cases" and isinstance(value, list):
        return {"if": [case.get("if", True) if isinstance(case, dict) else True for case in value]}
    if kind.lists and isinstance(value, (dict, list)):
        return {}
    if isinstance(value, dict) and not _map_is_short(kind):
        return dict(value)
    if kind.name == "llm" and isinstance(value, str):
        return {"prompt" if names_prompt(value, folder) else "text": value}
    return {kind.short: value} if kind.short is not None else {}


def names_prompt(text: str, folder: Path) -> bool:
    """Whether the short form of `llm` is the path of a prompt file, not the prompt itself."""
    if "\n" in text or "{{" in text or len(text) > 255 or not text.strip():
        return False
    if text.endswith(".md"):
        return True
    try:
        return " " not in text and (folder / text).is_file()
    except (OSError, ValueError):
        return False


def kind_defaults(kind: StepKind, *layers: Mapping[str, Any]) -> dict[str, Any]:
    """The default options of a kind; later layers win. Layers: `defaults` of aiflow.yaml, then of the workflow."""
    merged: dict[str, Any] = {}
    for layer in layers:
        options = layer.get(kind.name)
        if isinstance(options, dict):
            merged.update(options)
    known = kind.schema.get("properties", {})
    return {key: one for key, one in merged.items() if key in known or key not in MODIFIERS}


def with_defaults(config: Mapping[str, Any], defaults: Mapping[str, Any], prompt: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the defaults laid under them, except where the prompt file says something itself."""
    return {**{key: one for key, one in defaults.items() if key not in prompt}, **config}


def modifier_default(kind: StepKind, word: str, *layers: Mapping[str, Any]) -> Any:
    """`defaults.retry` or `defaults.timeout` for a kind, or None. Later layers win."""
    if kind.name not in RETRIED_KINDS:
        return None
    given = [layer[word] for layer in layers if layer.get(word) is not None]
    return given[-1] if given else None


def _map_is_short(kind: StepKind) -> bool:
    short = kind.short_schema or {}
    return short.get("type") == "object"
