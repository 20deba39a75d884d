"""What only a file can do: start, stop, be killed, be full, be old, be somebody else's."""

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from tests.store.conftest import SqlitePlace, vault
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    LOGIN_KEY,
    NOW,
    SECOND,
    SECRET,
    SIGN_KEY,
    URL,
    account_in,
    change_of,
    claimed,
    fail_times,
    history,
    jobs_due,
    prune,
    receiver,
    refreshed,
    sent,
    stop,
    stored,
    tracked,
    update,
    wanted,
)

from parcelwire.domain.account import Account
from parcelwire.domain.errors import ConfigError, StoreUnavailable
from parcelwire.domain.exchange import Reply
from parcelwire.domain.push import SUPERSEDE_AFTER, Chosen, PushState
from parcelwire.domain.shipment import Phase
from parcelwire.ports import Charge, Document, Old, Store
from parcelwire.store.rows import micros
from parcelwire.store.sqlite import SqliteStore, refreshes
from parcelwire.store.sqlite.file import migrate, steps
from parcelwire.store.vault import Vault, secret_place, sign_key_place

DOCUMENT = Document(b"{}", b"null")
RAW = Reply(200, {}, b"raw")
ROOT = Path(__file__).parents[2]


def child(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process with the same code."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    )


# --- secrets ----------------------------------------------------------------------------------------------


async def test_no_secret_is_readable_in_any_file(file: SqlitePlace) -> None:
    store = await file.open()
    account = await account_in(store)
    await receiver(store, account)
    await store.set_sign_key(account.id, SIGN_KEY + "-2")
    await change_of(store, await tracked(store, account), update(1))
    assert (await jobs_due(store))[0].sign_key == SIGN_KEY + "-2"

    def on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(file.path.parent.iterdir()))

    while_open = on_disk()
    await file.close()
    for contents in (while_open, on_disk()):
        assert account.name.encode() in contents  # the right files were read
        for secret in (LOGIN_KEY, SIGN_KEY, SECRET):
            assert secret.encode() not in contents
            assert secret[6:].encode() not in contents


async def test_another_master_key_is_refused_at_once(file: SqlitePlace) -> None:
    """Else every caller would be told that its key is wrong."""
    store = await file.open()
    await account_in(store)
    await file.close()
    with pytest.raises(ConfigError, match="PARCELWIRE_SECRET_KEY"):
        await SqliteStore.open(file.path, Vault(bytes(32), bytes))
    assert await (await file.open()).account_of_key(LOGIN_KEY) is not None


async def test_a_secret_moved_to_another_row_does_not_open(file: SqlitePlace) -> None:
    store = await file.open()
    one = await account_in(store)
    two = await account_in(store, name="two", login_key="two")
    await receiver(store, one)
    await receiver(store, two)
    await file.rows("UPDATE endpoint SET secret = (SELECT secret FROM endpoint WHERE account = ?)", one.id)
    assert await store.endpoint(one.id) is not None
    with pytest.raises(ConfigError, match="endpoint/2/secret"):
        await store.endpoint(two.id)


# --- starting and stopping --------------------------------------------------------------------------------


async def test_leases_of_a_dead_process_are_due_at_once(file: SqlitePlace) -> None:
    store = await file.open()
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    await change_of(store, shipment, update(1), update(2))
    later = await tracked(store, account, at=NOW + DAY)
    looked_up = await store.look_up(account.id, wanted(), NOW)
    old = await store.claim_one(shipment.id, NOW + LEASE, "dead")
    await store.claim_one(looked_up.id, NOW + LEASE, "dead")
    (old_job,) = await jobs_due(store)
    assert old is not None
    store = await file.open()
    assert await store.complete([refreshed(old.shipment)]) == 1
    assert await store.finish_pushes([sent(old_job)]) == 1
    assert [due.shipment.id for due in await claimed(store)] == [shipment.id]
    assert [job.version for job in await jobs_due(store)] == [1]
    assert (await stored(store, later)).refresh_at == NOW + DAY
    assert (await stored(store, looked_up)).refresh_at is None


async def test_ids_of_pushes_differ_between_two_databases(tmp_path: Path) -> None:
    ids = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        place = SqlitePlace(tmp_path / name)
        store = await place.open()
        account = await account_in(store)
        await receiver(store, account)
        await change_of(store, await tracked(store, account), update(1))
        ids.add((await jobs_due(store))[0].id)
        await place.close()
    assert len(ids) == 2


async def test_a_closed_store_says_so(file: SqlitePlace) -> None:
    """Instead of waiting for ever."""
    store = await file.open()
    account = await account_in(store)
    await file.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.register(account.id, [wanted()], NOW)
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.accounts()


HOLDER = """
import asyncio, sys
from pathlib import Path
from tests.store.conftest import vault
from parcelwire.store.rows import micros
from parcelwire.store.sqlite import SqliteStore, refreshes

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]), vault())
    print("open", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_second_process_is_refused_and_told_who_holds_the_file(file: SqlitePlace) -> None:
    holder = child(HOLDER, str(file.path))
    try:
        assert holder.stdout is not None
        assert await asyncio.to_thread(holder.stdout.readline) == "open\n"
        with pytest.raises(ConfigError, match=rf"pid {holder.pid}\b.*PARCELWIRE_DATABASE"):
            await file.open()
    finally:
        holder.kill()
        holder.communicate()
    store = await file.open()  # its death lets others in
    assert await store.accounts() == []


async def test_a_second_store_in_one_process_is_refused_too(file: SqlitePlace) -> None:
    await file.open()
    with pytest.raises(ConfigError, match=f"pid {os.getpid()}"):
        await SqliteStore.open(file.path, vault())


async def test_what_is_not_ours_is_refused_and_left_alone(file: SqlitePlace) -> None:
    file.path.write_bytes(b"dear diary, " * 500)
    for _ in range(2):  # and the lock is free again after a refusal
        with pytest.raises(ConfigError, match="is not a SQLite database"):
            await file.open()
    assert file.path.read_bytes() == b"dear diary, " * 500


async def test_a_folder_that_cannot_be_written_is_named(file: SqlitePlace) -> None:
    file.path.with_name("parcelwire.db.lock").mkdir()
    with pytest.raises(ConfigError, match=re.escape(f"cannot write {file.path}.lock")):
        await file.open()


# --- schema -----------------------------------------------------------------------------------------------


async def test_a_newer_schema_is_refused_untouched(file: SqlitePlace) -> None:
    await file.open()
    await file.close()
    await file.rows("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match=r"newer parcelwire \(schema 99"):
        await file.open()
    assert await file.rows("PRAGMA user_version") == [(99,)]


async def test_a_copy_is_kept_before_the_schema_changes(
    file: SqlitePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await file.open()
    account = await account_in(store)
    shipment = await tracked(store, account)
    await file.close()
    known = steps()
    further = "ALTER TABLE shipment ADD COLUMN colour TEXT;\nUPDATE shipment SET colour = 'red';"
    monkeypatch.setattr("parcelwire.store.sqlite.file.steps", lambda: [*known, (98, further)])
    store = await file.open()
    assert await stored(store, shipment) == shipment
    assert await file.rows("SELECT colour FROM shipment") == [("red",)]
    await file.close()
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="newer"):
        await file.open()
    copy = file.path.with_name(f"parcelwire.db.schema-{known[-1][0]}")
    copy.rename(file.path)
    for rest in ("-wal", "-shm"):
        file.path.with_name(f"parcelwire.db{rest}").unlink(missing_ok=True)
    store = await file.open()  # the way back that the message names
    assert await stored(store, shipment) == shipment


async def test_a_step_that_fails_changes_nothing(file: SqlitePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await file.open()
    shipment = await tracked(store, await account_in(store))
    await file.close()
    known = steps()
    broken = "DELETE FROM shipment;\nALTER TABLE nowhere ADD COLUMN colour TEXT;"
    monkeypatch.setattr("parcelwire.store.sqlite.file.steps", lambda: [*known, (98, broken)])
    with pytest.raises(ConfigError, match=r"schema 98.*nowhere"):
        await file.open()
    monkeypatch.undo()
    store = await file.open()
    assert await stored(store, shipment) == shipment


def test_the_steps_make_the_same_schema_at_once_or_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = steps()
    schemas: list[list[tuple[str | None]]] = []
    for counts in ([len(known)], range(1, len(known) + 1)):
        path = tmp_path / f"{len(schemas)}.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for count in counts:
                monkeypatch.setattr("parcelwire.store.sqlite.file.steps", lambda count=count: known[:count])
                migrate(connection, path)
            schemas.append(connection.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall())
            assert connection.execute("PRAGMA user_version").fetchone() == (known[-1][0],)
    assert schemas[0] == schemas[1]


OLD_PUSHES = """
INSERT INTO account (id, name, plan, quota_total, sign_key) VALUES (1, 'main', 'free', 100, x'');
INSERT INTO endpoint VALUES (7, 1, 'https://shop.example/hook', x'', 1);
INSERT INTO shipment (id, account, number, carrier, code, origin, phase, since, wish, registered_at, lane)
  VALUES (3, 1, 'T1', 'ups', 100001, 2, 'tracking', :at, '{}', :at, 'ups');
INSERT INTO push (id, account, shipment, endpoint, version, event, body, state, send_at, attempts, created_at)
VALUES ('msg_one', 1, 3, 7, 1, 'TRACKING_UPDATED', x'01', 'sent', NULL, 2, :at),
  ('msg_two', 1, 3, 7, 2, 'TRACKING_UPDATED', x'02', 'pending', :at, 1, :at),
  ('msg_three', 1, 3, 7, 3, 'TRACKING_STOPPED', x'03', 'pending', NULL, 0, :at);
INSERT INTO push_attempt VALUES ('msg_one', 1, :at, 500, 9, 'HTTP 500'),
  ('msg_one', 2, :at, 200, 9, 'accepted'), ('msg_two', 1, :at, NULL, 9, 'reset');
"""


async def test_pushes_of_the_first_schema_go_on_as_they_were(
    file: SqlitePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids, bytes, order, attempts and secrets are the same in the schema that tells changes apart."""
    first = [step for step in steps() if step[0] == 1]
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        monkeypatch.setattr("parcelwire.store.sqlite.file.steps", lambda: first)
        migrate(connection, file.path)
        monkeypatch.undo()
        sealer = vault()
        connection.executescript(OLD_PUSHES.replace(":at", str(micros(NOW))))
        connection.execute("UPDATE endpoint SET secret = ?", (sealer.seal(SECRET, secret_place(7)),))
        connection.execute("UPDATE account SET sign_key = ?", (sealer.seal(SIGN_KEY, sign_key_place(1)),))
    store = await file.open()
    (endpoint,) = await store.endpoints(1)
    assert (endpoint.id, endpoint.url, endpoint.secret, endpoint.by_setting) == (7, URL, SECRET, True)
    (job,) = await jobs_due(store)
    assert (job.id, job.body, job.attempts, job.tries) == ("msg_two", b"\x02", 1, 1)
    await store.finish_pushes([sent(job)])
    (job,) = await jobs_due(store)
    assert (job.id, job.body) == ("msg_three", b"\x03")
    assert [item.body for item in await store.feed(1, 0, 9)] == [b"\x01", b"\x02", b"\x03"]
    oldest = (await store.push_log(1, Chosen(ids=("msg_one",)), 1))[0]
    assert [(one.n, one.http_status, one.detail) for one in oldest.log] == [
        (1, 500, "HTTP 500"), (2, 200, "accepted"),
    ]  # fmt: skip
    assert await store.replay_pushes(1, Chosen(ids=("msg_one",)), NOW) == 1


# --- a disk that fails ------------------------------------------------------------------------------------


def full(c: sqlite3.Connection) -> None:
    pages = c.execute("PRAGMA page_count").fetchone()[0]
    c.execute(f"PRAGMA max_page_count = {pages}").fetchall()


def roomy(c: sqlite3.Connection) -> None:
    c.execute("PRAGMA max_page_count = 1073741823").fetchall()


def readonly(c: sqlite3.Connection) -> None:
    c.execute("PRAGMA query_only = ON").fetchall()


def writable(c: sqlite3.Connection) -> None:
    c.execute("PRAGMA query_only = OFF").fetchall()


async def register_until_it_fails(store: Store, account: Account) -> int:
    """How many were registered."""
    for calls in range(100):
        try:
            await store.register(account.id, [wanted() for _ in range(40)], NOW)
        except StoreUnavailable:
            return calls * 40
    raise AssertionError("the disk never failed")


@pytest.mark.parametrize(("fails", "works"), [(full, roomy), (readonly, writable)], ids=["full", "readonly"])
async def test_a_disk_that_fails_stops_writes_only_and_only_while_it_fails(
    file: SqlitePlace,
    fails: Callable[[sqlite3.Connection], None],
    works: Callable[[sqlite3.Connection], None],
) -> None:
    store = await file.open()
    account = await account_in(store)
    shipment = await tracked(store, account)
    fails(store._writer._connection)
    acknowledged = await register_until_it_fails(store, account)
    assert await stored(store, shipment) == shipment
    assert (await store.usage(account.id, NOW)).used == 1 + acknowledged
    outcomes = await asyncio.gather(
        *(store.register(account.id, [wanted() for _ in range(40)], NOW) for _ in range(5)),
        return_exceptions=True,
    )
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    works(store._writer._connection)
    await store.register(account.id, [wanted()], NOW)
    assert await file.ledger(account.id) == {"2026-05": acknowledged + 2}
    assert (await store.usage(account.id, NOW)).used == acknowledged + 2
    assert await file.rows("SELECT count(*) FROM shipment") == [(acknowledged + 2,)]


async def test_a_read_that_fails_is_unavailable_too(file: SqlitePlace) -> None:
    store = await file.open()
    await file.rows("ALTER TABLE account RENAME TO hidden")
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        await store.accounts()
    await file.rows("ALTER TABLE hidden RENAME TO account")
    assert await store.accounts() == []


REGISTERS = """
import asyncio, sys
from pathlib import Path
from tests.store.conftest import vault
from tests.store.samples import NOW, account_in, wanted
from parcelwire.store.rows import micros
from parcelwire.store.sqlite import SqliteStore, refreshes

async def caller(store, account, name):
    for n in range(100_000):
        items = [wanted(f"{name}{n:06}A"), wanted(f"{name}{n:06}B")]
        for shipment, item in zip(await store.register(account.id, items, NOW), items, strict=True):
            print(shipment, item.number, flush=True)

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]), vault())
    account = await account_in(store, 1_000_000)
    await asyncio.gather(*(caller(store, account, name) for name in "XYZ"))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_kill_9(file: SqlitePlace) -> None:
    """And quota is charged for exactly what is stored, acknowledged or not."""
    process = child(REGISTERS, str(file.path))
    try:
        assert process.stdout is not None
        lines = [await asyncio.to_thread(process.stdout.readline) for _ in range(300)]
    finally:
        process.kill()
        rest, _ = process.communicate()
    lines += [line + "\n" for line in rest.split("\n")[:-1]]  # the last may have been cut
    acknowledged = {int(line.split()[0]): line.split()[1] for line in lines}
    assert len(acknowledged) >= 300
    store = await file.open()
    (account,) = await store.accounts()
    found = await store.find(account.id, list(acknowledged.values()))
    assert {shipment.id: shipment.number for shipment, _ in found} == acknowledged
    assert {shipment.phase for shipment, _ in found} == {Phase.TRACKING}
    ((count,),) = await file.rows("SELECT count(*) FROM shipment")
    assert count >= len(acknowledged)
    assert (await store.usage(account.id, NOW)).used == count
    assert await file.ledger(account.id) == {"2026-05": count}
    assert await file.rows("PRAGMA integrity_check") == [("ok",)]


# --- raw replies ------------------------------------------------------------------------------------------


async def test_a_raw_reply_is_kept_once_and_as_long_as_something_refers_to_it(file: SqlitePlace) -> None:
    store = await file.open()
    account = await account_in(store)
    one, two = await tracked(store, account), await tracked(store, account)

    async def replies() -> list[tuple[int]]:
        return await file.rows("SELECT http_status FROM raw_reply ORDER BY http_status")

    async def refresh(shipment_id: int, status: int, *, told: bool, at: datetime = NOW) -> None:
        due = await store.claim_one(shipment_id, NOW + LEASE, "x")
        assert due is not None
        raw = Reply(status, {}, b"the same body")
        await store.complete([refreshed(due.shipment, at=at, told=history() if told else None, raw=raw)])

    await refresh(one.id, 200, told=True)
    await refresh(two.id, 200, told=True)
    await refresh(one.id, 503, told=False)
    await refresh(one.id, 503, told=False, at=NOW + SECOND)
    assert await replies() == [(200,), (503,)]
    await prune(store, NOW)
    assert await replies() == [(200,), (503,)]
    await prune(store, NOW + SECOND)  # of the two attempts that 503 answered, one is still known
    assert await replies() == [(200,), (503,)]
    await prune(store, NOW + SECOND * 2)
    assert await replies() == [(200,)]
    await refresh(one.id, 201, told=True)
    await prune(store, NOW + HOUR)
    assert await replies() == [(200,), (201,)]
    await refresh(two.id, 201, told=True)
    await prune(store, NOW + HOUR)
    assert await replies() == [(201,)]


OLD_REPORTS = """
INSERT INTO account (id, name, plan, quota_total, sign_key) VALUES (1, 'main', 'free', 100, x'');
INSERT INTO shipment (id, account, number, carrier, code, origin, phase, since, wish, registered_at, lane)
  VALUES (3, 1, 'T1', 'ups', 100002, 2, 'tracking', 0, '{}', 0, 'ups'),
    (4, 1, 'T2', 'ups', 100002, 2, 'tracking', 0, '{}', 0, 'ups');
INSERT INTO source_report VALUES (4, 'ups', x'04', NULL), (3, 'ups', zeroblob(2000), x'aa'),
  (3, 'china_post', x'01', NULL);
"""


async def test_what_sources_said_is_kept_when_their_table_changes(
    file: SqlitePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schema 13 lays reports out anew: every byte, and what goes with a shipment that is deleted."""
    before = [step for step in steps() if step[0] < 13]
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        monkeypatch.setattr("parcelwire.store.sqlite.file.steps", lambda: before)
        migrate(connection, file.path)
        monkeypatch.undo()
        connection.executescript(OLD_REPORTS)
        sign_key = vault().seal(SIGN_KEY, sign_key_place(1))
        connection.execute("UPDATE account SET sign_key = ?", (sign_key,))
    store = await file.open()
    said = "SELECT shipment, source, history, raw FROM source_report ORDER BY shipment, source"
    assert await file.rows(said) == [
        (3, "china_post", b"\x01", None), (3, "ups", bytes(2000), b"\xaa"), (4, "ups", b"\x04", None)
    ]  # fmt: skip
    assert await store.delete(1, [3]) == [True]
    assert await file.rows("SELECT shipment FROM source_report") == [(4,)]


OLD_LOG = """
INSERT INTO account (id, name, plan, quota_total, sign_key) VALUES (1, 'main', 'free', 100, x'');
INSERT INTO shipment (id, account, number, carrier, code, origin, phase, since, wish, registered_at, lane)
  VALUES (3, 1, 'T1', 'ups', 100002, 2, 'tracking', 0, '{}', 0, 'ups'),
    (4, 1, 'T2', 'ups', 100002, 2, 'tracking', 0, '{}', 0, 'ups'),
    (5, 1, 'T3', 'ups', 100002, 2, 'tracking', 0, '{}', 0, 'ups');
INSERT INTO refresh_log VALUES (2, 3, 2, 'ups', 'report', 7, 'old', NULL),
  (5, 4, 5, 'ups', 'failed', 8, '', x'aa'),
  (9, 3, 9, 'ups', 'report', 9, 'new', NULL);
INSERT INTO endpoint (id, account, url, secret, stopped_by_request)
  VALUES (7, 1, 'https://shop.example/', x'', 1);
INSERT INTO change VALUES (11, 1, 3, 1, 4, 'TRACKING_UPDATED', x'01'),
  (12, 1, 3, 2, 6, 'TRACKING_STOPPED', x'02');
INSERT INTO push VALUES (21, 'msg_a', 7, 3, 1, 11, 'TRACKING_UPDATED', 'sent', NULL, NULL, 1, 1, 4, 5),
  (22, 'msg_b', 7, 3, 2, 12, 'TRACKING_STOPPED', 'pending', 6, NULL, 0, 0, 6, NULL);
INSERT INTO push_attempt VALUES (21, 1, 5, 200, 3, 'HTTP 200', x'6f6b');
"""


async def test_pushes_and_logs_are_kept_when_their_tables_lose_an_index(
    file: SqlitePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schema 14: every attempt to refresh and to push, in its order."""
    before = [step for step in steps() if step[0] < 14]
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        monkeypatch.setattr("parcelwire.store.sqlite.file.steps", lambda: before)
        migrate(connection, file.path)
        monkeypatch.undo()
        connection.executescript(OLD_LOG)
        sealed = vault().seal(SIGN_KEY, sign_key_place(1)), vault().seal("whsec_AAAA", secret_place(7))
        connection.execute("UPDATE account SET sign_key = ?", sealed[:1])
        connection.execute("UPDATE endpoint SET secret = ?", sealed[1:])
    store = await file.open()
    assert [(one.ms, one.text) for one in await store.attempts(3, 9)] == [(9, "new"), (7, "old")]
    assert [one.outcome for one in await store.attempts(4, 9)] == ["failed"]
    assert await store.attempts(5, 9) == []
    stop, update = await store.push_log(1, Chosen(), 9)
    assert (stop.id, stop.state, stop.log) == ("msg_b", PushState.PENDING, ())
    assert (update.id, update.state, [one.body_start for one in update.log]) == (
        "msg_a",
        PushState.SENT,
        [b"ok"],
    )
    assert await store.delete(1, [3]) == [True]
    assert await file.rows("SELECT id FROM refresh_log") == [(5,)]
    assert await file.rows("SELECT * FROM push_attempt") == []


OLD_CHANGES = """
INSERT INTO account (id, name, plan, quota_total, sign_key) VALUES (1, 'main', 'free', 100, x'');
INSERT INTO shipment (id, account, number, carrier, code, origin, phase, since, wish, registered_at, lane)
  VALUES (3, 1, 'T1', 'ups', 100002, 2, 'tracking', 0, '{}', 0, 'ups'),
    (4, 1, 'T2', 'ups', 100002, 2, 'tracking', 0, '{}', 0, 'ups'),
    (5, 1, 'T3', 'ups', 100002, 2, 'tracking', 0, '{}', 0, 'ups'),
    (6, 1, 'T4', 'ups', 100002, 2, 'tracking', 0, '{}', 0, 'ups');
INSERT INTO endpoint (id, account, url, secret, stopped_by_request)
  VALUES (7, 1, 'https://shop.example/', x'', 1);
INSERT INTO change VALUES (11, 1, 3, 1, 4, 'TRACKING_UPDATED', x'01'),
  (12, 1, 4, 1, 5, 'TRACKING_UPDATED', x'02'), (14, 1, 3, 2, 6, 'TRACKING_UPDATED', x'03'),
  (15, 1, 4, 2, 7, 'TRACKING_UPDATED', zeroblob(9000)), (17, 1, 3, 3, 8, 'TRACKING_STOPPED', x'05'),
  (30, 1, 6, 1, 9, 'TRACKING_UPDATED', x'06');
INSERT INTO push (seq, id, endpoint, shipment, version, change, event, state, attempts, created_at, done_at)
  VALUES (21, 'msg_a', 7, 3, 1, 11, 'TRACKING_UPDATED', 'sent', 1, 4, 5),
    (22, 'msg_b', 7, 3, 3, 17, 'TRACKING_STOPPED', 'sent', 1, 8, 9),
    (23, 'msg_c', 7, 4, 2, 15, 'TRACKING_UPDATED', 'dead', 1, 7, 8),
    (24, 'msg_d', 7, 6, 1, 30, 'TRACKING_UPDATED', 'sent', 1, 9, 9);
INSERT INTO push_attempt VALUES (21, 1, 5, 200, 3, 'HTTP 200', x'6f6b');
DELETE FROM push WHERE shipment = 6;
DELETE FROM change WHERE shipment = 6;
DELETE FROM shipment WHERE id = 6;
"""


async def test_changes_are_kept_when_they_become_chains(
    file: SqlitePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schema 16: in their order, with their pushes; no cursor is given twice, also that of a deleted one."""
    before = [step for step in steps() if step[0] < 16]
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        monkeypatch.setattr("parcelwire.store.sqlite.file.steps", lambda: before)
        migrate(connection, file.path)
        monkeypatch.undo()
        connection.executescript(OLD_CHANGES)
        sealed = vault().seal(SIGN_KEY, sign_key_place(1)), vault().seal("whsec_AAAA", secret_place(7))
        connection.execute("UPDATE account SET sign_key = ?", sealed[:1])
        connection.execute("UPDATE endpoint SET secret = ?", sealed[1:])
    store = await file.open()
    assert [(item.cursor, item.body) for item in await store.feed(1, 0, 9)] == [
        (11, b"\x01"), (12, b"\x02"), (14, b"\x03"), (15, bytes(9000)), (17, b"\x05")
    ]  # fmt: skip
    assert await file.rows("SELECT id, before FROM change") == [
        (11, None), (12, None), (14, 11), (15, 12), (17, 14)
    ]  # fmt: skip
    assert await file.rows("SELECT id, newest_change FROM shipment") == [(3, 17), (4, 15), (5, None)]
    assert [one.id for one in await store.push_log(1, Chosen(), 9)] == ["msg_b", "msg_c", "msg_a"]
    assert await file.rows("PRAGMA foreign_key_check") == []
    ((three, _),) = await store.find(1, ["T1"])
    await change_of(store, three, update(4))
    assert [item.cursor for item in await store.feed(1, 17, 9)] == [31]
    assert await store.delete(1, [3]) == [True]
    assert [item.cursor for item in await store.feed(1, 0, 9)] == [12, 15]
    assert await file.rows("SELECT id FROM push") == [("msg_c",)]
    assert await file.rows("SELECT * FROM push_attempt") == []


async def test_references_are_kept_after_a_schema_was_brought_up_to_date(file: SqlitePlace) -> None:
    """What is switched off while tables are made anew is on again: the first start is a migration, too."""
    store = await file.open()
    assert await store._write(lambda c: c.execute("PRAGMA foreign_keys").fetchall()) == [(1,)]


# --- cost -------------------------------------------------------------------------------------------------


async def test_no_statement_walks_through_a_table_that_grows(file: SqlitePlace) -> None:
    """Except rerouting, once at the start. Read from SQLite's own plans of all statements that ran."""
    store = await file.open()
    seen: set[str] = set()
    for connection in (store._writer._connection, *store._readers._connections):
        connection.set_trace_callback(seen.add)
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    looked_up = await store.look_up(account.id, wanted(), NOW)
    await store.register(account.id, [wanted(looked_up.number)], NOW)
    (due, _) = await claimed(store)
    results = [refreshed(due.shipment, update(1), update(2), told=history(), document=DOCUMENT, raw=RAW)]
    await store.complete(results)
    await fail_times(store, (await jobs_due(store))[0], SUPERSEDE_AFTER)
    await change_of(store, await stored(store, shipment))
    await store.change([stop(await stored(store, shipment))], NOW)
    charge = Charge("reference", 10, held=True)
    await store.charge(account.id, [charge], NOW)
    await store.settle(account.id, charge.reference, 1, NOW)
    await store.rewind(shipment.id, HOUR, NOW)
    await store.attempts(shipment.id, 5)
    await store.replay(account.id, [shipment.id], NOW)
    await store.pushes_due()
    await store.lanes()
    await store.account_of_key(LOGIN_KEY)
    await prune(store, NOW + DAY, *Old)
    grow = (
        "shipment|document|source_report|raw_reply|refresh_log|change|push|push_attempt|quota_entry|quota_used|"
        "s|d|c|p"
    )
    walks = re.compile(rf"SCAN ({grow})(?! USING (COVERING )?INDEX \w+_due)\b")
    for sql in sorted(seen):
        if sql.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            plan = [row[3] for row in await file.rows(f"EXPLAIN QUERY PLAN {sql}")]
            assert not [line for line in plan if walks.match(line)], sql
    assert len(seen) > 40


async def test_a_refresh_leaves_the_index_of_numbers_alone(file: SqlitePlace) -> None:
    """It changes nothing that a shipment is unique by: read from SQLite's own programs of the statements."""
    await file.open()
    named = "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_shipment_1'"
    ((root,),) = await file.rows(named)

    async def written(statement: str) -> set[int]:
        program = await file.rows("EXPLAIN " + statement.replace("?", "NULL"))
        return {row[3] for row in program if row[1] == "OpenWrite"}

    assert root not in await written(refreshes._SAVE)
    assert root in await written(refreshes._SAVE_CORRECTED)
