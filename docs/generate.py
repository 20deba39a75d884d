"""Writes the reference pages that come from the code: python docs/generate.py [--check]."""

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from parcelwire.carriers import carriers
from parcelwire.config import CARRIER, CARRIER_PATTERNS, CONFIG_FILE, PREFIX, SETTINGS, TEST_ONLY
from parcelwire.domain.limits import Reach
from parcelwire.ports import Carrier
from parcelwire.wire.directory import entry

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py from the code: change the code, not this page. -->\n\n"


def settings_page() -> str:
    """Every setting."""
    rows = "".join(
        f"| `{setting.name}` | {setting.doc} | {setting.shown_default} |\n"
        for setting in (*SETTINGS, CONFIG_FILE, TEST_ONLY)
    )
    patterns = "".join(f"| `{name}` | {doc} | unset |\n" for name, doc in CARRIER_PATTERNS)
    return (
        f"{NOTE}# Settings\n\n"
        "A setting is an environment variable. Each can also be given as `<NAME>_FILE`, a file that holds "
        "the value (meant for secrets), or in the TOML file that `PARCELWIRE_CONFIG` names: there the key is "
        "the lower-case name without the prefix, and a carrier has its own table.\n\n"
        '```toml\nlisten = "127.0.0.1:8017"\n\n[carrier.dhl]\napi_key = "..."\n```\n\n'
        "`parcelwire config show` prints what is in force and where it came from, and hides secrets.\n\n"
        "| setting | meaning | default |\n| --- | --- | --- |\n"
        f"{rows}{patterns}"
    )


def carriers_page() -> str:
    """Every carrier file."""
    intro = (
        f"{NOTE}# Carriers\n\n"
        "Who can be asked, with which credentials, and how fast. A carrier without its credentials can be "
        "registered all the same: the shipment says which setting is missing.\n"
    )
    return "\n".join([intro, *(_carrier_section(carrier) for carrier in carriers().values())])


def _carrier_section(carrier: Carrier) -> str:
    limits = carrier.limits
    served = ", ".join(
        f"{known.name} ({known.code})" for slug in carrier.serves if (known := entry(slug)) is not None
    )
    if carrier.reach is Reach.BOUGHT:
        served = "every carrier of the detection table, and any other that it knows by its code"
    credentials = ", ".join(f"`{PREFIX}{CARRIER}{carrier.slug}_{name}`".upper() for name in carrier.secrets)
    rate = "no limit known" if limits.per_s is None else f"{limits.per_s:g} calls a second"
    day = "" if limits.per_day is None else f", {limits.per_day:,} calls a day"
    return (
        f"## {carrier.slug}\n\n"
        f"| | |\n| --- | --- |\n"
        f"| answers for | {served} |\n"
        f"| sees | {carrier.reach.value} |\n"
        f"| credentials | {credentials or 'none'} |\n"
        f"| address | `{carrier.base_url}` (`{PREFIX}{CARRIER}{carrier.slug.upper()}_URL` changes it) |\n"
        f"| numbers in one call | {carrier.batch} |\n"
        f"| limits | {rate}{day} |\n"
    )


class Feature(NamedTuple):
    """One row of compatibility.csv. ``served``: yes, differs or no; ``test`` proves it."""

    id: str
    feature: str
    served: str
    why: str
    test: str

    @property
    def section(self) -> str:
        """The part of 17TRACK's contract that it belongs to."""
        return self.id.rpartition(".")[0]


SECTIONS = {
    "1": "Transport",
    "2": "Envelope",
    "3.0": "Items",
    "3.1": "register",
    "3.2": "gettrackinfo",
    "3.3": "getRealTimeTrackInfo",
    "3.4": "stoptrack, retrack, deletetrack",
    "3.5": "changecarrier",
    "3.6": "changeinfo",
    "3.7": "gettracklist",
    "3.8": "getquota",
    "3.9": "push",
    "4": "track_info",
    "5": "Statuses",
    "6": "Life cycle",
    "7": "Quota",
    "8": "Webhooks",
    "9": "Error codes",
    "10": "Carrier codes",
    "11": "Versions",
}


def features() -> list[Feature]:
    """The rows of compatibility.csv."""
    text = (REFERENCE.parent / "compatibility.csv").read_text(encoding="utf-8")
    return [Feature(**row) for row in csv.DictReader(text.splitlines())]


def compatibility_page() -> str:
    """Feature by feature against 17TRACK's v2 API."""
    rows = features()
    count = {served: sum(row.served == served for row in rows) for served in ("yes", "differs", "no")}
    tested = sum(bool(row.test) for row in rows)
    intro = (
        f"{NOTE}# Compatibility\n\n"
        "What 17TRACK's v2 API has, and what is here: *yes* is the same, *differs* is there in another way, "
        "*no* is not there. The rows come from `docs/compatibility.csv`; a test proves that every test that "
        "a row names exists.\n\n"
        f"{len(rows)} features: {count['yes']} yes, {count['differs']} differ, {count['no']} no; "
        f"{tested} tested.\n"
    )
    return "\n".join([intro, *(_section(name, rows) for name in SECTIONS)])


def _section(name: str, rows: Sequence[Feature]) -> str:
    lines = "".join(
        f"| {row.id} | {row.feature} | {row.served} | {row.why} |\n" for row in rows if row.section == name
    )
    return f"## {SECTIONS[name]}\n\n| | feature | here | |\n| --- | --- | --- | --- |\n{lines}"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "carriers.md": carriers_page,
    "compatibility.md": compatibility_page,
}


def main() -> int:
    """Write the pages, or with --check tell which differ."""
    stale = []
    for name, page in PAGES.items():
        file = REFERENCE / name
        if "--check" in sys.argv:
            if not file.exists() or file.read_text(encoding="utf-8") != page():
                stale.append(name)
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_text(page(), encoding="utf-8")
    if stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; run python docs/generate.py\n")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
