"""The steps of a document as a tree: what each step is, where it stands, its place in a run.

Built from plain data and tolerant: what has the wrong shape is left out (the shape checks speak of it), so that the
other checks still see the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiflow.language.model import case_text
from aiflow.steps._kind import StepKind
from aiflow.steps._registry import kinds

Path = tuple[str | int, ...]
"""Where a value stands in the document: keys and indexes from the top."""


@dataclass(eq=False)
class Node:
    """One step of the document.

    Attributes:
        path: of the step in the document.  data: the map as written.
        kind: None when the step has no kind that is known.
        id: as written when it is a text, else None.
        label, sub, block, body_block: see `model.Step`.
        role: the list it stands in: `steps`, `do`, `branch`, `else`, `on_error`, `on_timeout`, `finally`.
        branch: with role `branch`, the name of the branch or case.
        parent: the step around it.  siblings: all steps of its list.  index: place among them, from 0.
        order: place in the text, from 0.
        lists: its nested lists by the word before them.  branches: those of a `parallel` or `switch`, by name.
        meant: modifiers that unknown keys of the step probably stand for, filled in by the shape checks.
    """

    path: Path
    data: Mapping[str, Any]
    kind: StepKind | None
    role: str
    parent: Node | None
    index: int
    order: int
    id: str | None = None
    label: str = ""
    sub: str = ""
    block: int = 0
    body_block: int | None = None
    branch: str = ""
    siblings: list[Node] = field(default_factory=list)
    lists: dict[str, list[Node]] = field(default_factory=dict)
    branches: dict[str, list[Node]] = field(default_factory=dict)
    meant: set[str] = field(default_factory=set)

    @property
    def has_each(self) -> bool:
        return "each" in self.data

    @property
    def repeats(self) -> bool:
        """Whether its body runs more than once, in a block of its own."""
        return "each" in self.data or "until" in self.data

    @property
    def else_in_body(self) -> bool:
        """Whether its `else` is what a `switch` does without a case, once per item; else it belongs to its `if`."""
        return self.kind is not None and self.kind.lists == "cases" and "if" not in self.data

    @property
    def item_name(self) -> str:
        """The name of the item of its `each`; empty without one."""
        if not self.has_each:
            return ""
        name = self.data.get("as", "item")
        return name if isinstance(name, str) else "item"

    def ancestors(self) -> Iterator[Node]:
        """The steps around it, from the inside."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def called(self) -> str:
        """The step for people: step `summary`, or `this step`."""
        return f"step `{self.id}`" if self.id else "this step"


@dataclass
class Tree:
    """All steps of a document.

    Attributes:
        steps, on_error, finally_: the lists at the top.
        nodes: every step in the order of the text.
        by_id: the first step with each id.
        blocks: for each block None (the root) or the step with `each` or `until` whose body it is.
    """

    steps: list[Node] = field(default_factory=list)
    on_error: list[Node] = field(default_factory=list)
    finally_: list[Node] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    by_id: dict[str, Node] = field(default_factory=dict)
    blocks: list[Node | None] = field(default_factory=lambda: [None])

    def lists(self) -> Iterator[list[Node]]:
        """Every list of steps, from the outside in."""
        yield from (self.steps, self.on_error, self.finally_)
        for node in self.nodes:
            yield from node.lists.values()
            yield from node.branches.values()


def plant(data: Any) -> Tree:
    """The tree of a document's data."""
    tree = Tree()
    if isinstance(data, dict):
        grow = _Growth(tree)
        tree.steps = grow.list_at(data.get("steps"), ("steps",), "steps", None, "", 0)
        tree.on_error = grow.list_at(data.get("on_error"), ("on_error",), "on_error", None, "on_error", 0)
        tree.finally_ = grow.list_at(data.get("finally"), ("finally",), "finally", None, "finally", 0)
    return tree


def kind_of(data: Mapping[str, Any]) -> StepKind | None:
    """The kind of a step: the first of its keys that is one."""
    known = kinds()
    return next((known[key] for key in data if key in known), None)


class _Growth:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def list_at(
        self, steps: Any, path: Path, role: str, parent: Node | None, prefix: str, block: int, branch: str = ""
    ) -> list[Node]:
        """The steps of one list, nested ones included. `prefix`: sub of what is around it within its block."""
        if not isinstance(steps, list):
            return []
        found: list[Node] = []
        for index, data in enumerate(steps):
            if isinstance(data, dict) and data:
                node = Node((*path, index), data, kind_of(data), role, parent, index, len(self.tree.nodes), block=block)
                node.siblings, node.branch = found, branch
                self._step(node, prefix)
        return found

    def _step(self, node: Node, prefix: str) -> None:
        tree, kind = self.tree, node.kind
        node.siblings.append(node)
        tree.nodes.append(node)
        given = node.data.get("id")
        node.id = given if isinstance(given, str) else None
        node.label = node.id or f"{kind.name if kind else 'step'}@{node.index + 1}"
        node.sub = _join(prefix, node.label)
        if node.id is not None:
            tree.by_id.setdefault(node.id, node)
        self._nested(node)

    def _nested(self, node: Node) -> None:
        inner, prefix = node.block, node.sub
        if node.repeats:
            self.tree.blocks.append(node)
            inner, prefix = len(self.tree.blocks) - 1, ""
            node.body_block = inner
        for word, path, steps in nested_lists(node):
            if word == "branch":
                name = branch_name(node, path)
                node.branches[name] = self.list_at(steps, path, word, node, _join(prefix, name), inner, name)
            elif word == "else" and not node.else_in_body:
                node.lists[word] = self.list_at(steps, path, word, node, f"{node.sub}.else", node.block)
            else:
                start = prefix if word == "do" else _join(prefix, word)
                node.lists[word] = self.list_at(steps, path, word, node, start, inner)


def nested_lists(node: Node) -> Iterator[tuple[str, Path, Any]]:
    """The nested lists of a step in the order of the text: role of their steps, path, value."""
    for key, value in node.data.items():
        if key in ("else", "on_error", "on_timeout"):
            if isinstance(value, list):
                yield key, (*node.path, key), value
        elif node.kind is None or not node.kind.lists:
            continue
        elif key == "cases" and node.kind.lists == "cases":
            yield from _named(value, (*node.path, key))
        elif key == node.kind.name:
            yield from _kind_lists(node.kind, value, (*node.path, key))


def branch_name(node: Node, path: Path) -> str:
    """The name of a branch by the path of its list: its key, or the number of its case, from 1."""
    if path[-1] == "do":
        return str(int(path[-2]) + 1)
    return case_text(path[-1])


def _kind_lists(kind: StepKind, value: Any, path: Path) -> Iterator[tuple[str, Path, Any]]:
    if kind.lists == "list":
        yield "do", path, value
    elif kind.lists == "branches":
        yield from _named(value, path)
    elif isinstance(value, list):
        for index, case in enumerate(value):
            if isinstance(case, dict):
                yield "branch", (*path, index, "do"), case.get("do")


def _named(value: Any, path: Path) -> Iterator[tuple[str, Path, Any]]:
    if isinstance(value, dict):
        for name, steps in value.items():
            yield "branch", (*path, name), steps


def _join(prefix: str, word: str) -> str:
    return f"{prefix}.{word}" if prefix else word
