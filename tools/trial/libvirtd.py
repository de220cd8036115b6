"""A libvirtd of one's own, which may be killed and frozen: a session daemon of an unprivileged user.

Its folder has a short name, since libvirt puts sockets deep below it and a socket's path ends at 107 characters.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import libvirt
from lxml import etree
from lxml.builder import E

from tools.trial.waiting import until

#: "nobody" on every distribution: libvirtd behaves as a session daemon for everybody but root.
NOBODY = 65534


class PrivateLibvirt:
    """Start, kill, freeze and thaw it; `uri` is what a provider is configured with. It has one pool, `default`."""

    def __init__(self, host_uuid: str = "") -> None:
        """With a `host_uuid` of its own it is another host to libvirt, to and from which VMs can move."""
        self.folder = Path(tempfile.mkdtemp(prefix="kvl-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.images = self.folder / "images"
        for name in ("run", "c", "cache", "data", "images"):
            (self.folder / name).mkdir()
            self._give(self.folder / name)
        if host_uuid:
            settings = self.folder / "c" / "libvirt" / "libvirtd.conf"
            settings.parent.mkdir()
            settings.write_text(f'host_uuid = "{host_uuid}"\n')
            self._give(settings.parent)
        self.socket = self.folder / "run" / "libvirt" / "libvirt-sock"
        self.uri = f"qemu+unix:///session?socket={self.socket}"
        self._child: subprocess.Popen[bytes] | None = None

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)

    def add_image(self, path: Path) -> None:
        """Put a file into the pool's folder."""
        target = self.images / path.name
        shutil.copy2(path, target)
        self._give(target)

    def start(self) -> None:
        variables = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "XDG_CONFIG_HOME": str(self.folder / "c"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_DATA_HOME": str(self.folder / "data"),
        }
        who = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        with (self.folder / "log").open("ab") as log:
            self._child = subprocess.Popen([*who, "libvirtd"], env=variables, stdout=log, stderr=log)
        until(self._answers, timeout_s=20, said="The start of a private libvirtd")
        with_pool = libvirt.open(self.uri)
        if "default" not in {pool.name() for pool in with_pool.listAllStoragePools()}:
            document = E.pool(E.name("default"), E.target(E.path(str(self.images))), type="dir")
            pool = with_pool.storagePoolDefineXML(etree.tostring(document).decode())
            pool.setAutostart(1)
            pool.create()
        with_pool.close()

    def _answers(self) -> bool:
        try:
            libvirt.open(self.uri).close()
        except libvirt.libvirtError:
            return False
        return True

    def _signal(self, number: int) -> None:
        assert self._child is not None
        self._child.send_signal(number)

    def kill(self) -> None:
        """As a crash: machines that run go on running."""
        self._signal(signal.SIGKILL)
        assert self._child is not None
        self._child.wait(timeout=20)

    def freeze(self) -> None:
        """Connected, but silent."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """End it, its machines and its files."""
        if self._child is not None and self._child.poll() is None:
            self.thaw()
            # libvirt's calls have no deadline, and a daemon that hangs must not keep a test from its end.
            stopping = threading.Thread(target=self._stop_machines, daemon=True)
            stopping.start()
            stopping.join(timeout=30)
            self._child.terminate()
            try:
                self._child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()
        # virtlogd, which libvirtd starts for its machines' consoles, ends by itself when it has nothing to do.
        for pid_file in (self.folder / "run").rglob("virtlogd.pid"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid_file.read_text()), signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop_machines(self) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            connection = libvirt.open(self.uri)
            for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                domain.destroy()
            connection.close()

    def volumes(self) -> set[str]:
        """What lies in the pool's folder, whatever libvirt believes."""
        return {path.name for path in self.images.iterdir()}
