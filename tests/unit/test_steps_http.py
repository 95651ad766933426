"""The kind `http`, against a real server on this machine."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiflow.durations import parse_moment
from aiflow.steps._network import make_session
from aiflow.steps._registry import kinds
from aiflow.steps._response import retry_after_ms
from aiflow.values import File
from tests.support.http_server import Server, http_server
from tests.support.steps import Bench


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with http_server() as running:
        yield running


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with make_session(open_private=True) as session:
        yield Bench(tmp_path, session)


async def echoed(bench: Bench, server: Server, **options: Any) -> Any:
    output = await bench.output("http", {"url": f"{server.url}/echo", **options})
    assert output["status"] == 200
    return output["body"]


async def test_asks_and_decodes(bench: Bench, server: Server) -> None:
    output = await bench.output("http", {"url": f"{server.url}/status/200"})
    assert output["status"] == 200
    assert output["body"] == {"status": 200}
    assert output["headers"]["content-type"].startswith("application/json")
    assert server.requests[0].headers["user-agent"].startswith("aiflow/")


async def test_sends_what_is_asked(bench: Bench, server: Server) -> None:
    body = await echoed(
        bench, server, query={"q": "a b&c=ü", "n": 1, "l": ["x", True], "no": None}, headers={"X-N": 5, "X-No": None}
    )
    assert body["method"] == "GET"
    assert body["query"] == {"q": ["a b&c=ü"], "n": ["1"], "l": ["x", "true"]}
    assert body["headers"]["x-n"] == "5"
    assert "x-no" not in body["headers"]
    body = await echoed(bench, server, json={"a": [1, None]}, method="put")
    assert (body["method"], body["body"]) == ("PUT", '{"a":[1,null]}')
    assert body["headers"]["content-type"] == "application/json"
    body = await echoed(bench, server, body="hällo")
    assert (body["method"], body["body"]) == ("POST", "hällo")
    body = await echoed(bench, server, auth={"user": "ana", "password": "pä"})
    assert body["headers"]["authorization"] == "Basic YW5hOnDDpA=="
    body = await echoed(bench, server, json={"a": 1}, headers={"content-type": "application/vnd.x+json"})
    assert body["headers"]["content-type"] == "application/vnd.x+json"


async def test_forms_and_uploads(bench: Bench, server: Server) -> None:
    (bench.project / "ü.txt").write_text("content")
    file = File("ü.txt", "ü.txt", "txt", 7, "text/plain", "")
    body = await echoed(bench, server, form={"a": "1", "b": True, "c": None})
    assert body["form"] == {"a": "1", "b": "true"}
    body = await echoed(bench, server, form={"model": "whisper-1", "file": file})
    assert body["form"] == {"model": "whisper-1"}
    assert body["files"] == {"file": {"name": "ü.txt", "type": "text/plain", "size": 7}}
    body = await echoed(bench, server, body=file)
    assert body["body"] == "content"
    odd = bench.project / 'a\r\nX: "y.txt'
    odd.write_text("odd")
    body = await echoed(bench, server, form={"file": File(odd.name, odd.name, "txt", 3, "text/plain", "")})
    assert body["files"]["file"]["name"] == 'a__X: "y.txt'
    assert (await bench.error("http", {"url": f"{server.url}/echo", "form": {"a\r\nb": "1"}})).type == "http_error"
    gone = File("gone.txt", "gone.txt", "txt", 7, "text/plain", "")
    assert "no file" in (await bench.error("http", {"url": f"{server.url}/echo", "form": {"f": gone}})).message


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("text", "hello"),
        ("latin", "für"),
        ("badjson", "{oops"),
        ("nothing", None),
        ("status/204", None),
    ],
)
async def test_bodies(bench: Bench, server: Server, path: str, body: Any) -> None:
    assert (await bench.output("http", {"url": f"{server.url}/{path}"}))["body"] == body


async def test_binary_becomes_a_file(bench: Bench, server: Server) -> None:
    file = (await bench.output("http", {"url": f"{server.url}/binary"}))["body"]
    assert file.ext == "png"
    assert (bench.project / file.path).read_bytes().startswith(b"\x89PNG")


async def test_saves(bench: Bench, server: Server) -> None:
    size = 12 * 1024 * 1024
    output = await bench.output("http", {"url": f"{server.url}/bytes/{size}", "save": "out/x.txt"})
    assert output["body"].path == "out/x.txt"
    assert output["body"].size == (bench.project / "out/x.txt").stat().st_size == size
    assert (await bench.error("http", {"url": f"{server.url}/text", "save": "../x"})).type == "write_error"
    await bench.error("http", {"url": f"{server.url}/cut", "save": "out/cut.txt"})
    await bench.error("http", {"url": f"{server.url}/status/500", "save": "out/bad.txt"})
    assert [path.name for path in (bench.project / "out").iterdir()] == ["x.txt"]


@pytest.mark.parametrize(
    ("code", "transient"),
    [(400, False), (401, False), (404, False), (408, True), (425, True), (429, True), (500, True), (503, True)],
)
async def test_statuses(bench: Bench, server: Server, code: int, transient: bool) -> None:
    error = await bench.error("http", {"url": f"{server.url}/status/{code}?key=secret"})
    assert error.type == "http_error"
    assert error.transient is transient
    assert (error.data["status"], error.data["body"]) == (code, {"status": code})
    assert f"answered {code}" in error.message
    assert "secret" not in error.message


async def test_expect(bench: Bench, server: Server) -> None:
    for expect in (404, [200, 404], "4xx", ["2xx", "404"]):
        assert (await bench.output("http", {"url": f"{server.url}/status/404", "expect": expect}))["status"] == 404
    assert (await bench.error("http", {"url": f"{server.url}/status/200", "expect": [404]})).data["status"] == 200
    assert (await bench.output("http", {"url": f"{server.url}/redirect/1", "expect": [302]}))["status"] == 302
    assert (await bench.error("http", {"url": server.url, "expect": "fine"})).type == "http_error"


async def test_retry_after(bench: Bench, server: Server) -> None:
    bench.now_ms = parse_moment("2026-11-23T09:00:00Z")
    for header, ms in [
        ("7", 7_000),
        ("Mon, 23 Nov 2026 09:00:30 GMT", 30_000),
        ("Mon, 23 Nov 2026 08:00:00 GMT", 0),
        ("soon", None),
    ]:
        error = await bench.error("http", {"url": f"{server.url}/status/429", "query": {"retry_after": header}})
        assert error.retry_after_ms == ms


@pytest.mark.parametrize("value", [None, "", "-1", "1.5", "٣", "99999999999999999999999", "Mon, 99 Nov 2026", "\x00"])
def test_retry_after_of_any_sort(value: str | None) -> None:
    assert retry_after_ms(value, 0) in (None, 24 * 3_600_000)


async def test_redirects(bench: Bench, server: Server) -> None:
    body = (await bench.output("http", {"url": f"{server.url}/redirect/5"}))["body"]
    assert body["path"] == "/echo"
    error = await bench.error("http", {"url": f"{server.url}/redirect/6"})
    assert "more than 5 redirects" in error.message
    assert not error.transient
    kept = await bench.output("http", {"url": f"{server.url}/redirect/1?code=307", "json": {"a": 1}})
    assert (kept["body"]["method"], kept["body"]["body"]) == ("POST", '{"a":1}')
    turned = await bench.output("http", {"url": f"{server.url}/redirect/1?code=303", "json": {"a": 1}})
    assert (turned["body"]["method"], turned["body"]["body"]) == ("GET", "")
    assert "content-type" not in turned["body"]["headers"]


async def test_credentials_stay_with_their_host(bench: Bench, server: Server) -> None:
    headers = {"Authorization": "Bearer x", "X-Api-Key": "y", "Cookie": "z", "Accept": "application/json"}
    same = await bench.output("http", {"url": f"{server.url}/redirect/1", "headers": headers})
    assert same["body"]["headers"]["authorization"] == "Bearer x"
    other = f"http://localhost:{server.port}/echo"
    away = (await bench.output("http", {"url": f"{server.url}/redirect/1", "query": {"to": other}, "headers": headers}))["body"][
        "headers"
    ]
    assert away["accept"] == "application/json"
    assert not {"authorization", "x-api-key", "cookie"} & away.keys()


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://x/y", "http://", "http://u:p@x/", "gopher://x"])
async def test_redirects_to_elsewhere_are_refused(bench: Bench, server: Server, to: str) -> None:
    assert (await bench.error("http", {"url": f"{server.url}/redirect/1", "query": {"to": to}})).type == "http_error"


@pytest.mark.parametrize(
    "config",
    [
        {"url": "file:///etc/passwd"},
        {"url": "ftp://x.example/"},
        {"url": "x.example"},
        {"url": "http://"},
        {"url": "http://u:p@x.example/"},
        {"url": "http://x.example/\r\nX: y"},
        {"url": " http://x.example"},
        {"url": "http://[::1"},
        {"url": "http://x.example:99999/"},
        {"url": ""},
        {"url": None},
        {"url": 5},
        {"url": "http://x.example", "headers": {"X": "a\r\nY: b"}},
        {"url": "http://x.example", "headers": {"X\r\nY": "b"}},
        {"url": "http://x.example", "headers": {"X": "a\u2028b"}},
        {"url": "http://x.example", "headers": {"Content-Length": "5"}},
        {"url": "http://x.example", "headers": {"Host": "y"}},
        {"url": "http://x.example", "method": "GET / HTTP/1.1\r\nX"},
        {"url": "http://x.example", "method": "CONNECT"},
        {"url": "http://x.example", "json": 1, "body": "x"},
        {"url": "http://x.example", "body": {"a": 1}},
        {"url": "http://x.example", "json": {"a": "\ud800"}},
        {"url": "http://x.example", "body": "\ud800"},
        {"url": "http://x.example", "form": {"a": "\ud800"}},
        {"url": "http://x.example", "headers": {"a": "\ud800"}},
        {"url": "http://x.example/\ud800"},
        {"url": "http://x.example", "auth": {"user": "a"}, "headers": {"authorization": "b"}},
    ],
    ids=repr,
)
async def test_refused_before_anything_is_sent(bench: Bench, config: dict[str, Any]) -> None:
    error = await bench.error("http", config)
    assert error.type == "http_error"
    assert not error.transient
    assert error.data["status"] is None


async def test_lost_connections_are_transient(bench: Bench, server: Server) -> None:
    for path in ("cut", "drop"):
        error = await bench.error("http", {"url": f"{server.url}/{path}"})
        assert (error.type, error.transient) == ("connection", True)
    error = await bench.error("http", {"url": "http://127.0.0.1:1/"})
    assert (error.type, error.transient) == ("connection", True)
    error = await bench.error("http", {"url": "http://nobody.invalid/"})
    assert (error.type, error.transient) == ("connection", True)
    error = await bench.error("http", {"url": f"https://127.0.0.1:{server.port}/"})
    assert error.type == "connection"


async def test_answers_that_are_no_http(bench: Bench) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    async with listener:
        error = await bench.error("http", {"url": f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"})
    assert error.type == "connection"


async def test_time_is_bounded(bench: Bench, server: Server) -> None:
    bench.timeout_ms = 150
    error = await bench.error("http", {"url": f"{server.url}/delay/5000"})
    assert (error.type, error.transient) == ("timeout", True)
    assert "0.15 s" in error.message


async def test_endless_and_packed_bodies_are_bounded(bench: Bench, server: Server) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in ("endless", f"gzip/{300 * 1024 * 1024}", f"bytes/{11 * 1024 * 1024}"):
        error = await bench.error("http", {"url": f"{server.url}/{path}"})
        assert error.type == "http_error"
        assert "more than 10 MB" in error.message
        assert error.hint == "keep it as a file with `save: path`"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 700_000  # kB; the stub itself holds 300 MB of zeros


async def test_two_hundred_at_once(bench: Bench, server: Server) -> None:
    started = time.perf_counter()
    outputs = await asyncio.gather(*(bench.output("http", {"url": f"{server.url}/delay/1500"}) for _ in range(200)))
    assert all(output["body"] == {"ok": True} for output in outputs)
    assert server.at_once == 200
    assert time.perf_counter() - started < 10


async def test_cancelling_ends_the_request(bench: Bench, server: Server) -> None:
    task = asyncio.create_task(bench.output("http", {"url": f"{server.url}/delay/60000"}))
    while not server.requests:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("config", "answer"),
    [
        ({"url": "x"}, True),
        ({"url": "x", "json": {}}, False),
        ({"url": "x", "method": "post"}, False),
        ({"url": "x", "method": "PATCH"}, False),
        ({"url": "x", "method": "PUT", "json": 1}, True),
        ({"url": "x", "method": "DELETE"}, True),
        ({"url": "x", "json": 1, "headers": {"idempotency-key": "k"}}, True),
        ({"url": "x", "json": 1, "headers": {"Idempotency-Key": None}}, False),
    ],
)
def test_repeatable(config: dict[str, Any], answer: bool) -> None:
    repeatable = kinds()["http"].repeatable
    assert callable(repeatable)
    assert repeatable(config) is answer
