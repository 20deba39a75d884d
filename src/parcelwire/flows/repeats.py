"""Calls that are safe to repeat: the same Idempotency-Key gets the same answer for 24 hours."""

from collections.abc import Awaitable, Callable
from hashlib import blake2b

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError
from parcelwire.flows.context import Context
from parcelwire.ports import KeyedCall
from parcelwire.wire.codes import shown

KEY_MAX = 255


def keyed(endpoint: str, key: str, body: bytes) -> KeyedCall:
    """A call by its key. CallerError for a key that is none."""
    if not (0 < len(key) <= KEY_MAX and key.isascii() and key.isprintable()):
        raise CallerError("bad_value", field="Idempotency-Key", value=shown(key))
    return KeyedCall(endpoint, key, blake2b(body, digest_size=16).digest())


async def answer_once(
    context: Context, account: Account, call: KeyedCall, work: Callable[[], Awaitable[bytes]]
) -> bytes:
    """The answer of ``work``, or the one that the same call got before. CallerError when there is none."""
    kept = await context.store.begin_call(account.id, call, context.clock.now())
    if isinstance(kept, CallerError):
        raise kept
    if kept is not None:
        return kept
    answer = None
    try:
        answer = await work()
    finally:
        await context.store.end_call(account.id, call, answer)
    return answer
