"""The proxy's door to the rows: a few threads, so that the loop never waits for a query."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import close_old_connections, connections

from vms.console.closing import Closing, Code, Refused
from vms.console.loop import Loop

logger = logging.getLogger(__name__)

THREADS = 4
#: What is only written down waits so long: its thread would take the interpreter from the console that just opens, and
#: what belongs to several consoles is written at once. Nothing that decides waits here: a grant is used up at once.
NOTE_REST_S = 0.1
T = TypeVar("T")


class Database:
    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._pool = ThreadPoolExecutor(THREADS, "console-database")
        self._notes = ThreadPoolExecutor(1, "console-notes")
        self._unwritten: list[Callable[[], object]] = []
        #: What one function writes all at once.
        self._together: dict[Callable[[Any], object], list[Any]] = {}

    def do(self, work: Callable[[], T], done: Callable[[T | Closing], None] | None = None) -> None:
        """Do `work` in a thread; `done` is called in the loop's thread with its result, or with why there is none."""
        self._submit(self._pool, work, done)

    def note(self, work: Callable[[], object]) -> None:
        """Write something down, in the order of the calls. Called in the loop's thread."""
        self._write_soon()
        self._unwritten.append(work)

    def note_together(self, write: Callable[[Sequence[T]], object], note: T) -> None:
        """The same for notes that `write` takes as a list, those of a moment at once. Called in the loop's thread."""
        self._write_soon()
        self._together.setdefault(write, []).append(note)

    def _write_soon(self) -> None:
        if not self._unwritten and not self._together:
            self._loop.after(NOTE_REST_S, self._write)

    def _write(self) -> None:
        notes, self._unwritten = self._unwritten, []
        together, self._together = self._together, {}
        for write, of_one in together.items():
            self._submit(self._notes, functools.partial(write, of_one), None)
        for work in notes:
            self._submit(self._notes, work, None)

    def _submit(
        self, pool: ThreadPoolExecutor, work: Callable[[], T], done: Callable[[T | Closing], None] | None
    ) -> None:

        def run() -> None:
            result: T | Closing
            try:
                # A connection that the server dropped, or that is past its age, is replaced before it is used.
                close_old_connections()
                result = work()
            except Refused as refused:
                result = refused.closing
            except Exception:
                logger.exception("A query for a console failed")
                result = Closing(Code.BROKEN)
            if done is not None:
                self._loop.from_thread(lambda: done(result))

        pool.submit(run)

    def close(self) -> None:
        """Wait for what was begun (ends of consoles are written down), and close every thread's connection."""
        self._write()
        together = threading.Barrier(THREADS)

        def let_go() -> None:
            # Each waits for the others, so that no thread takes two of these and another none.
            together.wait(timeout=10)
            connections.close_all()

        for _ in range(THREADS):
            self._pool.submit(let_go)
        self._notes.submit(connections.close_all)
        for pool in (self._notes, self._pool):
            pool.shutdown(wait=True)
