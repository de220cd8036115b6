"""A vendor's gateway to serial lines: a real sshd whose users are machines, and which takes the keys pushed to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.providers.kvm.remote_host import free_port, ssh_key, wait_for_port

#: Lets sshd know users that this host does not have (Debian's package libnss-wrapper).
WRAPPER = "libnss_wrapper.so"
GREETING = b"kvweb-test login: "
#: What a machine at the other end says: a prompt, and everything that it is told.
_LINE = f"printf '{GREETING.decode()}'; exec cat"


class Gateway:
    """Listens on loopback; ends with `close`. Users and their keys may come and go while it runs."""

    def __init__(self) -> None:
        found = list(Path("/usr/lib").glob(f"*/{WRAPPER}"))
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        if not found or sshd is None or os.getuid() != 0:
            pytest.skip("Needs openssh-server and libnss-wrapper (tools/apt-packages-test.txt), and root for sshd.")
        self.folder = Path(tempfile.mkdtemp(prefix="kvweb-test-gateway-"))
        self.keys = self.folder / "keys"
        self.keys.mkdir()
        self.port = free_port()
        self._users = self.folder / "passwd"
        self._users.write_text("".join(f"{line}\n" for line in Path("/etc/passwd").read_text().splitlines()))
        host_key, host_public = ssh_key()
        (self.folder / "host").write_text(host_key)
        (self.folder / "host").chmod(0o600)
        self.known_hosts = f"[127.0.0.1]:{self.port} {host_public}"
        settings = {
            "Port": str(self.port),
            "ListenAddress": "127.0.0.1",
            "HostKey": str(self.folder / "host"),
            "AuthorizedKeysFile": f"{self.keys}/%u",
            "PidFile": "none",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "StrictModes": "no",
            "PrintMotd": "no",
            "PrintLastLog": "no",
            "ForceCommand": _LINE,
        }
        config = self.folder / "config"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        group = self.folder / "group"
        shutil.copy("/etc/group", group)
        self.log = self.folder / "log"
        self._child = subprocess.Popen(
            [sshd, "-D", "-e", "-f", str(config)],
            stderr=self.log.open("wb"),
            env={
                **os.environ,
                "LD_PRELOAD": str(found[0]),
                "NSS_WRAPPER_PASSWD": str(self._users),
                "NSS_WRAPPER_GROUP": str(group),
            },
        )
        wait_for_port(self.port, self._child, self.log)

    def know(self, user: str, public_key: str = "") -> None:
        """A user like root under another name; with the key that lets it in, where that is not pushed later."""
        with self._users.open("a") as file:
            file.write(f"{user}:x:0:0::{self.folder}:/bin/sh\n")
        if public_key:
            (self.keys / user).write_text(f"{public_key}\n")

    def close(self) -> None:
        self._child.terminate()
        try:
            self._child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._child.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
