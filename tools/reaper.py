"""Takes in processes whose parents have ended, where nobody else would.

libvirt's QEMU, dnsmasq and swtpm leave their parent on purpose and become children of the machine's first process. In
a container that is often `sleep` or a tool, which never asks how they ended; they stay as zombies, and libvirt waits
40 s for each machine that it stops, since its process is still there.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from types import FrameType

# <linux/prctl.h>
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> bool:
    try:
        return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        # Not Linux: its first process does this work, and there is no libvirt.
        return False


def with_orphans_taken_in(main: Callable[[], int]) -> int:
    """Run `main` in a child of this process, and ask after all that it leaves, until it ends; returns its exit code.

    Call it before any thread is started. Where the system cannot do it, `main` runs in this process.
    """
    if not _prctl(_PR_SET_CHILD_SUBREAPER, 1):
        return main()
    here = os.getpid()
    child = os.fork()
    if child == 0:
        # Who kills the one that was started means this one.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != here:
            os._exit(1)
        return main()

    def pass_on(number: int, _frame: FrameType | None) -> None:
        os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    # A terminal sends its Ctrl-C to both, and twice would mean "at once".
    signal.signal(signal.SIGINT, signal.SIG_IGN if os.isatty(0) else pass_on)
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            # As a shell tells a death by signal.
            return code if code >= 0 else 128 - code
