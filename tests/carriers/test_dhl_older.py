"""DHL's older interfaces: what their recordings do not show."""

import pytest

from parcelwire.carriers.dhl import parse
from parcelwire.domain.errors import CarrierError, MalformedReply, Refused
from parcelwire.domain.exchange import Reply
from parcelwire.domain.report import Report

NUMBER = "4100000056"
XMLPI = "<TrackingResponse>{}</TrackingResponse>"
PIECES = (
    '<data name="piece-shipment-list" code="{}"><data name="piece-shipment" piece-code="{}">'
    '<data name="piece-event-list">{}</data></data></data>'
)


def told(document: str) -> Report | CarrierError:
    return parse(Reply(200, {}, document.encode()), NUMBER)


@pytest.mark.parametrize(
    "document",
    [
        '{"shipments":[{"shipmentTrackingNumber":"4100000099","events":[]}]}',
        XMLPI.format("<AWBInfo><AWBNumber>4100000099</AWBNumber></AWBInfo>"),
        PIECES.format(0, "4100000099", ""),
        PIECES.format(7, NUMBER, ""),
    ],
)
def test_an_answer_about_another_number_or_with_a_fault_is_malformed(document: str) -> None:
    assert isinstance(told(document), MalformedReply)


@pytest.mark.parametrize("document", ["<other/>", "<data", "<data>\udcff</data>"])
def test_other_xml_is_malformed(document: str) -> None:
    with pytest.raises(MalformedReply):
        parse(Reply(200, {}, document.encode("utf-8", "surrogateescape")), NUMBER)


def test_a_comment_is_not_a_doctype() -> None:
    assert isinstance(told(PIECES.format(0, NUMBER, "<!-- nothing -->")), Report)


def test_xmlpi_says_when_the_account_is_refused() -> None:
    condition = "<Condition><ConditionCode>111</ConditionCode></Condition>"
    with pytest.raises(Refused):
        told(XMLPI.format(f"<Response><Status>{condition}</Status></Response>"))


def test_a_time_that_is_none_stays_unknown_and_an_unknown_code_is_reported() -> None:
    event = '<data name="piece-event" event-timestamp="soon" ice="NEW" ric="X" standard-event-code="Y"/>'
    shown = told(PIECES.format(0, NUMBER, event))
    assert isinstance(shown, Report)
    assert (shown.events[0].time.date, shown.unmapped) == (None, ("NEW/X/Y",))
