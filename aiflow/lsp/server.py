"""The server: opens files, checks them a moment after the last change, answers questions about places in them."""

from __future__ import annotations

import queue
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from aiflow.errors import AiflowError
from aiflow.lsp.files import OpenFile, Positions, path_of
from aiflow.lsp.wire import FAILED, NO_METHOD, Wire

if TYPE_CHECKING:
    from aiflow.language.problems import Problem
    from aiflow.lsp.place import Place

PAUSE_S = 0.25
"""A file is checked when nothing was typed for so long."""

FULL_TEXT = 1
SEVERITY = {"error": 1, "hint": 3}


def serve(source: BinaryIO, sink: BinaryIO) -> int:
    """Speak the Language Server Protocol until told to exit. Gives the exit code: 0 after a proper goodbye."""
    return Server(Wire(source, sink)).run()


class Server:
    """One editor's session."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._files: dict[str, OpenFile] = {}
        self._due: dict[str, float] = {}
        self._found: dict[str, dict[str, list[Problem]]] = {}
        """Open file -> file that it names, or itself -> what is wrong there."""
        self._words = True
        self._goodbye = False

    def run(self) -> int:
        while True:
            try:
                message = self._wire.receive(self._wait_s())
            except queue.Empty:
                self._check_due()
                continue
            if message is None or message.get("method") == "exit":
                return 0 if self._goodbye else 1
            self._take(message)

    # -- messages -------------------------------------------------------------------------------------------------

    def _take(self, message: dict[str, Any]) -> None:
        method, asked, params = message.get("method"), message.get("id"), message.get("params") or {}
        if method is None:
            return
        try:
            result = self._do(method, params)
        except NotImplementedError:
            if asked is not None:
                self._wire.refuse(asked, NO_METHOD, f"no method {method}")
        except AiflowError as error:
            if asked is not None:
                self._wire.refuse(asked, FAILED, error.message + (f"\n{error.hint}" if error.hint else ""))
        except Exception:
            traceback.print_exc(file=sys.stderr)
            if asked is not None:
                self._wire.refuse(asked, FAILED, traceback.format_exc(limit=1).splitlines()[-1])
        else:
            if asked is not None:
                self._wire.answer(asked, result)

    def _do(self, method: str, params: dict[str, Any]) -> Any:
        uri = (params.get("textDocument") or {}).get("uri", "")
        match method:
            case "initialize":
                options = params.get("initializationOptions")
                self._words = not (isinstance(options, dict) and options.get("words") is False)
                return {"capabilities": capabilities(), "serverInfo": {"name": "aiflow"}}
            case "shutdown":
                self._goodbye = True
            case "textDocument/didOpen":
                self._opened(uri, params["textDocument"]["text"])
            case "textDocument/didChange":
                self._changed(uri, params["contentChanges"][-1]["text"])
            case "textDocument/didSave":
                self._saved()
            case "textDocument/didClose":
                self._closed(uri)
            case "textDocument/hover" | "textDocument/definition" | "textDocument/completion":
                return self._about(method.partition("/")[2], uri, params["position"])
            case "textDocument/prepareRename" | "textDocument/rename":
                return self._rename(uri, params["position"], params.get("newName"))
            case _ if method.startswith("$/") or method in ("initialized", "workspace/didChangeConfiguration"):
                pass
            case _:
                raise NotImplementedError(method)
        return None

    # -- files ----------------------------------------------------------------------------------------------------

    def _opened(self, uri: str, text: str) -> None:
        path = path_of(uri)
        if path is not None:
            self._files[uri] = OpenFile(path, text)
            self._check(uri)

    def _changed(self, uri: str, text: str) -> None:
        if uri in self._files:
            self._files[uri].change(text)
            self._due[uri] = time.monotonic() + PAUSE_S

    def _saved(self) -> None:
        """A prompt, a called workflow or the project file may have changed."""
        for uri, file in self._files.items():
            file.change(file.text)
            self._due[uri] = time.monotonic()

    def _closed(self, uri: str) -> None:
        self._files.pop(uri, None)
        self._due.pop(uri, None)
        for named in self._found.pop(uri, {}):
            self._publish(named)

    def _wait_s(self) -> float | None:
        return max(0.0, min(self._due.values()) - time.monotonic()) if self._due else None

    def _check_due(self) -> None:
        now = time.monotonic()
        for uri in [uri for uri, at in self._due.items() if at <= now]:
            self._check(uri)

    def _check(self, uri: str) -> None:
        """Check a file and publish what is wrong with it and with the files that it names."""
        self._due.pop(uri, None)
        from aiflow.settings import find_root

        file = self._files[uri]
        file.check()
        found: dict[str, list[Problem]] = {uri: []}
        for problem in file.problems:
            found.setdefault(self._uri_of(find_root(file.path) / problem.file), []).append(problem)
        before = self._found.get(uri, {})
        self._found[uri] = found
        for named in {**before, **found}:
            self._publish(named)

    def _publish(self, uri: str) -> None:
        """Everything that open files say about one file."""
        problems = dict.fromkeys(problem for found in self._found.values() for problem in found.get(uri, ()))
        path = path_of(uri)
        if path is None:
            return
        positions = Positions(self._files[uri].text if uri in self._files else _read(path))
        diagnostics = [
            {
                "range": positions.theirs(one.line, one.column, one.length),
                "severity": SEVERITY[one.severity],
                "code": one.code,
                "source": "aiflow",
                "message": one.message + (f"\n{one.hint}" if one.hint else ""),
            }
            for one in problems
        ]
        self._wire.tell("textDocument/publishDiagnostics", {"uri": uri, "diagnostics": diagnostics})

    # -- questions ------------------------------------------------------------------------------------------------

    def _about(self, what: str, uri: str, position: dict[str, int]) -> Any:
        place = self._place(uri, position)
        if place is None:
            return None
        if what == "hover":
            from aiflow.lsp.hover import hover

            text = hover(place, words=self._words)
            return {"contents": {"kind": "markdown", "value": text}} if text else None
        if what == "definition":
            from aiflow.lsp.definition import definition

            found = definition(place)
            if found is None:
                return None
            path, line, column, length = found
            there = self._uri_of(path)
            text = self._files[there].text if there in self._files else _read(path)
            return {"uri": there, "range": Positions(text).theirs(line, column, length)}
        from aiflow.lsp.completion import completions

        return [{"label": label, "kind": kind, "detail": detail} for label, kind, detail in completions(place)]

    def _rename(self, uri: str, position: dict[str, int], new: str | None) -> Any:
        from aiflow.lsp.rename import name_at, renamed

        place = self._place(uri, position)
        if place is None:
            return None
        if new is None:
            named = name_at(place)
            return {"defaultBehavior": True} if named else None
        text = self._files[uri].text
        edits = [{"range": _range(text, edit.start, edit.end), "newText": edit.text} for edit in renamed(place, text, new)]
        return {"changes": {uri: edits}} if edits else None

    def _uri_of(self, path: Path) -> str:
        """A file's URI: that of the editor when it is open there, since URIs of one file can be written in several ways."""
        path = path.resolve()
        return next((uri for uri, file in self._files.items() if file.path.resolve() == path), path.as_uri())

    def _place(self, uri: str, position: dict[str, int]) -> Place | None:
        """The place in the text as it is now, or None."""
        from aiflow.lsp.place import place_at

        file = self._files.get(uri)
        if file is None:
            return None
        file.check()
        return place_at(file.look, *Positions(file.text).ours(position)) if file.look is not None else None


def capabilities() -> dict[str, Any]:
    """What this server can do."""
    return {
        "textDocumentSync": {"openClose": True, "change": FULL_TEXT, "save": {}},
        "hoverProvider": True,
        "definitionProvider": True,
        "completionProvider": {"triggerCharacters": [".", "|"]},
        "renameProvider": {"prepareProvider": True},
    }


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _range(text: str, start: int, end: int) -> dict[str, Any]:
    line = text.count("\n", 0, start)
    column = start - (text.rfind("\n", 0, start) + 1)
    return Positions(text).theirs(line + 1, column + 1, end - start)
