"""What clients, carrier and receiver saw, and what must therefore be true of the database: P1 to P6."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from faults.carrier import Parcels
from faults.receiver import Arrival

SCHEDULE = (2, 5, 10, 20, 40, 60)  # of pushes, in seconds
Key = tuple[int, str]  # account, number
REAL_TIME_COST = {0: 1, 1: 10}


class Violation(AssertionError):
    """A promise is broken; the text begins with its name."""


def hold(promise: bool, text: str) -> None:
    """Raise Violation unless ``promise``."""
    if not promise:
        raise Violation(text)


class Ledger:
    """The model. It reads the database by a connection of its own, as an auditor would."""

    def __init__(self, path: Path, parcels: Parcels) -> None:
        self.accepted: set[Key] = set()
        self._parcels = parcels
        self._path = path
        self._paid: dict[int, int] = {}  # what answered calls cost
        self._unsure: dict[int, int] = {}  # what calls without an answer may have cost
        self._known: dict[Key, set[str]] = {}  # texts that were shown
        self._statuses: dict[Key, str] = {}
        self._pushes: dict[str, tuple[object, ...]] = {}  # id -> what it is about
        self._checked = 0  # arrivals
        self._bodies: dict[str, bytes] = {}
        self._newest: dict[tuple[int, int], int] = {}  # endpoint, shipment -> version taken
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let the file go."""
        if self._connection is not None:
            self._connection.close()

    # --- what clients saw ---

    def registered(self, account: int, numbers: Sequence[str], data: Mapping[str, Any] | None) -> None:
        """An answer to register; None: it died under way."""
        if data is None:
            self._unsure[account] = self._unsure.get(account, 0) + len(numbers)
            return
        for item in data["accepted"]:
            key = (account, item["number"])
            hold(key not in self.accepted, f"P6: {key} accepted twice")
            self.accepted.add(key)
        self._paid[account] = self._paid.get(account, 0) + len(data["accepted"])

    def asked(self, account: int, level: int, data: Mapping[str, Any] | None) -> None:
        """An answer to a real-time question."""
        cost = REAL_TIME_COST[level]
        if data is None:
            self._unsure[account] = self._unsure.get(account, 0) + cost
        else:
            self._paid[account] = self._paid.get(account, 0) + cost * len(data["accepted"])

    # --- what must be true ---

    def check(self, shown: Mapping[Key, Any], arrivals: Sequence[Arrival]) -> None:
        """At any moment."""
        self._check_stored()
        for key, info in shown.items():
            self._check_shown(key, info)
        self._check_pushes()
        self._check_arrivals(arrivals)
        self._check_quota()

    def check_end(self, arrivals: Sequence[Arrival]) -> None:
        """When everything has come to rest."""
        taken = {arrival.id for arrival in arrivals if arrival.taken}
        rows = self._rows("SELECT id, endpoint, shipment, version, state, attempts FROM push")
        newest_told: dict[tuple[int, int], int] = {}
        for identity, endpoint, shipment, version, state, attempts in rows:
            hold(state != "pending", f"P3: push {identity} still waits")
            if state == "sent":
                hold(identity in taken, f"P3: push {identity} counts as sent, nobody took it")
            if state == "dead":
                hold(attempts > len(SCHEDULE), f"P3: push {identity} was given up after {attempts} attempts")
            if state != "superseded":
                newest = max(version, newest_told.get((endpoint, shipment), 0))
                newest_told[endpoint, shipment] = newest
        for identity, endpoint, shipment, version, state, _ in rows:
            if state == "superseded":
                later = newest_told.get((endpoint, shipment), 0)
                hold(later > version, f"P3: push {identity} superseded by nothing")
        held = self._rows("SELECT account, reference FROM quota_hold")
        hold(not held, f"P6: still held: {held}")
        for account, net in self._rows("SELECT account, sum(amount) FROM quota_entry GROUP BY account"):
            paid, unsure = self._paid.get(account, 0), self._unsure.get(account, 0)
            hold(paid <= net <= paid + unsure, f"P6: answers cost {paid} (+{unsure} unsure), ledger {net}")

    def is_drained(self) -> bool:
        """Whether nothing waits any more."""
        (waiting,) = self._rows(
            "SELECT (SELECT count(*) FROM push WHERE state = 'pending') + (SELECT count(*) FROM quota_hold)"
        )
        return bool(waiting == (0,))

    def tracked(self) -> list[Key]:
        """Registrations that are being tracked."""
        return self._rows("SELECT account, number FROM shipment WHERE phase = 'tracking' ORDER BY id")

    def texts(self, info: Mapping[str, Any] | None) -> set[str]:
        """Texts of all events that are shown."""
        providers = info["tracking"]["providers"] if info else []
        return {event["description"] for provider in providers for event in provider["events"]}

    def _check_stored(self) -> None:
        stored = self._rows("SELECT account, number FROM shipment WHERE registered_at IS NOT NULL")
        lost = self.accepted - set(stored)
        hold(not lost, f"P1: accepted and gone: {lost}")
        booked = self._rows(
            "SELECT count(*), count(DISTINCT reference) FROM quota_entry WHERE kind = 'register'"
        )
        hold(booked == [(len(stored), len(stored))], f"P6: {len(stored)} registered, charged {booked}")

    def _check_shown(self, key: Key, info: Mapping[str, Any] | None) -> None:
        texts, known = self.texts(info), self._known.setdefault(key, set())
        hold(known <= texts, f"P2: {key} lost {known - texts}")
        hold(texts <= self._parcels.texts(key[1]), f"P2: {key} shows what its carrier never said: {texts}")
        known |= texts
        if info is None:
            hold(key not in self._statuses, f"P2: {key} shows nothing any more")
            return
        status = info["latest_status"]["status"]
        if self._statuses.get(key) == "Delivered":  # nothing happens to these parcels afterwards
            hold(status == "Delivered", f"P2: {key} went back from Delivered to {status}")
        hold(status != "NotFound" or not texts, f"P2: {key} is NotFound with events")
        self._statuses[key] = status

    def _check_pushes(self) -> None:
        rows = self._rows("""SELECT p.id, p.endpoint, p.shipment, p.version, p.event, c.body
            FROM push p JOIN change c ON c.id = p.change""")
        for identity, *about in rows:
            before = self._pushes.setdefault(identity, tuple(about))
            hold(before == tuple(about), f"P4: push {identity} has changed")
        changes = {tuple(about[:3]) for about in self._pushes.values()}
        hold(len(changes) == len(self._pushes), "P4: one change has two ids")

    def _check_arrivals(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals[self._checked :]:
            about = self._pushes.get(arrival.id)
            if about is None:
                raise Violation(f"P4: push {arrival.id} was sent and is not stored")
            body = self._bodies.setdefault(arrival.id, arrival.body)
            hold(body == arrival.body == about[4], f"P4: push {arrival.id} has two bodies")
            json.loads(body)
            endpoint, shipment, version = about[:3]
            assert isinstance(endpoint, int) and isinstance(shipment, int) and isinstance(version, int)
            newest = self._newest.get((endpoint, shipment), 0)
            hold(version >= newest, f"P5: version {version} of {shipment} sent after {newest} was taken")
            if arrival.taken:
                self._newest[endpoint, shipment] = version
        self._checked = len(arrivals)

    def _check_quota(self) -> None:
        wrong = self._rows(
            """SELECT u.account, u.period, u.units, sum(e.amount), a.quota_total FROM quota_used u
            JOIN account a ON a.id = u.account
            LEFT JOIN quota_entry e ON e.account = u.account AND e.period = u.period
            GROUP BY u.account, u.period
            HAVING u.units <> coalesce(sum(e.amount), 0) OR u.units NOT BETWEEN 0 AND a.quota_total"""
        )
        hold(not wrong, f"P6: counter, ledger and total do not agree: {wrong}")
        for account, net in self._rows("SELECT account, sum(amount) FROM quota_entry GROUP BY account"):
            paid = self._paid.get(account, 0)
            hold(net >= paid, f"P6: answers cost {paid}, ledger {net}")

    def _rows(self, sql: str) -> list[Any]:
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, isolation_level=None, cached_statements=32)
            self._connection.execute("PRAGMA query_only = ON")
        with closing(self._connection.execute(sql)) as cursor:
            return cursor.fetchall()
