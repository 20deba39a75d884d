"""The inbox for the owner: pushes that are parked, because they could not be read or need a human."""

import base64
from collections.abc import Mapping

from parcelwire.flows.context import Context
from parcelwire.flows.manage import Answer, OwnerError, Verb, time_text
from parcelwire.ports import InboxState

LISTED_MAX = 1_000
DISMISSED = "dismissed by the owner"


async def listed(context: Context, _values: Mapping[str, str]) -> Answer:
    """What is parked, the oldest first."""
    rows = [
        {"id": one.id, "source": one.source, "at": time_text(one.at), "why": one.why}
        for one in await context.store.parked_inbound(LISTED_MAX)
    ]
    return {"parked": rows}


async def show(context: Context, values: Mapping[str, str]) -> Answer:
    """The bytes of a push (``id``), in base64."""
    body = await context.store.inbound_body(_id(values))
    if body is None:
        raise OwnerError(f"there is no push {values['id']}")
    return {"id": _id(values), "body": base64.b64encode(body).decode()}


async def retry(context: Context, values: Mapping[str, str]) -> Answer:
    """Process parked pushes again: one (``id``), or all."""
    return {"waiting": await _release(context, values, InboxState.WAITING, "")}


async def dismiss(context: Context, values: Mapping[str, str]) -> Answer:
    """Done with parked pushes: one (``id``), or all."""
    return {"dismissed": await _release(context, values, InboxState.DONE, DISMISSED)}


VERBS: dict[str, Verb] = {
    "inbox": listed, "inbox-show": show, "inbox-retry": retry, "inbox-dismiss": dismiss,
}  # fmt: skip


async def _release(context: Context, values: Mapping[str, str], state: InboxState, detail: str) -> int:
    store = context.store
    chosen = [_id(values)] if "id" in values else [one.id for one in await store.parked_inbound(LISTED_MAX)]
    released = await store.release_inbound(chosen, state, detail)
    if "id" in values and not released:
        raise OwnerError(f"push {values['id']} is not parked")
    return released


def _id(values: Mapping[str, str]) -> int:
    text = values.get("id", "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise OwnerError(f"{text!r} is not the id of a push: 'parcelwire inbox list' shows them")
    return int(text)
