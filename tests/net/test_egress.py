"""Where URLs given by users may lead: spellings when saved, addresses at every connect."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.errors import UrlRefused
from parcelwire.net.egress import REFUSED, Guard, GuardedResolver, Network, check_url

LOOPBACK = (ip_network("127.0.0.0/8"),)
HOME = (ip_network("192.168.1.0/24"), ip_network("fd00::/8"))

REFUSED_URLS = [
    # private, loopback, link-local and special IPv4
    "https://127.0.0.1/", "https://127.1.2.3/", "https://0.0.0.0/", "https://10.0.0.1/hook", "https://172.16.0.1/",
    "https://172.31.255.255/", "https://192.168.0.1/", "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/", "https://100.64.0.1/", "https://192.0.0.8/", "https://192.0.2.1/",
    "https://192.88.99.1/", "https://198.18.0.1/", "https://198.19.255.255/", "https://198.51.100.7/",
    "https://203.0.113.9/", "https://224.0.0.1/", "https://239.255.255.250/", "https://240.0.0.1/",
    "https://255.255.255.255/",
    # IPv4 in other clothes
    "https://2130706433/", "https://017700000001/", "https://0x7f000001/", "https://0x7f.0.0.1/",
    "https://0177.0.0.1/", "https://127.1/", "https://127.0.1/", "https://0/", "https://127.000.000.001/",
    "https://127.0.0.1./", "https://127.0.0.0x1/", "https://1.2.3.4.5/", "https://256.1.1.1/", "https://8.8.8/",
    "https://134744072/", "https://0x/", "https://example.0x7f/", "https://example.123/",
    "https://①②⑦.⓪.⓪.①/", "https://１２７.0.0.1/", "https://127。0。0。1/", "https://１２７．０．０．１/",
    "https://%31%32%37.0.0.1/",
    # IPv6
    "https://[::]/", "https://[::1]/", "https://[0:0:0:0:0:0:0:1]/", "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/", "https://[::ffff:10.0.0.1]/", "https://[::127.0.0.1]/", "https://[::8.8.8.8]/",
    "https://[64:ff9b::7f00:1]/", "https://[64:ff9b::10.0.0.1]/", "https://[64:ff9b:1::7f00:1]/",
    "https://[64:ff9b:1:a00:0:100::]/", "https://[2002:7f00:1::]/", "https://[2002:808:808::]/",
    "https://[2001::1]/", "https://[2001:db8::1]/", "https://[3fff::1]/", "https://[5f00::1]/",
    "https://[fc00::1]/", "https://[fd12:3456::1]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/", "https://[fec0::1]/", "https://[ff02::1]/", "https://[100::1]/",
    "https://[::ffff:0:127.0.0.1]/", "https://[v1.fe80]/", "https://[::1", "https://[127.0.0.1]/",
    # names of this host
    "https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://a.localhost/", "https://ⓛocalhost/",
    # authority tricks
    "https://user@example.com/", "https://user:secret@example.com/", "https://@example.com/",
    "https://:@example.com/", "https://example.com@127.0.0.1/", "https://127.0.0.1\\@example.com/",
    "https:\\\\example.com/", "https://example.com\\.evil/", "https:/example.com/", "https:example.com",
    "https:///example.com", "//example.com/", "example.com/hook", "https://", "https://?x", "https://#x", "",
    "https://exam ple.com/", " https://example.com/", "https://example.com/ ", "https://example.com/\r\nX: y",
    "https://example.com/\x00", "https://exa\tmple.com/", "https://example.com/\u202e", "https://ex\u00adample.com/",
    "https://a..example.com/", "https://.example.com/", "https://-a.example.com/",
    "https://" + "a" * 64 + ".com/", "https://" + "a." * 127 + "com/", "https://example.com/" + "a" * 2048, "https://ex,ample.com/",
    # schemes and ports
    "http://example.com/", "http://8.8.8.8/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/",
    "javascript://example.com/", "unix://example.com/", "https+x://example.com/", "https://example.com:22/",
    "https://example.com:25/", "https://example.com:6379/", "https://example.com:0/", "https://example.com:99999/",
    "https://example.com:-1/", "https://example.com:http/", "https://8.8.8.8:8017/",
]  # fmt: skip

ACCEPTED_URLS = [
    ("https://example.com/hook?a=b", "example.com", 443), ("https://example.com", "example.com", 443),
    ("HTTPS://Example.COM/Hook", "example.com", 443), ("https://example.com:443/", "example.com", 443),
    ("https://example.com:8443/", "example.com", 8443), ("https://example.com:8080/", "example.com", 8080),
    ("https://example.com:80/", "example.com", 80), ("https://example.com:/", "example.com", 443),
    ("https://example.com./", "example.com.", 443), ("https://a_b.example.com/", "a_b.example.com", 443),
    ("https://bücher.example/ü", "xn--bcher-kva.example", 443), ("https://8.8.8.8/", "8.8.8.8", 443),
    ("https://1.1.1.1:8443/", "1.1.1.1", 8443), ("https://172.32.0.1/", "172.32.0.1", 443),
    ("https://100.128.0.1/", "100.128.0.1", 443), ("https://[2606:4700::1111]/", "2606:4700::1111", 443),
    ("https://[::ffff:8.8.8.8]/", "::ffff:808:808", 443),
    ("https://[64:ff9b::808:808]/", "64:ff9b::808:808", 443),
    ("https://[64:ff9b:1::808:808]/", "64:ff9b:1::808:808", 443),
    ("https://xn--p1ai.example/", "xn--p1ai.example", 443),
    ("https://1.example.com/", "1.example.com", 443), ("https://0x7f.example/", "0x7f.example", 443),
    ("https://localhost.example/", "localhost.example", 443), ("https://notlocalhost/", "notlocalhost", 443),
    ("https://example.com/#fragment", "example.com", 443), ("https://example.com/a@b", "example.com", 443),
    ("https://example.com?u=a%40b", "example.com", 443),
]  # fmt: skip

ALLOWED = [  # URL, allowed networks, accepted
    ("http://127.0.0.1:9000/hook", LOOPBACK, True), ("https://127.0.0.1/", LOOPBACK, True),
    ("http://localhost:9000/", LOOPBACK, True), ("http://[::ffff:127.0.0.1]:9000/", LOOPBACK, True),
    ("http://[::1]:9000/", LOOPBACK, False), ("http://10.0.0.1/", LOOPBACK, False),
    ("http://8.8.8.8/", LOOPBACK, False), ("https://8.8.8.8:9000/", LOOPBACK, False),
    ("http://127.1:9000/", LOOPBACK, False), ("http://user@127.0.0.1/", LOOPBACK, False),
    ("http://192.168.1.77:1880/", HOME, True), ("http://192.168.2.1/", HOME, False),
    ("http://[fd00::5]:1880/", HOME, True), ("http://[fc00::5]:1880/", HOME, False),
    ("http://nas.home:1880/", HOME, True), ("https://nas.home:1880/", HOME, True),
    ("http://[64:ff9b::192.168.1.9]/", HOME, True), ("http://[64:ff9b::8.8.8.8]/", HOME, False),
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_the_spelling_is_refused(url: str) -> None:
    """Nothing of this can be saved when the operator allowed no network, and the error does not repeat it."""
    with pytest.raises(UrlRefused) as caught:
        check_url(url)
    assert len(url) < 10 or url not in str(caught.value)


@pytest.mark.parametrize(("url", "host", "port"), ACCEPTED_URLS)
def test_the_spelling_is_accepted(url: str, host: str, port: int) -> None:
    """Public names and addresses, with what will really be connected to."""
    target = check_url(url)
    assert (target.host, target.port, target.plain) == (host, port, False)
    assert target.url.fragment == ""


@pytest.mark.parametrize(("url", "allow", "accepted"), ALLOWED)
def test_an_allowed_network_opens_http_and_any_port_for_itself_only(
    url: str, allow: Sequence[Network], accepted: bool
) -> None:
    """The operator's list wins, for these addresses and no others."""
    if accepted:
        assert check_url(url, allow).plain is url.startswith("http:")
    else:
        with pytest.raises(UrlRefused):
            check_url(url, allow)


@given(st.ip_addresses(network="0.0.0.0/0") | st.sampled_from([n.network_address for n in REFUSED]))
def test_every_wrapping_of_a_refused_ipv4_is_refused(address: object) -> None:
    """Mapped, compatible, translated, NAT64: an IPv4 address inside IPv6 is never freer than itself."""
    four = ip_address(str(address))
    if four.version == 6:
        assert not Guard().permits(four, 443)
        return
    free = Guard().permits(four, 443)
    assert Guard().permits(ip_address(f"::ffff:{four}"), 443) is free
    assert Guard().permits(ip_address(f"64:ff9b::{four}"), 443) is free
    assert Guard().permits(ip_address(f"64:ff9b:1::{four}"), 443) is free
    for never in (f"::{four}", f"::ffff:0:{four}", f"2002:{int(four) >> 16:x}:{int(four) & 0xFFFF:x}::1"):
        assert not Guard().permits(ip_address(never), 443)


@pytest.mark.parametrize("network", REFUSED, ids=str)
def test_both_ends_of_every_refused_network_are_refused(network: IPv4Network | IPv6Network) -> None:
    """First and last address of each row, and an allow-list with just that row opens it."""
    for address in (network[0], network[-1]):
        assert not Guard().permits(address, 443)
        if "::/8" not in str(network):  # its ends are read as IPv4 or not at all
            assert Guard([network], plain=True).permits(address, 9000)


@pytest.mark.parametrize("length", [48, 56, 64])
def test_an_inner_address_is_found_wherever_the_local_nat64_prefix_puts_it(length: int) -> None:
    """RFC 6052, 2.2: a gateway with a prefix of 48, 56 or 64 bits must not lead to 10.9.8.7 either."""
    inner = int(ip_address("10.9.8.7"))
    prefix = int(ip_address("64:ff9b:1:abcd::")) >> (128 - length) << (128 - length)
    kept = 64 - length  # bits of the inner address before octet u
    high = inner >> (32 - kept)
    low = inner & ((1 << (32 - kept)) - 1)
    address = ip_address(prefix | high << 64 | low << (56 - (32 - kept)))
    assert not Guard().permits(address, 443)


class Names(AbstractResolver):
    """Answers each lookup with the next list of addresses."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [
            ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        ]

    async def close(self) -> None:
        self.answers.clear()


class Listener:
    """A real listener on loopback that counts connects."""

    def __init__(self) -> None:
        self.connects = 0
        self.port = 0

    async def serve(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects += 1
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    counting = Listener()
    server = await asyncio.start_server(counting.serve, "127.0.0.1", 0)
    counting.port = server.sockets[0].getsockname()[1]
    async with server:
        yield counting


async def fetch(url: str, guard: Guard, names: AbstractResolver) -> int:
    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(guard, names), use_dns_cache=False, socket_factory=guard.open_socket
    )
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as response:
        return response.status


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::ffff:127.0.0.1]",
        "①②⑦.⓪.⓪.①",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "evil.example",
    ],
)
async def test_no_connect_happens_to_a_refused_address(listener: Listener, host: str) -> None:
    """Also when nobody looked at the URL before: the socket's guard sees literals that no resolver sees."""
    with pytest.raises(aiohttp.ClientError):
        await fetch(f"http://{host}:{listener.port}/", Guard(), Names(["127.0.0.1"]))
    assert listener.connects == 0


async def test_an_allowed_address_is_connected_to(listener: Listener) -> None:
    """The same listener answers as soon as its network is allowed: the test above can fail."""
    url = f"http://inside.example:{listener.port}/"
    assert await fetch(url, Guard(LOOPBACK, plain=True), Names(["127.0.0.1"])) == 204
    assert listener.connects == 1


async def test_one_forbidden_address_refuses_the_whole_answer(listener: Listener) -> None:
    """An answer that mixes an allowed and a forbidden address is not used at all, in either order."""
    for answer in (["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"]):
        with pytest.raises(aiohttp.ClientConnectorDNSError):
            await fetch(f"http://mixed.example:{listener.port}/", Guard(LOOPBACK), Names(answer))
    assert listener.connects == 0


async def test_a_name_that_turns_inside_is_refused_at_the_next_connect(listener: Listener) -> None:
    """DNS rebinding: the first lookup is harmless, the second points inside; each connect looks again."""
    guard = Guard([ip_network("127.0.0.1/32")], plain=True)
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    url = f"http://rebind.example:{listener.port}/"
    assert await fetch(url, guard, names) == 204
    with pytest.raises(aiohttp.ClientConnectorDNSError):
        await fetch(url, guard, names)
    assert names.asked == ["rebind.example", "rebind.example"]
    assert listener.connects == 1


async def test_an_answer_that_is_no_address_is_refused(listener: Listener) -> None:
    """A resolver that hands out names or empty text gets no connect."""
    for odd in ("localhost", "", "127.0.0.1 "):
        with pytest.raises(aiohttp.ClientError):
            await fetch(f"http://odd.example:{listener.port}/", Guard(LOOPBACK), Names([odd]))
    assert listener.connects == 0
