"""A carrier's stand-in answers inside the process: no sockets, and time is the service's own clock."""

from parcelwire.domain.errors import Unavailable
from parcelwire.domain.exchange import Reply, Request
from parcelwire.ports import Clock, StandIn

IN_PROCESS = "inprocess:"  # base URL "inprocess:<slug of the stand-in>"; without a slug the carrier's own


async def send_in_process(stand_in: StandIn, request: Request, clock: Clock, total_s: float) -> Reply:
    """One request, one reply. The stand-in asks for trouble in its reply's headers:

    ``x-delay-s``: seconds until it arrives (too late from ``total_s`` on); ``x-fault``: timeout or reset.
    """
    reply = stand_in.answer(request, clock.now())
    delay_s = float(reply.headers.get("x-delay-s", "0"))
    if delay_s > 0:
        await clock.sleep(min(delay_s, total_s))
    fault = reply.headers.get("x-fault")
    if delay_s >= total_s or fault == "timeout":
        raise Unavailable("no answer in time", timed_out=True)
    if fault == "reset":
        raise Unavailable("connection broken")
    return reply
