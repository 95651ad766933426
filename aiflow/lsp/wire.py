"""Messages of the Language Server Protocol over two streams: JSON-RPC 2.0 behind `Content-Length` headers.

Written out here: the protocol needs some forty lines of it, a framework for it four megabytes and a quarter of a second.
"""

from __future__ import annotations

import json
import queue
import threading
from typing import Any, BinaryIO

NO_JSON, NO_METHOD, FAILED = -32700, -32601, -32603
"""Codes of errors in the protocol."""

LARGEST = 64 * 1024 * 1024
"""Bytes of a message; a larger one is no message."""


class Wire:
    """Reads in a thread of its own, so that waiting for a message can end after a time."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink
        self._inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def receive(self, timeout_s: float | None) -> dict[str, Any] | None:
        """The next message; None when the other side has gone. Raises: queue.Empty: nothing came in time."""
        return self._inbox.get(timeout=timeout_s)

    def answer(self, asked: Any, result: Any) -> None:
        """The result of a request."""
        self._send({"id": asked, "result": result})

    def refuse(self, asked: Any, code: int, message: str) -> None:
        """The error of a request."""
        self._send({"id": asked, "error": {"code": code, "message": message}})

    def tell(self, method: str, params: Any) -> None:
        """A notification."""
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False).encode("utf-8", "replace")
        self._sink.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._sink.flush()

    def _read(self) -> None:
        try:
            while (length := self._length()) is not None:
                try:
                    message = json.loads(self._source.read(length))
                except ValueError:
                    message = {}
                message = message if isinstance(message, dict) else {}
                self._inbox.put(message)
                if message.get("method") == "exit":
                    break  # a thread that still reads while the process ends makes Python abort
        finally:
            self._inbox.put(None)

    def _length(self) -> int | None:
        """Of the next message, in bytes; None at the end."""
        length = None
        while header := self._source.readline():
            name, _, value = header.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value) if value.strip().isdigit() else None
            elif not header.strip():
                return length if length is not None and length <= LARGEST else None
        return None
