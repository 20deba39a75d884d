"""Error codes, their texts, and the envelopes that carry them."""

import json
import string

import msgspec
import pytest

from parcelwire.domain.errors import CallerError
from parcelwire.wire.codes import ERRORS, shown, text_of
from parcelwire.wire.v22 import (
    Push,
    Quota,
    QuotaEnvelope,
    Registered,
    RegisterRejected,
    Stopped,
    Tracked,
    answer,
    encode,
    error_body,
    failure,
    rejected,
)

# What 17TRACK documents for the cases that we answer.
DOCUMENTED = {
    "ip_not_allowed": (-18010001, 401),
    "bad_key": (-18010002, 401),
    "internal": (-18010003, 500),
    "account_disabled": (-18010004, 401),
    "not_allowed": (-18010005, 401),
    "missing_item": (-18010010, 200),
    "bad_number": (-18010012, 200),
    "bad_body": (-18010013, 200),
    "too_many": (-18010014, 200),
    "bad_value": (-18010015, 200),
    "not_postal": (-18010016, 200),
    "carrier_timeout": (-18019815, 200),
    "carrier_failed": (-18019816, 200),
    "realtime_internal": (-18019817, 200),
    "no_realtime": (-18019818, 200),
    "registered": (-18019901, 200),
    "not_registered": (-18019902, 200),
    "undetected": (-18019903, 200),
    "not_stopped": (-18019904, 200),
    "retracked": (-18019905, 200),
    "not_tracking": (-18019906, 200),
    "daily_limit": (-18019907, 200),
    "quota": (-18019908, 200),
    "no_info": (-18019909, 200),
    "bad_carrier": (-18019910, 200),
    "too_fast": (429, 429),
    "failed_logins": (429, 429),
    "key_reused": (409, 409),
    "key_in_flight": (409, 409),
    "unavailable": (-18010003, 503),
}


@pytest.mark.parametrize(("reason", "expected"), DOCUMENTED.items())
def test_a_reason_has_the_documented_code_and_http_status(reason: str, expected: tuple[int, int]) -> None:
    assert (ERRORS[reason].code, ERRORS[reason].http_status) == expected


@pytest.mark.parametrize("reason", ERRORS)
def test_every_text_is_a_sentence_with_and_without_its_values(reason: str) -> None:
    names = [name for _, name, _, _ in string.Formatter().parse(ERRORS[reason].text) if name]
    full = text_of(CallerError(reason, **dict.fromkeys(names, "VALUE")))
    assert full.count("VALUE") == len(names)
    bare = text_of(CallerError(reason))
    assert bare
    assert bare == bare.strip()
    assert "{" not in bare


def test_a_value_is_never_read_as_a_pattern() -> None:
    text = text_of(CallerError("bad_number", number="{limit} {0} {number.__class__}"))
    assert "{limit} {0} {number.__class__}" in text


def test_the_words_that_a_client_looks_for_are_kept() -> None:
    assert "already registered" in text_of(CallerError("registered", number="A12345"))


def test_a_callers_value_is_shown_short_and_printable() -> None:
    assert shown("x" * 80) == "x" * 50
    assert shown("a\0b\nc\ud800") == "a?b?c?"
    assert shown(5) == "5"


def test_a_failed_call_has_its_code_errors_and_empty_lists() -> None:
    status, body = failure(CallerError("bad_key"))
    error = {"code": -18010002, "message": "The security key is missing or wrong."}
    assert status == 401
    assert json.loads(body) == {
        "code": -18010002,
        "data": {"errors": [error], "accepted": [], "rejected": []},
    }


def test_a_processed_call_has_code_zero_and_both_lists_even_when_all_is_refused() -> None:
    refusal = rejected("A12345", 3011, CallerError("not_registered", number="A12345"))
    error = {"code": -18019902, "message": "The tracking number 'A12345' is not registered."}
    assert json.loads(answer([], [refusal])) == {
        "code": 0,
        "data": {"accepted": [], "rejected": [{"number": "A12345", "carrier": 3011, "error": error}]},
    }
    assert json.loads(answer([], [])) == {"code": 0, "data": {"accepted": [], "rejected": []}}


def test_register_tells_every_field_with_nulls() -> None:
    good = Registered(2, "A12345", 3011)
    refused = RegisterRejected("B12345", 0, error_body(CallerError("undetected", number="B12345")), "order-7")
    told = json.loads(answer([good], [refused]))["data"]
    assert told["accepted"] == [
        {"number": "A12345", "origin": 2, "carrier": 3011, "email": None, "tag": None, "lang": None}
    ]
    assert told["rejected"][0]["tag"] == "order-7"


def test_the_quota_answer_has_all_seven_numbers() -> None:
    quota = QuotaEnvelope(Quota(100, 2, 98, 0, 0))
    assert json.loads(encode(quota)) == {
        "code": 0,
        "data": {
            "quota_total": 100, "quota_used": 2, "quota_remain": 98, "today_used": 0, "max_track_daily": 0,
            "free_email_quota": 0, "free_email_quotaused": 0,
        },
    }  # fmt: skip


def test_a_push_names_its_event_and_holds_one_object() -> None:
    stopped = encode(Push("TRACKING_STOPPED", Stopped("RR123456789CN", 3011, None, "order-7")))
    assert stopped == (
        b'{"event":"TRACKING_STOPPED","data":{"number":"RR123456789CN","carrier":3011,"param":null,"tag":"order-7"}}'
    )
    updated = encode(Push("TRACKING_UPDATED", Tracked("A12345", 1, "p", None, msgspec.Raw(b'{"x":1}'))))
    assert json.loads(updated)["data"] == {
        "number": "A12345", "carrier": 1, "param": "p", "tag": None, "track_info": {"x": 1},
    }  # fmt: skip
