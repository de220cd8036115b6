"""`make test`: brings up what the tests need, runs pytest, and ends with pytest's own last line and exit code.

The tests' own fixtures start what is theirs (Redis, simulators, the portal). A libvirt is the machine's: one that
answers is used, otherwise one is started for the tests and ended, by its process id, after them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tools import hypervisor, libvirt_start
from tools.place import ROOT
from tools.reaper import with_orphans_taken_in
from tools.terminal import say

GUEST_IMAGE = ROOT / "var" / "guest" / "kvweb-guest.qcow2"

LIMIT_S = 3600.0
"""Longest that all tests together may take; far above what they need."""


def libvirt_state() -> int:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tools.hypervisor"], check=False, timeout=20, stdout=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return hypervisor.NO_ANSWER
    return done.returncode


@contextmanager
def libvirt() -> Iterator[bool]:
    """Whether libvirt answers while the tests run."""
    state = libvirt_state()
    started: list[subprocess.Popen[bytes]] = []
    commands = libvirt_start.daemons()
    if state == hypervisor.NO_ANSWER and os.geteuid() == 0 and commands:
        say("libvirt", "starting it for the tests")
        log_file = ROOT / "var" / "log" / "test-libvirt.log"
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("ab") as log:
            started += [
                subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True) for command in commands
            ]
        deadline = time.monotonic() + 30
        while state == hypervisor.NO_ANSWER and time.monotonic() < deadline:
            time.sleep(0.2)
            state = libvirt_state()
    try:
        yield state == 0
    finally:
        for child in reversed(started):
            child.terminate()
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def build_guest() -> None:
    """The builder itself knows whether its image is still current."""
    if not (ROOT / "guest" / "build.py").exists():
        return
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "guest.build", "--out", str(GUEST_IMAGE)], check=False)
    if done.returncode == 0:
        say("guest", f"image is ready ({time.monotonic() - began:.1f} s)")
    else:
        say("guest", "image could not be built; tests that start it are left out")


def pytest(arguments: list[str]) -> int:
    """Runs pytest; one that goes on too long is interrupted, since then it still tells what failed until there."""
    limit_s = float(os.environ.get("KVWEB_TEST_LIMIT_S", LIMIT_S))
    # Where these are set pytest prints every difference whole, and looks minutes for that of two files.
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "BUILD_NUMBER"}}
    # The tests are told by a name of our own: on a CI machine no backend may be missing.
    environment |= {"KVWEB_CI": os.environ["CI"]} if "CI" in os.environ else {}
    child = subprocess.Popen([sys.executable, "-m", "pytest", *arguments], env=environment)
    for patience_s, end in ((limit_s, signal.SIGINT), (60.0, signal.SIGTERM), (10.0, signal.SIGKILL)):
        try:
            return child.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            print(f"The tests did not end within {patience_s:.0f} s.", flush=True)
            child.send_signal(end)
        except KeyboardInterrupt:
            # The terminal has told pytest as well.
            continue
    return child.wait()


def main() -> int:
    os.chdir(ROOT)
    os.environ["KVWEB_ENV"] = "test"
    build_guest()
    with libvirt() as answers:
        if not answers:
            say("libvirt", "does not answer; tests that need it are left out")
        # One more than there are processors: much of a run is waiting for guests that boot.
        workers = os.environ.get("KVWEB_TEST_WORKERS", str(len(os.sched_getaffinity(0)) + 1))
        # How they are spread is written in tests/spread.py.
        spread = [] if workers == "0" else ["-n", workers]
        sys.stdout.flush()
        return pytest([*spread, "--durations=12", *sys.argv[1:]])


if __name__ == "__main__":
    # Nothing is printed after pytest: its last line is the last line.
    sys.exit(with_orphans_taken_in(main))
