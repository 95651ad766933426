"""Which addresses steps may reach: nothing is contacted that is closed, whatever it is called."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from aiflow.errors import ConfigError
from aiflow.steps._addresses import AddressRefused, policy
from aiflow.steps._network import make_session
from tests.support.http_server import Server, http_server
from tests.support.steps import Bench

CLOSED = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "192.0.0.1", "198.18.0.1",
    "240.0.0.1", "255.255.255.255", "::1", "::", "fc00::1", "fd12::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2001:db8::1", "fec0::1",
]  # fmt: skip
ALWAYS_CLOSED = [
    "169.254.169.254", "169.254.170.2", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "100.100.100.200",
    "fd00:ec2::254", "168.63.129.16", "192.0.0.192", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1",
]  # fmt: skip
OPEN = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", CLOSED + ALWAYS_CLOSED)
def test_closed_in_production(address: str) -> None:
    with pytest.raises(AddressRefused):
        policy(False, ()).check(address)


@pytest.mark.parametrize("address", CLOSED)
def test_private_is_open_on_one_machine(address: str) -> None:
    policy(True, ()).check(address)


@pytest.mark.parametrize("address", ALWAYS_CLOSED)
def test_metadata_is_never_open(address: str) -> None:
    with pytest.raises(AddressRefused):
        policy(True, ()).check(address)


@pytest.mark.parametrize("address", OPEN)
def test_the_world_is_open(address: str) -> None:
    policy(False, ()).check(address)


def test_what_is_named_is_open() -> None:
    named = policy(False, ("10.0.0.0/8", "169.254.169.254", "fd12::/16"))
    for address in ("10.1.2.3", "::ffff:10.0.0.1", "169.254.169.254", "fd12::1"):
        named.check(address)
    for address in ("127.0.0.1", "192.168.0.1", "169.254.169.253"):
        with pytest.raises(AddressRefused):
            named.check(address)
    with pytest.raises(ConfigError, match=r"network.allow"):
        policy(False, ("intranet",))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with http_server() as running:
        yield running


class Lying(AbstractResolver):
    """Says what it is told, another address each time (DNS rebinding)."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ResolveResult(hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0) for one in found]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "localhost.", "LOCALHOST", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001",
        "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]",
        "①②⑦.⓪.⓪.①", "127。0。0。1", "%31%32%37.0.0.1", "127.0.0.1%00.example.com", "127.0.0.1%2f@example.com",
    ],
)  # fmt: skip
async def test_no_spelling_reaches_this_machine(server: Server, tmp_path: Path, host: str) -> None:
    async with make_session(open_private=False) as session:
        error = await Bench(tmp_path, session).error("http", {"url": f"http://{host}:{server.port}/echo"})
    assert error.type in ("connection", "http_error")
    assert server.requests == []


async def test_the_refusal_says_why_and_is_final(server: Server, tmp_path: Path) -> None:
    async with make_session(open_private=False) as session:
        for host in ("localhost", "127.0.0.1"):
            error = await Bench(tmp_path, session).error("http", {"url": f"http://{host}:{server.port}/echo"})
            assert error.type == "connection"
            assert not error.transient
            assert "was not contacted" in error.message
            assert "network" in error.hint


async def test_redirects_are_checked_too(server: Server, tmp_path: Path) -> None:
    async with make_session(open_private=False, allow=("127.0.0.1",)) as session:
        bench = Bench(tmp_path, session)
        assert (await bench.output("http", {"url": f"{server.url}/redirect/1"}))["status"] == 200
        count = len(server.requests)
        for to in ("http://169.254.169.254/latest/", f"http://127.0.0.2:{server.port}/echo", f"http://[::1]:{server.port}/"):
            error = await bench.error("http", {"url": f"{server.url}/redirect/1", "query": {"to": to}})
            assert (error.type, error.transient) == ("connection", False)
        assert len(server.requests) == count + 3


async def test_a_name_with_one_closed_address_is_refused(server: Server, tmp_path: Path) -> None:
    async with make_session(open_private=False, resolver=Lying(["1.1.1.1", "127.0.0.1"])) as session:
        error = await Bench(tmp_path, session).error("http", {"url": f"http://two.example:{server.port}/"})
    assert error.data == {"address": "127.0.0.1"}
    assert server.requests == []


async def test_rebinding(server: Server, tmp_path: Path) -> None:
    """The first look-up is harmless and the connection goes there; the second is not, and is refused."""
    async with make_session(open_private=False, allow=("127.0.0.1",), resolver=Lying(["127.0.0.1"], ["127.0.0.9"])) as session:
        bench = Bench(tmp_path, session)
        assert (await bench.output("http", {"url": f"http://a.example:{server.port}/echo"}))["status"] == 200
        error = await bench.error("http", {"url": f"http://b.example:{server.port}/echo"})
    assert error.data == {"address": "127.0.0.9"}


async def test_proxies_of_the_environment_are_not_used(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with make_session(open_private=True) as session:
        assert (await Bench(tmp_path, session).output("http", {"url": f"{server.url}/text"}))["body"] == "hello"
        assert server.requests[0].headers.get("cookie") is None
