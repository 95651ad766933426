"""The kind `write`: formats, atomic replacement, appending, tables, faults."""

import asyncio
import json
import multiprocessing
import os
import resource
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from aiflow.steps import _atomic
from aiflow.steps._registry import kinds
from aiflow.values import File
from tests.support.steps import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def write(bench: Bench, to: str, **options: Any) -> str:
    file = await bench.output("write", {"to": to, **options})
    assert file.path == to
    text = (bench.project / to).read_bytes().decode()
    assert file.size == len(text.encode())
    return text


def rows(bench: Bench, query: str) -> list[Any]:
    connection = sqlite3.connect(bench.project / "a.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


async def table(bench: Bench, data: Any, **options: Any) -> Any:
    return await bench.output("write", {"to": "sqlite:a.db", "table": "t", "data": data, **options})


async def test_formats(bench: Bench) -> None:
    file = File("d/x.txt", "x.txt", "txt", 1, "text/plain", "00")
    assert await write(bench, "out/deep/x.txt", text="Größe\n") == "Größe\n"
    assert json.loads(await write(bench, "x.json", data={"ü": [1, file]}))["ü"][1]["path"] == "d/x.txt"
    assert await write(bench, "x.jsonl", data=[{"a": 1}, "ü", None]) == '{"a":1}\n"ü"\nnull\n'
    assert await write(bench, "x.csv", data=[{"a": 1, "b": "x,y"}, {"b": None, "c": [1, {"k": True}]}, {"a": file}]) == (
        'a,b,c\n1,"x,y",\n,,"[1,{""k"":true}]"\nd/x.txt,,\n'
    )
    assert await write(bench, "empty.csv", data=[]) == ""
    assert await write(bench, "n.txt", text=4.5) == "4.5"
    assert await write(bench, "null.json", data=None) == "null\n"


async def test_what_was_written_is_read_back(bench: Bench) -> None:
    data = [{"a": "x", "b": 'quo"te\nline'}, {"a": "", "b": " "}]
    for name in ("r.csv", "r.json", "r.jsonl"):
        await bench.output("write", {"to": name, "data": data})
        assert await bench.output("read", {"from": name}) == data


async def test_replaces_whole_and_keeps_permissions(bench: Bench) -> None:
    path = bench.project / "x.txt"
    path.write_text("old")
    path.chmod(0o640)
    await write(bench, "x.txt", text="new")
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in bench.project.iterdir()] == ["x.txt"]


async def test_appends(bench: Bench) -> None:
    await write(bench, "log.txt", text="one", append=True)
    assert await write(bench, "log.txt", text="two\n", append=True) == "one\ntwo\n"
    await write(bench, "x.jsonl", data={"a": 1}, append=True)
    assert await write(bench, "x.jsonl", data=[{"a": 2}, {"a": 3}], append=True) == '{"a":1}\n{"a":2}\n{"a":3}\n'
    await write(bench, "x.csv", data={"a": 1, "b": 2}, append=True)
    assert await write(bench, "x.csv", data=[{"b": 3}], append=True) == "a,b\n1,2\n,3\n"
    assert "no column `c`" in (await bench.error("write", {"to": "x.csv", "data": {"c": 1}, "append": True})).message
    assert ".jsonl" in (await bench.error("write", {"to": "x.json", "data": 1, "append": True})).hint


async def test_many_append_at_once(bench: Bench) -> None:
    await asyncio.gather(*(bench.output("write", {"to": "x.csv", "data": {"n": n}, "append": True}) for n in range(60)))
    lines = (bench.project / "x.csv").read_text().splitlines()
    assert lines[0] == "n"
    assert sorted(map(int, lines[1:])) == list(range(60))


async def test_a_torn_last_line_is_ended_first(bench: Bench) -> None:
    (bench.project / "x.jsonl").write_text('{"a":1}\n{"a":')
    assert await write(bench, "x.jsonl", data={"a": 2}, append=True) == '{"a":1}\n{"a":\n{"a":2}\n'


@pytest.mark.parametrize(
    "config",
    [
        {"to": "x.txt"},
        {"to": "x.txt", "text": "a", "data": 1},
        {"to": "x.txt", "data": [1]},
        {"to": "x.txt", "text": None},
        {"to": "x.txt", "text": {"a": 1}},
        {"to": "x.txt", "text": "\ud800"},
        {"to": "x.jsonl", "data": {"a": 1}},
        {"to": "x.csv", "data": [1]},
        {"to": "x.csv", "data": 5},
        {"to": "../x.txt", "text": "a"},
        {"to": ".git/hooks/x", "text": "a"},
        {"to": ".aiflow/x", "text": "a"},
        {"to": "out/../../x", "text": "a"},
        {"to": "", "text": "a"},
        {"to": "a\0b", "text": "a"},
        {"to": "folder", "text": "a"},
        {"to": "file/x.txt", "text": "a"},
        {"to": "n" * 300, "text": "a"},
        {"to": "x.csv", "data": [], "key": "id"},
        {"to": "postgresql://h/d", "data": [], "table": "t"},
        {"to": "sqlite:a.db", "data": []},
        {"to": "sqlite:a.db", "table": "t", "text": "x"},
        {"to": "sqlite:a.db", "table": "t", "data": [1]},
        {"to": "sqlite:a.db", "table": "t", "data": [{}]},
        {"to": "sqlite:a.db", "table": "t", "key": "id", "data": [{"id": 1}, {"x": 1}]},
        {"to": "sqlite:a.db", "table": "t", "data": [{"n": 2**70}]},
        {"to": "sqlite:../a.db", "table": "t", "data": [{"n": 1}]},
        {"to": "sqlite:", "table": "t", "data": [{"n": 1}]},
        {"to": "sqlite:file", "table": "t", "data": [{"n": 1}]},
    ],
    ids=lambda config: json.dumps(config)[:60],
)
async def test_refused_with_a_sentence_and_nothing_left(bench: Bench, config: dict[str, Any]) -> None:
    (bench.project / "folder").mkdir()
    (bench.project / "file").write_text("no database, but long enough to look at" * 20)
    error = await bench.error("write", config)
    assert error.type == "write_error"
    assert len(error.message) > 15
    left = {path.name for path in bench.project.rglob("*") if path.is_file()} - {"a.db", "a.db-wal", "a.db-shm"}
    assert left == {"file"}


async def test_a_full_disk_leaves_the_old_file(bench: Bench) -> None:
    (bench.project / "x.txt").write_text("old\n")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    try:
        replaced = await bench.error("write", {"to": "x.txt", "text": "x" * 10_000})
        added = await bench.error("write", {"to": "x.txt", "text": "x" * 10_000, "append": True})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, before)
    assert replaced.message == "`x.txt` was not written: the disk is full"
    assert added.type == "write_error"
    assert (bench.project / "x.txt").read_text() == "old\n"
    assert len(list(bench.project.iterdir())) == 1


def test_faults_have_words() -> None:
    import errno

    for number in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EISDIR, errno.ENOTDIR, errno.EIO):
        assert "x was not" not in _atomic.write_error("y", OSError(number, os.strerror(number))).message


async def test_makes_tables_and_columns(bench: Bench) -> None:
    assert await table(bench, [{"id": 1, "name": "Ana", "vector": [0.5, 1], "ok": True}]) == {"rows": 1}
    assert await table(bench, {"id": 2, "more": {"k": None}, "x": 1.5}) == {"rows": 1}
    assert rows(bench, "select id, name, vector, ok, more, x from t order by id") == [
        (1, "Ana", "[0.5,1]", 1, None, None),
        (2, None, None, None, '{"k":null}', 1.5),
    ]
    assert await table(bench, []) == {"rows": 0}


async def test_key_makes_it_an_upsert(bench: Bench) -> None:
    data = [{"id": "a", "n": 1, "keep": "x"}, {"id": "b", "n": 2}]
    for _ in range(2):
        assert await table(bench, data, key="id") == {"rows": 2}
    await table(bench, [{"id": "a", "n": 9}, {"id": "c"}], key="id")
    await table(bench, [{"id": "c"}], key="id")
    assert rows(bench, "select id, n, keep from t order by id") == [("a", 9, "x"), ("b", 2, None), ("c", None, None)]


async def test_upserts_into_a_table_of_others(bench: Bench) -> None:
    """As in lead scoring: the table has columns that must not be null and that the rows do not name."""
    connection = sqlite3.connect(bench.project / "a.db")
    connection.execute("create table t (ID integer primary key, name text not null, score integer)")
    connection.execute("insert into t values (1, 'Ana', null)")
    connection.commit()
    connection.close()
    await table(bench, [{"id": 1, "score": 80, "reason": "big"}], key="id")
    assert rows(bench, "select * from t") == [(1, "Ana", 80, "big")]
    assert (
        "NOT NULL" in (await bench.error("write", {"to": "sqlite:a.db", "table": "t", "key": "id", "data": [{"id": 2}]})).message
    )


async def test_several_columns_as_key_and_odd_names(bench: Bench) -> None:
    for n in (1, 2):
        await table(bench, [{'a"b': 1, "select": "x", "ü n": n}], key=['a"b', "select"])
    assert rows(bench, "select * from t") == [(1, "x", 2)]


async def test_all_or_nothing(bench: Bench) -> None:
    await table(bench, [{"n": 1}])
    assert (
        await bench.error("write", {"to": "sqlite:a.db", "table": "t", "data": [{"n": 2}, {"n": 2**70}]})
    ).type == "write_error"
    assert rows(bench, "select n from t") == [(1,)]


async def test_many_write_at_once(bench: Bench) -> None:
    await asyncio.gather(*(table(bench, [{"id": n % 10, "n": n}], key="id") for n in range(50)))
    assert rows(bench, "select count(*), count(distinct id) from t") == [(10, 10)]


def _fill(folder: str, first: int) -> None:
    async def fill() -> None:
        for n in range(first, first + 15):
            await table(Bench(Path(folder)), [{"id": n}], key="id")

    asyncio.run(fill())


def test_several_processes_write_at_once(bench: Bench) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_fill, args=(str(bench.project), n * 100)) for n in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert rows(bench, "select count(*) from t") == [(30,)]


@pytest.mark.parametrize(
    ("config", "answer"),
    [
        ({"to": "x.json", "data": 1}, True),
        ({"to": "x.jsonl", "data": [1], "append": True}, False),
        ({"to": "sqlite:a.db", "table": "t", "data": [], "key": "id"}, True),
        ({"to": "sqlite:a.db", "table": "t", "data": []}, False),
    ],
)
def test_repeatable(config: dict[str, Any], answer: bool) -> None:
    repeatable = kinds()["write"].repeatable
    assert callable(repeatable)
    assert repeatable(config) is answer
