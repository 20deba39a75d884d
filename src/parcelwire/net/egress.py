"""Where a URL given by a user may lead: never inside, unless the operator allowed that network.

Two gates. ``check_url`` judges the spelling when the URL is saved. ``Guard`` judges every address at every
connect: names are resolved anew, so a name that was harmless when it was saved may point inside now.

The table is our own: the ``is_global`` of Python's ipaddress differs between versions and calls NAT64, 6to4,
site-local and multicast addresses global.
"""

import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from aiohappyeyeballs import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from parcelwire.domain.errors import UrlRefused

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

URL_LENGTH_MAX = 2048
PORTS = frozenset({80, 443, 8080, 8443})  # where web servers listen; others only inside an allowed network

# IANA's registries of special-purpose addresses, and one address of a cloud.
REFUSED: Sequence[Network] = (
    IPv4Network("0.0.0.0/8"),  # this host
    IPv4Network("10.0.0.0/8"),  # private
    IPv4Network("100.64.0.0/10"),  # behind a carrier's NAT
    IPv4Network("127.0.0.0/8"),  # loopback
    IPv4Network("168.63.129.16/32"),  # metadata service of a large cloud
    IPv4Network("169.254.0.0/16"),  # link-local, metadata services of clouds
    IPv4Network("172.16.0.0/12"),  # private
    IPv4Network("192.0.0.0/24"),  # protocol assignments
    IPv4Network("192.0.2.0/24"),  # documentation
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv4Network("192.168.0.0/16"),  # private
    IPv4Network("198.18.0.0/15"),  # benchmarks
    IPv4Network("198.51.100.0/24"),  # documentation
    IPv4Network("203.0.113.0/24"),  # documentation
    IPv4Network("224.0.0.0/4"),  # multicast
    IPv4Network("240.0.0.0/4"),  # reserved, broadcast
    IPv6Network("::/8"),  # unspecified, loopback, IPv4 inside IPv6; NAT64 is unwrapped first
    IPv6Network("100::/64"),  # discard
    IPv6Network("2001::/23"),  # protocol assignments, Teredo
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
    IPv6Network("5f00::/16"),  # segment routing
    IPv6Network("fc00::/7"),  # unique local
    IPv6Network("fe80::/10"),  # link-local
    IPv6Network("fec0::/10"),  # site-local
    IPv6Network("ff00::/8"),  # multicast
)
NAT64_KNOWN = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
NAT64_LOCAL = IPv6Network(
    "64:ff9b:1::/48"
)  # RFC 8215: each network decides where in it the IPv4 address stands

IPV4 = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")  # no octal, no hex, no short forms
IPV6 = re.compile(r"\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\](?::[0-9]*)?")
NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")  # as a last label: resolvers read such a host as an address
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


class AddressRefused(OSError):
    """The name leads to an address that is not allowed."""


@dataclass(frozen=True, slots=True)
class ParsedTarget:
    """A checked URL. ``url`` is what must be requested: no other parser shall read the text again."""

    url: URL = field(repr=False)  # path and query may hold a secret
    plain: bool  # http, not https

    @property
    def host(self) -> str:
        return self.url.raw_host or ""

    @property
    def port(self) -> int:
        return self.url.port or 0


class Guard:
    """Decides which addresses may be connected to. ``plain``: for http, which only allowed networks get."""

    def __init__(self, allow: Iterable[Network] = (), *, plain: bool = False) -> None:
        self.allow = tuple(allow)
        self.plain = plain

    def permits(self, address: Address, port: int) -> bool:
        if isinstance(address, IPv6Address):
            address = IPv6Address(int(address))  # without scope
            if address.ipv4_mapped is not None:
                return self.permits(address.ipv4_mapped, port)
        if any(address in network for network in self.allow):
            return True
        if isinstance(address, IPv6Address) and (inner := embedded(address)):
            return all(self.permits(one, port) for one in inner)
        return not self.plain and port in PORTS and not any(address in network for network in REFUSED)

    def check(self, host: str, port: int) -> None:
        """AddressRefused unless the literal address ``host`` may be connected to."""
        try:
            address = ip_address(host)
        except ValueError:
            raise AddressRefused("not an address") from None
        if not self.permits(address, port):
            raise AddressRefused("address not allowed")

    def open_socket(self, target: AddrInfoType) -> socket.socket:
        """Socket factory of a connector. It sees every address, also those that no resolver is asked for."""
        family, kind, protocol, _, address = target
        self.check(str(address[0]), int(address[1]))
        return socket.socket(family, kind, protocol)


class GuardedResolver(AbstractResolver):
    """Resolves names; one forbidden address refuses the whole answer, so that no retry can pick it."""

    def __init__(self, guard: Guard, inner: AbstractResolver) -> None:
        self._guard = guard
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for one in found:
            self._guard.check(one["host"], one["port"])
        return found

    async def close(self) -> None:
        await self._inner.close()


def embedded(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that a NAT64 gateway may read in this address; none when it is not NAT64.

    In the local prefix the place of the IPv4 address is unknown: all that RFC 6052 has are given, unless the
    bits between prefix and last 32 are zero.
    """
    bits = int(address)
    last = IPv4Address(bits & 0xFFFF_FFFF)
    if address in NAT64_KNOWN:
        return [last]
    if address not in NAT64_LOCAL:
        return []
    if not (bits >> 32) & 0xFFFF_FFFF_FFFF:
        return [last]
    without_octet_u = (bits >> 64) << 56 | bits & 0xFF_FFFF_FFFF_FFFF  # bits 64-71 are never part of it
    places = [IPv4Address((without_octet_u >> (88 - length)) & 0xFFFF_FFFF) for length in (48, 56, 64)]
    return [last, *places]


def check_url(url: str, allow: Iterable[Network] = ()) -> ParsedTarget:
    """Parse a URL given by a user, or raise UrlRefused. ``allow``: networks that the operator allowed.

    https to ports 80, 443, 8080, 8443 of public addresses; http and other ports only inside an
    allowed network. Names are not resolved here: what they lead to is judged at every connect.
    """
    _check_text(url)
    try:
        parsed = URL(url)
    except ValueError:
        raise UrlRefused("not a URL") from None
    host, port = parsed.raw_host or "", parsed.port or 0
    if parsed.scheme not in ("http", "https"):
        raise UrlRefused("the URL must begin with https://")
    if port == 0:
        raise UrlRefused("port 0 is none")
    guard = Guard(allow, plain=parsed.scheme == "http")
    _check_host(host, port, guard)
    return ParsedTarget(parsed.with_fragment(None), guard.plain)


def _check_text(url: str) -> None:
    if len(url) > URL_LENGTH_MAX:
        raise UrlRefused(f"longer than {URL_LENGTH_MAX} characters")
    if not url.isprintable() or "\\" in url or " " in url:
        raise UrlRefused("blanks, backslashes and control characters are not allowed")
    scheme, slashes, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not scheme.isalpha() or not slashes or not authority:
        raise UrlRefused("the URL must begin with https:// and a host")
    if "@" in authority:
        raise UrlRefused("user and password are not allowed")
    if "%" in authority or ("[" in authority and not IPV6.fullmatch(authority)):
        raise UrlRefused("the host has percent signs, or brackets around something else than an IPv6 address")


def _check_host(host: str, port: int, guard: Guard) -> None:
    if ":" in host or IPV4.fullmatch(host):
        _check_literal(host, port, guard)
    elif _is_local(host):
        _check_literal("127.0.0.1", port, guard)
    elif not _is_name(host):
        raise UrlRefused("the host is neither a name nor an address in its usual form")
    elif not guard.allow and guard.plain:
        raise UrlRefused("http is only for networks that PARCELWIRE_EGRESS_ALLOW names: use https")
    elif not guard.allow and port not in PORTS:
        raise UrlRefused(f"port {port} is only for networks that PARCELWIRE_EGRESS_ALLOW names")


def _check_literal(host: str, port: int, guard: Guard) -> None:
    try:
        guard.check(host, port)
    except AddressRefused:
        raise UrlRefused(
            "this address is not public, or http or the port is not allowed for it: PARCELWIRE_EGRESS_ALLOW "
            "can allow its network"
        ) from None


def _is_local(host: str) -> bool:
    return ("." + host.removesuffix(".")).endswith(".localhost")


def _is_name(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(map(LABEL.fullmatch, labels)) and not NUMERIC.fullmatch(labels[-1])
