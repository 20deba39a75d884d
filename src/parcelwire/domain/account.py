"""Accounts and what they may use."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

GUESSABLE = re.compile(
    r"change.?me|default|example|parcelwire|passwor[dt]|secret|sandbox|test", re.IGNORECASE
)
CHARACTERS_MIN = 6  # different ones in a secret
LIVE_KEYS_MAX = 2  # so that a key can be replaced while the old one still works

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant. ``plan`` is a name of domain.quota.PLANS or a number; quota counts a month."""

    id: int
    name: str
    plan: str
    quota_total: int
    max_daily: int = 0  # registrations a day; 0 = no limit
    enabled: bool = True
    networks: tuple[Network, ...] = ()  # where calls may come from; () = from everywhere

    def admits(self, address: str) -> bool:
        """Whether a call from ``address`` is let in."""
        if not self.networks:
            return True
        try:
            caller = ip_address(address)
        except ValueError:
            return False
        if isinstance(caller, IPv6Address) and caller.ipv4_mapped:
            caller = caller.ipv4_mapped
        return any(caller in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class LoginKey:
    """What is known of a login key. ``prefix`` tells the keys of an account apart."""

    prefix: str
    created_at: datetime
    revoked_at: datetime | None = None  # None: it is live
    signs: bool = False  # webhooks: it is the signing key too


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What a new account is made from. The login key is stored hashed, the signing key encrypted."""

    name: str
    plan: str
    quota_total: int
    login_key: str = field(repr=False)
    sign_key: str = field(repr=False)
    max_daily: int = 0
    networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Quota of the current period, and the registrations of today (UTC)."""

    total: int
    used: int
    today: int
    max_daily: int


def is_guessable(secret: str) -> bool:
    """Whether a secret looks as if it came out of a manual, or out of a sleeve."""
    return bool(GUESSABLE.search(secret)) or len(set(secret)) < CHARACTERS_MIN
