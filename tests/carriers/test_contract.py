"""What every carrier file has to keep, and what has to come of every sample answer."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.carriers.driving import SECRET, Outcome, access, converse, outcome, queries, since_of
from tests.carriers.recordings import HERE, PAYLOADS, Sample, asking, payloads, recordings, some_number

from parcelwire.carriers import carriers
from parcelwire.carriers._reading import json_of
from parcelwire.domain.errors import CarrierError, MalformedReply
from parcelwire.domain.exchange import Answers, Reply, Request
from parcelwire.domain.report import Report
from parcelwire.domain.status import Status, SubStatus
from parcelwire.ports import Carrier
from parcelwire.zones import zone_of

RECORDED = [sample for carrier in asking() for sample in recordings(carrier)]
FURTHER = [sample for carrier in asking() for sample in payloads(carrier)]
by_slug = pytest.mark.parametrize("carrier", asking(), ids=lambda carrier: carrier.slug)
no_further = pytest.mark.skip(reason="PARCELWIRE_PAYLOADS is not set: further sample answers are not run")


def play(sample: Sample) -> Iterator[tuple[dict[str, Any], Report | CarrierError]]:
    """Every row of a sample with its answer. A whole-call error counts for each of its rows."""
    for rows in sample.calls():
        asked = queries(sample.carrier, [row["number"] for row in rows], since_of(rows))
        try:
            answers = converse(sample.carrier, asked, lambda _: sample.reply)
        except CarrierError as error:
            yield from ((dict(row), error) for row in rows)
        else:
            assert set(answers) == {query.number for query in asked}
            yield from ((dict(row), answers[row["number"]]) for row in rows)


def check(sample: Sample) -> None:
    for row, answer in play(sample):
        wanted = sample.error or row.get("error")
        if wanted:
            assert type(answer).__name__ == wanted
        elif row.get("status"):
            assert outcome(sample.carrier, answer, zone_of) == Outcome.expected(row)
        else:
            assert isinstance(answer, CarrierError) or not answer.events
        assert isinstance(answer, CarrierError) or answer.number == row["number"]


def token_of(sample: Sample) -> Any:
    talk = sample.carrier.token(access(sample.carrier).secrets)
    assert talk is not None
    next(talk)
    try:
        talk.send(sample.reply)
    except StopIteration as end:
        return end.value
    raise AssertionError("the token talk takes more than one reply")


@pytest.mark.parametrize("sample", [s for s in RECORDED if not s.token], ids=str)
def test_a_recording_gives_exactly_the_outcome_in_its_index(sample: Sample) -> None:
    check(sample)


@pytest.mark.parametrize(
    "sample", [s for s in FURTHER if not s.token] or [pytest.param(None, marks=no_further)], ids=str
)
def test_a_further_sample_gives_exactly_the_outcome_in_its_index(sample: Sample) -> None:
    check(sample)


@pytest.mark.parametrize(
    "sample",
    [s for s in [*RECORDED, *FURTHER] if s.token] or [pytest.param(None, marks=no_further)],
    ids=str,
)
def test_an_answer_of_the_token_endpoint_is_a_token_or_an_error(sample: Sample) -> None:
    if sample.http_status == 200:
        token = token_of(sample)
        assert token.value
        assert token.life_s > 0
        assert token.value not in repr(token)
    else:
        with pytest.raises(CarrierError) as caught:
            token_of(sample)
        assert SECRET not in repr(caught.value)


def test_further_samples_are_found_when_the_folder_is_named() -> None:
    """A wrong folder must not pass as "nothing to do"."""
    if PAYLOADS is None:
        pytest.skip("PARCELWIRE_PAYLOADS is not set: further sample answers are not run")
    assert FURTHER


@by_slug
def test_recordings_cover_delivered_moving_unknown_and_error(carrier: Carrier) -> None:
    samples = recordings(carrier)
    statuses = {row.get("status") for sample in samples for row in sample.rows}
    assert {Status.DELIVERED, Status.IN_TRANSIT, Status.NOT_FOUND} <= statuses
    assert any(sample.error for sample in samples)


@by_slug
def test_every_recording_is_in_the_index(carrier: Carrier) -> None:
    known = {sample.path.name for sample in recordings(carrier)} | {"index.json"}
    assert {path.name for path in (HERE / carrier.slug).iterdir()} == known


def test_every_folder_of_recordings_belongs_to_a_carrier() -> None:
    folders = {path.name for path in HERE.iterdir() if (path / "index.json").exists()}
    assert folders <= set(carriers())


def test_every_carrier_is_named_like_its_file() -> None:
    """Which makes slugs unique."""
    files = {
        entry.name.removesuffix(".py")
        for entry in resources.files("parcelwire.carriers").iterdir()
        if entry.name.endswith(".py") and not entry.name.startswith("_")
    }
    assert files == {carrier.slug for carrier in carriers().values()}


@pytest.mark.parametrize("carrier", carriers().values(), ids=lambda carrier: carrier.slug)
def test_a_carrier_says_what_it_needs(carrier: Carrier) -> None:
    assert carrier.serves
    assert carrier.batch >= 1
    assert carrier.base_url == "" or carrier.base_url.startswith(("https://", "inprocess:"))
    assert not carrier.base_url.endswith("/")
    assert carrier.lane(some_number(carrier)).startswith(carrier.slug)
    assert all(name == name.lower() and name.isidentifier() for name in carrier.secrets)


TABLES = [
    Path(str(entry))
    for entry in resources.files("parcelwire.carriers").iterdir()
    if entry.name.endswith(".csv")
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_code_table_holds_known_sub_statuses_once_a_code(table: Path) -> None:
    with table.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert rows
    assert set(rows[0]) == {"namespace", "code", "sub_status", "informative", "meaning"}
    assert len({(row["namespace"], row["code"]) for row in rows}) == len(rows)
    for row in rows:
        assert row["sub_status"] == "" or SubStatus(row["sub_status"])
        assert row["informative"] in ("0", "1")
        assert row["meaning"]


# --- nonsense ---------------------------------------------------------------------------------------------

DEEP = 100_000
NONSENSE: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n",
    "object": b"{}",
    "list": b"[]",
    "list of lists": b"[[]]",
    "list of numbers": b"[1,2,3]",
    "null": b"null",
    "true": b"true",
    "number": b"12",
    "huge number": b"1" * 400,
    "string": b'"delivered"',
    "not UTF-8": b'{"a":"\xff\xfe"}',
    "NUL": b"\x00" * 64,
    "HTML": b"<!DOCTYPE html><html><body><p>Service unavailable<br></body></html>",
    "well-formed HTML": b"<html><body>Not here</body></html>",
    "XML entities": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    "deep list": b"[" * DEEP,
    "closed deep list": b"[" * DEEP + b"]" * DEEP,
    "deep object": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep XML": b"<a>" * DEEP + b"</a>" * DEEP,
    "5 MB list": b"[" + b"0," * 2_500_000 + b"0]",
    "10 MB text": b'{"error":"' + b"x" * 10_000_000 + b'"}',
    "5 MB of nothing": b" " * 5_000_000,
}


def said(carrier: Carrier, reply: Reply) -> list[Report | CarrierError]:
    """All that comes of one reply to a question about one number; any other exception passes through."""
    asked = queries(carrier, [some_number(carrier)])
    try:
        answers: Answers = converse(carrier, asked, lambda _: reply)
    except CarrierError as error:
        return [error]
    assert set(answers) == {asked[0].number}
    return list(answers.values())


@by_slug
@pytest.mark.parametrize("status", [200, 207, 400, 404])
@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_is_an_error_or_an_empty_report(carrier: Carrier, kind: str, status: int) -> None:
    for answer in said(carrier, Reply(status, {}, NONSENSE[kind])):
        assert isinstance(answer, CarrierError) or not answer.events


def test_the_table_of_carriers_and_nonsense(capsys: pytest.CaptureFixture[str]) -> None:
    """What each makes of every kind of nonsense inside HTTP 200; only the errors of carriers come out."""
    rows: list[str] = []
    for carrier in carriers().values():
        made: Counter[str] = Counter()
        for body in NONSENSE.values():
            for answer in said(carrier, Reply(200, {}, body)):
                assert isinstance(answer, CarrierError) or not answer.events
                made[type(answer).__name__] += 1
        counts = ", ".join(f"{name} {count}" for name, count in sorted(made.items()))
        rows.append(f"  nonsense  {carrier.slug:<16} {len(NONSENSE)} kinds: {counts}")
    with capsys.disabled():
        print("\n" + "\n".join(rows))
    assert len(rows) == len(carriers())


@by_slug
def test_every_http_status_without_a_body_is_an_error(carrier: Carrier) -> None:
    for status in (204, 301, 302, 400, 401, 403, 404, 405, 408, 413, 415, 418, 429, 500, 502, 503, 504, 599):
        (answer,) = said(carrier, Reply(status))
        assert isinstance(answer, CarrierError), status


def everywhere(change: Callable[[Any], Any], node: Any) -> Any:
    """``node`` with every value below its top changed."""
    if isinstance(node, dict):
        return {key: change(everywhere(change, value)) for key, value in node.items()}
    if isinstance(node, list):
        return [change(everywhere(change, value)) for value in node]
    return node


TWISTS: dict[str, Callable[[Any], Any]] = {
    "texts are numbers": lambda value: 7 if isinstance(value, str) else value,
    "texts are lists": lambda value: [value] if isinstance(value, str) else value,
    "texts are long": lambda value: value * 5_000 if isinstance(value, str) else value,
    "texts are strange": lambda value: (
        "\u202e\ud800\x00 9999-12-31T23:59:59+14:00"[::-1] if isinstance(value, str) else value
    ),
    "dates are extreme": lambda value: "9999-12-31T23:59:59-14:00" if _dated(value) else value,
    "dates are the first": lambda value: "0001-01-01T00:00:00+14:00" if _dated(value) else value,
    "dates are impossible": lambda value: "2026-02-30T25:61:61" if _dated(value) else value,
    "numbers are texts": lambda value: str(value) if isinstance(value, int | float) else value,
    "lists are objects": lambda value: {"0": value} if isinstance(value, list) else value,
    "lists are texts": lambda value: "list" if isinstance(value, list) else value,
    "lists hold null": lambda value: [None, *value, None] if isinstance(value, list) else value,
    "objects are lists": lambda value: [value] if isinstance(value, dict) else value,
    "objects are null": lambda value: None if isinstance(value, dict) else value,
    "all is null": lambda value: None if not isinstance(value, dict | list) else value,
}


def _dated(value: object) -> bool:
    return isinstance(value, str) and value[:2] in ("19", "20") and value[4:5] == "-"


JSON_SAMPLES = [
    sample
    for sample in RECORDED
    if sample.path.suffix == ".json" and sample.http_status < 300 and not sample.token
]


def survives(sample: Sample, body: bytes) -> None:
    """Only CarrierError comes out, and whatever is read can be shown."""
    for rows in sample.calls():
        asked = queries(sample.carrier, [row["number"] for row in rows], since_of(sample.rows))
        try:
            answers = converse(sample.carrier, asked, lambda _: Reply(sample.http_status, {}, body))
        except CarrierError:
            continue
        for answer in answers.values():
            if isinstance(answer, Report):
                outcome(sample.carrier, answer, zone_of)


@pytest.mark.parametrize("twist", TWISTS)
@pytest.mark.parametrize("sample", JSON_SAMPLES, ids=str)
def test_wrong_types_everywhere_break_nothing(sample: Sample, twist: str) -> None:
    twisted = everywhere(TWISTS[twist], json.loads(sample.path.read_text(encoding="utf-8")))
    survives(sample, json.dumps(twisted).encode("utf-8"))


@by_slug
def test_a_cut_answer_is_malformed(carrier: Carrier) -> None:
    """Wherever the connection broke: never a report of the first half."""
    for sample in (sample for sample in JSON_SAMPLES if sample.carrier is carrier):
        whole = sample.path.read_bytes().rstrip()
        for position in range(1, len(whole) - 1, max(1, len(whole) // 23)):
            for answer in said(carrier, Reply(sample.http_status, {}, whole[:position])):
                assert type(answer).__name__ == "MalformedReply"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_one_value_may_be_anything(data: st.DataObject) -> None:
    """Property: whatever single value of an answer is replaced by whatever JSON, nothing else breaks."""
    sample = data.draw(st.sampled_from(JSON_SAMPLES))
    body = json.loads(sample.path.read_text(encoding="utf-8"))
    node = body
    while True:
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        place = data.draw(st.sampled_from(places))
        if not isinstance(node[place], dict | list) or not node[place] or data.draw(st.integers(0, 3)) == 0:
            node[place] = data.draw(anything)
            break
        node = node[place]
    survives(sample, json.dumps(body).encode("utf-8", "surrogatepass"))


@by_slug
def test_a_secret_shows_nowhere(carrier: Carrier) -> None:
    """Neither in the repr of what is asked nor in any error."""

    def refuse(request: Request) -> Reply:
        assert SECRET not in repr(request)
        return Reply(401, {}, b'{"errors":[{"code":"x"}]}')

    assert SECRET not in repr(access(carrier))
    with pytest.raises(CarrierError) as caught:
        converse(carrier, queries(carrier, [some_number(carrier)]), refuse)
    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    talk = carrier.token(access(carrier).secrets)
    if talk is not None:
        assert SECRET not in repr(next(talk))
        with pytest.raises(CarrierError) as caught:
            talk.send(Reply(401))
        assert SECRET not in repr(caught.value)


def test_what_a_push_lacks_is_not_told_as_the_status_of_an_answer() -> None:
    """A push has no HTTP status; an answer names one that is not 200."""
    with pytest.raises(MalformedReply, match=r"^the body is not JSON \(2 bytes\)$"):
        json_of(Reply(200, {}, b"no"))
    with pytest.raises(MalformedReply, match=r"^HTTP 502, the body is not JSON"):
        json_of(Reply(502, {}, b"no"))
