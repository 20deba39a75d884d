"""Conversations with carriers: driving the carrier file, tokens, time, and everything that can go wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from parcelwire.domain.errors import (
    CarrierError,
    MalformedReply,
    Mistaken,
    NoRoom,
    Refused,
    StoreUnavailable,
    Throttled,
    Unavailable,
    UnknownNumber,
)
from parcelwire.domain.exchange import (
    Access,
    Answers,
    Conversation,
    Exchange,
    Query,
    Reply,
    Request,
    Token,
    TokenExchange,
)
from parcelwire.domain.limits import Limits, Reach
from parcelwire.net.ask import CONVERSATION_S, PATIENCE_S, REQUESTS_MAX, Asker
from parcelwire.net.client import REPLY_LIMITS, ReplyLimits
from parcelwire.net.clock import ManualClock, SystemClock

from .conftest import Serve, response, silence

START = datetime(2026, 3, 1, tzinfo=UTC)
QUERIES = (Query("A1", "acme", START), Query("B2", "acme", START))
SECRETS = {"client": "me", "password": "s3cret"}


def unknown(*numbers: str) -> Answers:
    return {number: UnknownNumber(number) for number in numbers}


class Acme:
    """A carrier with tokens: one request for all numbers."""

    slug = "acme"
    serves = ("acme",)
    base_url = "inprocess:"
    secrets = ("client", "password")
    batch = 40
    limits = Limits()
    reach = Reach.ANY

    def lane(self, number: str) -> str:
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:
        reply = yield Request("POST", "/token", {"x-password": secrets.get("password", "")})
        if reply.status != 200:
            raise Refused(f"HTTP {reply.status}", stale_token=True)
        return Token(reply.body.decode(), 1000)

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        reply = yield Request("GET", "/track", {"authorization": access.token})
        if reply.status == 401:
            raise Refused("HTTP 401", stale_token=True)
        return self.parse(reply, queries)

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        return unknown(*[query.number for query in queries])


@dataclass
class AcmeApi:
    """Its stand-in: tokens are t1, t2 ...; only the newest is accepted."""

    slug: str = "acme"
    clock: ManualClock | None = None
    tokens: int = 0
    asked: list[tuple[str, datetime]] = field(default_factory=list)
    token_reply: Reply | None = None
    track_headers: dict[str, str] = field(default_factory=dict)
    accepts: Callable[[str], bool] | None = None

    def answer(self, request: Request, now: datetime) -> Reply:
        self.asked.append((request.path, now))
        if request.path == "/token":
            self.tokens += 1
            return self.token_reply or Reply(200, {"x-delay-s": "1"}, f"t{self.tokens}".encode())
        token = request.headers["authorization"]
        good = self.accepts(token) if self.accepts else token == f"t{self.tokens}"
        return Reply(200 if good else 401, self.track_headers, token.encode())


class Bare(Acme):
    """The same without tokens, with a conversation given by each test."""

    def __init__(self, talk: Callable[[Sequence[Query]], Exchange], base_url: str = "inprocess:") -> None:
        self.talk = talk
        self.base_url = base_url

    def token(self, secrets: Mapping[str, str]) -> None:
        return None

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        return self.talk(queries)


@dataclass
class Fixed:
    """A stand-in that always says the same."""

    reply: Reply
    slug: str = "acme"
    calls: int = 0

    def answer(self, request: Request, now: datetime) -> Reply:
        self.calls += 1
        return self.reply


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def api() -> AcmeApi:
    return AcmeApi()


@pytest.fixture
async def asker(clock: ManualClock, api: AcmeApi) -> AsyncIterator[Asker]:
    opened = Asker(clock, {"acme": SECRETS}, {}, {"acme": api})
    yield opened
    await opened.close()


async def finish(clock: ManualClock, asking: "asyncio.Task[Conversation]") -> Conversation:
    """Let time pass until the conversation is over."""
    for _ in range(100):
        if asking.done():
            break
        await clock.advance(1)
    return await asking


async def ask(clock: ManualClock, asker: Asker, carrier: Acme) -> Conversation:
    return await finish(clock, asyncio.create_task(asker.ask(carrier, QUERIES)))


def talk(
    reply: Reply, fetcher: Callable[[Sequence[Query]], Exchange]
) -> "tuple[ManualClock, Asker, Bare, Fixed]":
    clock, stand_in = ManualClock(START), Fixed(reply)
    return clock, Asker(clock, {}, {}, {"acme": stand_in}), Bare(fetcher), stand_in


async def test_a_conversation_goes_token_then_question(
    clock: ManualClock, api: AcmeApi, asker: Asker
) -> None:
    """Every number is answered; the reply is kept, the token's is not; times are the service's."""
    seen = await ask(clock, asker, Acme())
    assert [path for path, _ in api.asked] == ["/token", "/track"]
    assert set(seen.answers) == {"A1", "B2"}
    assert all(isinstance(answer, UnknownNumber) for answer in seen.answers.values())
    assert [reply.body for reply in seen.replies] == [b"t1"]
    assert (seen.error, seen.ms) == (None, 1000)
    assert api.asked[1][1] == START + timedelta(seconds=1)


async def test_a_token_is_fetched_once_for_all_who_wait(
    clock: ManualClock, api: AcmeApi, asker: Asker
) -> None:
    """Ten conversations at the same moment: one token request."""
    asking = [asyncio.create_task(asker.ask(Acme(), QUERIES)) for _ in range(10)]
    for one in asking:
        assert (await finish(clock, one)).error is None
    assert api.tokens == 1


async def test_one_who_gives_up_does_not_take_the_token_from_the_others(
    clock: ManualClock, api: AcmeApi, asker: Asker
) -> None:
    """The first asker is cancelled while the token is on its way; the second still gets it."""
    first, second = (asyncio.create_task(asker.ask(Acme(), QUERIES)) for _ in range(2))
    await clock.advance(0.5)
    first.cancel()
    assert (await finish(clock, second)).error is None
    assert first.cancelled()
    assert api.tokens == 1


async def test_a_token_is_renewed_at_four_fifths_of_its_life(
    clock: ManualClock, api: AcmeApi, asker: Asker
) -> None:
    """Life 1000 s: used until 800 s after it was asked for; setting the wall clock does not matter."""
    await ask(clock, asker, Acme())
    clock.jump(10 * 86400)
    await clock.advance(800 - 1 - clock.monotonic())
    await ask(clock, asker, Acme())
    assert api.tokens == 1
    await clock.advance(1)
    await ask(clock, asker, Acme())
    assert api.tokens == 2


async def test_a_refused_token_is_renewed_once_and_the_question_asked_again(
    clock: ManualClock, api: AcmeApi, asker: Asker
) -> None:
    """The carrier revoked t1: a new token, the same question, and both replies are kept."""
    await ask(clock, asker, Acme())
    api.accepts = lambda token: token == "t2"
    seen = await ask(clock, asker, Acme())
    assert seen.error is None
    assert [reply.status for reply in seen.replies] == [401, 200]
    assert api.tokens == 2


async def test_a_token_that_is_refused_again_is_an_error(
    clock: ManualClock, api: AcmeApi, asker: Asker
) -> None:
    """No third try: the account would be locked out."""
    api.accepts = lambda token: token == "never"
    seen = await ask(clock, asker, Acme())
    assert isinstance(seen.error, Refused)
    assert [path for path, _ in api.asked] == ["/token", "/track"] * 2


async def test_many_refusals_of_one_token_renew_it_once(
    clock: ManualClock, api: AcmeApi, asker: Asker
) -> None:
    """Five conversations learn at once that t1 is dead; one of them renews it for all."""
    await ask(clock, asker, Acme())
    api.accepts = lambda token: token != "t1"
    api.track_headers = {"x-delay-s": "0.5"}
    asking = [asyncio.create_task(asker.ask(Acme(), QUERIES)) for _ in range(5)]
    for one in asking:
        assert (await finish(clock, one)).error is None
    assert api.tokens == 2


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(401), Refused), (Reply(400), Refused), (Reply(200, {"x-fault": "timeout"}), Unavailable),
        (Reply(200, {"x-fault": "reset"}), Unavailable), (Reply(200, {}, b"\xff"), Mistaken),
    ],
)  # fmt: skip
async def test_no_token_no_question(
    clock: ManualClock, api: AcmeApi, asker: Asker, reply: Reply, kind: type[CarrierError]
) -> None:
    """A token endpoint that refuses, fails or babbles: its error is every answer, nothing is retried.

    What the carrier's file did not expect is a mistake of ours.
    """
    api.token_reply = reply
    seen = await ask(clock, asker, Acme())
    assert type(seen.error) is kind
    assert all(answer is seen.error for answer in seen.answers.values())
    assert [path for path, _ in api.asked] == ["/token"]
    assert seen.replies == ()
    assert "s3cret" not in f"{seen!r} {seen.error}"


class OddToken(Acme):
    """Its token endpoint's answer cannot be read."""

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:
        reply = yield Request("POST", "/token")
        if reply.status == 429:
            raise Throttled("HTTP 429", 7)
        raise MalformedReply(f"HTTP {reply.status}")


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Refused), (200, Unavailable), (302, Unavailable), (429, Throttled)]
)
async def test_an_unreadable_token_answer_is_refused_or_unavailable(
    clock: ManualClock, api: AcmeApi, asker: Asker, status: int, kind: type[CarrierError]
) -> None:
    """A 4xx means the credential; anything else may pass; Throttled stays what it is."""
    api.token_reply = Reply(status)
    assert type((await ask(clock, asker, OddToken())).error) is kind


async def test_a_failed_token_is_asked_for_again_next_time(
    clock: ManualClock, api: AcmeApi, asker: Asker
) -> None:
    """An error is shared by those who waited, and not kept."""
    api.token_reply = Reply(401)
    assert isinstance((await ask(clock, asker, Acme())).error, Refused)
    api.token_reply = None
    assert (await ask(clock, asker, Acme())).error is None


async def test_a_missing_answer_is_malformed_and_a_foreign_one_is_dropped() -> None:
    """The carrier file forgot B2, answered C3, which nobody asked, or gave something else than an answer."""

    def forgets(queries: Sequence[Query]) -> Exchange:
        yield Request("GET", "/")
        return {**unknown("A1", "C3"), "B2": None}  # type: ignore[dict-item]

    clock, asker, carrier, _ = talk(Reply(200), forgets)
    seen = await ask(clock, asker, carrier)
    assert isinstance(seen.answers["A1"], UnknownNumber)
    assert isinstance(seen.answers["B2"], MalformedReply)
    assert set(seen.answers) == {"A1", "B2"}
    assert seen.error is None


@pytest.mark.parametrize("bug", [KeyError("s3cret"), RecursionError("s3cret"), StopAsyncIteration("s3cret")])
async def test_a_bug_in_a_carrier_file_harms_only_its_answer(bug: Exception) -> None:
    """Its exception becomes a MalformedReply that names the class, not the text; the raw reply is kept."""

    def breaks(queries: Sequence[Query]) -> Exchange:
        yield Request("GET", "/")
        raise bug

    clock, asker, carrier, _ = talk(Reply(200, {}, b"odd"), breaks)
    seen = await ask(clock, asker, carrier)
    assert isinstance(seen.error, MalformedReply)
    assert type(bug).__name__ in seen.error.detail
    assert "s3cret" not in seen.error.detail
    assert seen.error.__cause__ is bug
    assert [reply.body for reply in seen.replies] == [b"odd"]


async def test_a_failed_request_is_raised_in_the_carrier_file() -> None:
    """A carrier file with a second, optional request can keep what the first one gave."""

    def forgiving(queries: Sequence[Query]) -> Exchange:
        try:
            yield Request("GET", "/details")
        except Unavailable:
            return unknown("A1", "B2")
        raise AssertionError("the request did not fail")

    clock, asker, carrier, _ = talk(Reply(200, {"x-fault": "reset"}), forgiving)
    assert (await ask(clock, asker, carrier)).error is None


async def test_every_request_but_those_for_a_token_needs_a_permit(
    clock: ManualClock, api: AcmeApi, asker: Asker
) -> None:
    """Also the repeat with a fresh token; what waits for its permit is not sent."""
    asked: list[list[str]] = []

    async def permit(patience_s: float) -> None:
        asked.append([path for path, _ in api.asked])
        assert 0 < patience_s <= PATIENCE_S

    api.accepts = lambda token: token == "t2"
    seen = await finish(clock, asyncio.create_task(asker.ask(Acme(), QUERIES, permit)))
    assert seen.error is None
    assert asked == [["/token"], ["/token", "/track", "/token"]]


async def test_a_request_without_a_permit_ends_the_conversation_and_is_not_sent() -> None:
    """Unless the carrier file makes something of it. When nobody knows, nobody guesses."""

    def two(queries: Sequence[Query]) -> Exchange:
        yield Request("GET", "/")
        yield Request("GET", "/more")
        raise AssertionError("the second request was sent")

    failures: list[Exception] = []

    async def permit(_patience_s: float) -> None:
        if failures:
            raise failures[0]
        failures.append(failure)

    for failure in (NoRoom("rate of 1 calls/s", 60), StoreUnavailable("disk full")):
        failures.clear()
        clock, asker, carrier, stand_in = talk(Reply(200), two)
        asking = asyncio.create_task(asker.ask(carrier, QUERIES, permit))
        if isinstance(failure, StoreUnavailable):
            with pytest.raises(StoreUnavailable):
                await finish(clock, asking)
        else:
            seen = await finish(clock, asking)
            assert seen.error is failure
            assert set(seen.answers.values()) == {failure}
            assert len(seen.replies) == 1
        assert stand_in.calls == 1


async def test_a_failed_conversation_keeps_nothing_of_what_was_read(serve: Serve) -> None:
    """Else the frames of its error held it until the collector comes by: megabytes for each bad answer."""
    server = await serve(response(body=b"x" * 60_000))
    asker = Asker(SystemClock(), {}, {}, limits=ReplyLimits(body=50_000))
    seen = await asker.ask(Bare(once, server.url), QUERIES)
    await asker.close()
    assert isinstance(seen.error, MalformedReply)
    assert (seen.error.__traceback__, seen.error.__cause__, seen.error.__context__) == (None, None, None)


async def test_an_endless_carrier_file_is_stopped() -> None:
    """A file that always asks once more gets a hundred replies."""

    def endless(queries: Sequence[Query]) -> Exchange:
        while True:
            yield Request("GET", "/")

    clock, asker, carrier, stand_in = talk(Reply(200), endless)
    seen = await ask(clock, asker, carrier)
    assert isinstance(seen.error, MalformedReply)
    assert stand_in.calls == REQUESTS_MAX


async def test_a_long_conversation_is_stopped_before_the_lease_ends() -> None:
    """Many slow requests, each within its own limit, together may take 35 s."""

    def slow(queries: Sequence[Query]) -> Exchange:
        while True:
            yield Request("GET", "/")

    clock, asker, carrier, _ = talk(Reply(200, {"x-delay-s": "10"}), slow)
    seen = await ask(clock, asker, carrier)
    assert isinstance(seen.error, Unavailable)
    assert seen.error.timed_out
    assert seen.ms == CONVERSATION_S * 1000


def once(queries: Sequence[Query]) -> Exchange:
    yield Request("GET", "/x")
    return unknown(*[query.number for query in queries])


@pytest.mark.parametrize(
    ("headers", "timed_out", "ms"),
    [
        ({"x-delay-s": "3"}, None, 3000),
        ({"x-delay-s": "19.5"}, None, 19500),
        ({"x-delay-s": "20"}, True, 20000),
        ({"x-delay-s": "3600"}, True, 20000),
        ({"x-fault": "timeout"}, True, 0),
        ({"x-fault": "reset"}, False, 0),
        ({"x-fault": "reset", "x-delay-s": "2"}, False, 2000),
    ],
)
async def test_a_stand_in_can_be_slow_or_broken(
    headers: dict[str, str], timed_out: bool | None, ms: int
) -> None:
    """In process, delays pass by the service's clock and end at the same limit as real ones."""
    clock, asker, carrier, _ = talk(Reply(200, headers), once)
    seen = await ask(clock, asker, carrier)
    assert seen.ms == ms
    assert (seen.error.timed_out if isinstance(seen.error, Unavailable) else seen.error) is timed_out
    assert ms <= REPLY_LIMITS.total_s * 1000


async def test_a_base_url_can_name_another_stand_in() -> None:
    """``inprocess:twin`` is answered by the stand-in of that name; one that does not exist is unavailable."""
    clock, twin = ManualClock(START), Fixed(Reply(200))
    for name, calls in (("inprocess:twin", 1), ("inprocess:none", 0)):
        twin.calls = 0
        seen = await ask(clock, Asker(clock, {}, {"acme": name}, {"twin": twin}), Bare(once))
        assert twin.calls == calls
        assert isinstance(seen.error, Unavailable) is (calls == 0)


async def test_real_sockets_are_asked_at_the_configured_address(serve: Serve) -> None:
    """The setting replaces the carrier's own base URL, and the raw reply is handed out."""
    server = await serve(response(body=b'{"a":1}'))
    asker = Asker(SystemClock(), {}, {"acme": server.url + "/v3"})
    seen = await asker.ask(Bare(once, "http://carrier.invalid"), QUERIES)
    assert server.requests[0][0] == "GET /v3/x HTTP/1.1"
    assert [reply.body for reply in seen.replies] == [b'{"a":1}']
    assert seen.error is None
    await asker.close()


async def test_a_silent_carrier_times_out_on_real_sockets(serve: Serve) -> None:
    """The error is in the conversation, for every number, with the time it took."""
    server = await serve(silence)
    asker = Asker(SystemClock(), {}, {}, limits=ReplyLimits(total_s=0.1))
    seen = await asker.ask(Bare(once, server.url), QUERIES)
    assert isinstance(seen.error, Unavailable)
    assert seen.error.timed_out
    assert 90 <= seen.ms < 2000
    assert list(seen.answers.values()) == [seen.error, seen.error]
    await asker.close()


async def test_a_credential_with_a_line_break_does_not_become_a_header(serve: Serve) -> None:
    """No request leaves, and the error does not show the credential."""
    server = await serve(response())

    def injects(queries: Sequence[Query]) -> Exchange:
        yield Request("GET", "/", {"x-key": "s3cret\r\nx-evil: 1"})
        return {}

    asker = Asker(SystemClock(), {}, {})
    seen = await asker.ask(Bare(injects, server.url), QUERIES)
    assert isinstance(seen.error, MalformedReply)
    assert "s3cret" not in str(seen.error)
    assert server.requests == []
    await asker.close()


async def test_closing_ends_a_token_on_its_way(clock: ManualClock, api: AcmeApi) -> None:
    """Stopping the service leaves no task behind."""
    asker = Asker(clock, {"acme": SECRETS}, {}, {"acme": api})
    asking = asyncio.create_task(asker.ask(Acme(), QUERIES))
    await clock.advance(0.5)
    await asker.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
