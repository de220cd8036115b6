"""A running portal on the local libvirt: the click, the way from a request to a running machine, and news of events."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.bench.harness import Skip, bench, measure
from tools.bench.session import Session

#: Not running machines of ours: everything here is called so and is gone afterwards.
PREFIX = "kvweb-test-live-bench"


@dataclass
class Bench:
    """The portal, a signed-in session, libvirt, and where its images lie."""

    portal: Any
    session: Session
    connection: Any
    image: Path

    def wait(self, sql: str, *values: object, timeout_s: float = 60.0) -> tuple[Any, ...]:
        deadline = time.monotonic() + timeout_s
        while True:
            rows: list[tuple[Any, ...]] = self.portal.rows(sql, *values)
            if rows:
                return rows[0]
            if time.monotonic() > deadline:
                raise RuntimeError(f"No answer to: {sql} {values}\n{self.portal.jobs()}")
            time.sleep(0.002)

    def create(self, name: str, *, full: bool) -> float:
        """Seconds from sending the form to the machine running, by the portal's own database."""
        project, provider, image = (
            self.portal.rows(question)[0][0]
            for question in (
                "select uuid from accounts_project where name = 'Home'",
                "select uuid from providers_provider where kind = 'kvm'",
                "select uuid from storage_image where title like 'kvweb guest%'",
            )
        )
        self.session.get("/vms/create")
        form = {
            "project": _uuid(project),
            "provider": _uuid(provider),
            "image": _uuid(image),
            "name": name,
            "size": "own",
            "vcpus": 1,
            "memory_mib": 64,
            "nic-TOTAL_FORMS": 0,
            "nic-INITIAL_FORMS": 0,
            "disk-TOTAL_FORMS": 0,
            "disk-INITIAL_FORMS": 0,
            "then": "start",
            **({"full_copy": "on"} if full else {}),
        }
        began = time.perf_counter()
        answer = self.session.post("/vms/create", form)
        if answer.status != 302:
            raise RuntimeError(f"Creating answered {answer.status}: {answer.body[:2000]}")
        self.wait(
            "select 1 from vms_virtualmachine where name = ? and power = 'running' and presence = 'present'", name
        )
        return time.perf_counter() - began

    def delete(self, name: str) -> None:
        uuid = _uuid(self.wait("select uuid from vms_virtualmachine where name = ? and presence = 'present'", name)[0])
        self.settled(uuid)
        self.session.post(f"/vms/{uuid}/do/delete", {"typed": name})
        self.wait("select 1 from vms_virtualmachine where name = ? and presence = 'deleted' order by id desc", name)
        deadline = time.monotonic() + 30
        while (
            self.portal.rows("select 1 from vms_virtualmachine where name = ? and presence != 'deleted'", name)
            and time.monotonic() < deadline
        ):
            time.sleep(0.01)

    def settled(self, uuid: str) -> None:
        """Wait until no job of the machine is active."""
        while self.portal.rows(
            "select 1 from jobs_job where subject = ? and state in ('queued', 'running')", f"vm:{uuid}"
        ):
            time.sleep(0.005)


def _uuid(stored: str) -> str:
    return f"{stored[:8]}-{stored[8:12]}-{stored[12:16]}-{stored[16:20]}-{stored[20:]}"


@contextmanager
def running() -> Iterator[Bench]:
    from tools.trial.hypervisor import what_libvirt_had
    from tools.trial.portal import GUEST, Portal

    if not GUEST.exists():
        raise Skip("the guest image is not built (make guest)")
    home = Path(tempfile.mkdtemp(prefix="kvweb-live-", dir="/tmp"))
    portal = Portal(home)
    try:
        with what_libvirt_had() as connection:
            portal.start()
            session = Session(portal.port)
            session.sign_in("admin", portal.password)
            here = Bench(portal, session, connection, GUEST)
            here.wait("select 1 from storage_image where title like 'kvweb guest%'")
            yield here
            portal.stop()
    finally:
        portal.stop()
        shutil.rmtree(home, ignore_errors=True)


def _plain(image: Path, *, full: bool) -> float:
    """The same machine by hand: qemu-img, virsh define, virsh start."""
    from lxml import etree
    from lxml.builder import E

    name = f"{PREFIX}-plain"
    folder = Path("/var/lib/libvirt/images")
    disk, base = folder / f"{name}.qcow2", folder / f"{name}-base.qcow2"
    document = E.domain(
        E.name(name),
        E.memory("64", unit="MiB"),
        E.vcpu("1"),
        E.os(E.type("hvm", machine="q35")),
        E.devices(
            E.disk(
                E.driver(name="qemu", type="qcow2"),
                E.source(file=str(disk)),
                E.target(dev="vda", bus="virtio"),
                type="file",
                device="disk",
            ),
            E.graphics(E.listen(type="none"), type="vnc"),
            E.serial(type="pty"),
        ),
        type="qemu",
    )
    shutil.copyfile(image, base)
    try:
        with tempfile.NamedTemporaryFile("wb", suffix=".xml") as file:
            file.write(etree.tostring(document))
            file.flush()
            began = time.perf_counter()
            make = (
                ["qemu-img", "convert", "-O", "qcow2", str(base), str(disk)]
                if full
                else ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(disk)]
            )
            for command in (make, ["virsh", "-q", "define", file.name], ["virsh", "-q", "start", name]):
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            took_s = time.perf_counter() - began
        for command in (["virsh", "-q", "destroy", name], ["virsh", "-q", "undefine", name]):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    finally:
        disk.unlink(missing_ok=True)
        base.unlink(missing_ok=True)
    return took_s


@bench
def a_running_portal() -> None:
    with running() as here:
        _clicks(here)
        _creations(here)
        _news(here)


def _creations(here: Bench) -> None:
    for full in (False, True):
        words = "full copy" if full else "linked"
        name = f"{PREFIX}-{words.split(maxsplit=1)[0]}"
        plain: list[float] = []

        def over(full: bool = full, name: str = name, plain: list[float] = plain) -> float:
            plain.append(_plain(here.image, full=full) * 1000)
            took_ms = here.create(name, full=full) * 1000
            here.delete(name)
            return took_ms - plain[-1]

        measure(f"create request to running, {words}: added to the plain commands", "ms", over, goal="<= 300", times=5)

        def whole(full: bool = full, name: str = name) -> float:
            took_ms = here.create(name, full=full) * 1000
            here.delete(name)
            return took_ms

        measure(
            f"create request to running, {words}",
            "ms",
            whole,
            baseline=lambda full=full: _plain(here.image, full=full) * 1000,  # type: ignore[misc]
            baseline_name="qemu-img + virsh define + virsh start",
            times=5,
        )


def _clicks(here: Bench) -> None:
    """Start and force off, by turns: how long the browser waits for the row's new state."""
    name = f"{PREFIX}-click"
    here.create(name, full=False)
    uuid = _uuid(here.wait("select uuid from vms_virtualmachine where name = ?", name)[0])

    def click(action: str) -> float:
        here.settled(uuid)
        answer = here.session.post(f"/vms/{uuid}/do/{action}", {"confirmed": "1"}, HX_Request="true")
        if answer.status != 200:
            raise RuntimeError(f"{action} answered {answer.status}: {answer.body[:500]}")
        return answer.took_s * 1000

    def start() -> float:
        click("force-stop")
        return click("start")

    measure(
        "from click to answer (Start)",
        "ms",
        start,
        baseline=lambda: here.session.get("/health").took_s * 1000,
        baseline_name="an empty answer of the same portal",
        goal="<= 100",
        times=15,
    )
    here.settled(uuid)
    here.delete(name)


class _Stream(threading.Thread):
    """The event stream as a browser hears it: the moment of each message."""

    def __init__(self, session: Session) -> None:
        super().__init__(daemon=True)
        self.heard: list[float] = []
        self._connection = http.client.HTTPConnection("127.0.0.1", session.port, timeout=300)
        cookies = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
        self._connection.request("GET", "/events?list=vms", headers={"Accept": "text/event-stream", "Cookie": cookies})
        self._response = self._connection.getresponse()

    def run(self) -> None:
        for line in self._response:
            if line.startswith(b"data:"):
                self.heard.append(time.perf_counter())


def _news(here: Bench) -> None:
    """From the end of libvirt's own call to the message in the browser."""
    domain = here.connection.defineXML(
        f"<domain type='qemu'><name>{PREFIX}-event</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>"
        "<os><type>hvm</type></os></domain>"
    )
    stream = _Stream(here.session)
    stream.start()
    time.sleep(3)

    def heard() -> float:
        before = len(stream.heard)
        began = time.perf_counter()
        domain.create()
        called = time.perf_counter()
        while len(stream.heard) <= before:
            if time.perf_counter() - called > 20:
                raise RuntimeError("The event was not heard")
            time.sleep(0.001)
        # The event may come before the call returns; counted from the call's end, but never less than nothing.
        late_ms = max(stream.heard[before] - called, 0.0) * 1000
        del began
        domain.destroy()
        time.sleep(1)
        return late_ms

    measure("event of libvirt to the page", "ms", heard, goal="<= 500", times=9)
    domain.undefine()
