"""Commands for the owner. They work whether the service runs (then through it) or not (on the database)."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from parcelwire.cli.output import WRONG_USE, fail, run, say_json

upstream_app = typer.Typer(no_args_is_help=True, help="17TRACK as a source for what we cannot ask.")
sandbox_app = typer.Typer(no_args_is_help=True, help="Journeys of the sandbox carrier.")

Json = Annotated[bool, typer.Option("--json", help="Stable JSON instead of text.")]


def call(verb: str, values: dict[str, str]) -> dict[str, Any]:
    """Ask the running service, else do it here."""
    import os

    from parcelwire.app import SERVICE_FILE, settings_from
    from parcelwire.domain.errors import ConfigError

    try:
        settings = settings_from(os.environ)
    except ConfigError as error:
        fail(str(error), WRONG_USE)
    with suppress(FileNotFoundError, NotADirectoryError):
        service = (settings.data / SERVICE_FILE).read_text(encoding="utf-8")
        answer = run(through_service(service, verb, values))
        if answer is not None:
            return answer
    if not settings.on_postgres and not Path(settings.database).exists():
        fail(f"there is no database {settings.database} yet: start with 'parcelwire serve'")
    return run(here(settings, verb, values))


async def through_service(text: str, verb: str, values: dict[str, str]) -> dict[str, Any] | None:
    """The running service's answer; None when none runs: it died and left its file, and perhaps somebody else
    has its port now."""
    import json

    import aiohttp

    from parcelwire.api.owner import HEADER, PREFIX

    try:
        service = json.loads(text)
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                service["url"] + PREFIX + verb, json=values, headers={HEADER: service["token"]}
            ) as response,
        ):
            answer: dict[str, Any] = await response.json()
    except (aiohttp.ClientError, ValueError):
        return None
    if response.status == 400:
        fail(answer["error"])
    return answer if response.status == 200 else None


async def here(settings: Any, verb: str, values: dict[str, str]) -> dict[str, Any]:
    """On the database; a process that holds a file is named in the error."""
    from parcelwire.app import asker_of, context_of, open_store
    from parcelwire.flows.manage import OwnerError
    from parcelwire.flows.verbs import VERBS
    from parcelwire.net.clock import SystemClock
    from parcelwire.net.flights import Flights
    from parcelwire.net.push import PushSender

    store, clock = await open_store(settings), SystemClock()
    asker, sender = asker_of(settings, clock), PushSender(clock, settings.egress_allow)
    try:
        return await VERBS[verb](context_of(settings, store, asker, sender, Flights(), clock), values)
    except OwnerError as error:
        fail(str(error))
    finally:
        await asker.close()
        await sender.close()
        await store.close()


@sandbox_app.command("advance")
def advance(
    number: Annotated[str, typer.Argument(help="A registered sandbox number.")],
    steps: Annotated[int, typer.Option(min=1, max=10_000, help="How many steps.")] = 1,
    as_json: Json = False,
) -> None:
    """Move a sandbox journey on at once."""
    answer = call("advance", {"number": number, "steps": str(steps)})
    if as_json:
        say_json(answer)
    else:
        typer.echo(f"{number}: advanced by {steps}")


@upstream_app.command("quota")
def upstream_quota(as_json: Json = False) -> None:
    """Show what 17TRACK as an upstream has cost this month, and what was saved."""
    answer = call("upstream", {})
    if as_json:
        say_json(answer)
        return
    spent, saved = answer["spent"], answer["saved"]
    limit = f"of {answer['cap']}" if answer["cap"] is not None else "(no limit set)"
    typer.echo(f"spent this month: {spent['total']} {limit} units")
    typer.echo(f"  registrations {spent['registrations']}, begun {spent['registrations_begun']}")
    typer.echo(f"  real-time questions {spent['real_time']}")
    typer.echo(f"saved this month: {saved['registrations']} registrations, {saved['questions']} questions")
    typer.echo(f"numbers registered there: {answer['numbers_registered']}")
    typer.echo("pushes: " + ", ".join(f"{count} {state}" for state, count in answer["pushes"].items()))


def explain(
    number: Annotated[str, typer.Argument(help="A registered tracking number.")], as_json: Json = False
) -> None:
    """Show why a shipment stands where it stands.

    Every refresh with its outcome, and when the next one is.
    """
    answer = call("explain", {"number": number})
    if as_json:
        say_json(answer)
        return
    for row in answer["shipments"]:
        typer.echo(f"{row['number']} ({row['carrier']}, code {row['code']}), account {row['account']}")
        typer.echo(f"  {row['phase']}, {row['status'] or 'no status yet'}, version {row['version']}")
        doubt = f": {row['carrier_doubt']}" if row["carrier_doubt"] else ""
        typer.echo(f"  its carrier is {row['carrier_is']}{doubt}")
        if row["trouble"]:
            typer.echo(f"  trouble: {row['trouble']}")
        if row["parked_why"]:
            typer.echo(f"  parked: {row['parked_why']}; take it up again with parcelwire parked resume")
        typer.echo(f"  asks {row['source'] or 'nobody'}: {row['source_why']}")
        if row["upstream_registered"]:
            stopped = f", stopped there {row['upstream_stopped']}" if row["upstream_stopped"] else ""
            typer.echo(f"  registered at 17TRACK {row['upstream_registered']}{stopped}")
        if row["next_refresh"]:
            typer.echo(f"  next refresh {row['next_refresh']} in lane {row['lane']}")
        if row["lane_waits_until"]:
            typer.echo(f"  the lane waits until {row['lane_waits_until']}: {row['lane_waits_why']}")
        if row["stopped_at"]:
            typer.echo(f"  stopped {row['stopped_at']}: {row['stop_reason']}")
        for item in row["refreshes"]:
            typer.echo(f"  {item['at']} {item['outcome']} ({item['ms']} ms): {item['why']}")
