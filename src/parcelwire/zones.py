"""A place to its time zone, offline: the ``Zones`` port.

Opinions are asked from the surest to the vaguest, and the first kind that has one decides:

1. the country, when one clock serves all of it (tables of the tzdata package);
2. the postal code and the state or province: when both know a zone, they have to agree;
3. US only: the city inside a state that has several clocks (zipcodes package);
4. the airports of that city in that country, or an IATA code in the text (airportsdata package).

Zones that kept the same time since 2018 count as one clock. Whatever stays unknown, ambiguous or
contradictory is None, never the likeliest zone. The packages are read on first need (the slowest, zipcodes,
costs about 0.2 s and 40 MB once), and every cache is bounded.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from sys import intern
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from parcelwire.domain.report import TEXT_MAX, Address

NEW_YORK, CHICAGO, DENVER, LOS_ANGELES = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
)

# Where the country's own law knows one time, whatever some of its people keep; and what tzdata does not list.
OFFICIAL = {"CN": "Asia/Shanghai", "XK": "Europe/Belgrade"}

# Clocks of each US state, most people first. A state with several needs a ZIP code or a city.
US_STATES: Mapping[tuple[str, ...], str] = {
    (NEW_YORK,): "CT DC DE GA MA MD ME NC NH NJ NY OH PA RI SC VA VT WV",
    (NEW_YORK, CHICAGO): "FL IN KY MI",
    (CHICAGO, NEW_YORK): "TN",
    (CHICAGO,): "AL AR IA IL LA MN MO MS OK WI",
    (CHICAGO, DENVER): "KS ND NE SD TX",
    (DENVER,): "CO MT NM UT WY",
    (DENVER, LOS_ANGELES): "ID",
    (LOS_ANGELES, DENVER): "NV OR",
    (LOS_ANGELES,): "CA WA",
    ("America/Phoenix", DENVER): "AZ",
    ("America/Anchorage", "America/Adak", "America/Metlakatla"): "AK",
    ("Pacific/Honolulu",): "HI",
}
# Carriers write these as states of the US; they are countries to ISO 3166 and tzdata.
US_TERRITORIES = frozenset({"AS", "FM", "GU", "MH", "MP", "PR", "PW", "VI"})
US_MILITARY = frozenset({"AA", "AE", "AP"})  # post offices anywhere in the world

# Elsewhere: only the states and provinces that keep one clock (ISO 3166-2 codes).
REGIONS: Mapping[str, Mapping[str, str]] = {
    "CA": {
        "America/Halifax": "NS PE",
        "America/Moncton": "NB",
        "America/Winnipeg": "MB",
        "America/Edmonton": "AB NT",
        "America/Whitehorse": "YT",
    },
    "AU": {
        "Australia/Sydney": "ACT",  # not NSW: Broken Hill and Lord Howe Island have their own
        "Australia/Melbourne": "VIC",
        "Australia/Brisbane": "QLD",
        "Australia/Adelaide": "SA",
        "Australia/Darwin": "NT",
        "Australia/Perth": "WA",  # the time kept around Eucla has no legal standing
        "Australia/Hobart": "TAS",
    },
    "BR": {  # not AM (two clocks) and PE (Fernando de Noronha)
        "America/Sao_Paulo": "DF ES GO MG PR RJ RS SC SP",
        "America/Bahia": "BA",
        "America/Maceio": "AL SE",
        "America/Fortaleza": "CE MA PB PI RN",
        "America/Belem": "AP PA",
        "America/Araguaina": "TO",
        "America/Campo_Grande": "MS",
        "America/Cuiaba": "MT",
        "America/Porto_Velho": "RO",
        "America/Boa_Vista": "RR",
        "America/Rio_Branco": "AC",
    },
    "MX": {  # not CHH, COA, NLE, TAM (along the US border) and NAY
        "America/Mexico_City": "AGU CHP CMX COL GRO GUA HID JAL MEX MIC MOR OAX PUE QUE SLP TAB TLA VER ZAC",
        "America/Monterrey": "DUR",
        "America/Merida": "CAM YUC",
        "America/Cancun": "ROO",
        "America/Hermosillo": "SON",
        "America/Mazatlan": "BCS SIN",
        "America/Tijuana": "BCN",
    },
    "RU": {  # not SA (three clocks)
        "Europe/Kaliningrad": "KGD",
        "Europe/Moscow": "AD ARK BEL BRY CE CU DA IN IVA KB KC KDA KL KLU KO KOS KR KRS LEN LIP ME MO MOS MOW"
        " MUR NEN NGR NIZ ORL PNZ PSK ROS RYA SE SMO SPE STA TA TAM TUL TVE VLA VLG VOR YAR",
        "Europe/Kirov": "KIR",
        "Europe/Volgograd": "VGG",
        "Europe/Astrakhan": "AST",
        "Europe/Saratov": "SAR",
        "Europe/Ulyanovsk": "ULY",
        "Europe/Samara": "SAM UD",
        "Asia/Yekaterinburg": "BA CHE KGN KHM ORE PER SVE TYU YAN",
        "Asia/Omsk": "OMS",
        "Asia/Novosibirsk": "NVS",
        "Asia/Barnaul": "AL ALT",
        "Asia/Tomsk": "TOM",
        "Asia/Novokuznetsk": "KEM",
        "Asia/Krasnoyarsk": "KK KYA TY",
        "Asia/Irkutsk": "BU IRK",
        "Asia/Chita": "ZAB",
        "Asia/Yakutsk": "AMU",
        "Asia/Vladivostok": "KHA PRI YEV",
        "Asia/Magadan": "MAG",
        "Asia/Sakhalin": "SAK",
        "Asia/Kamchatka": "KAM",
        "Asia/Anadyr": "CHU",
    },
}

# Postal codes: what a whole one looks like, and the first characters that lie in one zone alone.
# Prefixes that cross a zone border are left out on purpose.
POSTAL: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "US": (
        r"\d{5}(\d{4})?",
        {
            NEW_YORK: "005 010-089 100-323 326-339 341-349 376 378-379 398-400 402-418 425 430-462 466-468"
            " 470-474 478 480-497 569",
            CHICAGO: "325 350-372 375 380-397 420-424 463-464 476-477 500-567 570-574 580-584 587-588 600-676"
            " 679-689 700-797",
            DENVER: "577 590-599 693 800-834 836-837 840-847 870-885",
            "America/Phoenix": "850-859 863-864",
            LOS_ANGELES: "838 889-897 900-961 970-978 980-994",
            "America/Anchorage": "997-998",
            "Pacific/Honolulu": "968",
            "America/Puerto_Rico": "006-009",  # and the US Virgin Islands: the same clock
        },
    ),
    "CA": (
        r"[A-Z]\d[A-Z](\d[A-Z]\d)?",
        {
            "America/St_Johns": "A1 A2A A2B A2H A2N A5 A8",
            "America/Halifax": "B C",
            "America/Moncton": "E",
            "America/Toronto": "G1 G2 G3 G5 G6 G7 G8 G9 H J K L M N P1 P2 P3 P4 P5 P6 P7",
            "America/Winnipeg": "P8 P9 R",
            "America/Regina": "S4 S6 S7",
            "America/Edmonton": "T",
            "America/Vancouver": "V2 V3 V4 V5 V6 V7 V8 V9",
            "America/Whitehorse": "Y",
        },
    ),
    "AU": (
        r"\d{4}",
        {
            "Australia/Sydney": "02 20-23 241-249 25-27 280-286 29",
            "Australia/Melbourne": "3",
            "Australia/Brisbane": "40-42 430-436 439 44-49",
            "Australia/Adelaide": "5",
            "Australia/Perth": "60-63 640-643 65-69",
            "Australia/Hobart": "7",
            "Australia/Darwin": "080-086 0870 0871 088",
            "Australia/Broken_Hill": "2880",
            "Australia/Lord_Howe": "2898",
        },
    ),
    "BR": (
        r"\d{8}",
        {
            "America/Sao_Paulo": "01-39 70-75 80-99",
            "America/Bahia": "40-48",
            "America/Maceio": "49 57",
            "America/Recife": "50-52 54-56",
            "America/Fortaleza": "58-65",
            "America/Belem": "66-67 680-689",
            "America/Araguaina": "77",
            "America/Campo_Grande": "79",
            "America/Boa_Vista": "693",
            "America/Rio_Branco": "699",
        },
    ),
    "ES": (r"\d{5}", {"Europe/Madrid": "01-34 36-37 39-52", "Atlantic/Canary": "35 38"}),
    "NZ": (r"\d{4}", {"Pacific/Auckland": "0-7 802-809 81-88 9"}),  # 801 and 89: Chatham Islands too
    "PT": (
        r"\d{4}(\d{3})?",
        {"Europe/Lisbon": "1-8", "Atlantic/Madeira": "90-94", "Atlantic/Azores": "95-99"},
    ),
    "UA": (r"\d{5}", {"Europe/Kyiv": "01-94"}),
}

# The zipcodes package has these wrong: a part of Chattanooga, post boxes of El Paso and Flagstaff, West
# Wendover (keeps the time of Utah), Jackpot (by law in another zone than by habit) and Napakiak (no zone).
ZIP_FIXES: Mapping[str, str] = {
    "37405": NEW_YORK,
    "79942": DENVER,
    "86003": "America/Phoenix",
    "89825": "",
    "89883": DENVER,
    "99634": "America/Anchorage",
}

_US_NAMES = (
    "AL Alabama,AK Alaska,AZ Arizona,AR Arkansas,CA California,CO Colorado,CT Connecticut,"
    "DC District of Columbia,DE Delaware,FL Florida,GA Georgia,HI Hawaii,ID Idaho,IL Illinois,IN Indiana,"
    "IA Iowa,KS Kansas,KY Kentucky,LA Louisiana,ME Maine,MD Maryland,MA Massachusetts,MI Michigan,"
    "MN Minnesota,MS Mississippi,MO Missouri,MT Montana,NE Nebraska,NV Nevada,NH New Hampshire,"
    "NJ New Jersey,NM New Mexico,NY New York,NC North Carolina,ND North Dakota,OH Ohio,OK Oklahoma,"
    "OR Oregon,PA Pennsylvania,RI Rhode Island,SC South Carolina,SD South Dakota,TN Tennessee,TX Texas,"
    "UT Utah,VT Vermont,VA Virginia,WA Washington,WV West Virginia,WI Wisconsin,WY Wyoming"
)
# Code and name of each state, in the spelling of the airports file.
STATE_NAMES: Mapping[str, str] = {
    "US": _US_NAMES,
    "CA": "AB Alberta,BC British Columbia,MB Manitoba,NB New Brunswick,NL Newfoundland and Labrador,"
    "NS Nova Scotia,NT Northwest Territories,NU Nunavut,ON Ontario,PE Prince Edward Island,QC Quebec,"
    "SK Saskatchewan,YT Yukon",
    "AU": "ACT Australian Capital Territory,NSW New South Wales,NT Northern Territory,QLD Queensland,"
    "SA South Australia,TAS Tasmania,VIC Victoria,WA Western Australia",
}

# Names that carriers use and tzdata's table has not (it has short English names).
COUNTRY_NAMES: Mapping[str, str] = {
    "AE": "UAE",
    "BA": "BOSNIA AND HERZEGOVINA,BOSNIA",
    "CI": "IVORY COAST",
    "CN": "P R CHINA,PR CHINA,CHINA MAINLAND,CHINA PEOPLES REPUBLIC",
    "CZ": "CZECHIA",
    "GB": "UK,UNITED KINGDOM,GREAT BRITAIN,ENGLAND,SCOTLAND,WALES,NORTHERN IRELAND",
    "HK": "HONG KONG SAR",
    "KR": "KOREA,SOUTH KOREA,REPUBLIC OF KOREA",
    "MM": "MYANMAR",
    "MO": "MACAO",
    "NL": "THE NETHERLANDS,HOLLAND",
    "RU": "RUSSIAN FEDERATION",
    "SK": "SLOVAK REPUBLIC",
    "SZ": "ESWATINI",
    "TR": "TURKIYE",
    "US": "US,USA,UNITED STATES OF AMERICA",
    "VN": "VIET NAM",
    "XK": "KOSOVO",
}
# State codes that end a city's name as a word of their own as well: ROCKY MT (mount), ORANGE CO (county).
NOT_BY_WORD = frozenset({"CO", "MT"})
# The airports file knows the city by a shorter name.
CITY_NAMES: Mapping[str, str] = {"NEW YORK CITY": "NEW YORK"}
# Names of other places too: GEORGIA is a US state, and bare JAMAICA mostly the New York sorting centre.
NOT_BY_NAME = frozenset({"GEORGIA", "JAMAICA"})

# Patterns stay text: compiling them at import would cost more than the rest of it.
_HUB = r"\b(AIR )?(HUB|GATEWAY|AIRPORT)$"
# Two words at least: CLAY CENTER is a town.
_FACILITY = (
    r"^(ISC|USPS) |( (NETWORK|REGIONAL|INTERNATIONAL|PROCESSING|DISTRIBUTION|SORT|SORTING|SERVICE|FACILITY"
    r"|CENTER|CENTRE)){2,}$"
)


def zone_of(place: Address) -> ZoneInfo | None:
    """The zone whose clock a carrier at ``place`` reads; None when the place does not decide it.

    Reads ``country``, ``state``, ``postal_code`` and ``city`` (a country, state or IATA code inside the
    city's text counts too). Never raises for any text.
    """
    return _zone_of(place.country or "", place.state or "", place.postal_code or "", place.city or "")


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place after reading its texts: folded, empty when unknown."""

    country: str
    state: str
    postal: str
    parts: tuple[str, ...]  # city text without country and state, cut at its separators; never empty
    hub: bool  # the text says that it means an airport

    @property
    def city(self) -> str:
        return self.parts[0]


@lru_cache(maxsize=2_048)
def _zone_of(country: str, state: str, postal: str, text: str) -> ZoneInfo | None:
    country, state, postal, text = _fold(country), _fold(state), _fold(postal), _fold(text)
    parts, named = _split_country(text, alone=not (country or state or postal))
    if country == "US" and named in US_TERRITORIES:
        country = named
    if country and named and country != named:
        return _same_clock((*_country_zones(country), *_country_zones(named)))
    spot = _spot(country or named, state, postal, parts)
    if spot.state in US_MILITARY and spot.country == "US":
        return None
    known = _same_clock(_country_zones(spot.country))
    if known is not None or not spot.country:
        return known
    return _same_clock(_by_codes(spot) or _by_us_city(spot) or _by_airport(spot))


# Reading the texts


def _fold(text: str) -> str:
    """Upper case without accents and apostrophes, blanks collapsed; at most TEXT_MAX characters are read."""
    text = text[:TEXT_MAX]
    if not text.isascii():
        plain = unicodedata.normalize("NFKD", text.replace("’", ""))
        text = "".join(character for character in plain if not unicodedata.combining(character))
    return " ".join(text.upper().translate(_MARKS).split())


_MARKS = str.maketrans({"'": "", ".": "", "`": "", "&": " AND "})


def _split_country(text: str, *, alone: bool) -> tuple[tuple[str, ...], str]:
    """The parts of a location text, and the country that stands behind the city (empty: none).

    ``alone``: nothing but this text is known, so that the whole text may be the name of a country.
    """
    parts = [part for part in re.split(r"\s*[,;()/]\s*|\s+-\s+", text.strip(" -")) if part]
    if not parts:
        return (), ""
    names = _country_names()
    head, hyphen, tail = parts[-1].rpartition("-")
    if hyphen and head and parts[-1] not in names and tail.strip() in names:  # SPRINGFIELD GARDENS,NY-USA
        parts[-1:] = [head.strip(), tail.strip()]
    for place in range(len(parts) - 1, 0, -1):
        if parts[place] in names:
            return tuple(parts[:place]), names[parts[place]]
    if len(parts) == 1 and alone and parts[0] in names and not _is_city_abroad(parts[0], names[parts[0]]):
        return (), names[parts[0]]
    return tuple(parts), ""


def _spot(country: str, state: str, postal: str, parts: tuple[str, ...]) -> _Spot:
    states = _states(country)
    city, by_word, hub = _city(country, parts[0]) if country and parts else ("", "", False)
    by_part = next((part for part in parts[1:] if part in states), "")
    state = state.removeprefix(f"{country}-") or by_part or by_word
    parts = (city, *(part for part in parts[1:] if part not in states))
    return _territory(_Spot(country, states.get(state, state), re.sub(r"[ -]", "", postal), parts, hub))


def _city(country: str, text: str) -> tuple[str, str, bool]:
    """City, state code behind it (as in ATLANTA GA DISTRIBUTION CENTER), and whether it is an airport."""
    bare = re.sub(_FACILITY, "", text).strip()
    name = re.sub(_HUB, "", bare).strip()
    head, _, word = name.rpartition(" ")
    is_code = country in STATE_NAMES and len(word) < 4 and word in _states(country)
    if head and is_code and (name != text or word not in NOT_BY_WORD):
        return head, word, name != bare
    return CITY_NAMES.get(name, name), "", name != bare


def _territory(spot: _Spot) -> _Spot:
    if spot.country == "US" and spot.state in US_TERRITORIES:
        return replace(spot, country=spot.state, state="")
    return spot


@lru_cache(maxsize=8)
def _states(country: str) -> Mapping[str, str]:
    """Code and folded name of each state -> its code."""
    pairs = (entry.split(" ", 1) for entry in STATE_NAMES.get(country, "").split(",") if entry)
    codes = {key: code for code, name in pairs for key in (code, _fold(name))}
    known = {code for group in REGIONS.get(country, {}).values() for code in group.split()}
    if country == "US":
        known = {*US_TERRITORIES, *US_MILITARY}
    return codes | {code: code for code in known}


# Countries


def _country_zones(country: str) -> tuple[str, ...]:
    if country in OFFICIAL:
        return (OFFICIAL[country],)
    return _zone_table().get(country, ())


@lru_cache(maxsize=1)
def _zone_table() -> Mapping[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for country, _, zone, *_ in _table("zone.tab"):
        table[country] = (*table.get(country, ()), zone)
    return table


@lru_cache(maxsize=1)
def _country_names() -> Mapping[str, str]:
    names: dict[str, str] = {}
    for country, name in _table("iso3166.tab"):
        names[_fold(name)] = country
    for country, more in COUNTRY_NAMES.items():
        names.update(dict.fromkeys(more.split(","), country))
    return {name: country for name, country in names.items() if name not in NOT_BY_NAME}


def _table(name: str) -> Iterable[list[str]]:
    """Rows of one of tzdata's tab-separated tables."""
    from importlib.resources import files

    with files("tzdata.zoneinfo").joinpath(name).open(encoding="utf-8") as lines:
        yield from (line.rstrip("\n").split("\t") for line in lines if not line.startswith("#"))


# Postal codes, states, US cities


def _by_codes(spot: _Spot) -> tuple[str, ...]:
    """What postal code and state say together; zones that differ when they contradict each other."""
    by_state = _state_zones(spot.country).get(spot.state, ())
    by_postal = _by_postal(spot)
    if not by_postal and spot.country == "US" and len(by_state) != 1:
        by_postal = _by_zip_code(spot)
    if not by_postal:
        return by_state if len(by_state) == 1 else ()
    if not by_state or any(_same_clock((*by_postal, zone)) for zone in by_state):
        return by_postal
    return (*by_postal, *by_state)


def _by_postal(spot: _Spot) -> tuple[str, ...]:
    if not _is_postal(spot):
        return ()
    prefixes = _postal_prefixes(spot.country)
    zones = (prefixes.get(spot.postal[:length]) for length in range(4, 0, -1))
    return next(((zone,) for zone in zones if zone), ())


def _is_postal(spot: _Spot) -> bool:
    shape, _ = POSTAL.get(spot.country, ("(?!)", {}))
    return re.fullmatch(shape, spot.postal, re.ASCII) is not None


@lru_cache(maxsize=16)
def _postal_prefixes(country: str) -> Mapping[str, str]:
    prefixes: dict[str, str] = {}
    for zone, ranges in POSTAL[country][1].items():
        for part in ranges.split():
            first, _, last = part.partition("-")
            if last:
                numbers = range(int(first), int(last) + 1)
                prefixes.update((str(number).zfill(len(first)), zone) for number in numbers)
            else:
                prefixes[first] = zone
    return prefixes


@lru_cache(maxsize=8)
def _state_zones(country: str) -> Mapping[str, tuple[str, ...]]:
    """State code -> its zones: all of them in the US, the only one elsewhere."""
    if country == "US":
        return {state: zones for zones, states in US_STATES.items() for state in states.split()}
    groups = REGIONS.get(country, {})
    return {state: (zone,) for zone, states in groups.items() for state in states.split()}


def _by_zip_code(spot: _Spot) -> tuple[str, ...]:
    """From the zipcodes package: only where the tables do not decide, because its first look-up is heavy."""
    if not _is_postal(spot):
        return ()
    import zipcodes

    code = spot.postal[:5]
    return tuple(_zip_zone(row) for row in zipcodes.matching(code))  # type: ignore[no-untyped-call]


def _zip_zone(row: Mapping[str, str]) -> str:
    fixed = ZIP_FIXES.get(row["zip_code"], row["timezone"])
    return "" if row["state"] == "FM" else fixed  # Micronesia has two clocks; the package knows one


def _by_us_city(spot: _Spot) -> tuple[str, ...]:
    if spot.country != "US" or spot.state not in _state_zones("US"):
        return ()
    return _zip_cities(spot.state).get(spot.city, ())


@lru_cache(maxsize=16)
def _zip_cities(state: str) -> Mapping[str, tuple[str, ...]]:
    """Folded name of each post office city of a US state -> the zones of its ZIP codes."""
    import zipcodes

    cities: dict[str, set[str]] = {}
    others: dict[str, set[str]] = {}  # names that the post office takes for a neighbour's
    for row in zipcodes.filter_by(state=state):  # type: ignore[no-untyped-call]
        cities.setdefault(_fold(row["city"]), set()).add(_zip_zone(row))
        for name in row["acceptable_cities"]:
            others.setdefault(_fold(name), set()).add(_zip_zone(row))
    return {city: tuple(sorted(zones)) for city, zones in (others | cities).items()}


# Airports

_Airport = tuple[str, str, str]  # IATA code or "", folded state name, zone


@dataclass(frozen=True, slots=True)
class _Airports:
    """The airports of one country."""

    cities: dict[str, tuple[_Airport, ...]]  # by folded city
    codes: dict[str, _Airport]  # by IATA code


def _by_airport(spot: _Spot) -> tuple[str, ...]:
    """Zones of the airports of the city, and of the airports whose IATA code is a part of the text."""
    airports = _airports().get(spot.country)
    if airports is None:
        return ()
    state = _state_name(spot.country, spot.state)
    found = [airport for airport in airports.cities.get(spot.city, ()) if not spot.hub or airport[0]]
    # The first part is a code only where an airport is meant: FOX is a town in Alaska, FOX GATEWAY is not.
    coded = spot.parts if spot.hub else spot.parts[1:]
    found += [airports.codes[part] for part in coded if part in airports.codes]
    zones = tuple(zone for _, subdivision, zone in found if not state or subdivision == state)
    if zones and spot.country == "US" and not (state or spot.hub):
        return (*zones, *_namesakes(spot.city))
    return zones


def _namesakes(city: str) -> tuple[str, ...]:
    """Zones of the US post offices of that name: many towns without an airport are called like one with."""
    import zipcodes

    rows = zipcodes.filter_by(city=city.title())  # type: ignore[no-untyped-call]
    return tuple(_zip_zone(row) for row in rows)


def _state_name(country: str, state: str) -> str:
    return next((name for name, code in _states(country).items() if code == state != name), "")


def _is_city_abroad(name: str, country: str) -> bool:
    return any(name in airports.cities for other, airports in _airports().items() if other != country)


@lru_cache(maxsize=1)
def _airports() -> Mapping[str, _Airports]:
    from csv import DictReader
    from importlib.resources import files

    countries: dict[str, _Airports] = {}
    with files("airportsdata").joinpath("airports.csv").open(encoding="utf-8") as lines:
        for row in DictReader(lines):
            airports = countries.setdefault(row["country"], _Airports({}, {}))
            airport = (row["iata"], intern(_fold(row["subd"])), intern(row["tz"]))
            if city := _fold(row["city"]):
                airports.cities[city] = (*airports.cities.get(city, ()), airport)
            if airport[0]:
                airports.codes[airport[0]] = airport
    return countries


# Clocks


def _same_clock(names: Iterable[str]) -> ZoneInfo | None:
    """The first of the zones, when they all keep the same time; None when they differ or one is unknown."""
    return _agreed(tuple(dict.fromkeys(names)))


@lru_cache(maxsize=1_024)
def _agreed(names: tuple[str, ...]) -> ZoneInfo | None:
    if not names or "" in names:
        return None
    try:
        first = _clock(names[0])
        return ZoneInfo(names[0]) if all(_clock(name) == first for name in names[1:]) else None
    except ZoneInfoNotFoundError:  # a package names a zone that tzdata has not (yet)
        return None


@lru_cache(maxsize=512)
def _clock(name: str) -> bytes:
    """What the clocks of a zone showed each week from 2018 to 2034, in quarter hours from UTC - 15 h."""
    zone, start = ZoneInfo(name), datetime(2018, 1, 6, 12)  # noqa: DTZ001 (a wall clock reading)
    offsets = (zone.utcoffset(start + timedelta(weeks=week)) for week in range(52 * 17))
    return bytes(
        int(((offset or timedelta()) + timedelta(hours=15)) / timedelta(minutes=15)) for offset in offsets
    )
