"""Where each character of a scalar's value stands in the file: quotes, escapes, folded lines and blocks considered."""

from __future__ import annotations

import re
from bisect import bisect_right

from aiflow.language.yaml_tree import Node

_PROPERTIES = re.compile(r"(?:[&!][^\s]*\s+)+")
_ESCAPE_LENGTH = {"x": 4, "u": 6, "U": 10}


def value_start(text: str, node: Node) -> int:
    """Where the value itself starts: behind an anchor."""
    if node.style == "*":
        return node.start
    found = _PROPERTIES.match(text, node.start, node.end if node.kind == "scalar" else len(text))
    return found.end() if found else node.start


def offset_in(text: str, node: Node, offset: int) -> int:
    """The place in the text of the value's character number `offset` (its length: just behind it).

    Where that cannot be told, the start of the value.
    """
    places = _places(text, node)
    return places[offset] if 0 <= offset < len(places) else value_start(text, node)


def index_in(text: str, node: Node, offset: int) -> int | None:
    """The other way round: which character of the value stands at a place in the text; None where that cannot be told."""
    places = _places(text, node)
    return max(bisect_right(places, offset) - 1, 0) if places else None


def _places(text: str, node: Node) -> list[int]:
    """The place of each character of the value, and the one behind it; empty where that cannot be told."""
    start = value_start(text, node)
    if node.style in ("|", ">"):
        made, places = _block(text, start, node)
    elif node.style in ("'", '"'):
        made, places = _inline(text, start + 1, node.end - 1, node.style)
    else:
        made, places = _inline(text, start, node.end, "")
    return places if made == node.value else []


def _inline(text: str, at: int, end: int, quote: str) -> tuple[str, list[int]]:
    """Value and places of a plain or quoted scalar; the last place is the one behind it."""
    out: list[str] = []
    places: list[int] = []

    def put(value: str, place: int) -> None:
        out.append(value)
        places.extend([place] * len(value))

    while at < end:
        char = text[at]
        if char == "\n":
            while out and out[-1] in " \t" and places[-1] >= 0 and text[places[-1]] in " \t":
                out.pop()
                places.pop()
            breaks, place = 0, at
            while at < end and text[at] in " \t\n":
                breaks += text[at] == "\n"
                at += 1
            put(" " if breaks == 1 else "\n" * (breaks - 1), place)
        elif quote == "'" and text[at : at + 2] == "''":
            put("'", at)
            at += 2
        elif quote == '"' and char == "\\":
            value, length = _escape(text, at)
            put(value, at)
            at += length
        else:
            put(char, at)
            at += 1
    return "".join(out), [*places, at]


_SIMPLE = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip


def _escape(text: str, at: int) -> tuple[str, int]:
    """Value and length of the escape at `at`."""
    char = text[at + 1 : at + 2]
    if char in _ESCAPE_LENGTH:
        length = _ESCAPE_LENGTH[char]
        return chr(int(text[at + 2 : at + length], 16)), length
    if char == "\n":
        rest = re.compile(r"[ \t\n]*").match(text, at + 1)
        return "", 1 + (rest.end() - rest.start() if rest else 0)
    return _SIMPLE.get(char, char), 2


def _block(text: str, start: int, node: Node) -> tuple[str, list[int]]:
    """Value and places of a `|` or `>` block."""
    first = text.find("\n", start)
    if first < 0:
        return "", [start]
    header, first = text[start:first], first + 1
    lines = _lines(text, first, node, header)
    out: list[str] = []
    places: list[int] = []
    for number, (place, content) in enumerate(lines):
        out.extend(content)
        places.extend(range(place, place + len(content)))
        out.append("\n")
        places.append(place + len(content))
        if node.style == ">" and number + 1 < len(lines):
            _fold(out, places, content, [line for _, line in lines[number + 1 :]])
    value = "".join(out)
    while value != node.value and value.endswith("\n"):
        value = value[:-1]
    return value, [*places[: len(value)], places[len(value)] if len(value) < len(places) else node.end]


def _fold(out: list[str], places: list[int], content: str, after: list[str]) -> None:
    """Folding of the line break that was just added, in a `>` block."""
    following = next((line for line in after if line), "")
    deeper = content[:1] in (" ", "\t") or following[:1] in (" ", "\t")
    if not content or deeper or not any(after):
        return
    if after[0]:
        out[-1] = " "
    else:  # a break before an empty line counts for nothing; the empty line's own is kept
        out.pop()
        places.pop()


def _lines(text: str, first: int, node: Node, header: str) -> list[tuple[int, str]]:
    """Place and content of each line of a block, its indentation cut."""
    raw: list[tuple[int, str]] = []
    at = first
    while at < node.end:
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        raw.append((at, text[at:end]))
        at = end + 1
    if explicit := re.search(r"[1-9]", header.split("#")[0]):
        value = node.value.lstrip("\n")
        lead = len(value) - len(value.lstrip(" "))
        filled = next((line for _, line in raw if line.strip()), "")
        indent = len(filled) - len(filled.lstrip(" ")) - lead if explicit else 0
    else:
        indent = next((len(line) - len(line.lstrip(" ")) for _, line in raw if line.strip(" ")), 0)
    return [(place + min(indent, len(line)), line[indent:]) for place, line in raw]
