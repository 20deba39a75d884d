"""The link of a parent with its processes, and what all together have counted."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from parcelwire.cli.link import Link, Tally
from parcelwire.flows.metrics import Sample

REQUESTS: Sample = ("requests_total", ("register", "200", "0"), 2.0)
ENDS: Sample = ("refreshes_total", ("ups", "report"), 1.0)


@asynccontextmanager
async def pair_of_links() -> AsyncIterator[tuple[Link, Link]]:
    parent, child = [await Link.open(end) for end in socket.socketpair()]
    try:
        yield parent, child
    finally:
        for link in (parent, child):
            await link.close()


async def test_figures_come_as_they_were_told_until_the_other_end_is_gone() -> None:
    async with pair_of_links() as (parent, child):
        parent.send("token")
        assert await child.receive() == "token"
        child.tell([REQUESTS, ENDS])
        told = parent.told()
        assert await anext(told) == [REQUESTS, ENDS]
        await child.close()
        assert [line async for line in told] == []


async def test_figures_are_left_out_while_nobody_reads() -> None:
    """What waits for a frozen process is one line, not one for each second."""
    parent, child = socket.socketpair()
    link = await Link.open(parent)
    many: list[Sample] = [("requests_total", (f"endpoint {n}",), n) for n in range(10_000)]
    for _ in range(50):
        link.tell(many)
        await asyncio.sleep(0)
    child.setblocking(True)
    read = asyncio.create_task(asyncio.to_thread(everything, child))
    await link.close()
    assert (await read).count(b"\n") <= 3


def everything(end: socket.socket) -> bytes:
    """What comes until the other end is closed."""
    with end, end.makefile("rb") as lines:
        return lines.read()


def test_what_ended_processes_have_counted_stays() -> None:
    """Each process hears the sum of all but itself, and how many those are."""
    tally = Tally()
    for pid in (1, 2, 3):
        tally.note(pid, [REQUESTS])
    assert tally.beside(1) == [(*REQUESTS[:2], 4.0), ("processes", (), 2)]
    tally.note(3, [REQUESTS, ENDS])
    tally.gone(3)
    tally.gone(3)
    tally.count("process_ends_total", "died")
    assert tally.beside(1) == [
        (*REQUESTS[:2], 4.0), ENDS, ("process_ends_total", ("died",), 1), ("processes", (), 1),
    ]  # fmt: skip
    tally.note(4, [])
    assert tally.beside(4)[0] == (*REQUESTS[:2], 6.0)
