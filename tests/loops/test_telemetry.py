"""What operators read while the database is away, and when something is broken."""

from structlog.testing import capture_logs

from parcelwire.domain.errors import StoreUnavailable
from parcelwire.loops.telemetry import Telemetry


def test_a_database_that_is_away_is_no_unexpected_error() -> None:
    """One line without a traceback, under the name that calls have for it."""
    with capture_logs() as lines:
        Telemetry().turn_failed("refresh", StoreUnavailable("the database does not answer"))
        Telemetry().turn_failed("refresh", ValueError("a bug"))
    assert lines[0] == {
        "event": "store_unavailable",
        "log_level": "error",
        "what": "refresh",
        "error": "the database does not answer",
    }
    assert lines[1]["event"] == "turn_failed"
    assert isinstance(lines[1]["exc_info"], ValueError)
