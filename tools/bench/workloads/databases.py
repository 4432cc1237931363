"""sqlite: many small transactions, each of which waits for its fsync."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from tools.bench.workload import Group, Place, Workload


def _database(place: Place) -> Path:
    return place.directory / "database"


def _make_directory(place: Place) -> None:
    place.directory.mkdir(exist_ok=True)


def _remove(place: Place) -> None:
    for path in place.directory.iterdir():
        os.unlink(path)


def _insert(place: Place, journal_mode: str, transactions: int) -> None:
    """Make a database and put rows into it, each in a transaction, with sqlite's own default of synchronous=FULL."""
    with closing(sqlite3.connect(_database(place), isolation_level=None)) as connection:
        (mode,) = connection.execute(f"PRAGMA journal_mode={journal_mode}").fetchone()
        if mode != journal_mode:
            raise OSError(f"sqlite can't journal in the mode {journal_mode} here")
        connection.execute("CREATE TABLE entries (number INTEGER PRIMARY KEY, content TEXT)")
        for number in range(transactions):
            connection.execute("INSERT INTO entries VALUES (?, ?)", (number, "content " * 12))


def _insert_wal(place: Place) -> None:
    _insert(place, "wal", place.sizes.wal_transactions)


def _insert_rollback(place: Place) -> None:
    _insert(place, "delete", place.sizes.rollback_transactions)


WORKLOADS = (
    Workload("sqlite, WAL", Group.WRITING, _insert_wal, _make_directory, _remove),
    Workload("sqlite, rollback journal", Group.WRITING, _insert_rollback, _make_directory, _remove),
)
