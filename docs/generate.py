"""Writes the reference pages that come from the code: python docs/generate.py [--check]."""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from parcelwire.carriers import carriers
from parcelwire.config import CARRIER, CARRIER_PATTERNS, CONFIG_FILE, PREFIX, SETTINGS, TEST_ONLY
from parcelwire.domain.limits import Reach
from parcelwire.flows.metrics import METRICS
from parcelwire.flows.metrics import PREFIX as METRIC_PREFIX
from parcelwire.ports import Carrier
from parcelwire.wire.codes import ERRORS, NOT_USED, WireError
from parcelwire.wire.directory import entry
from parcelwire.wire.openapi import document
from parcelwire.wire.operations import FAILS_AS_A_WHOLE, OPERATIONS
from parcelwire.wire.reference import Call, Field, Part, calls, parts

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py from the code: change the code, not this page. -->\n\n"


def settings_page() -> str:
    """Every setting."""
    rows = "".join(
        f"| `{setting.name}` | {setting.doc} | {setting.shown_default} |\n"
        for setting in (*SETTINGS, CONFIG_FILE, *TEST_ONLY)
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


def metrics_page() -> str:
    """Every figure of /metrics."""
    rows = "".join(
        f"| `{METRIC_PREFIX}{one.name}` | {one.kind} | {', '.join(one.labels)} | {one.text} |\n"
        for one in METRICS
    )
    return (
        f"{NOTE}# Metrics\n\n"
        "`GET /metrics` on the address of the service answers in the text format of Prometheus, to the "
        "networks in `PARCELWIRE_METRICS_ALLOW` (by default this machine only). No label holds an account, a "
        "tracking number or an id. Counters begin with the service. With `--processes` whichever process "
        "answers tells the sum of all of its parent (`parcelwire_processes`), those that have ended since "
        "included; what it knows of the others is two seconds old at most, so ask no more often than every "
        "five. Other parents, and processes that were started singly, count for themselves. Sizes come from "
        "the database, five seconds old at most.\n\n"
        "| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n"
        f"{rows}\n"
        "Worth an alarm: `parcelwire_shipments_oldest_due_seconds` or "
        "`parcelwire_pushes_oldest_due_seconds` above ten "
        'minutes, `parcelwire_lane_blocked` for an hour, `parcelwire_endpoints{state="paused"}` and '
        "`parcelwire_shipments_parked` above 0, `parcelwire_turn_failures_total` growing.\n"
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


def errors_page() -> str:
    """Every code of an answer."""
    text = (REFERENCE.parent / "errors.csv").read_text(encoding="utf-8")
    when = {row["reason"]: row["when"] for row in csv.DictReader(text.splitlines())}
    items = {reason for operation in OPERATIONS for reason in operation.errors}
    rows = sorted(ERRORS.items(), key=lambda row: (-row[1].code, row[1].http_status))
    table = "".join(
        f"| {error.code} | {_level(reason, error, items)} | {_cell(error.text)} | {_cell(when[reason])} |\n"
        for reason, error in rows
    )
    unused = "".join(f"| {code} | {why} |\n" for code, why in sorted(NOT_USED.items(), reverse=True))
    return (
        f"{NOTE}# Errors\n\n"
        "Compare the numbers: the texts may change. A call that failed as a whole has its code in `code` and "
        "in `data.errors`. A refused item stands in `data.rejected` with its code in `error`, while the call "
        "has `code` 0 and HTTP 200, and its neighbours are accepted. What is refused costs nothing.\n\n"
        "| code | where | text | when |\n| --- | --- | --- | --- |\n"
        f"{table}\n## Codes of 17TRACK that no answer has\n\n| code | why |\n| --- | --- |\n{unused}"
    )


def _level(reason: str, error: WireError, items: set[str]) -> str:
    if error.http_status != 200:
        return f"call, HTTP {error.http_status}"
    whole = reason in FAILS_AS_A_WHOLE
    return "call or item" if whole and reason in items else "call" if whole else "item"


def api_page() -> str:
    """Every call and every type."""
    api = document()
    intro = f"{NOTE}# API\n\n{api['info']['description']}\n\n{api['servers'][0]['description']}\n\n"
    where = (
        "A running service shows this page at `/docs`, and the OpenAPI 3.1 document at `/openapi.json` "
        "(`parcelwire openapi` prints it). Requests to try are in `docs/collection`, for Bruno. What an "
        "error code means: [errors](errors.md). How all this compares with 17TRACK: "
        "[compatibility](compatibility.md).\n"
    )
    names = {part.name for part in parts(api)}
    return "\n".join(
        [
            intro + where,
            "## Calls\n",
            *(_call_section(call, names) for call in calls(api)),
            "## Types\n",
            *(_type_section(part, names) for part in parts(api)),
        ]
    )


def _call_section(call: Call, names: set[str]) -> str:
    body = ("array of " if call.many else "") + _linked(call.body, names) if call.body else "none"
    path = call.path if call.method == "GET" else f"/track/v2.2{call.path}"
    answer = _linked(call.answer, names) or "text"
    facts = f"Body: {body}. Answer: {answer}."
    if call.costs:
        facts += f" Costs: {call.costs}."
    if call.errors:
        facts += f" Refuses an item with {', '.join(map(str, call.errors))}."
    example = json.dumps(call.example, indent=2)
    sample = f"\n```json\n{example}\n```\n" if call.example is not None else ""
    return f"### {call.name}\n\n`{call.method} {path}`\n\n{call.summary}. {call.text}\n\n{facts}\n{sample}"


def _type_section(part: Part, names: set[str]) -> str:
    rows = "".join(
        f"| `{field.name}` | {_linked_kind(field, names)} | {'' if field.required else 'optional'} "
        f"| {_cell(field.meaning)} |\n"
        for field in part.fields
    )
    text = part.text.replace("``", "`")
    return f"### {part.name}\n\n{text}\n\n| field | value | | meaning |\n| --- | --- | --- | --- |\n{rows}"


def _linked(name: str, names: set[str]) -> str:
    return f"[{name}](#{name.lower()})" if name in names else name


def _linked_kind(field: Field, names: set[str]) -> str:
    kind = _cell(field.kind)
    return kind.replace(field.type, _linked(field.type, names)) if field.type in names else kind


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "carriers.md": carriers_page,
    "compatibility.md": compatibility_page,
    "errors.md": errors_page,
    "api.md": api_page,
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
