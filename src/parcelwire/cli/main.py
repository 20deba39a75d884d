"""The command ``parcelwire``."""

from typing import Annotated

import typer

from parcelwire.cli import owner
from parcelwire.cli.accounts import accounts_app, keys_app
from parcelwire.cli.backup import backup, restore
from parcelwire.cli.carrierlist import import_list
from parcelwire.cli.carriers import carriers_app
from parcelwire.cli.config import config_app
from parcelwire.cli.demo import demo
from parcelwire.cli.detect import detect
from parcelwire.cli.doctor import doctor
from parcelwire.cli.inbox import inbox_app
from parcelwire.cli.migrate import migrate_store
from parcelwire.cli.openapi import openapi
from parcelwire.cli.output import telling_of_rights
from parcelwire.cli.parked import parked_app
from parcelwire.cli.secure import audit_app, secrets_app
from parcelwire.cli.serve import serve
from parcelwire.cli.track import track
from parcelwire.cli.webhooks import webhooks_app

app = typer.Typer(
    name="parcelwire",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: half the start time
    help="Self-hosted shipment tracking that speaks the 17TRACK v2.2 wire API.",
)


def _version(asked: bool) -> None:
    if asked:
        from parcelwire import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Self-hosted shipment tracking that speaks the 17TRACK v2.2 wire API."""


app.command()(serve)
app.command()(demo)
app.command()(track)
app.command()(detect)
app.command()(owner.explain)
app.command()(doctor)
app.command("migrate-store")(migrate_store)
app.command()(openapi)
app.command()(backup)
app.command()(restore)
app.add_typer(accounts_app, name="accounts")
app.add_typer(keys_app, name="keys")
app.add_typer(owner.sandbox_app, name="sandbox")
app.add_typer(webhooks_app, name="webhooks")
app.add_typer(parked_app, name="parked")
app.add_typer(inbox_app, name="inbox")
app.add_typer(owner.upstream_app, name="upstream")
carriers_app.command("import")(import_list)
app.add_typer(carriers_app, name="carriers")
app.add_typer(config_app, name="config")
app.add_typer(audit_app, name="audit")
app.add_typer(secrets_app, name="secrets")


def main() -> None:
    """Entry point."""
    with telling_of_rights():
        app()
