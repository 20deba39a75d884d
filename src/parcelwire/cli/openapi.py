"""``parcelwire openapi``: the API's own description."""

import sys


def openapi() -> None:
    """Print the OpenAPI 3.1 document of the wire; a running service serves it at /openapi.json."""
    import msgspec

    from parcelwire.wire.openapi import document

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document()), indent=2).decode() + "\n")
