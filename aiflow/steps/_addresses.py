"""Which network addresses steps may reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from aiflow.errors import ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

METADATA = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",  # link-local: AWS, Google, Azure, DigitalOcean 169.254.169.254, AWS containers 169.254.170.2
        "fe80::/10",
        "100.100.100.200/32",  # Alibaba
        "192.0.0.192/32",  # Oracle
        "168.63.129.16/32",  # Azure's host
        "fd00:ec2::/32",  # AWS
        "fd20:ce::/32",  # Google
    )
)
"""Where clouds answer questions about a machine, credentials included. Closed unless named, everywhere."""

_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.ip_network("::/96")
_NOT_GLOBAL = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.0.0/24", "100.64.0.0/10", "198.18.0.0/15", "240.0.0.0/4", "::/3", "3fff::/20", "4000::/2", "8000::/1")
)
"""Ranges that some versions of Python's `is_global` get wrong; of IPv6 only 2000::/3 is the world's."""


class AddressRefused(OSError):
    """A connection was not opened: the address is closed to steps. `address`: as text."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"{address} is {why}")
        self.address = address
        self.why = why


@dataclass(frozen=True)
class Policy:
    """What may be reached.

    Attributes:
        open_private: loopback and private networks are open (the embedded store; everything is on one machine).
        allow: networks that are open whatever they are.
    """

    open_private: bool
    allow: tuple[Network, ...] = ()

    def check(self, text: str) -> None:
        """Raises: AddressRefused: `text`, or an address inside it (IPv4 in IPv6), may not be reached."""
        address = ipaddress.ip_address(text.partition("%")[0])
        if self._named(address):
            return
        for one in _meant(address):
            if not self._named(one) and (why := self._why_closed(one)):
                raise AddressRefused(text, why)

    def _named(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self.allow)

    def _why_closed(self, address: Address) -> str:
        if any(address.version == network.version and address in network for network in METADATA):
            return "a link-local or cloud metadata address"
        if address.is_multicast:
            return "a multicast address"
        if self.open_private:
            return ""
        if address.is_loopback or address.is_unspecified:
            return "this machine itself"
        special = any(address.version == network.version and address in network for network in _NOT_GLOBAL)
        return "" if address.is_global and not special else "a private or reserved address"


def policy(open_private: bool, allow: Sequence[str]) -> Policy:
    """A policy from settings. Raises: ConfigError: something in `allow` is no network."""
    networks = []
    for text in allow:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError as error:
            raise ConfigError(
                f"`network.allow`: `{text}` is no network", hint="write an address or a network, e.g. 10.0.0.0/8"
            ) from error
    return Policy(open_private, tuple(networks))


def _meant(address: Address) -> Iterator[Address]:
    """The address and the IPv4 addresses that it carries: v4-mapped, 6to4, Teredo, NAT64, v4-compatible.

    A mapped or translated address stands for the IPv4 one alone.
    """
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif any(address in network for network in _NAT64) or (address in _COMPATIBLE and int(address) > 1):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    else:
        yield address
        if address.sixtofour is not None:
            yield address.sixtofour
        if address.teredo is not None:
            yield from address.teredo
