"""`switch`: cases that are reached, values without a case. The shape of its two forms is that of `_options`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.language.check import _schemas as schemas
from aiflow.language.check._inspection import Inspection
from aiflow.language.check._words import listed, nearest
from aiflow.language.check.types import OTHER_STATUS
from aiflow.language.model import case_text
from aiflow.language.tree import Node, Path

_OTHERS = frozenset({"else", "default", "_", "*"})
"""What other languages call the case for all other values."""


def check(look: Inspection) -> None:
    """All faults of cases."""
    for node in look.tree.nodes:
        if node.kind is None or node.kind.name != "switch" or look.is_wrong((*node.path, "switch")):
            continue
        cases = node.data.get("cases")
        if not isinstance(node.data["switch"], list) and isinstance(cases, dict):
            _twice(look, node, cases)
            _for_others(look, node, cases)
            _values(look, node, cases)


def values_of(look: Inspection, node: Node) -> list[str] | None:
    """The values that a `switch` may see, as text, where they are known."""
    site = look.site_at.get((*node.path, "switch"))
    if site is None or site.tree is None:
        return None
    found = look.types.of(site.tree, site)
    values = schemas.enum_of(found) or ([True, False] if schemas.kind(found) == "boolean" else None)
    return None if values is None else [case_text(one) for one in values]


def covers_all(look: Inspection, node: Node) -> bool:
    """Whether a `switch` takes a branch whatever its value is."""
    if "else" in node.data:
        return True
    given, cases = node.data.get("switch"), node.data.get("cases")
    if isinstance(given, list):
        last = given[-1] if given else None
        return isinstance(last, dict) and last.get("if", True) is True
    values = values_of(look, node)
    return isinstance(cases, dict) and values is not None and set(values) <= {case_text(key) for key in cases}


def _twice(look: Inspection, node: Node, cases: Mapping[Any, Any]) -> None:
    """Cases that are the same as text."""
    first: dict[str, Any] = {}
    for key in cases:
        text = case_text(key)
        if text in first:
            line = look.line_of((*node.path, "cases", first[text]))
            message = f"the case `{text}` is there twice (first on line {line}): cases are compared as text"
            look.at_key((*node.path, "cases", key), message, "duplicate-case", "keep one of them")
        first.setdefault(text, key)


def _for_others(look: Inspection, node: Node, cases: Mapping[Any, Any]) -> None:
    """Cases that were meant for all other values."""
    values = values_of(look, node) or []
    for key in cases:
        if key == "else" or (key in _OTHERS and "else" not in node.data and key not in values):
            message = f'the case `{key}` is taken for the text "{key}", not when no other case fits'
            look.at_key((*node.path, "cases", key), message, "else-as-case", "write `else: [...]` beside `cases`")


def _values(look: Inspection, node: Node, cases: Mapping[Any, Any]) -> None:
    """Cases that the value never has, and values without a case."""
    site = look.site_at.get((*node.path, "switch"))
    if site is None or site.tree is None:
        return
    values = values_of(look, node)
    if values is not None:
        _known(look, node, cases, values, site.text.strip())
        return
    found = look.types.of(site.tree, site)
    what = schemas.kind(found)
    if what in ("array", "object"):
        message = f"`switch` compares one value with its cases, and this is {schemas.say(found)}"
        hint = "name the field that decides, for example: switch: steps.letter.output.kind"
        look.at_value(site.path, message, "wrong-type", hint)
        return
    for key in cases:
        path: Path = (*node.path, "cases", key)
        text = case_text(key)
        if what in ("integer", "number") and not _is_number(text) and text not in _OTHERS:
            message = f"{site.text.strip()} is {schemas.say(found)}, so it never equals `{text}`"
            look.at_key(path, message, "never-equal", "write the number; for all others there is `else`")


def _known(look: Inspection, node: Node, cases: Mapping[Any, Any], values: list[str], text: str) -> None:
    written = {case_text(key) for key in cases}
    missing = [value for value in values if value not in written]
    for key in cases:
        name = case_text(key)
        if name not in values and name not in _OTHERS:
            near = OTHER_STATUS.get(name) if "outcome_unknown" in values else None
            near = near or nearest(name, missing) or nearest(name, values)
            message = f"{text} is one of {listed(values)}; never `{name}`"
            look.at_key((*node.path, "cases", key), message, "never-equal", f"did you mean `{near}`?" if near else "remove it")
            missing = [value for value in missing if value != near]
    if missing and "else" not in node.data and not written & _OTHERS:
        names = " and ".join(f"`{one}`" for one in missing)
        have = "has" if len(missing) == 1 else "have"
        message = f"{names} {have} no case; then this step does nothing and its output is null"
        hint = f"add the case{'s' if len(missing) > 1 else ''}, or say what else to do: else: [...]"
        look.at_key((*node.path, "switch"), message, "missing-case", hint, "hint")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
