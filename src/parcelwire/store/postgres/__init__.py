"""The store on PostgreSQL: any number of processes share one database."""

from parcelwire.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
