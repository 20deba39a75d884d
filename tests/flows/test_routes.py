"""Who is asked: the order of the sources, and when one is given up."""

from datetime import UTC, datetime, timedelta

import pytest

from parcelwire.carriers import carriers
from parcelwire.domain.errors import CarrierError, MalformedReply, Refused, Unavailable, UnknownNumber
from parcelwire.domain.merge import begin
from parcelwire.domain.report import Report
from parcelwire.domain.shipment import Phase, Shipment
from parcelwire.flows.routes import NO_SOURCE, Routes, Said, Upstream
from parcelwire.ports import Due

SINCE = datetime(2026, 5, 4, tzinfo=UTC)
DAY = timedelta(days=1)
UPSTREAM = Upstream(carriers()["seventeentrack"])


def due(carrier: str, *, known: bool = False) -> Due:
    """A shipment; ``known``: its direct source has told something about it."""
    shipment = Shipment(1, 1, "N1", carrier, 1, 2, Phase.TRACKING, SINCE)
    return Due(shipment, (begin(carrier, Report("N1"), SINCE),) if known else ())


def routes(*direct: str, upstream: Upstream | None = UPSTREAM) -> Routes:
    sources = {served: carriers()[slug] for slug in direct for served in carriers()[slug].serves}
    return Routes(sources, {"fedex": ("A", "B")}, upstream, "T")


def given_up(
    slug: str, answer: CarrierError, age: timedelta, *, whole: bool = False, known: bool = False
) -> bool:
    said = Said(answer, whole=whole)
    given = routes(slug)
    return bool(given.gives_up(carriers()[slug], due(slug, known=known), said, SINCE + age, DAY))


@pytest.mark.parametrize("answer", [UnknownNumber("x"), Refused("x")])
def test_patience_is_three_days_and_half_a_day_for_credentials_that_see_their_own_only(
    answer: CarrierError,
) -> None:
    assert not given_up("fedex", answer, 3 * DAY - timedelta(seconds=1), whole=True)
    assert given_up("fedex", answer, 3 * DAY, whole=True)
    assert not given_up("usps", answer, DAY / 2 - timedelta(seconds=1), whole=True)
    assert given_up("usps", answer, DAY / 2, whole=True)


def test_one_refused_number_of_a_batch_is_somebody_elses_parcel() -> None:
    """A refused credential is not: it would buy everything that waits for a new one."""
    assert given_up("usps", Refused("HTTP 403"), timedelta(0))
    assert not given_up("usps", Refused("HTTP 401"), timedelta(0), whole=True)
    assert not given_up("fedex", Refused("HTTP 403"), timedelta(0))


@pytest.mark.parametrize("answer", [Unavailable("x"), MalformedReply("x")])
def test_a_source_that_is_down_or_unreadable_is_never_given_up(answer: CarrierError) -> None:
    assert not given_up("fedex", answer, 30 * DAY)


def test_a_source_that_has_told_something_is_never_given_up() -> None:
    assert not given_up("fedex", UnknownNumber("x"), 30 * DAY, known=True)


def test_nothing_is_given_up_without_an_upstream_or_for_the_sandbox() -> None:
    said = Said(UnknownNumber("x"))
    alone = routes("fedex", upstream=None)
    assert alone.gives_up(carriers()["fedex"], due("fedex"), said, SINCE + 30 * DAY, DAY) is None
    box = carriers()["sandbox"]
    assert routes("sandbox").gives_up(box, due("sandbox"), said, SINCE + 30 * DAY, DAY) is None


def test_the_order_of_the_sources() -> None:
    number = "LP204500111CN"
    both = routes("china_post", "royal_mail")
    assert both.lane("china_post", number, "GB-SW1A1AA") == "china_post"
    assert routes("royal_mail").lane("china_post", number, "GB-SW1A1AA") == "royal_mail"
    assert routes("royal_mail").lane("china_post", number, "FR-75001") == "seventeentrack"
    assert routes("royal_mail").lane("china_post", number) == "seventeentrack"
    assert routes("royal_mail").lane("fedex", "700000000300", "GB") == "seventeentrack"
    assert routes(upstream=None).lane("china_post", number) == NO_SOURCE
    assert both.route("china_post", number, given_up="tired").source is UPSTREAM.source


def test_after_a_change_of_the_settings_only_what_is_asked_rightly_stays() -> None:
    with_fedex = routes("fedex")
    assert with_fedex.keeps("fedex", "fedex")
    assert not with_fedex.keeps("fedex", NO_SOURCE)
    assert not with_fedex.keeps("fedex", "seventeentrack")
    assert routes().keeps("fedex", "seventeentrack")
    assert with_fedex.moved("fedex", "fedex") is None
    assert with_fedex.moved("fedex", "fedex/1") is None, "what is known of a poisonous number stays known"
    assert with_fedex.moved("fedex", NO_SOURCE) == "fedex"
    assert with_fedex.moved("fedex", "seventeentrack") == NO_SOURCE
    assert routes().signature == routes().signature != with_fedex.signature
    assert not routes(upstream=None).keeps("fedex", "seventeentrack")
    assert not routes(upstream=None).keeps("fedex", "fedex")
    assert routes(upstream=None).keeps("fedex", NO_SOURCE)
