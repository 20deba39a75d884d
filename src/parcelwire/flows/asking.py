"""One conversation with a source: the calls that it takes from the lane, and what it means for the lane."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from math import inf

from parcelwire.domain.errors import MalformedReply, NoRoom
from parcelwire.domain.exchange import Conversation, Query
from parcelwire.domain.lane import BREAKER_AFTER, PROBE, SEND_S, Grant, Lane, settle, take_more
from parcelwire.domain.limits import Limits
from parcelwire.domain.shipment import Shipment
from parcelwire.flows.context import Context
from parcelwire.flows.routes import Said
from parcelwire.ports import Carrier, Due


def candidate(context: Context, source: Carrier, shipment: Shipment) -> str | None:
    """The carrier that is asked in place of the registered one, when it is this source that is asked."""
    carrier = shipment.doubt.asks if shipment.doubt else None
    return carrier if carrier and context.routes.sources.get(carrier) is source else None


def query_of(
    context: Context,
    source: Carrier,
    due: Due,
    *,
    known: bool = True,
    instant: bool = False,
    told: str | None = None,
) -> Query:
    """The question about a shipment. A source that does not know its carrier is asked as for its own."""
    shipment = due.shipment
    carrier = candidate(context, source, shipment) or shipment.carrier
    entry = context.directory.entry(carrier)
    return Query(
        shipment.number,
        carrier if carrier in source.serves else source.serves[0],
        shipment.since,
        shipment.wish.hint,
        code=entry.code if entry else 0,
        known=known,
        instant=instant,
        told=told,
    )


class Calls:
    """The calls of one conversation (a ports.Permit): each is taken from the lane before it is sent.

    The first one comes with the claim, so that one request costs no more. One that could not be sent in time
    is given back for another. ``lane`` is as it was when the last one was taken.
    """

    def __init__(self, context: Context, limits: Limits, lane: str, *, urgent: bool = False) -> None:
        self.lane = Lane(lane)
        self._context = context
        self._limits = limits
        self._urgent = urgent
        self._made = True  # the last one that was taken
        self._send_by = -inf  # by the monotonic clock

    def got(self, grant: Grant, now: datetime, began: float) -> None:
        """A call was granted: asked for at ``now``, which was ``began`` by the monotonic clock."""
        self.lane, self._made = grant.lane, False
        asked_for_s = (grant.at - now).total_seconds()
        self._send_by = began + asked_for_s + SEND_S if self._limits.per_s is not None else inf

    async def __call__(self, patience_s: float, /) -> None:
        """See ports.Permit."""
        if self._limits.per_s is self._limits.per_day is None:
            return
        clock = self._context.clock
        until = clock.monotonic() + patience_s
        while self._made or clock.monotonic() > self._send_by:
            await self.take(until - clock.monotonic())
        self._made = True

    async def take(self, patience_s: float) -> None:
        """Take a call, waiting for it. NoRoom when the lane has none within ``patience_s``."""
        clock, limits = self._context.clock, self._limits
        taking = partial(take_more, taken=self.lane, limits=limits, made=self._made, urgent=self._urgent)
        until = clock.monotonic() + patience_s
        while True:
            now, began = clock.now(), clock.monotonic()
            grant = await self._context.store.take_call(
                self.lane.name, lambda lane, at: taking(lane, now=at), now
            )
            if grant.granted:
                return self.got(grant, now, began)
            wait_s = (grant.retry_at - now).total_seconds() if grant.retry_at else inf
            if began + wait_s > until:
                raise NoRoom(f"{grant.why}; try again {_when(grant.retry_at)}", wait_s)
            await clock.sleep(wait_s)


def _when(at: datetime | None) -> str:
    return f"after {at:%H:%M:%S}Z" if at else "later"


async def ask(
    context: Context, source: Carrier, calls: Calls, queries: Sequence[Query], *, parked: bool = False
) -> Conversation:
    """One conversation (of one lane). A claim holds each number once: answers are by number.

    ``parked``: about one number that is known to spoil calls. That it spoils its own says nothing about the
    lane, unless the lane is in trouble anyway.
    """
    conversation = await context.fetcher.ask(source, queries, calls)
    lane = calls.lane
    probe = lane.blocked_why == PROBE
    while True:
        after = lane
        spoilt = parked and isinstance(conversation.error, MalformedReply) and lane.fails < BREAKER_AFTER
        if not spoilt:
            after = settle(lane, conversation.error, context.clock.now(), probe=probe)
        if after is lane or await context.store.save_lane(after, lane.revision):
            return conversation
        lane = await context.store.lane(lane.name)


def said(conversation: Conversation, due: Due) -> Said:
    """The part of a conversation that is about one shipment."""
    return Said(
        conversation.answers[due.shipment.number],
        conversation.ms,
        conversation.replies[-1] if conversation.replies else None,
        conversation.error is not None,
    )
