"""Documents in a SQLite file: where their bytes lie."""

import sqlite3
from contextlib import closing

import pytest

from parcelwire.ports import Document
from parcelwire.store.sqlite.documents import KEPT, ROOM, keep
from parcelwire.store.sqlite.file import steps

SCAN = 430  # bytes that one more scan adds


def document(size: int, estimate: int = 37) -> Document:
    return Document(b"x" * size, b"y" * estimate)


@pytest.fixture
def c() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for _, script in steps():
        connection.executescript(script)
    try:
        connection.execute("SELECT 1 FROM dbstat")
    except sqlite3.OperationalError:
        pytest.skip("this SQLite cannot tell what lies where (dbstat)")
    return connection


@pytest.mark.parametrize("estimate", [4, 57, 58, 200])
@pytest.mark.parametrize("size", [2, 57, 58, 4_000, 4_400, 4_500, 8_185, 8_186, 20_000])
def test_a_row_fills_pages_of_its_own_to_the_last_byte(
    c: sqlite3.Connection, size: int, estimate: int
) -> None:
    """Of any size: KEPT bytes in the tree, all other pages full and none too many; a small one has none."""
    with closing(c):
        keep(c, [(1, document(size, estimate))])
        lies = dict(c.execute("SELECT pagetype, sum(payload) FROM dbstat WHERE name = 'document' GROUP BY 1"))
        pages = c.execute("SELECT count(*) FROM dbstat WHERE name = 'document' AND pagetype = 'overflow'")
        assert lies["leaf"] == KEPT
        assert lies.get("overflow", 0) == pages.fetchone()[0] * ROOM
        assert KEPT + lies.get("overflow", 0) < size + estimate + 2 * 58 + ROOM


def test_a_document_that_grows_leaves_its_neighbours_where_they_are(c: sqlite3.Connection) -> None:
    """Without room a scan more of each was a tree that was put in order again and again."""
    where = "SELECT path, pageno FROM dbstat WHERE name = 'document' ORDER BY path"
    with closing(c):
        keep(c, ((n, document(2_500)) for n in range(1, 101)))
        before = c.execute(where).fetchall()
        for scans in range(1, 4):
            keep(c, ((n, document(2_500 + scans * SCAN)) for n in range(100, 0, -1)))
            assert c.execute(where).fetchall() == before
        assert c.execute("SELECT DISTINCT length(template) FROM document").fetchall() == [(2_500 + 3 * SCAN,)]


def test_a_document_is_read_as_it_was_kept(c: sqlite3.Connection) -> None:
    with closing(c):
        keep(c, [(1, document(10)), (2, document(9_000)), (1, document(5_000))])
        rows = c.execute("SELECT shipment, template, estimate FROM document ORDER BY shipment").fetchall()
        assert rows == [(1, b"x" * 5_000, b"y" * 37), (2, b"x" * 9_000, b"y" * 37)]
