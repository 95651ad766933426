"""A client of a language server over stdin and stdout, as an editor is one."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

WAIT_S = 30
"""How long a machine with other work may take for one answer."""


class LanguageClient:
    """Starts a server, says hello, opens files and asks about places in them. Lines and columns count from 1."""

    def __init__(
        self, command: Sequence[str], root: Path, settings: Mapping[str, Any] | None = None, options: Any = None
    ) -> None:
        self._settings = settings or {}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root)
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._diagnostics: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._asked = 0
        self._sending = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()
        self.capabilities = self._hello(root, options)

    def __enter__(self) -> LanguageClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self.ask("shutdown", None)
                self.tell("exit", None)
                self.exit_code = self._process.wait(WAIT_S)
        finally:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()

    def ask(self, method: str, params: Any) -> Any:
        """The result of a request. Raises: LanguageServerError"""
        self._asked += 1
        answer = self._answers[self._asked] = queue.Queue()
        self._send({"id": self._asked, "method": method, "params": params})
        reply = answer.get(timeout=WAIT_S)
        if "error" in reply:
            raise LanguageServerError(reply["error"]["message"])
        return reply["result"]

    def tell(self, method: str, params: Any) -> None:
        """A notification."""
        self._send({"method": method, "params": params})

    def open(self, path: Path, text: str) -> list[dict[str, Any]]:
        """Opens a file with a text that need not be on disk; what the server says about it."""
        self.show(path, text)
        return self.diagnostics(path)

    def show(self, path: Path, text: str) -> None:
        """Opens a file and does not wait for what is said about it."""
        item = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": item})

    def change(self, path: Path, text: str, version: int) -> None:
        """Replaces the text in the editor."""
        changes = [{"text": text}]
        self.tell("textDocument/didChange", {"textDocument": {"uri": path.as_uri(), "version": version}, "contentChanges": changes})

    def diagnostics(self, path: Path) -> list[dict[str, Any]]:
        """What the server says next about a file."""
        return self.said(path.as_uri())

    def said(self, uri: str) -> list[dict[str, Any]]:
        """The same for a URI, as it is written."""
        while True:
            said = self._diagnostics.get(timeout=WAIT_S)
            if said is None:
                raise LanguageServerError("the server has ended")
            if said["uri"] == uri:
                found: list[dict[str, Any]] = said["diagnostics"]
                return found

    def at(self, what: str, path: Path, line: int, column: int, **more: Any) -> Any:
        """Asks `hover`, `completion`, `definition` and so on about a place."""
        place = {"line": line - 1, "character": column - 1}
        return self.ask(f"textDocument/{what}", {"textDocument": {"uri": path.as_uri()}, "position": place, **more})

    def _hello(self, root: Path, options: Any) -> dict[str, Any]:
        documents = {
            "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown", "plaintext"]}},
            "hover": {"contentFormat": ["markdown", "plaintext"]},
            "publishDiagnostics": {},
            "rename": {"prepareSupport": True},
        }
        folder = {"uri": root.as_uri(), "name": root.name}
        capabilities = {"textDocument": documents, "workspace": {"configuration": True, "workspaceFolders": True}}
        greeting = {"processId": None, "rootUri": root.as_uri(), "workspaceFolders": [folder], "capabilities": capabilities}
        if options is not None:
            greeting["initializationOptions"] = options
        said: dict[str, Any] = self.ask("initialize", greeting)
        self.tell("initialized", {})
        return said["capabilities"]

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.send_bytes(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def send_bytes(self, data: bytes) -> None:
        """Bytes as they are."""
        assert self._process.stdin is not None
        with self._sending:
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        stream = self._process.stdout
        while header := stream.readline():
            length = 0
            while header.strip():
                name, _, value = header.decode().partition(":")
                length = int(value) if name.lower() == "content-length" else length
                header = stream.readline()
            self._take(json.loads(stream.read(length)))
        self._diagnostics.put(None)
        for answer in list(self._answers.values()):
            answer.put({"error": {"message": "the server has ended"}})

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"method": "textDocument/publishDiagnostics", "params": said}:
                self._diagnostics.put(said)
            case {"method": "workspace/configuration", "id": asked, "params": {"items": items}}:
                self._send({"id": asked, "result": [self._settings.get(item.get("section")) for item in items]})
            case {"method": _, "id": asked}:
                self._send({"id": asked, "result": None})
            case {"method": _}:
                pass
            case {"id": answered}:
                self._answers.pop(answered).put(message)


class LanguageServerError(Exception):
    """The server answered a request with an error."""
