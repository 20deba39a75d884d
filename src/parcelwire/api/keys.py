"""Who calls, from where, and how fast: login keys, failed logins, and the rate of each key."""

from collections import OrderedDict

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError
from parcelwire.flows.context import Context

KNOWN_S = 3.0  # a key that was revoked, and an account that was suspended, is out within this and one call
KNOWN_MAX = 10_000
BURST = 10  # requests at once; clients send three together and then keep their pace
FAILED_LOGINS = 10  # of one address in a minute
MINUTE_S = 60.0


class TooFast(CallerError):
    """Come back after ``wait_s`` seconds."""

    def __init__(self, reason: str, wait_s: float, limit: str) -> None:
        super().__init__(reason, limit=limit)
        self.wait_s = wait_s


class Buckets:
    """A stamp for each name (GCRA): ``burst`` at once, then one each ``gap_s``."""

    def __init__(self, gap_s: float, burst: int) -> None:
        self._gap_s = gap_s
        self._burst = burst
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait_s(self, name: str, now: float) -> float:
        """Seconds until the next one may pass; 0: now."""
        full = max(self._full_at.get(name, now), now)
        return max(0.0, full - self._gap_s * (self._burst - 1) - now)

    def take(self, name: str, now: float) -> None:
        """One passes now."""
        self._full_at[name] = max(self._full_at.get(name, now), now) + self._gap_s
        self._full_at.move_to_end(name)
        if len(self._full_at) > KNOWN_MAX:
            self._full_at.popitem(last=False)


class Keys:
    """Accounts by login key, remembered for a few seconds; a bucket of requests for each key, and one of
    failed logins for each address. ``rate``: requests a second for each key; 0 = no limit.

    The bucket of an address is for wrong keys only: behind a proxy that nobody named all callers seem to come
    from one address, and a broken one must not shut out the others. A key of ours is 16 random bytes, which
    nobody finds by trying.
    """

    def __init__(self, context: Context, rate: float) -> None:
        self._context = context
        self._rate = rate
        self._known: OrderedDict[str, tuple[Account, float]] = OrderedDict()
        self._requests = Buckets(1 / rate if rate else 0.0, BURST)
        self._failures = Buckets(MINUTE_S / FAILED_LOGINS, FAILED_LOGINS)

    async def account(self, login_key: str | None, address: str) -> Account:
        """The account of a key. CallerError when there is none, when it is out or may not call from
        ``address``; TooFast instead when there is none and the address failed too often."""
        account = await self._found(login_key or "", address)
        if not account.enabled:
            raise CallerError("account_disabled")
        if not account.admits(address):
            raise CallerError("ip_not_allowed")
        return account

    async def enter(self, login_key: str | None, address: str) -> Account:
        """The account that calls, with one request taken; TooFast when its key has none left."""
        account = await self.account(login_key, address)
        if self._rate and login_key:
            now = self._context.clock.monotonic()
            wait_s = self._requests.wait_s(login_key, now)
            if wait_s:
                raise TooFast("too_fast", wait_s, f"{self._rate:g}")
            self._requests.take(login_key, now)
        return account

    async def _found(self, login_key: str, address: str) -> Account:
        now = self._context.clock.monotonic()
        account, until = self._known.get(login_key, (None, 0.0))
        if account is not None and now < until:
            return account
        found = await self._context.store.account_of_key(login_key) if login_key else None
        if found is None:
            self._known.pop(login_key, None)
            wait_s = self._failures.wait_s(address, now)
            if wait_s:
                raise TooFast("failed_logins", wait_s, str(FAILED_LOGINS))
            self._failures.take(address, now)
            raise CallerError("bad_key")
        self._known[login_key] = (found, now + KNOWN_S)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return found
