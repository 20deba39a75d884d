"""Stop tracking, by request or by rule, and track again, once."""

from datetime import datetime

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError
from parcelwire.domain.push import NewPush, PushEvent
from parcelwire.domain.shipment import Action, Phase, Shipment, StopReason, step
from parcelwire.domain.values import replace
from parcelwire.flows.context import Context
from parcelwire.flows.documents import stopped_body
from parcelwire.flows.items import change_each, for_each
from parcelwire.ports import Changed
from parcelwire.wire.v22 import Numbered, NumberItem


async def stop(context: Context, account: Account, body: bytes) -> bytes:
    """The answer to POST /stoptrack. An item without a carrier stops every registration of its number."""

    async def work(item: NumberItem) -> list[Numbered]:
        return _numbered(await change_each(context, account, item, _is_tracking, _by_request))

    return await for_each(body, NumberItem, work)


async def retrack(context: Context, account: Account, body: bytes) -> bytes:
    """The answer to POST /retrack: each registration can be tracked again once."""

    async def work(item: NumberItem) -> list[Numbered]:
        def change(shipment: Shipment, now: datetime) -> Changed:
            return _again(context, shipment, now)

        return _numbered(await change_each(context, account, item, _can_track_again, change))

    return await for_each(body, NumberItem, work)


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


def _by_request(shipment: Shipment, now: datetime) -> Changed:
    return stopping(shipment, Action.STOP, StopReason.BY_REQUEST, now)


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


def _is_tracking(shipment: Shipment) -> bool:
    return shipment.phase is Phase.TRACKING


def _can_track_again(shipment: Shipment) -> bool:
    return shipment.phase is Phase.STOPPED and not shipment.retracked


def _numbered(shipments: list[Shipment]) -> list[Numbered]:
    return [Numbered(shipment.number, shipment.code) for shipment in shipments]
