"""The exception tree, and values that must not show secrets."""

import inspect

import pytest

from parcelwire.domain import errors
from parcelwire.domain.errors import (
    CallerError,
    CarrierError,
    MalformedReply,
    MissingCredential,
    Mistaken,
    ParcelwireError,
    PushError,
    Refused,
    Throttled,
    Unavailable,
)
from parcelwire.domain.exchange import Access, Conversation, Reply, Request, Token

TREE = [item for _, item in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_every_error_is_drawn_in_the_tree_and_belongs_to_it(error: type[Exception]) -> None:
    assert errors.__doc__ is not None
    assert error.__name__ in errors.__doc__
    assert issubclass(error, ParcelwireError) is (error.__name__ != "ConfigError")


def test_every_carrier_error_has_an_outcome_of_its_own() -> None:
    """But a mistake of ours: to the carrier's lane it is an answer that cannot be read."""
    own = [error for error in TREE if issubclass(error, CarrierError) and error is not Mistaken]
    outcomes = [error.outcome for error in own]
    assert len(set(outcomes)) == len(outcomes) == 13
    assert Mistaken.outcome == MalformedReply.outcome


def test_errors_carry_what_decides_the_next_step() -> None:
    assert Throttled("429").retry_after_s is None
    assert Throttled("429", 5).retry_after_s == 5
    assert (Unavailable("x").timed_out, Unavailable("x", timed_out=True).timed_out) == (False, True)
    assert (Refused("x").stale_token, Refused("x", stale_token=True).stale_token) == (False, True)
    assert (str(Throttled("HTTP 429")), Throttled("HTTP 429").detail) == ("HTTP 429", "HTTP 429")
    caller = CallerError("bad_number", number="1234")
    assert (caller.reason, caller.values) == ("bad_number", {"number": "1234"})
    push = PushError("HTTP 503", http_status=503, retry_after_s=7, body_start=b"no")
    assert (push.detail, push.http_status, push.retry_after_s, push.body_start) == ("HTTP 503", 503, 7, b"no")


def test_a_missing_credential_names_the_settings_that_would_make_a_source() -> None:
    assert str(MissingCredential("fedex", ("A_ID", "A_SECRET"))).endswith("fedex: set A_ID and A_SECRET")
    assert str(MissingCredential("fedex", ("A_ID", "A_SECRET"), "B")).endswith(
        "fedex: set A_ID and A_SECRET, or B (17TRACK)"
    )
    assert str(MissingCredential("evri", (), "B")).endswith("evri: set B (17TRACK)")
    assert str(MissingCredential("evri", ())).endswith("evri: configure a 17TRACK upstream token")


def test_what_may_hold_a_secret_is_not_in_a_repr() -> None:
    holders = (
        Request("GET", "/x", {"Authorization": "Bearer s3cret"}, {"q": "1"}, b"s3cret"),
        Access({"api_key": "s3cret"}, "s3cret"),
        Token("s3cret", 60),
        Conversation({}, (Reply(200, {}, b"s3cret"),), None, 5),
    )
    for holder in holders:
        assert "s3cret" not in repr(holder)
