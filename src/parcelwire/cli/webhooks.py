"""``parcelwire webhooks``: receivers, their state, their log; with or without a running service."""

from typing import Annotated, Any

import typer

from parcelwire.cli.output import FAILED, say_json
from parcelwire.cli.owner import Json, call

webhooks_app = typer.Typer(no_args_is_help=True, help="Webhook receivers: add, pause, test, send again.")

Id = Annotated[str, typer.Argument(help="Number of the receiver, as 'list' shows it.")]
AccountName = Annotated[str, typer.Option("--account", help="Name of an account.")]
Since = Annotated[str, typer.Option(help="Changes since: 2026-05-04T12:00:00Z, or 90s, 30m, 2h, 3d ago.")]
Before = Annotated[str, typer.Option(help="Changes before this time.")]
Webhook = Annotated[str, typer.Option("--webhook", help="Number of a receiver.")]
Number = Annotated[str, typer.Option(help="A tracking number.")]
State = Annotated[str, typer.Option(help="pending, sent, superseded or dead.")]


def ask(verb: str, **values: str) -> dict[str, Any]:
    """Only what was given goes along."""
    return call(f"webhooks-{verb}", {name: value for name, value in values.items() if value})


@webhooks_app.command("list")
def listed(account: AccountName = "", as_json: Json = False) -> None:
    """Show all receivers, their state, and what waits for them."""
    answer = ask("list", account=account)
    if as_json:
        say_json(answer)
        return
    if not answer["webhooks"]:
        typer.echo("there is no webhook receiver: add one with 'parcelwire webhooks add URL'")
    several = len({row["account"] for row in answer["webhooks"]}) > 1
    for row in answer["webhooks"]:
        _say(row, with_account=several)
        typer.echo(f"   {row['pending']} waiting, {row['dead']} given up")


@webhooks_app.command()
def add(  # noqa: PLR0913, PLR0917 - options of a command
    url: Annotated[str, typer.Argument(help="Where to post to.")],
    account: AccountName = "",
    events: Annotated[str, typer.Option(help="TRACKING_UPDATED or TRACKING_STOPPED; both without.")] = "",
    statuses: Annotated[str, typer.Option(help="Only updates to these, e.g. Delivered,Exception.")] = "",
    compat: Annotated[bool, typer.Option("--compat", help="17TRACK's retries: 10, 30, 60 minutes.")] = False,
    timeout: Annotated[str, typer.Option(help="Seconds that an attempt may take, 1 to 30.")] = "",
    secret: Annotated[str, typer.Option(help="whsec_...; random without.")] = "",
    stopped_by_request: Annotated[bool, typer.Option(help="Tell of stops by request too.")] = True,
    as_json: Json = False,
) -> None:
    """Add a receiver; its secret is shown only now."""
    answer = ask(
        "add",
        url=url,
        account=account,
        events=events,
        statuses=statuses,
        compat="1" if compat else "",
        timeout=timeout,
        secret=secret,
        stopped_by_request="1" if stopped_by_request else "0",
    )
    if as_json:
        say_json(answer)
        return
    _say(answer)
    typer.echo(f"   secret, shown only now: {answer['secret']}")


@webhooks_app.command()
def remove(webhook: Id, as_json: Json = False) -> None:
    """Remove a receiver with everything that waits for it."""
    answer = ask("remove", id=webhook)
    if as_json:
        say_json(answer)
    else:
        typer.echo(f"{answer['id']}  {answer['url']}  removed")


@webhooks_app.command()
def pause(webhook: Id, as_json: Json = False) -> None:
    """Send nothing to a receiver; what happens is kept for it."""
    answer = ask("pause", id=webhook)
    if as_json:
        say_json(answer)
    else:
        _say(answer)


@webhooks_app.command()
def resume(webhook: Id, as_json: Json = False) -> None:
    """Send again to a receiver, oldest first."""
    answer = ask("resume", id=webhook)
    if as_json:
        say_json(answer)
    else:
        _say(answer)


@webhooks_app.command()
def rotate(
    webhook: Id,
    secret: Annotated[str, typer.Option(help="whsec_...; random without.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Also while two sign: the older one ends.")] = False,
    as_json: Json = False,
) -> None:
    """Give a receiver a new secret; for 24 hours the one before signs too."""
    answer = ask("rotate", id=webhook, secret=secret, force="1" if force else "")
    if as_json:
        say_json(answer)
        return
    typer.echo(f"{answer['id']}  secret, shown only now: {answer['secret']}")
    typer.echo(f"   the one before signs too until {answer['both_until']}")


@webhooks_app.command("test")
def send_test(webhook: Id, as_json: Json = False) -> None:
    """Send one signed message that is about no shipment, now."""
    answer = ask("test", id=webhook)
    if as_json:
        say_json(answer)
    elif answer["taken"]:
        typer.echo(f"{answer['url']}: HTTP {answer['http_status']} after {answer['ms']} ms")
    else:
        typer.echo(f"{answer['url']}: {answer['detail']}")
    if not answer["taken"]:
        raise typer.Exit(FAILED)


@webhooks_app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of pushes (msg_...).")] = None,
    webhook: Webhook = "",
    number: Number = "",
    state: State = "",
    since: Since = "",
    before: Before = "",
    account: AccountName = "",
    as_json: Json = False,
) -> None:
    """Send pushes again that were sent, superseded or given up: same ids, same bytes."""
    answer = ask(
        "replay", ids=",".join(ids or ()), id=webhook, number=number, state=state, since=since,
        before=before, account=account,
    )  # fmt: skip
    if as_json:
        say_json(answer)
    else:
        typer.echo(f"{answer['replayed']} pushes will be sent again")


@webhooks_app.command()
def log(
    webhook: Webhook = "",
    number: Number = "",
    state: State = "",
    since: Since = "",
    before: Before = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 20,
    account: AccountName = "",
    as_json: Json = False,
) -> None:
    """Show the newest pushes, every attempt, and what the receiver said."""
    answer = ask(
        "log", id=webhook, number=number, state=state, since=since, before=before, limit=str(limit),
        account=account,
    )  # fmt: skip
    if as_json:
        say_json(answer)
        return
    if not answer["pushes"]:
        typer.echo("there is no such push")
    for row in answer["pushes"]:
        typer.echo(
            f"{row['push']}  {row['created_at']}  {row['number']}  {row['event']} {row['version']}  "
            f"{row['state']}  to webhook {row['webhook']}"
        )
        for one in row["log"]:
            said = f": {one['body_start'][:80]!r}" if one["body_start"] else ""
            typer.echo(f"   {one['n']}. {one['at']}  {one['detail']} ({one['ms']} ms){said}")


def _say(row: dict[str, Any], *, with_account: bool = False) -> None:
    account = [f"account {row['account']}"] if with_account else []
    typer.echo("  ".join([str(row["id"]), row["url"], *account, row["state"], *_choices(row)]))
    if row["why"]:
        typer.echo(f"   since {row['since']}: {row['why']}")
    if row["next_probe"]:
        typer.echo(f"   next probe {row['next_probe']}")
    if row["both_secrets_until"]:
        typer.echo(f"   the secret before signs too until {row['both_secrets_until']}")


def _choices(row: dict[str, Any]) -> list[str]:
    """What was chosen for a receiver."""
    only = ", ".join([*row["events"], *row["statuses"]])
    chosen = [f"only {only}"] if only else []
    if row["schedule"] == "compat":
        chosen.append("compat")
    if row["timeout_s"]:
        chosen.append(f"within {row['timeout_s']:g} s")
    return chosen
