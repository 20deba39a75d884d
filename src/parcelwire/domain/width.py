"""How many conversations with one carrier run at the same time.

One more now and then while they go well and all places are taken (additive increase); half as many when one
fails, fewer when one is slow (multiplicative decrease). A rate limit of the lane bounds them besides.
"""

from dataclasses import dataclass

FIRST = 4.0
MOST = 16.0
AFTER_FAILURE = 0.5
AFTER_SLOW = 0.8
SLOW_TIMES = 2.0  # an answer is slow when it takes so many times the usual time,
SLOW_MIN_MS = 250.0  # and not while all of them are quick
MEMORY = 50  # answers in the long average


@dataclass(frozen=True, slots=True)
class Width:
    """``size`` is at least 1; ``usual_ms`` the long average of how long an answer takes."""

    size: float = FIRST
    usual_ms: float | None = None

    @property
    def places(self) -> int:
        """Conversations that may run now."""
        return int(self.size)


def after(width: Width, ms: float, *, failed: bool, full: bool) -> Width:
    """The width after a conversation. ``full``: all places were taken, so that one more would have helped."""
    usual_ms = width.usual_ms if width.usual_ms is not None else ms
    slow = ms > max(SLOW_MIN_MS, SLOW_TIMES * usual_ms)
    size = width.size
    if failed:
        size *= AFTER_FAILURE
    elif slow:
        size *= AFTER_SLOW
    elif full:
        size += 1 / size
    return Width(min(MOST, max(1.0, size)), usual_ms + (ms - usual_ms) / MEMORY)
