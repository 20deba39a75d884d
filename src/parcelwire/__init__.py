"""Self-hosted, multi-carrier shipment tracking that speaks the 17TRACK v2.2 wire API."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parcelwire.domain.detect import detect as detect

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """``from parcelwire import detect`` loads the detector when it is asked for, and nothing before."""
    if name == "detect":
        from parcelwire.domain.detect import detect

        return detect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
