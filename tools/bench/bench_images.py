"""Images on their way in: fetched from an address by a worker, and sent by a browser, each beside a plain copy."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.bench.harness import Skip, bench, measure
from tools.bench.session import Session

if TYPE_CHECKING:
    from providers.kvm.testing import Backend

#: What vendors publish is of this order; a disk of a system, so about half of it can be packed.
IMPORT_MIB = 512
UPLOAD_MIB = 128
_SINK = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    line, _ = listener.accept()
    with open(sys.argv[1], "wb") as file:
        while piece := line.recv(1 << 20):
            file.write(piece)
    line.sendall(b"done")
    line.close()
"""


@contextmanager
def _room() -> Iterator[tuple[Backend, Path]]:
    from providers.kvm.testing import Backend
    from providers.testing import Unavailable

    try:
        backend = Backend()
    except Unavailable as exc:
        raise Skip(str(exc)) from exc
    folder = Path(tempfile.mkdtemp(prefix="kvweb-bench-"))
    try:
        yield backend, folder
    finally:
        backend.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The folder on loopback, by a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@bench
def image_import() -> None:
    from providers.base import FetchRules, ImageSpec

    with _room() as (backend, folder), _served(folder) as url:
        raw, image = folder / "disk.raw", folder / "disk.qcow2"
        with raw.open("wb") as file:
            for _ in range(IMPORT_MIB):
                file.write(os.urandom(512 * 1024).hex()[: 512 * 1024].encode() + os.urandom(512 * 1024))
        subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", raw, image], check=True)
        size = image.stat().st_size / 1e6
        digest = hashlib.sha256(image.read_bytes()).hexdigest()
        rules = FetchRules(http=True, networks=("127.0.0.0/8",))
        spec = ImageSpec(
            name="bench.qcow2", pool=backend.name, url=f"{url}/disk.qcow2", checksum=f"sha256:{digest}", fetch=rules
        )

        def fetched() -> float:
            began = time.perf_counter()
            record = backend.driver.images.add(spec)
            took_s = time.perf_counter() - began
            backend.driver.images.delete(record.external_id)
            return size / took_s

        def converted() -> float:
            target = backend.folder / "pool" / "converted.qcow2"
            began = time.perf_counter()
            subprocess.run(["qemu-img", "convert", "-O", "qcow2", image, target], check=True)
            took_s = time.perf_counter() - began
            target.unlink()
            return size / took_s

        measure(
            "image import from an address, checksum included",
            "MB/s",
            fetched,
            baseline=converted,
            baseline_name="qemu-img convert of the same file",
            goal=">= 0.8 x",
        )


class _Upload:
    """One file sent as a browser sends it: begun by the form, then chunk by chunk."""

    def __init__(self, session: Session, portal: Any, content: bytes) -> None:
        self.session, self.portal, self.content = session, portal, content
        self.number = 0

    def __call__(self) -> float:
        self.number += 1
        name = f"kvweb-test-bench-{os.getpid()}-{self.number}.img"
        page = self.session.get("/images/add?from=upload").body
        place = re.search(r'<(?:option|input)[^>]*value="([0-9a-f-]{36})"', page)
        if place is None:
            raise RuntimeError("The page offers no pool.")
        form = {"place": place[1], "project": "everybody", "name": name, "file_name": name, "size": len(self.content)}
        begun = self.session.post("/images/add/upload", form)
        if begun.status != 201:
            raise RuntimeError(f"Beginning answered {begun.status}: {begun.body[:500]}")
        uuid = json.loads(begun.body)["page"].split("/")[2]
        address = f"/transfer/images/{uuid}/upload"
        state = json.loads(self.session.get(address).body)
        # A browser sends two chunks at a time, and hashes the next one meanwhile.
        length = state["chunk_bytes"]
        chunks = [self.content[at : at + length] for at in range(0, len(self.content), length)]
        digests = [hashlib.sha256(chunk).hexdigest() for chunk in chunks]
        order = range(len(chunks))
        began = time.perf_counter()
        with ThreadPoolExecutor(2) as two:
            list(two.map(lambda number: self._send(address, number * length, chunks[number], digests[number]), order))
        took_s = time.perf_counter() - began
        self.session.post(f"/images/{uuid}/do/cancel-upload", {"confirmed": "1"})
        return len(self.content) / 1e6 / took_s

    def _send(self, address: str, offset: int, chunk: bytes, digest: str) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self.portal.port, timeout=60)
        headers = {
            "Cookie": "; ".join(f"{key}={value}" for key, value in self.session.cookies.items()),
            "X-CSRFToken": self.session.token,
            "Referer": f"http://127.0.0.1:{self.portal.port}/",
            "Content-Type": "application/octet-stream",
            "X-Chunk-SHA256": digest,
        }
        line.request("POST", f"{address}/{offset}", chunk, headers)
        answer = line.getresponse()
        said = answer.read()
        line.close()
        if answer.status != 200:
            raise RuntimeError(f"A chunk answered {answer.status}: {said[:500]!r}")

    def resident_mib(self) -> float:
        """What the transfer process holds at most since it started."""
        status = Path(f"/proc/{self.portal.process('transfer')}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else 0.0


class _VirshUpload:
    """What libvirt's stream can carry at most: the same bytes from a file of this machine, without browser or hash."""

    def __init__(self, portal: Any, content: bytes) -> None:
        self.pool, self.name = "default", f"kvweb-test-bench-{os.getpid()}-virsh.img"
        self.file = Path(portal.home) / "virsh.img"
        self.file.write_bytes(content)
        self._virsh("vol-create-as", self.pool, self.name, str(len(content)), "--format", "raw", "--allocation", "0")

    def __call__(self) -> float:
        began = time.perf_counter()
        self._virsh("vol-upload", "--pool", self.pool, self.name, str(self.file))
        return self.file.stat().st_size / 1e6 / (time.perf_counter() - began)

    def remove(self) -> None:
        self._virsh("vol-delete", "--pool", self.pool, self.name)

    @staticmethod
    def _virsh(*words: str) -> None:
        subprocess.run(["virsh", "-q", "-c", "qemu:///system", *words], check=True, stdout=subprocess.DEVNULL)


@bench
def image_upload() -> None:
    from tools.bench.bench_portal import running

    content = os.urandom(UPLOAD_MIB * 1024 * 1024)
    with running() as here, tempfile.TemporaryDirectory(prefix="kvweb-bench-") as folder:
        here.wait("select 1 from storage_pool where external_id != ''")
        upload = _Upload(here.session, here.portal, content)
        sink = subprocess.Popen(
            [sys.executable, "-c", _SINK, str(Path(folder) / "copy")], stdout=subprocess.PIPE, text=True
        )
        try:
            assert sink.stdout is not None  # noqa: S101 - it is a pipe
            port = int(sink.stdout.readline())

            def copied() -> float:
                began = time.perf_counter()
                with socket.create_connection(("127.0.0.1", port)) as line:
                    line.sendall(content)
                    line.shutdown(socket.SHUT_WR)
                    line.recv(4)
                return len(content) / 1e6 / (time.perf_counter() - began)

            # What the process loads once is not what a file costs.
            upload()
            before = upload.resident_mib()
            measure(
                "image upload from a browser into the pool, hashes included",
                "MB/s",
                upload,
                baseline=copied,
                baseline_name="plain copy over loopback into a file",
                goal=">= 0.5 x",
            )
            beside = _VirshUpload(here.portal, content)
            try:
                measure(
                    "the same upload, beside libvirt's own client",
                    "MB/s",
                    upload,
                    baseline=beside,
                    baseline_name="virsh vol-upload of the same file",
                )
            finally:
                beside.remove()
            grown = upload.resident_mib() - before
            measure(
                f"memory that five more uploads of {UPLOAD_MIB} MiB add to the transfer process", "MiB", lambda: grown,
                goal="<= 64",
            )  # fmt: skip
        finally:
            sink.kill()
            sink.wait()
