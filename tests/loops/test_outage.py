"""Sick receivers: bounded requests while one is down, everything told soon after, nobody else waits."""

from dataclasses import asdict
from pathlib import Path

import pytest
from bench.outage import BEHIND_S, LEAD_S, down, hanging, refusing


@pytest.mark.parametrize("shipments", [20, 80])
async def test_three_days_without_a_receiver_lose_nothing_and_cost_little(
    tmp_path: Path, shipments: int
) -> None:
    """Requests do not grow with the number of events; the other receiver of the account notices nothing."""
    figures = await down(tmp_path, shipments)
    print(f"\n  3 days down: {asdict(figures)}")
    assert (figures.lost, figures.two_bodies, figures.out_of_order) == (0, 0, 0)
    assert figures.requests <= 320
    assert figures.all_told_after_s <= LEAD_S
    assert figures.other_slowest_s <= 5
    assert (figures.state_when_down, figures.state_at_end) == ("failing", "healthy")


async def test_a_third_of_the_receivers_hanging_delays_nobody(tmp_path: Path) -> None:
    figures = await hanging(tmp_path, 15, 4, 3.0)
    print(f"\n  a third hangs: {asdict(figures)}")
    assert figures.lost == 0
    assert figures.p99_s <= 5
    assert figures.slowest_s <= 5


async def test_a_receiver_that_refuses_a_third_is_not_far_behind_one_that_takes_all(tmp_path: Path) -> None:
    """It is never taken for one that is down for long; the refused third comes after its first delay."""
    figures = await refusing(tmp_path, 300)
    print(f"\n  a third is refused: {asdict(figures)}")
    assert figures.lost == 0
    assert figures.requests_per_event < 1.5
    assert figures.all_told_after_s <= figures.other_all_told_after_s + BEHIND_S
