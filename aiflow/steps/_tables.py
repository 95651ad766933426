"""Rows: CSV and JSON lines, read and written."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from aiflow.steps._text import Unreadable
from aiflow.values import File, Value, plain

csv.field_size_limit(64 * 1024 * 1024)  # the default refuses cells above 128 kB: texts of documents are longer

_encoder = msgspec.json.Encoder()


def csv_rows(lines: Iterable[str], limit: int | None, delimiter: str = ",") -> list[dict[str, str]]:
    """Rows by the names in the first row. Values are texts.

    Cells too many are dropped, missing ones are "". An entirely empty line is skipped, a line of blanks is kept.
    Raises: Unreadable: a quote that is not closed, and the like.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = next((row for row in reader if row), [])
        names = _unique(header)
        width = len(names)
        filled = (row + [""] * (width - len(row)) if len(row) < width else row for row in reader if row)
        return [dict(zip(names, row, strict=False)) for row in islice(filled, limit)]
    except csv.Error as error:
        raise Unreadable(f"line {reader.line_num}: {error}") from error


def delimiter_of(head: str) -> str:
    """The delimiter by the first line: a comma, unless there is none and a semicolon or tab is."""
    first = next((line for line in head.splitlines() if line.strip()), "")
    return next((sign for sign in ",;\t" if sign in first), ",")


def json_lines(lines: Iterable[str], limit: int | None) -> list[Value]:
    """One value per line; empty lines are skipped. Raises: Unreadable, with the line's number."""
    return list(islice(_json_lines(lines), limit))


def _json_lines(lines: Iterable[str]) -> Iterator[Value]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield msgspec.json.decode(line)
            except (msgspec.MsgspecError, RecursionError, ValueError) as error:
                raise Unreadable(f"line {number}: {error}") from error


def to_csv(rows: list[Mapping[str, Value]], header: list[str], *, with_header: bool) -> str:
    """The rows as CSV with `\\n` line ends; null is empty, maps and lists are JSON, files their path.

    Texts are written as they are, also those that a spreadsheet takes for a formula (`=1+1`): what is read again is
    what was written.
    """
    made = io.StringIO()
    writer = csv.writer(_Lines(made), lineterminator="\r\n")  # so that both signs are quoted in cells
    if with_header:
        writer.writerow(header)
    for row in rows:
        writer.writerow([cell_text(row.get(name)) for name in header])
    return made.getvalue()


class _Lines:
    """Gives what the writer makes of a row on, with `\\n` as its line end."""

    def __init__(self, made: io.StringIO) -> None:
        self._made = made

    def write(self, line: str) -> None:
        self._made.write(line.removesuffix("\r\n") + "\n")


def to_json_lines(values: list[Value]) -> str:
    """One compact JSON value per line, each with its line end."""
    return "".join(_encoder.encode(plain(value)).decode() + "\n" for value in values)


def columns(rows: list[Mapping[str, Value]]) -> list[str]:
    """All keys, in the order in which they first appear."""
    return list(dict.fromkeys(name for row in rows for name in row))


def cell_text(value: Value) -> str:
    """A value in one cell."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case File():
            return value.path
        case dict() | list():
            return _encoder.encode(plain(value)).decode()
    return str(value)


def _unique(header: list[str]) -> list[str]:
    """Column names, an unnamed one called by its place, one that comes again with a number."""
    names: dict[str, Any] = {}
    for place, name in enumerate(header, start=1):
        wanted = name = name or f"column_{place}"
        count = 1
        while name in names:
            count += 1
            name = f"{wanted}_{count}"
        names[name] = None
    return list(names)
