"""The carrier directory: our table of the carriers that we detect or ask, and the two books of codes.

Inside, a carrier is its slug. Codes exist only on the wire: callers send and read them in one of two books,
and both are always understood.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

from parcelwire.domain.detect import Context, detect

BOOK_REFERENCE = "reference"
BOOK_OFFICIAL = "official"
POSTAL_BELOW = 100_000

# Where the reference book differs from 17TRACK's list.
_REFERENCE: Mapping[str, int] = {"ups": 100001, "dhl_express": 7041}

# Who may be meant by a code that stands for several, the default first.
_SHARED: Mapping[int, tuple[str, ...]] = {
    100001: ("dhl_express", "ups"),
    # Callers of the reference book know one DHL.
    7041: (
        "dhl_paket",
        "dhl_express",
        "dhl_ecommerce_us",
        "dhl_ecommerce_asia",
        "dhl_ecommerce_cn",
        "dhl_parcel_nl",
        "dhl_parcel_uk",
        "dhl_parcel_pl",
        "dhl_freight",
        "dhl_global_forwarding",
    ),
}

STRANGER = "code_"  # slug of a carrier that only an upstream knows: its code follows


class Listing(NamedTuple):
    """What an imported list says beyond what we use. ``country``: 17TRACK's own number of the country."""

    country: int
    email: str = ""
    tel: str = ""
    name_cn: str = ""
    name_hk: str = ""
    group: str = ""


class Entry(NamedTuple):
    """One carrier. ``code`` is 17TRACK's; ``country`` is ISO 3166 alpha-2 of its seat, empty when unknown."""

    slug: str
    code: int
    name: str
    country: str
    homepage: str
    listing: Listing | None = None  # of a carrier that was imported

    @property
    def postal(self) -> bool:
        """A postal operator: its code is its country's key and one more digit."""
        return self.code < POSTAL_BELOW


class Directory:
    """Carriers by slug and by code."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_slug = {entry.slug: entry for entry in entries}
        self._slug_of = {entry.code: entry.slug for entry in self._by_slug.values()}
        self.revision = 0  # grows with every change

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._by_slug.values())

    def extended(self, entries: Iterable[Entry]) -> "Directory":
        """A directory that also holds ``entries`` (an imported list)."""
        made = Directory(self)
        made.learn(entries)
        return made

    def learn(self, entries: Iterable[Entry]) -> None:
        """Hold ``entries`` too, from now on. Slugs and codes of the shipped carriers stay theirs."""
        for entry in entries:
            shipped_slug = entry.slug in self._by_slug and not entry.slug.startswith(STRANGER)
            if self._slug_of.get(entry.code, entry.slug) == entry.slug and not shipped_slug:
                self._by_slug[entry.slug] = entry
                self._slug_of[entry.code] = entry.slug
        self.revision += 1

    def by_code(self, code: int) -> Entry | None:
        """The carrier that has this code in 17TRACK's own list."""
        slug = self._slug_of.get(code)
        return self._by_slug[slug] if slug else None

    def listed(self, book: str) -> dict[int, Entry]:
        """All carriers under the codes that one book answers with.

        A code of 17TRACK's whose owner has another one in the book belongs to whom the book gives it.
        """
        rows = {entry.code: entry for entry in self}
        if book == BOOK_REFERENCE:
            for slug, code in _REFERENCE.items():
                if self._slug_of.get(code) in (None, *_REFERENCE):
                    rows[code] = self._by_slug[slug]
        return rows

    def entry(self, slug: str) -> Entry | None:
        """The entry of a carrier; of one that is known by nothing but its code, an entry without a home."""
        known = self._by_slug.get(slug)
        code = slug.removeprefix(STRANGER)
        if known is None and slug.startswith(STRANGER) and code.isdecimal():
            return Entry(slug, int(code), f"Carrier {code}", "", "")
        return known

    def code_of(self, slug: str, book: str) -> int:
        """The code of a carrier in one book. KeyError when the carrier is not in the directory."""
        known = self.entry(slug)
        if known is None:
            raise KeyError(slug)
        official = known.code
        return _REFERENCE.get(slug, official) if book == BOOK_REFERENCE else official

    def slugs_of(self, code: int) -> tuple[str, ...]:
        """The carriers that a code may mean in either book, the default first; empty when in neither."""
        if code in _SHARED:
            return _SHARED[code]
        slug = self._slug_of.get(code)
        return (slug,) if slug else ()

    def official(self, code: int) -> str | None:
        """The carrier that has this code in 17TRACK's own list."""
        return self._slug_of.get(code)

    def resolve(self, code: int, number: str, known: Context | None = None) -> str | None:
        """The carrier that a caller means by a code for this number: the number's shape, and what else is
        known of it, decide doubts."""
        slugs = self.slugs_of(code)
        if len(slugs) > 1:
            for candidate in detect(number, known):
                if candidate.carrier in slugs:
                    return candidate.carrier
        return slugs[0] if slugs else None


@cache
def shipped() -> Directory:
    """The directory that comes with the package, read once."""
    text = resources.files("parcelwire.wire").joinpath("carriers.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return Directory(
        Entry(row["slug"], int(row["official_code"]), row["name"], row["country"], row["homepage"])
        for row in rows
    )


def entry(slug: str) -> Entry | None:
    """The shipped entry of a carrier."""
    return shipped().entry(slug)


def code_of(slug: str, book: str) -> int:
    """See ``Directory.code_of``."""
    return shipped().code_of(slug, book)


def slugs_of(code: int) -> tuple[str, ...]:
    """See ``Directory.slugs_of``."""
    return shipped().slugs_of(code)


def resolve(code: int, number: str) -> str | None:
    """See ``Directory.resolve``."""
    return shipped().resolve(code, number)
