"""Places to time zones, offline."""

import zoneinfo
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import zipcodes
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelwire import zones
from parcelwire.domain.report import Address
from parcelwire.ports import Zones
from parcelwire.zones import zone_of

BERLIN, LONDON, SHANGHAI = "Europe/Berlin", "Europe/London", "Asia/Shanghai"
NEW_YORK, CHICAGO, DENVER, LOS_ANGELES = zones.NEW_YORK, zones.CHICAGO, zones.DENVER, zones.LOS_ANGELES

# country, state, postal code, city -> zone
PLACES: tuple[tuple[str, str, str, str, str | None], ...] = (
    # one clock in the whole country
    ("DE", "", "", "", BERLIN),  # Busingen keeps the time of Berlin
    ("de", "", "10115", "Berlin", BERLIN),
    ("JP", "", "", "KAWASAKI", "Asia/Tokyo"),
    ("CN", "", "", "Yiwu", SHANGHAI),
    ("CN", "", "", "", SHANGHAI),  # Urumqi's own time is not official
    ("MY", "", "", "KUCHING", "Asia/Kuala_Lumpur"),
    ("XK", "", "", "Prishtina", "Europe/Belgrade"),
    ("PR", "", "", "", "America/Puerto_Rico"),
    # country only in the text
    ("", "", "", "COLOGNE - GERMANY", BERLIN),
    ("", "", "", "Herstal, Belgium", "Europe/Brussels"),
    ("", "", "", "EAST MIDLANDS - UK", LONDON),
    ("", "", "", "Heathrow (United Kingdom)", LONDON),
    ("", "", "", "INCHEON - KOREA", "Asia/Seoul"),
    ("", "", "", "PRISTINA - KOSOVO", "Europe/Belgrade"),
    ("", "", "", "ABIDJAN - CÔTE D'IVOIRE", "Africa/Abidjan"),
    ("", "", "", "ABIDJAN - Côte d’Ivoire", "Africa/Abidjan"),
    ("", "", "", "SARAJEVO - BOSNIA & HERZEGOVINA", "Europe/Sarajevo"),
    ("", "", "", "LAREDO,TX-USA", CHICAGO),
    ("", "", "", "Utrecht,Netherlands,EMEA - SOUTH,3511 AA", "Europe/Amsterdam"),
    ("", "", "", "France", "Europe/Paris"),
    ("", "", "", "NEW YORK CITY GATEWAY, NY - USA", NEW_YORK),
    ("", "", "", "Lebanon", None),  # several towns of the US
    ("", "", "", "Jamaica", None),
    ("", "", "", "Atlanta, Georgia", None),
    # countries that contradict each other
    ("US", "", "", "LEIPZIG - GERMANY", None),
    ("CN", "", "", "KOWLOON - HONG KONG", SHANGHAI),  # the same clock
    ("FR", "", "", "SAINT-DENIS - REUNION", None),
    # in the US a state or a ZIP code
    ("US", "OH", "", "Columbus", NEW_YORK),
    ("US", "Ohio", "", "", NEW_YORK),
    ("US", "US-IL", "", "", CHICAGO),
    ("US", "CO", "80216", "", DENVER),
    ("US", "", "98108", "SEATTLE", LOS_ANGELES),
    ("US", "", "981081234", "", LOS_ANGELES),
    ("US", "", "85043-1234", "", "America/Phoenix"),
    ("US", "", "96819", "", "Pacific/Honolulu"),
    ("US", "HI", "", "", "Pacific/Honolulu"),
    ("US", "NY", "90001", "", None),  # contradiction
    ("US", "TX", "10001", "", None),
    ("US", "", "00000", "", None),
    ("US", "", "1234", "", None),
    ("US", "", "１００１１", "", NEW_YORK),  # full-width digits
    ("US", "", "١٠٠١١", "", None),
    # US: the states with several clocks
    ("US", "TX", "", "", None),
    ("US", "TX", "78852", "", CHICAGO),
    ("US", "TX", "79925", "", DENVER),
    ("US", "TX", "", "El Paso", DENVER),
    ("US", "TX", "", "DFW AIRPORT", CHICAGO),
    ("US", "FL", "", "", None),
    ("US", "FL", "32501", "", CHICAGO),
    ("US", "FL", "", "Opa Locka", NEW_YORK),
    ("US", "TN", "37405", "", NEW_YORK),
    ("US", "TN", "", "Chattanooga", NEW_YORK),
    ("US", "TN", "", "Memphis", CHICAGO),
    ("US", "KY", "", "Louisville", "America/Kentucky/Louisville"),
    ("US", "KY", "", "BOWLING GREEN", CHICAGO),
    ("US", "IN", "", "Gary", CHICAGO),
    ("US", "IN", "46241", "", NEW_YORK),
    ("US", "MI", "49938", "Ironwood", CHICAGO),
    ("US", "SD", "", "Rapid City", DENVER),
    ("US", "ND", "", "Nowhere At All", None),
    ("US", "KS", "", "Goodland", DENVER),
    ("US", "ID", "83843", "", LOS_ANGELES),
    ("US", "OR", "97914", "", DENVER),
    ("US", "OR", "", "", None),
    ("US", "NV", "", "West Wendover", DENVER),
    ("US", "NV", "89825", "Jackpot", None),
    ("US", "AK", "", "Adak", "America/Adak"),
    ("US", "AK", "99501", "", "America/Anchorage"),
    ("US", "AZ", "", "Tempe", "America/Phoenix"),
    # US: territories and the military
    ("US", "PR", "", "Carolina", "America/Puerto_Rico"),
    ("US", "", "00979", "", "America/Puerto_Rico"),
    ("US", "GU", "", "", "Pacific/Guam"),
    ("US", "", "", "SAN JUAN - PUERTO RICO", "America/Puerto_Rico"),
    ("US", "VI", "", "", "America/St_Thomas"),
    ("US", "", "96799", "", "Pacific/Pago_Pago"),
    ("US", "FM", "96941", "", None),
    ("US", "", "96941", "", None),
    ("US", "AE", "09012", "APO", None),
    ("US", "AZ", "", "Holbrook", "America/Phoenix"),  # not the Navajo Nation next to it
    # US: what the text says
    ("US", "", "", "MILWAUKEE WI DISTRIBUTION CENTER", CHICAGO),
    ("US", "", "", "NASHVILLE TN NETWORK DISTRIBUTION CENTER", CHICAGO),
    ("US", "", "", "DENVER CO DISTRIBUTION CENTER", DENVER),
    ("US", "", "", "ISC SAN FRANCISCO CA(USPS)", LOS_ANGELES),
    ("US", "", "", "Carson, CA, US", LOS_ANGELES),
    ("US", "", "", "Rocky Mt", None),  # Rocky Mount, not Montana
    ("US", "", "", "Orange Co", None),
    ("US", "", "", "Port Washington", None),  # in New York and in Wisconsin
    ("US", "", "", "USA", None),
    # airports
    ("US", "", "", "CINCINNATI HUB - USA", NEW_YORK),
    ("US", "", "", "LOS ANGELES GATEWAY - USA", LOS_ANGELES),
    ("US", "", "", "NEW YORK - USA", NEW_YORK),
    ("US", "", "", "ORD GATEWAY", CHICAGO),
    ("US", "", "", "Chicago (ORD)", CHICAGO),
    ("US", "", "", "New York (LAX)", None),
    ("US", "", "", "PORTLAND", None),
    ("US", "ME", "", "PORTLAND", NEW_YORK),
    ("US", "OR", "", "PORTLAND", LOS_ANGELES),
    ("US", "", "", "COLUMBUS", None),
    ("AU", "", "", "CAIRNS", "Australia/Brisbane"),
    ("BR", "", "", "São Paulo", "America/Sao_Paulo"),
    ("BR", "", "", "SAO PAULO - BRAZIL", "America/Sao_Paulo"),
    ("NZ", "", "", "CHRISTCHURCH", "Pacific/Auckland"),
    ("ID", "", "", "JAKARTA", "Asia/Jakarta"),
    ("UA", "", "", "Kyiv", "Europe/Kyiv"),
    # provinces, states and postal codes elsewhere
    ("CA", "AB", "", "Nisku", "America/Edmonton"),
    ("CA", "Nova Scotia", "", "", "America/Halifax"),
    ("CA", "ON", "", "", None),
    ("CA", "ON", "L4W 1S2", "Mississauga", "America/Toronto"),
    ("CA", "ON", "P9N 1A1", "", "America/Winnipeg"),
    ("CA", "AB", "M5V 1A1", "", None),
    ("CA", "", "", "VANCOUVER BC", "America/Vancouver"),
    ("AU", "VIC", "3030", "", "Australia/Melbourne"),
    ("AU", "NSW", "", "", None),
    ("AU", "NSW", "2880", "Broken Hill", "Australia/Broken_Hill"),
    ("AU", "", "", "CHULLORA NSW", None),
    ("BR", "AM", "", "", None),
    ("BR", "BR-RR", "", "", "America/Boa_Vista"),
    ("BR", "", "80000-000", "", "America/Sao_Paulo"),
    ("MX", "BCN", "", "", "America/Tijuana"),
    ("MX", "CHH", "", "", None),
    ("RU", "KGD", "", "", "Europe/Kaliningrad"),
    ("RU", "", "", "", None),
    ("ES", "", "35001", "", "Atlantic/Canary"),
    ("ES", "", "28042", "", "Europe/Madrid"),
    ("ES", "", "", "", None),
    ("PT", "", "9500-150", "", "Atlantic/Azores"),
    # nothing to go by
    ("", "", "", "", None),
    ("", "", "", "Springfield", None),
    ("", "OH", "43215", "Columbus", None),  # nobody said that this is the US
    ("QQ", "", "", "Berlin", None),
    ("Germany", "", "", "", None),  # the country field is a code
    ("US", "??", "????", " - , - ", None),
    ("", "", "", "\x00\u202e🙂", None),
)


def address(country: str, state: str, postal_code: str, city: str) -> Address:
    return Address(country or None, state or None, city or None, None, postal_code or None)


@pytest.mark.parametrize(("country", "state", "postal_code", "city", "expected"), PLACES)
def test_place(country: str, state: str, postal_code: str, city: str, expected: str | None) -> None:
    """A place gives the zone of its clocks, or None when several are possible."""
    found = zone_of(address(country, state, postal_code, city))
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert zones._clock(found.key) == zones._clock(expected), found.key


@pytest.mark.parametrize(
    ("place", "local", "hours"),
    [
        (Address("DE"), "2026-03-29T01:59", 1),
        (Address("DE"), "2026-03-29T03:00", 2),
        (Address("US", "NY"), "2026-03-08T01:59", -5),
        (Address("US", "NY"), "2026-03-08T03:00", -4),
        (Address("US", postal_code="85043"), "2026-07-01T00:00", -7),
        (Address("US", postal_code="80216"), "2026-07-01T00:00", -6),
        (Address("AU", "QLD"), "2026-01-15T00:00", 10),
        (Address("AU", "VIC"), "2026-01-15T00:00", 11),
        (Address("BR", "SP"), "2019-01-15T00:00", -2),
        (Address("BR", "SP"), "2026-01-15T00:00", -3),
        (Address("IN"), "2026-01-15T00:00", 5.5),
    ],
)
def test_offset_follows_daylight_saving(place: Address, local: str, hours: float) -> None:
    """The zone gives the offset of the date, on both sides of a change of the clocks."""
    zone = zone_of(place)
    assert zone is not None
    assert datetime.fromisoformat(local).replace(tzinfo=zone).utcoffset() == timedelta(hours=hours)


WORDS = st.one_of(
    st.sampled_from(
        ["US", "USA", "CA", "TX", "NY", "LEIPZIG", "PORTLAND", "GERMANY", "GEORGIA", "JFK", "ORD"]
    ),
    st.sampled_from(
        ["CITY", "HUB", "GATEWAY", "DISTRIBUTION", "CENTER", "(JFK)", "10001", "79925-0001", "K1A"]
    ),
    st.sampled_from(["-", ",", ";", "/", "(", ")", "É", "ß", "ﬁ", "٣٤٥٦٧", "\x00"]),
)
TEXTS = st.none() | st.text(max_size=40) | st.lists(WORDS, max_size=7).map(" ".join)
CODES = (
    st.none() | st.sampled_from(["US", "CA", "AU", "BR", "MX", "RU", "ES", "PT", "GB", "XK", "ZZ"]) | TEXTS
)


@settings(deadline=None, max_examples=300)
@given(st.builds(Address, country=CODES, state=TEXTS, city=TEXTS, street=TEXTS, postal_code=TEXTS))
def test_any_text_is_answered(place: Address) -> None:
    """Whatever a carrier writes, the answer is a zone or None, the same each time, and never an error."""
    found = zone_of(place)
    assert found is None or isinstance(found, ZoneInfo)
    assert zone_of(place) is found


def test_is_the_port() -> None:
    """The function is what the flows ask for."""
    port: Zones = zone_of
    assert port(Address("FR")) == ZoneInfo("Europe/Paris")


@pytest.fixture
def no_system_zones() -> Iterator[None]:
    """A machine without a time zone database of its own."""
    zoneinfo.reset_tzpath(to=())
    _forget()
    yield
    zoneinfo.reset_tzpath()
    _forget()


def _forget() -> None:
    ZoneInfo.clear_cache()
    for cache in (zones._zone_of, zones._agreed, zones._clock):
        cache.cache_clear()


@pytest.mark.usefixtures("no_system_zones")
def test_works_without_system_zones() -> None:
    """The tzdata package is enough."""
    zone = zone_of(Address("US", "TX", "El Paso"))
    assert zone is not None
    assert datetime(2026, 7, 1, tzinfo=zone).utcoffset() == timedelta(hours=-6)


def test_zip_prefixes_match_the_package() -> None:
    """Each ZIP prefix of our table has, in the zipcodes package, no other clock than ours."""
    prefixes = zones._postal_prefixes("US")
    wrong = [
        (row["zip_code"], row["timezone"])
        for row in zipcodes.list_all()  # type: ignore[no-untyped-call]
        if (ours := prefixes.get(row["zip_code"][:3])) and not zones._same_clock((ours, zones._zip_zone(row)))
    ]
    assert wrong == []
    assert len(prefixes) > 800


@pytest.mark.parametrize("country", zones.REGIONS)
def test_region_zones_belong_to_the_country(country: str) -> None:
    """Each zone of our state table is one of the country's, and no state stands twice."""
    groups = zones.REGIONS[country]
    assert set(groups) <= set(zones._country_zones(country))
    states = " ".join(groups.values()).split()
    assert len(states) == len(set(states))


@pytest.mark.parametrize("country", zones.POSTAL)
def test_postal_zones_belong_to_the_country(country: str) -> None:
    """Each zone of our postal table is one of the country's or Puerto Rico's, no prefix stands twice."""
    groups = zones.POSTAL[country][1]
    assert set(groups) <= {*zones._country_zones(country), "America/Puerto_Rico"}
    size = sum(
        int(last or first) - int(first) + 1 if first.isdigit() else 1
        for ranges in groups.values()
        for first, _, last in (part.partition("-") for part in ranges.split())
    )
    assert size == len(zones._postal_prefixes(country))


def test_every_us_state_is_known() -> None:
    """50 states and the capital, each with a name and with its clocks."""
    states = " ".join(zones.US_STATES.values()).split()
    assert len(states) == len(set(states)) == 51
    assert {code for code, *_ in (entry.split(" ") for entry in zones.STATE_NAMES["US"].split(","))} == set(
        states
    )


def test_heavy_package_is_not_needed_for_plain_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ZIP code of an undivided area, or a state with one clock, never opens the ZIP database."""
    monkeypatch.setattr(zipcodes, "matching", None)
    monkeypatch.setattr(zipcodes, "filter_by", None)
    _forget()
    assert zone_of(Address("US", postal_code="60608")) == ZoneInfo(CHICAGO)
    assert zone_of(Address("US", "GA", "Atlanta", postal_code="30318")) == ZoneInfo(NEW_YORK)
