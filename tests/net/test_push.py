"""Sending one webhook message over real sockets, to endpoints that may do anything."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.errors import PushError
from parcelwire.net.clock import SystemClock
from parcelwire.net.push import BODY_KEPT, PushSender, retry_after_s

from .conftest import Serve, reset, response, silence
from .test_egress import Names

LOOPBACK = (ip_network("127.0.0.1/32"),)
BODY = '{"event":"TRACKING_UPDATED","data":{"tag":"Zürich"}}'.encode()
HEADERS = {"Content-Type": "application/json; charset=utf-8", "sign": "abc", "webhook-id": "msg_1"}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def sender() -> AsyncIterator[PushSender]:
    opened = PushSender(SystemClock(), LOOPBACK)
    yield opened
    await opened.close()


async def fail(sender: PushSender, url: str, total_s: float = 1) -> PushError:
    with pytest.raises(PushError) as caught:
        await sender.send(url, BODY, HEADERS, total_s)
    return caught.value


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "204 No Content", "299 Odd"])
async def test_every_2xx_is_a_success(serve: Serve, sender: PushSender, status: str) -> None:
    """The bytes and headers arrive as given, with who sends; the reply says what came back."""
    server = await serve(response(status, b"" if "204" in status else b"thanks"))
    reply = await sender.send(server.url + "/hook?x=1", BODY, HEADERS)
    ((line, headers, body),) = server.requests
    assert (line, body) == ("POST /hook?x=1 HTTP/1.1", BODY)
    assert {name: headers[name.lower()] for name in HEADERS} == HEADERS
    assert headers["user-agent"].startswith("parcelwire/")
    assert reply.http_status == int(status[:3])
    assert reply.body_start in (b"", b"thanks")
    assert 0 <= reply.ms < 5000


@pytest.mark.parametrize("status", [302, 307, 400, 401, 404, 410, 429, 500, 503])
async def test_every_other_status_is_a_failure(serve: Serve, sender: PushSender, status: int) -> None:
    """The error carries the status and the beginning of the answer; a redirect is not followed."""
    other = await serve(response())
    server = await serve(response(f"{status} X", b"because", f"Location: {other.url}/"))
    error = await fail(sender, server.url)
    assert (error.http_status, error.body_start) == (status, b"because")
    assert error.retry_after_s is None
    assert str(status) in error.detail
    assert other.connects == 0


@pytest.mark.parametrize(
    ("status", "retry_after", "expected"),
    [(429, "120", 120), (503, "7", 7), (500, "7", None), (302, "7", None)],
)
async def test_retry_after_counts_for_429_and_503(
    serve: Serve, sender: PushSender, status: int, retry_after: str, expected: float | None
) -> None:
    """The endpoint may say how long to wait when it is overloaded, and only then."""
    server = await serve(response(f"{status} X", b"", f"Retry-After: {retry_after}"))
    assert (await fail(sender, server.url)).retry_after_s == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 1), ("1", 1), ("3600", 3600), ("86400", 86400), ("86401", 86400), ("9" * 5000, 86400),
        (" 5 ", 5), ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
        ("1 Mar 2026 1:1:1 +9999999999", None),
        (format_datetime(NOW + timedelta(minutes=2), usegmt=True), 120),
        (format_datetime(NOW - timedelta(minutes=2), usegmt=True), 1),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30), ("Sunday, 01-Mar-26 12:00:30 GMT", 30),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        ("", None), ("soon", None), ("-5", None), ("1.5", None), ("٣", None), ("Sun, 99 Mar 2026", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_within_a_day(text: str, expected: float | None) -> None:
    """RFC 9110, 10.2.3; never shorter than a second, never longer than a day, nonsense says nothing."""
    assert retry_after_s(text, NOW) == expected


@given(st.text())
def test_no_retry_after_text_is_an_exception(text: str) -> None:
    """Whatever an endpoint sends."""
    wait_s = retry_after_s(text, NOW)
    assert wait_s is None or 1 <= wait_s <= 86400


async def head_then_silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    await silence(reader, writer)


async def head_then_cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    await writer.drain()


async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()


@pytest.mark.parametrize(
    ("answer", "start"), [(head_then_silence, b"abc"), (head_then_cut, b"abc"), (endless, b"x" * BODY_KEPT)]
)
async def test_the_head_decides(serve: Serve, sender: PushSender, answer: object, start: bytes) -> None:
    """A 2xx head is a success though the body stalls, is cut or never ends; little of it is kept."""
    began = asyncio.get_running_loop().time()
    reply = await sender.send((await serve(answer)).url, BODY, HEADERS, 0.3)
    assert (reply.http_status, reply.body_start) == (200, start)
    assert asyncio.get_running_loop().time() - began < 1


async def slow_head(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (silence, "no answer in time"),
        (slow_head, "no answer in time"),
        (reset, "connection broken"),
        (b"hello\r\n\r\n", "the answer is not HTTP, or its head is too large"),
        (response("200 OK", b"", "X: " + "a" * 100_000), "the answer is not HTTP, or its head is too large"),
    ],
)
async def test_no_readable_head_is_a_failure(
    serve: Serve, sender: PushSender, answer: object, detail: str
) -> None:
    """Silence, a dripping head, a reset, no HTTP: no status, and words without URL or secret."""
    began = asyncio.get_running_loop().time()
    error = await fail(sender, (await serve(answer)).url + "/hook?token=s3cret", 0.3)
    assert error.http_status is None
    assert error.detail == detail
    assert asyncio.get_running_loop().time() - began < 1


async def test_a_closed_port_is_a_failure(serve: Serve) -> None:
    """Nobody listens there."""
    port = (await serve(response())).port
    sender = PushSender(SystemClock(), [ip_network("127.0.0.0/8")])
    assert (await fail(sender, f"http://127.0.0.2:{port}")).detail == "connection refused"
    await sender.close()


async def test_nothing_is_sent_to_the_inside(serve: Serve) -> None:
    """Without an allowed network neither a literal nor a name that leads inside is connected to."""
    server = await serve(response())
    sender = PushSender(SystemClock(), resolver=Names(["127.0.0.1"]))
    refused = await fail(sender, f"https://127.0.0.1:{server.port}/s3cret")
    inside = await fail(sender, "https://evil.example/s3cret")
    assert refused.detail.startswith("URL refused")
    assert inside.detail == "address not allowed"
    assert "s3cret" not in refused.detail + str(refused)
    assert server.connects == 0
    await sender.close()


async def test_http_and_odd_ports_stay_inside_the_allowed_network(serve: Serve) -> None:
    """A name accepted because some network is allowed still may not lead elsewhere in plain text."""
    server = await serve(response())
    sender = PushSender(SystemClock(), LOOPBACK, resolver=Names(["127.0.0.1"], ["8.8.8.8"]))
    assert (await sender.send(f"http://nas.example:{server.port}/", BODY, HEADERS)).http_status == 200
    server.answers = [response()]
    await sender.close()
    for url in ("http://nas.example/", f"https://nas.example:{server.port}/"):
        again = PushSender(SystemClock(), LOOPBACK, resolver=Names(["8.8.8.8"]))
        assert (await fail(again, url)).detail == "address not allowed"
        await again.close()


async def test_every_connect_resolves_the_name_again(serve: Serve) -> None:
    """DNS rebinding: after a harmless answer the name leads elsewhere, and the next connect is refused."""
    server = await serve(response("200 OK", b"", "Connection: close"))
    sender = PushSender(SystemClock(), LOOPBACK, resolver=Names(["127.0.0.1"], ["127.0.0.2"]))
    url = f"http://rebind.example:{server.port}/"
    assert (await sender.send(url, BODY, HEADERS)).http_status == 200
    assert (await fail(sender, url)).detail == "address not allowed"
    await sender.close()


async def test_no_cookies_and_no_proxy(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint cannot mark us, and the environment cannot redirect us."""
    proxy = await serve(response("502 Bad"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    server = await serve(response("200 OK", b"", "Set-Cookie: id=7"))
    sender = PushSender(SystemClock(), LOOPBACK, resolver=Names(["127.0.0.1"]))
    for _ in range(2):
        await sender.send(f"http://hook.example:{server.port}/", BODY, HEADERS)
    assert "cookie" not in server.requests[1][1]
    assert (server.connects, proxy.connects) == (1, 0)
    await sender.close()


async def test_a_sick_endpoint_does_not_delay_another(serve: Serve, sender: PushSender) -> None:
    """With 120 messages hanging on a silent endpoint, another gets its own at once."""
    sick, well = await serve(silence), await serve(response())
    hanging = [asyncio.create_task(fail(sender, sick.url, 2)) for _ in range(120)]
    await asyncio.sleep(0.1)
    reply = await sender.send(well.url, BODY, HEADERS)
    assert reply.ms < 1000
    assert len(await asyncio.gather(*hanging)) == 120


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's context with a self-signed certificate for ``name``, kept in ``folder``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = SystemClock().now()
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "cert.pem").write_bytes(signed.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_tls_is_verified_against_the_original_name(serve: Serve, tmp_path: Path) -> None:
    """The checked address is connected to, with the URL's name for TLS and Host; other certificates fail."""
    server = await serve(response(), tls=certificate(tmp_path, "hook.example"))
    trusting = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    url = f"https://{{}}:{server.port}/"
    for name, tls, detail in (
        ("hook.example", trusting, None),
        ("other.example", trusting, "TLS certificate not accepted"),
        ("hook.example", None, "TLS certificate not accepted"),
    ):
        sender = PushSender(SystemClock(), LOOPBACK, resolver=Names(["127.0.0.1"]), tls=tls)
        if detail is None:
            assert (await sender.send(url.format(name), BODY, HEADERS)).http_status == 200
            assert server.requests[0][1]["host"] == f"hook.example:{server.port}"
        else:
            assert (await fail(sender, url.format(name))).detail == detail
        await sender.close()
    assert len(server.requests) == 1
