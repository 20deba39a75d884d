"""``parcelwire config``."""

from typing import Annotated, Any

import typer

from parcelwire.cli.output import WRONG_USE, fail, say_json

config_app = typer.Typer(no_args_is_help=True, help="Settings.")

HIDDEN = "(hidden)"


@config_app.command("show")
def show(as_json: Annotated[bool, typer.Option("--json", help="Stable JSON.")] = False) -> None:
    """Show every setting, where its value came from, and no secret."""
    import os

    from parcelwire.app import settings_from
    from parcelwire.domain.errors import ConfigError

    try:
        rows = _rows(settings_from(os.environ))
    except ConfigError as error:
        fail(str(error), WRONG_USE)
    if as_json:
        say_json({"settings": rows})
        return
    for row in rows:
        typer.echo(f"{row['name']} = {row['value']}    ({row['from']})")


def _rows(settings: Any) -> list[dict[str, str]]:
    from parcelwire.config import CARRIER, PREFIX, SETTINGS, without_password

    rows = []
    for setting in SETTINGS:
        value = getattr(settings, setting.key)
        shown = HIDDEN if setting.secret and value is not None else without_password(_text(value))
        rows.append(
            {"name": setting.name, "value": shown, "from": settings.origins.get(setting.name, "default")}
        )
    for slug, given in sorted(settings.carriers.items()):
        prefix = f"{PREFIX}{CARRIER}{slug}_".upper()
        if given.url:
            rows.append(
                {
                    "name": f"{prefix}URL",
                    "value": without_password(given.url),
                    "from": _origin(settings, f"{prefix}URL"),
                }
            )
        for name in sorted(given.secrets):
            full = f"{prefix}{name.upper()}"
            rows.append({"name": full, "value": HIDDEN, "from": _origin(settings, full)})
    for name, nearest in settings.unknown.items():
        meant = f"; did you mean {nearest}?" if nearest else ""
        rows.append({"name": name, "value": "", "from": f"not a setting: ignored{meant}"})
    return rows


def _origin(settings: Any, name: str) -> str:
    origin: str = settings.origins.get(name, "default")
    return origin


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ("" if not value else ":" if isinstance(value[0], str) else ",").join(
            str(part) for part in value
        )
    return "" if value is None else str(value)
