"""What stands where the cursor is: the step, the expression, the name in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiflow.language.check import Inspection
from aiflow.language.check._sites import Site
from aiflow.language.load import Spot
from aiflow.language.references import Reference
from aiflow.language.tree import Node, Path


@dataclass(frozen=True)
class Place:
    """A place in a workflow.

    Attributes:
        spot: the key or value.  node: the innermost step around it, None at the top.
        site: the expression it is in, if it is in one.
    """

    look: Inspection
    spot: Spot
    node: Node | None
    site: Site | None

    @property
    def below(self) -> Path:
        """The rest of the path, from the step on (at the top: all of it)."""
        return self.spot.path[len(self.node.path) :] if self.node else self.spot.path

    @property
    def value(self) -> Any:
        """What is written there; of a key its value."""
        return _value(self.look.doc.data, self.spot.path)

    def reference(self) -> tuple[Reference, int] | None:
        """The name at the cursor and which part of it: 0 the root (`steps`), 1 the first after it, and so on."""
        index = self.spot.index
        if self.site is None or index is None:
            return None
        for found in self.site.references:
            words = [found.root, *map(str, found.path)]
            starts = [found.offset, *found.offsets]
            ends = [start + len(word) + 2 * _quoted(self.site.text, start) for start, word in zip(starts, words, strict=True)]
            if starts[0] <= index <= ends[-1]:
                return found, max((part for part, start in enumerate(starts) if start <= index), default=0)
        return None


def place_at(look: Inspection, line: int, column: int) -> Place | None:
    """The place at a line and column; None where nothing stands."""
    spot = look.doc.path_at(line, column)
    if spot is None:
        return None
    around = [node for node in look.tree.nodes if spot.path[: len(node.path)] == node.path]
    node = max(around, key=lambda one: len(one.path), default=None)
    return Place(look, spot, node, None if spot.on_key else look.site_at.get(spot.path))


def _quoted(text: str, at: int) -> bool:
    return text[at : at + 1] in ("'", '"')


def _value(data: Any, path: Path) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data
