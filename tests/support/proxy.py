"""A proxy between a client and the store that loses replies and cuts connections."""

from __future__ import annotations

import asyncio
from pathlib import Path

import hiredis

ASK = b"EVALSHA"


class Proxy:
    """Listens on a unix socket and passes everything on to another.

    Attributes:
        lose: cut the connection instead of passing on the reply to the script call of that number (from 1), 0: never.
        refuse: cut the connection instead of passing on that script call.  swallow: say nothing of it, and stay.
        calls: script calls seen.  cuts: connections that were cut.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self._target = target
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self._upstream: set[asyncio.StreamWriter] = set()
        self.lose = self.refuse = self.swallow = 0
        self.calls = self.cuts = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        for up in self._upstream:
            up.close()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pumps.add(task)
        task.add_done_callback(self._pumps.discard)
        up_reader, up_writer = await asyncio.open_unix_connection(self._target)
        self._upstream.add(up_writer)
        asked: list[bool] = []  # for each command that has no reply yet: whether its reply is to be lost
        try:
            pumps = [
                asyncio.ensure_future(self._commands(reader, up_writer, asked)),
                asyncio.ensure_future(self._replies(up_reader, writer, asked)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.cuts += 1
            self._upstream.discard(up_writer)
            for one in (writer, up_writer):
                one.close()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _commands(self, reader: asyncio.StreamReader, up: asyncio.StreamWriter, asked: list[bool]) -> None:
        parser = hiredis.Reader()
        while data := await reader.read(65536):
            parser.feed(data)
            while (command := parser.gets()) is not False:
                script = bytes(command[0]).upper() == ASK
                self.calls += script
                if script and self.calls == self.refuse:
                    return
                if script and self.calls == self.swallow:
                    continue
                asked.append(script and self.calls == self.lose)
                up.write(hiredis.pack_command(tuple(command)))
            await up.drain()

    async def _replies(self, up: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[bool]) -> None:
        """Replies are passed on as they come; what stands before the lost one is passed on first."""
        parser = hiredis.Reader()
        while data := await up.read(65536):
            parser.feed(data)
            whole = True
            while parser.gets() is not False:
                whole = whole and not asked.pop(0)
            if not whole:
                return
            writer.write(data)
            await writer.drain()
