"""Random lives of the whole service keep every promise, and the judge notices when one is broken."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from faults.simulation import live

from faults import inline
from parcelwire.domain import lane, merge
from parcelwire.domain.quota import period
from parcelwire.ports import no_failpoint
from parcelwire.store.sqlite import pushes, quota

SEEDS = range(60)
SEEDS_TO_NOTICE = range(40)


def test_sixty_lives_break_no_promise(capsys: pytest.CaptureFixture[str]) -> None:
    """A violation is shown with its seed: ``python3 dev.py faults simulation --seed N`` replays it."""
    began = time.perf_counter()
    lives = [live(seed) for seed in SEEDS]
    spent = time.perf_counter() - began
    violations = [(one.seed, one.violation) for one in lives if one.violation]
    crashes, sent = sum(one.crashes for one in lives), sum(one.pushes for one in lives)
    with capsys.disabled():
        print(
            f"\n  simulation: {len(lives)} seeds, {len(lives) / spent:.1f} seeds/s, {crashes} crashes, "
            f"{sent} push attempts, violations {len(violations)}"
        )
    assert violations == []
    assert crashes
    assert sent


def test_a_seed_replays_exactly() -> None:
    """Every step, answer and time is the same; another seed is another life."""
    one, again, other = live(7), live(7), live(8)
    assert one.trace == again.trace
    assert one.trace != other.trace


# --- the judge ------------------------------------------------------------------------------------------


def forget_commits(patch: pytest.MonkeyPatch) -> None:
    """Every seventh transaction is acknowledged and never written."""
    commits = iter(range(1, 10**9))
    real = inline.InlineWriter._together

    def forgetful(writer: inline.InlineWriter, group: Any) -> Any:
        if writer._failpoint is no_failpoint or next(commits) % 7:  # accounts are there
            return real(writer, group)
        connection = writer._connection
        connection.execute("BEGIN")
        answers = [(future, work(connection), None) for work, future in group]
        connection.execute("ROLLBACK")
        return answers

    patch.setattr(inline.InlineWriter, "_together", forgetful)


def keep_only_the_newest_answer(patch: pytest.MonkeyPatch) -> None:
    real = merge.add
    patch.setattr(merge, "add", lambda _, *newest: real(None, *newest))


def charge_twice(patch: pytest.MonkeyPatch) -> None:
    def twice(c: sqlite3.Connection, account: int, shipments: Any, now: Any) -> None:
        again = [("again", 1, str(shipment)) for shipment in shipments]
        quota.book(c, account, period(now), again, now)
        real(c, account, shipments, now)

    real = quota.book_registrations
    patch.setattr(quota, "book_registrations", twice)


def change_bodies(patch: pytest.MonkeyPatch) -> None:
    """A body is made when it is sent, not when the change happened."""

    def claim(c: sqlite3.Connection, *rest: Any) -> Any:
        return [replace(job, body=job.body + b" " * job.attempts) for job in real(c, *rest)]

    real = pushes.claim
    patch.setattr(pushes, "claim", claim)


def send_all_at_once(patch: pytest.MonkeyPatch) -> None:
    """A push does not wait for the one before it."""
    at_once = pushes._OLDEST.replace("p.send_at IS NOT NULL AND p.send_at <=", "coalesce(p.send_at, 0) <=")
    assert at_once != pushes._OLDEST
    newest_first = at_once.replace("ORDER BY p.send_at ASC", "ORDER BY p.version DESC")
    assert newest_first != at_once
    patch.setattr(pushes, "_OLDEST", newest_first)
    patch.setattr(pushes, "_NEWEST", newest_first)


def lose_pushes(patch: pytest.MonkeyPatch) -> None:
    """What was tried once counts as sent."""

    def finish(c: sqlite3.Connection, results: Any) -> Any:
        return real(c, [replace(result, sent=True, again_at=None) for result in results])

    real = pushes.finish
    patch.setattr(pushes, "finish", finish)


def ignore_pauses(patch: pytest.MonkeyPatch) -> None:
    """What a carrier asks for and the breaker are not kept."""
    patch.setattr(lane, "_block", lambda state, *_: state)


@pytest.mark.parametrize(
    ("sabotage", "promise"),
    [
        (forget_commits, "P1"),
        (keep_only_the_newest_answer, "P2"),
        (lose_pushes, "P3"),
        (change_bodies, "P4"),
        (send_all_at_once, "P5"),
        (charge_twice, "P6"),
        (ignore_pauses, "P7"),
    ],
)
def test_the_judge_notices_a_broken_promise(
    monkeypatch: pytest.MonkeyPatch, sabotage: Callable[[pytest.MonkeyPatch], None], promise: str
) -> None:
    sabotage(monkeypatch)
    found = (live(seed).violation for seed in SEEDS_TO_NOTICE)
    assert any(violation and violation.startswith(promise) for violation in found)
