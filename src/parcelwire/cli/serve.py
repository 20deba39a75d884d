"""``parcelwire serve``: one process, everything in it; on PostgreSQL as many as you like."""

from collections.abc import Callable
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
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="On PostgreSQL: so many processes of this role on one address.")
    ] = 1,
) -> None:
    """Run the service.

    Wire API, refresher and webhook pusher in one process. Needs no settings; the PARCELWIRE_* variables
    are described in docs/reference/settings.md.
    """
    set_up_logs()
    if processes == 1:
        run(_serve(role))
    else:
        run(_serve_together(role, processes), parent=True)


async def _serve(role: Role) -> None:
    import asyncio
    import os
    import signal

    from parcelwire.app import Service, settings_from

    stopped = asyncio.Event()
    service = Service(settings_from(os.environ), role=role)
    signals: list[int] = [signal.SIGINT, signal.SIGTERM]
    if os.name == "posix" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
        signals.append(signal.SIGHUP)  # the terminal was closed
    await begin(service, dict.fromkeys(signals, stopped.set))
    await stopped.wait()
    await service.stop()


# Objects made before the collector looks at the young ones, and so on. A call to a carrier makes thousands
# that all live until it is saved; Python's 700 would look at them again and again for nothing.
GC_THRESHOLDS = (20_000, 20, 20)


def tune_collector() -> None:
    """For a process that has started: seldom look for garbage, and only among what is new."""
    import gc

    gc.freeze()  # what is there now stays: the collector need not walk through it again and again
    gc.set_threshold(*GC_THRESHOLDS)


async def begin(service: "Service", on_signal: dict[int, Callable[[], None]]) -> None:
    """Start the service and say that it is ready."""
    import asyncio

    await service.start()
    tune_collector()
    for number, act in on_signal.items():
        asyncio.get_running_loop().add_signal_handler(number, act)
    typer.echo(_greeting(service))


async def _serve_together(role: Role, processes: int) -> None:
    import asyncio
    import os

    from parcelwire.app import FrontDoor, check_shared, settings_from
    from parcelwire.cli.processes import Parent
    from parcelwire.domain.errors import ConfigError

    if os.name != "posix":
        raise ConfigError("--processes needs a system where processes can share a socket: start them singly")
    settings = settings_from(os.environ)
    check_shared(settings, f"--processes {processes}")
    door = None if role == "worker" else await asyncio.to_thread(FrontDoor.open, settings)
    await Parent(settings, role, processes, door).run()


def _greeting(service: "Service") -> str:
    first = service.first_start
    if service.url:
        lines = [f"parcelwire listens on {service.url}"]
    else:
        lines = [f"parcelwire works on {service.settings.shown_database}"]
    if first is not None:
        lines.append(f"data folder: {service.settings.data}")
        if first.login_key:
            lines.append(f"login key (17token), shown only now: {first.login_key}")
        lines.append(
            f"plan: {first.account.plan}, {first.account.quota_total} quota units a month; "
            "change it with: parcelwire accounts plan unlimited"
        )
    if service.made_secret:
        lines.append(f"secret of webhook-signature, shown only now: {service.made_secret}")
    return "\n".join(lines)
