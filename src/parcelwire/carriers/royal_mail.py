"""Royal Mail Mailpieces v2, ``/{id}/events``: all scans of one item a call.

Needs a client id and secret of the developer portal. The free plan "assessment" allows 50 calls a day. The
summary endpoint takes 30 items but shows only the last scan of each, so it is not used.
"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from parcelwire.carriers import _reading as read
from parcelwire.domain import times
from parcelwire.domain.errors import CarrierError, MalformedReply, Throttled, Unavailable, UnknownNumber
from parcelwire.domain.exchange import Access, Exchange, Query, Reply, Request, TokenExchange
from parcelwire.domain.limits import Limits
from parcelwire.domain.report import NOWHERE, Address, Estimate, Event, Moment, Report

_EVENTS = read.code_table("royal_mail.csv")["event"]

# Errors that mean "nothing to show": unknown barcode, product without tracking, no update (yet).
NOTHING_KNOWN = frozenset({"E1142", "E1283", "E1284", "E1307", "E1308"})

# ISO 3166: alpha-2 and alpha-3 of every country. Royal Mail sends alpha-3.
_ISO = """
AD AND AE ARE AF AFG AG ATG AI AIA AL ALB AM ARM AO AGO AQ ATA AR ARG AS ASM AT AUT AU AUS AW ABW AX ALA
AZ AZE BA BIH BB BRB BD BGD BE BEL BF BFA BG BGR BH BHR BI BDI BJ BEN BL BLM BM BMU BN BRN BO BOL BQ BES
BR BRA BS BHS BT BTN BV BVT BW BWA BY BLR BZ BLZ CA CAN CC CCK CD COD CF CAF CG COG CH CHE CI CIV CK COK
CL CHL CM CMR CN CHN CO COL CR CRI CU CUB CV CPV CW CUW CX CXR CY CYP CZ CZE DE DEU DJ DJI DK DNK DM DMA
DO DOM DZ DZA EC ECU EE EST EG EGY EH ESH ER ERI ES ESP ET ETH FI FIN FJ FJI FK FLK FM FSM FO FRO FR FRA
GA GAB GB GBR GD GRD GE GEO GF GUF GG GGY GH GHA GI GIB GL GRL GM GMB GN GIN GP GLP GQ GNQ GR GRC GS SGS
GT GTM GU GUM GW GNB GY GUY HK HKG HM HMD HN HND HR HRV HT HTI HU HUN ID IDN IE IRL IL ISR IM IMN IN IND
IO IOT IQ IRQ IR IRN IS ISL IT ITA JE JEY JM JAM JO JOR JP JPN KE KEN KG KGZ KH KHM KI KIR KM COM KN KNA
KP PRK KR KOR KW KWT KY CYM KZ KAZ LA LAO LB LBN LC LCA LI LIE LK LKA LR LBR LS LSO LT LTU LU LUX LV LVA
LY LBY MA MAR MC MCO MD MDA ME MNE MF MAF MG MDG MH MHL MK MKD ML MLI MM MMR MN MNG MO MAC MP MNP MQ MTQ
MR MRT MS MSR MT MLT MU MUS MV MDV MW MWI MX MEX MY MYS MZ MOZ NA NAM NC NCL NE NER NF NFK NG NGA NI NIC
NL NLD NO NOR NP NPL NR NRU NU NIU NZ NZL OM OMN PA PAN PE PER PF PYF PG PNG PH PHL PK PAK PL POL PM SPM
PN PCN PR PRI PS PSE PT PRT PW PLW PY PRY QA QAT RE REU RO ROU RS SRB RU RUS RW RWA SA SAU SB SLB SC SYC
SD SDN SE SWE SG SGP SH SHN SI SVN SJ SJM SK SVK SL SLE SM SMR SN SEN SO SOM SR SUR SS SSD ST STP SV SLV
SX SXM SY SYR SZ SWZ TC TCA TD TCD TF ATF TG TGO TH THA TJ TJK TK TKL TL TLS TM TKM TN TUN TO TON TR TUR
TT TTO TV TUV TW TWN TZ TZA UA UKR UG UGA UM UMI US USA UY URY UZ UZB VA VAT VC VCT VE VEN VG VGB VI VIR
VN VNM VU VUT WF WLF WS WSM YE YEM YT MYT ZA ZAF ZM ZMB ZW ZWE
"""
_PAIRS = _ISO.split()
ALPHA_2: Mapping[str, str] = dict(zip(_PAIRS[1::2], _PAIRS[::2], strict=True))


class RoyalMail:
    """One number a call; the credentials go into the headers."""

    slug = "royal_mail"
    serves = ("royal_mail",)
    base_url = "https://api.royalmail.net"
    secrets = ("client_id", "client_secret")
    batch = 1
    limits = Limits(per_day=50)  # plan "assessment"; production plans are by contract

    def lane(self, number: str) -> str:  # noqa: ARG002
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:  # noqa: ARG002
        return None

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        (query,) = queries
        headers = {
            "X-IBM-Client-Id": access.secrets["client_id"],
            "X-IBM-Client-Secret": access.secrets["client_secret"],
            "X-Accept-RMG-Terms": "yes",
            "Accept": "application/json",
        }
        reply = yield Request("GET", f"/mailpieces/v2/{quote(query.number, safe='')}/events", headers)
        return {query.number: parse(reply, query.number)}


def parse(reply: Reply, number: str) -> Report | CarrierError:
    """The scans of one number. Errors have the same form under every HTTP status, 200 included."""
    if reply.status in (401, 403):
        read.check_status(reply)
    if reply.status != 200:
        code = _error_code(reply)
        if code in NOTHING_KNOWN:
            return UnknownNumber(number)
        _check_code(code, reply)
        read.check_status(reply)
    answer = read.json_of(reply)
    code = read.text(answer, "errors", 0, "errorCode") or read.text(
        answer, "mailPieces", "error", "errorCode"
    )
    if code in NOTHING_KNOWN:
        return UnknownNumber(number)
    _check_code(code, reply)
    piece = next(read.each(answer, "mailPieces"), None)
    if piece is None or code is not None:
        return MalformedReply("no mail piece" if code is None else f"error {code}")
    names = {
        read.text(piece, "mailPieceId"),
        read.text(piece, "summary", "uniqueItemId"),
        read.text(piece, "summary", "oneDBarcode"),
    }
    return _report(piece, number) if number in names else MalformedReply("another mail piece")


def _error_code(reply: Reply) -> str | None:
    try:
        return read.text(read.json_of(reply), "errors", 0, "errorCode")
    except MalformedReply:
        return None  # the HTTP status decides


def _check_code(code: str | None, reply: Reply) -> None:
    if code == "E0010":
        raise Throttled("error E0010", read.retry_after(reply))
    if code in ("E0001", "E0009"):
        raise Unavailable(f"error {code}")


def _report(piece: dict[str, object], number: str) -> Report:
    summary = read.get(piece, "summary")
    events = tuple(_events(piece)) or tuple(_last_event(summary))
    return Report(
        number,
        events=events,
        estimate=_estimate(read.get(piece, "estimatedDelivery")),
        origin=_country(summary, "originCountryCode"),
        destination=_country(summary, "destinationCountryCode"),
        service=read.text(summary, "productName"),
        lang="en",
        default_zone="Europe/London",
        unmapped=tuple(dict.fromkeys(event.code for event in events if event.code not in _EVENTS)),
    )


def _events(piece: dict[str, object]) -> Iterator[Event]:
    for scan in read.each(piece, "events"):
        code = read.text(scan, "eventCode")
        if code is not None:
            yield _event(
                code,
                times.from_iso(read.get(scan, "eventDateTime")),
                read.text(scan, "eventName"),
                read.text(scan, "locationName"),
            )


def _last_event(summary: object) -> Iterator[Event]:
    """The scan that the summary names, for answers without a list."""
    code = read.text(summary, "lastEventCode")
    if code is not None:
        yield _event(
            code,
            times.from_iso(read.get(summary, "lastEventDateTime")),
            read.text(summary, "lastEventName"),
            read.text(summary, "lastEventLocationName"),
        )


def _event(code: str, moment: Moment, name: str | None, place: str | None) -> Event:
    row = _EVENTS.get(code)
    return Event(
        time=moment,
        description=name or code,
        sub_status=row.sub_status if row else None,
        code=code,
        location=place,
        informative=row.informative if row else False,
    )


def _estimate(node: object) -> Estimate | None:
    date = times.from_iso(read.get(node, "date"))
    start = times.from_iso(read.get(node, "startOfEstimatedWindow"))
    end = times.from_iso(read.get(node, "endOfEstimatedWindow"))
    bounds = [moment if moment.date else date if date.date else None for moment in (start, end)]
    return Estimate(*bounds) if any(bounds) else None


def _country(summary: object, key: str) -> Address:
    code = ALPHA_2.get(read.text(summary, key) or "")
    return Address(country=code) if code else NOWHERE


CARRIER = RoyalMail()
