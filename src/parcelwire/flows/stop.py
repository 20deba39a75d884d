"""Stop tracking, by request or by rule, and track again, once."""

from datetime import datetime
from functools import partial

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError
from parcelwire.domain.push import NewPush, PushEvent
from parcelwire.domain.shipment import Action, Phase, Shipment, StopReason, step
from parcelwire.domain.values import replace
from parcelwire.flows.context import Context
from parcelwire.flows.documents import stopped_body
from parcelwire.flows.items import change_all, save_changes
from parcelwire.ports import Changed
from parcelwire.wire.v22 import NumberItem


async def stop(context: Context, account: Account, body: bytes) -> bytes:
    """The answer to POST /stoptrack. An item without a carrier stops every registration of its number."""

    def decide(found: list[Shipment]) -> list[Changed]:
        now = context.clock.now()
        able = [shipment for shipment in found if shipment.phase is Phase.TRACKING]
        return [stopping(shipment, Action.STOP, StopReason.BY_REQUEST, now) for shipment in able or found[:1]]

    return await change_all(
        context, account, body, NumberItem, lambda _: decide, partial(save_changes, context)
    )


async def retrack(context: Context, account: Account, body: bytes) -> bytes:
    """The answer to POST /retrack: each registration can be tracked again once."""

    def decide(found: list[Shipment]) -> list[Changed]:
        now = context.clock.now()
        able = [shipment for shipment in found if _can_track_again(shipment)]
        return [_again(context, shipment, now) for shipment in able or found[:1]]

    return await change_all(
        context, account, body, NumberItem, lambda _: decide, partial(save_changes, context)
    )


def stopping(shipment: Shipment, action: Action, reason: StopReason, now: datetime) -> Changed:
    """The end of tracking, and its push. CallerError when the life cycle forbids it."""
    after = replace(
        shipment,
        phase=step(shipment.phase, action),
        stop_reason=reason,
        stopped_at=now,
        refresh_at=None,
        version=shipment.version + 1,
    )
    push = NewPush(
        PushEvent.STOPPED, after.version, stopped_body(after), by_request=reason is StopReason.BY_REQUEST
    )
    return Changed(shipment, after, (push,))


def _again(context: Context, shipment: Shipment, now: datetime) -> Changed:
    """Asked about at once; the rules that end tracking begin to count anew."""
    phase = step(shipment.phase, Action.RETRACK)
    if shipment.retracked:
        raise CallerError("retracked")
    after = replace(
        shipment,
        phase=phase,
        stop_reason=None,
        stopped_at=None,
        retracked=True,
        changed_at=now,
        refresh_at=now,
        lane=context.routes.lane(shipment.carrier, shipment.number, shipment.wish.hint),
    )
    return Changed(shipment, after)


def _can_track_again(shipment: Shipment) -> bool:
    return shipment.phase is Phase.STOPPED and not shipment.retracked
