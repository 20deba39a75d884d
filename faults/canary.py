"""Marked secrets through a whole life of the real service; then they are looked for wherever others can look.

Log at debug level, database and its files, answers, pages, pushes, commands, a backup, reprs, and what each
carrier was sent. A secret may be where that is documented (docs/how-to/keep-secrets.md) and nowhere else.
"""

import json
import secrets as randomness
import signal
import sqlite3
import tempfile
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
from aiohttp import web
from faults.child import Child, environment, serve
from faults.figure import Figure
from faults.needles import Hit, Place, Secret, inflated, search
from faults.signals import until
from tests.cli.test_commands import run
from tests.postgres import Cluster

from parcelwire.app import asker_of, keys_of, routes_of, settings_from
from parcelwire.carriers import carriers
from parcelwire.domain.account import NewAccount
from parcelwire.domain.endpoint import NewEndpoint
from parcelwire.domain.exchange import Access, Reply, Request, Token
from parcelwire.net.clock import SystemClock
from parcelwire.ports import Inbound, StandIn
from parcelwire.standins import server, stand_ins
from parcelwire.store.vault import Vault
from parcelwire.wire.signature import new_secret, sign

NUMBERS = {
    "australia_post": ("7QK1000000000013", 1151),
    "canada_post": ("1004000000000013", 3041),
    "china_post": ("LP204500111CN", 3011),
    "dhl": ("00340434161094027318", 7041),
    "fedex": ("700000000300", 100003),
    "gls": ("100000000137", 100005),
    "la_poste": ("6A10000000013", 6051),
    "royal_mail": ("TT100000012GB", 11031),
    "ups": ("1Z4R2W7E0300001011", 100002),
    "usps": ("9405511206213999001010", 21051),
}
BOUGHT = ("YT2110821266000300", 190008)  # a carrier without a credential: the upstream is asked
RAW = ("table raw_reply, inflated", "table inbox, inflated")  # raw replies are kept for the operator
COMMAND_S = 120.0  # whatever else the machine does
DEBUG = "import logging\nlogging.basicConfig(level=logging.DEBUG)\n"  # of the child: everything that can log
COMMANDS = (
    "config show", "doctor --ledger",
    "accounts list", "keys list", "webhooks list", "webhooks log", "upstream quota",
    "carriers list", "audit list", "audit verify", "explain {number}", "carriers test fedex 700000000300",
    "track {number} --carrier 100003",
)  # fmt: skip

clock = SystemClock()


class Marked:
    """A carrier that hands out a marked token, and tells more about people than anybody wants to know."""

    def __init__(self, inner: StandIn, token: str, people: Sequence[str]) -> None:
        self.slug = inner.slug
        self.asked: list[bytes] = []
        self._inner = inner
        self._token, self._inner_token = token, ""
        self._people = dict(zip(("name", "street", "phone"), people, strict=True))

    def answer(self, request: Request, now: Any) -> Reply:
        """What the carrier answers, with marks."""
        words = [request.path, *request.headers.values(), *request.query.values()]
        self.asked.append("\n".join(words).encode() + b"\n" + (request.body or b""))
        headers = {
            name: value.replace(self._token, self._inner_token) for name, value in request.headers.items()
        }
        reply = self._inner.answer(replace(request, headers=headers), now)
        return replace(reply, body=self._marked(reply.body))

    def _marked(self, body: bytes) -> bytes:
        try:
            said = json.loads(body)
        except ValueError:
            return body.replace(b"</", f"<!--{self._people}--></".encode(), 1)
        first = said[0] if isinstance(said, list) and said else said
        if not isinstance(first, dict):
            return body
        if "access_token" in first:
            self._inner_token, first["access_token"] = first["access_token"], self._token
        else:
            first["consignee"] = self._people
        return json.dumps(said).encode()


@dataclass
class Life:
    """One service with everything that is secret marked. ``places`` grows while it lives."""

    folder: Path
    secrets: list[Secret] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)
    carriers: list[Marked] = field(default_factory=list)
    faults: list[deque[server.Fault]] = field(default_factory=list)
    pushed: int = 0

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    def mark(self, name: str, *documented: str) -> str:
        """A new secret that no encoding leaves as it is."""
        value = f"CANARY+{name.replace(' ', '/')}={randomness.token_hex(8)}&"
        return self.keep(name, value, *documented)

    def keep(self, name: str, value: str, *documented: str) -> str:
        """A secret that somebody else has made."""
        self.secrets.append(Secret(name, value.encode(), documented))
        return value

    def see(self, name: str, content: bytes | str) -> None:
        """A place that others can look into."""
        self.places.append(Place(name, content.encode() if isinstance(content, str) else content))

    def hits(self) -> list[Hit]:
        """What was found where it must not be."""
        return list(search(self.places, self.secrets))

    async def command(self, line: str, *shown: str) -> str:
        """Run a command; what it prints is a place, but for what it is there to show (``shown``)."""
        code, out, err = await run(self.environ, *line.split(), seconds=COMMAND_S)
        text = out + err
        if code not in (0, 1):
            raise AssertionError(f"{line}: {text}")
        for secret in shown:
            text = text.replace(secret, "")
        self.see(f"command {line}", text)
        return out


@asynccontextmanager
async def marked_carriers(life: Life) -> AsyncIterator[None]:
    """Every carrier that there is a stand-in for, and its settings."""
    async with AsyncExitStack() as opened:
        for slug, make in stand_ins().items():
            if slug == "sandbox":
                continue
            there: Any = make()
            people = [life.mark(f"{what} at {slug}", *RAW) for what in ("name", "street", "phone")]
            marked = Marked(there, life.mark(f"token of {slug}", f"asked {slug} "), people)
            faults = deque[server.Fault]()
            url = await opened.enter_async_context(server.serve(marked, clock, faults))
            prefix = f"PARCELWIRE_CARRIER_{slug.upper()}_"
            life.environ[f"{prefix}URL"] = url
            for name in carriers()[slug].secrets:
                title = f"{name} of {slug}"
                if name == "sm4_key":  # a cipher's key has its form
                    there.sm4_key = b64encode(randomness.token_bytes(16)).decode()
                    value = life.keep(title, there.sm4_key)
                else:
                    value = life.mark(title, f"asked {slug} ")
                life.environ[prefix + name.upper()] = value
            life.carriers.append(marked)
            life.faults.append(faults)
        yield


@asynccontextmanager
async def refusing_receiver(life: Life) -> AsyncIterator[str]:
    """A receiver that refuses every other push. What it is sent is a place, and what it says is kept."""

    async def handle(request: web.BaseRequest) -> web.Response:
        body = await request.read()
        life.pushed += 1
        life.see("a push", f"{dict(request.headers)}".encode() + body)
        return web.Response(status=500 if life.pushed % 2 else 200, text="not today")

    async with server.listening(handle) as url:
        yield f"{url}/hook"


def settings_of(life: Life, hook: str, database: str | None) -> None:
    """Everything that can be secret, marked."""
    (life.folder / "sitecustomize.py").write_text(DEBUG, encoding="utf-8")
    base = environment(
        life.data,
        PARCELWIRE_FIRST_KEY=life.mark("login key"),
        PARCELWIRE_WEBHOOK_URL=hook,
        PARCELWIRE_WEBHOOK_SIGN_KEY=life.mark("sign key"),
        PARCELWIRE_WEBHOOK_SECRET=life.keep("webhook secret", new_secret(randomness.token_bytes(32))),
        PARCELWIRE_REFRESH_SECONDS="0.5",
        PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN_BEFORE=life.mark("token before"),
        PARCELWIRE_CARRIER_UPS_ALERT_CREDENTIAL=life.mark("alert credential"),
        PYTHONASYNCIODEBUG="1",
    )
    if database is not None:
        base["PARCELWIRE_DATABASE"] = database
    life.environ |= base
    life.environ["PYTHONPATH"] += f":{life.folder}"


async def answers(life: Life, child: Child) -> None:
    """Calls that go well and calls that go wrong: every answer is a place."""
    number, code = NUMBERS["fedex"]
    key, wrong = life.environ["PARCELWIRE_FIRST_KEY"], life.mark("a wrong login key")
    one = [{"number": number, "carrier": code}]
    calls: list[tuple[str, str, object]] = [
        (name, key, one)
        for name in ("gettrackinfo", "getRealTimeTrackInfo", "push", "changeinfo", "retrack", "gettracklist")
    ]
    calls += [("register", key, [{"number": "!" * 60}]), ("register", wrong, one), ("nowhere", key, one)]
    calls += [("register", key, {"a": [1e300, None]}), ("getquota", key, None)]
    async with aiohttp.ClientSession() as session:
        for name, token, body in calls:
            headers = {"17token": token, "Idempotency-Key": randomness.token_hex(8)}
            async with session.post(f"{child.url}/track/v2.2/{name}", json=body, headers=headers) as answer:
                life.see(f"answer {name}", f"{dict(answer.headers)}".encode() + await answer.read())
        pages = ("/openapi.json", "/docs", "/healthz", "/readyz", "/apicarrier.all.json", "/nowhere")
        for page in (*pages, "/api/v1/events?after=0"):
            async with session.get(child.url + page, headers={"17token": key}) as answer:
                life.see(f"page {page}", f"{dict(answer.headers)}".encode() + await answer.read())


async def inbound(life: Life, child: Child) -> None:
    """Pushes to us, genuine and forged."""
    upstream = f"{child.url}/inbound/seventeentrack"
    settings = life.environ
    body = json.dumps({"event": "TRACKING_UPDATED", "data": {"number": "X"}}).encode()
    alert = json.dumps({"trackingNumber": NUMBERS["ups"][0], "activityStatus": {"type": "I"}}).encode()
    keys = [settings[f"PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN{end}"] for end in ("", "_BEFORE")]
    given = [settings["PARCELWIRE_CARRIER_UPS_ALERT_CREDENTIAL"], life.mark("a wrong credential")]
    sent = [(upstream, body, {"sign": sign(body, key)}) for key in (*keys, "x")]
    sent += [(f"{child.url}/inbound/ups", alert, {"credential": one}) for one in given]
    async with aiohttp.ClientSession() as session:
        for url, content, headers in sent:
            async with session.post(url, data=content, headers=headers) as answer:
                life.see("answer inbound", f"{answer.status}".encode() + await answer.read())


async def owner(life: Life, quick: bool) -> None:
    """What the owner types: what makes a secret shows it once, everything else shows none."""
    for line in ("keys add --json", "accounts add depot --json"):
        key = json.loads((await run(life.environ, *line.split(), seconds=COMMAND_S))[1])["login_key"]
        life.keep(f"login key of {line}", key)
    mine, other = (life.keep(f"secret {n}", new_secret(randomness.token_bytes(32))) for n in (1, 2))
    await life.command(f"webhooks add http://127.0.0.1:9/x --secret {mine}", mine)
    await life.command(f"webhooks rotate 2 --secret {other}", other)
    for line in COMMANDS[:2] if quick else COMMANDS:
        for form in ("",) if quick else ("", " --json"):
            await life.command(line.format(number=NUMBERS["fedex"][0]) + form)
    await life.command("secrets rotate")


async def live(life: Life, quick: bool, harm: Callable[[], Any]) -> None:
    """Start, work, fail, be harmed, be killed, start again, end. The log of all of it is a place."""
    with (life.folder / "log").open("wb") as log:
        async with serve(life.environ, log=log) as child:
            child.session.headers["17token"] = life.environ["PARCELWIRE_FIRST_KEY"]
            items = [{"number": number, "carrier": code} for number, code in (*NUMBERS.values(), BOUGHT)]
            await child.call("register", items)
            await until(lambda: all(one.asked for one in life.carriers) and life.pushed > 3, 30)
            await answers(life, child)
            await inbound(life, child)
            await owner(life, quick)
            for faults in life.faults:
                faults.extend(broken(life))
            await until(lambda: not any(life.faults), 3 if quick else 20)
            await harm()
            await answers(life, child)
            await child.end(signal.SIGKILL)
        async with serve(life.environ, log=log) as child:
            await answers(life, child)
            code = await child.end(signal.SIGTERM)
            assert code == 0, (life.folder / "log").read_bytes()[-3000:]
    life.see("log", (life.folder / "log").read_bytes())
    silent = [one.slug for one in life.carriers if not one.asked]
    assert not silent, silent
    for one in life.carriers:
        life.see(f"asked {one.slug} ", b"\n".join(one.asked))


def broken(life: Life) -> Iterator[server.Fault]:
    """Answers that nobody can read, with people in them."""
    person = next(secret.value for secret in life.secrets if secret.name.startswith("name at"))
    yield server.Fault(status=500, body=b"failed for " + person)
    yield server.Fault(body=b'{"consignee": "' + person + b'"')
    yield server.Fault(body=b"<html>" + person)
    yield server.Fault(status=401, body=person)


async def wrong_starts(life: Life) -> None:
    """Settings that are wrong, with secrets in them: what is said of it is a place."""
    secret = life.mark("a wrong secret")
    dsn = f"postgresql://user:{quote(life.mark('a password'), safe='')}@127.0.0.1:1/x"
    for name, value in {
        "PARCELWIRE_SECRET_KEY": secret,
        "PARCELWIRE_WEBHOOK_SECRET": secret,
        "PARCELWIRE_FIRST_KEY": f"{secret} x",
        "PARCELWIRE_DATABASE": dsn,
    }.items():
        _, out, err = await run(life.environ | {name: value}, "serve", seconds=COMMAND_S)
        life.see(f"start with a wrong {name}", out + err)


def reprs(life: Life) -> None:
    """What a traceback or a debugger would show of things that hold secrets."""
    settings = settings_from(life.environ)
    keys, secret = keys_of(settings), life.mark("inside a repr")
    shown = [
        settings, asker_of(settings, clock), routes_of(settings), keys, Vault(keys.read, bytes),
        NewAccount("a", "free", 1, secret, secret), NewEndpoint("https://a.example/", secret),
        Access({"key": secret}, secret), Token(secret, 1.0), Inbound(1, "ups", clock.now(), secret.encode()),
        Request("GET", "/", {"Authorization": secret}, body=secret.encode()),
        Reply(200, {"set-cookie": secret}, secret.encode()), settings.carriers,
    ]  # fmt: skip
    life.see("reprs", "\n".join(repr(one) for one in shown))


def files(life: Life, folder: Path, name: str) -> None:
    """Every file as it lies there."""
    for path in sorted(folder.rglob("*")):
        # service.json holds the key to the running service, for whoever owns the folder.
        if path.is_file() and path.name != "service.json":
            life.see(f"{name} {path.relative_to(folder)}", path.read_bytes())


def rows(life: Life, table: str, found: Sequence[Sequence[object]]) -> None:
    """A table as text, and what in it was compressed."""
    blobs = [value for row in found for value in row if isinstance(value, bytes)]
    life.see(f"table {table}", "\n".join(repr(tuple(row)) for row in found).encode() + b"\n".join(blobs))
    life.see(f"table {table}, inflated", b"\n".join(inflated(blob) for blob in blobs))


async def on_sqlite(life: Life, quick: bool) -> None:
    """On a file."""
    async with marked_carriers(life), refusing_receiver(life) as hook:
        settings_of(life, hook, None)

        async def backup() -> None:
            await life.command(f"backup {life.data / 'copy.db'}")

        await live(life, quick, backup)
        if not quick:
            await wrong_starts(life)
    database = life.data / "parcelwire.db"
    with closing(sqlite3.connect(database)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows(life, table, connection.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608
    _end(life)
    files(life, life.data, "file")


async def on_postgres(life: Life, cluster: Cluster) -> None:
    """On a server, which ends all sessions for a moment."""
    dsn = cluster.dsn.replace("postgres@", f"postgres:{quote(life.mark('database password'), safe='')}@")

    async def cut() -> None:
        connection = await asyncpg.connect(cluster.dsn)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'parcelwire'"
        )
        await connection.close()

    async with marked_carriers(life), refusing_receiver(life) as hook:
        settings_of(life, hook, dsn)
        await live(life, False, cut)
    connection = await asyncpg.connect(cluster.dsn)
    for (table,) in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        rows(life, table, await connection.fetch(f"SELECT * FROM {table}"))  # noqa: S608
    await connection.execute("CHECKPOINT")
    await connection.close()
    cluster.stop()
    _end(life)
    files(life, life.data, "file")
    files(life, cluster.data, "server file")
    life.see("server log", (cluster.folder / "log").read_bytes())


def _end(life: Life) -> None:
    """What only shows at the end: the secret keys, which a file may hold and nothing else."""
    for n, line in enumerate((life.data / "secret.key").read_text(encoding="ascii").split()):
        life.keep(f"secret key {n}", line, "file secret.key")
        life.secrets.append(Secret(f"secret key {n}, bytes", bytes.fromhex(line), ("file secret.key",)))
    reprs(life)


async def canary(quick: bool) -> Figure:
    """The whole life on a file, and on PostgreSQL; then the search."""
    lives: list[Life] = []
    with tempfile.TemporaryDirectory() as place:
        lives.append(Life(Path(place)))
        await on_sqlite(lives[0], quick)
    if not quick:
        cluster = Cluster.make()
        try:
            with tempfile.TemporaryDirectory() as place:
                lives.append(Life(Path(place)))
                await on_postgres(lives[1], cluster)
        finally:
            cluster.remove()
    hits = [hit for life in lives for hit in life.hits()]
    kinds, places = (sum(len(getattr(life, name)) for life in lives) for name in ("secrets", "places"))
    searched = sum(len(one.content) for life in lives for one in life.places)
    told = "".join(f"; {hit.secret} as {hit.form} in {hit.place}" for hit in hits[:20])
    return Figure(
        "canary",
        not hits,
        f"marked secrets {kinds}, places {places}, searched {searched / 1e6:.1f} MB in {len(lives)} lives "
        f"({'SQLite' if quick else 'SQLite, PostgreSQL'}), hits {len(hits)}{told}",
        {"secrets": kinds, "places": places, "bytes": searched, "hits": len(hits)},
    )
