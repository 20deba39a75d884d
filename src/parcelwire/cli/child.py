"""One process of ``serve --processes N``, started by its parent (processes.py): ``child ROLE [SOCKET]``.

Standard input is a socket to the parent (link.py). Its first line is the token of the owner's commands; when
it ends the parent is gone, and this process stops, too. Standard output is the greeting, and ends when the
service is ready.
"""

import asyncio
import os
import signal
import socket
import sys
from typing import cast

from parcelwire.app import FrontDoor, Role, Service, settings_from
from parcelwire.cli.link import BEAT_S, Link
from parcelwire.cli.output import run, set_up_logs, telling_of_rights
from parcelwire.cli.serve import begin
from parcelwire.flows.metrics import Meters


def main(role: str, *sockets: str) -> None:
    """Serve until SIGTERM, or until SIGHUP: another process has taken over by then."""
    set_up_logs()
    run(_serve(cast("Role", role), [socket.socket(fileno=int(number)) for number in sockets]))


async def _serve(role: Role, sockets: list[socket.socket]) -> None:
    link = await Link.open(socket.socket(fileno=os.dup(sys.stdin.fileno())))
    token = await link.receive()
    door = FrontDoor(sockets[0], token, shared=True) if sockets else None
    ended, taken_over = asyncio.Event(), asyncio.Event()

    def leave() -> None:
        taken_over.set()
        ended.set()

    service = Service(settings_from(os.environ), role=role, door=door)
    talking = [
        asyncio.create_task(_tell(link, service.meters)),
        asyncio.create_task(_hear(link, service.meters, ended)),
    ]
    await begin(service, {signal.SIGINT: ended.set, signal.SIGTERM: ended.set, signal.SIGHUP: leave})
    _close_standard_output()
    await ended.wait()
    await (service.leave() if taken_over.is_set() else service.stop())
    for task in talking:
        task.cancel()
    link.tell(service.meters.counted())  # for the last time
    await link.close()


async def _tell(link: Link, meters: Meters) -> None:
    while True:
        link.tell(meters.counted())
        await asyncio.sleep(BEAT_S)


async def _hear(link: Link, meters: Meters, ended: asyncio.Event) -> None:
    async for samples in link.told():
        meters.others = samples
    ended.set()


def _close_standard_output() -> None:
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


if __name__ == "__main__":
    with telling_of_rights():
        main(*sys.argv[1:])
