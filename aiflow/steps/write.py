"""write: a file, or rows of a table."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from aiflow.errors import StepError
from aiflow.steps import _tables
from aiflow.steps._atomic import append, replacing, write_error
from aiflow.steps._kind import Context, Done, Outcome, StepKind
from aiflow.steps._paths import FILE_SCHEMA, describe, shown_path, target_path
from aiflow.steps._stores import refuse_store, scheme_of, sqlite_path
from aiflow.steps._threads import in_thread
from aiflow.values import File, Value, plain, type_name


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Write. Output: the file, or `{rows}` for a table. All or nothing."""
    if ("data" in config) == ("text" in config):
        raise StepError("write_error", "a step `write` has either `data` or `text`")
    if (scheme := scheme_of(config["to"])) is not None:
        return Done(await in_thread(_table, ctx, config, scheme))
    if config.get("table") is not None or config.get("key") is not None:
        raise StepError("write_error", "`table` and `key` are for databases", hint="write `to: sqlite:data/library.db`")
    return Done(await in_thread(_file, ctx, config))


def repeatable(config: Mapping[str, Value]) -> bool:
    """Whether writing once more changes nothing: files are replaced, rows with a key updated; what is added is not."""
    if scheme_of(config.get("to")) is not None:
        return config.get("key") is not None
    return not config.get("append")


def _file(ctx: Context, config: Mapping[str, Value]) -> File:
    path = target_path(ctx, config["to"], "write_error", "to")
    shown = shown_path(ctx, path)
    try:
        if config.get("append"):
            append(path, lambda head: _addition(config, path, head))
            return describe(ctx, path)
        content = _content(config, path)
        with replacing(path) as stream:
            stream.write(content)
        return describe(ctx, path, content)
    except OSError as error:
        raise write_error(shown, error) from error
    except UnicodeEncodeError as error:
        raise StepError("write_error", f"`{shown}` was not written: the text has half a character (surrogate)") from error


def _content(config: Mapping[str, Value], path: Path) -> bytes:
    if "text" in config:
        return _text(config["text"]).encode()
    data = config["data"]
    match path.suffix.lower():
        case ".json":
            return msgspec.json.format(msgspec.json.encode(plain(data)), indent=2) + b"\n"
        case ".jsonl" | ".ndjson":
            return _tables.to_json_lines(_list(data, path)).encode()
        case ".csv":
            rows = _rows(data, path.name)
            header = _tables.columns(rows)
            return _tables.to_csv(rows, header, with_header=bool(header)).encode()
    raise _no_format(path, data)


def _addition(config: Mapping[str, Value], path: Path, head: bytes) -> bytes:
    """What to add to the file that begins with `head`."""
    if "text" in config:
        text = _text(config["text"])
        return (text if text.endswith("\n") or not text else text + "\n").encode()
    data = config["data"] if isinstance(config["data"], list) else [config["data"]]
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return _tables.to_json_lines(data).encode()
        case ".csv":
            return _more_csv(_rows(data, path.name), path, head)
        case ".json":
            raise StepError("write_error", f"nothing can be added to `{path.name}`", hint="use the extension `.jsonl`")
    raise _no_format(path, data)


def _more_csv(rows: list[Mapping[str, Value]], path: Path, head: bytes) -> bytes:
    import csv

    found = next(csv.reader(io.StringIO(head.decode("utf-8-sig", "replace"), newline="")), [])
    header = found or _tables.columns(rows)
    if new := [name for name in _tables.columns(rows) if name not in header]:
        raise StepError("write_error", f"`{path.name}` has no column `{new[0]}`; its columns are {', '.join(header)}")
    return _tables.to_csv(rows, header, with_header=not found and bool(header)).encode()


def _no_format(path: Path, data: Value) -> StepError:
    return StepError(
        "write_error",
        f"`data` cannot be written to `{path.name}`: {type_name(data)}s go into .json, .jsonl or .csv",
        hint="for other files use `text`",
    )


def _text(value: Value) -> str:
    if value is None:
        raise StepError("write_error", "`text` is null, so there is nothing to write")
    if isinstance(value, (dict, list, File)):
        raise StepError("write_error", f"`text` is a {type_name(value)}, not a text", hint="use `data`, or the filter `json`")
    return _tables.cell_text(value)


def _list(data: Value, path: Path) -> list[Value]:
    if not isinstance(data, list):
        raise StepError("write_error", f"`{path.name}` takes a list, one line each, and `data` is a {type_name(data)}")
    return data


def _rows(data: Value, name: str) -> list[Mapping[str, Value]]:
    rows = [data] if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise StepError("write_error", f"`{name}` takes a list of maps, and `data` is a {type_name(data)}")
    for place, row in enumerate(rows):
        if not isinstance(row, dict) or not row:
            what = "an empty map" if isinstance(row, dict) else f"a {type_name(row)}"
            raise StepError("write_error", f"`{name}` takes a list of maps, and item {place} is {what}")
    return rows


def _table(ctx: Context, config: Mapping[str, Value], scheme: str) -> dict[str, int]:
    if scheme != "sqlite":
        raise refuse_store(config["to"], scheme, "write_error")
    table = config.get("table")
    if not isinstance(table, str) or not table or "\0" in table or table.lower().startswith("sqlite_"):
        raise StepError("write_error", "writing to a database needs the name of a `table`", hint="e.g. `table: leads`")
    if "data" not in config:
        raise StepError("write_error", "a table takes `data`, a list of maps, and not `text`")
    rows = _rows(config["data"], table)
    key = _key(config.get("key"), rows, table)
    path = sqlite_path(ctx, config["to"], "write_error", writing=True)
    return {"rows": _store(path, shown_path(ctx, path), table, rows, key) if rows else 0}


def _key(key: Value, rows: list[Mapping[str, Value]], table: str) -> list[str]:
    names = [] if key is None else [key] if isinstance(key, str) else list(key)
    for place, row in enumerate(rows):
        for name in names:
            if row.get(name) is None:
                raise StepError("write_error", f"item {place} for `{table}` has no `{name}`, which is its key")
    return names


def _store(path: Path, shown: str, table: str, rows: list[Mapping[str, Value]], key: list[str]) -> int:
    from aiflow.steps._sqlite import write_rows

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_rows(path, table, rows, key)
    except OSError as error:
        raise write_error(shown, error) from error
    except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError) as error:  # ValueError: NUL in the name of a column
        busy = "locked" in str(error)
        message = f"table `{table}` in `{shown}` was not written: {error}"
        raise StepError("write_error", message, transient=busy) from error


def output_schema(config: Mapping[str, Value]) -> Mapping[str, Any]:
    """`{rows}` for a table, else the file."""
    if "table" in config or scheme_of(config.get("to")):
        return {"type": "object", "properties": {"rows": {"type": "integer"}}, "required": ["rows"]}
    return FILE_SCHEMA


KIND = StepKind(
    name="write",
    summary="Write a file, or rows of a table.",
    run=run,
    schema={
        "properties": {
            "to": {
                "description": "A path relative to the project folder (folders are made), or a store: `sqlite:data/library.db`.",
                "type": "string",
                "examples": ["out/report.md", "out/rows.jsonl", "sqlite:data/library.db"],
            },
            "data": {
                "examples": ["{{ steps.rows.output }}"],
                "description": "What to write, as .json, .jsonl (list), .csv (list of maps) or rows of a table (list of maps; "
                "maps and lists within are kept as JSON, vectors too). Texts stay as they are: in a CSV for spreadsheets "
                "one that begins with = + - or @ may be taken for a formula."
            },
            "text": {
                "description": "The text of the file, any extension.",
                "type": ["string", "number", "boolean"],
                "examples": ["# Done"],
            },
            "table": {
                "description": "Table of the database; it and its columns are made when missing.",
                "type": "string",
                "examples": ["leads"],
            },
            "key": {
                "description": "Column (or columns) that tell rows apart: rows that are there are updated, so that writing again "
                "changes nothing.",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
                "examples": ["id"],
            },
            "append": {
                "description": "Add to the end of a text, .jsonl or .csv file, do not replace it.",
                "type": "boolean",
                "examples": [True],
            },
        },
        "required": ["to"],
    },
    repeatable=repeatable,
    output_schema=output_schema,
    errors=("write_error",),
    example='- id: report\n  write: {to: out/report.md, text: "# Done\\n"}\n',
)
