"""JSON values: what steps give each other, how they are written, and their digests.

A `Value` is None, bool, int, float, str, a list of values, a map from text to values, or a `File`.
In the store a `File` is a map with the tag `$file`; a user's own keys that start with `$` are written
with a second `$`, so no data from outside can pass for a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

Value: TypeAlias = Any
"""None | bool | int | float | str | list[Value] | dict[str, Value] | File"""


class File(msgspec.Struct, frozen=True, tag_field="$file", tag="1"):
    """A file that a step found or made.

    Attributes:
        path: relative to the project folder, or absolute when outside of it.
        name: last part of the path.  ext: without the dot, lower case.  size: bytes.
        mime: guessed from the name.  sha256: of the content when it was recorded, hex.
    """

    path: str
    name: str
    ext: str
    size: int
    mime: str
    sha256: str


FILE_FIELDS = ("path", "name", "ext", "size", "mime", "sha256")

_encoder = msgspec.json.Encoder()
_sorted = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()


def encode(value: Value) -> bytes:
    """The stored form of a value: compact JSON.

    Raises: TypeError: something in it is not a JSON value (the message names the type).
    """
    raw = _encoder.encode(value)
    if b'"$' in raw:
        raw = _encoder.encode(_escape(value))
    return raw


def decode(raw: bytes | str) -> Value:
    """The value that `encode` wrote."""
    value = _decoder.decode(raw)
    if (b'"$' in raw) if isinstance(raw, bytes) else ('"$' in raw):
        return _unescape(value)
    return value


def canonical(value: Value) -> bytes:
    """JSON with sorted keys: equal values give equal bytes."""
    return _sorted.encode(value)


def digest(value: Value) -> str:
    """SHA-256 of the canonical form, hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def plain(value: Value) -> Value:
    """The value for people and other programs: files become maps without the tag."""
    if isinstance(value, File):
        return {name: getattr(value, name) for name in FILE_FIELDS}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def files_in(value: Value) -> Iterator[File]:
    """The files anywhere in a value, in its order."""
    if isinstance(value, File):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from files_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from files_in(item)


def type_name(value: Value) -> str:
    """The word a person uses: `text`, `integer`, `number`, `true/false`, `list`, `map`, `null`, `file`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true/false"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "text"
        case list() | tuple():
            return "list"
        case File():
            return "file"
        case dict():
            return "map"
    return type(value).__name__


def file_from(path: Path, shown: str, content: bytes | None = None) -> File:
    """Describe the file at `path`, hashing its content.

    Args: shown: the path to record.  content: the bytes, if they were read already.
    """
    import mimetypes

    if content is None:
        sha = hashlib.sha256()
        size = 0
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                sha.update(block)
                size += len(block)
        hexed = sha.hexdigest()
    else:
        hexed, size = hashlib.sha256(content).hexdigest(), len(content)
    mime = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return File(path=shown, name=path.name, ext=path.suffix[1:].lower(), size=size, mime=mime, sha256=hexed)


def _escape(value: Value) -> Value:
    if isinstance(value, dict):
        return {("$" + k if k[:1] == "$" else k): _escape(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escape(item) for item in value]
    return value


def _unescape(value: Value) -> Value:
    if isinstance(value, dict):
        if value.get("$file") == "1":
            return File(**{name: value[name] for name in FILE_FIELDS})
        return {(k[1:] if k[:1] == "$" else k): _unescape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_unescape(item) for item in value]
    return value
