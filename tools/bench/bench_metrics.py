"""What measuring costs: processor time of the portal for each VM and sample, with 2000 VMs on one host.

No machine here runs 2000 of them, so one VM (two disks, two cards, two vCPUs) is asked for 100 times in one bulk call:
the same answer as of so many VMs, through libvirt's own protocol and binding, where the cost of each is the same. All
that the portal does with the answers is done for 2000.
"""

from __future__ import annotations

import dataclasses
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tools.bench.django_home import django_here
from tools.bench.harness import Skip, bench, measure

COUNT = 2000
ASKED = 100
READINGS = 6


def _own_s() -> float:
    """Processor time of this process, in its own code and in the kernel."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _started(connection: Any, folder: Path) -> Any:
    import libvirt
    from lxml import etree
    from lxml.builder import E

    disks = []
    for target in ("vda", "vdb"):
        disks.append(
            E.disk(
                E.driver(name="qemu", type="raw"),
                E.source(file=str(folder / f"{target}.img")),
                E.target(dev=target, bus="virtio"),
                type="file",
                device="disk",
            )
        )
        with (folder / f"{target}.img").open("wb") as file:
            file.truncate(1024 * 1024)
        (folder / f"{target}.img").chmod(0o666)
    cards = [E.interface(E.model(type="virtio"), type="user") for _ in range(2)]
    document = E.domain(
        E.name("kvweb-test-measured"),
        E.memory("32768"),
        E.vcpu("2"),
        E.os(E.type("hvm", arch="x86_64", machine="pc")),
        E.devices(*disks, *cards, E.memballoon(E.stats(period="10"), model="virtio")),
        type="qemu",
    )
    # Paused: it has the same to tell, and its emulator does not take the processor from what is measured.
    return connection.createXML(etree.tostring(document).decode(), libvirt.VIR_DOMAIN_START_PAUSED)


@bench
def metrics_cost() -> None:
    django_here()
    import libvirt

    from kvweb.metrics.store import Reader, Writer
    from kvweb.portal.measure import Taking
    from providers.base import HostSample, MetricsFeatures, VmSample
    from providers.kvm.config import KvmConfig
    from providers.kvm.metrics import _COUNT_S, _FLAGS, _STATS, KvmMetrics
    from tools.trial.libvirtd import PrivateLibvirt

    try:
        daemon = PrivateLibvirt()
        daemon.start()
    except (OSError, AssertionError) as exc:
        raise Skip(f"no libvirtd could be started: {exc}") from exc
    folder = Path(tempfile.mkdtemp(prefix="kvweb-bench-metrics-"))
    connection = libvirt.open(daemon.uri)
    try:
        try:
            domain = _started(connection, daemon.images)
        except libvirt.libvirtError as exc:
            raise Skip(f"no VM could be started: {exc}") from exc
        many = [domain] * ASKED

        class Asked(KvmMetrics):
            """Asks for one VM many times over, in one call."""

            def _told(self, wanted: int) -> list[tuple[Any, dict[str, Any]]]:
                return list(connection.domainListGetStats(many, wanted, _FLAGS))

        asked = Asked(SimpleNamespace(raw=connection), KvmConfig())  # type: ignore[arg-type] # all that is asked of it

        def minute() -> None:
            """As many readings as somebody who looks on makes in a minute; one of them counts vCPUs."""
            asked._counted_at = -_COUNT_S
            for _ in range(READINGS):
                asked.sample()

        def told() -> None:
            for _ in range(READINGS):
                connection.domainListGetStats(many, _STATS, _FLAGS)

        class Many:
            """As `KvmMetrics`, with samples that came before; each reading is ten seconds later."""

            reads = 0
            samples = [
                dataclasses.replace(sample, external_id=f"{number:036}")
                for number, sample in enumerate(list(asked.sample()) * (COUNT // ASKED))
            ]

            def sample(self) -> Sequence[VmSample]:
                self.reads += 1
                at = datetime.now(UTC) + timedelta(seconds=10 * self.reads)
                # The first one's moment is all of theirs.
                self.samples[0] = dataclasses.replace(self.samples[0], at=at)
                return self.samples

            def host_sample(self) -> HostSample:
                raise NotImplementedError

        writer = Writer(folder)
        metrics: Any = Many()
        taking = Taking(metrics, MetricsFeatures(vms=True), writer)
        taking.take()

        def per_vm(work: Any, count: int) -> float:
            began = _own_s()
            work()
            return (_own_s() - began) / count * 1e6

        measure(
            f"measuring {COUNT} VMs, portal's processor time per VM and sample",
            "µs",
            lambda: per_vm(minute, ASKED * READINGS) + per_vm(taking.take, COUNT),
            baseline=lambda: per_vm(told, ASKED * READINGS),
            baseline_name="libvirt's bulk call alone",
            goal="<= 50",
            times=9,
        )
        reader = Reader(folder)
        now = time.time() + 10 * metrics.reads
        name = f"{COUNT - 1:036}"
        measure(
            f"one VM's hour out of the rings of {COUNT}",
            "ms",
            lambda: _read(reader, name, now),
            goal="<= 5",
            times=9,
        )
        measure(
            f"sparklines of 50 out of {COUNT}",
            "ms",
            lambda: _sparks(reader, now),
            goal="<= 2",
            times=9,
        )
        kept = sum(path.stat().st_size for path in folder.glob("*.ring"))
        measure(f"rings of {COUNT} VMs when they are full", "MiB", lambda: kept / 2**20, goal="<= 128")
        writer.close()
    finally:
        connection.close()
        daemon.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _read(reader: Any, name: str, now: float) -> None:
    from kvweb.metrics.charts import CPU, DISK, NETWORK, drawn, memory
    from kvweb.metrics.series import HOUR

    drawn([CPU, memory(1024), DISK, NETWORK], reader.series(name, HOUR, now=now), HOUR)


def _sparks(reader: Any, now: float) -> None:
    from kvweb.metrics.series import Measure

    reader.latest([f"{number:036}" for number in range(0, COUNT, COUNT // 50)], Measure.CPU_PERCENT, 60, now=now)
