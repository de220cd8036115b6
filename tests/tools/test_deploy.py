"""What is shipped for production: nginx's example really serves, and nothing behind it listens on a port."""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tools import frontdoor
from tools.place import ROOT

NAME = "portal.example"
SOCKETS = ("web", "console", "transfer")


class Behind:
    """One of the portal's processes as nginx sees it: a socket that keeps what it was asked, and says who it is."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.asked: list[str] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / f"{name}.sock"))
        self.listener.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                sock = self.listener.accept()[0]
                with sock:
                    sock.settimeout(5)
                    head = b""
                    while b"\r\n\r\n" not in head and (got := sock.recv(4096)):
                        head += got
                    self.asked.append(head.decode())
                    sock.sendall(
                        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                        if b"Upgrade: websocket" in head
                        else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )


def certify(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "privkey.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Front:
    """nginx by the example, with its own folders and two ports of loopback in the place of 80 and 443."""

    def __init__(self, folder: Path) -> None:
        self.plain, self.secure = free_port(), free_port()
        certify(folder)
        (folder / "static").mkdir()
        (folder / "static/away.html").write_text((ROOT / "static/away.html").read_text())
        self.behind = {name: Behind(folder, name) for name in SOCKETS}
        text = (ROOT / "deploy/nginx.conf.example").read_text()
        # One address is enough here, and those of IPv6 would be everybody's.
        text = re.sub(r"\n\s*listen \[::\]:.*", "", text)
        text = text.replace("listen 80;", f"listen 127.0.0.1:{self.plain};")
        text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{self.secure} ssl")
        text = text.replace("/var/lib/kvweb/run/", f"{folder}/").replace("/var/lib/kvweb/static/", f"{folder}/static/")
        text = text.replace("/etc/ssl/kvweb/", f"{folder}/")
        user = "user root;" if os.geteuid() == 0 else ""
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        file = folder / "nginx.conf"
        frame = f"{user} daemon off; pid {folder}/pid; events {{}} http {{ access_log off; {temporary}"
        file.write_text(f"{frame}\n{text}\n}}\n")
        nginx = frontdoor.find()
        assert nginx is not None
        # The ports are this process's to say, and the checks of nginx itself come first.
        self.process = subprocess.Popen(
            [nginx, "-p", str(folder), "-c", str(file), "-e", "stderr"], stderr=subprocess.PIPE, text=True
        )
        end = time.monotonic() + 20
        while True:
            assert self.process.poll() is None, self.process.stderr.read() if self.process.stderr else ""
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.secure), timeout=1):
                return
            assert time.monotonic() < end, "nginx does not listen."
            time.sleep(0.05)

    def ask(self, path: str, **headers: str) -> int:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        line = http.client.HTTPSConnection("127.0.0.1", self.secure, timeout=10, context=context)
        line.request("GET", path, headers={"Host": NAME, **headers})
        answer = line.getresponse()
        self.said = answer.read().decode() if answer.status >= 400 else ""
        line.close()
        return answer.status

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        for one in self.behind.values():
            one.listener.close()


@pytest.fixture
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    if frontdoor.find() is None:
        pytest.skip("nginx is not installed")
    front = Front(tmp_path_factory.mktemp("n"))
    yield front
    front.close()


def test_everything_comes_through_one_port(front: Front) -> None:
    """Pages, events, transfers and consoles by their paths; who asks cannot say that somebody else does."""
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "elsewhere.test"}
    assert front.ask("/vms/", **forged) == 200
    assert front.ask("/events") == 200
    assert front.ask("/transfer/volumes/x/file") == 200
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Protocol": "kvweb.console"}
    assert front.ask("/ws/console/0", **upgrade, **forged) == 101
    heads = {name: [asked.partition("\r\n")[0] for asked in one.asked] for name, one in front.behind.items()}
    assert heads == {
        "web": ["GET /vms/ HTTP/1.1", "GET /events HTTP/1.1"],
        "transfer": ["GET /transfer/volumes/x/file HTTP/1.1"],
        "console": ["GET /ws/console/0 HTTP/1.1"],
    }
    for name in ("web", "console"):
        told = front.behind[name].asked[0]
        assert "X-Forwarded-For: 127.0.0.1\r\n" in told
        assert "X-Forwarded-Proto: https\r\n" in told
        assert f"Host: {NAME}\r\n" in told
        assert "203.0.113.9" not in told
        assert "elsewhere.test" not in told
    # Without TLS there is a way to it and nothing else.
    line = http.client.HTTPConnection("127.0.0.1", front.plain, timeout=10)
    line.request("GET", "/vms/", headers={"Host": NAME})
    answer = line.getresponse()
    assert (answer.status, answer.getheader("Location")) == (308, f"https://{NAME}/vms/")
    line.close()


def test_a_portal_that_is_away_is_waited_for_by_a_page_in_its_words(front: Front) -> None:
    front.behind["web"].listener.shutdown(socket.SHUT_RDWR)
    assert front.ask("/vms/") == 502
    assert "Back in a moment" in front.said
    assert 'http-equiv="refresh"' in front.said


def test_no_service_behind_it_is_told_of_a_port() -> None:
    """Those that listen have a socket file each; a port would be one more door."""
    services = {file.name: file.read_text() for file in (ROOT / "deploy/systemd").glob("*.service")}
    assert len(services) >= 6
    assert "--uds /var/lib/kvweb/run/web.sock" in services["kvweb-web.service"]
    for name, text in services.items():
        started = " ".join(line for line in text.splitlines() if line.startswith("ExecStart="))
        assert not re.search(r"--(port|host|bind|listen)\b|0\.0\.0\.0|127\.0\.0\.1|:\d{2,5}\b", started), name
    settings = (ROOT / "deploy/kvweb.env.example").read_text()
    assert not re.search(r"^KVWEB_(CONSOLE|TRANSFER)_LISTEN=(?!unix:)", settings, re.MULTILINE)
