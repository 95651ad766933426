"""YAML text to plain data with the place of every key and value; all faults of the text at once.

What is accepted means the same to every YAML reader (DSL 3.16). Nothing in a text can crash the process: size, depth
and number of values are checked on the parser's events, before anything is built.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiflow.errors import SpecError
from aiflow.language.problems import Problem
from aiflow.language.yaml_places import index_in, offset_in, value_start
from aiflow.language.yaml_repair import parse
from aiflow.language.yaml_text import MAX_BYTES, Fault, Places, bad_characters, decode_source, normal, read_source, too_large
from aiflow.language.yaml_tree import Node
from aiflow.language.yaml_values import build_values

Path = tuple[Any, ...]


@dataclass(frozen=True)
class Spot:
    """A place in a file: the path of what stands there, and whether it is the key, else the value.

    Attributes: index: of a text, which of its characters.
    """

    path: Path
    on_key: bool
    index: int | None


@dataclass(frozen=True)
class Document:
    """A file as data.

    Attributes:
        data: maps, lists, texts, numbers, booleans and null.
        text: the source, line breaks as `\\n`, without byte order mark.  shown: the file's name for people.

    Paths are tuples of keys and indexes. Asked for a place that the file does not have (a default, say), the methods
    answer for the nearest value around it.
    """

    data: Any
    text: str
    shown: str
    _root: Node | None = None
    _places: Places = field(default_factory=lambda: Places(""))

    def key_at(self, path: Path) -> tuple[int, int]:
        """Line and column of the key (for an item of a list: of the item)."""
        key, value = self._find(path)
        node = key or value
        return self._places.at(value_start(self.text, node) if node else 0)

    def value_at(self, path: Path) -> tuple[int, int]:
        """Line and column of the value: its first character, or its quote."""
        _, node = self._find(path)
        return self._places.at(value_start(self.text, node) if node else 0)

    def column_in(self, path: Path, offset: int) -> tuple[int, int]:
        """Line and column of the character number `offset` of a text, whatever its quotes, escapes and folds."""
        _, node = self._find(path)
        if node is None:
            return 1, 1
        if node.target is not None:
            node = node.target
        return self._places.at(offset_in(self.text, node, offset) if node.kind == "scalar" else value_start(self.text, node))

    def path_at(self, line: int, column: int) -> Spot | None:
        """What stands at a place; None between and outside of values."""
        starts = self._places.starts
        if self._root is None or not 1 <= line <= len(starts):
            return None
        offset = starts[line - 1] + column - 1
        path: Path = ()
        node = self._root
        while True:
            step = _inside(self.text, node, offset)
            if step is None:
                index = index_in(self.text, node, offset) if node.kind == "scalar" and node.target is None else None
                return Spot(path, False, index) if node.kind == "scalar" else None
            part, on_key, node = step
            path = (*path, part)
            if on_key:
                return Spot(path, True, None)

    def offset_at(self, path: Path, offset: int = 0) -> int:
        """Where character number `offset` of a text stands in `self.text`, counted from 0; of other values the start."""
        _, node = self._find(path)
        return 0 if node is None else self._offset(node.target or node, offset)

    def value_offset(self, path: Path) -> int:
        """Where a value stands in `self.text`: its first character, or its quote."""
        _, node = self._find(path)
        return value_start(self.text, node) if node else 0

    def in_flow(self, path: Path) -> bool:
        """Whether a value stands inside of braces or brackets."""
        _, node = self._find(path)
        return node is not None and node.flow

    def key_offset(self, path: Path) -> int:
        """Where the first character of a key stands in `self.text`; behind its quote, if it has one."""
        key, node = self._find(path)
        found = key or node
        return 0 if found is None else self._offset(found.target or found, 0)

    def _offset(self, node: Node, offset: int) -> int:
        return offset_in(self.text, node, offset) if node.kind == "scalar" else value_start(self.text, node)

    def source_of(self, path: Path) -> str:
        """The value as written."""
        _, node = self._find(path)
        return self.text[value_start(self.text, node) : node.end].rstrip() if node else ""

    def problem(
        self,
        path: Path,
        message: str,
        code: str,
        hint: str = "",
        *,
        key: bool = False,
        offset: int | None = None,
        length: int = 1,
    ) -> Problem:
        """A problem at the value of `path`, at its key, or at a character of it."""
        if offset is not None:
            line, column = self.column_in(path, offset)
        else:
            line, column = self.key_at(path) if key else self.value_at(path)
        return Problem(self.shown, line, column, message, code, hint, length=length)

    def _find(self, path: Path) -> tuple[Node | None, Node | None]:
        key: Node | None = None
        node = self._root
        for part in path:
            inner = node.target or node if node else None
            if inner is None:
                break
            step = _child(inner, part)
            if step is None:
                break
            key, node = step
        return key, node


def _inside(text: str, node: Node, offset: int) -> tuple[Any, bool, Node] | None:
    """The key or item of a map or list at a place: name or index, whether it is the key itself, its value."""
    for key, value in reversed(node.pairs):
        if key.start <= offset:
            on_key = offset <= key.end
            return (key.value, on_key, value) if on_key or value_start(text, value) <= offset <= value.end else None
    for index, item in reversed(list(enumerate(node.items))):
        if value_start(text, item) <= offset:
            return (index, False, item) if offset <= item.end else None
    return None


def _child(node: Node, part: Any) -> tuple[Node | None, Node] | None:
    if node.kind == "list" and isinstance(part, int) and -len(node.items) <= part < len(node.items):
        return None, node.items[part]
    return node.named().get(part) if node.kind == "map" and isinstance(part, str) else None


def load_document(text: str, shown: str, *, empty: bool = False) -> Document:
    """Read a YAML text.

    Args:
        shown: the file's name in messages.  empty: whether nothing at all is a fine file (its data is None).
    Raises:
        SpecError: with every fault of the text that can be told.
    """
    document, problems = read_document(text, shown, empty=empty)
    if problems or document is None:
        raise SpecError(problems)
    return document


def read_document(text: str, shown: str, *, empty: bool = False) -> tuple[Document | None, list[Problem]]:
    """Like `load_document`, but gives the faults beside the document, so that its meaning can be checked as well.

    With faults the data is what was probably meant: an unquoted template as text, an ambiguous scalar as text, of a
    key written twice the last. The document is None when the text cannot be read at all.
    """
    if len(text) > MAX_BYTES or len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        return None, [too_large(shown)]
    text = normal(text)
    places = Places(text)
    if bad := bad_characters(text):
        return None, [places.problem(fault, shown) for fault in bad]
    parsed = parse(text)
    faults = list(parsed.faults)
    root = parsed.root
    if root is None or (root.kind == "scalar" and root.style is None and root.start == root.end):
        if not faults and not empty:
            faults.append(_empty(text))
        document = Document(None, text, shown, None, places) if empty and not faults else None
    else:
        data, more = build_values(text, parsed)
        faults.extend(more)
        document = Document(data, text, shown, parsed.root, places)
    return document, sorted({places.problem(fault, shown) for fault in faults})


def _empty(text: str) -> Fault:
    message = "this file holds nothing but comments" if text.strip() else "this file is empty"
    return Fault(0, 1, message, "empty-file", "a workflow begins with\n        steps:\n          - ...")


__all__ = ["Document", "decode_source", "load_document", "read_document", "read_source"]
