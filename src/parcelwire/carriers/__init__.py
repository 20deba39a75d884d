"""One file per carrier, found by folder scan. A carrier translates: requests out, reports in. No I/O."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from parcelwire.ports import Alerts, Carrier


@cache
def carriers() -> dict[str, Carrier]:
    """All carrier files by slug, in alphabetical order. A file whose name begins with ``_`` is none."""
    found: dict[str, Carrier] = {}
    for module in sorted(iter_modules(__path__), key=lambda item: item.name):
        if not module.name.startswith("_"):
            carrier: Carrier = import_module(f"{__name__}.{module.name}").CARRIER
            found[carrier.slug] = carrier
    return found


@cache
def alerting() -> dict[str, Alerts]:
    """Those of them that understand pushes of their carrier."""
    return {slug: carrier for slug, carrier in carriers().items() if isinstance(carrier, Alerts)}
