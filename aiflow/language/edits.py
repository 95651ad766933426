"""Changes of a text by positions; everything between them stays as it is, to the byte."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True, slots=True)
class Edit:
    """The characters `start` to `end` (offsets, `end` excluded) become `text`."""

    start: int
    end: int
    text: str


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made; they must not overlap."""
    pieces, at = [], 0
    for edit in sorted(edits):
        assert edit.start >= at, "edits overlap"
        pieces += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*pieces, text[at:]])


class RawOffsets:
    """From offsets in a `Document.text` to offsets in the file as it is: with its byte order mark and its `\\r\\n`."""

    def __init__(self, raw: str) -> None:
        self._mark = 1 if raw.startswith("\ufeff") else 0
        self._breaks = [found.start() - self._mark - number for number, found in enumerate(re.finditer("\r\n", raw))]

    def at(self, offset: int) -> int:
        """The same character in the raw text."""
        return offset + self._mark + bisect_left(self._breaks, offset)

    def edits(self, edits: Iterable[Edit]) -> list[Edit]:
        """Edits of the normal text as edits of the raw one."""
        return [Edit(self.at(edit.start), self.at(edit.end), edit.text) for edit in sorted(set(edits))]
