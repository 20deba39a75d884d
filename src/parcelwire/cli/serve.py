"""``parcelwire serve``: one process, everything in it; on PostgreSQL as many as you like."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from parcelwire.cli.output import run, set_up_logs

if TYPE_CHECKING:
    from parcelwire.app import Service


Role = Literal["all", "api", "worker"]


def serve(
    role: Annotated[
        Role, typer.Option(help="On PostgreSQL: api answers calls, worker does the rest.")
    ] = "all",
) -> None:
    """Run the service.

    Wire API, refresher and webhook pusher in one process. Needs no settings; the PARCELWIRE_* variables
    are described in docs/reference/settings.md.
    """
    set_up_logs()
    run(_serve(role))


async def _serve(role: Role) -> None:
    import asyncio
    import gc
    import os
    import signal

    from parcelwire.app import Service, settings_from

    service = Service(settings_from(os.environ), role=role)
    await service.start()
    gc.freeze()  # what is there now stays: the collector need not walk through it again and again
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopped.set)
    _greet(service)
    await stopped.wait()
    await service.stop()


def _greet(service: "Service") -> None:
    first = service.first_start
    if service.url:
        typer.echo(f"parcelwire listens on {service.url}")
    else:
        typer.echo(f"parcelwire works on {service.settings.shown_database}")
    if first is None:
        return
    typer.echo(f"data folder: {service.settings.data}")
    if first.login_key:
        typer.echo(f"login key (17token), shown only now: {first.login_key}")
    if first.webhook_secret:
        typer.echo(f"secret of webhook-signature, shown only now: {first.webhook_secret}")
    typer.echo(
        f"plan: {first.account.plan}, {first.account.quota_total} quota units a month; "
        "change it with: parcelwire accounts plan unlimited"
    )
