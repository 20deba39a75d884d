"""Traps of Royal Mail, Canada Post, La Poste, Australia Post and GLS; journeys of all posts to their end."""

import json
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from tests.carriers.driving import outcome
from tests.clocks import SetClock

from parcelwire.carriers import _reading, australia_post, canada_post, carriers, gls, la_poste, royal_mail
from parcelwire.domain.errors import CarrierError, MalformedReply, Refused, Throttled
from parcelwire.domain.exchange import Access, Query, Reply, Request
from parcelwire.domain.report import Address, Report
from parcelwire.domain.status import SubStatus
from parcelwire.net.ask import Asker
from parcelwire.ports import Carrier
from parcelwire.standins import stand_ins
from parcelwire.standins._post import PostStandIn
from parcelwire.zones import zone_of

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NUMBERS = {
    "australia_post": "7QK1000000000101",
    "canada_post": "1004000000000105",
    "china_post": "1199000000136",
    "gls": "100000000212",
    "la_poste": "6A10000000105",
    "royal_mail": "TT100000105GB",
}
POSTS = tuple(NUMBERS)


def first_request(carrier: Carrier, *numbers: str, **secrets: str) -> Request:
    asked = [Query(number, carrier.serves[0], NOW) for number in numbers]
    return next(carrier.track(asked, Access(secrets, "the-token", NOW)))


def one(answers: Mapping[str, Report | CarrierError]) -> Report:
    (answer,) = answers.values()
    assert isinstance(answer, Report)
    return answer


def json_reply(body: object) -> Reply:
    return Reply(200, {}, json.dumps(body).encode())


# --- questions --------------------------------------------------------------------------------------------


def test_royal_mail_is_asked_with_its_headers() -> None:
    request = first_request(royal_mail.CARRIER, "TT100000012GB", client_id="me", client_secret="hush")
    assert (request.method, request.path) == ("GET", "/mailpieces/v2/TT100000012GB/events")
    assert request.headers["X-IBM-Client-Id"] == "me"
    assert request.headers["X-IBM-Client-Secret"] == "hush"
    assert request.headers["X-Accept-RMG-Terms"] == "yes"


def test_canada_post_is_asked_for_details_in_english() -> None:
    request = first_request(canada_post.CARRIER, "1004000000000013", username="me", password="hush")
    assert (request.method, request.path) == ("GET", "/vis/track/pin/1004000000000013/detail")
    assert b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"me:hush"
    assert request.headers["Accept"] == "application/vnd.cpc.track-v2+xml"
    assert request.headers["Accept-Language"] == "en-CA"


def test_la_poste_is_asked_about_ten_numbers_in_one_path() -> None:
    """A number cannot leave its place in the path."""
    request = first_request(la_poste.CARRIER, "6A10000000013", "a/b,c", api_key="hush")
    assert (request.method, request.path) == ("GET", "/suivi/v2/idships/6A10000000013,a%2Fb%2Cc")
    assert request.headers["X-Okapi-Key"] == "hush"
    assert request.query == {"lang": "en_GB"}
    assert la_poste.CARRIER.batch == 10


def test_australia_post_is_asked_with_login_and_account() -> None:
    request = first_request(
        australia_post.CARRIER, "A", "B", api_key="me", password="hush", account_number="0042"
    )
    assert (request.method, request.path, request.query) == (
        "GET",
        "/shipping/v1/track",
        {"tracking_ids": "A,B"},
    )
    assert b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"me:hush"
    assert request.headers["Account-Number"] == "0042"


def test_gls_is_asked_with_a_token_that_it_gave_for_the_credentials() -> None:
    talk = gls.CARRIER.token({"client_id": "me", "client_secret": "a&b"})
    assert talk is not None
    request = next(talk)
    assert (request.method, request.path) == ("POST", "/oauth2/v2/token")
    assert request.body == b"grant_type=client_credentials&client_id=me&client_secret=a%26b"
    question = first_request(gls.CARRIER, "100000000137", "Y1000015")
    assert question.path == "/track-and-trace-v1/tracking/simple/trackids/100000000137,Y1000015"
    assert question.headers["Authorization"] == "Bearer the-token"


def test_a_refused_token_may_be_renewed_and_a_refused_key_may_not() -> None:
    with pytest.raises(Refused) as caught:
        gls.parse(Reply(401, {}, b"<html></html>"), ["100000000137"])
    assert caught.value.stale_token


# --- answers ----------------------------------------------------------------------------------------------


def test_royal_mails_countries_become_two_letters() -> None:
    """By their names; a name that nobody knows is no country."""
    summary = {
        "oneDBarcode": "X",
        "originCountryName": "United Kingdom of Great Britain and Northern Ireland",
        "destinationCountryName": "Atlantis",
    }
    report = royal_mail.parse(json_reply({"mailPieces": {"summary": summary}}), "X")
    assert isinstance(report, Report)
    assert (report.origin, report.destination) == (Address(country="GB"), Address())


def test_the_name_of_who_signed_is_dropped() -> None:
    piece = {"mailPieceId": "X", "signature": {"recipientName": "Somebody"}}
    assert "Somebody" not in repr(royal_mail.parse(json_reply({"mailPieces": piece}), "X"))
    assert "Somebody" not in repr(occurrence("1498", "Delivered", signatory="Somebody"))


def occurrence(code: str, description: str, zone: str = "EST", signatory: str = "") -> Report:
    """What Canada Post's answer with this one event becomes."""
    body = (
        "<tracking-detail><pin>1</pin><significant-events><occurrence>"
        f"<event-identifier>{code}</event-identifier><event-date>2026-07-02</event-date>"
        f"<event-time>20:15:00</event-time><event-time-zone>{zone}</event-time-zone>"
        f"<event-description>{description}</event-description><signatory-name>{signatory}</signatory-name>"
        "</occurrence></significant-events></tracking-detail>"
    )
    report = canada_post.parse(Reply(200, {}, body.encode()), "1")
    assert isinstance(report, Report)
    return report


@pytest.mark.parametrize(
    ("zone", "utc", "offset"),
    [
        ("NDT", datetime(2026, 7, 2, 22, 45, tzinfo=UTC), "-02:30"),
        ("EST", datetime(2026, 7, 3, 1, 15, tzinfo=UTC), "-05:00"),
        ("edt", datetime(2026, 7, 3, 0, 15, tzinfo=UTC), "-04:00"),
        ("", None, None),
        ("LMT", None, None),
    ],
)
def test_canada_posts_abbreviations_are_offsets(zone: str, utc: datetime | None, offset: str | None) -> None:
    """Standard time stays standard time in July; an unknown abbreviation is no zone."""
    moment = occurrence("1498", "Delivered", zone).events[0].time
    assert (moment.utc, moment.zone, moment.time) == (utc, offset, "20:15:00")


@pytest.mark.parametrize(
    ("code", "text", "sub_status"),
    [
        ("0174", "Item out for delivery", SubStatus.OUT_FOR_DELIVERY),
        ("174", "Item being returned to sender is out for delivery", SubStatus.RETURNING),
        ("1498", "Item was successfully returned to the sender", SubStatus.RETURNED),
        ("1479", "Attempt to return item to sender. Notice card left", SubStatus.RETURNING),
        ("156", "Item will be returned to sender if not collected", SubStatus.AVAILABLE_FOR_PICKUP),
        ("1303", "Return item accepted at Post Office", SubStatus.PICKED_UP),
        ("1484", "Item on hold", SubStatus.EXCEPTION_OTHER),
        ("1484", "Item on hold by Customs", SubStatus.CUSTOMS_PROCESSING),
        ("1483", "Item refused, cannot be delivered", SubStatus.FAILURE_REJECTED),
        ("1405", "Delivered to automated parcel locker", SubStatus.AVAILABLE_FOR_PICKUP),
        ("9999", "Item being returned to sender", None),
    ],
)
def test_canada_posts_identifiers_with_the_texts_that_turn_them(
    code: str, text: str, sub_status: SubStatus | None
) -> None:
    """Leading zeros do not matter; a way back is told by the text alone, an unknown code by nothing."""
    report = occurrence(code, text)
    assert report.events[0].sub_status is sub_status
    assert report.unmapped == (() if sub_status else ("9999",))


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a SYSTEM "http://example.com/a.dtd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b"<a>" * 65 + b"</a>" * 65,
        b"<a>&undefined;</a>",
        b'<?xml version="1.0" encoding="no-such-thing"?><a/>',
    ],
)
def test_xml_that_wants_more_than_reading_is_refused(body: bytes) -> None:
    """No document type, so no entity is ever expanded or fetched; no deep nesting; no strange encodings."""
    with pytest.raises(MalformedReply):
        _reading.xml_of(Reply(200, {}, body))


@pytest.mark.parametrize(
    ("label", "sub_status"),
    [
        ("Votre colis est mis en distribution.", SubStatus.OUT_FOR_DELIVERY),
        ("Your parcel is out for delivery.", SubStatus.OUT_FOR_DELIVERY),
        ("Votre colis est dans le site de livraison. Nous le préparons.", SubStatus.IN_TRANSIT),
        ("Your parcel is at the delivery site.", SubStatus.IN_TRANSIT),
        ("Your parcel is being prepared for delivery.", SubStatus.IN_TRANSIT),
    ],
)
def test_la_postes_md2_is_out_for_delivery_unless_its_label_says_not_yet(
    label: str, sub_status: SubStatus
) -> None:
    event = {"code": "MD2", "label": label, "date": "2026-05-20T08:00:00+02:00"}
    shipment = {"idShip": "1", "event": [event]}
    assert (
        one(la_poste.parse(json_reply({"returnCode": 200, "shipment": shipment}), ["1"])).events[0].sub_status
        is sub_status
    )


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("OAKLEIGH SOUTH VIC", Address(country="AU", state="VIC", city="OAKLEIGH SOUTH")),
        ("CHICAGO (US)", Address(country="US", city="CHICAGO")),
        ("US-60199, UNITED STATES", Address(country="US")),
        ("NZ", Address(country="NZ")),
        ("Transit Scan", Address()),
    ],
)
def test_australia_posts_places(place: str, address: Address) -> None:
    events = [{"description": "Delivered", "date": "2026-03-05T10:00:00+11:00", "location": place}]
    result = {"tracking_id": "1", "trackable_items": [{"article_id": "1", "events": events}]}
    report = one(australia_post.parse(json_reply({"tracking_results": [result]}), ["1"]))
    assert report.events[0].address == address


def test_the_longest_beginning_of_a_text_decides() -> None:
    """ "Arrived awaiting clearance" is not "Arrived in" a country; nothing is found inside a text."""
    texts = {
        "Arrived in New Zealand": SubStatus.ARRIVAL,
        "Arrived awaiting clearance (Inbound)": SubStatus.CUSTOMS_PROCESSING,
        "DELIVERED - Left in a safe place": SubStatus.DELIVERED,
        "Could not be delivered": None,
    }
    events = [{"description": text, "date": "2026-03-05T10:00:00+11:00"} for text in texts]
    result = {"tracking_id": "1", "trackable_items": [{"article_id": "1", "events": events}]}
    report = one(australia_post.parse(json_reply({"tracking_results": [result]}), ["1"]))
    assert {event.description: event.sub_status for event in report.events} == texts
    assert report.unmapped == ("Could not be delivered",)


def test_gls_status_leads_only_when_its_events_lag_behind() -> None:
    """The status is newer than the newest scan, or the newest scan has a code that nobody explains."""

    def parsed(code: str, at: str) -> Report:
        event = {"code": code, "eventDateTime": "2026-04-11T08:00:00+0200"}
        parcel = {"requested": "1", "status": "INDELIVERY", "statusDateTime": at, "events": [event]}
        return one(gls.parse(json_reply({"parcels": [parcel]}), ["1"]))

    assert not parsed("DELIVD.NORMAL", "2026-04-11T08:00:00+0200").current_authoritative
    assert parsed("INBOUD.NORMAL", "2026-04-11T09:00:00+0200").current_authoritative
    assert parsed("NEVER.SEEN", "2026-04-11T07:00:00+0200").current_authoritative
    explained = parsed("NEVER.SEEN", "2026-04-11T08:00:00+0200")
    assert explained.events[0].sub_status is SubStatus.OUT_FOR_DELIVERY
    assert explained.unmapped == ("NEVER.SEEN",)


# --- whole conversations with the stand-ins ---------------------------------------------------------------


class Service:
    """One post, its stand-in and the driver between them, under a clock that the test moves."""

    def __init__(self, slug: str) -> None:
        self.carrier = carriers()[slug]
        stand_in = stand_ins()[slug]()
        assert isinstance(stand_in, PostStandIn)
        self.stand_in = stand_in
        self.clock = SetClock()
        secrets = dict.fromkeys(self.carrier.secrets, "secret") | {"sm4_key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
        self.asker = Asker(self.clock, {slug: secrets}, {slug: f"inprocess:{slug}"}, {slug: stand_in})

    async def ask(self, *numbers: str) -> Mapping[str, Report | CarrierError]:
        queries = [Query(number, self.carrier.serves[0], self.clock.now()) for number in numbers]
        return (await self.asker.ask(self.carrier, queries)).answers

    def shown(self, answer: Report | CarrierError) -> str:
        return outcome(self.carrier, answer, zone_of).status


@pytest.mark.parametrize("slug", POSTS)
async def test_a_made_up_journey_goes_from_label_to_delivered(slug: str) -> None:
    """Asked every four hours of a week: it moves on, only grows, maps every code, ends delivered."""
    service = Service(slug)
    number = NUMBERS[slug]
    seen: list[str] = []
    counts: list[int] = []
    for _ in range(42):
        answer = (await service.ask(number))[number]
        assert isinstance(answer, Report), answer
        assert answer.unmapped == ()
        counts.append(len(answer.events))
        if service.shown(answer) not in seen[-1:]:
            seen.append(service.shown(answer))
        service.clock.forward(4 * 3600)
    assert (seen[0], seen[-1]) == ("InfoReceived", "Delivered")
    assert "InTransit" in seen
    assert counts == sorted(counts)
    await service.asker.close()


@pytest.mark.parametrize("slug", POSTS)
async def test_a_stand_in_denies_refuses_and_slows_down_like_the_carrier(slug: str) -> None:
    """An unknown number, a wrong credential, and one call too many."""
    service = Service(slug)
    number = NUMBERS[slug]
    service.stand_in.unknown.add(number)
    assert service.shown((await service.ask(number))[number]) == "NotFound"
    service.stand_in.gate.calls = 1
    service.clock.forward(86_400)
    await service.ask(number)
    assert isinstance((await service.ask(number))[number], Throttled)
    await service.asker.close()

    service = Service(slug)
    service.stand_in.credentials = ("somebody", "else")
    assert isinstance((await service.ask(number))[number], Refused)
    await service.asker.close()


@pytest.mark.parametrize("slug", ["australia_post", "gls", "la_poste"])
async def test_a_batch_is_answered_number_by_number_and_not_when_it_is_too_big(slug: str) -> None:
    """Ten numbers and one that is unknown; eleven are refused, as the carrier refuses them."""
    service = Service(slug)
    numbers = [NUMBERS[slug][:-2] + f"{index:02d}" for index in range(10)]
    service.stand_in.unknown.add(numbers[3])
    answers = await service.ask(*numbers)
    assert [number for number in numbers if isinstance(answers[number], Report)] == [
        *numbers[:3],
        *numbers[4:],
    ]
    assert all(isinstance(answer, MalformedReply) for answer in (await service.ask(*numbers, "X")).values())
    await service.asker.close()


async def test_gls_tokens_end_after_four_hours_and_are_renewed_unseen() -> None:
    service = Service("gls")
    number = NUMBERS["gls"]
    for _ in range(3):
        assert isinstance((await service.ask(number))[number], Report)
        service.clock.forward(5 * 3600)
    await service.asker.close()
