"""What the numbers of accounts turned out to be, read now and then."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from parcelwire.ports import Store
from parcelwire.wire.directory import Directory

KEPT_FOR = timedelta(seconds=5)  # other processes count, too
ACCOUNTS_MAX = 1000  # kept at the same time

Counts = Mapping[str, Mapping[str, int]]


class Memory:
    """Learned counts by account: per shape of number how many were of which carrier."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[datetime, Counts]] = {}

    async def of(self, store: Store, directory: Directory, account: int, now: datetime) -> Counts:
        """The counts of an account, a few seconds old at most; of carriers that the directory knows."""
        kept = self._kept.get(account)
        if kept is not None and timedelta() <= now - kept[0] < KEPT_FOR:
            return kept[1]
        counts = {
            shape: {carrier: count for carrier, count in carriers.items() if directory.entry(carrier)}
            for shape, carriers in (await store.learned(account)).items()
        }
        if len(self._kept) >= ACCOUNTS_MAX:
            self._kept.clear()
        self._kept[account] = now, counts
        return counts

    def forget(self, accounts: Iterable[int]) -> None:
        """Read them again: something was counted."""
        for account in accounts:
            self._kept.pop(account, None)
