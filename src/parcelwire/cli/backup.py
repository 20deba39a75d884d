"""``parcelwire backup`` and ``parcelwire restore``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parcelwire.cli.output import WRONG_USE, fail, run

if TYPE_CHECKING:
    from parcelwire.config import Settings
    from parcelwire.store.vault import Vault


def backup(file: Annotated[Path, typer.Argument(help="A new file.", metavar="FILE")]) -> None:
    """Copy the database to FILE, while the service runs or not.

    The secret key is not in the copy. Keep it too, in another place: without it the stored signing keys and
    secrets cannot be read.
    """
    from parcelwire.app import KEY_FILE
    from parcelwire.domain.errors import ConfigError
    from parcelwire.store.sqlite.backup import back_up

    try:
        settings, database = _settings()
        size = back_up(database, file)
    except ConfigError as error:
        fail(str(error), WRONG_USE)
    typer.echo(f"backed up {database} to {file}: {size} bytes, examined")
    key = "PARCELWIRE_SECRET_KEY" if settings.secret_key else str(settings.data / KEY_FILE)
    typer.echo(f"not in it: the secret key ({key}). Keep a copy of it in another place")


def restore(file: Annotated[Path, typer.Argument(help="What backup has made.", metavar="FILE")]) -> None:
    """Put the database back as FILE holds it.

    The service must not run. FILE may come from an older version; it is brought up to date. The database
    that is there now is kept beside it under another name.
    """
    import secrets

    from parcelwire.app import keys_of
    from parcelwire.domain.errors import ConfigError
    from parcelwire.files import why
    from parcelwire.store.sqlite.backup import put_back
    from parcelwire.store.vault import Vault

    try:
        settings, database = _settings()
        database.parent.mkdir(parents=True, exist_ok=True)
        vault = Vault(keys_of(settings).read, secrets.token_bytes)
        aside = put_back(file, database, vault)
        run(_enter(database, vault))
    except (ConfigError, OSError) as error:
        fail(why(error), WRONG_USE)
    typer.echo(f"restored {database} from {file}")
    if aside:
        typer.echo(f"what was there before: {aside}")


async def _enter(database: Path, vault: "Vault") -> None:
    """The restore into the audit, which goes on from where the backup was made."""
    from parcelwire.domain.audit import BY_OWNER, OPERATOR, Deed
    from parcelwire.net.clock import SystemClock
    from parcelwire.store.sqlite import SqliteStore

    store = await SqliteStore.open(database, vault)
    try:
        await store.enter(OPERATOR, Deed(BY_OWNER, SystemClock().now(), "restore", "database"))
    finally:
        await store.close()


def _settings() -> "tuple[Settings, Path]":
    """Settings, and where the database is."""
    import os

    from parcelwire.app import settings_from
    from parcelwire.domain.errors import ConfigError

    settings = settings_from(os.environ)
    if settings.on_postgres:
        raise ConfigError("the database is PostgreSQL: use pg_dump and pg_restore")
    return settings, Path(settings.database)
