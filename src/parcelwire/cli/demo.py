"""``parcelwire demo``."""

from typing import Annotated

import typer

from parcelwire.cli.output import run


def demo(
    once: Annotated[bool, typer.Option("--once", help="End when all scenarios are through: 0 or 1.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line for each push.")] = False,
) -> None:
    """Watch the service at work, without a network.

    Shipments are registered, followed and delivered through the real wire API.
    """
    from parcelwire.cli.scenarios import play

    raise SystemExit(run(play(once=once, as_json=as_json)))
