"""http: one HTTP request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from aiflow.errors import StepError
from aiflow.steps._kind import Context, Done, Outcome, StepKind
from aiflow.steps._paths import target_path
from aiflow.steps._threads import in_thread
from aiflow.values import Value

if TYPE_CHECKING:
    import aiohttp

    from aiflow.steps._addresses import AddressRefused
    from aiflow.steps._request import Request

MOST_REDIRECTS = 5
TIMEOUT_S = 300.0
"""Seconds for the whole exchange when the step has no `timeout`; with `save` the answer may take longer."""
SAVE_TIMEOUT_S = 3600.0

SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
"""Methods that do no more when sent twice."""


async def run(ctx: Context, config: Mapping[str, Value]) -> Outcome:
    """Ask, follow redirects, check the status. Output: `{status, headers, body}`."""
    from aiflow.steps import _request

    request = _request.build(ctx, config)
    expected = _expected(config.get("expect"))
    longest_s = SAVE_TIMEOUT_S if config.get("save") else TIMEOUT_S
    if ctx.timeout_ms is not None:
        longest_s = ctx.timeout_ms / 1000

    async def identity() -> Value:
        if not request.form and request.upload is None:
            return _request.identity(ctx, config, request)
        return await in_thread(_request.identity, ctx, config, request)  # reads the files

    async def call() -> Done:
        session = await ctx.services.http()
        async with _failures(request, longest_s), asyncio.timeout(longest_s):
            return Done(await _exchange(ctx, config, session, request, expected))

    return await ctx.cached(identity, call)


def repeatable(config: Mapping[str, Value]) -> bool:
    """Whether the request may be sent again when nobody knows what became of it."""
    from aiflow.steps._request import method_of

    if method_of(config) in SAFE:
        return True
    headers = config.get("headers")
    given = headers.items() if isinstance(headers, Mapping) else ()
    return any(str(name).lower() == "idempotency-key" and value not in (None, "") for name, value in given)


async def _exchange(
    ctx: Context, config: Mapping[str, Value], session: aiohttp.ClientSession, request: Request, expected: list[range]
) -> dict[str, Value]:
    from aiflow.steps import _request

    for _ in range(MOST_REDIRECTS + 1):
        async with _sent(session, request) as response:
            location = response.headers.get("Location")
            wanted = any(response.status in codes for codes in expected)
            if wanted or location is None or response.status not in (301, 302, 303, 307, 308):
                return await _answer(ctx, config, response, request.shown, wanted)
            request = _request.redirected(request, response.status, location)
    raise StepError(
        "http_error",
        f"{request.shown}: more than {MOST_REDIRECTS} redirects",
        data={"status": response.status, "body": None},
    )


async def _answer(
    ctx: Context, config: Mapping[str, Value], response: aiohttp.ClientResponse, shown: str, wanted: bool
) -> dict[str, Value]:
    from aiflow.steps import _response

    if not wanted:
        raise _response.status_error(ctx, response, await _response.error_body(response), shown)
    if config.get("save"):
        path = target_path(ctx, config["save"], "write_error", "save")
        body: Value = await _response.save_body(ctx, response, path, shown)
    else:
        body = await _response.body_of(ctx, response, shown)
    return {"status": response.status, "headers": _response.headers_of(response), "body": body}


@contextlib.asynccontextmanager
async def _sent(session: aiohttp.ClientSession, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
    """The response while its body may be read. Uploads are opened anew for each hop."""
    import aiohttp

    with contextlib.ExitStack() as open_files:
        data: Any = request.body
        if request.upload is not None:
            data = open_files.enter_context(request.upload.open("rb"))
        elif request.form:
            data = aiohttp.FormData(quote_fields=False)  # names in UTF-8, as browsers send them
            for name, value in request.form:
                if isinstance(value, str):
                    data.add_field(name, value)
                else:
                    file, path = value
                    stream = open_files.enter_context(path.open("rb"))
                    shown = "".join(sign if sign.isprintable() else "_" for sign in file.name)
                    data.add_field(name, stream, filename=shown, content_type=file.mime)
        async with session.request(
            request.method, request.url, headers=request.headers, data=data, allow_redirects=False
        ) as response:
            yield response


@contextlib.asynccontextmanager
async def _failures(request: Request, longest_s: float) -> AsyncIterator[None]:
    """Turns what can go wrong on the way into step errors."""
    import aiohttp

    from aiflow.steps._addresses import AddressRefused

    try:
        yield
    except TimeoutError as error:
        message = f"{request.shown} took longer than {longest_s:g} s"
        if isinstance(error, aiohttp.ServerTimeoutError):
            message = f"{request.shown}: no connection in time"
        raise StepError("timeout", message, transient=True) from error
    except aiohttp.InvalidURL as error:
        raise StepError("http_error", f"`{request.url.host}` cannot be used in a URL", data={"status": None}) from error
    except aiohttp.ClientError as error:
        if isinstance(refused := getattr(error, "os_error", None), AddressRefused):
            raise _refusal(request, refused) from error
        raise _connection_error(request, error) from error


def _refusal(request: Request, refused: AddressRefused) -> StepError:
    return StepError(
        "connection",
        f"`{request.url.host}` was not contacted: {refused.address} is {refused.why}",
        data={"address": refused.address},
        hint="`network: {allow: [10.0.0.0/8]}` in aiflow.yaml opens what is named",
    )


def _connection_error(request: Request, error: aiohttp.ClientError) -> StepError:
    import aiohttp

    host = request.url.host
    transient = True
    match error:
        case aiohttp.ClientConnectorDNSError():
            what = f"the name `{host}` cannot be looked up"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            what, transient = f"no secure connection to `{host}`: its certificate does not hold, or it does not speak TLS", False
        case aiohttp.ClientConnectorError():
            what = f"no connection to `{host}:{request.url.port}`: {error.os_error.strerror or error.os_error}"
        case aiohttp.ClientPayloadError():
            what = "the connection broke in the middle of the answer, or the answer cannot be unpacked"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
            what = "the connection broke before an answer came"
        case aiohttp.ClientResponseError():
            what, transient = "the answer is no proper HTTP", False
        case _:
            what = f"the connection failed ({type(error).__name__})"
    return StepError("connection", f"{request.shown}: {what}", transient=transient)


def _expected(value: Value) -> list[range]:
    """Ranges of codes from `2xx`, `404`, or a list of such."""
    ranges = []
    for one in value if isinstance(value, list) else [value or "2xx"]:
        text = str(one).lower()
        if len(text) == 3 and text[0] in "12345" and text[1:] == "xx":
            ranges.append(range(int(text[0]) * 100, int(text[0]) * 100 + 100))
        elif len(text) == 3 and text.isascii() and text.isdigit():
            ranges.append(range(int(text), int(text) + 1))
        else:
            raise StepError("http_error", f"`expect`: `{one}` is no status", data={"status": None}, hint="`2xx`, or [200, 404]")
    return ranges


_STATUS = {
    "anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "string", "pattern": "^[1-5](xx|[0-9]{2})$", "examples": ["2xx"]},
    ]
}

KIND = StepKind(
    name="http",
    summary="Send an HTTP request.",
    run=run,
    short="url",
    schema={
        "properties": {
            "url": {
                "description": "http or https. Redirects are followed, five at most.",
                "type": "string",
                "examples": ["https://api.example.com/v1/items/{{ inputs.id }}"],
            },
            "method": {
                "examples": ["PUT"],
                "description": "GET, or POST when there is a `json`, `form` or `body`.",
                "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            },
            "headers": {
                "description": "Headers by name; one that is null is left out.",
                "type": "object",
                "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
                "examples": [{"Authorization": "Bearer {{ secrets.API_KEY }}", "Idempotency-Key": "{{ step.key }}"}],
            },
            "query": {
                "description": "Added to the URL, encoded; a list repeats its name, null is left out.",
                "type": "object",
                "examples": [{"q": "{{ inputs.name }}", "page": 1}],
            },
            "json": {"description": "Any value, sent as JSON.", "examples": [{"title": "{{ inputs.title }}"}]},
            "form": {
                "description": "Form fields; files are uploaded.",
                "type": "object",
                "examples": [{"model": "whisper-1", "file": "{{ inputs.recording }}"}],
            },
            "body": {
                "description": "A text, or a file, sent as it is.",
                "anyOf": [{"type": "string"}, {"type": "object"}],
                "examples": ["{{ inputs.text }}"],
            },
            "auth": {
                "description": "User and password (HTTP Basic).",
                "type": "object",
                "properties": {"user": {"type": "string"}, "password": {"type": "string"}},
                "required": ["user"],
                "additionalProperties": False,
                "examples": [{"user": "ana", "password": "{{ secrets.PASSWORD }}"}],
            },
            "expect": {
                "description": "Statuses that are a success: `2xx`, a code, or a list. Others fail the step with `http_error`.",
                "anyOf": [*_STATUS["anyOf"], {"type": "array", "items": _STATUS, "minItems": 1}],
                "default": "2xx",
                "examples": [[200, 404]],
            },
            "save": {
                "description": "Write the body to this path; `body` is then the file. Needed above 10 MB.",
                "type": "string",
                "examples": ["out/report.pdf"],
            },
        },
        "required": ["url"],
    },
    repeatable=repeatable,
    cacheable=True,
    transient_only=True,
    output_schema={
        "type": "object",
        "properties": {
            "status": {"type": "integer"},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "body": {},
        },
        "required": ["status", "headers", "body"],
    },
    errors=("http_error", "timeout", "connection", "write_error"),
    example="- id: page\n  http: https://example.com/\n  retry: 3\n",
)
