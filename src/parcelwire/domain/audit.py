"""Who changed what: append-only chains of records, one for each account and one for the operator.

A record holds the mark of the one before it, a head holds number and mark of the last one. Marks are made
with a key that is not in the database (store/vault.py): who can write the database can neither change a
record nor add one that fits. What remains is to put an older state of a whole chain back, as restoring a
backup does: keep what ``audit verify`` prints in another place to see that. No record holds a value, only
names of what was changed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

OPERATOR = 0  # the chain of what belongs to no account
BY_OWNER, BY_SERVICE = "cli", "service"  # who; the service itself at its start, by its settings


@dataclass(frozen=True, slots=True)
class Deed:
    """One change by the owner. ``fields``: names of what was changed."""

    actor: str
    at: datetime
    action: str
    subject: str
    fields: tuple[str, ...] = ()

    def about(self, made: int) -> "Deed":
        """The same about something that has just got its id."""
        return replace(self, subject=f"{self.subject} {made}")


@dataclass(frozen=True, slots=True)
class Record:
    """A deed in its chain. ``genuine``: its mark is the one that was given to this content."""

    seq: int  # 1, 2, 3 ...
    deed: Deed
    before: bytes  # mark of the record before; b"" in the first
    mark: bytes
    genuine: bool


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain."""

    seq: int
    mark: bytes  # of the last record
    genuine: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """All records in their order, and the head; None when there is none."""

    records: Sequence[Record] = ()
    head: Head | None = None


def content(account: int, seq: int, deed: Deed, before: bytes) -> bytes:
    """What the mark of a record is made of."""
    values = (account, seq, deed.at.isoformat(), deed.actor, deed.action, deed.subject, *deed.fields)
    return json.dumps([*values, before.hex()]).encode()


def head_content(account: int, seq: int, mark: bytes) -> bytes:
    """What the mark of a head is made of."""
    return json.dumps(["head", account, seq, mark.hex()]).encode()


def first_break(chain: Chain) -> str | None:
    """What is wrong with a chain, where it begins; None: nothing."""
    last, mark, head = 0, b"", chain.head
    for record in chain.records:
        if record.seq != last + 1:
            return f"record {last + 1} is missing"
        if not record.genuine:
            return f"record {record.seq} was changed"
        if record.before != mark:
            return f"record {record.seq} does not follow record {last}"
        last, mark = record.seq, record.mark
    if head is None:
        return "the head is missing" if last else None
    if not head.genuine:
        return "the head was changed"
    if head.seq > last:
        return f"record {last + 1} is missing, and all after it up to {head.seq}"
    if (head.seq, head.mark) != (last, mark):
        return f"the head ends at record {head.seq}, but there are {last}"
    return None
