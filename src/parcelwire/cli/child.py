"""One process of ``serve --processes N``, started by its parent (processes.py): ``child ROLE [SOCKET]``.

Standard input is one line, the token of the owner's commands, and ends with the parent: then this process
stops, too. Standard output is the greeting, and ends when the service is ready.
"""

import asyncio
import os
import signal
import socket
import sys
from typing import cast

from parcelwire.app import FrontDoor, Role, Service, settings_from
from parcelwire.cli.output import run, set_up_logs, telling_of_rights
from parcelwire.cli.serve import begin


def main(role: str, *sockets: str) -> None:
    """Serve until SIGTERM, or until SIGHUP: another process has taken over by then."""
    set_up_logs()
    token = sys.stdin.readline().strip()
    door = FrontDoor(socket.socket(fileno=int(sockets[0])), token, shared=True) if sockets else None
    run(_serve(cast("Role", role), door))


async def _serve(role: Role, door: FrontDoor | None) -> None:
    ended, taken_over = asyncio.Event(), asyncio.Event()

    def leave() -> None:
        taken_over.set()
        ended.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    service = Service(settings_from(os.environ), role=role, door=door)
    await begin(service, {signal.SIGINT: ended.set, signal.SIGTERM: ended.set, signal.SIGHUP: leave})
    _close_standard_output()
    await ended.wait()
    loop.remove_reader(sys.stdin.fileno())
    await (service.leave() if taken_over.is_set() else service.stop())


def _close_standard_output() -> None:
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


if __name__ == "__main__":
    with telling_of_rights():
        main(*sys.argv[1:])
