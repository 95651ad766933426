"""read: the content of a file, or the rows of a query."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from aiflow import __version__
from aiflow.errors import StepError
from aiflow.steps import _tables, _text
from aiflow.steps._kind import Context, Done, Outcome, StepKind
from aiflow.steps._paths import FILE_SCHEMA, describe, local_path, nearest_name, shown_path
from aiflow.steps._stores import refuse_store, scheme_of, sqlite_path
from aiflow.steps._text import Unreadable
from aiflow.steps._threads import in_thread
from aiflow.values import File, Value

FORMATS = {
    "json": "json", "jsonl": "jsonl", "ndjson": "jsonl", "csv": "csv", "tsv": "csv", "yaml": "yaml", "yml": "yaml",
}  # fmt: skip
"""What an extension is read as; everything else is text."""

MEGABYTE = 1024 * 1024
LIMITS = {"text": 200 * MEGABYTE, "json": 100 * MEGABYTE, "jsonl": 100 * MEGABYTE, "csv": 100 * MEGABYTE, "yaml": 10 * MEGABYTE}
"""Bytes up to which a file is read. As Python values, CSV and JSON take about ten times their size in memory."""


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Read a file or ask a database. Output: the content; null when it is not there and `optional` is true."""
    scheme = scheme_of(config["from"])

    async def identity() -> Value:
        return await in_thread(_identity, ctx, config, scheme)

    async def call() -> Done:
        if scheme is not None:
            return Done(await _query(ctx, config, scheme))
        return Done(await in_thread(_file, ctx, config))

    try:
        return await ctx.cached(identity, call)
    except StepError as error:
        if config.get("optional") and error.type == "not_found":
            return Done(None)
        raise


def _identity(ctx: Context, config: Mapping[str, Value], scheme: str | None) -> Value:
    """A file counts by its content and how it is read, a database by its name and the question.

    None for what cannot be read (reading will say so) and where nothing would be saved.
    """
    source, limit = config["from"], config.get("limit")
    try:
        if scheme is not None:
            path = sqlite_path(ctx, source, "not_found") if scheme == "sqlite" else None
            asked = {"query": config.get("query"), "params": config.get("params"), "limit": limit}
            return {"database": shown_path(ctx, path), **asked} if path is not None and path.is_file() else None
        path = local_path(ctx, source, "not_found")
        form = _form(config, path)
        if form == "file" or config.get("query") is not None or _size(path, "") > LIMITS["text"]:
            return None
        sha256 = describe(ctx, path).sha256
        if isinstance(source, File) and source.sha256 != sha256:
            return None
        return {"sha256": sha256, "as": form, "ext": path.suffix[1:].lower(), "limit": limit, "aiflow": __version__}
    except (OSError, Unreadable, StepError):
        return None


def _form(config: Mapping[str, Value], path: Path) -> str:
    return str(config.get("as") or FORMATS.get(path.suffix[1:].lower(), "text"))


def _file(ctx: Context, config: Mapping[str, Value]) -> Value:
    if config.get("query") is not None:
        raise StepError("unreadable", "`query` asks a database, and this is a file", hint="write `from: sqlite:data/x.db`")
    path = local_path(ctx, config["from"], "not_found")
    shown = shown_path(ctx, path)
    form = _form(config, path)
    try:
        size = _size(path, shown)
        if form == "file":
            return describe(ctx, path)
        return _content(ctx, config, path, form, size)
    except Unreadable as error:
        raise StepError("unreadable", f"`{shown}` cannot be read: {error}") from error
    except OSError as error:
        raise StepError("unreadable", f"`{shown}` cannot be read: {error.strerror or error}") from error


def _size(path: Path, shown: str) -> int:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StepError("not_found", f"there is no file `{shown}`", hint=nearest_name(path)) from error
    if stat.S_ISDIR(found.st_mode):
        raise StepError("unreadable", f"`{shown}` is a folder", hint=f'list its files with `files: "{shown}/*"`')
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable("it is no ordinary file")
    return found.st_size


def _content(ctx: Context, config: Mapping[str, Value], path: Path, form: str, size: int) -> Value:
    limit = config.get("limit")
    most = LIMITS[form]
    if size > most:
        if form in ("csv", "jsonl") and limit is not None:
            return _first_rows(path, form, limit)
        more = "; set `limit` to read the first rows" if form in ("csv", "jsonl") else ""
        raise Unreadable(f"it has {size // MEGABYTE} MB; the limit for {form} is {most // MEGABYTE} MB{more}")
    raw = path.read_bytes()
    if isinstance(config["from"], File):
        _check_unchanged(config["from"], raw)
    value = _parsed(raw, form, path.suffix[1:].lower(), limit)
    if value == "" and raw.startswith(b"%PDF"):
        ctx.log(f"{shown_path(ctx, path)} has no text: its pages are pictures", level="warning")
    return value


def _check_unchanged(file: File, raw: bytes) -> None:
    import hashlib

    if hashlib.sha256(raw).hexdigest() != file.sha256:
        raise StepError("file_changed", f"`{file.path}` has changed since this run found it")


def _parsed(raw: bytes, form: str, ext: str, limit: int | None) -> Value:
    if form == "text":
        return _as_text(raw, ext)
    text = _text.decode_text(raw)
    match form:
        case "json":
            value = _json(text)
            return value[:limit] if limit is not None and isinstance(value, list) else value
        case "jsonl":
            return _tables.json_lines(io.StringIO(text), limit)
        case "csv":
            delimiter = "\t" if ext == "tsv" else _tables.delimiter_of(text[:65_536])
            return _tables.csv_rows(io.StringIO(text, newline=""), limit, delimiter)
    from aiflow.steps._yaml import yaml_value

    return yaml_value(text)


def _as_text(raw: bytes, ext: str) -> str:
    """Documents by their extension, everything else decoded. An empty file is an empty text, whatever its name."""
    if not raw:
        return ""
    match ext:
        case "pdf":
            from aiflow.steps._pdf import pdf_text

            return pdf_text(raw)
        case "docx":
            from aiflow.steps._docx import docx_text

            return docx_text(raw)
        case "html" | "htm" | "xhtml":
            from aiflow.steps._html import html_text

            return html_text(raw)
    return _text.decode_text(raw)


def _json(text: str) -> Value:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise Unreadable(f"no valid JSON: {error}") from error


def _first_rows(path: Path, form: str, limit: int) -> list[Any]:
    """The first rows of a file too large to be read whole, line by line."""
    with path.open("rb") as stream:
        head = stream.read(65_536)
    encoding = _text.encoding_of(head)
    try:
        with path.open(encoding=encoding, newline="") as lines:
            if form == "jsonl":
                return _tables.json_lines(lines, limit)
            delimiter = "\t" if path.suffix == ".tsv" else _tables.delimiter_of(head.decode(encoding, "ignore"))
            return _tables.csv_rows(lines, limit, delimiter)
    except UnicodeDecodeError as error:
        raise Unreadable("it is no UTF-8 text") from error


async def _query(ctx: Context, config: Mapping[str, Value], scheme: str) -> list[dict[str, Value]]:
    if scheme != "sqlite":
        raise refuse_store(config["from"], scheme, "unreadable")
    path = sqlite_path(ctx, config["from"], "not_found")
    if not path.is_file():
        raise StepError("not_found", f"there is no database `{shown_path(ctx, path)}`", hint=nearest_name(path))
    query = config.get("query")
    if not isinstance(query, str) or not query.strip():
        raise StepError("unreadable", "reading a database needs a `query`", hint="e.g. `query: select id, name from leads`")
    return await _ask(path, query, config, shown_path(ctx, path))


async def _ask(path: Path, query: str, config: Mapping[str, Value], shown: str) -> list[dict[str, Value]]:
    from aiflow.steps._sqlite import Query, TooManyRows

    try:
        asked = await in_thread(Query, path)
        try:
            return await in_thread(asked.rows, query, config.get("params"), config.get("limit"))
        except asyncio.CancelledError:
            asked.interrupt()
            raise
    except TooManyRows as error:
        raise StepError("unreadable", str(error)) from error
    except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeEncodeError) as error:
        busy = "locked" in str(error)
        raise StepError("unreadable", f"the query on `{shown}` failed: {error}", transient=busy) from error


def output_schema(config: Mapping[str, Value]) -> Mapping[str, Any] | None:
    """What a step with this (unrendered) config gives, as far as its format can be seen."""
    place = config.get("from")
    form = config.get("as") or (_visible_form(place) if isinstance(place, str) else None)
    schemas: dict[str, dict[str, Any]] = {
        "text": {"type": "string"},
        "csv": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}},
        "jsonl": {"type": "array"},
        "rows": {"type": "array", "items": {"type": "object"}},
        "file": dict(FILE_SCHEMA),
    }
    return schemas.get(str(form)) if config.get("optional", False) is False else None


def _visible_form(place: str) -> str | None:
    if scheme_of(place):
        return "rows"
    ext = place.rpartition(".")[2].lower() if "." in place.rpartition("/")[2] else ""
    return None if "{" in ext or "}" in ext or not ext else FORMATS.get(ext, "text")


KIND = StepKind(
    name="read",
    summary="Read a file or ask a database.",
    run=run,
    short="from",
    fixed=frozenset({"query"}),
    schema={
        "properties": {
            "from": {
                "description": "A path relative to the project folder, a file from an earlier step, or a store: "
                "`sqlite:data/crm.db`.",
                "anyOf": [{"type": "string"}, {"type": "object"}],
                "examples": ["data/questions.jsonl", "{{ inputs.path }}", "sqlite:data/crm.db"],
            },
            "as": {
                "examples": ["csv"],
                "description": "How to read it. Without this the extension decides: json, jsonl, csv, yaml; everything else "
                "is text. pdf, docx and html give their text. `file` gives the file itself.",
                "enum": ["text", "json", "jsonl", "csv", "yaml", "file"],
            },
            "query": {
                "description": "The question to a database, in SQL, without templates: values come from `params`.",
                "type": "string",
                "examples": ["select id, name from leads where score > :least"],
            },
            "params": {
                "description": "Values for the query: a map for `:name`, a list for `?`.",
                "anyOf": [{"type": "object"}, {"type": "array"}],
                "examples": [{"least": 80}],
            },
            "limit": {
                "description": "Rows at most (csv, jsonl, queries, lists in json).",
                "type": "integer",
                "minimum": 0,
                "examples": [200],
            },
            "optional": {
                "description": "Give null instead of failing when there is no such file.",
                "type": "boolean",
                "examples": [True],
            },
        },
        "required": ["from"],
    },
    cacheable=True,
    output_schema=output_schema,
    errors=("not_found", "unreadable", "file_changed"),
    example="- id: prices\n  read: {from: workflows/samples/price-list.csv, limit: 100}\n",
)
