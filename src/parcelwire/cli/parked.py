"""``parcelwire parked``: shipments that nobody refreshes any more, because that harmed the process."""

from typing import Annotated

import typer

from parcelwire.cli.output import WRONG_USE, fail, say_json
from parcelwire.cli.owner import Json, call

parked_app = typer.Typer(no_args_is_help=True, help="Shipments whose refreshes harmed the process.")


@parked_app.command("list")
def listed(as_json: Json = False) -> None:
    """Show what is parked, since when and why."""
    answer = call("parked", {})
    if as_json:
        say_json(answer)
        return
    for row in answer["parked"]:
        typer.echo(f"{row['number']} ({row['carrier']}), account {row['account']}, {row['at']}: {row['why']}")
    if not answer["parked"]:
        typer.echo("nothing is parked")


@parked_app.command()
def resume(
    number: Annotated[str, typer.Argument(help="A tracking number.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: Json = False,
) -> None:
    """Refresh parked shipments again, at once."""
    if bool(number) is everything:
        fail("give a number, or --all", WRONG_USE)
    answer = call("parked-resume", {"number": number} if number else {})
    if as_json:
        say_json(answer)
    else:
        typer.echo(f"{answer['resumed']} resumed")
