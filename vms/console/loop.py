"""One thread that waits for many sockets: callbacks for readiness, timers, and a door for worker threads.

Readiness callbacks on plain sockets, and no transports or streams, because a console that nobody uses should cost the
two sockets and a small object. It is epoll and a table, without the standard library's selectors in between: those
make two objects a socket, and as many calls for each byte that comes as all the rest.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import logging
import select
import socket
import time
from collections import deque
from collections.abc import Callable

from vms.console.duct import Duct

logger = logging.getLogger(__name__)

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
#: The other side is gone, or worse: whatever is waited for is to be tried, and will fail.
_OVER = ~(READ | WRITE)
#: To be woken takes as long as the echo of a key, so for that long it is looked for without going to sleep.
WAKEFUL_S = 50e-6
SHORT_BYTES = 512
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
        self._epoll = select.epoll()
        self._ready: dict[int, Ready] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._from_threads: deque[Later] = deque()
        self._door, self._knocker = socket.socketpair()
        self._door.setblocking(False)
        self._knocker.setblocking(False)
        self._running = True
        self._wakeful_until = 0.0
        self.watch(self._door, READ, self._answer_door)

    @functools.cached_property
    def duct(self) -> Duct:
        """The pipe that all consoles of this loop share."""
        return Duct()

    # -- sockets -------------------------------------------------------------------------------------------------------

    def watch(self, sock: socket.socket, interest: int, ready: Ready) -> None:
        number = sock.fileno()
        self._epoll.register(number, interest)
        self._ready[number] = ready

    def change(self, sock: socket.socket, interest: int, ready: Ready) -> None:
        number = sock.fileno()
        self._epoll.modify(number, interest)
        self._ready[number] = ready

    def forget(self, sock: socket.socket) -> None:
        """Stop watching; call it before the socket is closed."""
        number = sock.fileno()
        del self._ready[number]
        self._epoll.unregister(number)

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

    def went_out(self, length: int) -> None:
        """So many bytes were sent on. Of few, as people type and machines echo, more may come at once."""
        if length <= SHORT_BYTES:
            self._wakeful_until = time.monotonic() + WAKEFUL_S

    def _answer_door(self, events: int) -> None:
        del events
        with contextlib.suppress(BlockingIOError):
            self._door.recv(4096)
        # Only what is there now: work that makes more work must not keep the sockets waiting.
        for _ in range(len(self._from_threads)):
            self._safely(self._from_threads.popleft())

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        poll, timers, table, now = self._epoll.poll, self._timers, self._ready, time.monotonic
        while self._running:
            if self._wakeful_until:
                found = poll(0)
                if not found:
                    if now() > self._wakeful_until:
                        self._wakeful_until = 0.0
                    continue
            else:
                found = poll(max(0.0, timers[0][0] - now()) if timers else None)
            for number, events in found:
                # What came before in this round may have ended this one.
                ready = table.get(number)
                if ready is None:
                    continue
                try:
                    ready(READ | WRITE if events & _OVER else events)
                except Exception:
                    logger.exception("A console's callback failed")
            if timers and timers[0][0] <= now():
                self._ring()

    def stop(self) -> None:
        self._running = False

    def close(self) -> None:
        self._epoll.close()
        self._door.close()
        self._knocker.close()
        if "duct" in self.__dict__:
            self.duct.close()

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
