"""A local HTTP server that speaks the OpenAI protocol and misbehaves on demand.

    async with OpenAIServer() as server:
        server.script(rate_limited("2"), answer("hello"))      # one reply per request, in order
        ...  call a model with api_base=server.url ...
        assert len(server.requests) == 2

When the script is used up, every request gets a good answer: text, or JSON that fits the schema it asks for.
By itself: `python -m tests.support.openai_server --port 8099 --latency 1.0`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web

DEFAULT_TEXT = "The harbour was dredged in 1998."


@dataclass(frozen=True)
class Reply:
    """What the server does with one request.

    Attributes:
        status, headers, content_type, body: of the HTTP answer; `body` text is sent as it is.
        delay_s: wait before anything is sent.
        cut: close the connection: `before` any byte, or in the `middle` of the body.
        trickle_s: send one byte, wait so long, and so on.
    """

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay_s: float = 0.0
    cut: str = ""
    trickle_s: float = 0.0


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


def answer(
    text: str | None,
    *,
    finish_reason: str | None = "stop",
    tokens: tuple[int, int] | None = (11, 7),
    refusal: str | None = None,
    model: str = "gpt-4o-mini",
    delay_s: float = 0.0,
) -> Reply:
    """A chat completion. `tokens` (in, out) None: the usage is left out."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if refusal is not None:
        message["refusal"] = refusal
    choice: dict[str, Any] = {"index": 0, "message": message}
    if finish_reason is not None:
        choice["finish_reason"] = finish_reason
    return Reply(body=_completion([choice], tokens, model), delay_s=delay_s)


def failure(status: int, message: str = "The server had an error", code: str | None = None, **headers: str) -> Reply:
    """An error as OpenAI writes it. Header names are given with `_` for `-`."""
    body = json.dumps({"error": {"message": message, "type": code or "error", "param": None, "code": code}})
    return Reply(status=status, body=body, headers={name.replace("_", "-"): text for name, text in headers.items()})


def rate_limited(retry_after: str | None = None, code: str = "rate_limit_exceeded") -> Reply:
    """429, with `Retry-After` as written when given."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return failure(429, "Rate limit reached", code, **headers)


def no_choices() -> Reply:
    """200 with an empty list of choices."""
    return Reply(body=_completion([], (11, 0), "gpt-4o-mini"))


def html() -> Reply:
    """200 with a web page, as a proxy or a login page gives it."""
    return Reply(body="<html><body>Welcome to our guest network</body></html>", content_type="text/html")


def broken_json() -> Reply:
    """200 with half of a JSON document, sent completely."""
    return Reply(body='{"id": "x", "choices": [{"mess')


def cut(where: str = "before") -> Reply:
    """The connection is closed: `before` any byte, or in the `middle` of the body."""
    return Reply(body=_completion([], None, "gpt-4o-mini"), cut=where)


def silent(seconds: float = 3600.0) -> Reply:
    """Accepts the request and then says nothing for so long."""
    return Reply(delay_s=seconds, body=_completion([], None, "gpt-4o-mini"))


def trickle(every_s: float) -> Reply:
    """Sends one byte of an endless body every so often."""
    return Reply(trickle_s=every_s)


class OpenAIServer:
    """Serves `/v1/chat/completions` and `/v1/embeddings` on a free port of 127.0.0.1.

    Attributes:
        requests: all that came, in order.  latency_s: before each good answer of its own.
        waiting, most: requests being answered now, and the most there ever were at the same time.
    """

    def __init__(self, *, port: int = 0, latency_s: float = 0.0) -> None:
        self.requests: list[Seen] = []
        self.latency_s = latency_s
        self.waiting = 0
        self.most = 0
        self._port = port
        self._script: deque[Reply] = deque()
        self._runner: web.AppRunner | None = None
        self._ended = asyncio.Event()

    @property
    def url(self) -> str:
        """The `api_base`."""
        return f"http://127.0.0.1:{self._port}/v1"

    def script(self, *replies: Reply) -> None:
        """What the next requests get, one each."""
        self._script.extend(replies)

    def reset(self) -> None:
        """Forgets requests and script; answers that are still held back are sent."""
        self._ended.set()
        self._ended = asyncio.Event()
        self.requests.clear()
        self._script.clear()
        self.most = 0

    async def __aenter__(self) -> OpenAIServer:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/{kind:.+}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(Seen(request.path, dict(request.headers), body))
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            reply = self._script.popleft() if self._script else self._good(request.path, body)
            return await self._send(request, reply)
        finally:
            self.waiting -= 1

    def _good(self, path: str, body: dict[str, Any]) -> Reply:
        if path.endswith("/embeddings"):
            return Reply(body=_embeddings(body), delay_s=self.latency_s)
        return answer(_text_for(body), model=body.get("model", ""), delay_s=self.latency_s)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._ended.wait(), seconds)
        except TimeoutError:
            pass

    async def _send(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        if reply.delay_s:
            await self._pause(reply.delay_s)
        if reply.cut == "before":
            _drop(request)
            return web.Response()
        if not reply.cut and not reply.trickle_s:
            return web.Response(
                status=reply.status, text=reply.body, headers=reply.headers, content_type=reply.content_type
            )
        stream = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "100000"})
        await stream.prepare(request)
        ended = self._ended
        while reply.trickle_s and not ended.is_set():
            try:
                await stream.write(b" ")
            except ConnectionError:  # the client gave up
                return stream
            await self._pause(reply.trickle_s)
        await stream.write(reply.body.encode()[:20])
        _drop(request)
        return stream


def _drop(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _completion(choices: list[dict[str, Any]], tokens: tuple[int, int] | None, model: str) -> str:
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": choices,
    }
    if tokens is not None:
        body["usage"] = {
            "prompt_tokens": tokens[0],
            "completion_tokens": tokens[1],
            "total_tokens": tokens[0] + tokens[1],
        }
    return json.dumps(body)


def _text_for(body: dict[str, Any]) -> str:
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    if schema is None:
        return DEFAULT_TEXT
    from aiflow.models.offline import complete

    return complete(body["messages"], schema).text


def _embeddings(body: dict[str, Any]) -> str:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    size = body.get("dimensions") or 8
    data = []
    for number, text in enumerate(texts):
        floats = [float((len(text) + place) % 7) for place in range(size)]
        vector: Any = floats
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{size}f", *floats)).decode()
        data.append({"object": "embedding", "index": number, "embedding": vector})
    used = sum(len(text) for text in texts) // 4
    usage = {"prompt_tokens": used, "total_tokens": used}
    return json.dumps({"object": "list", "data": data, "model": body["model"], "usage": usage})


async def _main(port: int, latency_s: float) -> None:
    async with OpenAIServer(port=port, latency_s=latency_s) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    options = parser.parse_args()
    try:
        asyncio.run(_main(options.port, options.latency))
    except KeyboardInterrupt:
        pass
