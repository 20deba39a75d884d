"""Conversations with carriers: drives a carrier file, which knows the protocol, and moves its bytes."""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from parcelwire.domain.errors import (
    CarrierError,
    MalformedReply,
    Mistaken,
    Refused,
    StoreUnavailable,
    Throttled,
    Unavailable,
)
from parcelwire.domain.exchange import (
    Access,
    Answers,
    Conversation,
    Query,
    Reply,
    Request,
    Token,
    TokenExchange,
)
from parcelwire.domain.report import Report
from parcelwire.net.client import REPLY_LIMITS, HttpTransport, ReplyLimits
from parcelwire.net.in_process import IN_PROCESS, send_in_process
from parcelwire.net.oauth import TokenCache
from parcelwire.ports import Carrier, Clock, Failpoint, Permit, StandIn, no_failpoint, unlimited

CONVERSATION_S = 35.0  # with a token renewed at its end (20 s) it stays below the lease of a refresh (60 s)
PATIENCE_S = (
    4.0  # for a permit: its connection is open by then, and callers wait no longer (flows/question.py)
)
REQUESTS_MAX = 100  # of one carrier file in one conversation: 40 numbers with two requests each, and some

Result = TypeVar("Result")


class Asker:
    """Implements ports.Fetcher. ``access`` and ``base_urls`` are by carrier slug.

    A carrier without a base URL here has its own. A base URL ``inprocess:<slug>`` is answered by that
    stand-in of ``in_process``.
    """

    def __init__(
        self,
        clock: Clock,
        access: Mapping[str, Mapping[str, str]],
        base_urls: Mapping[str, str],
        in_process: Mapping[str, StandIn] | None = None,
        *,
        limits: ReplyLimits = REPLY_LIMITS,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._clock = clock
        self._failpoint = failpoint
        self._access = access
        self._base_urls = base_urls
        self._stand_ins = in_process or {}
        self._limits = limits
        self._http = HttpTransport(limits)
        self._tokens = TokenCache(clock)

    async def close(self) -> None:
        await self._tokens.close()
        await self._http.close()

    async def ask(
        self, carrier: Carrier, queries: Sequence[Query], permit: Permit = unlimited
    ) -> Conversation:
        """See ports.Fetcher. A bug in a carrier file harms only this conversation.

        It becomes a Mistaken with the bug as its cause.
        """
        began = self._clock.monotonic()
        talk = _Talk(self, carrier, self._clock, permit)
        error: CarrierError | None = None
        answers: Answers = {}
        try:
            answers = _complete(await self._answers(talk, carrier, queries), queries)
        except CarrierError as failed:
            error = _bare(failed)
        except StoreUnavailable:  # nobody knows whether the permit was taken
            raise
        except Exception as bug:  # noqa: BLE001 - whatever a carrier file does wrong, the others go on
            error = Mistaken(f"{type(bug).__name__} while reading the answer of {carrier.slug}")
            error.__cause__ = bug.with_traceback(None)
        if error is not None:
            answers = {query.number: error for query in queries}
        return Conversation(
            answers, tuple(talk.replies), error, round((self._clock.monotonic() - began) * 1000)
        )

    async def _answers(self, talk: "_Talk", carrier: Carrier, queries: Sequence[Query]) -> Answers:
        """One renewal when the token is refused, then the same question once more."""
        secrets = self._access.get(carrier.slug, {})
        token = await self._token(carrier, secrets)
        try:
            return await talk.hold(carrier.track(queries, Access(secrets, token, self._clock.now())))
        except Refused as refused:
            if not (refused.stale_token and token):
                raise
        self._tokens.drop(_credential(carrier, secrets), token)
        token = await self._token(carrier, secrets)
        return await talk.hold(carrier.track(queries, Access(secrets, token, self._clock.now())))

    async def _token(self, carrier: Carrier, secrets: Mapping[str, str]) -> str:
        exchange = carrier.token(secrets)
        if exchange is None:
            return ""
        return await self._tokens.get(
            _credential(carrier, secrets), lambda: self._fetch_token(carrier, exchange)
        )

    async def _fetch_token(self, carrier: Carrier, exchange: TokenExchange) -> Token:
        talk = _Talk(self, carrier, self._clock, unlimited)
        try:
            return await talk.hold(exchange)
        except (Throttled, Unavailable):
            raise
        except CarrierError as error:  # RFC 6749, 5.2: wrong credentials are a 400 or a 401
            if isinstance(error, Refused) or (talk.replies and 400 <= talk.replies[-1].status < 500):
                raise Refused(f"access token: {error.detail}") from error
            raise Unavailable(f"access token: {error.detail}") from error

    async def send(self, carrier: Carrier, request: Request, total_s: float, permit: Permit) -> Reply:
        """Move one request to where this carrier is answered. Raises CarrierError."""
        self._failpoint("ask.before")
        before = partial(permit, min(PATIENCE_S, total_s / 2))
        reply = await self._moved(carrier, request, total_s, before)
        self._failpoint("ask.after")
        return reply

    async def _moved(
        self, carrier: Carrier, request: Request, total_s: float, before: Callable[[], Awaitable[None]]
    ) -> Reply:
        base_url = self._base_urls.get(carrier.slug) or carrier.base_url
        if not base_url.startswith(IN_PROCESS):
            return await self._http.send(base_url, request, total_s, before)
        stand_in = self._stand_ins.get(base_url.removeprefix(IN_PROCESS) or carrier.slug)
        if stand_in is None:
            raise Unavailable(f"no stand-in for {base_url}")
        await before()
        return await send_in_process(stand_in, request, self._clock, min(total_s, self._limits.total_s))


class _Talk:
    """One conversation: what came back so far, and how long it may still take."""

    def __init__(self, asker: Asker, carrier: Carrier, clock: Clock, permit: Permit) -> None:
        self.replies: list[Reply] = []
        self._asker = asker
        self._carrier = carrier
        self._clock = clock
        self._permit = permit
        self._ends_at = clock.monotonic() + CONVERSATION_S

    async def hold(self, exchange: Generator[Request, Reply, Result]) -> Result:
        """Drive a carrier's generator to its end. A failed request is raised where it was yielded."""
        try:
            request = next(exchange)
            while True:
                try:
                    reply = await self._send(request)
                except CarrierError as error:
                    request = exchange.throw(error)
                else:
                    request = exchange.send(reply)
        except StopIteration as done:
            result: Result = done.value
            return result
        finally:
            exchange.close()

    async def _send(self, request: Request) -> Reply:
        left_s = self._ends_at - self._clock.monotonic()
        if left_s <= 0:
            raise Unavailable("the conversation took too long", timed_out=True)
        if len(self.replies) >= REQUESTS_MAX:
            raise MalformedReply(f"more than {REQUESTS_MAX} requests in one conversation")
        reply = await self._asker.send(self._carrier, request, left_s, self._permit)
        self.replies.append(reply)
        return reply


def _bare(error: CarrierError) -> CarrierError:
    """Without the frames that it came through, which would keep what they had read, megabytes perhaps, for as
    long as somebody has the error, and in a circle with it."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


def _credential(carrier: Carrier, secrets: Mapping[str, str]) -> tuple[str, frozenset[tuple[str, str]]]:
    return carrier.slug, frozenset(secrets.items())


def _complete(answers: Answers, queries: Sequence[Query]) -> Answers:
    """An answer for every asked number, and for no other."""
    return {query.number: _answer(answers, query.number) for query in queries}


def _answer(answers: Answers, number: str) -> Report | CarrierError:
    answer = answers.get(number)
    if isinstance(answer, Report | CarrierError):
        return answer
    return MalformedReply("the answer does not contain this number")
