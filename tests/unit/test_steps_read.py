"""The kind `read`: formats, encodings, damaged files, queries, limits."""

import asyncio
import hashlib
import io
import resource
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import docx
import pytest

from aiflow.steps import read as read_module
from aiflow.steps._html import html_text
from aiflow.steps._yaml import yaml_value
from aiflow.values import File
from tests.support.steps import Bench

SAMPLES = Path(__file__).parents[2] / "workflows" / "samples"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def read(bench: Bench, name: str, content: bytes | str, **options: Any) -> Any:
    path = bench.project / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return await bench.output("read", {"from": name, **options})


async def unreadable(bench: Bench, name: str, content: bytes | str, **options: Any) -> str:
    (bench.project / name).write_bytes(content.encode() if isinstance(content, str) else content)
    error = await bench.error("read", {"from": name, **options})
    assert error.type == "unreadable"
    assert name in error.message
    return error.message


async def test_every_sample_is_read_or_refused() -> None:
    bench = Bench(SAMPLES)
    texts = {}
    for path in sorted(SAMPLES.iterdir()):
        if path.name != "damaged-scan.pdf":
            texts[path.name] = await bench.output("read", {"from": path.name, "as": "text"})
    assert texts.pop("empty-notes.txt") == ""
    assert len(texts) == 9
    assert all(len(text) > 500 for text in texts.values())
    assert "4,318 paid repairs" in texts["annual-report-2025.pdf"]
    assert "Total |  | 9,800" in texts["grant-application.docx"]
    assert (await bench.error("read", {"from": "damaged-scan.pdf", "as": "text"})).type == "unreadable"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("grüße 日本".encode(), "grüße 日本"),
        (b"\xef\xbb\xbfbom", "bom"),
        ("grüße".encode("utf-16"), "grüße"),
        ("x".encode("utf-16-be").join([b"\xfe\xff", b""]), "x"),
        ("Ein schöner “Satz” – für Räder".encode("cp1252"), "Ein schöner “Satz” – für Räder"),
        (b"a\r\nb", "a\r\nb"),
        (b"\x1b[31mred", "\x1b[31mred"),
        (b"", ""),
    ],
)
async def test_encodings(bench: Bench, raw: bytes, text: str) -> None:
    assert await read(bench, "x.txt", raw) == text


@pytest.mark.parametrize(
    "raw", [b"text\0more", bytes(range(256)), b"\x89PNG\r\n\x1a\n\x00\x01", b"\xff\xfea", b"\x81\x82\x83\x84", b"\x01\x02\x03abc"]
)
async def test_binary_is_no_text(bench: Bench, raw: bytes) -> None:
    await unreadable(bench, "x.txt", raw)


async def test_json(bench: Bench) -> None:
    assert await read(bench, "x.json", '\ufeff{"a": [1, 2.5, null, true]}') == {"a": [1, 2.5, None, True]}
    assert await read(bench, "x.json", "[1,2,3]", limit=2) == [1, 2]
    assert await read(bench, "x.json", "[1]", **{"as": "text"}) == "[1]"
    for bad in ("{", "NaN", "1e999", "", "[" * 100_000, '"\\ud800"'):
        await unreadable(bench, "x.json", bad)


async def test_json_lines(bench: Bench) -> None:
    assert await read(bench, "x.jsonl", '{"a": 1}\n\n{"a": 2}\n') == [{"a": 1}, {"a": 2}]
    assert await read(bench, "x.jsonl", "1\n2\nbroken", limit=2) == [1, 2]
    assert "line 3" in await unreadable(bench, "x.jsonl", "1\n2\nbroken")
    assert await read(bench, "x.ndjson", "") == []


async def test_csv_small_print(bench: Bench) -> None:
    rows = await read(bench, "x.csv", 'a,b\r\n1,"x, ""y""\nz"\r\n\r\n 2 \r\n3,4,5\r\n  \r\n')
    assert rows == [{"a": "1", "b": 'x, "y"\nz'}, {"a": " 2 ", "b": ""}, {"a": "3", "b": "4"}, {"a": "  ", "b": ""}]
    assert await read(bench, "x.csv", "") == []
    assert await read(bench, "x.csv", "a,a,\n1,2,3\n") == [{"a": "1", "a_2": "2", "column_3": "3"}]
    assert await read(bench, "x.csv", "a;b\n1,5;2\n") == [{"a": "1,5", "b": "2"}]
    assert await read(bench, "x.tsv", "a\tb\n1\t2\n") == [{"a": "1", "b": "2"}]
    assert await read(bench, "x.csv", "a\n1\n2\n3\n", limit=2) == [{"a": "1"}, {"a": "2"}]
    await unreadable(bench, "x.csv", 'a\n"open')


async def test_large_tables_only_with_a_limit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(read_module.LIMITS, "csv", 1000)
    content = "a,b\n" + "1,ü\n" * 1000
    assert "set `limit`" in await unreadable(bench, "x.csv", content)
    assert await read(bench, "x.csv", content, limit=2) == [{"a": "1", "b": "ü"}] * 2


async def test_yaml_by_the_rules_of_1_2(bench: Bench) -> None:
    text = "a: no\nb: 010\nc: 2026-11-23\nd: [1.5, true, null, ~, 1e3]\n1: x\nbase: &b {k: 1}\nmore: {<<: *b, z: 2}\nt: 12:30\n"
    assert await read(bench, "x.yaml", text) == {
        "a": "no", "b": 10, "c": "2026-11-23", "d": [1.5, True, None, None, 1000.0], "1": "x",
        "base": {"k": 1}, "more": {"k": 1, "z": 2}, "t": "12:30",
    }  # fmt: skip
    assert await read(bench, "x.yml", "") is None


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: !!python/object/apply:os.system [ls]",
        "--- 1\n--- 2\n",
        "[" * 100_000,
        "{[a]: 1}",
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{chr(97 + i)}: &{chr(97 + i)} [" + ",".join([f"*{chr(96 + i)}"] * 9) + "]\n" for i in range(1, 12)),
        "a: &a [*a]",
        "a\0b",
    ],
    ids=["open", "tag", "two", "deep", "key", "bomb", "itself", "nul"],
)
async def test_yaml_refused(bench: Bench, text: str) -> None:
    await unreadable(bench, "x.yaml", text)


async def test_damaged_and_odd_documents(bench: Bench) -> None:
    await unreadable(bench, "x.pdf", b"%PDF-1.7 nothing more")
    await unreadable(bench, "x.docx", b"PK\x03\x04 broken")
    await unreadable(bench, "x.docx", b"\xd0\xcf\x11\xe0 old")
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("hello.txt", "no document")
    await unreadable(bench, "x.docx", package.getvalue())
    whole = (SAMPLES / "grant-application.docx").read_bytes()
    await unreadable(bench, "x.docx", whole[: len(whole) // 2])
    assert await read(bench, "x.pdf", b"") == ""
    assert await read(bench, "x.html", b"") == ""


async def test_docx_bomb_is_not_unpacked(bench: Bench) -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("word/document.xml", "w") as stream:
            for _ in range(400):
                stream.write(bytes(1 << 20))
    assert "unpacks to" in await unreadable(bench, "x.docx", package.getvalue())


async def test_docx_lists_headings_and_merged_cells(bench: Bench) -> None:
    document = docx.Document()
    document.add_heading("Title", 0)
    document.add_heading("Part", 2)
    document.add_paragraph("one", style="List Number")
    document.add_paragraph("two", style="List Bullet")
    table = document.add_table(rows=1, cols=3)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
    table.cell(0, 2).text = "x"
    document.save(str(bench.project / "x.docx"))
    assert await bench.output("read", {"from": "x.docx"}) == "# Title\n\n## Part\n\n- one\n- two\n\nwide | x"


def test_html_keeps_what_is_read() -> None:
    page = b"""<?xml version="1.0" encoding="utf-8"?><title>T</title><style>x{}</style><script>bad()</script>
    <p>One <b>bold</b>, <a href=u>link</a>.<br>Next  line</p><ul><li>a<ul><li>b</li></ul></li></ul><pre>x
      y</pre><p hidden>no</p><!-- no --><table><tr><th>h<td>d</table>&uuml;"""
    assert html_text(page) == "# T\n\nOne bold, link.\nNext line\n\n- a\n- b\n\nx\n      y\n\nh | d\n\nü"
    assert html_text('<meta charset="iso-8859-1"><p>für'.encode("latin-1")) == "für"
    assert html_text(b"<div>" * 5000 + b"deep") in ("deep", "")


def test_html_from_damaged_bytes_never_breaks_otherwise() -> None:
    for raw in (b"<", b"<!--", b"<p", b"&#0;x", b"<html><body></body></html>", b"   "):
        assert isinstance(html_text(raw), str)


async def test_pdf_of_25_pages_is_quick(bench: Bench) -> None:
    import time

    import pypdfium2

    with pypdfium2.PdfDocument(SAMPLES / "annual-report-2025.pdf") as one, pypdfium2.PdfDocument.new() as many:
        for _ in range(13):
            many.import_pages(one)
        many.save(bench.project / "long.pdf")
    started = time.perf_counter()
    texts = await asyncio.gather(*(bench.output("read", {"from": "long.pdf"}) for _ in range(4)))
    assert len(texts[0]) > 30_000
    assert texts.count(texts[0]) == 4
    assert time.perf_counter() - started < 8  # measured 0.1 s each; the others run meanwhile


async def test_file_and_unchanged(bench: Bench) -> None:
    file = await read(bench, "a b.bin", b"\0\1", **{"as": "file"})
    assert file == File("a b.bin", "a b.bin", "bin", 2, file.mime, hashlib.sha256(b"\0\1").hexdigest())
    text = await read(bench, "x.txt", "one", **{"as": "file"})
    assert await bench.output("read", {"from": text}) == "one"
    (bench.project / "x.txt").write_text("two")
    assert (await bench.error("read", {"from": text})).type == "file_changed"


async def test_what_is_not_there(bench: Bench) -> None:
    (bench.project / "notes.txt").write_text("x")
    error = await bench.error("read", {"from": "note.txt"})
    assert (error.type, error.hint) == ("not_found", "did you mean `notes.txt`?")
    assert await bench.output("read", {"from": "note.txt", "optional": True}) is None
    assert await bench.output("read", {"from": "sqlite:no.db", "query": "select 1", "optional": True}) is None
    assert (await bench.error("read", {"from": "."})).type == "unreadable"
    assert (await bench.error("read", {"from": "../secret"})).type == "not_found"
    assert (await bench.error("read", {"from": "/dev/zero"})).type == "unreadable"
    assert (await bench.error("read", {"from": "https://x.example/a"})).hint.startswith("fetch")
    assert (await bench.error("read", {"from": "postgresql://h/d", "query": "select 1"})).type == "unreadable"
    assert await read(bench, "at 10:30.txt", "colon") == "colon"


async def test_a_text_of_100_mb(bench: Bench) -> None:
    line = b"a line of text that says little\n"
    with (bench.project / "big.txt").open("wb") as stream:
        for _ in range(100):
            stream.write(line * (2**20 // len(line)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = await bench.output("read", {"from": "big.txt"})
    assert len(text) == 100 * 2**20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


async def test_too_large_is_refused_by_its_size(bench: Bench) -> None:
    with (bench.project / "huge.txt").open("wb") as stream:
        stream.truncate(300 * 2**20)
    assert "the limit for text is 200 MB" in (await bench.error("read", {"from": "huge.txt"})).message


@pytest.fixture
def database(bench: Bench) -> str:
    with sqlite3.connect(bench.project / "crm.db") as connection:
        connection.execute("create table leads (id integer, name text, score real, raw blob)")
        connection.executemany("insert into leads values (?, ?, ?, ?)", [(1, "Ana", 1.5, b"x"), (2, "Bo", None, b"\xff")])
    connection.close()
    return "sqlite:crm.db"


async def test_queries(bench: Bench, database: str) -> None:
    ask = {"from": database, "query": "select * from leads order by id"}
    assert await bench.output("read", ask) == [
        {"id": 1, "name": "Ana", "score": 1.5, "raw": "x"},
        {"id": 2, "name": "Bo", "score": None, "raw": "/w=="},
    ]
    assert len(await bench.output("read", {**ask, "limit": 1})) == 1
    by_name = {"from": database, "query": "select id from leads where name = :n", "params": {"n": "Bo"}}
    assert await bench.output("read", by_name) == [{"id": 2}]
    by_place = {"from": database, "query": "select id from leads where id in (?, ?)", "params": [1, 2]}
    assert len(await bench.output("read", by_place)) == 2


@pytest.mark.parametrize(
    "query",
    [
        "select * from nothing",
        "drop table leads",
        "delete from leads",
        "selec",
        "",
        "select :x",
        "select 1; select 2",
        "select '\ud800'",
        "attach 'new.db' as n",
    ],
)
async def test_queries_refused(bench: Bench, database: str, query: str) -> None:
    error = await bench.error("read", {"from": database, "query": query})
    assert error.type == "unreadable"
    assert not (bench.project / "new.db").exists()
    assert len(await bench.output("read", {"from": database, "query": "select * from leads"})) == 2


async def test_a_cancelled_query_ends(bench: Bench, database: str) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
    task = asyncio.create_task(bench.output("read", {"from": database, "query": endless}))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_what_a_reader_will_get_is_known_before() -> None:
    assert read_module.output_schema({"from": "a.csv"})["type"] == "array"  # type: ignore[index]
    assert read_module.output_schema({"from": "{{ x }}", "as": "text"}) == {"type": "string"}
    assert read_module.output_schema({"from": "{{ x }}"}) is None
    assert read_module.output_schema({"from": "a.txt", "optional": True}) is None


def test_yaml_scalars() -> None:
    assert yaml_value("[+1, -2, .5, 1., '1', \"no\", .nan, 0x1F]") == [1, -2, 0.5, 1.0, "1", "no", ".nan", "0x1F"]
