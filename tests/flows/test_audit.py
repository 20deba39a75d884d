"""Whatever the owner changes is in the audit: who, what, which fields, and never a value."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.service import SECRET, World

from parcelwire.flows.verbs import VERBS
from parcelwire.store.keyfile import KeyFile

NEW_SECRET = "whsec_YW5vdGhlci1zZWNyZXQtYW5vdGhlci1zZWNyZXQ="
# What each verb is given, in this order, and what is recorded of it.
CHANGES: dict[str, tuple[dict[str, str], tuple[str, str, list[str]]]] = {
    "plan": ({"plan": "free"}, ("account.plan", "account shop", ["plan", "quota_total"])),
    "carriers": ({"list": "[]"}, ("carriers.import", "carriers", [])),
    "add_account": ({"name": "depot"}, ("account.add", "account depot", [])),
    "suspend": ({"account": "depot"}, ("account.suspend", "account depot", ["enabled"])),
    "resume": ({"account": "depot"}, ("account.resume", "account depot", ["enabled"])),
    "limit": ({"daily": "7"}, ("account.limit", "account shop", ["max_daily"])),
    "allow": ({"networks": "192.0.2.0/24"}, ("account.allow", "account shop", ["networks"])),
    "add_key": ({"sign": "1"}, ("key.add", "key ID-2", ["sign_key"])),
    "revoke_key": ({"prefix": "ID-2", "force": "1"}, ("key.revoke", "key ID-2", [])),
    "webhooks-add": (
        {"url": "https://shop.example/two?token=canary", "secret": NEW_SECRET},
        ("webhook.add", "webhook 2", []),
    ),
    "webhooks-pause": ({"id": "2"}, ("webhook.pause", "webhook 2", ["state"])),
    "webhooks-resume": ({"id": "2"}, ("webhook.resume", "webhook 2", ["state"])),
    "webhooks-rotate": ({"id": "2", "secret": SECRET}, ("webhook.rotate", "webhook 2", ["secret"])),
    "webhooks-remove": ({"id": "2"}, ("webhook.remove", "webhook 2", [])),
    "secrets-rotate": ({}, ("secrets.rotate", "secret key", [])),
    "secrets-finish": ({}, ("secrets.finish", "secret key", [])),
}
# These look, or do what is in a history of its own: refreshes, pushes.
NO_CHANGE = {
    "explain", "advance", "upstream", "accounts", "keys", "webhooks-list", "webhooks-test", "webhooks-replay",
    "webhooks-log", "audit-list", "audit-verify", "doctor", "parked", "parked-resume",
    "inbox", "inbox-show", "inbox-retry", "inbox-dismiss",
}  # fmt: skip


def test_every_verb_is_known_as_a_change_or_as_none() -> None:
    """A new one has to be put into one of the two lists."""
    assert set(CHANGES) | NO_CHANGE == set(VERBS)
    assert not set(CHANGES) & NO_CHANGE


@pytest.fixture
def keyed(world: World, tmp_path: Path) -> World:
    """With a secret key that can be replaced."""
    file = KeyFile(tmp_path / "secret.key", bytes)
    file.make_first()
    world.context = replace(world.context, keyring=file)
    return world


async def test_every_change_is_recorded_and_no_value_is(keyed: World) -> None:
    context = keyed.context
    for verb, (values, recorded) in CHANGES.items():
        before = len((await VERBS["audit-list"](context, {}))["records"])
        await VERBS[verb](context, values)
        rows = (await VERBS["audit-list"](context, {}))["records"]
        assert len(rows) == before + 1, verb
        found = [(row["action"], row["object"], row["fields"]) for row in rows if row["actor"] == "cli"]
        assert recorded in found, verb
    text = json.dumps((await VERBS["audit-list"](context, {}))["records"])
    for value in ("canary", SECRET, NEW_SECRET, "192.0.2.0", "shop.example"):
        assert value not in text
    answer = await VERBS["audit-verify"](context, {})
    assert answer["whole"]
    assert {row["account"]: row["records"] for row in answer["chains"]} == {
        "(operator)": 3, "shop": 10, "depot": 3,
    }  # fmt: skip


async def test_a_list_of_one_account_shows_its_own_chain(world: World) -> None:
    await VERBS["add_account"](world.context, {"name": "depot"})
    await VERBS["plan"](world.context, {"plan": "free"})
    rows = (await VERBS["audit-list"](world.context, {"account": "shop"}))["records"]
    assert [(row["account"], row["n"], row["action"]) for row in rows] == [("shop", 1, "account.plan")]
