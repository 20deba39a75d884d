"""Every setting, with its default and its reason, and how it is read.

A setting comes from the environment (``PARCELWIRE_<NAME>``), else from a TOML file (``name = ...``; carriers
in ``[carrier.<slug>]``), else from its default. Every one can also be given as ``<NAME>_FILE``, a file that
holds the value: meant for secrets.
"""

import os
import re
import sys
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from parcelwire.domain.errors import ConfigError
from parcelwire.domain.push import COMPAT_SCHEDULE, SCHEDULE
from parcelwire.domain.quota import PLANS, plan_size
from parcelwire.wire.signature import secret_bytes

PREFIX = "PARCELWIRE_"
CARRIER = "CARRIER_"
FILE = "_FILE"
BEFORE = "_before"  # ends the name of a key that is being replaced
ALERT_CREDENTIAL, ALERT_HEADER = "alert_credential", "alert_header"
ENVIRONMENT = "environment"  # an origin; others are a variable (_FILE) or the path of the TOML file
_PASSWORD = re.compile(r"((?<=:)(?://)?[^:@/?#]*:).*@|([?&](?:ssl)?password=)[^&]*")
_POSTGRES = ("postgres:", "postgresql:")


@dataclass(frozen=True, slots=True)
class Setting:
    """One documented setting. ``parse`` raises ValueError with what is expected."""

    name: str
    parse: Callable[[str], Any]
    default: Any
    doc: str
    shown_default: str
    secret: bool = False

    @property
    def key(self) -> str:
        """The attribute of Settings and the key in TOML."""
        return self.name.removeprefix(PREFIX).lower()


def _listen(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not (separator and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError("host:port is expected, for example 127.0.0.1:8017")
    return host.strip("[]") or "127.0.0.1", int(port)


def _text(text: str) -> str:
    if not text:
        raise ValueError("a value is expected")
    return text


def _path(text: str) -> Path:
    return Path(_text(text)).expanduser()


def _database(text: str) -> str:
    """What is like a URL is never taken for a file: a typing error would become a new, empty database."""
    scheme, colon, rest = _text(text).partition(":")
    known = scheme.lower() + colon
    if known in _POSTGRES and rest.startswith("//"):
        return known + rest
    if "://" in text or known in _POSTGRES:
        raise ValueError("a file path or postgresql://user:password@host:5432/database is expected")
    return str(_path(text))


def _plan(text: str) -> str:
    if plan_size(text) is None:
        raise ValueError(f"a plan is {', '.join(PLANS)} or a number of quota units a month")
    return text


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https", "inprocess") or not (parts.hostname or parts.path):
        raise ValueError("a URL is expected, for example https://shop.example/hook")
    return text


def _secret(text: str) -> str:
    secret_bytes(text)
    return text


def _schedule(text: str) -> tuple[float, ...]:
    if text == "compat":
        return COMPAT_SCHEDULE
    try:
        delays = tuple(float(part) for part in text.split(","))
    except ValueError:
        delays = ()
    if not delays or not all(0 <= delay <= 86_400 * 7 for delay in delays):
        raise ValueError("delays in seconds, comma-separated, or compat (17TRACK's own: 600,1800,3600)")
    return delays


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1
        if not least <= value <= most:
            raise ValueError(f"a number of seconds from {least:g} to {most:g} is expected")
        return value

    return parse


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 3_650):
        raise ValueError("a number of days from 1 to 3650 is expected")
    return int(text)


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1_000_000:
        raise ValueError("requests a second are expected; 0 switches the limit off")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1_000_000):
        raise ValueError("a number from 1 to 1000000 is expected")
    return int(text)


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"networks such as 192.168.1.0/24, comma-separated, are expected: {error}") from None


def _book(text: str) -> str:
    if text not in ("reference", "official"):
        raise ValueError("reference or official is expected")
    return text


def _keys(text: str) -> tuple[bytes, ...]:
    try:
        values = tuple(bytes.fromhex(part) for part in text.replace(",", " ").split())
    except ValueError:
        values = ()
    if not values or any(len(value) != 32 for value in values):
        raise ValueError("64 hexadecimal digits (32 bytes) are expected; of several keys the newest first")
    return values


def _login_key(text: str) -> str:
    if len(text) < 8 or not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("at least 8 printable ASCII characters without blanks are expected")
    return text


def _switch(text: str) -> bool:
    if text.lower() not in ("1", "0", "true", "false", "yes", "no"):
        raise ValueError("1 or 0 is expected")
    return text.lower() in ("1", "true", "yes")


def _data_folder() -> Path:
    """The platform's folder for a user's data."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "parcelwire"


@dataclass(frozen=True, slots=True)
class CarrierSettings:
    """What the operator gave for one carrier: base URL and credentials by lower-case name."""

    url: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def _setting(
    parse: Callable[[str], Any],
    default: Any,
    doc: str,
    shown_default: str,
    *,
    secret: bool = False,
    in_repr: bool = True,
) -> Any:
    """A field of Settings that the operator may give. ``secret``: no listing and no repr shows its value."""
    known = {"parse": parse, "default": default, "doc": doc, "shown_default": shown_default, "secret": secret}
    return field(repr=in_repr and not secret, metadata=known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, parsed. A field is one setting: ``PARCELWIRE_<FIELD>``, and its key in TOML."""

    listen: tuple[str, int] = _setting(
        _listen,
        ("127.0.0.1", 8017),
        "Address to listen on; port 0 takes any free one and prints it.",
        "127.0.0.1:8017",
    )
    data: Path = _setting(  # noqa: RUF009 (a field, not a shared default)
        _path,
        None,
        "Data folder: database, secret key, and how to reach the running service.",
        "the platform's user data folder",
    )
    database: str = _setting(
        _database,
        None,
        "Database: a file path, or a postgresql:// DSN.",
        "parcelwire.db in the data folder",
        in_repr=False,  # a DSN may hold a password: see shown_database
    )
    secret_key: tuple[bytes, ...] | None = _setting(  # the newest first
        _keys,
        None,
        "Key that encrypts signing keys and secrets at rest: 64 hexadecimal digits. While it is being "
        "replaced: the new one, a comma, the old one.",
        "made once, secret.key in the data folder",
        secret=True,
    )
    first_key: str | None = _setting(
        _login_key,
        None,
        "Login key (17token) of the account that the first start makes: 8 characters at least, better 32 "
        "random ones.",
        "random, printed once",
        secret=True,
    )
    first_plan: str = _setting(
        _plan,
        "free",
        "Plan of that account: free (100 a month), unlimited, or a number of quota units a month.",
        "free",
    )
    webhook_url: str | None = _setting(_url, None, "Where the first account's webhooks go.", "none")
    webhook_sign_key: str | None = _setting(
        _text, None, "Key of the sign header of webhooks.", "the login key", secret=True
    )
    webhook_secret: str | None = _setting(
        _secret, None, "Standard Webhooks secret (whsec_...).", "random", secret=True
    )
    push_schedule: tuple[float, ...] = _setting(
        _schedule,
        SCHEDULE,
        "Delays in seconds after each failed push, comma-separated, or compat (600,1800,3600).",
        "5,30,120,600,1800,3600,7200,14400,28800, then 13 times 43200",
    )
    push_timeout: float = _setting(_seconds(0.1, 30), 10.0, "Seconds that one push attempt may take.", "10")
    refresh_seconds: float | None = _setting(
        _seconds(0.05, 86_400 * 30),
        None,
        "Overrides every refresh interval, in seconds.",
        "unset: by status",
    )
    lease_seconds: float = _setting(
        _seconds(1, 3_600),
        60.0,
        "How long a refresh holds a shipment; keep it above the longest conversation (35 s).",
        "60",
    )
    silent_seconds: float = _setting(
        _seconds(5, 3_600),
        30.0,
        "With serve --processes: a process whose loop has not turned for so long is ended and started again.",
        "30",
    )
    egress_allow: tuple[IPv4Network | IPv6Network, ...] = _setting(
        _networks,
        (),
        "Networks that webhook URLs may reach although they are not public, comma-separated CIDR.",
        "none",
    )
    rate_limit: float = _setting(
        _rate, 3.0, "Requests a second for each login key; 0 switches the limit off.", "3"
    )
    proxies: tuple[IPv4Network | IPv6Network, ...] = _setting(
        _networks,
        (),
        "Networks of your own reverse proxies, comma-separated CIDR: their X-Forwarded-For is believed.",
        "none",
    )
    metrics_allow: tuple[IPv4Network | IPv6Network, ...] = _setting(
        _networks,
        (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
        "Networks that may read /metrics, comma-separated CIDR.",
        "127.0.0.0/8,::1/128",
    )
    connections: int = _setting(
        _count,
        2_000,
        "Connections at once (fewer where files are few); one that waits is closed for a new one.",
        "2000",
    )
    connections_per_address: int = _setting(
        _count,
        1_000,
        "Connections at once from one address that is no proxy of yours.",
        "1000",
    )
    code_book: str = _setting(
        _book,
        "reference",
        "Carrier codes that are answered when the caller gave none: reference or official.",
        "reference",
    )
    keep_log_days: int = _setting(
        _days,
        30,
        "Days that the log of refreshes, pushes that are done or dead, and changes are kept: what explain, "
        "webhooks log, a replay and the pull feed can still show.",
        "30",
    )
    keep_reply_days: int = _setting(
        _days,
        7,
        "Days that raw replies of carriers are kept after they came last: they are most of the bytes, and a "
        "week is enough to look into one that could not be read.",
        "7",
    )
    keep_record_days: int = _setting(
        _days,
        90,
        "Days that registrations are kept after they were stopped, and what was only asked about: as long as "
        "17TRACK keeps them.",
        "90",
    )
    keep_inbox_days: int = _setting(
        _days,
        90,
        "Days that pushes to us are kept after they came: only that tells when one is sent again.",
        "90",
    )
    keep_ledger_days: int = _setting(
        _days,
        100,
        "Days until quota entries become one sum for each account, month and kind: a quarter can be looked "
        "into one by one; the sums stay for ever.",
        "100",
    )
    sandbox_step: float = _setting(
        _seconds(0.05, 86_400), 2.0, "Seconds for one step of a sandbox journey.", "2"
    )
    log_numbers: bool = _setting(
        _switch,
        False,
        "1 writes whole tracking numbers into the log, instead of their last four characters.",
        "0",
    )
    carriers: Mapping[str, CarrierSettings]
    unknown: Mapping[str, str] = field(
        default_factory=dict
    )  # names that are no setting -> the nearest, or ""
    origins: Mapping[str, str] = field(default_factory=dict)  # setting name -> where its value came from

    @property
    def on_postgres(self) -> bool:
        """The database is a server, which several processes may use."""
        return self.database.startswith(_POSTGRES)

    @property
    def shown_database(self) -> str:
        """The database without a password."""
        return without_password(self.database)


def without_password(url: str) -> str:
    """A URL as it may be shown and logged."""
    return _PASSWORD.sub(lambda found: f"{found[1]}***@" if found[1] else f"{found[2]}***", url)


SETTINGS = tuple(
    Setting(name=f"{PREFIX}{one.name}".upper(), **one.metadata) for one in fields(Settings) if one.metadata
)
CONFIG_FILE = Setting("PARCELWIRE_CONFIG", _path, None, "TOML file with settings.", "none")
TEST_ONLY = (
    Setting(
        "PARCELWIRE_PAYLOADS",
        _path,
        None,
        "Tests only: a folder of further carrier answers with an index.json.",
        "unset",
    ),
    Setting("PARCELWIRE_PG_BIN", _path, None, "Tests only: a folder of PostgreSQL's programs.", "unset"),
    Setting("PARCELWIRE_CI", _switch, None, "Tests only: 1 lets them fail without PostgreSQL.", "unset"),
)
ALERT_HEADERS = {
    "UPS": "credential, which is a guess; UPS does not say",
    "FEDEX": "fdx-signature",
    "DHL": "dhl-push-token, or what the subscription names",
}
CARRIER_PATTERNS: tuple[tuple[str, str], ...] = (
    ("PARCELWIRE_CARRIER_<SLUG>_URL", "Base URL of a carrier's API, for a sandbox or a stand-in."),
    ("PARCELWIRE_CARRIER_<SLUG>_<SECRET>", "A credential of a carrier; the carriers page names them."),
    (
        "PARCELWIRE_CARRIER_SEVENTEENTRACK_CAP",
        "The most quota units that 17TRACK as an upstream may cost in a month; no limit of ours without it.",
    ),
    (
        "PARCELWIRE_CARRIER_SEVENTEENTRACK_REALTIME",
        "1 buys real-time answers there (10 units each) where account and carrier allow it.",
    ),
    (
        "PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN_BEFORE",
        "The token before, while it is being replaced: its pushes are still believed.",
    ),
    *(
        row
        for slug, header in ALERT_HEADERS.items()
        for row in (
            (
                f"PARCELWIRE_CARRIER_{slug}_ALERT_CREDENTIAL",
                f"Lets its pushes in at /inbound/{slug.lower()}. Replaced: ..._CREDENTIAL_BEFORE.",
            ),
            (f"PARCELWIRE_CARRIER_{slug}_ALERT_HEADER", f"Where the proof is: {header}."),
        )
    ),
)


def load(environ: Mapping[str, str], carriers: Mapping[str, Collection[str]]) -> Settings:
    """Settings from the environment and the TOML file that it names. ``carriers``: by slug, what each may be
    given, in lower case.

    ConfigError names the setting, where it came from, and what is expected.
    """
    given = _given(environ)
    origins = {name: one.origin for name, one in given.items()}
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        one = given.pop(setting.name, None)
        values[setting.key] = setting.default if one is None else _parsed(setting, one)
    data: Path = values["data"] or _data_folder()
    values["data"] = data
    values["database"] = values["database"] or str(data / "parcelwire.db")
    known = _carrier_names(carriers)
    values["carriers"] = _carriers(given, known)
    names = [*known, *(setting.name for setting in SETTINGS)]
    unknown = sorted(set(given) - {setting.name for setting in TEST_ONLY})
    return Settings(**values, unknown={name: _nearest(name, names) for name in unknown}, origins=origins)


def _nearest(name: str, names: Sequence[str]) -> str:
    """The setting that was probably meant; empty when none is near. What all begin with tells nothing."""
    own = {one.removeprefix(PREFIX): one for one in names}
    near = get_close_matches(name.removeprefix(PREFIX), own, 1, cutoff=0.8)
    return own[near[0]] if near else ""


@dataclass(frozen=True, slots=True)
class _Given:
    """A raw text. ``shown``: its setting as its author knows it."""

    text: str = field(repr=False)
    origin: str
    shown: str


def _parsed(setting: Setting, given: _Given) -> Any:
    try:
        return setting.parse(given.text.strip())
    except ValueError as error:
        value = "the given value" if setting.secret else repr(without_password(given.text))
        raise ConfigError(f"{given.shown}: {value} is not valid: {error}") from None


def _given(environ: Mapping[str, str]) -> dict[str, _Given]:
    """What was given, by setting name."""
    found: dict[str, _Given] = {}
    config = environ.get(CONFIG_FILE.name)
    if config is None and CONFIG_FILE.name + FILE in environ:
        config = _file(CONFIG_FILE.name + FILE, environ[CONFIG_FILE.name + FILE])
    if config:
        found |= _toml(_path(config), config)
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name.removesuffix(FILE) == CONFIG_FILE.name:
            continue
        if name.endswith(FILE):
            target = name.removesuffix(FILE)
            if target in environ:
                raise ConfigError(f"{target} and {name} are both set: keep one")
            found[target] = _Given(_file(name, text), name, f"{target} (from {name})")
        else:
            found[name] = _Given(text, ENVIRONMENT, name)
    return found


def _file(name: str, path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: cannot read {path}: {error}") from None


def _toml(path: Path, origin: str) -> dict[str, _Given]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{CONFIG_FILE.name}: cannot read {path}: {error}") from None
    found: dict[str, _Given] = {}

    def put(key: str, value: object, shown: str) -> None:
        name = f"{PREFIX}{key}".upper()
        text = ",".join(str(part) for part in value) if isinstance(value, list) else str(value)
        found[name] = _Given(text, origin, f"{shown} in {path} ({name})")

    carriers = tables.pop("carrier", {})
    if not isinstance(carriers, dict) or not all(isinstance(values, dict) for values in carriers.values()):
        raise ConfigError(f"{path}: a carrier is a table of its own, for example [carrier.dhl]")
    for slug, values in carriers.items():
        for key, value in values.items():
            put(f"{CARRIER}{slug}_{key}", value, f"{key} of [carrier.{slug}]")
    for key, value in tables.items():
        put(key, value, key)
    return found


def _carrier_names(carriers: Mapping[str, Collection[str]]) -> dict[str, tuple[str, str]]:
    """Slug and key of every setting that a carrier may have, by its name."""
    return {
        f"{PREFIX}{CARRIER}{slug}_{key}".upper(): (slug, key)
        for slug, keys in carriers.items()
        for key in ("url", *keys)
    }


def _carriers(given: dict[str, _Given], known: Mapping[str, tuple[str, str]]) -> dict[str, CarrierSettings]:
    """Takes the settings of carriers out of ``given``."""
    urls: dict[str, str] = {}
    secrets: dict[str, dict[str, str]] = {}
    for name, (slug, key) in known.items():
        one = given.pop(name, None)
        if one is None:
            continue
        secrets.setdefault(slug, {})
        if key == "url":
            try:
                urls[slug] = _url(one.text).rstrip("/")
            except ValueError as error:
                raise ConfigError(
                    f"{one.shown}: {without_password(one.text)!r} is not valid: {error}"
                ) from None
        elif one.text:
            secrets[slug][key] = one.text
    return {slug: CarrierSettings(urls.get(slug), found) for slug, found in secrets.items()}
