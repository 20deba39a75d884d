"""Signatures of webhooks: 17TRACK's ``sign`` header and the three headers of Standard Webhooks 1.0.

Sources: 17TRACK's webhook documentation; https://www.standardwebhooks.com, "Signature scheme".
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, no secret
SECRET_BYTES = range(24, 65)  # what the standard allows
PUSH_ID = re.compile(r"[A-Za-z0-9_-]+")  # no dot: it separates id, timestamp and body in what is signed
TIMESTAMP = re.compile(r"[0-9]{1,12}")


def sign(body: bytes, key: str) -> str:
    """Value of 17TRACK's ``sign`` header: hex SHA-256 of body, slash, key. A plain hash, not an HMAC."""
    return hashlib.sha256(body + b"/" + key.encode()).hexdigest()


def new_secret(random_bytes: bytes) -> str:
    """A Standard Webhooks secret from 24 to 64 random bytes."""
    if len(random_bytes) not in SECRET_BYTES:
        raise ValueError("a secret is 24 to 64 random bytes")
    return SECRET_PREFIX + base64.b64encode(random_bytes).decode()


def secret_bytes(secret: str) -> bytes:
    """The key inside ``whsec_<base64>``. ValueError, without the secret, for anything else."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or len(key) not in SECRET_BYTES:
        raise ValueError("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")
    return key


def standard_headers(push_id: str, at: datetime, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The headers of one attempt at ``at`` (aware). Two secrets while one replaces the other: both sign."""
    if at.tzinfo is None:
        raise ValueError("the attempt's time must be aware")
    if not PUSH_ID.fullmatch(push_id):
        raise ValueError("a push id is made of letters, digits, hyphens and underscores")
    timestamp = str(int(at.timestamp()))
    signatures = [_signature(push_id, timestamp, body, secret_bytes(secret)) for secret in secrets]
    return {
        "webhook-id": push_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _signature(push_id: str, timestamp: str, body: bytes, key: bytes) -> str:
    signed = f"{push_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def verify(
    headers: Mapping[str, str],
    body: bytes,
    *,
    key: str | None = None,
    secret: str | None = None,
    now: datetime | None = None,
    tolerance_s: int = 300,
) -> bool:
    """For receivers: is this body genuine? ``key`` checks ``sign``, ``secret`` the standard headers.

    With ``now`` (aware), a timestamp further away than ``tolerance_s`` is refused: without it an old message
    can be played again. Whatever the headers hold, the answer is True or False; ValueError only without a
    usable ``key`` or ``secret``.
    """
    if not key and not secret:
        raise ValueError("verify needs a key or a secret")
    given = {name.lower(): value for name, value in headers.items()}
    if key and not _same(given.get("sign", ""), sign(body, key)):
        return False
    return not secret or _standard(given, body, secret_bytes(secret), now, tolerance_s)


def _standard(
    given: Mapping[str, str], body: bytes, key: bytes, now: datetime | None, tolerance_s: int
) -> bool:
    push_id, timestamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not PUSH_ID.fullmatch(push_id) or not TIMESTAMP.fullmatch(timestamp):
        return False
    if now is not None and abs(now.timestamp() - int(timestamp)) > tolerance_s:
        return False
    expected = _signature(push_id, timestamp, body, key)
    # No early end: how long it takes must not tell which signature of several was near.
    matches = [_same(one, expected) for one in given.get("webhook-signature", "").split(" ")]
    return any(matches)


def _same(given: str, expected: str) -> bool:
    """Equal, in constant time; header text may hold anything."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())
