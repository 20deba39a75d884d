"""How the log is written when no person reads it."""

import json

import pytest
import structlog

from parcelwire.cli.output import set_up_logs


def test_a_line_is_json_whatever_is_in_it(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects as their repr; half a surrogate pair, which UTF-8 has no form for, does not lose the line."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    before = structlog.get_config()
    try:
        set_up_logs()
        structlog.get_logger().info("told", number="…1234", what=range(3))
        structlog.get_logger().info("told", detail="\ud800")
    finally:
        structlog.configure(**before)
    plain, odd = map(json.loads, capfdbinary.readouterr().err.splitlines())
    assert (plain["event"], plain["level"]) == ("told", "info")
    assert (plain["number"], plain["what"]) == ("…1234", "range(0, 3)")
    assert plain["timestamp"].endswith("Z")
    assert odd["detail"] == "\ud800"
