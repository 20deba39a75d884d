"""Real-time questions: sources are asked now, whatever the schedule says.

As many shipments in a call as the source takes; what it says is kept like the answer to a refresh.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import field

from parcelwire.domain.errors import (
    CallerError,
    CarrierError,
    NoRoom,
    NotRealTime,
    NotTaken,
    NotYet,
    Refused,
    Throttled,
    Unavailable,
)
from parcelwire.domain.queue import batch_of, home
from parcelwire.domain.report import Report
from parcelwire.domain.shipment import Shipment
from parcelwire.domain.values import dataclass, replace
from parcelwire.flows.asking import Calls
from parcelwire.flows.context import Context
from parcelwire.flows.refresh import ask_about, results_of, save
from parcelwire.ports import Carrier, Due, Refreshed, Told

PATIENCE_S = 4.0  # how long a call waits for its lane: clients give up after 5 s

Outcomes = dict[Hashable, CallerError | None]  # by key of a question; None: it was answered


@dataclass(frozen=True, slots=True)
class Question:
    """About one shipment. ``param``, when there is one, goes before the registration's."""

    shipment: Shipment
    now_please: bool  # an upstream is to ask the carrier itself
    param: str | None = None

    @property
    def key(self) -> Hashable:
        """The same for questions that one answer will do for."""
        return "realtime", self.shipment.id, self.now_please, self.param

    def put_to(self, due: Due) -> Due:
        """The shipment as it is asked about."""
        shipment = due.shipment
        wish = replace(shipment.wish, param=self.param) if self.param else shipment.wish
        return replace(due, shipment=replace(shipment, wish=wish))


@dataclass(frozen=True, slots=True)
class _Group:
    """Questions that one conversation can be about: answers are told apart by number."""

    source: Carrier
    queue: str
    now_please: bool
    most: int
    questions: list[Question] = field(default_factory=list)

    def takes(self, question: Question) -> bool:
        numbers = {other.shipment.number for other in self.questions}
        return len(numbers) < self.most and question.shipment.number not in numbers


def source_of(context: Context, shipment: Shipment) -> Carrier | None:
    """Who is asked: as its refreshes are, else as a new registration would be."""
    given = context.routes.named(shipment.lane)
    return given or context.routes.route(shipment.carrier, shipment.number, shipment.wish.hint).source


async def ask_now(context: Context, questions: Iterable[Question]) -> Outcomes:
    """Put questions to their sources. Those that something broke have no outcome."""
    outcomes: Outcomes = {}
    groups: list[_Group] = []
    for question in {question.key: question for question in questions}.values():
        source = source_of(context, question.shipment)
        if source is None:
            trouble = context.routes.trouble(question.shipment.carrier)
            outcomes[question.key] = CallerError("no_realtime", detail=str(trouble))
        else:
            _put(groups, question, _group_for(context, question, source))
    await context.together([_converse(context, group, outcomes) for group in groups])
    return outcomes


def _group_for(context: Context, question: Question, source: Carrier) -> _Group:
    """The kind of group that a question belongs to.

    A shipment that may have spoilt a call waits in a smaller queue; an upstream sells answers one by one.
    """
    lane, waits_in = source.lane(question.shipment.number), question.shipment.lane
    queue = waits_in if home(waits_in) == lane else lane
    upstream = context.routes.upstream
    sold = question.now_please and upstream is not None and upstream.real_time and source is upstream.source
    return _Group(source, queue, question.now_please, 1 if sold else batch_of(queue, source.batch))


def _put(groups: list[_Group], question: Question, new: _Group) -> None:
    kind = new.source.slug, new.queue, new.now_please
    for group in groups:
        if (group.source.slug, group.queue, group.now_please) == kind and group.takes(question):
            group.questions.append(question)
            return
    new.questions.append(question)
    groups.append(new)


async def _converse(context: Context, group: _Group, outcomes: Outcomes) -> None:
    """Hold the conversation of a group, without those questions that somebody else has put already."""
    by_key = {question.key: question for question in group.questions}

    async def ask(keys: Sequence[Hashable]) -> Outcomes:
        return await _ask(context, group, [by_key[key] for key in keys])

    broken: BaseException | None = None
    for key, outcome in (await context.once(list(by_key), ask)).items():
        if isinstance(outcome, TimeoutError):  # it goes on, and what it brings will be stored
            outcomes[key] = CallerError("carrier_timeout")
        elif outcome is None or isinstance(outcome, CallerError):
            outcomes[key] = outcome
        else:
            broken = outcome
    if broken is not None:
        raise broken


async def _ask(context: Context, group: _Group, questions: Sequence[Question]) -> Outcomes:
    """One call to a source, and what it brings is kept."""
    until = context.clock.monotonic() + PATIENCE_S
    calls = await _granted(context, group, until)
    dues = await _claimed(context, questions)
    asked = [question.put_to(dues[question.key]) for question in questions if question.key in dues]
    if not asked:
        return {question.key: CallerError("realtime_internal") for question in questions}
    said = dict(await ask_about(context, group.source, calls, asked, instant=group.now_please))
    unsold = [due for due in asked if isinstance(said[due.shipment.id].answer, NotRealTime)]
    if unsold:  # an upstream does not sell it: the ordinary way, one more call
        calls = await _granted(context, group, until)
        said |= await ask_about(context, group.source, calls, unsold)
    results = await results_of(context, group.source, list(dues.values()), said, group.queue)
    kept = await _kept(context, results)
    return {
        question.key: caller_error(said[question.shipment.id].answer)
        if question.shipment.id in kept
        else CallerError("realtime_internal")
        for question in questions
    }


async def _claimed(context: Context, questions: Sequence[Question]) -> Mapping[Hashable, Due]:
    """The shipments of questions, but those that have been deleted."""
    dues: dict[Hashable, Due] = {}
    until, lease = context.clock.now() + context.lease, context.new_id()

    async def claim(question: Question) -> None:
        due = await context.store.claim_one(question.shipment.id, until, lease)
        if due is not None:
            dues[question.key] = due

    await context.together([claim(question) for question in questions])
    return dues


async def _kept(context: Context, results: Sequence[Refreshed]) -> set[int]:
    """Save each for itself; those that were: not one that was stopped, or asked about again, meanwhile."""
    kept: set[int] = set()

    async def keep(result: Refreshed) -> None:
        if not await save(context, [result]):
            kept.add(result.shipment.id)

    await context.together([keep(result) for result in results])
    return kept


async def _granted(context: Context, group: _Group, until: float) -> Calls:
    """With one call taken. CallerError when it cannot be had by ``until`` of the monotonic clock."""
    calls = Calls(context, group.source.limits, home(group.queue), urgent=True)
    try:
        await calls.take(until - context.clock.monotonic())
    except NoRoom as refused:
        raise CallerError("carrier_failed", detail=str(refused)) from refused
    return calls


def caller_error(said: Report | CarrierError | Told) -> CallerError | None:
    """What a failed question looks like to the caller; "not found" is an answer."""
    if isinstance(said, NotYet):
        return CallerError("no_info", detail=f" {said}.")
    if isinstance(said, Unavailable) and said.timed_out:
        return CallerError("carrier_timeout")
    if isinstance(said, Report | Told) or said.outcome in ("not_found", "invalid_number"):
        return None
    if isinstance(said, NotTaken) and said.lacks:
        return CallerError(said.lacks)
    if isinstance(said, Throttled):
        return CallerError("carrier_failed", detail="the carrier asks to wait")
    if isinstance(said, Refused):
        return CallerError("carrier_failed", detail=f"the carrier does not accept the credential ({said})")
    return CallerError("carrier_failed", detail=str(said))
