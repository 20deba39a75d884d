"""The primary dies under load and its replica is promoted: the service finds it, and nothing is lost."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgres import Cluster, PostgresMissing, is_ci, several
from tests.process.callers import BATCH, Caller, books
from tests.process.child import environment, serve, sink_server, worker

pytestmark = pytest.mark.process

CALLERS = 3
MORE = 6 * BATCH  # numbers of each caller: before the primary dies, and after
HELD_S = 1.0
AGAIN_S = 30.0
BUSY_S = 90.0  # a busy machine may take as long


@pytest.fixture
def pair() -> Iterator[tuple[Cluster, Cluster]]:
    """A primary, and a replica that has what is acknowledged."""
    try:
        primary = Cluster.make()
        if not (primary.bin / "pg_basebackup").exists():
            primary.remove()
            raise PostgresMissing(f"{primary.bin} has no pg_basebackup")
    except PostgresMissing as missing:
        if is_ci():
            raise
        pytest.skip(str(missing))
    replica = primary.replica()
    yield primary, replica
    replica.remove()
    primary.remove()


async def until_all_have(callers: list[Caller], numbers: int) -> None:
    async with asyncio.timeout(BUSY_S):
        while any(len(caller.acknowledged) < numbers for caller in callers):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_promoted_replica_has_everything_acknowledged_and_is_found(
    pair: tuple[Cluster, Cluster], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No restart of ours; each call answered truthfully, each unit charged once, each push with one body."""
    primary, replica = pair
    async with sink_server(fails=True) as sink:
        environ = environment(
            tmp_path, PARCELWIRE_DATABASE=several(primary, replica), PARCELWIRE_SECRET_KEY="5a" * 32,
            PARCELWIRE_LEASE_SECONDS="2", PARCELWIRE_PUSH_TIMEOUT="1", PARCELWIRE_WEBHOOK_URL=sink.url,
        )  # fmt: skip
        async with serve(environ, "--role", "api") as api, worker(environ):
            callers = [Caller([api.url], first=1_000_000 * (n + 1)) for n in range(CALLERS)]
            calling = [asyncio.create_task(caller.go_on()) for caller in callers]
            await until_all_have(callers, MORE)
            await asyncio.to_thread(primary.die, HELD_S)
            await asyncio.to_thread(replica.promote)
            await until_all_have(callers, 2 * MORE)
            for task in calling:
                task.cancel()
            await asyncio.gather(*calling, return_exceptions=True)
            acknowledged = [number for caller in callers for number in caller.acknowledged]
            for _ in range(int(BUSY_S / 0.25)):
                if all("Delivered_Other" in sink.told.get(number, ()) for number in acknowledged):
                    break
                await asyncio.sleep(0.25)
            assert await api.end(signal.SIGTERM) == 0
    found = await books(replica.dsn, acknowledged)
    longest_s = max(caller.longest_s for caller in callers)
    two_bodies = [push for push, bodies in sink.bodies.items() if len(bodies) > 1]
    with capsys.disabled():
        print(
            f"\n  primary killed, replica promoted: {len(acknowledged)} acknowledged, lost {found.lost}; "
            f"{len(sink.bodies)} pushes, ids with two bodies {len(two_bodies)}; books wrong {found.wrong}; "
            f"calls without an answer {sum(caller.unanswered for caller in callers)}, "
            f"answers again after {longest_s:.1f} s"
        )
    assert (found.lost, found.wrong, two_bodies, sink.forged) == (0, 0, [], 0)
    assert [number for caller in callers for number in caller.untrue] == []
    assert [one for one in acknowledged if "Delivered_Other" not in sink.told.get(one, ())] == []
    assert longest_s <= AGAIN_S
