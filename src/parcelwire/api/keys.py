"""Who calls, and how fast: login keys and the rate of each."""

from collections import OrderedDict

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError
from parcelwire.flows.context import Context

KNOWN_S = 5.0  # a key that was revoked dies within this
KNOWN_MAX = 10_000
BURST = 10  # requests at once; clients send three together and then keep their pace


class Keys:
    """Accounts by login key, remembered for a few seconds, and a bucket of requests for each key."""

    def __init__(self, context: Context, rate: float) -> None:
        self._context = context
        self._rate = rate
        self._known: OrderedDict[str, tuple[Account, float]] = OrderedDict()
        self._buckets: OrderedDict[str, float] = OrderedDict()

    async def account(self, login_key: str | None) -> Account:
        """The account of a login key. CallerError when there is none, or when it is disabled."""
        if not login_key:
            raise CallerError("bad_key")
        now = self._context.clock.monotonic()
        account, until = self._known.get(login_key, (None, 0.0))
        if account is None or now >= until:
            account = await self._context.store.account_of_key(login_key)
            if account is None:
                raise CallerError("bad_key")
            self._known[login_key] = (account, now + KNOWN_S)
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        if not account.enabled:
            raise CallerError("account_disabled")
        return account

    def wait_s(self, login_key: str) -> float:
        """0 when a request may pass now, else seconds to wait (GCRA: a stamp for each key)."""
        if not self._rate:
            return 0.0
        now, gap = self._context.clock.monotonic(), 1 / self._rate
        full = max(self._buckets.get(login_key, now), now)
        wait = full - gap * (BURST - 1) - now
        if wait > 0:
            return wait
        self._buckets[login_key] = full + gap
        if len(self._buckets) > KNOWN_MAX:
            self._buckets.popitem(last=False)
        return 0.0
