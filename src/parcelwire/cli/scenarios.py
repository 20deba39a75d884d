"""What ``parcelwire demo`` shows: the real service on loopback, sandbox shipments, a sink for webhooks."""

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer
from aiohttp import ClientSession, web
from rich.console import Console
from rich.live import Live
from rich.table import Table

from parcelwire.app import Service, settings_from
from parcelwire.cli.output import say_json
from parcelwire.domain.errors import ConfigError
from parcelwire.net.clock import SystemClock
from parcelwire.standins.server import listening
from parcelwire.wire.signature import new_secret, verify

STEP_S = 0.5  # one step of a sandbox journey, which stands for a day
WHOLE_S = 60.0  # the scenarios need about sixteen seconds
POLL_S = 0.1
KEY_BYTES = 16
SECRET_BYTES = 32
STOPPED = "TRACKING_STOPPED"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What must happen to one number: these sub-statuses told first, in this order, then perhaps a stop."""

    number: str
    what: str
    told: tuple[str, ...]
    stops: bool = False


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "SANDBOXJOURNEY",
        "a whole journey, one push a step",
        (
            "InfoReceived",
            "InTransit_PickedUp",
            "InTransit_Departure",
            "InTransit_Arrival",
            "InTransit_CustomsProcessing",
            "OutForDelivery_Other",
            "Delivered_Other",
        ),
        stops=True,
    ),
    Scenario("SANDBOXDELIVERED", "delivered at once", ("Delivered_Other",), stops=True),
    Scenario("SANDBOXINTRANSIT", "on the way; stopped by request", ("InTransit_Other",), stops=True),
    Scenario("SANDBOXOUTFORDELIVERY", "on the van", ("OutForDelivery_Other",)),
    Scenario("SANDBOXPICKUP", "waits at a shop", ("AvailableForPickup_Other",)),
    Scenario("SANDBOXINFORECEIVED", "announced only", ("InfoReceived",)),
    Scenario("SANDBOXFAILED", "nobody at home", ("DeliveryFailure_NoBody",)),
    Scenario("SANDBOXRETURN", "goes back", ("Exception_Returning", "Exception_Returned"), stops=True),
    Scenario("SANDBOXCUSTOMSHOLD", "customs wants papers", ("InTransit_CustomsRequiringInformation",)),
    Scenario("SANDBOXEXPIRED", "silent for a month", ("Expired_Other",), stops=True),
    Scenario("SANDBOXNOTFOUND", "the carrier does not know it", ("NotFound_Other",), stops=True),
    Scenario("SANDBOXSLOW", "the carrier is slow", ("InTransit_Other",)),
    Scenario("SANDBOXTIMEOUT", "no answer, then recovery", ("InTransit_Other",)),
    Scenario("SANDBOX429", "throttled, then recovery", ("InTransit_Other",)),
    Scenario("SANDBOX500", "carrier errors, then recovery", ("InTransit_Other",)),
    Scenario("SANDBOXBADJSON", "unreadable, then recovery", ("InTransit_Other",)),
    Scenario("SANDBOXAUTH", "credential refused: no status is made up", ()),
    Scenario(
        "SANDBOXFLAP",
        "events vanish and return; the status never goes back",
        ("InfoReceived", "InTransit_Arrival", "Delivered_Other"),
    ),
    Scenario("SANDBOXOUTOFORDER", "events out of order", ("OutForDelivery_Other",)),
    Scenario("SANDBOXDUPLICATE", "events sent twice", ("OutForDelivery_Other",)),
    Scenario("SANDBOXMANY", "200 events", ("InTransit_Other",)),
    Scenario("SANDBOXUNICODE", "texts in many scripts", ("InTransit_Other",)),
)
REFUSED = "SANDBOXAMBIGUOUS"


@dataclass(slots=True)
class Seen:
    """What arrived at the sink for one number."""

    told: list[str] = field(default_factory=list)  # sub-statuses, without repeats in a row
    pushes: int = 0
    events: int = 0
    stopped: bool = False


@dataclass(slots=True)
class Sink:
    """Receives webhooks and verifies both signatures over the raw bytes."""

    key: str
    secret: str
    as_json: bool
    seen: dict[str, Seen] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    refused: int = 0
    repeated: int = 0
    first_at: float | None = None

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer 200 only when both signatures fit."""
        body = await request.read()
        clock = SystemClock()
        if not verify(request.headers, body, key=self.key, secret=self.secret, now=clock.now()):
            self.refused += 1
            return web.Response(status=401)
        if self.first_at is None:
            self.first_at = clock.monotonic()
        self._keep(request.headers["webhook-id"], body)
        return web.Response()

    def _keep(self, push: str, body: bytes) -> None:
        if push in self.bodies:
            self.repeated += 1
            return
        self.bodies[push] = body
        message = json.loads(body)
        data = message["data"]
        seen = self.seen.setdefault(data["number"], Seen())
        seen.pushes += 1
        sub_status = None
        if message["event"] == STOPPED:
            seen.stopped = True
        else:
            sub_status = data["track_info"]["latest_status"]["sub_status"]
            seen.events = sum(len(leg["events"]) for leg in data["track_info"]["tracking"]["providers"])
            if seen.told[-1:] != [sub_status]:
                seen.told.append(sub_status)
        if self.as_json:
            say_json(
                {
                    "id": push,
                    "event": message["event"],
                    "number": data["number"],
                    "sub_status": sub_status,
                    "verified": True,
                }
            )


def reached(scenario: Scenario, seen: Seen) -> bool:
    """Whether a scenario went as it must."""
    if not scenario.told:
        return not seen.told
    return tuple(seen.told[: len(scenario.told)]) == scenario.told and (seen.stopped or not scenario.stops)


async def play(*, once: bool, as_json: bool) -> int:
    clock = SystemClock()
    key = secrets.token_hex(KEY_BYTES).upper()
    sink = Sink(key, new_secret(secrets.token_bytes(SECRET_BYTES)), as_json)
    with TemporaryDirectory(prefix="parcelwire-demo-") as folder:
        began = clock.monotonic()
        async with (
            listening(sink.handle) as url,
            _service(Path(folder), sink, f"{url}/hook") as service,
        ):
            started = clock.monotonic()
            async with ClientSession(headers={"17token": key}) as session:
                await _register(session, service.url)
                with _screen(sink, as_json=as_json) as refresh:
                    while clock.monotonic() - started < WHOLE_S and not _through(sink):
                        refresh()
                        await _stop_one(session, service.url, sink)
                        await asyncio.sleep(POLL_S)
                    refresh()
            code = _summary(sink, began, started, clock.monotonic(), as_json=as_json)
            if not once and not as_json:
                _farewell(service, key)
                await asyncio.Event().wait()
    return code


@asynccontextmanager
async def _service(folder: Path, sink: Sink, url: str) -> AsyncIterator[Service]:
    """The service on the usual port, or on the next free one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARCELWIRE_")}
    environ = kept | {
        "PARCELWIRE_LISTEN": "127.0.0.1:8017",
        "PARCELWIRE_DATA": str(folder),
        "PARCELWIRE_FIRST_KEY": sink.key,
        "PARCELWIRE_WEBHOOK_URL": url,
        "PARCELWIRE_WEBHOOK_SIGN_KEY": sink.key,
        "PARCELWIRE_WEBHOOK_SECRET": sink.secret,
        "PARCELWIRE_EGRESS_ALLOW": "127.0.0.1/32",
        "PARCELWIRE_SANDBOX_STEP": str(STEP_S),
    }
    service = Service(settings_from(environ))
    try:
        await service.start()
    except ConfigError as error:
        if "cannot listen" not in str(error):
            raise
        typer.echo("port 8017 is taken: taking a free one", err=True)
        service = Service(settings_from(environ | {"PARCELWIRE_LISTEN": "127.0.0.1:0"}))
        await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def _register(session: ClientSession, url: str) -> None:
    items = [{"number": scenario.number, "tag": scenario.what} for scenario in SCENARIOS]
    answer = await _call(session, url, "register", [*items, {"number": REFUSED}])
    refused = [(item["number"], item["error"]["code"]) for item in answer["data"]["rejected"]]
    if refused != [(REFUSED, -18019903)]:
        raise RuntimeError(f"register refused {refused}, expected only {REFUSED} with -18019903")


async def _stop_one(session: ClientSession, url: str, sink: Sink) -> None:
    """Stop one parcel by request, as soon as it is on its way."""
    seen = sink.seen.get("SANDBOXINTRANSIT")
    if seen and seen.told and not seen.stopped:
        await _call(session, url, "stoptrack", [{"number": "SANDBOXINTRANSIT"}])


async def _call(session: ClientSession, url: str, endpoint: str, body: object) -> dict[str, Any]:
    async with session.post(f"{url}/track/v2.2/{endpoint}", json=body) as response:
        answer: dict[str, Any] = await response.json()
        return answer


def _through(sink: Sink) -> bool:
    return all(reached(scenario, sink.seen.get(scenario.number, Seen())) for scenario in SCENARIOS)


def _screen(sink: Sink, *, as_json: bool) -> Any:
    """A live table on a terminal; nothing otherwise."""
    console = Console()
    if as_json or not console.is_terminal:
        return nullcontext(lambda: None)
    live = Live(_table(sink), console=console, auto_refresh=False)

    class Screen:
        def __enter__(self) -> Any:
            live.__enter__()
            return lambda: live.update(_table(sink), refresh=True)

        def __exit__(self, *error: object) -> None:
            live.__exit__(None, None, None)

    return Screen()


def _table(sink: Sink) -> Table:
    table = Table(title="webhooks that arrived, signatures verified (one step of the sandbox is one day)")
    for column in ("number", "what happens", "status", "events", "pushes", ""):
        table.add_column(column)
    for scenario in SCENARIOS:
        seen = sink.seen.get(scenario.number, Seen())
        done = reached(scenario, seen)
        # What is reached stays shown: a sandbox month later everything has expired.
        told = seen.told[: len(scenario.told)] if done else seen.told
        stopped = seen.stopped and (scenario.stops or not done)
        table.add_row(
            scenario.number,
            scenario.what,
            (told[-1] if told else "-") + (" (stopped)" if stopped else ""),
            str(seen.events),
            str(seen.pushes),
            "ok" if done else "",
        )
    return table


def _summary(sink: Sink, began: float, started: float, ended: float, *, as_json: bool) -> int:
    missed = [s.number for s in SCENARIOS if not reached(s, sink.seen.get(s.number, Seen()))]
    failed = bool(missed or sink.refused)
    first_push_s = None if sink.first_at is None else round(sink.first_at - started, 3)
    figures = {
        "scenarios": len(SCENARIOS),
        "reached": len(SCENARIOS) - len(missed),
        "missed": missed,
        "pushes_verified": len(sink.bodies),
        "pushes_refused": sink.refused,
        "pushes_repeated": sink.repeated,
        "start_s": round(started - began, 3),
        "first_push_s": first_push_s,
        "whole_s": round(ended - began, 3),
    }
    if as_json:
        say_json({"summary": figures})
    else:
        typer.echo(
            f"{figures['reached']} of {figures['scenarios']} scenarios reached their state, "
            f"{figures['pushes_verified']} pushes verified, first after {first_push_s} s, "
            f"{figures['whole_s']} s in all" + (f"; missed: {_missed(sink, missed)}" if missed else "")
        )
    return int(failed)


def _missed(sink: Sink, numbers: list[str]) -> str:
    """What was told instead of what had to be told."""
    return "; ".join(f"{number} told {sink.seen.get(number, Seen()).told}" for number in numbers)


def _farewell(service: Service, key: str) -> None:
    typer.echo(f"\nThe service goes on at {service.url} until you press Ctrl-C. Your key: {key}\n")
    typer.echo(
        f"curl -s {service.url}/track/v2.2/register -H '17token: {key}' "
        '-d \'[{"number": "SANDBOXJOURNEY2"}]\''
    )
    typer.echo("\nNext: docs/quickstart.md, and 'parcelwire serve' for a service that keeps its data.")
