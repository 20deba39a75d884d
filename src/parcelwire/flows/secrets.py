"""Another secret key: everything that is encrypted at rest is encrypted again while the service runs."""

from collections.abc import Mapping

from parcelwire.domain.audit import OPERATOR
from parcelwire.flows.context import Context
from parcelwire.flows.manage import Answer, OwnerError, Verb, deed
from parcelwire.ports import Keyring

BATCH = 200  # values in one transaction: others wait for a few milliseconds


async def rotate(context: Context, _values: Mapping[str, str]) -> Answer:
    """Make a new secret key, unless there are two already, and encrypt everything with the newest.

    Interrupted, it goes on where it was when it is called again.
    """
    keyring = _keyring(context)
    made = keyring.count() == 1
    if made:
        if not keyring.add():
            raise OwnerError(
                "the secret key is given by PARCELWIRE_SECRET_KEY: put a new one before it, with a comma "
                "between them, start every process again, and call this again"
            )
        await context.store.enter(OPERATOR, deed(context, "secrets.rotate", "secret key"))
    return {"new_key": made, "encrypted_again": await _reseal(context), "keys": keyring.count()}


async def finish(context: Context, _values: Mapping[str, str]) -> Answer:
    """Forget all secret keys but the newest, once it is the only one in use.

    ``keys_unused``: those which only the operator can take away, from the setting.
    """
    keyring = _keyring(context)
    again, older = await _reseal(context), keyring.count() - 1
    forgotten = older if older and keyring.forget_older() else 0
    if forgotten:
        await context.store.enter(OPERATOR, deed(context, "secrets.finish", "secret key"))
    return {"encrypted_again": again, "keys_forgotten": forgotten, "keys_unused": older - forgotten}


VERBS: dict[str, Verb] = {"secrets-rotate": rotate, "secrets-finish": finish}


def _keyring(context: Context) -> Keyring:
    if context.keyring is None:
        raise OwnerError("the secret key of this service cannot be changed")
    return context.keyring


async def _reseal(context: Context) -> int:
    total = 0
    while done := await context.store.reseal(BATCH):
        total += done
    return total
