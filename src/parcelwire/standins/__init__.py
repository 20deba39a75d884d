"""Programs that answer like a carrier's HTTP API, found by folder scan. For tests and for trying out."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from parcelwire.ports import StandIn


@cache
def stand_ins() -> dict[str, Callable[[], StandIn]]:
    """A factory for every stand-in by slug, in alphabetical order."""
    found: dict[str, Callable[[], StandIn]] = {}
    for module in sorted(iter_modules(__path__), key=lambda item: item.name):
        factory = getattr(import_module(f"{__name__}.{module.name}"), "STAND_IN", None)
        if factory is not None:
            found[factory.slug] = factory
    return found
