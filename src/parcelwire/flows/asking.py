"""One conversation with a source, and what it means for the lane."""

from collections.abc import Sequence

from parcelwire.domain.errors import MalformedReply
from parcelwire.domain.exchange import Conversation, Query
from parcelwire.domain.lane import BREAKER_AFTER, PROBE, Lane, charge, settle
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


async def ask(
    context: Context, source: Carrier, lane: Lane, queries: Sequence[Query], *, parked: bool = False
) -> Conversation:
    """One conversation (of one lane). A claim holds each number once: answers are by number.

    ``parked``: about one number that is known to spoil calls. That it spoils its own says nothing about the
    lane, unless the lane is in trouble anyway.
    """
    probe = lane.blocked_why == PROBE
    conversation = await context.fetcher.ask(source, queries)
    while True:
        now = context.clock.now()
        after = charge(lane, source.limits, len(conversation.replies) - 1, now)
        spoilt = parked and isinstance(conversation.error, MalformedReply) and lane.fails < BREAKER_AFTER
        if not spoilt:
            after = settle(after, conversation.error, now, probe=probe)
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
