"""What a remote hypervisor is reached with: private key, known host keys, certificates.

ssh and libvirt read these from files only. They lie in a folder that nobody else can open, in memory where the system
has such a place, and are gone when the connection is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import weakref
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr

from providers.kvm.config import KvmConfig

#: A file system in memory on every Linux: what is sealed in the database should not lie on a disk.
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder of its own in it, closed to others

#: libvirt knows no ssh options, but lets the program be named: this one reads the settings that lie beside it.
_SSH_PROGRAM = """#!/bin/sh
exec ssh -F "${0%/*}/config" "$@"
"""

_SCAN_S = 5


class Access:
    """The way to one hypervisor while a connection to it stands: `uri` for libvirt, `ssh` to run ssh itself."""

    def __init__(self, config: KvmConfig) -> None:
        self.uri = config.uri
        #: The ssh program with its settings, for what goes beside libvirt's own connection.
        self.ssh: list[str] = ["ssh"]
        self._remove: weakref.finalize[[str, int], Access] | None = None
        if config.transport == "ssh":
            self._for_ssh(config)
        elif config.transport == "tls" and (config.tls_ca or config.tls_certificate or config.tls_key):
            self._for_tls(config)

    def close(self) -> None:
        """Remove the files; may be called twice."""
        if self._remove is not None:
            self._remove()

    def _folder(self) -> Path:
        folder = tempfile.mkdtemp(prefix="kvweb-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None)
        # Also when nobody closes this, at the end of the process.
        self._remove = weakref.finalize(self, _remove_folder, folder, os.getpid())
        return Path(folder)

    def _for_ssh(self, config: KvmConfig) -> None:
        parameters = {"no_tty": "1"}
        if config.ssh_key or config.known_hosts:
            folder = self._folder()
            settings = ["BatchMode yes", "StrictHostKeyChecking yes", "ServerAliveInterval 15", "ServerAliveCountMax 4"]
            if config.ssh_key:
                settings += ["IdentitiesOnly yes", f"IdentityFile {_write(folder / 'key', _opened(config.ssh_key))}"]
            if config.known_hosts:
                known = _write(folder / "known_hosts", _opened(config.known_hosts))
                settings += [f"UserKnownHostsFile {known}", "GlobalKnownHostsFile /dev/null"]
            _write(folder / "config", "\n".join(settings))
            program = _write(folder / "ssh", _SSH_PROGRAM, mode=0o700)
            self.ssh = [str(program)]
            parameters["command"] = str(program)
        self.uri = _with(config.uri, parameters)

    def _for_tls(self, config: KvmConfig) -> None:
        # The names are libvirt's: https://libvirt.org/kbase/tlscerts.html
        folder = self._folder()
        for name, text in (
            ("cacert.pem", config.tls_ca),
            ("clientcert.pem", config.tls_certificate),
            ("clientkey.pem", _opened(config.tls_key)),
        ):
            if text:
                _write(folder / name, text)
        self.uri = _with(config.uri, {"pkipath": str(folder)})


def identity(config: KvmConfig) -> str:
    """Equal for configs that may share a connection: the same place, reached with the same credentials."""
    secrets = (config.ssh_key, config.known_hosts, config.tls_key, config.sasl_password)
    parts = (config.uri, config.tls_ca, config.tls_certificate, config.sasl_user)
    return sha256(repr((parts, [_opened(secret) for secret in secrets])).encode()).hexdigest()


def host_key(config: KvmConfig) -> tuple[str, str]:
    """The key that the host shows just now: (fingerprint as ssh prints it, line for “known hosts”); empty for none.

    It was not proved to anybody: a person compares the fingerprint with what the host's owner says.
    """
    parts = urlsplit(config.uri)
    words = ["ssh-keyscan", "-T", str(_SCAN_S), "-t", "ed25519,ecdsa,rsa", "-p", str(parts.port or 22), "--"]
    try:
        answer = subprocess.run(
            [*words, config.host], capture_output=True, text=True, timeout=2 * _SCAN_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return "", ""
    lines = [line for line in answer.splitlines() if line.count(" ") == 2 and not line.startswith("#")]
    if not lines:
        return "", ""
    # One is enough; the newest kind has the shortest line.
    line = min(lines, key=len)
    return "SHA256:" + b64encode(sha256(b64decode(line.split()[2])).digest()).decode().rstrip("="), line


def _with(uri: str, parameters: dict[str, str]) -> str:
    parts = urlsplit(uri)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit(parts._replace(query=urlencode({**parameters, **query})))


def _opened(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _write(path: Path, text: str, *, mode: int = 0o600) -> Path:
    # What was pasted into a form has the browser's line ends, and perhaps no last one: ssh takes neither.
    lines = text.replace("\r\n", "\n").strip() + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(lines)
    return path


def _remove_folder(folder: str, owner: int) -> None:
    # A process that was forked off must not take its parent's keys away.
    if os.getpid() == owner:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
