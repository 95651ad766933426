"""The answer to an HTTP request: its body within limits, as value, text or file; and what a failure means."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path

import aiohttp
import msgspec

from aiflow.errors import StepError
from aiflow.steps._atomic import replacing, write_error
from aiflow.steps._kind import Context
from aiflow.steps._paths import describe, shown_path
from aiflow.steps._threads import in_thread
from aiflow.values import File, Value

MEGABYTE = 1024 * 1024
MOST_BODY = 10 * MEGABYTE
"""Bytes of a body, unpacked, that become a value. Larger ones are for `save`."""
MOST_SAVED = 2048 * MEGABYTE
"""Bytes of a body, unpacked, that `save` keeps."""
MOST_ERROR_BODY = 64 * 1024
"""Bytes of an unexpected answer's body that are kept as `error.data.body`."""

TRANSIENT = frozenset({408, 425, 429})
LONGEST_RETRY_AFTER_MS = 24 * 3_600_000
"""What is asked for beyond this is taken for a mistake and cut."""


def headers_of(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers by lower-case name; one that comes several times is joined with `, `."""
    made: dict[str, str] = {}
    for name, value in response.headers.items():
        text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        key = name.lower()
        made[key] = f"{made[key]}, {text}" if key in made else text
    return made


async def body_of(ctx: Context, response: aiohttp.ClientResponse, shown: str) -> Value:
    """The body as a value when it is JSON, else as text; bytes that are no text become a file in the run's folder.

    Null for an answer without content. Raises: StepError: larger than `MOST_BODY`.
    """
    raw = bytearray()
    async for chunk in _chunks(response, MOST_BODY, shown):
        raw += chunk
    return await _decoded(ctx, response, bytes(raw))


async def save_body(ctx: Context, response: aiohttp.ClientResponse, path: Path, shown: str) -> File:
    """Write the body to `path`, whole or not at all; the disk is waited for in threads."""
    target = replacing(path)
    try:
        stream = await in_thread(target.__enter__)
        try:
            async for chunk in _chunks(response, MOST_SAVED, shown):
                await in_thread(stream.write, chunk)
        except BaseException as error:
            await in_thread(target.__exit__, type(error), error, error.__traceback__)
            raise
        await in_thread(target.__exit__, None, None, None)
    except OSError as error:
        if isinstance(error, aiohttp.ClientError | TimeoutError):
            raise
        raise write_error(shown_path(ctx, path), error) from error
    return await in_thread(describe, ctx, path)


async def error_body(response: aiohttp.ClientResponse) -> Value:
    """The start of an unexpected answer's body; null when it cannot be read."""
    raw = bytearray()
    try:
        async for chunk in response.content.iter_any():
            raw += chunk[: MOST_ERROR_BODY - len(raw)]
            if len(raw) >= MOST_ERROR_BODY:
                break
    except aiohttp.ClientError:
        return None
    if _is_json(response) and (value := _json(bytes(raw))) is not msgspec.UNSET:
        return value
    return raw.decode(_charset(response), "replace").replace("\0", "")


def status_error(ctx: Context, response: aiohttp.ClientResponse, body: Value, shown: str) -> StepError:
    """The error of an unexpected status: 408, 425, 429 and 5xx may pass, and may say when to come back."""
    status = response.status
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
    transient = status in TRANSIENT or 500 <= status <= 599
    return StepError(
        "http_error",
        f"{shown} answered {status} {phrase}".rstrip(),
        data={"status": status, "body": body, "headers": headers_of(response)},
        transient=transient,
        retry_after_ms=retry_after_ms(response.headers.get("Retry-After"), ctx.now_ms) if transient else None,
    )


def retry_after_ms(value: str | None, now_ms: int) -> int | None:
    """Milliseconds of a `Retry-After` header, given as seconds or as an HTTP date; None if there is none to be had."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:10]) * 1000, LONGEST_RETRY_AFTER_MS)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    wait = (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000 - now_ms
    return int(min(max(wait, 0), LONGEST_RETRY_AFTER_MS))


async def _chunks(response: aiohttp.ClientResponse, most: int, shown: str) -> AsyncIterator[bytes]:
    """The unpacked body piece by piece; what is too large fails before it is held."""
    size = 0
    async for chunk in response.content.iter_chunked(256 * 1024):
        size += len(chunk)
        if size > most:
            response.close()
            hint = "keep it as a file with `save: path`" if most == MOST_BODY else ""
            raise StepError(
                "http_error",
                f"{shown} answered with more than {most // MEGABYTE} MB",
                data={"status": response.status, "body": None},
                hint=hint,
            )
        yield chunk


async def _decoded(ctx: Context, response: aiohttp.ClientResponse, raw: bytes) -> Value:
    if _is_json(response):
        if not raw.strip():
            return None
        if (value := _json(raw)) is not msgspec.UNSET:
            return value
        ctx.log("the answer says that it is JSON, and is not; kept as text", level="warning")
        return raw.decode(_charset(response), "replace")
    if not raw:
        return None if response.method == "HEAD" or response.status in (204, 205, 304) else ""
    if _says_text(response.content_type):
        return raw.decode(_charset(response), "replace")
    if b"\0" not in raw:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            pass
    return await in_thread(_kept, ctx, raw, response.content_type)


def _kept(ctx: Context, raw: bytes, mime: str) -> File:
    name = hashlib.sha256(raw).hexdigest()[:16] + (mimetypes.guess_extension(mime) or ".bin")
    path = ctx.run_dir / "http" / name
    try:
        with replacing(path) as stream:
            stream.write(raw)
    except OSError as error:
        raise write_error(shown_path(ctx, path), error) from error
    return describe(ctx, path, raw)


def _json(raw: bytes) -> Value:
    try:
        return msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return msgspec.UNSET


def _is_json(response: aiohttp.ClientResponse) -> bool:
    kind = response.content_type.lower()
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def _says_text(mime: str) -> bool:
    mime = mime.lower()
    words = ("json", "xml", "javascript", "yaml", "x-www-form-urlencoded", "csv", "graphql", "sql")
    return mime.startswith("text/") or any(mime.endswith(word) for word in words)


def _charset(response: aiohttp.ClientResponse) -> str:
    import codecs

    try:
        return codecs.lookup(response.charset or "utf-8").name
    except LookupError:
        return "utf-8"
