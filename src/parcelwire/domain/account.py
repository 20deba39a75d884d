"""Accounts and what they may use."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant. ``plan`` is a name of domain.quota.PLANS or a number; quota counts a month."""

    id: int
    name: str
    plan: str
    quota_total: int
    max_daily: int = 0  # registrations a day; 0 = no limit
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What a new account is made from. The login key is stored hashed, the signing key encrypted."""

    name: str
    plan: str
    quota_total: int
    login_key: str = field(repr=False)
    sign_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """Quota of the current period, and the registrations of today (UTC)."""

    total: int
    used: int
    today: int
    max_daily: int
