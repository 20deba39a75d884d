"""Commands for accounts and their login keys."""

from typing import Annotated, Any

import typer

from parcelwire.cli.output import say_json
from parcelwire.cli.owner import Json, call

accounts_app = typer.Typer(no_args_is_help=True, help="Accounts, their plans and limits.")
keys_app = typer.Typer(no_args_is_help=True, help="Login keys (17token) of accounts.")

Account = Annotated[str, typer.Option(help="Name of the account; the first one without it.")]
Plan = Annotated[str, typer.Argument(help="free, unlimited, or a number of quota units a month.")]


def _tell(answer: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        say_json(answer)
    else:
        typer.echo(text)


def _line(row: dict[str, Any]) -> str:
    used = f"{row['quota_used']} of {row['quota_total']} used this month"
    parts = [f"{row['name']}: plan {row['plan']}, {used}"]
    if row["daily"]:
        parts.append(f"at most {row['daily']} registrations a day")
    if row["networks"]:
        parts.append(f"only from {', '.join(row['networks'])}")
    if row["suspended"]:
        parts.append("suspended")
    return ", ".join(parts)


def _key_line(key: dict[str, Any]) -> str:
    state = f"revoked {key['revoked_at']}" if key["revoked_at"] else "live"
    signs = ", signs webhooks" if key["signs"] else ""
    return f"{key['prefix']}... since {key['created_at']}, {state}{signs}"


def _of(account: str) -> dict[str, str]:
    return {"account": account} if account else {}


@accounts_app.command("list")
def list_accounts(as_json: Json = False) -> None:
    """Show all accounts with their plan, quota and limits."""
    answer = call("accounts", {})
    _tell(answer, as_json, "\n".join(_line(row) for row in answer["accounts"]))


@accounts_app.command("add")
def add_account(
    name: Annotated[str, typer.Argument(help="Name of the new account.")],
    plan: Annotated[str, typer.Option(help="free, unlimited, or a number of quota units a month.")] = "free",
    daily: Annotated[int, typer.Option(min=0, help="Most registrations a day; 0: no limit.")] = 0,
    allow: Annotated[str, typer.Option(help="Networks that calls may come from, comma-separated.")] = "",
    as_json: Json = False,
) -> None:
    """Make an account and show its login key, once."""
    answer = call("add_account", {"name": name, "plan": plan, "daily": str(daily), "networks": allow})
    _tell(answer, as_json, f"{_line(answer)}\nlogin key (17token), shown only now: {answer['login_key']}")


@accounts_app.command("plan")
def set_plan(plan: Plan, account: Account = "", as_json: Json = False) -> None:
    """Give an account another plan."""
    answer = call("plan", {"plan": plan} | _of(account))
    text = f"{answer['name']}: plan {answer['plan']}, {answer['quota_total']} quota units a month"
    _tell(answer, as_json, text)


@accounts_app.command("limit")
def limit(
    daily: Annotated[int, typer.Argument(min=0, help="Most registrations a day (UTC); 0: no limit.")],
    account: Account = "",
    as_json: Json = False,
) -> None:
    """Limit the registrations of an account in a day."""
    answer = call("limit", {"daily": str(daily)} | _of(account))
    _tell(answer, as_json, _line(answer))


@accounts_app.command("allow")
def allow(
    networks: Annotated[list[str] | None, typer.Argument(help="Networks or addresses; none: all.")] = None,
    account: Account = "",
    as_json: Json = False,
) -> None:
    """Let calls of an account come from these networks only."""
    answer = call("allow", {"networks": ",".join(networks or [])} | _of(account))
    _tell(answer, as_json, _line(answer))


@accounts_app.command("suspend")
def suspend(account: Annotated[str, typer.Argument(help="Its name.")], as_json: Json = False) -> None:
    """Refuse all calls of an account; its shipments are tracked as before."""
    answer = call("suspend", {"account": account})
    _tell(answer, as_json, _line(answer))


@accounts_app.command("resume")
def resume(account: Annotated[str, typer.Argument(help="Its name.")], as_json: Json = False) -> None:
    """Let a suspended account call again."""
    answer = call("resume", {"account": account})
    _tell(answer, as_json, _line(answer))


@keys_app.command("list")
def list_keys(account: Account = "", as_json: Json = False) -> None:
    """Show the login keys of an account by their first characters, and which one signs webhooks."""
    answer = call("keys", _of(account))
    lines = [_key_line(key) for key in answer["keys"]]
    if not any(key["signs"] for key in answer["keys"]):
        lines.append("webhooks are signed with another key, that of PARCELWIRE_WEBHOOK_SIGN_KEY")
    _tell(answer, as_json, "\n".join([f"{answer['account']}:", *lines]))


@keys_app.command("add")
def add_key(
    account: Account = "",
    sign: Annotated[bool, typer.Option("--sign", help="It signs webhooks too, from now on.")] = False,
    as_json: Json = False,
) -> None:
    """Make a second login key and show it, once; the old one works until it is revoked."""
    answer = call("add_key", _of(account) | ({"sign": "1"} if sign else {}))
    text = f"{answer['account']}: login key (17token), shown only now: {answer['login_key']}"
    _tell(answer, as_json, text)


@keys_app.command("revoke")
def revoke_key(
    prefix: Annotated[str, typer.Argument(help="Its first characters, as 'keys list' shows them.")],
    account: Account = "",
    force: Annotated[bool, typer.Option("--force", help="Also the last one, or the one that signs.")] = False,
    as_json: Json = False,
) -> None:
    """End a login key: nobody gets in with it from five seconds later on."""
    answer = call("revoke_key", {"prefix": prefix} | _of(account) | ({"force": "1"} if force else {}))
    _tell(answer, as_json, f"{answer['account']}: {prefix}... is revoked")
