"""``parcelwire inbox``: pushes to us that are parked, because they could not be read or need a human."""

from typing import Annotated

import typer

from parcelwire.cli.output import WRONG_USE, fail, say_json
from parcelwire.cli.owner import Json, call

inbox_app = typer.Typer(no_args_is_help=True, help="Pushes to us that could not be processed.")
Id = Annotated[str, typer.Argument(metavar="ID", help="As 'inbox list' shows it.")]
Everything = Annotated[bool, typer.Option("--all", help="All that are parked.")]


@inbox_app.command("list")
def listed(as_json: Json = False) -> None:
    """Show what is parked, who pushed it when, and why it is parked."""
    answer = call("inbox", {})
    if as_json:
        say_json(answer)
        return
    for row in answer["parked"]:
        typer.echo(f"{row['id']}  {row['source']}, {row['at']}: {row['why']}")
    if not answer["parked"]:
        typer.echo("nothing is parked")


@inbox_app.command()
def show(push: Id) -> None:
    """Write what was pushed to the standard output, byte for byte."""
    import base64

    answer = call("inbox-show", {"id": push})
    typer.echo(base64.b64decode(answer["body"]), nl=False)


@inbox_app.command()
def retry(push: Id = "", everything: Everything = False, as_json: Json = False) -> None:
    """Process parked pushes again, after an update that reads them."""
    _release("inbox-retry", push, everything, as_json, "{waiting} processed again")


@inbox_app.command()
def dismiss(push: Id = "", everything: Everything = False, as_json: Json = False) -> None:
    """Done with parked pushes: doctor is silent about them, and they are removed like all that are done."""
    _release("inbox-dismiss", push, everything, as_json, "{dismissed} dismissed")


def _release(verb: str, push: str, everything: bool, as_json: bool, text: str) -> None:
    if bool(push) is everything:
        fail("give the id of a push, or --all", WRONG_USE)
    answer = call(verb, {"id": push} if push else {})
    if as_json:
        say_json(answer)
    else:
        typer.echo(text.format(**answer))
