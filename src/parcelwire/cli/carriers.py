"""``parcelwire carriers``: for the person who adds a carrier, or wonders whether one answers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parcelwire.cli.output import FAILED, WRONG_USE, fail, run, say_json

if TYPE_CHECKING:
    from parcelwire.config import Settings
    from parcelwire.domain.errors import CarrierError
    from parcelwire.domain.exchange import Conversation
    from parcelwire.domain.report import Report
    from parcelwire.ports import Carrier

carriers_app = typer.Typer(no_args_is_help=True, help="Carriers: who can be asked, and what an answer means.")

Slug = Annotated[str, typer.Argument(help="A carrier file, for example fedex.")]
Number = Annotated[str, typer.Argument(help="A tracking number.")]
Json = Annotated[bool, typer.Option("--json", help="Stable JSON instead of text.")]
SAID = ("report", "not_found", "invalid_number")  # outcomes that prove that the carrier answers us


@carriers_app.command("list")
def list_carriers(as_json: Json = False) -> None:
    """Show every carrier file: companies, batch, limits, and whether its credentials are set."""
    from parcelwire.carriers import carriers

    settings = _settings()
    rows = [_row(settings, carrier) for carrier in carriers().values()]
    if as_json:
        say_json({"carriers": rows})
        return
    for row in rows:
        typer.echo(f"{row['slug']}: {', '.join(row['companies'])}")
        typer.echo(f"  {row['batch']} numbers a call; {row['limits_text']}")
        typer.echo(f"  credentials: {row['credentials']}" + "".join(f" {name}" for name in row["missing"]))


@carriers_app.command("test")
def question(slug: Slug, number: Number, as_json: Json = False) -> None:
    """Ask a carrier one real question. Exit 0: it answered (or "not known"); 1: it did not; 2: not set up."""
    carrier = _carrier(slug)
    conversation = run(_ask(carrier, number))
    answer = conversation.answers[number]
    shown = _outline(carrier, number, answer, _now(None))
    row = {
        "carrier": carrier.slug,
        "number": number,
        "outcome": shown["outcome"],
        "ms": conversation.ms,
        "http_status": [reply.status for reply in conversation.replies],
        "status": shown["status"],
        "sub_status": shown["sub_status"],
        "events": len(shown["events"]),
        "detail": _detail(answer),
    }
    if as_json:
        say_json(row)
    else:
        typer.echo(f"{carrier.slug} {number}: {row['outcome']} in {row['ms']} ms", nl=False)
        typer.echo(f", {row['sub_status']}, {row['events']} events" if row["sub_status"] else "")
        if row["detail"]:
            typer.echo(row["detail"])
    if row["outcome"] not in SAID:
        raise SystemExit(FAILED)


@carriers_app.command("record")
def record(
    slug: Slug,
    number: Number,
    to: Annotated[Path, typer.Option(help="Folder of recordings, usually tests/carriers/<slug>.")],
    as_json: Json = False,
) -> None:
    """Ask a carrier and save its raw reply without secrets and people, with a row in the folder's index."""
    import json

    from parcelwire.flows.record import record as record_reply
    from parcelwire.zones import zone_of

    carrier = _carrier(slug)
    settings = _settings()
    conversation = run(_ask(carrier, number))
    if not conversation.replies:
        fail(f"{carrier.slug} did not answer: {conversation.error}")
    given = settings.carriers[carrier.slug].secrets.values() if carrier.slug in settings.carriers else ()
    made = record_reply(carrier, conversation.replies[-1], number, list(given), zone_of, _now(None))
    index = to / "index.json"
    to.mkdir(parents=True, exist_ok=True)
    (to / made.file).write_bytes(made.body)
    rows = json.loads(index.read_text(encoding="utf-8")) if index.exists() else []
    rows = [row for row in rows if row["file"] != made.file] + [made.row]
    index.write_text(json.dumps(rows, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    taken = {kind: count for kind, count in made.taken.items() if count}
    if as_json:
        say_json({"file": str(to / made.file), "taken_out": taken, "row": made.row})
        return
    typer.echo(f"wrote {to / made.file} and its row in {index}")
    words = ", ".join(f"{count} x {kind}" for kind, count in taken.items())
    typer.echo(f"taken out: {words or 'nothing'}")
    typer.echo("read the file before you publish it: no list of names knows every carrier")


@carriers_app.command("parse")
def parse(
    slug: Slug,
    file: Annotated[Path, typer.Argument(help="A raw reply of the carrier.")],
    number: Annotated[str, typer.Option(help="The number that was asked about.")],
    now: Annotated[str | None, typer.Option(help="When it was received, ISO 8601 with offset.")] = None,
    status: Annotated[int, typer.Option(help="HTTP status of the reply.")] = 200,
    as_json: Json = False,
) -> None:
    """Print what the service would make of a raw reply, without asking anybody."""
    from parcelwire.domain.exchange import Reply
    from parcelwire.flows.parse import parse_reply

    carrier = _carrier(slug)
    try:
        reply = Reply(status, {}, file.read_bytes())
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}", WRONG_USE)
    at = _now(now)
    answer = parse_reply(carrier, reply, number, at)
    shown = _outline(carrier, number, answer, at)
    if _detail(answer):
        typer.echo(_detail(answer), err=True)
    if as_json:
        say_json(shown)
        return
    typer.echo(f"{number}: {shown['outcome']}, {shown['status']} ({shown['sub_status']})")
    for event in shown["events"]:
        when = event["time_iso"] or " ".join(
            filter(None, (event["time_raw"]["date"], event["time_raw"]["time"]))
        )
        typer.echo(f"  {when or '(no date)'}  {event['sub_status'] or 'unmapped'}  {event['description']}")


@carriers_app.command("stand-in")
def stand_in_(
    slug: Slug,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes any free one.")] = 0,
    step: Annotated[float | None, typer.Option(min=0.01, help="Seconds that a journey's step takes.")] = None,
) -> None:
    """Answer like a carrier on 127.0.0.1 until Ctrl-C; prints the settings that make a service ask it."""
    carrier = _carrier(slug)
    run(_serve(carrier, port, step))


async def _serve(carrier: Carrier, port: int, step: float | None) -> None:
    import asyncio
    import signal

    from parcelwire.config import CARRIER, PREFIX
    from parcelwire.net.clock import SystemClock
    from parcelwire.standins import credentials_of, stand_in
    from parcelwire.standins.server import serve

    there = stand_in(carrier.slug, step)
    if there is None:
        fail(f"there is no stand-in for {carrier.slug}, or it has no steps", WRONG_USE)
    try:
        async with serve(there, SystemClock(), port=port) as url:
            prefix = f"{PREFIX}{CARRIER}{carrier.slug}_".upper()
            typer.echo(f"{prefix}URL={url}")
            for name, value in credentials_of(there, carrier).items():
                typer.echo(f"{prefix}{name.upper()}={value}")
            stopped = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stopped.set)
            await stopped.wait()
    except OSError as error:
        fail(f"cannot listen on 127.0.0.1:{port}: {error.strerror}", WRONG_USE)


async def _ask(carrier: Carrier, number: str) -> Conversation:
    """One question with the credentials of the settings."""
    import os

    from parcelwire.app import asker_of, lacking, settings_from
    from parcelwire.domain.lane import LATE_S
    from parcelwire.flows.parse import query_of
    from parcelwire.net.clock import SystemClock

    settings, clock = settings_from(os.environ), SystemClock()
    pauses_s = iter([0.0])

    async def paced(_patience_s: float) -> None:
        await clock.sleep(next(pauses_s, 1 / carrier.limits.per_s + LATE_S if carrier.limits.per_s else 0.0))

    missing = lacking(settings, carrier)
    if missing:
        fail(f"{carrier.slug} needs credentials: set {' and '.join(missing)}", WRONG_USE)
    asker = asker_of(settings, clock)
    try:
        return await asker.ask(carrier, [query_of(carrier, number, clock.now())], paced)
    finally:
        await asker.close()


def _outline(carrier: Carrier, number: str, answer: Report | CarrierError, now: datetime) -> dict[str, Any]:
    import msgspec

    from parcelwire.flows.parse import outline_of
    from parcelwire.zones import zone_of

    shown: dict[str, Any] = msgspec.to_builtins(outline_of(carrier, number, answer, zone_of, now))
    return shown


def _detail(answer: Report | CarrierError) -> str | None:
    from parcelwire.domain.errors import CarrierError

    return str(answer) if isinstance(answer, CarrierError) else None


def _row(settings: Settings, carrier: Carrier) -> dict[str, Any]:
    from parcelwire.app import lacking
    from parcelwire.wire.directory import entry

    limits, missing = carrier.limits, lacking(settings, carrier)
    state = "none needed" if not carrier.secrets else "missing" if missing else "set"
    rate = "no rate published" if limits.per_s is None else f"{limits.per_s:g} calls/s"
    day = "" if limits.per_day is None else f", {limits.per_day} calls/day"
    return {
        "slug": carrier.slug,
        "companies": [known.name for slug in carrier.serves if (known := entry(slug))],
        "batch": carrier.batch,
        "limits": {"per_s": limits.per_s, "burst": limits.burst, "per_day": limits.per_day},
        "limits_text": rate + day,
        "credentials": state,
        "missing": list(missing),
    }


def _carrier(slug: str) -> Carrier:
    from parcelwire.carriers import carriers

    carrier = carriers().get(slug.replace("-", "_").lower())
    if carrier is None:
        fail(f"there is no carrier file {slug}; there are {', '.join(carriers())}", WRONG_USE)
    return carrier


def _settings() -> Settings:
    import os

    from parcelwire.app import settings_from
    from parcelwire.domain.errors import ConfigError

    try:
        return settings_from(os.environ)
    except ConfigError as error:
        fail(str(error), WRONG_USE)


def _now(text: str | None) -> datetime:
    from parcelwire.net.clock import SystemClock

    if text is None:
        return SystemClock().now()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--now: {text} is no time; for example 2026-03-02T12:00:00Z", WRONG_USE)
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
