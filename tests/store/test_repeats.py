"""Calls with an Idempotency-Key, in every store: kept with what they did, for a day."""

from collections.abc import Sequence

import pytest
from tests.store.conftest import Place
from tests.store.samples import HOUR, NOW, SECOND, account_in, number, wanted

from parcelwire.domain.errors import CallerError
from parcelwire.ports import KeyedCall, Store

CALL = KeyedCall("register", "order-1", b"hash")
OTHER_BODY = KeyedCall("register", "order-1", b"other")


def told(outcomes: Sequence[int | CallerError]) -> bytes:
    return b",".join(b"ok" if isinstance(one, int) else one.reason.encode() for one in outcomes)


async def test_an_answer_is_kept_with_the_registration_for_a_day(store: Store, place: Place) -> None:
    """Across a restart; another body is refused; after a day the key is free again."""
    account = await account_in(store)
    one = [wanted(number())]
    assert await store.register_once(account.id, one, NOW, CALL, told) == b"ok"
    store = await place.open()
    assert await store.register_once(account.id, one, NOW + 24 * HOUR, CALL, told) == b"ok"
    refused = await store.register_once(account.id, [wanted()], NOW, OTHER_BODY, told)
    assert isinstance(refused, CallerError)
    assert refused.reason == "key_reused"
    later = NOW + 24 * HOUR + SECOND
    assert await store.register_once(account.id, one, later, CALL, told) == b"registered"
    assert (await store.usage(account.id, NOW)).used == 1


async def test_an_answer_that_cannot_be_made_registers_nothing(store: Store) -> None:
    """One transaction: no registration without its answer, no kept key without the registration."""

    def fail(outcomes: Sequence[int | CallerError]) -> bytes:
        raise RuntimeError("no answer")

    account = await account_in(store)
    one = [wanted(number())]
    with pytest.raises(RuntimeError, match="no answer"):
        await store.register_once(account.id, one, NOW, CALL, fail)
    assert (await store.usage(account.id, NOW)).used == 0
    assert await store.find(account.id, [one[0].number]) == []
    assert await store.register_once(account.id, one, NOW, CALL, told) == b"ok"


async def test_a_call_is_under_way_until_it_ends_or_its_process_must_have_died(store: Store) -> None:
    account = await account_in(store)
    assert await store.begin_call(account.id, CALL, NOW) is None
    for call, reason in ((CALL, "key_in_flight"), (OTHER_BODY, "key_reused")):
        refused = await store.begin_call(account.id, call, NOW + 30 * SECOND)
        assert isinstance(refused, CallerError)
        assert refused.reason == reason
    assert await store.begin_call(account.id, CALL, NOW + 61 * SECOND) is None
    await store.end_call(account.id, CALL, b"answer")
    assert await store.begin_call(account.id, CALL, NOW + 62 * SECOND) == b"answer"
    other = await account_in(store, name="other", login_key="other-key-0001")
    assert await store.begin_call(other.id, CALL, NOW + 62 * SECOND) is None
    await store.end_call(other.id, CALL, None)
    assert await store.begin_call(other.id, CALL, NOW + 63 * SECOND) is None
