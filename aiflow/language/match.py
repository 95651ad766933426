"""`match`: one expression over the incoming `event`, and the equality in it by which an event finds who waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import nodes

from aiflow.errors import AiflowError
from aiflow.language.bare import unbrace
from aiflow.language.expressions import Compiled, compile_bare, compile_expression
from aiflow.language.facts import path_of
from aiflow.language.model import Workflow, walk_paths
from aiflow.language.syntax import chain, parse_bare
from aiflow.values import Value

EventPath = tuple[str, ...]
"""Keys below the `data` of an event: `event.data.order.id` is ("order", "id")."""


@dataclass(frozen=True)
class Match:
    """A compiled `match`.

    Attributes:
        whole: the expression.  path: of the first equality `event.data.x == <no event>` that must hold, or None.
        value: the other side of it.
    """

    whole: Compiled
    path: EventPath | None = None
    value: Compiled | None = None

    def accepts(self, event: Mapping[str, Value], scope: Mapping[str, Any]) -> bool:
        """Whether the event is meant. One that lacks what the expression asks for is not."""
        try:
            return bool(self.whole.evaluate({**scope, "event": event}))
        except AiflowError:
            return False


@lru_cache(4096)
def compile_match(source: str) -> Match:
    """Raises: ExpressionSyntaxError."""
    tree = unbrace(source, "match") or parse_bare(source)
    for path, other in _equalities(tree):
        return Match(compile_bare(source, "match"), path, compile_expression(other, source))
    return Match(compile_bare(source, "match"))


def _equalities(tree: nodes.Expr) -> Iterator[tuple[EventPath, nodes.Expr]]:
    """The equalities that must hold for the whole to be true, those under `and` too."""
    if isinstance(tree, nodes.And):
        yield from _equalities(tree.left)
        yield from _equalities(tree.right)
    elif isinstance(tree, nodes.Compare) and len(tree.ops) == 1 and tree.ops[0].op == "eq":
        sides = tree.expr, tree.ops[0].expr
        for one, other in (sides, sides[::-1]):
            path = _data_path(one)
            if path and not _asks_event(other):
                yield path, other


def _asks_event(node: nodes.Node) -> bool:
    return any(isinstance(one, nodes.Name) and one.name == "event" for one in (node, *node.find_all(nodes.Name)))


def _data_path(node: nodes.Node) -> EventPath | None:
    root, keys = chain(node)
    if not isinstance(root, nodes.Name) or root.name != "event":
        return None
    path = path_of(keys)
    if len(path) < 2 or path[0] != "data" or not all(isinstance(key, str) for key in path):
        return None
    return tuple(str(key) for key in path[1:])


def listens(workflow: Workflow) -> dict[str, list[EventPath]]:
    """The names of the events that runs of a workflow wait for, each with the paths by which they are found."""
    found: dict[str, dict[EventPath, None]] = {}
    asked = [(step.config["event"], step.match) for _, step in walk_paths(workflow) if step.kind == "wait_for"]
    asked += [(one["event"], one.get("match")) for one in workflow.cancel_on]
    for names, source in asked:
        path = compile_match(source).path if isinstance(source, str) else None
        for name in names if isinstance(names, list) else [names]:
            paths = found.setdefault(name, {})
            if path is not None:
                paths[path] = None
    return {name: list(paths) for name, paths in found.items()}
