"""How those who push to us prove who they are. While a key is being replaced, both are live."""

import base64
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence

from parcelwire.domain.exchange import Proof
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


def signed_by(credentials: Sequence[str], header: str) -> Door:
    """The body's HMAC-SHA256 with any of ``credentials`` as the key, in base64, in this header."""

    def door(headers: dict[str, str], body: bytes) -> bool:
        shown = headers.get(header.lower(), "").encode(errors="surrogatepass")
        made = (hmac.digest(credential.encode(), body, "sha256") for credential in credentials)
        return _any(hmac.compare_digest(shown, base64.b64encode(digest)) for digest in made)

    return door


DOORS: Mapping[Proof, Callable[[Sequence[str], str], Door]] = {
    Proof.SHOWN: showing,
    Proof.SIGNED: signed_by,
}


def _any(matches: Iterable[bool]) -> bool:
    """No early end: how long it takes must not tell which key was the right one."""
    return True in list(matches)
