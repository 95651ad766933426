"""The readable text of a web page: headings as `#`, lists as `-`, tables as rows with `|`, no scripts or styles."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from aiflow.steps._text import Unreadable, decode_text

DROPPED = frozenset("script style head noscript template svg math iframe object canvas audio video select button".split())
BLOCKS = frozenset(
    "address article aside blockquote body details dd div dl dt fieldset figcaption figure footer form header hr li main nav "
    "ol p pre section summary table ul h1 h2 h3 h4 h5 h6 tr caption thead tbody tfoot".split()
)
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9_-]{2,40})", re.IGNORECASE)


@dataclass
class _Text:
    """Text under construction. `gap`: line ends owed before the next word; `space`: a blank is owed."""

    parts: list[str] = field(default_factory=list)
    gap: int = 0
    space: bool = False

    def words(self, text: str | None, *, verbatim: bool = False) -> None:
        if not text:
            return
        if verbatim:
            self._put(text)
            return
        squeezed = " ".join(text.split())
        if squeezed:
            self.space = self.space or text[0].isspace()
            self._put(squeezed)
        self.space = self.space or text[-1].isspace()

    def lines(self, count: int) -> None:
        self.gap = max(self.gap, count)

    def _put(self, text: str) -> None:
        if self.parts and self.gap:
            self.parts.append("\n" * self.gap)
        elif self.parts and self.space:
            self.parts.append(" ")
        self.gap, self.space = 0, False
        self.parts.append(text)


def html_text(raw: bytes) -> str:
    """What a reader would see. Raises: Unreadable: no text, or nothing that can be parsed."""
    from lxml import etree, html  # type: ignore[import-untyped]

    text = _decoded(raw)
    if not text.strip():
        return ""
    try:
        root = html.document_fromstring(re.sub(r"^\s*<\?xml[^>]*>", "", text))
    except etree.ParserError:  # nothing but a comment
        return ""
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable("there is no HTML in it") from error
    made = _Text()
    title = root.findtext(".//title")
    if title and title.strip() and root.find(".//h1") is None:
        made.words("# " + title.strip())
        made.lines(2)
    _walk(root, made, depth=0)
    return "".join(made.parts).strip()


def _decoded(raw: bytes) -> str:
    declared = _CHARSET.search(raw[:4096])
    if declared:
        try:
            text = raw.decode(declared[1].decode())
        except (LookupError, UnicodeDecodeError):
            return decode_text(raw)
        if "\0" not in text:
            return text
    return decode_text(raw)


def _walk(node: Any, made: _Text, depth: int) -> None:
    tag = node.tag if isinstance(node.tag, str) else None
    if tag is None or tag in DROPPED or "hidden" in node.attrib or depth > 400:
        return
    match tag:
        case "br":
            made.lines(1)
        case "pre":
            made.lines(2)
            made.words(node.text_content().strip("\n"), verbatim=True)
            made.lines(2)
        case "tr":
            _row(node, made)
        case "img":
            made.words(node.get("alt"))
        case _:
            _block(node, tag, made, depth)


def _block(node: Any, tag: str, made: _Text, depth: int) -> None:
    gap = 1 if tag in ("li", "dt", "dd", "thead", "tbody", "tfoot") else 2 if tag in BLOCKS else 0
    if tag in ("ul", "ol") and node.getparent() is not None and node.getparent().tag == "li":
        gap = 1
    made.lines(gap)
    if re.fullmatch("h[1-6]", tag) and node.text_content().strip():
        made.words("#" * int(tag[1]) + " ")
    elif tag == "li" and node.text_content().strip():
        made.words("- ")
    made.words(node.text)
    for child in node:
        _walk(child, made, depth + 1)
        made.words(child.tail)
    made.lines(gap)


def _row(node: Any, made: _Text) -> None:
    made.lines(1)
    cells = [" ".join(cell.text_content().split()) for cell in node if cell.tag in ("td", "th")]
    made.words(" | ".join(cells))
    made.lines(1)
