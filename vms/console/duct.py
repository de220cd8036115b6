"""Bytes from one socket into another that stay inside the kernel: two calls of `splice` and a pipe in between.

A screen that shows a film sends hundreds of megabytes a second; not copying them into this process and out of it again
saves half of the work. One pipe serves all consoles, one after the other, and is empty between two of them: what does
not fit into a browser's socket is read out and waits there. Used in the loop's thread only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket

from vms.console.framing import Gone

#: At most so much at a time; a browser gets it as one message.
PORTION_BYTES = 128 * 1024
_PIPE_BYTES = 1024 * 1024


class Duct:
    """`take`, then `give` and `rest`, until everything that was taken is out again. `inside` says how much is not."""

    __slots__ = ("_entry", "_exit", "inside")

    def __init__(self) -> None:
        self._open()
        self.inside = 0

    def take(self, sock: socket.socket) -> int:
        """How many bytes of `sock` are in the pipe now, 0 for none yet. Raises Gone."""
        self.clear()
        try:
            self.inside = os.splice(sock.fileno(), self._entry, PORTION_BYTES)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as exc:
            raise Gone from exc
        if not self.inside:
            raise Gone
        return self.inside

    def give(self, sock: socket.socket) -> None:
        """Send as much as `sock` takes now. Raises Gone."""
        while self.inside:
            try:
                sent = os.splice(self._exit, sock.fileno(), self.inside)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as exc:
                # Nobody is left for whom it was, and nobody else may get it.
                self.clear()
                raise Gone from exc
            if not sent:
                return
            self.inside -= sent

    def rest(self) -> bytes:
        """What is still inside; the pipe is empty then."""
        parts = []
        while self.inside:
            parts.append(os.read(self._exit, self.inside))
            self.inside -= len(parts[-1])
        return b"".join(parts)

    def clear(self) -> None:
        """Throw away what is inside, together with the pipe: not a byte of it reaches another console."""
        if self.inside:
            self.close()
            self.inside = 0
            self._open()

    def close(self) -> None:
        os.close(self._entry)
        os.close(self._exit)

    def _open(self) -> None:
        self._exit, self._entry = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # Where the system allows no longer pipe, portions are shorter.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._entry, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
