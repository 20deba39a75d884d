"""The carrier directory and the two code books."""

import re

import pytest

from parcelwire.domain.posts import ONE, SEVERAL
from parcelwire.domain.rules import FAMILIES, NOBODY, RULES
from parcelwire.wire.directory import (
    BOOK_OFFICIAL,
    BOOK_REFERENCE,
    Directory,
    Entry,
    code_of,
    entry,
    resolve,
    shipped,
    slugs_of,
)


def test_every_entry_is_whole_and_unique() -> None:
    entries = list(shipped())
    assert len(entries) > 300
    assert len({e.slug for e in entries}) == len({e.code for e in entries}) == len(entries)
    for e in entries:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", e.slug), e
        assert e.code > 0
        assert e.name == e.name.strip() != ""
        assert e.slug == "sandbox" or re.fullmatch(r"[A-Z]{2}", e.country), e
        assert e.slug == "sandbox" or re.fullmatch(r"https?://[a-z0-9.-]+/", e.homepage), e


def test_every_carrier_that_detection_can_answer_is_in_the_directory() -> None:
    slugs = {rule.carrier for rule in RULES} - {NOBODY} | set(ONE.values())
    slugs |= {post.carrier for posts in SEVERAL.values() for post in posts}
    slugs |= {carrier for family in FAMILIES.values() for carrier in family.values()}
    assert [slug for slug in sorted(slugs) if entry(slug) is None] == []


@pytest.mark.parametrize(
    ("slug", "reference", "official"),
    [
        ("usps", 21051, 21051),
        ("fedex", 100003, 100003),
        ("ups", 100001, 100002),
        ("dhl_express", 7041, 100001),
        ("dhl_paket", 7041, 7041),
        ("dhl_ecommerce_us", 7047, 7047),
        ("china_post", 3011, 3011),
        ("china_ems", 3013, 3013),
        ("sandbox", 999001, 999001),
    ],
)
def test_a_carrier_has_its_code_in_each_book(slug: str, reference: int, official: int) -> None:
    assert code_of(slug, BOOK_REFERENCE) == reference
    assert code_of(slug, BOOK_OFFICIAL) == official


def test_every_code_that_we_answer_is_understood_again() -> None:
    for e in shipped():
        for book in (BOOK_REFERENCE, BOOK_OFFICIAL):
            assert e.slug in slugs_of(code_of(e.slug, book))


@pytest.mark.parametrize(
    ("code", "number", "slug"),
    [
        (100002, "anything at all", "ups"),
        (100001, "1Z999AA10123456784", "ups"),
        (100001, "1Z12345E0205271688", "ups"),  # wrong check digit
        (100001, "3318810025", "dhl_express"),
        (100001, "QQQQQ99999QQQQQ", "dhl_express"),
        (7041, "00340434161094042557", "dhl_paket"),
        (7041, "3318810025", "dhl_express"),
        (7041, "GM60511234500", "dhl_ecommerce_us"),
        (7041, "QQQQQ99999QQQQQ", "dhl_paket"),
        (999001, "SANDBOXAMBIGUOUS", "sandbox"),
        (123, "RR123456785CN", None),
    ],
)
def test_the_number_decides_whom_a_shared_code_means(code: int, number: str, slug: str | None) -> None:
    assert resolve(code, number) == slug


def test_an_imported_list_adds_and_never_replaces() -> None:
    small = Directory([Entry("ups", 100002, "UPS", "US", "")])
    both = small.extended(
        [Entry("other", 5, "Other", "", ""), Entry("ups", 6, "x", "", ""), Entry("y", 100002, "y", "", "")]
    )
    assert [e.slug for e in both] == ["ups", "other"]
    assert both.slugs_of(5) == ("other",)
    assert both.code_of("ups", BOOK_OFFICIAL) == 100002
    assert small.slugs_of(5) == ()
