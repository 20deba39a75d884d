"""``doctor`` finds what is wrong, and nothing on a service that is well."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.service import NOON, World

from parcelwire.domain.endpoint import Signal
from parcelwire.domain.lane import Lane
from parcelwire.flows.doctor import doctor
from parcelwire.ports import InboxState
from parcelwire.store.keyfile import KeyFile


async def found(world: World, **values: str) -> dict[str, tuple[str, str]]:
    answer: dict[str, Any] = await doctor(world.context, values)
    return {check["name"]: (check["state"], check["detail"]) for check in answer["checks"]}


def change(folder: Path, *statements: str) -> None:
    """Past the store."""
    with closing(sqlite3.connect(folder / "parcelwire.db", isolation_level=None)) as connection:
        for sql in statements:
            connection.execute(sql)


async def test_a_service_that_is_well_has_nothing_to_tell(world: World) -> None:
    await world.register("SANDBOXJOURNEY1")
    await world.turn()
    checks = await found(world, ledger="1")
    assert {state for state, _ in checks.values()} == {"ok"}
    assert list(checks) == [
        "database", "accounts", "secret key", "audit", "lanes", "receivers", "inbox", "quota",
    ]  # fmt: skip


async def test_what_somebody_should_look_at_is_a_warning(world: World, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "secret.key", bytes)
    keys.make_first()
    keys.add()
    world.context = replace(world.context, keyring=keys)
    await world.register("SANDBOXJOURNEY1")
    (endpoint,) = await world.store.endpoints(world.account.id)
    await world.store.steer_endpoint(world.account.id, endpoint.id, Signal.PAUSE, NOON)
    lane = Lane("sandbox", 1, blocked_until=NOON.replace(hour=13), blocked_why="it is tired")
    await world.store.save_lane(lane, 0)
    await world.store.keep_inbound("ups", b"x", NOON)
    await world.store.finish_inbound(1, InboxState.PARKED, "unreadable")
    await world.store.save_account(replace(world.account, enabled=False))
    checks = await found(world)
    assert {name: state for name, (state, _) in checks.items()} == {
        "database": "ok", "accounts": "warning", "secret key": "warning", "audit": "ok", "lanes": "warning",
        "receivers": "warning", "inbox": "warning",
    }  # fmt: skip
    assert "sandbox until 2026-03-02T13:00:00Z (it is tired)" in checks["lanes"][1]
    assert "1 paused (by the operator)" in checks["receivers"][1]


async def test_a_promise_that_does_not_hold_is_wrong(world: World, tmp_path: Path) -> None:
    """A counter that is not the sum of its ledger, a record of the audit that is gone."""
    await world.register("SANDBOXJOURNEY1", "SANDBOXJOURNEY2")
    await world.open_account("depot")
    change(
        tmp_path,
        "UPDATE quota_used SET units = 7 WHERE account = (SELECT id FROM account WHERE name = 'shop')",
        "INSERT INTO quota_used SELECT id, '2026-01', 3 FROM account WHERE name = 'depot'",
        "INSERT INTO audit_head VALUES (1, 2, x'00', x'00')",
    )
    checks = await found(world, ledger="1")
    assert checks["quota"] == (
        "wrong",
        "shop in 2026-03: counted 7, the ledger has 2; depot in 2026-01: counted 3, the ledger has 0",
    )
    assert checks["audit"] == ("wrong", "shop: the head was changed")
