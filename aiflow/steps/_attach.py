"""Files as parts of a message: text as text, pictures and PDF as data URIs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiflow.errors import StepError
from aiflow.models.calls import Message
from aiflow.values import File, Value

MAX_BYTES = 20 << 20
"""The most that providers take with one request, about."""

_TEXT_EXTENSIONS = frozenset("md txt csv tsv json jsonl yaml yml xml html htm log rst tex py js ts sql toml ini".split())


async def attached(messages: Sequence[Message], files: Value, project: Path) -> list[Message]:
    """The messages, the last one of the user with the files behind its text.

    Raises: StepError: `llm_error`: no file, too large, of a type that no model reads; `file_changed`.
    """
    from asyncio import to_thread  # not needed to look at a workflow

    parts = await to_thread(_parts, files if isinstance(files, list) else [files], project)
    made = [dict(message) for message in messages]
    last = next((message for message in reversed(made) if message["role"] == "user"), None)
    if last is None:
        last = {"role": "user", "content": ""}
        made.append(last)
    texts = [last["content"], *(part["text"] for part in parts if part["type"] == "text")]
    text = "\n\n".join(one for one in texts if one)
    others = [part for part in parts if part["type"] != "text"]
    last["content"] = [{"type": "text", "text": text}, *others] if others else text
    return list(made)


def _parts(files: Sequence[Value], project: Path) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    total = 0
    for place, file in enumerate(files):
        if not isinstance(file, File):
            raise StepError("llm_error", f"`attach`[{place}] is no file", hint="give files, as `files` and `read` find them")
        total += file.size
        if total > MAX_BYTES:
            raise StepError("llm_error", f"the files attached are larger than {MAX_BYTES >> 20} MB together")
        parts.append(_part(file, _content(file, project)))
    return parts


def _content(file: File, project: Path) -> bytes:
    try:
        content = (project / file.path).read_bytes()
    except OSError as error:
        raise StepError("file_changed", f"{file.path} cannot be read any more ({error.strerror})") from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise StepError("file_changed", f"{file.path} has changed since it was found", data={"path": file.path})
    return content


def _part(file: File, content: bytes) -> dict[str, Any]:
    if file.mime.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": _data_uri(file.mime, content)}}
    if file.mime == "application/pdf":
        data = {"filename": file.name, "file_data": _data_uri(file.mime, content)}
        return {"type": "file", "file": data}
    if file.mime.startswith("text/") or file.ext in _TEXT_EXTENSIONS:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise StepError("llm_error", f"{file.path} is no UTF-8 text", data={"path": file.path}) from None
        return {"type": "text", "text": f'<document name="{file.name}">\n{text}\n</document>'}
    raise StepError(
        "llm_error",
        f"{file.path} cannot be attached ({file.mime})",
        data={"path": file.path},
        hint="attach text, pictures or PDF; of other files `read` gives the text",
    )


def _data_uri(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"
