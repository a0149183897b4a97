"""The journal of the embedded store: one SQLite file, one transaction and one fsync per group."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any

from engine.api.resource import Resource
from engine.storage.journal import Record
from engine.storage.store import IncompatibleData, StorageError

FORMAT_VERSION = 1
PAGE_ROWS = 1000
# Rows per statement. One statement is one release of the interpreter lock: row by row (executemany) a busy event loop
# takes the lock back for 5 ms after each row, which was measured as 360 rows/s instead of 40,000.
STATEMENT_ROWS = 500
LOCK_SECONDS = 0.5  # how long the lock of a process that was killed may linger
CHECKPOINT_PAGES = 4000

# Rows are found by the unique index and live in a rowid table: rows of a few KB would spill out of a WITHOUT ROWID
# table's tree into overflow pages (28,000 instead of 90,000 rows/s, and more than twice the file).
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE objects (
    resource TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, value BLOB NOT NULL, UNIQUE (resource, key)
);
"""
UPSERT = (
    "INSERT INTO objects (resource, key, revision, value) VALUES {rows}"
    " ON CONFLICT (resource, key) DO UPDATE SET revision = excluded.revision, value = excluded.value"
)
NEWEST_REVISION = (
    "SELECT max((SELECT coalesce(max(revision), 0) FROM objects),"
    " (SELECT coalesce(max(value), 0) FROM meta WHERE name = 'revision'))"
)
# Through the join, since `(resource, key) IN (VALUES …)` with more than two rows scans the whole table.
DELETE = (
    "DELETE FROM objects WHERE rowid IN (SELECT objects.rowid FROM (VALUES {rows}) AS gone"
    " CROSS JOIN objects ON objects.resource = gone.column1 AND objects.key = gone.column2)"
)


class SqliteJournal:
    """`DATA_DIR/store.sqlite`, in write-ahead mode, synced at each commit; `DATA_DIR/store.lock` keeps others out.

    The revision counter is the newest revision of any row; only a deletion, which leaves no row, writes it down too.
    """

    durable = True

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._path = data_dir / "store.sqlite"
        self._lock: IO[str] | None = None
        self._connection: sqlite3.Connection | None = None

    def open(self) -> int:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
            self._path.touch(mode=0o600)  # Secrets are in it; what SQLite puts beside it has the same mode
            self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._prepare(self._connection)
            return int(self._connection.execute(NEWEST_REVISION).fetchone()[0])
        except (OSError, sqlite3.Error) as error:
            self.close()
            # A plain DatabaseError speaks of what the file holds; its subclasses speak of what could not be done.
            refused = IncompatibleData if type(error) is sqlite3.DatabaseError else StorageError
            raise refused(f"cannot open {self._path}: {error}") from error
        except StorageError:
            self.close()
            raise

    def _take_lock(self) -> IO[str]:
        """The kernel drops the lock with the process, however it ends, except that a child which the process was just
        spawning holds on to it until it executes its program: that moment is waited for."""
        lock = open(self._data_dir / "store.lock", "a", encoding="ascii")  # noqa: SIM115
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except OSError as error:
                if time.monotonic() >= deadline:
                    lock.close()
                    message = f"data directory {self._data_dir} is in use by another process"
                    raise IncompatibleData(message) from error
                time.sleep(0.01)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute("PRAGMA secure_delete = OFF")
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            insert = f"INSERT INTO meta VALUES ('format', {FORMAT_VERSION});"
            connection.executescript(f"BEGIN; {SCHEMA} {insert} COMMIT;")
            self._sync_directory()
            return
        found = (
            connection.execute("SELECT value FROM meta WHERE name = 'format'").fetchone() if "meta" in tables else None
        )
        if found is None or found[0] != FORMAT_VERSION:
            said = f"has format version {found[0]}" if found else "was not written by this program"
            message = f"data directory {self._data_dir} {said}; this program reads format version {FORMAT_VERSION}"
            raise IncompatibleData(message)

    def _sync_directory(self) -> None:
        """A new file's name is durable only when its directory is."""
        descriptor = os.open(self._data_dir, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def load(self, resource: Resource) -> Iterator[list[bytes]]:
        query = "SELECT value FROM objects WHERE resource = ? ORDER BY key"
        try:
            cursor = self._opened().execute(query, (resource.name,))
            while rows := cursor.fetchmany(PAGE_ROWS):
                yield [row[0] for row in rows]
        except sqlite3.Error as error:
            raise StorageError(f"cannot read {self._path}: {error}") from error

    def commit(self, records: Sequence[Record]) -> None:
        newest = {(record.resource.name, record.key): record for record in records}
        deleted = [place for place, record in newest.items() if record.type == "DELETED"]
        kept = [
            (*place, record.revision, record.object.raw) for place, record in newest.items() if record.type != "DELETED"
        ]
        connection = self._opened()
        try:
            if not deleted and len(kept) <= STATEMENT_ROWS:
                self._execute(connection, UPSERT, kept)  # one statement is a transaction by itself
                return
            connection.execute("BEGIN IMMEDIATE")
            self._execute(connection, UPSERT, kept)
            if deleted:
                self._execute(connection, DELETE, deleted)
                counter = ("revision", records[-1].revision)
                connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", counter)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise StorageError(f"cannot write {self._path}: {error}") from error

    def _execute(self, connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        for start in range(0, len(rows), STATEMENT_ROWS):
            part = rows[start : start + STATEMENT_ROWS]
            places = ",".join(["(" + ",".join("?" * len(part[0])) + ")"] * len(part))
            connection.execute(statement.format(rows=places), list(chain.from_iterable(part)))

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StorageError(f"{self._path} is not open")
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None
