"""This machine as a remote host: an ssh server, and a libvirtd that listens with TLS, both on loopback only."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM = serialization.Encoding.PEM
_OPEN = serialization.NoEncryption()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert child.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"Nothing listens at {port}: {log.read_text()}")


def ssh_key() -> tuple[str, str]:
    """A new key: (private in ssh's own format, public line)."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(_PEM, serialization.PrivateFormat.OpenSSH, _OPEN).decode()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, public.decode()


class SshServer:
    """An sshd of a test's own that lets one key in, as the user who runs the tests."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kvweb-test-ssh-"))
        self.port = free_port()
        self.client_key, client_public = ssh_key()
        host_key, host_public = ssh_key()
        for name, text in (("host", host_key), ("authorized", client_public)):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o600)
        self.known_hosts = f"[127.0.0.1]:{self.port} {host_public}"
        settings = {
            "Port": str(self.port),
            "ListenAddress": "127.0.0.1",
            "HostKey": str(self.folder / "host"),
            "AuthorizedKeysFile": str(self.folder / "authorized"),
            "PidFile": "none",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "StrictModes": "no",
        }
        config = self.folder / "config"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        # Where sshd puts each connection before its sign-in; a package makes it at the start of its service only.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        log = self.folder / "log"
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert sshd, "openssh-server is not installed"
        self._child = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=log.open("wb"))
        wait_for_port(self.port, self._child, log)

    @property
    def uri(self) -> str:
        return f"qemu+ssh://root@127.0.0.1:{self.port}/system"

    def remove(self) -> None:
        self._child.terminate()
        self._child.wait(timeout=10)
        shutil.rmtree(self.folder)


class Authority:
    """Signs certificates for one test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kvweb-test authority")])
        certificate = self._signed(self._name, self._key.public_key(), is_authority=True)
        self.certificate = certificate.public_bytes(_PEM).decode()

    def issue(self, name: str) -> tuple[str, str]:
        """(certificate, key) as PEM; for the loopback address when the name is "server"."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(subject, key.public_key(), is_authority=False)
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, _OPEN)
        return certificate.public_bytes(_PEM).decode(), private.decode()

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, is_authority: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if is_authority:
            usage = [False, False, False, False, False, True, True, False, False]
        else:
            usage = [True, False, True, False, False, False, False, False, False]
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
            purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
            builder = builder.add_extension(names, critical=False).add_extension(purposes, critical=False)
        return builder.add_extension(x509.KeyUsage(*usage), critical=True).sign(self._key, hashes.SHA256())


class TlsLibvirt:
    """A session libvirtd that listens twice: with TLS, where it asks for a client certificate of its authority, and
    without anything, as in a network of its own.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kvt-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.port, self.plain_port, self.authority = free_port(), free_port(), Authority()
        certificate, key = self.authority.issue("server")
        files = {"ca.pem": self.authority.certificate, "cert.pem": certificate, "key.pem": key}
        settings = {
            "listen_tls": "1",
            "listen_tcp": "1",
            "tcp_port": f'"{self.plain_port}"',
            "auth_tcp": '"none"',
            "listen_addr": '"127.0.0.1"',
            "tls_port": f'"{self.port}"',
            "auth_tls": '"none"',
            "ca_file": f'"{self.folder}/ca.pem"',
            "cert_file": f'"{self.folder}/cert.pem"',
            "key_file": f'"{self.folder}/key.pem"',
        }
        files["libvirtd.conf"] = "".join(f"{name} = {value}\n" for name, value in settings.items())
        for name, text in files.items():
            (self.folder / name).write_text(text)
            self._give(self.folder / name)
        for name in ("run", "home"):
            (self.folder / name).mkdir()
            self._give(self.folder / name)
        variables = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder / "home"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
        }
        log = self.folder / "log"
        # A session daemon for everybody but root.
        who = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        command = [*who, "libvirtd", "--listen", "--config", str(self.folder / "libvirtd.conf")]
        self._child = subprocess.Popen(command, env=variables, stdout=log.open("ab"), stderr=subprocess.STDOUT)
        wait_for_port(self.port, self._child, log)

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)

    @property
    def uri(self) -> str:
        return f"qemu+tls://127.0.0.1:{self.port}/session"

    @property
    def plain_uri(self) -> str:
        return f"qemu+tcp://127.0.0.1:{self.plain_port}/session"

    def remove(self) -> None:
        self._child.terminate()
        self._child.wait(timeout=20)
        for pid_file in (self.folder / "run").rglob("virtlogd.pid"):
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)
