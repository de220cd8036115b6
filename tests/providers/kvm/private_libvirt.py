"""A libvirt daemon of the test's own, for what must not be done to the machine's: killing it, freezing it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from providers.kvm.config import KvmConfig

USER = "nobody"


class PrivateLibvirt:
    """Runs in session mode, as a user without rights; knows nothing of the machine's VMs."""

    def __init__(self, host_uuid: str = "") -> None:
        """With a `host_uuid` of its own it is another host to libvirt, to and from which VMs can move."""
        account = pwd.getpwnam(USER)
        # Not in the run's own folder, which only its owner may enter, and short: a socket's path has 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="kvl-", dir="/tmp"))
        (self.folder / "run").mkdir()
        for path in (self.folder, self.folder / "run"):
            os.chown(path, account.pw_uid, account.pw_gid)
        if host_uuid:
            settings = self.folder / "c" / "libvirt" / "libvirtd.conf"
            settings.parent.mkdir(parents=True)
            settings.write_text(f'host_uuid = "{host_uuid}"\n')
            for path in (settings.parent.parent, settings.parent, settings):
                os.chown(path, account.pw_uid, account.pw_gid)
        self._group = account.pw_gid
        self.socket = self.folder / "run" / "libvirt" / "libvirt-sock"
        self.config = KvmConfig(uri=f"qemu+unix:///session?socket={self.socket}")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        names = {"HOME": "", "XDG_RUNTIME_DIR": "run", "XDG_CONFIG_HOME": "c", "XDG_CACHE_HOME": "cache"}
        surroundings = {name: str(self.folder / folder) for name, folder in names.items()}
        self._process = subprocess.Popen(
            ["libvirtd", "--timeout", "120"],
            env={**surroundings, "PATH": os.environ["PATH"]},
            cwd=self.folder,
            user=USER,
            group=self._group,
            extra_groups=[],
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 30
        while not self._listens():
            assert time.monotonic() < end, "libvirtd did not open its socket"
            assert self._process.poll() is None, "libvirtd did not start"
            time.sleep(0.01)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=20)
            self._process = None
            self.socket.unlink(missing_ok=True)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
