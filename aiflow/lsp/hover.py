"""What the mouse shows: what a word means, what type an expression has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiflow.language.check._schemas import NoField
from aiflow.language.explain import kind_text, type_text
from aiflow.language.references import Reference
from aiflow.language.tree import Node, Path
from aiflow.language.vocabulary import MODIFIERS, TOP
from aiflow.lsp.place import Place
from aiflow.steps._registry import kinds


def hover(place: Place, *, words: bool) -> str | None:
    """Markdown about a place, or None. `words`: also what the keys of the language mean."""
    if found := place.reference():
        return _reference(place, *found)
    if place.spot.on_key:
        return _input(place) or (meaning(place.node, place.below) if words else None)
    return _prompt(place)


def meaning(node: Node | None, path: Path) -> str | None:
    """What a key means. `path`: from the step on, or from the top of the file."""
    known = kinds()
    if node is None:
        if len(path) > 1 and path[0] == "defaults" and path[1] in known:
            return _option(known[str(path[1])].schema, path[2:]) if len(path) > 2 else kind_text(known[str(path[1])])
        words = TOP
    elif path and path[0] in known:
        return kind_text(known[str(path[0])]) if len(path) == 1 else _option(known[str(path[0])].schema, path[1:])
    else:
        words = MODIFIERS
    word = words.get(str(path[0])) if path else None
    if word is None:
        return None
    return word.text if len(path) == 1 else _option(word.schema, path[1:])


def _option(schema: Mapping[str, Any], path: Path) -> str | None:
    """The description of a key inside a value."""
    if not path:
        return schema.get("description")
    for one in (schema, *schema.get("anyOf", ())):
        inner = one.get("items") if isinstance(path[0], int) else one.get("properties", {}).get(path[0])
        if isinstance(inner, Mapping):
            return _option(inner, path[1:])
    return None


def _reference(place: Place, found: Reference, part: int) -> str | None:
    shown = found.root + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in found.path[:part])
    if found.root == "steps" and part == 1:
        return _step(place, shown, str(found.path[0]))
    known, schema = type_of(place, found.root, found.path[:part])
    if not known:
        return None
    about = schema.get("description", "") if schema else ""
    return _code(f"{shown}: {type_text(schema)}") + (f"\n\n{about}" if about else "")


def type_of(place: Place, root: str, path: tuple[str | int | None, ...]) -> tuple[bool, Mapping[str, Any] | None]:
    """Whether there is such a value, and its type as far as it is known."""
    if place.site is None or (root == "steps" and len(path) < 2):
        return False, None
    found = place.look.types.walk(root, path, place.site)
    return (False, None) if isinstance(found, NoField) else (True, found)


def _step(place: Place, shown: str, name: str) -> str | None:
    node = place.look.tree.by_id.get(name)
    if node is None or node.kind is None:
        return None
    output = _code(f"{shown}.output: {type_text(place.look.types.output_of(node))}")
    many = " for each item of a list" if node.has_each else ""
    line = place.look.line_of(node.path)
    named = node.data.get("name")
    about = f"{named}. " if isinstance(named, str) else ""
    return f"{output}\n\n{about}`{node.kind.name}`{many}, line {line}. {node.kind.summary}"


def _input(place: Place) -> str | None:
    """An input where it is declared."""
    path = place.spot.path
    if len(path) != 2 or path[0] != "inputs":
        return None
    name = str(path[1]).partition("(")[0].rstrip("?")
    schema = place.look.definitions.inputs.get("properties", {}).get(name)
    return _code(f"inputs.{name}: {type_text(schema)}") if schema else None


def _prompt(place: Place) -> str | None:
    """What a prompt file is for and wants to know."""
    if place.node is None or place.node.kind is None or place.below not in (("llm",), ("llm", "prompt")):
        return None
    prompt = place.look.definitions.prompt_at(place.value)
    if prompt is None:
        return None
    parts = [prompt.description] if prompt.description else []
    wants = type_text({"type": "object", "properties": prompt.inputs.get("properties")}) if prompt.inputs else "nothing"
    gives = type_text(prompt.schema) if prompt.schema else "string"
    parts.append(_code(f"with: {wants}\noutput: {gives}"))
    return "\n\n".join(parts)


def _code(text: str) -> str:
    return f"```yaml\n{text}\n```"
