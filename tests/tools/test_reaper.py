"""The reaper: who loses their parent comes to it, and what it runs ends with it and as it would alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.place import ROOT

ORPHAN = """
import os, pathlib, subprocess, sys, time
from tools.reaper import with_orphans_taken_in

def stat(pid):
    try:
        return pathlib.Path("/proc", pid, "stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return None

def main():
    leaver = subprocess.run(["sh", "-c", "sleep 2 >/dev/null & echo $!"], stdout=subprocess.PIPE, text=True)
    pid = leaver.stdout.strip()
    assert stat(pid)[1] == str(os.getppid()), "the orphan went elsewhere"
    deadline = time.monotonic() + 10
    while stat(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return 7 if stat(pid) is None else 8

sys.exit(with_orphans_taken_in(main))
"""


def start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_an_orphan_is_not_left_a_zombie_and_the_exit_code_is_the_childs() -> None:
    # Its output is no pipe of ours: the sleeping orphan would hold it open.
    done = subprocess.run([sys.executable, "-c", ORPHAN], cwd=ROOT, timeout=30, check=False)
    assert done.returncode == 7


SLEEPER = """
import os, sys, time
from tools.reaper import with_orphans_taken_in

def main():
    print(os.getpid(), flush=True)
    time.sleep(60)
    return 0

sys.exit(with_orphans_taken_in(main))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 128 + 15), (signal.SIGKILL, -9)])
def test_who_ends_it_ends_what_it_runs(number: signal.Signals, code: int) -> None:
    with start(SLEEPER) as running:
        assert running.stdout is not None
        child = Path("/proc", running.stdout.readline().strip())
        running.send_signal(number)
        assert running.wait(timeout=10) == code
        deadline = time.monotonic() + 10
        while child.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not child.exists()
