"""The cloud's memory: one SQLite file with a JSON document per object, a list of changes, and a few counters.

Several processes may have the same file open. Writers take the lock at the start (IMMEDIATE), so a transaction sees
what it will change; transactions are a few milliseconds, and waiting happens outside of them.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from providers.base import EventTopic, NotFound
from providers.fake.state import Thing

T = TypeVar("T", bound=Thing)

#: Changes older than the newest ten thousand are forgotten; a watcher that slept longer syncs everything anyway.
KEPT_CHANGES = 10_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS things (
    noun TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (noun, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS things_by_name ON things (noun, name);
CREATE TABLE IF NOT EXISTS changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, due REAL NOT NULL, topic TEXT NOT NULL, id TEXT NOT NULL,
    gone INTEGER NOT NULL, hint TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS faults (place TEXT NOT NULL, kind TEXT NOT NULL, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, key TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (bucket, key)
);
"""


class Store:
    """An open cloud file, safe to use from several threads of a process."""

    def __init__(self, path: str) -> None:
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path or ":memory:", timeout=30, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self.is_open = True
        #: The moment of everything that happens; a test may put another clock here.
        self.clock: Callable[[], float] = time.time

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """All or nothing, alone among writers."""
        yield from self._transaction("BEGIN IMMEDIATE")

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent look."""
        yield from self._transaction("BEGIN")

    def _transaction(self, begin: str) -> Iterator[Transaction]:
        with self._lock:
            self._db.execute(begin)
            try:
                yield Transaction(self._db, self.clock())
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self.is_open = False
            self._db.close()


class Transaction:
    """Typed access to the documents during one transaction."""

    def __init__(self, db: sqlite3.Connection, now: float) -> None:
        self.db = db
        self.now = now

    # -- documents --------------------------------------------------------------------------------------------------

    def all(self, model: type[T]) -> list[T]:
        """Every object of a sort, in the order of their names."""
        rows = self.db.execute("SELECT doc FROM things WHERE noun = ? ORDER BY name", (model.noun,))
        return [model.model_validate_json(doc) for (doc,) in rows]

    def get(self, model: type[T], external_id: str) -> T:
        """One object; raises NotFound with a sentence."""
        row = self.db.execute("SELECT doc FROM things WHERE noun = ? AND id = ?", (model.noun, external_id)).fetchone()
        if row is None:
            raise NotFound(f"There is no {model.noun} “{external_id}” (any more).")
        return model.model_validate_json(row[0])

    def named(self, model: type[T], name: str) -> T | None:
        row = self.db.execute("SELECT doc FROM things WHERE noun = ? AND name = ?", (model.noun, name)).fetchone()
        return None if row is None else model.model_validate_json(row[0])

    def put(self, thing: Thing) -> None:
        self.db.execute(
            "INSERT INTO things (noun, id, name, doc) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (noun, id) DO UPDATE SET name = excluded.name, doc = excluded.doc",
            (thing.noun, thing.id, thing.name, thing.model_dump_json()),
        )

    def drop(self, thing: Thing) -> None:
        self.db.execute("DELETE FROM things WHERE noun = ? AND id = ?", (thing.noun, thing.id))

    def count(self, model: type[Thing]) -> int:
        (number,) = self.db.execute("SELECT count(*) FROM things WHERE noun = ?", (model.noun,)).fetchone()
        return int(number)

    # -- counters and facts -----------------------------------------------------------------------------------------

    def next_number(self, name: str) -> int:
        """1, 2, 3 …; a number is never given twice, so ids are not reused."""
        (value,) = self.db.execute(
            "INSERT INTO numbers (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 "
            "RETURNING value",
            (name,),
        ).fetchone()
        return int(value)

    def fact(self, name: str) -> str | None:
        row = self.db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_fact(self, name: str, value: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))

    # -- news -------------------------------------------------------------------------------------------------------

    def note(
        self, topic: EventTopic, external_id: str, hint: str, *, gone: bool = False, due: float | None = None
    ) -> None:
        """Tell watchers, now or when the moment `due` has come."""
        cursor = self.db.execute(
            "INSERT INTO changes (due, topic, id, gone, hint) VALUES (?, ?, ?, ?, ?)",
            (self.now if due is None else due, topic.value, external_id, int(gone), hint),
        )
        if (cursor.lastrowid or 0) % 1000 == 0:
            self.db.execute("DELETE FROM changes WHERE seq <= ?", ((cursor.lastrowid or 0) - KEPT_CHANGES,))
