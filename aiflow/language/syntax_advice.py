"""What people write who come from other languages, and how it is written here."""

from __future__ import annotations

import re
from collections.abc import Iterator

_STRING = r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
_CODE = re.compile(r"\{\{|\{%")
_INSIDE = re.compile(_STRING + r"|(?P<end>\}\}|%\})", re.DOTALL)

_FOREIGN = re.compile(
    _STRING
    + r"|(?P<compare>=[<>](?=\s*-?[\d'\"]))"
    r"|(?P<and>&&?)|(?P<or>\|\|)|(?P<strict>===|!==)|(?P<unequal><>)|(?P<not>!(?!=))|(?P<match>=~)|(?P<arrow>=>|->)"
    r"|(?P<coalesce>\?\?)|(?P<optional>\?\.)|(?P<ternary>\?)|(?P<step>\+\+)|(?P<dollar>\$\{?)|(?P<tick>`)"
    r"|(?P<upper>\b(?:AND|OR|NOT|IN|IS)\b)|(?P<word>\b(?:contains|startswith|endswith|eq|neq|gt|lt)\b(?=\s+[\w'\"(]))"
    r"|(?P<assign>(?<![=!<>])=(?![=~>]))",
    re.DOTALL,
)
_CALL = re.compile(r"[(,]\s*\w+\s*$")

_REMEDIES = {
    "match": "a is matches('...')",
    "arrow": "items | map(attribute='name')",
    "coalesce": "a | default(b)",
    "optional": "a.b | default(...)",
    "ternary": "b if a else c",
    "step": "a + 1",
    "dollar": "names without `$`",
    "tick": "'text'",
}
_WORDS = {"contains": "b in a", "startswith": "a is matches('^...')", "endswith": "a is matches('...$')",
          "eq": "a == b", "neq": "a != b", "gt": "a > b", "lt": "a < b"}  # fmt: skip


def advice(text: str, bare: bool) -> tuple[str, int, int, str] | None:
    """For a text that does not parse: message, offset, length and corrected text of the first foreign operator."""
    for start, end in [(0, len(text))] if bare else regions(text):
        for match in _FOREIGN.finditer(text, start, end):
            kind = match.lastgroup or ""
            if kind == "string" or (kind == "assign" and _CALL.search(text[start : match.start()])):
                continue
            sign = match[0]
            same = ("and", "or", "strict", "unequal", "not", "upper", "assign", "dollar", "compare")
            fixed = _fixed(text, bare) if kind in same else ""
            fixed = fixed or _REMEDIES.get(kind) or _WORDS.get(sign, "")
            if kind == "and" and sign == "&":
                fixed = ""
            return f"`{sign}` is not an operator", match.start(), len(sign), fixed
    return None


def regions(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of what stands between braces."""
    at = 0
    while opening := _CODE.search(text, at):
        start = at = opening.end()
        end = len(text)
        for match in _INSIDE.finditer(text, start):
            if match["end"]:
                end = match.start()
                break
        yield opening.start(), end
        at = max(at, end)


def _fixed(text: str, bare: bool) -> str:
    """The text with operators that mean the same here."""
    if bare:
        return _translated(text, 0, len(text))
    start, end = next(((s, e) for s, e in regions(text) if _translated(text, s, e) != text[s:e]), (0, len(text)))
    return _translated(text, start, end) + text[end : end + 2]


def _translated(text: str, start: int, end: int) -> str:
    parts, at = [], start
    for match in _FOREIGN.finditer(text, start, end):
        new = _same(match.lastgroup or "", match[0], text[start : match.start()])
        if new is not None:
            spaced = new.isalpha()
            before = text[at : match.start()]
            parts.append(before.rstrip() + " " if spaced and before.strip() else before)
            parts.append(new + " " if spaced else new)
            at = match.end()
            while spaced and at < end and text[at].isspace():
                at += 1
    return "".join(parts) + text[at:end]


def _same(kind: str, sign: str, before: str) -> str | None:
    match kind:
        case "and":
            return "and" if sign == "&&" else None
        case "or":
            return "or"
        case "not":
            return "not"
        case "strict":
            return sign[:2]
        case "unequal":
            return "!="
        case "upper":
            return sign.lower()
        case "compare":
            return sign[::-1]
        case "dollar" if sign == "$":
            return ""
        case "assign":
            return None if _CALL.search(before) else "=="
    return None
