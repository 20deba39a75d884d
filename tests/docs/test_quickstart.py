"""The lines of the quickstart that verify a push take what we sign, and nothing else."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from parcelwire.net.clock import SystemClock
from parcelwire.wire.signature import new_secret, sign, standard_headers

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"
CODE = "\n".join(
    re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
)
BODY = '{"event":"TRACKING_UPDATED","data":{"tag":"Zürich"}}'.encode()
SECRET, OLDER = new_secret(b"n" * 32), new_secret(b"o" * 32)


def lines(name: str) -> Callable[..., bool]:
    """A function of the page."""
    names: dict[str, Any] = {}
    exec(CODE, names)  # noqa: S102 - it is our own page
    found: Callable[..., bool] = names[name]
    return found


def test_the_lines_for_sign_take_our_signature_only() -> None:
    genuine = lines("genuine")
    assert genuine(BODY, sign(BODY, "key"), "key")
    assert not genuine(BODY + b" ", sign(BODY, "key"), "key")
    assert not genuine(BODY, sign(BODY, "key"), "other")


@pytest.mark.parametrize("secret", [SECRET, OLDER])
def test_the_lines_for_the_secret_take_our_signature_only(secret: str) -> None:
    """Of either secret while both sign; not another body, id or secret, and not an old message."""
    genuine, now = lines("genuine_by_secret"), SystemClock().now()
    headers = standard_headers("msg_1", now, BODY, [SECRET, OLDER])
    assert genuine(BODY, headers, secret)
    assert not genuine(BODY + b" ", headers, secret)
    assert not genuine(BODY, headers | {"webhook-id": "msg_2"}, secret)
    assert not genuine(BODY, headers, new_secret(b"x" * 32))
    assert not genuine(BODY, headers | {"webhook-signature": "\u00e9"}, secret)
    late = standard_headers("msg_1", now - timedelta(minutes=10), BODY, [SECRET, OLDER])
    assert not genuine(BODY, late, secret)
