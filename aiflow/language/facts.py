"""What a condition makes sure: which paths are there and not null when it is true, and which when it is false."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from jinja2 import nodes

from aiflow.language.syntax import chain, is_null

Known: TypeAlias = tuple[str, tuple[str | int | None, ...]]

_NOTHING: frozenset[Known] = frozenset()
_TYPES = frozenset(
    """string number integer float mapping sequence iterable boolean true false file gt ge lt le matches""".split()
)
"""Tests that no null passes."""


def when(node: nodes.Node, outcome: bool) -> frozenset[Known]:
    """Paths known to have a value when the condition has the outcome."""
    match node:
        case nodes.Not():
            return when(node.node, not outcome)
        case nodes.And():
            left, right = when(node.left, outcome), when(node.right, outcome)
            return left | right if outcome else left & right
        case nodes.Or():
            left, right = when(node.left, outcome), when(node.right, outcome)
            return left & right if outcome else left | right
        case nodes.Test():
            return _tested(node, outcome)
        case nodes.Compare():
            return _compared(node, outcome)
        case nodes.Filter():
            return when(node.node, True) if outcome and node.node and _keeps_nothing(node) else _NOTHING
    return _path(node) if outcome else _NOTHING


def covered(reference: Known, known: frozenset[Known]) -> bool:
    """Whether a known path makes this one safe: it begins it, or goes further; any field of a step's output for another."""
    root, path = reference
    for other_root, other in known:
        shared = min(len(path), len(other), 2 if root == "steps" else 99)
        if root == other_root and None not in other[:shared] and path[:shared] == other[:shared]:
            return True
    return False


def path_of(keys: Sequence[nodes.Node]) -> tuple[str | int | None, ...]:
    """Keys of a chain as a path; None for those that are computed."""
    return tuple(
        key.value if isinstance(key, nodes.Const) and isinstance(key.value, (str, int)) else None for key in keys
    )


def _tested(node: nodes.Test, outcome: bool) -> frozenset[Known]:
    positive = {"defined": True, "none": False, "null": False, "undefined": False}
    if node.name in positive:
        return _path(node.node) if outcome is positive[node.name] else _NOTHING
    return _path(node.node) if outcome and node.name in _TYPES else _NOTHING


def _compared(node: nodes.Compare, outcome: bool) -> frozenset[Known]:
    if len(node.ops) != 1:
        return _NOTHING
    sign, left, right = node.ops[0].op, node.expr, node.ops[0].expr
    if is_null(left):
        left, right = right, left
    if is_null(right):
        return _path(left) if (sign == "ne") is outcome and sign in ("eq", "ne") else _NOTHING
    if (sign == "eq") is outcome and sign in ("eq", "ne"):
        return _equal(left, right) | _equal(right, left)
    if sign in ("eq", "ne"):
        return _not_status(left, right) | _not_status(right, left)
    return _path(left) | _path(right) if sign in ("lt", "lteq", "gt", "gteq") else _NOTHING


def _not_status(left: nodes.Node, right: nodes.Node) -> frozenset[Known]:
    """`steps.x.status != 'failed'`, as a path `steps.x.not.failed` that no reference has."""
    if not isinstance(right, nodes.Const) or not isinstance(right.value, str):
        return _NOTHING
    found = [path[0] for root, path in _path(left) if root == "steps" and path[1:] == ("status",)]
    return frozenset(("steps", (name, "not", right.value)) for name in found)


def _equal(left: nodes.Node, right: nodes.Node) -> frozenset[Known]:
    """`a.b == 3` says that a.b is there; `steps.x.status == 'ok'` that there is an output."""
    if not isinstance(right, nodes.Const):
        return _NOTHING
    outputs = {
        (root, (path[0], "output"))
        for root, path in _path(left)
        if root == "steps" and path[1:] == ("status",) and right.value == "ok"
    }
    return _path(left) | outputs


def _keeps_nothing(node: nodes.Filter) -> bool:
    """Filters that give something false for null."""
    if node.name in ("default", "d"):
        return not node.args or (isinstance(node.args[0], nodes.Const) and not node.args[0].value)
    return node.name in ("length", "count", "trim")


def _path(node: nodes.Node) -> frozenset[Known]:
    root, keys = chain(node)
    if isinstance(root, nodes.Name) and not is_null(root):
        return frozenset({(root.name, path_of(keys))})
    return _NOTHING
