"""``parcelwire migrate-store``: from the SQLite file to PostgreSQL."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parcelwire.cli.output import WRONG_USE, fail, run, say_json

if TYPE_CHECKING:
    from parcelwire.config import Settings


def migrate_store(
    file: Annotated[Path, typer.Argument(help="The SQLite file; stop the service that uses it.")],
    dsn: Annotated[str, typer.Argument(help="postgresql:// DSN of an empty database.")],
    as_json: Annotated[bool, typer.Option("--json", help="Stable JSON instead of text.")] = False,
) -> None:
    """Copy everything from a SQLite file into a PostgreSQL database.

    The file stays as it is. When it is interrupted, the same command goes on where it was. At the end counts
    and hashes of all rows are compared.
    """
    import os

    from parcelwire.app import settings_from
    from parcelwire.domain.errors import ConfigError

    try:
        settings = settings_from(os.environ)
    except ConfigError as error:
        fail(str(error), WRONG_USE)
    counts = run(_move(settings, file, dsn))
    if as_json:
        say_json({"rows": counts})
        return
    for table, rows in counts.items():
        typer.echo(f"{table}: {rows} rows, the same on both sides")
    typer.echo("done: give the DSN in PARCELWIRE_DATABASE, with the same secret key")


async def _move(settings: "Settings", path: Path, dsn: str) -> dict[str, int]:
    from parcelwire.app import move_store

    last = ""

    def tell(table: str, done: int, total: int) -> None:
        nonlocal last
        text = f"{table}: {done} of {total}"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{text:60}" + ("\n" if done >= total else ""))
        elif done >= total and table != last:
            sys.stderr.write(text + "\n")
            last = table

    return await move_store(settings, path, dsn, tell)
