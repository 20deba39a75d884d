"""How those who push to us prove who they are. While a key is being replaced, both are live."""

import hmac
from collections.abc import Iterable, Sequence

from parcelwire.flows.inbound import Door
from parcelwire.wire.signature import verify


def signed_with(keys: Sequence[str]) -> Door:
    """17TRACK's ``sign`` header, made with any of ``keys``."""

    def door(headers: dict[str, str], body: bytes) -> bool:
        return _any(verify(headers, body, key=key) for key in keys)

    return door


def showing(credentials: Sequence[str], header: str) -> Door:
    """Any of ``credentials`` in this header, as it is or after ``Bearer``."""

    def door(headers: dict[str, str], body: bytes) -> bool:  # noqa: ARG001
        shown = headers.get(header.lower(), "").removeprefix("Bearer ").encode(errors="surrogatepass")
        return _any(hmac.compare_digest(shown, credential.encode()) for credential in credentials)

    return door


def _any(matches: Iterable[bool]) -> bool:
    """No early end: how long it takes must not tell which key was the right one."""
    return True in list(matches)
