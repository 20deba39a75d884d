"""Work that harms the process is noted, and parked (domain/poison.py); the owner takes it up again."""

from collections.abc import Iterable, Mapping, Sequence

from parcelwire.domain.errors import StoreUnavailable
from parcelwire.domain.numbers import identity, normalise
from parcelwire.domain.poison import Piece, Strike
from parcelwire.flows.context import Context
from parcelwire.flows.manage import Answer, OwnerError, Verb, time_text

WHY_LENGTH = 300  # characters of an error that are kept


async def begin(context: Context, left: Sequence[Sequence[Piece]]) -> list[Piece]:
    """At the start of a process: ``left`` is what those before it were at work on when they died.

    Answers what is parked by it.
    """
    parked = []
    for work in left:
        parked += await context.store.strike(
            work, Strike.DEATH, "the process died while it was at work on this", context.clock.now()
        )
    await look_around(context)
    return parked


async def blame(context: Context, work: Piece, error: str) -> list[Piece]:
    """Note an unexpected error; answers the work if it is parked by it."""
    parked = await context.store.strike([work], Strike.ERROR, error[:WHY_LENGTH], context.clock.now())
    if parked:
        context.suspects.discard(work)
    else:
        context.suspects.add(work)
    return parked


async def absolve(context: Context, work: Iterable[Piece]) -> None:
    """These came to an end without an unexpected error. Costs nothing while nobody is suspected."""
    known = context.suspects.intersection(work) if context.suspects else None
    if not known:
        return
    try:
        await context.store.absolve(sorted(known))
    except StoreUnavailable:  # they stay suspected
        return
    context.suspects.difference_update(known)


async def look_around(context: Context) -> None:
    """Other processes note strikes, too."""
    known = await context.store.suspects()
    context.suspects.clear()
    context.suspects.update(known)


async def parked(context: Context, _values: Mapping[str, str]) -> Answer:
    """What is parked."""
    rows = [
        {"account": account.name, "number": one.number, "carrier": one.carrier, "at": time_text(one.at),
         "why": one.why}
        for account in await context.store.accounts()
        for one in await context.store.parked(account.id)
    ]  # fmt: skip
    return {"parked": rows}


async def resume(context: Context, values: Mapping[str, str]) -> Answer:
    """Refresh parked shipments again: those of a ``number``, or all without one."""
    number = normalise(values["number"]) if "number" in values else None
    released = 0
    for account in await context.store.accounts():
        chosen = [
            one.shipment
            for one in await context.store.parked(account.id)
            if "number" not in values or (number and one.number == identity(number))
        ]
        if chosen:
            released += await context.store.release_parked(account.id, chosen, context.clock.now())
    if "number" in values and not released:
        raise OwnerError(f"{values['number']} is not parked")
    return {"resumed": released}


VERBS: dict[str, Verb] = {"parked": parked, "parked-resume": resume}
