"""Helpers on the source text of a YAML file: places, pieces of lines, quoting; and reading the file itself.

Places are offsets into the text (characters); `Places` makes lines and columns of them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from aiflow.errors import SpecError
from aiflow.language.problems import Problem

MAX_BYTES = 256 * 1024  # of one file; RELIABILITY S1: far above any file a person writes


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at the characters `start` to `end` of a text."""

    start: int
    end: int
    message: str
    code: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Repair:
    """A fault, and the span to read as a plain text (start < 0: reading on makes no sense).

    `meant` is that text; None: as written.
    """

    fault: Fault
    start: int = -1
    end: int = -1
    meant: str | None = None


class Places:
    """Turns offsets of a text into lines and columns, both from 1."""

    def __init__(self, text: str) -> None:
        self.starts = [0, *(m.end() for m in re.finditer("\n", text))]

    def at(self, offset: int) -> tuple[int, int]:
        """Line and column of a character."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def problem(self, fault: Fault, shown: str) -> Problem:
        """The fault as a problem of the file `shown`."""
        line, column = self.at(fault.start)
        length = max(1, fault.end - fault.start)
        return Problem(shown, line, column, fault.message, fault.code, fault.hint, length=length)


def quoted(text: str) -> str:
    """The text as a quoted YAML scalar, with as little escaping as possible."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    if "'" not in text:
        return f"'{text}'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def line_span(text: str, offset: int) -> tuple[int, int]:
    """Start and end (before the line break) of the line that holds the character."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    return start, len(text) if end < 0 else end


_LEAD = re.compile(r"""(?:^|(?<=[\s{\[,]))("[^"\n]*"|'[^'\n]*'|[^\s"'{}\[\],#&*!|>%@`-][^{}\[\],:\n]*?)\s*:\s+$""")


_LOOK_BACK = 400  # characters of a line that are looked at for a key or bracket before a value


def in_flow(text: str, offset: int) -> bool:
    """Whether a `{` or `[` is open before the character on its line, as far as can be seen at a glance."""
    before = text[max(line_span(text, offset)[0], offset - _LOOK_BACK) : offset]
    return re.search(r"[\[{][^\]}]*$", before) is not None


def lead(text: str, offset: int) -> str:
    """What stands before a value on its line: `key: `, `- ` or nothing."""
    before = text[max(line_span(text, offset)[0], offset - _LOOK_BACK) : offset]
    before = re.sub(r"&\S+\s+$", "", before)
    if found := _LEAD.search(before):
        return f"{found[1]}: "
    return "- " if re.search(r"(^|\s)-\s+$", before) else ""


def key_of(text: str, offset: int) -> str:
    """The key whose value starts at `offset` on the same line, or nothing."""
    return lead(text, offset).removesuffix(": ").removesuffix("- ").strip("\"'")


def value_end(text: str, start: int, *, flow: bool) -> int:
    """Where an unquoted value that starts at `start` was meant to end, on its line.

    In a flow collection that is the next `,`, `]` or `}` outside of templates, brackets and quotes.
    """
    line_end = line_span(text, start)[1]
    piece = text[start:line_end]
    if not flow:
        comment = re.search(r"[ \t]#(?=\s|$)", piece)
        return start + len((piece[: comment.start()] if comment else piece).rstrip())
    depth, quote, at = 0, "", 0
    while at < len(piece):
        char = piece[at]
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            if depth == 0:
                break
            depth -= 1
        elif char == "," and depth == 0:
            break
        at += 1
    return start + len(piece[:at].rstrip())


_BAD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def normal(text: str) -> str:
    """The text with `\\n` as its only line break and without a byte order mark."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def bad_characters(text: str) -> list[Fault]:
    """Characters that YAML refuses, or that its versions read differently (line separators)."""
    found = []
    for match in _BAD.finditer(text):
        char = match[0]
        escape = f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"
        hint = "remove it; it cannot be seen in most editors"
        if not "\ud800" <= char <= "\udfff":
            hint += f' (in a text in double quotes it can be written as "{escape}")'
        message = f"the character U+{ord(char):04X} cannot stand in a YAML file"
        found.append(Fault(match.start(), match.end(), message, "character", hint))
        if len(found) == 20:
            break
    return found


def decode_source(raw: bytes, shown: str) -> str:
    """The text of a file that must be UTF-8.

    Raises: SpecError: another encoding, or more than 256 kB.
    """
    if len(raw) > MAX_BYTES:
        raise SpecError([too_large(shown)])
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or raw[:4].count(0) >= 2:
        hint = "save it as UTF-8 (in PowerShell: Set-Content -Encoding utf8)"
        raise SpecError([Problem(shown, 1, 1, "this file is in UTF-16 or UTF-32, not in UTF-8", "encoding", hint)])
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"the byte 0x{raw[error.start]:02x} is not UTF-8"
        hint = "save the file as UTF-8; it looks like an older encoding such as Latin-1"
        raise SpecError([Problem(shown, line, column, message, "encoding", hint)]) from None


def read_source(path: Path, shown: str) -> str:
    """The text of a file of the definition: a regular file, UTF-8, at most 256 kB.

    Raises: SpecError: missing, no regular file (devices and pipes are not opened), too large, not UTF-8.
    """
    try:
        if not path.exists():
            raise SpecError([Problem(shown, 1, 1, f"{shown} does not exist", "missing-file")])
        if not path.is_file():
            raise SpecError([Problem(shown, 1, 1, f"{shown} is not a file", "missing-file")])
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError([Problem(shown, 1, 1, f"{shown} cannot be read: {reason}", "missing-file")]) from None
    return decode_source(raw, shown)


def too_large(shown: str) -> Problem:
    """The problem of a file above the limit."""
    hint = "put long texts into prompt files, data into data files"
    return Problem(shown, 1, 1, "this file is larger than 256 kB", "too-large", hint)
