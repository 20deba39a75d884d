"""The tables of statuses are whole."""

import pytest

from parcelwire.domain.status import FINISHED, RANK, STAGE_OF, STATUS_OF, STICKY, Stage, Status, SubStatus

RANKED = [
    "NotFound_Other",
    "InfoReceived",
    "InTransit_Other",
    "InTransit_CustomsProcessing",
    "Exception_Delayed",
    "OutForDelivery_Other",
    "AvailableForPickup_Other",
    "DeliveryFailure_Other",
    "Exception_Lost",
    "Delivered_Other",
    "Exception_Returned",
]


def test_there_are_nine_statuses_thirty_sub_statuses_and_nine_stages() -> None:
    assert (len(Status), len(SubStatus), len(Stage)) == (9, 30, 9)
    assert {sub.status for sub in SubStatus} == set(Status)


@pytest.mark.parametrize("sub", SubStatus)
def test_every_sub_status_has_its_status_in_its_name_and_a_rank(sub: SubStatus) -> None:
    assert sub.value.split("_")[0] == sub.status.value == STATUS_OF[sub]
    assert sub in RANK


def test_the_ranks_are_those_of_the_reference() -> None:
    ranks = [RANK[SubStatus(name)] for name in RANKED]
    assert ranks == sorted(set(ranks))
    assert RANK[SubStatus.DESTROYED] == RANK[SubStatus.LOST] == RANK[SubStatus.DAMAGE]
    assert RANK[SubStatus.EXCEPTION_OTHER] == RANK[SubStatus.DELAYED]


def test_every_stage_is_started_by_exactly_one_sub_status() -> None:
    assert sorted(STAGE_OF.values(), key=list(Stage).index) == list(Stage)


def test_what_is_finished_is_sticky_and_a_cancelled_shipment_may_still_move() -> None:
    assert {SubStatus.CANCEL} == STICKY - FINISHED
