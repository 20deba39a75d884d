"""The only place that builds things: settings in, a running service out."""

import asyncio
import json
import logging
import os
import random
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import structlog
from aiohttp import web

from parcelwire.api.doors import DOORS, signed_with
from parcelwire.api.feed import Feed
from parcelwire.api.inbound import InboundEntrance
from parcelwire.api.owner import OwnerEntrance
from parcelwire.api.server import Api
from parcelwire.api.sockets import SocketLimits, SocketServer
from parcelwire.carriers import alerting, carriers
from parcelwire.config import (
    ALERT_CREDENTIAL,
    ALERT_HEADER,
    BEFORE,
    CARRIER,
    PREFIX,
    CarrierSettings,
    Settings,
    load,
)
from parcelwire.domain.account import Account, is_guessable
from parcelwire.domain.audit import BY_OWNER, BY_SERVICE, OPERATOR, Deed
from parcelwire.domain.endpoint import SECRETS_OVERLAP
from parcelwire.domain.errors import ConfigError, UrlRefused
from parcelwire.domain.limits import DELAY_MAX, Reach
from parcelwire.domain.push import JITTER_MAX_S
from parcelwire.domain.quota import plan_size
from parcelwire.domain.schedule import Pace
from parcelwire.files import why, write_private
from parcelwire.flows.context import Context
from parcelwire.flows.inbound import Door
from parcelwire.flows.manage import SANDBOX, account_subject, open_first_account
from parcelwire.flows.metrics import Meters
from parcelwire.flows.push import PushPolicy
from parcelwire.flows.routes import Routes, Upstream
from parcelwire.flows.strikes import begin
from parcelwire.loops.blackbox import BlackBox
from parcelwire.loops.inbox import Inbox
from parcelwire.loops.janitor import KEPT, Janitor
from parcelwire.loops.pusher import Pusher
from parcelwire.loops.refresher import Refresher
from parcelwire.loops.rerouter import Rerouter
from parcelwire.loops.telemetry import Telemetry
from parcelwire.net.ask import Asker
from parcelwire.net.clock import SystemClock
from parcelwire.net.egress import check_url
from parcelwire.net.flights import Flights, together
from parcelwire.net.push import PushSender
from parcelwire.ports import Carrier, Clock, Old, Sender, Store, Work
from parcelwire.standins.sandbox import SandboxStandIn
from parcelwire.store.keyfile import GivenKeys, KeyFile
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.sqlite.file import check_free
from parcelwire.store.vault import Vault
from parcelwire.wire.carrierlist import ListError, read_stored
from parcelwire.wire.directory import Directory, shipped
from parcelwire.wire.signature import new_secret
from parcelwire.zones import zone_of

Role = Literal["all", "api", "worker"]
SEVENTEENTRACK = "seventeentrack"
# A stop takes ten seconds at most, whatever hangs: callers, carriers and pushes under way end together.
STOP_S = 7.0
STOP_LATE_S = 1.0
STOP_CALLS_S = 3.0  # the server waits for as long, then cancels, then waits again
DRAIN_S = 3.0  # whoever keeps a connection open learns with the next answer that it will be closed
REAL_TIME_S = 25.0  # a caller waits for a carrier; a call has 30 (api/server.py)
BACKLOG = 1024  # connections that may wait; beyond it the system forgets some that the caller believes in
FILES_ELSEWHERE = 128  # databases, logs, carriers, webhooks
SERVICE_FILE = "service.json"
KEY_FILE = "secret.key"
CARRIERS_FILE = "carriers.json"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What the first start made. ``login_key`` is None when the operator gave it: then it is not shown."""

    login_key: str | None = field(repr=False)
    account: Account


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Settings with all carriers that there are."""
    return load(environ, {slug: _keys_of(carrier) for slug, carrier in carriers().items()})


def _keys_of(carrier: Carrier) -> tuple[str, ...]:
    """What the operator may give for a carrier."""
    keys = [*carrier.secrets]
    if carrier.slug == SEVENTEENTRACK:
        keys += (f"token{BEFORE}", "cap", "realtime")
    if carrier.slug in alerting():
        keys += (ALERT_CREDENTIAL, f"{ALERT_CREDENTIAL}{BEFORE}", ALERT_HEADER)
    return tuple(keys)


def lacking(settings: Settings, carrier: Carrier) -> tuple[str, ...]:
    """The settings that a carrier needs and does not have."""
    given = settings.carriers.get(carrier.slug, CarrierSettings())
    return tuple(
        f"{PREFIX}{CARRIER}{carrier.slug}_{name}".upper()
        for name in carrier.secrets
        if not given.secrets.get(name)
    )


def routes_of(settings: Settings) -> Routes:
    """Which carrier file answers for which carrier, and what is missing where none does."""
    sources: dict[str, Carrier] = {}
    missing: dict[str, tuple[str, ...]] = {}
    for carrier in carriers().values():
        if carrier.reach is Reach.BOUGHT:
            continue
        names = lacking(settings, carrier)
        for slug in carrier.serves:
            if names:
                missing.setdefault(slug, names)
            else:
                sources.setdefault(slug, carrier)
    return Routes(
        sources,
        {slug: names for slug, names in missing.items() if slug not in sources},
        _upstream_of(settings),
        f"{PREFIX}{CARRIER}{SEVENTEENTRACK}_token".upper(),
        alerting(),
    )


def _upstream_of(settings: Settings) -> Upstream | None:
    """17TRACK, when its token is there. ConfigError for a limit that is none."""
    given = settings.carriers.get(SEVENTEENTRACK, CarrierSettings()).secrets
    if not given.get("token"):
        return None
    cap, real_time = given.get("cap"), given.get("realtime", "0")
    prefix = f"{PREFIX}{CARRIER}{SEVENTEENTRACK}_".upper()
    if cap is not None and not (cap.isascii() and cap.isdigit()):
        raise ConfigError(f"{prefix}CAP: {cap!r} is not valid: quota units a month are expected")
    if real_time not in ("0", "1"):
        raise ConfigError(f"{prefix}REALTIME: {real_time!r} is not valid: 1 or 0 is expected")
    return Upstream(carriers()[SEVENTEENTRACK], None if cap is None else int(cap), real_time == "1")


def doors_of(settings: Settings) -> dict[str, Door]:
    """How pushes of an upstream and of carriers prove that they are genuine; who has no key has no door."""
    given = {slug: one.secrets for slug, one in settings.carriers.items()}
    doors: dict[str, Door] = {}
    tokens = _live(given.get(SEVENTEENTRACK, {}), "token")
    if tokens:
        doors[SEVENTEENTRACK] = signed_with(tokens)
    for slug, carrier in alerting().items():
        own = given.get(slug, {})
        credentials = _live(own, ALERT_CREDENTIAL)
        if credentials:
            make = DOORS[carrier.alert_proof]
            doors[slug] = make(credentials, own.get(ALERT_HEADER, carrier.alert_header))
    return doors


def _live(given: Mapping[str, str], name: str) -> list[str]:
    """A key and the one that it replaces."""
    return [given[one] for one in (name, f"{name}{BEFORE}") if given.get(one)]


def asker_of(settings: Settings, clock: Clock) -> Asker:
    """The driver of conversations with the operator's credentials."""
    return Asker(
        clock,
        {slug: given.secrets for slug, given in settings.carriers.items()},
        {slug: given.url for slug, given in settings.carriers.items() if given.url},
        {SANDBOX: SandboxStandIn(settings.sandbox_step)},
    )


def directory_of(data: Path) -> Directory:
    """The carriers that are known: the shipped ones, and those of an imported list in the data folder."""
    file = data / CARRIERS_FILE
    try:
        return shipped().extended(read_stored(file.read_bytes()))
    except FileNotFoundError:
        return shipped().extended(())
    except (OSError, ListError) as error:
        raise ConfigError(f"{file} cannot be read: {error}; remove it and import the list again") from None


def context_of(
    settings: Settings, store: Store, asker: Asker, sender: Sender, flights: Flights, clock: Clock
) -> Context:
    """Ports and decisions for the use cases."""
    step = timedelta(seconds=settings.sandbox_step)
    every = timedelta(seconds=settings.refresh_seconds) if settings.refresh_seconds else None
    return Context(
        store=store,
        fetcher=asker,
        sender=sender,
        clock=clock,
        zone_of=zone_of,
        routes=routes_of(settings),
        directory=directory_of(settings.data),
        book=settings.code_book,
        new_id=lambda: secrets.token_hex(16),
        new_secret=lambda: new_secret(secrets.token_bytes(32)),
        together=together,
        once=flights,
        pace=Pace(every=every),
        paces={SANDBOX: Pace(day=step, every=every or step)},
        lease=timedelta(seconds=settings.lease_seconds),
        keyring=keys_of(settings),
    )


def longest_delay(settings: Settings) -> timedelta:
    """No refresh and no push is put off by more."""
    given = timedelta(seconds=max(settings.refresh_seconds or 0, *settings.push_schedule) + JITTER_MAX_S)
    return max(DELAY_MAX, given)


def kept_of(settings: Settings) -> dict[Old, timedelta]:
    """How long what is kept."""
    log, record = timedelta(days=settings.keep_log_days), timedelta(days=settings.keep_record_days)
    return {
        **KEPT,
        Old.REFRESH: log,
        Old.PUSH: log,
        Old.CHANGE: log,
        Old.REPLY: timedelta(days=settings.keep_reply_days),
        Old.INBOX: timedelta(days=settings.keep_inbox_days),
        Old.LEDGER: timedelta(days=settings.keep_ledger_days),
        Old.STOPPED: record,
        Old.LOOKED_UP: record,
    }


async def open_store(settings: Settings) -> Store:
    """The store that the settings name, with its secret key."""
    if settings.on_postgres:
        return await _open_postgres(settings)
    path, keys = await asyncio.to_thread(_prepare_files, settings)
    return await SqliteStore.open(path, Vault(keys.read, secrets.token_bytes))


async def _open_postgres(settings: Settings) -> Store:
    """A database that no process has opened before takes our key, whichever that is."""
    try:
        from parcelwire.store.postgres import PostgresStore
    except ImportError:
        raise ConfigError(
            "PARCELWIRE_DATABASE: PostgreSQL needs the package asyncpg: in a clone python3 dev.py setup "
            "installs it, elsewhere pip install '/path/to/clone[postgres]'"
        ) from None
    await asyncio.to_thread(_make_folder, settings.data)
    keys = keys_of(settings)
    made = isinstance(keys, KeyFile) and await asyncio.to_thread(keys.make_first)
    try:
        vault = Vault(keys.read, secrets.token_bytes)
        store = await PostgresStore.open(settings.database, vault, random.random)
    except ConfigError:
        if isinstance(keys, KeyFile) and made:
            await asyncio.to_thread(keys.path.unlink)
        raise
    for warning in store.warnings:
        structlog.get_logger("parcelwire").warning("database_unsafe", detail=warning)
    return store


async def move_store(
    settings: Settings, path: Path, dsn: str, tell: Callable[[str, int, int], None]
) -> dict[str, int]:
    """Copy a SQLite file into a PostgreSQL database; answers rows by table."""
    from parcelwire.store.moving import SqliteSource, move
    from parcelwire.store.postgres import PostgresStore

    vault = Vault(keys_of(settings).read, secrets.token_bytes)
    source = await asyncio.to_thread(SqliteSource, path)
    try:
        await asyncio.to_thread(source.check_key, vault)
        store = await PostgresStore.open(dsn, vault, random.random, moving_from=source.instance)
        try:
            counts = await move(source, store, tell)
            done = Deed(BY_OWNER, SystemClock().now(), "migrate-store", "database")
            await store.enter(OPERATOR, done)
            return counts
        finally:
            await store.close()
    finally:
        await asyncio.to_thread(source.close)


def keys_of(settings: Settings) -> KeyFile | GivenKeys:
    """Where the secret keys are: in the settings, else in the data folder."""
    if settings.secret_key is not None:
        return GivenKeys(settings.secret_key)
    return KeyFile(settings.data / KEY_FILE, secrets.token_bytes)


def _prepare_files(settings: Settings) -> tuple[Path, KeyFile | GivenKeys]:
    """The key is made at the first start, never for a database that has one already."""
    path, keys = Path(settings.database), keys_of(settings)
    empty = not path.exists() or path.stat().st_size == 0
    for folder in (settings.data, path.parent):
        _make_folder(folder)
    if isinstance(keys, KeyFile) and empty and not keys.make_first():
        raise ConfigError(
            f"there is a secret key, {keys.path}, and the database {path} to which it belongs is missing or "
            "empty: put it back (parcelwire restore FILE), or move the key away to start anew"
        )
    return path, keys


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {why(error)}") from None


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """Where callers come in. ``shared`` by several processes: then somebody else looks after it."""

    socket: socket.socket
    token: str = field(repr=False)  # of the owner's commands
    shared: bool = False

    @classmethod
    def open(cls, settings: Settings) -> "FrontDoor":
        """A socket that listens: callers wait in its queue until the service is ready. ConfigError."""
        return cls(_bind(*settings.listen), secrets.token_hex(32))

    @property
    def url(self) -> str:
        """Its address."""
        host, port = self.socket.getsockname()[:2]
        return f"http://{_shown_host(host)}:{port}"

    def tell(self, settings: Settings) -> None:
        """The owner's commands find it in the data folder."""
        service = {"url": self.url, "token": self.token, "pid": os.getpid()}
        write_private(settings.data / SERVICE_FILE, json.dumps(service) + "\n")

    def forget(self, settings: Settings) -> None:
        """Nobody finds it any more."""
        (settings.data / SERVICE_FILE).unlink(missing_ok=True)


class Service:
    """Everything that runs. ``await start()``, later ``await stop()``.

    On PostgreSQL ``role`` may be a part of it: api answers calls, worker runs the loops; and ``door`` may be
    one that other processes have too.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        role: Role = "all",
        door: FrontDoor | None = None,
    ) -> None:
        self.settings = settings
        self.role = role
        self.url = ""
        self.first_start: FirstStart | None = None
        self.meters = Meters()
        # Of the webhook receiver that this start made, when none was given.
        self.made_secret: str | None = None
        self._clock = clock or SystemClock()
        self._log = structlog.get_logger("parcelwire")
        self._tasks: list[asyncio.Task[None]] = []
        self._door = door
        self._sockets: SocketServer | None = None
        self._site: web.SockSite | None = None
        self._runner: web.ServerRunner | None = None
        self._feed: Feed | None = None
        self._box: BlackBox | None = None

    async def start(self) -> None:
        """Open the store, listen, and start the loops. ConfigError says what stands in the way."""
        settings = self.settings
        await self._check()
        try:
            self._store = await open_store(settings)
        except BaseException:
            self._close_door()
            raise
        self._asker = asker_of(settings, self._clock)
        self._flights = Flights(REAL_TIME_S)
        self._sender = PushSender(self._clock, settings.egress_allow)
        try:
            context = context_of(settings, self._store, self._asker, self._sender, self._flights, self._clock)
            self.context = replace(context, meters=self.meters)
            self._telemetry = Telemetry(self.meters, masked=not settings.log_numbers)
            self._store.on_damage(self._telemetry.store_broken)
            if self.role != "api":
                await self._look_back()
            if self._door is not None:
                await self._prepare_account()
                await self._listen(self._door)
        except BaseException:
            self._close_door()
            await self._close()
            raise
        if self.role != "api":
            self._start_loops()
        self._log.info("started", url=self.url, database=settings.shown_database, role=self.role)

    async def _check(self) -> None:
        """What the operator may have got wrong comes first: the first start shows its key only once."""
        settings = self.settings
        for name, nearest in settings.unknown.items():
            self._log.warning("unknown_setting", name=name, nearest=nearest or None)
        if self.role != "all":
            check_shared(settings, f"--role {self.role}")
        _check_secrets(settings)
        if settings.webhook_url:
            _check_webhook(settings.webhook_url, settings)
        if not settings.on_postgres:  # a second one is told of the first, not that the address is taken
            await asyncio.to_thread(check_free, Path(settings.database))
        if self.role != "worker" and self._door is None:
            self._door = await asyncio.to_thread(FrontDoor.open, settings)

    async def leave(self) -> None:
        """Stop when another process has the same door: nobody who keeps a connection is cut off between two
        calls."""
        if self._site is not None and self._sockets is not None:
            await self._site.stop()
            await self._sockets.drain(DRAIN_S)
        await self.stop()

    async def stop(self) -> None:
        """Take no more work, finish what is under way, close the store."""
        if self._feed is not None:
            self._feed.close()
        for task in self._tasks:
            task.cancel()
        ending = [*self._tasks]
        if self._runner is not None:
            ending.append(asyncio.create_task(self._runner.cleanup()))
        _, late = await asyncio.wait(ending, timeout=STOP_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=STOP_LATE_S)
        if self._runner is not None and self._door is not None and not self._door.shared:
            self._door.forget(self.settings)
        await self._close()
        self._log.info("stopped")

    def _close_door(self) -> None:
        if self._door is not None:
            self._door.socket.close()

    async def _close(self) -> None:
        await self._flights.close()
        await self._sender.close()
        await self._asker.close()
        await self._store.close()
        if self._box is not None:
            self._box.close()

    async def _prepare_account(self) -> None:
        settings, store = self.settings, self._store
        known = await store.accounts()
        if known:
            account = known[0]
            given = settings.webhook_sign_key
            if given and given != await store.sign_key(account.id):
                await store.set_sign_key(
                    account.id, given, self._deed("account.sign", account_subject(account.name), "sign_key")
                )
            await self._tell_without_effect(account)
        else:
            login_key = settings.first_key or secrets.token_hex(16).upper()
            sign_key = settings.webhook_sign_key or login_key
            try:
                account = await open_first_account(self.context, settings.first_plan, login_key, sign_key)
            except Exception:
                if not await store.accounts():
                    raise
                return  # another process was first, and does the rest
            self.first_start = FirstStart(None if settings.first_key else login_key, account)
        if settings.webhook_url:
            await self._set_endpoint(account, settings.webhook_url)

    async def _set_endpoint(self, account: Account, url: str) -> None:
        """The endpoint of the setting. Another secret than before is a rotation: both sign for a while."""
        store, given = self._store, self.settings.webhook_secret
        endpoint = await store.endpoint(account.id)
        if endpoint is None:
            secret = given or self.context.new_secret()
            self.made_secret = None if given else secret
            done = self._deed("webhook.set", "webhook of the settings", "url", "secret")
            await store.set_endpoint(account.id, url, secret, stopped_by_request=True, deed=done)
            return
        name = f"webhook {endpoint.id}"
        if endpoint.url != url:
            by_request, done = endpoint.stopped_by_request, self._deed("webhook.set", name, "url")
            await store.set_endpoint(
                account.id, url, endpoint.secret, stopped_by_request=by_request, deed=done
            )
        if given and given != endpoint.secret:
            both_until = self._clock.now() + SECRETS_OVERLAP
            done = self._deed("webhook.rotate", name, "secret")
            await store.rotate_secret(account.id, endpoint.id, given, both_until, done)

    def _deed(self, action: str, subject: str, *fields: str) -> Deed:
        """What the settings make the service do, for the audit."""
        return Deed(BY_SERVICE, self._clock.now(), action, subject, fields)

    async def _tell_without_effect(self, account: Account) -> None:
        """FIRST_KEY and FIRST_PLAN make the first account; later they change nothing: say so."""
        settings = self.settings
        if settings.first_key and await self._store.account_of_key(settings.first_key) != account:
            self._log.warning(
                "setting_without_effect", name="PARCELWIRE_FIRST_KEY", instead="parcelwire keys add"
            )
        given = "PARCELWIRE_FIRST_PLAN" in settings.origins
        if given and plan_size(settings.first_plan) != account.quota_total:
            self._log.warning(
                "setting_without_effect", name="PARCELWIRE_FIRST_PLAN", instead="parcelwire accounts plan"
            )

    async def _look_back(self) -> None:
        """What the process before was doing when it died is suspected of it; some of it may be parked."""
        self._box = BlackBox(self.settings.data)
        self.context = replace(self.context, watch=self._box.watch)
        parked = await begin(self.context, [self._box.left] if self._box.left else [])
        self._telemetry.parked(parked, "the process died twice while it was at work on this")

    async def _listen(self, door: FrontDoor) -> None:
        owner = OwnerEntrance(self.context, door.token)
        inbound = InboundEntrance(self.context, doors_of(self.settings), self.settings.proxies)
        settings = self.settings
        api = Api(
            self.context, settings.rate_limit, owner.handle, inbound.handle, settings.proxies,
            settings.metrics_allow,
        )  # fmt: skip
        self._feed = api.feed
        self._store.on_work(self._feed.wake, Work.PUSH)
        self._sockets = SocketServer(
            api.handle, _quiet(), _socket_limits(self.settings), self.settings.proxies
        )
        runner = web.ServerRunner(self._sockets, shutdown_timeout=STOP_CALLS_S)
        await runner.setup()
        self._site = web.SockSite(runner, door.socket, backlog=BACKLOG)
        await self._site.start()
        self._runner = runner
        self.url = door.url
        if not door.shared:
            door.tell(self.settings)

    def _start_loops(self) -> None:
        telemetry = self._telemetry
        policy = PushPolicy(self.settings.push_schedule, self.settings.push_timeout)
        refresher = Refresher(self.context, telemetry)
        pusher = Pusher(self.context, policy, random.random, telemetry)
        inbox = Inbox(self.context, telemetry)
        janitor = Janitor(self.context, telemetry, longest_delay(self.settings), kept_of(self.settings))
        self._store.on_work(refresher.wake, Work.REFRESH)
        self._store.on_work(pusher.wake, Work.PUSH)
        self._store.on_turn(telemetry.endpoint_turned)
        self._store.on_work(inbox.wake, Work.INBOUND)
        rerouter = Rerouter(self.context, telemetry)
        loops = (refresher, pusher, janitor, inbox, rerouter)
        self._tasks = [asyncio.create_task(loop.run()) for loop in loops]


def _quiet() -> logging.Logger:
    """For the HTTP library: it would write what callers send, headers with their keys included."""
    logger = logging.getLogger("parcelwire.http")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def check_shared(settings: Settings, wish: str) -> None:
    """ConfigError unless several processes can use the database."""
    if not settings.on_postgres:
        raise ConfigError(
            f"{wish} needs a database that several processes can use: give a postgresql:// DSN in "
            "PARCELWIRE_DATABASE"
        )


def _check_secrets(settings: Settings) -> None:
    """Whoever can be reached from elsewhere has no secret that somebody else could think of."""
    if _is_loopback(settings.listen[0]):
        return
    given = {
        "PARCELWIRE_FIRST_KEY": settings.first_key,
        "PARCELWIRE_WEBHOOK_SIGN_KEY": settings.webhook_sign_key,
        "PARCELWIRE_SECRET_KEY": settings.secret_key and settings.secret_key[0].hex(),
    }
    for name, secret in given.items():
        if secret and is_guessable(secret):
            raise ConfigError(
                f"{name}: a secret that others can guess, while PARCELWIRE_LISTEN lets them in from "
                "elsewhere: give a random one, or none and one is made"
            )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_webhook(url: str, settings: Settings) -> None:
    try:
        check_url(url, settings.egress_allow)
    except UrlRefused as error:
        raise ConfigError(f"PARCELWIRE_WEBHOOK_URL: {error}") from None


def _socket_limits(settings: Settings) -> SocketLimits:
    """No more connections than this process may have files; it takes as many as the system lets it."""
    most = settings.connections
    if os.name == "posix":
        import resource

        wanted = most + FILES_ELSEWHERE
        files, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files != resource.RLIM_INFINITY and files < wanted:
            files = wanted if limit == resource.RLIM_INFINITY else min(wanted, limit)
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, limit))
            most = max(1, files - FILES_ELSEWHERE)
    return SocketLimits(connections=most, per_address=settings.connections_per_address)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        door = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        raise ConfigError(
            f"cannot listen on {host}:{port}: {why}. Give another address in PARCELWIRE_LISTEN (port 0 takes "
            "any free one)"
        ) from None
    door.setblocking(False)
    return door


def _shown_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
