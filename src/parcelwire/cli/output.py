"""How commands end and speak: 0 done, 1 failed, 2 wrong use or environment; errors go to standard error."""

import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import MutableMapping

T = TypeVar("T")

FAILED, WRONG_USE = 1, 2


def fail(text: str, code: int = FAILED) -> NoReturn:
    """End with one line that says what to do."""
    sys.stderr.write(f"parcelwire: {text}\n")
    raise SystemExit(code)


@contextmanager
def telling_of_rights() -> Iterator[None]:
    """End with one line when a file may not be used."""
    try:
        yield
    except PermissionError as error:
        from parcelwire.files import why

        fail(why(error), WRONG_USE)


def say_json(value: object) -> None:
    """One JSON object on one line. Who reads it may have seen enough: that is like Ctrl-C."""
    import json

    try:
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed at exit
        signal.raise_signal(signal.SIGINT)


def run(work: Coroutine[Any, Any, T], *, parent: bool = False) -> T:
    """Run a coroutine on the cheapest event loop there is. ``parent``: of processes, which would inherit open
    files from that one."""
    import asyncio

    import structlog

    from parcelwire.domain.errors import ConfigError, StoreUnavailable

    if not structlog.is_configured():
        set_up_logs(quiet=True)

    try:
        with asyncio.Runner(loop_factory=None if parent else _cheapest()) as runner:
            return runner.run(work)
    except (ConfigError, StoreUnavailable) as error:
        fail(str(error), WRONG_USE)


def _cheapest() -> "Callable[[], AbstractEventLoop] | None":
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def set_up_logs(*, quiet: bool = False) -> None:
    """Lines for people on a terminal, else JSON; always on standard error, always UTC."""
    import logging

    import structlog

    people = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if people else _as_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING if quiet else logging.INFO),
        logger_factory=(
            structlog.PrintLoggerFactory(sys.stderr)
            if people
            else structlog.BytesLoggerFactory(sys.stderr.buffer)
        ),
        cache_logger_on_first_use=True,
    )


def _as_json(_logger: object, _method: str, event: "MutableMapping[str, Any]") -> bytes:
    """One line of the log, by the cheap encoder: there is one for each refresh and each push."""
    import msgspec

    try:
        return msgspec.json.encode(event, enc_hook=repr)
    except ValueError:  # half a surrogate pair, from somebody's answer: only the other one has a form for it
        import json

        return json.dumps(event, default=repr).encode()
