"""Stop tracking: by request, or by rule when nothing more is to be expected."""

from dataclasses import replace
from datetime import datetime

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError
from parcelwire.domain.push import NewPush, PushEvent
from parcelwire.domain.shipment import Action, Phase, Shipment, StopReason, step
from parcelwire.flows.context import Context
from parcelwire.flows.documents import stopped_body
from parcelwire.flows.identify import code_given, matching, number_of
from parcelwire.ports import Changed
from parcelwire.wire.v22 import BadItem, Numbered, NumberItem, Rejected, answer, named, read_items, rejected


async def stop(context: Context, account: Account, body: bytes) -> bytes:
    """The answer to POST /stoptrack. An item without a carrier stops every registration of its number."""
    accepted: list[Numbered] = []
    refused: list[Rejected] = []
    for item in read_items(body, NumberItem):
        try:
            stopped = await _stop_item(context, account, item)
            accepted.extend(Numbered(shipment.number, shipment.code) for shipment in stopped)
        except CallerError as error:
            refused.append(rejected(*named(item), error))
    return answer(accepted, refused)


async def _stop_item(context: Context, account: Account, item: NumberItem | BadItem) -> list[Shipment]:
    """The shipments that it stopped. CallerError when there was none."""
    if isinstance(item, BadItem):
        raise item.error
    number = number_of(item)
    stopped: list[Shipment] = []
    while True:
        found = await context.store.find(account.id, [number])
        matches = matching(context, [shipment for shipment, _ in found], number, code_given(item))
        if not matches:
            raise CallerError("not_registered", number=number)
        now = context.clock.now()
        tracking = [shipment for shipment in matches if shipment.phase is Phase.TRACKING]
        if stopped and not tracking:
            return stopped
        changes = [
            stopping(shipment, Action.STOP, StopReason.BY_REQUEST, now)
            for shipment in tracking or matches[:1]
        ]
        saved = await context.store.change(changes, now)
        stopped += [change.shipment for change, done in zip(changes, saved, strict=True) if done]
        if all(saved):  # else a refresh or another caller was faster: look again
            return stopped


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
