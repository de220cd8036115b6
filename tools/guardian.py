"""Ends the portal's processes when their supervisor dies without a word (SIGKILL, out of memory).

The supervisor starts it with a pipe as standard input and writes "+PID" and "-PID" lines: the process groups it leads.
The kernel closes the pipe when the supervisor is gone, whatever the reason; then every group that is left gets SIGTERM
and, some seconds later, SIGKILL. A signal on the parent's death (PR_SET_PDEATHSIG) would reach the direct children
only, and of a killed nginx or Celery master the workers stay behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

PATIENCE = 6.0


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end(groups: set[int], patience: float = PATIENCE) -> None:
    """Asks all groups to end, waits, and ends those that did not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            groups = {group for group in groups if alive(group)}
            if not groups:
                return
            time.sleep(0.05)


def main() -> None:
    # Ctrl-C and a hang-up are the supervisor's business; the end of the pipe is the only news here.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        mark, pid = line[0], int(line[1:])
        if mark == "+":
            groups.add(pid)
        else:
            groups.discard(pid)
    end(groups)


if __name__ == "__main__":
    main()
