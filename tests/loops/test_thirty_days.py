"""The service lives through days with every carrier: no limit is broken, every shipment comes to its end."""

from datetime import timedelta
from itertools import pairwise

import pytest
from bench.month import BEGIN, DAY, NUMBERS, Month, broken, measured, memory_folder, numbers_of


async def test_no_limit_is_broken_and_every_shipment_is_delivered() -> None:
    """Six shipments of each carrier for ten days; ``dev.py bench month`` takes 2,000 and thirty days."""
    numbers = numbers_of(6 * len(NUMBERS))
    with memory_folder() as folder:
        month = await Month.open(folder)
        try:
            await month.register(numbers)
            await month.live(BEGIN + 10 * DAY)
            lanes = await measured(month, numbers)
        finally:
            await month.close()
    assert broken(lanes) == []
    assert all(lane["delivered"] == lane["shipments"] == 6 for lane in lanes.values())
    assert month.pushed >= 6 * len(NUMBERS) * 3
    for slug in ("fedex", "usps", "gls", "la_poste", "australia_post"):  # those that take several numbers
        assert lanes[slug]["calls"] < lanes[slug]["singly"] * 0.6, slug


@pytest.mark.parametrize(("slug", "count"), [("royal_mail", 60), ("dhl", 120)])
async def test_more_shipments_than_a_budget_can_carry(slug: str, count: int) -> None:
    """The budget holds, nobody is left without an answer, and calls go on all day long."""
    numbers = numbers_of(count, [slug])
    with memory_folder() as folder:
        month = await Month.open(folder, [slug])
        try:
            await month.register(numbers)
            await month.live(BEGIN + 3 * DAY)
            lanes = await measured(month, numbers)
            shipments = await month.shipments(numbers[slug])
        finally:
            await month.close()
    assert [line for line in broken(lanes) if "end" not in line] == []
    assert all(shipment.answered_at for shipment in shipments)
    second_day = [at for at in month.doors[slug].times if DAY <= at - BEGIN < 2 * DAY]
    gaps = [later - at for at, later in pairwise(second_day)]
    assert max(gaps) < timedelta(hours=6)
