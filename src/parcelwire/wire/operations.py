"""The calls of the wire, as they are told to people: what each does, costs and refuses, with an example."""

from typing import Any, NamedTuple

import msgspec

from parcelwire.wire import tracklist, v22

_NUMBER = ("bad_number", "missing_item", "bad_value", "bad_body", "bad_carrier")
_CHOICE = (*_NUMBER, "bad_item", "not_postal", "undetected", "quota")
_KNOWN = (*_NUMBER, "not_registered")

# Reasons for which a call that was read fails as a whole.
FAILS_AS_A_WHOLE = frozenset({"bad_body", "too_many", "missing_item", "bad_item", "bad_value", "bad_carrier"})


class Operation(NamedTuple):
    """One call. ``body``: the type of its items, or of the one object; ``accepted`` and ``rejected``: the
    types of what is in the lists; ``answer``: what the whole answer is called; ``errors``: reasons
    (wire/codes.py) for which an item is refused; ``reads``: a repeat changes nothing."""

    name: str
    summary: str
    text: str
    costs: str
    body: type[msgspec.Struct] | None
    answer: str
    accepted: str
    errors: tuple[str, ...]
    example: Any
    rejected: str = "Rejected"
    reads: bool = False

    @property
    def is_list(self) -> bool:
        """Whether the body is an array of items."""
        return self.body is not None and self.body is not tracklist.ListItem


_ONE = [{"number": "SANDBOXJOURNEY", "carrier": 999001}]

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "register",
        "Register numbers",
        "From now on the carrier is asked about each number, and changes are pushed. Without `carrier` it is "
        "detected. The first report comes within minutes: until then `gettrackinfo` answers -18019909.",
        "1 for each accepted number",
        v22.RegisterItem,
        "RegisterAnswer",
        "Registered",
        (*_CHOICE, "registered", "daily_limit"),
        [{"number": "SANDBOXJOURNEY", "tag": "order 7"}, {"number": "SANDBOXDELIVERED", "carrier": 999001}],
        "RegisterRejected",
    ),
    Operation(
        "gettrackinfo",
        "Read what is known",
        "Never asks a carrier. Without `carrier`, an item gives an answer for each registration of it.",
        "nothing",
        v22.NumberItem,
        "TrackInfoAnswer",
        "Tracked",
        (*_KNOWN, "no_info"),
        _ONE,
        reads=True,
    ),
    Operation(
        "getRealTimeTrackInfo",
        "Ask the carrier now",
        "The number need not be registered. `cacheLevel` 0 answers what is stored while that is fresh, 1 "
        "asks in any case. A question that failed costs nothing.",
        "1 with `cacheLevel` 0, 10 with 1, for each accepted number",
        v22.RealTimeItem,
        "TrackInfoAnswer",
        "Tracked",
        (*_CHOICE, "no_info", "carrier_timeout", "carrier_failed", "realtime_internal", "no_realtime"),
        [{"number": "SANDBOXINTRANSIT", "cacheLevel": 0}],
    ),
    Operation(
        "gettracklist",
        "List registrations",
        "One object of filters, all optional. Pages hold at most 40 rows; a page after the last is empty. "
        "An array of one object, and no body at all, are understood too.",
        "nothing",
        tracklist.ListItem,
        "Listed",
        "ListedItem",
        (),
        {"tracking_status": "Tracking", "order_by": "RegisterTimeDesc", "page_no": 1},
        reads=True,
    ),
    Operation(
        "stoptrack",
        "Stop tracking",
        "The record can be read for 90 days more. An item without `carrier` stops every registration.",
        "nothing",
        v22.NumberItem,
        "NumbersAnswer",
        "Numbered",
        (*_KNOWN, "not_tracking"),
        _ONE,
    ),
    Operation(
        "retrack",
        "Track again",
        "Each registration can be tracked again once after it was stopped.",
        "nothing",
        v22.NumberItem,
        "NumbersAnswer",
        "Numbered",
        (*_KNOWN, "not_stopped", "retracked"),
        _ONE,
    ),
    Operation(
        "deletetrack",
        "Delete registrations",
        "At once and for good. To register the number again costs again.",
        "nothing",
        v22.NumberItem,
        "NumbersAnswer",
        "Numbered",
        _KNOWN,
        _ONE,
    ),
    Operation(
        "changecarrier",
        "Correct the carrier",
        "At most five times for each registration. What the old carrier said is dropped.",
        "nothing",
        v22.ChangeCarrierItem,
        "CarriersAnswer",
        "CarrierChanged",
        (
            *_NUMBER,
            "not_postal",
            "several_carriers",
            "bad_new_carrier",
            "same_carrier",
            "no_new_carrier",
            "not_of_old_carrier",
            "carrier_of_stopped",
            "carrier_changes",
            "no_result_yet",
            "new_carrier_registered",
        ),
        [{"number": "SANDBOXJOURNEY", "carrier_old": 999001, "carrier_new": 21051}],
    ),
    Operation(
        "changeinfo",
        "Change texts of a registration",
        "What is null or absent in `items` stays as it is.",
        "nothing",
        v22.ChangeInfoItem,
        "NumbersAnswer",
        "Numbered",
        (*_KNOWN, "several_registrations", "nothing_to_change"),
        [{"number": "SANDBOXJOURNEY", "items": {"tag": "order 8", "remark": "call before"}}],
    ),
    Operation(
        "getquota",
        "Read the quota",
        "Needs no body.",
        "nothing",
        None,
        "QuotaEnvelope",
        "",
        (),
        None,
        reads=True,
    ),
    Operation(
        "push",
        "Push again",
        "The current state goes to the webhook once more; `push_status` of `gettracklist` says what came of "
        "it.",
        "nothing",
        v22.NumberItem,
        "NumbersAnswer",
        "Numbered",
        (*_KNOWN, "no_webhook", "no_info"),
        _ONE,
    ),
)
