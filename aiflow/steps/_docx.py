"""The text of a Word document: headings as `#`, lists as `-`, tables as rows with `|`."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING

from aiflow.steps._text import Unreadable

if TYPE_CHECKING:
    from docx.table import Table
    from docx.text.paragraph import Paragraph

MOST_BYTES = 300 * 1024 * 1024
"""Unpacked size up to which a document is opened: a small file can unpack to gigabytes."""


def docx_text(raw: bytes) -> str:
    """Paragraphs and tables in their order, an empty line between blocks.

    Raises: Unreadable: damaged, an old `.doc`, protected, or unreasonably large inside.
    """
    import docx
    from docx.table import Table

    _check_package(raw)
    try:
        document = docx.Document(io.BytesIO(raw))
        blocks = [_table(block) if isinstance(block, Table) else _paragraph(block) for block in document.iter_inner_content()]
    except Exception as error:  # python-docx raises KeyError, ValueError, lxml and zip errors for damaged parts
        raise Unreadable("the Word document is damaged") from error
    return _joined([block for block in blocks if block])


def _check_package(raw: bytes) -> None:
    if raw.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable("it is an old `.doc`, or protected by a password; save it as `.docx` without one")
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as package:
            size = sum(part.file_size for part in package.infolist())
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise Unreadable("the Word document is damaged, or none") from error
    if size > MOST_BYTES:
        raise Unreadable(f"the Word document unpacks to {size} bytes; the limit is {MOST_BYTES}")


def _paragraph(paragraph: Paragraph) -> str:
    text = str(paragraph.text).strip()
    style = str(paragraph.style.name or "") if paragraph.style is not None else ""
    heading = re.fullmatch(r"Heading (\d)", style)
    if not text:
        return ""
    if style == "Title" or heading:
        return "#" * (int(heading[1]) if heading else 1) + " " + text
    if style.startswith("List") or paragraph._p.pPr is not None and paragraph._p.pPr.numPr is not None:
        return "- " + text
    return text


def _table(table: Table) -> str:
    rows = []
    for row in table.rows:
        cells: list[str] = []
        seen: set[int] = set()
        for cell in row.cells:
            if id(cell._tc) not in seen:  # merged cells come once per column
                seen.add(id(cell._tc))
                cells.append(" ".join(cell.text.split()))
        rows.append(" | ".join(cells))
    return "\n".join(rows)


def _joined(blocks: list[str]) -> str:
    made = ""
    for place, block in enumerate(blocks):
        in_list = place > 0 and block.startswith("- ") and blocks[place - 1].startswith("- ")
        made += ("\n" if in_list else "\n\n" if place else "") + block
    return made
