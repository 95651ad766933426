"""The text of a PDF."""

from __future__ import annotations

import re
import threading
from typing import Any

from aiflow.steps._text import Unreadable

_lock = threading.Lock()
"""PDFium is not thread-safe: one call at a time. Taken page by page, so that a long document does not hold up others."""

_BREAKS = re.compile("[\ufffe\ufffd\x02\xad]\r?\n?")
"""Marks that PDFium puts where a word was cut at the end of a line."""


def pdf_text(raw: bytes) -> str:
    """All pages, an empty line between two; empty when the pages are pictures.

    Raises: Unreadable: damaged, or protected by a password.
    """
    import pypdfium2

    with _lock:
        try:
            document = pypdfium2.PdfDocument(raw)
            count = len(document)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower():
                raise Unreadable("the PDF is protected by a password") from error
            raise Unreadable("the PDF is damaged, or no PDF") from error
    try:
        pages = [_page_text(document, number) for number in range(count)]
    finally:
        with _lock:
            document.close()
    return "\n\n".join(page for page in pages if page)


def _page_text(document: Any, number: int) -> str:
    with _lock:
        try:
            page = document[number]
            textpage = page.get_textpage()
            text: str = textpage.get_text_bounded()
            textpage.close()
            page.close()
        except RuntimeError as error:  # PdfiumError
            raise Unreadable(f"page {number + 1} of the PDF is damaged") from error
    text = _BREAKS.sub("", text).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()
