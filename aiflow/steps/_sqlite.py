"""Rows in and out of SQLite files, `sqlite:data/library.db`."""

from __future__ import annotations

import base64
import contextlib
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from aiflow.values import File, Value, plain

BUSY_S = 30.0
"""Seconds to wait for another writer's transaction."""

MOST_ROWS = 1_000_000
"""Rows that one query may give; more is a mistake or needs `limit`."""

_locks: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
"""Writers of this process queue here, fairly, instead of polling SQLite's lock."""

Row = Mapping[str, Value]


class TooManyRows(ValueError):
    """A query without limit gave more than `MOST_ROWS`."""


class Query:
    """One reading query, which another thread may interrupt."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S, check_same_thread=False
        )
        self._connection.execute("PRAGMA query_only = 1")
        self._connection.set_authorizer(_reading_only)

    def rows(self, query: str, params: Value, limit: int | None) -> list[dict[str, Value]]:
        """The rows as maps. `params`: list for `?`, map for `:name`. Raises: sqlite3.Error, TooManyRows."""
        try:
            cursor = self._connection.execute(query, _params(params))
            names = [column[0] for column in cursor.description or ()]
            found = cursor.fetchmany(min(limit, MOST_ROWS + 1) if limit is not None else MOST_ROWS + 1)
        finally:
            self._connection.close()
        if len(found) > MOST_ROWS:
            raise TooManyRows(f"the query gives more than {MOST_ROWS} rows; set `limit`")
        return [dict(zip(names, map(_from_column, row), strict=True)) for row in found]

    def interrupt(self) -> None:
        """Make a running query fail; safe at any time."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.interrupt()


def _reading_only(action: int, *_: object) -> int:
    """Refuses to open further files, which `ATTACH` would even make."""
    return sqlite3.SQLITE_DENY if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) else sqlite3.SQLITE_OK


def write_rows(path: Path, table: str, rows: Sequence[Row], key: Sequence[str]) -> int:
    """Insert the rows, or with `key` update those that are there; all or nothing.

    Makes the table and columns that are missing. Maps and lists (vectors too) become JSON texts, files their path.
    With `key`, columns that a row does not name keep their value.
    Gives: how many rows. Raises: sqlite3.Error, OverflowError.
    """
    with _locks[path], contextlib.closing(sqlite3.connect(path, timeout=0.2, isolation_level=None)) as connection:
        with contextlib.suppress(sqlite3.OperationalError):  # readers at work keep it from changing; it matters little
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000:.0f}")
        connection.execute("PRAGMA synchronous = FULL")
        with _transaction(connection):
            _fit_table(connection, table, rows, key)
            for row in rows:
                _write_row(connection, table, row, key)
    return len(rows)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _fit_table(connection: sqlite3.Connection, table: str, rows: Sequence[Row], key: Sequence[str]) -> None:
    types = _column_types(rows)
    there = {name.lower() for (_, name, *_) in connection.execute(f"PRAGMA table_info({_quoted(table)})")}
    if not there:
        made = ", ".join(f"{_quoted(name)} {kind}".rstrip() for name, kind in types.items())
        primary = f", PRIMARY KEY ({_list(key)})" if key else ""
        connection.execute(f"CREATE TABLE {_quoted(table)} ({made}{primary})")
        return
    for name, kind in types.items():
        if name.lower() not in there:
            connection.execute(f"ALTER TABLE {_quoted(table)} ADD COLUMN {_quoted(name)} {kind}")
    if key and not _has_index(connection, table, key):
        index = _quoted("aiflow_" + "_".join([table, *key]))
        connection.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {_quoted(table)} ({_list(key)})")


def _has_index(connection: sqlite3.Connection, table: str, key: Sequence[str]) -> bool:
    """Whether looking rows up by the key is fast: it is the primary key, or the start of an index."""
    wanted = [name.lower() for name in key]
    info = connection.execute(f"PRAGMA table_info({_quoted(table)})").fetchall()
    primary = sorted((place, name.lower()) for (_, name, _, _, _, place) in info if place)
    if [name for _, name in primary][: len(wanted)] == wanted:
        return True
    for _, index, *_ in connection.execute(f"PRAGMA index_list({_quoted(table)})").fetchall():
        columns = [str(name).lower() for _, _, name in connection.execute(f"PRAGMA index_info({_quoted(index)})")]
        if columns[: len(wanted)] == wanted:
            return True
    return False


def _write_row(connection: sqlite3.Connection, table: str, row: Row, key: Sequence[str]) -> None:
    """Update, and insert if there was nothing to update.

    Not `ON CONFLICT`: SQLite would refuse a row that leaves out a NOT NULL column before it looks for the conflict.
    """
    values = {name: _to_column(value) for name, value in row.items()}
    rest = [name for name in values if name not in key]
    if key:
        where = " AND ".join(f"{_quoted(name)} = ?" for name in key)
        keys = [values[name] for name in key]
        if rest:
            changes = ", ".join(f"{_quoted(name)} = ?" for name in rest)
            update = f"UPDATE {_quoted(table)} SET {changes} WHERE {where}"
            if connection.execute(update, [*(values[name] for name in rest), *keys]).rowcount:
                return
        elif connection.execute(f"SELECT 1 FROM {_quoted(table)} WHERE {where}", keys).fetchone():
            return
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {_quoted(table)} ({_list(list(values))}) VALUES ({marks})", list(values.values()))


def _column_types(rows: Sequence[Row]) -> dict[str, str]:
    """A type for each column: INTEGER, REAL or TEXT when all values agree, none when all are null."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            kinds = found.setdefault(name, set())
            if value is not None:
                kinds.add("INTEGER" if isinstance(value, int) else "REAL" if isinstance(value, float) else "TEXT")
    chosen = {}
    for name, kinds in found.items():
        chosen[name] = next(iter(kinds)) if len(kinds) == 1 else "REAL" if kinds == {"INTEGER", "REAL"} else ""
    return chosen


def _to_column(value: Value) -> Value:
    if isinstance(value, File):
        return value.path
    if isinstance(value, (dict, list)):
        return msgspec.json.encode(plain(value)).decode()
    return value


def _from_column(value: Value) -> Value:
    """SQLite's bytes become text, base64 when they are none."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _params(params: Value) -> Value:
    if isinstance(params, dict):
        return {name: _to_column(value) for name, value in params.items()}
    return [_to_column(value) for value in params or []]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _list(names: Sequence[str]) -> str:
    return ", ".join(_quoted(name) for name in names)
