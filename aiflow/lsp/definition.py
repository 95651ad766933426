"""Where something comes from: the step, the input, the prompt file, the called workflow, the Python function."""

from __future__ import annotations

import re
from pathlib import Path as FilePath

from aiflow.language.config import long_form
from aiflow.language.references import Reference
from aiflow.language.tree import Node
from aiflow.lsp.place import Place

FILE_OPTIONS = {"llm": ("prompt", "schema"), "email": ("template",), "call": ("workflow",)}
"""Options that name a file beside the workflow."""

Target = tuple[FilePath, int, int, int]
"""File, line and column from 1, length."""


def definition(place: Place) -> Target | None:
    """Where what stands at a place is defined, or None."""
    if found := place.reference():
        return _reference(place, *found)
    node = place.node
    if node is None or node.kind is None or place.spot.on_key or not isinstance(place.value, str):
        return None
    config = long_form(node.kind, node.data[node.kind.name], place.look.file.parent)
    option = place.below[1] if len(place.below) == 2 else next(iter(config), "") if len(place.below) == 1 else ""
    if place.below[:1] != (node.kind.name,):
        return None
    if node.kind.name == "python":
        return _function(place.look.settings.root, place.value)
    if option in FILE_OPTIONS.get(node.kind.name, ()):
        path = place.look.file.parent / place.value
        return (path, 1, 1, 0) if path.is_file() else None
    return None


def _reference(place: Place, found: Reference, part: int) -> Target | None:
    look = place.look
    name = str(found.path[0]) if found.path else ""
    if found.root == "steps" and (node := look.tree.by_id.get(name)) is not None:
        return (look.file, *look.doc.value_at((*node.path, "id")), len(name))
    if found.root == "inputs" and isinstance(look.data.get("inputs"), dict):
        key = next((key for key in look.data["inputs"] if re.match(rf"{re.escape(name)}(?!\w)", str(key))), None)
        return (look.file, *look.doc.key_at(("inputs", key)), len(name)) if key is not None else None
    owner = place.site.scope.get(found.root) if place.site else None
    return (look.file, *_names(place, owner), len(found.root)) if owner is not None and part == 0 else None


def _names(place: Place, owner: Node) -> tuple[int, int]:
    """Where a step names its item: at `as`, else at its first line."""
    doc = place.look.doc
    return doc.value_at((*owner.path, "as")) if "as" in owner.data else doc.key_at(owner.path)


def _function(root: FilePath, written: str) -> Target | None:
    """A function of the project; those of installed packages are left to the editor's Python."""
    module, _, name = written.partition(":")
    place = root.joinpath(*module.split("."))
    path = next((one for one in (place.with_suffix(".py"), place / "__init__.py") if one.is_file()), None)
    if path is None:
        return None
    text = path.read_text("utf-8", errors="replace")
    found = re.search(rf"^(?:async +)?def +({re.escape(name.partition('.')[0])})\b", text, re.MULTILINE)
    if found is None:
        return (path, 1, 1, 0)
    line = text.count("\n", 0, found.start()) + 1
    return (path, line, found.start(1) - found.start() + 1, len(found[1]))
