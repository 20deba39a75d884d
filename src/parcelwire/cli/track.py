"""``parcelwire track``: one look-up without a server."""

from typing import Annotated, Any

import typer

from parcelwire.cli.output import WRONG_USE, fail, run, say_json

NOT_FOUND = 1


def track(
    number: Annotated[str, typer.Argument(help="A tracking number.")],
    carrier: Annotated[int, typer.Option(help="Its carrier code; detected without it.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The wire's own item (track_info).")] = False,
) -> None:
    """Ask the carrier about one number, once.

    Needs no server and stores nothing.
    """
    item = run(_ask(number, carrier))
    if as_json:
        say_json(item)
        return
    info = item["track_info"]
    status = info["latest_status"]
    typer.echo(f"{item['number']}: {status['status']} ({status['sub_status']})")
    for provider in info["tracking"]["providers"]:
        typer.echo(f"{provider['provider']['name']} ({provider['provider']['key']})")
        for event in provider["events"]:
            when = event["time_iso"] or " ".join(
                filter(None, (event["time_raw"]["date"], event["time_raw"]["time"]))
            )
            typer.echo(f"  {when or '(no date)'}  {event['description']}  {event['location'] or ''}".rstrip())


async def _ask(number: str, carrier: int) -> dict[str, Any]:
    """The accepted item of a real-time question, asked on a store that is thrown away."""
    import json
    import os
    from dataclasses import replace
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from parcelwire.app import asker_of, context_of, open_store, settings_from
    from parcelwire.flows.manage import open_first_account
    from parcelwire.flows.realtime import real_time
    from parcelwire.net.clock import SystemClock
    from parcelwire.net.flights import Flights
    from parcelwire.net.push import PushSender

    with TemporaryDirectory(prefix="parcelwire-") as folder:
        settings = replace(
            settings_from(os.environ), data=Path(folder), database=str(Path(folder) / "track.db")
        )
        store, clock = await open_store(settings), SystemClock()
        asker, sender = asker_of(settings, clock), PushSender(clock)
        try:
            context = context_of(settings, store, asker, sender, Flights(), clock)
            account = await open_first_account(context, "unlimited", "not a login", "not a key")
            body = json.dumps([{"number": number, "carrier": carrier, "cacheLevel": 1}]).encode()
            answer = json.loads(await real_time(context, account, body))
        finally:
            await asker.close()
            await sender.close()
            await store.close()
    for refused in answer["data"]["rejected"]:
        code = WRONG_USE if refused["error"]["code"] in (-18010012, -18019818, -18019903) else NOT_FOUND
        fail(refused["error"]["message"], code)
    item: dict[str, Any] = answer["data"]["accepted"][0]
    return item
