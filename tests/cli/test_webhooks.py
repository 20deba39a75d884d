"""``parcelwire webhooks``: the same with a running service and on the file alone."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.process.child import SECRET, Sink, environment, serve, sink_server

from .test_commands import everything_in, run

pytestmark = pytest.mark.process


async def ask(environ: dict[str, str], *arguments: str, code: int = 0) -> Any:
    """The JSON answer of a command."""
    got, out, err = await run(environ, "webhooks", *arguments, "--json")
    assert got == code, err
    return json.loads(out)


async def test_a_receiver_is_added_steered_and_removed_without_a_service(tmp_path: Path) -> None:
    """Its secret is shown once and lies nowhere in clear."""
    environ = environment(tmp_path, PARCELWIRE_WEBHOOK_URL="https://shop.example/hook")
    async with serve(environ):
        pass
    added = await ask(
        environ, "add", "https://two.example/hook", "--events", "TRACKING_UPDATED",
        "--statuses", "Delivered,Exception", "--compat", "--timeout", "5",
    )  # fmt: skip
    assert added["secret"].startswith("whsec_")
    assert (added["schedule"], added["timeout_s"]) == ("compat", 5.0)
    first, second = (await ask(environ, "list"))["webhooks"]
    assert (first["by_setting"], first["state"], first["pending"]) == (True, "healthy", 0)
    assert (second["events"], second["statuses"]) == (["TRACKING_UPDATED"], ["Delivered", "Exception"])
    assert "secret" not in second
    webhook = str(second["id"])
    paused = await ask(environ, "pause", webhook)
    assert (paused["state"], paused["why"]) == ("paused", "by the operator")
    assert (await ask(environ, "resume", webhook))["state"] == "healthy"
    rotated = await ask(environ, "rotate", webhook)
    assert rotated["secret"] != added["secret"]
    assert (await ask(environ, "list"))["webhooks"][1]["both_secrets_until"] == rotated["both_until"]
    code, _, err = await run(environ, "webhooks", "rotate", webhook)
    assert (code, f"until {rotated['both_until']}" in err, "--force" in err) == (1, True, True)
    again = await ask(environ, "rotate", webhook, "--force")
    for secret in (added["secret"], rotated["secret"], again["secret"]):
        assert secret.encode() not in everything_in(tmp_path)
    assert (await ask(environ, "remove", webhook))["removed"]
    assert len((await ask(environ, "list"))["webhooks"]) == 1


WRONG = (
    (("add", "https://10.0.0.1/hook"), "not public"),
    (("add", "https://10.0.0.1/hook"), "PARCELWIRE_EGRESS_ALLOW"),
    (("add", "https://shop.example", "--statuses", "delivered"), "'delivered' is none of NotFound, InfoRec"),
    (("add", "https://shop.example", "--events", "FOO"), "none of TRACKING_UPDATED, TRACKING_STOPPED"),
    (("add", "https://shop.example", "--timeout", "60"), "1 to 30"),
    (("add", "https://shop.example", "--secret", "abc"), "whsec_"),
    (("remove", "77"), "no webhook 77"),
    (("replay",), "say which"),
    (("replay", "--since", "yesterday"), "how long ago"),
    (("log", "--state", "lost"), "'lost' is none of pending, sent, superseded, dead"),
)


async def test_what_is_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    async with serve(environ):
        answers = await asyncio.gather(*(run(environ, "webhooks", *arguments) for arguments, _ in WRONG))
    for (code, _, err), (arguments, told) in zip(answers, WRONG, strict=True):
        assert code == 1, arguments
        assert told in err
        assert len(err.splitlines()) == 1


async def test_a_listing_tells_what_was_chosen_and_when_there_is_nothing(tmp_path: Path) -> None:
    """The account when there are several; retries, time limit and two secrets only where they are so."""
    environ = environment(tmp_path)
    async with serve(environ):
        assert "webhooks add URL" in (await run(environ, "webhooks", "list"))[1]
        assert (await run(environ, "webhooks", "log"))[1] == "there is no such push\n"
        await ask(environ, "add", "https://one.example/hook", "--compat", "--timeout", "5")
        both_until = (await ask(environ, "rotate", "1"))["both_until"]
        _, out, _ = await run(environ, "webhooks", "list")
        assert out.splitlines() == [
            "1  https://one.example/hook  healthy  compat  within 5 s",
            f"   the secret before signs too until {both_until}",
            "   0 waiting, 0 given up",
        ]
        assert (await run(environ, "accounts", "add", "depot"))[0] == 0
        await ask(environ, "add", "https://two.example/hook", "--account", "depot")
        _, out, _ = await run(environ, "webhooks", "list")
        assert "1  https://one.example/hook  account main  healthy" in out
        assert "2  https://two.example/hook  account depot  healthy\n" in out


async def arrive(sink: Sink, count: int, push: str | None = None) -> None:
    """Wait until so many pushes, or one of them so often, were taken."""
    for _ in range(200):
        if (sink.accepted.get(push, 0) if push else len(sink.accepted)) >= count:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("they did not arrive")


async def test_with_a_running_service_pushes_are_shown_tested_and_sent_again(tmp_path: Path) -> None:
    """A replay comes with the same id and the same bytes."""
    async with sink_server() as sink:
        environ = environment(tmp_path, PARCELWIRE_WEBHOOK_URL=sink.url)
        async with serve(environ) as child:
            assert (await ask(environ, "test", "1"))["taken"]
            await child.call("register", [{"number": "SANDBOXJOURNEY1"}])
            await arrive(sink, 4)  # the test, and three changes
            pushes = (await ask(environ, "log", "--number", "SANDBOXJOURNEY1"))["pushes"]
            sent = [push for push in pushes if push["state"] == "sent"]
            assert len(sent) >= 3
            assert sent[0]["log"][0]["http_status"] == 200
            again = sent[-1]["push"]
            assert await ask(environ, "replay", again) == {"replayed": 1}
            await arrive(sink, 2, again)
            assert len(sink.bodies[again]) == 1
            assert sink.forged == 0
            code, out, _ = await run(environ, "webhooks", "list")
            assert code == 0
            assert "healthy" in out
            assert SECRET not in out


async def test_a_receiver_that_refuses_is_told_by_the_test(tmp_path: Path) -> None:
    environ = environment(tmp_path, PARCELWIRE_WEBHOOK_URL="http://127.0.0.1:9/hook")
    async with serve(environ):
        answer = await ask(environ, "test", "1", code=1)
    assert not answer["taken"]
    assert answer["detail"]
