"""Programs that answer like a carrier's HTTP API, found by folder scan. For tests and for trying out."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from parcelwire.ports import Carrier, StandIn


@cache
def stand_ins() -> dict[str, Callable[[], StandIn]]:
    """A factory for every stand-in by slug, in alphabetical order."""
    found: dict[str, Callable[[], StandIn]] = {}
    for module in sorted(iter_modules(__path__), key=lambda item: item.name):
        factory = getattr(import_module(f"{__name__}.{module.name}"), "STAND_IN", None)
        if factory is not None:
            found[factory.slug] = factory
    return found


def stand_in(slug: str, step_s: float | None = None) -> StandIn | None:
    """A stand-in whose made-up journeys take ``step_s`` seconds a step; None: their usual time."""
    make = stand_ins().get(slug)
    made = make and make()
    if made is not None and step_s is not None:
        journeys = getattr(made, "journeys", None)
        if journeys is None:
            return None
        journeys.step_s = step_s
    return made


def credentials_of(there: StandIn, carrier: Carrier) -> dict[str, str]:
    """What a stand-in accepts for each of the carrier's secrets; most take anything."""
    return {name: getattr(there, name, None) or "anything" for name in carrier.secrets}
