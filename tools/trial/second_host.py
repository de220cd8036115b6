"""A second system libvirt on this machine, to and from which the machine's own can move VMs: `SecondHost`.

It runs as root in a mount namespace of its own, where folders of its own lie over libvirt's, so that neither sees the
other's VMs, pools or networks. Bridges and ports it shares with the machine.

Run as a program (``python -m tools.trial.second_host FOLDER``) this file is the daemon: in the new namespace it lays
the folders over libvirt's and becomes libvirtd.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path

import libvirt
from lxml import etree
from lxml.builder import E

from tools.trial.waiting import until

_ROOT = Path(__file__).resolve().parents[2]

#: What libvirtd works with, by the names of our folders for it.
_PLACES = {
    "etc": Path("/etc/libvirt"),
    "run": Path("/run/libvirt"),
    "lib": Path("/var/lib/libvirt"),
    "cache": Path("/var/cache/libvirt"),
}

#: The control groups are named after VMs, which have the same names at both ends; virtlogd would have to run as well.
_QEMU = 'cgroup_controllers = []\nstdio_handler = "file"\n'


class NotAllowed(Exception):
    """This user cannot have a second host; the text says why."""


class SecondHost:
    """Started when it is made; `uri` is what a provider is configured with. `images` is seen by both hosts."""

    def __init__(self) -> None:
        if os.geteuid() != 0 or shutil.which("unshare") is None:
            raise NotAllowed("A second host needs root and the program unshare.")
        # Short, since sockets lie in it, and not below /var/lib/libvirt, which is another folder there.
        self.folder = Path(tempfile.mkdtemp(prefix="kvh-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.images = self.folder / "images"
        self.uri = f"qemu+unix:///system?socket={self.folder / 'run' / 'libvirt-sock'}"
        try:
            self._furnish()
            self._start()
        except BaseException:
            self.remove()
            raise

    def _furnish(self) -> None:
        for name in (*_PLACES, "images"):
            (self.folder / name).mkdir()
        settings = {
            "libvirtd.conf": f'host_uuid = "{uuid.uuid4()}"\nauth_unix_rw = "none"\n',
            "qemu.conf": _QEMU,
        }
        for name, text in settings.items():
            (self.folder / "etc" / name).write_text(text)
        # What QEMU can do was asked already, which takes seconds for all its programs.
        with contextlib.suppress(OSError):
            shutil.copytree(_PLACES["cache"] / "qemu", self.folder / "cache" / "qemu", copy_function=shutil.copy2)

    def _start(self) -> None:
        command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", __spec__.name]
        with (self.folder / "log").open("ab") as log:
            self._child = subprocess.Popen([*command, str(self.folder)], cwd=_ROOT, stdout=log, stderr=log)
        until(self._answers_or_ended, timeout_s=30, said="The start of a second host")
        if self._child.poll() is not None:
            raise RuntimeError("A second host did not start: " + (self.folder / "log").read_text()[-500:])

    def _answers_or_ended(self) -> bool:
        if self._child.poll() is not None:
            return True
        try:
            libvirt.open(self.uri).close()
        except libvirt.libvirtError:
            return False
        return True

    def open_pool(self, name: str) -> None:
        """A pool for what moves here."""
        document = E.pool(E.name(name), E.target(E.path(str(self.images))), type="dir")
        with self._connected() as connection:
            connection.storagePoolCreateXML(etree.tostring(document).decode())

    def open_network(self, name: str) -> None:
        """A bridge of its own that leads nowhere."""
        with self._connected() as connection:
            connection.networkCreateXML(etree.tostring(E.network(E.name(name))).decode())

    def _connected(self) -> contextlib.closing[libvirt.virConnect]:
        return contextlib.closing(libvirt.open(self.uri))

    def remove(self) -> None:
        """End it with its VMs and networks, whose processes and bridges would stay, and remove its files."""
        child = getattr(self, "_child", None)
        if child is not None and child.poll() is None:
            # libvirt's calls have no deadline, and a daemon that hangs must not keep a test from its end.
            clearing = threading.Thread(target=self._clear, daemon=True)
            clearing.start()
            clearing.join(timeout=30)
            child.terminate()
            try:
                child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(timeout=20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _clear(self) -> None:
        with contextlib.suppress(libvirt.libvirtError), self._connected() as connection:
            for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                domain.destroy()
            for network in connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE):
                network.destroy()


def become(folder: Path) -> None:
    """Lay the folders over libvirt's, in this process's mount namespace, and go on as libvirtd."""
    for name, place in _PLACES.items():
        subprocess.run(["mount", "--bind", str(folder / name), str(place)], check=True)
    os.execvp("libvirtd", ["libvirtd", "--pid-file", str(folder / "pid")])


if __name__ == "__main__":
    become(Path(sys.argv[1]))
