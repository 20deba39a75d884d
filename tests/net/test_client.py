"""One request, one reply, over real sockets: what comes back from HTTP that may be broken in any way."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from parcelwire.domain.errors import CarrierError, MalformedReply, NoRoom, Unavailable
from parcelwire.domain.exchange import Request
from parcelwire.net.client import USER_AGENT, HttpTransport, ReplyLimits, inflate, target_url

from .conftest import Serve, reset, response, silence

QUICK = ReplyLimits(connect_s=1, silence_s=0.3, total_s=1, head=4096, compressed=10_000, body=50_000)
GET = Request("GET", "/x")


@pytest.fixture
async def http() -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(QUICK)
    yield transport
    await transport.close()


async def fail(http: HttpTransport, url: str, request: Request = GET) -> CarrierError:
    with pytest.raises(CarrierError) as caught:
        await http.send(url, request, 5)
    assert url not in str(caught.value)
    return caught.value


async def test_the_request_arrives_as_the_carrier_file_made_it(serve: Serve, http: HttpTransport) -> None:
    """Method, path below the base URL, query, headers and body; plus who asks and no compression."""
    server = await serve(response(body=b"{}"))
    request = Request(
        "POST",
        "/v1/track/A%2FB",
        {"X-Key": "k", "Content-Type": "application/json"},
        {"q": "a b&c=ü/+"},
        b'{"n":1}',
    )
    await http.send(server.url + "/base/", request, 5)
    ((line, headers, body),) = server.requests
    assert line == "POST /base/v1/track/A%2FB?q=a%20b%26c%3D%C3%BC%2F%2B HTTP/1.1"
    assert body == b'{"n":1}'
    assert headers["x-key"] == "k"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == USER_AGENT
    assert headers["accept-encoding"] == "identity"


async def test_a_carrier_file_cannot_ask_for_compression(serve: Serve, http: HttpTransport) -> None:
    """Its own Accept-Encoding, in whatever case, is replaced; its own User-Agent is kept."""
    server = await serve(response())
    await http.send(server.url, Request("GET", "/", {"accept-encoding": "br", "user-agent": "mine"}), 5)
    assert server.requests[0][1]["accept-encoding"] == "identity"
    assert server.requests[0][1]["user-agent"] == "mine"
    assert "content-type" not in server.requests[0][1]


async def test_the_reply_has_lower_case_names_and_repeated_headers_joined(
    serve: Serve, http: HttpTransport
) -> None:
    """What a carrier file reads is always the same, however the carrier spells its headers."""
    server = await serve(response("404 Not Found", b"nope", "Retry-AFTER: 5", "X-A: 1", "x-a: 2"))
    reply = await http.send(server.url, GET, 5)
    assert (reply.status, reply.body) == (404, b"nope")
    assert reply.headers["retry-after"] == "5"
    assert reply.headers["x-a"] == "1, 2"


async def test_cookies_are_not_kept(serve: Serve, http: HttpTransport) -> None:
    """A carrier's session cookie must not tie one account's question to another's."""
    server = await serve(response("200 OK", b"", "Set-Cookie: a=b; Path=/"))
    by_name = f"http://localhost:{server.port}"  # nobody keeps cookies of bare addresses
    await http.send(by_name, GET, 5)
    await http.send(by_name, GET, 5)
    assert len(server.requests) == 2
    assert "cookie" not in server.requests[1][1]


async def test_redirects_are_shown_and_not_followed(serve: Serve, http: HttpTransport) -> None:
    """The carrier file sees the 302; nobody asks the other host."""
    other = await serve(response())
    server = await serve(response("302 Found", b"", f"Location: {other.url}/"))
    assert (await http.send(server.url, GET, 5)).status == 302
    assert other.connects == 0


async def test_a_proxy_in_the_environment_is_ignored(
    serve: Serve, http: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials must not travel through whatever HTTP_PROXY happens to name."""
    proxy, server = await serve(response("502 Bad")), await serve(response())
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("http_proxy", proxy.url)
    assert (await http.send(server.url, GET, 5)).status == 200
    assert proxy.connects == 0


async def test_connections_are_used_again(serve: Serve, http: HttpTransport) -> None:
    """Three questions, one connection."""
    server = await serve(response(body=b"x"))
    for _ in range(3):
        await http.send(server.url, GET, 5)
    assert (server.connects, len(server.requests)) == (1, 3)


async def test_each_time_that_a_request_is_written_it_must_be_allowed(
    serve: Serve, http: HttpTransport
) -> None:
    """On an open connection: not while it is being made. A kept one that the server closes as the request
    comes is replaced, and the request is written again with a permit of its own; so it may be refused."""

    async def gone(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await serve(response(body=b"1"), gone, response(body=b"2"), gone, response(body=b"3"))
    seen: list[tuple[int, int]] = []

    async def before() -> None:
        await asyncio.sleep(0.01)
        seen.append((server.connects, len(server.requests)))
        if len(seen) == 5:
            raise NoRoom("no more", 1)

    assert (await http.send(server.url, GET, 5, before)).body == b"1"
    assert (await http.send(server.url, GET, 5, before)).body == b"2"
    assert seen == [(1, 0), (1, 1), (2, 2)]
    with pytest.raises(NoRoom):
        await http.send(server.url, GET, 5, before)
    assert (len(seen), len(server.requests)) == (5, 4)


async def test_a_request_with_a_body_is_allowed_once_and_when_it_is_refused_nothing_is_written(
    serve: Serve, http: HttpTransport
) -> None:
    """Whatever refuses it is raised, in no other error."""
    server = await serve(response(body=b"1"))
    post = Request("POST", "/x", {}, body=b"{}")
    seen: list[int] = []

    async def before() -> None:
        await asyncio.sleep(0.01)
        seen.append(len(server.requests))
        if len(seen) == 2:
            raise NoRoom("no more", 1)

    assert (await http.send(server.url, post, 5, before)).body == b"1"
    with pytest.raises(NoRoom):
        await http.send(server.url, post, 5, before)
    assert (await http.send(server.url, post, 5, before)).body == b"1"
    assert seen == [0, 1, 1]
    assert [body for _, _, body in server.requests] == [b"{}"] * 2


async def test_a_body_that_is_announced_as_too_large_is_not_read(serve: Serve, http: HttpTransport) -> None:
    """One byte more than the limit is enough; the limit itself is read."""
    good, large = (b"x" * size for size in (QUICK.body, QUICK.body + 1))
    server = await serve(response(body=good), response(body=large)[:-1])
    assert len((await http.send(server.url, GET, 5)).body) == QUICK.body
    assert "body longer than 50000 bytes" in str(await fail(http, server.url))


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()


async def cut_head(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await writer.drain()


async def stall_after_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    await silence(reader, writer)


@pytest.mark.parametrize("answer", [silence, drip, stall_after_head])
async def test_an_answer_that_takes_too_long_is_a_timeout(
    serve: Serve, http: HttpTransport, answer: object
) -> None:
    """Nothing at all, a byte now and then, or a head and no body: Unavailable, and it says timed out."""
    began = asyncio.get_running_loop().time()
    error = await fail(http, (await serve(answer)).url)
    assert isinstance(error, Unavailable)
    assert error.timed_out
    assert asyncio.get_running_loop().time() - began < 3


async def test_the_callers_time_may_be_shorter_than_the_limit(serve: Serve, http: HttpTransport) -> None:
    """What is left of a conversation bounds its last request."""
    server = await serve(silence)
    began = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable) as caught:
        await http.send(server.url, GET, 0.05)
    assert caught.value.timed_out
    assert asyncio.get_running_loop().time() - began < 0.25


@pytest.mark.parametrize("answer", [cut, cut_head, reset])
async def test_a_broken_connection_is_unavailable(serve: Serve, http: HttpTransport, answer: object) -> None:
    """Cut in the body, cut in the head, reset: try again later, and it is no timeout."""
    error = await fail(http, (await serve(answer)).url)
    assert isinstance(error, Unavailable)
    assert not error.timed_out


async def test_a_closed_port_and_an_unknown_host_are_unavailable(serve: Serve, http: HttpTransport) -> None:
    """Nobody listens, and nobody has that name (RFC 6761 reserves .invalid)."""
    port = (await serve(response())).port
    for url in (f"http://127.0.0.2:{port}", "http://carrier.invalid"):
        error = await fail(http, url)
        assert isinstance(error, Unavailable)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", id="not HTTP"),
        pytest.param(response("200 OK", b"", "X: " + "a" * 100_000), id="one huge header"),
        pytest.param(response("200 OK", b"", *[f"X-{n}: {'a' * 80}" for n in range(60)]), id="a long head"),
        pytest.param(response("200 OK", b"", *[f"X-{n}: a" for n in range(5000)]), id="countless headers"),
        pytest.param(response(body=b"x" * 50_001), id="a long body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="broken chunks"),
        pytest.param(response("200 OK", b"x", "Content-Encoding: br"), id="brotli"),
        pytest.param(response("200 OK", b"x", "Content-Encoding: gzip, gzip"), id="gzip twice"),
        pytest.param(response("200 OK", b"not gzip", "Content-Encoding: gzip"), id="not gzip"),
        pytest.param(
            response("200 OK", gzip.compress(b"x" * 9000)[:-9], "Content-Encoding: gzip"), id="cut gzip"
        ),
        pytest.param(
            response("200 OK", gzip.compress(bytes(5_000_000)), "Content-Encoding: gzip"), id="gzip bomb"
        ),
        pytest.param(response("200 OK", b"\x1f\x8b" * 9000, "Content-Encoding: gzip"), id="long gzip"),
    ],
)
async def test_an_answer_beyond_limits_or_unreadable_is_malformed(
    serve: Serve, http: HttpTransport, answer: bytes
) -> None:
    """Too large or not to be understood is neither NotFound nor an outage: it is kept apart."""
    assert isinstance(await fail(http, (await serve(answer)).url), MalformedReply)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"hello")),
        ("x-gzip", gzip.compress(b"hello")),
        ("Deflate", zlib.compress(b"hello")),
    ],
)
async def test_a_carrier_that_compresses_anyway_is_understood(
    serve: Serve, http: HttpTransport, encoding: str, packed: bytes
) -> None:
    """Some ignore Accept-Encoding: identity."""
    server = await serve(response("200 OK", packed, f"Content-Encoding: {encoding}"))
    assert (await http.send(server.url, GET, 5)).body == b"hello"


def test_a_bomb_costs_little_memory() -> None:
    """A 100 MB body packed into 100 KB is refused while at most a few times the limit is in memory."""
    bomb = gzip.compress(bytes(100_000_000))
    tracemalloc.start()
    with pytest.raises(MalformedReply):
        inflate(bomb, 1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


async def test_the_body_may_be_as_long_as_the_limit(serve: Serve, http: HttpTransport) -> None:
    """The limit itself is allowed, plain and unpacked."""
    body = b"x" * 50_000
    server = await serve(
        response(body=body), response("200 OK", gzip.compress(body), "Content-Encoding: gzip")
    )
    for _ in range(2):
        assert (await http.send(server.url, GET, 5)).body == body


@given(path=st.text(), value=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_no_path_leaves_the_base_url(path: str, value: str) -> None:
    """Whatever a path or a value holds, host, port and base path stay, and no line break gets through."""
    url = target_url(
        "https://api.example:8443/base", "/" + path.encode(errors="replace").decode(), {"q": value}
    )
    assert (url.scheme, url.raw_host, url.port) == ("https", "api.example", 8443)
    assert str(url).startswith("https://api.example:8443/base/")
    assert str(url).isascii()
    assert not any(character.isspace() for character in str(url))
    assert url.query["q"] == value


def test_a_path_without_slash_is_refused() -> None:
    """Otherwise ``@evil.example`` would become the host."""
    with pytest.raises(ValueError, match="slash"):
        target_url("https://api.example", "@evil.example", {})


def test_escapes_in_a_path_stay_and_a_lone_percent_becomes_one() -> None:
    """A carrier file quotes a number itself; a stray percent sign is still a valid URL."""
    assert target_url("https://a.example/", "/x%2Fy/100%/ü?", {}) == URL(
        "https://a.example/x%2Fy/100%25/%C3%BC%3F", encoded=True
    )
