"""Speed of the KVM driver beside its baselines, measured in the same run: `python -m tests.providers.kvm.measure`.

Every function returns seconds per round, ours and the baseline's, taken in turns so that a busy machine slows both.
"""

from __future__ import annotations

import json
import queue
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from providers.base import CloudInit, DiskSpec, NicSpec, ProviderEvent, VmSpec
from providers.kvm.driver import KvmDriver
from providers.kvm.inventory import Inventory
from providers.kvm.native import libvirt
from providers.kvm.testing import Backend

Rounds = dict[str, list[float]]


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def create_and_start(backend: Backend, rounds: int = 5) -> Rounds:
    """A linked VM with a seed, created and started by the driver, and the same document by qemu-img and virsh."""
    found: Rounds = {"driver": [], "plain": [], "driver without start": []}
    document = backend.folder / "plain.xml"
    for _ in range(rounds):
        spec = VmSpec(
            name=f"{backend.name}-speed",
            portal_uuid=str(uuid.uuid4()),
            memory_mib=64,
            disks=(DiskSpec(image=backend.image),),
            nics=(NicSpec(network=backend.network),),
            cloud_init=CloudInit(),
        )
        found["driver"].append(timed(partial(backend.driver.machines.create, spec)))
        document.write_text(backend.raw.lookupByName(spec.name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        disks = backend.driver.machines.find(spec.name).disks or ()
        backend.driver.machines.delete(backend.driver.machines.find(spec.name).external_id)
        # The same VM without the portal: the disk is made anew, the seed is the one drive that it does without.
        text = document.read_text()
        for disk in disks:
            if disk.device == "cdrom":
                text = text.replace(f"<source file='{disk.volume}'/>", "")
        document.write_text(text)

        def plain(path: str = disks[0].volume, name: str = spec.name) -> None:
            run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backend.image, path, "64M")
            run("virsh", "-q", "define", str(document))
            run("virsh", "-q", "start", name)

        found["plain"].append(timed(plain))
        run("virsh", "-q", "destroy", spec.name)
        run("virsh", "-q", "undefine", spec.name)
        run("rm", disks[0].volume)
        stopped = spec.model_copy(update={"start": False, "portal_uuid": str(uuid.uuid4())})
        found["driver without start"].append(timed(partial(backend.driver.machines.create, stopped)))
        backend.driver.machines.delete(backend.driver.machines.find(spec.name).external_id)
    return found


@contextmanager
def many_defined(backend: Backend, count: int) -> Iterator[None]:
    """So many stopped VMs, each with a disk, a seed and a card, defined without the driver."""
    vm = backend.driver.machines.create(
        VmSpec(
            name=f"{backend.name}-model",
            memory_mib=64,
            disks=(DiskSpec(image=backend.image),),
            nics=(NicSpec(network=backend.network),),
            cloud_init=CloudInit(),
            start=False,
        )
    )
    model = backend.raw.lookupByUUIDString(vm.external_id).XMLDesc()
    made = []
    try:
        for number in range(count - 1):
            other = str(uuid.uuid4())
            text = model.replace(vm.external_id, other).replace(f"<name>{vm.name}", f"<name>{vm.name}-{number}")
            mac = f"52:54:01:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
            made.append(backend.raw.defineXML(text.replace(vm.nics[0].mac if vm.nics else "-", mac)))
        yield
    finally:
        for domain in made:
            domain.undefine()
        backend.driver.machines.delete(vm.external_id)


def listing(backend: Backend, count: int, rounds: int = 7) -> Rounds:
    """`list()` of so many stopped VMs: at first, then while nothing changes, beside what it cannot do without."""
    states = libvirt.VIR_DOMAIN_STATS_STATE
    whole = (
        states
        | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
        | libvirt.VIR_DOMAIN_STATS_BALLOON
        | libvirt.VIR_DOMAIN_STATS_VCPU
        | libvirt.VIR_DOMAIN_STATS_INTERFACE
    )
    found: Rounds = {"first": [], "quiet": [], "bulk": [], "bulk states only": [], "virsh list": [], "ten changed": []}
    with many_defined(backend, count):
        for number in range(rounds):
            if number < 2:
                Inventory.of(backend.driver.connection).closed("measured")
                found["first"].append(timed(backend.driver.machines.list))
            found["quiet"].append(timed(backend.driver.machines.list))
            found["bulk"].append(timed(lambda: backend.raw.getAllDomainStats(whole, 0)))
            found["bulk states only"].append(timed(lambda: backend.raw.getAllDomainStats(states, 0)))
            found["virsh list"].append(timed(lambda: run("virsh", "-q", "list", "--all")))
            vms = backend.driver.machines.list()
            for vm in vms[:10]:
                Inventory.of(backend.driver.connection).forget(vm.external_id)
            found["ten changed"].append(timed(backend.driver.machines.list))
    return found


def event_latency(backend: Backend, rounds: int = 20) -> Rounds:
    """From the call's begin and from its end to `report`; negative: told before the call returned."""
    found: Rounds = {"after begin": [], "after end": []}
    heard: queue.SimpleQueue[tuple[float, ProviderEvent]] = queue.SimpleQueue()
    stop = threading.Event()
    vm = backend.driver.machines.create(
        VmSpec(name=f"{backend.name}-news", memory_mib=64, disks=(DiskSpec(size_gib=1),), start=True)
    )
    with KvmDriver(backend.config) as driver:
        events = driver.events
        if events is None:
            raise RuntimeError("no events in this process")
        watcher = threading.Thread(
            target=events.watch, args=(lambda event: heard.put((time.perf_counter(), event)), stop)
        )
        watcher.start()
        time.sleep(0.3)
        domain = backend.raw.lookupByUUIDString(vm.external_id)
        for number in range(rounds):
            while not heard.empty():
                heard.get()
            begun = time.perf_counter()
            (domain.resume if number % 2 else domain.suspend)()
            ended = time.perf_counter()
            moment, _ = heard.get(timeout=5)
            found["after begin"].append(moment - begun)
            found["after end"].append(moment - ended)
            time.sleep(0.05)
        stop.set()
        watcher.join()
    backend.driver.machines.delete(vm.external_id)
    return found


def main() -> None:
    backend = Backend()
    try:
        results = {"event latency": event_latency(backend), "create and start": create_and_start(backend)}
        for count in (500, 2000):
            results[f"list of {count}"] = listing(backend, count)
    finally:
        backend.sweep()
        backend.close()
    for title, rounds in results.items():
        told = {
            name: {"median_ms": round(statistics.median(values) * 1000, 2), "least_ms": round(min(values) * 1000, 2)}
            for name, values in rounds.items()
        }
        sys.stdout.write(json.dumps({title: told}) + "\n")


if __name__ == "__main__":
    main()
