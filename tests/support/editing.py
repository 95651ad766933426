"""A text with a mark in it, and what an editor makes of a completion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MARK = "§"

_PLACE = re.compile(r"\$\{\d+:((?:[^{}\\]|\\.)*)\}|\$\{\d+\|([^,|]*)[^|]*\|\}|\$\d+|\\([\\$}])")


def unmarked(text: str) -> tuple[str, int, int]:
    """The text without its mark, and the line and column, from 1, where it was."""
    before, mark, after = text.partition(MARK)
    assert mark, f"no {MARK} in the text"
    return before + after, before.count("\n") + 1, len(before) - before.rfind("\n")


def place(diagnostic: Mapping[str, Any]) -> tuple[int, int]:
    """Line and column of a diagnostic, from 1."""
    start = diagnostic["range"]["start"]
    return start["line"] + 1, start["character"] + 1


def chosen(text: str, item: Mapping[str, Any]) -> str:
    """The text after a completion was chosen and its places were left as they were proposed."""
    edit = item["textEdit"]
    lines = text.split("\n")
    start, end = edit["range"]["start"], edit["range"]["end"]
    assert start["line"] == end["line"]
    line = lines[start["line"]]
    indent = line[: len(line) - len(line.lstrip(" "))]
    new = filled(edit["newText"]).replace("\n", "\n" + indent)
    lines[start["line"]] = line[: start["character"]] + new + line[end["character"] :]
    return "\n".join(lines)


def filled(snippet: str) -> str:
    """A snippet with its defaults."""
    return _PLACE.sub(lambda found: found[1] or found[2] or found[3] or "", snippet)
