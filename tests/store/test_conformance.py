"""What every store does, by the port alone: state, quota, order, leases, concurrency."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest
from tests.store.conftest import Place
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    LOGIN_KEY,
    MINUTE,
    NOW,
    SECOND,
    SECRET,
    SIGN_KEY,
    UNSTORABLE,
    URL,
    account_in,
    attempt,
    change_of,
    claimed,
    fail_times,
    failed,
    history,
    jobs_due,
    number,
    prune,
    receiver,
    refreshed,
    registered,
    sent,
    stop,
    stored,
    tracked,
    units,
    update,
    wanted,
)

from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.detect import LearnedKey
from parcelwire.domain.doubt import Doubt
from parcelwire.domain.endpoint import WIDTH_MAX
from parcelwire.domain.errors import CallerError
from parcelwire.domain.exchange import Reply
from parcelwire.domain.lane import Grant, Lane, take
from parcelwire.domain.limits import Limits
from parcelwire.domain.push import SUPERSEDE_AFTER, PushEvent
from parcelwire.domain.shipment import Phase, Shipment, StopReason, Wish
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import Marks
from parcelwire.domain.times import EPOCH, second_of
from parcelwire.ports import (
    LEARNED_MAX,
    Changed,
    Charge,
    Count,
    Document,
    Refreshed,
    Shown,
    Store,
    Turn,
    Work,
)
from parcelwire.store.rows import wish_text

DOCUMENT = Document(b'{"a":[1,2]}', b"null")
MAY, JUNE = "2026-05", "2026-06"
LAST_OF_MAY = datetime(2026, 5, 31, 23, 59, 59, 999_999, tzinfo=UTC)
FIRST_OF_JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def reasons(outcomes: Sequence[Shipment | int | CallerError]) -> list[str]:
    return [outcome.reason if isinstance(outcome, CallerError) else "ok" for outcome in outcomes]


async def balanced(place: Place, store: Store, account: int, now: datetime = NOW) -> int:
    """Used quota of the current period, after checking that counter and ledger agree."""
    used = (await store.usage(account, now)).used
    assert (await place.ledger(account)).get(f"{now:%Y-%m}", 0) == used
    return used


# --- accounts ---------------------------------------------------------------------------------------------


async def test_an_account_is_found_by_its_own_login_key_only(store: Store) -> None:
    one = await account_in(store)
    two = await account_in(store, name="other", login_key="login-key-0002")
    assert await store.account_of_key(LOGIN_KEY) == one
    assert await store.account_of_key("login-key-0002") == two
    for stranger in ("", LOGIN_KEY[:-1], LOGIN_KEY.upper(), LOGIN_KEY + " ", SIGN_KEY):
        assert await store.account_of_key(stranger) is None


async def test_accounts_are_listed_in_the_order_in_which_they_were_opened(store: Store) -> None:
    opened = [await account_in(store, name=name, login_key=name) for name in ("zoë", "anna", "main")]
    assert await store.accounts() == opened
    assert [account.quota_total for account in opened] == [1000] * 3


async def test_an_account_that_cannot_be_opened_leaves_nothing(store: Store) -> None:
    """Its login key is already another account's: neither row stays."""
    one = await account_in(store)
    new = NewAccount("second", "free", 100, LOGIN_KEY, SIGN_KEY)
    (outcome,) = await asyncio.gather(store.open_account(new, NOW), return_exceptions=True)
    assert isinstance(outcome, Exception)
    assert await store.accounts() == [one]


async def test_a_plan_counts_at_once_and_keeps_what_is_used(store: Store) -> None:
    account = await account_in(store, quota=2)
    await store.register(account.id, [wanted(), wanted()], NOW)
    assert reasons(await store.register(account.id, [wanted()], NOW)) == ["quota"]
    await store.set_plan(account.id, "3", 3)
    assert reasons(await store.register(account.id, [wanted(), wanted()], NOW)) == ["ok", "quota"]
    usage = await store.usage(account.id, NOW)
    assert (usage.total, usage.used, usage.today) == (3, 3, 3)
    (after,) = await store.accounts()
    assert (after.plan, after.quota_total) == ("3", 3)


async def test_an_endpoint_is_replaced_and_keeps_its_id(store: Store) -> None:
    account = await account_in(store)
    assert await store.endpoint(account.id) is None
    await store.set_endpoint(account.id, URL, SECRET, stopped_by_request=True)
    first = await store.endpoint(account.id)
    assert first is not None
    assert (first.account, first.url, first.secret, first.stopped_by_request) == (
        account.id, URL, SECRET, True,
    )  # fmt: skip
    await store.set_endpoint(account.id, URL + "/2", "whsec_other", stopped_by_request=False)
    assert await store.endpoint(account.id) == replace(
        first, url=URL + "/2", secret="whsec_other", stopped_by_request=False
    )


async def test_an_endpoint_belongs_to_its_account(store: Store) -> None:
    account = await account_in(store)
    other = await account_in(store, name="other", login_key="other")
    await receiver(store, account)
    assert await store.endpoint(other.id) is None


# --- register ---------------------------------------------------------------------------------------------


async def test_registering_answers_in_the_order_given_and_keeps_every_field(store: Store) -> None:
    account = await account_in(store)
    wish = Wish("tag Ł", "en", "12345", "order-1", "2026-05-01", "a@b.example", "re\nmark '\"")
    items = [
        wanted(wish=wish, origin=1, code=21051, carrier="usps", lane="usps:2"),
        wanted(wish=Wish(remark="")),
        wanted(),
    ]
    outcomes = await registered(store, account.id, items, NOW)
    for item, outcome in zip(items, outcomes, strict=True):
        assert isinstance(outcome, Shipment)
        assert outcome == Shipment(
            outcome.id, account.id, item.number, item.carrier, item.code, item.origin, Phase.TRACKING, NOW,
            item.wish, registered_at=NOW, changed_at=NOW, refresh_at=NOW, lane=item.lane,
        )  # fmt: skip
        assert await store.find(account.id, [item.number]) == [(outcome, None)]


async def test_a_number_twice_in_one_call_is_registered_once(place: Place, store: Store) -> None:
    account = await account_in(store)
    name = number()
    outcomes = await registered(store, account.id, [wanted(name), wanted(), wanted(name)], NOW)
    assert reasons(outcomes) == ["ok", "ok", "registered"]
    assert isinstance(outcomes[2], CallerError)
    assert outcomes[2].values == {"number": name}
    assert await balanced(place, store, account.id) == 2


async def test_a_repeated_registration_costs_and_changes_nothing(place: Place, store: Store) -> None:
    account = await account_in(store)
    shipment = await tracked(store, account)
    again = wanted(shipment.number, code=7, wish=Wish(tag="new"), lane="elsewhere")
    assert reasons(await store.register(account.id, [again], NOW + DAY)) == ["registered"]
    assert await stored(store, shipment) == shipment
    assert await balanced(place, store, account.id) == 1


async def test_a_stopped_number_counts_as_registered(store: Store) -> None:
    account = await account_in(store)
    shipment = await tracked(store, account)
    await store.change([stop(shipment)], NOW)
    assert reasons(await store.register(account.id, [wanted(shipment.number)], NOW)) == ["registered"]


async def test_one_number_with_two_carriers_or_two_accounts_is_two_registrations(store: Store) -> None:
    account = await account_in(store)
    other = await account_in(store, name="other", login_key="other")
    name = number()
    items = [wanted(name, "ups"), wanted(name, "fedex")]
    assert reasons(await store.register(account.id, items, NOW)) == ["ok", "ok"]
    assert reasons(await store.register(other.id, items[:1], NOW)) == ["ok"]


async def test_the_last_units_go_to_the_first_items(place: Place, store: Store) -> None:
    """A refused item takes no unit from those behind it."""
    account = await account_in(store, quota=3)
    old = await tracked(store, account)
    items = [wanted(old.number), wanted(), wanted(), wanted(), wanted(old.number)]
    outcomes = await registered(store, account.id, items, NOW)
    assert reasons(outcomes) == ["registered", "ok", "ok", "quota", "registered"]
    assert await balanced(place, store, account.id) == 3
    assert await store.find(account.id, [items[3].number]) == []


async def test_the_daily_limit_holds_until_midnight_utc(place: Place, store: Store) -> None:
    account = await account_in(store)
    await place.limit_registrations(account.id, 2)
    outcomes = await registered(store, account.id, [wanted(), wanted(), wanted()], NOW)
    assert reasons(outcomes) == ["ok", "ok", "daily_limit"]
    midnight = datetime(2026, 5, 5, tzinfo=UTC)
    just_before = await registered(store, account.id, [wanted()], midnight - timedelta(microseconds=1))
    assert reasons(just_before) == ["daily_limit"]
    assert reasons(await store.register(account.id, [wanted()], midnight)) == ["ok"]
    usage = await store.usage(account.id, midnight)
    assert (usage.used, usage.today, usage.max_daily) == (3, 1, 2)


async def test_quota_begins_anew_on_the_first_at_midnight_utc(place: Place, store: Store) -> None:
    account = await account_in(store, quota=2)
    both = [wanted(), wanted()]
    assert reasons(await store.register(account.id, [*both, wanted()], LAST_OF_MAY)) == ["ok", "ok", "quota"]
    assert (await store.usage(account.id, FIRST_OF_JUNE)).used == 0
    outcomes = await registered(store, account.id, [wanted(), wanted(), wanted()], FIRST_OF_JUNE)
    assert reasons(outcomes) == ["ok", "ok", "quota"]
    assert await balanced(place, store, account.id, FIRST_OF_JUNE) == 2
    assert await place.ledger(account.id) == {MAY: 2, JUNE: 2}


async def test_concurrent_registrations_of_one_number_make_one_row_and_one_charge(
    place: Place, store: Store
) -> None:
    account = await account_in(store)
    item = wanted()
    outcomes = await asyncio.gather(*(store.register(account.id, [item], NOW) for _ in range(30)))
    assert sorted(reasons([outcome[0] for outcome in outcomes])) == ["ok"] + ["registered"] * 29
    assert len(await store.find(account.id, [item.number])) == 1
    assert await balanced(place, store, account.id) == 1


async def test_concurrent_registrations_never_overdraw(place: Place, store: Store) -> None:
    account = await account_in(store, quota=25)
    calls = [store.register(account.id, [wanted(), wanted(), wanted()], NOW) for _ in range(20)]
    outcomes = [outcome for call in await asyncio.gather(*calls) for outcome in call]
    assert units(outcomes) == 25
    assert await balanced(place, store, account.id) == 25


async def test_what_was_looked_up_is_registered_with_what_is_known(place: Place, store: Store) -> None:
    account = await account_in(store)
    item = wanted(code=100002, origin=1, wish=Wish(tag="a"), lane="ups:2")
    looked_up = await store.look_up(account.id, wanted(item.number), NOW - DAY)
    await change_of(store, looked_up, at=NOW - DAY)
    known = await stored(store, looked_up)
    assert reasons(await store.register(account.id, [item, item], NOW)) == ["ok", "registered"]
    assert await stored(store, looked_up) == replace(
        known, phase=Phase.TRACKING, code=100002, origin=1, wish=Wish(tag="a"), lane="ups:2",
        registered_at=NOW, changed_at=NOW, refresh_at=NOW,
    )  # fmt: skip
    assert await balanced(place, store, account.id) == 1


async def test_what_was_shown_before_registering_counts_as_not_pushed(store: Store) -> None:
    """Else the first push would never come: nothing would have changed since the question."""
    account = await account_in(store)
    item = wanted()
    looked_up = await store.look_up(account.id, item, NOW)
    due = await store.claim_one(looked_up.id, NOW + LEASE, "realtime")
    assert due is not None
    result = refreshed(due.shipment)
    assert await store.complete([replace(result, shipment=replace(result.shipment, digest="0123"))]) == 0
    assert (await stored(store, looked_up)).digest == "0123"
    await store.register(account.id, [item], NOW)
    assert (await stored(store, looked_up)).digest is None


async def test_registering_fences_a_question_that_is_under_way(store: Store) -> None:
    account = await account_in(store)
    item = wanted()
    looked_up = await store.look_up(account.id, item, NOW)
    due = await store.claim_one(looked_up.id, NOW + LEASE, "realtime")
    assert due is not None
    await store.register(account.id, [item], NOW)
    assert await store.complete([refreshed(due.shipment)]) == 1
    assert (await stored(store, looked_up)).phase is Phase.TRACKING


async def test_looking_up_twice_or_what_is_registered_makes_nothing_new(place: Place, store: Store) -> None:
    account = await account_in(store)
    item = wanted()
    first = await store.look_up(account.id, item, NOW)
    assert first == Shipment(
        first.id, account.id, item.number, "ups", 100001, 2, Phase.LOOKED_UP, NOW, lane="ups"
    )
    assert await store.look_up(account.id, item, NOW + HOUR) == first
    registered = await tracked(store, account)
    assert await store.look_up(account.id, wanted(registered.number), NOW + HOUR) == registered
    assert await balanced(place, store, account.id) == 1
    assert await store.lanes() == {"ups": NOW}  # the registered one's alone


async def test_concurrent_look_ups_make_one_row(store: Store) -> None:
    account = await account_in(store)
    item = wanted()
    found = await asyncio.gather(*(store.look_up(account.id, item, NOW) for _ in range(20)))
    assert len({shipment.id for shipment in found}) == 1


# --- real-time charges ------------------------------------------------------------------------------------


def charges(*amounts: int, held: bool = True) -> list[Charge]:
    return [Charge(secrets.token_hex(8), amount, held) for amount in amounts]


async def test_charges_are_made_in_order_as_far_as_the_quota_goes(place: Place, store: Store) -> None:
    account = await account_in(store, quota=21)
    made = await store.charge(account.id, charges(10, 10, 10, 1, 1), NOW)
    assert made == [True, True, False, True, False]
    assert await balanced(place, store, account.id) == 21
    assert (await store.usage(account.id, NOW)).today == 0


@pytest.mark.parametrize("kept", [0, 1, 10])
async def test_settling_keeps_a_part_once(place: Place, store: Store, kept: int) -> None:
    account = await account_in(store)
    (charge,) = charges(10)
    await store.charge(account.id, [charge], NOW)
    await store.settle(account.id, charge.reference, kept, NOW)
    assert await balanced(place, store, account.id) == kept
    await store.settle(account.id, charge.reference, 0, NOW)
    assert await store.release_holds(NOW + DAY, NOW + DAY) == 0
    assert await balanced(place, store, account.id) == kept


async def test_only_what_is_held_can_be_settled(place: Place, store: Store) -> None:
    account = await account_in(store, quota=25)
    other = await account_in(store, name="other", login_key="other")
    final, held, refused = charges(10, held=False) + charges(10, 10)
    assert await store.charge(account.id, [final, held, refused], NOW) == [True, True, False]
    await store.settle(account.id, final.reference, 0, NOW)
    await store.settle(account.id, refused.reference, 0, NOW)
    await store.settle(account.id, "never charged", 0, NOW)
    await store.settle(other.id, held.reference, 0, NOW)
    assert await balanced(place, store, account.id) == 20


async def test_what_a_dead_call_held_is_given_back(place: Place, store: Store) -> None:
    account = await account_in(store)
    old, young = charges(10, 10)
    await store.charge(account.id, [old], NOW)
    await store.charge(account.id, [young], NOW + MINUTE)
    store = await place.open()  # a crash leaves holds behind
    assert await store.release_holds(NOW, NOW + MINUTE) == 0
    assert await store.release_holds(NOW + MINUTE, NOW + MINUTE) == 1
    assert await balanced(place, store, account.id) == 10
    await store.settle(account.id, young.reference, 10, NOW + MINUTE)
    assert await balanced(place, store, account.id) == 10


async def test_the_translations_of_a_shipment_are_paid_once(place: Place, store: Store) -> None:
    """However many ask at once; one that cannot be paid costs nothing, one that was paid stays paid."""
    account = await account_in(store, quota=3)
    one, other = await tracked(store, account), await tracked(store, account)
    calls = [store.pay_translation(account.id, one.id, NOW) for _ in range(10)]
    assert await asyncio.gather(*calls) == [True] * 10
    assert not await store.pay_translation(account.id, other.id, NOW)
    assert await store.pay_translation(account.id, one.id, NOW + DAY)
    assert await balanced(place, store, account.id) == 3


async def test_what_was_held_by_a_clock_that_was_ahead_is_given_back(place: Place, store: Store) -> None:
    account = await account_in(store)
    await store.charge(account.id, charges(10), NOW + DAY)
    await store.charge(account.id, charges(10), NOW + MINUTE)
    assert await store.release_holds(NOW - MINUTE, NOW) == 1
    assert await balanced(place, store, account.id) == 10


async def test_a_refund_belongs_to_the_period_of_its_charge(place: Place, store: Store) -> None:
    account = await account_in(store)
    one, two = charges(10, 10)
    await store.charge(account.id, [one, two], LAST_OF_MAY)
    await store.settle(account.id, one.reference, 0, FIRST_OF_JUNE)
    assert await balanced(place, store, account.id, LAST_OF_MAY) == 10
    assert await balanced(place, store, account.id, FIRST_OF_JUNE) == 0
    await store.charge(account.id, charges(1), FIRST_OF_JUNE)
    assert await store.release_holds(FIRST_OF_JUNE, FIRST_OF_JUNE + MINUTE) == 1
    assert await balanced(place, store, account.id, LAST_OF_MAY) == 0
    assert await balanced(place, store, account.id, FIRST_OF_JUNE) == 1


async def test_a_clock_that_goes_back_gives_no_quota_away(place: Place, store: Store) -> None:
    account = await account_in(store, quota=10)
    assert await store.charge(account.id, charges(10), FIRST_OF_JUNE) == [True]
    assert await store.charge(account.id, charges(4), LAST_OF_MAY) == [True]
    assert await store.charge(account.id, charges(1), FIRST_OF_JUNE) == [False]
    assert await balanced(place, store, account.id, LAST_OF_MAY) == 4
    assert await balanced(place, store, account.id, FIRST_OF_JUNE) == 10


async def test_concurrent_charges_never_overdraw(place: Place, store: Store) -> None:
    account = await account_in(store, quota=95)
    made = await asyncio.gather(*(store.charge(account.id, charges(10), NOW) for _ in range(30)))
    assert sum(answer for (answer,) in made) == 9
    assert await balanced(place, store, account.id) == 90


# --- find and change --------------------------------------------------------------------------------------


async def test_nothing_of_another_account_is_ever_found(store: Store) -> None:
    account = await account_in(store)
    other = await account_in(store, name="other", login_key="other")
    item = wanted()
    await store.register(other.id, [item], NOW)
    assert await store.find(account.id, [item.number]) == []
    (own,) = await registered(store, account.id, [item], NOW)
    assert [shipment for shipment, _ in await store.find(account.id, [item.number])] == [own]


async def test_shipments_are_found_in_order_of_registration(store: Store) -> None:
    account = await account_in(store)
    name = number()
    outcomes = await registered(
        store, account.id, [wanted(name, "usps"), wanted(), wanted(name, "dhl"), wanted(name, "fedex")], NOW
    )
    asked = [name, "UNKNOWN", wanted().number, name]
    assert [row for row, _ in await store.find(account.id, asked)] == [outcomes[0], *outcomes[2:]]
    assert await store.find(account.id, []) == []


def plain(shipment: Shipment, document: Document | None) -> Shown:
    """What is shown of a shipment, value by value."""

    def us(at: datetime | None) -> int | None:
        return None if at is None else (at - EPOCH) // timedelta(microseconds=1)

    return Shown(
        shipment.id, shipment.number, shipment.carrier, shipment.code, shipment.phase.value,
        us(shipment.since) or 0, wish_text(shipment.wish), shipment.sub_status, shipment.descr,
        shipment.digest, us(shipment.changed_at), *shipment.marks.dates,
        second_of(shipment.asked_at) if shipment.asked_at else None, us(shipment.answered_at),
        shipment.trouble,
        document.template if document else None, document.estimate if document else None,
    )  # fmt: skip


async def test_what_is_shown_is_what_is_stored(store: Store) -> None:
    """Every column in its place, with the document, without it, and of a number that was only looked up."""
    account, other = await account_in(store), await account_in(store, name="other", login_key="other")
    fresh, known = await tracked(store, account), await tracked(store, account, carrier="dhl")
    looked_up = await store.look_up(account.id, wanted(known.number, wish=Wish(tag="é")), NOW)
    await store.register(other.id, [wanted(known.number)], NOW)
    (due,) = await claimed(store, "dhl")
    marks = Marks(NOW - DAY, NOW - HOUR, None, NOW - DAY / 3)
    after = replace(
        due.shipment, sub_status=SubStatus.DELAYED, descr="weather", digest="0a", marks=marks,
        asked_at=NOW + SECOND / 3, answered_at=NOW + SECOND / 3, changed_at=NOW - SECOND / 7, trouble="why",
    )  # fmt: skip
    assert await store.complete([Refreshed(after, attempt(), document=DOCUMENT)]) == 0
    one, two, three = plain(fresh, None), plain(after, DOCUMENT), plain(looked_up, None)
    numbers = [fresh.number, known.number]
    assert await store.shown(account.id, numbers) == [one, two, three]
    bare = two._replace(template=None, estimate=None)
    assert await store.shown(account.id, [], numbers) == [one, bare, three]
    assert await store.shown(account.id, numbers[:1], numbers[1:]) == [one, bare, three]
    assert await store.shown(account.id, numbers[1:], numbers[:1]) == [one, two, three]
    assert await store.shown(account.id, [], []) == []
    assert await store.shown(account.id, ["UNKNOWN"], ["' OR 1=1 --"]) == []


async def test_numbers_are_data_whatever_they_contain(store: Store) -> None:
    account = await account_in(store)
    await tracked(store, account)
    for hostile in ("' OR 1=1 --", '"]', "%", "\\", "é" * 300):
        assert await store.find(account.id, [hostile]) == []


async def test_a_change_is_saved_with_its_push(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    change = stop(shipment, at=NOW + HOUR)
    assert await store.change([change], NOW + HOUR) == [True]
    assert await stored(store, shipment) == change.shipment
    assert change.shipment.stop_reason is StopReason.BY_REQUEST
    (job,) = await jobs_due(store, NOW + HOUR)
    assert (job.event, job.body) == (PushEvent.STOPPED, change.pushes[0].body)
    assert await store.lanes() == {}


async def test_a_change_is_refused_when_a_refresh_came_between(store: Store) -> None:
    """Else it would undo what the refresh learned, and give two pushes one version."""
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    await change_of(store, shipment, update(1))
    assert await store.change([stop(shipment)], NOW) == [False]
    refreshed_now = await stored(store, shipment)
    assert refreshed_now.phase is Phase.TRACKING
    await change_of(store, refreshed_now, at=NOW + MINUTE)  # says nothing new, but was asked later
    assert await store.change([stop(refreshed_now)], NOW) == [False]
    assert await store.change([stop(await stored(store, shipment))], NOW) == [True]
    (job,) = await jobs_due(store)
    await store.finish_pushes([sent(job)])
    (end,) = await jobs_due(store)
    assert [(job.event, job.version), (end.event, end.version)] == [
        (PushEvent.UPDATED, 1), (PushEvent.STOPPED, 2),
    ]  # fmt: skip


async def test_a_change_is_saved_while_a_refresh_is_only_under_way(store: Store) -> None:
    account = await account_in(store)
    shipment = await tracked(store, account)
    await claimed(store)
    assert await store.change([stop(shipment)], NOW) == [True]


async def test_a_change_is_refused_when_the_phase_is_another_by_now(place: Place, store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    await place.widen()
    one, two = await tracked(store, account), await tracked(store, account)
    await store.change([stop(one)], NOW)
    assert await store.change([stop(one, at=NOW + HOUR), stop(two)], NOW + HOUR) == [False, True]
    assert (await stored(store, one)).stopped_at == NOW
    assert len(await jobs_due(store, NOW + DAY)) == 2


async def test_of_concurrent_stops_one_wins(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    saved = await asyncio.gather(*(store.change([stop(shipment)], NOW) for _ in range(20)))
    assert sum(answer for (answer,) in saved) == 1
    assert len(await jobs_due(store)) == 1


async def test_a_change_fences_the_refresh_that_is_under_way(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    (due,) = await claimed(store)
    assert await store.change([stop(shipment)], NOW) == [True]
    assert await store.complete([refreshed(due.shipment, update(1))]) == 1
    after = await stored(store, shipment)
    assert (after.phase, after.lease, after.refresh_at) == (Phase.STOPPED, None, None)
    assert [job.event for job in await jobs_due(store)] == [PushEvent.STOPPED]


async def test_a_retracked_shipment_is_due_again(store: Store) -> None:
    account = await account_in(store)
    shipment = await tracked(store, account)
    await store.change([stop(shipment)], NOW)
    stopped = await stored(store, shipment)
    again = replace(
        stopped, phase=Phase.TRACKING, stopped_at=None, stop_reason=None, refresh_at=NOW + HOUR, lane="dhl"
    )
    assert await store.change([Changed(stopped, again)], NOW + HOUR) == [True]
    assert await stored(store, shipment) == again
    assert await store.lanes() == {"dhl": NOW + HOUR}


# --- lanes ------------------------------------------------------------------------------------------------


async def test_lanes_tell_when_each_has_something_first(store: Store) -> None:
    account = await account_in(store)
    assert await store.lanes() == {}
    await tracked(store, account, at=NOW + HOUR)
    await tracked(store, account, at=NOW)
    await tracked(store, account, at=NOW + MINUTE, carrier="dhl")
    stopped = await tracked(store, account, carrier="fedex")
    await store.change([stop(stopped)], NOW)
    await store.look_up(account.id, wanted(carrier="usps"), NOW)
    assert await store.lanes() == {"ups": NOW, "dhl": NOW + MINUTE}
    await claimed(store, "dhl", now=NOW + MINUTE)
    assert await store.lanes() == {"ups": NOW, "dhl": NOW + MINUTE + LEASE}


async def test_a_lane_is_new_until_it_is_saved_and_then_as_saved(store: Store) -> None:
    assert await store.lane("ups") == Lane("ups")
    full = Lane("ups", 1, NOW, date(2026, 5, 4), 3, 4, 5, 6, NOW + HOUR, "breaker open", 7)
    assert await store.save_lane(full, 0)
    assert await store.lane("ups") == full
    assert await store.lane("dhl") == Lane("dhl")
    empty = Lane("ups", 2)
    assert await store.save_lane(empty, 1)
    assert await store.lane("ups") == empty


async def test_a_lane_that_has_moved_on_is_not_overwritten(store: Store) -> None:
    first = Lane("ups", 1, used=1)
    assert not await store.save_lane(Lane("ups", 6), 5)
    assert await store.save_lane(first, 0)
    assert not await store.save_lane(Lane("ups", 1, used=9), 0)
    assert await store.lane("ups") == first


async def test_a_daily_budget_is_exact_under_concurrency(store: Store) -> None:
    limits = Limits(per_day=15, reserved=0)

    async def call() -> bool:
        while True:
            lane = await store.lane("ups")
            grant = take(lane, limits, NOW)
            if not grant.granted or await store.save_lane(grant.lane, lane.revision):
                return grant.granted

    assert sum(await asyncio.gather(*(call() for _ in range(25)))) == 15
    assert (await store.lane("ups")).used == 15


async def test_urgent_calls_are_taken_exactly_by_any_number_at_once(store: Store) -> None:
    """Of the whole budget, from a lane that was never saved; a refusal changes nothing."""
    limits = Limits(per_day=15, reserved=0.4)

    def urgent(lane: Lane, now: datetime) -> Grant:
        return take(lane, limits, now, urgent=True)

    grants = await asyncio.gather(*(store.take_call("ups", urgent, NOW) for _ in range(25)))
    assert sum(grant.granted for grant in grants) == 15
    refused = next(grant for grant in grants if not grant.granted)
    assert refused.retry_at == datetime(2026, 5, 5, tzinfo=UTC)
    assert await store.lane("ups") == Lane("ups", revision=15, day=NOW.date(), used=15)
    assert await store.take_call("ups", urgent, NOW) == Grant(
        await store.lane("ups"), NOW, False, refused.retry_at, refused.why
    )
    assert (await store.take_call("dhl", urgent, NOW)).lane == await store.lane("dhl")


# --- claim ------------------------------------------------------------------------------------------------


async def test_only_due_shipments_of_the_lane_are_claimed(store: Store) -> None:
    account = await account_in(store)
    due = await tracked(store, account)
    await tracked(store, account, at=NOW + timedelta(microseconds=1))
    await tracked(store, account, carrier="dhl")
    await change_of(store, await store.look_up(account.id, wanted(), NOW))
    (taken,) = await store.claim("ups", 10, NOW, NOW + LEASE, "mine")
    assert taken.shipment == replace(due, lease="mine", refresh_at=NOW + LEASE)
    assert taken.histories == ()


async def test_those_that_wait_longest_are_claimed_first(store: Store) -> None:
    account = await account_in(store)
    at = [NOW - MINUTE * minutes for minutes in (1, 5, 3, 4, 2)]
    shipments = [await tracked(store, account, at=moment) for moment in at]
    first = await claimed(store, most=2)
    second = await claimed(store, most=2)
    third = await claimed(store, most=2)
    ids = [{due.shipment.id for due in batch} for batch in (first, second, third)]
    assert ids == [{shipments[1].id, shipments[3].id}, {shipments[2].id, shipments[4].id}, {shipments[0].id}]


async def test_of_one_number_one_shipment_is_claimed_at_a_time(store: Store) -> None:
    account = await account_in(store)
    other = await account_in(store, name="other", login_key="other")
    name = number()
    for owner in (account, other):
        await store.register(owner.id, [wanted(name), wanted()], NOW)
    first, second = await claimed(store), await claimed(store)
    assert [due.shipment.number for due in first].count(name) == 1
    assert len(first) == 3
    assert [due.shipment.number for due in second] == [name]


async def test_concurrent_claimers_share_out_what_is_due(store: Store) -> None:
    account = await account_in(store)
    await store.register(account.id, [wanted() for _ in range(50)], NOW)
    batches = await asyncio.gather(*(claimed(store, most=4) for _ in range(20)))
    ids = [due.shipment.id for batch in batches for due in batch]
    assert len(ids) == len(set(ids)) == 50


async def test_an_expired_lease_is_claimed_again_and_the_old_one_is_fenced(store: Store) -> None:
    account = await account_in(store)
    shipment = await tracked(store, account)
    (old,) = await claimed(store)
    assert await claimed(store, now=NOW + LEASE - SECOND) == []
    (new,) = await claimed(store, now=NOW + LEASE)
    assert await store.complete([refreshed(old.shipment, update(1))]) == 1
    assert await store.attempts(shipment.id, 10) == []
    assert await store.complete([refreshed(new.shipment, update(1))]) == 0
    assert (await stored(store, shipment)).version == 1


async def test_a_late_result_counts_while_nobody_else_has_claimed(store: Store) -> None:
    account = await account_in(store)
    await tracked(store, account)
    (due,) = await claimed(store)
    assert await store.complete([refreshed(due.shipment, at=NOW + DAY)]) == 0
    assert await store.complete([refreshed(due.shipment, at=NOW + DAY)]) == 1  # a lease is good once


async def test_claim_one_takes_over_and_fences(store: Store) -> None:
    account = await account_in(store)
    shipment = await tracked(store, account)
    (batch,) = await claimed(store)
    until = NOW + LEASE + SECOND
    taken = await store.claim_one(shipment.id, until, "realtime")
    assert taken is not None
    assert (taken.shipment.lease, taken.shipment.refresh_at) == ("realtime", until)
    assert await store.complete([refreshed(batch.shipment)]) == 1
    assert await store.complete([refreshed(taken.shipment)]) == 0


async def test_claim_one_leaves_what_has_no_schedule_without_one(store: Store) -> None:
    account = await account_in(store)
    shipment = await store.look_up(account.id, wanted(), NOW)
    taken = await store.claim_one(shipment.id, NOW + LEASE, "realtime")
    assert taken is not None
    assert taken.shipment.refresh_at is None
    assert await store.lanes() == {}
    assert await store.claim_one(shipment.id + 1, NOW + LEASE, "realtime") is None


# --- complete ---------------------------------------------------------------------------------------------


async def test_a_refresh_is_kept_whole(store: Store) -> None:
    """Columns, history, document, log, push and the next due time, all of one result."""
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    (due,) = await claimed(store)
    after = replace(
        due.shipment, origin=1, version=1, sub_status=SubStatus.DELIVERED, descr="left at the door",
        digest="0123", marks=Marks(NOW - DAY, NOW - HOUR, NOW, NOW), asked_at=NOW, answered_at=NOW,
        changed_at=NOW, trouble="malformed: ?", fails=2, refresh_at=NOW + DAY,
    )  # fmt: skip
    told = history("ups", "Delivered", "Out for delivery")
    result = Refreshed(after, attempt(), (told,), DOCUMENT, (update(1),), Reply(200, {}, b"raw"))
    assert await store.complete([result]) == 0
    assert await store.find(account.id, [shipment.number]) == [(replace(after, lease=None), DOCUMENT)]
    assert await store.attempts(shipment.id, 10) == [result.attempt]
    (job,) = await jobs_due(store)
    assert (job.shipment, job.version, job.body) == (shipment.id, 1, update(1).body)
    assert await store.lanes() == {"ups": NOW + DAY}
    (again,) = await claimed(store, now=NOW + DAY)
    assert again.histories == (told,)


async def test_histories_of_several_sources_come_along_and_are_replaced_by_source(store: Store) -> None:
    account = await account_in(store)
    shipments = [await tracked(store, account) for _ in range(3)]
    for told in (history("usps", "A"), history("ups", "B"), history("ups", "C", "B")):
        due = await store.claim_one(shipments[0].id, NOW + LEASE, "one")
        assert due is not None
        await store.complete([refreshed(due.shipment, told=told, again=-HOUR)])
    given = {due.shipment.id: due.histories for due in await claimed(store)}
    both = (history("ups", "C", "B"), history("usps", "A"))
    assert given == {shipments[0].id: both, shipments[1].id: (), shipments[2].id: ()}


async def test_what_a_result_does_not_mention_stays(store: Store) -> None:
    account = await account_in(store)
    shipment = await tracked(store, account)
    (due,) = await claimed(store)
    await store.complete([refreshed(due.shipment, told=history(), document=DOCUMENT, again=-HOUR)])
    (due,) = await claimed(store)
    await store.complete([refreshed(due.shipment, again=-HOUR)])
    (due,) = await claimed(store)
    assert due.histories == (history(),)
    assert (await store.find(account.id, [shipment.number]))[0][1] == DOCUMENT


async def test_a_dropped_result_leaves_no_trace(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    one, two = await tracked(store, account), await tracked(store, account)
    dues = await claimed(store)
    await store.claim_one(one.id, NOW + LEASE, "other")
    results = [
        refreshed(due.shipment, update(1), told=history(), document=DOCUMENT, raw=Reply(200)) for due in dues
    ]
    assert await store.complete(results) == 1
    assert await store.find(account.id, [one.number]) == [(await stored(store, one), None)]
    assert (await stored(store, one)).version == 0
    assert await store.attempts(one.id, 10) == []
    assert [job.shipment for job in await jobs_due(store)] == [two.id]


async def test_results_are_saved_together_or_not_at_all(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    one, two = await tracked(store, account), await tracked(store, account)
    dues = sorted(await claimed(store), key=lambda due: due.shipment.id)
    good = refreshed(dues[0].shipment, update(1), told=history(), document=DOCUMENT)
    bad = refreshed(dues[1].shipment, update(1), told=history(), document=DOCUMENT, ms=UNSTORABLE)
    (outcome,) = await asyncio.gather(store.complete([good, bad]), return_exceptions=True)
    assert isinstance(outcome, Exception)
    for shipment in (one, two):
        assert await store.attempts(shipment.id, 10) == []
        assert (await store.find(account.id, [shipment.number]))[0][1] is None
    assert await store.pushes_due() is None
    assert await store.complete([good]) == 0  # the leases are as they were


async def test_one_failing_call_harms_no_call_beside_it(place: Place, store: Store) -> None:
    account = await account_in(store)
    good = [store.register(account.id, [wanted()], NOW) for _ in range(20)]
    bad = [store.register(account.id, [wanted(), wanted(code=UNSTORABLE)], NOW) for _ in range(5)]
    outcomes = await asyncio.gather(*good[:10], *bad, *good[10:], return_exceptions=True)
    assert sum(isinstance(outcome, BaseException) for outcome in outcomes) == 5
    assert await balanced(place, store, account.id) == 20


async def test_the_newest_attempts_come_first(store: Store) -> None:
    account = await account_in(store)
    shipment, other = await tracked(store, account), await tracked(store, account)
    for minutes in (0, 1, 1, 2):
        await change_of(store, shipment, at=NOW + MINUTE * minutes)
    await change_of(store, other)
    newest = await store.attempts(shipment.id, 3)
    assert [item.at for item in newest] == [NOW + MINUTE * minutes for minutes in (2, 1, 1)]
    assert len(await store.attempts(shipment.id, 10)) == 4
    await store.delete(account.id, [shipment.id])
    assert await store.attempts(shipment.id, 10) == []
    assert len(await store.attempts(other.id, 10)) == 1


# --- turns ------------------------------------------------------------------------------------------------


async def turn(
    store: Store, queue: str = "ups", *, most: int = 9, limits: Limits | None = None, now: datetime = NOW,
    ahead: timedelta = timedelta(),
) -> Turn:  # fmt: skip
    """A turn with limits of one call a second."""
    return await store.take_turn(queue, most, limits or Limits(per_s=1), now, now + LEASE, "turn", ahead)


async def test_a_turn_takes_a_call_and_its_shipments(store: Store) -> None:
    account = await account_in(store)
    due = [await tracked(store, account) for _ in range(3)]
    taken = await turn(store, most=2)
    assert taken.grant is not None
    assert taken.grant.granted
    assert [item.shipment.id for item in taken.due] == [shipment.id for shipment in due[:2]]
    assert all(item.shipment.lease == "turn" for item in taken.due)
    assert await store.lane("ups") == taken.grant.lane
    assert taken.grant.lane.used == 1


async def test_a_turn_without_due_shipments_costs_no_call(store: Store) -> None:
    account = await account_in(store)
    await tracked(store, account, at=NOW + SECOND)
    assert await turn(store) == Turn()
    assert await store.lane("ups") == Lane("ups")


async def test_a_refused_turn_claims_nothing(store: Store) -> None:
    account = await account_in(store)
    for _ in range(2):
        await tracked(store, account)
    assert (await turn(store, most=1)).due
    refused = await turn(store, most=1)
    assert refused.grant is not None
    assert refused.grant.retry_at is not None
    assert NOW + SECOND <= refused.grant.retry_at < NOW + 2 * SECOND  # a slow machine counts from later
    assert (refused.grant.granted, refused.due) == (False, ())
    assert len(await claimed(store)) == 1


async def test_side_queues_share_the_limits_of_their_lane(store: Store) -> None:
    account = await account_in(store)
    await tracked(store, account)
    await tracked(store, account, lane="ups/4")
    assert (await turn(store, "ups/4")).due
    refused = await turn(store, "ups")
    assert refused.grant is not None
    assert not refused.grant.granted
    assert await store.lane("ups/4") == Lane("ups/4")


async def answered(store: Store, account: Account, at: datetime, again: timedelta) -> Shipment:
    """A shipment that was asked about at ``at`` and is due ``again`` later."""
    shipment = await tracked(store, account)
    due = await store.claim_one(shipment.id, NOW + LEASE, "before")
    assert due is not None
    await store.complete([refreshed(due.shipment, at=at, again=again)])
    return shipment


async def test_a_call_takes_along_what_is_nearly_due(store: Store) -> None:
    """Only what has waited three quarters of its interval, and never what is leased or further away than
    ``ahead``; and only when something is due anyway."""
    account = await account_in(store)
    near = await answered(store, account, NOW - 45 * MINUTE, HOUR)
    await answered(store, account, NOW - 10 * MINUTE, 20 * MINUTE)  # has waited half of it
    await answered(store, account, NOW - 10 * HOUR, 10 * HOUR + 16 * MINUTE)  # too far away
    leased = await answered(store, account, NOW - 45 * MINUTE, HOUR)
    await store.claim_one(leased.id, NOW + MINUTE, "other")
    assert await turn(store, ahead=15 * MINUTE) == Turn()
    due = await tracked(store, account)
    taken = await turn(store, ahead=15 * MINUTE)
    assert {item.shipment.id for item in taken.due} == {near.id, due.id}


async def test_a_census_counts_what_is_refreshed_by_schedule_in_all_queues_of_a_lane(store: Store) -> None:
    account = await account_in(store)
    await tracked(store, account)
    await tracked(store, account, lane="ups/1")
    await tracked(store, account, lane="ups:other")
    await tracked(store, account, carrier="dhl")
    await store.change([stop(await tracked(store, account))], NOW)
    assert await store.census("ups") == {None: 2}
    assert await store.census("ups:other") == {None: 1}
    assert await store.census("gls") == {}


# --- reroute, rewind, prune -------------------------------------------------------------------------------


def to(lane: str, *, of: str = "ups") -> Callable[[str, str], str | None]:
    """Shipments of a carrier move to a lane."""
    return lambda carrier, before: lane if carrier == of and before != lane else None


async def test_rerouted_shipments_are_due_now_in_their_new_lane(store: Store) -> None:
    account = await account_in(store)
    moved = await tracked(store, account, carrier="ups", lane="no_source", at=NOW + DAY)
    stopped = await tracked(store, account, carrier="ups", lane="no_source")
    await store.change([stop(stopped)], NOW)
    there = await tracked(store, account, carrier="ups", lane="ups", at=NOW + DAY)
    await tracked(store, account, carrier="dhl", lane="no_source", at=NOW + DAY)
    assert await store.begin_reroute("a")
    assert await store.reroute("a", to("ups"), 100, NOW) == 2
    assert await store.lanes() == {"ups": NOW, "no_source": NOW + DAY}
    assert await stored(store, moved) == replace(moved, lane="ups", refresh_at=NOW)
    assert await stored(store, there) == there
    kept = await stored(store, stopped)
    assert (kept.lane, kept.refresh_at, kept.phase) == ("ups", None, Phase.STOPPED)


async def test_each_routing_is_gone_through_once_in_small_steps(store: Store) -> None:
    """A start with the same credentials looks at no shipment; one that was cut off goes on where it was."""
    account = await account_in(store)
    shipments = [await tracked(store, account, at=NOW + DAY) for _ in range(5)]
    assert await store.begin_reroute("a")
    assert await store.reroute("a", to("two"), 2, NOW) == 2
    assert await store.begin_reroute("a")
    assert [await store.reroute("a", to("two"), 2, NOW) for _ in range(3)] == [2, 1, None]
    assert {(await stored(store, one)).lane for one in shipments} == {"two"}
    assert not await store.begin_reroute("a")
    assert await store.reroute("a", to("three"), 2, NOW) is None
    assert await store.begin_reroute("b")
    assert await store.reroute("a", to("three"), 2, NOW) is None, (
        "whoever has older credentials leaves it alone"
    )
    assert await store.reroute("b", to("three"), 9, NOW) == 5
    assert await store.reroute("b", to("three"), 9, NOW) is None


async def test_rerouting_fences_the_refresh_that_is_under_way(store: Store) -> None:
    account = await account_in(store)
    await tracked(store, account)
    (due,) = await claimed(store)
    await store.begin_reroute("a")
    assert await store.reroute("a", to("seventeentrack"), 10, NOW) == 1
    assert await store.complete([refreshed(due.shipment)]) == 1


async def test_a_rewound_journey_began_earlier_and_is_due_now(store: Store) -> None:
    account = await account_in(store)
    shipment, other = await tracked(store, account), await tracked(store, account)
    dues = {due.shipment.id: due for due in await claimed(store)}
    await store.rewind(shipment.id, timedelta(seconds=2.5), NOW)
    assert await stored(store, shipment) == replace(
        shipment, since=NOW - timedelta(seconds=2.5), refresh_at=NOW
    )
    assert (await stored(store, other)).since == NOW
    assert await store.complete([refreshed(dues[shipment.id].shipment)]) == 1
    looked_up = await store.look_up(account.id, wanted(), NOW)
    await store.rewind(looked_up.id, HOUR, NOW)
    assert (await stored(store, looked_up)).refresh_at is None


async def test_what_is_known_of_a_rewound_journey_is_older_too(store: Store) -> None:
    account = await account_in(store)
    shipment = await tracked(store, account)
    (due,) = await claimed(store)
    await store.complete([refreshed(due.shipment, told=history("ups", "A", "B"))])
    await store.rewind(shipment.id, MINUTE, NOW)
    (due,) = await claimed(store)
    (told,) = due.histories
    assert [seen.event.order_at for seen in told.seen] == [NOW - MINUTE, NOW - HOUR - MINUTE]


async def test_pruning_forgets_old_attempts_and_nothing_that_is_needed(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    (due,) = await claimed(store)
    raw = Reply(200, {}, b"reply")
    await store.complete(
        [refreshed(due.shipment, update(1), told=history(), document=DOCUMENT, raw=raw, again=-HOUR)]
    )
    await change_of(store, shipment, at=NOW + HOUR)
    assert await prune(store, NOW) == 0
    assert await prune(store, NOW + SECOND) == 1
    assert [item.at for item in await store.attempts(shipment.id, 10)] == [NOW + HOUR]
    assert (await store.find(account.id, [shipment.number]))[0][1] == DOCUMENT
    due_again = await store.claim_one(shipment.id, NOW + LEASE, "again")
    assert due_again is not None
    assert due_again.histories == (history(),)
    (job,) = await jobs_due(store)  # still to be sent, however old it is
    assert job.version == 1


async def test_pruning_forgets_finished_pushes(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    shipment, _ = await change_of(store, shipment, update(1), update(2))
    (job,) = await jobs_due(store)
    await store.finish_pushes([sent(job)])
    assert await prune(store, NOW + SECOND) == 3  # one attempt to refresh, one push, one change
    assert [job.version for job in await jobs_due(store)] == [2]


# --- pushes -----------------------------------------------------------------------------------------------


async def test_a_push_carries_all_that_is_needed_to_send_it(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    endpoint = await store.endpoint(account.id)
    assert endpoint is not None
    shipment, _ = await change_of(store, await tracked(store, account), update(1, b"\x00body\xff"))
    (job,) = await store.claim_pushes(10, NOW, NOW + LEASE, "mine")
    assert (job.account, job.shipment, job.endpoint) == (account.id, shipment.id, endpoint.id)
    assert (job.event, job.version, job.body, job.attempts) == (PushEvent.UPDATED, 1, b"\x00body\xff", 0)
    assert (job.url, job.sign_key, job.secrets, job.lease) == (URL, SIGN_KEY, (SECRET,), "mine")
    assert job.id.startswith("msg_")
    assert len(job.id) == 30


async def test_a_retry_uses_the_keys_and_the_url_of_its_time(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    await change_of(store, await tracked(store, account), update(1))
    (job,) = await jobs_due(store)
    await store.finish_pushes([failed(job, again_at=NOW)])
    await store.set_sign_key(account.id, "new key")
    await store.set_endpoint(account.id, URL + "/2", "whsec_new", stopped_by_request=True)
    (again,) = await jobs_due(store)
    assert again == replace(
        job,
        url=URL + "/2",
        sign_key="new key",
        secrets=("whsec_new",),
        attempts=1,
        tries=1,
        lease=again.lease,
    )


async def test_each_account_is_pushed_its_own_changes(store: Store) -> None:
    """And one without an endpoint none at all."""
    account = await account_in(store)
    others = [await account_in(store, name=name, login_key=name) for name in ("two", "three")]
    await receiver(store, account)
    await store.set_endpoint(others[0].id, "https://two.example", "whsec_two", stopped_by_request=True)
    name = number()
    for owner in (account, *others):
        (shipment,) = await registered(store, owner.id, [wanted(name)], NOW)
        assert isinstance(shipment, Shipment)
        await change_of(store, shipment, update(1, owner.name.encode()))
    jobs = await jobs_due(store)
    assert {(job.account, job.url, job.body) for job in jobs} == {
        (account.id, URL, b"main"),
        (others[0].id, "https://two.example", b"two"),
    }
    assert len({job.id for job in jobs}) == 2


async def test_pushes_of_a_shipment_go_one_after_the_other(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    shipment, _ = await change_of(store, shipment, update(1), update(2))
    shipment, _ = await change_of(store, shipment, update(3))
    await store.change([stop(shipment)], NOW)
    seen = []
    while jobs := await jobs_due(store):
        (job,) = jobs
        assert await jobs_due(store) == []  # the next one waits while this one is out
        seen.append(job.version)
        await store.finish_pushes([sent(job)])
    assert seen == [1, 2, 3, 4]
    assert await store.pushes_due() is None


async def test_shipments_do_not_wait_for_one_another(place: Place, store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    await place.widen()
    shipments = [await tracked(store, account) for _ in range(3)]
    for shipment in shipments:
        await change_of(store, shipment, update(1), update(2))
    jobs = await jobs_due(store)
    assert {job.shipment: job.version for job in jobs} == {shipment.id: 1 for shipment in shipments}
    await store.finish_pushes([sent(jobs[0])])
    (next_job,) = await jobs_due(store)
    assert (next_job.shipment, next_job.version) == (jobs[0].shipment, 2)


async def test_the_next_push_goes_when_one_is_given_up(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    await change_of(store, await tracked(store, account), update(1), update(2))
    (job,) = await jobs_due(store)
    assert await store.finish_pushes([failed(job, NOW + MINUTE)]) == 0
    assert await store.pushes_due() == NOW  # it has waited since then
    (after,) = await jobs_due(store, NOW + MINUTE)
    assert after.version == 2


async def test_a_failed_push_waits_until_its_time(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    await change_of(store, await tracked(store, account), update(1), update(2))
    (job,) = await jobs_due(store)
    await store.finish_pushes([failed(job, again_at=NOW + HOUR)])
    assert await store.pushes_due() == NOW + HOUR
    assert await jobs_due(store, NOW + HOUR - SECOND) == []
    (again,) = await jobs_due(store, NOW + HOUR)
    assert again == replace(job, attempts=1, tries=1, lease=again.lease)


async def test_pushes_are_claimed_longest_due_first(place: Place, store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    await place.widen()
    shipments = [await tracked(store, account) for _ in range(4)]
    for shipment, minutes in zip(shipments, (2, 4, 1, 3), strict=True):
        await change_of(store, shipment, update(1), at=NOW - MINUTE * minutes)
    assert await store.pushes_due() == NOW - MINUTE * 4
    first, second = await jobs_due(store, most=2), await jobs_due(store, most=9)
    assert {job.shipment for job in first} == {shipments[1].id, shipments[3].id}
    assert {job.shipment for job in second} == {shipments[0].id, shipments[2].id}


async def test_concurrent_pushers_never_share_a_push(place: Place, store: Store) -> None:
    """Nor take more places of an endpoint together than it has."""
    account = await account_in(store)
    await receiver(store, account)
    await place.widen()
    for shipment in await registered(store, account.id, [wanted() for _ in range(30)], NOW):
        assert isinstance(shipment, Shipment)
        await change_of(store, shipment, update(1), update(2))
    batches = await asyncio.gather(*(jobs_due(store, most=4) for _ in range(12)))
    ids = [job.id for batch in batches for job in batch]
    assert len(ids) == len(set(ids)) == WIDTH_MAX


async def test_a_push_whose_lease_ended_goes_again_and_the_late_result_is_dropped(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    await change_of(store, await tracked(store, account), update(1), update(2))
    (job,) = await jobs_due(store)
    assert await store.pushes_due() == NOW + LEASE
    assert await jobs_due(store, NOW + LEASE - SECOND) == []
    (again,) = await jobs_due(store, NOW + LEASE)
    assert (again.id, again.body, again.attempts) == (job.id, job.body, 0)
    assert await store.finish_pushes([sent(job)]) == 1
    assert await store.finish_pushes([sent(again)]) == 0
    assert await store.finish_pushes([sent(again)]) == 1  # a lease is good once
    (after,) = await jobs_due(store, NOW + LEASE)
    assert after.version == 2


async def test_after_four_failures_the_newest_update_takes_the_place(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    await change_of(store, await tracked(store, account), update(1), update(2), update(3))
    (job,) = await jobs_due(store)
    job = await fail_times(store, job, SUPERSEDE_AFTER - 1)
    assert await jobs_due(store, NOW + MINUTE) == []
    (job,) = await jobs_due(store, NOW + HOUR)
    await store.finish_pushes([failed(job, NOW + HOUR, NOW + DAY)])
    (newest,) = await jobs_due(store, NOW + HOUR)
    assert (newest.version, newest.attempts) == (3, 0)
    await store.finish_pushes([sent(newest)])
    assert await store.pushes_due() is None  # 1 and 2 are never sent


async def test_an_update_is_not_superseded_while_it_is_the_newest(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    shipment, _ = await change_of(store, await tracked(store, account), update(1))
    (job,) = await jobs_due(store)
    await fail_times(store, job, SUPERSEDE_AFTER)
    await change_of(store, shipment, update(2))
    (job,) = await jobs_due(store, NOW + HOUR)
    assert (job.version, job.attempts) == (1, SUPERSEDE_AFTER)
    await store.finish_pushes([failed(job, NOW + HOUR, NOW + DAY)])
    (job,) = await jobs_due(store, NOW + HOUR)
    assert job.version == 2


async def test_the_end_of_tracking_never_takes_an_updates_place(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    shipment, _ = await change_of(store, await tracked(store, account), update(1))
    await store.change([stop(shipment)], NOW)
    (job,) = await jobs_due(store)
    await fail_times(store, job, SUPERSEDE_AFTER)
    (job,) = await jobs_due(store, NOW + HOUR)
    assert (job.event, job.version) == (PushEvent.UPDATED, 1)
    await store.finish_pushes([sent(job, NOW + HOUR)])
    (job,) = await jobs_due(store, NOW + HOUR)
    assert job.event is PushEvent.STOPPED


async def test_an_end_of_tracking_is_not_superseded_by_what_follows(store: Store) -> None:
    """Stopped, retracked, updated: the endpoint hears of the end first, however long that takes."""
    account = await account_in(store)
    await receiver(store, account)
    shipment, _ = await change_of(store, await tracked(store, account), update(1))
    await store.change([stop(shipment)], NOW)
    stopped = await stored(store, shipment)
    again = replace(stopped, phase=Phase.TRACKING, refresh_at=NOW)
    await store.change([Changed(stopped, again)], NOW)
    await change_of(store, again, update(3))
    (job,) = await jobs_due(store)
    await fail_times(store, job, SUPERSEDE_AFTER)  # 1 is contained in 3
    (job,) = await jobs_due(store)
    assert (job.event, job.version) == (PushEvent.STOPPED, 2)
    for hour in range(SUPERSEDE_AFTER + 1):  # by now the endpoint is failing, and each is a probe
        await store.finish_pushes([failed(job, NOW + HOUR * hour, NOW + HOUR * hour)])
        (job,) = await jobs_due(store, NOW + HOUR * (hour + 1))
        assert job.version == 2
    await store.finish_pushes([sent(job)])
    (job,) = await jobs_due(store)
    assert job.version == 3


async def test_stops_by_request_are_pushed_only_where_they_are_wanted(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account, stopped_by_request=False)
    by_request, by_rule = await tracked(store, account), await tracked(store, account)
    await store.change([stop(by_request), stop(by_rule, by_request=False)], NOW)
    assert [job.shipment for job in await jobs_due(store)] == [by_rule.id]


async def test_ids_and_bodies_survive_failures_changes_and_a_restart(place: Place, store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    shipment, _ = await change_of(store, await tracked(store, account), update(1, b"first"))
    seen = set()
    for attempts in range(3):
        (job,) = await jobs_due(store)
        assert job.attempts == attempts
        seen.add((job.id, job.body))
        await store.finish_pushes([failed(job, again_at=NOW)])
        shipment, _ = await change_of(store, shipment, update(attempts + 2, b"later"))
        store = await place.open()
    assert len(seen) == 1


# --- what the numbers of an account turned out to be -----------------------------------------------------


def counts(*pairs: tuple[str, str], by: int = 1) -> tuple[Count, ...]:
    return tuple((LearnedKey(*pair), by) for pair in pairs)


async def learn(store: Store, account: Account, learned: tuple[Count, ...], *, at: datetime = NOW) -> None:
    """By a refresh of a new shipment."""
    shipment = await tracked(store, account, at=at)
    due = await store.claim_one(shipment.id, at + LEASE, secrets.token_hex(8))
    assert due is not None
    assert await store.complete([replace(refreshed(due.shipment, at=at), counts=learned)]) == 0


async def test_what_was_learned_is_counted_and_kept(place: Place, store: Store) -> None:
    """By shape and carrier, with refreshes and with changes, each account for itself."""
    account = await account_in(store)
    other = await account_in(store, name="other", login_key="another-login-key")
    assert await store.learned(account.id) == {}
    await learn(store, account, counts(("d11", "gls"), ("d12", "ups")))
    await learn(store, account, counts(("d11", "gls"), ("d11", "dhl")))
    await learn(store, other, counts(("d11", "dhl")))
    shipment = await tracked(store, account)
    change = replace(stop(shipment), counts=(*counts(("d12", "ups")), *counts(("d11", "gls"), by=-1)))
    assert await store.change([change], NOW) == [True]
    store = await place.open()
    assert await store.learned(account.id) == {"d11": {"gls": 1, "dhl": 1}, "d12": {"ups": 2}}
    assert await store.learned(other.id) == {"d11": {"dhl": 1}}


async def test_counts_do_not_go_below_zero(store: Store) -> None:
    account = await account_in(store)
    await learn(store, account, counts(("d11", "gls")))
    await learn(store, account, counts(("d11", "gls"), ("d11", "dhl"), by=-1))
    await learn(store, account, counts(("d11", "gls"), by=-1))
    assert await store.learned(account.id) == {}
    await learn(store, account, counts(("d11", "gls")))
    assert await store.learned(account.id) == {"d11": {"gls": 1}}


async def test_what_is_dropped_counts_nothing(store: Store) -> None:
    account = await account_in(store)
    shipment = await tracked(store, account)
    (due,) = await claimed(store)
    changed = replace(stop(shipment), counts=counts(("d11", "dhl")))
    assert await store.change([changed, changed], NOW) == [True, False]
    result = replace(refreshed(due.shipment), counts=counts(("d11", "gls")))
    assert await store.complete([result]) == 1, "the change has ended its lease"
    assert await store.learned(account.id) == {"d11": {"dhl": 1}}


async def test_the_rarest_is_forgotten_first(store: Store) -> None:
    """Of the rarest the oldest, never the one that is counted now; other accounts do not matter."""
    account = await account_in(store)
    other = await account_in(store, name="other", login_key="another-login-key")
    await learn(store, other, counts(("a", "gls")))
    await learn(store, account, counts(("twice", "gls"), ("twice", "gls")))
    await learn(store, account, counts(("old", "gls")), at=NOW + SECOND)
    rest = [(f"shape{index}", "gls") for index in range(LEARNED_MAX - 2)]
    await learn(store, account, counts(*rest), at=NOW + MINUTE)
    assert len(await store.learned(account.id)) == LEARNED_MAX
    await learn(store, account, counts(("new", "gls")), at=NOW + HOUR)
    learned = await store.learned(account.id)
    assert len(learned) == LEARNED_MAX
    assert "old" not in learned
    assert learned["twice"] == {"gls": 2}
    assert learned["new"] == {"gls": 1}
    assert await store.learned(other.id) == {"a": {"gls": 1}}


# --- a refresh that corrects the carrier ------------------------------------------------------------------


async def test_a_correction_changes_the_carrier_and_its_code(store: Store) -> None:
    """Number and carrier are free then for another registration, and the search for it is stored with it."""
    account = await account_in(store)
    shipment = await tracked(store, account)
    (due,) = await claimed(store)
    search = Doubt(5, ("usps",), "dhl", "ups")
    await store.complete([refreshed(replace(due.shipment, doubt=search, lane="dhl"))])
    (due,) = await claimed(store, "dhl", now=NOW + HOUR)
    assert due.shipment.doubt == search
    after = replace(due.shipment, carrier="dhl", code=7041, origin=1, doubt=None)
    assert await store.complete([replace(refreshed(after, told=history("dhl")), corrects=True)]) == 0
    found = await stored(store, shipment)
    assert (found.carrier, found.code, found.origin, found.doubt) == ("dhl", 7041, 1, None)
    again = wanted(shipment.number, "dhl"), wanted(shipment.number, "ups")
    refused, made = await registered(store, account.id, again, NOW)
    assert isinstance(refused, CallerError)
    assert isinstance(made, Shipment)


async def test_a_correction_never_makes_a_second_registration(store: Store) -> None:
    """It is dropped, and only it; what was merely looked up gives way with all that is known of it."""
    account = await account_in(store)
    taken, free = await tracked(store, account), await tracked(store, account)
    await store.register(account.id, [wanted(taken.number, "dhl")], NOW)
    looked_up = await store.look_up(account.id, wanted(free.number, "dhl"), NOW)
    await change_of(store, looked_up)
    due = {item.shipment.id: item.shipment for item in await claimed(store)}
    results = [
        replace(refreshed(replace(due[row.id], carrier="dhl", code=7041)), corrects=True)
        for row in (taken, free)
    ]
    late = replace(results[1], shipment=replace(results[1].shipment, lease="gone"))
    assert await store.complete([late]) == 1
    assert len(await store.find(account.id, [free.number])) == 2, "what is dropped leaves no trace"
    assert await store.complete(results) == 1
    assert (await stored(store, taken)).carrier == "ups"
    assert await store.attempts(taken.id, 9) == []
    ((only, _),) = await store.find(account.id, [free.number])
    assert (only.id, only.carrier) == (free.id, "dhl")


# --- everything together ----------------------------------------------------------------------------------


async def test_reopening_keeps_everything(place: Place, store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    (due,) = await claimed(store)
    await store.complete([refreshed(due.shipment, update(1), told=history(), document=DOCUMENT)])
    await store.charge(account.id, charges(10), NOW)
    await store.save_lane(Lane("ups", 1, used=3), 0)

    async def everything(opened: Store) -> list[object]:
        return [
            await opened.accounts(), await opened.account_of_key(LOGIN_KEY),
            await opened.endpoint(account.id), await opened.usage(account.id, NOW),
            await opened.find(account.id, [shipment.number]), await opened.lanes(),
            await opened.lane("ups"), await opened.attempts(shipment.id, 10), await opened.pushes_due(),
        ]  # fmt: skip

    before = await everything(store)
    store = await place.open()
    assert await everything(store) == before
    assert (await store.claim_pushes(9, NOW, NOW + LEASE, "x"))[0].body == update(1).body
    assert (await claimed(store, now=NOW + HOUR))[0].histories == (history(),)


async def test_hints_tell_what_may_have_become_due(store: Store) -> None:
    """All that were given for such work, or for any; a registration is nothing to push, for example."""
    hints: list[str] = []
    store.on_work(lambda: hints.append("any"))
    for kind in Work:
        store.on_work(partial(hints.append, kind.value), kind)
    account = await account_in(store)
    await receiver(store, account)
    assert hints == []
    shipment = await tracked(store, account)
    assert hints == ["any", "refresh"]
    hints.clear()
    await change_of(store, shipment, update(1))
    assert hints == ["any", "push"]
    hints.clear()
    await store.keep_inbound("seventeentrack", b"{}", NOW)
    assert hints == ["any", "inbound"]
    hints.clear()
    assert await store.replay(account.id, [shipment.id], NOW) == [True]
    assert hints == ["any", "push"]
    hints.clear()
    await store.hasten(NOW, DAY)
    assert hints == ["any", "refresh", "push"]


async def test_what_is_due_later_than_can_be_is_due_now(store: Store) -> None:
    """Refreshes and pushes that a clock planned before it was set back by two days."""
    account = await account_in(store)
    await receiver(store, account)
    late, soon = await tracked(store, account), await tracked(store, account)
    await change_of(store, late, update(1), at=NOW + 2 * DAY)
    await change_of(store, soon)
    assert await store.latest() == NOW + 2 * DAY
    assert await store.hasten(NOW, DAY) >= 2
    assert await store.lanes() == {"ups": NOW}
    assert await store.pushes_due() == NOW
    assert [due.shipment.id for due in await claimed(store)] == [late.id]
    assert await store.hasten(NOW, DAY) == 0


async def test_a_push_that_waits_behind_another_goes_when_that_is_done_though_the_clock_went_back(
    store: Store,
) -> None:
    """Its turn was planned as of when it came into the queue: that lies in the future now."""
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    for version in (1, 2):
        await change_of(store, shipment, update(version), at=NOW + 2 * DAY)
    await store.hasten(NOW, DAY)
    (first,) = await jobs_due(store)
    await store.finish_pushes([sent(first)])
    assert [job.version for job in await jobs_due(store)] == [2]


async def test_the_newest_refresh_of_an_empty_log_is_unknown(store: Store) -> None:
    assert await store.latest() is None
