"""``parcelwire carriers import``: the complete list of carriers, which is not ours to ship."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl, urlsplit

import typer

from parcelwire.cli.output import WRONG_USE, fail, run, say_json

if TYPE_CHECKING:
    from parcelwire.config import Settings
    from parcelwire.wire.carrierlist import Line

DOWNLOAD_S = 60.0
FILE_MAX = 16 * 1024 * 1024  # the list has half a megabyte


def import_list(
    source: Annotated[str, typer.Argument(metavar="URL|FILE", help="17TRACK's list, JSON or CSV.")],
    as_json: Annotated[bool, typer.Option("--json", help="Stable JSON instead of text.")] = False,
) -> None:
    """Learn the carriers of 17TRACK's complete list, and print what came of every line.

    They are kept in carriers.json in the data folder; a running service knows them at once. Its address is
    https://res.17track.net/asset/carrier/info/apicarrier.all.json.
    """
    from parcelwire.app import CARRIERS_FILE, directory_of, settings_from
    from parcelwire.domain.errors import ConfigError
    from parcelwire.files import write_private
    from parcelwire.wire.carrierlist import ListError, imported, stored

    try:
        settings = settings_from(os.environ)
        known = directory_of(settings.data)
        new, lines = imported(_read(source), known)
    except ConfigError as error:
        fail(str(error), WRONG_USE)
    except ListError as error:
        fail(f"{source}: {error}")
    known.learn(new)
    kept = stored(entry for entry in known if entry.listing is not None)
    file = settings.data / CARRIERS_FILE
    if new:
        settings.data.mkdir(parents=True, exist_ok=True)
        write_private(file, kept.decode())
    tells = bool(new) and _tell(settings, kept.decode())
    _report(lines, file, told=tells, as_json=as_json)


def _report(lines: list[Line], file: Path, *, told: bool, as_json: bool) -> None:
    count = Counter(line.outcome for line in lines)
    totals = {outcome: count[outcome] for outcome in ("added", "changed", "same", "refused")}
    if as_json:
        rows = [line._asdict() for line in lines]
        say_json({"lines": rows, **totals, "file": str(file), "running_service_told": told})
        return
    for line in lines:
        why = f": {line.why}" if line.why else ""
        typer.echo(f"{line.place} {line.outcome} {line.code or '-'} {line.name or '-'}{why}")
    typer.echo(", ".join(f"{number} {outcome}" for outcome, number in totals.items()))
    if told:
        typer.echo("the running service knows them now")


def _read(source: str) -> bytes:
    if urlsplit(source).scheme in ("http", "https"):
        return run(_download(source))
    try:
        if Path(source).stat().st_size > FILE_MAX:
            fail(f"{source} is larger than {FILE_MAX:,} bytes: it is no list of carriers", WRONG_USE)
        return Path(source).read_bytes()
    except OSError as error:
        fail(f"cannot read {source}: {error.strerror}", WRONG_USE)


async def _download(url: str) -> bytes:
    from parcelwire.domain.errors import CarrierError
    from parcelwire.domain.exchange import Request
    from parcelwire.net.client import HttpTransport

    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    transport = HttpTransport()
    try:
        reply = await transport.send(
            f"{parts.scheme}://{parts.netloc}", Request("GET", parts.path or "/", query=query), DOWNLOAD_S
        )
    except CarrierError as error:
        fail(f"cannot load {url}: {error}")
    finally:
        await transport.close()
    if reply.status != 200:
        fail(f"cannot load {url}: HTTP {reply.status}")
    return reply.body


def _tell(settings: Settings, kept: str) -> bool:
    """Whether a service runs and knows the carriers now; else it reads the file when it starts. The audit
    gets its record in either case, as soon as there is a database."""
    from parcelwire.app import SERVICE_FILE
    from parcelwire.cli.owner import here, through_service

    running = settings.data / SERVICE_FILE
    values = {"list": kept}
    if running.exists() and run(through_service(running.read_text(encoding="utf-8"), "carriers", values)):
        return True
    if settings.on_postgres or Path(settings.database).exists():
        run(here(settings, "carriers", values))
    return False
