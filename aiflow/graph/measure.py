"""How wide texts are, about, and how they are cut into lines. Pixels; no font is at hand, so rather more than less."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_NARROW = frozenset("fijltrI.,:;|!'`()[]/\\ -")
_WIDE = frozenset("mwMW@%—…→")
_SHORT_BRACES = re.compile(r"\{\{ ?[^{}]{1,24} ?\}\}")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a text is in the usual sans-serif fonts, rather more than less."""
    return size * (1.12 if bold else 1.05) * sum(_em(char) for char in text)


def _em(char: str) -> float:
    if char in _NARROW:
        return 0.34
    if char in _WIDE:
        return 0.95
    if unicodedata.east_asian_width(char) in "WF":
        return 1.05
    if unicodedata.combining(char):
        return 0
    return 0.7 if char.isupper() else 0.58


def shortened(text: str, width: float, size: float, bold: bool = False) -> str:
    """The text, or what fits of it with an ellipsis."""
    if text_width(text, size, bold) <= width:
        return text
    while text and text_width(text + "…", size, bold) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def wrap(facts: Sequence[str], width: float, size: float, most: int) -> list[str]:
    """Facts in lines, divided by dots; cut within a fact only when it is longer than a line, and after `most` lines."""
    lines: list[str] = []
    for fact in facts:
        if lines and text_width(f"{lines[-1]} · {fact}", size) <= width:
            lines[-1] += f" · {fact}"
        else:
            lines += folded(fact, width, size)
    return _cut_off(lines, width, size, most)


def folded(text: str, width: float, size: float) -> list[str]:
    """A text in lines, cut between words; a word that is too long is cut where it has to be."""
    lines: list[str] = []
    for word in _pieces(text):
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
            continue
        while text_width(word, size) > width:
            piece = shortened(word, width, size).removesuffix("…")
            lines.append(piece)
            word = word[len(piece) :]
        lines.append(word)
    return lines


def _pieces(text: str) -> list[str]:
    """The words of a text; an expression in braces counts as one as long as it is short."""
    return [word.replace("\0", " ") for word in _SHORT_BRACES.sub(lambda found: found[0].replace(" ", "\0"), text).split()]


def _cut_off(lines: list[str], width: float, size: float, most: int) -> list[str]:
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], shortened(lines[most - 1] + " …" + " " * 200, width, size).replace(" ……", "…").replace(" …", "…")]
