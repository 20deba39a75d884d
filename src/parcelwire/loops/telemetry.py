"""Log lines of the loops: one for each refresh and each push, always with the same keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from parcelwire.domain.endpoint import EndpointTurn
from parcelwire.domain.errors import StoreBroken, StoreUnavailable
from parcelwire.domain.poison import Piece
from parcelwire.domain.push import PushResult
from parcelwire.flows.inbound import Done
from parcelwire.flows.metrics import Meters
from parcelwire.flows.refresh import Round
from parcelwire.ports import Old

SHOWN_CHARACTERS = 4  # of a tracking number in a log line


class Telemetry:
    """Event names and keys are the same for ever: operators build alarms on them."""

    def __init__(self, meters: Meters | None = None, *, masked: bool = True) -> None:
        self._meters = meters or Meters()
        self._log = structlog.get_logger("parcelwire")
        self._masked = masked

    def refreshed(self, done: Round) -> None:
        """``refreshed``: one shipment was asked about. ``fails``: how often it failed in a row."""
        for shipment, attempt in done.outcomes:
            self._meters.count("refreshes_total", shipment.carrier, attempt.outcome)
            self._log.info(
                "refreshed",
                account=shipment.account,
                number=self._number(shipment.number),
                carrier=shipment.carrier,
                lane=attempt.lane,
                fails=shipment.fails,
                outcome=attempt.outcome,
                ms=attempt.ms,
            )
        if done.dropped:
            self._meters.count("refreshes_dropped_total", by=done.dropped)
            self._log.warning("refresh_dropped", count=done.dropped)

    def lane_waits(self, lane: str, until: datetime, why: str) -> None:
        """``lane_waits``: a carrier may not be asked for a while."""
        self._log.info("lane_waits", lane=lane, until=f"{until:%Y-%m-%dT%H:%M:%SZ}", why=why)

    def pushed(self, result: PushResult) -> None:
        """``pushed``: one attempt to tell an endpoint."""
        job = result.job
        outcome = "sent" if result.sent else "retry" if result.again_at else "dead"
        self._meters.count("push_attempts_total", outcome)
        self._log.info(
            "pushed",
            account=job.account,
            endpoint=job.endpoint,
            push=job.id,
            event_type=job.event.value,
            attempt=job.attempts + 1,
            outcome=outcome,
            probe=job.probe,
            http_status=result.http_status,
            detail=result.detail,
            ms=result.ms,
        )

    def parked(self, work: Sequence[Piece], why: str) -> None:
        """``parked``: work that harms the process is not taken up any more."""
        for one in work:
            self._meters.count("parked_total", "push" if one.endpoint else "refresh")
            self._log.error("parked", what=str(one), why=why)

    def pushes_dropped(self, count: int) -> None:
        """``push_dropped``: attempts whose lease somebody else had by then, or whose endpoint was removed."""
        self._meters.count("pushes_dropped_total", by=count)
        self._log.warning("push_dropped", count=count)

    def endpoint_turned(self, turn: EndpointTurn) -> None:
        """``endpoint_turned``: an endpoint is failing, paused, or healthy again."""
        self._meters.count("endpoint_turns_total", turn.health.state.value)
        self._log.warning(
            "endpoint_turned",
            account=turn.account,
            endpoint=turn.endpoint,
            before=turn.before.value,
            state=turn.health.state.value,
            why=turn.health.why,
        )

    def processed(self, done: Done) -> None:
        """``inbound_processed``: a push that came in from an upstream; ``refreshed`` for what it changed."""
        source = done.inbound.source
        self._log.info("inbound_processed", source=source, outcome=done.state.value, detail=done.detail)
        self.refreshed(Round(len(done.changed), 0, done.changed))

    def tidied(self, released: int, pruned: Mapping[Old, int]) -> None:
        """``tidied``: only when there was something."""
        if released or pruned:
            rows = {f"{old.value}_rows": count for old, count in pruned.items()}
            self._log.info("tidied", holds_released=released, **rows)

    def rerouted(self, moved: int) -> None:
        """``rerouted``: only when there were some."""
        if moved:
            self._log.info("rerouted", shipments=moved)

    def clock_went_back(self, back: timedelta, hastened: int) -> None:
        """``clock_went_back``: what was planned before is due now."""
        self._log.warning("clock_went_back", seconds=round(back.total_seconds()), rows_due_now=hastened)

    def turn_failed(self, what: str, error: Exception) -> None:
        """``turn_failed``: an unexpected error; the loop goes on. ``store_unavailable``: no database now."""
        self._meters.count("turn_failures_total", what.partition(" ")[0])
        if isinstance(error, StoreBroken):
            return  # told once: see store_broken
        if isinstance(error, StoreUnavailable):
            self._log.error("store_unavailable", what=what, error=str(error))
            return
        self._log.error("turn_failed", what=what, error=f"{type(error).__name__}: {error}", exc_info=error)

    def store_broken(self, why: str) -> None:
        """``store_broken``: a part of the database's file is damaged."""
        self._log.error("store_broken", error=why)

    def _number(self, number: str) -> str:
        return f"…{number[-SHOWN_CHARACTERS:]}" if self._masked else number
