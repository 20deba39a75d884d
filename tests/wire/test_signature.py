"""Webhook signatures against published vectors, a second implementation, and hostile headers."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from parcelwire.net.clock import SystemClock
from parcelwire.wire.signature import new_secret, secret_bytes, sign, standard_headers, verify

DOCUMENTED = b'{"event":"TRACKING_UPDATED","data":{"number":"RR123456789CN","carrier":3011,"tag":null}}'
STOPPED = (
    b'{"event":"TRACKING_STOPPED",'
    b'"data":{"number":"RR123456789CN","carrier":3011,"param":null,"tag":"order-7"}}'
)
UTF8 = (
    '{"event":"TRACKING_UPDATED","data":{"number":"LX000000014CN","carrier":3011,"tag":"Zürich 订单"}}'
).encode()
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PUSH_ID = "msg_01HV8Y2J6N0000000000000000"
AT = datetime.fromtimestamp(1_700_000_000, UTC)

keys = st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"]))
secrets = st.binary(min_size=24, max_size=64).map(new_secret)


@pytest.mark.parametrize(
    ("body", "key", "expected"),
    [
        (DOCUMENTED, "123456ABCDEF", "45acb4a6f4a194a6ac1f0f712182c4e314b1ae9399941ea086987408f3166994"),
        (STOPPED, "K1-TEST-KEY", "2854ad9e22920f828cf66ea323189ab215f8d80b0b2caf3fe4c9fd42ad9e1448"),
        (UTF8, "K1-TEST-KEY", "05f74616331e2d9bd5244392e6c3e90a7f44aa4fa41e44d62887a500143b8847"),
    ],
)
def test_sign_gives_the_published_vectors(body: bytes, key: str, expected: str) -> None:
    """The ``sign`` header is what 17TRACK's receivers compute, byte by byte."""
    assert sign(body, key) == expected
    assert verify({"sign": expected}, body, key=key)


def test_an_hmac_is_not_a_sign() -> None:
    """A receiver that expected HMAC would be wrong, and such a header is refused."""
    other = "982c4d75b5972412ef420c77111e20bfc9898a3d005ee7207f6005b928b938ae"
    assert hmac.new(b"K1-TEST-KEY", STOPPED, hashlib.sha256).hexdigest() == other
    assert not verify({"sign": other}, STOPPED, key="K1-TEST-KEY")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (STOPPED, "v1,LmXhaN/SV8UBjdeYuv5QPv/g3Lc3b90wxl9A0d5OYMk="),
        (UTF8, "v1,iE9GEGFPjC6nUJrkkf9uCw3DwGg9KSxlcXbScmPYmeI="),
    ],
)
def test_standard_headers_give_the_published_vectors(body: bytes, expected: str) -> None:
    """Id, whole seconds, and base64 of the HMAC over id, time and body."""
    assert standard_headers(PUSH_ID, AT, body, [SECRET]) == {
        "webhook-id": PUSH_ID,
        "webhook-timestamp": "1700000000",
        "webhook-signature": expected,
    }


def test_the_time_zone_of_the_attempt_does_not_matter() -> None:
    """One instant in two zones gives one signature, and fractions of seconds are cut."""
    elsewhere = AT.astimezone(timezone(timedelta(hours=9))) + timedelta(milliseconds=999)
    assert standard_headers(PUSH_ID, elsewhere, UTF8, [SECRET]) == standard_headers(
        PUSH_ID, AT, UTF8, [SECRET]
    )


@given(body=st.binary(), key=keys, secret=secrets)
def test_what_is_signed_verifies(body: bytes, key: str, secret: str) -> None:
    """Round trip of both schemes, for any body, key and secret."""
    headers = standard_headers(PUSH_ID, AT, body, [secret]) | {"sign": sign(body, key)}
    assert verify(headers, body, key=key, secret=secret, now=AT)


@given(body=st.binary(min_size=1), position=st.integers(min_value=0), key=keys, secret=secrets)
def test_a_changed_body_is_refused(body: bytes, position: int, key: str, secret: str) -> None:
    """One flipped bit breaks both schemes."""
    headers = standard_headers(PUSH_ID, AT, body, [secret]) | {"sign": sign(body, key)}
    changed = bytearray(body)
    changed[position % len(body)] ^= 1
    assert not verify(headers, bytes(changed), key=key)
    assert not verify(headers, bytes(changed), secret=secret)


@given(body=st.text(alphabet=st.characters(exclude_categories=["Cs"])), secret=secrets)
def test_the_reference_library_agrees(body: str, secret: str) -> None:
    """The standardwebhooks package computes the same signature from the same input."""
    ours = standard_headers(PUSH_ID, AT, body.encode(), [secret])["webhook-signature"]
    assert Webhook(secret).sign(PUSH_ID, AT, body) == ours


def test_receivers_with_either_secret_accept_a_rotation() -> None:
    """While secrets rotate, the old and the new one verify, by both implementations; a third does not."""
    old, new, third = (new_secret(bytes([n]) * 32) for n in (1, 2, 3))
    now = SystemClock().now()  # the reference library reads the real clock
    headers = standard_headers(PUSH_ID, now, STOPPED, [new, old])
    for secret in (old, new):
        assert verify(headers, STOPPED, secret=secret)
        assert Webhook(secret).verify(STOPPED, headers)["event"] == "TRACKING_STOPPED"
    assert not verify(headers, STOPPED, secret=third)
    with pytest.raises(WebhookVerificationError):
        Webhook(third).verify(STOPPED, headers)


@pytest.mark.parametrize(
    ("age_s", "accepted"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)]
)
def test_old_and_future_messages_are_refused(age_s: int, accepted: bool) -> None:
    """With the receiver's time given, five minutes either way are the limit."""
    headers = standard_headers(PUSH_ID, AT, UTF8, [SECRET])
    assert verify(headers, UTF8, secret=SECRET, now=AT + timedelta(seconds=age_s)) is accepted


def test_header_names_are_found_in_any_case() -> None:
    """HTTP libraries hand headers out as ``Webhook-Id`` or ``WEBHOOK-ID``."""
    headers = standard_headers(PUSH_ID, AT, UTF8, [SECRET]) | {"sign": sign(UTF8, "k")}
    assert verify({name.title(): value for name, value in headers.items()}, UTF8, key="k", secret=SECRET)
    assert verify({name.upper(): value for name, value in headers.items()}, UTF8, key="k", secret=SECRET)


def test_both_schemes_must_hold_when_both_are_asked() -> None:
    """A good ``sign`` does not excuse a bad standard signature, and the other way round."""
    headers = standard_headers(PUSH_ID, AT, UTF8, [SECRET]) | {"sign": sign(UTF8, "k")}
    assert not verify(headers | {"sign": sign(UTF8, "other")}, UTF8, key="k", secret=SECRET)
    assert not verify(headers | {"webhook-id": "msg_1"}, UTF8, key="k", secret=SECRET)


@given(
    headers=st.dictionaries(
        st.sampled_from(["sign", "webhook-id", "webhook-timestamp", "webhook-signature", "Sign"]), st.text()
    )
)
def test_hostile_headers_are_false_and_never_an_exception(headers: dict[str, str]) -> None:
    """Whatever stands in the headers, also lone surrogates: False."""
    assert verify(headers, STOPPED, key="k", secret=SECRET, now=AT) is False
    assert verify(headers, STOPPED, secret=SECRET) is False


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-timestamp": "1700000000.0"},
        {"webhook-timestamp": "١٧٠٠٠٠٠٠٠٠"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-timestamp": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "LmXhaN/SV8UBjdeYuv5QPv/g3Lc3b90wxl9A0d5OYMk="},
        {"webhook-signature": "v2,LmXhaN/SV8UBjdeYuv5QPv/g3Lc3b90wxl9A0d5OYMk="},
        {"webhook-signature": "v1,%%%"},
        {"webhook-signature": "\ud800"},
        {"webhook-id": ""},
        {"webhook-id": PUSH_ID + "\n"},
    ],
)
def test_malformed_headers_are_refused(change: dict[str, str]) -> None:
    """Each single malformed header makes a good message false."""
    headers = standard_headers(PUSH_ID, AT, STOPPED, [SECRET])
    assert verify(headers, STOPPED, secret=SECRET)
    assert not verify(headers | change, STOPPED, secret=SECRET)


def test_id_and_body_cannot_trade_bytes() -> None:
    """The same signed bytes, cut at other dots, are refused: an id has no dot."""
    headers = standard_headers("a", AT, b"1700000000.x", [SECRET])
    assert verify(headers, b"1700000000.x", secret=SECRET)
    moved = headers | {"webhook-id": f"a.{headers['webhook-timestamp']}"}
    assert not verify(moved, b"x", secret=SECRET)


def test_a_signature_among_foreign_versions_is_found() -> None:
    """Receivers must skip versions that they do not know."""
    headers = standard_headers(PUSH_ID, AT, STOPPED, [SECRET])
    mixed = headers | {"webhook-signature": f"v1a,xyz {headers['webhook-signature']} v9,abc"}
    assert verify(mixed, STOPPED, secret=SECRET)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_!!!!",
        "whsec_" + "QUFB" * 5,
        "whsec_" + "QUFB" * 22,
        SECRET.removeprefix("whsec_"),
    ],
)
def test_a_bad_secret_is_an_error_that_does_not_show_it(secret: str) -> None:
    """Wrong prefix, not base64, 15 or 66 bytes: the error names the rule, not the secret."""
    with pytest.raises(ValueError, match="whsec_ and the base64") as caught:
        secret_bytes(secret)
    assert len(secret) < 10 or secret not in str(caught.value)


@pytest.mark.parametrize("size", [0, 23, 65])
def test_new_secrets_have_enough_and_not_too_many_bytes(size: int) -> None:
    """The standard asks for 24 to 64 bytes."""
    with pytest.raises(ValueError, match="24 to 64"):
        new_secret(bytes(size))


def test_signing_refuses_what_receivers_could_not_verify() -> None:
    """A dotted or empty id, and a time without zone, are bugs of the caller."""
    for push_id in ("", "a.b", "msg 1", "msg\n1"):
        with pytest.raises(ValueError, match="push id"):
            standard_headers(push_id, AT, b"", [SECRET])
    with pytest.raises(ValueError, match="aware"):
        standard_headers(PUSH_ID, AT.replace(tzinfo=None), b"", [SECRET])


def test_verifying_with_nothing_is_a_bug() -> None:
    """No key and no secret would accept everything or nothing: neither is an answer."""
    with pytest.raises(ValueError, match="key or a secret"):
        verify({}, b"", key="")
