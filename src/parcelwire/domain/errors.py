"""The whole exception tree.

ParcelwireError
|- CallerError       the caller can fix it: a 17TRACK code in ``rejected`` (table in wire/codes.py)
|- CarrierError      one carrier, one answer; the class decides how the lane reacts
|  |- UnknownNumber     the carrier does not know the number (yet): refresh again, slower
|  |- InvalidNumber     the carrier says that the number can never be one of its own
|  |- Throttled         wait ``retry_after_s``; not a failure
|  |- NoRoom            our own lane has no call left for it: not a failure, ask when it has
|  |- Unavailable       timeout, 5xx, broken connection: back off, counts for the breaker
|  |- Refused           401/403: the credential is not accepted; pause it, tell the operator
|  |- MalformedReply    we cannot read the answer: kept, counted, never NotFound
|  |  `- Mistaken           our code failed on it: five times in a row park the shipment
|  |- NotYet            an upstream has the number and nothing to tell yet: ask again soon
|  |- QuotaSpent        what may be spent at an upstream is spent: nothing was bought
|  |- NotTaken          an upstream does not take the number as it is: nothing was bought
|  |- NotRegistered     an upstream has no registration of the number (any more)
|  `- NotRealTime       an upstream cannot ask this carrier at once: ask it the ordinary way
|- MissingCredential no source is configured for this carrier; names the setting
|- UrlRefused        a URL given by a user is one that we do not call
|- StoreUnavailable  the database does not work now; nothing of the transaction happened
|  `- StoreBroken        its file is damaged: waiting does not help, a backup does
`- PushError         a webhook attempt failed
ConfigError          outside the tree on purpose: only at start, never swallowed
"""

from parcelwire.domain.limits import DELAY_MAX


class ParcelwireError(Exception):
    """Base of everything that the service expects to happen."""


class CallerError(ParcelwireError):
    """The caller can fix it. ``reason`` names the row of the code table in wire/codes.py."""

    def __init__(self, reason: str, **values: str) -> None:
        super().__init__(reason, values)
        self.reason = reason
        self.values = values


class CarrierError(ParcelwireError):
    """A carrier gave no usable report for one number. ``detail`` never holds a secret."""

    outcome = "error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class UnknownNumber(CarrierError):
    """The carrier does not know the number (yet)."""

    outcome = "not_found"


class InvalidNumber(CarrierError):
    """The carrier says that this can never be one of its numbers."""

    outcome = "invalid_number"


class Throttled(CarrierError):
    """The carrier asks us to wait. ``retry_after_s`` is None when it did not say how long; a day at most."""

    outcome = "throttled"

    def __init__(self, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_s = None if retry_after_s is None else min(retry_after_s, DELAY_MAX.total_seconds())


class NoRoom(CarrierError):
    """The lane allowed no call for one more request, or none in time: nothing was sent, nobody has failed."""

    outcome = "no_room"

    def __init__(self, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class Unavailable(CarrierError):
    """Timeout, 5xx or a broken connection. ``timed_out`` tells a timeout from the rest."""

    outcome = "unavailable"

    def __init__(self, detail: str, *, timed_out: bool = False) -> None:
        super().__init__(detail)
        self.timed_out = timed_out


class Refused(CarrierError):
    """The credential is not accepted. ``stale_token``: a fresh token may cure it, once."""

    outcome = "refused"

    def __init__(self, detail: str, *, stale_token: bool = False) -> None:
        super().__init__(detail)
        self.stale_token = stale_token


class MalformedReply(CarrierError):
    """The answer cannot be read. It is kept and counted, and it is never NotFound."""

    outcome = "malformed"


class Mistaken(MalformedReply):
    """Our code failed on the answer, which is a bug. Five times in a row park the shipment."""


class NotYet(CarrierError):
    """An upstream has the number, and its first question to the carrier is not answered yet."""

    outcome = "not_yet"


class QuotaSpent(CarrierError):
    """The quota at an upstream, or the limit that the operator set for it, is spent. Nothing was bought."""

    outcome = "quota_spent"


class NotTaken(CarrierError):
    """An upstream does not register the number as it is: carrier or parameter are missing or not its own.

    ``lacks`` is the reason (wire/codes.py) when the caller can give what is missing, else empty.
    """

    outcome = "not_taken"

    def __init__(self, detail: str, *, lacks: str = "") -> None:
        super().__init__(detail)
        self.lacks = lacks


class NotRegistered(CarrierError):
    """An upstream says that it has no registration of a number that we know as registered there."""

    outcome = "not_registered"


class NotRealTime(CarrierError):
    """An upstream cannot ask this carrier at once, or not for this account. Nothing was bought."""

    outcome = "no_realtime"


class MissingCredential(ParcelwireError):
    """No source is configured for this carrier. ``settings`` make one together, ``upstream`` does alone."""

    def __init__(self, carrier: str, settings: tuple[str, ...], upstream: str = "") -> None:
        super().__init__(carrier, settings, upstream)
        self.carrier = carrier
        self.settings = settings
        self.upstream = upstream

    def __str__(self) -> str:
        if not (self.settings or self.upstream):
            return f"no source for carrier {self.carrier}: configure a 17TRACK upstream token"
        ways = [" and ".join(self.settings), f"{self.upstream} (17TRACK)" if self.upstream else ""]
        return f"no source for carrier {self.carrier}: set {', or '.join(filter(None, ways))}"


class UrlRefused(ParcelwireError):
    """A URL given by a user is one that we do not call (net/egress.py). The text says why, not which."""


class StoreUnavailable(ParcelwireError):
    """The database does not work now (disk full, read-only ...). Nothing of the transaction happened."""


class StoreBroken(StoreUnavailable):
    """The file of the database is damaged: waiting does not help, a backup does. The text says so."""


class PushError(ParcelwireError):
    """A webhook attempt failed. ``http_status`` is None when no answer came, ``body_start`` its beginning."""

    def __init__(
        self,
        detail: str,
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        body_start: bytes = b"",
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.http_status = http_status
        self.retry_after_s = retry_after_s
        self.body_start = body_start


class ConfigError(Exception):
    """A setting is wrong. Only at start, never swallowed. The text names the setting and the fix."""
