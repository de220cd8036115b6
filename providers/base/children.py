"""Programs that carry a connection for us, and must not outlive this process, however it ends."""

from __future__ import annotations

import functools
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Any


def start(
    words: Sequence[str], *, name: str, look_after: Callable[[subprocess.Popen[bytes]], None], **settings: Any
) -> subprocess.Popen[bytes]:
    """Start a program that the kernel ends with this process, a killed one too, and `look_after` it until its end.

    `settings` are those of Popen. Raises OSError when it cannot be started.
    """
    answers: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()

    if shutil.which(words[0]) is None:
        raise FileNotFoundError(f"There is no {words[0]} here.")

    def run() -> None:
        try:
            process = subprocess.Popen(bound(words), close_fds=True, **settings)
        except OSError as exc:
            answers.put(exc)
            return
        answers.put(process)
        look_after(process)

    # The kernel means the thread that started it, not the process: so that thread stays.
    threading.Thread(target=run, name=name, daemon=True).start()
    answer = answers.get()
    if isinstance(answer, OSError):
        raise answer
    return answer


def bound(words: Sequence[str]) -> list[str]:
    """The command whose program gets SIGTERM when the thread that started it ends: prctl(2), PR_SET_PDEATHSIG.

    By util-linux's setpriv, since between fork and exec nothing of Python is safe where there are threads. Where it is
    missing the program may outlive a killed process.
    """
    setpriv = _setpriv()
    return [setpriv, "--pdeathsig", "TERM", "--", *words] if setpriv else list(words)


@functools.cache
def _setpriv() -> str:
    return shutil.which("setpriv") or ""
