"""``parcelwire doctor``: everything that may be wrong, on one screen."""

from typing import Annotated

import typer

from parcelwire.cli.output import FAILED, say_json
from parcelwire.cli.owner import Json, call


def doctor(
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Add all quota entries up again; reads the whole ledger.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look at settings, keys, audit, carriers, receivers and inbox. Exit 1 when a promise does not hold."""
    checks = [_settings(), *call("doctor", {"ledger": "1"} if ledger else {})["checks"]]
    if as_json:
        say_json({"checks": checks})
    else:
        for check in checks:
            typer.echo(f"{check['state']:8} {check['name']}: {check['detail']}")
    if any(check["state"] == "wrong" for check in checks):
        raise typer.Exit(FAILED)


def _settings() -> dict[str, str]:
    """Names that are no setting."""
    import os

    from parcelwire.app import settings_from
    from parcelwire.cli.output import WRONG_USE, fail
    from parcelwire.domain.errors import ConfigError

    try:
        unknown = settings_from(os.environ).unknown
    except ConfigError as error:
        fail(str(error), WRONG_USE)
    told = [f"{name} is not a setting" + (f", {near} is" if near else "") for name, near in unknown.items()]
    state = "warning" if told else "ok"
    return {"name": "settings", "state": state, "detail": "; ".join(told) or "all are known"}
