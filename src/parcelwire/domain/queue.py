"""Queues of a lane: most shipments wait in the lane itself, suspects in its side queues.

A call that fails as a whole may owe it to one of its numbers. Its shipments move to the side queue ``lane/n``
whose calls take at most half as many, then on to smaller ones, until one number is asked alone (``lane/1``).
Every shipment that gets an answer goes home, so only the culprit stays, with growing pauses. All queues of a
lane share its limits. The queue is stored with the shipment: a restart forgets nothing.
"""

from collections.abc import Sequence

from parcelwire.domain.errors import CarrierError, MalformedReply, Unavailable

SIDE = "/"


def home(queue: str) -> str:
    """The lane that a queue belongs to."""
    return queue.partition(SIDE)[0]


def alone(queue: str) -> str:
    """The side queue of the same lane whose calls are for one number."""
    return f"{home(queue)}{SIDE}1"


def batch_of(queue: str, batch: int) -> int:
    """Numbers a call from this queue, where the carrier takes ``batch``."""
    side = queue.partition(SIDE)[2]
    return min(batch, int(side)) if side else batch


def queue_after(queue: str, error: CarrierError | None, fails: Sequence[int]) -> str:
    """Where the shipments of a failed call go. ``fails``: how often each of them had failed in a row before.

    An answer that cannot be read (which is also what a refused question is) is suspicious at once, an outage
    the second time only: most outages concern everybody.
    """
    suspicious = isinstance(error, MalformedReply) or (isinstance(error, Unavailable) and min(fails) > 0)
    if not suspicious or len(fails) < 2:
        return queue
    return f"{home(queue)}{SIDE}{(len(fails) + 1) // 2}"
