"""The order of keys that reads best: of a step, and at the top of a workflow (the order of the examples in the docs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiflow.language.tree import plant
from aiflow.language.yaml_tree import Node
from aiflow.steps._registry import kinds

_KIND = "(kind)"

STEP_ORDER = (
    "id", "name", "if", "each", "as", "concurrency", "allow_failures", "until", "every", "max", _KIND, "cases", "join", "match",
    "with", "throttle", "cache", "timeout", "retry", "repeatable", "on_timeout", "on_error", "output", "else",
)  # fmt: skip
"""What it is called, when and how often it is done, what is done and with what, how, what becomes of the result.

Behind the kind this is the order of wrapping (DSL 3.4); `timeout` and `on_timeout` stay together when no `retry` is between.
"""

TOP_ORDER = (
    "aiflow", "name", "description", "x-", "inputs", "triggers", "cancel_on", "concurrency", "throttle", "timeout", "budget",
    "defaults", "steps", "outputs", "on_error", "finally",
)  # fmt: skip
"""What it is, what it is given, when and within which bounds it runs, what it does. Anchors (`x-`) come before their use."""

Order = Mapping[int, Sequence[int]]
"""For maps of the YAML tree, by `id(node)`: the numbers of their pairs in the order to write them."""


def key_orders(data: Any, root: Node) -> Order:
    """The maps of a workflow whose keys are to be written in another order. Nothing for other documents."""
    orders: dict[int, Sequence[int]] = {}
    if not isinstance(data, dict) or "steps" not in data:
        return orders
    _put(orders, root, [_top_word(key) for key in data], TOP_ORDER)
    known = kinds()
    for step in plant(data).nodes:
        words = [_KIND if key in known else str(key) for key in step.data]
        order = list(STEP_ORDER)
        if step.else_in_body:  # the `else` of the cases, not of an `if`
            order.remove("else")
            order.insert(order.index("cases") + 1, "else")
        found = _node_at(data, root, step.path)
        if found is not None:
            _put(orders, found, words, order)
    return orders


def _top_word(key: Any) -> str:
    return "x-" if isinstance(key, str) and key.startswith("x-") else str(key)


def _put(orders: dict[int, Sequence[int]], node: Node, words: Sequence[str], order: Sequence[str]) -> None:
    """Note the order of a block map, when it is another one and no alias would stand before its anchor."""
    if node.kind != "map" or node.flow or len(node.pairs) != len(words):
        return
    wanted = sorted(range(len(words)), key=_ranks(words, order).__getitem__)
    if wanted != list(range(len(words))) and not _breaks_aliases(node, wanted):
        orders[id(node)] = wanted


def _ranks(words: Sequence[str], order: Sequence[str]) -> list[int]:
    """The rank of each word; one that is not known goes with the one before it."""
    ranks: list[int] = []
    for word in words:
        ranks.append(order.index(word) if word in order else ranks[-1] if ranks else -1)
    return ranks


def _breaks_aliases(node: Node, wanted: Sequence[int]) -> bool:
    """Whether an alias would come before what it stands for."""
    place = {number: index for index, number in enumerate(wanted)}
    for number, (_, value) in enumerate(node.pairs):
        for target in _targets(value):
            for other, (key, owner) in enumerate(node.pairs):
                if key.start <= target.start < max(owner.end, owner.start + 1) and place[other] > place[number]:
                    return True
    return False


def _targets(node: Node) -> list[Node]:
    if node.target is not None:
        return [node.target]
    inside = [*node.items, *(part for pair in node.pairs for part in pair)]
    return [target for part in inside for target in _targets(part)]


def _node_at(data: Any, node: Node, path: Sequence[Any]) -> Node | None:
    """The node of a path; None where it leads through an alias."""
    for part in path:
        if isinstance(data, list) and node.kind == "list":
            node = node.items[part]
        elif isinstance(data, dict) and node.kind == "map":
            node = node.pairs[list(data).index(part)][1]
        else:
            return None
        data = data[part]
    return node
