"""A YAML text in the usual layout, by moving whole lines: two blanks a level, keys in order, comments with what they are about.

Only block maps and lists are laid out. What stands in one piece (scalars, `{}` and `[]`, block texts) is copied as it is,
lines after its first moved along. A comment belongs to the key or item below it; one that is indented deeper than that
belongs to what is above it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aiflow.language.key_order import Order
from aiflow.language.yaml_places import value_start
from aiflow.language.yaml_text import Places
from aiflow.language.yaml_tree import Node

INDENT = 2

_HEADER = re.compile(r"[|>](?:([1-9])[+-]?|[+-]?([1-9])?)")
_STAYS_ON_TOP = re.compile(r"#(!|\s*(yaml-language-server:|vim:|-\*-|aiflow:))")

Comments = list[tuple[int, str]]
"""Lines that are blank or nothing but a comment: the column, and the text without indentation."""


@dataclass
class _Entry:
    """A key with its value, or an item, of a block map or list.

    Attributes:
        key: None for an item.  line, column: of the key or dash.  last: last line of the value.
        lead: comments and blank lines above.  after: deeper ones below, up to the next entry.
    """

    key: Node | None
    value: Node
    line: int
    column: int
    last: int
    lead: Comments = field(default_factory=list)
    after: Comments = field(default_factory=list)


def laid_out(text: str, root: Node, orders: Order) -> str:
    """The text in the usual layout. Texts whose top is no block map or list are given back as they are."""
    if root.kind == "scalar" or root.flow:
        return text
    return _Layout(text, root, orders).document(root)


class _Layout:
    def __init__(self, text: str, root: Node, orders: Order) -> None:
        self.text, self.orders = text, {} if _ends_inside(text, root) else orders
        self.open_end = False  # whether blank lines that come next would belong to the value before them (`|+`)
        self.lines = text.split("\n")
        self.places = Places(text)

    def document(self, root: Node) -> str:
        first = self._first_line(root)
        marker = max((n for n in range(first) if self.lines[n].startswith(("---", "%"))), default=-1)
        last = self._last_line(root, 0)
        closing = next((n for n in range(last + 1, len(self.lines)) if self.lines[n].startswith("...")), len(self.lines))
        lead = self._comments(marker + 1, first)
        top: Comments = []
        if id(root) in self.orders:
            top, lead = _split_top(lead)
        _, body = self._block(root, 0, None, lead, self._comments(last + 1, closing))
        while not self.open_end and closing == len(self.lines) and not body[-1]:
            body.pop()
        made = [*self.lines[: marker + 1], *_indented(top, 0), *body, *self.lines[closing : closing + 1]]
        return "\n".join(made) + ("" if _ends_inside(self.text, root) else "\n")

    def _block(self, node: Node, indent: int, before: str | None, lead: Comments, tail: Comments) -> tuple[Comments, list[str]]:
        """The lines of a block map or list.

        Args:
            before: what stands on the line of its first entry (`- `), None if it begins a line.
            lead, tail: comments above its first entry, and below its last one.
        Returns:
            comments for which there is no room behind `before`, and the lines.
        """
        entries = self._entries(node)
        if entries is None:
            return lead, [*self._as_is(node, indent, before), *self._below(tail, indent)]
        entries[0].lead = lead
        for one, following in zip(entries, entries[1:], strict=False):
            one.after, following.lead = _split(self._comments(one.last + 1, following.line), one.column)
        entries[-1].after, tail = _split(tail, entries[-1].column)
        above: Comments = []
        lines: list[str] = []
        for number, entry in enumerate(self._ordered(node, entries)):
            inline = before if number == 0 else None
            was_open, self.open_end = self.open_end, False
            hoisted, own = self._entry(entry, indent, " " * indent if inline is None else inline)
            comments = [*entry.lead, *hoisted]
            if inline is None:
                lines += _indented(comments[_gap(comments) :] if was_open else comments, indent)
            else:
                above = comments
            lines += own
        return above, [*lines, *self._below(tail, indent)]

    def _below(self, comments: Comments, indent: int) -> list[str]:
        """Comments and blank lines behind the last entry."""
        if self.open_end:
            comments = comments[_gap(comments) :]
        self.open_end = self.open_end and not comments
        return _indented(comments, indent)

    def _ordered(self, node: Node, entries: list[_Entry]) -> list[_Entry]:
        order = self.orders.get(id(node))
        if order is None:
            return entries
        made = [entries[number] for number in order]
        old, new = entries[0], made[0]
        if old is not new:  # blank lines stand between entries: the first one has those that the other had
            old_gap, new_gap = _gap(old.lead), _gap(new.lead)
            old.lead, new.lead = new.lead[:new_gap] + old.lead[old_gap:], old.lead[:old_gap] + new.lead[new_gap:]
        return made

    def _entry(self, entry: _Entry, indent: int, before: str) -> tuple[Comments, list[str]]:
        value = entry.value
        if value.kind == "scalar" or value.flow or not (value.pairs or value.items):
            after = [(max(column + indent - entry.column, indent + 1), text) for column, text in entry.after]
            lines = self._leaf(entry, indent, before)
            self.open_end = not after and self._keeps_blanks(value)
            return [], [*lines, *_in_place(after)]
        first = self._first_line(value)
        if entry.key is None and first == entry.line and not _has_properties(self.text, value):
            return self._block(value, indent + INDENT, before + "- ", [], entry.after)
        head_end = self.places.at(value.start)[0] - 1 if _has_properties(self.text, value) else entry.line
        head = [before + self.lines[entry.line][entry.column :].rstrip()]
        head += [_shifted(line, indent - entry.column, indent) for line in self.lines[entry.line + 1 : head_end + 1]]
        _, lines = self._block(value, indent + INDENT, None, self._comments(head_end + 1, first), entry.after)
        return [], head + lines

    def _leaf(self, entry: _Entry, indent: int, before: str) -> list[str]:
        """A value in one piece, with what is behind it on its last line."""
        line, column = self.places.at(entry.value.start)
        if entry.key is None and line - 1 == entry.line:
            made = [before + "- " + self.lines[entry.line][column - 1 :]]
        else:
            made = [before + self.lines[entry.line][entry.column :]]
        header = self.places.at(value_start(self.text, entry.value))[0] - 1
        is_block = entry.value.style in ("|", ">")
        split = header + 1 if is_block else entry.last + 1
        made += [_shifted(one, indent - entry.column, indent) for one in self.lines[entry.line + 1 : split]]
        made[-1] = made[-1].rstrip()
        if is_block:
            old, explicit = self._content_indent(entry.value, entry.column)
            new = indent + (old - entry.column if explicit else INDENT)
            made += [_content(one, old, new) for one in self.lines[split : entry.last + 1]]
        return made

    def _entries(self, node: Node) -> list[_Entry] | None:
        """The entries with their places; None for a map that is written with `?`."""
        if node.kind == "list":
            column = self._dash_column(node)
            return [self._item(item, column) for item in node.items]
        entries = []
        for key, value in node.pairs:
            line, column = self.places.at(key.start)
            if "?" in self.lines[line - 1][: column - 1] or key.kind != "scalar":
                return None
            entries.append(_Entry(key, value, line - 1, column - 1, self._last_line(value, column - 1)))
        return entries

    def _item(self, item: Node, column: int) -> _Entry:
        line = self._first_line(item) if item.start < item.end else self.places.at(item.start)[0] - 1
        line = min(line, self.places.at(item.start)[0] - 1)
        while not _is_dash(self.lines[line], column):
            line -= 1
        return _Entry(None, item, line, column, self._last_line(item, column))

    def _dash_column(self, node: Node) -> int:
        if not _has_properties(self.text, node):
            return self.places.at(node.start)[1] - 1
        line = self.lines[self._first_line(node)]
        return len(line) - len(line.lstrip(" "))

    def _first_line(self, node: Node) -> int:
        """The line, from 0, on which the first entry of a block map or list begins; of other nodes their own."""
        if node.kind == "map" and not node.flow and node.pairs:
            return self.places.at(node.pairs[0][0].start)[0] - 1
        line = self.places.at(node.start)[0] - 1
        if node.kind == "list" and not node.flow and _has_properties(self.text, node):
            line += 1
            while not self.lines[line].lstrip().startswith("-"):
                line += 1
        return line

    def _last_line(self, node: Node, column: int) -> int:
        """The last line, from 0, with something of a node. `column`: of the key or dash before it."""
        if node.kind == "map" and not node.flow and node.pairs:
            key, value = node.pairs[-1]
            return self._last_line(value, self.places.at(key.start)[1] - 1)
        if node.kind == "list" and not node.flow and node.items:
            return self._last_line(node.items[-1], self._dash_column(node))
        if node.style in ("|", ">"):
            return self._block_end(node, column)
        return self.places.at(max(node.start, node.end - 1))[0] - 1

    def _block_end(self, node: Node, column: int) -> int:
        header = self.places.at(value_start(self.text, node))[0] - 1
        indent, _ = self._content_indent(node, column)
        last = self.places.at(max(node.start, node.end - 1))[0] - 1
        if not self._keeps_blanks(node):
            while last > header and len(self.lines[last]) <= indent and not self.lines[last].strip(" "):
                last -= 1
        return last

    def _keeps_blanks(self, node: Node) -> bool:
        """Whether blank lines behind it belong to it."""
        if node.style not in ("|", ">"):
            return False
        start = value_start(self.text, node)
        return "+" in self.text[start : start + 3].split("\n")[0].split("#")[0]

    def _content_indent(self, node: Node, column: int) -> tuple[int, bool]:
        """How deep the lines of a block text are indented, and whether its header says so."""
        start = value_start(self.text, node)
        header = _HEADER.match(self.text, start)
        digit = header and (header[1] or header[2])
        if digit:
            return column + int(digit), True
        line = self.places.at(start)[0]
        while line < len(self.lines) and not self.lines[line].strip(" "):
            line += 1
        return max(column + 1, _depth(self.lines[line]) if line < len(self.lines) else 0), False

    def _as_is(self, node: Node, indent: int, before: str | None) -> list[str]:
        """A map with `?`: all its lines, moved as one."""
        first, last = self.places.at(node.start)[0] - 1, self._last_line(node, self.places.at(node.start)[1] - 1)
        column = self.places.at(node.start)[1] - 1
        start = (" " * indent if before is None else before) + self.lines[first][column:]
        self.open_end = self._keeps_blanks(_last_value(node))
        return [start, *(_shifted(line, indent - column, indent - 1) for line in self.lines[first + 1 : last + 1])]

    def _comments(self, start: int, end: int) -> Comments:
        return [(_depth(line), line.strip()) for line in self.lines[start:end]]


def _last_value(node: Node) -> Node:
    while node.kind != "scalar" and not node.flow and (node.pairs or node.items):
        node = node.pairs[-1][1] if node.kind == "map" else node.items[-1]
    return node


def _ends_inside(text: str, root: Node) -> bool:
    """Whether the file ends within a block text, whose last line break is then missing."""
    return not text.endswith("\n") and _last_value(root).style in ("|", ">")


def _has_properties(text: str, node: Node) -> bool:
    """Whether an anchor stands before it."""
    return value_start(text, node) != node.start


def _is_dash(line: str, column: int) -> bool:
    return line[column : column + 1] == "-" and line[column + 1 : column + 2] in ("", " ", "\t") and not line[:column].strip(" -")


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def _split(comments: Comments, column: int) -> tuple[Comments, Comments]:
    """Comments below an entry: those that belong to it (deeper than its column), and those of what follows."""
    end = next((n for n, (depth, text) in enumerate(comments) if text and depth <= column), len(comments))
    while end and not comments[end - 1][1]:
        end -= 1
    return comments[:end], comments[end:]


def _split_top(comments: Comments) -> tuple[Comments, Comments]:
    """Comments at the top of a file: those that stay there, and those of the first key."""
    end = next((n + 1 for n in reversed(range(len(comments))) if not comments[n][1]), 0)
    while end < len(comments) and _STAYS_ON_TOP.match(comments[end][1]):
        end += 1
    return comments[:end], comments[end:]


def _gap(comments: Comments) -> int:
    """How many blank lines they begin with."""
    return next((n for n, (_, text) in enumerate(comments) if text), len(comments))


def _indented(comments: Comments, indent: int) -> list[str]:
    return [" " * indent + text if text else "" for _, text in comments]


def _in_place(comments: Comments) -> list[str]:
    return [" " * column + text if text else "" for column, text in comments]


def _shifted(line: str, by: int, least: int) -> str:
    """A further line of a value, moved; always deeper than `least`."""
    if not line.strip():
        return line
    return " " * max(_depth(line) + by, least + 1) + line.lstrip(" \t")


def _content(line: str, old: int, new: int) -> str:
    """A line of a block text, moved from one indentation to another; blanks beyond it belong to the text."""
    return " " * new + line[old:] if len(line) > old else ""
