"""The index in SQLite: 16 shard files on local disk, WAL, one connection a shard and process.

Every write is BEGIN IMMEDIATE. UIDs and MODSEQs come from a reservation that is committed with
synchronous=FULL before use; other commits are NORMAL and reach the disk within a second, so that a
power cut may lose rows whose files are found again, but never lets a UID be given twice.
"""

from gateway.store.sqlite.repository import SqliteRepository

__all__ = ["SqliteRepository"]
