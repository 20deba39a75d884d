"""Which carrier, and which registrations, a caller means."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from parcelwire.domain.detect import Context as Clues
from parcelwire.domain.detect import detect, possible
from parcelwire.domain.errors import CallerError
from parcelwire.domain.numbers import identity, normalise
from parcelwire.domain.shipment import Phase, Shipment
from parcelwire.flows.context import Context
from parcelwire.ports import Shown
from parcelwire.wire.codes import shown
from parcelwire.wire.directory import STRANGER
from parcelwire.wire.v22 import NumberItem, carrier_code

UNKNOWN_CODE = (
    "It is in neither code book; 'parcelwire carriers import URL|FILE' loads the complete list of 17TRACK."
)
DETECTED, AS_GIVEN, GUESS = 1, 2, 3  # ``origin`` on the wire

_LOOKED_UP = Phase.LOOKED_UP  # an enum's member costs a look into its class each time
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_PLACE = re.compile(r"([A-Z]{2})-[0-9A-Z][0-9A-Z -]{2,}", re.ASCII)  # 17TRACK's param: FR-1000AA


class Choice(NamedTuple):
    """A carrier for a number, the code that the caller will know it by, and how we came to it."""

    carrier: str
    code: int
    origin: int


def number_of(item: NumberItem) -> str:
    """The one spelling of a number. CallerError when it is none."""
    number = normalise(item.number)
    if number is None:
        raise CallerError("bad_number", number=shown(item.number))
    return identity(number)


async def clues(context: Context, account: int) -> Clues:
    """What is known beside the numbers of an account: who can be asked, and what they turned out to be."""
    counts = await context.memory.of(context.store, context.directory, account, context.clock.now())
    return Clues(credentials=frozenset(context.routes.sources), learned=counts)


def placed(known: Clues, param: str | None, *countries: object) -> Clues:
    """The same with where a parcel comes from and goes to, as far as the caller says."""
    if not param and not any(countries):
        return known
    place = _PLACE.fullmatch(param.strip().upper()) if param else None
    given = {place[1]} if place else set()
    for text in countries:
        code = text.strip().upper() if isinstance(text, str) else ""
        if _COUNTRY.fullmatch(code):
            given.add(code)
    return known._replace(countries=frozenset(given)) if given else known


def choose(context: Context, number: str, code: int, known: Clues, *, detects: bool) -> Choice:
    """The carrier of a number. A code that was given is kept unless the number itself, whatever else is
    known, proves another carrier."""
    directory, book = context.directory, context.book
    if code:
        candidates = detect(number) if detects else ()
        best = candidates[0] if candidates else None
        meant = directory.slugs_of(code)
        carrier = directory.resolve(code, number, known)
        if carrier is None and context.routes.upstream:  # 17TRACK knows more carriers than we do
            return Choice(f"{STRANGER}{code}", code, AS_GIVEN)
        if carrier is None:
            raise CallerError("bad_carrier", carrier=str(code), detail=UNKNOWN_CODE)
        proves = best is not None and best.confident and best.check == "ok" and best.carrier not in meant
        if not proves or possible(candidates, meant):
            return Choice(carrier, code, AS_GIVEN)
    best = next(iter(detect(number, known)), None) if detects else None
    if best is None:
        raise CallerError("undetected", number=number)
    return Choice(best.carrier, directory.code_of(best.carrier, book), DETECTED if best.confident else GUESS)


def matching(context: Context, found: Iterable[Shipment], number: str, code: int) -> list[Shipment]:
    """The registrations that ``{number, carrier}`` addresses; without a carrier all of the number."""
    return [
        shipment for shipment in found if shipment.number == number and addresses(context, shipment, code)
    ]


def addresses(context: Context, shipment: Shipment | Shown, code: int) -> bool:
    """Whether ``carrier`` (0: none given), with the shipment's number, addresses it as a registration."""
    if shipment.phase == _LOOKED_UP:
        return False
    return not code or shipment.code == code or shipment.carrier in context.directory.slugs_of(code)


def code_given(item: NumberItem) -> int:
    """The carrier code of an item, 0 for none."""
    return carrier_code(item.carrier)
