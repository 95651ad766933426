"""Ids: their form, that each is there once, names of items that hide other names."""

from __future__ import annotations

import re
from typing import Any

from aiflow.language.check._inspection import Inspection
from aiflow.language.check._words import better_name, said
from aiflow.language.tree import Node, Path
from aiflow.language.vocabulary import ID_PATTERN, RESERVED_NAMES

_FORM = re.compile(ID_PATTERN)


def check(look: Inspection) -> None:
    """All faults of ids and names."""
    taken = set(look.tree.by_id)
    for node in look.tree.nodes:
        if "id" in node.data:
            _id(look, node, taken)
        if "as" in node.data:
            _item_name(look, node)
    if isinstance(look.data.get("name"), str):
        _form(look, ("name",), look.data["name"], "name", "the name of a workflow")


def _id(look: Inspection, node: Node, taken: set[str]) -> None:
    path, given = (*node.path, "id"), node.data["id"]
    if not isinstance(given, str):
        look.at_value(path, f"`id` must be a name such as `summary`, this is {said(given)}", "bad-id")
        return
    if not _form(look, path, given, "id", "an id"):
        return
    first = look.tree.by_id.get(given)
    if first is not None and first is not node:
        other = _free(f"{given}_again", taken)
        look.at_value(
            path,
            f"the id `{given}` is already taken on line {look.line_of((*first.path, 'id'))}; ids are unique in a file",
            "duplicate-id",
            f"give this step another id, for example `{other}`",
        )


def _item_name(look: Inspection, node: Node) -> None:
    path, given = (*node.path, "as"), node.data["as"]
    if not isinstance(given, str):
        return
    if given in RESERVED_NAMES:
        look.at_value(path, f"`{given}` cannot name an item: in expressions it means something else", "reserved-name",
                      f"write for example: as: {_singular(given)}")  # fmt: skip
        return
    if not _form(look, path, given, "as", "the name of an item"):
        return
    for outer in node.ancestors():
        if outer.has_each and outer.item_name == given and _inside_body(node, outer):
            line = look.line_of((*outer.path, "as") if "as" in outer.data else (*outer.path, "each"))
            look.at_value(
                path,
                f"`{given}` is already the item of the `each` on line {line}",
                "shadowed-name",
                "give this item another name",
            )


def _inside_body(node: Node, outer: Node) -> bool:
    """Whether the step stands in the body of the `each`, not in its `else`."""
    inner = node
    for one in node.ancestors():
        if one is outer:
            return inner.role != "else" or outer.else_in_body
        inner = one
    return False


def _form(look: Inspection, path: Path, given: str, key: str, what: str) -> bool:
    if _FORM.fullmatch(given):
        return True
    better = better_name(given)
    if not given:
        look.at_value(path, f"`{key}` is empty", "bad-id", f"write a name, for example: {key}: summary, or remove it")
        return False
    look.at_value(
        path,
        f"`{given}` cannot be {what}: {_why(given)}",
        "bad-id",
        f"write: {key}: {better}"
        if better
        else "an id begins with a small letter; then small letters, digits and _ (64 at most)",
    )
    return False


def _why(given: str) -> str:
    if "{{" in given:
        return "it cannot contain a template"
    if len(given) > 64:
        return f"it has {len(given)} characters, at most 64 are allowed"
    if "-" in given:
        return "in an expression the dash is a minus"
    if " " in given:
        return "it has a space"
    if given[0].isdigit():
        return "it begins with a digit"
    if "." in given:
        return "in an expression the dot leads to a field"
    if given.lower() != given:
        return "it has capital letters"
    bad = next((char for char in given if not re.fullmatch("[a-z0-9_]", char)), given[0])
    return f"it begins with `{given[0]}`" if bad == given[0] else f"it has the character `{bad}`"


def _free(wanted: str, taken: set[str]) -> str:
    name, count = wanted, 2
    while name in taken:
        name, count = f"{wanted}_{count}", count + 1
    return name


def _singular(name: str) -> Any:
    return name[:-1] if name.endswith("s") and name[:-1] not in RESERVED_NAMES else f"one_{name}"
