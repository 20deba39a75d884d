"""``track_info``: a timeline in 17TRACK's words, every object always there."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.stories import HOUR, NOW, START, event, history, hourly, told

from parcelwire.domain.merge import History
from parcelwire.domain.report import NOWHERE, Address, Estimate, Event, Moment
from parcelwire.domain.status import Stage, SubStatus
from parcelwire.domain.timeline import NO_MARKS, Marks, Timeline, assemble
from parcelwire.domain.times import from_iso, second_of
from parcelwire.wire.directory import BOOK_REFERENCE, Entry, code_of, entry
from parcelwire.wire.trackinfo import LEGS_MAX, estimate, fill, template, utc_text

S = SubStatus
# The worked answer that lies beside the further sample answers, where those are at hand.
EXAMPLE = Path(os.environ.get("PARCELWIRE_PAYLOADS", "")).parent / "data" / "example-gettrackinfo.v22.json"


class Names:
    """The shipped directory."""

    def code(self, source: str) -> int:
        code = code_of(source, BOOK_REFERENCE)
        assert code is not None
        return code

    def entry(self, source: str) -> Entry:
        found = entry(source)
        assert found is not None
        return found


@dataclass(frozen=True)
class Someone:
    name: str = "Some Post"
    homepage: str = "https://post.example/"
    country: str = "DE"


class AnyNames:
    """A directory that knows every slug by the number at its end."""

    def code(self, source: str) -> int:
        return 1 + sum(map(ord, source))

    def entry(self, source: str) -> Someone:
        return Someone(f"The {source}")


def encoded(
    timeline: Timeline, names: Any = None, asked_at: datetime = NOW, *, ok: bool = True, now: datetime = NOW
) -> dict[str, Any]:
    """``track_info`` of a timeline, decoded again."""
    made = fill(
        template(timeline, names or AnyNames()),
        sub_status=timeline.sub_status,
        descr=timeline.descr,
        dates=timeline.marks.dates,
        estimate=estimate(timeline.estimate),
        asked_s=second_of(asked_at),
        ok=ok,
        now=now,
    )
    decoded: dict[str, Any] = json.loads(made)
    return decoded


# --- the whole shape ------------------------------------------------------------------------------------

NO_TIME = {"time_iso": None, "time_utc": None, "time_raw": {"date": None, "time": None, "timezone": None}}
NO_PLACE = {
    "country": None, "state": None, "city": None, "street": None, "postal_code": None,
    "coordinates": {"longitude": None, "latitude": None},
}  # fmt: skip


def test_nothing_known_is_told_with_every_object_and_nulls_inside() -> None:
    assert encoded(Timeline(S.NOT_FOUND_OTHER)) == {
        "shipping_info": {"shipper_address": NO_PLACE, "recipient_address": NO_PLACE},
        "latest_status": {"status": "NotFound", "sub_status": "NotFound_Other", "sub_status_descr": None},
        "latest_event": None,
        "time_metrics": {
            "days_after_order": 0, "days_of_transit": 0, "days_of_transit_done": 0,
            "days_after_last_update": 0,
            "estimated_delivery_date": {"source": None, "from": None, "to": None},
        },
        "milestone": [{"key_stage": stage, **NO_TIME} for stage in Stage],
        "misc_info": {
            "risk_factor": 0, "service_type": None, "weight_raw": None, "weight_kg": None, "pieces": None,
            "dimensions": None, "customer_number": None, "reference_number": None, "local_number": None,
            "local_provider": None, "local_key": 0,
        },
        "tracking": {"providers_hash": 0, "providers": []},
    }  # fmt: skip


def test_one_scan_is_told_whole() -> None:
    place = Address("DE", "NW", "Köln", "Domkloster 4", "50667")
    scan = event(
        from_iso("2026-05-01T10:00:00+02:00"),
        S.DELIVERED,
        'Zugestellt \x7f"\\ \u2028😀',
        location="Köln",
        address=place,
    )
    one = history([scan], lang="de", service="Paket", destination=place)
    made = encoded(assemble([one], NOW), asked_at=datetime(2026, 5, 4, 11, 59, 58, 999, tzinfo=UTC), ok=False)
    told_event = {
        "time_iso": "2026-05-01T10:00:00+02:00",
        "time_utc": "2026-05-01T08:00:00Z",
        "time_raw": {"date": "2026-05-01", "time": "10:00:00", "timezone": "+02:00"},
        "description": "Zugestellt \x7f\"\\ \u2028😀",
        "location": "Köln",
        "stage": "Delivered",
        "sub_status": "Delivered_Other",
        "address": {
            "country": "DE", "state": "NW", "city": "Köln", "street": "Domkloster 4", "postal_code": "50667",
            "coordinates": {"longitude": None, "latitude": None},
        },
    }  # fmt: skip
    assert made["latest_event"] == told_event
    (provider,) = made["tracking"]["providers"]
    assert provider.pop("events_hash") != made["tracking"]["providers_hash"]
    assert provider == {
        "provider": {
            "key": 1 + sum(map(ord, "post")), "name": "The post", "alias": "The post", "tel": None,
            "homepage": "https://post.example/", "country": "DE",
        },
        "provider_lang": "de",
        "service_type": "Paket",
        "latest_sync_status": "Failure",
        "latest_sync_time": "2026-05-04T11:59:58Z",
        "events": [told_event],
    }  # fmt: skip
    assert made["shipping_info"]["recipient_address"] == told_event["address"]


def test_an_event_without_zone_date_or_meaning_is_told_with_what_was_sent() -> None:
    events = [event(Moment(), None, "nothing"), event(from_iso("2026-05-01"), S.INFO_RECEIVED, "day")]
    events += [event(from_iso("2026-05-01T10:00:00"), None, "local")]
    told_events = encoded(assemble([history(events)], NOW))["tracking"]["providers"][0]["events"]
    assert [(item["description"], item["time_iso"], item["time_utc"]) for item in told_events] == [
        ("local", None, None), ("day", None, None), ("nothing", None, None),
    ]  # fmt: skip
    assert [item["time_raw"] for item in told_events] == [
        {"date": "2026-05-01", "time": "10:00:00", "timezone": None},
        {"date": "2026-05-01", "time": None, "timezone": None},
        {"date": None, "time": None, "timezone": None},
    ]
    assert [item["sub_status"] for item in told_events] == [None, "InfoReceived", None]


@pytest.mark.parametrize("sub", S)
def test_every_sub_status_is_told_with_its_status(sub: SubStatus) -> None:
    latest = encoded(told(sub))["latest_status"]
    assert latest == {"status": sub.value.split("_")[0], "sub_status": sub.value, "sub_status_descr": None}


# --- moving parts ---------------------------------------------------------------------------------------


def test_only_the_moving_parts_move() -> None:
    timeline = told(S.PICKED_UP, S.DELAYED)
    today = encoded(timeline)
    later = encoded(timeline, now=NOW + timedelta(days=2))
    assert later["time_metrics"].pop("days_after_last_update") == 5
    assert today["time_metrics"].pop("days_after_last_update") == 3
    for made in (today, later):
        del made["time_metrics"]["days_after_order"], made["time_metrics"]["days_of_transit"]
    assert today == later


def test_status_and_reason_are_those_of_the_moment() -> None:
    made = fill(
        template(told(S.IN_TRANSIT), AnyNames()),
        sub_status=S.EXPIRED,
        descr='never \x01 "seen"',
        dates=NO_MARKS.dates,
        estimate=estimate(None),
        asked_s=second_of(NOW),
        ok=True,
        now=NOW,
    )
    assert json.loads(made)["latest_status"] == {
        "status": "Expired", "sub_status": "Expired_Other", "sub_status_descr": 'never \x01 "seen"',
    }  # fmt: skip


@pytest.mark.parametrize("ok", [True, False])
def test_every_leg_tells_when_it_was_asked_and_how_that_ended(ok: bool) -> None:
    sources = [history(hourly(S.IN_TRANSIT, start=START + n * HOUR), source=f"s{n}") for n in range(LEGS_MAX)]
    timeline = assemble(sources, NOW)
    providers = encoded(timeline, asked_at=NOW - HOUR, ok=ok)["tracking"]["providers"]
    told = "Success" if ok else "Failure", utc_text(NOW - HOUR)
    assert [(p["latest_sync_status"], p["latest_sync_time"]) for p in providers] == [told] * LEGS_MAX
    assert [p["provider"]["name"] for p in providers] == [f"The s{n}" for n in reversed(range(LEGS_MAX))]


@pytest.mark.parametrize(
    ("given_estimate", "source", "start", "end"),
    [
        (None, None, None, None),
        (Estimate(), None, None, None),
        (Estimate(end=from_iso("2026-05-09")), "Official", None, "2026-05-09T23:59:59"),
        (
            Estimate(from_iso("2026-05-08"), from_iso("2026-05-09")),
            "Official",
            "2026-05-08T00:00:00",
            "2026-05-09T23:59:59",
        ),
        (Estimate(start=from_iso("2026-05-08T09:00:00")), "Official", "2026-05-08T09:00:00", None),
        (
            Estimate(start=from_iso("2026-05-08T09:00:00-05:00")),
            "Official",
            "2026-05-08T09:00:00-05:00",
            None,
        ),
        (Estimate(Moment(), from_iso("2026-05-09T12:00")), "Official", None, "2026-05-09T12:00:00"),
    ],
)
def test_the_estimate_is_told_with_an_offset_when_known(
    given_estimate: Estimate | None, source: str | None, start: str | None, end: str | None
) -> None:
    assert json.loads(estimate(given_estimate)) == {"source": source, "from": start, "to": end}


# --- several carriers -----------------------------------------------------------------------------------


def test_each_fact_is_that_of_the_newest_carrier_that_knows_it() -> None:
    origin = history(
        hourly(S.PICKED_UP),
        source="origin",
        service="ePacket",
        weight_kg="0.18",
        pieces="1",
        local_carrier="usps",
    )
    last_mile = history(
        hourly(S.DELIVERED, start=START + HOUR), source="last", pieces="2", local_number="9400"
    )
    misc = encoded(assemble([origin, last_mile], NOW))["misc_info"]
    assert (misc["service_type"], misc["weight_kg"], misc["pieces"]) == ("ePacket", "0.18", "2")
    assert (misc["local_number"], misc["local_provider"]) == ("9400", "The usps")
    assert misc["local_key"] == AnyNames().code("usps")


def test_hashes_change_with_the_events_and_only_with_them() -> None:
    def hashes(timeline: Timeline, **more: Any) -> tuple[int, int]:
        tracking = encoded(timeline, **more)["tracking"]
        return tracking["providers_hash"], tracking["providers"][0]["events_hash"]

    timeline = told(S.PICKED_UP)
    assert hashes(timeline) == hashes(timeline, now=NOW + HOUR, ok=False)
    other = hashes(told(S.PICKED_UP, S.IN_TRANSIT))
    assert hashes(timeline)[0] != other[0]
    assert hashes(timeline)[1] != other[1]
    renamed = hashes(told(S.PICKED_UP, service="Express"))
    assert hashes(timeline)[1] == renamed[1]
    assert hashes(timeline)[0] != renamed[0]


def test_hashes_are_signed_and_fit_32_bits() -> None:
    values = [
        encoded(assemble([history([event(START, None, f"scan {n}")])], NOW))["tracking"]["providers_hash"]
        for n in range(40)
    ]
    assert all(-(2**31) <= value < 2**31 for value in values)
    assert min(values) < 0 < max(values)


# --- the worked example of the reference ----------------------------------------------------------------

LA = Address("US", "CA", "LOS ANGELES")
AUSTIN = Address("US", "TX", "AUSTIN", None, "78701")
SHANGHAI = Address("CN", city="上海市")
HANGZHOU = Address("CN", "浙江省", "杭州市")
READ_AT = datetime(2026, 10, 16, 18, 0, 5, tzinfo=UTC)


def local_scan(
    when: str, offset: int, sub: SubStatus, text: str, location: str | None, place: Address
) -> Event:
    """A scan whose zone was found from its place."""
    wall = datetime.fromisoformat(when)
    utc = (wall - timedelta(hours=offset)).replace(tzinfo=UTC)
    return event(Moment(utc, offset * 60, when[:10], when[11:]), sub, text, location=location, address=place)


def two_legs() -> list[History]:
    """China Post to Los Angeles, then USPS to Austin."""
    post = [
        local_scan("2026-10-04T20:00:00", 8, S.INFO_RECEIVED, "电子信息已收到", None, Address("CN")),
        local_scan("2026-10-05T11:05:40", 8, S.PICKED_UP, "【杭州市】已收件", "杭州市", HANGZHOU),
        local_scan("2026-10-07T16:41:12", 8, S.IN_TRANSIT, "【上海国际】已出口直封", "上海市", SHANGHAI),
        local_scan("2026-10-09T23:10:00", 8, S.DEPARTURE, "【上海国际】航空公司启运", "上海市", SHANGHAI),
    ]
    hub = "LOS ANGELES CA INTERNATIONAL DISTRIBUTION CENTER"
    usps = [
        local_scan(
            "2026-10-11T18:20:00",
            -7,
            S.IN_TRANSIT,
            "Processed Through Facility",
            "ISC LOS ANGELES CA (USPS)",
            LA,
        ),
        local_scan(
            "2026-10-12T09:30:00", -7, S.CUSTOMS_RELEASED, "Inbound Out of Customs", "LOS ANGELES", LA
        ),
        local_scan("2026-10-12T22:03:00", -7, S.IN_TRANSIT, "Departed USPS Regional Facility", hub, LA),
        local_scan(
            "2026-10-14T07:15:00", -5, S.OUT_FOR_DELIVERY, "Out for Delivery", "AUSTIN, TX 78701", AUSTIN
        ),
        local_scan(
            "2026-10-14T13:42:00", -5, S.DELIVERED, "Delivered, In/At Mailbox", "AUSTIN, TX 78701", AUSTIN
        ),
    ]
    window = Estimate(from_iso("2026-10-13T00:00:00-05:00"), from_iso("2026-10-16T23:59:59-05:00"))
    return [
        history(
            post, source="china_post", asked_at=READ_AT - timedelta(seconds=2), lang="zh-cn",
            service="ePacket", weight_raw="0.18KG", weight_kg="0.18", pieces="1", local_carrier="usps",
            origin=HANGZHOU,
        ),
        history(usps, source="usps", asked_at=READ_AT, lang="en", destination=AUSTIN, estimate=window),
    ]  # fmt: skip


def worked() -> dict[str, Any]:
    timeline = assemble(two_legs(), READ_AT)
    return encoded(timeline, Names(), READ_AT, now=READ_AT)


def differences(one: Any, two: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Paths at which two JSON values differ."""
    if isinstance(one, dict) and isinstance(two, dict):
        return {
            at: pair
            for key in sorted({*one, *two})
            for at, pair in differences(
                one.get(key, "absent"), two.get(key, "absent"), f"{path}.{key}"
            ).items()
        }
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        return {
            at: pair
            for index, (left, right) in enumerate(zip(one, two, strict=True))
            for at, pair in differences(left, right, f"{path}[{index}]").items()
        }
    return {} if one == two and type(one) is type(two) else {path: (one, two)}


@pytest.mark.skipif(
    not EXAMPLE.exists(), reason="PARCELWIRE_PAYLOADS is not set: the worked example is not here"
)
def test_the_worked_example_is_told_field_by_field() -> None:
    theirs = json.loads(EXAMPLE.read_text())["data"]["accepted"][0]["track_info"]
    # The estimate is the carrier's own here; hashes are ours; telephone numbers, translations and that
    # homepage are not told; all sources count as asked at one time. Everything else is equal.
    usps, post = ".tracking.providers[0]", ".tracking.providers[1]"
    assert set(differences(worked(), theirs)) == {
        ".time_metrics.estimated_delivery_date.source",
        ".tracking.providers_hash",
        f"{usps}.events_hash",
        f"{post}.events_hash",
        f"{usps}.provider.tel",
        f"{post}.provider.homepage",
        f"{post}.latest_sync_time",
        *(f"{post}.events[{index}].description_translation" for index in range(4)),
    }


def test_two_carriers_make_one_story() -> None:
    """The same journey as the reference's example, as far as it is ours to tell."""
    made = worked()
    assert made["latest_status"] == {
        "status": "Delivered", "sub_status": "Delivered_Other", "sub_status_descr": None,
    }  # fmt: skip
    metrics = made["time_metrics"]
    assert (
        metrics["days_after_order"], metrics["days_of_transit"], metrics["days_of_transit_done"],
        metrics["days_after_last_update"],
    ) == (10, 9, 9, 2)  # fmt: skip
    assert metrics["estimated_delivery_date"] == {
        "source": "Official", "from": "2026-10-13T00:00:00-05:00", "to": "2026-10-16T23:59:59-05:00",
    }  # fmt: skip
    assert {item["key_stage"]: item["time_iso"] for item in made["milestone"]} == {
        "InfoReceived": "2026-10-04T20:00:00+08:00",
        "PickedUp": "2026-10-05T11:05:40+08:00",
        "Departure": "2026-10-09T23:10:00+08:00",
        "Arrival": "2026-10-11T18:20:00-07:00",
        "AvailableForPickup": None,
        "OutForDelivery": "2026-10-14T07:15:00-05:00",
        "Delivered": "2026-10-14T13:42:00-05:00",
        "Returning": None,
        "Returned": None,
    }
    providers = made["tracking"]["providers"]
    assert [p["provider"]["key"] for p in providers] == [21051, 3011]
    assert [[item["stage"] for item in p["events"]] for p in providers] == [
        ["Delivered", "OutForDelivery", None, None, "Arrival"],
        ["Departure", None, "PickedUp", "InfoReceived"],
    ]
    assert providers[0]["events"][4]["sub_status"] == "InTransit_Arrival"
    assert providers[0]["events"][0]["time_raw"]["timezone"] is None
    assert made["misc_info"]["local_key"] == 21051
    assert made["misc_info"]["service_type"] == "ePacket"


# --- laws -----------------------------------------------------------------------------------------------


def keys(value: Any) -> Any:
    """The shape of a JSON value: keys without values; of lists the shapes of their items."""
    if isinstance(value, dict):
        return {key: keys(item) for key, item in value.items()}
    return [keys(item) for item in value] if isinstance(value, list) else None


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EVENTS = st.builds(
    Event,
    st.sampled_from(
        [Moment(), from_iso("2026-05-01"), from_iso("2026-05-01T10:00:00"), from_iso("2026-05-02T10:00:00Z")]
    ),
    TEXT,
    st.sampled_from([None, *S]),
    location=st.none() | TEXT,
    address=st.builds(Address, st.none() | TEXT, st.none() | TEXT, st.none() | TEXT),
    reason=st.none() | TEXT,
)
TIMELINES = st.lists(
    st.tuples(st.lists(EVENTS, max_size=4), st.none() | TEXT, st.builds(Address, st.none() | TEXT)),
    max_size=3,
).map(
    lambda drawn: assemble(
        [
            history(events, source=f"s{n}", service=service, destination=place)
            for n, (events, service, place) in enumerate(drawn)
        ],
        NOW,
    )
)


@given(TIMELINES, TEXT)
def test_any_timeline_is_valid_json_with_every_key(timeline: Timeline, descr: str) -> None:
    marked = template(timeline, AnyNames())
    made = fill(
        marked, sub_status=timeline.sub_status, descr=descr, dates=timeline.marks.dates,
        estimate=estimate(None), asked_s=second_of(NOW), ok=True, now=NOW,
    )  # fmt: skip
    assert not [byte for byte in made if byte < 0x20]
    decoded = msgspec.json.decode(made)
    assert decoded["latest_status"]["sub_status_descr"] == descr
    bare = encoded(Timeline(S.NOT_FOUND_OTHER))
    for name in ("shipping_info", "latest_status", "time_metrics", "milestone", "misc_info"):
        assert keys(decoded[name]) == keys(bare[name])
    event_shape = keys(worked()["latest_event"])
    shown = [item for provider in decoded["tracking"]["providers"] for item in provider["events"]]
    assert all(keys(item) == event_shape for item in [*shown, *filter(None, [decoded["latest_event"]])])
    assert len(shown) == sum(len(leg.scans) for leg in timeline.legs)
    assert all(isinstance(item["description"], str) for item in shown)


def test_day_counters_are_ints_even_without_marks() -> None:
    counters = encoded(Timeline(S.IN_TRANSIT, marks=Marks(first=NOW, newest=NOW), origin=NOWHERE))[
        "time_metrics"
    ]
    assert [type(value) for name, value in counters.items() if name.startswith("days_")] == [int] * 4
