"""The store on one SQLite file."""

from parcelwire.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
