"""``parcelwire audit`` and ``parcelwire secrets``: who changed what, and another secret key."""

from typing import Annotated

import typer

from parcelwire.cli.output import FAILED, say_json
from parcelwire.cli.owner import Json, call

audit_app = typer.Typer(no_args_is_help=True, help="Who changed what, and whether the record of it is whole.")
secrets_app = typer.Typer(no_args_is_help=True, help="The secret key that encrypts what is stored.")

Account = Annotated[str, typer.Option(help="Name of an account; without it all, and the operator.")]


@audit_app.command("list")
def listed(account: Account = "", as_json: Json = False) -> None:
    """Show what was changed by whom, oldest first. Values are never recorded."""
    answer = call("audit-list", {"account": account} if account else {})
    if as_json:
        say_json(answer)
        return
    for row in answer["records"]:
        fields = f" ({', '.join(row['fields'])})" if row["fields"] else ""
        what = f"{row['action']}  {row['object']}{fields}"
        typer.echo(f"{row['at']}  {row['account']} {row['n']}  {row['actor']}  {what}")


@audit_app.command("verify")
def verify(account: Account = "", as_json: Json = False) -> None:
    """Check that no record was changed, removed or put elsewhere. Exit 1, and the first one, when one was.

    The marks that are shown change with every record: kept in another place, they also prove that nobody has
    put an older state of everything back.
    """
    answer = call("audit-verify", {"account": account} if account else {})
    if as_json:
        say_json(answer)
    else:
        for row in answer["chains"]:
            mark = f", mark {row['mark']}" if row["mark"] else ""
            found = f"BROKEN: {row['broken']}" if row["broken"] else "whole"
            typer.echo(f"{row['account']}: {found}, {row['records']} records{mark}")
    if not answer["whole"]:
        raise typer.Exit(FAILED)


@secrets_app.command("rotate")
def rotate(
    finish: Annotated[
        bool, typer.Option("--finish", help="Forget the older key, which nothing uses.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a new secret key and encrypt everything with it, while the service runs.

    The older key is kept until --finish: backups made before still need it. Interrupted, call it again.
    """
    answer = call("secrets-finish" if finish else "secrets-rotate", {})
    if as_json:
        say_json(answer)
        return
    typer.echo(f"{answer['encrypted_again']} values encrypted again")
    if finish:
        typer.echo(f"{answer['keys_forgotten']} older keys forgotten")
        if answer["keys_unused"]:
            typer.echo(
                "nothing uses the older keys any more: take them out of PARCELWIRE_SECRET_KEY and start "
                "every process again"
            )
    else:
        typer.echo(
            "a new key was made" if answer["new_key"] else "no new key was made: there were two already"
        )
        typer.echo(
            "keep a copy of the new key; forget the older one with: parcelwire secrets rotate --finish"
        )
