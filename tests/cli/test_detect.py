"""``parcelwire detect``: JSON lines for programs, a table with reasons for people."""

import json

import pytest
import typer
from typer.testing import CliRunner

from parcelwire.cli.detect import detect
from parcelwire.domain.rules import RULES

app = typer.Typer()
app.command()(detect)
runner = CliRunner()


def answers(*arguments: str, stdin: str | None = None) -> list[dict[str, object]]:
    result = runner.invoke(app, [*arguments, "--json"], input=stdin)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_json_line_has_exactly_the_promised_keys() -> None:
    (answer,) = answers("1Z 999 AA1 01 2345 6784")
    assert answer == {
        "input": "1Z 999 AA1 01 2345 6784",
        "number": "1Z999AA10123456784",
        "candidates": [
            {
                "carrier": "ups",
                "code": 100001,
                "official_code": 100002,
                "name": "UPS",
                "probability": pytest.approx(1, abs=0.01),
                "confident": True,
                "rule": "ups_1z",
                "check": "ok",
                "fields": {"shipper": "999AA1", "service": "01", "package": "2345678"},
            }
        ],
    }


def test_the_official_code_book_can_be_asked_for() -> None:
    (answer,) = answers("1Z999AA10123456784", "--code-book", "official")
    assert isinstance(answer["candidates"], list)
    assert answer["candidates"][0]["code"] == 100002


def test_numbers_come_one_a_line_from_standard_input() -> None:
    found = answers(
        stdin="RR123456785CN\r\n\n  \nhello world\n123-12345678\n\udcff".encode(errors="replace").decode()
    )
    assert [answer["number"] for answer in found] == ["RR123456785CN", "HELLOWORLD", "123-12345678", None]
    assert [bool(answer["candidates"]) for answer in found] == [True, False, True, False]


def test_bytes_that_are_no_text_are_an_answer_and_not_a_crash() -> None:
    result = runner.invoke(app, ["--json"], input=b"\xff\xfe12345\n")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["candidates"] == []


def test_a_country_changes_the_ranking() -> None:
    plain, japan = answers("408172644025")[0], answers("408172644025", "--country", "jp")[0]
    assert plain["candidates"] != japan["candidates"]


@pytest.mark.parametrize(
    "arguments",
    [["12345", "--country", "Japan"], ["12345", "--country", "ſs"], ["12345", "--code-book", "mine"]],
)
def test_wrong_use_ends_with_two_and_says_how(arguments: list[str]) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2
    assert "give" in result.stderr


def test_people_are_told_why() -> None:
    result = runner.invoke(app, ["RR123456789CN", "[bold]hello"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "China Post" in result.stdout
    assert "the check digit is wrong" in result.stdout
    assert "no carrier's numbers look like this" in result.stdout
    assert "[bold]hello" in result.stdout


def test_every_evidence_has_words() -> None:
    result = runner.invoke(app, [rule.valid for rule in RULES], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "its beginning and check digit" in result.stdout
