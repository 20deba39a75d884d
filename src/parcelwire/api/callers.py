"""Where a call comes from, also behind proxies."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import structlog
from aiohttp import web

from parcelwire.domain.account import Network

TOLD_MAX = 20  # unknown proxies that are told of; anybody can send the header


def caller_of(request: web.BaseRequest, proxies: Sequence[Network]) -> str:
    """The caller's address: the nearest hop that is no proxy of ours. Only our proxies are believed."""
    address = request.remote or ""
    if not proxies:
        return address
    hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
    while hops and trusted(address, proxies):
        hop = hops.pop().strip()
        if _read(hop) is None:
            break
        address = hop
    return address


class UnknownProxies:
    """Tells of addresses that say for whom they call, and are no proxies of ours: each one once."""

    def __init__(self, proxies: Sequence[Network]) -> None:
        self._proxies = proxies
        self._told: set[str] = set()
        self._log = structlog.get_logger("parcelwire")

    def look(self, request: web.BaseRequest) -> None:
        """Warn when this request shows a new one."""
        if "X-Forwarded-For" not in request.headers:
            return
        address = request.remote or ""
        if address in self._told or len(self._told) >= TOLD_MAX or trusted(address, self._proxies):
            return
        self._told.add(address)
        self._log.warning("unknown_proxy", address=address, setting="PARCELWIRE_PROXIES")


def trusted(address: str, proxies: Sequence[Network]) -> bool:
    """Whether it is a proxy of ours."""
    known = _read(address)
    return known is not None and any(known in network for network in proxies)


def _read(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
