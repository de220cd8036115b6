"""Finds the local libvirt for `make up` and the tests, and starts it where nobody else does."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools import hypervisor
from tools.place import ROOT
from tools.processes import NotReady, Process, Supervisor

NAME = "libvirt"

# What libvirtd calls errors where it runs without systemd: it asks odd network devices for what they can, and looks for
# a system bus that is not there.
_HARMLESS = re.compile("ethtool ioctl|system bus")


def daemons() -> list[list[str]]:
    """libvirt's own processes in the order in which they start; empty where they are not installed.

    Without VMs' consoles being logged by virtlogd a QEMU of libvirt does not start, so it comes first.
    """
    found = [
        shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") for name in ("virtlogd", "libvirtd")
    ]
    return [[path] for path in found if path] if all(found) else []


async def ask(timeout_s: float = 20.0) -> tuple[int, list[str]]:
    """Whether libvirt answers, and what was done or said on the way (one sentence each)."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tools.hypervisor", cwd=ROOT, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        out, _ = await asyncio.wait_for(child.communicate(), timeout_s)
    except TimeoutError:
        child.kill()
        return hypervisor.NO_ANSWER, [f"libvirt does not answer within {timeout_s:g} s"]
    return child.returncode or 0, out.decode(errors="replace").splitlines()


async def _answers() -> bool:
    code, _ = await ask()
    return code != hypervisor.NO_ANSWER


async def bring_up(supervisor: Supervisor) -> str | None:
    """The address of the local hypervisor, or None when there is none to be had here; says why."""
    code, sentences = await ask()
    if code == hypervisor.NO_ANSWER and await _start(supervisor):
        code, sentences = await ask()
    for sentence in sentences:
        supervisor.say(NAME, sentence)
    if code == 0:
        return hypervisor.URI
    supervisor.say(NAME, "no local hypervisor, so the portal starts on the simulated provider")
    return None


async def _start(supervisor: Supervisor) -> bool:
    """Starts libvirt where it is installed but not running; False when nothing could be done."""
    commands = daemons()
    if not commands:
        supervisor.say(NAME, "libvirt is not installed")
        return False
    if Path("/run/systemd/system").is_dir():
        return _start_service(supervisor)
    if os.geteuid() != 0:
        supervisor.say(NAME, "libvirtd is not running, and only root can start it here")
        return False
    try:
        for command in commands:
            name = Path(command[0]).name
            ready = _answers if name == "libvirtd" else None
            await supervisor.start(Process(name=name, command=command, ready=ready, hush=_HARMLESS))
            supervisor.say(name, "started")
    except NotReady as exc:
        supervisor.say(NAME, str(exc))
        return False
    return True


def _start_service(supervisor: Supervisor) -> bool:
    command = ["systemctl", "start", "libvirtd.service"]
    if os.geteuid() != 0:
        command = ["sudo", *([] if sys.stdin.isatty() else ["--non-interactive"]), *command]
    supervisor.say(NAME, shlex.join(command))
    try:
        return subprocess.run(command, check=False, timeout=120).returncode == 0
    except (OSError, subprocess.TimeoutExpired) as exc:
        supervisor.say(NAME, f"could not be started ({exc})")
        return False


def command_with_group(command: Sequence[str]) -> list[str] | None:
    """For a user who is not in the group `libvirt`: the same command with the group, or None when nothing is to do.

    The membership is added with sudo where that is possible; a login keeps its old groups, so `sg` opens one with
    the new group for this command. Where it cannot be added, the sentence says what to run.
    """
    try:
        group = grp.getgrnam("libvirt")
    except KeyError:
        return None
    if os.geteuid() == 0 or group.gr_gid in (os.getegid(), *os.getgroups()):
        return None
    user = pwd.getpwuid(os.getuid()).pw_name
    if user not in group.gr_mem:
        add = ["sudo", *([] if sys.stdin.isatty() else ["--non-interactive"]), "usermod", "-aG", "libvirt", user]
        print(f"  {NAME:<9} you are not in the group libvirt: {shlex.join(add)}", flush=True)
        try:
            added = subprocess.run(add, check=False, timeout=120).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            added = False
        if not added:
            print(f"  {NAME:<9} that needs somebody with the right to; after it, log in again", flush=True)
            return None
    if shutil.which("sg") is None:
        print(f"  {NAME:<9} the group libvirt is yours from the next login on", flush=True)
        return None
    # sg takes one string and gives it to a shell; shlex quotes every part of ours for that.
    return ["sg", "libvirt", "-c", shlex.join(command)]
