"""The HTTP session that all steps of a process share.

Addresses are checked where connections are opened, not in texts: names may resolve to anything, redirects may lead
anywhere. The resolver refuses a name if one of its addresses is closed; sockets are only made for open addresses.
"""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from aiflow import __version__
from aiflow.steps._addresses import Policy, policy

USER_AGENT = f"aiflow/{__version__}"

CONNECT_S = 30.0
"""Seconds to open a connection."""


class CheckedResolver(AbstractResolver):
    """Looks names up as the system does, and refuses those with a closed address."""

    def __init__(self, allowed: Policy, inner: AbstractResolver | None = None) -> None:
        self._allowed = allowed
        self._inner = inner or aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """The addresses of `host`. Raises: AddressRefused, OSError."""
        found = await self._inner.resolve(host, port, family)
        for one in found:
            self._allowed.check(one["host"])
        return found

    async def close(self) -> None:
        await self._inner.close()


def make_session(
    open_private: bool, allow: tuple[str, ...] = (), resolver: AbstractResolver | None = None
) -> aiohttp.ClientSession:
    """A session without limit of connections, cookies or proxies from the environment. Call inside the event loop.

    Args:
        open_private: may loopback and private addresses be reached.
        allow: networks that are open besides, e.g. `10.0.0.0/8`; also the only way to a cloud's metadata.
        resolver: instead of the system's.
    Raises: ConfigError: something in `allow` is no network.
    """
    allowed = policy(open_private, allow)

    def checked_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        allowed.check(address[0])
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(
        limit=0, ttl_dns_cache=10, resolver=CheckedResolver(allowed, resolver), socket_factory=checked_socket
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        trust_env=False,
    )
