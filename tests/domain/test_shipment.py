"""The life cycle of a registration."""

from itertools import product

import pytest
from tests.domain.stories import NOW

from parcelwire.domain.errors import CallerError
from parcelwire.domain.shipment import LIFE_CYCLE, Action, Phase, Shipment, step
from parcelwire.wire.codes import ERRORS

NONE, LOOKED_UP, TRACKING, STOPPED = None, Phase.LOOKED_UP, Phase.TRACKING, Phase.STOPPED
ALLOWED = {
    (NONE, Action.REGISTER): TRACKING,
    (LOOKED_UP, Action.REGISTER): TRACKING,
    (TRACKING, Action.STOP): STOPPED,
    (TRACKING, Action.END): STOPPED,
    (STOPPED, Action.RETRACK): TRACKING,
    (TRACKING, Action.CHANGE_CARRIER): TRACKING,
}
REFUSED = {
    Action.REGISTER: "registered",
    Action.STOP: "not_tracking",
    Action.END: "not_tracking",
    Action.CHANGE_CARRIER: "carrier_of_stopped",
}


def test_the_table_is_complete() -> None:
    assert set(LIFE_CYCLE) == set(product([None, *Phase], Action))


@pytest.mark.parametrize(("phase", "action"), list(product([None, *Phase], Action)))
def test_an_action_leads_to_its_phase_or_is_refused_with_a_reason_of_the_wire(
    phase: Phase | None, action: Action
) -> None:
    if (phase, action) in ALLOWED:
        assert step(phase, action) is ALLOWED[phase, action]
        return
    with pytest.raises(CallerError) as refused:
        step(phase, action)
    known = phase in (TRACKING, STOPPED)
    unknown = "not_of_old_carrier" if action is Action.CHANGE_CARRIER else "not_registered"
    expected = REFUSED.get(action, "not_stopped") if known else unknown
    assert refused.value.reason == expected
    assert expected in ERRORS


def test_a_lease_is_not_shown() -> None:
    leased = Shipment(1, 1, "A12345", "usps", 21051, 1, Phase.TRACKING, NOW, lease="secret-lease")
    assert "secret-lease" not in repr(leased)
