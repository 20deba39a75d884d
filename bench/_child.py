"""A part of a bench in a process of its own, so that its CPU is counted by itself."""

import multiprocessing
from collections.abc import Callable
from typing import Any


class Child:
    """A process at the other end of a pipe. ``ready`` is what it says first."""

    def __init__(self, target: Callable[..., None], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()
        self.ready: Any = self.pipe.recv()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def ask(self, what: object) -> Any:
        """Its answer."""
        self.pipe.send(what)
        return self.pipe.recv()

    def close(self) -> None:
        """Let it end by itself; kill it if it does not."""
        self.pipe.close()
        self._process.join(5)
        self._process.kill()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.join()
