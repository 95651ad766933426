"""An HTTP request from the options of a step, and what becomes of it after a redirect."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import msgspec
from yarl import URL

from aiflow.errors import StepError
from aiflow.steps._kind import Context
from aiflow.steps._paths import describe, local_path
from aiflow.steps._tables import cell_text
from aiflow.values import File, Value, plain, type_name

Payload = bytes | aiohttp.FormData | None

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "host"})
_KEPT = frozenset({"accept", "accept-language", "content-type", "user-agent"})
"""Headers that follow a redirect to another host; all others may be credentials."""


@dataclass(frozen=True)
class Request:
    """One request. `files`: parts of `form` that are files; `upload`: a file that is the whole body."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None = None
    form: tuple[tuple[str, str | tuple[File, Path]], ...] = ()
    upload: Path | None = None

    @property
    def shown(self) -> str:
        """For messages: without query, which often holds keys."""
        return f"{self.method} {self.url.with_query(None).with_fragment(None)}"


def build(ctx: Context, config: Mapping[str, Value]) -> Request:
    """The request that the rendered options describe. Raises: StepError `http_error`, nothing was sent."""
    bodies = [name for name in ("json", "form", "body") if name in config and config[name] is not None]
    if len(bodies) > 1:
        raise _wrong(f"`{bodies[0]}` and `{bodies[1]}` exclude each other")
    try:
        request = Request(
            method=_method(config.get("method") or ("POST" if bodies else "GET")),
            url=_url(config["url"], config.get("query") or {}),
            headers=_headers(config.get("headers") or {}, config.get("auth")),
        )
        return _with_body(ctx, request, bodies[0], config[bodies[0]]) if bodies else request
    except UnicodeEncodeError as error:
        raise _wrong("a text in the request has half a character (surrogate)") from error


def identity(ctx: Context, config: Mapping[str, Value], request: Request) -> Value:
    """What makes two requests equal: all that is sent, what counts as a success, and where the answer goes. Blocks.

    `Idempotency-Key` is left out: it names the one who asks. None when a file cannot be read.
    """
    try:
        form = [[name, one if isinstance(one, str) else _part(ctx, *one)] for name, one in request.form]
        upload = describe(ctx, request.upload).sha256 if request.upload is not None else None
    except OSError:
        return None
    return {
        "method": request.method,
        "url": str(request.url),
        "headers": {name.lower(): value for name, value in request.headers.items() if name.lower() != "idempotency-key"},
        "body": hashlib.sha256(request.body).hexdigest() if request.body is not None else None,
        "form": form,
        "upload": upload,
        "expect": config.get("expect") or "2xx",
        "save": config.get("save"),
    }


def _part(ctx: Context, file: File, path: Path) -> dict[str, Value]:
    return {"name": file.name, "mime": file.mime, "sha256": describe(ctx, path).sha256}


def method_of(config: Mapping[str, Value]) -> str:
    """The method that the options stand for."""
    given = config.get("method")
    if isinstance(given, str) and given:
        return given.upper()
    return "POST" if any(config.get(name) is not None for name in ("json", "form", "body")) else "GET"


def check_url(url: URL) -> URL:
    """Raises: StepError `http_error`: not http or https, no host, or credentials inside."""
    if url.scheme not in ("http", "https"):
        raise _wrong(f"the URL begins with `{url.scheme}:`; only http and https are possible")
    if not url.host:
        raise _wrong("the URL has no host")
    if url.user is not None or url.password is not None:
        raise _wrong("the URL has a user or password in it", hint="use `auth: {user: …, password: …}`")
    return url


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that follows. Credentials stay behind when another host, port or scheme answers."""
    try:
        url = check_url(request.url.join(URL(location)))
    except ValueError as error:
        raise _wrong("it redirects to something that is no URL") from error
    headers = request.headers
    if url.origin() != request.url.origin():
        headers = {name: value for name, value in headers.items() if name.lower() in _KEPT}
    if status == 303 and request.method != "HEAD" or status in (301, 302) and request.method == "POST":
        headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        return Request("GET", url, headers)
    return replace(request, url=url, headers=headers)


def _with_body(ctx: Context, request: Request, kind: str, value: Value) -> Request:
    headers = dict(request.headers)
    typed = any(name.lower() == "content-type" for name in headers)
    match kind:
        case "json":
            if not typed:
                headers["Content-Type"] = "application/json"
            return replace(request, headers=headers, body=msgspec.json.encode(plain(value)))
        case "form":
            if not isinstance(value, dict):
                raise _wrong(f"`form` is a {type_name(value)}, not a map")
            return replace(request, form=tuple(_form_fields(ctx, value)))
    if isinstance(value, File):
        return replace(request, headers={"Content-Type": value.mime, **headers}, upload=_existing(ctx, value))
    if not isinstance(value, str):
        raise _wrong(f"`body` is a {type_name(value)}, not a text or file", hint="use `json` for values")
    if not typed:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    return replace(request, headers=headers, body=value.encode())


def _form_fields(ctx: Context, form: dict[str, Value]) -> list[tuple[str, str | tuple[File, Path]]]:
    fields: list[tuple[str, str | tuple[File, Path]]] = []
    for name, value in form.items():
        if _CONTROLS.search(name):
            raise _wrong(f"{name!r} cannot be the name of a form field")
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, File):
                fields.append((name, (one, _existing(ctx, one))))
            elif one is not None:
                fields.append((name, cell_text(one).encode().decode()))
    return fields


def _existing(ctx: Context, file: File) -> Path:
    path = local_path(ctx, file, "http_error")
    if not path.is_file():
        raise _wrong(f"there is no file `{file.path}` to send")
    return path


def _method(value: Value) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z]{1,20}", value) or value.upper() in ("CONNECT", "TRACE"):
        raise _wrong(f"`{value}` is no method", hint="GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS")
    return value.upper()


def _url(value: Value, query: Mapping[str, Value]) -> URL:
    if not isinstance(value, str) or not value or _CONTROLS.search(value) or value != value.strip():
        raise _wrong(f"the URL is {'empty' if value in ('', None) else 'no URL: it has blanks around it or control characters'}")
    try:
        value.encode()  # yarl would leave out half a character and ask for something else
        url = check_url(URL(value))
        pairs = [
            (str(name), cell_text(one))
            for name, item in query.items()
            for one in (item if isinstance(item, list) else [item])
            if one is not None
        ]
        return url.extend_query(pairs) if pairs else url
    except (ValueError, TypeError, UnicodeError) as error:
        raise _wrong(f"the URL cannot be used: {error}") from error


def _headers(given: Mapping[str, Value], auth: Value) -> dict[str, str]:
    """Checked headers; those that are null are left out. A value with a line end could smuggle in another header."""
    headers = {}
    for name, value in given.items():
        if value is None:
            continue
        text = cell_text(value)
        if not _NAME.fullmatch(str(name)) or str(name).lower() in _OURS:
            raise _wrong(f"`{name}` is no header that a step may set")
        if _CONTROLS.search(text):
            raise _wrong(f"the header `{name}` has a line end or control character in its value")
        text.encode()
        headers[str(name)] = text.strip()
    if auth is not None:
        if any(name.lower() == "authorization" for name in headers):
            raise _wrong("`auth` and the header Authorization exclude each other")
        pair = f"{auth.get('user') or ''}:{auth.get('password') or ''}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    return headers


def _wrong(message: str, hint: str = "") -> StepError:
    return StepError("http_error", message, data={"status": None, "body": None}, hint=hint)
