"""A scrubbed reply holds nobody's name, street, phone, mail, signature or secret, and reads the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.scrub import scrub

NUMBER = "13800000001"  # looks like a Chinese mobile number
REPLY = {
    "id": NUMBER,
    "token": "the-secret-key",
    "recipient": {"name": "Ada Lovelace", "phoneNumber": "555 0100", "emailAddress": "ada@mail.example"},
    "proofOfDelivery": {"signatureUrl": "https://pod.example/1", "signed": {"name": "Ada"}},
    "address": {
        "streetLines": ["1 Ockham Park"],
        "city": "Ockham",
        "postalCode": "GU23 6NP",
        "country": "GB",
    },
    "inner": '{"receiverName": "Ada Lovelace"}',
    "events": [
        {"description": "Signed for by: ADA L.", "locationName": "Ockham", "at": "2026-03-02T10:00:00+01:00"},
        {"description": "Courier 13912345678, call +44 20 7946 0000 or (212) 555-0100"},
        {"description": "签收人：王五，已签收", "picture": "aGVsbG8="},
    ],
}
PRIVATE = (
    "Ada", "ADA", "Lovelace", "555 0100", "mail.example", "pod.example", "Ockham Park", "6NP", "13912345678",
    "7946", "555-0100", "王五", "aGVsbG8=", "the-secret-key",
)  # fmt: skip


def test_nothing_private_is_left_and_the_facts_stay() -> None:
    """Also in JSON inside a text; number, city, country, times and the shape of the reply are kept."""
    scrubbed = scrub(json.dumps(REPLY).encode(), ["the-secret-key"], NUMBER)
    text = scrubbed.body.decode()
    assert [word for word in PRIVATE if word in text] == []
    kept = json.loads(text)
    assert kept["id"] == NUMBER
    assert kept["address"]["city"] == "Ockham"
    assert kept["address"]["postalCode"] == "GU23"
    assert kept["events"][0]["locationName"] == "Ockham"
    assert kept["events"][0]["at"] == "2026-03-02T10:00:00+01:00"
    assert kept["events"][2]["description"].endswith("已签收")
    assert kept.keys() == REPLY.keys()


def test_what_was_taken_is_said() -> None:
    taken = scrub(json.dumps(REPLY).encode(), ["the-secret-key"], NUMBER).taken
    assert {kind for kind, count in taken.items() if count} == {
        "name", "street", "phone number", "mail address", "signature", "postal code", "secret",
    }  # fmt: skip


def test_xml_is_scrubbed_by_the_names_of_its_elements() -> None:
    body = b"<a><signatory-name>Ada</signatory-name><city>Ockham</city><tel>+44 20 7946 0000</tel></a>"
    text = scrub(body, [], NUMBER).body.decode()
    assert text == "<a><signatory-name>SOMEBODY</signatory-name><city>Ockham</city><tel>000-0000</tel></a>"


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"<html>", b"[" * 50_000, b"null"])
def test_nonsense_passes_through(body: bytes) -> None:
    assert isinstance(scrub(body, ["secret"], NUMBER).body, bytes)


@given(st.text(min_size=4, alphabet=st.characters(codec="ascii", categories=["L", "N"])), st.text())
def test_a_secret_is_gone_wherever_it_stood(secret: str, around: str) -> None:
    """Property: in any text of a reply."""
    body = json.dumps({"a": [f"{around}{secret}{around}"], "b": {secret[:1]: secret}})
    node = json.loads(scrub(body.encode(), [secret], NUMBER).body)
    if secret not in "SECRET":
        assert secret not in node["a"][0].replace("SECRET", "\0")
