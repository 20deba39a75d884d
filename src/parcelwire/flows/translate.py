"""Translations are paid when the first one is given, once for a shipment."""

from parcelwire.domain.report import Report
from parcelwire.domain.values import replace
from parcelwire.flows.context import Context
from parcelwire.flows.routes import Said
from parcelwire.ports import Due
from parcelwire.wire.texts import language

DENIED = "Denied"  # ``translation_mode`` of v2.4


async def with_translation(context: Context, due: Due, said: Said) -> Due:
    """The shipment as it shall be shown: from now on with translations, if there are any and paid."""
    shipment, report = due.shipment, said.answer
    wish = shipment.wish
    denied = (wish.more or {}).get("translation_mode") == DENIED
    if wish.translated or denied or language(wish.lang) is None or not isinstance(report, Report):
        return due
    if not any(event.sub_status for event in report.events):
        return due
    if not await context.store.pay_translation(shipment.account, shipment.id, context.clock.now()):
        return due
    return replace(due, shipment=replace(shipment, wish=replace(wish, translated=True)))
