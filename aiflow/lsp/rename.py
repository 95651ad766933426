"""Renaming at the cursor: a step, an input, the item of an `each`."""

from __future__ import annotations

import re
from typing import Literal

from aiflow.language.edits import Edit
from aiflow.language.rename import rename
from aiflow.lsp.place import Place

What = Literal["step", "input", "item"]


def renamed(place: Place, text: str, new: str) -> list[Edit]:
    """The edits (`start`, `end`, `text`) that give what is at the cursor another name; none when it has no name.

    Raises: AiflowError: it cannot be done, and why.
    """
    named = name_at(place)
    if named is None:
        return []
    return rename(text, *named, new, place.look.file)[0]


def name_at(place: Place) -> tuple[What, str] | None:
    """What is named at the cursor: where it is declared, or where it is used."""
    if found := place.reference():
        reference, part = found
        if part == 1 and reference.root in ("steps", "inputs"):
            return ("step" if reference.root == "steps" else "input"), str(reference.path[0])
        owner = place.site.scope.get(reference.root) if place.site else None
        return ("item", reference.root) if part == 0 and owner is not None and owner.item_name == reference.root else None
    path = place.spot.path
    if place.spot.on_key and path[:1] == ("inputs",) and len(path) == 2:
        return "input", re.split(r"[?(]", str(path[1]))[0]
    if place.node is not None and not place.spot.on_key and isinstance(place.value, str):
        declared: dict[tuple[str | int, ...], What] = {("id",): "step", ("as",): "item"}
        return (declared[place.below], place.value) if place.below in declared else None
    return None
