"""A small HTTP server on this machine for tests and benchmarks: slow, failing, huge, cut and redirected answers.

    async with http_server() as server:
        await session.get(f"{server.url}/status/503?retry_after=2")
        assert server.requests[0].headers["user-agent"]

| path | answer |
|---|---|
| `/echo` | JSON: method, path, query, headers, body (text), form, files |
| `/delay/MS` | JSON `{"ok": true}` after so many milliseconds |
| `/status/CODE` | JSON `{"status": CODE}`; `?retry_after=X` sets the header |
| `/flaky/NAME/N` | 503 for the first N requests of that name, then 200 |
| `/bytes/N` | N bytes of `x`, sent in pieces; `?type=` sets the content type |
| `/endless` | never ends |
| `/gzip/N` | N zero bytes, gzip-packed (1000 : 1) |
| `/redirect/N` | N redirects, then `/echo`; `?code=307`, `?to=URL` for one redirect elsewhere |
| `/cut` | announces 1000 bytes, sends 10, cuts the connection |
| `/drop` | cuts the connection before any answer |
| `/text`, `/binary`, `/badjson`, `/nothing`, `/latin` | bodies of these sorts |
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Received:
    """One request as it came in. Header names are in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes  # empty for multipart forms, whose parts `/echo` reads


@dataclass
class Server:
    """The running server. `requests`: all that came, in order. `at_once`: the most that were open together."""

    url: str = ""
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    open: int = 0
    at_once: int = 0
    seen: Counter[str] = field(default_factory=Counter)


SERVER = web.AppKey("server", Server)


@contextlib.asynccontextmanager
async def http_server(host: str = "127.0.0.1") -> AsyncIterator[Server]:
    """Serve on a free port until the block ends."""
    server = Server()
    app = web.Application(middlewares=[_recorder(server)], client_max_size=64 * 1024 * 1024)
    app[SERVER] = server
    app.add_routes([web.route("*", path, handler) for path, handler in ROUTES.items()])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, backlog=4096)
    await site.start()
    server.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    server.url = f"http://{host}:{server.port}"
    try:
        yield server
    finally:
        await runner.cleanup()


def _recorder(server: Server) -> Any:
    @web.middleware
    async def record(request: web.Request, handler: Any) -> web.StreamResponse:
        body = b"" if request.content_type == "multipart/form-data" else await request.read()
        query = {name: request.query.getall(name) for name in request.query}
        headers = {name.lower(): value for name, value in request.headers.items()}
        server.requests.append(Received(request.method, request.path, query, headers, body))
        server.open += 1
        server.at_once = max(server.at_once, server.open)
        try:
            return await handler(request)  # type: ignore[no-any-return]
        finally:
            server.open -= 1

    return record


async def _echo(request: web.Request) -> web.Response:
    received = request.app[SERVER].requests[-1]
    form, files = {}, {}
    if request.content_type in ("multipart/form-data", "application/x-www-form-urlencoded"):
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                content = value.file.read()
                files[name] = {"name": value.filename, "type": value.content_type, "size": len(content)}
            else:
                form[name] = value
    return web.json_response(
        {
            "method": request.method,
            "path": request.path,
            "query": received.query,
            "headers": received.headers,
            "body": received.body.decode("utf-8", "replace"),
            "form": form,
            "files": files,
        }
    )


async def _delay(request: web.Request) -> web.Response:
    await asyncio.sleep(int(request.match_info["ms"]) / 1000)
    return web.json_response({"ok": True})


async def _status(request: web.Request) -> web.Response:
    code = int(request.match_info["code"])
    headers = {"Retry-After": request.query["retry_after"]} if "retry_after" in request.query else {}
    if code in (204, 304):
        return web.Response(status=code, headers=headers)
    return web.json_response({"status": code}, status=code, headers=headers)


async def _flaky(request: web.Request) -> web.Response:
    server: Server = request.app[SERVER]
    name = request.match_info["name"]
    server.seen[name] += 1
    failing = server.seen[name] <= int(request.match_info["times"])
    return web.json_response({"tries": server.seen[name]}, status=503 if failing else 200)


async def _bytes(request: web.Request) -> web.StreamResponse:
    left = int(request.match_info["count"])
    response = web.StreamResponse(headers={"Content-Type": request.query.get("type", "text/plain")})
    await response.prepare(request)
    while left > 0:
        piece = min(left, 1 << 16)
        await response.write(b"x" * piece)
        left -= piece
    await response.write_eof()
    return response


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    while True:
        await response.write(b"x" * (1 << 16))
        await asyncio.sleep(0)


async def _gzip(request: web.Request) -> web.Response:
    packed = gzip.compress(bytes(int(request.match_info["count"])), 9)
    return web.Response(body=packed, headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"})


async def _redirect(request: web.Request) -> web.Response:
    left = int(request.match_info["count"])
    code = request.query.get("code", "302")
    to = request.query.get("to") or (f"/redirect/{left - 1}?code={code}" if left > 1 else "/echo")
    return web.Response(status=int(code), headers={"Location": to})


async def _cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "text/plain"})
    await response.prepare(request)
    await response.write(b"x" * 10)
    assert request.transport is not None
    request.transport.close()
    return response


async def _drop(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _fixed(body: bytes, **headers: str) -> Any:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


ROUTES: dict[str, Any] = {
    "/echo": _echo,
    "/delay/{ms}": _delay,
    "/status/{code}": _status,
    "/flaky/{name}/{times}": _flaky,
    "/bytes/{count}": _bytes,
    "/endless": _endless,
    "/gzip/{count}": _gzip,
    "/redirect/{count}": _redirect,
    "/cut": _cut,
    "/drop": _drop,
    "/text": _fixed(b"hello", Content_Type="text/plain"),
    "/binary": _fixed(b"\x89PNG\r\n\x1a\n\0\0", Content_Type="image/png"),
    "/badjson": _fixed(b"{oops", Content_Type="application/json"),
    "/nothing": _fixed(b"", Content_Type="application/json"),
    "/latin": _fixed("für".encode("latin-1"), Content_Type="text/plain; charset=iso-8859-1"),
}
