"""One thread that waits for many sockets: callbacks for readiness, timers, and a door for worker threads.

Readiness callbacks on plain sockets, and no transports or streams, because a console that nobody uses should cost the
two sockets and a small object. The selector is epoll or kqueue: `select` ends at file descriptor 1023.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable

logger = logging.getLogger(__name__)

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
Ready = Callable[[int], None]
Later = Callable[[], None]


class Timer:
    """A call that will be made once, unless it is cancelled."""

    __slots__ = ("work",)

    def __init__(self, work: Later) -> None:
        self.work: Later | None = work

    def cancel(self) -> None:
        self.work = None


class Loop:
    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._from_threads: deque[Later] = deque()
        self._door, self._knocker = socket.socketpair()
        self._door.setblocking(False)
        self._knocker.setblocking(False)
        self._running = True
        self.watch(self._door, READ, self._answer_door)

    # -- sockets -------------------------------------------------------------------------------------------------------

    def watch(self, sock: socket.socket, interest: int, ready: Ready) -> None:
        self._selector.register(sock, interest, ready)

    def change(self, sock: socket.socket, interest: int, ready: Ready) -> None:
        self._selector.modify(sock, interest, ready)

    def forget(self, sock: socket.socket) -> None:
        """Stop watching; call it before the socket is closed."""
        self._selector.unregister(sock)

    # -- time and threads ----------------------------------------------------------------------------------------------

    def after(self, seconds: float, work: Later) -> Timer:
        timer = Timer(work)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def every(self, seconds: float, work: Later) -> None:
        def again() -> None:
            try:
                work()
            finally:
                self.after(seconds, again)

        self.after(seconds, again)

    def from_thread(self, work: Later) -> None:
        """Have the loop's thread do `work`; may be called from anywhere, a signal handler too."""
        self._from_threads.append(work)
        # A door full of knocks will be answered anyway; behind a closed one nobody is left.
        with contextlib.suppress(OSError):
            self._knocker.send(b"\0")

    def _answer_door(self, events: int) -> None:
        del events
        with contextlib.suppress(BlockingIOError):
            self._door.recv(4096)
        # Only what is there now: work that makes more work must not keep the sockets waiting.
        for _ in range(len(self._from_threads)):
            self._safely(self._from_threads.popleft())

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        select, timers = self._selector.select, self._timers
        while self._running:
            timeout = max(0.0, timers[0][0] - time.monotonic()) if timers else None
            for key, events in select(timeout):
                try:
                    key.data(events)
                except Exception:
                    logger.exception("A console's callback failed")
            if timers and timers[0][0] <= time.monotonic():
                self._ring()

    def stop(self) -> None:
        self._running = False

    def close(self) -> None:
        self._selector.close()
        self._door.close()
        self._knocker.close()

    def _ring(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, timer = heapq.heappop(self._timers)
            if timer.work is not None:
                self._safely(timer.work)

    def _safely(self, work: Later) -> None:
        try:
            work()
        except Exception:
            logger.exception("Work of the console loop failed")
