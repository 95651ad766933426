"""YAML text to a tree of nodes with places, without recursion and within limits.

The parser's events are walked once. Depth, number of nodes (aliases spread out) and anchors are checked on the way,
so neither deep nesting (which crashes libyaml's composer) nor alias bombs get anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from aiflow.language.yaml_text import Fault, key_of

MAX_DEPTH = 40  # collections inside each other; DSL 3.16
MAX_SIZE = 1_000_000  # characters of texts with aliases spread out; a file has 256 kB
MAX_NODES = 40_000  # with aliases spread out; a list of 5,000 steps must fit, 256 kB of text bound it besides

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Node:
    """One value of the file.

    Attributes:
        kind: `scalar`, `map` or `list`.  start, end: offsets into the text (start is that of an anchor or tag, if any).
        value, style: of a scalar; the style is None (plain), `'`, `"`, `|` or `>`.
        flow: a map or list in braces or brackets, or a scalar inside one.
        pairs, items: of a map, of a list.  tag: as written, or None.
        target: what an alias stands for, else None.
        count, height, size: nodes, nested collections and characters in it, itself included, aliases spread out.
    """

    kind: Literal["scalar", "map", "list"]
    start: int
    end: int
    value: str = ""
    style: str | None = None
    flow: bool = False
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)
    tag: str | None = None
    target: Node | None = None
    count: int = 1
    height: int = 0
    size: int = 0
    _named: dict[str, tuple[Node, Node]] | None = None

    def named(self) -> dict[str, tuple[Node, Node]]:
        """The pairs of a map by key; of a key written twice the last."""
        if self._named is None:
            self._named = {(key.target or key).value: (key, value) for key, value in self.pairs}
        return self._named


@dataclass(slots=True)
class Tree:
    """What was found: the root (None: empty file, or it could not be parsed), faults, and the parser's error."""

    root: Node | None = None
    faults: list[Fault] = field(default_factory=list)
    error: yaml.MarkedYAMLError | None = None
    fatal: bool = False


PARSER_DEPTH = "nesting depth"
"""In what libyaml says when brackets are nested deeper than it looks ahead (1,000; since PyYAML 6.0.4)."""


class _Limit(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def build_tree(text: str) -> Tree:
    """Parse one document. Never raises; see `Tree`."""
    tree = Tree()
    builder = _Builder(text, tree)
    try:
        for event in _events(text):
            if not builder.take(event):
                break
    except yaml.MarkedYAMLError as error:
        tree.root = None
        if PARSER_DEPTH in str(error.problem):
            start = error.problem_mark.index if error.problem_mark else 0
            tree.faults.append(_too_deep(start))
            tree.fatal = True
        else:
            tree.error = error
    except _Limit as limit:
        tree.faults.append(limit.fault)
        tree.root, tree.fatal = None, True
    return tree


def _events(text: str) -> Iterator[Any]:
    return yaml.parse(text, Loader=Loader)


class _Builder:
    """Takes events, fills the tree."""

    def __init__(self, text: str, tree: Tree) -> None:
        self.text, self.tree = text, tree
        self.open: list[Node] = []
        self.keys: list[Node | None] = []  # the key of each open map that waits for its value
        self.anchors: dict[str, Node] = {}
        self.spread = 0  # nodes so far, aliases spread out
        self.size = 0  # their characters

    def take(self, event: Any) -> bool:
        """Use one event. False: a second document begins, stop."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            flow = bool(self.open) and self.open[-1].flow
            self.add(Node("scalar", event.start_mark.index, event.end_mark.index, event.value, _style(event), flow), event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self.close(event.end_mark.index)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            name: Literal["map", "list"] = "map" if kind is yaml.MappingStartEvent else "list"
            self.add(Node(name, event.start_mark.index, -1, flow=bool(event.flow_style), height=1), event)
        elif kind is yaml.AliasEvent:
            self.alias(event)
        elif kind is yaml.DocumentStartEvent:
            return self.document(event)
        return True

    def document(self, event: Any) -> bool:
        start = event.start_mark.index
        if event.tags:
            at = self.text.find("%TAG", start)
            self.tree.faults.append(Fault(at, at + 4, "aiflow has no YAML tags", "bang", "remove the %TAG line"))
        if self.tree.root is None:
            return True
        message = "a second YAML document starts here; a file holds one"
        self.tree.faults.append(Fault(start, start + 3, message, "several-documents", "move it into a file of its own"))
        return False

    def add(self, node: Node, event: Any) -> None:
        node.tag = event.tag
        node.size = len(node.value)
        self.room(node.start, 1, node.height, node.size)
        if event.anchor is not None:
            self.anchor(event.anchor, node)
        self.attach(node)
        if node.kind != "scalar":
            self.open.append(node)
            self.keys.append(None)

    def anchor(self, name: str, node: Node) -> None:
        at = self.text.find("&", node.start)
        if name in self.anchors:
            message = f"the anchor `{name}` is defined twice; YAML readers differ in which one they take"
            self.tree.faults.append(Fault(at, at + 1 + len(name), message, "duplicate-anchor", "give one of them another name"))
        self.anchors[name] = node

    def alias(self, event: Any) -> None:
        name, start, end = event.anchor, event.start_mark.index, event.end_mark.index
        node = Node("scalar", start, end, style="*")
        target = self.anchors.get(name)
        if target is None:
            value = "{times: 5}" if key_of(self.text, start) == "retry" else "..."
            hint = f"define it first, for example: x-{name}: &{name} {value}"
            message = f"the anchor `{name}` is not defined above this line"
            self.tree.faults.append(Fault(start, end, message, "unknown-anchor", hint))
        elif target.kind != "scalar" and target.end < 0:
            message = f"`*{name}` stands inside of what it stands for, without end"
            raise _Limit(Fault(start, end, message, "alias-loop", "write the value out"))
        else:
            node.target, node.count, node.height, node.size = target, target.count, target.height, target.size
            self.room(start, node.count, node.height, node.size)
        self.attach(node)

    def room(self, start: int, count: int, height: int, size: int) -> None:
        self.spread += count
        self.size += size
        if self.spread > MAX_NODES or self.size > MAX_SIZE:
            what = "values" if self.spread > MAX_NODES else "characters"
            message = f"more than {MAX_NODES if what == 'values' else MAX_SIZE:,} {what} in one file".replace(",", " ")
            hint = "aliases count as often as they are used; move data into files, or split the workflow with `call`"
            raise _Limit(Fault(start, start + 1, message, "too-many-values", hint))
        if len(self.open) + height > MAX_DEPTH:
            raise _Limit(_too_deep(start))

    def attach(self, node: Node) -> None:
        if not self.open:
            self.tree.root = node
            return
        parent = self.open[-1]
        if parent.kind == "list":
            parent.items.append(node)
            return
        key = self.keys[-1]
        if key is None:
            self.keys[-1] = node
        else:
            parent.pairs.append((key, node))
            self.keys[-1] = None

    def close(self, end: int) -> None:
        node = self.open.pop()
        self.keys.pop()
        node.end = end
        inside = node.items if node.kind == "list" else [part for pair in node.pairs for part in pair]
        node.count = 1 + sum(part.count for part in inside)
        node.size = sum(part.size for part in inside)
        node.height = 1 + max((part.height for part in inside), default=0)


def _too_deep(start: int) -> Fault:
    return Fault(start, start + 1, f"nested deeper than {MAX_DEPTH} levels", "too-deep", "split the workflow with `call`")


def _style(event: Any) -> str | None:
    return event.style or None
