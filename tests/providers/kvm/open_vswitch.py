"""Open vSwitch for tests: the one that runs here, else one of the test's own, without a kernel module."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from providers.testing import Unavailable
from tools.trial.waiting import until

#: libvirt asks there, through `ovs-vsctl`; both have it built in.
SOCKET = Path("/var/run/openvswitch/db.sock")
_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")


def vsctl(*words: str) -> str:
    done = subprocess.run(["ovs-vsctl", "--timeout=15", *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextmanager
def running() -> Iterator[None]:
    """Raises Unavailable where it is not installed, or where this user may not start it."""
    if SOCKET.exists() and subprocess.run(["ovs-vsctl", "--timeout=5", "show"], capture_output=True).returncode == 0:
        yield
        return
    if os.geteuid() != 0 or not all(map(shutil.which, ("ovs-vsctl", "ovs-vswitchd"))) or not _SCHEMA.exists():
        raise Unavailable("Open vSwitch does not run on this machine, and is not installed or may not be started")
    folder = Path(tempfile.mkdtemp(prefix="kvweb-test-ovs-", dir="/tmp"))
    children: list[subprocess.Popen[bytes]] = []
    try:
        database = folder / "conf.db"
        subprocess.run(["ovsdb-tool", "create", database, _SCHEMA], check=True, timeout=30)
        SOCKET.parent.mkdir(parents=True, exist_ok=True)
        for command in (
            ["ovsdb-server", str(database), f"--remote=punix:{SOCKET}", f"--unixctl={folder}/db.ctl"],
            ["ovs-vswitchd", f"unix:{SOCKET}", f"--unixctl={folder}/switch.ctl"],
        ):
            with (folder / "log").open("ab") as log:
                children.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
            until(SOCKET.exists, timeout_s=20, said="Open vSwitch's database")
        vsctl("--no-wait", "init")
        yield
    finally:
        # It takes its devices away itself, when it is asked so.
        leave = ["ovs-appctl", "--timeout=10", "-t", f"{folder}/switch.ctl", "exit", "--cleanup"]
        subprocess.run(leave, capture_output=True)
        for child in reversed(children):
            child.terminate()
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(timeout=10)
        SOCKET.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
