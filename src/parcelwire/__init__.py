"""Self-hosted, multi-carrier shipment tracking that speaks the 17TRACK v2.2 wire API."""

__version__ = "0.1.0"
