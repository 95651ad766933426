"""Bytes of unknown encoding to text, or a reason why they are no text."""

from __future__ import annotations

import codecs

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks and what they announce; UTF-32 first, since its mark begins like that of UTF-16."""

_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b")) + b"\x7f"
"""What texts do not hold. ESC stays: logs are coloured."""

MOST_CONTROLS = 0.02
"""Share of control characters up to which UTF-8 still counts as text: PDF exports leave a few."""

MOST_HIGH = 0.35
"""Share of bytes above 127 up to which bytes that are not UTF-8 may be Windows-1252."""


class Unreadable(ValueError):
    """The content is not what it should be; the message says why, to follow `x cannot be read: `."""


def encoding_of(head: bytes) -> str:
    """`utf-8-sig`, `utf-16` or `utf-32` by the mark at the start, else `utf-8`."""
    return next((name for mark, name in MARKS if head.startswith(mark)), "utf-8")


def decode_text(raw: bytes) -> str:
    """The text of a file, without byte order mark; line ends stay as they are.

    UTF-8, or what the byte order mark says; else Windows-1252 when it looks like text.
    Raises: Unreadable.
    """
    encoding = encoding_of(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise Unreadable(f"it begins as {encoding.upper()} and is damaged at byte {error.start}") from error
        return _windows_text(raw)
    if encoding in ("utf-8", "utf-8-sig"):
        _refuse_binary(raw)
    elif "\0" in text:
        raise Unreadable("it has NUL characters: this is no text")
    return text


def _refuse_binary(raw: bytes) -> None:
    if b"\0" in raw:
        raise Unreadable("it has NUL bytes: this is no text")
    controls = len(raw) - len(raw.translate(None, _CONTROLS))
    if controls > len(raw) * MOST_CONTROLS:
        raise Unreadable(f"{controls} of its {len(raw)} bytes are control characters: this is no text")


def _windows_text(raw: bytes) -> str:
    ascii_only = raw.translate(None, bytes(range(128, 256)))
    controls = len(ascii_only) - len(ascii_only.translate(None, _CONTROLS))
    if controls or len(raw) - len(ascii_only) > len(raw) * MOST_HIGH:
        raise Unreadable("it is neither UTF-8 nor another text")
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError as error:
        raise Unreadable("it is neither UTF-8 nor Windows-1252 text") from error
