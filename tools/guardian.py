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
from pathlib import Path

PATIENCE = 6.0


def alive(group: int) -> bool:
    """Whether anything of the group still runs. The dead that nobody fetches do not count: a container often has no
    init that would fetch orphans, and they would be waited for in vain."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        members = [_state(int(folder.name)) for folder in Path("/proc").iterdir() if folder.name.isdecimal()]
    except OSError:  # no /proc: another system, which has an init
        return True
    return any(found == group and state not in "ZX" for state, found in members)


def _state(pid: int) -> tuple[str, int]:
    """A process's state letter and group."""
    try:
        # The name in brackets may hold spaces and brackets of its own.
        state, _, group = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return "X", 0
    return state, int(group)


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
