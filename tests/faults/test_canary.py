"""The search of the canary finds what is there, and a short life of the service leaves nothing to find."""

import base64
import json
import zlib
from urllib.parse import quote

import pytest
from faults.canary import canary
from faults.needles import Place, Secret, inflated, search
from hypothesis import given
from hypothesis import strategies as st

VALUE = "CANARY+login/key=&<Zoë>"
SECRET = Secret("login key", VALUE.encode())
PLANTED = {
    "plain": VALUE.encode(),
    "json": json.dumps({"key": VALUE}).encode(),
    "python": repr({"key": VALUE}).encode(),
    "html": b"<p>CANARY+login/key=&amp;&lt;Zo\xc3\xab&gt;</p>",
    "percent": quote(VALUE, safe="").encode(),
    "hex": VALUE.encode().hex().encode(),
    "HEX": VALUE.encode().hex().upper().encode(),
    "basic": base64.b64encode(f"user:{VALUE}".encode()),
    "basic, at its begin": base64.b64encode(f"{VALUE}:password".encode()),
    "base64 for URLs": base64.urlsafe_b64encode(f"ab{VALUE}xyz".encode()),
    "inflated": inflated(zlib.compress(b"before " + VALUE.encode() + b" after")),
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=list(PLANTED))
def test_a_planted_secret_is_found_in_every_form(planted: bytes) -> None:
    noise = bytes(range(256)) * 40
    (hit,) = search([Place("log", noise + planted + noise)], [SECRET])
    assert (hit.secret, hit.place) == ("login key", "log")


@given(st.binary(min_size=12, max_size=64), st.binary(max_size=20), st.binary(max_size=20))
def test_base64_is_found_whatever_stands_around_the_secret(value: bytes, before: bytes, after: bytes) -> None:
    secret = Secret("x", value)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert list(search([Place("log", encode(before + value + after))], [secret]))


def test_what_is_not_there_is_not_found() -> None:
    assert list(search([Place("log", VALUE[:-1].encode())], [SECRET])) == []


def test_a_documented_place_may_hold_a_secret_and_no_other_place() -> None:
    documented = Secret("secret key", VALUE.encode(), ("file secret.key",))
    places = [Place(name, VALUE.encode()) for name in ("file secret.key", "file parcelwire.db")]
    assert [hit.place for hit in search(places, [documented])] == ["file parcelwire.db"]


@pytest.mark.process
@pytest.mark.timeout(600)
async def test_a_life_of_the_service_leaves_no_secret_anywhere() -> None:
    """On a file; python3 dev.py faults canary does it on PostgreSQL too."""
    figure = await canary(quick=True)
    assert figure.good, figure.line
    assert int(figure.values["secrets"]) > 80
    assert int(figure.values["places"]) > 60
